/* SPDX-License-Identifier: MIT */
/* virtio-mmio-guest.c - the guest's end of virtio over MMIO: two tables of bus operations, for the two versions. */
#include <transport/mmio/virtio-mmio-guest.h>

#include "transport/device-internal.h"

static struct virtio_mmio_device *of(struct virtio_device *vdev)
{
	return (struct virtio_mmio_device *)(void *)vdev;
}

static uint32_t in(const struct virtio_mmio_device *dev, uint32_t offset)
{
	return dev->access->read(dev->access->opaque, dev->address + offset, 4);
}

static void out(const struct virtio_mmio_device *dev, uint32_t offset, uint32_t value)
{
	dev->access->write(dev->access->opaque, dev->address + offset, 4, value);
}

/* --- the device's configuration ------------------------------------------------------------------------------------- */

static bool in_config(const struct virtio_mmio_device *dev, size_t offset, size_t len)
{
	return offset <= dev->config_len && len <= dev->config_len - offset;
}

static int mmio_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	struct virtio_mmio_device *dev = of(vdev);
	uint32_t before;

	if (!in_config(dev, offset, len))
		return -VIRTIO_ERANGE;
	/* 2.5.1-1: while the generation moves, what was read may be half old. Legacy devices have none. */
	do {
		uint8_t *to = buf;
		unsigned int size;

		before = dev->legacy ? 0 : in(dev, VIRTIO_MMIO_GENERATION);
		for (size_t done = 0; done < len; done += size) {
			uint32_t value;

			size = guest_access_width(offset + done, len - done);
			value = dev->access->read(dev->access->opaque, dev->address + VIRTIO_MMIO_CONFIG + offset + done, size);
			for (unsigned int i = 0; i < size; i++)
				to[done + i] = (uint8_t)(value >> 8 * i);
		}
	} while (!dev->legacy && before != in(dev, VIRTIO_MMIO_GENERATION));
	return 0;
}

static int mmio_set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	struct virtio_mmio_device *dev = of(vdev);
	const uint8_t *from = buf;
	unsigned int size;

	if (!in_config(dev, offset, len))
		return -VIRTIO_ERANGE;
	for (size_t done = 0; done < len; done += size) {
		uint32_t value = 0;

		size = guest_access_width(offset + done, len - done);
		for (unsigned int i = 0; i < size; i++)
			value |= (uint32_t)from[done + i] << 8 * i;
		dev->access->write(dev->access->opaque, dev->address + VIRTIO_MMIO_CONFIG + offset + done, size, value);
	}
	return 0;
}

/* --- status and features -------------------------------------------------------------------------------------------- */

static uint8_t mmio_get_status(struct virtio_device *vdev)
{
	return (uint8_t)in(of(vdev), VIRTIO_MMIO_STATUS);
}

static void mmio_set_status(struct virtio_device *vdev, uint8_t status)
{
	out(of(vdev), VIRTIO_MMIO_STATUS, status);
}

/* 2.4.2: a reset is complete when the status reads 0. */
static void mmio_reset(struct virtio_device *vdev)
{
	mmio_set_status(vdev, 0);
	while (mmio_get_status(vdev))
		;
	if (of(vdev)->legacy)
		out(of(vdev), VIRTIO_MMIO_GUEST_PAGE_SIZE, VRING_LEGACY_ALIGN);
}

/* 4.2.2.2-5: which half comes first. */
static uint32_t half_offered(struct virtio_mmio_device *dev, unsigned int half)
{
	out(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, half);
	return in(dev, VIRTIO_MMIO_DEVICE_FEATURES);
}

/* 4.2.2.2-6: likewise. */
static void accept_half(struct virtio_device *vdev, unsigned int half)
{
	out(of(vdev), VIRTIO_MMIO_DRIVER_FEATURES_SEL, half);
	out(of(vdev), VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(vdev->features >> 32 * half));
}

static uint64_t legacy_get_features(struct virtio_device *vdev)
{
	return half_offered(of(vdev), 0);
}

