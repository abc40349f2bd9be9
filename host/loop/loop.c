/* SPDX-License-Identifier: MIT */
/*
 * loop.c - the event loop: rounds, and the thread that runs them. Two kernel objects serve it beside the watched descriptors: an
 * eventfd that wakes it (posted tasks, signals, a request to stop), and a timerfd set to the earliest deadline. What a round consists
 * of has a file each: watch.c, signal.c, timer.c, task.c.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host/loop/parts.h"
#include "host/thread.h"

#define BATCH	32	/* descriptors of one round */

void loop_wake(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t ignored = write(loop->wake_fd, &one, sizeof(one));

	(void)ignored;		/* full means awake */
}

static void wakefd_ready(void *opaque, uint32_t events)
{
	struct loop *loop = opaque;
	uint64_t count;
	ssize_t ignored = read(loop->wake_fd, &count, sizeof(count));

	(void)ignored;
}

void loop_run_once(struct loop *loop, int timeout_ms)
{
	struct epoll_event ready[BATCH];
	int count = epoll_wait(loop->epoll_fd, ready, BATCH, timeout_ms);

	io_lock();
	for (int i = 0; i < count; i++)
		watch_ready(ready[i].data.ptr, ready[i].events);
	signals_run(loop);
	if (loop->timers_due)
		timers_run(loop);
	tasks_run(loop);
	watches_free_dead(loop);
	io_unlock();
}

static void *loop_thread(void *opaque)
{
	struct loop *loop = opaque;

	while (!atomic_load_explicit(&loop->stopping, memory_order_acquire))	/* pairs with loop_stop()'s release */
		loop_run_once(loop, -1);
	return NULL;
}

static struct loop *loop_abandon(struct loop *loop, struct error *err, const char *what)
{
	error_errno(err, errno, "event loop: %s", what);
	loop_destroy(loop);
	return NULL;
}

struct loop *loop_create(struct error *err)
{
	struct loop *loop = calloc(1, sizeof(*loop));

	if (!loop) {
		error_errno(err, ENOMEM, "event loop");
		return NULL;
	}
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	pthread_mutex_init(&loop->task_lock, NULL);
	loop->last_task = &loop->tasks;
	signals_init(loop);
	loop->wake_fd = loop->timer_fd = -1;

	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (loop->epoll_fd < 0)
		return loop_abandon(loop, err, "epoll");
	loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	loop->wake_watch = loop->wake_fd < 0 ? NULL : loop_watch(loop, loop->wake_fd, EPOLLIN, wakefd_ready, loop);
	if (!loop->wake_watch)
		return loop_abandon(loop, err, "eventfd");
	loop->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	loop->timer_watch = loop->timer_fd < 0 ? NULL : loop_watch(loop, loop->timer_fd, EPOLLIN, timerfd_ready, loop);
	if (!loop->timer_watch)
		return loop_abandon(loop, err, "timerfd");
	return loop;
}

static void end_loop_thread(struct loop *loop)
{
	atomic_store_explicit(&loop->stopping, true, memory_order_release);
	loop_wake(loop);
	pthread_join(loop->thread, NULL);
}

int loop_start(struct loop *loop, struct error *err)
{
	int error;

	atomic_store(&loop->stopping, false);
	error = thread_start(&loop->thread, "kennel-io", loop_thread, loop);
	if (error)
		return thread_refused(err, error);
	error = signals_start(loop);
	if (error) {
		end_loop_thread(loop);
		return thread_refused(err, error);
	}
	loop->started = true;
	return 0;
}

bool loop_is_self(const struct loop *loop)
{
	return loop->started && pthread_equal(pthread_self(), loop->thread);
}

void loop_stop(struct loop *loop)
{
	if (!loop->started)
		return;
	if (loop_is_self(loop)) {
		atomic_store_explicit(&loop->stopping, true, memory_order_release);
		loop_wake(loop);
		return;
	}
	end_loop_thread(loop);
	signals_stop(loop);
	loop->started = false;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

void loop_destroy(struct loop *loop)
{
	if (!loop)
		return;
	assert(!loop->started);
	signals_give_back(loop);
	while (loop->watches)
		loop_unwatch(loop->watches);
	watches_free_dead(loop);
	close_if_open(loop->wake_fd);
	close_if_open(loop->timer_fd);
	close_if_open(loop->epoll_fd);
	pthread_mutex_destroy(&loop->task_lock);
	free(loop);
}
