/* SPDX-License-Identifier: MIT */
/*
 * Disk images: what is common to all ways of moving their data. That is the life of a request, which may need
 * several system calls (a transfer may be short, a signal may come first, a list of buffers may be longer than the kernel takes).
 *
 * Reading is tried at once with RWF_NOWAIT: that moves what is in the page cache and waits for nothing, so that a guest that
 * re-reads its disk pays one system call and no change of threads. What is not there goes to the engine.
 *
 * Freeing and zeroing ranges has threads of its own: io_uring cannot do it to block devices, and does it to files on threads, too. So
 * has writing to files (disk/workers.c says why).
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/disk/engine.h"
#include "host/message.h"

#define RETRIES		16	/* of one request, without progress */
#define AT_ONCE_MAX	(1u << 20)	/* so much is copied in the time that it takes to wake another thread and be woken */

/* Who carries out what, in the order in which they are drained: the end of a range or of a write may begin a flush. */
enum role { RANGES, WRITES, REST, ROLES };

struct engine {
	const struct disk_engine_ops *ops;
	void *self;		/* NULL: there is none */
};

struct disk {
	struct block_backend be;
	char *path;
	int fd;
	bool device;			/* no file but a block device */
	bool cached_reads;		/* the host knows RWF_NOWAIT for this file */
	int said;			/* the last errno that was reported to the person */
	struct engine engine[ROLES];	/* no RANGES, no WRITES: read-only; no WRITES: the rest's engine writes too */
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
	const struct engine *engine = request->disk->engine;
	enum block_op op = request->io->op;
	enum role role = is_range(op) ? RANGES : op == BLOCK_WRITE && engine[WRITES].self ? WRITES : REST;

	engine[role].ops->start(engine[role].self, request);
}

static void commit(struct disk *disk)
{
	const struct engine *rest = &disk->engine[REST];

	if (rest->ops->commit)
		rest->ops->commit(rest->self);
}

static void request_start_now(struct disk_request *request)
{
	request_start(request);
	commit(request->disk);
}

/*
 * io_uring has kernel threads of its own for what it cannot do at once, and they count as the user's: where there is a limit on these, it
 * may never get round to a request. The last time is ours, here and now: slow, but right.
 */
static void retry(struct disk_request *request)
{
	if (request->retries++ < RETRIES) {
		request_start_now(request);
	} else if (request->retries == RETRIES + 1) {
		message_verbose("%s: asynchronous I/O does not get round to a request (is there a limit on processes? ulimit -u)",
				request->disk->path);
		disk_finished(request, disk_perform(request));
	} else {
		request_fail(request, -EIO);
	}
}

void disk_finished(struct disk_request *request, ssize_t result)
{
	if (result == -EINTR || result == -EAGAIN || result == -ECANCELED) {
		retry(request);
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
	commit(to_disk(be));
}

static void disk_drain(struct block_backend *be)
{
	const struct engine *engine = to_disk(be)->engine;

	for (enum role role = RANGES; role < ROLES; role++)
		if (engine[role].self)
			engine[role].ops->drain(engine[role].self);
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

	for (enum role role = RANGES; role < ROLES; role++)
		if (disk->engine[role].self)
			disk->engine[role].ops->close(disk->engine[role].self);
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
	struct engine *rest = &disk->engine[REST];

	if (kind != DISK_WORKERS)
		rest->self = disk_uring_create(loop, &rest->ops);
	if (!rest->self && kind == DISK_AUTO)
		message_verbose("%s: no io_uring here (%s); using threads", disk->path, strerrordesc_np(errno));
	if (!rest->self && kind != DISK_URING)
		rest->self = disk_workers_create(loop, &rest->ops);
	if (!rest->self)
		return error_errno(err, errno, "%s: cannot start asynchronous I/O", disk->path);
	return 0;
}

/* What a host cannot do with ranges is not offered; a guest does without. */
static void disk_start_changes(struct disk *disk, struct loop *loop, enum disk_engine_kind kind)
{
	struct engine *ranges = &disk->engine[RANGES], *writes = &disk->engine[WRITES];

	if (disk->be.read_only)
		return;
	ranges->self = disk_workers_create(loop, &ranges->ops);
	if (ranges->self)
		disk_range_probe(&disk->be, disk->fd, disk->device);
	if (!disk->device && kind != DISK_URING)
		writes->self = disk_writer_create(loop, &writes->ops);
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
	disk_start_changes(disk, loop, kind);
	return &disk->be;
}
