/* SPDX-License-Identifier: MIT */
/* What the functions of either end of vhost-user say to arguments that are none. Every function that a header declares is called. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include <transport/vhost-user/backend.h>
#include <transport/vhost-user/frontend.h>

#include "tests/device/bed.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define LONG_PATH "/tmp/123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678901"

/* --- the back end ----------------------------------------------------------------------------------------------------- */

static void test_create(void **state)
{
	static const struct virtio_dev_ops ops = { .name = "toy" };
	static struct vring_device queues[VHOST_USER_RINGS + 1];
	static const struct {
		struct virtio_dev dev;
		int error;
	} cases[] = {
		{ { .queues = queues, .num_queues = 1 }, EINVAL },
		{ { .ops = &ops, .num_queues = 1 }, EINVAL },
		{ { .ops = &ops, .queues = queues }, EINVAL },
		{ { .ops = &ops, .queues = queues, .num_queues = 1, .config_len = VIRTIO_CONFIG_MAX + 1 }, EINVAL },
		{ { .ops = &ops, .queues = queues, .num_queues = VHOST_USER_RINGS + 1 }, E2BIG },
		{ { .ops = &ops, .queues = queues, .num_queues = UINT32_MAX }, E2BIG },
		{ { .ops = &ops, .queues = queues, .num_queues = VHOST_USER_RINGS, .config_len = VIRTIO_CONFIG_MAX }, 0 },
	};

	assert_null(vhost_user_backend_create(NULL, NULL, NULL));
	assert_int_equal(errno, EINVAL);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct virtio_dev dev = cases[i].dev;
		struct vhost_user_backend *be;

		errno = 0;
		be = vhost_user_backend_create(&dev, NULL, NULL);
		assert_int_equal(!be, !!cases[i].error);
		if (cases[i].error)
			assert_int_equal(errno, cases[i].error);
		vhost_user_backend_destroy(be);
	}
}

static void test_backend(void **state)
{
	struct fake_disk disk;
	struct virtio_dev *dev;
	struct vhost_user_backend *be;

	fake_disk_init(&disk);
	dev = block_device_create(&disk.be);
	be = vhost_user_backend_create(dev, NULL, NULL);
	assert_int_equal(vhost_user_backend_attach(NULL, 0), -EINVAL);
	assert_int_equal(vhost_user_backend_attach(be, -1), -EBADF);
	assert_int_equal(vhost_user_backend_attach(be, 1 << 20), -EBADF);
	assert_int_equal(vhost_user_backend_fd(NULL), -EINVAL);
	assert_int_equal(vhost_user_backend_run(NULL), -EINVAL);
	/* Nobody is there: nothing to do. */
	assert_int_equal(vhost_user_backend_run(be), 0);
	vhost_user_backend_destroy(NULL);
	vhost_user_backend_destroy(be);
	virtio_dev_destroy(dev);
}

static void test_listen(void **state)
{
	static const struct {
		const char *path;
		int error;
	} cases[] = {
		{ NULL, -EINVAL }, { "", -EINVAL }, { LONG_PATH, -ENAMETOOLONG }, { "/nowhere/socket", -ENOENT }, { "/dev/null", -EADDRINUSE },
	};

	for (size_t i = 0; i < COUNT(cases); i++)
		assert_int_equal(vhost_user_listen(cases[i].path), cases[i].error);
}

/* --- the front end ---------------------------------------------------------------------------------------------------- */

static void test_memory(void **state)
{
	struct vhost_user_memory memory;
	void *block;

	assert_int_equal(vhost_user_memory_create(NULL, 4096), -EINVAL);
	assert_int_equal(vhost_user_memory_create(&memory, 0), -EINVAL);
	assert_int_equal(vhost_user_memory_create(&memory, SIZE_MAX), -EINVAL);
	vhost_user_memory_destroy(&memory);
	vhost_user_memory_destroy(NULL);
	assert_int_equal(vhost_user_memory_create(&memory, 4096), 0);
	assert_null(vhost_user_memory_alloc(NULL, 16, 16));
	assert_null(vhost_user_memory_alloc(&memory, 0, 16));
	assert_null(vhost_user_memory_alloc(&memory, 16, 0));
	assert_null(vhost_user_memory_alloc(&memory, 16, 24));
	assert_null(vhost_user_memory_alloc(&memory, 16, (size_t)1 << 63));
	assert_null(vhost_user_memory_alloc(&memory, 4097, 1));
	assert_null(vhost_user_memory_alloc(&memory, SIZE_MAX, 1));
	block = vhost_user_memory_alloc(&memory, 4096, 4096);
	assert_non_null(block);
	vhost_user_memory_free(NULL, block, 4096);
	vhost_user_memory_free(&memory, NULL, 4096);
	assert_null(vhost_user_memory_alloc(&memory, 4096, 4096));
	vhost_user_memory_free(&memory, block, 4096);
	assert_ptr_equal(vhost_user_memory_alloc(&memory, 4096, 4096), block);
	vhost_user_memory_destroy(&memory);
}

static void test_connect(void **state)
{
	static const struct vhost_user_options bad[] = {
		{ .queue_size = 3 }, { .queue_size = 2 * VRING_MAX_SIZE }, { .queue_size = UINT32_MAX }, { .timeout_ms = -1 }, { .config_len = 1 },
	};
	static const struct {
		const char *path;
		int error;
	} paths[] = {
		{ NULL, -EINVAL }, { "", -EINVAL }, { LONG_PATH, -ENAMETOOLONG }, { "/nowhere/socket", -ENOENT }, { "/dev/null", -ECONNREFUSED },
	};
	struct vhost_user_frontend fe;
	struct vhost_user_memory memory;

	assert_int_equal(vhost_user_memory_create(&memory, 4096), 0);
	assert_int_equal(vhost_user_connect(NULL, &memory, "/nowhere", NULL), -EINVAL);
	assert_int_equal(vhost_user_connect(&fe, NULL, "/nowhere", NULL), -EINVAL);
	assert_int_equal(vhost_user_connect_fd(NULL, &memory, 0, NULL), -EINVAL);
	assert_int_equal(vhost_user_connect_fd(&fe, NULL, 0, NULL), -EINVAL);
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(vhost_user_connect(&fe, &memory, "/nowhere", &bad[i]), -EINVAL);
		assert_int_equal(vhost_user_connect_fd(&fe, &memory, 0, &bad[i]), -EINVAL);
	}
	for (size_t i = 0; i < COUNT(paths); i++)
		assert_int_equal(vhost_user_connect(&fe, &memory, paths[i].path, NULL), paths[i].error);
	assert_non_null(fe.error);
	assert_int_equal(vhost_user_connect_fd(&fe, &memory, -1, NULL), -EBADF);
	assert_non_null(fe.error);
	/* What was never connected has nothing to wait for, and can be disconnected. */
	assert_int_equal(vhost_user_wait(&fe, 0), -VIRTIO_ENODEV);
	assert_int_equal(vhost_user_wait(NULL, 0), -VIRTIO_EINVAL);
	vhost_user_disconnect(&fe);
	vhost_user_disconnect(NULL);
	vhost_user_memory_destroy(&memory);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create), cmocka_unit_test(test_backend), cmocka_unit_test(test_listen),
		cmocka_unit_test(test_memory), cmocka_unit_test(test_connect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
