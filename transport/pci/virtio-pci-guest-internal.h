/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci-guest-internal.h - the parts of the guest's end of virtio over PCI: virtio-pci-guest.c (what drivers call),
 * virtio-pci-find.c (finding devices, and their structures), virtio-pci-messages.c (message interrupts).
 */
#ifndef KENNEL_TRANSPORT_PCI_VIRTIO_PCI_GUEST_INTERNAL_H
#define KENNEL_TRANSPORT_PCI_VIRTIO_PCI_GUEST_INTERNAL_H

#include <transport/pci/virtio-pci-guest.h>

/* What drivers are given: for devices driven through modern structures, and through the legacy window. */
extern const struct virtio_bus virtio_pci_modern_bus, virtio_pci_legacy_bus;

/* @size bytes of the device's configuration space, of the bus, at @at. */
static inline uint32_t virtio_pci_config(const struct virtio_pci_device *dev, unsigned int at, unsigned int size)
{
	return virtio_pci_config_in(dev->bus, dev->slot, at, size);
}

#define VIRTIO_PCI_CAPABILITIES 48u	/* that a list can have at most, whatever it says of itself */

/* The capability behind the one at @at (0: the first); 0: there are no more, or *@left are exhausted. */
unsigned int virtio_pci_next_capability(const struct virtio_pci_device *dev, unsigned int at, unsigned int *left);

#endif
