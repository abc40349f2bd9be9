/* SPDX-License-Identifier: MIT */
/* The lguest page of Linux 2.6.24: its fields byte for byte, the headers of its time, and a bus on which nothing is announced. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/arena.h>

#include <transport/lguest/tlv-guest.h>
#include <transport/lguest/tlv-host.h>
#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-net.h>

#include "tests/device/bed.h"

#define TOP	BED_RAM
#define SIZE	BED_SIZE

static struct {
	uint8_t *memory;
	size_t next;
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct lguest_tlv host;
	struct lguest_tlv_bus guest;
	uint32_t irqs;
	const char *complaint;
} m;

static struct fake_console console;
static struct fake_disk disk, disk2;
static struct fake_net net;

static void raise_irq(void *opaque, unsigned int irq)
{
	assert_in_range(irq, 1, 31);
	m.irqs |= UINT32_C(1) << irq;
}

static void complain(void *opaque, const struct virtio_dev *dev, const char *reason)
{
	m.complaint = reason;
}

static void notify(void *opaque, uint64_t address)
{
	assert_true(lguest_tlv_notify(&m.host, address));
}

static void *alloc(void *opaque, size_t size, size_t align)
{
	return arena_take(m.memory, TOP, &m.next, size, align);
}

static void wait(void *opaque)
{
	uint32_t irqs = m.irqs;

	fake_disk_run(&disk);
	m.irqs = 0;
	for (unsigned int i = 0; i < 32; i++)
		if (irqs >> i & 1)
			lguest_tlv_bus_interrupt(&m.guest, i);
}

static int setup(void **state)
{
	memset(&m, 0, sizeof(m));
	m.memory = aligned_alloc(4096, SIZE);
	memset(m.memory, 0, TOP);
	memset(m.memory + TOP, 0xa5, SIZE - TOP);
	m.next = 4096;
	m.mem = (struct virtio_mem){ .base = m.memory, .size = SIZE };
	m.platform = (struct virtio_platform){ .mem = &m.mem, .alloc = alloc, .wait = wait };
	assert_int_equal(lguest_tlv_init(&m.host, &m.mem, TOP, SIZE, raise_irq, NULL), 0);
	m.host.complain = complain;
	assert_int_equal(lguest_tlv_bus_init(&m.guest, &m.platform, TOP, notify, NULL), 0);
	fake_console_init(&console);
	fake_disk_init(&disk);
	fake_disk_init(&disk2);
	fake_net_init(&net, true);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned int i = 0; i < m.host.space.count; i++)
		virtio_dev_destroy(m.host.slot[i].dev);
	free(m.memory);
	return 0;
}

static struct virtio_dev *add(struct virtio_dev *dev)
{
	assert_int_equal(lguest_tlv_add(&m.host, dev, NULL), 0);
	return dev;
}

static struct lguest_tlv_device *next(uint32_t id)
{
	struct lguest_tlv_device *device = alloc(NULL, sizeof(*device), 16);

	assert_true(lguest_tlv_bus_next(&m.guest, device));
	assert_int_equal(device->vdev.id, id);
	return device;
}

static uint8_t *page(void)
{
	return m.memory + TOP;
}

static void layout(void **state)
{
	/* 1 MiB of RAM: rings from page 0x101 on. Disk: one queue of 128, irq 1; capacity 512; seg_max 126. */
	static const uint8_t block[] = { 2, 10 + 10 + 6, 0, 2, 8, 128, 0, 1, 0, 1, 1, 0, 0, 0x41, 8, 0, 2, 0, 0, 0, 0, 0, 0, 0x43, 4, 126, 0, 0, 0 };
	/* Network: two queues of 256, three pages each, irq 2 and 3; the address. */
	static const uint8_t nic[] = { 1, 10 + 10 + 8, 0, 2, 8, 0, 1, 2, 0, 3, 1, 0, 0, 2, 8, 0, 1, 3, 0, 6, 1, 0, 0, 0x41, 6, 2, 0x4b, 0x4e, 0, 0, 7 };
	static const uint8_t tty[] = { 3, 20, 0, 2, 8, 32, 0, 4, 0, 9, 1, 0, 0, 2, 8, 32, 0, 5, 0, 11, 1, 0, 0, 0 };

	add(block_device_create(&disk.be));
	add(net_device_create(&net.be));
	add(console_device_create(&console.be));
	assert_memory_equal(page(), block, sizeof(block));
	assert_memory_equal(page() + sizeof(block), nic, sizeof(nic));
	assert_memory_equal(page() + sizeof(block) + sizeof(nic), tty, sizeof(tty));
	assert_int_equal(lguest_tlv_end(&m.host), TOP + 13 * 4096);
}

