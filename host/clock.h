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

/* CLOCK_MONOTONIC_RAW in nanoseconds: no time server bends it. */
static inline uint64_t clock_raw_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
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

/* Two clocks read at one moment. */
struct clock_pair {
	uint64_t first, second;
	uint64_t width;		/* of the first clock: so far may they be apart; half to either side */
};

/*
 * Read @first, @second and @first again, a few times, and give the try in which that took the least: so that a thread which was not run
 * in between does not see two times.
 */
struct clock_pair clock_read_both(uint64_t (*first)(void *opaque), uint64_t (*second)(void *opaque), void *opaque);

/*
 * True if @count readings (2 or more) of counter and nanoseconds lie on one line, up to a microsecond: that through the first and the
 * last. @khz is the rate of that line either way, 0 if there is none.
 */
bool clock_pairs_agree(const struct clock_pair *pairs, unsigned int count, uint32_t *khz);

/* How far the time stamp counter may be believed. */
enum clock_trust {
	CLOCK_TSC_BAD,		/* its rate changes, or processors have different ones */
	CLOCK_TSC_STEADY,	/* the same everywhere as far as we see, but nobody vouches for it: whoever uses it has to look after it */
	CLOCK_TSC_CONSTANT,	/* a guest may use it as its own */
};

/* What others say of it. */
struct clock_rumour {
	bool invariant;		/* CPUID leaf 0x80000007 EDX bit 8 */
	bool virtual;		/* there is a hypervisor, which may hide that bit */
	bool listed;		/* the kernel has it among its clocks, or has no list */
	bool derived;		/* the kernel's clock is that of a hypervisor, and computed from it */
};

/** clock_judge - @steady: it was measured, and found to be alike everywhere */
enum clock_trust clock_judge(const struct clock_rumour *rumour, bool steady);

/* From 10 ms up to some 30, the first time, since it may be measured then on all processors of this thread. The answer is kept. */
enum clock_trust clock_tsc_trust(void);

/*
 * The counter's rate in kHz: from CPUID where it says so and a measurement agrees within 0.02 %, otherwise measured, as above. 0 if it
 * cannot be read.
 */
uint32_t clock_tsc_khz(void);

#endif
