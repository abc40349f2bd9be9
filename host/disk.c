/* SPDX-License-Identifier: MIT */
/*
 * Disk images: what is common to all ways of moving their data. That is the life of a request, which may need
 * several system calls (a transfer may be short, a signal may come first, a list of buffers may be longer than the kernel takes).
 *
 * Reading is tried at once with RWF_NOWAIT: that moves what is in the page cache and waits for nothing, so that a guest that
 * re-reads its disk pays one system call and no change of threads. What is not there goes to the engine.
 *
 * Freeing and zeroing ranges has threads of its own: io_uring cannot do it to block devices, and does it to files on threads, too.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/disk_engine.h"
#include "host/message.h"

#define RETRIES		16	/* of one request, without progress */
#define AT_ONCE_MAX	(1u << 20)	/* so much is copied in the time that it takes to wake another thread and be woken */

struct disk {
	struct block_backend be;
	char *path;
	int fd;
	bool device;			/* no file but a block device */
	bool cached_reads;		/* the host knows RWF_NOWAIT for this file */
	int said;			/* the last errno that was reported to the person */
	const struct disk_engine_ops *engine_ops, *range_ops;
	void *engine, *range_engine;	/* the second for ranges; NULL if read-only */
	struct disk_request *pool;
};

static struct disk *to_disk(struct block_backend *be)
{
	return (struct disk *)be;
}

/* --- requests -------------------------------------------------------------------------------------------------------- */

static struct disk_request *request_get(struct disk *disk)
{
	struct disk_request *request = disk->pool;

	if (request)
		disk->pool = request->next;
	else
		request = malloc(sizeof(*request));
	if (request)
		memset(request, 0, sizeof(*request));
	return request;
}

static void request_end(struct disk_request *request, int error)
{
	struct disk *disk = request->disk;
	struct block_io *io = request->io;

	free(request->copy);
	request->next = disk->pool;
	disk->pool = request;
	io->done(io, error);
}

/* The host's fault: tell the person too, but not a thousand times. */
static void request_fail(struct disk_request *request, int error)
{
	struct disk *disk = request->disk;

	if (error != disk->said) {
		message_warn("%s: %s (the guest sees an I/O error)", disk->path, strerrordesc_np(-error) ?: "unknown error");
		disk->said = error;
	}
	request_end(request, error);
}

unsigned int disk_pieces(const struct disk_request *request)
{
	return request->iov_count < IOV_MAX ? request->iov_count : IOV_MAX;
}

/* Step over @moved bytes. True if something is left to do. */
static bool request_advance(struct disk_request *request, size_t moved)
{
	request->offset += moved;
	while (request->iov_count && moved >= request->iov->iov_len) {
		moved -= request->iov->iov_len;
		request->iov++;
		request->iov_count--;
	}
	if (!request->iov_count)
		return false;
	if (moved) {
		request->iov->iov_base = (char *)request->iov->iov_base + moved;
		request->iov->iov_len -= moved;
	}
	return true;
}

/* The buffers are the device's: before changing their list we make our own. */
static bool request_own_iov(struct disk_request *request)
{
	if (request->copy)
		return true;
	request->copy = malloc(request->iov_count * sizeof(*request->copy));
	if (!request->copy)
		return false;
	memcpy(request->copy, request->iov, request->iov_count * sizeof(*request->copy));
	request->iov = request->copy;
	return true;
}

static size_t request_left(const struct disk_request *request)
{
	size_t left = 0;

	for (unsigned int i = 0; i < request->iov_count; i++)
		left += request->iov[i].iov_len;
	return left;
}

static bool is_range(enum block_op op)
{
	return op == BLOCK_DISCARD || op == BLOCK_ZERO;
}

static void request_start(struct disk_request *request)
{
	struct disk *disk = request->disk;

	if (is_range(request->io->op))
		disk->range_ops->start(disk->range_engine, request);
	else
		disk->engine_ops->start(disk->engine, request);
}

static void request_start_now(struct disk_request *request)
{
	struct disk *disk = request->disk;

	request_start(request);
	if (disk->engine_ops->commit)
		disk->engine_ops->commit(disk->engine);
}

void disk_finished(struct disk_request *request, ssize_t result)
{
	if (result == -EINTR || result == -EAGAIN || result == -ECANCELED) {
		if (request->retries++ < RETRIES)
			request_start_now(request);
		else
			request_fail(request, -EIO);
		return;
	}
	if (result < 0) {
		request_fail(request, (int)result);
		return;
	}
	if ((size_t)result == request_left(request)) {
		request_end(request, 0);
		return;
	}
	/* Nothing moved: the image has shrunk under us. */
	if (!result) {
		request_fail(request, -EIO);
		return;
	}
	request->retries = 0;
	if (!request_own_iov(request))
		request_fail(request, -ENOMEM);
	else if (request_advance(request, (size_t)result))
		request_start_now(request);
	else
		request_end(request, 0);
}

