/* SPDX-License-Identifier: MIT */
/* What the functions of streams say to arguments that are none. Every function that a header declares is called. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/stream-fd.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define MAX	4096u

static long refuse_read(void *opaque, void *buf, size_t len)
{
	return 0;
}

static long refuse_write(void *opaque, const void *buf, size_t len)
{
	return -VIRTIO_EIO;
}

static const struct virtio_stream_io io = { .read = refuse_read, .write = refuse_write };
static const struct virtio_stream_io no_read = { .write = refuse_write };
static const struct virtio_stream_io no_write = { .read = refuse_read };
static const struct virtio_platform platform;

static void test_driver(void **state)
{
	struct virtio_stream s;
	const struct {
		struct virtio_stream *s;
		const struct virtio_platform *platform;
		const struct virtio_stream_io *io;
		int error;
	} cases[] = {
		{ NULL, &platform, &io, -VIRTIO_EINVAL },
		{ &s, NULL, &io, -VIRTIO_EINVAL },
		{ &s, &platform, NULL, -VIRTIO_EINVAL },
		{ &s, &platform, &no_read, -VIRTIO_EINVAL },
		{ &s, &platform, &no_write, -VIRTIO_EINVAL },
		{ &s, &platform, &io, -VIRTIO_ENODEV },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(virtio_stream_connect(cases[i].s, cases[i].platform, cases[i].io), cases[i].error);
	assert_false(virtio_stream_poll(NULL));
	assert_false(virtio_stream_poll(&s));
	assert_false(virtio_stream_wants_write(NULL));
	assert_false(virtio_stream_wants_write(&s));
}

static struct vring_device queues[2] = { { .num_max = 8 }, { .num_max = 8 } }, tiny[1] = { { .num_max = 1 } };
static const struct virtio_dev_ops ops = { .name = "toy" };

static void test_device(void **state)
{
	static const struct virtio_dev bad[] = {
		{ .queues = queues, .num_queues = 2 },
		{ .ops = &ops, .num_queues = 2 },
		{ .ops = &ops, .queues = queues },
		{ .ops = &ops, .queues = tiny, .num_queues = 1 },
		{ .ops = &ops, .queues = queues, .num_queues = 2, .config_len = VIRTIO_CONFIG_MAX + 1 },
	};
	static const uint32_t bad_max[] = { 0, UINT32_MAX, UINT32_MAX - 15 };
	struct virtio_dev dev = { .ops = &ops, .queues = queues, .num_queues = 2 };
	struct virtio_stream_device sd;
	size_t bytes = virtio_stream_device_bytes(&dev, MAX);
	void *memory = aligned_alloc(16, bytes);

	assert_true(bytes > 8 * MAX);
	assert_int_equal(virtio_stream_device_bytes(NULL, MAX), 0);
	for (size_t i = 0; i < COUNT(bad); i++) {
		struct virtio_dev one = bad[i];

		assert_int_equal(virtio_stream_device_bytes(&one, MAX), 0);
		assert_int_equal(virtio_stream_device_init(&sd, &one, &io, memory, MAX), -VIRTIO_EINVAL);
	}
	for (size_t i = 0; i < COUNT(bad_max); i++) {
		assert_int_equal(virtio_stream_device_bytes(&dev, bad_max[i]), 0);
		assert_int_equal(virtio_stream_device_init(&sd, &dev, &io, memory, bad_max[i]), -VIRTIO_EINVAL);
	}
	assert_int_equal(virtio_stream_device_init(NULL, &dev, &io, memory, MAX), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, NULL, &io, memory, MAX), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, &dev, NULL, memory, MAX), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, &dev, &no_read, memory, MAX), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, &dev, &no_write, memory, MAX), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, &dev, &io, NULL, MAX), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, &dev, &io, (uint8_t *)memory + 8, MAX), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_poll(NULL), -VIRTIO_EINVAL);
	assert_false(virtio_stream_device_wants_write(NULL));
	assert_int_equal(virtio_stream_device_init(&sd, &dev, &io, memory, MAX), 0);
	assert_int_equal(virtio_stream_device_poll(&sd), 0);
	assert_false(virtio_stream_device_wants_write(&sd));
	free(memory);
}

static void test_fd(void **state)
{
	struct virtio_stream_fd f;
	struct virtio_stream_device sd;

	assert_int_equal(virtio_stream_fd_init(NULL, 0, 1), -EINVAL);
	assert_int_equal(virtio_stream_fd_init(&f, -1, 1), -EBADF);
	assert_int_equal(virtio_stream_fd_init(&f, 0, -1), -EBADF);
	assert_int_equal(virtio_stream_fd_wait(NULL, 0), -EINVAL);
	assert_int_equal(virtio_stream_fd_serve(NULL, &sd), -EINVAL);
	assert_int_equal(virtio_stream_fd_serve(&f, NULL), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = { cmocka_unit_test(test_driver), cmocka_unit_test(test_device), cmocka_unit_test(test_fd) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
