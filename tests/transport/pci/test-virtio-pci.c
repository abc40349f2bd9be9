/* SPDX-License-Identifier: MIT */
/*
 * A virtio device on PCI, register by register (virtio 1.2, 4.1): what a driver finds, what its writes do, what a driver that breaks
 * the rules gains. Whole drivers are in test-virtio-pci-drivers.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/device/bed.h"
#include "tests/device/pci-bed.h"

struct fixture {
	struct pci_bed *bed;
	struct fake_disk disk;
	struct fake_console console;
	struct virtio_dev *dev;		/* the device under test, in slot 1 */
	unsigned int common, isr, notify, config, legacy;
};

static struct fixture *begin_with(struct virtio_dev *dev, struct fixture *f, enum virtio_pci_kind kind)
{
	f->bed = pci_bed_create();
	f->dev = dev;
	assert_int_equal(pci_bed_add(f->bed, dev, kind), 1);
	f->common = pci_bed_port(f->bed, 1, VIRTIO_PCI_BAR_MODERN) + VIRTIO_PCI_AT_COMMON;
	f->isr = f->common + VIRTIO_PCI_AT_ISR;
	f->notify = f->common + VIRTIO_PCI_AT_NOTIFY;
	if (dev->config_len)
		f->config = pci_bed_port(f->bed, 1, VIRTIO_PCI_BAR_CONFIG);
	if (kind == VIRTIO_PCI_TRANSITIONAL)
		f->legacy = pci_bed_port(f->bed, 1, VIRTIO_PCI_BAR_LEGACY);
	return f;
}

/* A console is the device of most tests: two queues, a configuration that changes. */
static int setup_kind(void **state, enum virtio_pci_kind kind)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_console_init(&f->console);
	*state = begin_with(console_device_create(&f->console.be), f, kind);
	return 0;
}

static int setup_modern(void **state)
{
	return setup_kind(state, VIRTIO_PCI_MODERN);
}

static int setup(void **state)
{
	return setup_kind(state, VIRTIO_PCI_TRANSITIONAL);
}

static int setup_disk(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_disk_init(&f->disk);
	*state = begin_with(block_device_create(&f->disk.be), f, VIRTIO_PCI_TRANSITIONAL);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	pci_bed_destroy(f->bed);
	free(f);
	return 0;
}

static uint32_t in(struct fixture *f, unsigned int port, unsigned int size)
{
	return pci_bed_in(f->bed, port, size);
}

static void out(struct fixture *f, unsigned int port, unsigned int size, uint32_t value)
{
	pci_bed_out(f->bed, port, size, value);
}

static uint8_t status(struct fixture *f)
{
	return (uint8_t)in(f, f->common + VIRTIO_PCI_STATUS, 1);
}

static void set_status(struct fixture *f, uint8_t value)
{
	out(f, f->common + VIRTIO_PCI_STATUS, 1, value);
}

static void accept(struct fixture *f, uint64_t features)
{
	for (unsigned int i = 0; i < 2; i++) {
		out(f, f->common + VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, i);
		out(f, f->common + VIRTIO_PCI_DRIVER_FEATURE, 4, (uint32_t)(features >> 32 * i));
	}
}

static void out64(struct fixture *f, unsigned int at, uint64_t value)
{
	out(f, f->common + at, 4, (uint32_t)value);
	out(f, f->common + at + 4, 4, (uint32_t)(value >> 32));
}

/* Place queue @queue's three parts at @at. */
static void place(struct fixture *f, unsigned int queue, uint64_t at)
{
	out(f, f->common + VIRTIO_PCI_QUEUE_SELECT, 2, queue);
	out64(f, VIRTIO_PCI_QUEUE_DESC, at);
	out64(f, VIRTIO_PCI_QUEUE_DRIVER, at + 4096);
	out64(f, VIRTIO_PCI_QUEUE_DEVICE, at + 8192);
}

static void enable(struct fixture *f)
{
	out(f, f->common + VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
}

static void agree(struct fixture *f)
{
	set_status(f, 1);
	set_status(f, 3);
	accept(f, VIRTIO_F_VERSION_1);
	set_status(f, 11);
	assert_int_equal(status(f), 11);
}

/* A live device with both queues, at 0x10000 and 0x20000. */
static void bring_up(struct fixture *f)
{
	agree(f);
	for (unsigned int i = 0; i < f->dev->num_queues; i++) {
		place(f, i, 0x10000 + 0x10000 * i);
		enable(f);
	}
	set_status(f, 15);
	assert_int_equal(status(f), 15);
	assert_true(f->dev->live);
}

/* Make one buffer available in the queue at @at: @len bytes at @data. */
static void offer(struct fixture *f, uint64_t at, uint64_t data, uint32_t len, bool writable)
{
	uint8_t *desc = f->bed->memory + at, *avail = desc + 4096;
	uint16_t idx = virtio_get16(false, avail + 2);

	virtio_put64(false, desc, data);
	virtio_put32(false, desc + 8, len);
	virtio_put16(false, desc + 12, writable ? VRING_DESC_WRITE : 0);
	virtio_put16(false, avail + 4 + 2 * (idx % 32), 0);
	virtio_put16(false, avail + 2, (uint16_t)(idx + 1));
}

static uint16_t used(struct fixture *f, uint64_t at)
{
	return virtio_get16(false, f->bed->memory + at + 8192 + 2);
}

/* Print two letters through queue 1 of a live modern console. */
static void print(struct fixture *f, const char *text)
{
	memcpy(f->bed->memory + 0x8000, text, 2);
	offer(f, 0x20000, 0x8000, 2, false);
	out(f, f->notify + VIRTIO_PCI_NOTIFY_STEP * 1, 2, 1);
}

/* --- what a driver finds ------------------------------------------------------------------------------------------------- */

static uint32_t get(struct fixture *f, unsigned int at, unsigned int size)
{
	return pci_bed_get(f->bed, 1, at, size);
}

/* clause 4.1.2.1-1, 4.1.2.1-2 */
static void modern_ids(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, PCI_VENDOR_ID, 2), 0x1af4);
	assert_int_equal(get(f, PCI_DEVICE_ID, 2), 0x1040 + VIRTIO_ID_CONSOLE);
	assert_true(get(f, PCI_REVISION, 1) >= 1);
	assert_true(get(f, PCI_SUBSYSTEM_ID, 2) >= 0x40);
	assert_int_equal(get(f, PCI_BAR0, 4), 0);
	assert_int_equal(get(f, PCI_INTERRUPT_PIN, 1), 1);
}

