/* SPDX-License-Identifier: MIT */
/*
 * copy.h - memory primitives for C code on the processor's thread. libc's use vector registers, and those are the guest's.
 */
#ifndef KENNEL_CPU_X86_COPY_H
#define KENNEL_CPU_X86_COPY_H

#include <stddef.h>
#include <stdint.h>

static inline void copy_bytes(void *to, const void *from, size_t len)
{
	__asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(len) : : "memory");
}

static inline void clear_bytes(void *to, size_t len)
{
	__asm__ volatile("rep stosb" : "+D"(to), "+c"(len) : "a"(0) : "memory");
}

#endif
