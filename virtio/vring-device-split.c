/* SPDX-License-Identifier: MIT */
/*
 * vring-device-split.c - the device's end of a split ring (virtio 1.2, 2.7).
 *
 * The driver is not trusted. It runs while we look, so whatever it may change is fetched once and then checked; nothing is believed
 * because we wrote it there earlier. A violation breaks the ring: it is not served until the device is reset, and nothing else happens.
 * Every walk is bounded by the size of the ring.
 *
 * Two pairs of indices move. The driver publishes avail.idx, we follow with last_avail; we publish used.idx, the driver follows. Both
 * are free-running 16-bit counters, so "how many" is a subtraction modulo 65536.
 *
 * The two places where an ordering is missed in practice:
 *
 *   flush()                              the driver's interrupts(on)
 *     store used.idx                       store used_event / avail.flags
 *     full fence                           full fence
 *     load used_event / avail.flags        load used.idx
 *
 *   pop() finding nothing, notify(on)    the driver's sync()
 *     store avail_event / used.flags       store avail.idx
 *     full fence                           full fence
 *     load avail.idx                       load avail_event / used.flags
 *
 * In each, at least one side sees the other's store: either no signal is needed or it is sent. Release and acquire would not do: they
 * do not order a store before a later load.
 */
#include "vring-device-internal.h"

#include "access.h"

/* Look at the driver's index. True: there is something between last_avail and it. */
static bool look(struct vring_device *vq)
{
	/* acquire: pairs with the driver's release of avail.idx in sync(); entries and descriptors are read after it. */
	uint16_t idx = ring_load16_acquire(&vq->avail->idx, vq->swap);

	/* 2.7.13.3-1, 2.7.6.1-1: an index that went back looks as if it were far ahead. */
	if ((uint16_t)(idx - vq->last_avail) > vq->num) {
		vring_device_break(vq, "the available index ran ahead by more than the ring's size (virtio 1.2, 2.7.13.3)");
		return false;
	}
	vq->seen_avail = idx;
	return idx != vq->last_avail;
}

/* Ask for a kick; then look again, because a buffer may have come before the driver could see that we asked. */
static bool arm(struct vring_device *vq)
{
	if (vq->event_idx)
		ring_store16(ring_avail_event(vq->used, vq->num), vq->swap, vq->last_avail);
	else
		ring_store16(&vq->used->flags, vq->swap, 0);
	/* full: pairs with the fence in the driver's sync(), see the essay. */
	word_fence();
	return look(vq);
}

bool vring_split_has_buffers(struct vring_device *vq)
{
	return vq->last_avail != vq->seen_avail || look(vq);
}

bool vring_split_notify(struct vring_device *vq, bool on)
{
	if (on)
		return arm(vq);
	/* 2.7.10.2-1, 2.7.10.2-2: with event indices silence needs no word: avail_event stays behind, and the driver passes it once in 65536 buffers. */
	if (!vq->event_idx)
		ring_store16(&vq->used->flags, vq->swap, VRING_USED_NO_NOTIFY);
	return false;
}

/* --- walking a chain -------------------------------------------------------------------------------------------------- */

/* Where the walk is: in the ring's own table or in an indirect one. */
struct walk {
	const struct vring_desc *table;
	uint32_t entries;
	uint32_t at;
	uint32_t steps;			/* descriptors seen, both tables */
	bool in_table;
};

/* Enter the indirect table that @d refers to. NULL, or what is wrong with it. */
static const char *enter_table(struct vring_device *vq, struct walk *w, const struct vring_desc *d)
{
	const char *wrong = NULL;

	/* 2.7.5.3.1-2, 2.7.5.3.1-4: one table, at the end. */
	if (w->in_table)
		return "an indirect descriptor within an indirect table (virtio 1.2, 2.7.5.3.1)";
	if (d->flags & VRING_DESC_NEXT)
		return "an indirect descriptor that also continues (virtio 1.2, 2.7.5.3.1)";
	/* 2.7.5.3.2-1: the WRITE flag of a descriptor that refers to a table is ignored. */
	w->table = vring_device_table(vq, d->addr, d->len, &w->entries, &wrong);
	w->at = 0;
	w->in_table = true;
	return wrong;
}

