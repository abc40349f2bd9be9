/* SPDX-License-Identifier: MIT */
/* virtio-pci-legacy.c - the legacy window of a transitional device (virtio 1.2, 4.1.4.10). */
#include "transport/pci/virtio-pci-host-internal.h"

/* Width of the register that begins at each offset. */
static const uint8_t widths[VIRTIO_PCI_LEGACY_MSIX_CONFIG] = {
	[VIRTIO_PCI_LEGACY_DEVICE_FEATURES] = 4,
	[VIRTIO_PCI_LEGACY_DRIVER_FEATURES] = 4,
	[VIRTIO_PCI_LEGACY_QUEUE_PFN] = 4,
	[VIRTIO_PCI_LEGACY_QUEUE_SIZE] = 2,
	[VIRTIO_PCI_LEGACY_QUEUE_SELECT] = 2,
	[VIRTIO_PCI_LEGACY_QUEUE_NOTIFY] = 2,
	[VIRTIO_PCI_LEGACY_STATUS] = 1,
	[VIRTIO_PCI_LEGACY_ISR] = 1,
	[VIRTIO_PCI_LEGACY_CONFIG_VECTOR] = 2,
	[VIRTIO_PCI_LEGACY_QUEUE_VECTOR] = 2,
};

uint32_t virtio_pci_legacy_read(struct virtio_pci *vp, uint32_t offset, unsigned int size)
{
	struct virtio_regs_queue *q = virtio_regs_selected(&vp->regs);

	if (widths[offset] != size)
		return 0;
	switch (offset) {
	case VIRTIO_PCI_LEGACY_DEVICE_FEATURES:
		return (uint32_t)vp->regs.dev->offered;
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
		return (uint32_t)vp->regs.driver_features;
	case VIRTIO_PCI_LEGACY_QUEUE_PFN:
		return q ? q->pfn : 0;
	case VIRTIO_PCI_LEGACY_QUEUE_SIZE:
		return q ? q->size : 0;
	case VIRTIO_PCI_LEGACY_QUEUE_SELECT:
		return vp->regs.queue_select;
	case VIRTIO_PCI_LEGACY_STATUS:
		return vp->regs.dev->status;
	case VIRTIO_PCI_LEGACY_ISR:
		return virtio_pci_read_isr(vp);
	case VIRTIO_PCI_LEGACY_CONFIG_VECTOR:
		return vp->regs.config_vector;
	case VIRTIO_PCI_LEGACY_QUEUE_VECTOR:
		return q ? q->vector : VIRTIO_PCI_NO_VECTOR;
	default:
		return 0;
	}
}

void virtio_pci_legacy_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value)
{
	struct virtio_regs_queue *q = virtio_regs_selected(&vp->regs);

	if (widths[offset] != size)
		return;
	switch (offset) {
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
		vp->regs.driver_features = value;
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_PFN:
		virtio_regs_legacy_set_pfn(&vp->regs, value);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_SELECT:
		vp->regs.queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_NOTIFY:
		virtio_regs_legacy_kick(&vp->regs, value);
		break;
	case VIRTIO_PCI_LEGACY_STATUS:
		virtio_regs_legacy_set_status(&vp->regs, (uint8_t)value);
		break;
	case VIRTIO_PCI_LEGACY_CONFIG_VECTOR:
		vp->regs.config_vector = virtio_pci_vector(vp, value);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_VECTOR:
		if (q)
			q->vector = virtio_pci_vector(vp, value);
		break;
	default:
		break;
	}
}
