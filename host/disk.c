/* SPDX-License-Identifier: MIT */
/*
 * Disk images: what is common to all ways of moving their data. Opening, locking and sizing; the life of a request, which may need
 * several system calls (a transfer may be short, a signal may come first, a list of buffers may be longer than the kernel takes).
 *
 * Reading is tried at once with RWF_NOWAIT: that moves what is in the page cache and waits for nothing, so that a guest that
 * re-reads its disk pays one system call and no change of threads. What is not there goes to the engine.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/disk_engine.h"
#include "host/message.h"

#define SECTOR		512u
#define RETRIES		16	/* of one request, without progress */
#define AT_ONCE_MAX	(1u << 20)	/* so much is copied in the time that it takes to wake another thread and be woken */

struct disk {
	struct block_backend be;
	char *path;
	int fd;
	bool cached_reads;		/* the host knows RWF_NOWAIT for this file */
	int said;			/* the last errno that was reported to the person */
	const struct disk_engine_ops *engine_ops;
	void *engine;
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

static void request_start(struct disk_request *request)
{
	request->disk->engine_ops->start(request->disk->engine, request);
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
	if (request->io->op == BLOCK_FLUSH || (size_t)result == request_left(request)) {
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

static void disk_submit(struct block_backend *be, struct block_io *io)
{
	struct disk *disk = to_disk(be);
	struct disk_request *request;
	uint64_t total = 0;

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
	request->io = io;
	request->offset = io->offset;
	request->iov = (struct iovec *)io->iov;
	request->iov_count = io->op == BLOCK_FLUSH ? 0 : io->iov_count;
	if (io->op != BLOCK_READ && be->read_only) {
		request_end(request, io->op == BLOCK_FLUSH ? 0 : -EROFS);
		return;
	}
	for (unsigned int i = 0; i < request->iov_count; i++)
		if (__builtin_add_overflow(total, io->iov[i].len, &total))
			total = UINT64_MAX;
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

static int disk_open_file(struct disk *disk, struct stat *st, struct error *err)
{
	/* O_NONBLOCK: a FIFO of that name must not hold us up; on files and disks it means nothing. */
	disk->fd = open(disk->path, (disk->be.read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (disk->fd < 0 && errno == EISDIR)
		return error_set(err, EISDIR, "%s: is a directory, not a disk image", disk->path);
	if (disk->fd < 0 && (errno == EACCES || errno == EROFS) && !disk->be.read_only && access(disk->path, R_OK) == 0)
		return error_set(err, errno, "%s: not writable; add ',ro' to use it read-only", disk->path);
	if (disk->fd < 0)
		return error_errno(err, errno, "%s", disk->path);
	if (fstat(disk->fd, st) < 0)
		return error_errno(err, errno, "%s", disk->path);
	if (S_ISDIR(st->st_mode))
		return error_set(err, EISDIR, "%s: is a directory, not a disk image", disk->path);
	if (!S_ISREG(st->st_mode) && !S_ISBLK(st->st_mode))
		return error_set(err, EINVAL, "%s: neither a file nor a block device", disk->path);
	return 0;
}

/*
 * An OFD lock on the whole file: other tools that lock images (QEMU) respect it, and it goes when the descriptor does. Filesystems
 * without it get flock(); those without any lock get a warning.
 */
static int disk_lock(struct disk *disk, struct error *err)
{
	struct flock lock = { .l_type = disk->be.read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(disk->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES) {
		if (flock(disk->fd, (disk->be.read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK) {
			message_warn("%s: cannot be locked here (%s): see that nobody else uses it", disk->path, strerrordesc_np(errno));
			return 0;
		}
	}
	return error_set(err, EBUSY, "%s: in use by another kennel%s", disk->path,
			 disk->be.read_only ? "" : " (several may share it if all use ',ro')");
}

static int disk_measure(struct disk *disk, const struct stat *st, struct error *err)
{
	uint64_t size = (uint64_t)st->st_size;
	int block = SECTOR;

	if (S_ISBLK(st->st_mode)) {
		if (ioctl(disk->fd, BLKGETSIZE64, &size) < 0)
			return error_errno(err, errno, "%s: its size", disk->path);
		if (ioctl(disk->fd, BLKSSZGET, &block) < 0 || block < (int)SECTOR)
			block = SECTOR;
	}
	if (size < SECTOR)
		return error_set(err, EINVAL, "%s: %s", disk->path, size ? "smaller than one sector of 512 bytes" : "is empty");
	if (size % SECTOR)
		message_warn("%s: its last %u bytes fill no sector of 512 bytes; the guest does not see them", disk->path,
			     (unsigned int)(size % SECTOR));
	disk->be.size = size - size % SECTOR;
	disk->be.block_size = (uint32_t)block;
	return 0;
}

/* What the guest sees as the disk's serial number: the name's beginning, and a hash of device and inode to tell namesakes apart. */
static void disk_name(struct disk *disk, const struct stat *st)
{
	const char *slash = strrchr(disk->path, '/'), *name = slash ? slash + 1 : disk->path;
	uint64_t identity[2] = { S_ISBLK(st->st_mode) ? st->st_rdev : st->st_dev, S_ISBLK(st->st_mode) ? 0 : st->st_ino };
	uint32_t hash = 2166136261u;	/* FNV-1a */
	char *c;

	for (unsigned int i = 0; i < sizeof(identity); i++)
		hash = (hash ^ ((const unsigned char *)identity)[i]) * 16777619u;
	snprintf(disk->be.serial, sizeof(disk->be.serial), "%.11s-%08x", name, hash);
	for (c = disk->be.serial; *c; c++)
		if (*c <= ' ' || *c > '~')
			*c = '_';
}

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

struct block_backend *disk_open(struct loop *loop, const char *path, bool read_only, enum disk_engine_kind kind, struct error *err)
{
	struct disk *disk = calloc(1, sizeof(*disk));
	struct stat st;

	if (!disk || !(disk->path = strdup(path))) {
		error_errno(err, ENOMEM, "%s", path);
		free(disk);
		return NULL;
	}
	disk->fd = -1;
	disk->be.ops = &disk_ops;
	disk->be.read_only = read_only;
	disk->cached_reads = true;
	if (disk_open_file(disk, &st, err) < 0 || disk_lock(disk, err) < 0 || disk_measure(disk, &st, err) < 0 ||
	    disk_start_engine(disk, loop, kind, err) < 0) {
		disk_free(disk);
		return NULL;
	}
	disk_name(disk, &st);
	return &disk->be;
}
