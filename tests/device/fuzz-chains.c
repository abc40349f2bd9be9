/* SPDX-License-Identifier: MIT */
/*
 * fuzz-chains.c - a device by itself, without a bus, whose driver makes buffers of any shape available in any form of ring: split or
 * packed, direct or indirect, in either byte order, with whichever of the offered features. What is in a buffer is nearly a
 * request of the device's kind. Buses have fuzzers of their own, which spend their time on registers. See tests/virtio/fuzz.h.
 *
 * What must hold: backends check what they are asked to do, the sanitizer watches memory, and after a reset the device works again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/endian.h>

#include "tests/device/bed.h"
#include "tests/virtio/fuzz.h"

enum { DEVICES = 5, QUEUES = 6, PARTS = 6 };
/* Each queue has a ring of up to 16 at RINGS, its parts' addresses in the first 1 KiB of them, and a page for indirect tables. */
enum { RINGS = 0x1000, STRIDE = 0x1000, AVAIL = 0x200, USED = 0x300, TABLE = 0x400, DATA = 0x8000, SIZE = 0x20000, LARGEST = 16 };

struct ring {
	uint32_t num;
	uint16_t next;		/* descriptor */
	bool wrap;		/* packed: the driver's wrap counter */
};

struct part {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

static struct virtio_dev *devices[DEVICES];
static uint8_t *memory;
static struct virtio_mem mem;
static struct fake_console console[FAKE_PORTS];
static struct fake_disk disk;
static struct fake_net net;
static struct fake_entropy entropy;
static struct balloon_backend balloon;

/* Of the input at hand. */
static struct fuzz_input in;
static struct virtio_dev *dev;
static struct ring rings[QUEUES];

static void ignore(struct virtio_dev *of, unsigned int queue)
{
}

static const struct virtio_transport_ops transport = { .interrupt = ignore };

static void release(struct balloon_backend *be, uint64_t gpa, uint64_t len)
{
	assert_true(gpa % 4096 == 0 && len % 4096 == 0 && len && len <= SIZE && gpa <= SIZE - len);
}

static void stats(struct balloon_backend *be, const struct balloon_stat *figures, unsigned int count)
{
	assert_true(count <= 64);
}

static void create(void)
{
	static const struct balloon_backend_ops ops = { .release = release, .stats = stats };

	memory = aligned_alloc(4096, SIZE);
	mem = (struct virtio_mem){ .base = memory, .size = SIZE };
	fake_disk_init(&disk);
	fake_net_init(&net, true);
	fake_entropy_init(&entropy);
	balloon.ops = &ops;
	devices[0] = block_device_create(&disk.be);
	devices[1] = net_device_create(&net.be);
	devices[2] = fake_ports_create(console);
	devices[3] = balloon_device_create(&balloon);
	devices[4] = rng_device_create(&entropy.be);
	for (unsigned int i = 0; i < DEVICES; i++) {
		assert_true(devices[i]->num_queues <= QUEUES);
		devices[i]->transport = &transport;
		devices[i]->mem = &mem;
	}
}

/* --- a buffer ------------------------------------------------------------------------------------------------------------ */

static uint64_t ring_at(unsigned int queue)
{
	return RINGS + (uint64_t)queue * STRIDE;
}

/* What a driver writes first: a disk's request near the ends of the disk, a frame's header, a message about a port, page numbers. */
static void store_header(uint8_t *at, bool big)
{
	static const uint8_t types[] = { 0, 1, 4, 8, 11, 13, 0, 1 };
	uint8_t kind = fuzz_u8(&in), value = fuzz_u8(&in);

	switch (dev->id) {
	case VIRTIO_ID_BLOCK:
		virtio_put32(big, at, kind & 0x80 ? value : types[kind & 7]);
		virtio_put32(big, at + 4, kind & 0x40 ? fuzz_u32(&in) : 0);
		virtio_put64(big, at + 8, kind & 0x20 ? FAKE_DISK_SIZE / 512 - value : kind & 0x10 ? (uint64_t)value << 55 : value);
		break;
	case VIRTIO_ID_NET:
		at[0] = kind & 7;
		at[1] = kind & 0x80 ? value : (kind >> 3) & 7;
		for (unsigned int i = 2; i < 12; i += 2)
			virtio_put16(big, at + i, kind & 0x40 ? fuzz_u16(&in) : fuzz_u8(&in));
		break;
	case VIRTIO_ID_CONSOLE:
		virtio_put32(big, at, kind & 0x80 ? fuzz_u32(&in) : kind >> 4 & 3);
		virtio_put16(big, at + 4, kind & 15);
		virtio_put16(big, at + 6, value);
		break;
	default:
		for (unsigned int i = 0; i < 16; i += 4)
			virtio_put32(big, at + i, kind & 0x80 ? fuzz_u32(&in) : fuzz_u8(&in));
	}
}

/* Ranges to discard or to zero, one behind the other. */
static void store_ranges(uint8_t *at, bool big)
{
	for (unsigned int i = 0; i < 4; i++) {
		uint8_t kind = fuzz_u8(&in);

		virtio_put64(big, at, kind & 0x80 ? FAKE_DISK_SIZE / 512 - (kind & 15) : (uint64_t)(kind & 15) << (kind & 0x40 ? 60 : 3));
		virtio_put32(big, at + 8, kind & 0x20 ? fuzz_u32(&in) : 8);
		virtio_put32(big, at + 12, kind & 0x10 ? fuzz_u8(&in) : 0);
		at += 16;
	}
}

/* Parts of what is one piece to a decent driver: a header that is cut anywhere, data, a byte for the status. */
static unsigned int make_parts(struct part *part, bool big)
{
	static const uint16_t lengths[] = { 0, 1, 7, 8, 12, 16, 17, 32, 64, 512, 513, 4096 };
	unsigned int n = 1 + fuzz_u8(&in) % PARTS, writable = fuzz_u8(&in) % (n + 1);
	uint64_t at = DATA + fuzz_u8(&in) * (uint64_t)64;

	store_header(memory + at, big);
	for (unsigned int i = 0; i < n; i++) {
		uint8_t kind = fuzz_u8(&in);

		part[i] = (struct part){ .addr = at, .len = lengths[kind % 12], .flags = i + writable >= n ? VRING_DESC_WRITE : 0 };
		if (kind >= 0xf8)
			part[i].addr = (uint64_t)fuzz_u32(&in) << (kind & 4 ? 32 : 0) | fuzz_u16(&in);
		if (kind >= 0xf0 && kind < 0xf8)
			part[i].len = fuzz_u32(&in);
		if (kind >= 0xe8 && kind < 0xf0)
			part[i].flags ^= VRING_DESC_WRITE;
		if (i == 0 && dev->id == VIRTIO_ID_BLOCK && kind & 0x80)
			store_ranges(memory + at + part[i].len % 512, big);
		at += part[i].len;
		if (at > SIZE - 8192)
			at = DATA;
	}
	return n;
}

static void put_desc(uint8_t *d, const struct part *part, bool packed, bool big, uint16_t id, uint16_t wrap)
{
	virtio_put64(big, d, part->addr);
	virtio_put32(big, d + 8, part->len);
	virtio_put16(big, d + 12, packed ? id : part->flags);
	virtio_put16(big, d + 14, packed ? part->flags | wrap : part->next);
}

/* The parts become a table of their own, and one part that stands for it. Sometimes not quite. */
static void make_indirect(unsigned int queue, struct part *part, unsigned int *n, bool packed, bool big)
{
	uint8_t how = fuzz_u8(&in), *table = memory + ring_at(queue) + TABLE;

	for (unsigned int i = 0; i < *n; i++) {
		part[i].next = (uint16_t)(i + 1);
		if (!packed && (i + 1 < *n || how == 0x80))
			part[i].flags |= VRING_DESC_NEXT;
		if (how == 0x81)
			part[i].flags |= VRING_DESC_INDIRECT;
		if (how == 0x82)
			part[i].next = fuzz_u16(&in);
		put_desc(table + (size_t)16 * i, &part[i], packed, big, 0, 0);
	}
	part[0] = (struct part){ ring_at(queue) + TABLE, 16 * *n, VRING_DESC_INDIRECT, 0 };
	if (how >= 0xf0)
		part[0].len = fuzz_u16(&in);
	if (how >= 0xe0 && how < 0xf0)
		part[0].flags |= VRING_DESC_WRITE;
	*n = how == 0x83 ? 2 : 1;
}

static void offer_split(unsigned int queue, struct part *part, unsigned int n, bool big)
{
	struct ring *r = &rings[queue];
	uint8_t *ring = memory + ring_at(queue), *avail = ring + AVAIL, mistake = fuzz_u8(&in);
	uint16_t head = r->next, idx = virtio_get16(big, avail + 2);

	for (unsigned int i = 0; i < n; i++) {
		part[i].next = (uint16_t)((r->next + 1u) % r->num);
		if (i + 1 < n || mistake == 0x80)
			part[i].flags |= VRING_DESC_NEXT;
		if (mistake == 0x81)
			part[i].next = fuzz_u8(&in);
		put_desc(ring + (size_t)16 * r->next, &part[i], false, big, 0, 0);
		r->next = (uint16_t)((r->next + 1u) % r->num);
	}
	virtio_put16(big, avail + 4 + 2 * (size_t)(idx % r->num), mistake == 0x82 ? fuzz_u16(&in) : head);
	virtio_put16(big, avail + 2, mistake == 0x83 ? fuzz_u16(&in) : (uint16_t)(idx + 1));
}

static void offer_packed(unsigned int queue, struct part *part, unsigned int n)
{
	struct ring *r = &rings[queue];
	uint8_t *ring = memory + ring_at(queue), mistake = fuzz_u8(&in);

	for (unsigned int i = 0; i < n; i++) {
		uint16_t wrap = r->wrap ? VRING_PACKED_AVAIL : VRING_PACKED_USED;

		if (i + 1 < n || mistake == 0x80)
			part[i].flags |= VRING_DESC_NEXT;
		if (mistake == 0x81)
			wrap = fuzz_u8(&in) * (VRING_PACKED_AVAIL & -VRING_PACKED_AVAIL);
		put_desc(ring + (size_t)16 * r->next, &part[i], true, false, mistake == 0x82 ? fuzz_u16(&in) : r->next, wrap);
		if (++r->next == r->num) {
			r->next = 0;
			r->wrap = !r->wrap;
		}
	}
}

static void offer(void)
{
	unsigned int queue = fuzz_u8(&in) % dev->num_queues, n;
	bool packed = virtio_dev_has(dev, VIRTIO_F_RING_PACKED), big = dev->big_endian;
	struct part part[PARTS];

	if (!rings[queue].num)
		return;
	n = make_parts(part, big);
	if (fuzz_u8(&in) & 1)
		make_indirect(queue, part, &n, packed, big);
	if (n > rings[queue].num)
		n = rings[queue].num;
	if (packed)
		offer_packed(queue, part, n);
	else
		offer_split(queue, part, n, big);
	if (fuzz_u8(&in) & 3)
		virtio_dev_kick(dev, queue);
}

/* --- the rest of what a driver does, and the host ------------------------------------------------------------------------ */

static void start(void)
{
	uint8_t how = fuzz_u8(&in);
	uint64_t features = ~UINT64_C(0);

	if (how & 0x80)
		features = (uint64_t)fuzz_u32(&in) << 24 | fuzz_u32(&in);
	else if (how & 0x40)
		features = VIRTIO_DEV_RING_FEATURES | fuzz_u16(&in);
	virtio_dev_reset(dev);
	memset(memory, 0, SIZE);
	memset(rings, 0, sizeof(rings));
	dev->legacy_big_endian = how & 1;
	if (how & 2)
		features &= ~VIRTIO_F_RING_PACKED;
	if (how & 4)
		features &= ~VIRTIO_F_VERSION_1;
	if (how & 8)
		features &= ~VIRTIO_F_EVENT_IDX;
	if (virtio_dev_set_features(dev, features & dev->offered))
		return;
	for (unsigned int q = 0; q < dev->num_queues; q++) {
		uint8_t size = how & 16 ? fuzz_u8(&in) : LARGEST;
		uint32_t num = size % LARGEST + 1, max = dev->queues[q].num_max;

		if (!virtio_dev_has(dev, VIRTIO_F_RING_PACKED))
			num = 1u << size % 5;
		if (num > max)
			num = max;
		if (!virtio_dev_set_queue(dev, q, num, ring_at(q), ring_at(q) + AVAIL, ring_at(q) + USED))
			rings[q] = (struct ring){ .num = num, .wrap = true };
	}
	virtio_dev_start(dev);
}

static void configure(void)
{
	uint8_t data[8], at = fuzz_u8(&in), len = 1u << fuzz_u8(&in) % 4;

	for (unsigned int i = 0; i < sizeof(data); i++)
		data[i] = fuzz_u8(&in);
	if (data[0] & 1)
		virtio_dev_config_write(dev, at % 64, data, len);
	else
		virtio_dev_config_read(dev, at, data, len);
}

static void host_event(void)
{
	static uint8_t bytes[70000];
	uint8_t what = fuzz_u8(&in);
	struct virtio_iov iov[2] = { { bytes, fuzz_u8(&in) }, { bytes + 256, fuzz_u16(&in) } };
	struct virtio_net_offload offload = { fuzz_u8(&in) & 3, fuzz_u8(&in) & 0x87, 0, 0, 0, 0 };

	switch (what & 7) {
	case 0:
		fake_ports_event(console, (uint8_t)iov[0].len, iov[1].len);
		break;
	case 1:
		net.be.receiver.receive(net.be.receiver.opaque, iov, 2, what & 0x10 ? &offload : NULL);
		break;
	case 2:
		net.be.receiver.tx_ready(net.be.receiver.opaque);
		break;
	case 3:
		fake_disk_run(&disk);
		break;
	case 4:
		disk.hold = what & 0x10;
		disk.fail = what & 0x20 ? -5 : 0;
		break;
	case 5:
		net.busy = what >> 4;
		break;
	case 6:
		balloon.target = fuzz_u16(&in);
		balloon.target_changed(balloon.opaque);
		balloon.ask_stats(balloon.opaque);
		break;
	default:
		if (dev->live && dev->ops->drain)
			dev->ops->drain(dev);
	}
}

static void poke(void)
{
	memory[RINGS + fuzz_u16(&in) % (QUEUES * STRIDE)] = fuzz_u8(&in);
}

static void kick(void)
{
	virtio_dev_kick(dev, fuzz_u8(&in) % (QUEUES + 1));
}

static void reset_queue(void)
{
	unsigned int queue = fuzz_u8(&in) % dev->num_queues;

	/* As a bus that has VIRTIO_F_RING_RESET does. */
	if (dev->ops->queue_reset && rings[queue].num) {
		dev->ops->queue_reset(dev, queue);
		vring_device_reset(&dev->queues[queue]);
		rings[queue].num = 0;
	}
}

static void act(uint8_t what)
{
	static void (*const acts[])(void) = { poke, kick, configure, host_event, host_event, reset_queue };

	if (what == 0xff)
		start();
	else if (what & 0x80)
		acts[what % (sizeof(acts) / sizeof(acts[0]))]();
	else
		offer();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!memory)
		create();
	in = (struct fuzz_input){ data, size };
	dev = devices[fuzz_u8(&in) % DEVICES];
	disk.hold = false;
	disk.fail = 0;
	net.busy = 0;
	start();
	while (in.left)
		act(fuzz_u8(&in));
	virtio_dev_reset(dev);
	return 0;
}
