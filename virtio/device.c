/* SPDX-License-Identifier: MIT */
/*
 * device.c - one instance of a device: its features, status, config space and queues, between a transport and the device's own code.
 *
 * The rules that are the same for every device and every bus are here: a driver accepts only what was offered, byte order follows
 * from the features, a device that is not live is not served, and one that the driver broke stays silent until it is reset.
 */
#include <virtio/device.h>

void virtio_dev_break(struct virtio_dev *dev, const char *reason)
{
	if (!dev || dev->broken)
		return;
	dev->broken = reason;
	/* 2.1.2-2, 2.1.2-3: NEEDS_RESET, and if the driver is ready it hears of it. */
	dev->status |= VIRTIO_STATUS_NEEDS_RESET;
	if (dev->transport && dev->transport->broken)
		dev->transport->broken(dev);
	if (dev->transport && dev->transport->config_changed && (dev->status & VIRTIO_STATUS_DRIVER_OK))
		dev->transport->config_changed(dev);
}

/* --- for devices ------------------------------------------------------------------------------------------------------ */

int virtio_dev_pop(struct virtio_dev *dev, unsigned int queue, struct vring_buffer *buf, struct virtio_iov *iov, unsigned int max)
{
	int ret;

	if (!dev || queue >= dev->num_queues)
		return -VIRTIO_EINVAL;
	if (dev->broken)
		return -VIRTIO_EPROTO;
	/* 2.1.2-1, 2.4.1-2: nothing is taken before DRIVER_OK, nor after a reset. */
	if (!dev->live)
		return 0;
	ret = vring_device_pop(&dev->queues[queue], buf, iov, max);
	if (ret == -VIRTIO_EPROTO)
		virtio_dev_break(dev, dev->queues[queue].broken);
	if (ret == 1 && dev->transport && dev->transport->taken)
		dev->transport->taken(dev, queue, buf->id);
	return ret;
}

static bool serving(const struct virtio_dev *dev, unsigned int queue)
{
	return dev && dev->live && !dev->broken && queue < dev->num_queues;
}

void virtio_dev_push(struct virtio_dev *dev, unsigned int queue, uint32_t id, uint32_t written)
{
	if (!serving(dev, queue))
		return;
	if (dev->transport && dev->transport->given)
		dev->transport->given(dev, queue, id);
	vring_device_push(&dev->queues[queue], id, written);
}

void virtio_dev_flush(struct virtio_dev *dev, unsigned int queue)
{
	bool interrupt;

	if (!serving(dev, queue))
		return;
	interrupt = vring_device_flush(&dev->queues[queue]);
	if (dev->transport && dev->transport->shown)
		dev->transport->shown(dev, queue);
	if (interrupt)
		dev->transport->interrupt(dev, queue);
}

void virtio_dev_config_changed(struct virtio_dev *dev)
{
	if (dev && dev->transport && dev->transport->config_changed)
		dev->transport->config_changed(dev);
}

/* The feature bits that mean something for rings and buses, not for devices (6.2): 24 to 41, but for those vhost-user uses. */
#define RING_BITS (((VIRTIO_BIT(42) - 1) & ~(VIRTIO_BIT(24) - 1)) & ~(VIRTIO_BIT(30) | VIRTIO_BIT(31)))

/* --- for transports --------------------------------------------------------------------------------------------------- */

void virtio_dev_reset(struct virtio_dev *dev)
{
	if (!dev)
		return;
	if (dev->ops->reset)
		dev->ops->reset(dev);
	for (unsigned int i = 0; i < dev->num_queues; i++)
		vring_device_reset(&dev->queues[i]);
	dev->features = 0;
	dev->features_final = false;
	dev->big_endian = dev->legacy_big_endian;
	dev->live = false;
	/* 2.4.1-1: this says that the reset is complete. */
	dev->status = 0;
	dev->broken = NULL;
}

int virtio_dev_set_features(struct virtio_dev *dev, uint64_t features)
{
	uint64_t old;
	bool old_big;
	int ret = 0;

	/* 2.2.1-1, 3.1.1-2: only features that were offered, and none once they are agreed on. */
	if (!dev || dev->live || (dev->status & VIRTIO_STATUS_FEATURES_OK) || (features & ~dev->offered))
		return -VIRTIO_EINVAL;
	/* 2.2.2-2: nor one that is offered by mistake: a feature of the ring that our rings do not have. */
	if (features & RING_BITS & ~(VIRTIO_DEV_RING_FEATURES | VIRTIO_F_IN_ORDER | VIRTIO_DEV_BUS_FEATURES))
		return -VIRTIO_EINVAL;
	/* 6.1: the packed ring came with virtio 1; there is no legacy form of it. */
	if ((features & VIRTIO_F_RING_PACKED) && !(features & VIRTIO_F_VERSION_1))
		return -VIRTIO_EINVAL;
	old = dev->features;
	old_big = dev->big_endian;
	dev->features = features;
	/* 2.2.3-1, 2.5.3-1: a driver without VERSION_1 is a legacy one and speaks the guest's byte order. */
	dev->big_endian = features & VIRTIO_F_VERSION_1 ? false : dev->legacy_big_endian;
	/* 2.2.1-2, 2.2.2-2: which features go together is the device's to know. */
	if (dev->ops->features_ok)
		ret = dev->ops->features_ok(dev);
	if (ret < 0) {
		dev->features = old;
		dev->big_endian = old_big;
		return -VIRTIO_EINVAL;
	}
	dev->features_final = true;
	return 0;
}

