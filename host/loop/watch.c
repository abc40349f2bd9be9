/* SPDX-License-Identifier: MIT */
/*
 * watch.c - descriptors that the loop waits for.
 *
 * What needs care is that a watch may be removed while the kernel has already named it: by another callback of the same round, or
 * by the processor's thread between epoll_wait() and the lock. So a removed watch is only marked dead and put aside; the loop frees
 * the dead at the end of a round, when no list of ready descriptors can name them any more.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "host/loop/parts.h"

struct loop_watch {
	struct loop *loop;
	int fd;
	uint32_t events;		/* 0: not in the kernel's set */
	bool dead;
	void (*ready)(void *opaque, uint32_t events);
	void *opaque;
	struct loop_watch *prev, *next;	/* among the living, or (next only) among the dead */
};

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

void watches_free_dead(struct loop *loop)
{
	struct loop_watch *watch;

	while ((watch = loop->dead)) {
		loop->dead = watch->next;
		free(watch);
	}
}

void watch_ready(struct loop_watch *watch, uint32_t events)
{
	/* An event that an earlier callback of this round has lost interest in is not delivered. */
	if (!watch->dead && watch->events && events & (watch->events | EPOLLERR | EPOLLHUP))
		watch->ready(watch->opaque, events);
}
