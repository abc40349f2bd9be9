/* SPDX-License-Identifier: MIT */
/*
 * kernels.h - the computing rows of the benchmark, which need nothing but a processor: compiled into bench/guestbench.c, and into
 * the user program of guest/pup. Each does a fixed piece of work and returns something that depends on all of it, so that no
 * compiler leaves it out.
 */
#ifndef KENNEL_BENCH_KERNELS_H
#define KENNEL_BENCH_KERNELS_H

#include <stdint.h>

#ifdef __clang__	/* the analyzer's view */
#define KERNEL_NOINLINE __attribute__((noinline))
#else
#define KERNEL_NOINLINE __attribute__((noinline, noclone))
#endif

static inline uint32_t kernel_rotate(uint32_t x, unsigned int bits)
{
	return x << bits | x >> (32 - bits);
}

/*
 * Rounds of an integer hash in four lanes. The lanes are independent, so a processor can overlap them: a single dependent chain
 * would hide from the result how many instructions somebody makes of each of ours.
 */
static KERNEL_NOINLINE uint32_t kernel_hash(uint32_t rounds)
{
	uint32_t a = 1, b = 2, c = 3, d = 4;

	for (uint32_t i = 0; i < rounds; i++) {
		a = kernel_rotate(a + i * 0x85ebca77u, 13) * 0x9e3779b1u;
		b = kernel_rotate(b ^ i, 7) + 0x165667b1u;
		c = (c + (i << 3)) ^ c >> 15;
		d = kernel_rotate(d - i, 17) * 5 + 0xe6546b64u;
	}
	return a ^ b ^ c ^ d;
}

/* One byte after the other, each step needing the one before. */
static KERNEL_NOINLINE uint32_t kernel_bytes(const uint8_t *data, uint32_t size)
{
	uint32_t h = 5381;

	for (uint32_t i = 0; i < size; i++)
		h = h * 33 + data[i];
	return h;
}

static KERNEL_NOINLINE uint32_t target_add(uint32_t x)
{
	return x + 0x3c6ef372u;
}

static KERNEL_NOINLINE uint32_t target_xor(uint32_t x)
{
	return x ^ 0x5bd1e995u;
}

static KERNEL_NOINLINE uint32_t target_rotate(uint32_t x)
{
	return x << 7 | x >> 25;
}

static KERNEL_NOINLINE uint32_t target_multiply(uint32_t x)
{
	return x * 0x85ebca6bu;
}

/* Calls through a table, in an order with a period of 64 that a branch predictor can partly learn. */
static KERNEL_NOINLINE uint32_t kernel_indirect(uint32_t calls)
{
	static uint32_t (*const volatile targets[4])(uint32_t) = { target_add, target_xor, target_rotate, target_multiply };
	uint32_t x = 1;
	uint64_t order = 0xe41b2d8763c59af0ull;

	for (uint32_t i = 0; i < calls; i++) {
		x = targets[order & 3](x);
		order = order >> 2 | order << 62;
	}
	return x;
}

/* A chain of additions and multiplications of doubles. */
static KERNEL_NOINLINE double kernel_float(uint32_t iterations)
{
	double x = 1.0, y = 0.5;

	for (uint32_t i = 0; i < iterations; i++) {
		x = x * 0.9999 + y;
		y = y * 0.5 + 0.25;
	}
	return x + y;
}

/* Make @count words a single cycle in random order (Sattolo's algorithm). */
static void kernel_chase_make(uint32_t *next, uint32_t count)
{
	uint32_t random = 12345;

	for (uint32_t i = 0; i < count; i++)
		next[i] = i;
	for (uint32_t i = count - 1; i > 0; i--) {
		uint32_t j, swap = next[i];

		random = random * 1664525u + 1013904223u;
		j = (random >> 8) % i;
		next[i] = next[j];
		next[j] = swap;
	}
}

/* Loads of which each address is the value of the one before. */
static KERNEL_NOINLINE uint32_t kernel_chase(const uint32_t *next, uint32_t loads)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < loads; i++)
		at = next[at];
	return at;
}

#endif
