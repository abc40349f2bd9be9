/* SPDX-License-Identifier: MIT */
/*
 * Fuzz virtio over PCI and the five devices behind it: the input is a guest that writes configuration registers, ports, rings and
 * memory as it likes, in any width and order, and a host where input arrives and disks finish late. Backends check what they are asked
 * to do, the interrupt lines are compared with what the devices want after every step, and the sanitizer watches memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/device/bed.h"
#include "tests/device/pci-bed.h"
#include "tests/virtio/fuzz.h"

#define DEVICES	5u
#define SHAPES	8u

/* A machine, kept from input to input: every input begins with a restart, which must bring back the beginning. */
struct machine {
	struct pci_bed *bed;
	struct fake_console console[FAKE_PORTS];
	struct fake_disk disk;
	struct fake_net net;
	struct fake_entropy entropy;
	struct balloon_backend balloon;
};

static struct machine machines[SHAPES];

struct fuzz {
	struct machine *machine;
	struct pci_bed *bed;
	struct fuzz_input in;
};

static void release(struct balloon_backend *be, uint64_t gpa, uint64_t len)
{
	assert_true(gpa % 4096 == 0 && len % 4096 == 0 && len && len <= PCI_BED_RAM && gpa <= PCI_BED_RAM - len);
}

static void stats(struct balloon_backend *be, const struct balloon_stat *figures, unsigned int count)
{
	assert_true(count <= 64);
}

static const struct balloon_backend_ops balloon_ops = { .release = release, .stats = stats };

/* --- the guest ----------------------------------------------------------------------------------------------------------- */

static unsigned int any_size(struct fuzz *f)
{
	return 1u << fuzz_u8(&f->in) % 3;
}

/* Numbers that mean something more often than others. */
static uint32_t any_value(struct fuzz *f)
{
	uint8_t kind = fuzz_u8(&f->in);

	switch (kind & 7) {
	case 0:
		return fuzz_u32(&f->in);
	case 1:
		return fuzz_u16(&f->in);
	case 2:
		return (uint32_t)fuzz_u8(&f->in) * 4096;
	case 3:
		return 0xffffffff;
	default:
		return kind >> 3;
	}
}

static struct virtio_pci *any_device(struct fuzz *f)
{
	return &f->bed->fn[fuzz_u8(&f->in) % DEVICES];
}

static void configure(struct fuzz *f)
{
	uint8_t how = fuzz_u8(&f->in), at = fuzz_u8(&f->in);
	unsigned int slot = how % (DEVICES + 2);

	pci_bed_out(f->bed, 0xcf8, 4, how & 0x80 ? fuzz_u32(&f->in) : 0x80000000u | slot << 11 | (at & 0xfc));
	if (how & 0x40)
		pci_bed_out(f->bed, 0xcfc + (at & 3), any_size(f), any_value(f));
	else
		pci_bed_in(f->bed, 0xcfc + (at & 3), any_size(f));
}

/* Aim PCI_CFG somewhere, and fire. */
static void configure_through(struct fuzz *f)
{
	struct virtio_pci *vp = any_device(f);
	unsigned int slot = (unsigned int)(vp - f->bed->fn) + 1, cap = vp->access;

	pci_bed_set(f->bed, slot, cap + VIRTIO_PCI_CAP_BAR, 1, fuzz_u8(&f->in) % 8);
	pci_bed_set(f->bed, slot, cap + VIRTIO_PCI_CAP_OFFSET, 4, any_value(f));
	pci_bed_set(f->bed, slot, cap + VIRTIO_PCI_CAP_LENGTH, 4, fuzz_u8(&f->in) % 8);
	if (fuzz_u8(&f->in) & 1)
		pci_bed_set(f->bed, slot, cap + VIRTIO_PCI_CAP_DATA, any_size(f), any_value(f));
	else
		pci_bed_get(f->bed, slot, cap + VIRTIO_PCI_CAP_DATA, any_size(f));
}

static void use_port(struct fuzz *f)
{
	uint8_t how = fuzz_u8(&f->in);
	struct virtio_pci *vp = any_device(f);
	int32_t base = pci_function_port(&vp->pci, how % 3);
	unsigned int port = how & 0x40 || base < 0 ? fuzz_u16(&f->in) : ((unsigned int)base + fuzz_u8(&f->in)) & 0xffff;

	if (how & 0x80)
		pci_bed_out(f->bed, port, any_size(f), any_value(f));
	else
		pci_bed_in(f->bed, port, any_size(f));
}

/* Where the queues of a device go when its driver is a decent one: 192 KiB each device, 32 KiB each queue. */
static uint64_t ring_at(const struct fuzz *f, const struct virtio_pci *vp, unsigned int queue)
{
	return 0x10000 + (uint64_t)(vp - f->bed->fn) * 0x30000 + (uint64_t)queue * 0x8000;
}

static void out(struct fuzz *f, unsigned int port, unsigned int size, uint32_t value)
{
	pci_bed_out(f->bed, port & 0xffff, size, value);
}

