/* SPDX-License-Identifier: MIT */
/*
 * Bad arguments to the bed, and through <virtio/driver.h> on each of its buses: see arguments.h.
 */
#include <tests/transport/arguments.h>
#include <virtio/fake.h>

static void bed(void **state)
{
	struct virtio_fake_options options = { .bus = VIRTIO_FAKE_MMIO, .memory = 65536 };
	const struct virtio_dev *dev = &m.toy.dev;
	struct virtio_device *vdev;
	struct virtio_fake *fake;
	uint8_t *piece, *small;

	assert_int_equal(virtio_fake_add(NULL, &m.toy.dev), -VIRTIO_EINVAL);
	assert_int_equal(virtio_fake_find(NULL, 0, &vdev), -VIRTIO_EINVAL);
	assert_int_equal(virtio_fake_deliver(NULL), 0);
	assert_null(virtio_fake_alloc(NULL, 16, 16));
	virtio_fake_free(NULL, &vdev, 16);
	assert_null(virtio_fake_mem(NULL));
	assert_null(virtio_fake_broken(NULL, &dev));
	assert_null(dev);
	assert_string_equal(virtio_fake_name((enum virtio_fake_bus)-1), "?");

	assert_int_equal(virtio_fake_create(&options, &fake), 0);
	assert_int_equal(virtio_fake_find(fake, 0, NULL), -VIRTIO_EINVAL);
	assert_null(virtio_fake_alloc(fake, 16, 0));
	assert_null(virtio_fake_alloc(fake, 16, 24));
	assert_null(virtio_fake_alloc(fake, 16, SIZE_MAX / 2 + 1));
	/* What is freed twice, or was never given out, is not given out twice. */
	piece = virtio_fake_alloc(fake, 64, 16);
	virtio_fake_free(fake, piece, 64);
	virtio_fake_free(fake, piece, 64);
	virtio_fake_free(fake, &vdev, sizeof(vdev));
	virtio_fake_free(fake, piece + 1, 16);
	virtio_fake_free(fake, NULL, 64);
	virtio_fake_free(fake, piece, SIZE_MAX);
	assert_non_null(virtio_fake_alloc(fake, 128, 16));
	assert_ptr_equal(virtio_fake_alloc(fake, 64, 16), piece);
	assert_ptr_not_equal(virtio_fake_alloc(fake, 64, 16), piece);
	/* A piece that is too small to be remembered. */
	small = virtio_fake_alloc(fake, 8, 8);
	assert_ptr_equal(virtio_fake_alloc(fake, 8, 8), small + 8);
	virtio_fake_free(fake, small, 8);
	assert_true(virtio_is_zero(small + 8, 8));
	assert_int_equal(virtio_fake_add(fake, &m.toy.dev), 0);
	assert_int_equal(virtio_fake_add(fake, &m.toy.dev), -VIRTIO_EINVAL);
	virtio_fake_destroy(fake);
}

static bool bed_has(const struct virtio_fake_options *options, struct virtio_fake **fake)
{
	return !virtio_fake_create(options, fake) && !virtio_fake_add(*fake, &m.toy.dev);
}

/* Through <virtio/driver.h>, as every driver does it: queues that are not there, found twice, removed twice; offsets, lengths. */
static void drivers(void **state)
{
	for (unsigned int bus = 0; bus < VIRTIO_FAKE_BUSES; bus++) {
		struct virtio_fake_options options = { .bus = (enum virtio_fake_bus)bus, .big_endian = bus == VIRTIO_FAKE_S390_PAGE };
		struct virtio_device *vdev;
		struct virtio_queue *vq;
		struct virtio_fake *fake;
		uint32_t word;
		uint64_t wide;

		toy_init(&m.toy);
		m.toy.dev.id = VIRTIO_ID_CONSOLE;
		assert_true(bed_has(&options, &fake));
		assert_int_equal(virtio_fake_find(fake, 1, &vdev), -VIRTIO_ENOENT);
		assert_int_equal(virtio_fake_find(fake, UINT32_MAX, &vdev), -VIRTIO_ENOENT);
		assert_int_equal(virtio_fake_find(fake, 0, &vdev), 0);
		assert_int_equal(virtio_device_setup(vdev, ~UINT64_C(0)), 0);
		assert_int_equal(vdev->features & ~m.toy.dev.offered, 0);
		assert_int_equal(virtio_device_queue(vdev, 2, NULL, NULL, &vq), -VIRTIO_ENOENT);
		assert_int_equal(virtio_device_queue(vdev, UINT32_MAX, NULL, NULL, &vq), -VIRTIO_ENOENT);
		assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), 0);
		assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), -VIRTIO_EBUSY);
		assert_int_equal(virtio_config_get32(vdev, SIZE_MAX, &word), -VIRTIO_ERANGE);
		assert_int_equal(virtio_config_get32(vdev, SIZE_MAX - 3, &word), -VIRTIO_ERANGE);
		assert_int_equal(virtio_config_get64(vdev, 4096, &wide), -VIRTIO_ERANGE);
		assert_int_equal(virtio_config_get32(vdev, 0, NULL), -VIRTIO_EINVAL);
		virtio_device_remove(vdev);
		virtio_device_remove(vdev);
		virtio_fake_destroy(fake);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARGUMENTS_TEST(bed),
		ARGUMENTS_TEST(drivers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
