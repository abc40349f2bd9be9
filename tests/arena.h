/* SPDX-License-Identifier: MIT */
/* arena.h - a platform's alloc() that gives away a test's memory piece by piece, and fails the test when there is none left. After <cmocka.h>. */
#ifndef TESTS_ARENA_H
#define TESTS_ARENA_H

#include <stddef.h>
#include <stdint.h>

/* @size bytes of @memory, which ends at @end, from @next on, which moves. */
static inline void *arena_take(uint8_t *memory, size_t end, size_t *next, size_t size, size_t align)
{
	*next = ((*next + align - 1) & ~(align - 1)) + size;
	assert_true(*next <= end);
	return memory + *next - size;
}

#endif