static int legacy_finalize_features(struct virtio_device *vdev)
{
	accept_half(vdev, 0);
	return 0;
}

static uint64_t modern_get_features(struct virtio_device *vdev)
{
	return half_offered(of(vdev), 0) | (uint64_t)half_offered(of(vdev), 1) << 32;
}

static int modern_finalize_features(struct virtio_device *vdev)
{
	/* 6.1: a driver of a device of version 2 must accept it. */
	if (!virtio_device_has(vdev, VIRTIO_F_VERSION_1))
		return -VIRTIO_EOPNOTSUPP;
	accept_half(vdev, 0);
	accept_half(vdev, 1);
	return 0;
}

/* --- queues --------------------------------------------------------------------------------------------------------- */

/* As section 4.2.3.2 has it: select it, see that nobody uses it, ask for its size, give it memory. */
static int begin_queue(struct virtio_mmio_device *dev, unsigned int index, uint32_t in_use, struct virtio_queue **vq)
{
	int ret;

	out(dev, VIRTIO_MMIO_QUEUE_SEL, index);
	if (in(dev, in_use))
		return -VIRTIO_EBUSY;
	ret = guest_ring_create(&dev->vdev, index, in(dev, VIRTIO_MMIO_QUEUE_NUM_MAX), &dev->ring[index], vq);
	if (!ret)
		(*vq)->handle = index;
	return ret;
}

static void out_address(struct virtio_mmio_device *dev, uint32_t low, uint64_t address)
{
	out(dev, low, (uint32_t)address);
	out(dev, low + 4, (uint32_t)(address >> 32));
}

/* Describe the queue, and have it used. */
static int modern_enable_queue(struct virtio_queue *vq)
{
	struct virtio_mmio_device *dev = of(vq->vdev);
	const struct guest_ring *ring = &dev->ring[vq->index];

	out(dev, VIRTIO_MMIO_QUEUE_SEL, vq->index);
	/* 4.2.2.2-7: as many as there may be. */
	out(dev, VIRTIO_MMIO_QUEUE_NUM, ring->num);
	out_address(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, ring->address);
	out_address(dev, VIRTIO_MMIO_QUEUE_DRIVER_LOW, ring->driver);
	out_address(dev, VIRTIO_MMIO_QUEUE_DEVICE_LOW, ring->device);
	out(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	return 0;
}

static int modern_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	int ret = begin_queue(of(vdev), index, VIRTIO_MMIO_QUEUE_READY, vq);

	return ret < 0 ? ret : modern_enable_queue(*vq);
}

/* 4.2.2.2-11: the queue has been reset when the register reads 0. */
static int modern_reset_queue(struct virtio_queue *vq)
{
	struct virtio_mmio_device *dev = of(vq->vdev);

	out(dev, VIRTIO_MMIO_QUEUE_SEL, vq->index);
	out(dev, VIRTIO_MMIO_QUEUE_RESET, 1);
	while (in(dev, VIRTIO_MMIO_QUEUE_RESET))
		;
	return 0;
}

static void modern_delete_queue(struct virtio_queue *vq)
{
	struct virtio_mmio_device *dev = of(vq->vdev);

	/* 4.2.2.2-9: to stop using a queue, write 0 and read it back. The device has been reset, so this is for those that forgot. */
	out(dev, VIRTIO_MMIO_QUEUE_SEL, vq->index);
	out(dev, VIRTIO_MMIO_QUEUE_READY, 0);
	in(dev, VIRTIO_MMIO_QUEUE_READY);
	guest_ring_destroy(vq, &dev->ring[vq->index]);
}

static int legacy_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct virtio_mmio_device *dev = of(vdev);
	int ret = begin_queue(dev, index, VIRTIO_MMIO_QUEUE_PFN, vq);

	if (ret < 0)
		return ret;
	out(dev, VIRTIO_MMIO_QUEUE_NUM, dev->ring[index].num);
	out(dev, VIRTIO_MMIO_QUEUE_ALIGN, VRING_LEGACY_ALIGN);
	out(dev, VIRTIO_MMIO_QUEUE_PFN, (uint32_t)(dev->ring[index].address / VRING_LEGACY_ALIGN));
	return 0;
}

