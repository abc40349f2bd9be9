/* SPDX-License-Identifier: MIT */
/*
 * timer.c - the host timer behind clock.c: a POSIX timer whose signal goes to the processor's own thread, which is the cheapest
 * way to interrupt a running guest. The handler says no more than "look around".
 *
 * It blocks all signals meanwhile: the processor's own kick must see what this one interrupted, not this handler.
 */
#include "machine/lguest/lguest.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

/* SIGEV_THREAD_ID has had no public name for this member until lately. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* The machine of this thread; NULL once it is gone, when a late signal may still come. */
static __thread struct lguest *volatile current;

static void on_timer(int signo)
{
	struct lguest *m = current;
	int saved = errno;

	if (m)
		cpu_kick(m->cpu);
	errno = saved;
}

int lguest_timer_create(struct lguest *m, struct error *error)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
	struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_ONSTACK | SA_RESTART};
	sigset_t set;

	m->clock.deadline = m->clock.retry = m->clock.armed = NEVER;
	event.sigev_notify_thread_id = gettid();
	sigfillset(&action.sa_mask);
	if (sigaction(SIGALRM, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, &m->clock.timer))
		return error_errno(error, errno, "cannot create a timer");
	m->clock.have_timer = true;
	current = m;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return 0;
}

void lguest_timer_destroy(struct lguest *m)
{
	if (m->clock.have_timer)
		timer_delete(m->clock.timer);
	m->clock.have_timer = false;
	current = NULL;
}
