/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the lguest page and the four devices behind it: the input is a guest that writes descriptors, rings and the page as it likes
 * and calls NOTIFY, and a host where input arrives and disks finish late. Backends check what they are asked to do; the sanitizer
 * watches memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <transport/page-bus.h>

#include "tests/device/bed.h"
#include "tests/virtio/fuzz.h"

/* A machine, kept from input to input: every input begins with a restart, which must bring back the beginning. */
struct machine {
	struct bed *bed;
	struct fake_console console[FAKE_PORTS];
	struct fake_disk disk;
	struct fake_net net;
	struct fake_entropy entropy;
};

static struct machine machines[4];

/* Where the rings are. */
struct ring {
	uint64_t at;
	uint32_t num;
};

struct fuzz {
	struct machine *machine;
	struct bed *bed;
	struct fuzz_input in;
	struct ring ring[16];
	unsigned int rings;
};

static void find_rings(struct fuzz *f)
{
	for (unsigned int i = 0; i < f->bed->host.space.count; i++) {
		struct lguest_slot *slot = &f->bed->host.slot[i];

		for (unsigned int q = 0; q < slot->num_vq; q++)
			f->ring[f->rings++] = (struct ring){ slot->ring[q], slot->dev->queues[q].num_max };
	}
}

static void store_desc(struct fuzz *f, uint8_t *d)
{
	uint8_t kind = fuzz_u8(&f->in);
	uint64_t addr = fuzz_u16(&f->in) * (kind & 0x10 ? 17 : 1);

	if (kind & 0x80)
		addr = (uint64_t)fuzz_u32(&f->in) << 20 | fuzz_u16(&f->in);
	virtio_put64(false, d, addr);
	virtio_put32(false, d + 8, kind & 0x40 ? fuzz_u32(&f->in) : (uint32_t)fuzz_u8(&f->in) * (kind & 0x20 ? 16 : 1));
	virtio_put16(false, d + 12, kind & 7);
	virtio_put16(false, d + 14, fuzz_u8(&f->in) & 15);
}

/* Something for a device to read: a disk's request near the ends of the disk, a frame's header, or a message about a port. */
static void store_header(struct fuzz *f, uint8_t *at)
{
	uint8_t kind = fuzz_u8(&f->in);
	uint64_t sector = fuzz_u8(&f->in);

	virtio_put64(false, at, 0);
	virtio_put32(false, at, kind & 15);
	if (kind & 0x10)
		virtio_put16(false, at + 6, fuzz_u16(&f->in));
	if (kind & 0x20)
		virtio_put32(false, at + 4, 1u << 16 | (sector & 7));
	virtio_put64(false, at + 8, kind & 0x80 ? FAKE_DISK_SIZE / 512 - sector : kind & 0x40 ? sector << 55 : sector);
}

/* Make a chain of plain descriptors available: the beginning of a request that a device will take. */
static void offer(struct fuzz *f, const struct ring *r)
{
	uint8_t *ring = f->bed->memory + r->at, *avail = ring + 16 * r->num;
	unsigned int n = 1 + fuzz_u8(&f->in) % 4, writable = fuzz_u8(&f->in) % (n + 1), head = fuzz_u8(&f->in) % r->num;
	uint16_t idx = virtio_get16(false, avail + 2);

	for (unsigned int i = 0; i < n; i++) {
		unsigned int at = (head + i) % r->num;
		uint8_t *d = ring + 16 * at;

		uint64_t addr = 0x1000 + fuzz_u16(&f->in);

		/* The second of two such is a range to discard, or to zero. */
		if (i < 2)
			store_header(f, f->bed->memory + addr);
		virtio_put64(false, d, addr);
		virtio_put32(false, d + 8, i ? (uint32_t)fuzz_u8(&f->in) << (fuzz_u8(&f->in) % 10) : 16u - fuzz_u8(&f->in) % 2);
		virtio_put16(false, d + 12, (uint16_t)((i + writable >= n ? VRING_DESC_WRITE : 0) | (i + 1 < n ? VRING_DESC_NEXT : 0)));
		virtio_put16(false, d + 14, (uint16_t)((at + 1) % r->num));
	}
	virtio_put16(false, avail + 4 + 2 * (idx % r->num), (uint16_t)head);
	virtio_put16(false, avail + 2, (uint16_t)(idx + 1));
	lguest_page_notify(&f->bed->host, r->at);
}