/* clause 4.1.2.1-1, 4.1.2.3-1, 4.1.4.10-1 */
static void transitional_ids(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(get(f, PCI_DEVICE_ID, 2), 0x1003);
	assert_int_equal(get(f, PCI_REVISION, 1), 0);
	assert_int_equal(get(f, PCI_SUBSYSTEM_ID, 2), VIRTIO_ID_CONSOLE);
	assert_int_equal(get(f, PCI_BAR0, 4) & PCI_BAR_IO_FLAGS, PCI_BAR_IO);
}

/* clause 4.1.2.1-1 */
static void ids_of_all(void **state)
{
	static const struct {
		uint32_t id;
		uint16_t device;
	} known[] = { { 1, 0x1000 }, { 2, 0x1001 }, { 3, 0x1003 }, { 4, 0x1005 }, { 5, 0x1002 }, { 9, 0x1009 }, { 16, 0x1050 }, { 26, 0x105a } };
	static const struct virtio_dev_ops ops = { .name = "mute" };

	for (unsigned int i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		struct virtio_dev dev = { .ops = &ops, .id = known[i].id, .offered = VIRTIO_F_VERSION_1 };
		struct virtio_mem mem = { 0 };
		struct virtio_pci vp;

		assert_int_equal(virtio_pci_init(&vp, &dev, VIRTIO_PCI_TRANSITIONAL, &mem, NULL), 0);
		assert_int_equal(pci_function_get16(&vp.pci, PCI_DEVICE_ID), known[i].device);
		/* Devices younger than virtio 1.0 have no legacy window, whatever is asked for. */
		assert_int_equal(!!vp.pci.bar_size[0], known[i].device < 0x1040);
		assert_int_equal(vp.pci.config[PCI_REVISION], known[i].device >= 0x1040);
		/* Nothing to configure: no such window, no such capability. */
		assert_int_equal(vp.pci.bar_size[VIRTIO_PCI_BAR_CONFIG], 0);
	}
}

