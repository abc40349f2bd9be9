/* SPDX-License-Identifier: MIT */
/* registers.c - what the registers of PCI and MMIO do: see registers.h. */
#include <transport/registers.h>

#include "transport/device-internal.h"

const char *virtio_regs_why_not(const struct virtio_dev *dev)
{
	/* 4.1.4.3.1-9: sizes are powers of two. */
	if (!transport_device_valid(dev) || dev->id > 0xff)
		return "this device cannot be described by registers: a queue's size is a power of two, a configuration has at most 256 bytes";
	if (!(dev->offered & VIRTIO_F_VERSION_1))
		return "a device behind registers must offer VIRTIO_F_VERSION_1";
	if (dev->num_queues > VIRTIO_REGS_QUEUES)
		return "a device behind registers has at most 32 queues here";
	return NULL;
}

void virtio_regs_offer(struct virtio_dev *dev)
{
	dev->offered |= VIRTIO_F_NOTIFICATION_DATA;
	/* A device that cannot forget a queue by itself must not be asked to. */
	if (dev->ops->queue_reset)
		dev->offered |= VIRTIO_F_RING_RESET;
}

/* 4.1.4.3.1-6, 4.2.2.1-3, 4.1.5.1.2.1-4: not enabled, without a vector, and of the largest size that the device takes. */
static void reset_queue(struct virtio_regs *regs, unsigned int queue)
{
	regs->queue[queue] = (struct virtio_regs_queue){
		.size = regs->dev->queues[queue].num_max, .align = VIRTIO_REGS_PAGE, .vector = VIRTIO_REGS_NO_VECTOR };
}

void virtio_regs_reset(struct virtio_regs *regs)
{
	struct virtio_dev *dev = regs->dev;
	uint8_t generation = regs->generation;

	virtio_dev_reset(dev);
	virtio_zero(regs, sizeof(*regs));
	regs->dev = dev;
	regs->generation = generation;
	regs->page_size = VIRTIO_REGS_PAGE;
	regs->config_vector = VIRTIO_REGS_NO_VECTOR;
	for (unsigned int i = 0; i < dev->num_queues; i++)
		reset_queue(regs, i);
}

/* --- configuration -------------------------------------------------------------------------------------------------- */

/* Bytes of an access of @size at @offset that lie within the device's configuration. */
static unsigned int config_part(const struct virtio_regs *regs, uint32_t offset, unsigned int size)
{
	size_t len = regs->dev->config_len;

	return offset >= len ? 0 : len - offset < size ? (unsigned int)(len - offset) : size;
}

void virtio_regs_config_changed(struct virtio_regs *regs)
{
	/* 4.1.4.3.1-4, 4.2.2.1-4: once between two looks at it, for otherwise many changes would bring an old number back. */
	regs->generation += !regs->unread;
	regs->unread = true;
}

uint8_t virtio_regs_generation(struct virtio_regs *regs)
{
	regs->unread = false;
	return regs->generation;
}

/* 4.1.4.10-2: of any width, at any offset. */
uint32_t virtio_regs_config_read(struct virtio_regs *regs, uint32_t offset, unsigned int size)
{
	unsigned int part = config_part(regs, offset, size);
	uint8_t bytes[4] = { 0 };

	if (part)
		virtio_dev_config_read(regs->dev, offset, bytes, part);
	return virtio_get32(false, bytes);
}

void virtio_regs_config_write(struct virtio_regs *regs, uint32_t offset, unsigned int size, uint32_t value)
{
	unsigned int part = config_part(regs, offset, size);
	uint8_t bytes[4];

	virtio_put32(false, bytes, value);
	if (part)
		virtio_dev_config_write(regs->dev, offset, bytes, part);
}

/* --- drivers of virtio 1.x ------------------------------------------------------------------------------------------ */

void virtio_regs_set_features(struct virtio_regs *regs, uint32_t value)
{
	uint32_t select = regs->driver_feature_select;

	/* 3.1.1, step 5: no new feature bits after FEATURES_OK. */
	if (select > 1 || regs->dev->features_final)
		return;
	virtio_regs_set_half(&regs->driver_features, select, value);
}

/* The driver set FEATURES_OK: do we agree? 6.1: a driver of virtio 1.x accepts VERSION_1, and we need not go on without. */
static bool accept_features(struct virtio_regs *regs)
{
	return (regs->driver_features & VIRTIO_F_VERSION_1) && !virtio_dev_set_features(regs->dev, regs->driver_features);
}

void virtio_regs_set_status(struct virtio_regs *regs, uint8_t status)
{
	struct virtio_dev *dev = regs->dev;
	uint8_t fresh = status & (uint8_t)~dev->status;

	/* 4.1.4.3.1-5: and it reads as 0 when that is done. */
	if (!status) {
		virtio_regs_reset(regs);
		return;
	}
	if ((fresh & VIRTIO_STATUS_FEATURES_OK) && !accept_features(regs))
		status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	if ((fresh & VIRTIO_STATUS_DRIVER_OK) && !((status | dev->status) & VIRTIO_STATUS_FEATURES_OK)) {
		virtio_dev_break(dev, "the driver set DRIVER_OK without agreement on features (virtio 1.2, 3.1.1)");
		status &= (uint8_t)~VIRTIO_STATUS_DRIVER_OK;
	}
	/* What we took back may have been all there was, and 0 would be a reset. */
	if (status)
		virtio_dev_set_status(dev, status);
}

