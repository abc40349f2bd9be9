/* SPDX-License-Identifier: MIT */
/*
 * file.c - the contents of shared files and directories.
 *
 * Appending. A guest asks for O_APPEND when it opens, and does not tell us when fcntl() takes that away later; it is the guest's own
 * kernel that then gives each write its place: where it believes the file to end, or anywhere else. Had we only that place, a line that
 * the host, or another guest, has appended meanwhile would be written over, for a guest asks for the size of a file now and then and not
 * before each write. So we keep what it believes, the last size that it was told or has made: a write that begins there, through a file
 * that was opened for appending, goes to where the file ends now; every other goes where it says.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/share/tree.h"

#define CREATE_RETRIES 8

/* --- opening ---------------------------------------------------------------------------------------------------------- */

/* What of the guest's flags means something here. Everything else, as O_DIRECT or O_NOATIME, might be refused for no good reason. */
static int host_flags(uint32_t flags)
{
	static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};
	int host = access[flags & SHARE_OPEN_ACCESS] | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	if (flags & SHARE_OPEN_TRUNCATE)
		host |= O_TRUNC;
	if (flags & SHARE_OPEN_DSYNC)
		host |= O_DSYNC;
	if (flags & SHARE_OPEN_SYNC)
		host |= O_SYNC;
	return host;
}

