/* SPDX-License-Identifier: MIT */
/* driver.c - the life of a device as its driver lives it: negotiation, queues, config fields, waiting, the end. */
#include <virtio/driver.h>
#include <virtio/vring-driver.h>

static void add_status(struct virtio_device *vdev, uint8_t bits)
{
	/* 2.1.1-1, 2.1.1-2: each step adds a bit, none takes one away. */
	vdev->bus->set_status(vdev, (uint8_t)(vdev->bus->get_status(vdev) | bits));
}

/* 3.1.1-3: re-read the status to see that the device agreed. Legacy devices have no such step. */
static int features_ok(struct virtio_device *vdev)
{
	if (!virtio_device_has(vdev, VIRTIO_F_VERSION_1))
		return 0;
	add_status(vdev, VIRTIO_STATUS_FEATURES_OK);
	if (vdev->bus->get_status(vdev) & VIRTIO_STATUS_FEATURES_OK)
		return 0;
	return vdev->lost ? -VIRTIO_ENODEV : -VIRTIO_EOPNOTSUPP;
}

int virtio_device_setup(struct virtio_device *vdev, uint64_t wanted)
{
	int ret;

	if (!vdev || !vdev->bus)
		return -VIRTIO_EINVAL;
	/* 3.1.1-1, 2.1.1-3: begin with a reset, whatever came before. */
	vdev->bus->reset(vdev);
	vdev->lost = false;
	add_status(vdev, VIRTIO_STATUS_ACKNOWLEDGE);
	add_status(vdev, VIRTIO_STATUS_DRIVER);
	/* 2.2.1-1, 2.2.1-3: the common subset. A driver that cannot do without a feature looks afterwards. */
	vdev->features = vdev->bus->get_features(vdev) & (wanted | VRING_DRIVER_FEATURES | vdev->bus->helps);
	/* 2.2.1-2, 2.2.3-2: a device without VERSION_1 is a legacy one, and has no packed ring. */
	if (!virtio_device_has(vdev, VIRTIO_F_VERSION_1))
		vdev->features &= ~VIRTIO_F_RING_PACKED;
	vdev->big_endian = virtio_device_has(vdev, VIRTIO_F_VERSION_1) ? false : vdev->legacy_big_endian;
	ret = vdev->bus->finalize_features(vdev);
	if (!ret)
		ret = features_ok(vdev);
	/* 3.1.1-4: the driver stops here. */
	if (ret < 0)
		virtio_device_fail(vdev);
	return ret;
}

int virtio_device_queue(struct virtio_device *vdev, unsigned int index, void (*callback)(struct virtio_queue *vq), void *data,
			struct virtio_queue **vq)
{
	int ret;

	if (!vdev || !vdev->bus || !vq)
		return -VIRTIO_EINVAL;
	if (index >= VIRTIO_DRIVER_QUEUES)
		return -VIRTIO_ENOENT;
	if (vdev->queues[index])
		return -VIRTIO_EBUSY;
	ret = vdev->bus->find_queue(vdev, index, vq);
	if (ret < 0)
		return ret;
	(*vq)->callback = callback;
	(*vq)->data = data;
	vdev->queues[index] = *vq;
	return 0;
}

void virtio_device_ready(struct virtio_device *vdev)
{
	if (vdev && vdev->bus)
		add_status(vdev, VIRTIO_STATUS_DRIVER_OK);
}

void virtio_device_fail(struct virtio_device *vdev)
{
	if (vdev && vdev->bus)
		add_status(vdev, VIRTIO_STATUS_FAILED);
}

void virtio_device_reset(struct virtio_device *vdev)
{
	if (!vdev || !vdev->bus)
		return;
	/* 3.3.1-2, 2.4.1-2: from here on the device touches no buffer, and drivers may. */
	vdev->bus->reset(vdev);
	vdev->lost = true;
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		if (vdev->queues[i])
			vdev->queues[i]->ops->cancel(vdev->queues[i]);
}

bool virtio_device_check(struct virtio_device *vdev)
{
	/* 2.1.1-4: nobody waits for what such a device has in its hands. */
	if (!vdev || !vdev->bus || !(vdev->bus->get_status(vdev) & VIRTIO_STATUS_NEEDS_RESET))
		return false;
	virtio_device_reset(vdev);
	return true;
}

