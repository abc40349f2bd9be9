/* SPDX-License-Identifier: MIT */
/*
 * Disk requests by plain system calls on worker threads: for hosts that refuse io_uring, and everywhere for ranges to free or zero and
 * for writes to files.
 *
 * What is written to a file goes to its page cache, one write after the other: the file system has a lock for each file, and io_uring
 * hands such writes to a single thread of the kernel's. The writer is one thread too, but the guest's processor gives it work without
 * waking anybody while it is busy, and it reports several writes at once. So a host with two processors does a third more small random
 * writes than through io_uring.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/disk/engine.h"

#define THREADS	4
#define HOLD_NS	(150 * NSEC_PER_USEC)	/* some five writes of 4 KiB */

struct disk_workers {
	struct workers *workers;
};

ssize_t disk_perform(struct disk_request *request)
{
	ssize_t result;

	do {
		switch (request->io->op) {
		case BLOCK_READ:
			result = preadv(request->fd, request->iov, (int)disk_pieces(request), (off_t)request->offset);
			break;
		case BLOCK_WRITE:
			result = pwritev(request->fd, request->iov, (int)disk_pieces(request), (off_t)request->offset);
			break;
		case BLOCK_FLUSH:
			result = fdatasync(request->fd);
			break;
		default:
			return disk_range_run(request);
		}
	} while (result < 0 && errno == EINTR);
	return result < 0 ? -errno : result;
}

static void work(struct worker_job *job)
{
	struct disk_request *request = (struct disk_request *)((char *)job - offsetof(struct disk_request, job));

	request->result = disk_perform(request);
}

static void done(struct worker_job *job)
{
	struct disk_request *request = (struct disk_request *)((char *)job - offsetof(struct disk_request, job));

	disk_finished(request, request->result);
}

static void disk_workers_start(void *engine, struct disk_request *request)
{
	struct disk_workers *self = engine;

	request->job.work = work;
	request->job.done = done;
	if (workers_submit(self->workers, &request->job) < 0) {
		work(&request->job);	/* not one thread to be had: slow, but right */
		done(&request->job);
	}
}

static void disk_workers_drain(void *engine)
{
	struct disk_workers *self = engine;

	workers_drain(self->workers);
}

static void disk_workers_close(void *engine)
{
	struct disk_workers *self = engine;

	workers_destroy(self->workers);
	free(self);
}

static const struct disk_engine_ops disk_workers_ops = {
	.start = disk_workers_start,
	.drain = disk_workers_drain,
	.close = disk_workers_close,
};

static void *create(struct loop *loop, unsigned int threads, const struct disk_engine_ops **ops)
{
	struct disk_workers *self = calloc(1, sizeof(*self));

	if (!self)
		return NULL;
	self->workers = workers_create(loop, threads, NULL);
	if (!self->workers) {
		free(self);
		errno = ENOMEM;
		return NULL;
	}
	*ops = &disk_workers_ops;
	return self;
}

void *disk_workers_create(struct loop *loop, const struct disk_engine_ops **ops)
{
	return create(loop, THREADS, ops);
}

void *disk_writer_create(struct loop *loop, const struct disk_engine_ops **ops)
{
	struct disk_workers *self = create(loop, 1, ops);

	if (self)
		workers_hold(self->workers, HOLD_NS);
	return self;
}
