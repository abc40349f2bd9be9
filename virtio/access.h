/* SPDX-License-Identifier: MIT */
/*
 * access.h - what the other end of a ring reads and writes at the same time, in our byte order. Each guest-controlled value is fetched
 * exactly once, into a local.
 */
#ifndef VIRTIO_ACCESS_H
#define VIRTIO_ACCESS_H

#include <virtio/endian.h>
#include <virtio/vring.h>

#ifdef RING_ATOMICS
#include RING_ATOMICS
#else
#include "atomics.h"
#endif

static inline uint16_t ring_load16(const uint16_t *p, bool swap)
{
	return virtio_swap16(swap, word_load16(p));
}

static inline uint16_t ring_load16_acquire(const uint16_t *p, bool swap)
{
	return virtio_swap16(swap, word_load16_acquire(p));
}

static inline uint32_t ring_load32(const uint32_t *p, bool swap)
{
	return virtio_swap32(swap, word_load32(p));
}

static inline void ring_store16(uint16_t *p, bool swap, uint16_t v)
{
	word_store16(p, virtio_swap16(swap, v));
}

static inline void ring_store16_release(uint16_t *p, bool swap, uint16_t v)
{
	word_store16_release(p, virtio_swap16(swap, v));
}

static inline void ring_store32(uint32_t *p, bool swap, uint32_t v)
{
	word_store32(p, virtio_swap32(swap, v));
}

/* --- the split ring ---------------------------------------------------------------------------------------------------- */

/* One descriptor, fetched once. */
static inline struct vring_desc ring_load_desc(const struct vring_desc *d, bool swap)
{
	const uint8_t *p = (const uint8_t *)d;
	struct vring_desc copy;

	copy.addr = virtio_swap64(swap, word_fetch64(p + offsetof(struct vring_desc, addr)));
	copy.len = virtio_swap32(swap, word_fetch32(p + offsetof(struct vring_desc, len)));
	copy.flags = virtio_swap16(swap, word_fetch16(p + offsetof(struct vring_desc, flags)));
	copy.next = virtio_swap16(swap, word_fetch16(p + offsetof(struct vring_desc, next)));
	return copy;
}

static inline void ring_store_desc(struct vring_desc *d, bool swap, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	word_set64(&d->addr, virtio_swap64(swap, addr));
	word_set32(&d->len, virtio_swap32(swap, len));
	word_set16(&d->flags, virtio_swap16(swap, flags));
	word_set16(&d->next, virtio_swap16(swap, next));
}

/* An entry of the available ring. */
static inline uint16_t ring_load_avail(const uint16_t *p, bool swap)
{
	return virtio_swap16(swap, word_fetch16(p));
}

/* Stored unless it is there already: a store would take the cache line from the other end. */
static inline void ring_store_avail(uint16_t *p, bool swap, uint16_t id)
{
	if (ring_load_avail(p, swap) != id)
		word_set16(p, virtio_swap16(swap, id));
}

static inline struct vring_used_elem ring_load_used(const struct vring_used_elem *e, bool swap)
{
	struct vring_used_elem copy;

	copy.id = virtio_swap32(swap, word_fetch32(&e->id));
	copy.len = virtio_swap32(swap, word_fetch32(&e->len));
	return copy;
}

/* As ring_store_avail(). */
static inline void ring_store_used(struct vring_used_elem *e, bool swap, uint32_t id, uint32_t len)
{
	struct vring_used_elem now = ring_load_used(e, swap);

	if (now.id != id)
		word_set32(&e->id, virtio_swap32(swap, id));
	if (now.len != len)
		word_set32(&e->len, virtio_swap32(swap, len));
}

/* The two event words behind the rings (virtio 1.2, 2.7.7 and 2.7.10). */
static inline uint16_t *ring_used_event(struct vring_avail *avail, uint16_t num)
{
	return &avail->ring[num];
}

static inline uint16_t *ring_avail_event(struct vring_used *used, uint16_t num)
{
	return (uint16_t *)(void *)&used->ring[num];
}

/* --- the packed ring --------------------------------------------------------------------------------------------------- */

/* A descriptor, fetched once. */
static inline struct vring_packed_desc ring_load_packed(const struct vring_packed_desc *d, bool swap)
{
	const uint8_t *p = (const uint8_t *)d;
	struct vring_packed_desc copy;

	copy.addr = virtio_swap64(swap, word_fetch64(p + offsetof(struct vring_packed_desc, addr)));
	copy.len = virtio_swap32(swap, word_fetch32(p + offsetof(struct vring_packed_desc, len)));
	copy.id = virtio_swap16(swap, word_fetch16(p + offsetof(struct vring_packed_desc, id)));
	copy.flags = virtio_swap16(swap, word_fetch16(p + offsetof(struct vring_packed_desc, flags)));
	return copy;
}

/* What goes behind the flags. */
static inline void ring_store_packed(struct vring_packed_desc *d, bool swap, uint64_t addr, uint32_t len, uint16_t id)
{
	word_set64(&d->addr, virtio_swap64(swap, addr));
	word_set32(&d->len, virtio_swap32(swap, len));
	word_set16(&d->id, virtio_swap16(swap, id));
}

static inline void ring_store_packed_used(struct vring_packed_desc *d, bool swap, uint32_t len, uint16_t id)
{
	word_set32(&d->len, virtio_swap32(swap, len));
	word_set16(&d->id, virtio_swap16(swap, id));
}

/* Flags of a descriptor that no other end looks at yet. */
static inline void ring_store_packed_flags(struct vring_packed_desc *d, bool swap, uint16_t flags)
{
	word_set16(&d->flags, virtio_swap16(swap, flags));
}

/* The bits that make a packed descriptor available, or used, in a lap with wrap counter @wrap (2.8.1). */
static inline uint16_t ring_avail_bits(bool wrap)
{
	return wrap ? VRING_PACKED_AVAIL : VRING_PACKED_USED;
}

static inline uint16_t ring_used_bits(bool wrap)
{
	return wrap ? VRING_PACKED_AVAIL | VRING_PACKED_USED : 0;
}

static inline bool ring_has_bits(uint16_t flags, uint16_t bits)
{
	return (flags & (VRING_PACKED_AVAIL | VRING_PACKED_USED)) == bits;
}

#endif
