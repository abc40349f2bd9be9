/* SPDX-License-Identifier: MIT */
/*
 * The lguest bus of Linux 2.6.23, call by call: slots, bindings, consoles, frames, disks; and guests that lie about their
 * lists.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/arena.h>

#include <transport/lguest/dma-guest.h>
#include <transport/lguest/dma-host.h>

#include "tests/device/bed.h"

#define TOP	BED_RAM
#define SIZE	(TOP + 0x10000u)
#define LIST	0x2000u			/* where lists of these tests lie */
#define DATA	0x10000u

/* In the order in which they are on the bus: irq 1, 2, 3. */
enum { BLOCK_PAGE = TOP + 0x1000, NET_PAGE = TOP + 0x2000 };

static struct {
	uint8_t *memory, *private;
	size_t next;
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct lguest_dma_bus host;
	struct lguest_dma_guest guest;
	struct virtio_dev *dev[3];
	uint32_t irqs;
	bool woken;
	char printed[256];
	size_t printed_len;
	uint64_t dirty_from, dirty_to;
} m;

static struct fake_console console;
static struct fake_disk disk;
static struct fake_net net;

static void raise_irq(void *opaque, unsigned int irq)
{
	m.irqs |= UINT32_C(1) << irq;
}

static void wake(void *opaque)
{
	m.woken = true;
}

static void print(void *opaque, const char *text, size_t len)
{
	assert_true(m.printed_len + len <= sizeof(m.printed));
	memcpy(m.printed + m.printed_len, text, len);
	m.printed_len += len;
}

static void dirty(void *opaque, uint64_t gpa, uint64_t len)
{
	assert_true(gpa + len <= SIZE);
	m.dirty_from = gpa;
	m.dirty_to = gpa + len;
}

static void *alloc(void *opaque, size_t size, size_t align)
{
	return arena_take(m.memory, TOP, &m.next, size, align);
}

static void wait(void *opaque)
{
	uint32_t irqs;

	fake_disk_run(&disk);
	lguest_dma_poll(&m.host);
	irqs = m.irqs;
	m.irqs = 0;
	for (unsigned int i = 1; i < 32; i++)
		if (irqs >> i & 1)
			lguest_dma_guest_interrupt(&m.guest, i);
}

static const struct lguest_dma_ops ops = { .raise = raise_irq, .wake = wake, .print = print };

static int setup_empty(void **state)
{
	memset(&m, 0, sizeof(m));
	m.memory = aligned_alloc(4096, SIZE);
	m.private = aligned_alloc(4096, LGUEST_DMA_PRIVATE);
	memset(m.memory, 0, TOP);
	memset(m.memory + TOP, 0xa5, SIZE - TOP);
	m.next = 0x40000;
	m.mem = (struct virtio_mem){ .base = m.memory, .size = SIZE, .dirty = dirty };
	m.platform = (struct virtio_platform){ .mem = &m.mem, .alloc = alloc, .wait = wait };
	assert_int_equal(lguest_dma_init(&m.host, &m.mem, TOP, SIZE, m.private, LGUEST_DMA_PRIVATE, &ops, NULL), 0);
	fake_console_init(&console);
	fake_disk_init(&disk);
	fake_net_init(&net, true);
	return 0;
}

