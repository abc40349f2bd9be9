/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci-guest.c - the guest's end of virtio over PCI. Two tables of bus operations, for modern structures and for the legacy
 * window; what differs between them is where registers are and how a ring is announced.
 */
#include <transport/virtio-pci-guest.h>

static struct virtio_pci_device *of(struct virtio_device *vdev)
{
	return (struct virtio_pci_device *)(void *)vdev;
}

static uint32_t in(const struct virtio_pci_device *dev, unsigned int port, unsigned int size)
{
	return dev->bus->ports->in(dev->bus->ports->opaque, (uint16_t)port, size);
}

static void out(const struct virtio_pci_device *dev, unsigned int port, unsigned int size, uint32_t value)
{
	dev->bus->ports->out(dev->bus->ports->opaque, (uint16_t)port, size, value);
}

/* --- the device's configuration --------------------------------------------------------------------------------------- */

static void read_config(struct virtio_pci_device *dev, size_t offset, uint8_t *to, size_t len)
{
	while (len) {
		unsigned int size = guest_access_width(offset, len);
		uint32_t value = in(dev, dev->config + (unsigned int)offset, size);

		for (unsigned int i = 0; i < size; i++)
			to[i] = (uint8_t)(value >> 8 * i);
		to += size;
		offset += size;
		len -= size;
	}
}

static bool in_config(const struct virtio_pci_device *dev, size_t offset, size_t len)
{
	return offset <= dev->config_len && len <= dev->config_len - offset;
}

static int pci_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	struct virtio_pci_device *dev = of(vdev);
	uint8_t before;

	if (!in_config(dev, offset, len))
		return -VIRTIO_ERANGE;
	/* 2.5.1-1: while the generation moves, what was read may be half old. Legacy devices have none. */
	do {
		before = dev->legacy ? 0 : (uint8_t)in(dev, dev->common + VIRTIO_PCI_GENERATION, 1);
		read_config(dev, offset, buf, len);
	} while (!dev->legacy && before != (uint8_t)in(dev, dev->common + VIRTIO_PCI_GENERATION, 1));
	return 0;
}

static int pci_set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	struct virtio_pci_device *dev = of(vdev);
	const uint8_t *from = buf;

	if (!in_config(dev, offset, len))
		return -VIRTIO_ERANGE;
	while (len) {
		unsigned int size = guest_access_width(offset, len);
		uint32_t value = 0;

		for (unsigned int i = 0; i < size; i++)
			value |= (uint32_t)from[i] << 8 * i;
		out(dev, dev->config + (unsigned int)offset, size, value);
		from += size;
		offset += size;
		len -= size;
	}
	return 0;
}

/* --- status ----------------------------------------------------------------------------------------------------------- */

static unsigned int status_port(const struct virtio_pci_device *dev)
{
	return dev->common + (dev->legacy ? VIRTIO_PCI_LEGACY_STATUS : VIRTIO_PCI_STATUS);
}

static uint8_t pci_get_status(struct virtio_device *vdev)
{
	return (uint8_t)in(of(vdev), status_port(of(vdev)), 1);
}

static void pci_set_status(struct virtio_device *vdev, uint8_t status)
{
	out(of(vdev), status_port(of(vdev)), 1, status);
}

/* 4.1.4.3.2: a reset is complete when the status reads 0. */
static void pci_reset(struct virtio_device *vdev)
{
	pci_set_status(vdev, 0);
	while (pci_get_status(vdev))
		;
}

/* --- features --------------------------------------------------------------------------------------------------------- */

static uint64_t modern_get_features(struct virtio_device *vdev)
{
	struct virtio_pci_device *dev = of(vdev);
	uint64_t features = 0;

	for (unsigned int i = 0; i < 2; i++) {
		out(dev, dev->common + VIRTIO_PCI_DEVICE_FEATURE_SELECT, 4, i);
		features |= (uint64_t)in(dev, dev->common + VIRTIO_PCI_DEVICE_FEATURE, 4) << 32 * i;
	}
	return features;
}

/* 4.1.5.1.2: tell @port which vector, if there are such. 0, or -VIRTIO_ENOSPC: the device has none to spare. */
static int set_vector(const struct virtio_pci_device *dev, unsigned int port, unsigned int vector)
{
	if (!dev->vectors)
		return 0;
	out(dev, port, 2, vector);
	return in(dev, port, 2) == vector ? 0 : -VIRTIO_ENOSPC;
}

