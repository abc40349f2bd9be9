/* SPDX-License-Identifier: MIT */
/* vring-driver.c - the driver's end of a ring: making and unmaking queues, and what both layouts do with slots. */
#include "vring-driver-internal.h"

#include <virtio/endian.h>

/* --- slots ------------------------------------------------------------------------------------------------------------- */

/* Bytes of @num pieces, or -VIRTIO_EINVAL when a ring cannot carry them. */
static int64_t sum(const struct virtio_iov *sg, unsigned int num)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < num; i++) {
		/* 2.7.5.2-1: less than 4 GiB; a piece of nothing is no piece. */
		if (!sg[i].len || sg[i].len > UINT32_MAX)
			return -VIRTIO_EINVAL;
		total += sg[i].len;
	}
	return total > UINT32_MAX ? -VIRTIO_EINVAL : (int64_t)total;
}

int vring_driver_check(const struct vring_driver *vr, const struct virtio_iov *sg, unsigned int out, unsigned int num, uint32_t *bytes)
{
	int64_t out_bytes, in_bytes;

	/* 2.7.5.3.1-3, 2.8.17-1: no chain is longer than the queue. */
	if (!sg || !num || num > vr->num || out > num)
		return -VIRTIO_EINVAL;
	out_bytes = sum(sg, out);
	in_bytes = sum(sg + out, num - out);
	if (out_bytes < 0 || in_bytes < 0 || out_bytes + in_bytes > (int64_t)UINT32_MAX)
		return -VIRTIO_EINVAL;
	*bytes = (uint32_t)(out == num ? out_bytes : in_bytes);
	return 0;
}

uint16_t vring_driver_begin(struct vring_driver *vr, uint16_t slots, uint16_t count, uint32_t bytes, bool out, unsigned long *used)
{
	uint16_t head = vr->free_head, last = vring_driver_last(vr, head, slots);
	struct vring_slot *s = &vr->slot[head];

	vr->free_head = vr->slot[last].next;
	vr->free_slots -= slots;
	vr->slot[last].next = vr->newest;
	vr->newest = head;
	vr->unsynced++;
	s->used = used;
	s->count = count;
	s->out = out;
	s->bytes = bytes;
	*used = VIRTIO_PENDING;
	return head;
}

static void tell(struct vring_slot *s, unsigned long value)
{
	/* release: pairs with virtio_is_done() in a driver that polls from another thread. */
	__atomic_store_n(s->used, value, __ATOMIC_RELEASE);
	s->used = NULL;
}

void vring_driver_finish(struct vring_driver *vr, uint16_t head, uint16_t slots, unsigned long value)
{
	uint16_t last = vring_driver_last(vr, head, slots);

	if (vr->free_slots)
		vr->slot[vr->free_tail].next = head;
	else
		vr->free_head = head;
	vr->free_tail = last;
	vr->free_slots += slots;
	tell(&vr->slot[head], value);
}

void vring_driver_undo(struct vring_driver *vr, uint16_t head, uint16_t slots)
{
	uint16_t last = vring_driver_last(vr, head, slots);

	vr->newest = vr->slot[last].next;
	vr->unsynced--;
	vr->slot[last].next = vr->free_head;
	vr->free_head = head;
	if (!vr->free_slots)
		vr->free_tail = last;
	vr->free_slots += slots;
	tell(&vr->slot[head], VIRTIO_CANCELLED);
}

void vring_driver_wrest(struct vring_driver *vr)
{
	if (virtio_queue_reset(&vr->vq) < 0)
		virtio_device_reset(vr->vq.vdev);
}

void vring_driver_give_up(struct vring_driver *vr)
{
	virtio_device_reset(vr->vq.vdev);
	vr->dead = true;
}

/* --- making and unmaking ------------------------------------------------------------------------------------------------ */

