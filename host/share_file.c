/* SPDX-License-Identifier: MIT */
/* share_file.c - the contents of shared files and directories. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/share_tree.h"

#define CREATE_RETRIES 8

/* --- opening ---------------------------------------------------------------------------------------------------------- */

/* What of the guest's flags means something here. Everything else, as O_DIRECT or O_NOATIME, might be refused for no good reason. */
static int host_flags(uint32_t flags)
{
	static const int access[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR};
	int host = access[flags & SHARE_OPEN_ACCESS] | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;

	if (flags & SHARE_OPEN_TRUNCATE)
		host |= O_TRUNC;
	if (flags & SHARE_OPEN_APPEND)
		host |= O_APPEND;
	if (flags & SHARE_OPEN_DSYNC)
		host |= O_DSYNC;
	if (flags & SHARE_OPEN_SYNC)
		host |= O_SYNC;
	return host;
}

static int open_node(const struct share_node *node, uint32_t flags)
{
	struct stat st;

	if (fstat(node->fd, &st) < 0)
		return -errno;
	if (S_ISDIR(st.st_mode)) {
		int fd = flags & SHARE_OPEN_ACCESS ? (errno = EISDIR, -1) : openat(node->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		return fd < 0 ? -errno : fd;
	}
	if (flags & SHARE_OPEN_DIRECTORY)
		return -ENOTDIR;
	if (S_ISREG(st.st_mode)) {
		int fd = open(share_path_of(node->fd).text, host_flags(flags));

		return fd < 0 ? -errno : fd;
	}
	return S_ISLNK(st.st_mode) ? -ELOOP : -ENXIO;
}

int share_file_open(struct share_backend *be, struct share_file *file, uint32_t flags, struct share_id *id)
{
	int error = share_fd_reserve(), fd;

	if (error)
		return error;
	fd = open_node(file->node, flags);
	if (fd < 0) {
		share_fd_lost();
		return fd;
	}
	error = share_identify(to_share(be), fd, id);
	if (error) {
		share_fd_close(fd);
		return error;
	}
	file->fd = fd;
	return 0;
}

/* --- creating --------------------------------------------------------------------------------------------------------- */

/* A new file behind *@fd and *@node, both counted. */
static int create_new(struct share *share, struct share_node *dir, const char *name, uint32_t flags, mode_t mode, int *fd,
		      struct share_node **node)
{
	int error, path;

	/* Exclusively, so it is ours and a file, whatever else happens to that name. */
	*fd = openat(dir->fd, name, host_flags(flags & ~SHARE_OPEN_TRUNCATE) | O_CREAT | O_EXCL | O_NOFOLLOW, mode);
	if (*fd < 0)
		return -errno;
	if ((mode & share->umask) && fchmod(*fd, mode) < 0) {
		error = -errno;
		close(*fd);
		return error;
	}
	path = open(share_path_of(*fd).text, O_PATH | O_CLOEXEC);
	if (path < 0) {
		error = -errno;
		close(*fd);
		return error;
	}
	error = share_node_create(dir, name, path, node);
	if (error)
		close(*fd);
	return error;
}

static int open_existing(struct share_node *dir, const char *name, uint32_t flags, int *fd, struct share_node **node)
{
	int error;

	error = share_node_enter(dir, name, node);
	if (error)
		return error;
	*fd = open_node(*node, flags);
	if (*fd >= 0)
		return 0;
	share_node_put(*node);
	return *fd;
}

/* The name may come and go while we look. */
static int create_or_open(struct share *share, struct share_node *dir, const char *name, uint32_t flags, mode_t mode, int *fd,
			  struct share_node **node)
{
	int error;

	for (unsigned int i = 0; i < CREATE_RETRIES; i++) {
		error = share_fd_reserve();	/* for the node; open_existing() has its own */
		if (error)
			return error;
		error = create_new(share, dir, name, flags, mode, fd, node);
		if (!error)
			return 0;
		share_fd_lost();
		if (error != -EEXIST || (flags & SHARE_OPEN_EXCLUSIVE))
			return error;
		error = open_existing(dir, name, flags, fd, node);
		if (error != -ENOENT)
			return error;
	}
	return error;
}

int share_file_create(struct share_backend *be, struct share_file *dir, const char *name, uint32_t flags, uint32_t mode, struct share_id *id)
{
	struct share *share = to_share(be);
	struct share_node *node;
	int error = share_fd_reserve(), fd;

	if (error)
		return error;
	error = create_or_open(share, dir->node, name, flags, share_mode(mode, false), &fd, &node);
	if (error) {
		share_fd_lost();
		return error;
	}
	error = share_identify(share, fd, id);
	if (error) {
		share_fd_close(fd);
		share_node_put(node);
		return error;
	}
	share_node_put(dir->node);
	dir->node = node;
	dir->fd = fd;
	return 0;
}

/* --- reading and writing ---------------------------------------------------------------------------------------------- */

_Static_assert(sizeof(struct virtio_iov) == sizeof(struct iovec) && offsetof(struct virtio_iov, base) == offsetof(struct iovec, iov_base) &&
	       offsetof(struct virtio_iov, len) == offsetof(struct iovec, iov_len), "virtio_iov is iovec by another name");

int64_t share_file_read(struct share_backend *be, struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count)
{
	ssize_t got;

	if (offset > INT64_MAX)
		return -EINVAL;
	do
		got = preadv(file->fd, (const struct iovec *)iov, (int)count, (off_t)offset);
	while (got < 0 && errno == EINTR);
	return got < 0 ? -errno : got;
}

int64_t share_file_write(struct share_backend *be, struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count)
{
	ssize_t put;

	if (offset > INT64_MAX)
		return -EFBIG;
	do
		put = pwritev(file->fd, (const struct iovec *)iov, (int)count, (off_t)offset);
	while (put < 0 && errno == EINTR);
	return put < 0 ? -errno : put;
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
	struct stat st;

	if (offset > INT64_MAX)
		return -EINVAL;
	if (fstat(dir->fd, &st) < 0)
		return -errno;
	/* From the beginning means: as it is now. */
	if (l->file != dir || l->offset != offset || !offset)
		l->file = NULL;
	for (;;) {
		const struct dirent64 *d;
		struct share_entry entry;

		if (!l->file || l->at == l->end) {
			ssize_t got = list(l, dir, offset);

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
		l->at += d->d_reclen;
		l->offset = offset = (uint64_t)d->d_off;
	}
}