/* Collect the chain that begins at @w. NULL, or what is wrong with it. */
static const char *walk_chain(struct vring_device *vq, struct walk *w, struct vring_buffer *buf, unsigned int max)
{
	for (;;) {
		struct vring_desc d;
		const char *wrong;

		if (w->at >= w->entries)
			return "a descriptor number outside its table";
		/* 2.7.5.3.1-3, 2.7.5.2-2: no chain is longer than the queue, which also ends a loop. */
		if (w->steps++ == vq->num)
			return "a descriptor chain that loops, or is longer than the ring";
		d = ring_load_desc(&w->table[w->at], vq->swap);
		if (d.flags & VRING_DESC_INDIRECT) {
			wrong = enter_table(vq, w, &d);
			/* The descriptor that names the table is not part of the buffer. */
			w->steps--;
			if (wrong)
				return wrong;
			continue;
		}
		wrong = vring_device_add_piece(vq, buf, max, d.addr, d.len, d.flags & VRING_DESC_WRITE);
		if (wrong)
			return wrong;
		if (!(d.flags & VRING_DESC_NEXT))
			return NULL;
		w->at = d.next;
	}
}

int vring_split_pop(struct vring_device *vq, struct vring_buffer *buf, struct virtio_iov *iov, unsigned int max)
{
	struct walk w = { .table = vq->desc, .entries = vq->num };
	const char *wrong;

	if (vq->last_avail == vq->seen_avail && !look(vq) && (vq->broken || vq->quiet || !arm(vq)))
		return vq->broken ? -VIRTIO_EPROTO : 0;

	*buf = (struct vring_buffer){ .out = iov };
	w.at = buf->id = ring_load_avail(&vq->avail->ring[vq->last_avail & (vq->num - 1)], vq->swap);
	if (vq->in_flight == vq->num)
		wrong = "more buffers available than the ring has descriptors";
	else
		wrong = walk_chain(vq, &w, buf, max);
	if (wrong) {
		vring_device_break(vq, wrong);
		return -VIRTIO_EPROTO;
	}
	buf->in = iov + buf->out_count;
	vq->last_avail++;
	vq->in_flight++;
	return 1;
}

void vring_split_unpop(struct vring_device *vq, uint32_t id)
{
	if (!vq->in_flight) {
		vring_device_break(vq, "the device put back a buffer that it did not have");
		return;
	}
	vq->last_avail--;
	vq->in_flight--;
}

/* --- giving back ------------------------------------------------------------------------------------------------------ */

static struct vring_used_elem *used_entry(struct vring_device *vq, uint16_t idx)
{
	return &vq->used->ring[idx & (vq->num - 1)];
}

void vring_split_push(struct vring_device *vq, uint32_t id, uint32_t written)
{
	if (!vq->in_flight) {
		vring_device_break(vq, "the device gave back a buffer that it did not have");
		return;
	}
	/*
	 * 2.7.9-1: in order, one entry with the last buffer's id stands for a batch of buffers that were used completely. That is known
	 * where there was nothing to write. So the first entry of a batch waits for flush().
	 */
	if (vq->in_order && !vq->unpublished)
		vq->held = (struct vring_used_elem){ id, written };
	else if (vq->in_order && vq->read_only)
		vq->held.id = id;
	else
		ring_store_used(used_entry(vq, vq->used_idx), vq->swap, id, written);
	vq->used_idx++;
	vq->unpublished++;
	vq->in_flight--;
}

/* Does the driver want to hear that used.idx moved from @old to @now? */
static bool wants_interrupt(struct vring_device *vq, uint16_t now, uint16_t old)
{
	/* 2.7.7.2-1, 2.7.7.2-2, 2.7.7.2-3: with event indices the flag is ignored, else the event word. */
	if (vq->event_idx)
		return vring_need_event(ring_load16(ring_used_event(vq->avail, vq->num), vq->swap), now, old);
	return !(ring_load16(&vq->avail->flags, vq->swap) & VRING_AVAIL_NO_INTERRUPT);
}

bool vring_split_flush(struct vring_device *vq)
{
	uint16_t old = vq->used_published, now = vq->used_idx;

	if (vq->in_order)
		ring_store_used(used_entry(vq, old), vq->swap, vq->held.id, vq->held.len);
	/* 2.7.8.2-1: release, pairs with the driver's acquire of used.idx in harvest(); entries and data are stored before it. */
	ring_store16_release(&vq->used->idx, vq->swap, now);
	vq->used_published = now;
	vq->unpublished = 0;
	if (vq->polled)
		return false;
	/* full: pairs with the fence in the driver's interrupts(), see the essay. */
	word_fence();
	return wants_interrupt(vq, now, old);
}