static int modern_finalize_features(struct virtio_device *vdev)
{
	struct virtio_pci_device *dev = of(vdev);

	/* 6.1: a driver that uses these registers must accept it. */
	if (!virtio_device_has(vdev, VIRTIO_F_VERSION_1))
		return -VIRTIO_EOPNOTSUPP;
	for (unsigned int i = 0; i < 2; i++) {
		out(dev, dev->common + VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, i);
		out(dev, dev->common + VIRTIO_PCI_DRIVER_FEATURE, 4, (uint32_t)(vdev->features >> 32 * i));
	}
	return set_vector(dev, dev->common + VIRTIO_PCI_CONFIG_VECTOR, 0);
}

static uint64_t legacy_get_features(struct virtio_device *vdev)
{
	return in(of(vdev), of(vdev)->common + VIRTIO_PCI_LEGACY_DEVICE_FEATURES, 4);
}

static int legacy_finalize_features(struct virtio_device *vdev)
{
	out(of(vdev), of(vdev)->common + VIRTIO_PCI_LEGACY_DRIVER_FEATURES, 4, (uint32_t)vdev->features);
	return set_vector(of(vdev), of(vdev)->common + VIRTIO_PCI_LEGACY_CONFIG_VECTOR, 0);
}

/* --- queues ----------------------------------------------------------------------------------------------------------- */

static void out_address(struct virtio_pci_device *dev, unsigned int port, uint64_t address)
{
	out(dev, port, 4, (uint32_t)address);
	out(dev, port + 4, 4, (uint32_t)(address >> 32));
}

static int modern_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct virtio_pci_device *dev = of(vdev);
	struct guest_ring *ring = &dev->ring[index];
	uint32_t num;
	int ret;

	out(dev, dev->common + VIRTIO_PCI_QUEUE_SELECT, 2, index);
	num = in(dev, dev->common + VIRTIO_PCI_QUEUE_SIZE, 2);
	ret = guest_ring_create(vdev, index, num, ring, vq);
	if (ret < 0)
		return ret;
	ret = set_vector(dev, dev->common + VIRTIO_PCI_QUEUE_VECTOR, index + 1);
	if (ret < 0) {
		guest_ring_destroy(*vq, ring);
		return ret;
	}
	out(dev, dev->common + VIRTIO_PCI_QUEUE_SIZE, 2, num);
	out_address(dev, dev->common + VIRTIO_PCI_QUEUE_DESC, ring->address);
	out_address(dev, dev->common + VIRTIO_PCI_QUEUE_DRIVER, ring->driver);
	out_address(dev, dev->common + VIRTIO_PCI_QUEUE_DEVICE, ring->device);
	/* 4.1.4.4: where to kick it. */
	(*vq)->handle = dev->notify + dev->notify_step * in(dev, dev->common + VIRTIO_PCI_QUEUE_NOTIFY_OFF, 2);
	out(dev, dev->common + VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
	return 0;
}

static int legacy_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct virtio_pci_device *dev = of(vdev);
	struct guest_ring *ring = &dev->ring[index];
	int ret;

	out(dev, dev->common + VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, index);
	ret = guest_ring_create(vdev, index, in(dev, dev->common + VIRTIO_PCI_LEGACY_QUEUE_SIZE, 2), ring, vq);
	if (ret < 0)
		return ret;
	ret = set_vector(dev, dev->common + VIRTIO_PCI_LEGACY_QUEUE_VECTOR, index + 1);
	if (ret < 0) {
		guest_ring_destroy(*vq, ring);
		return ret;
	}
	(*vq)->handle = dev->common + VIRTIO_PCI_LEGACY_QUEUE_NOTIFY;
	out(dev, dev->common + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, (uint32_t)(ring->address / VIRTIO_PCI_LEGACY_PAGE));
	return 0;
}

static void pci_delete_queue(struct virtio_queue *vq)
{
	guest_ring_destroy(vq, &of(vq->vdev)->ring[vq->index]);
}

static void legacy_delete_queue(struct virtio_queue *vq)
{
	struct virtio_pci_device *dev = of(vq->vdev);

	out(dev, dev->common + VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, vq->index);
	out(dev, dev->common + VIRTIO_PCI_LEGACY_QUEUE_PFN, 4, 0);
	pci_delete_queue(vq);
}

static void pci_notify(struct virtio_queue *vq)
{
	out(of(vq->vdev), (unsigned int)vq->handle, 2, vq->index);
}

/* 4.1.5.2: the feature makes the register twice as wide. */
static void modern_notify(struct virtio_queue *vq)
{
	if (virtio_device_has(vq->vdev, VIRTIO_F_NOTIFICATION_DATA))
		out(of(vq->vdev), (unsigned int)vq->handle, 4, vq->notify_data);
	else
		pci_notify(vq);
}