static size_t bookkeeping_bytes(uint32_t num)
{
	return sizeof(struct vring_driver) + num * sizeof(struct vring_slot);
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

/* Where our own books are kept. */
static void *books_alloc(const struct virtio_platform *platform, size_t size)
{
	return platform->alloc_private ? platform->alloc_private(platform->opaque, size) : platform_alloc(platform, size, 16);
}

static void books_free(const struct virtio_platform *platform, void *ptr, size_t size)
{
	if (platform->alloc_private)
		platform->free_private(platform->opaque, ptr, size);
	else
		platform_free(platform, ptr, size);
}

/* Everything as it was before the first buffer, but for the ring's own memory. */
static void start(struct vring_driver *vr)
{
	vr->free_head = 0;
	vr->free_tail = vr->num - 1;
	vr->free_slots = vr->free_descs = vr->num;
	for (uint32_t i = 0; i < vr->num; i++)
		vr->slot[i] = (struct vring_slot){ .next = (uint16_t)(i + 1) };
	vr->newest = vr->oldest = vr->unsynced = vr->unsynced_descs = 0;
	vr->added = vr->synced = vr->harvested = 0;
	vr->next_avail = vr->next_used = 0;
	/* 2.8.1: wrap counters begin as 1. */
	vr->avail_wrap = vr->used_wrap = true;
	vr->event_shown = UINT32_MAX;
	vr->quiet = vr->dead = false;
}

void vring_driver_renew(struct virtio_queue *vq)
{
	struct vring_driver *vr = vring_driver_of(vq);
	bool packed = vq->ops == &vring_packed_ops;

	virtio_zero(vr->desc, vring_desc_bytes(vr->num));
	virtio_zero(vr->avail, packed ? sizeof(*vr->driver_event) : vring_avail_bytes(vr->num));
	virtio_zero(vr->used, packed ? sizeof(*vr->device_event) : vring_used_bytes(vr->num));
	start(vr);
}

/* Tables for indirect buffers, if they were negotiated and somebody wants them. Without memory for them buffers go as chains. */
static void make_tables(struct vring_driver *vr)
{
	struct virtio_device *vdev = vr->vq.vdev;

	if (vdev->indirect < 2 || !virtio_device_has(vdev, VIRTIO_F_INDIRECT_DESC))
		return;
	/* 2.7.5.3.1-3, 2.8.19-3: a chain, also within a table, is no longer than the queue. */
	vr->table_size = vdev->indirect < vr->num ? vdev->indirect : vr->num;
	vr->tables = platform_alloc(vdev->platform, vr->num * sizeof(struct vring_desc) * vr->table_size, 16);
	if (!vr->tables)
		vr->table_size = 0;
}

/* 2.7.1-1, 2.8.11-1: a part of the ring has an alignment where we see it, for our accesses, and where the device does. */
static bool misaligned(const struct virtio_device *vdev, const void *part, unsigned int ours, unsigned int theirs)
{
	const struct virtio_mem *mem = vdev->platform->mem;
	uint64_t address = mem ? virtio_mem_address(mem, part, 1) : VIRTIO_BAD_ADDRESS;

	return (uintptr_t)part % ours || (address != VIRTIO_BAD_ADDRESS && address % theirs);
}

int vring_driver_create(struct virtio_device *vdev, unsigned int index, uint32_t num, void *desc, void *avail, void *used,
			struct virtio_queue **vq)
{
	bool packed = vdev && virtio_device_has(vdev, VIRTIO_F_RING_PACKED);
	struct vring_driver *vr;

	if (!vdev || !vdev->platform || !vq || !(packed ? vring_packed_size_valid(num) : vring_size_valid(num)) || !desc || !avail || !used)
		return -VIRTIO_EINVAL;
	if (misaligned(vdev, desc, 8, 16) || misaligned(vdev, avail, packed ? 4 : 2, packed ? 4 : 2) || misaligned(vdev, used, 4, 4))
		return -VIRTIO_EINVAL;
	vr = books_alloc(vdev->platform, bookkeeping_bytes(num));
	if (!vr)
		return -VIRTIO_ENOMEM;
	*vr = (struct vring_driver){ .vq = { .vdev = vdev, .index = index, .size = num } };
	vr->vq.ops = packed ? &vring_packed_ops : &vring_split_ops;
	vr->desc = desc;
	vr->avail = avail;
	vr->used = used;
	vr->num = (uint16_t)num;
	vr->swap = virtio_must_swap(vdev->big_endian);
	vr->event_idx = virtio_device_has(vdev, VIRTIO_F_EVENT_IDX);
	vr->in_order = virtio_device_has(vdev, VIRTIO_F_IN_ORDER);
	start(vr);
	make_tables(vr);
	*vq = &vr->vq;
	return 0;
}

void vring_driver_destroy(struct virtio_queue *vq)
{
	struct vring_driver *vr;
	const struct virtio_platform *platform;

	if (!vq)
		return;
	vr = vring_driver_of(vq);
	platform = vq->vdev->platform;
	platform_free(platform, vr->tables, vr->num * sizeof(struct vring_desc) * vr->table_size);
	books_free(platform, vr, bookkeeping_bytes(vr->num));
}
