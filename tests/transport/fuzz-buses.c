/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the device's end of a bus and four devices behind it: the input is a guest that writes registers, pages, rings and
 * memory as it likes and calls what it likes, and a host where input arrives and disks finish late. Backends check what they
 * are asked to do, what leaves guest memory or blocks is caught, and the sanitizer watches the rest. One program per bus: BUS
 * is mmio, msix (PCI with message interrupts), s390, tlv or dma.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <transport/lguest/dma-host.h>
#include <transport/lguest/tlv-host.h>
#include <transport/mmio/virtio-mmio-host.h>
#include <transport/pci/virtio-pci-host.h>
#include <transport/s390/page-host.h>

#include "../device/bed.h"
#include "../virtio/fuzz.h"

#define RAM	0x100000u
#define SIZE	(RAM + 0x40000u)
#define DEVICES	4u
#define RINGS	12u

/* Where the rings of a decent driver are, one per queue of each device. */
struct ring {
	unsigned int device, queue;
	uint64_t at;
	uint32_t num;
};

static struct {
	uint8_t *memory, *private;
	struct virtio_mem mem;
	struct virtio_dev *dev[DEVICES];
	struct fake_console console[FAKE_PORTS];
	struct fake_disk disk;
	struct fake_net net;
	struct fake_entropy entropy;
	struct ring ring[RINGS];
	unsigned int rings;
	struct fuzz_input in;
	struct virtio_mmio mmio[DEVICES];
	struct virtio_pci pci[DEVICES];
	struct s390_page s390;
	struct lguest_tlv tlv;
	struct lguest_dma_bus dma;
	bool woken;
} m;

/* What a bus is to this program. */
struct bus {
	void (*init)(void);
	int (*add)(unsigned int i);
	void (*restart)(void);
	void (*step)(uint8_t how);	/* the guest does something to the bus */
	void (*kick)(const struct ring *r);	/* NULL: there are no rings */
};

/* Numbers that mean something more often than others. */
static uint32_t any_value(void)
{
	uint8_t kind = fuzz_u8(&m.in);

	switch (kind & 7) {
	case 0:
		return fuzz_u32(&m.in);
	case 1:
		return fuzz_u16(&m.in);
	case 2:
		return (uint32_t)fuzz_u8(&m.in) * 4096;
	case 3:
		return 0xffffffff;
	case 4:
		return RAM + fuzz_u16(&m.in);
	default:
		return kind >> 3;
	}
}

static void raise_irq(void *opaque, unsigned int irq)
{
	assert_in_range(irq, 1, 31);
}

/* --- MMIO: devices 0 and 1 are of version 2, the others of version 1, the last with a big-endian guest -------------- */

static bool line[DEVICES];

static void mmio_irq(void *opaque, bool level)
{
	bool *l = opaque;

	assert_int_equal(*l, !level);
	*l = level;
}

static void mmio_init(void)
{
}

static int mmio_add(unsigned int i)
{
	return virtio_mmio_init(&m.mmio[i], m.dev[i], i < 2 ? 2 : 1, i == 3, &m.mem, mmio_irq, &line[i], NULL);
}

static void mmio_restart(void)
{
	for (unsigned int i = 0; i < DEVICES; i++) {
		virtio_mmio_restart(&m.mmio[i]);
		assert_false(line[i]);
	}
}

static void out(struct virtio_mmio *vm, uint32_t offset, uint32_t value)
{
	virtio_mmio_write(vm, offset, 4, value);
}