static const struct virtio_bus modern_ops = {
	.get_features = modern_get_features,
	.finalize_features = modern_finalize_features,
	.get = pci_get,
	.set = pci_set,
	.get_status = pci_get_status,
	.set_status = pci_set_status,
	.reset = pci_reset,
	.find_queue = modern_find_queue,
	.delete_queue = pci_delete_queue,
	.notify = modern_notify,
	.helps = VIRTIO_F_NOTIFICATION_DATA,
};

static const struct virtio_bus legacy_ops = {
	.get_features = legacy_get_features,
	.finalize_features = legacy_finalize_features,
	.get = pci_get,
	.set = pci_set,
	.get_status = pci_get_status,
	.set_status = pci_set_status,
	.reset = pci_reset,
	.find_queue = legacy_find_queue,
	.delete_queue = legacy_delete_queue,
	.notify = pci_notify,
};

/* --- finding devices -------------------------------------------------------------------------------------------------- */

static void select(const struct virtio_pci_bus *bus, unsigned int slot, unsigned int at)
{
	bus->ports->out(bus->ports->opaque, PCI_CONFIG_ADDRESS, 4, PCI_CONFIG_ENABLE | slot << 11 | (at & 0xfcu));
}

uint32_t virtio_pci_config_in(const struct virtio_pci_bus *bus, unsigned int slot, unsigned int at, unsigned int size)
{
	select(bus, slot, at);
	return bus->ports->in(bus->ports->opaque, (uint16_t)(PCI_CONFIG_DATA + (at & 3)), size);
}

void virtio_pci_config_out(const struct virtio_pci_bus *bus, unsigned int slot, unsigned int at, unsigned int size, uint32_t value)
{
	select(bus, slot, at);
	bus->ports->out(bus->ports->opaque, (uint16_t)(PCI_CONFIG_DATA + (at & 3)), size, value);
}

static uint32_t config(const struct virtio_pci_device *dev, unsigned int at, unsigned int size)
{
	return virtio_pci_config_in(dev->bus, dev->slot, at, size);
}

/* First port of window @bar; 0: there is none. */
static uint16_t port_of(const struct virtio_pci_device *dev, unsigned int bar)
{
	uint32_t value = bar < PCI_BARS ? config(dev, PCI_BAR0 + 4 * bar, 4) : 0;

	return value & PCI_BAR_IO ? (uint16_t)(value & ~PCI_BAR_IO_FLAGS) : 0;
}

/* What capability at @cap says, if it lies in ports: 4.1.4.1, the first one of each type that a driver can use is the one to use. */
static void take_capability(struct virtio_pci_device *dev, unsigned int cap)
{
	uint16_t base = port_of(dev, config(dev, cap + VIRTIO_PCI_CAP_BAR, 1));
	uint16_t port = (uint16_t)(base + config(dev, cap + VIRTIO_PCI_CAP_OFFSET, 4));

	if (!base)
		return;
	switch (config(dev, cap + VIRTIO_PCI_CAP_TYPE, 1)) {
	case VIRTIO_PCI_CAP_COMMON:
		if (!dev->common)
			dev->common = port;
		break;
	case VIRTIO_PCI_CAP_NOTIFY:
		if (dev->notify)
			break;
		dev->notify = port;
		dev->notify_step = config(dev, cap + VIRTIO_PCI_CAP_MULTIPLIER, 4);
		break;
	case VIRTIO_PCI_CAP_ISR:
		if (!dev->isr)
			dev->isr = port;
		break;
	case VIRTIO_PCI_CAP_DEVICE:
		if (dev->config)
			break;
		dev->config = port;
		dev->config_len = config(dev, cap + VIRTIO_PCI_CAP_LENGTH, 4);
		break;
	default:
		break;
	}
}

#define CAPABILITIES 48u		/* that a list can have at most, whatever it says of itself */

/* The capability behind the one at @at (0: the first); 0: there are no more, or *@left are exhausted. */
static unsigned int next_capability(const struct virtio_pci_device *dev, unsigned int at, unsigned int *left)
{
	if (!at && !(config(dev, PCI_STATUS, 2) & PCI_STATUS_CAPABILITIES))
		return 0;
	at = config(dev, at ? at + PCI_CAP_NEXT : PCI_CAPABILITIES, 1) & ~3u;
	return at >= PCI_HEADER_END && *left && (*left)-- ? at : 0;
}

static bool find_modern(struct virtio_pci_device *dev)
{
	unsigned int left = CAPABILITIES, at = 0;

	while ((at = next_capability(dev, at, &left)))
		if (config(dev, at + PCI_CAP_ID, 1) == PCI_CAP_VENDOR)
			take_capability(dev, at);
	dev->vdev.bus = &modern_ops;
	return dev->common && dev->notify && dev->isr;
}

