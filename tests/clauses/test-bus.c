/* SPDX-License-Identifier: MIT */
/* Clauses that the guest's end of a register bus keeps: a device of registers that takes its time, and changes while it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/clause.h>
#include <transport/mmio/virtio-mmio-guest.h>

struct registers {
	bool legacy;
	uint8_t status;
	unsigned int busy;		/* reads of the status that find a reset not complete */
	unsigned int polls;
	uint32_t generation;
	unsigned int changes;		/* of the configuration, one whenever somebody reads on in its second half */
	uint64_t config;
	uint32_t queue_size;
};

static uint32_t read_config(struct registers *r, unsigned int at, unsigned int size)
{
	if (at == 4 && r->changes) {
		r->changes--;
		r->generation++;
		r->config += UINT64_C(0x100000001);
	}
	return (uint32_t)(at < 8 ? r->config >> 8 * at : 0) & (size == 1 ? 0xff : ~0u);
}

static uint32_t read_register(void *opaque, uint64_t address, unsigned int size)
{
	struct registers *r = opaque;

	switch (address) {
	case VIRTIO_MMIO_MAGIC:
		return 0x74726976;
	case VIRTIO_MMIO_VERSION:
		return r->legacy ? 1 : 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return VIRTIO_ID_BLOCK;
	case VIRTIO_MMIO_STATUS:
		r->polls++;
		if (r->busy && !--r->busy)
			r->status = 0;
		return r->status;
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return r->queue_size;
	case VIRTIO_MMIO_GENERATION:
		return r->generation;
	default:
		return address >= VIRTIO_MMIO_CONFIG ? read_config(r, (unsigned int)(address - VIRTIO_MMIO_CONFIG), size) : 0;
	}
}

static void write_register(void *opaque, uint64_t address, unsigned int size, uint32_t value)
{
	struct registers *r = opaque;

	if (address != VIRTIO_MMIO_STATUS)
		return;
	if (value)
		r->status = (uint8_t)value;
	else
		r->busy = 5;
}

/* What was asked for last; there is none. */
static size_t asked;

static void *no_memory(void *opaque, size_t size, size_t align)
{
	asked = size;
	return NULL;
}

static void probe(struct registers *r, struct virtio_mmio_access *access, struct virtio_mmio_device *device)
{
	static const struct virtio_mem mem;
	static const struct virtio_platform platform = { .mem = &mem, .alloc = no_memory };

	*access = (struct virtio_mmio_access){ .read = read_register, .write = write_register, .opaque = r };
	assert_int_equal(virtio_mmio_probe(device, &platform, access, 0, 0x200, false), 0);
}

static void reset_takes_its_time(void **state)
{
	struct registers r = { .status = 15 };
	struct virtio_mmio_access access;
	struct virtio_mmio_device device;

	probe(&r, &access, &device);
	r.polls = 0;
	virtio_device_reset(&device.vdev);
	assert_int_equal(r.status, 0);
	assert_int_equal(r.polls, 5);
}

/* Two halves that were never there together are not what is read. */
static void config_that_moves(void **state)
{
	struct registers r = { .config = UINT64_C(0x500000005) };
	struct virtio_mmio_access access;
	struct virtio_mmio_device device;
	uint64_t value;

	probe(&r, &access, &device);
	r.changes = 3;
	assert_int_equal(virtio_config_get64(&device.vdev, 0, &value), 0);
	assert_int_equal(value, UINT64_C(0x800000008));
}

/* Nor of a device that has no generation to tell. */
static void legacy_config_that_moves(void **state)
{
	struct registers r = { .legacy = true, .config = UINT64_C(0x500000005) };
	struct virtio_mmio_access access;
	struct virtio_mmio_device device;
	uint8_t bytes[8];
	uint64_t value;

	probe(&r, &access, &device);
	r.changes = 3;
	assert_int_equal(virtio_config_get64(&device.vdev, 0, &value), 0);
	assert_int_equal(r.changes, 0);
	assert_int_equal(value, UINT64_C(0x800000008));
	r.changes = 1;
	assert_int_equal(virtio_config_get_bytes(&device.vdev, 0, bytes, 8), 0);
	assert_int_equal(virtio_get64(false, bytes), UINT64_C(0x900000009));
	assert_int_equal(virtio_config_get_bytes(&device.vdev, 0, NULL, 8), -VIRTIO_EINVAL);
	assert_int_equal(virtio_config_get_bytes(&device.vdev, SIZE_MAX, bytes, 8), -VIRTIO_ERANGE);
}

static void legacy_block(void **state)
{
	static const struct {
		uint32_t queue_size;
		size_t bytes;
	} sizes[] = { { 1, 8192 }, { 128, 8192 }, { 256, 12288 }, { 1024, 32768 } };

	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(*sizes); i++) {
		struct registers r = { .legacy = true, .queue_size = sizes[i].queue_size };
		struct virtio_mmio_access access;
		struct virtio_mmio_device device;
		struct virtio_queue *vq;

		probe(&r, &access, &device);
		assert_int_equal(virtio_device_queue(&device.vdev, 0, NULL, NULL, &vq), -VIRTIO_ENOMEM);
		assert_int_equal(asked, sizes[i].bytes);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAUSE("2.4.2-1", reset_takes_its_time),
		CLAUSE("2.5.1-1", config_that_moves),
		CLAUSE("2.5.4-1", legacy_config_that_moves),
		CLAUSE("2.7.2-2", legacy_block),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
