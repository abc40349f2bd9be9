/* SPDX-License-Identifier: MIT */
/*
 * vring-driver-split.c - the driver's end of a split ring: the five operations over shared memory (virtio 1.2, 2.7).
 *
 * An added buffer is written to the available ring at once, but the index that makes it visible moves only in sync(). Between the two
 * it can be taken back without asking anybody, and any number of buffers cost one barrier and at most one kick.
 *
 * Orderings: see the essay in vring-device-split.c; this is the right-hand column.
 */
#include "vring-driver-internal.h"

#include "access.h"

static struct vring_driver *of(struct virtio_queue *vq)
{
	return vring_driver_of(vq);
}

/* --- adding ----------------------------------------------------------------------------------------------------------- */

/* Write @num pieces as descriptors of an indirect table. 0 or negative error. */
static int fill_table(struct vring_driver *vr, struct vring_desc *table, const struct virtio_iov *sg, unsigned int out, unsigned int num)
{
	const struct virtio_mem *mem = vring_driver_mem(vr);

	for (unsigned int i = 0; i < num; i++) {
		uint64_t addr = virtio_mem_address(mem, sg[i].base, sg[i].len);
		unsigned int flags = (i < out ? 0 : VRING_DESC_WRITE) | (i + 1 < num ? VRING_DESC_NEXT : 0);

		if (addr == VIRTIO_BAD_ADDRESS)
			return -VIRTIO_EFAULT;
		/* 2.7.5.3.1-5: each after the other. */
		ring_store_desc(&table[i], vr->swap, addr, (uint32_t)sg[i].len, (uint16_t)flags, (uint16_t)(i + 1));
	}
	return 0;
}

/* One descriptor for the whole buffer. 0 or negative error. */
static int write_indirect(struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num)
{
	uint16_t head = vr->free_head;
	struct vring_desc *table = (struct vring_desc *)vr->tables + (size_t)head * vr->table_size;
	size_t bytes = num * sizeof(*table);
	uint64_t addr = virtio_mem_address(vring_driver_mem(vr), table, bytes);
	int ret = fill_table(vr, table, sg, out, num);

	if (ret < 0)
		return ret;
	ring_store_desc(&vr->desc[head], vr->swap, addr, (uint32_t)bytes, VRING_DESC_INDIRECT, 0);
	return 0;
}

/* One descriptor per piece. The queue of free ones moves only later, when all is well. 0 or negative error. */
static int write_chain(struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num)
{
	const struct virtio_mem *mem = vring_driver_mem(vr);
	uint16_t at = vr->free_head;

	/* 2.7.5.2-3: in order, free descriptors are in ring order. */
	for (unsigned int i = 0; i < num; i++) {
		uint64_t addr = virtio_mem_address(mem, sg[i].base, sg[i].len);
		unsigned int flags = (i < out ? 0 : VRING_DESC_WRITE) | (i + 1 < num ? VRING_DESC_NEXT : 0);
		uint16_t next = vr->slot[at].next;

		if (addr == VIRTIO_BAD_ADDRESS)
			return -VIRTIO_EFAULT;
		ring_store_desc(&vr->desc[at], vr->swap, addr, (uint32_t)sg[i].len, (uint16_t)flags, next);
		at = next;
	}
	return 0;
}

static long add(struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num, unsigned long *used)
{
	bool indirect = num > 1 && num <= vr->table_size;
	uint16_t head, need = indirect ? 1 : (uint16_t)num;
	uint32_t bytes;
	int ret;

	if (vr->dead)
		return -VIRTIO_ENODEV;
	if (!used || vring_driver_check(vr, sg, out, num, &bytes) < 0)
		return -VIRTIO_EINVAL;
	if (need > vr->free_slots)
		return -VIRTIO_ENOSPC;
	ret = indirect ? write_indirect(vr, sg, out, num) : write_chain(vr, sg, out, num);
	if (ret < 0)
		return ret;
	head = vring_driver_begin(vr, need, need, bytes, out == num, used);
	ring_store_avail(&vr->avail->ring[vr->added & (vr->num - 1)], vr->swap, head);
	vr->added++;
	return head;
}

static long split_add_outbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int num, unsigned long *used)
{
	return add(of(vq), sg, num, num, used);
}

static long split_add_inbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int out, unsigned int num,
			    unsigned long *used)
{
	return out < num ? add(of(vq), sg, out, num, used) : -VIRTIO_EINVAL;
}

static void split_sync(struct virtio_queue *vq)
{
	struct vring_driver *vr = of(vq);
	uint16_t old = vr->synced, now = vr->added;
	bool kick;

	if (vr->dead || old == now)
		return;
	/* 2.7.13.3.1-1: release, pairs with the device's acquire of avail.idx; descriptors and entries are stored before it. */
	ring_store16_release(&vr->avail->idx, vr->swap, now);
	vr->synced = now;
	vr->unsynced = 0;
	if (vq->polled)
		return;
	/* 2.7.13.4.1-1: full, pairs with the fence after the device asked for kicks, in arm(). */
	word_fence();
	/* 2.7.10.1-2, 2.7.10.1-3, 2.7.10.1-4: with event indices the flag is ignored, else the event word. */
	if (vr->event_idx)
		kick = vring_need_event(ring_load16(ring_avail_event(vr->used, vr->num), vr->swap), now, old);
	else
		kick = !(ring_load16(&vr->used->flags, vr->swap) & VRING_USED_NO_NOTIFY);
	if (!kick)
		return;
	/* 2.9-1: what the device would find if it looked. */
	vq->notify_data = vq->index | (uint32_t)now << 16;
	vq->vdev->bus->notify(vq);
}

