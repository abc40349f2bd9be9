/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci-find.c - finding virtio devices on bus 0 of PCI, and their structures or their legacy window: the guest's end. Nothing
 * that configuration space says is believed further than it can be checked: a list of capabilities may be a loop.
 */
#include "transport/device-internal.h"
#include "transport/pci/virtio-pci-guest-internal.h"

static void select(const struct virtio_pci_bus *bus, unsigned int slot, unsigned int at)
{
	bus->ports->out(bus->ports->opaque, PCI_CONFIG_ADDRESS, 4, PCI_CONFIG_ENABLE | slot << 11 | (at & 0xfcu));
}

/* Mechanism 1 reaches the aligned words of 256 bytes of each slot. */
static bool in_config(const struct virtio_pci_bus *bus, unsigned int slot, unsigned int at, unsigned int size)
{
	return bus && bus->ports && slot < PCI_SLOTS && at < PCI_CONFIG_SIZE && (size == 1 || size == 2 || size == 4) && at % size == 0;
}

uint32_t virtio_pci_config_in(const struct virtio_pci_bus *bus, unsigned int slot, unsigned int at, unsigned int size)
{
	if (!in_config(bus, slot, at, size))
		return ~0u;
	select(bus, slot, at);
	return bus->ports->in(bus->ports->opaque, (uint16_t)(PCI_CONFIG_DATA + (at & 3)), size);
}

void virtio_pci_config_out(const struct virtio_pci_bus *bus, unsigned int slot, unsigned int at, unsigned int size, uint32_t value)
{
	if (!in_config(bus, slot, at, size))
		return;
	select(bus, slot, at);
	bus->ports->out(bus->ports->opaque, (uint16_t)(PCI_CONFIG_DATA + (at & 3)), size, value);
}

/* First port of window @bar; 0: there is none. */
static uint16_t port_of(const struct virtio_pci_device *dev, unsigned int bar)
{
	uint32_t value = bar < PCI_BARS ? virtio_pci_config(dev, PCI_BAR0 + 4 * bar, 4) : 0;

	return value & PCI_BAR_IO ? (uint16_t)(value & ~PCI_BAR_IO_FLAGS) : 0;
}

/* 4.1.4.1-1, 4.1.4.1-2: the first capability of each type that we can use, in ports, is the one; others are left alone. */
static void take_capability(struct virtio_pci_device *dev, unsigned int cap)
{
	uint16_t base = port_of(dev, virtio_pci_config(dev, cap + VIRTIO_PCI_CAP_BAR, 1));
	uint16_t port = (uint16_t)(base + virtio_pci_config(dev, cap + VIRTIO_PCI_CAP_OFFSET, 4));

	if (!base)
		return;
	switch (virtio_pci_config(dev, cap + VIRTIO_PCI_CAP_TYPE, 1)) {
	case VIRTIO_PCI_CAP_COMMON:
		if (!dev->common)
			dev->common = port;
		break;
	case VIRTIO_PCI_CAP_NOTIFY:
		if (dev->notify)
			break;
		dev->notify = port;
		dev->notify_step = virtio_pci_config(dev, cap + VIRTIO_PCI_CAP_MULTIPLIER, 4);
		break;
	case VIRTIO_PCI_CAP_ISR:
		if (!dev->isr)
			dev->isr = port;
		break;
	case VIRTIO_PCI_CAP_DEVICE:
		if (dev->config)
			break;
		dev->config = port;
		dev->config_len = virtio_pci_config(dev, cap + VIRTIO_PCI_CAP_LENGTH, 4);
		break;
	default:
		break;
	}
}

