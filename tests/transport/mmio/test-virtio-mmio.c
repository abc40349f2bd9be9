/* SPDX-License-Identifier: MIT */
/*
 * Virtio over MMIO, both versions, register by register; and drivers that lie. The exchange of data is tested with the fake
 * buses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/arena.h>

#include <transport/mmio/virtio-mmio-guest.h>
#include <transport/mmio/virtio-mmio-host.h>
#include <virtio/driver-block.h>
#include <virtio/driver-console.h>

#include "tests/device/bed.h"

#define RAM		0x100000u
#define WINDOW		0xfe000000u

static struct {
	uint8_t *memory;
	size_t next;
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct virtio_mmio vm;
	struct virtio_mmio_access access;
	struct virtio_mmio_device device;
	bool line;
	unsigned int edges;
	const char *complaint;
} m;

static struct fake_console console;
static struct fake_disk disk;

static void irq(void *opaque, bool level)
{
	/* Only changes are told. */
	assert_int_equal(m.line, !level);
	m.line = level;
	m.edges += level;
}

static void complain(void *opaque, const struct virtio_dev *dev, const char *reason)
{
	m.complaint = reason;
}

static uint32_t in(uint32_t offset)
{
	return virtio_mmio_read(&m.vm, offset, 4);
}

static void out(uint32_t offset, uint32_t value)
{
	virtio_mmio_write(&m.vm, offset, 4, value);
}

static uint32_t guest_read(void *opaque, uint64_t address, unsigned int size)
{
	assert_in_range(address, WINDOW, WINDOW + VIRTIO_MMIO_WINDOW - size);
	assert_int_equal(address % size, 0);
	return virtio_mmio_read(&m.vm, (uint32_t)(address - WINDOW), size);
}

static void guest_write(void *opaque, uint64_t address, unsigned int size, uint32_t value)
{
	assert_in_range(address, WINDOW, WINDOW + VIRTIO_MMIO_WINDOW - size);
	assert_int_equal(address % size, 0);
	virtio_mmio_write(&m.vm, (uint32_t)(address - WINDOW), size, value);
}

static void *alloc(void *opaque, size_t size, size_t align)
{
	return arena_take(m.memory, RAM, &m.next, size, align);
}

static void wait(void *opaque)
{
	fake_disk_run(&disk);
	if (m.line)
		virtio_mmio_device_interrupt(&m.device, NULL);
	assert_false(m.line);
}

static int setup_as(struct virtio_dev *dev, uint32_t version, bool big)
{
	memset(&m, 0, sizeof(m));
	m.memory = aligned_alloc(4096, RAM);
	memset(m.memory, 0, RAM);
	m.next = 4096;
	m.mem = (struct virtio_mem){ .base = m.memory, .size = RAM };
	m.platform = (struct virtio_platform){ .mem = &m.mem, .alloc = alloc, .wait = wait };
	m.access = (struct virtio_mmio_access){ .read = guest_read, .write = guest_write };
	assert_int_equal(virtio_mmio_init(&m.vm, dev, version, big, &m.mem, irq, NULL, NULL), 0);
	m.vm.complain = complain;
	return 0;
}

static int setup_console(void **state)
{
	fake_console_init(&console);
	return setup_as(console_device_create(&console.be), VIRTIO_MMIO_MODERN, false);
}

static int setup_disk(void **state)
{
	fake_disk_init(&disk);
	return setup_as(block_device_create(&disk.be), VIRTIO_MMIO_MODERN, false);
}

static int setup_legacy(void **state)
{
	fake_console_init(&console);
	return setup_as(console_device_create(&console.be), VIRTIO_MMIO_LEGACY, false);
}

static int setup_legacy_big(void **state)
{
	fake_console_init(&console);
	return setup_as(console_device_create(&console.be), VIRTIO_MMIO_LEGACY, true);
}

static int teardown(void **state)
{
	virtio_dev_destroy(m.vm.regs.dev);
	free(m.memory);
	return 0;
}

/* --- what is there -------------------------------------------------------------------------------------------------- */