/* Take what the page cache holds. True if the request is answered. */
static bool read_at_once(struct disk *disk, struct disk_request *request, size_t total)
{
	ssize_t got;

	if (!disk->cached_reads || total > AT_ONCE_MAX || request->iov_count > IOV_MAX)
		return false;
	got = preadv2(disk->fd, request->iov, (int)request->iov_count, (off_t)request->offset, RWF_NOWAIT);
	if (got < 0) {
		if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL)
			disk->cached_reads = false;
		return false;	/* whatever it is, the engine will find out again */
	}
	if ((size_t)got == total) {
		request_end(request, 0);
		return true;
	}
	if (got && request_own_iov(request))
		request_advance(request, (size_t)got);
	return false;
}

static bool moves_data(enum block_op op)
{
	return op == BLOCK_READ || op == BLOCK_WRITE;
}

/* Bytes of the disk that it is about; the sum of what a guest says may be anything. */
static uint64_t request_extent(const struct disk_request *request)
{
	uint64_t total = is_range(request->io->op) ? request->io->length : 0;

	for (unsigned int i = 0; i < request->iov_count; i++)
		if (__builtin_add_overflow(total, request->iov[i].iov_len, &total))
			total = UINT64_MAX;
	return total;
}

static void disk_submit(struct block_backend *be, struct block_io *io)
{
	struct disk *disk = to_disk(be);
	struct disk_request *request;
	uint64_t total;

	_Static_assert(sizeof(struct virtio_iov) == sizeof(struct iovec) &&
		       offsetof(struct virtio_iov, base) == offsetof(struct iovec, iov_base) &&
		       offsetof(struct virtio_iov, len) == offsetof(struct iovec, iov_len), "virtio_iov is iovec by another name");

	request = request_get(disk);
	if (!request) {
		io->done(io, -ENOMEM);
		return;
	}
	request->disk = disk;
	request->fd = disk->fd;
	request->device = disk->device;
	request->io = io;
	request->offset = io->offset;
	request->iov = (struct iovec *)io->iov;
	request->iov_count = moves_data(io->op) ? io->iov_count : 0;
	if (io->op != BLOCK_READ && be->read_only) {
		request_end(request, io->op == BLOCK_FLUSH ? 0 : -EROFS);
		return;
	}
	total = request_extent(request);
	if (io->op != BLOCK_FLUSH) {
		if (io->offset > be->size || total > be->size - io->offset) {
			request_end(request, -EIO);
			return;
		}
		if (!total) {
			request_end(request, 0);
			return;
		}
		if (io->op == BLOCK_READ && read_at_once(disk, request, total))
			return;
	}
	request_start(request);
}

static void disk_commit(struct block_backend *be)
{
	struct disk *disk = to_disk(be);

	if (disk->engine_ops->commit)
		disk->engine_ops->commit(disk->engine);
}

static void disk_drain(struct block_backend *be)
{
	struct disk *disk = to_disk(be);

	/* The end of a range may begin a flush. */
	if (disk->range_engine)
		disk->range_ops->drain(disk->range_engine);
	disk->engine_ops->drain(disk->engine);
}

static void disk_free(struct disk *disk)
{
	struct disk_request *request;

	while ((request = disk->pool)) {
		disk->pool = request->next;
		free(request);
	}
	if (disk->fd >= 0)
		close(disk->fd);
	free(disk->path);
	free(disk);
}

static void disk_close(struct block_backend *be)
{
	struct disk *disk = to_disk(be);

	if (disk->range_engine)
		disk->range_ops->close(disk->range_engine);
	disk->engine_ops->close(disk->engine);
	disk_free(disk);
}

static const struct block_backend_ops disk_ops = {
	.submit = disk_submit,
	.commit = disk_commit,
	.drain = disk_drain,
	.close = disk_close,
};

/* --- opening --------------------------------------------------------------------------------------------------------- */

static int disk_start_engine(struct disk *disk, struct loop *loop, enum disk_engine_kind kind, struct error *err)
{
	if (kind != DISK_WORKERS)
		disk->engine = disk_uring_create(loop, &disk->engine_ops);
	if (!disk->engine && kind == DISK_AUTO)
		message_verbose("%s: no io_uring here (%s); using threads", disk->path, strerrordesc_np(errno));
	if (!disk->engine && kind != DISK_URING)
		disk->engine = disk_workers_create(loop, &disk->engine_ops);
	if (!disk->engine)
		return error_errno(err, errno, "%s: cannot start asynchronous I/O", disk->path);
	return 0;
}

/* What a host cannot do with ranges is not offered; a guest does without. */
static void disk_start_ranges(struct disk *disk, struct loop *loop)
{
	if (!disk->be.read_only)
		disk->range_engine = disk_workers_create(loop, &disk->range_ops);
	if (disk->range_engine)
		disk_range_probe(&disk->be, disk->fd, disk->device);
}

struct block_backend *disk_open(struct loop *loop, const char *path, bool read_only, enum disk_engine_kind kind, struct error *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));

	if (!disk || !(disk->path = strdup(path))) {
		error_errno(err, ENOMEM, "%s", path);
		free(disk);
		return NULL;
	}
	disk->be.ops = &disk_ops;
	disk->be.read_only = read_only;
	disk->cached_reads = true;
	disk->fd = disk_image_open(&disk->be, path, &disk->device, err);
	if (disk->fd < 0 || disk_start_engine(disk, loop, kind, err) < 0) {
		disk_free(disk);
		return NULL;
	}
	disk_start_ranges(disk, loop);
	return &disk->be;
}
