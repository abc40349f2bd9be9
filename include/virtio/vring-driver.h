/* SPDX-License-Identifier: MIT */
/*
 * vring-driver.h - the driver's end of a ring: the five operations over shared memory. For buses, which make the queues;
 * drivers use <virtio/driver.h>.
 */
#ifndef VIRTIO_VRING_DRIVER_H
#define VIRTIO_VRING_DRIVER_H

#include <virtio/driver.h>
#include <virtio/vring.h>

VIRTIO_BEGIN_DECLS

/* Feature bits that this ring implements; virtio_device_setup() accepts those that are offered. */
#define VRING_DRIVER_FEATURES                                                                                                          \
	(VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED |               \
	 VIRTIO_F_IN_ORDER)

/*
 * Make a queue on a zeroed ring of @num entries at @desc, @avail and @used (our addresses): packed if that was negotiated, else split.
 * Takes bookkeeping memory, and tables for
 * indirect buffers if those are negotiated and vdev->indirect is set, from vdev->platform. The caller sets handle and irq.
 * 0 and *@vq; -VIRTIO_EINVAL: null, misaligned, or a size that the ring cannot have; -VIRTIO_ENOMEM.
 */
int vring_driver_create(struct virtio_device *vdev, unsigned int index, uint32_t num, void *desc, void *avail, void *used,
			struct virtio_queue **vq);

/* Release the bookkeeping. The device must have been reset. */
void vring_driver_destroy(struct virtio_queue *vq);

VIRTIO_END_DECLS

#endif