static void modern_up(struct fuzz *f)
{
	struct virtio_pci *vp = any_device(f);
	unsigned int base = (unsigned int)pci_function_port(&vp->pci, VIRTIO_PCI_BAR_MODERN);
	uint8_t how = fuzz_u8(&f->in);
	uint64_t features = how & 1 ? vp->regs.dev->offered : (vp->regs.dev->offered & fuzz_u32(&f->in)) | VIRTIO_F_VERSION_1;

	out(f, base + VIRTIO_PCI_STATUS, 1, 0);
	out(f, base + VIRTIO_PCI_STATUS, 1, 3);
	for (unsigned int i = 0; i < 2; i++) {
		out(f, base + VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, i);
		out(f, base + VIRTIO_PCI_DRIVER_FEATURE, 4, (uint32_t)(features >> 32 * i));
	}
	out(f, base + VIRTIO_PCI_STATUS, 1, 11);
	for (unsigned int queue = 0; queue < vp->regs.dev->num_queues; queue++) {
		uint64_t at = how & 2 && fuzz_u8(&f->in) == 0 ? any_value(f) : ring_at(f, vp, queue);
		uint32_t num = vp->regs.dev->queues[queue].num_max;

		out(f, base + VIRTIO_PCI_QUEUE_SELECT, 2, queue);
		out(f, base + VIRTIO_PCI_QUEUE_DESC, 4, (uint32_t)at);
		out(f, base + VIRTIO_PCI_QUEUE_DRIVER, 4, (uint32_t)(at + vring_desc_bytes(num)));
		out(f, base + VIRTIO_PCI_QUEUE_DEVICE, 4, (uint32_t)(at + vring_used_offset(num, 4096)));
		out(f, base + VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
	}
	out(f, base + VIRTIO_PCI_STATUS, 1, 15);
}

static void legacy_up(struct fuzz *f)
{
	struct virtio_pci *vp = any_device(f);
	unsigned int base = (unsigned int)pci_function_port(&vp->pci, VIRTIO_PCI_BAR_LEGACY);
	uint8_t how = fuzz_u8(&f->in);

	out(f, base + VIRTIO_PCI_LEGACY_STATUS, 1, 0);
	out(f, base + VIRTIO_PCI_LEGACY_STATUS, 1, 3);
	out(f, base + VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, (uint32_t)vp->regs.dev->offered & (how & 1 ? ~0u : fuzz_u32(&f->in)));
	for (unsigned int queue = 0; queue < vp->regs.dev->num_queues; queue++) {
		out(f, base + VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, queue);
		out(f, base + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4,
		    how & 2 && fuzz_u8(&f->in) == 0 ? any_value(f) : (uint32_t)(ring_at(f, vp, queue) / 4096));
	}
	if (how & 4)
		out(f, base + VIRTIO_PCI_LEGACY_STATUS, 1, 7);
}

static void store_desc(struct fuzz *f, uint8_t *d)
{
	uint8_t kind = fuzz_u8(&f->in);
	uint64_t addr = fuzz_u16(&f->in) * (kind & 0x10 ? 17 : 1);

	if (kind & 0x80)
		addr = (uint64_t)fuzz_u32(&f->in) << 20 | fuzz_u16(&f->in);
	virtio_put64(false, d, addr);
	virtio_put32(false, d + 8, kind & 0x40 ? fuzz_u32(&f->in) : (uint32_t)fuzz_u8(&f->in) * (kind & 0x20 ? 4096 : 1));
	virtio_put16(false, d + 12, kind & 7);
	virtio_put16(false, d + 14, fuzz_u8(&f->in) & 15);
}

static void kick(struct fuzz *f, const struct virtio_pci *vp, unsigned int queue, bool legacy)
{
	if (legacy)
		out(f, (unsigned int)pci_function_port(&vp->pci, VIRTIO_PCI_BAR_LEGACY) + VIRTIO_PCI_LEGACY_QUEUE_NOTIFY, 2, queue);
	else
		out(f, (unsigned int)pci_function_port(&vp->pci, VIRTIO_PCI_BAR_MODERN) + VIRTIO_PCI_AT_NOTIFY +
			       VIRTIO_PCI_NOTIFY_STEP * queue, 2, queue);
}

static void poke(struct fuzz *f)
{
	struct virtio_pci *vp = any_device(f);
	uint8_t how = fuzz_u8(&f->in);
	uint8_t *ring = f->bed->memory + ring_at(f, vp, (how >> 3) % vp->regs.dev->num_queues);

	if (how & 1)
		store_desc(f, ring + (size_t)16 * (fuzz_u8(&f->in) & 15));
	else if (how & 2)
		ring[fuzz_u16(&f->in) % 0x9000] = fuzz_u8(&f->in);
	else
		f->bed->memory[fuzz_u32(&f->in) % PCI_BED_RAM] = fuzz_u8(&f->in);
}

/* A disk's request near the ends of the disk, a frame's header, a message about a port, or page numbers. */
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
static void offer(struct fuzz *f)
{
	struct virtio_pci *vp = any_device(f);
	unsigned int queue = fuzz_u8(&f->in) % vp->regs.dev->num_queues, num = vp->regs.dev->queues[queue].num_max;
	uint8_t *ring = f->bed->memory + ring_at(f, vp, queue), *avail = ring + (size_t)16 * num;
	unsigned int n = 1 + fuzz_u8(&f->in) % 4, writable = fuzz_u8(&f->in) % (n + 1), head = fuzz_u8(&f->in) % num;
	uint16_t idx = virtio_get16(false, avail + 2);

	for (unsigned int i = 0; i < n; i++) {
		unsigned int at = (head + i) % num;
		uint8_t *d = ring + (size_t)16 * at;
		uint64_t addr = 0x1000 + fuzz_u16(&f->in) % 0xe000;

		/* The second of two such is a range to discard, or to zero. */
		if (i < 2)
			store_header(f, f->bed->memory + addr);
		virtio_put64(false, d, addr);
		virtio_put32(false, d + 8, i ? (uint32_t)fuzz_u8(&f->in) << (fuzz_u8(&f->in) % 10) : 16u - fuzz_u8(&f->in) % 2);
		virtio_put16(false, d + 12, (uint16_t)((i + writable >= n ? VRING_DESC_WRITE : 0) | (i + 1 < n ? VRING_DESC_NEXT : 0)));
		virtio_put16(false, d + 14, (uint16_t)((at + 1) % num));
	}
	virtio_put16(false, avail + 4 + 2 * (size_t)(idx % num), (uint16_t)head);
	virtio_put16(false, avail + 2, (uint16_t)(idx + 1));
	kick(f, vp, queue, fuzz_u8(&f->in) & 1);
}

/* --- the host ------------------------------------------------------------------------------------------------------------ */

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
		m->net.be.receiver.receive(m->net.be.receiver.opaque, iov, 2, what & 0x10 ? &offload : NULL);
		break;
	case 2:
		m->net.be.receiver.tx_ready(m->net.be.receiver.opaque);
		break;
	case 3:
		fake_disk_run(&m->disk);
		break;
	case 4:
		m->disk.hold = what & 0x10;
		m->disk.fail = what & 0x20 ? -5 : 0;
		break;
	case 5:
		m->net.busy = what >> 4;
		break;
	case 6:
		m->balloon.target = any_value(f);
		m->balloon.target_changed(m->balloon.opaque);
		m->balloon.ask_stats(m->balloon.opaque);
		break;
	default:
		if (what == 0xff)
			pci_bus_restart(&f->bed->bus);
	}
}

