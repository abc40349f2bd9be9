/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci-host.c - a virtio device as a PCI function: ids, capabilities, windows, interrupt (virtio 1.2, 4.1). What the registers
 * mean is in virtio-pci-common.c and virtio-pci-legacy.c.
 *
 * Nothing the guest may overwrite is believed later: the capabilities are read-only but for the address in PCI_CFG, and that is
 * checked whenever it is used.
 */
#include "transport/pci/virtio-pci-host-internal.h"

/* --- what devices tell the guest -------------------------------------------------------------------------------------- */

/* 4.1.4.5.1-4: the line is high while there is a reason that the driver has not read, unless there are messages. */
static void settle(struct virtio_pci *vp)
{
	bool level = vp->regs.isr && !virtio_pci_msix_enabled(vp);

	if (vp->pci.pin != level)
		pci_function_interrupt(&vp->pci, level);
}

static void pci_interrupt(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_pci *vp = dev->transport_data;

	if (virtio_pci_msix_enabled(vp)) {
		virtio_pci_message(vp, vp->regs.queue[queue].vector);
		return;
	}
	/* 4.1.4.5.1-3: without messages ISR says that it is a queue. */
	vp->regs.isr |= VIRTIO_ISR_QUEUE;
	settle(vp);
}

static void pci_config_changed(struct virtio_dev *dev)
{
	struct virtio_pci *vp = dev->transport_data;

	virtio_regs_config_changed(&vp->regs);
	if (!(dev->status & VIRTIO_STATUS_DRIVER_OK))
		return;
	/* 4.1.4.5.1-2: this bit also with messages. */
	vp->regs.isr |= VIRTIO_ISR_CONFIG;
	if (virtio_pci_msix_enabled(vp))
		virtio_pci_message(vp, vp->regs.config_vector);
	settle(vp);
}

static void pci_broken(struct virtio_dev *dev)
{
	struct virtio_pci *vp = dev->transport_data;

	if (vp->complain)
		vp->complain(vp->opaque, dev, dev->broken);
}

static const struct virtio_transport_ops pci_transport = {
	.interrupt = pci_interrupt,
	.config_changed = pci_config_changed,
	.broken = pci_broken,
};

uint8_t virtio_pci_read_isr(struct virtio_pci *vp)
{
	uint8_t isr = vp->regs.isr;

	/* 4.1.4.5.1-5: it was read. */
	vp->regs.isr = 0;
	settle(vp);
	return isr;
}

static void reset(struct virtio_pci *vp)
{
	virtio_regs_reset(&vp->regs);
	settle(vp);
}

/* --- windows ---------------------------------------------------------------------------------------------------------- */

static struct virtio_pci *of(struct pci_function *fn)
{
	return (struct virtio_pci *)(void *)fn;
}

static uint32_t modern_read(struct virtio_pci *vp, uint32_t offset, unsigned int size)
{
	if (offset < VIRTIO_PCI_AT_COMMON + VIRTIO_PCI_COMMON_LEN)
		return virtio_pci_common_read(vp, offset - VIRTIO_PCI_AT_COMMON, size);
	return offset == VIRTIO_PCI_AT_ISR ? virtio_pci_read_isr(vp) : 0;
}

static void modern_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value)
{
	/* Each queue has a port of its own, so which port it is says all, and the value nothing. */
	if (offset >= VIRTIO_PCI_AT_NOTIFY)
		virtio_dev_kick(vp->regs.dev, (offset - VIRTIO_PCI_AT_NOTIFY) / VIRTIO_PCI_NOTIFY_STEP);
	else if (offset < VIRTIO_PCI_AT_COMMON + VIRTIO_PCI_COMMON_LEN)
		virtio_pci_common_write(vp, offset - VIRTIO_PCI_AT_COMMON, size, value);
}

/* 4.1.4.10-3: where the device's configuration begins in the legacy window. */
static uint32_t legacy_config(const struct virtio_pci *vp)
{
	return virtio_pci_msix_enabled(vp) ? VIRTIO_PCI_LEGACY_MSIX_CONFIG : VIRTIO_PCI_LEGACY_CONFIG;
}

