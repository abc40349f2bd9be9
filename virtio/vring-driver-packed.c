/* SPDX-License-Identifier: MIT */
/*
 * vring-driver-packed.c - the driver's end of a packed ring: the five operations over shared memory (virtio 1.2, 2.8).
 *
 * Adding writes descriptors in ring order, all ready to be read but the first since the last sync(): the device goes no further than
 * that one, and sync() shows the lot by storing its flags. Buffers come back in any order, each in one descriptor at the place that
 * follows the last one's; how many descriptors to skip then is what we noted for its id.
 *
 * Orderings: see the essay in vring-device-split.c; this is the right-hand column, with the flags of the first descriptor for avail.idx
 * and used.idx, and the event structures for avail_event and used_event.
 */
#include "vring-driver-internal.h"

#include "access.h"

static struct vring_driver *of(struct virtio_queue *vq)
{
	return vring_driver_of(vq);
}

static void advance(const struct vring_driver *vr, uint16_t *at, bool *wrap, uint32_t count)
{
	uint32_t to = *at + count;

	if (to >= vr->num) {
		to -= vr->num;
		*wrap = !*wrap;
	}
	*at = (uint16_t)to;
}

/* --- adding ----------------------------------------------------------------------------------------------------------- */

/* One descriptor for the whole buffer. The flags of its first descriptor, or negative error. */
static int write_indirect(struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num, uint16_t id)
{
	const struct virtio_mem *mem = vring_driver_mem(vr);
	struct vring_packed_desc *table = (struct vring_packed_desc *)vr->tables + (size_t)id * vr->table_size;
	size_t bytes = num * sizeof(*table);

	for (unsigned int i = 0; i < num; i++) {
		uint64_t addr = virtio_mem_address(mem, sg[i].base, sg[i].len);

		if (addr == VIRTIO_BAD_ADDRESS)
			return -VIRTIO_EFAULT;
		ring_store_packed(&table[i], vr->swap, addr, (uint32_t)sg[i].len, 0);
		/* 2.8.19-2: no flag but WRITE in a table. */
		ring_store_packed_flags(&table[i], vr->swap, i < out ? 0 : VRING_DESC_WRITE);
	}
	ring_store_packed(&vr->ring[vr->next_avail], vr->swap, virtio_mem_address(mem, table, bytes), (uint32_t)bytes, id);
	return VRING_DESC_INDIRECT;
}

/* One descriptor per piece. The flags of the first, which are not stored yet, or negative error. */
static int write_chain(struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num, uint16_t id)
{
	const struct virtio_mem *mem = vring_driver_mem(vr);
	uint16_t at = vr->next_avail;
	bool wrap = vr->avail_wrap;
	int first = 0;

	/* All addresses are looked at before a descriptor behind the first gets flags that could be seen. */
	for (unsigned int i = 0; i < num; i++)
		if (virtio_mem_address(mem, sg[i].base, sg[i].len) == VIRTIO_BAD_ADDRESS)
			return -VIRTIO_EFAULT;
	for (unsigned int i = 0; i < num; i++) {
		uint16_t flags = (i < out ? 0 : VRING_DESC_WRITE) | (i + 1 < num ? VRING_DESC_NEXT : 0);

		ring_store_packed(&vr->ring[at], vr->swap, virtio_mem_address(mem, sg[i].base, sg[i].len), (uint32_t)sg[i].len, id);
		if (i == 0)
			first = flags;
		else
			ring_store_packed_flags(&vr->ring[at], vr->swap, flags | ring_avail_bits(wrap));
		advance(vr, &at, &wrap, 1);
	}
	return first;
}

