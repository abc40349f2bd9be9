/* SPDX-License-Identifier: MIT */
/*
 * vring.h - how rings lie in memory. Both ends of a ring and the transports that place it use this; devices and drivers do not: they
 * see buffers.
 *
 * The split ring (virtio 1.2, 2.7):
 *	descriptor table   16 bytes x num
 *	available ring     u16 flags, u16 idx, u16 ring[num], u16 used_event       written by the driver
 *	used ring          u16 flags, u16 idx, {u32 id, u32 len}[num], u16 avail_event   written by the device
 *
 * The event words are always there, whether or not VIRTIO_F_EVENT_IDX is used.
 *
 * The packed ring (2.8), after VIRTIO_F_RING_PACKED:
 *	descriptor ring    16 bytes x num, any num; written by both ends
 *	driver event       u16 offset and wrap, u16 flags      written by the driver: when it wants an interrupt
 *	device event       the same                            written by the device: when it wants a kick
 *
 * Buses name the three parts descriptor area, driver area and device area in both cases, and memory that is laid out for a split ring
 * of num entries has room and alignment enough for a packed one.
 */
#ifndef VIRTIO_VRING_H
#define VIRTIO_VRING_H

#include <virtio/virtio.h>

#define VRING_DESC_NEXT		1u	/* another descriptor follows */
#define VRING_DESC_WRITE	2u	/* the device writes here; otherwise it reads */
#define VRING_DESC_INDIRECT	4u	/* the buffer is a table of descriptors */

#define VRING_AVAIL_NO_INTERRUPT 1u
#define VRING_USED_NO_NOTIFY	1u

#define VRING_MAX_SIZE		32768u	/* virtio 1.2, 2.7: the largest queue size */
#define VRING_LEGACY_ALIGN	4096u	/* of the used ring, in the buses that place a ring as one block */

struct vring_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;
	uint16_t next;
};

struct vring_used_elem {
	uint32_t id;
	uint32_t len;
};

struct vring_avail {
	uint16_t flags;
	uint16_t idx;
	__extension__ uint16_t ring[];		/* [num], then used_event */
};

struct vring_used {
	uint16_t flags;
	uint16_t idx;
	__extension__ struct vring_used_elem ring[];	/* [num], then u16 avail_event */
};

/* A packed ring's descriptor, on its way in either direction. */
struct vring_packed_desc {
	uint64_t addr;
	uint32_t len;			/* on its way back: bytes written */
	uint16_t id;			/* of the buffer; in the last descriptor of a chain */
	uint16_t flags;
};

/* Besides the flags above: they equal the writer's wrap counter when available (AVAIL alone) or used (both). */
#define VRING_PACKED_AVAIL	0x0080u
#define VRING_PACKED_USED	0x8000u

/* An event structure as one little-endian word, so that it can be read and written at once. */
#define VRING_EVENT_ENABLE	UINT32_C(0x00000)
#define VRING_EVENT_DISABLE	UINT32_C(0x10000)
#define VRING_EVENT_DESC	UINT32_C(0x20000)	/* at the position in the lower half; needs VIRTIO_F_EVENT_IDX */
#define VRING_EVENT_FLAGS	UINT32_C(0x30000)
#define VRING_EVENT_WRAP	0x8000u			/* of a position: its wrap counter, above a 15-bit offset */

VIRTIO_STATIC_ASSERT(sizeof(struct vring_packed_desc) == 16, "the ring's layout is an ABI");
VIRTIO_STATIC_ASSERT(sizeof(struct vring_desc) == 16 && sizeof(struct vring_used_elem) == 8 && sizeof(struct vring_avail) == 4 &&
		       offsetof(struct vring_used, ring) == 4, "the ring's layout is an ABI");

/* Sizes that a split ring can have: powers of two (2.7). */
static inline bool vring_size_valid(uint32_t num)
{
	return num && num <= VRING_MAX_SIZE && !(num & (num - 1));
}

/* 2.8.10.1: a packed ring's size need not be a power of two. */
static inline bool vring_packed_size_valid(uint32_t num)
{
	return num && num <= VRING_MAX_SIZE;
}

/* Bytes of the parts of a split ring of @num entries, the event words among them; of a packed one the first is right. */
static inline size_t vring_desc_bytes(uint32_t num)
{
	return (size_t)16 * num;
}

static inline size_t vring_avail_bytes(uint32_t num)
{
	return 6 + (size_t)2 * num;
}

static inline size_t vring_used_bytes(uint32_t num)
{
	return 6 + (size_t)8 * num;
}

/* Offset of the used ring in a ring placed as one block with the used ring aligned to @align (a power of two). */
static inline size_t vring_used_offset(uint32_t num, size_t align)
{
	return (vring_desc_bytes(num) + vring_avail_bytes(num) + align - 1) & ~(align - 1);
}

/* Bytes of such a block, without padding at its end. */
static inline size_t vring_bytes(uint32_t num, size_t align)
{
	return vring_used_offset(num, align) + vring_used_bytes(num);
}

/*
 * The event-index rule (virtio 1.2, 2.7.7.1 and 2.7.10): does moving the index from @old to @now pass @event? All modulo 65536.
 */
static inline bool vring_need_event(uint16_t event, uint16_t now, uint16_t old)
{
	return (uint16_t)(now - event - 1) < (uint16_t)(now - old);
}

/*
 * The same for a packed ring of @num entries (2.8.10): does event structure @word ask to be told that the other end moved @moved
 * descriptors forward, to offset @now of the lap whose wrap counter is @wrap?
 */
static inline bool vring_packed_need_event(uint32_t word, bool event_idx, uint16_t num, uint16_t now, bool wrap, uint16_t moved)
{
	uint16_t event = word & (VRING_EVENT_WRAP - 1);

	if ((word & VRING_EVENT_FLAGS) == VRING_EVENT_DISABLE)
		return false;
	if (!event_idx || (word & VRING_EVENT_FLAGS) != VRING_EVENT_DESC)
		return true;
	/* Counted from the start of this lap; what lies in the lap before is behind it. */
	if (!!(word & VRING_EVENT_WRAP) != wrap)
		event -= num;
	return vring_need_event(event, now, (uint16_t)(now - moved));
}

#endif
