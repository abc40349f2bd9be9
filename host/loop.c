/* SPDX-License-Identifier: MIT */
/*
 * The event loop. Two kernel objects serve it beside the watched descriptors: an eventfd that wakes it (posted tasks, signals, a
 * request to stop), and a timerfd set to the earliest deadline. Timers are a sorted list: there are a handful of them.
 *
 * Signals have a thread that waits for them. A signalfd would need none, but whoever waits for one is woken by every signal in the
 * process, and page faults of the guest's are signals: thousands a second, each of which would wake the loop on another processor.
 *
 * What needs care is that a watch may be removed while the kernel has already named it: by another callback of the same round, or
 * by the processor's thread between epoll_wait() and the lock. So a removed watch is only marked dead and put aside; the loop frees
 * the dead at the end of a round, when no list of ready descriptors can name them any more.
 */
#include "host/loop.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/thread.h"

#define BATCH	32	/* descriptors of one round */

struct loop_watch {
	struct loop *loop;
	int fd;
	uint32_t events;		/* 0: not in the kernel's set */
	bool dead;
	void (*ready)(void *opaque, uint32_t events);
	void *opaque;
	struct loop_watch *prev, *next;	/* among the living, or (next only) among the dead */
};

struct signal_entry {
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
	struct signal_entry signal[_NSIG];
	_Atomic uint64_t caught;	/* signals to be handled: bit 0 is the first */

	pthread_mutex_t task_lock;	/* guards the next three; taken inside the I/O lock, never around it */
	struct loop_task *tasks, **last_task;
	sigset_t signals;		/* to wait for */

	pthread_t thread, signal_thread;
	bool started;
	atomic_bool stopping;
};

/* --- the I/O lock ---------------------------------------------------------------------------------------------------- */

static pthread_mutex_t io_mutex = PTHREAD_ADAPTIVE_MUTEX_INITIALIZER_NP;
static _Thread_local bool io_held;

void io_lock(void)
{
	assert(!io_held);
	pthread_mutex_lock(&io_mutex);
	io_held = true;
}

void io_unlock(void)
{
	assert(io_held);
	io_held = false;
	pthread_mutex_unlock(&io_mutex);
}

bool io_locked(void)
{
	return io_held;
}

/* --- descriptors ----------------------------------------------------------------------------------------------------- */

static int watch_control(struct loop_watch *watch, int operation, uint32_t events)
{
	struct epoll_event event = { .events = events, .data.ptr = watch };

	return epoll_ctl(watch->loop->epoll_fd, operation, watch->fd, &event) ? -errno : 0;
}

struct loop_watch *loop_watch(struct loop *loop, int fd, uint32_t events, void (*ready)(void *opaque, uint32_t events), void *opaque)
{
	struct loop_watch *watch = calloc(1, sizeof(*watch));
	int error;

	if (!watch)
		return NULL;
	watch->loop = loop;
	watch->fd = fd;
	watch->ready = ready;
	watch->opaque = opaque;
	error = loop_watch_set(watch, events);
	if (error) {
		free(watch);
		errno = -error;
		return NULL;
	}
	watch->next = loop->watches;
	if (watch->next)
		watch->next->prev = watch;
	loop->watches = watch;
	return watch;
}

int loop_watch_set(struct loop_watch *watch, uint32_t events)
{
	int error = 0;

	if (events == watch->events)
		return 0;
	if (!events)
		error = watch_control(watch, EPOLL_CTL_DEL, 0);
	else if (!watch->events)
		error = watch_control(watch, EPOLL_CTL_ADD, events);
	else
		error = watch_control(watch, EPOLL_CTL_MOD, events);
	if (!error)
		watch->events = events;
	return error;
}

void loop_unwatch(struct loop_watch *watch)
{
	struct loop *loop;

	if (!watch)
		return;
	loop = watch->loop;
	assert(!watch->dead);
	if (watch->events)
		watch_control(watch, EPOLL_CTL_DEL, 0);
	watch->dead = true;
	if (watch->prev)
		watch->prev->next = watch->next;
	else
		loop->watches = watch->next;
	if (watch->next)
		watch->next->prev = watch->prev;
	watch->next = loop->dead;
	loop->dead = watch;
}

