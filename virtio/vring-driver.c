/* SPDX-License-Identifier: MIT */
/*
 * vring-driver.c - the driver's end of a split ring: the five operations over shared memory (virtio 1.2, 2.7).
 *
 * What was put into a descriptor is never read back from shared memory: chains, lengths and free descriptors are kept in slots of our
 * own. So a device that scribbles over the descriptor table confuses itself, not us, and our cache lines stay ours.
 *
 * An added buffer is written to the available ring at once, but the index that makes it visible moves only in sync(). Between the two
 * it can be taken back without asking anybody, and any number of buffers cost one barrier and at most one kick.
 *
 * Orderings: see the essay in vring-device.c; this is the right-hand column.
 */
#include <virtio/vring-driver.h>

#include "access.h"

/* Per descriptor; the fields besides @next mean something for the first descriptor of a buffer. */
struct slot {
	unsigned long *used;		/* where the length goes; NULL = not in use as a first descriptor */
	uint32_t bytes;			/* sent, or room for what is written */
	uint16_t next;			/* in the chain, or in the list of free ones */
	uint16_t count;			/* descriptors of the chain */
	bool out;			/* nothing to be written by the device */
};

struct vring_driver {
	struct virtio_queue vq;		/* first: what the driver holds */
	struct vring_desc *desc;
	struct vring_avail *avail;
	struct vring_used *used;
	struct vring_desc *tables;	/* [num][table_size] for indirect buffers; NULL = none */
	unsigned int table_size;

	uint16_t num;
	uint16_t free_head;		/* list of free descriptors */
	uint16_t free_count;
	uint16_t added;			/* available entries written, free running */
	uint16_t synced;		/* and shown to the device */
	uint16_t harvested;		/* used entries taken, free running */
	bool swap;
	bool event_idx;
	bool quiet;			/* interrupts were declined */
	bool dead;			/* cancelled; nothing works until the queue is made anew */
	struct slot slot[];		/* [num] */
};

static struct vring_driver *of(struct virtio_queue *vq)
{
	return (struct vring_driver *)(void *)vq;
}

static void finish(struct vring_driver *vr, uint16_t head, unsigned long value)
{
	struct slot *s = &vr->slot[head];
	uint16_t last = head;

	for (uint16_t i = 1; i < s->count; i++)
		last = vr->slot[last].next;
	vr->slot[last].next = vr->free_head;
	vr->free_head = head;
	vr->free_count += s->count;
	/* release: pairs with virtio_is_done() in a driver that polls from another thread. */
	__atomic_store_n(s->used, value, __ATOMIC_RELEASE);
	s->used = NULL;
}

/* The device cannot be trusted any more: stop it, which finishes everything as cancelled. */
static void give_up(struct vring_driver *vr)
{
	virtio_device_reset(vr->vq.vdev);
	vr->dead = true;
}

/* --- adding ----------------------------------------------------------------------------------------------------------- */

/* Write @num pieces as descriptors of an indirect table. 0 or negative error. */
static int fill_table(struct vring_driver *vr, struct vring_desc *table, const struct virtio_iov *sg, unsigned int out, unsigned int num)
{
	const struct virtio_mem *mem = vr->vq.vdev->platform->mem;

	for (unsigned int i = 0; i < num; i++) {
		uint64_t addr = virtio_mem_address(mem, sg[i].base, sg[i].len);
		unsigned int flags = (i < out ? 0 : VRING_DESC_WRITE) | (i + 1 < num ? VRING_DESC_NEXT : 0);

		if (addr == VIRTIO_BAD_ADDRESS)
			return -VIRTIO_EFAULT;
		ring_store_desc(&table[i], vr->swap, addr, (uint32_t)sg[i].len, (uint16_t)flags, (uint16_t)(i + 1));
	}
	return 0;
}

/* One descriptor for the whole buffer. 0 or negative error. */
static int write_indirect(struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num)
{
	uint16_t head = vr->free_head;
	struct vring_desc *table = vr->tables + (size_t)head * vr->table_size;
	size_t bytes = num * sizeof(*table);
	uint64_t addr = virtio_mem_address(vr->vq.vdev->platform->mem, table, bytes);
	int ret = fill_table(vr, table, sg, out, num);

	if (ret < 0)
		return ret;
	ring_store_desc(&vr->desc[head], vr->swap, addr, (uint32_t)bytes, VRING_DESC_INDIRECT, 0);
	vr->free_head = vr->slot[head].next;
	return 0;
}

/* One descriptor per piece. The list of free ones moves only when all is well. 0 or negative error. */
static int write_chain(struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num)
{
	const struct virtio_mem *mem = vr->vq.vdev->platform->mem;
	uint16_t at = vr->free_head;

	for (unsigned int i = 0; i < num; i++) {
		uint64_t addr = virtio_mem_address(mem, sg[i].base, sg[i].len);
		unsigned int flags = (i < out ? 0 : VRING_DESC_WRITE) | (i + 1 < num ? VRING_DESC_NEXT : 0);
		uint16_t next = vr->slot[at].next;

		if (addr == VIRTIO_BAD_ADDRESS)
			return -VIRTIO_EFAULT;
		ring_store_desc(&vr->desc[at], vr->swap, addr, (uint32_t)sg[i].len, (uint16_t)flags, next);
		at = next;
	}
	vr->free_head = at;
	return 0;
}

