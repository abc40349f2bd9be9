/* SPDX-License-Identifier: MIT */
/*
 * workers.h - a few threads for calls that may wait for the host and have no asynchronous form.
 *
 * A job's work() runs on a worker without the I/O lock; then its done() runs on the loop's thread with it. Threads are started when
 * there is more work than idle threads, up to the limit given.
 *
 * Waking the loop for each job costs as much as a small job does. workers_hold() lets jobs that have run wait for those behind them.
 */
#ifndef KENNEL_HOST_WORKERS_H
#define KENNEL_HOST_WORKERS_H

#include "host/loop/loop.h"

struct workers;

/* Embedded in its owner, who keeps it until done() is called. */
struct worker_job {
	void (*work)(struct worker_job *job);
	void (*done)(struct worker_job *job);
	struct worker_job *next;
};

/* NULL and a sentence on failure. */
struct workers *workers_create(struct loop *loop, unsigned int limit, struct error *err);

/*
 * While jobs wait for a worker, report those that have run together: the first of them at most @ns late, or when the job that is running
 * then ends. 0, as it is at first: each at once.
 */
void workers_hold(struct workers *workers, uint64_t ns);

/* Has every job that was submitted run? Those that have may not have been reported yet. */
bool workers_rest(struct workers *workers);

/* Queue @job. Never waits. -EAGAIN if not even one thread could be started; then nothing of the job runs. */
int workers_submit(struct workers *workers, struct worker_job *job);

/*
 * Wait until every job has run and every done() has been called, from within if need be; also the jobs that those submit. With the
 * I/O lock, or with the loop stopped.
 */
void workers_drain(struct workers *workers);

/* Wait until every job has run, call the done() that remain, end the threads. The loop is stopped, or is the caller. */
void workers_destroy(struct workers *workers);

#endif