static void legacy_delete_queue(struct virtio_queue *vq)
{
	struct virtio_mmio_device *dev = of(vq->vdev);

	out(dev, VIRTIO_MMIO_QUEUE_SEL, vq->index);
	out(dev, VIRTIO_MMIO_QUEUE_PFN, 0);
	guest_ring_destroy(vq, &dev->ring[vq->index]);
}

static void mmio_notify(struct virtio_queue *vq)
{
	bool data = virtio_device_has(vq->vdev, VIRTIO_F_NOTIFICATION_DATA);

	out(of(vq->vdev), VIRTIO_MMIO_QUEUE_NOTIFY, data ? vq->notify_data : (uint32_t)vq->handle);
}

static const struct virtio_bus modern_ops = {
	.get_features = modern_get_features,
	.finalize_features = modern_finalize_features,
	.get = mmio_get,
	.set = mmio_set,
	.get_status = mmio_get_status,
	.set_status = mmio_set_status,
	.reset = mmio_reset,
	.find_queue = modern_find_queue,
	.delete_queue = modern_delete_queue,
	.notify = mmio_notify,
	.reset_queue = modern_reset_queue,
	.enable_queue = modern_enable_queue,
	.helps = VIRTIO_F_NOTIFICATION_DATA | VIRTIO_F_RING_RESET,
};

static const struct virtio_bus legacy_ops = {
	.get_features = legacy_get_features,
	.finalize_features = legacy_finalize_features,
	.get = mmio_get,
	.set = mmio_set,
	.get_status = mmio_get_status,
	.set_status = mmio_set_status,
	.reset = mmio_reset,
	.find_queue = legacy_find_queue,
	.delete_queue = legacy_delete_queue,
	.notify = mmio_notify,
};

/* --- finding -------------------------------------------------------------------------------------------------------- */

int virtio_mmio_probe(struct virtio_mmio_device *device, const struct virtio_platform *platform,
		      const struct virtio_mmio_access *access, uint64_t address, uint32_t size, bool big_endian)
{
	uint32_t version;

	if (!device || !transport_platform_valid(platform) || !access || !access->read || !access->write || address % 4)
		return -VIRTIO_EINVAL;
	*device = (struct virtio_mmio_device){
		.vdev = { .platform = platform, .legacy_big_endian = big_endian },
		.access = access,
		.address = address,
		.config_len = size - VIRTIO_MMIO_CONFIG,
	};
	/* 4.2.2.2-4, 4.2.3.1.1-1: anything but these values, or id 0, is no device. */
	if (size < VIRTIO_MMIO_CONFIG || in(device, VIRTIO_MMIO_MAGIC) != VIRTIO_MMIO_MAGIC_VALUE)
		return -VIRTIO_ENODEV;
	version = in(device, VIRTIO_MMIO_VERSION);
	device->vdev.id = in(device, VIRTIO_MMIO_DEVICE_ID);
	device->legacy = version == VIRTIO_MMIO_LEGACY;
	device->vdev.bus = device->legacy ? &legacy_ops : &modern_ops;
	return device->vdev.id && (device->legacy || version == VIRTIO_MMIO_MODERN) ? 0 : -VIRTIO_ENODEV;
}

bool virtio_mmio_device_interrupt(struct virtio_mmio_device *device, bool *config)
{
	uint32_t why = device && device->access ? in(device, VIRTIO_MMIO_INTERRUPT_STATUS) : 0;

	/* 4.2.2.2-10, 4.2.3.4.1-1: acknowledged before the rings are looked at, as what comes meanwhile asserts the line again. */
	if (why)
		out(device, VIRTIO_MMIO_INTERRUPT_ACK, why);
	if (config)
		*config = why & VIRTIO_MMIO_INT_CONFIG;
	if (why & VIRTIO_MMIO_INT_QUEUE)
		virtio_device_interrupt(&device->vdev);
	return why;
}