static uint32_t bar_read(struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size)
{
	struct virtio_pci *vp = of(fn);

	if (bar == VIRTIO_PCI_BAR_MODERN)
		return modern_read(vp, offset, size);
	if (bar == VIRTIO_PCI_BAR_CONFIG)
		return virtio_regs_config_read(&vp->regs, offset, size);
	if (bar == VIRTIO_PCI_BAR_MSIX)
		return virtio_pci_msix_read(vp, offset, size);
	if (offset >= legacy_config(vp))
		return virtio_regs_config_read(&vp->regs, offset - legacy_config(vp), size);
	return virtio_pci_legacy_read(vp, offset, size);
}

static void bar_write(struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size, uint32_t value)
{
	struct virtio_pci *vp = of(fn);

	if (bar == VIRTIO_PCI_BAR_MODERN)
		modern_write(vp, offset, size, value);
	else if (bar == VIRTIO_PCI_BAR_CONFIG)
		virtio_regs_config_write(&vp->regs, offset, size, value);
	else if (bar == VIRTIO_PCI_BAR_MSIX)
		virtio_pci_msix_write(vp, offset, size, value);
	else if (offset >= legacy_config(vp))
		virtio_regs_config_write(&vp->regs, offset - legacy_config(vp), size, value);
	else
		virtio_pci_legacy_write(vp, offset, size, value);
	/* What was written may have been a reset. */
	settle(vp);
}

/* --- the way to the windows through the configuration space, of 4.1.4.9 ----------------------------------------------- */

/* What PCI_CFG names now, as far as it makes sense. */
struct access {
	unsigned int bar, size;
	uint32_t offset;
};

static bool get_access(const struct virtio_pci *vp, unsigned int at, unsigned int size, struct access *a)
{
	const uint8_t *cap = vp->pci.config + vp->access;
	unsigned int data = vp->access + (unsigned int)VIRTIO_PCI_CAP_DATA;

	a->bar = cap[VIRTIO_PCI_CAP_BAR];
	a->offset = virtio_get32(false, cap + VIRTIO_PCI_CAP_OFFSET);
	a->size = virtio_get32(false, cap + VIRTIO_PCI_CAP_LENGTH);
	if (at >= data + 4 || at + size <= data)
		return false;
	/* 4.1.4.9.2-1: the length is 1, 2 or 4, the offset a multiple of it. pci_bar_read() and _write() check the rest. */
	return (a->size == 1 || a->size == 2 || a->size == 4) && a->offset % a->size == 0;
}

static void config_reading(struct pci_function *fn, unsigned int at, unsigned int size)
{
	struct virtio_pci *vp = of(fn);
	uint8_t bytes[4];
	struct access a;

	if (!get_access(vp, at, size, &a))
		return;
	/* 4.1.4.9.1-3, 4.1.4.9.2-2: outside the window it reads all ones. */
	virtio_put32(false, bytes, pci_bar_read(fn, a.bar, a.offset, a.size));
	virtio_copy(fn->config + vp->access + VIRTIO_PCI_CAP_DATA, bytes, a.size);
}

static void config_written(struct pci_function *fn, unsigned int at, unsigned int size)
{
	struct virtio_pci *vp = of(fn);
	struct access a;

	if (vp->msix && at < (unsigned int)vp->msix + PCI_MSIX_BYTES && at + size > vp->msix)
		virtio_pci_msix_settle(vp);
	settle(vp);
	/* 4.1.4.9.1-2, 4.1.4.9.2-2: outside the window nothing is written. */
	if (get_access(vp, at, size, &a))
		pci_bar_write(fn, a.bar, a.offset, a.size, pci_function_get32(fn, vp->access + VIRTIO_PCI_CAP_DATA));
}

/*
 * A system that is about to hand over to another one (kexec) stops devices by taking this right away, whatever their drivers left
 * running: so nothing of the driver's may be used any more.
 */