/* clause 4.1.4.3.1-9 */
static void cannot_be_described(void **state)
{
	static const struct virtio_dev_ops ops = { .name = "odd" };
	struct vring_device queues[40] = { 0 };
	struct virtio_dev dev = { .ops = &ops, .id = 3, .offered = VIRTIO_F_VERSION_1, .queues = queues };
	struct virtio_mem mem = { 0 };
	struct virtio_pci vp;
	const char *reason;

	dev.offered = 0;
	assert_int_equal(virtio_pci_init(&vp, &dev, VIRTIO_PCI_MODERN, &mem, &reason), -VIRTIO_EINVAL);
	assert_non_null(strstr(reason, "VERSION_1"));
	dev.offered = VIRTIO_F_VERSION_1;
	dev.config_len = 233;
	assert_int_equal(virtio_pci_init(&vp, &dev, VIRTIO_PCI_MODERN, &mem, &reason), -VIRTIO_EINVAL);
	dev.config_len = 232;
	assert_int_equal(virtio_pci_init(&vp, &dev, VIRTIO_PCI_TRANSITIONAL, &mem, &reason), 0);
	assert_null(reason);
	assert_int_equal(vp.pci.bar_size[0], 256);
	dev.num_queues = 1;
	assert_int_equal(virtio_pci_init(&vp, &dev, VIRTIO_PCI_MODERN, &mem, &reason), -VIRTIO_EINVAL);
	for (unsigned int i = 0; i < 40; i++)
		queues[i].num_max = 8;
	dev.num_queues = 33;
	assert_int_equal(virtio_pci_init(&vp, &dev, VIRTIO_PCI_MODERN, &mem, &reason), -VIRTIO_EINVAL);
	dev.num_queues = 32;
	assert_int_equal(virtio_pci_init(&vp, &dev, VIRTIO_PCI_MODERN, &mem, &reason), 0);
	assert_int_equal(vp.pci.bar_size[VIRTIO_PCI_BAR_MODERN], 256);
	assert_int_equal(virtio_pci_init(&vp, NULL, VIRTIO_PCI_MODERN, &mem, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_pci_init(&vp, &dev, VIRTIO_PCI_MODERN, NULL, NULL), -VIRTIO_EINVAL);
}

/* clause 4.1.4.3.1-1, 4.1.4.4.1-1, 4.1.4.4.1-2, 4.1.4.5.1-1, 4.1.4.6.1-1, 4.1.4.9.1-1: each is there once, inside a window. */
static void capability_list(void **state)
{
	static const struct {
		uint32_t align, least;
	} asked[6] = { { 0 }, { 4, 56 }, { 4, 2 * 4 }, { 1, 1 }, { 4, 12 }, { 1, 0 } };
	struct fixture *f = *state;
	unsigned int seen = 0, count = 0;

	assert_true(get(f, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES);
	for (unsigned int at = get(f, PCI_CAPABILITIES, 1); at; at = get(f, at + 1, 1), count++) {
		unsigned int type = get(f, at + 3, 1), bar = get(f, at + 4, 1);
		uint32_t offset = get(f, at + 8, 4), length = get(f, at + 12, 4);

		assert_int_equal(get(f, at, 1), PCI_CAP_VENDOR);
		assert_in_range(type, 1, 5);
		assert_int_equal(get(f, at + 2, 1), type == 2 || type == 5 ? 20 : 16);
		assert_int_equal(offset % asked[type].align, 0);
		assert_true(length >= asked[type].least);
		if (type != VIRTIO_PCI_CAP_PCI_CFG)
			assert_true(offset + length <= f->bed->fn[0].pci.bar_size[bar]);
		if (type == VIRTIO_PCI_CAP_NOTIFY)
			assert_int_equal(get(f, at + 16, 4), VIRTIO_PCI_NOTIFY_STEP);
		seen |= 1u << type;
	}
	assert_int_equal(count, 5);
	assert_int_equal(seen, 0x3e);
}

/* --- features ------------------------------------------------------------------------------------------------------------ */

/* clause 4.1.4.3.1-2, 4.1.4.3.1-3 */
static void features_in_halves(void **state)
{
	struct fixture *f = *state;
	unsigned int select = f->common + VIRTIO_PCI_DEVICE_FEATURE_SELECT, feature = f->common + VIRTIO_PCI_DEVICE_FEATURE;

	out(f, select, 4, 0);
	assert_int_equal(in(f, feature, 4), (uint32_t)f->dev->offered);
	out(f, select, 4, 1);
	assert_int_equal(in(f, select, 4), 1);
	assert_int_equal(in(f, feature, 4), f->dev->offered >> 32);
	out(f, select, 4, 2);
	assert_int_equal(in(f, feature, 4), 0);
	out(f, select, 4, 0x80000000u);
	assert_int_equal(in(f, feature, 4), 0);
	/* Read-only. */
	out(f, select, 4, 1);
	out(f, feature, 4, 0xffffffff);
	assert_int_equal(in(f, feature, 4), f->dev->offered >> 32);
	/* What only a bus with registers can offer. */
	assert_int_equal(f->dev->offered & VIRTIO_DEV_BUS_FEATURES, VIRTIO_DEV_BUS_FEATURES);
	/* What the driver wrote reads back, half by half. */
	accept(f, UINT64_C(0x1234567800000001));
	assert_int_equal(in(f, f->common + VIRTIO_PCI_DRIVER_FEATURE, 4), 0x12345678);
	out(f, f->common + VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_DRIVER_FEATURE, 4), 1);
	out(f, f->common + VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, 7);
	out(f, f->common + VIRTIO_PCI_DRIVER_FEATURE, 4, 0xffffffff);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_DRIVER_FEATURE, 4), 0);
}

