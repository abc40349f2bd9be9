/* SPDX-License-Identifier: MIT */
/*
 * vring-driver-internal.h - what the two layouts of a ring share on the driver's end, and vring-driver.c, which makes queues.
 *
 * What was put into a descriptor is never read back from shared memory: chains, lengths and free descriptors are kept in slots of our
 * own. So a device that scribbles over the ring confuses itself, not us, and our cache lines stay ours.
 *
 * Slots are numbered like the descriptors of a split ring, or like the buffer ids of a packed one, and the free ones form a queue: the
 * one that was free longest goes first. With a device that uses buffers in order they are then used in order as well, as
 * VIRTIO_F_IN_ORDER demands; and with any other that mostly does, words in the ring keep their value from lap to lap, and a word that
 * is not written does not cost the other end a cache miss.
 */
#ifndef VIRTIO_VRING_DRIVER_INTERNAL_H
#define VIRTIO_VRING_DRIVER_INTERNAL_H

#include <virtio/vring-driver.h>

/* The fields besides @next mean something for the first slot of a buffer. */
struct vring_slot {
	unsigned long *used;		/* where the length goes; NULL = not in use as a first slot */
	uint32_t bytes;			/* sent, or room for what is written */
	uint16_t next;			/* in the chain, or in the queue of free ones; in a buffer's last slot: the buffer added before it */
	uint16_t count;			/* descriptors of the buffer */
	bool out;			/* nothing to be written by the device */
};

struct vring_driver {
	struct virtio_queue vq;		/* first: what the driver holds */
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *ring;
	};
	union {
		struct vring_avail *avail;
		uint32_t *driver_event;
	};
	union {
		struct vring_used *used;
		uint32_t *device_event;
	};
	void *tables;			/* [num][table_size] descriptors for indirect buffers; NULL = none */
	unsigned int table_size;

	uint16_t num;
	uint16_t free_head, free_tail;	/* queue of free slots */
	uint16_t free_slots;
	uint16_t newest;		/* the buffer added last */
	uint16_t oldest;		/* in order: the buffer to be used next */
	uint16_t unsynced;		/* buffers added and not yet shown to the device */

	/* Split: free-running counters. */
	uint16_t added;			/* available entries written */
	uint16_t synced;		/* and shown to the device */
	uint16_t harvested;		/* used entries taken */

	/* Packed: offsets, each with the wrap counter of its lap. */
	uint16_t next_avail;		/* where the next descriptor goes */
	uint16_t next_used;		/* where the device will write next */
	uint16_t held_at;		/* the first descriptor not yet shown, */
	uint16_t held_flags;		/* and what makes it available */
	uint16_t free_descs;
	uint16_t unsynced_descs;
	uint32_t event_shown;		/* our event structure, as last written; not a possible one before */
	bool avail_wrap, used_wrap;

	bool swap;
	bool event_idx;
	bool in_order;
	bool quiet;			/* interrupts were declined */
	bool dead;			/* cancelled; nothing works until the queue is made anew */
	struct vring_slot slot[];	/* [num] */
};

static inline struct vring_driver *vring_driver_of(struct virtio_queue *vq)
{
	return (struct vring_driver *)(void *)vq;
}

static inline const struct virtio_mem *vring_driver_mem(const struct vring_driver *vr)
{
	return vr->vq.vdev->platform->mem;
}

/* A buffer's last slot. A packed ring has one slot per buffer. */
static inline uint16_t vring_driver_last(const struct vring_driver *vr, uint16_t head, uint16_t slots)
{
	uint16_t last = head;

	while (--slots)
		last = vr->slot[last].next;
	return last;
}

/* Check a buffer's pieces and count its bytes: those sent, if all are, otherwise those to be written. 0, or -VIRTIO_EINVAL. */
int vring_driver_check(const struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num, uint32_t *bytes);

/* Note a buffer of @count descriptors, which has taken the first @slots free slots. Returns its first. */
uint16_t vring_driver_begin(struct vring_driver *vr, uint16_t slots, uint16_t count, uint32_t bytes, bool out, unsigned long *used);

/* A buffer has left the other end's hands: free its slots, then tell the driver @value. */
void vring_driver_finish(struct vring_driver *vr, uint16_t head, uint16_t slots, unsigned long value);

/* The length to tell for a buffer of which the device says @len. */
static inline unsigned long vring_driver_length(const struct vring_slot *s, uint32_t len)
{
	/* 2.7.8.2-2, 2.7.8.3-1: the length is truthful, or too small; a longer one than we gave room for would be believed by our driver, so cut it. */
	return s->out || len > s->bytes ? s->bytes : len;
}

/* Take back buffer @head, the newest and not shown to the device: its slots will be the next to go. */
void vring_driver_undo(struct vring_driver *vr, uint16_t head, uint16_t slots);

/* Get a buffer out of the device's hands: reset the queue, or else the device. */
void vring_driver_wrest(struct vring_driver *vr);

/* The renew operation. */
void vring_driver_renew(struct virtio_queue *vq);

/* The device cannot be trusted any more: stop it, which finishes everything as cancelled. */
void vring_driver_give_up(struct vring_driver *vr);

extern const struct virtio_ops vring_split_ops, vring_packed_ops;

#endif
