/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci-legacy.c - the legacy window of a transitional device (virtio 1.2, 4.1.4.10).
 *
 * The driver writes its features when it likes, then the page number of each ring, then DRIVER_OK. There is no FEATURES_OK, so nothing
 * says when the features are final; and old drivers use their queues before DRIVER_OK (3.1.2 remembers them: a disk whose partitions
 * are read while it is probed). So what a driver says is kept, and the device begins with all of it at DRIVER_OK or at the first kick.
 *
 * A ring is one block, as large as the device likes: descriptors, available ring, and the used ring on the next page boundary.
 */
#include "transport/virtio-pci-internal.h"

/* Width of the register that begins at each offset. */
static const uint8_t widths[VIRTIO_PCI_LEGACY_CONFIG] = {
	[VIRTIO_PCI_LEGACY_DEVICE_FEATURES] = 4,
	[VIRTIO_PCI_LEGACY_DRIVER_FEATURES] = 4,
	[VIRTIO_PCI_LEGACY_QUEUE_PFN] = 4,
	[VIRTIO_PCI_LEGACY_QUEUE_SIZE] = 2,
	[VIRTIO_PCI_LEGACY_QUEUE_SELECT] = 2,
	[VIRTIO_PCI_LEGACY_QUEUE_NOTIFY] = 2,
	[VIRTIO_PCI_LEGACY_STATUS] = 1,
	[VIRTIO_PCI_LEGACY_ISR] = 1,
};

static uint32_t queue_size(struct virtio_pci *vp)
{
	return virtio_pci_selected(vp) ? vp->dev->queues[vp->queue_select].num_max : 0;
}

uint32_t virtio_pci_legacy_read(struct virtio_pci *vp, uint32_t offset, unsigned int size)
{
	struct virtio_pci_queue *q = virtio_pci_selected(vp);

	if (widths[offset] != size)
		return 0;
	switch (offset) {
	case VIRTIO_PCI_LEGACY_DEVICE_FEATURES:
		return (uint32_t)vp->dev->offered;
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
		return (uint32_t)vp->driver_features;
	case VIRTIO_PCI_LEGACY_QUEUE_PFN:
		return q ? q->pfn : 0;
	case VIRTIO_PCI_LEGACY_QUEUE_SIZE:
		return queue_size(vp);
	case VIRTIO_PCI_LEGACY_QUEUE_SELECT:
		return vp->queue_select;
	case VIRTIO_PCI_LEGACY_STATUS:
		return vp->dev->status;
	case VIRTIO_PCI_LEGACY_ISR:
		return virtio_pci_read_isr(vp);
	default:
		return 0;
	}
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

static void set_ring(struct virtio_pci *vp, unsigned int queue)
{
	uint32_t num = vp->dev->queues[queue].num_max;
	uint64_t ring = (uint64_t)vp->queue[queue].pfn * VIRTIO_PCI_LEGACY_PAGE;

	if (virtio_dev_set_queue(vp->dev, queue, num, ring, ring + vring_desc_bytes(num),
				 ring + vring_used_offset(num, VIRTIO_PCI_LEGACY_PAGE)))
		virtio_dev_break(vp->dev, "the driver placed a ring outside guest memory");
}

/* The driver begins to use the device: what it has said counts from now on. */
static void begin(struct virtio_pci *vp)
{
	struct virtio_dev *dev = vp->dev;

	if (dev->live || dev->broken)
		return;
	if (virtio_dev_set_features(dev, (uint32_t)vp->driver_features)) {
		virtio_dev_break(dev, "the driver accepted features that the device does not offer together");
		return;
	}
	for (unsigned int i = 0; i < dev->num_queues; i++)
		if (vp->queue[i].pfn)
			set_ring(vp, i);
	virtio_dev_start(dev);
}

static void set_pfn(struct virtio_pci *vp, uint32_t pfn)
{
	struct virtio_pci_queue *q = virtio_pci_selected(vp);

	if (!q || q->pfn == pfn)
		return;
	if (!vp->dev->live) {
		q->pfn = pfn;
	} else if (!pfn) {
		/* The memory is the driver's again. What else it may be doing with the device does not outlive that. */
		virtio_pci_reset(vp);
	} else if (!q->pfn) {
		q->pfn = pfn;
		set_ring(vp, vp->queue_select);
	}
}

static void notify(struct virtio_pci *vp, unsigned int queue)
{
	if ((vp->dev->status & VIRTIO_STATUS_DRIVER) && queue < vp->dev->num_queues && vp->queue[queue].pfn)
		begin(vp);
	virtio_dev_kick(vp->dev, queue);
}

static void set_status(struct virtio_pci *vp, uint8_t status)
{
	if (!status) {
		virtio_pci_reset(vp);
		return;
	}
	/* A bit of modern drivers; without it the rest may be nothing, and 0 would be a reset. */
	status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	if (status & ~vp->dev->status & VIRTIO_STATUS_DRIVER_OK)
		begin(vp);
	if (status)
		virtio_dev_set_status(vp->dev, status);
}

void virtio_pci_legacy_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value)
{
	if (widths[offset] != size)
		return;
	switch (offset) {
	case VIRTIO_PCI_LEGACY_DRIVER_FEATURES:
		vp->driver_features = value;
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_PFN:
		set_pfn(vp, value);
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_SELECT:
		vp->queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_LEGACY_QUEUE_NOTIFY:
		notify(vp, value);
		break;
	case VIRTIO_PCI_LEGACY_STATUS:
		set_status(vp, (uint8_t)value);
		break;
	default:
		break;
	}
}
