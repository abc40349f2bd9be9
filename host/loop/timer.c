/* SPDX-License-Identifier: MIT */
/* timer.c - timers: a list sorted by deadline, for there are a handful of them, and a timerfd set to the first. */
#include <sys/timerfd.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/loop/parts.h"

static void arm_timerfd(struct loop *loop)
{
	struct itimerspec when = { 0 };
	uint64_t deadline;

	if (loop->timers) {
		deadline = loop->timers->deadline ? loop->timers->deadline : 1;	/* 0 would disarm */
		when.it_value.tv_sec = (time_t)(deadline / NSEC_PER_SEC);
		when.it_value.tv_nsec = (long)(deadline % NSEC_PER_SEC);
	}
	timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &when, NULL);
}

static void timer_unlink(struct loop *loop, struct loop_timer *timer)
{
	struct loop_timer **link = &loop->timers;

	while (*link && *link != timer)
		link = &(*link)->next;
	if (*link)
		*link = timer->next;
	timer->armed = false;
}

void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline)
{
	struct loop_timer **link, *first = loop->timers;
	uint64_t before = first ? first->deadline : 0;

	if (timer->armed) {
		if (timer->deadline == deadline)
			return;
		timer_unlink(loop, timer);
	}
	timer->deadline = deadline;
	timer->armed = true;
	for (link = &loop->timers; *link && (*link)->deadline <= deadline;)
		link = &(*link)->next;
	timer->next = *link;
	*link = timer;
	if (!first || loop->timers != first || before != loop->timers->deadline)
		arm_timerfd(loop);
}

void loop_timer_cancel(struct loop *loop, struct loop_timer *timer)
{
	bool was_first = loop->timers == timer;

	if (!timer->armed)
		return;
	timer_unlink(loop, timer);
	if (was_first)
		arm_timerfd(loop);
}

void timers_run(struct loop *loop)
{
	uint64_t now = clock_monotonic_ns();
	struct loop_timer *timer;

	loop->timers_due = false;
	while ((timer = loop->timers) && timer->deadline <= now) {
		loop->timers = timer->next;
		timer->armed = false;
		timer->expired(timer->opaque);
	}
	arm_timerfd(loop);
}

void timerfd_ready(void *opaque, uint32_t events)
{
	struct loop *loop = opaque;
	uint64_t count;

	if (read(loop->timer_fd, &count, sizeof(count)) == sizeof(count))
		loop->timers_due = true;
}
