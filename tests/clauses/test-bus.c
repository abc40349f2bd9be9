/* SPDX-License-Identifier: MIT */
/* Clauses that the guest's end of a register bus keeps: a device of registers that takes its time, and changes while it is read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/clause.h>
#include <transport/virtio-mmio-guest.h>

struct registers {
	uint8_t status;
	unsigned int busy;		/* reads of the status that find a reset not complete */
	unsigned int polls;
	uint32_t generation;
	unsigned int changes;		/* of the configuration, one at each read of its second half */
	uint64_t config;
};

static uint32_t read_register(void *opaque, uint64_t address, unsigned int size)
{
	struct registers *r = opaque;

	switch (address) {
	case VIRTIO_MMIO_MAGIC:
		return 0x74726976;
	case VIRTIO_MMIO_VERSION:
		return 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return VIRTIO_ID_BLOCK;
	case VIRTIO_MMIO_STATUS:
		r->polls++;
		if (r->busy && !--r->busy)
			r->status = 0;
		return r->status;
	case VIRTIO_MMIO_GENERATION:
		return r->generation;
	case VIRTIO_MMIO_CONFIG:
		return (uint32_t)r->config;
	case VIRTIO_MMIO_CONFIG + 4:
		if (r->changes) {
			r->changes--;
			r->generation++;
			r->config += UINT64_C(0x100000001);
		}
		return (uint32_t)(r->config >> 32);
	default:
		return 0;
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

static void probe(struct registers *r, struct virtio_mmio_access *access, struct virtio_mmio_device *device)
{
	static const struct virtio_mem mem;
	static const struct virtio_platform platform = { .mem = &mem };

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAUSE("2.4.2-1", reset_takes_its_time),
		CLAUSE("2.5.1-1", config_that_moves),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