/* --- harvesting ------------------------------------------------------------------------------------------------------- */

/*
 * Take a used entry, of at most @most that are there. Returns the number of buffers that it stands for; 0: the device broke the contract.
 * In order (2.7.9) that may be several, up to the one that is named; those before it were used completely.
 */
static uint16_t take(struct vring_driver *vr, uint16_t most)
{
	struct vring_used_elem e = ring_load_used(&vr->used->ring[vr->harvested & (vr->num - 1)], vr->swap);
	uint16_t count = 0, head;

	if (e.id >= vr->num || !vr->slot[e.id].used)
		return 0;
	do {
		struct vring_slot *s;

		if (count++ == most)
			return 0;
		head = vr->in_order ? vr->oldest : (uint16_t)e.id;
		s = &vr->slot[head];
		/* In order, descriptors are used in ring order too. */
		vr->oldest = (uint16_t)(head + s->count) & (vr->num - 1);
		vring_driver_finish(vr, head, s->count, head == e.id ? vring_driver_length(s, e.len) : s->bytes);
	} while (head != e.id);
	return count;
}

/* Ask for an interrupt, then look again: a buffer may have been finished before the device could see that we asked. */
static bool arm(struct vring_driver *vr)
{
	if (vr->event_idx)
		ring_store16(ring_used_event(vr->avail, vr->num), vr->swap, vr->harvested);
	else
		ring_store16(&vr->avail->flags, vr->swap, 0);
	/* full: pairs with the fence in the device's flush(). */
	word_fence();
	return ring_load16_acquire(&vr->used->idx, vr->swap) != vr->harvested;
}

static unsigned int split_harvest(struct virtio_queue *vq)
{
	struct vring_driver *vr = of(vq);
	unsigned int count = 0;

	if (vr->dead)
		return 0;
	/* Ends: each round takes a buffer that was under way, and none is added meanwhile. */
	do {
		/* acquire: pairs with the device's release of used.idx in flush(); entries and data are read after it. */
		uint16_t idx = ring_load16_acquire(&vr->used->idx, vr->swap);

		if ((uint16_t)(idx - vr->harvested) > (uint16_t)(vr->synced - vr->harvested)) {
			vring_driver_give_up(vr);
			return count;
		}
		while (vr->harvested != idx) {
			uint16_t taken = take(vr, idx - vr->harvested);

			if (!taken) {
				vring_driver_give_up(vr);
				return count;
			}
			vr->harvested += taken;
			count += taken;
		}
	} while (!vr->quiet && arm(vr));
	return count;
}

static bool split_interrupts(struct virtio_queue *vq, bool on)
{
	struct vring_driver *vr = of(vq);

	if (vr->dead)
		return false;
	vr->quiet = !on;
	if (on)
		return arm(vr);
	/* 2.7.7.1-1, 2.7.7.1-2: with event indices silence needs no word: used_event stays behind. */
	if (!vr->event_idx)
		ring_store16(&vr->avail->flags, vr->swap, VRING_AVAIL_NO_INTERRUPT);
	return false;
}

static unsigned int split_room(struct virtio_queue *vq)
{
	return of(vq)->dead ? 0 : of(vq)->free_slots;
}

/* --- taking back ------------------------------------------------------------------------------------------------------ */

static void split_cancel(struct virtio_queue *vq)
{
	struct vring_driver *vr = of(vq);

	vr->dead = true;
	for (uint32_t i = 0; i < vr->num; i++)
		if (vr->slot[i].used)
			vring_driver_finish(vr, (uint16_t)i, vr->slot[i].count, VIRTIO_CANCELLED);
}

/* 2.7.6.1-1: remove @head from the entries that the device has not been shown. False: it has been. */
static bool withdraw(struct vring_driver *vr, uint16_t head)
{
	uint16_t mask = vr->num - 1, at = vr->synced;

	while (at != vr->added && ring_load_avail(&vr->avail->ring[at & mask], vr->swap) != head)
		at++;
	if (at == vr->added)
		return false;
	for (; (uint16_t)(at + 1) != vr->added; at++)
		ring_store_avail(&vr->avail->ring[at & mask], vr->swap, ring_load_avail(&vr->avail->ring[(at + 1) & mask], vr->swap));
	vr->added--;
	vr->unsynced--;
	vring_driver_finish(vr, head, vr->slot[head].count, VIRTIO_CANCELLED);
	return true;
}

/* The same when descriptors must stay in ring order: only the newest can go. */
static bool withdraw_newest(struct vring_driver *vr, uint16_t head)
{
	if (!vr->unsynced || vr->newest != head)
		return false;
	vr->added--;
	vring_driver_undo(vr, head, vr->slot[head].count);
	return true;
}

/* 3.3.1-1: what the device was shown stays as it is, until a reset took it away. */
static void split_detach(struct virtio_queue *vq, long id)
{
	struct vring_driver *vr = of(vq);

	split_harvest(vq);
	if (id < 0 || id >= vr->num || !vr->slot[id].used)
		return;
	if (!(vr->in_order ? withdraw_newest(vr, (uint16_t)id) : withdraw(vr, (uint16_t)id)))
		vring_driver_wrest(vr);
}

const struct virtio_ops vring_split_ops = {
	.add_outbuf = split_add_outbuf,
	.add_inbuf = split_add_inbuf,
	.sync = split_sync,
	.detach_outbuf = split_detach,
	.detach_inbuf = split_detach,
	.harvest = split_harvest,
	.interrupts = split_interrupts,
	.room = split_room,
	.cancel = split_cancel,
	.renew = vring_driver_renew,
};
