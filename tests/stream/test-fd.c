/* SPDX-License-Identifier: MIT */
/* Streams over file descriptors: two threads with a socket or two pipes between them, and peers that go away. */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <tests/device/bed.h>
#include <virtio/driver-block.h>
#include <virtio/stream-fd.h>

#define MAX 65536

struct server {
	struct fake_disk disk;
	struct virtio_dev *dev;
	struct virtio_stream_fd fd;
	struct virtio_stream_device sd;
	void *memory;
	pthread_t thread;
	int ret;
};

static void *serve(void *opaque)
{
	struct server *s = opaque;

	s->ret = virtio_stream_fd_serve(&s->fd, &s->sd);
	return NULL;
}

static struct server *start(int in, int out)
{
	struct server *s = calloc(1, sizeof(*s));

	assert_non_null(s);
	fake_disk_init(&s->disk);
	for (size_t i = 0; i < FAKE_DISK_SIZE; i++)
		s->disk.data[i] = (uint8_t)(i / 512 * 5 + i);
	s->dev = block_device_create(&s->disk.be);
	s->memory = aligned_alloc(16, (virtio_stream_device_bytes(s->dev, MAX) + 15) & ~(size_t)15);
	assert_int_equal(virtio_stream_fd_init(&s->fd, in, out), 0);
	assert_int_equal(virtio_stream_device_init(&s->sd, s->dev, &s->fd.io, s->memory, MAX), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
	return s;
}

/* The driver's end is closed: what serve() returned. */
static int stop(struct server *s)
{
	int ret;

	pthread_join(s->thread, NULL);
	ret = s->ret;
	virtio_dev_destroy(s->dev);
	free(s->memory);
	free(s);
	return ret;
}

static void exchange(struct virtio_stream *stream, struct virtio_stream_fd *fd, const struct server *s)
{
	static uint8_t data[32768], copy[32768];
	struct virtio_block blk = { .capacity = 0 };

	assert_int_equal(virtio_stream_connect(stream, &fd->platform, &fd->io), 0);
	assert_int_equal(virtio_block_probe(&blk, &stream->vdev), 0);
	assert_int_equal(virtio_block_read(&blk, 3, copy, sizeof(copy)), 0);
	assert_memory_equal(copy, s->disk.data + 3 * 512, sizeof(copy));
	for (unsigned int round = 0; round < 50; round++) {
		memset(data, (int)round, sizeof(data));
		assert_int_equal(virtio_block_write(&blk, 64, data, sizeof(data)), 0);
		assert_int_equal(virtio_block_read(&blk, 64, copy, sizeof(copy)), 0);
		assert_memory_equal(copy, data, sizeof(data));
	}
	virtio_block_remove(&blk);
}

static void over_a_socket(void **state)
{
	struct virtio_stream_fd fd;
	struct virtio_stream stream;
	struct server *s;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	s = start(pair[1], pair[1]);
	assert_int_equal(virtio_stream_fd_init(&fd, pair[0], pair[0]), 0);
	exchange(&stream, &fd, s);
	close(pair[0]);
	assert_int_equal(stop(s), 0);
	close(pair[1]);
}

static void over_pipes(void **state)
{
	struct virtio_stream_fd fd;
	struct virtio_stream stream;
	struct server *s;
	int there[2], back[2];

	assert_int_equal(pipe(there), 0);
	assert_int_equal(pipe(back), 0);
	s = start(there[0], back[1]);
	assert_int_equal(virtio_stream_fd_init(&fd, back[0], there[1]), 0);
	exchange(&stream, &fd, s);
	close(there[1]);
	close(back[0]);
	assert_int_equal(stop(s), 0);
	close(there[0]);
	close(back[1]);
}

/* The device goes away while a request is under way: an error, no signal. */
static void device_goes_away(void **state)
{
	struct virtio_block_request request = { .opaque = NULL };
	struct virtio_block blk = { .capacity = 0 };
	struct virtio_stream_fd fd;
	struct virtio_stream stream;
	uint8_t data[512];
	struct virtio_iov piece = { data, sizeof(data) };
	struct server *s;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	s = start(pair[1], pair[1]);
	assert_int_equal(virtio_stream_fd_init(&fd, pair[0], pair[0]), 0);
	assert_int_equal(virtio_stream_connect(&stream, &fd.platform, &fd.io), 0);
	assert_int_equal(virtio_block_probe(&blk, &stream.vdev), 0);
	s->disk.hold = true;
	assert_int_equal(virtio_block_submit(&blk, &request, VIRTIO_BLOCK_T_IN, 0, &piece, 1), 0);
	virtio_sync(blk.queue);
	shutdown(pair[1], SHUT_RDWR);
	assert_int_equal(virtio_wait_done(blk.queue, &request.used), -VIRTIO_ENODEV);
	assert_int_equal(virtio_block_poll(&blk), 1);
	assert_int_equal(request.error, -VIRTIO_ENODEV);
	assert_int_equal(virtio_block_read(&blk, 0, data, 512), -VIRTIO_ENODEV);
	assert_string_equal(stream.broken, "the stream has ended");
	virtio_block_remove(&blk);
	close(pair[0]);
	stop(s);
	close(pair[1]);
}

/* Somebody who accepts and says nothing. */
static void no_answer(void **state)
{
	struct virtio_stream_fd fd;
	struct virtio_stream stream;
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	assert_int_equal(virtio_stream_fd_init(&fd, pair[0], pair[0]), 0);
	fd.timeout = 50;
	assert_int_equal(virtio_stream_connect(&stream, &fd.platform, &fd.io), -VIRTIO_ENODEV);
	assert_string_equal(stream.broken, "the device does not answer");
	close(pair[0]);
	close(pair[1]);
}

static void arguments(void **state)
{
	struct virtio_stream_fd fd;

	assert_int_equal(virtio_stream_fd_init(NULL, 0, 0), -EINVAL);
	assert_int_equal(virtio_stream_fd_init(&fd, -1, -1), -EBADF);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(over_a_socket),
		cmocka_unit_test(over_pipes),
		cmocka_unit_test(device_goes_away),
		cmocka_unit_test(no_answer),
		cmocka_unit_test(arguments),
	};

	signal(SIGPIPE, SIG_IGN);	/* of pipes */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
