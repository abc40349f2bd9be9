/* SPDX-License-Identifier: MIT */
/* parts.h - what the parts of the loop know of each other. Each part's objects are its own. See loop.h for the rules. */
#ifndef KENNEL_HOST_LOOP_PARTS_H
#define KENNEL_HOST_LOOP_PARTS_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>

#include "host/loop/loop.h"

struct loop_signal_entry {
	void (*handler)(void *opaque, int signo);
	void *opaque;
	bool was_blocked;
};

struct loop {
	int epoll_fd, wake_fd, timer_fd;
	struct loop_watch *watches, *dead;
	struct loop_watch *wake_watch, *timer_watch;
	struct loop_timer *timers;	/* sorted by deadline */
	bool timers_due;
	struct loop_signal_entry signal[_NSIG];
	_Atomic uint64_t caught;	/* signals to be handled: bit 0 is the first */

	pthread_mutex_t task_lock;	/* guards the next three; taken inside the I/O lock, never around it */
	struct loop_task *tasks, **last_task;
	sigset_t signals;		/* to wait for */

	pthread_t thread, signal_thread;
	bool started;
	atomic_bool stopping;
};

/* Make the loop's thread start a round. Any thread. */
void loop_wake(struct loop *loop);

/* --- what happens in a round, with the I/O lock ------------------------------------------------------------------------ */

/* One of the @events that the kernel has reported for @watch, which may have been removed meanwhile. */
void watch_ready(struct loop_watch *watch, uint32_t events);
void watches_free_dead(struct loop *loop);
void timerfd_ready(void *opaque, uint32_t events);
void timers_run(struct loop *loop);
void tasks_run(struct loop *loop);
void signals_run(struct loop *loop);

/* --- the thread that waits for signals --------------------------------------------------------------------------------- */

void signals_init(struct loop *loop);
int signals_start(struct loop *loop);		/* 0 or a negative errno */
void signals_stop(struct loop *loop);		/* the loop is stopping */
void signals_give_back(struct loop *loop);

#endif
