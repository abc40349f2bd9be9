/* SPDX-License-Identifier: MIT */
/*
 * Bad arguments to virtio over MMIO: see arguments.h.
 */
#include <tests/transport/arguments.h>
#include <transport/mmio/virtio-mmio-guest.h>
#include <transport/mmio/virtio-mmio-host.h>

static struct virtio_mmio mmio;

static void irq(void *opaque, bool level)
{
}

static int mmio_add(struct virtio_dev *dev, const char **reason)
{
	return virtio_mmio_init(&mmio, dev, VIRTIO_MMIO_MODERN, false, &m.mem, irq, NULL, reason);
}

static void mmio_host(void **state)
{
	static const uint32_t versions[] = { 0, 3, UINT32_MAX };
	const char *reason;

	refuse_all_but(NULL, mmio_add);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(virtio_mmio_init(&mmio, &m.toy.dev, versions[i], false, &m.mem, irq, NULL, &reason), -VIRTIO_EINVAL);
	assert_int_equal(virtio_mmio_init(NULL, &m.toy.dev, VIRTIO_MMIO_MODERN, false, &m.mem, irq, NULL, &reason), -VIRTIO_EINVAL);
	assert_non_null(reason);
	assert_int_equal(virtio_mmio_init(&mmio, &m.toy.dev, VIRTIO_MMIO_MODERN, false, NULL, irq, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_mmio_init(&mmio, &m.toy.dev, VIRTIO_MMIO_MODERN, false, &m.mem, NULL, NULL, NULL), -VIRTIO_EINVAL);
	m.toy.dev.offered &= ~VIRTIO_F_VERSION_1;
	assert_int_equal(mmio_add(&m.toy.dev, NULL), -VIRTIO_EINVAL);
	m.toy.dev.offered |= VIRTIO_F_VERSION_1;
	assert_int_equal(mmio_add(&m.toy.dev, NULL), 0);
	for (unsigned int i = 0; i < num_widths; i++) {
		assert_int_equal(virtio_mmio_read(&mmio, VIRTIO_MMIO_CONFIG, no_widths[i]), 0);
		assert_int_equal(virtio_mmio_read(&mmio, VIRTIO_MMIO_MAGIC, no_widths[i]), 0);
		virtio_mmio_write(&mmio, VIRTIO_MMIO_CONFIG, no_widths[i], 1);
		virtio_mmio_write(&mmio, VIRTIO_MMIO_STATUS, no_widths[i], VIRTIO_STATUS_ACKNOWLEDGE);
	}
	assert_int_equal(virtio_mmio_read(&mmio, VIRTIO_MMIO_STATUS, 4), 0);
	assert_int_equal(virtio_mmio_read(&mmio, UINT32_MAX, 4), 0);
	assert_int_equal(virtio_mmio_read(&mmio, VIRTIO_MMIO_CONFIG + 7, 4), 0x5a);
	virtio_mmio_write(&mmio, UINT32_MAX, 4, 1);
	assert_int_equal(virtio_mmio_read(NULL, VIRTIO_MMIO_MAGIC, 4), 0);
	virtio_mmio_write(NULL, VIRTIO_MMIO_STATUS, 4, 1);
	virtio_mmio_restart(NULL);
	assert_int_equal(virtio_mmio_read(&mmio, VIRTIO_MMIO_MAGIC, 4), VIRTIO_MMIO_MAGIC_VALUE);
}

static uint32_t mmio_in(void *opaque, uint64_t address, unsigned int size)
{
	return virtio_mmio_read(&mmio, (uint32_t)address, size);
}

static void mmio_out(void *opaque, uint64_t address, unsigned int size, uint32_t value)
{
	virtio_mmio_write(&mmio, (uint32_t)address, size, value);
}

static void mmio_guest(void **state)
{
	static const struct virtio_mmio_access access = { .read = mmio_in, .write = mmio_out };
	static const struct virtio_mmio_access no_read = { .write = mmio_out }, no_write = { .read = mmio_in };
	static const struct {
		const struct virtio_platform *platform;
		const struct virtio_mmio_access *access;
		uint64_t address;
		uint32_t size;
		int error;
	} probes[] = {
		{ NULL, &access, 0, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &no_memory, &access, 0, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &m.platform, NULL, 0, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &m.platform, &no_read, 0, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &m.platform, &no_write, 0, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &m.platform, &access, 2, VIRTIO_MMIO_WINDOW, -VIRTIO_EINVAL },
		{ &m.platform, &access, 0, VIRTIO_MMIO_CONFIG - 1, -VIRTIO_ENODEV },
		{ &m.platform, &access, 0, 0, -VIRTIO_ENODEV },
		{ &m.platform, &access, 0x400, VIRTIO_MMIO_WINDOW, -VIRTIO_ENODEV },
		{ &m.platform, &access, 0, VIRTIO_MMIO_WINDOW, 0 },
	};
	static struct virtio_mmio_device device;
	struct virtio_queue *vq;
	bool config = true;

	assert_int_equal(mmio_add(&m.toy.dev, NULL), 0);
	for (unsigned int i = 0; i < sizeof(probes) / sizeof(probes[0]); i++)
		assert_int_equal(virtio_mmio_probe(&device, probes[i].platform, probes[i].access, probes[i].address, probes[i].size, false),
				 probes[i].error);
	assert_int_equal(virtio_mmio_probe(NULL, &m.platform, &access, 0, VIRTIO_MMIO_WINDOW, false), -VIRTIO_EINVAL);
	assert_false(virtio_mmio_device_interrupt(NULL, &config));
	assert_false(config);
	assert_false(virtio_mmio_device_interrupt(&device, NULL));
	/* A platform that gives no memory. */
	assert_int_equal(virtio_device_setup(&device.vdev, 0), 0);
	assert_int_equal(virtio_device_queue(&device.vdev, 0, NULL, NULL, &vq), -VIRTIO_ENOMEM);
	assert_int_equal(virtio_device_queue(&device.vdev, 2, NULL, NULL, &vq), -VIRTIO_ENOENT);
	virtio_device_remove(&device.vdev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		ARGUMENTS_TEST(mmio_host),
		ARGUMENTS_TEST(mmio_guest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
