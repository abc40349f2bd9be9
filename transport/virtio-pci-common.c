/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci-common.c - the common configuration structure, through which a modern driver sets a device up (virtio 1.2, 4.1.4.3).
 *
 * Order of events: status 0 (reset), ACKNOWLEDGE, DRIVER; the features, in halves of 32 bits; FEATURES_OK, which stays clear if we do
 * not like them; for each queue its size, three addresses, and enable; DRIVER_OK. A driver that leaves this order has broken the
 * contract, and its device says NEEDS_RESET.
 */
#include "transport/virtio-pci-internal.h"

/* Width of the register that begins at each offset; 0: none does. 4.1.3.1: a driver accesses each with exactly its width. */
static const uint8_t widths[VIRTIO_PCI_COMMON_LEN] = {
	[VIRTIO_PCI_DEVICE_FEATURE_SELECT] = 4,
	[VIRTIO_PCI_DEVICE_FEATURE] = 4,
	[VIRTIO_PCI_DRIVER_FEATURE_SELECT] = 4,
	[VIRTIO_PCI_DRIVER_FEATURE] = 4,
	[VIRTIO_PCI_CONFIG_VECTOR] = 2,
	[VIRTIO_PCI_NUM_QUEUES] = 2,
	[VIRTIO_PCI_STATUS] = 1,
	[VIRTIO_PCI_GENERATION] = 1,
	[VIRTIO_PCI_QUEUE_SELECT] = 2,
	[VIRTIO_PCI_QUEUE_SIZE] = 2,
	[VIRTIO_PCI_QUEUE_VECTOR] = 2,
	[VIRTIO_PCI_QUEUE_ENABLE] = 2,
	[VIRTIO_PCI_QUEUE_NOTIFY_OFF] = 2,
	[VIRTIO_PCI_QUEUE_DESC] = 4,
	[VIRTIO_PCI_QUEUE_DESC + 4] = 4,
	[VIRTIO_PCI_QUEUE_DRIVER] = 4,
	[VIRTIO_PCI_QUEUE_DRIVER + 4] = 4,
	[VIRTIO_PCI_QUEUE_DEVICE] = 4,
	[VIRTIO_PCI_QUEUE_DEVICE + 4] = 4,
};

/* One half of a feature set; only two exist. */
static uint32_t half(uint64_t features, uint32_t select)
{
	return select > 1 ? 0 : (uint32_t)(features >> 32 * select);
}

/* The address of the selected queue that the register at @offset belongs to. */
static uint64_t *address_at(struct virtio_pci_queue *q, uint32_t offset)
{
	if (offset >= VIRTIO_PCI_QUEUE_DEVICE)
		return &q->device;
	return offset >= VIRTIO_PCI_QUEUE_DRIVER ? &q->driver : &q->desc;
}

/* Registers that show the selected queue; without one they are 0 (4.1.4.3.1: queue_size 0 means unavailable). */
static uint32_t queue_read(struct virtio_pci *vp, uint32_t offset)
{
	struct virtio_pci_queue *q = virtio_pci_selected(vp);

	if (!q)
		return 0;
	switch (offset) {
	case VIRTIO_PCI_QUEUE_SIZE:
		return q->size;
	case VIRTIO_PCI_QUEUE_VECTOR:
		return VIRTIO_PCI_NO_VECTOR;
	case VIRTIO_PCI_QUEUE_ENABLE:
		return q->enabled;
	case VIRTIO_PCI_QUEUE_NOTIFY_OFF:
		return vp->queue_select;
	default:
		return (uint32_t)(*address_at(q, offset) >> (offset & 4 ? 32 : 0));
	}
}

