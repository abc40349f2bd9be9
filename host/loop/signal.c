/* SPDX-License-Identifier: MIT */
/*
 * signal.c - signals have a thread that waits for them. A signalfd would need none, but whoever waits for one is woken by every
 * signal in the process, and page faults of the guest's are signals: thousands a second, each of which would wake the loop on another
 * processor.
 */
#include <errno.h>

#include "host/loop/parts.h"
#include "host/thread.h"

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
	struct loop_signal_entry *entry;
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

void signals_run(struct loop *loop)
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
		loop_wake(loop);
	}
	return NULL;
}

void signals_init(struct loop *loop)
{
	sigemptyset(&loop->signals);
	sigaddset(&loop->signals, nudge_signal());
}

int signals_start(struct loop *loop)
{
	return thread_start(&loop->signal_thread, "kennel-signals", signal_thread, loop);
}

void signals_stop(struct loop *loop)
{
	pthread_kill(loop->signal_thread, nudge_signal());
	pthread_join(loop->signal_thread, NULL);
}

void signals_give_back(struct loop *loop)
{
	for (int signo = 1; signo < _NSIG; signo++)
		if (loop->signal[signo].handler)
			loop_signal(loop, signo, NULL, NULL);
}