static void master_off(struct pci_function *fn)
{
	reset(of(fn));
}

static void restart(struct pci_function *fn)
{
	virtio_pci_msix_restart(of(fn));
	reset(of(fn));
}

static const struct pci_function_ops function_ops = {
	.bar_read = bar_read,
	.bar_write = bar_write,
	.config_reading = config_reading,
	.config_written = config_written,
	.master_off = master_off,
	.restart = restart,
};

/* --- describing the device -------------------------------------------------------------------------------------------- */

static const struct kind {
	uint32_t id;			/* VIRTIO_ID_* */
	uint16_t transitional;		/* id of section 4.1.2.1; 0 = there is none */
	uint8_t base_class, subclass;	/* PCI code and ID assignment, 1.11 */
} kinds[] = {
	{ VIRTIO_ID_NET, 0x1000, 0x02, 0x00 },		/* network, Ethernet */
	{ VIRTIO_ID_BLOCK, 0x1001, 0x01, 0x80 },	/* storage, other */
	{ VIRTIO_ID_BALLOON, 0x1002, 0x00, 0xff },
	{ VIRTIO_ID_CONSOLE, 0x1003, 0x07, 0x80 },	/* communication, other */
	{ VIRTIO_ID_RNG, 0x1005, 0x00, 0xff },
	{ VIRTIO_ID_9P, 0x1009, 0x00, 0xff },
};