/* Open what @node stands for. A descriptor, not yet counted, or a negative errno. */
static int open_node(struct share *share, struct share_node *node, uint32_t flags)
{
	int path = share_node_fd(share, node), fd;
	struct stat st;

	if (path < 0)
		return path;
	if (fstat(path, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode)) {
		if (flags & SHARE_OPEN_ACCESS)
			return -EISDIR;
		fd = openat(path, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		return fd < 0 ? -errno : fd;
	}
	if (flags & SHARE_OPEN_DIRECTORY)
		return -ENOTDIR;
	if (S_ISREG(st.st_mode)) {
		fd = open(share_path_of(path).text, host_flags(flags));
		/* A file that can only be appended to, on the host: there every write is one. */
		if (fd < 0 && errno == EPERM && (flags & SHARE_OPEN_APPEND))
			fd = open(share_path_of(path).text, host_flags(flags) | O_APPEND);
		if (fd >= 0 && (flags & SHARE_OPEN_TRUNCATE))
			share_node_ends(share, node, 0, false);
		return fd < 0 ? -errno : fd;
	}
	return S_ISLNK(st.st_mode) ? -ELOOP : -ENXIO;
}

/* Have @file be open as @fd, for which there is room. It is closed if that fails. */
static int opened(struct share *share, struct share_file *file, int fd, uint32_t flags, struct share_id *id)
{
	int error;

	file->fd = fd;
	file->append = flags & SHARE_OPEN_APPEND;
	error = share_identify(share, fd, id);
	if (error)
		share_file_close(file);
	return error;
}

int share_file_open(struct share_backend *be, struct share_file *file, uint32_t flags, struct share_id *id)
{
	struct share *share = to_share(be);
	int fd, error = share_file_reserve(share);

	if (error)
		return error;
	fd = open_node(share, file->node, flags);
	if (fd >= 0)
		return opened(share, file, fd, flags, id);
	share_file_lost();
	return fd;
}

/* --- creating --------------------------------------------------------------------------------------------------------- */

/* The mode that was asked for, whatever the host's umask has taken from it; and the file's node. */
static int furnish(struct share *share, struct share_node *dir, const char *name, mode_t mode, int fd, struct share_node **node)
{
	int path;

	if ((mode & share->umask) && fchmod(fd, mode) < 0)
		return -errno;
	path = open(share_path_of(fd).text, O_PATH | O_CLOEXEC);
	return path < 0 ? -errno : share_node_create(share, dir, name, path, node);
}

/* Exclusively, so it is ours and a file, whatever else happens to that name. */
static int create_new(struct share *share, struct share_node *dir, const char *name, uint32_t flags, mode_t mode, struct share_node **node)
{
	int at = share_node_fd(share, dir), fd, error;

	if (at < 0)
		return at;
	fd = openat(at, name, host_flags(flags & ~SHARE_OPEN_TRUNCATE) | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
	if (fd < 0)
		return -errno;
	error = furnish(share, dir, name, mode, fd, node);
	if (error)
		close(fd);
	return error ? error : fd;
}

static int open_existing(struct share *share, struct share_node *dir, const char *name, uint32_t flags, struct share_node **node)
{
	int error = share_node_enter(share, dir, name, node), fd;

	if (error)
		return error;
	fd = open_node(share, *node, flags);
	if (fd < 0)
		share_node_put(share, *node);
	return fd;
}

/* The name may come and go while we look. A descriptor, or a negative errno. */
static int create_or_open(struct share *share, struct share_node *dir, const char *name, uint32_t flags, mode_t mode,
			  struct share_node **node)
{
	int fd = -ENOENT;

	for (unsigned int i = 0; i < CREATE_RETRIES; i++) {
		fd = create_new(share, dir, name, flags, mode, node);
		if (fd != -EEXIST || (flags & SHARE_OPEN_EXCLUSIVE))
			return fd;
		fd = open_existing(share, dir, name, flags, node);
		if (fd != -ENOENT)
			return fd;
	}
	return fd;
}

int share_file_create(struct share_backend *be, struct share_file *dir, const char *name, uint32_t flags, uint32_t mode, struct share_id *id)
{
	struct share *share = to_share(be);
	struct share_node *node, *old = dir->node;
	int fd, error = share_file_reserve(share);

	if (error)
		return error;
	fd = create_or_open(share, old, name, flags, share_mode(mode, false), &node);
	if (fd < 0) {
		share_file_lost();
		return fd;
	}
	error = opened(share, dir, fd, flags, id);
	if (!error)
		dir->node = node;
	share_node_put(share, error ? node : old);
	return error;
}

/* --- reading and writing ---------------------------------------------------------------------------------------------- */

_Static_assert(sizeof(struct virtio_iov) == sizeof(struct iovec) && offsetof(struct virtio_iov, base) == offsetof(struct iovec, iov_base) &&
	       offsetof(struct virtio_iov, len) == offsetof(struct iovec, iov_len), "virtio_iov is iovec by another name");

/* What the page cache has of it, if that is all: to the last byte that was asked for, or to the end of the file. */
static int64_t read_cached(const struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count)
{
	ssize_t got = preadv2(file->fd, (const struct iovec *)iov, (int)count, (off_t)offset, RWF_NOWAIT);
	struct stat st;

	if (got < 0)
		return -EAGAIN;
	/* Of less than there is the guest would think that it is all. */
	if ((uint64_t)got < virtio_iov_length(iov, count) && (fstat(file->fd, &st) < 0 || offset + (uint64_t)got < (uint64_t)st.st_size))
		return -EAGAIN;
	return got;
}

int64_t share_file_read(struct share_backend *be, struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count)
{
	ssize_t got;

	if (offset > INT64_MAX)
		return -EINVAL;
	if (share_may_wait(to_share(be), file->node))
		return -EAGAIN;
	if (to_share(be)->now)
		return read_cached(file, offset, iov, count);
	do
		got = preadv(file->fd, (const struct iovec *)iov, (int)count, (off_t)offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

/* Before Linux 4.16, and in sandboxes that have an older kernel's calls, appending is not one step. */
static ssize_t append(const struct share_file *file, const struct virtio_iov *iov, unsigned int count)
{
	ssize_t put = pwritev2(file->fd, (const struct iovec *)iov, (int)count, 0, RWF_APPEND);
	struct stat st;

	if (put >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
		return put;
	if (fstat(file->fd, &st) < 0)
		return -1;
	return pwritev(file->fd, (const struct iovec *)iov, (int)count, st.st_size);
}

int64_t share_file_write(struct share_backend *be, struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count)
{
	bool at_end = file->append && offset == file->node->end;
	ssize_t put;

	if (offset > INT64_MAX)
		return -EFBIG;
	do
		put = at_end ? append(file, iov, count) : pwritev(file->fd, (const struct iovec *)iov, (int)count, (off_t)offset);
	while (put < 0 && errno == EINTR);
	if (put < 0)
		return -errno;
	share_node_ends(to_share(be), file->node, offset + (uint64_t)put, true);
	return put;
}

int share_file_sync(struct share_backend *be, struct share_file *file, bool data_only)
{
	return (data_only ? fdatasync(file->fd) : fsync(file->fd)) < 0 ? -errno : 0;
}

/* --- directories ------------------------------------------------------------------------------------------------------ */

static uint8_t type_of(unsigned char dt)
{
	return dt == DT_DIR ? SHARE_DIRECTORY : dt == DT_LNK ? SHARE_SYMLINK : SHARE_FILE;
}

/* Fill the listing with what follows @offset. The bytes, 0 at the end, or a negative errno. */
static ssize_t list(struct share_listing *l, const struct share_file *dir, uint64_t offset)
{
	ssize_t got;

	l->file = NULL;
	if (lseek(dir->fd, (off_t)offset, SEEK_SET) < 0)
		return -errno;
	got = getdents64(dir->fd, l->bytes, sizeof(l->bytes));
	if (got < 0)
		return -errno;
	l->file = dir;
	l->offset = offset;
	l->at = 0;
	l->end = (size_t)got;
	return got;
}

/* The guest need not know what is above the root. */
static bool leads_out(const struct share_file *dir, const struct dirent64 *d)
{
	return !dir->node->parent && !strcmp(d->d_name, "..");
}

int share_readdir(struct share_backend *be, struct share_file *dir, uint64_t offset,
		  bool (*add)(void *opaque, const struct share_entry *entry), void *opaque)
{
	struct share *share = to_share(be);
	struct share_listing *l = &share->listing;
	bool added = false;
	struct stat st;

	if (offset > INT64_MAX)
		return -EINVAL;
	if (share_may_wait(share, dir->node))
		return -EAGAIN;
	if (fstat(dir->fd, &st) < 0)
		return -errno;
	/* From the beginning means: as it is now. */
	if (l->file != dir || l->offset != offset || !offset)
		l->file = NULL;
	for (;;) {
		const struct dirent64 *d;
		struct share_entry entry;

		if (!l->file || l->at == l->end) {
			ssize_t got;

			if (share->now)
				return added ? 0 : -EAGAIN;
			got = list(l, dir, offset);
			if (got <= 0)
				return (int)got;
		}
		d = (const struct dirent64 *)(const void *)(l->bytes + l->at);
		entry = (struct share_entry){
			.id = {.path = share_id_path(share, st.st_dev, leads_out(dir, d) ? st.st_ino : d->d_ino), .type = type_of(d->d_type)},
			.next = (uint64_t)d->d_off,
			.type = d->d_type,
			.name = d->d_name,
		};
		if (!add(opaque, &entry))
			return 0;
		added = true;
		l->at += d->d_reclen;
		l->offset = offset = (uint64_t)d->d_off;
	}
}
