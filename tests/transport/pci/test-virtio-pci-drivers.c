/* SPDX-License-Identifier: MIT */
/*
 * The drivers of libvirtio against its devices over PCI, both ends in this process, each test three times: a modern device, a
 * transitional one with a modern driver, and a transitional one with a legacy driver.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-net.h>
#include <virtio/driver-rng.h>

#include "tests/device/bed.h"
#include "tests/device/pci-bed.h"

struct fixture {
	struct pci_bed *bed;
	bool legacy;
	struct fake_disk disk;
	struct fake_net net;
	struct fake_entropy entropy;
	struct fake_console console;
};

static void run_disk(struct pci_bed *bed)
{
	fake_disk_run(&((struct fixture *)bed->opaque)->disk);
}

static int setup_as(void **state, enum virtio_pci_kind kind, bool legacy)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->legacy = legacy;
	f->bed = pci_bed_create();
	f->bed->opaque = f;
	f->bed->idle = run_disk;
	fake_disk_init(&f->disk);
	fake_net_init(&f->net, true);
	fake_entropy_init(&f->entropy);
	fake_console_init(&f->console);
	pci_bed_add(f->bed, block_device_create(&f->disk.be), kind);
	pci_bed_add(f->bed, net_device_create(&f->net.be), kind);
	pci_bed_add(f->bed, rng_device_create(&f->entropy.be), kind);
	pci_bed_add(f->bed, console_device_create(&f->console.be), kind);
	pci_bed_boot(f->bed, legacy);
	*state = f;
	return 0;
}

static int setup_modern(void **state)
{
	return setup_as(state, VIRTIO_PCI_MODERN, false);
}

static int setup_transitional(void **state)
{
	return setup_as(state, VIRTIO_PCI_TRANSITIONAL, false);
}

static int setup_legacy(void **state)
{
	return setup_as(state, VIRTIO_PCI_TRANSITIONAL, true);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_null(f->bed->complaint);
	assert_int_equal(f->bed->strays, 0);
	assert_int_equal(f->bed->lines, 0);
	pci_bed_destroy(f->bed);
	free(f);
	return 0;
}

/* The device of this id, whatever is in front of it. */
static struct virtio_device *find(struct fixture *f, uint32_t id)
{
	static const uint32_t order[] = { VIRTIO_ID_BLOCK, VIRTIO_ID_NET, VIRTIO_ID_RNG, VIRTIO_ID_CONSOLE };
	struct virtio_pci_device *device;
	unsigned int i = 0;

	do
		device = pci_bed_next(f->bed, order[i]);
	while (order[i++] != id);
	assert_int_equal(device->slot, i);
	assert_int_equal(device->line, pci_bus_line(device->slot));
	assert_int_equal(device->legacy, f->legacy);
	return &device->vdev;
}

/* The right kind of agreement was reached. */
static void check_features(struct fixture *f, struct virtio_device *vdev)
{
	struct virtio_dev *dev = f->bed->fn[((struct virtio_pci_device *)vdev)->slot - 1].regs.dev;

	assert_int_equal(dev->features, vdev->features);
	assert_int_equal(!!(vdev->features & VIRTIO_F_VERSION_1), !f->legacy);
	assert_true(virtio_device_has(vdev, VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC));
	assert_true(dev->live);
}

static void everybody_is_found(void **state)
{
	struct fixture *f = *state;
	struct virtio_pci_device none;

	find(f, VIRTIO_ID_CONSOLE);
	assert_false(virtio_pci_bus_next(&f->bed->guest, &none));
}

static void block(void **state)
{
	struct fixture *f = *state;
	struct virtio_block *blk = pci_bed_alloc(f->bed, sizeof(*blk));
	uint8_t *data = pci_bed_alloc(f->bed, 8192);
	char id[VIRTIO_BLOCK_ID_LEN + 1];
	struct virtio_device *vdev = find(f, VIRTIO_ID_BLOCK);

	for (size_t i = 0; i < FAKE_DISK_SIZE; i++)
		f->disk.data[i] = (uint8_t)(i / 512 * 3 + i);
	assert_int_equal(virtio_block_probe(blk, vdev), 0);
	check_features(f, vdev);
	assert_int_equal(blk->capacity, FAKE_DISK_SIZE / 512);
	assert_int_equal(blk->seg_max, 126);
	for (unsigned int held = 0; held < 2; held++) {
		f->disk.hold = held;
		assert_int_equal(virtio_block_read(blk, 5, data, 8192), 0);
		assert_memory_equal(data, f->disk.data + 5 * 512, 8192);
		memset(data, 0x5a + (int)held, 8192);
		assert_int_equal(virtio_block_write(blk, 100, data, 8192), 0);
		assert_memory_equal(data, f->disk.data + 100 * 512, 8192);
	}
	assert_int_equal(virtio_block_flush(blk), 0);
	assert_int_equal(f->disk.flushes, 1);
	assert_int_equal(virtio_block_get_id(blk, id), 0);
	assert_string_equal(id, "KENNEL-0123456789ABC");
	assert_int_equal(virtio_block_read(blk, FAKE_DISK_SIZE / 512, data, 512), -VIRTIO_EIO);
	virtio_block_remove(blk);
	/* And once more, as after a driver has been unloaded and loaded. */
	memset(blk, 0, sizeof(*blk));
	assert_int_equal(virtio_block_probe(blk, vdev), 0);
	assert_int_equal(virtio_block_read(blk, 0, data, 512), 0);
	assert_memory_equal(data, f->disk.data, 512);
	pci_bed_interrupts(f->bed);
	virtio_block_remove(blk);
}

