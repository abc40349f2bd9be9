/* SPDX-License-Identifier: MIT */
/* The handler blocks all signals meanwhile: the processor's own kick must see what this one interrupted, not this handler. */
#include "machine/kick_timer.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

/* SIGEV_THREAD_ID has had no public name for this member until lately. */
#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

/* The timer of this thread; NULL once it is gone, when a late signal may still come. */
static __thread struct kick_timer *volatile current;

static void on_timer(int signo)
{
	struct kick_timer *timer = current;
	int saved = errno;

	if (timer && !timer->muted)
		cpu_kick(timer->cpu);
	errno = saved;
}

int kick_timer_create(struct kick_timer *timer, struct cpu *cpu, struct error *error)
{
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGALRM};
	struct sigaction action = {.sa_handler = on_timer, .sa_flags = SA_ONSTACK | SA_RESTART};
	sigset_t set;

	event.sigev_notify_thread_id = gettid();
	sigfillset(&action.sa_mask);
	if (sigaction(SIGALRM, &action, NULL) || timer_create(CLOCK_MONOTONIC, &event, &timer->id))
		return error_errno(error, errno, "cannot create a timer");
	timer->made = true;
	timer->cpu = cpu;
	current = timer;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return 0;
}

void kick_timer_destroy(struct kick_timer *timer)
{
	if (timer->made)
		timer_delete(timer->id);
	timer->made = false;
	current = NULL;
}
