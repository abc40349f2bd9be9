/* SPDX-License-Identifier: MIT */
/*
 * stream-slot.h - a buffer on its way over a stream, at the driver's end.
 *
 * It goes through these states: added; waiting for its turn, after sync(); current, while its bytes are written, straight from the
 * driver's memory; sent; done, until the driver harvests. Where the order matters a state is a list: added and done of each queue,
 * waiting of the stream. What the device writes comes with USED and is stored straight into the driver's memory. So the other end never
 * touches that memory, and taking a buffer back asks nobody: it is only remembered that its identifier is not free yet. One that is
 * current goes out with zeros in the place of what was not sent, and a last byte that voids it.
 */
#ifndef VIRTIO_STREAM_SLOT_H
#define VIRTIO_STREAM_SLOT_H

#include <virtio/stream.h>

enum slot_state { SLOT_FREE, SLOT_ADDED, SLOT_WAITING, SLOT_CURRENT, SLOT_SENT, SLOT_DONE };

struct virtio_stream_slot {
	struct virtio_stream_queue *queue;
	struct virtio_stream_slot *next;	/* in the list of its state */
	unsigned long *used;
	uint32_t out_len, in_len, written;
	uint16_t out, num;			/* pieces to be read, and all */
	uint8_t state;
	bool taken;				/* back by the driver: its memory is not ours any more */
	struct virtio_iov iov[VIRTIO_STREAM_PIECES];
};

struct slot_list {
	struct virtio_stream_slot *first, **end;
};

struct virtio_stream_queue {
	struct virtio_queue vq;			/* first: what the driver holds */
	struct slot_list added, done;
	unsigned int room;
	bool dead;				/* cancelled; nothing works until the queue is made anew */
	uint16_t num;
	struct virtio_stream_slot slot[];	/* [num] */
};

static inline struct virtio_stream_queue *stream_queue_of(struct virtio_queue *vq)
{
	return (struct virtio_stream_queue *)(void *)vq;
}

static inline struct virtio_stream *stream_of(struct virtio_device *vdev)
{
	return (struct virtio_stream *)(void *)vdev;
}

static inline void slot_append(struct virtio_stream_slot ***end, struct virtio_stream_slot *slot)
{
	slot->next = NULL;
	**end = slot;
	*end = &slot->next;
}

static inline struct virtio_stream_slot *slot_take(struct virtio_stream_slot **first, struct virtio_stream_slot ***end)
{
	struct virtio_stream_slot *slot = *first;

	if (slot && !(*first = slot->next))
		*end = first;
	return slot;
}

static inline void slot_drop(struct virtio_stream_slot **first, struct virtio_stream_slot ***end, struct virtio_stream_slot *slot)
{
	struct virtio_stream_slot **link = first;

	while (*link != slot)
		link = &(*link)->next;
	*link = slot->next;
	if (!*link)
		*end = link;
}

static inline void slot_release(struct virtio_stream_slot *slot)
{
	slot->state = SLOT_FREE;
	slot->queue->room++;
}

static inline void slot_finish(struct virtio_stream_slot *slot, unsigned long value)
{
	/* release: pairs with virtio_is_done() in a driver that polls from another thread. */
	if (!slot->taken)
		__atomic_store_n(slot->used, value, __ATOMIC_RELEASE);
}

#endif
