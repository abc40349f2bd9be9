/* SPDX-License-Identifier: MIT */
/* virtio-pci-common.c - the common configuration structure, through which a modern driver sets a device up (virtio 1.2, 4.1.4.3). */
#include "transport/pci/virtio-pci-host-internal.h"

/* 4.1.3.1-1: width of the register that begins at each offset, with which a driver accesses it; 0: none does. */
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
	[VIRTIO_PCI_QUEUE_NOTIFY_DATA] = 2,
	[VIRTIO_PCI_QUEUE_RESET] = 2,
};

/* The address of the selected queue that the register at @offset belongs to. */
static uint64_t *address_at(struct virtio_regs_queue *q, uint32_t offset)
{
	if (offset >= VIRTIO_PCI_QUEUE_DEVICE)
		return &q->device;
	return offset >= VIRTIO_PCI_QUEUE_DRIVER ? &q->driver : &q->desc;
}

/* 4.1.4.3.1-8: registers that show the selected queue; without one they are 0. */
static uint32_t queue_read(struct virtio_pci *vp, uint32_t offset)
{
	struct virtio_regs_queue *q = virtio_regs_selected(&vp->regs);

	if (!q)
		return 0;
	switch (offset) {
	case VIRTIO_PCI_QUEUE_SIZE:
		return q->size;
	case VIRTIO_PCI_QUEUE_VECTOR:
		return q->vector;
	case VIRTIO_PCI_QUEUE_ENABLE:
		return q->enabled;
	case VIRTIO_PCI_QUEUE_NOTIFY_OFF:
		return vp->regs.queue_select;
	case VIRTIO_PCI_QUEUE_NOTIFY_DATA:
	case VIRTIO_PCI_QUEUE_RESET:
		/* A reset is complete before the driver can look. */
		return 0;
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
		return vp->regs.device_feature_select;
	case VIRTIO_PCI_DEVICE_FEATURE:
		return virtio_regs_half(vp->regs.dev->offered, vp->regs.device_feature_select);
	case VIRTIO_PCI_DRIVER_FEATURE_SELECT:
		return vp->regs.driver_feature_select;
	case VIRTIO_PCI_DRIVER_FEATURE:
		/* 4.1.4.3.1-3: what was written, offered or not. */
		return virtio_regs_half(vp->regs.driver_features, vp->regs.driver_feature_select);
	case VIRTIO_PCI_CONFIG_VECTOR:
		return vp->regs.config_vector;
	case VIRTIO_PCI_NUM_QUEUES:
		return vp->regs.dev->num_queues;
	case VIRTIO_PCI_STATUS:
		return vp->regs.dev->status;
	case VIRTIO_PCI_GENERATION:
		return virtio_regs_generation(&vp->regs);
	case VIRTIO_PCI_QUEUE_SELECT:
		return vp->regs.queue_select;
	default:
		return queue_read(vp, offset);
	}
}

/* --- writing ---------------------------------------------------------------------------------------------------------- */

static void queue_write(struct virtio_pci *vp, uint32_t offset, uint32_t value)
{
	struct virtio_regs_queue *q = virtio_regs_selected(&vp->regs);

	if (!q)
		return;
	if (q->enabled) {
		if (offset == VIRTIO_PCI_QUEUE_RESET && value == 1)
			virtio_regs_reset_queue(&vp->regs);
		return;
	}
	switch (offset) {
	case VIRTIO_PCI_QUEUE_SIZE:
		q->size = (uint16_t)value;
		break;
	case VIRTIO_PCI_QUEUE_ENABLE:
		/* 4.1.4.3.2-5: the driver never writes 0. */
		if (value == 1)
			virtio_regs_enable(&vp->regs);
		break;
	case VIRTIO_PCI_QUEUE_VECTOR:
		q->vector = virtio_pci_vector(vp, value);
		break;
	case VIRTIO_PCI_QUEUE_NOTIFY_OFF:
	case VIRTIO_PCI_QUEUE_NOTIFY_DATA:
	case VIRTIO_PCI_QUEUE_RESET:
		break;
	default:
		virtio_regs_set_half(address_at(q, offset), offset & 4, value);
	}
}

void virtio_pci_common_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value)
{
	if (widths[offset] != size)
		return;
	switch (offset) {
	case VIRTIO_PCI_DEVICE_FEATURE_SELECT:
		vp->regs.device_feature_select = value;
		break;
	case VIRTIO_PCI_DRIVER_FEATURE_SELECT:
		vp->regs.driver_feature_select = value;
		break;
	case VIRTIO_PCI_DRIVER_FEATURE:
		virtio_regs_set_features(&vp->regs, value);
		break;
	case VIRTIO_PCI_STATUS:
		virtio_regs_set_status(&vp->regs, (uint8_t)value);
		break;
	case VIRTIO_PCI_QUEUE_SELECT:
		vp->regs.queue_select = (uint16_t)value;
		break;
	case VIRTIO_PCI_CONFIG_VECTOR:
		vp->regs.config_vector = virtio_pci_vector(vp, value);
		break;
	case VIRTIO_PCI_DEVICE_FEATURE:
	case VIRTIO_PCI_NUM_QUEUES:
	case VIRTIO_PCI_GENERATION:
		break;
	default:
		queue_write(vp, offset, value);
	}
}
