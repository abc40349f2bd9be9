/* SPDX-License-Identifier: MIT */
/*
 * pair.h - both ends of one ring in this process, over a private "guest memory". Kicks are counted; reset resets the device's end.
 */
#ifndef TESTS_VIRTIO_PAIR_H
#define TESTS_VIRTIO_PAIR_H

#include <virtio/vring-device.h>
#include <virtio/vring-driver.h>

#define PAIR_MEMORY	(1024 * 1024u)
#define PAIR_START	UINT64_C(0x40000000)	/* guest-physical address of the memory: not 0, so that mistakes show */

struct pair {
	uint8_t *memory;
	size_t next;			/* of the bump allocator */
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct virtio_device vdev;
	struct virtio_queue *vq;	/* the driver's end */
	struct vring_device dev;	/* the device's end */
	uint64_t desc, avail, used;	/* guest-physical */
	unsigned int kicks, resets, queue_resets;
	void (*on_kick)(struct pair *pair);	/* may be NULL */
	void *opaque;
};

/* A ring of @num entries with @features. @indirect: pieces per indirect table, 0 = none. */
struct pair *pair_create(uint32_t num, uint64_t features, bool big, unsigned int indirect);
void pair_destroy(struct pair *pair);
/* Zeroed memory within the guest's; aborts when there is none. */
void *pair_alloc(struct pair *pair, size_t size, size_t align);
/* Guest-physical address of a pointer into it. */
uint64_t pair_address(struct pair *pair, const void *p);

#endif