int virtio_queue_reset(struct virtio_queue *vq)
{
	const struct virtio_bus *bus;
	int ret;

	if (!vq)
		return -VIRTIO_EINVAL;
	bus = vq->vdev->bus;
	/* 2.6.1: only what was negotiated. */
	if (!virtio_device_has(vq->vdev, VIRTIO_F_RING_RESET) || !bus->reset_queue || !bus->enable_queue || !vq->ops->renew)
		return -VIRTIO_EOPNOTSUPP;
	/* 2.6.1.1.2-1: the bus sees that it has happened. */
	ret = bus->reset_queue(vq);
	if (ret < 0)
		return ret;
	vq->ops->cancel(vq);
	/* 2.6.1.2.2-1: everything anew before it is enabled. */
	vq->ops->renew(vq);
	ret = bus->enable_queue(vq);
	if (ret < 0)
		vq->ops->cancel(vq);
	return ret;
}

void virtio_device_remove(struct virtio_device *vdev)
{
	if (!vdev || !vdev->bus)
		return;
	virtio_device_reset(vdev);
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++) {
		if (vdev->queues[i])
			vdev->bus->delete_queue(vdev->queues[i]);
		vdev->queues[i] = NULL;
	}
}

/* --- config fields ---------------------------------------------------------------------------------------------------- */

/* Read [@offset, @offset + @len) once more. True: it was as in @buf, which is brought up to date; false also after an error, in *@ret. */
static bool unchanged(struct virtio_device *vdev, size_t offset, uint8_t *buf, size_t len, int *ret)
{
	bool same = true;

	for (size_t done = 0; done < len && !*ret; done++) {
		uint8_t byte;

		*ret = vdev->bus->get(vdev, offset + done, &byte, 1);
		same &= byte == buf[done];
		buf[done] = byte;
	}
	return same;
}

int virtio_config_get_bytes(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	int ret;

	if (!vdev || !vdev->bus || !buf)
		return -VIRTIO_EINVAL;
	ret = vdev->bus->get(vdev, offset, buf, len);
	/* 2.5.4-1: a legacy device has no generation to look at, so until two reads agree. */
	if (len > 1 && !virtio_device_has(vdev, VIRTIO_F_VERSION_1))
		while (!ret && !unchanged(vdev, offset, buf, len, &ret))
			;
	return ret;
}

int virtio_config_get8(struct virtio_device *vdev, size_t offset, uint8_t *value)
{
	return virtio_config_get_bytes(vdev, offset, value, sizeof(*value));
}

int virtio_config_get16(struct virtio_device *vdev, size_t offset, uint16_t *value)
{
	uint8_t raw[sizeof(*value)];
	int ret = value ? virtio_config_get_bytes(vdev, offset, raw, sizeof(raw)) : -VIRTIO_EINVAL;

	if (!ret)
		*value = virtio_get16(vdev->big_endian, raw);
	return ret;
}

int virtio_config_get32(struct virtio_device *vdev, size_t offset, uint32_t *value)
{
	uint8_t raw[sizeof(*value)];
	int ret = value ? virtio_config_get_bytes(vdev, offset, raw, sizeof(raw)) : -VIRTIO_EINVAL;

	if (!ret)
		*value = virtio_get32(vdev->big_endian, raw);
	return ret;
}

int virtio_config_get64(struct virtio_device *vdev, size_t offset, uint64_t *value)
{
	uint8_t raw[sizeof(*value)];
	int ret = value ? virtio_config_get_bytes(vdev, offset, raw, sizeof(raw)) : -VIRTIO_EINVAL;

	if (!ret)
		*value = virtio_get64(vdev->big_endian, raw);
	return ret;
}

/* --- interrupts and waiting ------------------------------------------------------------------------------------------- */

bool virtio_queue_interrupt(struct virtio_queue *vq)
{
	if (!vq || !virtio_harvest(vq))
		return false;
	if (vq->callback)
		vq->callback(vq);
	return true;
}

bool virtio_device_interrupt(struct virtio_device *vdev)
{
	bool any = false;

	for (unsigned int i = 0; vdev && i < VIRTIO_DRIVER_QUEUES; i++)
		if (vdev->queues[i] && virtio_queue_interrupt(vdev->queues[i]))
			any = true;
	return any;
}

int virtio_wait_done(struct virtio_queue *vq, const unsigned long *used)
{
	const struct virtio_platform *platform;

	if (!vq || !used)
		return -VIRTIO_EINVAL;
	platform = vq->vdev->platform;
	for (unsigned int round = 1; !virtio_is_done(used); round++) {
		virtio_harvest(vq);
		if (virtio_is_done(used))
			break;
		/* Where looking at the status costs something, so does sleeping; but polling goes round fast. */
		if ((platform->wait || round % 1024 == 0) && virtio_device_check(vq->vdev))
			return -VIRTIO_ENODEV;
		if (platform->wait)
			platform->wait(platform->opaque);
	}
	return *used == VIRTIO_CANCELLED ? -VIRTIO_ENODEV : 0;
}
