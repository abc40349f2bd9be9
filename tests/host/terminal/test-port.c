/* SPDX-License-Identifier: MIT */
/* A port's socket: peers that come and go, that do not read, and that send more than the guest takes. */
#include "tests/host/helper.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "host/terminal/port.h"

static struct {
	struct loop *loop;
	struct console_backend *be;
	struct sockaddr_un address;
	/* The device's side. */
	char got[1 << 20];
	size_t got_len, room;		/* what came; what is taken of the next input */
	unsigned int came, went, ready;
} f;

static size_t input(void *opaque, const void *data, size_t len)
{
	size_t taken = len < f.room ? len : f.room;

	assert_true(f.got_len + taken <= sizeof(f.got));
	memcpy(f.got + f.got_len, data, taken);
	f.got_len += taken;
	f.room -= taken;
	return taken;
}

static void came_or_went(void *opaque)
{
	if (f.be->away)
		f.went++;
	else
		f.came++;
}

static void output_ready(void *opaque)
{
	f.ready++;
}

static int setup(void **state)
{
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct error err;

	memset(&f, 0, sizeof(f));
	f.address.sun_family = AF_UNIX;
	snprintf(f.address.sun_path, sizeof(f.address.sun_path), "test-port-%d", (int)getpid());
	assert_int_equal(bind(listener, (struct sockaddr *)&f.address, sizeof(f.address)), 0);
	assert_int_equal(listen(listener, 4), 0);
	f.loop = new_loop();
	f.be = port_open(f.loop, listener, &err);
	assert_non_null(f.be);
	assert_true(f.be->away);
	f.be->input = input;
	f.be->came_or_went = came_or_went;
	f.be->output_ready = output_ready;
	f.room = SIZE_MAX;
	return 0;
}

static int teardown(void **state)
{
	f.be->ops->close(f.be);
	loop_destroy(f.loop);
	unlink(f.address.sun_path);
	return 0;
}

static int connect_peer(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&f.address, sizeof(f.address)), 0);
	return fd;
}

/* As the device does it; what was taken. */
static size_t output(const char *data, size_t len)
{
	struct virtio_iov iov[2] = { { (void *)(uintptr_t)data, len / 2 }, { (void *)(uintptr_t)(data + len / 2), len - len / 2 } };
	size_t taken;

	io_lock();
	taken = f.be->ops->write(f.be, iov, 2);
	io_unlock();
	return taken;
}

static void test_both_ways(void **state)
{
	char text[16];
	int peer;

	assert_int_equal(output("lost", 4), 4);
	peer = connect_peer();
	run_until(f.loop, f.came == 1);
	assert_int_equal(output("hello", 5), 5);
	assert_int_equal(read(peer, text, sizeof(text)), 5);
	assert_memory_equal(text, "hello", 5);
	assert_int_equal(write(peer, "hi", 2), 2);
	run_until(f.loop, f.got_len == 2);
	assert_memory_equal(f.got, "hi", 2);
	close(peer);
	run_until(f.loop, f.went == 1);
	assert_int_equal(output("lost", 4), 4);
}

/* What a peer said before it went is heard to the last byte, however slowly. */
static void test_last_words(void **state)
{
	static char text[100000];
	int peer = connect_peer();
	size_t sent;

	run_until(f.loop, f.came == 1);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 3 + i / 256);
	f.room = 0;
	sent = (size_t)write(peer, text, sizeof(text));
	assert_true(sent > 10000 && sent <= sizeof(text));
	close(peer);
	while (f.got_len < sent) {
		assert_int_equal(f.went, 0);
		loop_run_once(f.loop, 1);
		io_lock();
		f.room = 1000;
		f.be->ops->input_ready(f.be);
		io_unlock();
	}
	run_until(f.loop, f.went == 1);
	assert_memory_equal(f.got, text, sent);
}

/* A peer that does not read; then it does. */
static void test_full(void **state)
{
	static char text[65536], back[sizeof(text)];
	size_t sent = 0, got = 0, taken;
	int peer = connect_peer();

	run_until(f.loop, f.came == 1);
	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 7);
	do {
		taken = output(text, sizeof(text));
		sent += taken;
	} while (taken == sizeof(text));
	assert_int_equal(output("x", 1), 0);
	loop_run_once(f.loop, 1);
	assert_int_equal(f.ready, 0);
	while (got < sent) {
		ssize_t len = read(peer, back, sizeof(back));

		assert_true(len > 0);
		for (ssize_t i = 0; i < len; i++)
			assert_int_equal(back[i], text[(got + (size_t)i) % sizeof(text)]);
		got += (size_t)len;
	}
	run_until(f.loop, f.ready == 1);
	assert_int_equal(output("x", 1), 1);
	close(peer);
	run_until(f.loop, f.went == 1);
}

/* One that goes with the guest waiting for it: the guest is told to go on. */
static void test_gone_while_full(void **state)
{
	static char text[65536];
	int peer = connect_peer();

	run_until(f.loop, f.came == 1);
	f.room = 0;
	assert_int_equal(write(peer, "unread", 6), 6);
	loop_run_once(f.loop, 1);
	while (output(text, sizeof(text)) == sizeof(text))
		;
	close(peer);
	run_until(f.loop, f.ready == 1);
	assert_int_equal(output("x", 1), 1);
	run_until(f.loop, f.went == 1);
}

static void test_next_in_line(void **state)
{
	int first = connect_peer(), second;
	char text[8];

	run_until(f.loop, f.came == 1);
	second = connect_peer();
	assert_int_equal(write(second, "2", 1), 1);
	loop_run_once(f.loop, 1);
	assert_int_equal(f.got_len, 0);
	assert_int_equal(output("1", 1), 1);
	assert_int_equal(read(first, text, sizeof(text)), 1);
	close(first);
	run_until(f.loop, f.came == 2);
	assert_int_equal(f.went, 1);
	run_until(f.loop, f.got_len == 1);
	assert_int_equal(output("2", 1), 1);
	assert_int_equal(read(second, text, sizeof(text)), 1);
	assert_int_equal(text[0], '2');
	close(second);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_both_ways, setup, teardown),
		cmocka_unit_test_setup_teardown(test_last_words, setup, teardown),
		cmocka_unit_test_setup_teardown(test_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_gone_while_full, setup, teardown),
		cmocka_unit_test_setup_teardown(test_next_in_line, setup, teardown),
	};

	return cmocka_run_group_tests_name("port", tests, NULL, NULL);
}
