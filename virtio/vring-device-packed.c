/* SPDX-License-Identifier: MIT */
/*
 * vring-device-packed.c - the device's end of a packed ring (virtio 1.2, 2.8).
 *
 * There is one array of descriptors, and no index in shared memory: the driver writes descriptors in ring order, we overwrite them in
 * ring order as buffers are finished, and whether a descriptor is to be read is a question to two bits of it, whose meaning turns with
 * each lap. Both our positions are private. Nothing that we wrote back is read again; a used descriptor lies where an available one
 * was that we have popped, since no more descriptors are given back than were taken.
 *
 * A buffer has as many descriptors as its driver likes, and giving it back skips as many; so the id that a device is given carries their
 * number in its upper half.
 *
 * Batches: the driver looks at one descriptor only, the next to be used. So pushing stores all but the first of a batch, and flush()
 * stores the first, with its flags last. The orderings are those of a split ring, see vring-device-split.c: for used.idx and avail.idx
 * read the flags of the first descriptor, for used_event and avail_event the event structures.
 */
#include "vring-device-internal.h"

#include "access.h"

/* A position in the ring, moved on by @count, at most a lap. */
static void advance(const struct vring_device *vq, uint16_t *at, bool *wrap, uint32_t count)
{
	uint32_t to = *at + count;

	if (to >= vq->num) {
		to -= vq->num;
		*wrap = !*wrap;
	}
	*at = (uint16_t)to;
}

/* 2.8.15-2: is the descriptor at last_avail ours? Only when its AVAIL bit was seen to change. */
static bool look(struct vring_device *vq)
{
	const uint16_t *flags = &vq->ring[vq->last_avail].flags;

	/* acquire: pairs with the driver's release of these flags in sync(); the descriptors behind them are read after it. */
	return ring_has_bits(ring_load16_acquire(flags, vq->swap), ring_avail_bits(vq->avail_wrap));
}

/* Our own event structure; it is not read back. */
static void show_event(struct vring_device *vq, uint32_t event)
{
	if (vq->event_shown == event)
		return;
	vq->event_shown = event;
	ring_store32(vq->device_event, vq->swap, event);
}

/* Ask for a kick; then look again, because a buffer may have come before the driver could see that we asked. */
static bool arm(struct vring_device *vq)
{
	if (vq->event_idx)
		show_event(vq, VRING_EVENT_DESC | vq->last_avail | (vq->avail_wrap ? VRING_EVENT_WRAP : 0));
	else
		show_event(vq, VRING_EVENT_ENABLE);
	/* full: pairs with the fence in the driver's sync(). */
	word_fence();
	return look(vq);
}

bool vring_packed_has_buffers(struct vring_device *vq)
{
	return look(vq);
}

bool vring_packed_notify(struct vring_device *vq, bool on)
{
	if (on)
		return arm(vq);
	show_event(vq, VRING_EVENT_DISABLE);
	return false;
}

/* --- walking a chain -------------------------------------------------------------------------------------------------- */

/* 2.8.7: all of the table, in order; of its flags only WRITE counts. NULL, or what is wrong with it. */
static const char *walk_table(struct vring_device *vq, const struct vring_packed_desc *d, struct vring_buffer *buf, unsigned int max)
{
	const char *wrong = NULL;
	uint32_t entries;
	const struct vring_packed_desc *table = vring_device_table(vq, d->addr, d->len, &entries, &wrong);

	/* 2.8.17-1, 2.8.19-3: no list is longer than the queue. */
	if (!wrong && entries > vq->num)
		wrong = "an indirect table longer than the ring (virtio 1.2, 2.8.17)";
	for (uint32_t i = 0; !wrong && i < entries; i++) {
		struct vring_packed_desc piece = ring_load_packed(&table[i], vq->swap);

		wrong = vring_device_add_piece(vq, buf, max, piece.addr, piece.len, piece.flags & VRING_DESC_WRITE);
	}
	return wrong;
}

