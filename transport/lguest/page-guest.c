/* SPDX-License-Identifier: MIT */
/* page-guest.c - the guest's end of the lguest bus (layout, order of events and sources: lguest/page.h). */
#include <transport/lguest/page-guest.h>
#include <transport/page-bus.h>
#include <virtio/vring-driver.h>

#include "transport/device-internal.h"

static struct lguest_device *of(struct virtio_device *vdev)
{
	return (struct lguest_device *)(void *)vdev;
}

/* NOTIFY of the descriptor: look at the status. */
static void announce(struct lguest_device *dev)
{
	dev->bus->notify(dev->bus->opaque, dev->bus->address + (uint64_t)(dev->desc.at - dev->bus->page));
}

static uint64_t lguest_get_features(struct virtio_device *vdev)
{
	return page_desc_offered(&of(vdev)->desc);
}

static int lguest_finalize_features(struct virtio_device *vdev)
{
	page_desc_accept(&of(vdev)->desc, (uint32_t)vdev->features);
	announce(of(vdev));
	return 0;
}

static int lguest_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	return page_desc_get(&of(vdev)->desc, offset, buf, len);
}

static int lguest_set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	return page_desc_set(&of(vdev)->desc, offset, buf, len);
}

static uint8_t lguest_get_status(struct virtio_device *vdev)
{
	return of(vdev)->desc.at[PAGE_DESC_STATUS];
}

static void lguest_set_status(struct virtio_device *vdev, uint8_t status)
{
	of(vdev)->desc.at[PAGE_DESC_STATUS] = status;
	if (status & VIRTIO_STATUS_FAILED)
		announce(of(vdev));
}

static void lguest_reset(struct virtio_device *vdev)
{
	of(vdev)->desc.at[PAGE_DESC_STATUS] = 0;
	announce(of(vdev));
}

static int lguest_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct lguest_device *dev = of(vdev);
	struct lguest_bus *bus = dev->bus;
	const uint8_t *config;
	uint16_t num, irq;
	uint64_t address;
	int ret;

	if (index >= dev->desc.at[PAGE_DESC_NUM_VQ])
		return -VIRTIO_ENOENT;
	config = page_desc_queue(&dev->desc, index);
	num = virtio_get16(false, config + LGUEST_VQ_NUM);
	irq = virtio_get16(false, config + LGUEST_VQ_IRQ);
	address = (uint64_t)virtio_get32(false, config + LGUEST_VQ_PFN) * LGUEST_PAGE_SIZE;
	if (irq >= LGUEST_MAX_IRQS)
		return -VIRTIO_EINVAL;
	ret = page_ring_create(vdev, index, num, address, vq);
	if (ret < 0)
		return ret;
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
	if (!bus || !transport_platform_valid(platform) || !notify || address % LGUEST_PAGE_SIZE)
		return -VIRTIO_EINVAL;
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
	struct page_desc desc;

	if (!bus || !device || !page_desc_next(bus->page, &bus->next, LGUEST_DESC_VQ, &desc))
		return false;
	*device = (struct lguest_device){
		.vdev = { .id = desc.at[PAGE_DESC_TYPE], .bus = &lguest_bus_ops, .platform = bus->platform },
		.bus = bus,
		.desc = desc,
	};
	return true;
}

bool lguest_bus_interrupt(struct lguest_bus *bus, unsigned int irq)
{
	return bus && irq < LGUEST_MAX_IRQS && bus->irq[irq] && virtio_queue_interrupt(bus->irq[irq]);
}