/* What a driver does, with a mistake now and then. */
static void mmio_up(unsigned int i, uint8_t how)
{
	struct virtio_mmio *vm = &m.mmio[i];
	uint64_t features = how & 1 ? m.dev[i]->offered : (m.dev[i]->offered & fuzz_u32(&m.in)) | VIRTIO_F_VERSION_1;

	out(vm, VIRTIO_MMIO_STATUS, 0);
	out(vm, VIRTIO_MMIO_STATUS, 3);
	out(vm, VIRTIO_MMIO_GUEST_PAGE_SIZE, 4096);
	for (unsigned int half = 0; half < (vm->version == 2 ? 2u : 1u); half++) {
		out(vm, VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
		out(vm, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * half));
	}
	if (vm->version == 2)
		out(vm, VIRTIO_MMIO_STATUS, 11);
	for (unsigned int r = 0; r < m.rings; r++) {
		const struct ring *ring = &m.ring[r];
		uint64_t at = how & 2 && !fuzz_u8(&m.in) ? any_value() : ring->at;

		if (ring->device != i)
			continue;
		out(vm, VIRTIO_MMIO_QUEUE_SEL, ring->queue);
		out(vm, VIRTIO_MMIO_QUEUE_NUM, how & 4 && !fuzz_u8(&m.in) ? any_value() : ring->num);
		out(vm, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)at);
		out(vm, VIRTIO_MMIO_QUEUE_DRIVER_LOW, (uint32_t)(at + vring_desc_bytes(ring->num)));
		out(vm, VIRTIO_MMIO_QUEUE_DEVICE_LOW, (uint32_t)(at + vring_used_offset(ring->num, 4096)));
		out(vm, VIRTIO_MMIO_QUEUE_READY, 1);
		out(vm, VIRTIO_MMIO_QUEUE_PFN, (uint32_t)(at / 4096));
	}
	out(vm, VIRTIO_MMIO_STATUS, 15);
}

static void mmio_step(uint8_t how)
{
	unsigned int i = fuzz_u8(&m.in) % DEVICES, size = 1u << how % 3;
	uint32_t offset = how & 0x10 ? fuzz_u16(&m.in) : (uint32_t)(fuzz_u8(&m.in) % 0x48) * 4;

	if (how & 0x80)
		mmio_up(i, how);
	else if (how & 0x40)
		virtio_mmio_write(&m.mmio[i], offset, size, any_value());
	else
		virtio_mmio_read(&m.mmio[i], offset, size);
	assert_int_equal(line[i], !!m.mmio[i].regs.isr);
}

static void mmio_kick(const struct ring *r)
{
	out(&m.mmio[r->device], VIRTIO_MMIO_QUEUE_NOTIFY, r->queue);
}

/* --- PCI with message interrupts; the line and the ports are fuzz-virtio-pci.c's ------------------------------------ */

static void msix_send(void *opaque, uint64_t address, uint32_t data)
{
	const struct virtio_pci *vp = opaque;
	uint16_t control = pci_function_get16(&vp->pci, vp->msix + (unsigned int)PCI_MSIX_CONTROL);

	/* Nothing is sent past a mask. */
	assert_int_equal(control & (PCI_MSIX_ENABLE | PCI_MSIX_MASK), PCI_MSIX_ENABLE);
}

static void msix_init(void)
{
}

static int msix_add(unsigned int i)
{
	int ret = virtio_pci_init(&m.pci[i], m.dev[i], i & 1 ? VIRTIO_PCI_MODERN : VIRTIO_PCI_TRANSITIONAL, &m.mem, NULL);

	return ret ? ret : virtio_pci_add_msix(&m.pci[i], msix_send, &m.pci[i]);
}

static void msix_restart(void)
{
	for (unsigned int i = 0; i < DEVICES; i++) {
		pci_function_restart(&m.pci[i].pci);
		assert_false(m.pci[i].pci.asserted || m.pci[i].held);
	}
}

static void msix_out(unsigned int i, uint32_t offset, unsigned int size, uint32_t value)
{
	pci_bar_write(&m.pci[i].pci, VIRTIO_PCI_BAR_MODERN, offset, size, value);
}

