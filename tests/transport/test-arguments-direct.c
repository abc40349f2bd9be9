/* SPDX-License-Identifier: MIT */
/*
 * Bad arguments to a device and a driver that are joined by calls: see arguments.h.
 */
#include <tests/transport/arguments.h>
#include <transport/direct.h>

static struct virtio_direct joined;

static int direct_add(struct virtio_dev *dev, const char **reason)
{
	if (reason)
		*reason = "no reasons here";
	return virtio_direct_init(&joined, dev, &m.platform, false);
}

static void direct(void **state)
{
	bool config = true;

	refuse_all_but(big_id, direct_add);
	m.toy.dev.num_queues = VIRTIO_DRIVER_QUEUES + 1;
	assert_int_equal(direct_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.num_queues = 2;
	assert_int_equal(virtio_direct_init(NULL, &m.toy.dev, &m.platform, false), -VIRTIO_EINVAL);
	assert_int_equal(virtio_direct_init(&joined, &m.toy.dev, NULL, false), -VIRTIO_EINVAL);
	assert_int_equal(virtio_direct_init(&joined, &m.toy.dev, &no_memory, false), -VIRTIO_EINVAL);
	assert_int_equal(virtio_direct_init(&joined, NULL, &m.platform, false), -VIRTIO_EINVAL);
	assert_false(virtio_direct_deliver(NULL, &config));
	assert_false(config);
	assert_int_equal(direct_add(&m.toy.dev, NULL), 0);
	assert_false(virtio_direct_deliver(&joined, NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARGUMENTS_TEST(direct),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