/* Collect the buffer at last_avail, of *@count descriptors. NULL, or what is wrong with it. */
static const char *walk_chain(struct vring_device *vq, struct vring_buffer *buf, unsigned int max, uint32_t *count)
{
	uint16_t at = vq->last_avail;
	bool wrap = vq->avail_wrap;
	struct vring_packed_desc d;

	do {
		const char *wrong;

		/* 2.8.17-1, 2.8.17-3, 2.8.17-4: a list is there whole, and no longer than what the ring has free, which ends a walk round it. */
		if (vq->in_flight + *count == vq->num)
			return "a descriptor list longer than the free part of the ring (virtio 1.2, 2.8.17)";
		d = ring_load_packed(&vq->ring[at], vq->swap);
		if (!ring_has_bits(d.flags, ring_avail_bits(wrap)))
			return "a descriptor list of which a part is not available (virtio 1.2, 2.8.17)";
		/* 2.8.19-4: no indirect descriptor in a list. */
		if ((d.flags & VRING_DESC_INDIRECT) && (*count || (d.flags & VRING_DESC_NEXT)))
			return "an indirect descriptor within a list (virtio 1.2, 2.8.19)";
		if (d.flags & VRING_DESC_INDIRECT)
			wrong = walk_table(vq, &d, buf, max);
		else
			wrong = vring_device_add_piece(vq, buf, max, d.addr, d.len, d.flags & VRING_DESC_WRITE);
		if (wrong)
			return wrong;
		++*count;
		advance(vq, &at, &wrap, 1);
	} while (d.flags & VRING_DESC_NEXT);
	/* 2.8.6: the id is that of the last descriptor. */
	buf->id = vring_token(d.id, *count);
	return NULL;
}

int vring_packed_pop(struct vring_device *vq, struct vring_buffer *buf, struct virtio_iov *iov, unsigned int max)
{
	const char *wrong;
	uint32_t count = 0;

	if (!look(vq) && (vq->quiet || !arm(vq)))
		return 0;
	*buf = (struct vring_buffer){ .out = iov };
	wrong = walk_chain(vq, buf, max, &count);
	if (wrong) {
		vring_device_break(vq, wrong);
		return -VIRTIO_EPROTO;
	}
	buf->in = iov + buf->out_count;
	advance(vq, &vq->last_avail, &vq->avail_wrap, count);
	vq->in_flight += (uint16_t)count;
	return 1;
}

void vring_packed_unpop(struct vring_device *vq, uint32_t id)
{
	uint16_t count = vring_token_count(id);

	if (!count || count > vq->in_flight) {
		vring_device_break(vq, "the device put back a buffer that it did not have");
		return;
	}
	if (vq->last_avail < count) {
		vq->last_avail += vq->num;
		vq->avail_wrap = !vq->avail_wrap;
	}
	vq->last_avail -= count;
	vq->in_flight -= count;
}

/* --- giving back ------------------------------------------------------------------------------------------------------ */

/* 2.8.3: WRITE says that something was written. */
static uint16_t used_flags(bool wrap, uint32_t written)
{
	return ring_used_bits(wrap) | (written ? VRING_DESC_WRITE : 0);
}

void vring_packed_push(struct vring_device *vq, uint32_t id, uint32_t written)
{
	uint16_t count = vring_token_count(id);

	if (!count || count > vq->in_flight) {
		vring_device_break(vq, "the device gave back a buffer that it did not have");
		return;
	}
	if (!vq->unpublished) {
		vq->held = (struct vring_used_elem){ vring_token_id(id), written };
	} else if (vq->in_order && vq->read_only) {
		/* 2.8.8: one descriptor, with the last buffer's id, for a batch that was used completely. */
		vq->held.id = vring_token_id(id);
	} else {
		struct vring_packed_desc *d = &vq->ring[vq->used_idx];

		ring_store_packed_used(d, vq->swap, written, vring_token_id(id));
		/* release: for a driver that looks further than to the next. */
		ring_store16_release(&d->flags, vq->swap, used_flags(vq->used_wrap, written));
	}
	advance(vq, &vq->used_idx, &vq->used_wrap, count);
	vq->unpublished += count;
	vq->in_flight -= count;
}

bool vring_packed_flush(struct vring_device *vq)
{
	struct vring_packed_desc *d = &vq->ring[vq->used_published];
	uint16_t moved = vq->unpublished;

	ring_store_packed_used(d, vq->swap, vq->held.len, (uint16_t)vq->held.id);
	/* release: pairs with the driver's acquire of these flags in harvest(); the batch and its data are stored before it. */
	ring_store16_release(&d->flags, vq->swap, used_flags(vq->published_wrap, vq->held.len));
	vq->used_published = vq->used_idx;
	vq->published_wrap = vq->used_wrap;
	vq->unpublished = 0;
	if (vq->polled)
		return false;
	/* full: pairs with the fence in the driver's interrupts(). */
	word_fence();
	return vring_packed_need_event(ring_load32(vq->driver_event, vq->swap), vq->event_idx, vq->num, vq->used_idx, vq->used_wrap,
				       moved);
}
