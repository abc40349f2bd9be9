/* SPDX-License-Identifier: MIT */
/*
 * schedule-atomics.h - instead of virtio/atomics.h for test-schedule.c: every access to the ring asks the scheduler, which decides when
 * it happens and, for a load, what it finds.
 */
#ifndef TESTS_VIRTIO_SCHEDULE_ATOMICS_H
#define TESTS_VIRTIO_SCHEDULE_ATOMICS_H

#include <stdint.h>

/* @width bytes at @p. A step is one on which the two ends synchronize; others happen together with the step before them. */
uint64_t schedule_load(const void *p, unsigned int width, int step);
void schedule_store(void *p, unsigned int width, int step, uint64_t v);
void schedule_fence(const char *file, const char *function);

#define word_load16(p)			((uint16_t)schedule_load(p, 2, 1))
#define word_load16_acquire(p)		((uint16_t)schedule_load(p, 2, 1))
#define word_load32(p)			((uint32_t)schedule_load(p, 4, 1))
#define word_store16(p, v)		schedule_store(p, 2, 1, v)
#define word_store16_release(p, v)	schedule_store(p, 2, 1, v)
#define word_store32(p, v)		schedule_store(p, 4, 1, v)
#define word_fetch16(p)			((uint16_t)schedule_load(p, 2, 0))
#define word_fetch32(p)			((uint32_t)schedule_load(p, 4, 0))
#define word_fetch64(p)			schedule_load(p, 8, 0)
#define word_set16(p, v)		schedule_store(p, 2, 0, v)
#define word_set32(p, v)		schedule_store(p, 4, 0, v)
#define word_set64(p, v)		schedule_store(p, 8, 0, v)
#define word_fence()			schedule_fence(__FILE__, __func__)

#endif