uint32_t virtio_pci_common_read(struct virtio_pci *vp, uint32_t offset, unsigned int size)
{
	if (widths[offset] != size)
		return 0;
	switch (offset) {
	case VIRTIO_PCI_DEVICE_FEATURE_SELECT:
		return vp->device_feature_select;
	case VIRTIO_PCI_DEVICE_FEATURE:
		return half(vp->dev->offered, vp->device_feature_select);
	case VIRTIO_PCI_DRIVER_FEATURE_SELECT:
		return vp->driver_feature_select;
	case VIRTIO_PCI_DRIVER_FEATURE:
		return half(vp->driver_features, vp->driver_feature_select);
	case VIRTIO_PCI_CONFIG_VECTOR:
		return VIRTIO_PCI_NO_VECTOR;
	case VIRTIO_PCI_NUM_QUEUES:
		return vp->dev->num_queues;
	case VIRTIO_PCI_STATUS:
		return vp->dev->status;
	case VIRTIO_PCI_GENERATION:
		return vp->generation;
	case VIRTIO_PCI_QUEUE_SELECT:
		return vp->queue_select;
	default:
		return queue_read(vp, offset);
	}
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

static void set_features(struct virtio_pci *vp, uint32_t value)
{
	uint32_t select = vp->driver_feature_select;

	/* 3.1.1, step 5: no new feature bits after FEATURES_OK. */
	if (select > 1 || vp->dev->features_final)
		return;
	vp->driver_features &= ~((uint64_t)UINT32_MAX << 32 * select);
	vp->driver_features |= (uint64_t)value << 32 * select;
}

/* The driver set FEATURES_OK: do we agree? 6.1: a modern driver accepts VERSION_1, and we need not go on without. */
static bool accept_features(struct virtio_pci *vp)
{
	return (vp->driver_features & VIRTIO_F_VERSION_1) && !virtio_dev_set_features(vp->dev, vp->driver_features);
}

static void set_status(struct virtio_pci *vp, uint8_t status)
{
	struct virtio_dev *dev = vp->dev;
	uint8_t fresh = status & (uint8_t)~dev->status;

	if (!status) {
		virtio_pci_reset(vp);
		return;
	}
	if ((fresh & VIRTIO_STATUS_FEATURES_OK) && !accept_features(vp))
		status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	if ((fresh & VIRTIO_STATUS_DRIVER_OK) && !((status | dev->status) & VIRTIO_STATUS_FEATURES_OK)) {
		virtio_dev_break(dev, "the driver set DRIVER_OK without agreement on features (virtio 1.2, 3.1.1)");
		status &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
	}
	/* What we took back may have been all there was, and 0 would be a reset. */
	if (status)
		virtio_dev_set_status(dev, status);
}

/* 4.1.4.3.2: the driver has configured everything else by now, and never writes 0. */
static void enable(struct virtio_pci *vp, struct virtio_pci_queue *q)
{
	struct virtio_dev *dev = vp->dev;

	if (!(dev->status & VIRTIO_STATUS_FEATURES_OK))
		virtio_dev_break(dev, "the driver enabled a queue before features were agreed on (virtio 1.2, 3.1.1)");
	else if (virtio_dev_set_queue(dev, vp->queue_select, q->size, q->desc, q->driver, q->device))
		virtio_dev_break(dev, "the driver enabled a queue of impossible size, or outside guest memory (virtio 1.2, 2.7)");
	else
		q->enabled = true;
}

static void queue_write(struct virtio_pci *vp, uint32_t offset, uint32_t value)
{
	struct virtio_pci_queue *q = virtio_pci_selected(vp);
	uint64_t *address;

	if (!q || q->enabled)
		return;
	switch (offset) {
	case VIRTIO_PCI_QUEUE_SIZE:
		q->size = (uint16_t)value;
		break;
	case VIRTIO_PCI_QUEUE_ENABLE:
		if (value == 1)
			enable(vp, q);
		break;
	case VIRTIO_PCI_QUEUE_VECTOR:
	case VIRTIO_PCI_QUEUE_NOTIFY_OFF:
		break;
	default:
		address = address_at(q, offset);
		*address = offset & 4 ? (uint64_t)value << 32 | (uint32_t)*address : (*address & ~(uint64_t)UINT32_MAX) | value;
	}
}

void virtio_pci_common_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value)
{
	if (widths[offset] != size)
		return;
	switch (offset) {
	case VIRTIO_PCI_DEVICE_FEATURE_SELECT:
		vp->device_feature_select = value;
		break;
	case VIRTIO_PCI_DRIVER_FEATURE_SELECT:
		vp->driver_feature_select = value;
		break;
	case VIRTIO_PCI_DRIVER_FEATURE:
		set_features(vp, value);
		break;
	case VIRTIO_PCI_STATUS:
		set_status(vp, (uint8_t)value);
		break;
	case VIRTIO_PCI_QUEUE_SELECT:
		vp->queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_DEVICE_FEATURE:
	case VIRTIO_PCI_CONFIG_VECTOR:
	case VIRTIO_PCI_NUM_QUEUES:
	case VIRTIO_PCI_GENERATION:
		break;
	default:
		queue_write(vp, offset, value);
	}
}