static void free_dead(struct loop *loop)
{
	struct loop_watch *watch;

	while ((watch = loop->dead)) {
		loop->dead = watch->next;
		free(watch);
	}
}

/* --- timers ---------------------------------------------------------------------------------------------------------- */

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

static void run_timers(struct loop *loop)
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

static void timerfd_ready(void *opaque, uint32_t events)
{
	struct loop *loop = opaque;
	uint64_t count;

	if (read(loop->timer_fd, &count, sizeof(count)) == sizeof(count))
		loop->timers_due = true;
}

/* --- tasks ----------------------------------------------------------------------------------------------------------- */

static void wake(struct loop *loop)
{
	uint64_t one = 1;
	ssize_t ignored = write(loop->wake_fd, &one, sizeof(one));

	(void)ignored;		/* full means awake */
}

void loop_post(struct loop *loop, struct loop_task *task)
{
	bool was_empty = false;

	pthread_mutex_lock(&loop->task_lock);
	if (!task->queued) {
		was_empty = !loop->tasks;
		task->queued = true;
		task->next = NULL;
		*loop->last_task = task;
		loop->last_task = &task->next;
	}
	pthread_mutex_unlock(&loop->task_lock);
	if (was_empty)
		wake(loop);
}

void loop_task_cancel(struct loop *loop, struct loop_task *task)
{
	struct loop_task **link;

	pthread_mutex_lock(&loop->task_lock);
	for (link = &loop->tasks; *link && *link != task;)
		link = &(*link)->next;
	if (*link) {
		*link = task->next;
		if (loop->last_task == &task->next)
			loop->last_task = link;
		task->queued = false;
	}
	pthread_mutex_unlock(&loop->task_lock);
}

static struct loop_task *take_task(struct loop *loop)
{
	struct loop_task *task;

	pthread_mutex_lock(&loop->task_lock);
	task = loop->tasks;
	if (task) {
		loop->tasks = task->next;
		if (!loop->tasks)
			loop->last_task = &loop->tasks;
		task->queued = false;
	}
	pthread_mutex_unlock(&loop->task_lock);
	return task;
}

/* Marks the end of this round's tasks: what is posted behind it waits for the next one. */
static void end_of_round(void *opaque)
{
	*(bool *)opaque = true;
}

static void run_tasks(struct loop *loop)
{
	bool reached = false, more;
	struct loop_task end = { .run = end_of_round, .opaque = &reached }, *task;

	pthread_mutex_lock(&loop->task_lock);
	if (!loop->tasks) {
		pthread_mutex_unlock(&loop->task_lock);
		return;
	}
	end.queued = true;
	*loop->last_task = &end;
	loop->last_task = &end.next;
	pthread_mutex_unlock(&loop->task_lock);

	while (!reached) {
		task = take_task(loop);
		task->run(task->opaque);
	}
	/* Posts during the round may have found the list not empty, and so have left the waking to us. */
	pthread_mutex_lock(&loop->task_lock);
	more = loop->tasks != NULL;
	pthread_mutex_unlock(&loop->task_lock);
	if (more)
		wake(loop);
}

static void wakefd_ready(void *opaque, uint32_t events)
{
	struct loop *loop = opaque;
	uint64_t count;
	ssize_t ignored = read(loop->wake_fd, &count, sizeof(count));

	(void)ignored;
}

/* --- signals --------------------------------------------------------------------------------------------------------- */

/* Sent to the thread that waits, when it is to wait for others. */
static int nudge_signal(void)
{
	return SIGRTMIN + 5;
}

static void change_signals(struct loop *loop, int signo, bool wait)
{
	pthread_mutex_lock(&loop->task_lock);
	if (wait)
		sigaddset(&loop->signals, signo);
	else
		sigdelset(&loop->signals, signo);
	pthread_mutex_unlock(&loop->task_lock);
	if (loop->started)
		pthread_kill(loop->signal_thread, nudge_signal());
}

