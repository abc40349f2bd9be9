/* SPDX-License-Identifier: MIT */
/*
 * Disk requests through io_uring.
 *
 * It is the loop's thread that submits: the processor's thread only puts requests on a list and wakes the loop. That has three
 * reasons. Submitting may copy data and start kernel threads, which is time the guest's processor should not pay. The kernel
 * finishes some requests by interrupting the thread that submitted them; the loop's thread sleeps anyway. And requests of a thread
 * that ends are cancelled: the loop's thread lives as long as the disk. For the first reason the I/O lock is released during the
 * system call, and the submission ring has a lock of its own, taken inside the I/O lock and never held while waiting for it. The
 * completion ring is read with the I/O lock.
 *
 * drain() works the ring itself, on whatever thread calls it. When a stopped loop has left requests behind, they come back as
 * cancelled; close() drains, which starts them again.
 */
#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/disk/engine.h"
#include "host/message.h"

#define ENTRIES		64
#define RETRY_NS	(2 * NSEC_PER_MSEC)	/* the kernel had no room for us: try again after */

struct disk_uring {
	struct loop *loop;
	int event_fd;
	pthread_mutex_t ring_lock;
	struct io_uring ring;
	struct loop_watch *watch;
	struct loop_task submit_task;
	struct loop_timer retry_timer;
	struct disk_request *waiting, **last;	/* not yet in the ring */
	unsigned int in_flight;			/* in the ring, or in the kernel */
	bool closing;
};

static void prepare(struct io_uring_sqe *sqe, struct disk_request *request)
{
	switch (request->io->op) {
	case BLOCK_READ:
		io_uring_prep_readv(sqe, request->fd, request->iov, disk_pieces(request), request->offset);
		break;
	case BLOCK_WRITE:
		io_uring_prep_writev(sqe, request->fd, request->iov, disk_pieces(request), request->offset);
		break;
	default:
		io_uring_prep_fsync(sqe, request->fd, IORING_FSYNC_DATASYNC);
		break;
	}
	io_uring_sqe_set_data(sqe, request);
}

/* Move what waits into the ring, as far as there is room. */
static void fill_ring(struct disk_uring *self)
{
	struct disk_request *request;
	struct io_uring_sqe *sqe;

	while ((request = self->waiting)) {
		sqe = io_uring_get_sqe(&self->ring);
		if (!sqe)
			return;
		self->waiting = request->next;
		if (!self->waiting)
			self->last = &self->waiting;
		self->in_flight++;
		prepare(sqe, request);
	}
}

static void reap(struct disk_uring *self)
{
	struct io_uring_cqe *cqe;

	while (io_uring_peek_cqe(&self->ring, &cqe) == 0) {
		struct disk_request *request = io_uring_cqe_get_data(cqe);
		int result = cqe->res;

		io_uring_cqe_seen(&self->ring, cqe);
		self->in_flight--;
		disk_finished(request, result);
	}
}

static bool ring_has_work(struct disk_uring *self)
{
	return self->waiting || io_uring_sq_ready(&self->ring);
}

static void submit(void *opaque)
{
	struct disk_uring *self = opaque;
	int submitted;

	while (ring_has_work(self)) {
		pthread_mutex_lock(&self->ring_lock);
		fill_ring(self);
		io_unlock();
		submitted = io_uring_submit(&self->ring);
		pthread_mutex_unlock(&self->ring_lock);
		io_lock();
		if (submitted <= 0 && submitted != -EINTR) {
			/* -EAGAIN: no memory just now; -EBUSY: answers first. What is in the ring stays there. */
			message_verbose("io_uring: submit: error %d, trying again", -submitted);
			reap(self);
			loop_timer_set(self->loop, &self->retry_timer, clock_monotonic_ns() + RETRY_NS);
			return;
		}
	}
}

static void event_ready(void *opaque, uint32_t events)
{
	struct disk_uring *self = opaque;
	uint64_t count;
	ssize_t ignored = read(self->event_fd, &count, sizeof(count));

	(void)ignored;
	reap(self);
	if (ring_has_work(self))
		submit(self);
}

static void disk_uring_start(void *engine, struct disk_request *request)
{
	struct disk_uring *self = engine;

	request->next = NULL;
	*self->last = request;
	self->last = &request->next;
}

static void disk_uring_commit(void *engine)
{
	struct disk_uring *self = engine;

	if (self->waiting && !self->closing)
		loop_post(self->loop, &self->submit_task);
}

/* Requests that end here may start others, or themselves again: they join the list, and this goes on until there is nothing. */
static void disk_uring_drain(void *engine)
{
	struct disk_uring *self = engine;

	pthread_mutex_lock(&self->ring_lock);
	while (self->waiting || self->in_flight) {
		fill_ring(self);
		io_uring_submit_and_wait(&self->ring, 1);
		reap(self);
	}
	pthread_mutex_unlock(&self->ring_lock);
}

static void disk_uring_close(void *engine)
{
	struct disk_uring *self = engine;

	self->closing = true;
	loop_task_cancel(self->loop, &self->submit_task);
	loop_timer_cancel(self->loop, &self->retry_timer);
	loop_unwatch(self->watch);
	disk_uring_drain(self);
	io_uring_queue_exit(&self->ring);
	close(self->event_fd);
	pthread_mutex_destroy(&self->ring_lock);
	free(self);
}

static const struct disk_engine_ops disk_uring_ops = {
	.start = disk_uring_start,
	.commit = disk_uring_commit,
	.drain = disk_uring_drain,
	.close = disk_uring_close,
};

void *disk_uring_create(struct loop *loop, const struct disk_engine_ops **ops)
{
	struct disk_uring *self = calloc(1, sizeof(*self));
	int error;

	if (!self)
		return NULL;
	self->loop = loop;
	pthread_mutex_init(&self->ring_lock, NULL);
	self->last = &self->waiting;
	self->submit_task = (struct loop_task){ .run = submit, .opaque = self };
	self->retry_timer = (struct loop_timer){ .expired = submit, .opaque = self };
	error = io_uring_queue_init(ENTRIES, &self->ring, 0);
	if (error)
		goto no_ring;
	self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (self->event_fd < 0) {
		error = -errno;
		goto no_event;
	}
	error = io_uring_register_eventfd(&self->ring, self->event_fd);
	if (error)
		goto no_watch;
	self->watch = loop_watch(loop, self->event_fd, EPOLLIN, event_ready, self);
	if (!self->watch) {
		error = -errno;
		goto no_watch;
	}
	*ops = &disk_uring_ops;
	return self;

no_watch:
	close(self->event_fd);
no_event:
	io_uring_queue_exit(&self->ring);
no_ring:
	free(self);
	errno = -error;
	return NULL;
}