unsigned int virtio_pci_next_capability(const struct virtio_pci_device *dev, unsigned int at, unsigned int *left)
{
	if (!at && !(virtio_pci_config(dev, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return 0;
	at = virtio_pci_config(dev, at ? at + PCI_CAP_NEXT : PCI_CAPABILITIES, 1) & ~3u;
	return at >= PCI_HEADER_END && *left && (*left)-- ? at : 0;
}

static bool find_modern(struct virtio_pci_device *dev)
{
	unsigned int left = VIRTIO_PCI_CAPABILITIES, at = 0;

	while ((at = virtio_pci_next_capability(dev, at, &left)))
		if (virtio_pci_config(dev, at + PCI_CAP_ID, 1) == PCI_CAP_VENDOR)
			take_capability(dev, at);
	dev->vdev.bus = &virtio_pci_modern_bus;
	return dev->common && dev->notify && dev->isr;
}

/* The length of a legacy configuration is not told: the rest of the window counts. */
static bool find_legacy(struct virtio_pci_device *dev, uint16_t id)
{
	uint32_t size;

	if (id < VIRTIO_PCI_LEGACY_FIRST || id > VIRTIO_PCI_LEGACY_LAST || virtio_pci_config(dev, PCI_REVISION, 1))
		return false;
	dev->common = port_of(dev, 0);
	if (!dev->common)
		return false;
	virtio_pci_config_out(dev->bus, dev->slot, PCI_BAR0, 4, ~0u);
	size = ~(virtio_pci_config(dev, PCI_BAR0, 4) & ~PCI_BAR_IO_FLAGS) + 1;
	virtio_pci_config_out(dev->bus, dev->slot, PCI_BAR0, 4, dev->common);
	dev->legacy = true;
	dev->isr = dev->common + VIRTIO_PCI_LEGACY_ISR;
	dev->config = dev->common + VIRTIO_PCI_LEGACY_CONFIG;
	dev->config_len = size - VIRTIO_PCI_LEGACY_CONFIG;
	dev->vdev.bus = &virtio_pci_legacy_bus;
	return true;
}

static bool probe(struct virtio_pci_bus *bus, unsigned int slot, struct virtio_pci_device *dev)
{
	const struct virtio_pci_device empty = {
		.vdev = { .platform = bus->platform },
		.bus = bus,
		.slot = slot,
	};
	uint16_t id;

	*dev = empty;
	/* 4.1.2.2-1: vendor and id; whatever revision and subsystem. */
	id = (uint16_t)virtio_pci_config(dev, PCI_DEVICE_ID, 2);
	if (virtio_pci_config(dev, PCI_VENDOR_ID, 2) != VIRTIO_PCI_VENDOR || id < VIRTIO_PCI_LEGACY_FIRST || id > VIRTIO_PCI_MODERN_ID + 0x3f)
		return false;
	/* 4.1.5.1.1.1-1: without the capabilities, through the legacy window. */
	if (!(bus->prefer_legacy && find_legacy(dev, id)) && !find_modern(dev)) {
		*dev = empty;
		if (!find_legacy(dev, id))
			return false;
	}
	dev->vdev.id = id >= VIRTIO_PCI_MODERN_ID ? id - VIRTIO_PCI_MODERN_ID : virtio_pci_config(dev, PCI_SUBSYSTEM_ID, 2);
	dev->line = (uint8_t)virtio_pci_config(dev, PCI_INTERRUPT_LINE, 1);
	virtio_pci_config_out(bus, slot, PCI_COMMAND, 2, virtio_pci_config(dev, PCI_COMMAND, 2) | PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	return true;
}

int virtio_pci_bus_init(struct virtio_pci_bus *bus, const struct virtio_platform *platform, const struct virtio_pci_ports *ports)
{
	if (!bus || !transport_platform_valid(platform) || !ports || !ports->in || !ports->out)
		return -VIRTIO_EINVAL;
	*bus = (struct virtio_pci_bus){ .platform = platform, .ports = ports };
	return 0;
}

bool virtio_pci_bus_next(struct virtio_pci_bus *bus, struct virtio_pci_device *device)
{
	while (bus && bus->ports && device && bus->next < PCI_SLOTS)
		if (probe(bus, bus->next++, device))
			return true;
	return false;
}