/* Bytes of @num pieces, or -VIRTIO_EINVAL when the ring cannot carry them. */
static int64_t sum(const struct virtio_iov *sg, unsigned int num)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < num; i++) {
		/* 2.7.5.2: less than 4 GiB; a piece of nothing is no piece. */
		if (!sg[i].len || sg[i].len > UINT32_MAX)
			return -VIRTIO_EINVAL;
		total += sg[i].len;
	}
	return total > UINT32_MAX ? -VIRTIO_EINVAL : (int64_t)total;
}

static long add(struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num, unsigned long *used)
{
	bool indirect = num > 1 && num <= vr->table_size;
	uint16_t head = vr->free_head, need = indirect ? 1 : (uint16_t)num;
	int64_t out_bytes, in_bytes;
	int ret;

	if (vr->dead)
		return -VIRTIO_ENODEV;
	/* 2.7.5.3.1: no chain is longer than the queue. */
	if (!used || !sg || !num || num > vr->num || out > num)
		return -VIRTIO_EINVAL;
	out_bytes = sum(sg, out);
	in_bytes = sum(sg + out, num - out);
	if (out_bytes < 0 || in_bytes < 0 || out_bytes + in_bytes > (int64_t)UINT32_MAX)
		return -VIRTIO_EINVAL;
	if (need > vr->free_count)
		return -VIRTIO_ENOSPC;
	ret = indirect ? write_indirect(vr, sg, out, num) : write_chain(vr, sg, out, num);
	if (ret < 0)
		return ret;

	vr->free_count -= need;
	vr->slot[head].used = used;
	vr->slot[head].count = need;
	vr->slot[head].out = out == num;
	vr->slot[head].bytes = (uint32_t)(out == num ? out_bytes : in_bytes);
	*used = VIRTIO_PENDING;
	ring_store16(&vr->avail->ring[vr->added & (vr->num - 1)], vr->swap, head);
	vr->added++;
	return head;
}

static long vring_add_outbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int num, unsigned long *used)
{
	return add(of(vq), sg, num, num, used);
}

static long vring_add_inbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int out, unsigned int num,
			    unsigned long *used)
{
	return out < num ? add(of(vq), sg, out, num, used) : -VIRTIO_EINVAL;
}

static void vring_sync(struct virtio_queue *vq)
{
	struct vring_driver *vr = of(vq);
	uint16_t old = vr->synced, now = vr->added;
	bool kick;

	if (vr->dead || old == now)
		return;
	/* release: pairs with the device's acquire of avail.idx; descriptors and entries are stored before it. */
	ring_store16_release(&vr->avail->idx, vr->swap, now);
	vr->synced = now;
	/* full: pairs with the fence after the device asked for kicks, in arm(). */
	atomic_thread_fence(memory_order_seq_cst);
	if (vr->event_idx)
		kick = vring_need_event(ring_load16(ring_avail_event(vr->used, vr->num), vr->swap), now, old);
	else
		kick = !(ring_load16(&vr->used->flags, vr->swap) & VRING_USED_NO_NOTIFY);
	if (kick)
		vq->vdev->bus->notify(vq);
}

/* --- harvesting ------------------------------------------------------------------------------------------------------- */

/* Take one used entry. False: the device broke the contract. */
static bool take(struct vring_driver *vr)
{
	struct vring_used_elem e = ring_load_used(&vr->used->ring[vr->harvested & (vr->num - 1)], vr->swap);
	struct slot *s;

	if (e.id >= vr->num || !vr->slot[e.id].used)
		return false;
	s = &vr->slot[e.id];
	vr->harvested++;
	/* 2.7.8.2 promises a truthful length; a longer one than we gave room for would be believed by our driver, so cut it. */
	finish(vr, (uint16_t)e.id, s->out || e.len > s->bytes ? s->bytes : e.len);
	return true;
}

/* Ask for an interrupt, then look again: a buffer may have been finished before the device could see that we asked. */
static bool arm(struct vring_driver *vr)
{
	if (vr->event_idx)
		ring_store16(ring_used_event(vr->avail, vr->num), vr->swap, vr->harvested);
	else
		ring_store16(&vr->avail->flags, vr->swap, 0);
	/* full: pairs with the fence in the device's flush(). */
	atomic_thread_fence(memory_order_seq_cst);
	return ring_load16_acquire(&vr->used->idx, vr->swap) != vr->harvested;
}

static unsigned int vring_harvest(struct virtio_queue *vq)
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
			give_up(vr);
			return count;
		}
		for (; vr->harvested != idx; count++) {
			if (!take(vr)) {
				give_up(vr);
				return count;
			}
		}
	} while (!vr->quiet && arm(vr));
	return count;
}