static void msix_up(unsigned int i, uint8_t how)
{
	uint64_t features = how & 1 ? m.dev[i]->offered : (m.dev[i]->offered & fuzz_u32(&m.in)) | VIRTIO_F_VERSION_1;

	msix_out(i, VIRTIO_PCI_STATUS, 1, 0);
	msix_out(i, VIRTIO_PCI_STATUS, 1, 3);
	for (unsigned int half = 0; half < 2; half++) {
		msix_out(i, VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, half);
		msix_out(i, VIRTIO_PCI_DRIVER_FEATURE, 4, (uint32_t)(features >> 32 * half));
	}
	msix_out(i, VIRTIO_PCI_STATUS, 1, 11);
	msix_out(i, VIRTIO_PCI_CONFIG_VECTOR, 2, how & 2 ? 0 : fuzz_u8(&m.in));
	for (unsigned int r = 0; r < m.rings; r++) {
		const struct ring *ring = &m.ring[r];

		if (ring->device != i)
			continue;
		msix_out(i, VIRTIO_PCI_QUEUE_SELECT, 2, ring->queue);
		msix_out(i, VIRTIO_PCI_QUEUE_VECTOR, 2, how & 2 ? ring->queue + 1 : fuzz_u8(&m.in));
		msix_out(i, VIRTIO_PCI_QUEUE_DESC, 4, (uint32_t)ring->at);
		msix_out(i, VIRTIO_PCI_QUEUE_DRIVER, 4, (uint32_t)(ring->at + vring_desc_bytes(ring->num)));
		msix_out(i, VIRTIO_PCI_QUEUE_DEVICE, 4, (uint32_t)(ring->at + vring_used_offset(ring->num, 4096)));
		msix_out(i, VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
	}
	msix_out(i, VIRTIO_PCI_STATUS, 1, 15);
}

static void msix_step(uint8_t how)
{
	unsigned int i = fuzz_u8(&m.in) % DEVICES, size = 1u << how % 3, bar = (how >> 2) % 4;
	struct pci_function *fn = &m.pci[i].pci;
	uint32_t offset = how & 0x40 ? fuzz_u16(&m.in) : fuzz_u8(&m.in);
	uint16_t control;

	if (how >= 0xe0)
		msix_up(i, how);
	else if (how >= 0xc0)
		pci_config_write(fn, m.pci[i].msix + (unsigned int)PCI_MSIX_CONTROL, 2, (uint32_t)(fuzz_u8(&m.in) & 3) << 14);
	else if (how >= 0xa0)
		pci_config_write(fn, offset & 0xfc, 4, any_value());
	else if (how & 0x80)
		pci_bar_write(fn, bar, offset, size, any_value());
	else if (how & 0x20)
		pci_config_read(fn, offset & 0xfc, 4);
	else
		pci_bar_read(fn, bar, offset, size);
	/* The line is for what ISR says only where there are no messages. */
	control = pci_function_get16(fn, m.pci[i].msix + (unsigned int)PCI_MSIX_CONTROL);
	assert_int_equal(m.pci[i].regs.isr && !(control & PCI_MSIX_ENABLE), fn->pin);
	assert_true(m.pci[i].held < UINT64_C(1) << m.pci[i].vectors);
}

static void msix_kick(const struct ring *r)
{
	msix_out(r->device, VIRTIO_PCI_AT_NOTIFY + VIRTIO_PCI_NOTIFY_STEP * r->queue, 2, r->queue);
}

/* --- s390 ----------------------------------------------------------------------------------------------------------- */

static void s390_raise(void *opaque, uint32_t reason, uint64_t token)
{
	assert_true(token || reason == S390_REASON_ADDED);
}

static void s390_print(void *opaque, const char *text, size_t len)
{
	assert_in_range(len, 1, 4096);
}

static void s390_init(void)
{
	assert_int_equal(s390_page_init(&m.s390, &m.mem, RAM, SIZE, s390_raise, NULL), 0);
	m.s390.print = s390_print;
	m.s390.reasons = true;
}

static int s390_add(unsigned int i)
{
	int ret = s390_page_add(&m.s390, m.dev[i], NULL);

	for (unsigned int q = 0; q < m.dev[i]->num_queues; q++)
		m.ring[m.rings++] = (struct ring){ i, q, m.s390.slot[i].ring[q], m.dev[i]->queues[q].num_max };
	return ret;
}

static void s390_restart(void)
{
	s390_page_restart(&m.s390);
}

static void s390_step(uint8_t how)
{
	const struct s390_slot *slot = &m.s390.slot[fuzz_u8(&m.in) % DEVICES];
	uint8_t *d = m.memory + RAM + slot->offset;

	if (how & 0x80) {
		s390_page_call(&m.s390, how & 0x70 ? how & 3 : any_value(), any_value());
		return;
	}
	d[PAGE_DESC_STATUS] = how & 0x40 ? fuzz_u8(&m.in) : 7;
	virtio_put32(false, d + PAGE_DESC_HEADER + (size_t)S390_DESC_VQ * slot->dev->num_queues + 4,
		     how & 0x20 ? fuzz_u32(&m.in) : slot->offered & (how & 0x10 ? fuzz_u32(&m.in) : ~0u));
	d[PAGE_DESC_HEADER + 7] = fuzz_u8(&m.in);
	s390_page_call(&m.s390, how & 8 ? S390_RESET : S390_SET_STATUS, RAM + slot->offset);
}

static void s390_kick(const struct ring *r)
{
	s390_page_call(&m.s390, S390_NOTIFY, r->at);
}

/* --- lguest of Linux 2.6.24 ----------------------------------------------------------------------------------------- */

static void tlv_init(void)
{
	assert_int_equal(lguest_tlv_init(&m.tlv, &m.mem, RAM, SIZE, raise_irq, NULL), 0);
}

static int tlv_add(unsigned int i)
{
	int ret = lguest_tlv_add(&m.tlv, m.dev[i], NULL);

	for (unsigned int q = 0; q < m.dev[i]->num_queues; q++)
		m.ring[m.rings++] = (struct ring){ i, q, m.tlv.slot[i].ring[q], m.dev[i]->queues[q].num_max };
	return ret;
}

static void tlv_restart(void)
{
	lguest_tlv_restart(&m.tlv);
}

static void tlv_step(uint8_t how)
{
	const struct lguest_tlv_slot *slot = &m.tlv.slot[fuzz_u8(&m.in) % DEVICES];

	if (how & 0x80)
		lguest_tlv_notify(&m.tlv, any_value());
	else
		m.memory[RAM + slot->offset + TLV_DESC_STATUS] = how & 0x40 ? fuzz_u8(&m.in) : 3;
}

static void tlv_kick(const struct ring *r)
{
	lguest_tlv_notify(&m.tlv, r->at);
}

/* --- lguest of Linux 2.6.23: no rings, so lists --------------------------------------------------------------------- */

static void dma_wake(void *opaque)
{
	m.woken = true;
}

static void dma_init(void)
{
	static const struct lguest_dma_ops ops = { .raise = raise_irq, .wake = dma_wake };

	m.private = aligned_alloc(4096, LGUEST_DMA_PRIVATE);
	assert_int_equal(lguest_dma_init(&m.dma, &m.mem, RAM, SIZE, m.private, LGUEST_DMA_PRIVATE, &ops, NULL), 0);
}

static int dma_add(unsigned int i)
{
	return m.dev[i]->id == VIRTIO_ID_RNG ? 0 : lguest_dma_add(&m.dma, m.dev[i], NULL);
}

static void dma_restart(void)
{
	assert_int_equal(lguest_dma_restart(&m.dma), 0);
}

/* A list at @at, mostly of sections in memory. */
static void store_list(uint32_t at)
{
	unsigned int count = fuzz_u8(&m.in) % 18;
	uint8_t *list = m.memory + at;

	virtio_put32(false, list, fuzz_u8(&m.in) & 1 ? 0 : any_value());
	for (unsigned int i = 0; i < DMA_SECTIONS; i++) {
		uint8_t kind = fuzz_u8(&m.in);

		virtio_put32(false, list + DMA_ADDR + 4 * (size_t)i, kind & 0x80 ? any_value() : 0x4000 + 4096u * (kind & 31));
		virtio_put16(false, list + DMA_LEN + 2 * (size_t)i, (uint16_t)(i >= count ? 0 : kind & 0x40 ? any_value() : 512));
	}
}

static void dma_step(uint8_t how)
{
	const uint32_t keys[] = { 0, m.dma.slot[0].page, m.dma.slot[1].page, m.dma.slot[1].page + 4 };
	uint32_t key = how & 0x40 ? any_value() : keys[how & 3], at = how & 0x20 ? any_value() : 0x1000u + 256u * (how >> 2 & 3);

	if (at < RAM)
		store_list(at);
	if (m.dma.slot[0].page && !(how & 0x10)) {
		uint8_t *page = m.memory + m.dma.slot[0].page;

		virtio_put32(false, page + DMA_BLOCK_TYPE, fuzz_u8(&m.in) & 1);
		virtio_put32(false, page + DMA_BLOCK_SECTOR, any_value());
		virtio_put32(false, page + DMA_BLOCK_LENGTH, any_value());
	}
	if (how & 0x80)
		lguest_dma_bind(&m.dma, key, at, how & 8 ? fuzz_u32(&m.in) : (uint32_t)(how & 4) << 8 | (how & 31));
	else
		lguest_dma_send(&m.dma, key, at);
	if (m.woken)
		lguest_dma_poll(&m.dma);
	m.woken = false;
}

/* --- the guest's memory --------------------------------------------------------------------------------------------- */

static const struct buses {
	struct bus mmio, msix, s390, tlv, dma;
} buses = {
	.mmio = { mmio_init, mmio_add, mmio_restart, mmio_step, mmio_kick },
	.msix = { msix_init, msix_add, msix_restart, msix_step, msix_kick },
	.s390 = { s390_init, s390_add, s390_restart, s390_step, s390_kick },
	.tlv = { tlv_init, tlv_add, tlv_restart, tlv_step, tlv_kick },
	.dma = { dma_init, dma_add, dma_restart, dma_step, NULL },
};

static const struct bus *const bus = &buses.BUS;

static void poke(void)
{
	uint8_t how = fuzz_u8(&m.in);
	uint32_t at = how & 1 ? RAM + fuzz_u16(&m.in) : fuzz_u32(&m.in) % SIZE;

	m.memory[at] = fuzz_u8(&m.in);
}

/* Make a chain available, mostly of descriptors that a device will take. */
static void offer(void)
{
	const struct ring *r;
	bool big;
	uint8_t *ring, *avail;
	unsigned int n = 1 + fuzz_u8(&m.in) % 4, writable = fuzz_u8(&m.in) % (n + 1), head;
	uint16_t idx;

	r = &m.ring[fuzz_u8(&m.in) % m.rings];
	big = m.dev[r->device]->big_endian;
	ring = m.memory + r->at;
	avail = ring + vring_desc_bytes(r->num);
	head = fuzz_u8(&m.in) % r->num;
	idx = virtio_get16(big, avail + 2);
	for (unsigned int i = 0; i < n; i++) {
		uint8_t kind = fuzz_u8(&m.in), *d = ring + (size_t)16 * ((head + i) % r->num);
		uint64_t addr = kind & 0x80 ? any_value() : 0x4000u + fuzz_u16(&m.in);

		if (i < 2 && addr < RAM - 64) {
			/* A disk's request near the ends of the disk, and then perhaps a range to discard or to zero; or a message about a port. */
			virtio_put32(big, m.memory + addr, kind & 15);
			virtio_put32(big, m.memory + addr + 4, kind & 8 ? 0 : 1u << 16 | (kind >> 4 & 7));
			virtio_put64(big, m.memory + addr + 8, kind & 8 ? FAKE_DISK_SIZE / 512 - (kind & 3) : kind & 3);
		}
		virtio_put64(big, d, addr);
		virtio_put32(big, d + 8, kind & 0x40 ? any_value() : i ? (kind & 0x30) * (kind & 2 ? 1 : 32u) + (kind & 1) : 16u + (kind & 8));
		virtio_put16(big, d + 12, (uint16_t)((i + writable >= n ? VRING_DESC_WRITE : 0) | (i + 1 < n ? VRING_DESC_NEXT : 0) |
						     (kind == 0x3f ? VRING_DESC_INDIRECT : 0)));
		virtio_put16(big, d + 14, (uint16_t)((head + i + 1) % r->num));
	}
	virtio_put16(big, avail + 4 + 2 * (size_t)(idx % r->num), (uint16_t)head);
	virtio_put16(big, avail + 2, (uint16_t)(idx + 1));
	bus->kick(r);
}

static void host_event(void)
{
	static uint8_t bytes[70000];
	uint8_t what = fuzz_u8(&m.in);
	struct virtio_iov iov[2] = { { bytes, fuzz_u8(&m.in) }, { bytes + 256, fuzz_u16(&m.in) } };

	switch (what & 7) {
	case 0:
		fake_ports_event(m.console, (uint8_t)iov[0].len, iov[1].len);
		break;
	case 1:
		m.net.be.receiver.receive(m.net.be.receiver.opaque, iov, 2, NULL);
		break;
	case 2:
		m.net.be.receiver.tx_ready(m.net.be.receiver.opaque);
		break;
	case 3:
		fake_disk_run(&m.disk);
		break;
	case 4:
		m.disk.hold = what & 0x10;
		m.disk.fail = what & 0x20 ? -5 : 0;
		break;
	case 5:
		m.net.busy = what >> 4;
		break;
	default:
		if (what == 0xff)
			bus->restart();
	}
}

static void set_up(void)
{
	m.memory = aligned_alloc(4096, SIZE);
	memset(m.memory, 0, SIZE);
	m.mem = (struct virtio_mem){ .base = m.memory, .size = SIZE };
	fake_disk_init(&m.disk);
	fake_net_init(&m.net, true);
	fake_entropy_init(&m.entropy);
	m.dev[0] = block_device_create(&m.disk.be);
	m.dev[1] = net_device_create(&m.net.be);
	fake_console_init(&m.console[0]);
	m.console[0].discard = true;
	m.dev[2] = bus == &buses.dma ? console_device_create(&m.console[0].be) : fake_ports_create(m.console);
	m.dev[3] = rng_device_create(&m.entropy.be);
	bus->init();
	for (unsigned int i = 0; i < DEVICES; i++)
		assert_int_equal(bus->add(i), 0);
	/* Where a guest that places its rings itself has them. */
	for (unsigned int i = 0; (bus == &buses.mmio || bus == &buses.msix) && i < DEVICES; i++)
		for (unsigned int q = 0; q < m.dev[i]->num_queues; q++, m.rings++)
			m.ring[m.rings] = (struct ring){ i, q, 0x40000 + 0x8000 * (uint64_t)m.rings, m.dev[i]->queues[q].num_max };
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (!m.memory)
		set_up();
	m.in = (struct fuzz_input){ data, size };
	m.disk.hold = false;
	m.disk.fail = 0;
	m.net.busy = 0;
	bus->restart();
	memset(m.memory, 0, RAM);
	while (m.in.left) {
		uint8_t op = fuzz_u8(&m.in);

		switch (op & 3) {
		case 0:
			poke();
			break;
		case 1:
			host_event();
			break;
		case 2:
			bus->step(fuzz_u8(&m.in));
			break;
		default:
			if (bus->kick)
				offer();
			else
				bus->step(fuzz_u8(&m.in));
		}
	}
	return 0;
}
