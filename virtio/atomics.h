/* SPDX-License-Identifier: MIT */
/*
 * atomics.h - every access to memory that both ends of a ring share, on one page.
 *
 *	word_load, word_store	words on which the two ends synchronize: each is one load or store, as often as the source says
 *	word_fetch, word_set	everything else in the ring. Fetching happens once, too: the volatile types keep the compiler from
 *				looking twice at what may change. An indirect table may lie at any address (virtio 1.2, 2.7.5.3 and
 *				2.8.7 ask for no alignment).
 *	word_fence		orders the stores before it before the loads behind it
 *
 * tests/virtio/test-schedule.c replaces this file, and tries every order in which such accesses can happen.
 */
#ifndef VIRTIO_ATOMICS_H
#define VIRTIO_ATOMICS_H

#include <stdatomic.h>
#include <stdint.h>

typedef uint64_t __attribute__((aligned(1), may_alias)) any64;
typedef uint32_t __attribute__((aligned(1), may_alias)) any32;
typedef uint16_t __attribute__((aligned(1), may_alias)) any16;

static inline uint16_t word_load16(const uint16_t *p)
{
	return atomic_load_explicit((const _Atomic uint16_t *)p, memory_order_relaxed);
}

static inline uint16_t word_load16_acquire(const uint16_t *p)
{
	return atomic_load_explicit((const _Atomic uint16_t *)p, memory_order_acquire);
}

static inline uint32_t word_load32(const uint32_t *p)
{
	return atomic_load_explicit((const _Atomic uint32_t *)p, memory_order_relaxed);
}

static inline void word_store16(uint16_t *p, uint16_t v)
{
	atomic_store_explicit((_Atomic uint16_t *)p, v, memory_order_relaxed);
}

static inline void word_store16_release(uint16_t *p, uint16_t v)
{
	atomic_store_explicit((_Atomic uint16_t *)p, v, memory_order_release);
}

static inline void word_store32(uint32_t *p, uint32_t v)
{
	atomic_store_explicit((_Atomic uint32_t *)p, v, memory_order_relaxed);
}

static inline uint16_t word_fetch16(const void *p)
{
	return *(const volatile any16 *)p;
}

static inline uint32_t word_fetch32(const void *p)
{
	return *(const volatile any32 *)p;
}

static inline uint64_t word_fetch64(const void *p)
{
	return *(const volatile any64 *)p;
}

static inline void word_set16(void *p, uint16_t v)
{
	*(any16 *)p = v;
}

static inline void word_set32(void *p, uint32_t v)
{
	*(any32 *)p = v;
}

static inline void word_set64(void *p, uint64_t v)
{
	*(any64 *)p = v;
}

static inline void word_fence(void)
{
	atomic_thread_fence(memory_order_seq_cst);
}

#endif
