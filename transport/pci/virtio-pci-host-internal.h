/* SPDX-License-Identifier: MIT */
/* virtio-pci-host-internal.h - what the parts of the host's end share: virtio-pci-host.c, -common.c (modern), -legacy.c. */
#ifndef KENNEL_TRANSPORT_PCI_VIRTIO_PCI_HOST_INTERNAL_H
#define KENNEL_TRANSPORT_PCI_VIRTIO_PCI_HOST_INTERNAL_H

#include <transport/pci/virtio-pci-host.h>

/* Read ISR, which acknowledges the interrupt (4.1.4.5). */
uint8_t virtio_pci_read_isr(struct virtio_pci *vp);

/* Message interrupts: are they in use; the vector that a driver asked for, as far as it exists; send one, or note that it waits. */
bool virtio_pci_msix_enabled(const struct virtio_pci *vp);
uint16_t virtio_pci_vector(const struct virtio_pci *vp, uint32_t wanted);
void virtio_pci_message(struct virtio_pci *vp, uint16_t vector);

/* The window with their table; and the control register of their capability may have changed. */
uint32_t virtio_pci_msix_read(struct virtio_pci *vp, uint32_t offset, unsigned int size);
void virtio_pci_msix_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value);
void virtio_pci_msix_settle(struct virtio_pci *vp);

/* Power-on state of the table. */
void virtio_pci_msix_restart(struct virtio_pci *vp);

/* The common configuration structure, and the legacy window up to the device's configuration. */
uint32_t virtio_pci_common_read(struct virtio_pci *vp, uint32_t offset, unsigned int size);
void virtio_pci_common_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value);
uint32_t virtio_pci_legacy_read(struct virtio_pci *vp, uint32_t offset, unsigned int size);
void virtio_pci_legacy_write(struct virtio_pci *vp, uint32_t offset, unsigned int size, uint32_t value);

#endif