static void features_refused(void **state)
{
	struct fixture *f = *state;

	set_status(f, 3);
	/* Without VERSION_1. */
	accept(f, VIRTIO_F_EVENT_IDX);
	set_status(f, 11);
	assert_int_equal(status(f), 3);
	/* Something that was not offered. */
	accept(f, VIRTIO_F_VERSION_1 | VIRTIO_BIT(62));
	set_status(f, 11);
	assert_int_equal(status(f), 3);
	/* And the driver may think again. */
	accept(f, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
	set_status(f, 11);
	assert_int_equal(status(f), 11);
	assert_int_equal(f->dev->features, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
	/* Final is final. */
	accept(f, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC);
	out(f, f->common + VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_DRIVER_FEATURE, 4), (uint32_t)VIRTIO_F_EVENT_IDX);
	assert_int_equal(f->dev->features, VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX);
	/* Refused, and that was all that was written: not a reset. */
	set_status(f, 0);
	set_status(f, 3);
	set_status(f, VIRTIO_STATUS_FEATURES_OK);
	assert_int_equal(status(f), 3);
	assert_null(f->bed->complaint);
}

static void status_bits_stay(void **state)
{
	struct fixture *f = *state;

	set_status(f, 3);
	set_status(f, 1);
	assert_int_equal(status(f), 3);
	set_status(f, VIRTIO_STATUS_NEEDS_RESET);
	assert_int_equal(status(f), 3);
	set_status(f, VIRTIO_STATUS_FAILED);
	assert_int_equal(status(f), 0x83);
	set_status(f, 0);
	assert_int_equal(status(f), 0);
}

static void driver_ok_too_early(void **state)
{
	struct fixture *f = *state;

	set_status(f, 3);
	set_status(f, 7);
	assert_int_equal(status(f), 3 | VIRTIO_STATUS_NEEDS_RESET);
	assert_false(f->dev->live);
	assert_non_null(strstr(f->bed->complaint, "DRIVER_OK"));
	set_status(f, 0);
	bring_up(f);
}

/* --- queues -------------------------------------------------------------------------------------------------------------- */

/* clause 4.1.4.3.1-8 */
static void queue_registers(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(in(f, f->common + VIRTIO_PCI_NUM_QUEUES, 2), 2);
	for (unsigned int i = 0; i < 2; i++) {
		out(f, f->common + VIRTIO_PCI_QUEUE_SELECT, 2, i);
		assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_SELECT, 2), i);
		assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_SIZE, 2), 32);
		assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_NOTIFY_OFF, 2), i);
		assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_ENABLE, 2), 0);
	}
	place(f, 1, UINT64_C(0x123456789abc0000));
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DESC, 4), 0x9abc0000);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DESC + 4, 4), 0x12345678);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DRIVER, 4), 0x9abc1000);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DEVICE, 4), 0x9abc2000);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DEVICE + 4, 4), 0x12345678);
	/* Halves in the other order. */
	out(f, f->common + VIRTIO_PCI_QUEUE_DESC + 4, 4, 7);
	out(f, f->common + VIRTIO_PCI_QUEUE_DESC, 4, 8);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DESC + 4, 4), 7);
	/* The other queue has its own. */
	out(f, f->common + VIRTIO_PCI_QUEUE_SELECT, 2, 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DESC, 4), 0);
	/* A queue that does not exist. */
	out(f, f->common + VIRTIO_PCI_QUEUE_SELECT, 2, 2);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_SIZE, 2), 0);
	out(f, f->common + VIRTIO_PCI_QUEUE_SIZE, 2, 8);
	enable(f);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_SIZE, 2), 0);
	assert_null(f->bed->complaint);
	/* There are no vectors, and none can be set (section 4.1.5.1.2.1). */
	out(f, f->common + VIRTIO_PCI_CONFIG_VECTOR, 2, 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_CONFIG_VECTOR, 2), 0xffff);
	out(f, f->common + VIRTIO_PCI_QUEUE_SELECT, 2, 0);
	out(f, f->common + VIRTIO_PCI_QUEUE_VECTOR, 2, 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_VECTOR, 2), 0xffff);
}

/* clause 4.1.3.1-1: registers have one width; anything else reads zero and writes nothing. */
static void wrong_widths(void **state)
{
	struct fixture *f = *state;

	set_status(f, 3);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_STATUS, 2), 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_STATUS, 4), 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_NUM_QUEUES, 1), 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_DEVICE_FEATURE + 1, 1), 0);
	out(f, f->common + VIRTIO_PCI_STATUS, 4, 0);
	out(f, f->common + VIRTIO_PCI_NUM_QUEUES, 4, 0);
	out(f, f->common + VIRTIO_PCI_QUEUE_DESC, 2, 0xffff);
	out(f, f->common + 19, 2, 0xffff);
	assert_int_equal(status(f), 3);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DESC, 4), 0);
	/* Between the structures there is nothing. */
	assert_int_equal(in(f, f->common + 56, 4), 0);
	out(f, f->common + 60, 4, 0xffffffff);
	assert_int_equal(in(f, f->notify, 2), 0);
	assert_int_equal(f->bed->strays, 0);
}

/* clause 4.1.4.3.1-6, 4.1.4.3.2-3, 4.1.4.3.2-5 */
static void enabling(void **state)
{
	struct fixture *f = *state;

	agree(f);
	place(f, 0, 0x10000);
	out(f, f->common + VIRTIO_PCI_QUEUE_SIZE, 2, 8);
	out(f, f->common + VIRTIO_PCI_QUEUE_ENABLE, 2, 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_ENABLE, 2), 0);
	enable(f);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_ENABLE, 2), 1);
	assert_int_equal(f->dev->queues[0].num, 8);
	/* From then on it stays as it is. */
	out(f, f->common + VIRTIO_PCI_QUEUE_SIZE, 2, 16);
	out64(f, VIRTIO_PCI_QUEUE_DESC, 0x30000);
	out(f, f->common + VIRTIO_PCI_QUEUE_ENABLE, 2, 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_SIZE, 2), 8);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DESC, 4), 0x10000);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_ENABLE, 2), 1);
	/* Until a reset. */
	set_status(f, 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_ENABLE, 2), 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_SIZE, 2), 32);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DESC, 4), 0);
	assert_int_equal(f->dev->queues[0].num, 0);
}

static void expect_broken(struct fixture *f, const char *word)
{
	assert_true(status(f) & VIRTIO_STATUS_NEEDS_RESET);
	assert_non_null(f->bed->complaint);
	assert_non_null(strstr(f->bed->complaint, word));
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_ENABLE, 2), 0);
	set_status(f, 0);
	assert_int_equal(status(f), 0);
	f->bed->complaint = NULL;
}

/* clause 4.1.4.3.2-2 */
static void bad_queues(void **state)
{
	static const uint32_t sizes[] = { 0, 3, 24, 64, 0x8000, 0xffff };
	static const uint64_t addresses[] = { PCI_BED_RAM, PCI_BED_RAM - 4096, 0x10008, UINT64_MAX - 4095, UINT64_C(1) << 63 };
	struct fixture *f = *state;

	place(f, 0, 0x10000);
	enable(f);
	expect_broken(f, "before features");
	for (unsigned int i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		agree(f);
		place(f, 0, 0x10000);
		out(f, f->common + VIRTIO_PCI_QUEUE_SIZE, 2, sizes[i]);
		enable(f);
		expect_broken(f, "size");
	}
	for (unsigned int i = 0; i < sizeof(addresses) / sizeof(addresses[0]); i++) {
		agree(f);
		place(f, 0, addresses[i]);
		enable(f);
		expect_broken(f, "memory");
	}
	bring_up(f);
	print(f, "ok");
	assert_memory_equal(f->console.printed, "ok", 2);
}