static long add(struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num, unsigned long *used)
{
	bool indirect = num > 1 && num <= vr->table_size;
	uint16_t id = vr->free_head, need = indirect ? 1 : (uint16_t)num, flags;
	uint32_t bytes;
	int ret;

	if (vr->dead)
		return -VIRTIO_ENODEV;
	if (!used || vring_driver_check(vr, sg, out, num, &bytes) < 0)
		return -VIRTIO_EINVAL;
	/* 2.8.17-3: room for the whole list before any of it is shown. */
	if (need > vr->free_descs)
		return -VIRTIO_ENOSPC;
	ret = indirect ? write_indirect(vr, sg, out, num, id) : write_chain(vr, sg, out, num, id);
	if (ret < 0)
		return ret;
	flags = (uint16_t)ret | ring_avail_bits(vr->avail_wrap);
	if (!vr->unsynced) {
		vr->held_at = vr->next_avail;
		vr->held_flags = flags;
	} else {
		/* 2.8.17-4: release, behind the rest of its list, for a device that looks further than to the first. */
		ring_store16_release(&vr->ring[vr->next_avail].flags, vr->swap, flags);
	}
	vring_driver_begin(vr, 1, need, bytes, out == num, used);
	advance(vr, &vr->next_avail, &vr->avail_wrap, need);
	vr->free_descs -= need;
	vr->unsynced_descs += need;
	return id;
}

static long packed_add_outbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int num, unsigned long *used)
{
	return add(of(vq), sg, num, num, used);
}

static long packed_add_inbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int out, unsigned int num,
			     unsigned long *used)
{
	return out < num ? add(of(vq), sg, out, num, used) : -VIRTIO_EINVAL;
}

static void packed_sync(struct virtio_queue *vq)
{
	struct vring_driver *vr = of(vq);
	uint16_t moved = vr->unsynced_descs;
	uint32_t position = vr->next_avail | (vr->avail_wrap ? VRING_EVENT_WRAP : 0);

	if (vr->dead || !vr->unsynced)
		return;
	/* 2.8.21.1.1-1: release, pairs with the device's acquire of these flags; all descriptors are stored before it. */
	ring_store16_release(&vr->ring[vr->held_at].flags, vr->swap, vr->held_flags);
	vr->unsynced = 0;
	vr->unsynced_descs = 0;
	if (vq->polled)
		return;
	/* 2.8.21.3.1-1: full, pairs with the fence after the device asked for kicks. */
	word_fence();
	if (!vring_packed_need_event(ring_load32(vr->device_event, vr->swap), vr->event_idx, vr->num, vr->next_avail, vr->avail_wrap, moved))
		return;
	/* 2.8.16-3: the next descriptor that is not yet available. */
	vq->notify_data = vq->index | position << 16;
	vq->vdev->bus->notify(vq);
}

/* --- harvesting ------------------------------------------------------------------------------------------------------- */

/* 2.8.16-1: did the device write the descriptor at next_used? */
static bool look(struct vring_driver *vr)
{
	const uint16_t *flags = &vr->ring[vr->next_used].flags;

	/* acquire: pairs with the device's release of these flags in flush(); id, length and data are read after it. */
	return ring_has_bits(ring_load16_acquire(flags, vr->swap), ring_used_bits(vr->used_wrap));
}

static void finish(struct vring_driver *vr, uint16_t id, unsigned long value)
{
	uint16_t count = vr->slot[id].count;

	advance(vr, &vr->next_used, &vr->used_wrap, count);
	vr->free_descs += count;
	vring_driver_finish(vr, id, 1, value);
}

/*
 * Take the used descriptor at next_used. Returns the number of buffers that it stands for; 0: the device broke the contract.
 * 2.8.8: in order that may be several, up to the one that is named; those before it were used completely.
 */
static unsigned int take(struct vring_driver *vr)
{
	struct vring_packed_desc d = ring_load_packed(&vr->ring[vr->next_used], vr->swap);
	unsigned int count = 0, shown = vr->num - vr->free_slots - vr->unsynced;
	uint16_t id;

	if (d.id >= vr->num || !vr->slot[d.id].used)
		return 0;
	do {
		struct vring_slot *s;

		if (count++ == shown)
			return 0;
		id = vr->in_order ? vr->oldest : d.id;
		s = &vr->slot[id];
		vr->oldest = (uint16_t)(id + 1) == vr->num ? 0 : id + 1;
		/* 2.8.4 has no length without WRITE, but there are devices that never set WRITE; 0 is what such a descriptor says anyway. */
		finish(vr, id, id == d.id ? vring_driver_length(s, d.len) : s->bytes);
	} while (id != d.id);
	return count;
}

