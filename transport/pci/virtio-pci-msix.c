/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci-msix.c - message interrupts of virtio over PCI (PCI Local Bus 3.0, 6.8.2; virtio 1.2, 4.1.5.1.2): a table of
 * addresses and data that the driver fills, one vector for each queue and one for the configuration. A message that must not be
 * sent now is held back, as a bit of the PBA, and sent when the mask is taken off; held back twice it is sent once.
 */
#include "transport/pci/virtio-pci-host-internal.h"

#define WINDOW		4096u
#define AT_TABLE	0u
#define AT_PBA		2048u

static uint16_t control(const struct virtio_pci *vp)
{
	return vp->msix ? pci_function_get16(&vp->pci, vp->msix + PCI_MSIX_CONTROL) : 0;
}

bool virtio_pci_msix_enabled(const struct virtio_pci *vp)
{
	return control(vp) & PCI_MSIX_ENABLE;
}

/* 4.1.5.1.2.1-2, 4.1.5.1.2.1-3: any event has any vector there is; what a driver reads back says whether. */
uint16_t virtio_pci_vector(const struct virtio_pci *vp, uint32_t wanted)
{
	return wanted < vp->vectors ? (uint16_t)wanted : VIRTIO_PCI_NO_VECTOR;
}

void virtio_pci_msix_settle(struct virtio_pci *vp)
{
	if ((control(vp) & (PCI_MSIX_ENABLE | PCI_MSIX_MASK)) != PCI_MSIX_ENABLE)
		return;
	for (unsigned int i = 0; i < vp->vectors; i++) {
		const uint8_t *entry = vp->table + (size_t)PCI_MSIX_ENTRY * i;

		if (!(vp->held >> i & 1) || (entry[PCI_MSIX_ENTRY_CONTROL] & 1))
			continue;
		vp->held &= ~(UINT64_C(1) << i);
		vp->send(vp->send_opaque, virtio_get64(false, entry), virtio_get32(false, entry + PCI_MSIX_ENTRY_DATA));
	}
}

void virtio_pci_message(struct virtio_pci *vp, uint16_t vector)
{
	/* 4.1.5.3.1-1, 4.1.5.4.1-1: without a vector there is no message. */
	if (vector >= vp->vectors)
		return;
	vp->held |= UINT64_C(1) << vector;
	virtio_pci_msix_settle(vp);
}

/* 6.8.2: entries are accessed as aligned words of 32 or 64 bits. */
uint32_t virtio_pci_msix_read(struct virtio_pci *vp, uint32_t offset, unsigned int size)
{
	if (size != 4 || offset % 4)
		return 0;
	if (offset < PCI_MSIX_ENTRY * vp->vectors)
		return virtio_get32(false, vp->table + offset);
	return offset == AT_PBA || offset == AT_PBA + 4 ? (uint32_t)(vp->held >> (offset == AT_PBA ? 0 : 32)) : 0;
}

void virtio_pci_msix_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value)
{
	if (size != 4 || offset % 4 || offset >= PCI_MSIX_ENTRY * vp->vectors)
		return;
	/* Of the control word, one bit exists. */
	virtio_put32(false, vp->table + offset, offset % PCI_MSIX_ENTRY == PCI_MSIX_ENTRY_CONTROL ? value & 1 : value);
	virtio_pci_msix_settle(vp);
}

void virtio_pci_msix_restart(struct virtio_pci *vp)
{
	vp->held = 0;
	virtio_zero(vp->table, sizeof(vp->table));
	/* 6.8.2.9: every entry is masked at first. */
	for (unsigned int i = 0; i < vp->vectors; i++)
		vp->table[PCI_MSIX_ENTRY * i + PCI_MSIX_ENTRY_CONTROL] = 1;
}

int virtio_pci_add_msix(struct virtio_pci *vp, void (*send)(void *opaque, uint64_t address, uint32_t data), void *opaque)
{
	uint8_t cap[PCI_MSIX_BYTES] = { 0 };
	int at;

	if (!vp || !send || vp->msix || !vp->regs.dev)
		return -VIRTIO_EINVAL;
	vp->vectors = vp->regs.dev->num_queues + 1;
	/* 4.1.5.1.2.1-1: how many there are. */
	virtio_put16(false, cap + PCI_MSIX_CONTROL, (uint16_t)(vp->vectors - 1));
	virtio_put32(false, cap + PCI_MSIX_TABLE, AT_TABLE | VIRTIO_PCI_BAR_MSIX);
	virtio_put32(false, cap + PCI_MSIX_PBA, AT_PBA | VIRTIO_PCI_BAR_MSIX);
	at = pci_function_add_capability(&vp->pci, PCI_CAP_MSIX, cap, sizeof(cap));
	if (at < 0)
		return -VIRTIO_EINVAL;
	vp->msix = (uint8_t)at;
	vp->pci.writable[at + PCI_MSIX_CONTROL + 1] = (PCI_MSIX_ENABLE | PCI_MSIX_MASK) >> 8;
	pci_function_add_memory_bar(&vp->pci, VIRTIO_PCI_BAR_MSIX, WINDOW);
	/* The legacy window has two more registers. */
	if (vp->transitional)
		pci_function_add_bar(&vp->pci, VIRTIO_PCI_BAR_LEGACY,
				     VIRTIO_PCI_LEGACY_MSIX_CONFIG + (uint32_t)vp->regs.dev->config_len);
	vp->send = send;
	vp->send_opaque = opaque;
	virtio_pci_msix_restart(vp);
	pci_function_seal(&vp->pci);
	return 0;
}
