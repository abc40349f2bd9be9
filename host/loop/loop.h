/* SPDX-License-Identifier: MIT */
/*
 * loop.h - the event loop: one thread that waits for everything the host may report, and the I/O lock.
 *
 * The I/O lock is held whenever device code runs (device/backend.h). The loop takes it around the callbacks of one round and lets
 * go of it while it waits; the processor's thread takes it around a kick. It is not recursive, and nobody waits for the host while
 * holding it.
 *
 * All functions below but loop_create(), loop_start(), loop_stop(), loop_destroy(), loop_run_once() and loop_post() are called with
 * the I/O lock held (a callback has it) or while no loop thread runs. They may be called from within callbacks, for any object,
 * including the one whose callback is running.
 *
 * One round: the descriptors that are ready, in the order the kernel names them; then signals; then the timers that are due, by
 * deadline; then the tasks that were posted, by time of posting. A task posted by a task runs in the next round.
 */
#ifndef KENNEL_HOST_LOOP_LOOP_H
#define KENNEL_HOST_LOOP_LOOP_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/epoll.h>

#include "host/error.h"

struct loop;
struct loop_watch;

void io_lock(void);
void io_unlock(void);
bool io_locked(void);		/* by the calling thread: for assertions */

/*
 * Make a loop; its thread starts with loop_start(). Ignores SIGPIPE and SIGXFSZ for the whole process: a closed pipe and a file
 * size limit are errors of one write, not the end of a guest. NULL and a sentence on failure.
 */
struct loop *loop_create(struct error *err);

/* Start the thread. 0 or a negative errno and a sentence. */
int loop_start(struct loop *loop, struct error *err);

/* End the thread after the round under way, and join it. Without the I/O lock; from the loop's own thread it only asks. */
void loop_stop(struct loop *loop);

/* Free a stopped loop with all its watches. Timers and tasks belong to others. Signals taken by loop_signal() are given back. */
void loop_destroy(struct loop *loop);

/* For a loop without a thread: wait up to @timeout_ms (-1: for ever) and run one round. Takes the I/O lock itself. */
void loop_run_once(struct loop *loop, int timeout_ms);

/* True on the loop's own thread. */
bool loop_is_self(const struct loop *loop);

/* --- descriptors ----------------------------------------------------------------------------------------------------- */

/*
 * Call @ready(@opaque, events) as long as @fd has one of the EPOLL* @events (level-triggered). The descriptor stays the caller's,
 * who removes the watch before closing it. NULL with errno set on failure; EPERM: a regular file, which is always ready.
 */
struct loop_watch *loop_watch(struct loop *loop, int fd, uint32_t events, void (*ready)(void *opaque, uint32_t events), void *opaque);

/* Change what is waited for. 0 takes the descriptor out of the kernel's set, so hang-ups are not reported either. */
int loop_watch_set(struct loop_watch *watch, uint32_t events);

/* Remove and free @watch (NULL: nothing); its callback will not run again. */
void loop_unwatch(struct loop_watch *watch);

/* --- timers ---------------------------------------------------------------------------------------------------------- */

/* Embedded in its owner; zeroed but for the first two members. */
struct loop_timer {
	void (*expired)(void *opaque);
	void *opaque;
	uint64_t deadline;		/* CLOCK_MONOTONIC, ns */
	struct loop_timer *next;
	bool armed;
};

/* Run @timer once at @deadline (clock_monotonic_ns() scale), instead of any earlier setting. */
void loop_timer_set(struct loop *loop, struct loop_timer *timer, uint64_t deadline);
void loop_timer_cancel(struct loop *loop, struct loop_timer *timer);

/* --- tasks ----------------------------------------------------------------------------------------------------------- */

/* Embedded in its owner; zeroed but for the first two members. */
struct loop_task {
	void (*run)(void *opaque);
	void *opaque;
	struct loop_task *next;
	bool queued;
};

/* Run @task on the loop's thread, soon; once, however often it is posted before that. Any thread, with or without the I/O lock. */
void loop_post(struct loop *loop, struct loop_task *task);

/* Take back what has not run yet. */
void loop_task_cancel(struct loop *loop, struct loop_task *task);

/* --- signals --------------------------------------------------------------------------------------------------------- */

/*
 * Have @signo (SIGTERM, SIGWINCH, ...) call @handler on the loop instead of interrupting a thread; replaces an earlier handler. Signals
 * come once the loop's thread has started.
 * Blocks the signal in the calling thread, so call it before other threads are made, or block it there too. @handler NULL gives
 * the signal back. 0 or a negative errno.
 */
int loop_signal(struct loop *loop, int signo, void (*handler)(void *opaque, int signo), void *opaque);
bool loop_has_signal(const struct loop *loop, int signo);

#endif
