/* SPDX-License-Identifier: MIT */
/*
 * kick_timer.h - a host timer that kicks the processor: a POSIX timer whose signal goes to the processor's own thread, which is the
 * cheapest way to interrupt a running guest. The handler says no more than "look around".
 */
#ifndef KENNEL_MACHINE_KICK_TIMER_H
#define KENNEL_MACHINE_KICK_TIMER_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "cpu/x86/cpu.h"
#include "host/error.h"

struct kick_timer {
	timer_t id;
	struct cpu *cpu;
	volatile bool muted;
	bool made;
};

/** kick_timer_create - a timer for @cpu, on its thread, one per thread. 0, or a negative errno and a sentence. */
int kick_timer_create(struct kick_timer *timer, struct cpu *cpu, struct error *error);

/** kick_timer_set - kick once, at @when (CLOCK_MONOTONIC, nanoseconds). Plain integer code: may run between entries to the guest. */
static inline void kick_timer_set(struct kick_timer *timer, uint64_t when)
{
	struct itimerspec at = {.it_value = {.tv_sec = (time_t)(when / 1000000000), .tv_nsec = (long)(when % 1000000000)}};

	timer_settime(timer->id, TIMER_ABSTIME, &at, NULL);
}

/**
 * kick_timer_mute - on the timer's thread: let it fire without a kick, or with one again. For a thread that sleeps with a deadline of
 * its own: the signal interrupts its system call, and a kick would be a second signal. Afterwards look at the clock.
 */
static inline void kick_timer_mute(struct kick_timer *timer, bool mute)
{
	timer->muted = mute;
}

void kick_timer_destroy(struct kick_timer *timer);

#endif
