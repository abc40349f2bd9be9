/* SPDX-License-Identifier: MIT */
/* inbuf.h - buffers that drivers keep in a queue to be filled. */
#ifndef VIRTIO_DRIVER_INBUF_H
#define VIRTIO_DRIVER_INBUF_H

#include <virtio/driver.h>

/* Offer one to the device. False: the ring is full or dead, and @used says that it is not under way. */
static inline bool inbuf_post(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int num, unsigned long *used)
{
	if (virtio_add_inbuf(vq, sg, 0, num, used) >= 0)
		return true;
	*used = VIRTIO_CANCELLED;
	return false;
}

/* Has the device filled it? */
static inline bool inbuf_filled(const unsigned long *used)
{
	return virtio_is_done(used) && *used != VIRTIO_CANCELLED;
}

#endif