int loop_signal(struct loop *loop, int signo, void (*handler)(void *opaque, int signo), void *opaque)
{
	struct signal_entry *entry;
	sigset_t one, before;

	if (signo <= 0 || signo >= _NSIG)
		return -EINVAL;
	entry = &loop->signal[signo];
	sigemptyset(&one);
	sigaddset(&one, signo);
	if (handler && !entry->handler) {
		pthread_sigmask(SIG_BLOCK, &one, &before);
		entry->was_blocked = sigismember(&before, signo);
		change_signals(loop, signo, true);
	} else if (!handler && entry->handler) {
		change_signals(loop, signo, false);
		if (!entry->was_blocked)
			pthread_sigmask(SIG_UNBLOCK, &one, NULL);
	}
	entry->handler = handler;
	entry->opaque = opaque;
	return 0;
}

bool loop_has_signal(const struct loop *loop, int signo)
{
	return signo > 0 && signo < _NSIG && loop->signal[signo].handler;
}

static void run_signals(struct loop *loop)
{
	uint64_t caught = atomic_exchange(&loop->caught, 0);

	for (; caught; caught &= caught - 1) {
		int signo = __builtin_ctzll(caught) + 1;

		if (loop_has_signal(loop, signo))
			loop->signal[signo].handler(loop->signal[signo].opaque, signo);
	}
}

static void *signal_thread(void *opaque)
{
	struct loop *loop = opaque;

	while (!atomic_load_explicit(&loop->stopping, memory_order_acquire)) {
		sigset_t wanted;
		int signo;

		pthread_mutex_lock(&loop->task_lock);
		wanted = loop->signals;
		pthread_mutex_unlock(&loop->task_lock);
		signo = sigwaitinfo(&wanted, NULL);
		if (signo <= 0 || signo == nudge_signal())
			continue;
		atomic_fetch_or(&loop->caught, 1ull << (signo - 1));
		wake(loop);
	}
	return NULL;
}

/* --- the loop -------------------------------------------------------------------------------------------------------- */

void loop_run_once(struct loop *loop, int timeout_ms)
{
	struct epoll_event ready[BATCH];
	int count = epoll_wait(loop->epoll_fd, ready, BATCH, timeout_ms);

	io_lock();
	for (int i = 0; i < count; i++) {
		struct loop_watch *watch = ready[i].data.ptr;

		/* An event that an earlier callback of this round has lost interest in is not delivered. */
		if (!watch->dead && watch->events && ready[i].events & (watch->events | EPOLLERR | EPOLLHUP))
			watch->ready(watch->opaque, ready[i].events);
	}
	run_signals(loop);
	if (loop->timers_due)
		run_timers(loop);
	run_tasks(loop);
	free_dead(loop);
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
	sigemptyset(&loop->signals);
	sigaddset(&loop->signals, nudge_signal());
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
	wake(loop);
	pthread_join(loop->thread, NULL);
}

int loop_start(struct loop *loop, struct error *err)
{
	int error;

	atomic_store(&loop->stopping, false);
	error = thread_start(&loop->thread, "kennel-io", loop_thread, loop);
	if (error)
		return error_errno(err, -error, "event loop: thread");
	error = thread_start(&loop->signal_thread, "kennel-signals", signal_thread, loop);
	if (error) {
		end_loop_thread(loop);
		return error_errno(err, -error, "event loop: thread for signals");
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
		wake(loop);
		return;
	}
	end_loop_thread(loop);
	pthread_kill(loop->signal_thread, nudge_signal());
	pthread_join(loop->signal_thread, NULL);
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
	for (int signo = 1; signo < _NSIG; signo++)
		if (loop->signal[signo].handler)
			loop_signal(loop, signo, NULL, NULL);
	while (loop->watches)
		loop_unwatch(loop->watches);
	free_dead(loop);
	close_if_open(loop->wake_fd);
	close_if_open(loop->timer_fd);
	close_if_open(loop->epoll_fd);
	pthread_mutex_destroy(&loop->task_lock);
	free(loop);
}
