/* SPDX-License-Identifier: MIT */
/*
 * engine.h - between disk.c, which knows requests, and the two ways to carry them out: uring.c and disk/workers.c; and what
 * these three leave to image.c and range.c.
 */
#ifndef KENNEL_HOST_DISK_ENGINE_H
#define KENNEL_HOST_DISK_ENGINE_H

#include <sys/uio.h>

#include "host/disk/disk.h"
#include "host/workers.h"

struct disk;

/* One block_io on its way. What is still to be moved is @offset and @iov; both advance after a short transfer. */
struct disk_request {
	struct disk *disk;
	int fd;
	bool device;			/* what @fd is: a block device, not a file */
	struct block_io *io;
	uint64_t offset;
	struct iovec *iov;		/* the device's own until the first short transfer, then @copy */
	struct iovec *copy;		/* allocated; NULL if never short */
	unsigned int iov_count;
	unsigned int retries;
	struct disk_request *next;	/* in the pool, or in an engine's list */
	struct worker_job job;		/* for disk/workers.c */
	ssize_t result;
};

struct disk_engine_ops {
	void (*start)(void *engine, struct disk_request *request);	/* take it; ends in disk_finished() */
	void (*commit)(void *engine);					/* get going; may be NULL */
	void (*drain)(void *engine);					/* returns when all that was started has ended */
	void (*close)(void *engine);					/* drain, free the engine; the loop is stopped */
};

/*
 * Open and lock the image at @path, read-only or not as @be says. Its descriptor, with @be's size, block_size and serial filled in, and
 * in @device whether it is a block device; or -1 and a sentence.
 */
int disk_image_open(struct block_backend *be, const char *path, bool *device, struct error *err);

/* What can be done with ranges of @fd, which may be written: sets @be's zeroes and discard_unit. */
void disk_range_probe(struct block_backend *be, int fd, bool device);

/* Carry out a BLOCK_DISCARD or BLOCK_ZERO, which may take long. 0 or a negative errno. On any thread. */
int disk_range_run(const struct disk_request *request);

/* Carry out a request of any kind, here and now. Bytes moved or a negative errno, as for disk_finished(). On any thread. */
ssize_t disk_perform(struct disk_request *request);

/* The host's answer to @request: bytes moved (0 if it moves none) or a negative errno. With the I/O lock. May start it again. */
void disk_finished(struct disk_request *request, ssize_t result);

/* One preadv/pwritev holds at most IOV_MAX pieces; disk_finished() continues with the rest. */
unsigned int disk_pieces(const struct disk_request *request);

/* Set @ops and return an engine, or NULL with errno set. */
void *disk_uring_create(struct loop *loop, const struct disk_engine_ops **ops);
void *disk_workers_create(struct loop *loop, const struct disk_engine_ops **ops);
void *disk_writer_create(struct loop *loop, const struct disk_engine_ops **ops);	/* one thread, for writes to a file */

#endif
