/* SPDX-License-Identifier: MIT */
/* virtio-pci-internal.h - what the parts of the host's end share: virtio-pci-host.c, -common.c (modern), -legacy.c. */
#ifndef KENNEL_TRANSPORT_VIRTIO_PCI_INTERNAL_H
#define KENNEL_TRANSPORT_VIRTIO_PCI_INTERNAL_H

#include <transport/virtio-pci-host.h>

/* Reset the device and all that the driver said. */
void virtio_pci_reset(struct virtio_pci *vp);

/* Read ISR, which acknowledges the interrupt (4.1.4.5). */
uint8_t virtio_pci_read_isr(struct virtio_pci *vp);

/* The device's configuration; what lies outside reads as zero and takes nothing. */
uint32_t virtio_pci_config_read(struct virtio_pci *vp, uint32_t offset, unsigned int size);
void virtio_pci_config_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value);

/* What the driver has said about the selected queue; NULL: there is no such queue. */
static inline struct virtio_pci_queue *virtio_pci_selected(struct virtio_pci *vp)
{
	return vp->queue_select < vp->dev->num_queues ? &vp->queue[vp->queue_select] : NULL;
}

/* The common configuration structure, and the legacy window up to the device's configuration. */
uint32_t virtio_pci_common_read(struct virtio_pci *vp, uint32_t offset, unsigned int size);
void virtio_pci_common_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value);
uint32_t virtio_pci_legacy_read(struct virtio_pci *vp, uint32_t offset, unsigned int size);
void virtio_pci_legacy_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value);

#endif
