/* SPDX-License-Identifier: MIT */
/* tlv-guest.c - the guest's end of the lguest bus of Linux 2.6.24 (layout and sources: lguest/tlv.h). */
#include <transport/lguest/tlv-guest.h>
#include <virtio/vring-driver.h>

#include "transport/device-internal.h"

static struct lguest_tlv_device *of(struct virtio_device *vdev)
{
	return (struct lguest_tlv_device *)(void *)vdev;
}

/* The @nth field of @type, used or not; NULL: there is none that lies within the descriptor. */
static uint8_t *find(const struct lguest_tlv_device *dev, unsigned int type, unsigned int nth)
{
	uint8_t *at = dev->desc + TLV_DESC_HEADER, *end = at + dev->desc[TLV_DESC_CONFIG_LEN];

	while (end - at >= (ptrdiff_t)TLV_FIELD_HEADER && end - at >= (ptrdiff_t)TLV_FIELD_HEADER + at[TLV_FIELD_LEN]) {
		if ((at[TLV_FIELD_TYPE] & ~TLV_FIELD_USED) == type && !nth--)
			return at;
		at += TLV_FIELD_HEADER + at[TLV_FIELD_LEN];
	}
	return NULL;
}

/* The data of configuration field @f; NULL: the device does not tell. */
static const uint8_t *config(const struct lguest_tlv_device *dev, const struct tlv_config *f)
{
	const uint8_t *field = f->id == dev->vdev.id ? find(dev, f->type, 0) : NULL;

	return field && field[TLV_FIELD_LEN] == f->len ? field + TLV_FIELD_HEADER : NULL;
}

static uint64_t tlv_get_features(struct virtio_device *vdev)
{
	uint64_t features = 0;

	for (unsigned int i = 0; i < TLV_CONFIGS; i++)
		if (config(of(vdev), &tlv_configs[i]))
			features |= tlv_configs[i].feature;
	return features;
}

static int tlv_finalize_features(struct virtio_device *vdev)
{
	return 0;
}

/* A configuration space as it is today, from the fields there are, with zeros between them. */
static int tlv_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	uint8_t space[TLV_CONFIG_END] = { 0 };
	size_t size = 0;

	for (unsigned int i = 0; i < TLV_CONFIGS; i++) {
		const struct tlv_config *f = &tlv_configs[i];
		const uint8_t *data = config(of(vdev), f);

		if (!data)
			continue;
		virtio_copy(space + f->offset, data, f->len);
		if (size < f->offset + (size_t)f->len)
			size = f->offset + (size_t)f->len;
	}
	if (offset > size || len > size - offset)
		return -VIRTIO_ERANGE;
	virtio_copy(buf, space + offset, len);
	return 0;
}

/* No device of that time has anything to be written. */
static int tlv_set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	return -VIRTIO_ERANGE;
}

static uint8_t tlv_get_status(struct virtio_device *vdev)
{
	return of(vdev)->desc[TLV_DESC_STATUS];
}

static void tlv_set_status(struct virtio_device *vdev, uint8_t status)
{
	of(vdev)->desc[TLV_DESC_STATUS] = status;
}

static void tlv_notify(struct virtio_queue *vq)
{
	struct lguest_tlv_bus *bus = of(vq->vdev)->bus;

	bus->notify(bus->opaque, vq->handle);
}

static void tlv_reset(struct virtio_device *vdev)
{
	tlv_set_status(vdev, 0);
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++) {
		if (vdev->queues[i]) {
			tlv_set_status(vdev, VIRTIO_STATUS_FAILED);
			tlv_notify(vdev->queues[i]);
			return;
		}
	}
}

static int tlv_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct lguest_tlv_device *dev = of(vdev);
	uint8_t *field = find(dev, TLV_TYPE_QUEUE, index), *data;
	uint16_t irq;
	int ret;

	if (!field)
		return -VIRTIO_ENOENT;
	if (field[TLV_FIELD_TYPE] & TLV_FIELD_USED)
		return -VIRTIO_EBUSY;
	data = field + TLV_FIELD_HEADER;
	irq = virtio_get16(false, data + LGUEST_VQ_IRQ);
	if (field[TLV_FIELD_LEN] != LGUEST_DESC_VQ || irq >= LGUEST_MAX_IRQS)
		return -VIRTIO_EINVAL;
	ret = page_ring_create(vdev, index, virtio_get16(false, data + LGUEST_VQ_NUM),
			       (uint64_t)virtio_get32(false, data + LGUEST_VQ_PFN) * LGUEST_PAGE_SIZE, vq);
	if (ret < 0)
		return ret;
	field[TLV_FIELD_TYPE] |= TLV_FIELD_USED;
	(*vq)->irq = irq;
	dev->bus->irq[irq] = *vq;
	return 0;
}

static void tlv_delete_queue(struct virtio_queue *vq)
{
	struct lguest_tlv_bus *bus = of(vq->vdev)->bus;

	if (bus->irq[vq->irq] == vq)
		bus->irq[vq->irq] = NULL;
	vring_driver_destroy(vq);
}

static const struct virtio_bus tlv_ops = {
	.get_features = tlv_get_features,
	.finalize_features = tlv_finalize_features,
	.get = tlv_get,
	.set = tlv_set,
	.get_status = tlv_get_status,
	.set_status = tlv_set_status,
	.reset = tlv_reset,
	.find_queue = tlv_find_queue,
	.delete_queue = tlv_delete_queue,
	.notify = tlv_notify,
};

int lguest_tlv_bus_init(struct lguest_tlv_bus *bus, const struct virtio_platform *platform, uint64_t address,
			void (*notify)(void *opaque, uint64_t address), void *opaque)
{
	if (!bus || !transport_platform_valid(platform) || !notify || address % LGUEST_PAGE_SIZE)
		return -VIRTIO_EINVAL;
	virtio_zero(bus, sizeof(*bus));
	bus->platform = platform;
	bus->page = virtio_mem_at(platform->mem, address, LGUEST_PAGE_SIZE);
	bus->notify = notify;
	bus->opaque = opaque;
	return bus->page ? 0 : -VIRTIO_EFAULT;
}

bool lguest_tlv_bus_next(struct lguest_tlv_bus *bus, struct lguest_tlv_device *device)
{
	unsigned int left;
	uint8_t *d;

	if (!bus || !bus->page || !device)
		return false;
	d = bus->page + bus->next;
	left = LGUEST_PAGE_SIZE - bus->next;
	if (left < TLV_DESC_HEADER || !d[TLV_DESC_TYPE] || TLV_DESC_HEADER + (unsigned int)d[TLV_DESC_CONFIG_LEN] > left)
		return false;
	*device = (struct lguest_tlv_device){
		.vdev = { .id = d[TLV_DESC_TYPE], .bus = &tlv_ops, .platform = bus->platform, .early = true },
		.bus = bus,
		.desc = d,
	};
	bus->next += TLV_DESC_HEADER + d[TLV_DESC_CONFIG_LEN];
	return true;
}

bool lguest_tlv_bus_interrupt(struct lguest_tlv_bus *bus, unsigned int irq)
{
	return bus && irq < LGUEST_MAX_IRQS && bus->irq[irq] && virtio_queue_interrupt(bus->irq[irq]);
}