/* Our own event structure; it is not read back. */
static void show_event(struct vring_driver *vr, uint32_t event)
{
	if (vr->event_shown == event)
		return;
	vr->event_shown = event;
	ring_store32(vr->driver_event, vr->swap, event);
}

/* Ask for an interrupt, then look again: a buffer may have been finished before the device could see that we asked. */
static bool arm(struct vring_driver *vr)
{
	/* 2.8.10-1: a place in the ring only with event indices. */
	if (vr->event_idx)
		show_event(vr, VRING_EVENT_DESC | vr->next_used | (vr->used_wrap ? VRING_EVENT_WRAP : 0));
	else
		show_event(vr, VRING_EVENT_ENABLE);
	/* full: pairs with the fence in the device's flush(). */
	word_fence();
	return look(vr);
}

static unsigned int packed_harvest(struct virtio_queue *vq)
{
	struct vring_driver *vr = of(vq);
	unsigned int count = 0;

	if (vr->dead)
		return 0;
	/* Ends: each round takes a buffer that was under way, and none is added meanwhile. */
	do {
		while (look(vr)) {
			unsigned int taken = take(vr);

			if (!taken) {
				vring_driver_give_up(vr);
				return count;
			}
			count += taken;
		}
	} while (!vr->quiet && arm(vr));
	return count;
}

static bool packed_interrupts(struct virtio_queue *vq, bool on)
{
	struct vring_driver *vr = of(vq);

	if (vr->dead)
		return false;
	vr->quiet = !on;
	if (on)
		return arm(vr);
	show_event(vr, VRING_EVENT_DISABLE);
	return false;
}

static unsigned int packed_room(struct virtio_queue *vq)
{
	return of(vq)->dead ? 0 : of(vq)->free_descs;
}

/* --- taking back ------------------------------------------------------------------------------------------------------ */

static void packed_cancel(struct virtio_queue *vq)
{
	struct vring_driver *vr = of(vq);

	vr->dead = true;
	for (uint32_t i = 0; i < vr->num; i++)
		if (vr->slot[i].used)
			vring_driver_finish(vr, (uint16_t)i, 1, VIRTIO_CANCELLED);
}

/* Take back buffer @id. Only the newest can go, for the ring has no gaps. False: it is not, or the device has been shown it. */
static bool withdraw(struct vring_driver *vr, uint16_t id)
{
	uint16_t count = vr->slot[id].count, at;
	bool wrap;

	if (!vr->unsynced || vr->newest != id)
		return false;
	if (vr->next_avail < count) {
		vr->next_avail += vr->num;
		vr->avail_wrap = !vr->avail_wrap;
	}
	vr->next_avail -= count;
	vr->free_descs += count;
	vr->unsynced_descs -= count;
	/* As they were a lap ago. */
	at = vr->next_avail;
	wrap = vr->avail_wrap;
	for (uint16_t i = 0; i < count; i++) {
		ring_store_packed_flags(&vr->ring[at], vr->swap, ring_used_bits(!wrap));
		advance(vr, &at, &wrap, 1);
	}
	vring_driver_undo(vr, id, 1);
	return true;
}

static void packed_detach(struct virtio_queue *vq, long id)
{
	struct vring_driver *vr = of(vq);

	packed_harvest(vq);
	if (id < 0 || id >= vr->num || !vr->slot[id].used)
		return;
	if (!withdraw(vr, (uint16_t)id))
		vring_driver_wrest(vr);
}

const struct virtio_ops vring_packed_ops = {
	.add_outbuf = packed_add_outbuf,
	.add_inbuf = packed_add_inbuf,
	.sync = packed_sync,
	.detach_outbuf = packed_detach,
	.detach_inbuf = packed_detach,
	.harvest = packed_harvest,
	.interrupts = packed_interrupts,
	.room = packed_room,
	.cancel = packed_cancel,
	.renew = vring_driver_renew,
};
