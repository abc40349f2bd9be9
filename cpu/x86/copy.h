/* SPDX-License-Identifier: MIT */
/*
 * copy.h - memory primitives for C code on the processor's thread. libc's use vector registers, and those are the guest's.
 */
#ifndef KENNEL_CPU_X86_COPY_H
#define KENNEL_CPU_X86_COPY_H

#include <stddef.h>
#include <stdint.h>

/* A repeated string instruction takes its time to get going; descriptors, gates and frames are a few words. */
static inline void copy_words(void *to, const void *from, size_t words)
{
	typedef uint32_t __attribute__((may_alias, aligned(1))) word;

	for (size_t i = 0; i < words; i++)
		((volatile word *)to)[i] = ((const volatile word *)from)[i];
}

static inline void copy_bytes(void *to, const void *from, size_t len)
{
	if (len <= 32 && !(len & 3)) {
		copy_words(to, from, len / 4);
		return;
	}
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

static inline void clear_bytes(void *to, size_t len)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(0) : "memory");
}

/* One store, wherever it goes. */
static inline void put_unaligned32(uint8_t *to, uint32_t v)
{
	struct unaligned {
		uint32_t v;
	} __attribute__((packed, may_alias));

	((struct unaligned *)to)->v = v;
}

#endif