void virtio_regs_enable(struct virtio_regs *regs)
{
	struct virtio_regs_queue *q = virtio_regs_selected(regs);
	struct virtio_dev *dev = regs->dev;

	/* 4.1.4.3.2-2, 4.1.4.3.2-3: what has been said by now has to be right. */
	if (!(dev->status & VIRTIO_STATUS_FEATURES_OK))
		virtio_dev_break(dev, "the driver enabled a queue before features were agreed on (virtio 1.2, 3.1.1)");
	else if (virtio_dev_set_queue(dev, regs->queue_select, q->size, q->desc, q->driver, q->device))
		virtio_dev_break(dev, "the driver enabled a queue of impossible size, or outside guest memory (virtio 1.2, 2.7)");
	else
		q->enabled = true;
}

void virtio_regs_stop_queue(struct virtio_regs *regs)
{
	struct virtio_dev *dev = regs->dev;

	if (!dev->ops->queue_reset) {
		virtio_regs_reset(regs);
		return;
	}
	dev->ops->queue_reset(dev, regs->queue_select);
	vring_device_reset(&dev->queues[regs->queue_select]);
	virtio_regs_selected(regs)->enabled = false;
	virtio_regs_selected(regs)->pfn = 0;
}

void virtio_regs_reset_queue(struct virtio_regs *regs)
{
	/* 4.1.4.3.1-7, 4.2.2.1-6: when the driver sees that the queue is not enabled any more, the device is done with it. */
	if (virtio_regs_selected(regs) && !virtio_dev_reset_queue(regs->dev, regs->queue_select))
		reset_queue(regs, regs->queue_select);
}

/* --- older drivers -------------------------------------------------------------------------------------------------- */

static void set_ring(struct virtio_regs *regs, unsigned int queue)
{
	const struct virtio_regs_queue *q = &regs->queue[queue];
	uint64_t ring = (uint64_t)q->pfn * regs->page_size;

	if (!q->align || (q->align & (q->align - 1)) || !vring_size_valid(q->size) ||
	    virtio_dev_set_queue(regs->dev, queue, q->size, ring, ring + vring_desc_bytes(q->size),
				 ring + vring_used_offset(q->size, q->align)))
		virtio_dev_break(regs->dev,
				 "the driver placed a ring outside guest memory, or one of impossible size or alignment");
}

/* The driver begins to use the device: what it has said counts from now on. */
static void begin(struct virtio_regs *regs)
{
	struct virtio_dev *dev = regs->dev;

	if (dev->live || dev->broken)
		return;
	/* 4.1.4.10-4: an older driver accepts none of the features 32 to 63. */
	if (virtio_dev_set_features(dev, (uint32_t)regs->driver_features)) {
		virtio_dev_break(dev, "the driver accepted features that the device does not offer together");
		return;
	}
	for (unsigned int i = 0; i < dev->num_queues; i++)
		if (regs->queue[i].pfn)
			set_ring(regs, i);
	virtio_dev_start(dev);
}

void virtio_regs_legacy_set_pfn(struct virtio_regs *regs, uint32_t pfn)
{
	struct virtio_regs_queue *q = virtio_regs_selected(regs);

	if (!q || q->pfn == pfn)
		return;
	if (!regs->dev->live) {
		q->pfn = pfn;
	} else if (!pfn) {
		virtio_regs_stop_queue(regs);
		/* Of an older driver that uses no queue any more, nothing outlives that: it may agree on other features next. */
		for (unsigned int i = 0; i < regs->dev->num_queues; i++)
			if (regs->queue[i].pfn)
				return;
		virtio_regs_reset(regs);
	} else if (!q->pfn) {
		q->pfn = pfn;
		set_ring(regs, regs->queue_select);
	}
}

void virtio_regs_legacy_kick(struct virtio_regs *regs, unsigned int queue)
{
	if ((regs->dev->status & VIRTIO_STATUS_DRIVER) && queue < regs->dev->num_queues && regs->queue[queue].pfn)
		begin(regs);
	virtio_dev_kick(regs->dev, queue);
}

void virtio_regs_legacy_set_status(struct virtio_regs *regs, uint8_t status)
{
	if (!status) {
		virtio_regs_reset(regs);
		return;
	}
	/* A bit of drivers of virtio 1.x; without it the rest may be nothing, and 0 would be a reset. */
	status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	if (status & ~regs->dev->status & VIRTIO_STATUS_DRIVER_OK)
		begin(regs);
	if (status)
		virtio_dev_set_status(regs->dev, status);
}
