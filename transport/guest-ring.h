/* SPDX-License-Identifier: MIT */
/* guest-ring.h - the guest's end of buses whose rings the guest places: registers and rings. Freestanding. */
#ifndef KENNEL_TRANSPORT_GUEST_RING_H
#define KENNEL_TRANSPORT_GUEST_RING_H

#include <virtio/driver.h>
#include <virtio/vring.h>

/*
 * 4.1.3.1-2, 4.2.2.2-3: the widest access that an aligned @offset allows, which is that of the field there, or of its halves; @len
 * at least 1.
 */
static inline unsigned int guest_access_width(size_t offset, size_t len)
{
	if (len >= 4 && offset % 4 == 0)
		return 4;
	return len >= 2 && offset % 2 == 0 ? 2 : 1;
}

/* The memory of one queue's ring. */
struct guest_ring {
	void *base;			/* NULL = none */
	size_t size;
	uint32_t num;			/* entries */
	uint64_t address;		/* guest-physical: of the descriptors */
	uint64_t driver, device;	/* and of the two other parts */
};

/*
 * A ring of @num entries in a block on whole pages, and queue @index of @vdev on it. 0, *@vq and *@ring; -VIRTIO_ENOENT: @num
 * is 0, which is how a device says that it has no such queue; -VIRTIO_EINVAL: it is not a power of two; -VIRTIO_ENOMEM;
 * -VIRTIO_EFAULT: the platform gave memory that no device can reach.
 */
int guest_ring_create(struct virtio_device *vdev, unsigned int index, uint32_t num, struct guest_ring *ring,
		      struct virtio_queue **vq);

/* Release queue and memory. The device must have been reset. */
void guest_ring_destroy(struct virtio_queue *vq, struct guest_ring *ring);

#endif
