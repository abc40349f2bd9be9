/* SPDX-License-Identifier: MIT */
/*
 * page-guest.c - the guest's end of the s390 bus (layout, order of events and sources: s390/page.h).
 *
 * A token could be a pointer, as it is in Linux. Here it is a number that bus->queue[] turns into one, so that a host can name
 * our queues and nothing else; bit 0 stays clear, because guests may not count on it.
 */
#include <transport/page-bus.h>
#include <transport/s390/page-guest.h>
#include <virtio/vring-driver.h>

#include "transport/device-internal.h"

#define TOKEN_STEP 2u

static struct s390_device *of(struct virtio_device *vdev)
{
	return (struct s390_device *)(void *)vdev;
}

static void call(struct s390_device *dev, uint64_t number)
{
	dev->bus->call(dev->bus->opaque, number, dev->bus->address + (uint64_t)(dev->desc.at - dev->bus->page));
}

static uint64_t s390_get_features(struct virtio_device *vdev)
{
	return page_desc_offered(&of(vdev)->desc);
}

/* The host looks at them when the device begins. */
static int s390_finalize_features(struct virtio_device *vdev)
{
	page_desc_accept(&of(vdev)->desc, (uint32_t)vdev->features);
	return 0;
}

static int s390_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	return page_desc_get(&of(vdev)->desc, offset, buf, len);
}

static int s390_set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	return page_desc_set(&of(vdev)->desc, offset, buf, len);
}

static uint8_t s390_get_status(struct virtio_device *vdev)
{
	return of(vdev)->desc.at[PAGE_DESC_STATUS];
}

static void s390_set_status(struct virtio_device *vdev, uint8_t status)
{
	of(vdev)->desc.at[PAGE_DESC_STATUS] = status;
	call(of(vdev), S390_SET_STATUS);
}

static void s390_reset(struct virtio_device *vdev)
{
	call(of(vdev), S390_RESET);
}

static int s390_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct s390_device *dev = of(vdev);
	struct s390_bus *bus = dev->bus;
	uint8_t *config = page_desc_queue(&dev->desc, index);
	unsigned int token = 0;
	int ret;

	if (index >= dev->desc.at[PAGE_DESC_NUM_VQ])
		return -VIRTIO_ENOENT;
	while (token < S390_BUS_QUEUES && bus->queue[token])
		token++;
	if (token == S390_BUS_QUEUES)
		return -VIRTIO_ENOSPC;
	ret = page_ring_create(vdev, index, virtio_get16(true, config + S390_VQ_NUM),
			       virtio_get64(true, config + S390_VQ_ADDRESS), vq);
	if (ret < 0)
		return ret;
	bus->queue[token] = *vq;
	(*vq)->irq = token;
	virtio_put64(true, config + S390_VQ_TOKEN, (uint64_t)TOKEN_STEP * (token + 1));
	return 0;
}

static void s390_delete_queue(struct virtio_queue *vq)
{
	of(vq->vdev)->bus->queue[vq->irq] = NULL;
	vring_driver_destroy(vq);
}

static void s390_notify(struct virtio_queue *vq)
{
	struct s390_bus *bus = of(vq->vdev)->bus;

	bus->call(bus->opaque, S390_NOTIFY, vq->handle);
}

static const struct virtio_bus s390_bus_ops = {
	.get_features = s390_get_features,
	.finalize_features = s390_finalize_features,
	.get = s390_get,
	.set = s390_set,
	.get_status = s390_get_status,
	.set_status = s390_set_status,
	.reset = s390_reset,
	.find_queue = s390_find_queue,
	.delete_queue = s390_delete_queue,
	.notify = s390_notify,
};

int s390_bus_init(struct s390_bus *bus, const struct virtio_platform *platform, uint64_t address,
		  int64_t (*call_host)(void *opaque, uint64_t number, uint64_t argument), void *opaque)
{
	if (!bus || !transport_platform_valid(platform) || !call_host || address % S390_PAGE_SIZE)
		return -VIRTIO_EINVAL;
	virtio_zero(bus, sizeof(*bus));
	bus->platform = platform;
	bus->page = virtio_mem_at(platform->mem, address, S390_PAGE_SIZE);
	bus->address = address;
	bus->call = call_host;
	bus->opaque = opaque;
	return bus->page ? 0 : -VIRTIO_EFAULT;
}

bool s390_bus_next(struct s390_bus *bus, struct s390_device *device)
{
	struct page_desc desc;

	if (!bus || !device || !page_desc_next(bus->page, &bus->next, S390_DESC_VQ, &desc))
		return false;
	*device = (struct s390_device){
		.vdev = {
			.id = desc.at[PAGE_DESC_TYPE],
			.bus = &s390_bus_ops,
			.platform = bus->platform,
			.legacy_big_endian = true,
		},
		.bus = bus,
		.desc = desc,
	};
	return true;
}

bool s390_bus_interrupt(struct s390_bus *bus, uint32_t reason, uint64_t token, struct virtio_device **changed)
{
	uint64_t i = token / TOKEN_STEP - 1;
	struct virtio_queue *vq = bus && i < S390_BUS_QUEUES ? bus->queue[i] : NULL;

	if (changed)
		*changed = vq && (reason & 0xff) == S390_REASON_CONFIG ? vq->vdev : NULL;
	if (!vq || (reason & 0xff) == S390_REASON_CONFIG || (reason & 0xff) == S390_REASON_ADDED)
		return false;
	return virtio_queue_interrupt(vq);
}
