/* SPDX-License-Identifier: MIT */
/*
 * How fast the time stamp counter runs, and how far it may be believed.
 *
 * The rate. CPUID leaf 0x15 gives it exactly where the crystal's frequency is filled in, hypervisors give it in leaf 0x40000010, leaf
 * 0x16 gives a rounded marketing figure; a nested host may pass any of them through although its own counter is scaled. So the
 * kernel's clock is the judge: every claim is checked against CLOCK_MONOTONIC_RAW.
 *
 * Belief. A counter that CPUID calls invariant and the kernel has among its clocks is constant. But hosts have others for reasons that
 * are none of the counter's: somebody has written tsc=unstable, the hypervisor hides the bit since it may move the host to another
 * machine; and then their clock is one that is computed from the counter all the same. So the counter is measured there, on each
 * processor that may run us: readings of it and of the kernel's clock have to lie on one line. What is found steady and has nobody who
 * vouches for it may serve as long as somebody looks after it; the kernel may have seen in hours what we do not see in milliseconds.
 */
#include "host/clock.h"

#include <cpuid.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>

#define CALIBRATE_NS	(10 * NSEC_PER_MSEC)
#define HOP_NS		(20 * NSEC_PER_MSEC)	/* so long at most for the tour of processors: busy ones let us wait */
#define TRIES		5
#define TOLERANCE_NS	1000
#define PROCESSORS_MAX	256

/* --- two clocks at one moment ---------------------------------------------------------------------------------------- */

struct clock_pair clock_read_both(uint64_t (*first)(void *opaque), uint64_t (*second)(void *opaque), void *opaque)
{
	struct clock_pair best = { .width = UINT64_MAX };

	for (int i = 0; i < TRIES; i++) {
		uint64_t before = first(opaque), at = second(opaque), width = first(opaque) - before;

		if (width < best.width)
			best = (struct clock_pair){ .first = before + width / 2, .second = at, .width = width };
	}
	return best;
}

static uint64_t read_tsc(void *opaque)
{
	return clock_tsc();
}

static uint64_t read_raw(void *opaque)
{
	return clock_raw_ns();
}

/* --- measuring ------------------------------------------------------------------------------------------------------- */

static uint64_t distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

bool clock_pairs_agree(const struct clock_pair *pairs, unsigned int count, uint32_t *khz)
{
	const struct clock_pair *from = &pairs[0], *to = &pairs[count - 1];
	uint64_t ticks = to->first - from->first, passed = to->second - from->second;

	*khz = 0;
	if (to->second <= from->second || to->first <= from->first)
		return false;
	*khz = (uint32_t)((ticks * 1000000 + passed / 2) / passed);
	if (!*khz)
		return false;
	for (const struct clock_pair *pair = from; pair < to; pair++) {
		uint64_t ns;

		if (pair->first < from->first)
			return false;
		ns = (uint64_t)((unsigned __int128)(pair->first - from->first) * passed / ticks);
		if (distance(ns, pair->second - from->second) > TOLERANCE_NS + pair->width * 1000000 / *khz)
			return false;
	}
	return true;
}

/* A reading on each processor that this thread may run on. */
static unsigned int tour(struct clock_pair *pairs, unsigned int max)
{
	uint64_t end = clock_raw_ns() + HOP_NS;
	unsigned int count = 0;
	cpu_set_t home, one;

	if (sched_getaffinity(0, sizeof(home), &home))
		return 0;	/* more processors than fit into a set */
	for (int i = 0; i < CPU_SETSIZE && count < max && clock_raw_ns() < end; i++) {
		CPU_ZERO(&one);
		CPU_SET(i, &one);
		if (CPU_ISSET(i, &home) && !sched_setaffinity(0, sizeof(one), &one))
			pairs[count++] = clock_read_both(read_tsc, read_raw, NULL);
	}
	sched_setaffinity(0, sizeof(home), &home);
	return count;
}

/* True: all counters run at this one rate; of the processors that we come by, or with @everywhere of all. */
static bool measure(uint32_t *khz, bool everywhere)
{
	struct timespec pause = { 0, CALIBRATE_NS };
	struct clock_pair pairs[PROCESSORS_MAX + 2];
	unsigned int count = 1;

	pairs[0] = clock_read_both(read_tsc, read_raw, NULL);
	if (everywhere)
		count += tour(&pairs[1], PROCESSORS_MAX);
	nanosleep(&pause, NULL);
	pairs[count++] = clock_read_both(read_tsc, read_raw, NULL);
	return clock_pairs_agree(pairs, count, khz);
}

/* --- what others say ------------------------------------------------------------------------------------------------- */

/* What CPUID claims, or 0. Intel SDM, CPUID leaf 15H; leaf 40000010H as VMware and KVM define it. */
static uint32_t claimed_khz(void)
{
	unsigned int a, b, c, d;

	if (__get_cpuid(1, &a, &b, &c, &d) && (c & (1u << 31))) {	/* a hypervisor is present */
		__cpuid(0x40000000, a, b, c, d);
		if (a >= 0x40000010) {
			__cpuid(0x40000010, a, b, c, d);
			if (a)
				return a;
		}
	}
	if (__get_cpuid(0x15, &a, &b, &c, &d) && a && b && c)
		return (uint32_t)((uint64_t)c * b / a / 1000);
	return 0;
}

static void read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");

	if (!file || !fgets(line, size, file))
		line[0] = 0;
	if (file)
		fclose(file);
}

/* What CPUID says, and the kernel. */
static struct clock_rumour listen(void)
{
	struct clock_rumour r = { 0 };
	char listed[128], current[128];
	unsigned int a, b, c, d;

	r.invariant = __get_cpuid(0x80000007, &a, &b, &c, &d) && (d & (1u << 8));
	r.virtual = __get_cpuid(1, &a, &b, &c, &d) && (c & (1u << 31));
	read_line("/sys/devices/system/clocksource/clocksource0/available_clocksource", listed, sizeof(listed));
	read_line("/sys/devices/system/clocksource/clocksource0/current_clocksource", current, sizeof(current));
	/* The kernel drops "tsc" when it finds the counters of two processors apart, or is told to. Without sysfs CPUID's word has to do. */
	r.listed = !*listed || strstr(listed, "tsc");
	r.derived = !strncmp(current, "kvm-clock", 9) || !strncmp(current, "xen", 3);
	return r;
}

/* --- the verdict ----------------------------------------------------------------------------------------------------- */

enum clock_trust clock_judge(const struct clock_rumour *r, bool steady)
{
	if (r->listed && r->invariant)
		return CLOCK_TSC_CONSTANT;
	if (!steady)
		return CLOCK_TSC_BAD;
	return (r->listed || r->derived) && (r->invariant || r->virtual) ? CLOCK_TSC_CONSTANT : CLOCK_TSC_STEADY;
}

struct verdict {
	bool known;
	enum clock_trust trust;
	uint32_t khz;
};

static const struct verdict *verdict(void)
{
	static struct verdict v;
	struct clock_rumour rumour;
	uint32_t claim;
	bool steady;

	if (v.known)
		return &v;
	rumour = listen();
	steady = measure(&v.khz, clock_judge(&rumour, false) == CLOCK_TSC_BAD);
	claim = claimed_khz();
	if (claim && distance(claim, v.khz) <= claim / 5000)
		v.khz = claim;
	v.trust = v.khz ? clock_judge(&rumour, steady) : CLOCK_TSC_BAD;
	v.known = true;
	return &v;
}

uint32_t clock_tsc_khz(void)
{
	return verdict()->khz;
}

enum clock_trust clock_tsc_trust(void)
{
	return verdict()->trust;
}