int virtio_dev_set_queue(struct virtio_dev *dev, unsigned int queue, uint32_t num, uint64_t desc, uint64_t avail, uint64_t used)
{
	if (!dev || queue >= dev->num_queues)
		return -VIRTIO_ENOENT;
	/* 2.6.1.2.1-1: whatever the driver has said since the last reset. */
	if (num > dev->queues[queue].num_max)
		return -VIRTIO_EINVAL;
	return vring_device_init(&dev->queues[queue], dev->mem, num, desc, avail, used, dev->features, dev->big_endian);
}

int virtio_dev_reset_queue(struct virtio_dev *dev, unsigned int queue)
{
	if (!dev || queue >= dev->num_queues)
		return -VIRTIO_ENOENT;
	/* 2.6.1.1.1-1, 2.6.1.1.1-2: as after a reset of the device; only if VIRTIO_F_RING_RESET was negotiated. */
	if (!virtio_dev_has(dev, VIRTIO_F_RING_RESET))
		return -VIRTIO_EOPNOTSUPP;
	if (dev->ops->queue_reset)
		dev->ops->queue_reset(dev, queue);
	vring_device_reset(&dev->queues[queue]);
	return 0;
}

void virtio_dev_start(struct virtio_dev *dev)
{
	if (!dev || dev->live || dev->broken)
		return;
	dev->live = true;
	if (dev->ops->start)
		dev->ops->start(dev);
}

void virtio_dev_driver_ok(struct virtio_dev *dev)
{
	if (dev && dev->live && !dev->broken && dev->ops->driver_ok)
		dev->ops->driver_ok(dev);
}

uint8_t virtio_dev_set_status(struct virtio_dev *dev, uint8_t status)
{
	bool fresh;

	if (!dev || !status) {
		virtio_dev_reset(dev);
		return 0;
	}
	/* 2.1.1-2: bits are only set; NEEDS_RESET is the device's. */
	status = (uint8_t)(dev->status | (status & ~VIRTIO_STATUS_NEEDS_RESET));
	/* 2.2.2-2: FEATURES_OK stays clear when the subset of features is not acceptable. */
	if ((status & ~dev->status & VIRTIO_STATUS_FEATURES_OK) && !dev->features_final && virtio_dev_set_features(dev, dev->features))
		status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	/* 2.1.1-1, 3.1.1-1: legacy drivers have no FEATURES_OK, others cannot leave it out. */
	if ((status & VIRTIO_STATUS_DRIVER_OK) && !(status & VIRTIO_STATUS_FEATURES_OK) && virtio_dev_has(dev, VIRTIO_F_VERSION_1)) {
		virtio_dev_break(dev, "the driver is ready without having agreed on features (virtio 1.2, 3.1.1)");
		return dev->status;
	}
	fresh = status & ~dev->status & VIRTIO_STATUS_DRIVER_OK;
	dev->status = status;
	/* 2.1.1-3: a driver that gave up resets the device first. */
	if ((status & VIRTIO_STATUS_DRIVER_OK) && !(status & VIRTIO_STATUS_FAILED))
		virtio_dev_start(dev);
	if (fresh && !(status & VIRTIO_STATUS_FAILED))
		virtio_dev_driver_ok(dev);
	return dev->status;
}

void virtio_dev_kick(struct virtio_dev *dev, unsigned int queue)
{
	if (serving(dev, queue) && dev->ops->queue_notify)
		dev->ops->queue_notify(dev, queue);
}

void virtio_dev_notified(struct virtio_dev *dev, uint32_t data)
{
	virtio_dev_kick(dev, data & 0xffff);
}

int virtio_dev_config_read(struct virtio_dev *dev, size_t offset, void *buf, size_t len)
{
	uint8_t config[VIRTIO_CONFIG_MAX];

	if (!dev || !buf)
		return -VIRTIO_EINVAL;
	if (offset > dev->config_len || len > dev->config_len - offset || dev->config_len > sizeof(config))
		return -VIRTIO_ERANGE;
	virtio_zero(config, sizeof(config));
	if (dev->ops->config_get)
		dev->ops->config_get(dev, config);
	virtio_copy(buf, config + offset, len);
	return 0;
}

int virtio_dev_config_write(struct virtio_dev *dev, size_t offset, const void *buf, size_t len)
{
	if (!dev || !buf)
		return -VIRTIO_EINVAL;
	if (offset > dev->config_len || len > dev->config_len - offset)
		return -VIRTIO_ERANGE;
	if (dev->ops->config_set)
		dev->ops->config_set(dev, offset, buf, len);
	return 0;
}

void virtio_dev_destroy(struct virtio_dev *dev)
{
	if (!dev)
		return;
	virtio_dev_reset(dev);
	if (dev->ops->destroy)
		dev->ops->destroy(dev);
}
