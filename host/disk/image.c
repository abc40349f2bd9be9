/* SPDX-License-Identifier: MIT */
/* What is at a path: whether it will do as a disk, whether nobody else uses it, how large it is, and what to call it. */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/disk/engine.h"
#include "host/message.h"

#define SECTOR		512u

struct image {
	struct block_backend *be;	/* read_only says what is wanted; the rest is filled in */
	const char *path;
	int fd;
	struct stat st;
};

static int image_open_file(struct image *image, struct error *err)
{
	/* O_NONBLOCK: a FIFO of that name must not hold us up; on files and disks it means nothing. */
	image->fd = open(image->path, (image->be->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NONBLOCK);
	if (image->fd < 0 && errno == EISDIR)
		return error_set(err, EISDIR, "%s: is a directory, not a disk image", image->path);
	if (image->fd < 0 && (errno == EACCES || errno == EROFS) && !image->be->read_only && access(image->path, R_OK) == 0)
		return error_set(err, errno, "%s: not writable; add ',ro' to use it read-only", image->path);
	if (image->fd < 0)
		return error_errno(err, errno, "%s", image->path);
	if (fstat(image->fd, &image->st) < 0)
		return error_errno(err, errno, "%s", image->path);
	if (S_ISDIR(image->st.st_mode))
		return error_set(err, EISDIR, "%s: is a directory, not a disk image", image->path);
	if (!S_ISREG(image->st.st_mode) && !S_ISBLK(image->st.st_mode))
		return error_set(err, EINVAL, "%s: neither a file nor a block device", image->path);
	return 0;
}

/*
 * An OFD lock on the whole file: other tools that lock images (QEMU) respect it, and it goes when the descriptor does. Filesystems
 * without it get flock(); those without any lock get a warning.
 */
static int image_lock(const struct image *image, struct error *err)
{
	struct flock lock = { .l_type = image->be->read_only ? F_RDLCK : F_WRLCK, .l_whence = SEEK_SET };

	if (fcntl(image->fd, F_OFD_SETLK, &lock) == 0)
		return 0;
	if (errno != EAGAIN && errno != EACCES) {
		if (flock(image->fd, (image->be->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0)
			return 0;
		if (errno != EWOULDBLOCK) {
			message_warn("%s: cannot be locked here (%s): see that nobody else uses it", image->path, strerrordesc_np(errno));
			return 0;
		}
	}
	return error_set(err, EBUSY, "%s: in use by another kennel%s", image->path,
			 image->be->read_only ? "" : " (several may share it if all use ',ro')");
}

static int image_measure(const struct image *image, struct error *err)
{
	uint64_t size = (uint64_t)image->st.st_size;
	int block = SECTOR;

	if (S_ISBLK(image->st.st_mode)) {
		if (ioctl(image->fd, BLKGETSIZE64, &size) < 0)
			return error_errno(err, errno, "%s: its size", image->path);
		if (ioctl(image->fd, BLKSSZGET, &block) < 0 || block < (int)SECTOR)
			block = SECTOR;
	}
	if (size < SECTOR)
		return error_set(err, EINVAL, "%s: %s", image->path, size ? "smaller than one sector of 512 bytes" : "is empty");
	if (size % SECTOR)
		message_warn("%s: its last %u bytes fill no sector of 512 bytes; the guest does not see them", image->path,
			     (unsigned int)(size % SECTOR));
	image->be->size = size - size % SECTOR;
	image->be->block_size = (uint32_t)block;
	return 0;
}

/* What the guest sees as the disk's serial number: the name's beginning, and a hash of device and inode to tell namesakes apart. */
static void image_name(const struct image *image)
{
	const char *slash = strrchr(image->path, '/'), *name = slash ? slash + 1 : image->path;
	uint64_t identity[2] = { S_ISBLK(image->st.st_mode) ? image->st.st_rdev : image->st.st_dev, S_ISBLK(image->st.st_mode) ? 0 : image->st.st_ino };
	uint32_t hash = 2166136261u;	/* FNV-1a */
	char *c;

	for (unsigned int i = 0; i < sizeof(identity); i++)
		hash = (hash ^ ((const unsigned char *)identity)[i]) * 16777619u;
	snprintf(image->be->serial, sizeof(image->be->serial), "%.11s-%08x", name, hash);
	for (c = image->be->serial; *c; c++)
		if (*c <= ' ' || *c > '~')
			*c = '_';
}

int disk_image_open(struct block_backend *be, const char *path, bool *device, struct error *err)
{
	struct image image = { .be = be, .path = path };

	if (image_open_file(&image, err) < 0 || image_lock(&image, err) < 0 || image_measure(&image, err) < 0) {
		if (image.fd >= 0)
			close(image.fd);
		return -1;
	}
	image_name(&image);
	*device = S_ISBLK(image.st.st_mode);
	return image.fd;
}