/* --- at work ------------------------------------------------------------------------------------------------------------- */

/* clause 4.1.4.5.1-3, 4.1.4.5.1-4, 4.1.4.5.1-5 */
static void printing(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	print(f, "hi");
	assert_int_equal(f->console.len, 2);
	assert_int_equal(used(f, 0x20000), 1);
	/* Level-triggered: asserted until ISR is read, once, and read as 0 after that. */
	assert_int_equal(f->bed->lines, 1u << pci_bus_line(1));
	assert_int_equal(get(f, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, PCI_STATUS_INTERRUPT);
	print(f, "gh");
	assert_int_equal(f->bed->edges, 1);
	assert_int_equal(in(f, f->isr, 1), VIRTIO_PCI_ISR_QUEUE);
	assert_int_equal(f->bed->lines, 0);
	assert_int_equal(get(f, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0);
	assert_int_equal(in(f, f->isr, 1), 0);
	/* Writing there does nothing. */
	print(f, "ij");
	out(f, f->isr, 1, 0xff);
	assert_int_equal(f->bed->lines, 1u << pci_bus_line(1));
	assert_int_equal(in(f, f->isr, 1), VIRTIO_PCI_ISR_QUEUE);
	/* The port says which queue it is, whatever is written to it; and there are only two. */
	memcpy(f->bed->memory + 0x8000, "kl", 2);
	offer(f, 0x20000, 0x8000, 2, false);
	out(f, f->notify, 2, 1);
	assert_int_equal(f->console.len, 6);
	out(f, f->notify + 4, 2, 0);
	assert_int_equal(f->console.len, 8);
	out(f, f->notify + 8, 2, 0);
	out(f, f->notify + 124, 4, 0xffff);
	assert_null(f->bed->complaint);
}

static void kick_before_driver_ok(void **state)
{
	struct fixture *f = *state;

	agree(f);
	place(f, 1, 0x20000);
	enable(f);
	print(f, "hi");
	assert_int_equal(f->console.len, 0);
	assert_int_equal(used(f, 0x20000), 0);
	assert_int_equal(f->bed->edges, 0);
}

/* clause 4.1.4.3.1-5, 4.1.4.3.1-6 */
static void reset_forgets(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	out(f, f->common + VIRTIO_PCI_DEVICE_FEATURE_SELECT, 4, 1);
	print(f, "hi");
	set_status(f, 0);
	assert_int_equal(status(f), 0);
	assert_int_equal(f->bed->lines, 0);
	assert_int_equal(in(f, f->isr, 1), 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_ENABLE, 2), 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_DEVICE_FEATURE_SELECT, 4), 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_DRIVER_FEATURE, 4), 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_SELECT, 2), 0);
	print(f, "no");
	assert_int_equal(f->console.len, 2);
}

/* A disk's reset waits for what is under way. */
static void reset_drains(void **state)
{
	struct fixture *f = *state;
	uint8_t *memory = f->bed->memory;

	bring_up(f);
	f->disk.hold = true;
	memset(memory + 0x8000, 0, 16);
	offer(f, 0x10000, 0x8000, 16, false);
	/* The chain goes on with data and status. */
	virtio_put16(false, memory + 0x10000 + 12, VRING_DESC_NEXT);
	virtio_put16(false, memory + 0x10000 + 14, 1);
	virtio_put64(false, memory + 0x10010, 0x9000);
	virtio_put32(false, memory + 0x10018, 513);
	virtio_put16(false, memory + 0x1001c, VRING_DESC_WRITE);
	out(f, f->notify, 2, 0);
	assert_int_equal(f->disk.held_count, 1);
	set_status(f, 0);
	assert_int_equal(f->disk.drains, 1);
	assert_int_equal(f->disk.held_count, 0);
	assert_int_equal(used(f, 0x10000), 0);
	assert_int_equal(f->bed->edges, 0);
}

static void broken_ring(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	offer(f, 0x20000, PCI_BED_RAM, 2, false);
	out(f, f->notify + 4, 2, 1);
	assert_int_equal(status(f), 15 | VIRTIO_STATUS_NEEDS_RESET);
	assert_non_null(strstr(f->bed->complaint, "outside guest memory"));
	/* 2.1.2: DRIVER_OK is set, so the driver hears of it. */
	assert_int_equal(in(f, f->isr, 1), VIRTIO_PCI_ISR_CONFIG);
	/* Nothing until reset; and a second complaint only after one. */
	f->bed->complaint = NULL;
	print(f, "no");
	assert_int_equal(f->console.len, 0);
	assert_null(f->bed->complaint);
	set_status(f, 0);
	memset(f->bed->memory + 0x20000, 0, 0x10000);
	bring_up(f);
	print(f, "ok");
	assert_int_equal(f->console.len, 2);
}