static void net(void **state)
{
	struct fixture *f = *state;
	struct virtio_net *nic = pci_bed_alloc(f->bed, sizeof(*nic));
	struct virtio_device *vdev = find(f, VIRTIO_ID_NET);
	uint8_t frame[VIRTIO_NET_FRAME], got[VIRTIO_NET_FRAME];
	struct virtio_iov iov = { frame, sizeof(frame) };

	for (unsigned int i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	assert_int_equal(virtio_net_probe(nic, vdev), 0);
	check_features(f, vdev);
	assert_memory_equal(nic->mac, f->net.be.mac, 6);
	assert_true(virtio_net_link(nic));
	/* 5.1.6.1: the only difference that legacy makes to the header is its length. */
	assert_int_equal(nic->header, f->legacy ? 10 : 12);
	for (unsigned int i = 0; i < 40; i++) {
		frame[13] = (uint8_t)i;
		assert_int_equal(virtio_net_send(nic, frame, sizeof(frame)), 0);
		assert_int_equal(f->net.sent_len, sizeof(frame));
		assert_memory_equal(f->net.sent, frame, sizeof(frame));
		assert_true(f->net.be.receiver.receive(f->net.be.receiver.opaque, &iov, 1, NULL));
		pci_bed_interrupts(f->bed);
		assert_int_equal(virtio_net_receive(nic, got, sizeof(got)), sizeof(frame));
		assert_memory_equal(got, frame, sizeof(frame));
	}
	assert_int_equal(f->net.frames, 40);
	virtio_net_remove(nic);
}

static void rng(void **state)
{
	struct fixture *f = *state;
	struct virtio_rng *source = pci_bed_alloc(f->bed, sizeof(*source));
	struct virtio_device *vdev = find(f, VIRTIO_ID_RNG);
	uint8_t bytes[1000];

	assert_int_equal(virtio_rng_probe(source, vdev), 0);
	check_features(f, vdev);
	assert_int_equal(virtio_rng_read(source, bytes, sizeof(bytes)), 0);
	for (unsigned int i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], (uint8_t)(i + 1));
	pci_bed_interrupts(f->bed);
	virtio_rng_remove(source);
}

static void console(void **state)
{
	struct fixture *f = *state;
	struct virtio_console *con = pci_bed_alloc(f->bed, sizeof(*con));
	struct virtio_device *vdev = find(f, VIRTIO_ID_CONSOLE);
	char *text = pci_bed_alloc(f->bed, 16);
	uint16_t columns, rows;

	assert_int_equal(virtio_console_probe(con, vdev), 0);
	check_features(f, vdev);
	memcpy(text, "good morning", 12);
	assert_int_equal(virtio_console_write(con, text, 12), 12);
	assert_memory_equal(f->console.printed, "good morning", 12);
	assert_int_equal(f->console.be.input(f->console.be.opaque, "typed", 5), 5);
	pci_bed_interrupts(f->bed);
	assert_int_equal(f->bed->config_changes, 1);	/* the driver has begun, and is told to look at its window */
	assert_int_equal(virtio_console_read(con, text, 16), 5);
	assert_memory_equal(text, "typed", 5);
	/* The window changes: an interrupt says so, and the new size is there. */
	assert_true(virtio_console_size(con, &columns, &rows));
	assert_int_equal(columns, 80);
	f->console.columns = 132;
	f->console.be.resized(f->console.be.opaque, 132, 25);
	pci_bed_interrupts(f->bed);
	assert_int_equal(f->bed->config_changes, 2);
	assert_true(virtio_console_size(con, &columns, &rows));
	assert_int_equal(columns, 132);
	virtio_console_remove(con);
}

/* All at once, on shared lines: who is interrupted finds out by asking. */
static void together(void **state)
{
	struct fixture *f = *state;
	struct virtio_block *blk = pci_bed_alloc(f->bed, sizeof(*blk));
	struct virtio_console *con = pci_bed_alloc(f->bed, sizeof(*con));
	uint8_t *data = pci_bed_alloc(f->bed, 512);

	assert_int_equal(virtio_block_probe(blk, find(f, VIRTIO_ID_BLOCK)), 0);
	pci_bed_next(f->bed, VIRTIO_ID_NET);
	pci_bed_next(f->bed, VIRTIO_ID_RNG);
	assert_int_equal(virtio_console_probe(con, &pci_bed_next(f->bed, VIRTIO_ID_CONSOLE)->vdev), 0);
	f->disk.hold = true;
	for (unsigned int i = 0; i < 20; i++) {
		f->console.be.input(f->console.be.opaque, "x", 1);
		assert_int_equal(virtio_block_read(blk, i, data, 512), 0);
		pci_bed_interrupts(f->bed);
		assert_int_equal(virtio_console_read(con, data, 512), 1);
	}
	virtio_block_remove(blk);
	virtio_console_remove(con);
}

#define three(name) \
	{ #name " (modern)", name, setup_modern, teardown, NULL }, { #name " (transitional)", name, setup_transitional, teardown, NULL }, \
	{ #name " (legacy)", name, setup_legacy, teardown, NULL }

int main(void)
{
	const struct CMUnitTest tests[] = { three(everybody_is_found), three(block), three(net), three(rng), three(console), three(together) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
