/* SPDX-License-Identifier: MIT */
/* attribute.c - what is known of a shared file besides its contents. */
#include <errno.h>
#include <fcntl.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "host/share/tree.h"

/* Such a bit on a file means: whoever runs it on the host acts as the user who runs this guest. */
mode_t share_mode(uint32_t mode, bool directory)
{
	return mode & (directory ? 07777u : 01777u);
}

int share_readlink(struct share_backend *be, struct share_file *file, char *target, size_t size)
{
	int fd = share_node_fd(to_share(be), file->node);
	ssize_t len;

	if (fd < 0)
		return fd;
	len = readlinkat(fd, "", target, size);
	/* Of a file that is no link the host says ENOENT, there being no name. */
	if (len < 0)
		return errno == ENOENT ? -EINVAL : -errno;
	return (int)len;
}

static struct share_time time_of(const struct timespec *t)
{
	return (struct share_time){(uint64_t)t->tv_sec, (uint64_t)t->tv_nsec};
}

int share_getattr(struct share_backend *be, struct share_file *file, struct share_attr *attr)
{
	int fd = share_file_fd(to_share(be), file);
	struct stat st;

	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return -errno;
	*attr = (struct share_attr){
		.mode = st.st_mode,
		.uid = st.st_uid,
		.gid = st.st_gid,
		.nlink = st.st_nlink,
		.rdev = st.st_rdev,
		.size = (uint64_t)st.st_size,
		.blksize = (uint64_t)st.st_blksize,
		.blocks = (uint64_t)st.st_blocks,
		.atime = time_of(&st.st_atim),
		.mtime = time_of(&st.st_mtim),
		.ctime = time_of(&st.st_ctim),
	};
	share_id_of(to_share(be), &st, &attr->id);
	share_node_ends(to_share(be), file->node, attr->size, false);
	return 0;
}

/* --- changing --------------------------------------------------------------------------------------------------------- */

static int set_size(const struct share_file *file, int fd, uint64_t size)
{
	bool writable = file->fd >= 0 && (fcntl(file->fd, F_GETFL) & O_ACCMODE) != O_RDONLY;

	if (size > INT64_MAX)
		return -EFBIG;
	if (writable)
		return ftruncate(file->fd, (off_t)size) < 0 ? -errno : 0;
	return truncate(share_path_of(fd).text, (off_t)size) < 0 ? -errno : 0;
}

static int set_owner(int fd, uint32_t valid, const struct share_attr *attr)
{
	uid_t uid = valid & SHARE_SET_UID ? attr->uid : (uid_t)-1;
	gid_t gid = valid & SHARE_SET_GID ? attr->gid : (gid_t)-1;

	return fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0 && errno != EPERM ? -errno : 0;
}

static int set_mode(int fd, uint32_t mode)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	return chmod(share_path_of(fd).text, share_mode(mode, S_ISDIR(st.st_mode))) < 0 ? -errno : 0;
}

/* How one of the two times is to change. The nanoseconds' two special values are ours to use, not the guest's. */
static int wish(uint32_t valid, uint32_t change, uint32_t to_value, const struct share_time *value, struct timespec *t)
{
	if (!(valid & change))
		*t = (struct timespec){.tv_nsec = UTIME_OMIT};
	else if (!(valid & to_value))
		*t = (struct timespec){.tv_nsec = UTIME_NOW};
	else if (value->nsec > 999999999)
		return -EINVAL;
	else
		*t = (struct timespec){.tv_sec = (time_t)value->sec, .tv_nsec = (long)value->nsec};
	return 0;
}

static int set_times(int fd, uint32_t valid, const struct share_attr *attr)
{
	struct timespec times[2];
	int error = wish(valid, SHARE_SET_ATIME, SHARE_SET_ATIME_VALUE, &attr->atime, &times[0]);

	if (!error)
		error = wish(valid, SHARE_SET_MTIME, SHARE_SET_MTIME_VALUE, &attr->mtime, &times[1]);
	if (error)
		return error;
	return utimensat(AT_FDCWD, share_path_of(fd).text, times, 0) < 0 ? -errno : 0;
}

/* In this order: a new size changes the time of modification, a new owner takes bits of the mode away. */
int share_setattr(struct share_backend *be, struct share_file *file, uint32_t valid, const struct share_attr *attr)
{
	int fd = share_file_fd(to_share(be), file), error = fd < 0 ? fd : 0;

	if (!error && (valid & SHARE_SET_SIZE))
		error = set_size(file, fd, attr->size);
	if (!error && (valid & SHARE_SET_SIZE))
		share_node_ends(to_share(be), file->node, attr->size, false);
	if (!error && (valid & (SHARE_SET_UID | SHARE_SET_GID)))
		error = set_owner(fd, valid, attr);
	if (!error && (valid & SHARE_SET_MODE))
		error = set_mode(fd, attr->mode);
	if (!error && (valid & (SHARE_SET_ATIME | SHARE_SET_MTIME)))
		error = set_times(fd, valid, attr);
	return error;
}

int share_statfs(struct share_backend *be, struct share_file *file, struct share_space *space)
{
	int fd = share_file_fd(to_share(be), file);
	struct statvfs st;

	if (fd < 0)
		return fd;
	if (fstatvfs(fd, &st) < 0)
		return -errno;
	*space = (struct share_space){
		.block_size = (uint32_t)st.f_frsize,
		.name_max = (uint32_t)st.f_namemax,
		.blocks = st.f_blocks,
		.blocks_free = st.f_bfree,
		.blocks_available = st.f_bavail,
		.files = st.f_files,
		.files_free = st.f_ffree,
		.id = st.f_fsid,
	};
	return 0;
}

/* --- extended attributes ---------------------------------------------------------------------------------------------- */

int share_getxattr(struct share_backend *be, struct share_file *file, const char *name, void *value, size_t size)
{
	int fd = share_file_fd(to_share(be), file);
	struct share_path path = share_path_of(fd);
	ssize_t len;

	if (fd < 0)
		return fd;
	len = name ? getxattr(path.text, name, value, size) : listxattr(path.text, value, size);
	return len < 0 ? -errno : (int)len;
}

int share_setxattr(struct share_backend *be, struct share_file *file, const char *name, const void *value, size_t size, int flags)
{
	int fd = share_file_fd(to_share(be), file);

	if (fd < 0)
		return fd;
	return setxattr(share_path_of(fd).text, name, value, size, flags) < 0 ? -errno : 0;
}

int share_removexattr(struct share_backend *be, struct share_file *file, const char *name)
{
	int fd = share_file_fd(to_share(be), file);

	if (fd < 0)
		return fd;
	return removexattr(share_path_of(fd).text, name) < 0 ? -errno : 0;
}
