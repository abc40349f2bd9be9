/* SPDX-License-Identifier: MIT */
/* virtio-pci-messages.c - message interrupts of virtio over PCI (PCI Local Bus 3.0, 6.8.2): the guest's end, which fills the table. */
#include "transport/pci/virtio-pci-guest-internal.h"

int virtio_pci_device_messages(struct virtio_pci_device *device, const struct virtio_pci_messages *messages)
{
	unsigned int at = 0, count, slot, left = VIRTIO_PCI_CAPABILITIES;
	uint32_t where, bar;
	uint64_t table;

	if (!device || !device->bus || !messages || !messages->write || messages->address % 4)
		return -VIRTIO_EINVAL;
	if (device->vectors)
		return -VIRTIO_EBUSY;
	slot = device->slot;
	do
		at = virtio_pci_next_capability(device, at, &left);
	while (at && virtio_pci_config(device, at + PCI_CAP_ID, 1) != PCI_CAP_MSIX);
	if (!at)
		return -VIRTIO_EOPNOTSUPP;
	where = virtio_pci_config(device, at + PCI_MSIX_TABLE, 4);
	bar = (where & 7) < PCI_BARS ? virtio_pci_config(device, PCI_BAR0 + 4 * (where & 7), 4) : PCI_BAR_IO;
	if ((bar & PCI_BAR_IO) || !(bar & ~15u))
		return -VIRTIO_EOPNOTSUPP;
	table = (uint64_t)(bar & ~15u) + (where & ~7u);
	/* 6.2.5.1: the upper half of an address of 64 bits is in the next register. */
	if ((bar & PCI_BAR_MEMORY_64) && (where & 7) + 1 < PCI_BARS)
		table += (uint64_t)virtio_pci_config(device, PCI_BAR0 + 4 * ((where & 7) + 1), 4) << 32;
	count = (virtio_pci_config(device, at + PCI_MSIX_CONTROL, 2) & 0x7ff) + 1;
	if (count > VIRTIO_DRIVER_QUEUES + 1)
		count = VIRTIO_DRIVER_QUEUES + 1;
	virtio_pci_config_out(device->bus, slot, PCI_COMMAND, 2, virtio_pci_config(device, PCI_COMMAND, 2) | PCI_COMMAND_MEMORY);
	for (unsigned int i = 0; i < count; i++, table += PCI_MSIX_ENTRY) {
		messages->write(messages->opaque, table, (uint32_t)messages->address);
		messages->write(messages->opaque, table + 4, (uint32_t)(messages->address >> 32));
		messages->write(messages->opaque, table + PCI_MSIX_ENTRY_DATA, messages->data + i);
		messages->write(messages->opaque, table + PCI_MSIX_ENTRY_CONTROL, 0);
	}
	virtio_pci_config_out(device->bus, slot, at + PCI_MSIX_CONTROL, 2, PCI_MSIX_ENABLE);
	device->vectors = count;
	if (device->legacy) {
		device->config = device->common + VIRTIO_PCI_LEGACY_MSIX_CONFIG;
		device->config_len -= VIRTIO_PCI_LEGACY_MSIX_CONFIG - VIRTIO_PCI_LEGACY_CONFIG;
	}
	return (int)count;
}

bool virtio_pci_device_message(struct virtio_pci_device *device, unsigned int vector)
{
	struct virtio_queue *vq = device && vector && vector <= VIRTIO_DRIVER_QUEUES ? device->vdev.queues[vector - 1] : NULL;

	return vq && virtio_queue_interrupt(vq);
}
