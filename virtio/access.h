/* SPDX-License-Identifier: MIT */
/*
 * access.h - loads and stores of words that the other end of a ring reads and writes at the same time. Each guest-controlled value is
 * fetched exactly once, into a local: the volatile and atomic types here keep the compiler from looking twice.
 */
#ifndef VIRTIO_ACCESS_H
#define VIRTIO_ACCESS_H

#include <stdatomic.h>

#include <virtio/endian.h>
#include <virtio/vring.h>

static inline uint16_t ring_load16(const uint16_t *p, bool swap)
{
	return virtio_swap16(swap, atomic_load_explicit((const _Atomic uint16_t *)p, memory_order_relaxed));
}

static inline uint16_t ring_load16_acquire(const uint16_t *p, bool swap)
{
	return virtio_swap16(swap, atomic_load_explicit((const _Atomic uint16_t *)p, memory_order_acquire));
}

static inline void ring_store16(uint16_t *p, bool swap, uint16_t v)
{
	atomic_store_explicit((_Atomic uint16_t *)p, virtio_swap16(swap, v), memory_order_relaxed);
}

static inline void ring_store16_release(uint16_t *p, bool swap, uint16_t v)
{
	atomic_store_explicit((_Atomic uint16_t *)p, virtio_swap16(swap, v), memory_order_release);
}

/* Store @v unless it is there already: a store would take the cache line from the other end. */
static inline void ring_put16(uint16_t *p, bool swap, uint16_t v)
{
	if (ring_load16(p, swap) != v)
		ring_store16(p, swap, v);
}

static inline uint32_t ring_load32(const uint32_t *p, bool swap)
{
	return virtio_swap32(swap, atomic_load_explicit((const _Atomic uint32_t *)p, memory_order_relaxed));
}

static inline void ring_store32(uint32_t *p, bool swap, uint32_t v)
{
	atomic_store_explicit((_Atomic uint32_t *)p, virtio_swap32(swap, v), memory_order_relaxed);
}

/* An indirect table may lie at any address (virtio 1.2, 2.7.5.3 asks for no alignment). */
typedef uint64_t __attribute__((aligned(1), may_alias)) any64;
typedef uint32_t __attribute__((aligned(1), may_alias)) any32;
typedef uint16_t __attribute__((aligned(1), may_alias)) any16;

/* One descriptor, fetched once, in our byte order. */
static inline struct vring_desc ring_load_desc(const struct vring_desc *d, bool swap)
{
	const uint8_t *p = (const uint8_t *)d;
	struct vring_desc copy;

	copy.addr = virtio_swap64(swap, *(const volatile any64 *)(p + offsetof(struct vring_desc, addr)));
	copy.len = virtio_swap32(swap, *(const volatile any32 *)(p + offsetof(struct vring_desc, len)));
	copy.flags = virtio_swap16(swap, *(const volatile any16 *)(p + offsetof(struct vring_desc, flags)));
	copy.next = virtio_swap16(swap, *(const volatile any16 *)(p + offsetof(struct vring_desc, next)));
	return copy;
}

static inline void ring_store_desc(struct vring_desc *d, bool swap, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	d->addr = virtio_swap64(swap, addr);
	d->len = virtio_swap32(swap, len);
	d->flags = virtio_swap16(swap, flags);
	d->next = virtio_swap16(swap, next);
}

static inline struct vring_used_elem ring_load_used(const struct vring_used_elem *e, bool swap)
{
	struct vring_used_elem copy;

	copy.id = virtio_swap32(swap, *(const volatile uint32_t *)&e->id);
	copy.len = virtio_swap32(swap, *(const volatile uint32_t *)&e->len);
	return copy;
}

static inline void ring_store_used(struct vring_used_elem *e, bool swap, uint32_t id, uint32_t len)
{
	struct vring_used_elem now = ring_load_used(e, swap);

	/* As ring_put16(). */
	if (now.id != id)
		e->id = virtio_swap32(swap, id);
	if (now.len != len)
		e->len = virtio_swap32(swap, len);
}

/* A packed descriptor, at any address, fetched once. */
static inline struct vring_packed_desc ring_load_packed(const struct vring_packed_desc *d, bool swap)
{
	const uint8_t *p = (const uint8_t *)d;
	struct vring_packed_desc copy;

	copy.addr = virtio_swap64(swap, *(const volatile any64 *)(p + offsetof(struct vring_packed_desc, addr)));
	copy.len = virtio_swap32(swap, *(const volatile any32 *)(p + offsetof(struct vring_packed_desc, len)));
	copy.id = virtio_swap16(swap, *(const volatile any16 *)(p + offsetof(struct vring_packed_desc, id)));
	copy.flags = virtio_swap16(swap, *(const volatile any16 *)(p + offsetof(struct vring_packed_desc, flags)));
	return copy;
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

/* The two event words behind the rings (virtio 1.2, 2.7.7 and 2.7.10). */
static inline uint16_t *ring_used_event(struct vring_avail *avail, uint16_t num)
{
	return &avail->ring[num];
}

static inline uint16_t *ring_avail_event(struct vring_used *used, uint16_t num)
{
	return (uint16_t *)(void *)&used->ring[num];
}

#endif
