/* SPDX-License-Identifier: MIT */
/* direct.c - a device and its driver, joined by calls: see direct.h. */
#include <transport/direct.h>

#include "transport/device-internal.h"

/* --- the device's side ---------------------------------------------------------------------------------------------- */

static void direct_interrupt(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_direct *direct = dev->transport_data;

	direct->pending |= UINT32_C(1) << queue;
	if (direct->interrupt)
		direct->interrupt(direct->opaque);
}

static void direct_config_changed(struct virtio_dev *dev)
{
	struct virtio_direct *direct = dev->transport_data;

	direct->config = true;
	if (direct->interrupt)
		direct->interrupt(direct->opaque);
}

static void direct_broken(struct virtio_dev *dev)
{
	struct virtio_direct *direct = dev->transport_data;

	if (direct->complain)
		direct->complain(direct->opaque, dev, dev->broken);
}

static const struct virtio_transport_ops direct_transport = {
	.interrupt = direct_interrupt,
	.config_changed = direct_config_changed,
	.broken = direct_broken,
};

/* --- the driver's side ---------------------------------------------------------------------------------------------- */

static struct virtio_direct *of(struct virtio_device *vdev)
{
	return (struct virtio_direct *)(void *)vdev;
}

static uint64_t direct_get_features(struct virtio_device *vdev)
{
	return of(vdev)->dev->offered;
}

static int direct_finalize_features(struct virtio_device *vdev)
{
	return virtio_dev_set_features(of(vdev)->dev, vdev->features) ? -VIRTIO_EOPNOTSUPP : 0;
}

static int direct_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	return virtio_dev_config_read(of(vdev)->dev, offset, buf, len);
}

static int direct_set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	return virtio_dev_config_write(of(vdev)->dev, offset, buf, len);
}

static uint8_t direct_get_status(struct virtio_device *vdev)
{
	return of(vdev)->dev->status;
}

static void direct_set_status(struct virtio_device *vdev, uint8_t status)
{
	virtio_dev_set_status(of(vdev)->dev, status);
}

static void direct_reset(struct virtio_device *vdev)
{
	virtio_dev_reset(of(vdev)->dev);
	of(vdev)->pending = 0;
	of(vdev)->config = false;
}

static int direct_enable_queue(struct virtio_queue *vq)
{
	struct virtio_direct *direct = of(vq->vdev);
	const struct guest_ring *ring = &direct->ring[vq->index];

	return virtio_dev_set_queue(direct->dev, vq->index, ring->num, ring->address, ring->driver, ring->device);
}

static int direct_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct virtio_direct *direct = of(vdev);
	struct guest_ring *ring = &direct->ring[index];
	uint32_t num = index < direct->dev->num_queues ? direct->dev->queues[index].num_max : 0;
	int ret = guest_ring_create(vdev, index, num, ring, vq);

	if (ret < 0)
		return ret;
	ret = direct_enable_queue(*vq);
	if (ret < 0)
		guest_ring_destroy(*vq, ring);
	return ret;
}

static int direct_reset_queue(struct virtio_queue *vq)
{
	return virtio_dev_reset_queue(of(vq->vdev)->dev, vq->index);
}

static void direct_delete_queue(struct virtio_queue *vq)
{
	guest_ring_destroy(vq, &of(vq->vdev)->ring[vq->index]);
}

static void direct_notify(struct virtio_queue *vq)
{
	virtio_dev_kick(of(vq->vdev)->dev, vq->index);
}

static const struct virtio_bus direct_bus = {
	.get_features = direct_get_features,
	.finalize_features = direct_finalize_features,
	.get = direct_get,
	.set = direct_set,
	.get_status = direct_get_status,
	.set_status = direct_set_status,
	.reset = direct_reset,
	.find_queue = direct_find_queue,
	.delete_queue = direct_delete_queue,
	.notify = direct_notify,
	.reset_queue = direct_reset_queue,
	.enable_queue = direct_enable_queue,
	.helps = VIRTIO_F_RING_RESET,
};

/* --- both ----------------------------------------------------------------------------------------------------------- */

int virtio_direct_init(struct virtio_direct *direct, struct virtio_dev *dev, const struct virtio_platform *platform,
		       bool big_endian)
{
	if (!direct || !transport_device_valid(dev) || !transport_platform_valid(platform) || dev->num_queues > VIRTIO_DRIVER_QUEUES)
		return -VIRTIO_EINVAL;
	*direct = (struct virtio_direct){
		.vdev = { .id = dev->id, .bus = &direct_bus, .platform = platform, .legacy_big_endian = big_endian },
		.dev = dev,
	};
	/* A device that cannot forget a queue by itself must not be asked to. */
	if (dev->ops->queue_reset)
		dev->offered |= VIRTIO_F_RING_RESET;
	dev->transport = &direct_transport;
	dev->transport_data = direct;
	dev->mem = platform->mem;
	dev->legacy_big_endian = big_endian;
	virtio_dev_reset(dev);
	return 0;
}

bool virtio_direct_deliver(struct virtio_direct *direct, bool *config)
{
	uint32_t pending = direct ? direct->pending : 0;
	bool changed = direct && direct->config;

	if (config)
		*config = changed;
	if (!pending && !changed)
		return false;
	direct->pending = 0;
	direct->config = false;
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		if ((pending >> i & 1) && direct->vdev.queues[i])
			virtio_queue_interrupt(direct->vdev.queues[i]);
	return true;
}
