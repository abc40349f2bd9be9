/* SPDX-License-Identifier: MIT */
/*
 * The rate of the time stamp counter. CPUID leaf 0x15 gives it exactly where the crystal's frequency is filled in, hypervisors
 * give it in leaf 0x40000010, leaf 0x16 gives a rounded marketing figure; a nested host may pass any of them through although its
 * own counter is scaled. So the kernel's clock is the judge: every claim is checked against CLOCK_MONOTONIC_RAW.
 */
#include "host/clock.h"

#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#define CALIBRATE_NS	(10 * NSEC_PER_MSEC)
#define SAMPLES		5

struct sample {
	uint64_t tsc, ns;
};

static uint64_t raw_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_RAW, &now);
	return (uint64_t)now.tv_sec * NSEC_PER_SEC + (uint64_t)now.tv_nsec;
}

/* Both clocks at one moment: of several tries the one in which reading took the least time. */
static struct sample sample_both(void)
{
	struct sample best = { 0, 0 };
	uint64_t least = UINT64_MAX;

	for (int i = 0; i < SAMPLES; i++) {
		uint64_t before = clock_tsc(), ns = raw_ns(), after = clock_tsc();

		if (after - before < least) {
			least = after - before;
			best.tsc = before + least / 2;
			best.ns = ns;
		}
	}
	return best;
}

static uint32_t measure_khz(void)
{
	struct timespec pause = { 0, CALIBRATE_NS };
	struct sample a = sample_both(), b;

	nanosleep(&pause, NULL);
	b = sample_both();
	if (b.ns <= a.ns || b.tsc <= a.tsc)
		return 0;
	return (uint32_t)((b.tsc - a.tsc) * 1000000 / (b.ns - a.ns));
}

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

uint32_t clock_tsc_khz(void)
{
	static uint32_t khz;
	uint32_t claim, measured;

	if (khz)
		return khz;
	claim = claimed_khz();
	measured = measure_khz();
	if (claim && claim / 100 >= (claim > measured ? claim - measured : measured - claim))
		measured = claim;
	khz = measured;
	return khz;
}

/* The kernel drops "tsc" from its list of clock sources when it finds the counters of two processors apart. */
static bool kernel_trusts_tsc(void)
{
	FILE *file = fopen("/sys/devices/system/clocksource/clocksource0/available_clocksource", "re");
	char line[128] = "";
	bool trusted;

	if (!file)
		return true;	/* no sysfs in this container: CPUID's word has to do */
	if (!fgets(line, sizeof(line), file))
		line[0] = 0;
	fclose(file);
	trusted = strstr(line, "tsc") != NULL;
	return trusted;
}

bool clock_tsc_is_stable(void)
{
	unsigned int a, b, c, d;

	if (!__get_cpuid(0x80000007, &a, &b, &c, &d) || !(d & (1u << 8)))
		return false;
	return kernel_trusts_tsc();
}