static bool vring_interrupts(struct virtio_queue *vq, bool on)
{
	struct vring_driver *vr = of(vq);

	if (vr->dead)
		return false;
	vr->quiet = !on;
	if (on)
		return arm(vr);
	/* With event indices silence needs no word: used_event stays behind. */
	if (!vr->event_idx)
		ring_store16(&vr->avail->flags, vr->swap, VRING_AVAIL_NO_INTERRUPT);
	return false;
}

static unsigned int vring_room(struct virtio_queue *vq)
{
	return of(vq)->dead ? 0 : of(vq)->free_count;
}

/* --- taking back ------------------------------------------------------------------------------------------------------ */

static void vring_cancel(struct virtio_queue *vq)
{
	struct vring_driver *vr = of(vq);

	vr->dead = true;
	for (uint32_t i = 0; i < vr->num; i++)
		if (vr->slot[i].used)
			finish(vr, (uint16_t)i, VIRTIO_CANCELLED);
}

/* Remove @head from the entries that the device has not been shown. False: it has been. */
static bool withdraw(struct vring_driver *vr, uint16_t head)
{
	uint16_t mask = vr->num - 1, at = vr->synced;

	while (at != vr->added && ring_load16(&vr->avail->ring[at & mask], vr->swap) != head)
		at++;
	if (at == vr->added)
		return false;
	for (; (uint16_t)(at + 1) != vr->added; at++)
		vr->avail->ring[at & mask] = vr->avail->ring[(at + 1) & mask];
	vr->added--;
	return true;
}

static void vring_detach(struct virtio_queue *vq, long id)
{
	struct vring_driver *vr = of(vq);

	vring_harvest(vq);
	if (id < 0 || id >= vr->num || !vr->slot[id].used)
		return;
	if (withdraw(vr, (uint16_t)id))
		finish(vr, (uint16_t)id, VIRTIO_CANCELLED);
	else
		virtio_device_reset(vq->vdev);
}

static const struct virtio_ops vring_driver_ops = {
	.add_outbuf = vring_add_outbuf,
	.add_inbuf = vring_add_inbuf,
	.sync = vring_sync,
	.detach_outbuf = vring_detach,
	.detach_inbuf = vring_detach,
	.harvest = vring_harvest,
	.interrupts = vring_interrupts,
	.room = vring_room,
	.cancel = vring_cancel,
};

/* --- making and unmaking ---------------------------------------------------------------------------------------------- */

static size_t bookkeeping_bytes(uint32_t num)
{
	return sizeof(struct vring_driver) + num * sizeof(struct slot);
}

static void *platform_alloc(const struct virtio_platform *platform, size_t size, size_t align)
{
	return platform->alloc ? platform->alloc(platform->opaque, size, align) : NULL;
}

static void platform_free(const struct virtio_platform *platform, void *ptr, size_t size)
{
	if (ptr && platform->free)
		platform->free(platform->opaque, ptr, size);
}

int vring_driver_create(struct virtio_device *vdev, unsigned int index, uint32_t num, void *desc, void *avail, void *used,
			struct virtio_queue **vq)
{
	struct vring_driver *vr;

	if (!vdev || !vq || !vring_size_valid(num) || !desc || !avail || !used)
		return -VIRTIO_EINVAL;
	if (((uintptr_t)desc & 7) || ((uintptr_t)avail & 1) || ((uintptr_t)used & 3))
		return -VIRTIO_EINVAL;
	vr = platform_alloc(vdev->platform, bookkeeping_bytes(num), 16);
	if (!vr)
		return -VIRTIO_ENOMEM;
	*vr = (struct vring_driver){ .vq = { .vdev = vdev, .ops = &vring_driver_ops, .index = index, .size = num } };
	vr->desc = desc;
	vr->avail = avail;
	vr->used = used;
	vr->num = (uint16_t)num;
	vr->free_count = (uint16_t)num;
	vr->swap = virtio_must_swap(vdev->big_endian);
	vr->event_idx = virtio_device_has(vdev, VIRTIO_F_EVENT_IDX);
	for (uint32_t i = 0; i < num; i++)
		vr->slot[i] = (struct slot){ .next = (uint16_t)(i + 1) };
	if (vdev->indirect > 1 && virtio_device_has(vdev, VIRTIO_F_INDIRECT_DESC)) {
		/* 2.7.5.3.1: a chain, also within a table, is no longer than the queue. */
		vr->table_size = vdev->indirect < num ? vdev->indirect : num;
		vr->tables = platform_alloc(vdev->platform, num * sizeof(struct vring_desc) * vr->table_size, 16);
		if (!vr->tables)
			vr->table_size = 0;
	}
	*vq = &vr->vq;
	return 0;
}

void vring_driver_destroy(struct virtio_queue *vq)
{
	struct vring_driver *vr = of(vq);
	const struct virtio_platform *platform = vq->vdev->platform;

	platform_free(platform, vr->tables, vr->num * sizeof(struct vring_desc) * vr->table_size);
	platform_free(platform, vr, bookkeeping_bytes(vr->num));
}