static void losing_the_bus(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	pci_bed_set(f->bed, 1, PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_int_equal(status(f), 0);
	assert_false(f->dev->live);
	print(f, "no");
	assert_int_equal(f->console.len, 0);
}

/* --- configuration ------------------------------------------------------------------------------------------------------- */

static void config_window(void **state)
{
	struct fixture *f = *state;

	f->console.columns = 0x1234;
	f->console.rows = 0x5678;
	assert_int_equal(in(f, f->config, 2), 0x1234);
	assert_int_equal(in(f, f->config + 2, 2), 0x5678);
	assert_int_equal(in(f, f->config, 4), 0x56781234);
	assert_int_equal(in(f, f->config + 1, 1), 0x12);
	/* 12 bytes, in a window of 16. */
	assert_int_equal(in(f, f->config + 10, 4), 0);
	assert_int_equal(in(f, f->config + 12, 4), 0);
	out(f, f->config + 12, 4, 0xffffffff);
	out(f, f->config + 10, 4, 0xffffffff);
	assert_int_equal(f->bed->strays, 0);
}

/* clause 4.1.4.3.1-4, 4.1.4.5.1-2 */
static void config_changes(void **state)
{
	struct fixture *f = *state;
	uint32_t generation = in(f, f->common + VIRTIO_PCI_GENERATION, 1);

	/* Nobody to tell yet, but the generation moves. */
	f->console.be.resized(f->console.be.opaque, 100, 50);
	assert_int_not_equal(in(f, f->common + VIRTIO_PCI_GENERATION, 1), generation);
	assert_int_equal(f->bed->edges, 0);
	bring_up(f);
	generation = in(f, f->common + VIRTIO_PCI_GENERATION, 1);
	f->console.be.resized(f->console.be.opaque, 90, 40);
	assert_int_not_equal(in(f, f->common + VIRTIO_PCI_GENERATION, 1), generation);
	assert_int_equal(f->bed->lines, 1u << pci_bus_line(1));
	print(f, "hi");
	assert_int_equal(in(f, f->isr, 1), VIRTIO_PCI_ISR_CONFIG | VIRTIO_PCI_ISR_QUEUE);
	assert_int_equal(f->bed->lines, 0);
	/* However often it changes between two looks. */
	for (unsigned int i = 1; i <= 512; i++) {
		generation = in(f, f->common + VIRTIO_PCI_GENERATION, 1);
		in(f, f->config, 2);
		for (unsigned int n = 0; n < i; n++)
			f->console.be.resized(f->console.be.opaque, 90, 40);
		in(f, f->config + 2, 2);
		assert_int_not_equal(in(f, f->common + VIRTIO_PCI_GENERATION, 1), generation);
	}
}

static unsigned int pci_cfg(struct fixture *f)
{
	unsigned int at = get(f, PCI_CAPABILITIES, 1);

	while (get(f, at + VIRTIO_PCI_CAP_TYPE, 1) != VIRTIO_PCI_CAP_PCI_CFG)
		at = get(f, at + 1, 1);
	return at;
}

static void aim(struct fixture *f, unsigned int cap, unsigned int bar, uint32_t offset, uint32_t length)
{
	pci_bed_set(f->bed, 1, cap + VIRTIO_PCI_CAP_BAR, 1, bar);
	pci_bed_set(f->bed, 1, cap + VIRTIO_PCI_CAP_OFFSET, 4, offset);
	pci_bed_set(f->bed, 1, cap + VIRTIO_PCI_CAP_LENGTH, 4, length);
}

/* clause 4.1.4.9.1-2, 4.1.4.9.1-3, 4.1.4.9.2-1, 4.1.4.9.2-2: everything can be reached, windows switched off. */
static void through_the_configuration_space(void **state)
{
	struct fixture *f = *state;
	unsigned int cap = pci_cfg(f), data = cap + VIRTIO_PCI_CAP_DATA;

	pci_bed_set(f->bed, 1, PCI_COMMAND, 2, 0);
	aim(f, cap, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_NUM_QUEUES, 2);
	assert_int_equal(get(f, data, 2), 2);
	aim(f, cap, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_STATUS, 1);
	pci_bed_set(f->bed, 1, data, 1, 3);
	assert_int_equal(f->dev->status, 3);
	assert_int_equal(get(f, data, 1), 3);
	/* Only writing the data acts. */
	aim(f, cap, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4);
	assert_int_equal(f->bed->fn[0].regs.driver_feature_select, 0);
	pci_bed_set(f->bed, 1, data, 4, 1);
	assert_int_equal(f->bed->fn[0].regs.driver_feature_select, 1);
	/* Places and lengths that do not exist. */
	aim(f, cap, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_STATUS, 3);
	pci_bed_set(f->bed, 1, data, 4, 0);
	aim(f, cap, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_STATUS + 1, 2);
	pci_bed_set(f->bed, 1, data, 4, 0);
	aim(f, cap, 200, 0, 4);
	pci_bed_set(f->bed, 1, data, 4, 0);
	assert_int_equal(get(f, data, 4), 0xffffffff);
	aim(f, cap, VIRTIO_PCI_BAR_MODERN, 0xfffffffc, 4);
	pci_bed_set(f->bed, 1, data, 4, 0);
	assert_int_equal(get(f, data, 4), 0xffffffff);
	assert_int_equal(f->dev->status, 3);
	/* A place that could be read, but not so: the data stay as they were. */
	aim(f, cap, VIRTIO_PCI_BAR_CONFIG, 0, 4);
	assert_int_equal(get(f, data, 4), 25 << 16 | 80);
	aim(f, cap, VIRTIO_PCI_BAR_CONFIG, 1, 2);
	assert_int_equal(get(f, data, 4), 25 << 16 | 80);
	aim(f, cap, VIRTIO_PCI_BAR_CONFIG, 3, 3);
	assert_int_equal(get(f, data, 4), 25 << 16 | 80);
	/* The rest of the list is read-only. */
	pci_bed_set(f->bed, 1, cap, 4, 0);
	assert_int_equal(pci_cfg(f), cap);
	pci_bed_set(f->bed, 1, get(f, PCI_CAPABILITIES, 1) + VIRTIO_PCI_CAP_BAR, 1, 5);
	capability_list(state);
}

static void restarting(void **state)
{
	struct fixture *f = *state;

	bring_up(f);
	print(f, "hi");
	pci_bed_set(f->bed, 1, PCI_BAR0 + 4, 4, 0x1001);
	pci_bus_restart(&f->bed->bus);
	assert_int_equal(f->bed->lines, 0);
	assert_int_equal(status(f), 0);
	memset(f->bed->memory, 0, PCI_BED_RAM);
	bring_up(f);
	print(f, "jk");
	assert_int_equal(f->console.len, 4);
}

/* --- the legacy window --------------------------------------------------------------------------------------------------- */

/* clause 4.1.4.10-1, 4.1.4.10-2, 4.1.4.10-3 */
static void legacy_registers(void **state)
{
	struct fixture *f = *state;
	unsigned int l = f->legacy;

	assert_int_equal(in(f, l, 4), (uint32_t)f->dev->offered);
	out(f, l, 4, 0);
	assert_int_equal(in(f, l, 4), (uint32_t)f->dev->offered);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2), 32);
	out(f, l + VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2, 8);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2), 32);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4), 0);
	out(f, l + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, 0x10);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4), 0x10);
	out(f, l + VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, 1);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4), 0);
	out(f, l + VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, 2);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2), 0);
	out(f, l + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, 0x10);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4), 0);
	out(f, l + VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, 0x55);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4), 0x55);
	/* Wrong widths. */
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_QUEUE_SIZE, 4), 0);
	out(f, l + VIRTIO_PCI_LEGACY_STATUS, 2, 3);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_STATUS, 1), 0);
	/* The configuration is where it is without MSI-X. */
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_CONFIG, 2), 80);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_CONFIG + 2, 2), 25);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_CONFIG, 4), 25 << 16 | 80);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_CONFIG, 1), 80);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_CONFIG + 2, 1), 25);
	out(f, l + VIRTIO_PCI_LEGACY_CONFIG, 2, 1);
	/* A bit that legacy drivers do not know is nothing, and not a reset either. */
	out(f, l + VIRTIO_PCI_LEGACY_STATUS, 1, 3);
	out(f, l + VIRTIO_PCI_LEGACY_STATUS, 1, VIRTIO_STATUS_FEATURES_OK);
	assert_int_equal(in(f, l + VIRTIO_PCI_LEGACY_STATUS, 1), 3);
	assert_false(f->dev->features_final);
}

