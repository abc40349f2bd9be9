/* SPDX-License-Identifier: MIT */
/*
 * A tap interface, in a network of our own: an unprivileged user is root there, where user namespaces are allowed. Elsewhere these
 * tests are skipped.
 */
#include "tests/host/guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/net/tap.h"

static bool have_namespace;

static bool write_file(const char *name, const char *text)
{
	int fd = open(name, O_WRONLY | O_CLOEXEC);
	bool good = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);

	if (fd >= 0)
		close(fd);
	return good;
}

static bool enter_namespace(void)
{
	char map[2][32];

	snprintf(map[0], sizeof(map[0]), "0 %u 1", getuid());
	snprintf(map[1], sizeof(map[1]), "0 %u 1", getgid());
	return access("/dev/net/tun", R_OK | W_OK) == 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0 &&
	       write_file("/proc/self/setgroups", "deny") && write_file("/proc/self/uid_map", map[0]) &&
	       write_file("/proc/self/gid_map", map[1]);
}

static void set_address(struct ifreq *request, uint32_t address)
{
	struct sockaddr_in in = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(address) };

	memcpy(&request->ifr_addr, &in, sizeof(in));
}

/* 10.9.0.1/24 on our side. */
static void bring_up(const char *name)
{
	struct ifreq request = { 0 };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	strcpy(request.ifr_name, name);
	set_address(&request, gateway_ip);
	assert_int_equal(ioctl(fd, SIOCSIFADDR, &request), 0);
	set_address(&request, 0xffffff00);
	assert_int_equal(ioctl(fd, SIOCSIFNETMASK, &request), 0);
	request.ifr_flags = IFF_UP | IFF_RUNNING;
	assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &request), 0);
	close(fd);
}

static int setup(void **state)
{
	guest_ip = 0x0a090002;
	gateway_ip = 0x0a090001;
	loop = new_loop();
	return 0;
}

static int teardown(void **state)
{
	if (be)
		be->ops->close(be);
	be = NULL;
	loop_destroy(loop);
	return 0;
}

static void open_tap(void)
{
	if (!have_namespace) {
		print_message("skipped: no network of our own to be had, or no /dev/net/tun\n");
		skip();
	}
	listen_to(tap_open(loop, "kennel0", &err));
	bring_up("kennel0");
}

static void test_arp(void **state)
{
	open_tap();
	assert_int_equal(be->mac[0] & 3, 2);	/* locally administered, one station */
	arp_for_gateway();
}

static void test_busy(void **state)
{
	open_tap();
	assert_null(tap_open(loop, "kennel0", &err));
	assert_string_equal(err.text, "kennel0: in use by another program");
	assert_null(tap_open(loop, "lo", &err));
	assert_string_equal(err.text, "lo: not a tap interface");
}

static int listen_on(unsigned int *port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(gateway_ip) };
	socklen_t size = sizeof(name);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
	assert_int_equal(listen(fd, 1), 0);
	*port = ntohs(name.sin_port);
	return fd;
}

/* Data both ways; large frames if offload was asked for, none otherwise. */
static void exchange(bool offload)
{
	enum { SIZE = 20000, BACK = 200000 };
	static uint8_t data[BACK], back[BACK + 65536];	/* not allocated: a skipped test would leak them */
	size_t total = 0, sent = 0, piece = offload ? SIZE : 1000;
	unsigned int port;
	int listener, fd = -1;
	ssize_t got;

	for (int i = 0; i < BACK; i++)
		data[i] = (uint8_t)(i * 31 + i / 997);
	open_tap();
	assert_true(be->offload);
	be->ops->set_offload(be, offload, offload, offload, offload, offload);
	listener = listen_on(&port);
	arp_for_gateway();
	connect_out(gateway_ip, port);
	established();
	for (size_t at = 0; at < SIZE; at += piece)
		send_segment(ACK, data + at, piece);
	run_until(loop, (fd = fd < 0 ? accept4(listener, NULL, NULL, SOCK_NONBLOCK) : fd) >= 0);
	while (total < SIZE) {
		run_until(loop, (got = read(fd, back + total, SIZE - total)) > 0);
		total += (size_t)got;
	}
	assert_memory_equal(data, back, SIZE);

	large_frames = 0;
	total = 0;
	while (total < BACK) {
		if (sent < BACK && (got = write(fd, data + sent, BACK - sent)) > 0)
			sent += (size_t)got;
		loop_run_once(loop, 10);
		total += take_data(back + total);
		assert_true(total <= BACK);
	}
	assert_memory_equal(data, back, BACK);
	assert_int_equal(large_frames > 0, offload);
	close(fd);
	close(listener);
}

static void test_plain(void **state)
{
	exchange(false);
}

static void test_offload(void **state)
{
	exchange(true);
}

/* A guest without buffers: the frame stays, and the tap is left alone until there is room. */
static void test_no_buffers(void **state)
{
	unsigned int before;

	open_tap();
	arp_for_gateway();
	accepting = false;
	for (int i = 0; i < 3; i++) {
		uint8_t frame[14 + 20 + 16] = { 0 }, *icmp = frame + 34;

		icmp[0] = 8;
		put16(icmp + 6, (unsigned int)i);
		put16(icmp + 2, fold(sum16(icmp, 16, 0)));
		put_ip(frame, 1, guest_ip, gateway_ip, 16);
		send_frame(frame, sizeof(frame));
		loop_run_once(loop, 10);
	}
	in_head = before = in_tail;
	accepting = true;
	loop_run_once(loop, 10);
	assert_int_equal(in_tail, before);
	io_lock();
	be->ops->rx_ready(be);
	io_unlock();
	for (unsigned int seen = 0; seen < 3;) {
		run_until(loop, in_head != in_tail);
		if (get16(inbox[in_head % FRAMES].data + 12) == 0x0800 && inbox[in_head % FRAMES].data[23] == 1)
			assert_int_equal(get16(inbox[in_head % FRAMES].data + 40), seen++);
		in_head++;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_arp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_busy, setup, teardown),
		cmocka_unit_test_setup_teardown(test_plain, setup, teardown),
		cmocka_unit_test_setup_teardown(test_offload, setup, teardown),
		cmocka_unit_test_setup_teardown(test_no_buffers, setup, teardown),
	};

	have_namespace = enter_namespace();
	return cmocka_run_group_tests_name("tap", tests, NULL, NULL);
}