/* A line is high exactly while a device on it wants it to be. */
static void check_lines(const struct fuzz *f)
{
	uint16_t lines = 0;

	for (unsigned int i = 0; i < DEVICES; i++) {
		const struct virtio_pci *vp = &f->bed->fn[i];

		assert_int_equal(!!vp->regs.isr, vp->pci.pin);
		assert_int_equal(!!(pci_function_get16(&vp->pci, PCI_STATUS) & PCI_STATUS_INTERRUPT), vp->pci.pin);
		if (vp->regs.isr && !(pci_function_get16(&vp->pci, PCI_COMMAND) & PCI_COMMAND_NO_INTX))
			lines |= (uint16_t)(1u << pci_bus_line(i + 1));
	}
	assert_int_equal(lines, f->bed->lines);
}

static struct machine *machine_of(unsigned int shape)
{
	struct machine *m = &machines[shape % SHAPES];
	enum virtio_pci_kind kind = shape & 4 ? VIRTIO_PCI_MODERN : VIRTIO_PCI_TRANSITIONAL;

	if (m->bed)
		return m;
	m->bed = pci_bed_create();
	fake_disk_init(&m->disk);
	m->disk.be.read_only = shape & 1;
	fake_net_init(&m->net, shape & 2);
	fake_entropy_init(&m->entropy);
	m->balloon.ops = &balloon_ops;
	pci_bed_add(m->bed, block_device_create(&m->disk.be), kind);
	pci_bed_add(m->bed, net_device_create(&m->net.be), kind);
	pci_bed_add(m->bed, rng_device_create(&m->entropy.be), kind);
	pci_bed_add(m->bed, fake_ports_create(m->console), kind);
	pci_bed_add(m->bed, balloon_device_create(&m->balloon), kind);
	return m;
}

static void restart(struct machine *m)
{
	pci_bus_restart(&m->bed->bus);
	memset(m->bed->memory, 0, PCI_BED_RAM);
	m->disk.hold = false;
	m->disk.fail = 0;
	m->net.busy = 0;
	m->balloon.target = 0;
	for (unsigned int i = 0; i < DEVICES; i++)
		assert_int_equal(pci_function_port(&m->bed->fn[i].pci, VIRTIO_PCI_BAR_MODERN) % 256, 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static void (*const steps[])(struct fuzz *f) = {
		configure, configure_through, use_port, modern_up, legacy_up, poke, host_event, offer,
	};
	struct fuzz f = { .in = { data, size } };

	f.machine = machine_of(fuzz_u8(&f.in));
	f.bed = f.machine->bed;
	restart(f.machine);
	while (f.in.left) {
		steps[fuzz_u8(&f.in) % (sizeof(steps) / sizeof(steps[0]))](&f);
		check_lines(&f);
	}
	return 0;
}