/* clause 4.2.2.1-1: magic, version, id, features by halves, sizes, and the generation of the configuration. */
static void identity(void **state)
{
	uint64_t offered = m.vm.regs.dev->offered;

	assert_int_equal(in(VIRTIO_MMIO_MAGIC), 0x74726976);
	assert_int_equal(in(VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(in(VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_CONSOLE);
	assert_int_equal(in(VIRTIO_MMIO_DEVICE_FEATURES), (uint32_t)offered);
	out(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(in(VIRTIO_MMIO_DEVICE_FEATURES), offered >> 32);
	out(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	assert_int_equal(in(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	for (unsigned int i = 0; i < 4; i++) {
		out(VIRTIO_MMIO_QUEUE_SEL, i == 3 ? UINT32_MAX : i);
		assert_int_equal(in(VIRTIO_MMIO_QUEUE_NUM_MAX), i < 2 ? 32 : 0);
		assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(in(VIRTIO_MMIO_QUEUE_PFN), 0);
	}
	/* No shared memory. */
	out(VIRTIO_MMIO_SHM_SEL, 0);
	assert_int_equal(in(VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	assert_int_equal(in(VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
}

/* clause 4.2.2.2-2: registers are words; anything else is nothing. The configuration has fields of any width, and an end. */
static void widths(void **state)
{
	assert_int_equal(virtio_mmio_read(&m.vm, VIRTIO_MMIO_MAGIC, 1), 0);
	assert_int_equal(virtio_mmio_read(&m.vm, VIRTIO_MMIO_MAGIC, 2), 0);
	assert_int_equal(virtio_mmio_read(&m.vm, VIRTIO_MMIO_MAGIC + 2, 4), 0);
	virtio_mmio_write(&m.vm, VIRTIO_MMIO_STATUS, 1, 1);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 0);
	assert_int_equal(virtio_mmio_read(&m.vm, VIRTIO_MMIO_CONFIG, 2), 80);
	assert_int_equal(virtio_mmio_read(&m.vm, VIRTIO_MMIO_CONFIG + 2, 1), 25);
	assert_int_equal(in(VIRTIO_MMIO_CONFIG), 80 | 25 << 16);
	assert_int_equal(in(VIRTIO_MMIO_CONFIG + 12), 0);
	assert_int_equal(in(VIRTIO_MMIO_CONFIG + 10), 0);
	assert_int_equal(in(0xfffffffc), 0);
	out(VIRTIO_MMIO_CONFIG + 12, 1);
	out(0xfffffffc, 1);
	for (uint32_t at = 0; at < 0x400; at += 4)
		in(at);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 0);
}

/* --- setting up ----------------------------------------------------------------------------------------------------- */

static void set_features(uint64_t features)
{
	for (unsigned int i = 0; i < 2; i++) {
		out(VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		out(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
}

static void begin(uint64_t features)
{
	out(VIRTIO_MMIO_STATUS, 0);
	out(VIRTIO_MMIO_STATUS, 1);
	out(VIRTIO_MMIO_STATUS, 3);
	set_features(features);
	out(VIRTIO_MMIO_STATUS, 11);
}

static void describe(unsigned int queue, uint32_t num, uint64_t address)
{
	out(VIRTIO_MMIO_QUEUE_SEL, queue);
	out(VIRTIO_MMIO_QUEUE_NUM, num);
	out(VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)address);
	out(VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(address >> 32));
	out(VIRTIO_MMIO_QUEUE_DRIVER_LOW, (uint32_t)address + 0x800);
	out(VIRTIO_MMIO_QUEUE_DRIVER_HIGH, (uint32_t)(address >> 32));
	out(VIRTIO_MMIO_QUEUE_DEVICE_LOW, (uint32_t)address + 0x1000);
	out(VIRTIO_MMIO_QUEUE_DEVICE_HIGH, (uint32_t)(address >> 32));
}

/* clause 3.1.1, 4.2.2.1-3, 4.2.2.2-8: the order to keep, from reset to DRIVER_OK. */
static void in_order(void **state)
{
	struct virtio_dev *dev = m.vm.regs.dev;

	begin(VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 11);
	describe(1, 16, 0x10000);
	out(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 1);
	/* What is ready is not changed any more. */
	describe(1, 8, 0x20000);
	out(VIRTIO_MMIO_STATUS, 15);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 15);
	assert_true(dev->live);
	assert_int_equal(dev->queues[1].num, 16);
	assert_int_equal(dev->queues[0].num, 0);
	assert_null(m.complaint);
	/* Kicks of queues that are not there or not ready disturb nobody. */
	for (unsigned int i = 0; i < 5; i++)
		out(VIRTIO_MMIO_QUEUE_NOTIFY, i * i * i);
	out(VIRTIO_MMIO_QUEUE_NOTIFY, UINT32_MAX);
	assert_null(m.complaint);
	/* clause 2.4.1: a reset brings back the beginning. */
	out(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 0);
	out(VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 0);
	assert_false(dev->live);
	assert_int_equal(dev->features, 0);
}

/* clause 3.1.1, 6.1, 2.2.1: agreements that are not reached, and going on without one. */
static void no_agreement(void **state)
{
	begin(0);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 3);
	begin(VIRTIO_F_VERSION_1 | VIRTIO_BIT(5));
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 3);
	describe(0, 16, 0x10000);
	out(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_non_null(m.complaint);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 3 | VIRTIO_STATUS_NEEDS_RESET);
	m.complaint = NULL;
	out(VIRTIO_MMIO_STATUS, 0);
	out(VIRTIO_MMIO_STATUS, 7);
	assert_non_null(m.complaint);
	assert_false(m.vm.regs.dev->live);
	/* After FEATURES_OK the features stay what they are. */
	begin(VIRTIO_F_VERSION_1);
	set_features(VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
	out(VIRTIO_MMIO_STATUS, 15);
	assert_int_equal(m.vm.regs.dev->features, VIRTIO_F_VERSION_1);
}

/* clause 2.7, 4.2.2.2-7: rings of impossible size, misaligned, outside memory. */
static void impossible_queues(void **state)
{
	static const struct {
		uint32_t num;
		uint64_t address;
	} bad[] = { { 0, 0x10000 }, { 3, 0x10000 }, { 64, 0x10000 }, { 0x10010, 0x10000 }, { 16, 0x10008 }, { 16, RAM }, { 16, RAM - 0x1000 },
		    { 16, UINT64_C(0x100000000) }, { 16, UINT64_MAX - 15 } };

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m.complaint = NULL;
		begin(VIRTIO_F_VERSION_1);
		describe(0, bad[i].num, bad[i].address);
		out(VIRTIO_MMIO_QUEUE_READY, 1);
		assert_non_null(m.complaint);
		assert_int_equal(in(VIRTIO_MMIO_STATUS), 11 | VIRTIO_STATUS_NEEDS_RESET);
		out(VIRTIO_MMIO_STATUS, 15);
		assert_false(m.vm.regs.dev->live);
	}
}

/* --- interrupts ----------------------------------------------------------------------------------------------------- */

/* clause 4.2.2.1-2, 4.2.2.1-3, 4.2.2.1-4: a bit for each reason, until it is acknowledged; the line is high while there is one. */
static void interrupts(void **state)
{
	struct virtio_console *con = alloc(NULL, sizeof(*con), 16);
	uint32_t generation = in(VIRTIO_MMIO_GENERATION);
	bool config;

	assert_int_equal(virtio_mmio_probe(&m.device, &m.platform, &m.access, WINDOW, VIRTIO_MMIO_WINDOW, false), 0);
	console.be.resized(console.be.opaque, 1, 1);
	assert_int_equal(in(VIRTIO_MMIO_GENERATION), generation + 1);
	assert_false(m.line);
	assert_int_equal(virtio_console_probe(con, &m.device.vdev), 0);
	assert_int_equal(console.be.input(console.be.opaque, "a", 1), 1);
	console.be.resized(console.be.opaque, 1, 1);
	assert_int_equal(in(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_QUEUE | VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(m.edges, 1);
	out(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_QUEUE);
	assert_true(m.line);
	assert_int_equal(in(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	out(VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_CONFIG);
	assert_false(m.line);
	virtio_harvest(con->port[0].in);
	assert_int_equal(console.be.input(console.be.opaque, "b", 1), 1);
	assert_true(virtio_mmio_device_interrupt(&m.device, &config));
	assert_false(config);
	assert_false(m.line);
	assert_false(virtio_mmio_device_interrupt(&m.device, &config));
	/* A reset takes the reasons along. */
	assert_int_equal(console.be.input(console.be.opaque, "c", 1), 1);
	assert_true(m.line);
	virtio_console_remove(con);
	assert_false(m.line);
	assert_int_equal(in(VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	/* And so does a restart of the guest. */
	memset(con, 0, sizeof(*con));
	assert_int_equal(virtio_console_probe(con, &m.device.vdev), 0);
	assert_int_equal(console.be.input(console.be.opaque, "d", 1), 1);
	virtio_mmio_restart(&m.vm);
	assert_false(m.line);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 0);
}

/* A queue is taken away while the disk still writes into its buffers: when the store returns, it does so no more. */
static void queue_taken_away(void **state)
{
	struct virtio_block *blk = alloc(NULL, sizeof(*blk), 16);
	uint8_t *data = alloc(NULL, 512, 16);
	struct virtio_iov piece = { data, 512 };

	assert_int_equal(virtio_mmio_probe(&m.device, &m.platform, &m.access, WINDOW, VIRTIO_MMIO_WINDOW, false), 0);
	assert_int_equal(virtio_block_probe(blk, &m.device.vdev), 0);
	disk.hold = true;
	assert_int_equal(virtio_block_submit(blk, &blk->own, VIRTIO_BLOCK_T_IN, 0, &piece, 1), 0);
	virtio_sync(blk->queue);
	assert_int_equal(disk.held_count, 1);
	out(VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 1);
	out(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 0);
	assert_int_equal(disk.held_count, 0);
	virtio_block_remove(blk);
	disk.hold = false;
	memset(blk, 0, sizeof(*blk));
	assert_int_equal(virtio_block_probe(blk, &m.device.vdev), 0);
	assert_int_equal(virtio_block_read(blk, 0, data, 512), 0);
}

/* Kick queue 1 for its @nth buffer, of the two bytes at 0x8000; the available ring lies at @available from the descriptors. */
static void print_two(uint32_t ring, uint32_t available, uint16_t nth)
{
	virtio_put64(false, m.memory + ring, 0x8000);
	virtio_put32(false, m.memory + ring + 8, 2);
	virtio_put16(false, m.memory + ring + available + 2, nth);
	out(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
}

/* clause 4.2.2.1-5: of several queues one is taken away, and given back elsewhere: without VIRTIO_F_RING_RESET, and the others go on. */
static void one_queue_taken_away(void **state)
{
	struct virtio_dev *dev = m.vm.regs.dev;
	const struct virtio_dev_ops *ops = dev->ops;

	begin(VIRTIO_F_VERSION_1);
	for (unsigned int q = 0; q < 2; q++) {
		describe(q, 16, 0x10000 + 0x10000 * q);
		out(VIRTIO_MMIO_QUEUE_READY, 1);
	}
	out(VIRTIO_MMIO_STATUS, 15);
	print_two(0x20000, 0x800, 1);
	assert_int_equal(console.len, 2);
	out(VIRTIO_MMIO_QUEUE_SEL, 1);
	out(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 0);
	out(VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 1);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 15);
	assert_true(dev->live);
	print_two(0x20000, 0x800, 2);
	assert_int_equal(console.len, 2);
	describe(1, 16, 0x30000);
	out(VIRTIO_MMIO_QUEUE_READY, 1);
	print_two(0x30000, 0x800, 1);
	assert_int_equal(console.len, 4);
	assert_null(m.complaint);
	/* A device that cannot let go of one queue lets go of all. */
	dev->ops = &(struct virtio_dev_ops){ .name = "simple" };
	out(VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 0);
	assert_false(dev->live);
	dev->ops = ops;
}

/* clause 2.6.1, 4.2.2.1-6: one queue is reset, in the middle of a request, and set up again, while the device goes on. */
static void queue_reset(void **state)
{
	struct virtio_block *blk = alloc(NULL, sizeof(*blk), 16);
	uint8_t *data = alloc(NULL, 512, 16);
	struct virtio_iov piece = { data, 512 };
	struct virtio_dev *dev = m.vm.regs.dev;
	uint64_t offered = dev->offered, ring;

	assert_int_equal(offered & VIRTIO_DEV_BUS_FEATURES, VIRTIO_DEV_BUS_FEATURES);
	assert_int_equal(virtio_mmio_probe(&m.device, &m.platform, &m.access, WINDOW, VIRTIO_MMIO_WINDOW, false), 0);
	/* Not negotiated: nothing happens. */
	dev->offered &= ~VIRTIO_F_RING_RESET;
	assert_int_equal(virtio_block_probe(blk, &m.device.vdev), 0);
	dev->offered = offered;
	out(VIRTIO_MMIO_QUEUE_SEL, 0);
	out(VIRTIO_MMIO_QUEUE_RESET, 1);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 1);
	virtio_block_remove(blk);

	memset(blk, 0, sizeof(*blk));
	blk->vdev = &m.device.vdev;
	assert_int_equal(virtio_device_setup(blk->vdev, VIRTIO_F_RING_RESET), 0);
	assert_true(virtio_device_has(blk->vdev, VIRTIO_F_RING_RESET));
	assert_int_equal(virtio_device_queue(blk->vdev, 0, NULL, NULL, &blk->queue), 0);
	virtio_device_ready(blk->vdev);
	blk->seg_max = 1;
	disk.hold = true;
	assert_int_equal(virtio_block_submit(blk, &blk->own, VIRTIO_BLOCK_T_IN, 0, &piece, 1), 0);
	virtio_sync(blk->queue);
	assert_int_equal(disk.held_count, 1);
	out(VIRTIO_MMIO_QUEUE_SEL, 7);
	out(VIRTIO_MMIO_QUEUE_RESET, 1);
	out(VIRTIO_MMIO_QUEUE_SEL, 0);
	out(VIRTIO_MMIO_QUEUE_RESET, 0);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 1);
	out(VIRTIO_MMIO_QUEUE_RESET, 1);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_RESET), 0);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 0);
	/* What was under way has ended, and nothing was said of it in the ring. */
	assert_int_equal(disk.held_count, 0);
	assert_int_equal(dev->queues[0].num, 0);
	assert_false(m.line);
	assert_true(dev->live);
	ring = m.device.ring[0].address;
	memset(m.memory + ring, 0, m.device.ring[0].size);
	disk.hold = false;
	describe(0, 16, 0x80000);
	out(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 1);
	assert_int_equal(dev->queues[0].num, 16);
	assert_null(m.complaint);
	m.device.vdev.bus->reset(blk->vdev);
}

/* clause 2.9: what a kick says besides the queue's number is not mistaken for one. */
static void notification_data(void **state)
{
	begin(VIRTIO_F_VERSION_1 | VIRTIO_F_NOTIFICATION_DATA);
	describe(1, 16, 0x10000);
	out(VIRTIO_MMIO_QUEUE_READY, 1);
	out(VIRTIO_MMIO_STATUS, 15);
	virtio_put64(false, m.memory + 0x10000, 0x8000);
	virtio_put32(false, m.memory + 0x10008, 2);
	virtio_put16(false, m.memory + 0x10800 + 2, 1);
	out(VIRTIO_MMIO_QUEUE_NOTIFY, 1u << 16 | 1);
	assert_int_equal(console.len, 2);
	/* Without the feature the same number is a queue that is not there. */
	begin(VIRTIO_F_VERSION_1);
	memset(m.memory + 0x10800, 0, 0x1000);
	describe(1, 16, 0x10000);
	out(VIRTIO_MMIO_QUEUE_READY, 1);
	out(VIRTIO_MMIO_STATUS, 15);
	virtio_put16(false, m.memory + 0x10800 + 2, 1);
	out(VIRTIO_MMIO_QUEUE_NOTIFY, 1u << 16 | 1);
	assert_int_equal(console.len, 2);
	out(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	assert_int_equal(console.len, 4);
}

/* clause 2.1.2: a broken ring: the device says NEEDS_RESET and interrupts for it. */
static void needs_reset(void **state)
{
	begin(VIRTIO_F_VERSION_1);
	describe(1, 16, 0x10000);
	out(VIRTIO_MMIO_QUEUE_READY, 1);
	out(VIRTIO_MMIO_STATUS, 15);
	virtio_put16(false, m.memory + 0x10800 + 2, 17);
	out(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	assert_non_null(strstr(m.complaint, "ran ahead"));
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 15 | VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(in(VIRTIO_MMIO_INTERRUPT_STATUS), VIRTIO_MMIO_INT_CONFIG);
	/* Told once, and nothing is served. */
	m.complaint = NULL;
	virtio_put16(false, m.memory + 0x10800 + 2, 0);
	out(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	assert_null(m.complaint);
	out(VIRTIO_MMIO_STATUS, 0);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 0);
	assert_false(m.line);
}

/* --- version 1 ------------------------------------------------------------------------------------------------------ */

/* Section 4.2.4: a ring in one block; page size, alignment and number of entries are the driver's; the byte order the guest's. */
static void legacy(bool big)
{
	struct virtio_dev *dev = m.vm.regs.dev;
	uint8_t *ring = m.memory + 5 * 1024;

	assert_int_equal(in(VIRTIO_MMIO_VERSION), 1);
	out(VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	assert_int_equal(in(VIRTIO_MMIO_DEVICE_FEATURES), 0);
	assert_int_equal(in(VIRTIO_MMIO_GENERATION), 0);
	assert_int_equal(virtio_mmio_read(&m.vm, VIRTIO_MMIO_CONFIG, 2), big ? 80 << 8 : 80);
	out(VIRTIO_MMIO_STATUS, 1);
	out(VIRTIO_MMIO_STATUS, 3);
	out(VIRTIO_MMIO_GUEST_PAGE_SIZE, 1024);
	out(VIRTIO_MMIO_DRIVER_FEATURES, 0);
	out(VIRTIO_MMIO_QUEUE_SEL, 1);
	out(VIRTIO_MMIO_QUEUE_NUM, 8);
	out(VIRTIO_MMIO_QUEUE_ALIGN, 256);
	out(VIRTIO_MMIO_QUEUE_PFN, 5);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_PFN), 5);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_READY), 0);
	memcpy(m.memory + 0x8000, "text", 4);
	virtio_put64(big, ring, 0x8000);
	virtio_put32(big, ring + 8, 4);
	virtio_put16(big, ring + 128 + 2, 1);
	/* Old drivers kick before DRIVER_OK. */
	out(VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	assert_true(dev->live);
	assert_int_equal(dev->big_endian, big);
	assert_memory_equal(console.printed, "text", 4);
	assert_int_equal(virtio_get16(big, ring + 256 + 2), 1);
	assert_int_equal(in(VIRTIO_MMIO_INTERRUPT_STATUS), 1);
	out(VIRTIO_MMIO_STATUS, 7);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 7);
	/* Page 0 gives the memory back. */
	out(VIRTIO_MMIO_QUEUE_PFN, 0);
	assert_false(dev->live);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_PFN), 0);
	assert_null(m.complaint);
}

static void legacy_little(void **state)
{
	legacy(false);
}

static void legacy_big(void **state)
{
	legacy(true);
}

/* The same of an older driver; without any queue its device is as before it came. */
static void legacy_queue_taken_away(void **state)
{
	struct virtio_dev *dev = m.vm.regs.dev;

	out(VIRTIO_MMIO_STATUS, 3);
	out(VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096);
	for (unsigned int q = 0; q < 2; q++) {
		out(VIRTIO_MMIO_QUEUE_SEL, q);
		out(VIRTIO_MMIO_QUEUE_NUM, 16);
		out(VIRTIO_MMIO_QUEUE_PFN, 0x10 + 0x10 * q);
	}
	out(VIRTIO_MMIO_STATUS, 7);
	print_two(0x20000, 256, 1);
	assert_int_equal(console.len, 2);
	out(VIRTIO_MMIO_QUEUE_PFN, 0);
	print_two(0x20000, 256, 2);
	assert_int_equal(console.len, 2);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 7);
	out(VIRTIO_MMIO_QUEUE_PFN, 0x30);
	print_two(0x30000, 256, 1);
	assert_int_equal(console.len, 4);
	out(VIRTIO_MMIO_QUEUE_PFN, 0);
	out(VIRTIO_MMIO_QUEUE_SEL, 0);
	assert_int_equal(in(VIRTIO_MMIO_QUEUE_PFN), 0x10);
	out(VIRTIO_MMIO_QUEUE_PFN, 0);
	assert_int_equal(in(VIRTIO_MMIO_STATUS), 0);
	assert_false(dev->live);
	assert_null(m.complaint);
}

static void legacy_nonsense(void **state)
{
	static const struct {
		uint32_t page, num, align, pfn;
	} bad[] = { { 4096, 8, 0, 5 }, { 4096, 8, 3, 5 }, { 4096, 0, 4096, 5 }, { 4096, 64, 4096, 5 }, { 4096, 7, 4096, 5 },
		    { 4096, 0x10008, 4096, 5 }, { 4096, 8, 4096, RAM / 4096 }, { UINT32_MAX, 8, 4096, UINT32_MAX },
		    { 4096, 8, 0x80000000, 5 }, { 4, 8, 4096, 1 } };

	for (unsigned int i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		m.complaint = NULL;
		out(VIRTIO_MMIO_STATUS, 0);
		out(VIRTIO_MMIO_STATUS, 3);
		out(VIRTIO_MMIO_GUEST_PAGE_SIZE, bad[i].page);
		out(VIRTIO_MMIO_QUEUE_SEL, 0);
		out(VIRTIO_MMIO_QUEUE_NUM, bad[i].num);
		out(VIRTIO_MMIO_QUEUE_ALIGN, bad[i].align);
		out(VIRTIO_MMIO_QUEUE_PFN, bad[i].pfn);
		out(VIRTIO_MMIO_STATUS, 7);
		assert_non_null(m.complaint);
		assert_int_equal(in(VIRTIO_MMIO_STATUS) & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);
	}
	/* Bits above 31 cannot be accepted. */
	m.complaint = NULL;
	out(VIRTIO_MMIO_STATUS, 0);
	out(VIRTIO_MMIO_STATUS, 3);
	set_features(VIRTIO_F_VERSION_1);
	out(VIRTIO_MMIO_STATUS, 7);
	assert_null(m.complaint);
	assert_int_equal(m.vm.regs.dev->features, 0);
}

/* --- making and finding --------------------------------------------------------------------------------------------- */

static void setup_errors(void **state)
{
	struct virtio_dev_ops mute = { .name = "mute" };
	struct virtio_dev dev = { .ops = &mute, .id = 200, .offered = VIRTIO_F_VERSION_1 }, other;
	struct virtio_mmio vm;
	const char *reason = NULL;

	assert_int_equal(virtio_mmio_init(&vm, NULL, 2, false, &m.mem, irq, NULL, &reason), -VIRTIO_EINVAL);
	assert_non_null(reason);
	assert_int_equal(virtio_mmio_init(&vm, &dev, 2, false, NULL, irq, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_mmio_init(&vm, &dev, 2, false, &m.mem, NULL, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_mmio_init(&vm, &dev, 3, false, &m.mem, irq, NULL, NULL), -VIRTIO_EINVAL);
	other = dev;
	other.offered = 0;
	assert_int_equal(virtio_mmio_init(&vm, &other, 2, false, &m.mem, irq, NULL, NULL), -VIRTIO_EINVAL);
	other = dev;
	other.num_queues = 33;
	assert_int_equal(virtio_mmio_init(&vm, &other, 2, false, &m.mem, irq, NULL, NULL), -VIRTIO_EINVAL);
	other = dev;
	other.config_len = 257;
	assert_int_equal(virtio_mmio_init(&vm, &other, 2, false, &m.mem, irq, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_mmio_init(&vm, &dev, 2, false, &m.mem, irq, NULL, &reason), 0);
	assert_null(reason);
}

static uint32_t fake_version, fake_id, fake_magic;

static uint32_t fake_read(void *opaque, uint64_t address, unsigned int size)
{
	return address == 0 ? fake_magic : address == 4 ? fake_version : address == 8 ? fake_id : 0;
}

/* clause 4.2.2.2-4, 4.2.3.1.1-1: what is no device is left alone. */
static void no_device(void **state)
{
	const struct virtio_mmio_access access = { .read = fake_read, .write = m.access.write };
	static const struct {
		uint32_t magic, version, id;
		int ret;
	} cases[] = { { 0x74726976, 2, 3, 0 }, { 0x74726976, 1, 3, 0 }, { 0x74726976, 2, 0, -VIRTIO_ENODEV },
		      { 0x74726976, 3, 3, -VIRTIO_ENODEV }, { 0x74726976, 0, 3, -VIRTIO_ENODEV }, { 0x76697274, 2, 3, -VIRTIO_ENODEV } };

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		fake_magic = cases[i].magic;
		fake_version = cases[i].version;
		fake_id = cases[i].id;
		assert_int_equal(virtio_mmio_probe(&m.device, &m.platform, &access, 0, VIRTIO_MMIO_WINDOW, false), cases[i].ret);
	}
	assert_int_equal(virtio_mmio_probe(&m.device, &m.platform, &m.access, WINDOW, 0xff, false), -VIRTIO_ENODEV);
	/* A queue that somebody uses already, and one that is not there. */
	assert_int_equal(virtio_mmio_probe(&m.device, &m.platform, &m.access, WINDOW, VIRTIO_MMIO_WINDOW, false), 0);
	assert_int_equal(virtio_device_setup(&m.device.vdev, 0), 0);
	describe(0, 16, 0x10000);
	out(VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(virtio_device_queue(&m.device.vdev, 0, NULL, NULL, &(struct virtio_queue *){ 0 }), -VIRTIO_EBUSY);
	assert_int_equal(virtio_device_queue(&m.device.vdev, 2, NULL, NULL, &(struct virtio_queue *){ 0 }), -VIRTIO_ENOENT);
	/* The end of the configuration, as far as the window tells. */
	assert_int_equal(m.device.vdev.bus->get(&m.device.vdev, 0x100, &fake_id, 1), -VIRTIO_ERANGE);
	assert_int_equal(m.device.vdev.bus->set(&m.device.vdev, 0xff, &fake_id, 2), -VIRTIO_ERANGE);
	assert_int_equal(m.device.vdev.bus->set(&m.device.vdev, 0xff, &fake_id, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(identity, setup_console, teardown),
		cmocka_unit_test_setup_teardown(widths, setup_console, teardown),
		cmocka_unit_test_setup_teardown(in_order, setup_console, teardown),
		cmocka_unit_test_setup_teardown(no_agreement, setup_console, teardown),
		cmocka_unit_test_setup_teardown(impossible_queues, setup_console, teardown),
		cmocka_unit_test_setup_teardown(interrupts, setup_console, teardown),
		cmocka_unit_test_setup_teardown(queue_taken_away, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(one_queue_taken_away, setup_console, teardown),
		cmocka_unit_test_setup_teardown(legacy_queue_taken_away, setup_legacy, teardown),
		cmocka_unit_test_setup_teardown(queue_reset, setup_disk, teardown),
		cmocka_unit_test_setup_teardown(notification_data, setup_console, teardown),
		cmocka_unit_test_setup_teardown(needs_reset, setup_console, teardown),
		cmocka_unit_test_setup_teardown(legacy_little, setup_legacy, teardown),
		cmocka_unit_test_setup_teardown(legacy_big, setup_legacy_big, teardown),
		cmocka_unit_test_setup_teardown(legacy_nonsense, setup_legacy, teardown),
		cmocka_unit_test_setup_teardown(setup_errors, setup_console, teardown),
		cmocka_unit_test_setup_teardown(no_device, setup_console, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
