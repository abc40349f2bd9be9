/* SPDX-License-Identifier: MIT */
/*
 * Disk requests by plain system calls on worker threads: for hosts that refuse io_uring, and for ranges to free or zero everywhere.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <unistd.h>

#include "host/disk_engine.h"

#define THREADS	4

struct disk_workers {
	struct workers *workers;
};

static void work(struct worker_job *job)
{
	struct disk_request *request = (struct disk_request *)((char *)job - offsetof(struct disk_request, job));
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
			request->result = disk_range_run(request);
			return;
		}
	} while (result < 0 && errno == EINTR);
	request->result = result < 0 ? -errno : result;
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

void *disk_workers_create(struct loop *loop, const struct disk_engine_ops **ops)
{
	struct disk_workers *self = calloc(1, sizeof(*self));

	if (!self)
		return NULL;
	self->workers = workers_create(loop, THREADS, NULL);
	if (!self->workers) {
		free(self);
		errno = ENOMEM;
		return NULL;
	}
	*ops = &disk_workers_ops;
	return self;
}