static int setup(void **state)
{
	setup_empty(state);
	m.dev[0] = block_device_create(&disk.be);
	m.dev[1] = net_device_create(&net.be);
	m.dev[2] = console_device_create(&console.be);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(lguest_dma_add(&m.host, m.dev[i], NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	for (unsigned int i = 0; i < 3; i++)
		virtio_dev_destroy(m.dev[i]);
	free(m.private);
	free(m.memory);
	return 0;
}

static uint32_t word(uint64_t at)
{
	return virtio_get32(false, m.memory + at);
}

static void set_word(uint64_t at, uint32_t value)
{
	virtio_put32(false, m.memory + at, value);
}

/* Section @i of the list at @list. */
static void section(uint32_t list, unsigned int i, uint32_t addr, uint16_t len)
{
	virtio_put32(false, m.memory + list + DMA_ADDR + 4 * (size_t)i, addr);
	virtio_put16(false, m.memory + list + DMA_LEN + 2 * (size_t)i, len);
}

/* --- layout --------------------------------------------------------------------------------------------------------- */

static void layout(void **state)
{
	uint8_t *slot = m.memory + TOP;

	/* type, features, status, pages, page frame. */
	assert_memory_equal(slot, "\3\0\0\x80\0\0\1\0\1\1\0\0", 12);
	assert_memory_equal(slot + 12, "\2\0\1\x80\0\0\1\0\2\1\0\0", 12);
	assert_memory_equal(slot + 24, "\1\0\0\x80\0\0\0\0\0\0\0\0", 12);
	assert_true(virtio_is_zero(slot + 36, 4096 - 36));
	assert_int_equal(word(BLOCK_PAGE + DMA_BLOCK_CAPACITY), FAKE_DISK_SIZE / 512);
	/* The host wants every frame; the guest is not there yet. */
	assert_int_equal(m.memory[NET_PAGE], 3);
	assert_true(virtio_is_zero(m.memory + NET_PAGE + 6, 6));
	assert_int_equal(lguest_dma_end(&m.host), TOP + 0x3000);
}

static void setup_errors(void **state)
{
	struct fake_console second;
	struct fake_entropy entropy;
	struct lguest_dma_bus bus;
	struct virtio_dev *dev;
	const char *reason;

	assert_int_equal(lguest_dma_init(&bus, &m.mem, TOP + 1, SIZE, m.private, 4096, &ops, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_init(&bus, &m.mem, TOP, SIZE + 1, m.private, 4096, &ops, NULL), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_init(&bus, &m.mem, TOP, SIZE, m.private + 1, 4096, &ops, NULL), -VIRTIO_EINVAL);
	assert_int_equal(lguest_dma_init(&bus, &m.mem, TOP, SIZE, m.private, 4096, NULL, NULL), -VIRTIO_EINVAL);
	fake_entropy_init(&entropy);
	dev = rng_device_create(&entropy.be);
	assert_int_equal(lguest_dma_add(&m.host, dev, &reason), -VIRTIO_EINVAL);
	assert_non_null(strstr(reason, "consoles, disks and network cards"));
	virtio_dev_destroy(dev);
	fake_console_init(&second);
	dev = console_device_create(&second.be);
	assert_int_equal(lguest_dma_add(&m.host, dev, &reason), -VIRTIO_EINVAL);
	assert_non_null(strstr(reason, "one console"));
	/* Private memory for half a console. */
	assert_int_equal(lguest_dma_init(&bus, &m.mem, TOP, SIZE, m.private, 4096, &ops, NULL), 0);
	assert_int_equal(lguest_dma_add(&bus, dev, &reason), -VIRTIO_ENOSPC);
	assert_non_null(reason);
	virtio_dev_destroy(dev);
	assert_int_equal(lguest_dma_add(&m.host, NULL, &reason), -VIRTIO_EINVAL);
}

/* --- calls ---------------------------------------------------------------------------------------------------------- */

static void bindings(void **state)
{
	assert_int_equal(lguest_dma_bind(&m.host, DATA + 1, LIST, 1 << 8 | 3), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_bind(&m.host, SIZE, LIST, 1 << 8 | 3), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_bind(&m.host, DATA, SIZE - 99, 1 << 8 | 3), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_bind(&m.host, DATA, UINT32_MAX, 255 << 8 | 3), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_bind(&m.host, DATA, LIST, 1 << 8 | 32), 0);
	assert_int_equal(lguest_dma_bind(&m.host, DATA, LIST, 256 << 8 | 3), 0);
	for (unsigned int i = 0; i < DMA_MAX_BINDINGS; i++)
		assert_int_equal(lguest_dma_bind(&m.host, DATA, LIST + 100 * i, 1 << 8 | 3), 1);
	assert_int_equal(lguest_dma_bind(&m.host, DATA, LIST, 1 << 8 | 3), 0);
	assert_int_equal(lguest_dma_bind(&m.host, DATA, LIST + 1, 0), 0);
	assert_int_equal(lguest_dma_bind(&m.host, DATA, LIST + 500, 0), 1);
	assert_int_equal(lguest_dma_bind(&m.host, DATA, LIST + 500, 0), 0);
	assert_int_equal(lguest_dma_bind(&m.host, DATA, LIST + 500, 1 << 8 | 3), 1);
	assert_int_equal(lguest_dma_restart(&m.host), 0);
	assert_int_equal(lguest_dma_bind(&m.host, DATA, LIST, 0), 0);
}

static void lying_lists(void **state)
{
	assert_int_equal(lguest_dma_send(&m.host, 0, SIZE - 99), -VIRTIO_EFAULT);
	assert_int_equal(lguest_dma_send(&m.host, 0, UINT32_MAX), -VIRTIO_EFAULT);
	section(LIST, 0, DATA, 4);
	section(LIST, 1, SIZE - 1, 2);
	assert_int_equal(lguest_dma_send(&m.host, 0, LIST), -VIRTIO_EFAULT);
	section(LIST, 1, UINT32_MAX, 0xffff);
	assert_int_equal(lguest_dma_send(&m.host, 0, LIST), -VIRTIO_EFAULT);
	assert_int_equal(console.len, 0);
	/* A key that is nobody's. */
	section(LIST, 1, 0, 0);
	assert_int_equal(lguest_dma_send(&m.host, DATA, LIST), 0);
	assert_int_equal(word(LIST), 0);
}

/* Without a console text goes elsewhere; sections of any number and length. */
static void early_console(void **state)
{
	memcpy(m.memory + DATA, "early text", 10);
	section(LIST, 0, DATA, 6);
	section(LIST, 1, DATA + 6, 4);
	assert_int_equal(lguest_dma_send(&m.host, DMA_CONSOLE_KEY, LIST), 0);
	assert_int_equal(m.printed_len, 10);
	assert_memory_equal(m.printed, "early text", 10);
}

static void console_output(void **state)
{
	for (unsigned int i = 0; i < 150; i++)
		m.memory[DATA + i] = (uint8_t)('a' + i % 26);
	section(LIST, 0, DATA, 100);
	section(LIST, 1, DATA + 100, 50);
	assert_int_equal(lguest_dma_send(&m.host, DMA_CONSOLE_KEY, LIST), 0);
	assert_int_equal(console.len, 150);
	assert_memory_equal(console.printed, m.memory + DATA, 150);
	assert_int_equal(m.printed_len, 0);
}

/* Into the first free list of the newest binding; what does not fit waits. */
static void console_input(void **state)
{
	section(LIST, 0, DATA, 3);
	section(LIST + 100, 0, DATA + 100, 2);
	assert_int_equal(console.be.input(console.be.opaque, "abcdefg", 7), 7);
	assert_true(m.woken);
	lguest_dma_poll(&m.host);
	assert_int_equal(m.irqs, 0);
	assert_int_equal(lguest_dma_bind(&m.host, DMA_CONSOLE_KEY, LIST, 2 << 8 | 3), 1);
	assert_int_equal(m.irqs, 1 << 3);
	assert_int_equal(word(LIST), 3);
	assert_int_equal(word(LIST + 100), 2);
	assert_memory_equal(m.memory + DATA, "abc", 3);
	assert_memory_equal(m.memory + DATA + 100, "de", 2);
	assert_int_equal(m.memory[DATA + 102], 0);
	set_word(LIST, 0);
	lguest_dma_poll(&m.host);
	assert_int_equal(word(LIST), 2);
	assert_memory_equal(m.memory + DATA, "fg", 2);
	assert_int_equal(m.dirty_to, LIST + 4);
	/* A list that became nonsense after it was bound is not filled, and what was typed is not lost. */
	set_word(LIST, 0);
	section(LIST, 0, SIZE, 4);
	assert_int_equal(console.be.input(console.be.opaque, "h", 1), 1);
	lguest_dma_poll(&m.host);
	assert_int_equal(word(LIST), 0);
	section(LIST, 0, DATA, 4);
	lguest_dma_poll(&m.host);
	assert_memory_equal(m.memory + DATA, "hg", 2);
}

static void frames(void **state)
{
	struct virtio_iov iov = { m.memory + DATA, 60 };

	memset(m.memory + DATA, 0x31, 60);
	section(LIST, 0, DATA, 14);
	section(LIST, 1, DATA + 14, 46);
	assert_int_equal(lguest_dma_send(&m.host, NET_PAGE, LIST), 0);
	assert_int_equal(word(LIST), 60);
	assert_int_equal(net.sent_len, 60);
	assert_memory_equal(net.sent, m.memory + DATA, 60);
	/* Too long: not sent, and the guest sees it. */
	set_word(LIST, 0);
	section(LIST, 1, DATA + 14, 1501);
	assert_int_equal(lguest_dma_send(&m.host, NET_PAGE, LIST), 0);
	assert_int_equal(word(LIST), 0);
	assert_int_equal(net.frames, 1);
	/* The other way: nobody listens; somebody does; nobody has room. */
	assert_true(net.be.receiver.receive(net.be.receiver.opaque, &iov, 1, NULL));
	lguest_dma_poll(&m.host);
	assert_int_equal(m.irqs, 0);
	section(LIST + 100, 0, DATA + 4096, 1514);
	assert_int_equal(lguest_dma_bind(&m.host, NET_PAGE + 4, LIST + 100, 1 << 8 | 2), 1);
	assert_int_equal(word(LIST + 100), 0);
	for (unsigned int i = 0; i < 100; i++) {
		assert_true(net.be.receiver.receive(net.be.receiver.opaque, &iov, 1, NULL));
		lguest_dma_poll(&m.host);
	}
	assert_int_equal(m.irqs, 1 << 2);
	assert_int_equal(word(LIST + 100), 60);
	assert_memory_equal(m.memory + DATA + 4096, m.memory + DATA, 60);
}

static void request(uint32_t type, uint32_t sector, uint32_t bytes)
{
	m.irqs = 0;
	set_word(BLOCK_PAGE + DMA_BLOCK_TYPE, type);
	set_word(BLOCK_PAGE + DMA_BLOCK_SECTOR, sector);
	set_word(BLOCK_PAGE + DMA_BLOCK_LENGTH, bytes);
	set_word(BLOCK_PAGE + DMA_BLOCK_RESULT, 0);
}

static void disk_requests(void **state)
{
	const uint32_t bound = LIST, sent = LIST + 100;

	memset(disk.data + 512, 0x44, 1024);
	assert_int_equal(lguest_dma_bind(&m.host, BLOCK_PAGE, bound, 1 << 8 | 1), 1);
	section(bound, 0, DATA, 1000);
	section(bound, 1, DATA + 2000, 24);
	request(0, 1, 1024);
	assert_int_equal(lguest_dma_send(&m.host, BLOCK_PAGE, sent), 0);
	assert_int_equal(word(BLOCK_PAGE + DMA_BLOCK_RESULT), DMA_BLOCK_OK);
	assert_int_equal(word(bound), 1024);
	assert_int_equal(m.irqs, 1 << 1);
	assert_int_equal(m.memory[DATA + 999], 0x44);
	assert_int_equal(m.memory[DATA + 1000], 0);
	assert_int_equal(m.memory[DATA + 2023], 0x44);
	/* Written is what is sent. */
	set_word(bound, 0);
	section(sent, 0, DATA, 512);
	memset(m.memory + DATA, 0x55, 512);
	request(1, 3, 512);
	disk.hold = true;
	assert_int_equal(lguest_dma_send(&m.host, BLOCK_PAGE, sent), 0);
	assert_int_equal(word(BLOCK_PAGE + DMA_BLOCK_RESULT), 0);
	/* While it is under way a second one is nothing. */
	assert_int_equal(lguest_dma_send(&m.host, BLOCK_PAGE, sent), 0);
	assert_int_equal(disk.held_count, 1);
	fake_disk_run(&disk);
	fake_disk_run(&disk);
	assert_true(m.woken);
	lguest_dma_poll(&m.host);
	assert_int_equal(word(BLOCK_PAGE + DMA_BLOCK_RESULT), DMA_BLOCK_OK);
	assert_int_equal(word(bound), 0);
	assert_int_equal(disk.data[3 * 512], 0x55);
	disk.hold = false;
}

static void disk_errors(void **state)
{
	const uint32_t bound = LIST, sent = LIST + 100;

	/* Nothing bound: nowhere to read to. */
	request(0, 0, 512);
	assert_int_equal(lguest_dma_send(&m.host, BLOCK_PAGE, sent), 0);
	assert_int_equal(word(BLOCK_PAGE + DMA_BLOCK_RESULT), DMA_BLOCK_ERROR);
	assert_int_equal(lguest_dma_bind(&m.host, BLOCK_PAGE, bound, 1 << 8 | 1), 1);
	/* Fewer bytes than the page says, beyond the end, no whole sector. */
	section(bound, 0, DATA, 512);
	request(0, 0, 1024);
	assert_int_equal(lguest_dma_send(&m.host, BLOCK_PAGE, sent), 0);
	assert_int_equal(word(BLOCK_PAGE + DMA_BLOCK_RESULT), DMA_BLOCK_ERROR);
	set_word(bound, 0);
	request(0, FAKE_DISK_SIZE / 512, 512);
	assert_int_equal(lguest_dma_send(&m.host, BLOCK_PAGE, sent), 0);
	assert_int_equal(word(BLOCK_PAGE + DMA_BLOCK_RESULT), DMA_BLOCK_ERROR);
	assert_int_equal(word(bound), 0);
	section(bound, 0, DATA, 100);
	request(0, 0, 100);
	assert_int_equal(lguest_dma_send(&m.host, BLOCK_PAGE, sent), 0);
	assert_int_equal(word(BLOCK_PAGE + DMA_BLOCK_RESULT), DMA_BLOCK_ERROR);
	/* A bound list that points nowhere is a reason to kill the guest. */
	section(bound, 0, SIZE, 512);
	request(0, 0, 512);
	assert_int_equal(lguest_dma_send(&m.host, BLOCK_PAGE, sent), -VIRTIO_EFAULT);
	/* And after all that the disk works. */
	section(bound, 0, DATA, 512);
	request(0, 0, 512);
	assert_int_equal(lguest_dma_send(&m.host, BLOCK_PAGE, sent), 0);
	assert_int_equal(word(BLOCK_PAGE + DMA_BLOCK_RESULT), DMA_BLOCK_OK);
}

/* --- the guest's end ------------------------------------------------------------------------------------------------ */

static uint32_t guest_call(void *opaque, uint32_t number, uint32_t key, uint32_t address, uint32_t count_irq)
{
	int ret = number == LGUEST_BIND_DMA ? lguest_dma_bind(&m.host, key, address, count_irq) : lguest_dma_send(&m.host, key, address);

	assert_true(ret >= 0);
	return (uint32_t)ret;
}

static struct lguest_dma_device *find(uint32_t id)
{
	struct lguest_dma_device *device = alloc(NULL, sizeof(*device), 16);

	assert_int_equal(lguest_dma_guest_init(&m.guest, &m.platform, TOP, 0x1234, guest_call, NULL), 0);
	do
		assert_true(lguest_dma_guest_next(&m.guest, device));
	while (device->vdev.id != id);
	return device;
}

/* More than sixteen sections, and none across a page: one request of the driver's becomes several of the bus's. */
static void long_requests(void **state)
{
	struct virtio_block *blk = alloc(NULL, sizeof(*blk), 16);
	uint8_t *data = alloc(NULL, 100 * 1024 + 512, 4096);

	for (size_t i = 0; i < FAKE_DISK_SIZE; i++)
		disk.data[i] = (uint8_t)(i / 512 + i);
	assert_int_equal(virtio_block_probe(blk, &find(VIRTIO_ID_BLOCK)->vdev), 0);
	assert_int_equal(virtio_block_read(blk, 7, data + 300, 100 * 1024), 0);
	assert_memory_equal(data + 300, disk.data + 7 * 512, 100 * 1024);
	assert_int_equal(disk.submits, 2);
	memset(data, 0x66, 100 * 1024 + 512);
	assert_int_equal(virtio_block_write(blk, 9, data + 1, 100 * 1024), 0);
	assert_memory_equal(disk.data + 9 * 512, data, 100 * 1024);
	disk.fail = -5;
	assert_int_equal(virtio_block_read(blk, 0, data, 512), -VIRTIO_EIO);
	disk.fail = 0;
	virtio_block_remove(blk);
}

/* The network's rules of who gets what; and the guest is there only while its driver is. */
static void peers(void **state)
{
	struct virtio_net *nic = alloc(NULL, sizeof(*nic), 16);
	uint8_t frame[60] = { 2, 9, 9, 9, 9, 9 };

	assert_int_equal(virtio_net_probe(nic, &find(VIRTIO_ID_NET)->vdev), 0);
	assert_memory_equal(nic->mac, "\2\0\x34\x12\0\0", 6);
	assert_memory_equal(m.memory + NET_PAGE + 6, "\2\0\x34\x12\0\0", 6);
	/* The host has asked for everything. */
	assert_int_equal(virtio_net_send(nic, frame, sizeof(frame)), 0);
	assert_int_equal(net.frames, 1);
	/* If it had not: its own address, and those of groups. */
	m.memory[NET_PAGE] = 2;
	assert_int_equal(virtio_net_send(nic, frame, sizeof(frame)), 0);
	assert_int_equal(net.frames, 1);
	memcpy(frame, "\2\0\0\0\0\2", 6);
	assert_int_equal(virtio_net_send(nic, frame, sizeof(frame)), 0);
	assert_int_equal(net.frames, 2);
	memset(frame, 0xff, 6);
	assert_int_equal(virtio_net_send(nic, frame, sizeof(frame)), 0);
	assert_int_equal(net.frames, 3);
	virtio_net_remove(nic);
	assert_true(virtio_is_zero(m.memory + NET_PAGE + 6, 6));
	assert_int_equal(m.host.bindings, 0);
}

static void detaching(void **state)
{
	struct virtio_device *vdev = &find(VIRTIO_ID_CONSOLE)->vdev;
	uint8_t *bytes = alloc(NULL, 64, 16);
	unsigned long used[3];
	struct virtio_queue *vq;
	long id[3];

	assert_int_equal(virtio_device_setup(vdev, 0), 0);
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), 0);
	for (unsigned int i = 0; i < 3; i++) {
		struct virtio_iov piece = { bytes + (size_t)16 * i, 16 };

		id[i] = virtio_add_inbuf(vq, &piece, 0, 1, &used[i]);
		assert_true(id[i] >= 0);
	}
	/* Not yet handed over; handed over, in the middle; the others go on, in order. */
	virtio_detach_inbuf(vq, id[2]);
	assert_int_equal(used[2], VIRTIO_CANCELLED);
	virtio_sync(vq);
	virtio_detach_inbuf(vq, id[0]);
	assert_int_equal(used[0], VIRTIO_CANCELLED);
	assert_int_equal(console.be.input(console.be.opaque, "z", 1), 1);
	wait(NULL);
	assert_int_equal(used[1], 1);
	assert_int_equal(bytes[16], 'z');
	assert_int_equal(bytes[0], 0);
	assert_int_equal(vq->ops->room(vq), DMA_QUEUE_ENTRIES);
	virtio_device_remove(vdev);
	assert_int_equal(m.host.bindings, 0);
}

static void bad_buffers(void **state)
{
	struct virtio_device *vdev = &find(VIRTIO_ID_BLOCK)->vdev;
	uint8_t *bytes = alloc(NULL, 64, 16), elsewhere[16];
	struct virtio_iov sg[20] = { { bytes, 16 }, { bytes + 16, 16 }, { bytes + 32, 1 } };
	struct virtio_queue *vq;
	unsigned long used;

	assert_int_equal(virtio_device_setup(vdev, 0), 0);
	assert_int_equal(virtio_device_queue(vdev, 1, NULL, NULL, &vq), -VIRTIO_ENOENT);
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, &vq), 0);
	assert_int_equal(virtio_add_inbuf(vq, sg, 3, 3, &used), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_inbuf(vq, sg, 0, 3, &used), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_inbuf(vq, NULL, 1, 3, &used), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_inbuf(vq, sg, 1, 3, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_inbuf(vq, sg, 1, 19, &used), -VIRTIO_EINVAL);
	sg[0].len = 15;
	assert_int_equal(virtio_add_inbuf(vq, sg, 1, 3, &used), -VIRTIO_EINVAL);
	sg[0] = (struct virtio_iov){ elsewhere, 16 };
	assert_int_equal(virtio_add_inbuf(vq, sg, 1, 3, &used), -VIRTIO_EFAULT);
	virtio_device_remove(vdev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(layout, setup, teardown),
		cmocka_unit_test_setup_teardown(setup_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(bindings, setup, teardown),
		cmocka_unit_test_setup_teardown(lying_lists, setup, teardown),
		cmocka_unit_test_setup_teardown(early_console, setup_empty, teardown),
		cmocka_unit_test_setup_teardown(console_output, setup, teardown),
		cmocka_unit_test_setup_teardown(console_input, setup, teardown),
		cmocka_unit_test_setup_teardown(frames, setup, teardown),
		cmocka_unit_test_setup_teardown(disk_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(disk_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(long_requests, setup, teardown),
		cmocka_unit_test_setup_teardown(peers, setup, teardown),
		cmocka_unit_test_setup_teardown(detaching, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_buffers, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