static void poke(struct fuzz *f)
{
	uint8_t where = fuzz_u8(&f->in);
	const struct ring *r = &f->ring[where % f->rings];
	uint8_t *memory = f->bed->memory;

	switch (where >> 6) {
	case 0:
		memory[fuzz_u32(&f->in) % BED_RAM] = fuzz_u8(&f->in);
		break;
	case 1:
		memory[BED_RAM + fuzz_u16(&f->in) % 4096] = fuzz_u8(&f->in);
		break;
	case 2:
		memory[r->at + fuzz_u16(&f->in) % page_ring_bytes(r->num)] = fuzz_u8(&f->in);
		break;
	case 3:
		store_desc(f, memory + r->at + 16 * (fuzz_u8(&f->in) & 15));
	}
}

/* Status and accepted features into the page, and the call. */
static void negotiate(struct fuzz *f)
{
	struct lguest_page *bus = &f->bed->host;
	struct lguest_slot *slot = &bus->slot[fuzz_u8(&f->in) % bus->space.count];
	uint8_t *d = f->bed->memory + BED_RAM + slot->offset, how = fuzz_u8(&f->in);
	uint32_t features = how & 1 ? slot->offered & fuzz_u32(&f->in) : how & 2 ? slot->offered : fuzz_u32(&f->in);

	d[PAGE_DESC_STATUS] = how & 0x10 ? 0 : how & 0x20 ? 0x83 : 3;
	virtio_put32(false, d + PAGE_DESC_HEADER + LGUEST_DESC_VQ * slot->num_vq + 4, features);
	lguest_page_notify(bus, BED_RAM + slot->offset);
}

static void host_event(struct fuzz *f)
{
	static uint8_t bytes[70000];
	struct machine *m = f->machine;
	uint8_t what = fuzz_u8(&f->in);
	struct virtio_iov iov[2] = { { bytes, fuzz_u8(&f->in) }, { bytes + 256, fuzz_u16(&f->in) } };
	struct virtio_net_offload offload = { fuzz_u8(&f->in), fuzz_u8(&f->in) & 0x87, 0, 0, 0, 0 };

	switch (what & 7) {
	case 0:
		fake_ports_event(m->console, (uint8_t)iov[0].len, iov[1].len);
		break;
	case 1:
	case 2:
		m->net.be.receiver.receive(m->net.be.receiver.opaque, iov, 2, what & 0x10 ? &offload : NULL);
		break;
	case 3:
		m->net.be.receiver.tx_ready(m->net.be.receiver.opaque);
		break;
	case 4:
		fake_disk_run(&m->disk);
		break;
	case 5:
		m->disk.hold = what & 0x10;
		m->disk.fail = what & 0x20 ? -5 : 0;
		break;
	case 6:
		m->net.busy = what >> 4;
		break;
	case 7:
		if (what == 0xff)
			lguest_page_restart(&f->bed->host);
	}
}

static struct machine *machine_of(unsigned int shape)
{
	struct machine *m = &machines[shape % 4];

	if (m->bed)
		return m;
	m->bed = bed_create();
	fake_disk_init(&m->disk);
	m->disk.be.read_only = shape & 1;
	fake_net_init(&m->net, shape & 2);
	fake_entropy_init(&m->entropy);
	bed_add(m->bed, block_device_create(&m->disk.be));
	bed_add(m->bed, net_device_create(&m->net.be));
	bed_add(m->bed, rng_device_create(&m->entropy.be));
	bed_add(m->bed, fake_ports_create(m->console));
	return m;
}

static void restart(struct machine *m)
{
	lguest_page_restart(&m->bed->host);
	memset(m->bed->memory, 0, BED_RAM);
	m->disk.hold = false;
	m->disk.fail = 0;
	m->net.busy = 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = { .in = { data, size } };

	f.machine = machine_of(fuzz_u8(&f.in));
	f.bed = f.machine->bed;
	restart(f.machine);
	find_rings(&f);
	while (f.in.left) {
		uint8_t op = fuzz_u8(&f.in);

		switch (op & 7) {
		case 0:
			poke(&f);
			break;
		case 1:
			negotiate(&f);
			break;
		case 2:
			host_event(&f);
			break;
		case 3:
			lguest_page_notify(&f.bed->host, op & 0x80 ? fuzz_u32(&f.in) : f.ring[(op >> 3) % f.rings].at);
			break;
		default:
			offer(&f, &f.ring[(op >> 3) % f.rings]);
		}
	}
	return 0;
}
