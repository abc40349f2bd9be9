/* SPDX-License-Identifier: MIT */
/* lguest-page-guest.c - the guest's end of the lguest bus (layout, order of events and sources: lguest-page.h). */
#include <transport/lguest-page-guest.h>
#include <virtio/vring-driver.h>

static struct lguest_device *of(struct virtio_device *vdev)
{
	return (struct lguest_device *)(void *)vdev;
}

static uint8_t *features_of(struct lguest_device *dev)
{
	return dev->desc + LGUEST_DESC_HEADER + (size_t)LGUEST_DESC_VQ * dev->desc[LGUEST_DESC_NUM_VQ];
}

static uint8_t *config_of(struct lguest_device *dev)
{
	return features_of(dev) + (size_t)2 * dev->desc[LGUEST_DESC_FEATURE_LEN];
}

/* NOTIFY of the descriptor: look at the status. */
static void announce(struct lguest_device *dev)
{
	dev->bus->notify(dev->bus->opaque, dev->bus->address + (uint64_t)(dev->desc - dev->bus->page));
}

static uint64_t lguest_get_features(struct virtio_device *vdev)
{
	struct lguest_device *dev = of(vdev);
	uint64_t features = 0;

	for (unsigned int i = 0; i < dev->desc[LGUEST_DESC_FEATURE_LEN] && i < sizeof(features); i++)
		features |= (uint64_t)features_of(dev)[i] << 8 * i;
	return features;
}

static int lguest_finalize_features(struct virtio_device *vdev)
{
	struct lguest_device *dev = of(vdev);
	unsigned int len = dev->desc[LGUEST_DESC_FEATURE_LEN];
	uint8_t *accepted = features_of(dev) + len;

	for (unsigned int i = 0; i < len; i++)
		accepted[i] = i < sizeof(vdev->features) ? (uint8_t)(vdev->features >> 8 * i) : 0;
	announce(dev);
	return 0;
}

static bool in_config(struct lguest_device *dev, size_t offset, size_t len)
{
	size_t size = dev->desc[LGUEST_DESC_CONFIG_LEN];

	return offset <= size && len <= size - offset;
}

static int lguest_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	if (!in_config(of(vdev), offset, len))
		return -VIRTIO_ERANGE;
	virtio_copy(buf, config_of(of(vdev)) + offset, len);
	return 0;
}

static int lguest_set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	if (!in_config(of(vdev), offset, len))
		return -VIRTIO_ERANGE;
	virtio_copy(config_of(of(vdev)) + offset, buf, len);
	return 0;
}

static uint8_t lguest_get_status(struct virtio_device *vdev)
{
	return of(vdev)->desc[LGUEST_DESC_STATUS];
}

static void lguest_set_status(struct virtio_device *vdev, uint8_t status)
{
	of(vdev)->desc[LGUEST_DESC_STATUS] = status;
	if (status & VIRTIO_STATUS_FAILED)
		announce(of(vdev));
}

static void lguest_reset(struct virtio_device *vdev)
{
	of(vdev)->desc[LGUEST_DESC_STATUS] = 0;
	announce(of(vdev));
}

static int lguest_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct lguest_device *dev = of(vdev);
	struct lguest_bus *bus = dev->bus;
	const uint8_t *config;
	uint16_t num, irq;
	uint64_t address;
	uint8_t *ring;
	int ret;

	if (index >= dev->desc[LGUEST_DESC_NUM_VQ])
		return -VIRTIO_ENOENT;
	config = dev->desc + LGUEST_DESC_HEADER + (size_t)LGUEST_DESC_VQ * index;
	num = virtio_get16(false, config + LGUEST_VQ_NUM);
	irq = virtio_get16(false, config + LGUEST_VQ_IRQ);
	address = (uint64_t)virtio_get32(false, config + LGUEST_VQ_PFN) * LGUEST_PAGE_SIZE;
	if (!vring_size_valid(num) || irq >= LGUEST_MAX_IRQS)
		return -VIRTIO_EINVAL;
	ring = virtio_mem_at(bus->platform->mem, address, lguest_ring_bytes(num));
	if (!ring)
		return -VIRTIO_EFAULT;
	ret = vring_driver_create(vdev, index, num, ring, ring + vring_desc_bytes(num),
				  ring + vring_used_offset(num, VRING_LEGACY_ALIGN), vq);
	if (ret < 0)
		return ret;
	(*vq)->handle = address;
	(*vq)->irq = irq;
	bus->irq[irq] = *vq;
	return 0;
}

static void lguest_delete_queue(struct virtio_queue *vq)
{
	struct lguest_bus *bus = of(vq->vdev)->bus;

	if (bus->irq[vq->irq] == vq)
		bus->irq[vq->irq] = NULL;
	vring_driver_destroy(vq);
}

static void lguest_notify(struct virtio_queue *vq)
{
	struct lguest_bus *bus = of(vq->vdev)->bus;

	bus->notify(bus->opaque, vq->handle);
}

static const struct virtio_bus lguest_bus_ops = {
	.get_features = lguest_get_features,
	.finalize_features = lguest_finalize_features,
	.get = lguest_get,
	.set = lguest_set,
	.get_status = lguest_get_status,
	.set_status = lguest_set_status,
	.reset = lguest_reset,
	.find_queue = lguest_find_queue,
	.delete_queue = lguest_delete_queue,
	.notify = lguest_notify,
};

int lguest_bus_init(struct lguest_bus *bus, const struct virtio_platform *platform, uint64_t address,
		    void (*notify)(void *opaque, uint64_t address), void *opaque)
{
	virtio_zero(bus, sizeof(*bus));
	bus->platform = platform;
	bus->page = virtio_mem_at(platform->mem, address, LGUEST_PAGE_SIZE);
	bus->address = address;
	bus->notify = notify;
	bus->opaque = opaque;
	return bus->page ? 0 : -VIRTIO_EFAULT;
}

bool lguest_bus_next(struct lguest_bus *bus, struct lguest_device *device)
{
	const uint8_t *d = bus->page + bus->next;
	size_t bytes;

	if (bus->next + LGUEST_DESC_HEADER > LGUEST_PAGE_SIZE || !d[LGUEST_DESC_TYPE])
		return false;
	bytes = lguest_desc_bytes(d[LGUEST_DESC_NUM_VQ], d[LGUEST_DESC_FEATURE_LEN], d[LGUEST_DESC_CONFIG_LEN]);
	if (bytes > LGUEST_PAGE_SIZE - bus->next)
		return false;
	*device = (struct lguest_device){
		.vdev = { .id = d[LGUEST_DESC_TYPE], .bus = &lguest_bus_ops, .platform = bus->platform },
		.bus = bus,
		.desc = bus->page + bus->next,
	};
	bus->next += (unsigned int)bytes;
	return true;
}

bool lguest_bus_interrupt(struct lguest_bus *bus, unsigned int irq)
{
	return irq < LGUEST_MAX_IRQS && bus->irq[irq] && virtio_queue_interrupt(bus->irq[irq]);
}