static void legacy_status(struct fixture *f, uint8_t value)
{
	out(f, f->legacy + VIRTIO_PCI_LEGACY_STATUS, 1, value);
}

/* Queue 1 of the console at page 0x20: 512 bytes of descriptors, available ring, used ring on the next page. */
static void legacy_up(struct fixture *f, uint32_t features, uint32_t pfn)
{
	legacy_status(f, 1);
	legacy_status(f, 3);
	out(f, f->legacy + VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, features);
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, 1);
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, pfn);
}

static void legacy_print(struct fixture *f, const char *text)
{
	uint8_t *ring = f->bed->memory + 0x20000, *avail = ring + 512;
	uint16_t idx = virtio_get16(false, avail + 2);

	memcpy(f->bed->memory + 0x8000, text, 2);
	virtio_put64(false, ring, 0x8000);
	virtio_put32(false, ring + 8, 2);
	virtio_put16(false, avail + 4 + 2 * (idx % 32), 0);
	virtio_put16(false, avail + 2, (uint16_t)(idx + 1));
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_NOTIFY, 2, 1);
}

/* clause 4.1.4.10-4 */
static void legacy_printing(void **state)
{
	struct fixture *f = *state;

	legacy_up(f, (uint32_t)VIRTIO_F_INDIRECT_DESC, 0x20);
	/* This has no business there. */
	out(f, f->common + VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, 1);
	out(f, f->common + VIRTIO_PCI_DRIVER_FEATURE, 4, 1);
	legacy_status(f, 7);
	assert_true(f->dev->live);
	assert_int_equal(f->dev->features, VIRTIO_F_INDIRECT_DESC);
	legacy_print(f, "hi");
	assert_memory_equal(f->console.printed, "hi", 2);
	assert_int_equal(virtio_get16(false, f->bed->memory + 0x21002), 1);
	assert_int_equal(f->bed->lines, 1u << pci_bus_line(1));
	assert_int_equal(in(f, f->legacy + VIRTIO_PCI_LEGACY_ISR, 1), VIRTIO_PCI_ISR_QUEUE);
	assert_int_equal(f->bed->lines, 0);
	/* A page number that changes while the ring is in use does not count; 0 takes everything back. */
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, 0x30);
	assert_int_equal(in(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4), 0x20);
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, 0);
	assert_false(f->dev->live);
	assert_int_equal(f->dev->queues[1].num, 0);
	legacy_print(f, "no");
	assert_int_equal(f->console.len, 2);
	/* Once more: features from the last time are forgotten. */
	memset(f->bed->memory + 0x20000, 0, 0x2000);
	legacy_up(f, 0, 0x20);
	legacy_status(f, 7);
	assert_int_equal(f->dev->features, 0);
	legacy_print(f, "ok");
	assert_int_equal(f->console.len, 4);
}