static const struct kind *kind_of(uint32_t id)
{
	static const struct kind other = { 0, 0, 0x00, 0xff };

	for (unsigned int i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
		if (kinds[i].id == id)
			return &kinds[i];
	return &other;
}

static const char *why_not(const struct virtio_dev *dev, enum virtio_pci_kind kind, const struct virtio_mem *mem)
{
	const char *why = virtio_regs_why_not(dev);

	if (why)
		return why;
	if (!mem)
		return "a device needs guest memory";
	if (kind != VIRTIO_PCI_MODERN && kind != VIRTIO_PCI_TRANSITIONAL)
		return "a device is modern or transitional";
	return dev->config_len > 256 - VIRTIO_PCI_LEGACY_MSIX_CONFIG ? "the configuration of a device on PCI has at most 232 bytes here" : NULL;
}

/* Add a capability; @extra is the multiplier of NOTIFY. Returns its offset. */
static unsigned int add_capability(struct virtio_pci *vp, uint8_t type, uint8_t bar, uint32_t offset, uint32_t length, uint32_t extra)
{
	bool is_long = type == VIRTIO_PCI_CAP_NOTIFY || type == VIRTIO_PCI_CAP_PCI_CFG;
	uint8_t len = is_long ? VIRTIO_PCI_CAP_LONG : VIRTIO_PCI_CAP_BYTES;
	uint8_t cap[VIRTIO_PCI_CAP_LONG] = { 0 };

	cap[VIRTIO_PCI_CAP_LEN] = len;
	cap[VIRTIO_PCI_CAP_TYPE] = type;
	cap[VIRTIO_PCI_CAP_BAR] = bar;
	virtio_put32(false, cap + VIRTIO_PCI_CAP_OFFSET, offset);
	virtio_put32(false, cap + VIRTIO_PCI_CAP_LENGTH, length);
	virtio_put32(false, cap + VIRTIO_PCI_CAP_MULTIPLIER, extra);
	/* There is room for all five, and MSI-X: 100 bytes of 192. */
	return (unsigned int)pci_function_add_capability(&vp->pci, PCI_CAP_VENDOR, cap, len);
}

static void add_windows(struct virtio_pci *vp)
{
	uint32_t config_len = (uint32_t)vp->regs.dev->config_len, notify = VIRTIO_PCI_NOTIFY_STEP * vp->regs.dev->num_queues;
	uint8_t *writable;

	/* 4.1.4.10-1: ports, in BAR 0. */
	if (vp->transitional)
		pci_function_add_bar(&vp->pci, VIRTIO_PCI_BAR_LEGACY, VIRTIO_PCI_LEGACY_CONFIG + config_len);
	/* 4.1.4.3.1-1, 4.1.4.4.1-1, 4.1.4.4.1-2, 4.1.4.5.1-1, 4.1.4.6.1-1, 4.1.4.9.1-1: each is there, in a place that suits it. */
	pci_function_add_bar(&vp->pci, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_AT_NOTIFY + (notify ? notify : VIRTIO_PCI_NOTIFY_STEP));
	add_capability(vp, VIRTIO_PCI_CAP_COMMON, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_AT_COMMON, VIRTIO_PCI_COMMON_LEN, 0);
	add_capability(vp, VIRTIO_PCI_CAP_NOTIFY, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_AT_NOTIFY,
		       notify ? notify : VIRTIO_PCI_NOTIFY_STEP, VIRTIO_PCI_NOTIFY_STEP);
	add_capability(vp, VIRTIO_PCI_CAP_ISR, VIRTIO_PCI_BAR_MODERN, VIRTIO_PCI_AT_ISR, 1, 0);
	if (config_len) {
		pci_function_add_bar(&vp->pci, VIRTIO_PCI_BAR_CONFIG, config_len);
		add_capability(vp, VIRTIO_PCI_CAP_DEVICE, VIRTIO_PCI_BAR_CONFIG, 0, config_len, 0);
	}
	vp->access = (uint8_t)add_capability(vp, VIRTIO_PCI_CAP_PCI_CFG, 0, 0, 0, 0);
	/* The driver writes bar, offset, length and data. */
	writable = vp->pci.writable + vp->access;
	writable[VIRTIO_PCI_CAP_BAR] = 0xff;
	for (unsigned int i = VIRTIO_PCI_CAP_OFFSET; i < VIRTIO_PCI_CAP_LONG; i++)
		writable[i] = 0xff;
}

static void add_ids(struct virtio_pci *vp, const struct kind *kind)
{
	uint32_t id = vp->regs.dev->id;

	/* 4.1.2.1-1: one of two ids. */
	pci_function_init(&vp->pci, &function_ops, VIRTIO_PCI_VENDOR,
			  (uint16_t)(vp->transitional ? kind->transitional : VIRTIO_PCI_MODERN_ID + id));
	/* 4.1.2.1-2, 4.1.2.3-1: revision 0 says transitional, and there the subsystem is the device id; elsewhere it is 0x40 or more. */
	pci_function_set8(&vp->pci, PCI_REVISION, vp->transitional ? 0 : 1);
	pci_function_set16(&vp->pci, PCI_SUBSYSTEM_VENDOR, VIRTIO_PCI_VENDOR);
	pci_function_set16(&vp->pci, PCI_SUBSYSTEM_ID, (uint16_t)(vp->transitional ? id : VIRTIO_PCI_MODERN_ID + id));
	pci_function_set8(&vp->pci, PCI_CLASS + 1, kind->subclass);
	pci_function_set8(&vp->pci, PCI_CLASS + 2, kind->base_class);
	pci_function_set8(&vp->pci, PCI_INTERRUPT_PIN, 1);
}

int virtio_pci_init(struct virtio_pci *vp, struct virtio_dev *dev, enum virtio_pci_kind kind, const struct virtio_mem *mem,
		    const char **reason)
{
	const char *why = vp ? why_not(dev, kind, mem) : "there is no room for a function";

	if (reason)
		*reason = why;
	if (why)
		return -VIRTIO_EINVAL;
	virtio_zero(vp, sizeof(*vp));
	virtio_regs_offer(dev);
	vp->regs.dev = dev;
	vp->transitional = kind == VIRTIO_PCI_TRANSITIONAL && kind_of(dev->id)->transitional;
	add_ids(vp, kind_of(dev->id));
	add_windows(vp);
	pci_function_seal(&vp->pci);

	dev->transport = &pci_transport;
	dev->transport_data = vp;
	dev->mem = mem;
	dev->legacy_big_endian = false;
	reset(vp);
	return 0;
}
