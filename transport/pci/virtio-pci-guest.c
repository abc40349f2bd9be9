/* SPDX-License-Identifier: MIT */
/*
 * virtio-pci-guest.c - the guest's end of virtio over PCI, as drivers see it. Two tables of bus operations, for modern structures
 * and for the legacy window; what differs between them is where registers are and how a ring is announced.
 */
#include "transport/pci/virtio-pci-guest-internal.h"

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

/* 4.1.4.3.2-4: a reset is complete when the status reads 0. */
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

/* 4.1.5.1.2.2-1: tell @port which vector, if there are such, and see that it was taken. 0, or -VIRTIO_ENOSPC: the device has none to spare. */
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

/* Describe the queue, and have it used. 0, or -VIRTIO_ENOSPC: there is no vector for it. */
static int modern_enable_queue(struct virtio_queue *vq)
{
	struct virtio_pci_device *dev = of(vq->vdev);
	const struct guest_ring *ring = &dev->ring[vq->index];
	int ret;

	out(dev, dev->common + VIRTIO_PCI_QUEUE_SELECT, 2, vq->index);
	ret = set_vector(dev, dev->common + VIRTIO_PCI_QUEUE_VECTOR, vq->index + 1);
	if (ret < 0)
		return ret;
	out(dev, dev->common + VIRTIO_PCI_QUEUE_SIZE, 2, ring->num);
	out_address(dev, dev->common + VIRTIO_PCI_QUEUE_DESC, ring->address);
	out_address(dev, dev->common + VIRTIO_PCI_QUEUE_DRIVER, ring->driver);
	out_address(dev, dev->common + VIRTIO_PCI_QUEUE_DEVICE, ring->device);
	/* 4.1.4.3.2-3: last. */
	out(dev, dev->common + VIRTIO_PCI_QUEUE_ENABLE, 2, 1);
	return 0;
}

static int modern_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct virtio_pci_device *dev = of(vdev);
	struct guest_ring *ring = &dev->ring[index];
	int ret;

	out(dev, dev->common + VIRTIO_PCI_QUEUE_SELECT, 2, index);
	ret = guest_ring_create(vdev, index, in(dev, dev->common + VIRTIO_PCI_QUEUE_SIZE, 2), ring, vq);
	if (ret < 0)
		return ret;
	/* Where to kick it: section 4.1.4.4. */
	(*vq)->handle = dev->notify + dev->notify_step * in(dev, dev->common + VIRTIO_PCI_QUEUE_NOTIFY_OFF, 2);
	ret = modern_enable_queue(*vq);
	if (ret < 0)
		guest_ring_destroy(*vq, ring);
	return ret;
}

/* 4.1.4.3.2-6: the queue has been reset when the register reads 0. */
static int modern_reset_queue(struct virtio_queue *vq)
{
	struct virtio_pci_device *dev = of(vq->vdev);

	out(dev, dev->common + VIRTIO_PCI_QUEUE_SELECT, 2, vq->index);
	out(dev, dev->common + VIRTIO_PCI_QUEUE_RESET, 2, 1);
	while (in(dev, dev->common + VIRTIO_PCI_QUEUE_RESET, 2))
		;
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

/* The feature makes the register twice as wide: section 4.1.5.2. */
static void modern_notify(struct virtio_queue *vq)
{
	if (virtio_device_has(vq->vdev, VIRTIO_F_NOTIFICATION_DATA))
		out(of(vq->vdev), (unsigned int)vq->handle, 4, vq->notify_data);
	else
		pci_notify(vq);
}

const struct virtio_bus virtio_pci_modern_bus = {
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
	.reset_queue = modern_reset_queue,
	.enable_queue = modern_enable_queue,
	.helps = VIRTIO_F_NOTIFICATION_DATA | VIRTIO_F_RING_RESET,
};

const struct virtio_bus virtio_pci_legacy_bus = {
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

/* --- the interrupt ---------------------------------------------------------------------------------------------------- */

bool virtio_pci_device_interrupt(struct virtio_pci_device *device, bool *config_changed)
{
	uint32_t isr = device && device->bus ? in(device, device->isr, 1) : 0;

	/* 4.1.5.4.2-1: it may be both. */
	if (config_changed)
		*config_changed = isr & VIRTIO_PCI_ISR_CONFIG;
	if (isr & VIRTIO_PCI_ISR_QUEUE)
		virtio_device_interrupt(&device->vdev);
	return isr;
}
