/* SPDX-License-Identifier: MIT */
/*
 * clock.h - the host's clocks and its time stamp counter.
 */
#ifndef KENNEL_HOST_CLOCK_H
#define KENNEL_HOST_CLOCK_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#define NSEC_PER_SEC	UINT64_C(1000000000)
#define NSEC_PER_MSEC	UINT64_C(1000000)
#define NSEC_PER_USEC	UINT64_C(1000)

/* CLOCK_MONOTONIC in nanoseconds. */
static inline uint64_t clock_monotonic_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* CLOCK_REALTIME, nanoseconds since 1970. */
static inline uint64_t clock_realtime_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* The time stamp counter. */
static inline uint64_t clock_tsc(void)
{
	return __builtin_ia32_rdtsc();
}

/*
 * True if the counter runs at one rate on all processors and through sleep (CPUID 0x80000007 EDX bit 8, and the kernel has not
 * marked it unstable): then a guest may use it as its clock.
 */
bool clock_tsc_is_stable(void);

/*
 * The counter's rate in kHz: from CPUID where it says so and a measurement agrees within 1 %, otherwise measured (about 20 ms, the
 * first time). 0 if it cannot be read. The answer is kept.
 */
uint32_t clock_tsc_khz(void);

#endif