/* The length of a legacy configuration is not told: the rest of the window counts. */
static bool find_legacy(struct virtio_pci_device *dev, uint16_t id)
{
	uint32_t size;

	if (id < VIRTIO_PCI_LEGACY_FIRST || id > VIRTIO_PCI_LEGACY_LAST || config(dev, PCI_REVISION, 1))
		return false;
	dev->common = port_of(dev, 0);
	if (!dev->common)
		return false;
	virtio_pci_config_out(dev->bus, dev->slot, PCI_BAR0, 4, ~0u);
	size = ~(config(dev, PCI_BAR0, 4) & ~PCI_BAR_IO_FLAGS) + 1;
	virtio_pci_config_out(dev->bus, dev->slot, PCI_BAR0, 4, dev->common);
	dev->legacy = true;
	dev->isr = dev->common + VIRTIO_PCI_LEGACY_ISR;
	dev->config = dev->common + VIRTIO_PCI_LEGACY_CONFIG;
	dev->config_len = size - VIRTIO_PCI_LEGACY_CONFIG;
	dev->vdev.bus = &legacy_ops;
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
	id = (uint16_t)config(dev, PCI_DEVICE_ID, 2);
	if (config(dev, PCI_VENDOR_ID, 2) != VIRTIO_PCI_VENDOR || id < VIRTIO_PCI_LEGACY_FIRST || id > VIRTIO_PCI_MODERN_ID + 0x3f)
		return false;
	if (!(bus->prefer_legacy && find_legacy(dev, id)) && !find_modern(dev)) {
		*dev = empty;
		if (!find_legacy(dev, id))
			return false;
	}
	dev->vdev.id = id >= VIRTIO_PCI_MODERN_ID ? id - VIRTIO_PCI_MODERN_ID : config(dev, PCI_SUBSYSTEM_ID, 2);
	dev->line = (uint8_t)config(dev, PCI_INTERRUPT_LINE, 1);
	virtio_pci_config_out(bus, slot, PCI_COMMAND, 2, config(dev, PCI_COMMAND, 2) | PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	return true;
}

void virtio_pci_bus_init(struct virtio_pci_bus *bus, const struct virtio_platform *platform, const struct virtio_pci_ports *ports)
{
	*bus = (struct virtio_pci_bus){ .platform = platform, .ports = ports };
}

bool virtio_pci_bus_next(struct virtio_pci_bus *bus, struct virtio_pci_device *device)
{
	while (bus->next < PCI_SLOTS)
		if (probe(bus, bus->next++, device))
			return true;
	return false;
}

bool virtio_pci_device_interrupt(struct virtio_pci_device *device, bool *config_changed)
{
	uint32_t isr = in(device, device->isr, 1);

	if (config_changed)
		*config_changed = isr & VIRTIO_PCI_ISR_CONFIG;
	if (isr & VIRTIO_PCI_ISR_QUEUE)
		virtio_device_interrupt(&device->vdev);
	return isr;
}

/* --- message interrupts ------------------------------------------------------------------------------------------------ */

int virtio_pci_device_messages(struct virtio_pci_device *device, const struct virtio_pci_messages *messages)
{
	unsigned int at = 0, count, slot = device->slot, left = CAPABILITIES;
	uint32_t where, bar;
	uint64_t table;

	do
		at = next_capability(device, at, &left);
	while (at && config(device, at + PCI_CAP_ID, 1) != PCI_CAP_MSIX);
	if (!at)
		return -VIRTIO_EOPNOTSUPP;
	where = config(device, at + PCI_MSIX_TABLE, 4);
	bar = (where & 7) < PCI_BARS ? config(device, PCI_BAR0 + 4 * (where & 7), 4) : PCI_BAR_IO;
	if ((bar & PCI_BAR_IO) || !(bar & ~15u))
		return -VIRTIO_EOPNOTSUPP;
	table = (uint64_t)(bar & ~15u) + (where & ~7u);
	/* 6.2.5.1: the upper half of an address of 64 bits is in the next register. */
	if ((bar & PCI_BAR_MEMORY_64) && (where & 7) + 1 < PCI_BARS)
		table += (uint64_t)config(device, PCI_BAR0 + 4 * ((where & 7) + 1), 4) << 32;
	count = (config(device, at + PCI_MSIX_CONTROL, 2) & 0x7ff) + 1;
	if (count > VIRTIO_DRIVER_QUEUES + 1)
		count = VIRTIO_DRIVER_QUEUES + 1;
	virtio_pci_config_out(device->bus, slot, PCI_COMMAND, 2, config(device, PCI_COMMAND, 2) | PCI_COMMAND_MEMORY);
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
	struct virtio_queue *vq = vector && vector <= VIRTIO_DRIVER_QUEUES ? device->vdev.queues[vector - 1] : NULL;

	return vq && virtio_queue_interrupt(vq);
}
