/* SPDX-License-Identifier: MIT */
/*
 * clock.c - the one-shot timer and the wall clock.
 *
 * The guest moves its timer thousands of times a second, mostly forwards, and mostly right before it halts. So setting it is a
 * store. A halted guest needs no timer: its sleep has a deadline. Only when the guest is about to run and nothing would stop it
 * in time is the host's timer set, and it is never set back: a signal that comes too early finds nothing due, and the next
 * entry arms anew.
 *
 * Times are CLOCK_MONOTONIC, so that setting the host's clock neither fires nor delays a tick (lguest-pitfalls, D3).
 */
#include "machine/lguest/lguest.h"

#include <time.h>

static const uint64_t second = 1000000000;

uint64_t lguest_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * second + (uint64_t)t.tv_nsec;
}

void lguest_clock_set(struct lguest *m, uint32_t nanoseconds)
{
	/* Neither cancelling nor setting takes back a tick that is pending already (D1). */
	m->clock.deadline = nanoseconds ? lguest_now() + nanoseconds : NEVER;
}

void lguest_clock_retry(struct lguest *m, uint64_t nanoseconds)
{
	if (m->clock.retry == NEVER)
		m->clock.retry = lguest_now() + nanoseconds;
}

void lguest_clock_poll(struct lguest *m)
{
	struct lguest_clock *c = &m->clock;
	uint64_t now;

	if (c->deadline == NEVER && c->retry == NEVER && c->armed == NEVER)
		return;
	now = lguest_now();
	if (c->armed <= now)
		c->armed = NEVER;
	if (c->retry <= now)
		c->retry = NEVER;
	if (c->deadline <= now) {
		c->deadline = NEVER;
		atomic_fetch_or(&m->pending, 1u << IRQ_TIMER);
	}
}

void lguest_clock_arm(struct lguest *m)
{
	struct lguest_clock *c = &m->clock;
	uint64_t when = c->deadline < c->retry ? c->deadline : c->retry;

	c->armed = when;
	kick_timer_set(&c->timer, when);
}

void lguest_clock_tell(struct lguest *m)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	m->shared.time[0] = (uint32_t)t.tv_sec;
	m->shared.time[1] = (uint32_t)t.tv_nsec;
}