static void setup_errors(void **state)
{
	static const struct virtio_dev_ops mute = { .name = "mute" };
	struct vring_device queues[26];
	struct virtio_dev wide = { .ops = &mute, .id = 200, .queues = queues, .num_queues = 26 };
	struct fake_console consoles[16];
	struct lguest_tlv bus;
	struct virtio_dev *dev;
	const char *reason;

	assert_int_equal(lguest_tlv_init(&bus, &m.mem, TOP + 1, SIZE, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(&bus, &m.mem, TOP, TOP, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(&bus, NULL, TOP, SIZE, raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(&bus, &m.mem, TOP, SIZE + 1, raise_irq, NULL), -VIRTIO_EFAULT);
	assert_int_equal(lguest_tlv_init(&bus, &m.mem, TOP, UINT64_C(0x100001000), raise_irq, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_tlv_init(&bus, &m.mem, TOP, SIZE, NULL, NULL), -VIRTIO_EINVAL);
	/* 26 queues are 260 bytes of fields, and the length is one byte. */
	memset(queues, 0, sizeof(queues));
	for (unsigned int i = 0; i < 26; i++)
		queues[i].num_max = 2;
	assert_int_equal(lguest_tlv_add(&m.host, &wide, &reason), -VIRTIO_EINVAL);
	assert_non_null(reason);
	for (unsigned int i = 0; i < 15; i++) {
		fake_console_init(&consoles[i]);
		add(console_device_create(&consoles[i].be));
	}
	fake_console_init(&consoles[15]);
	dev = console_device_create(&consoles[15].be);
	assert_int_equal(lguest_tlv_add(&m.host, dev, &reason), -VIRTIO_ENOSPC);
	assert_non_null(strstr(reason, "interrupts"));
	virtio_dev_destroy(dev);
	for (unsigned int i = 0; i < 15; i++)
		virtio_dev_destroy(m.host.slot[i].dev);
	m.host.space.count = 0;
}

/* Requests begin with 24 bytes, frames with 8. */
static void early_headers(void **state)
{
	struct virtio_block *blk = alloc(NULL, sizeof(*blk), 16);
	struct virtio_net *nic = alloc(NULL, sizeof(*nic), 16);
	uint8_t *data = alloc(NULL, 512, 16), *ring = m.memory + TOP + 4096, frame[60], got[60];
	struct virtio_iov iov = { frame, sizeof(frame) };

	memset(frame, 0x77, sizeof(frame));
	memset(disk.data + 512, 0x33, 512);
	add(block_device_create(&disk.be));
	add(net_device_create(&net.be));
	assert_int_equal(virtio_block_probe(blk, &next(VIRTIO_ID_BLOCK)->vdev), 0);
	assert_int_equal(blk->capacity, FAKE_DISK_SIZE / 512);
	assert_int_equal(blk->seg_max, 126);
	assert_int_equal(virtio_block_read(blk, 1, data, 512), 0);
	assert_int_equal(data[511], 0x33);
	/* What lies in the ring: a header of 24 bytes, the data, the status. */
	assert_int_equal(virtio_get32(false, ring + 8), 24);
	assert_int_equal(virtio_get32(false, ring + 16 + 8), 512);
	assert_int_equal(virtio_get32(false, ring + 32 + 8), 1);
	assert_int_equal(virtio_net_probe(nic, &next(VIRTIO_ID_NET)->vdev), 0);
	assert_memory_equal(nic->mac, net.be.mac, 6);
	assert_int_equal(nic->header, 8);
	assert_int_equal(virtio_net_send(nic, frame, sizeof(frame)), 0);
	assert_int_equal(net.sent_len, sizeof(frame));
	assert_memory_equal(net.sent, frame, sizeof(frame));
	assert_true(net.be.receiver.receive(net.be.receiver.opaque, &iov, 1, NULL));
	assert_int_equal(virtio_net_receive(nic, got, sizeof(got)), sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));
	assert_null(m.complaint);
}

/* A header of 16 bytes is a short one here. */
static void modern_header(void **state)
{
	struct virtio_block *blk = alloc(NULL, sizeof(*blk), 16);
	struct lguest_tlv_device *device;
	uint8_t *data = alloc(NULL, 512, 16);

	add(block_device_create(&disk.be));
	device = next(VIRTIO_ID_BLOCK);
	device->vdev.early = false;
	assert_int_equal(virtio_block_probe(blk, &device->vdev), 0);
	m.platform.wait = NULL;
	blk->own.used = VIRTIO_PENDING;
	assert_int_equal(virtio_block_submit(blk, &blk->own, VIRTIO_BLOCK_T_IN, 0, &(struct virtio_iov){ data, 512 }, 1), 0);
	virtio_sync(blk->queue);
	assert_non_null(strstr(m.complaint, "header"));
	assert_true(lguest_tlv_notify(&m.host, TOP + 4096));
	assert_non_null(m.host.slot[0].dev->broken);
	/* There is no reset: the driver gives up, and if there is another, it finds an empty ring. */
	m.complaint = NULL;
	virtio_block_remove(blk);
	assert_int_equal(page()[TLV_DESC_STATUS], VIRTIO_STATUS_FAILED);
	assert_false(m.host.slot[0].dev->live);
	page()[TLV_DESC_STATUS] = 3;
	assert_true(lguest_tlv_notify(&m.host, TOP + 4096));
	assert_true(m.host.slot[0].dev->live);
	assert_null(m.complaint);
}

static void begins_at_first_kick(void **state)
{
	struct virtio_dev *dev = add(console_device_create(&console.be));

	page()[TLV_DESC_STATUS] = 3;
	assert_false(dev->live);
	/* Neither a descriptor nor the inside of a ring is one. */
	assert_false(lguest_tlv_notify(&m.host, TOP));
	assert_false(lguest_tlv_notify(&m.host, TOP + 4097));
	assert_false(lguest_tlv_notify(&m.host, TOP + 2 * 4096));
	assert_false(lguest_tlv_notify(&m.host, 0));
	assert_false(dev->live);
	assert_true(lguest_tlv_notify(&m.host, TOP + 3 * 4096));
	assert_true(dev->live);
	assert_int_equal(dev->features, 0);
	page()[TLV_DESC_STATUS] = 0x83;
	assert_true(lguest_tlv_notify(&m.host, TOP + 3 * 4096));
	assert_false(dev->live);
}

static void taken_once(void **state)
{
	struct virtio_console *con = alloc(NULL, sizeof(*con), 16);
	struct lguest_tlv_device *device;
	char *text = alloc(NULL, 8, 16);
	uint8_t byte;

	add(console_device_create(&console.be));
	device = next(VIRTIO_ID_CONSOLE);
	memcpy(text, "printed", 7);
	assert_int_equal(virtio_console_probe(con, &device->vdev), 0);
	assert_int_equal(page()[3], TLV_TYPE_QUEUE | TLV_FIELD_USED);
	assert_int_equal(page()[13], TLV_TYPE_QUEUE | TLV_FIELD_USED);
	assert_int_equal(virtio_console_write(con, text, 7), 7);
	assert_memory_equal(console.printed, "printed", 7);
	assert_int_equal(console.be.input(console.be.opaque, "y", 1), 1);
	wait(NULL);
	assert_int_equal(virtio_console_read(con, &byte, 1), 1);
	virtio_console_remove(con);
	assert_int_equal(page()[TLV_DESC_STATUS], VIRTIO_STATUS_FAILED);
	assert_false(m.host.slot[0].dev->live);
	assert_int_equal(virtio_console_probe(con, &device->vdev), -VIRTIO_EBUSY);
	/* Until the guest restarts, which writes the page anew. */
	lguest_tlv_restart(&m.host);
	assert_int_equal(page()[3], TLV_TYPE_QUEUE);
	memset(con, 0, sizeof(*con));
	assert_int_equal(virtio_console_probe(con, &device->vdev), 0);
	assert_int_equal(virtio_console_write(con, text, 7), 7);
}

static void several_disks(void **state)
{
	struct virtio_block *blk[2];
	uint8_t *data = alloc(NULL, 512, 16);

	memset(disk.data, 1, 512);
	memset(disk2.data, 2, 512);
	add(block_device_create(&disk.be));
	add(block_device_create(&disk2.be));
	for (int i = 0; i < 2; i++) {
		blk[i] = alloc(NULL, sizeof(*blk[i]), 16);
		assert_int_equal(virtio_block_probe(blk[i], &next(VIRTIO_ID_BLOCK)->vdev), 0);
	}
	/* What the guest writes into the page is not looked at. */
	memset(page(), 0xff, 4096);
	page()[TLV_DESC_STATUS] = page()[29 + TLV_DESC_STATUS] = 3;
	for (int i = 1; i >= 0; i--) {
		assert_int_equal(virtio_block_read(blk[i], 0, data, 512), 0);
		assert_int_equal(data[0], i + 1);
	}
}

/* Fields that reach out of their descriptor, queues that are none, configuration that is not there. */
static void lying_host(void **state)
{
	struct lguest_tlv_device *device;
	struct virtio_queue *vq;
	struct virtio_device *vdev;
	uint8_t bytes[16];

	add(console_device_create(&console.be));
	device = next(VIRTIO_ID_CONSOLE);
	vdev = &device->vdev;
	assert_int_equal(vdev->bus->get(vdev, 0, bytes, 1), -VIRTIO_ERANGE);
	assert_int_equal(vdev->bus->set(vdev, 0, bytes, 0), -VIRTIO_ERANGE);
	assert_int_equal(virtio_device_setup(vdev, ~UINT64_C(0)), 0);
	assert_int_equal(vdev->features, 0);
	assert_int_equal(virtio_device_queue(vdev, 2, NULL, NULL, &vq), -VIRTIO_ENOENT);
	page()[3 + TLV_FIELD_LEN] = 19;
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), -VIRTIO_ENOENT);
	page()[3 + TLV_FIELD_LEN] = 7;
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), -VIRTIO_EINVAL);
	page()[3 + TLV_FIELD_LEN] = 8;
	page()[5 + LGUEST_VQ_IRQ] = 32;
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), -VIRTIO_EINVAL);
	page()[5 + LGUEST_VQ_IRQ] = 1;
	page()[5] = 33;
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), -VIRTIO_EINVAL);
	page()[5] = 32;
	page()[5 + LGUEST_VQ_PFN + 2] = 0x80;
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), -VIRTIO_EFAULT);
	/* A last descriptor that says it is longer than the page, after others that fill it. */
	memset(page(), 0xff, 4096);
	assert_int_equal(lguest_tlv_bus_init(&m.guest, &m.platform, TOP, notify, NULL), 0);
	while (lguest_tlv_bus_next(&m.guest, device))
		;
	assert_int_equal(m.guest.next, 15 * 258);
	assert_int_equal(lguest_tlv_bus_init(&m.guest, &m.platform, SIZE, notify, NULL), -VIRTIO_EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(layout, setup, teardown),
		cmocka_unit_test_setup_teardown(setup_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(early_headers, setup, teardown),
		cmocka_unit_test_setup_teardown(modern_header, setup, teardown),
		cmocka_unit_test_setup_teardown(begins_at_first_kick, setup, teardown),
		cmocka_unit_test_setup_teardown(taken_once, setup, teardown),
		cmocka_unit_test_setup_teardown(several_disks, setup, teardown),
		cmocka_unit_test_setup_teardown(lying_host, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
