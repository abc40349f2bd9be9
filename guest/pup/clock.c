/* SPDX-License-Identifier: MIT */
/*
 * clock.c - time, and the one-shot timer behind interrupt 0.
 *
 * The host tells the rate of RDTSC if it trusts it. If not, there is only lguest_data.time, which it refreshes when it delivers
 * an interrupt: good to a timer tick at best, and standing still without one, so then we tick all the time.
 */
#include "pup.h"

#define NS 1000000000u
#define TICK  10000000ull	/* ns between ticks without RDTSC */
#define SHIFT 22		/* nanoseconds = (ticks * scale) >> SHIFT */

static uint64_t last_tsc, last_ns;
static uint32_t scale;
static uint32_t boot_sec, boot_nsec;
static uint64_t armed;		/* deadline, 0 = none */

static uint64_t read_tsc(void)
{
	uint64_t tsc;

	__asm__ volatile("rdtsc" : "=A"(tsc));
	return tsc;
}

/* 64 by 32 bits, without help from libgcc. */
uint64_t divide(uint64_t dividend, uint32_t divisor)
{
	uint32_t high = dividend >> 32, low = dividend, quotient_high = high / divisor, remainder = high % divisor, quotient_low;

	__asm__("divl %4" : "=a"(quotient_low), "=d"(remainder) : "a"(low), "d"(remainder), "rm"(divisor));
	return (uint64_t)quotient_high << 32 | quotient_low;
}

uint64_t clock_now(void)
{
	uint32_t flags = irq_save();
	uint64_t now;

	if (scale) {
		uint64_t tsc = read_tsc();

		/* Carry the base along, so that the product below stays within 64 bits. */
		now = last_ns + (((tsc - last_tsc) * scale) >> SHIFT);
		if (tsc - last_tsc > 1u << 30) {
			last_tsc = tsc;
			last_ns = now;
		}
	} else {
		now = (uint64_t)(lguest_data.time_sec - boot_sec) * NS + lguest_data.time_nsec - boot_nsec;
	}
	irq_restore(flags);
	return now;
}

uint32_t clock_wall(void)
{
	return boot_sec + divide(clock_now() + boot_nsec, NS);
}

void clock_arm(uint64_t deadline)
{
	uint32_t flags = irq_save();

	uint64_t now = clock_now();

	if (!armed || deadline < armed || armed <= now) {
		uint64_t delta = deadline > now ? deadline - now : 1;

		armed = deadline;
		hypercall(LHCALL_SET_CLOCKEVENT, delta < 0xffffffff ? delta : 0xffffffff, 0, 0, 0);
	}
	irq_restore(flags);
}

/* A tick only wakes: whoever sleeps compares the time for himself, and arms the timer again if it was too early. */
static void tick(void *argument)
{
	armed = 0;
	task_tick();
	if (!scale)
		clock_arm(clock_now() + TICK);
}

void clock_cancel(void)
{
	uint32_t flags = irq_save();

	armed = 0;
	hypercall(LHCALL_SET_CLOCKEVENT, 0, 0, 0, 0);
	irq_restore(flags);
}

void clock_init(void)
{
	boot_sec = lguest_data.time_sec;
	boot_nsec = lguest_data.time_nsec;
	if (lguest_data.tsc_khz)
		scale = divide((uint64_t)1000000 << SHIFT, lguest_data.tsc_khz);
	last_tsc = read_tsc();
	irq_request(0, tick, NULL);
	if (!scale)
		clock_arm(clock_now() + TICK);
}

bool wait_until(bool (*done)(void *), void *argument, uint64_t timeout)
{
	uint64_t deadline = clock_now() + timeout;

	while (!done(argument)) {
		if (clock_now() >= deadline)
			return false;
		/* Off until HALT turns them on: an interrupt between the look and the HALT would go unnoticed. */
		irq_save();
		clock_arm(deadline);
		if (!done(argument))
			hypercall(LHCALL_HALT, 0, 0, 0, 0);
		irq_enable();
	}
	return true;
}