/* Old drivers use a device before they say DRIVER_OK. */
static void legacy_before_driver_ok(void **state)
{
	struct fixture *f = *state;

	/* Not a driver yet; and then, not a queue. */
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, 1);
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, 0x20);
	legacy_print(f, "no");
	assert_false(f->dev->live);
	assert_int_equal(f->console.len, 0);
	memset(f->bed->memory + 0x20000, 0, 0x2000);
	legacy_up(f, 0, 0x20);
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_NOTIFY, 2, 0);
	assert_false(f->dev->live);
	legacy_print(f, "hi");
	assert_true(f->dev->live);
	assert_int_equal(f->console.len, 2);
	/* A queue that has no ring loses none; one that comes later is taken over at once. */
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, 0);
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, 0);
	assert_true(f->dev->live);
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, 0x30);
	assert_int_equal(f->dev->queues[0].num, 32);
	legacy_status(f, 7);
	assert_int_equal(in(f, f->legacy + VIRTIO_PCI_LEGACY_STATUS, 1), 7);
	/* No such queue. */
	out(f, f->legacy + VIRTIO_PCI_LEGACY_QUEUE_NOTIFY, 2, 0xffff);
	assert_null(f->bed->complaint);
}

static void legacy_misbehaviour(void **state)
{
	struct fixture *f = *state;

	/* Bit 3 is not offered. */
	legacy_up(f, 8, 0x20);
	legacy_status(f, 7);
	assert_non_null(strstr(f->bed->complaint, "features"));
	assert_false(f->dev->live);
	assert_true(in(f, f->legacy + VIRTIO_PCI_LEGACY_STATUS, 1) & VIRTIO_STATUS_NEEDS_RESET);
	legacy_status(f, 0);
	/* A ring beyond the end of memory, and one whose address would wrap in 32 bits. */
	legacy_up(f, 0, PCI_BED_RAM / 4096);
	legacy_status(f, 7);
	assert_non_null(strstr(f->bed->complaint, "outside guest memory"));
	legacy_status(f, 0);
	f->bed->complaint = NULL;
	legacy_up(f, 0, 0x100020);
	legacy_print(f, "no");
	assert_non_null(f->bed->complaint);
	legacy_status(f, 0);
	legacy_up(f, 0, 0x20);
	legacy_status(f, 7);
	memset(f->bed->memory + 0x20000, 0, 0x2000);
	legacy_print(f, "ok");
	assert_int_equal(f->console.len, 2);
}

/* clause 2.6.1, 4.1.4.3.1-7: a queue is reset by itself, and used again elsewhere; the other one goes on. Without the feature nothing happens. */
static void queue_reset(void **state)
{
	struct fixture *f = *state;
	unsigned int reset = f->common + VIRTIO_PCI_QUEUE_RESET, on = f->common + VIRTIO_PCI_QUEUE_ENABLE;

	bring_up(f);
	out(f, reset, 2, 1);
	assert_int_equal(in(f, on, 2), 1);
	set_status(f, 0);
	set_status(f, 3);
	accept(f, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET);
	set_status(f, 11);
	for (unsigned int i = 0; i < 2; i++) {
		place(f, i, 0x10000 + 0x10000 * i);
		enable(f);
	}
	set_status(f, 15);
	out(f, reset, 2, 0);
	assert_int_equal(in(f, on, 2), 1);
	out(f, reset, 2, 1);
	assert_int_equal(in(f, reset, 2), 0);
	assert_int_equal(in(f, on, 2), 0);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_SIZE, 2), 32);
	assert_int_equal(in(f, f->common + VIRTIO_PCI_QUEUE_DESC, 4), 0);
	/* A kick of it is nothing, whatever its memory says now. */
	offer(f, 0x20000, 0x8000, 2, false);
	out(f, f->notify + VIRTIO_PCI_NOTIFY_STEP, 2, 1);
	assert_int_equal(f->console.len, 0);
	place(f, 1, 0x30000);
	enable(f);
	offer(f, 0x30000, 0x8000, 3, false);
	out(f, f->notify + VIRTIO_PCI_NOTIFY_STEP, 2, 1);
	assert_int_equal(f->console.len, 3);
	assert_true(f->dev->queues[0].num);
	assert_null(f->bed->complaint);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
#define test_modern(name) cmocka_unit_test_setup_teardown(name, setup_modern, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test_modern(modern_ids), test(transitional_ids), cmocka_unit_test(ids_of_all), cmocka_unit_test(cannot_be_described),
		test(capability_list), test_modern(capability_list), test(features_in_halves), test(features_refused),
		test(status_bits_stay), test(driver_ok_too_early), test(queue_registers), test(wrong_widths), test(enabling),
		test(bad_queues), test_modern(printing), test(printing), test(kick_before_driver_ok), test(reset_forgets),
		cmocka_unit_test_setup_teardown(reset_drains, setup_disk, teardown), test(broken_ring), test(losing_the_bus),
		test(config_window), test(config_changes), test(through_the_configuration_space), test(restarting),
		test(legacy_registers), test(legacy_printing), test(legacy_before_driver_ok), test(legacy_misbehaviour), test(queue_reset),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
