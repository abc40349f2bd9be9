/* SPDX-License-Identifier: MIT */
/*
 * Ranges of a disk that are freed or zeroed.
 *
 * Files and block devices know the same three things by different calls: to forget a range, to make it read as zeroes without storing
 * any, and to make it read as zeroes and keep its place. What is not known, or not for a range with such ends (EINVAL: a device of larger
 * sectors), is done by the next means: zeroes can always be written, and what nobody needs any more may as well stay.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/disk/engine.h"

static int punch(int fd, uint64_t offset, uint64_t length)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
}

static int forget(int fd, bool device, uint64_t offset, uint64_t length)
{
	return device ? ioctl(fd, BLKDISCARD, (uint64_t[2]){ offset, length }) : punch(fd, offset, length);
}

static int write_zeroes(int fd, uint64_t offset, uint64_t length)
{
	static const char zeroes[65536];

	while (length) {
		ssize_t written = pwrite(fd, zeroes, length < sizeof(zeroes) ? length : sizeof(zeroes), (off_t)offset);

		if (written < 0 && errno != EINTR)
			return -1;
		if (written > 0) {
			offset += (uint64_t)written;
			length -= (uint64_t)written;
		}
	}
	return 0;
}

/* Has the last call failed because the host does not do this here? */
static bool unknown(int ret)
{
	return ret < 0 && (errno == EOPNOTSUPP || errno == EINVAL || errno == ENOSYS || errno == ENOTTY);
}

static int discard(int fd, bool device, uint64_t offset, uint64_t length)
{
	int ret = forget(fd, device, offset, length);

	return unknown(ret) ? 0 : ret;
}

static int zero(int fd, bool unmap, uint64_t offset, uint64_t length)
{
	int ret = unmap ? punch(fd, offset, length) : -1;

	if (!unmap || unknown(ret))
		ret = fallocate(fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)length);
	return unknown(ret) ? write_zeroes(fd, offset, length) : ret;
}

int disk_range_run(const struct disk_request *request)
{
	const struct block_io *io = request->io;
	int ret;

	do {
		ret = io->op == BLOCK_DISCARD ? discard(request->fd, request->device, io->offset, io->length) :
						zero(request->fd, io->unmap, io->offset, io->length);
	} while (ret < 0 && errno == EINTR);
	return ret < 0 ? -errno : 0;
}

/* Bytes that the file system, or the device itself, frees at a time: a hint. */
static uint32_t unit_of(const struct block_backend *be, int fd, bool device)
{
	unsigned int unit = 0;
	struct stat st;

	if (device)
		unit = ioctl(fd, BLKPBSZGET, &unit) < 0 ? 0 : unit;
	else
		unit = fstat(fd, &st) < 0 ? 0 : (unsigned int)st.st_blksize;
	return unit >= be->block_size && unit % be->block_size == 0 ? unit : be->block_size;
}

/* Asked for ranges where nothing can happen: behind the file's end, or of a device with a beginning that is no sector's (EINVAL). */
void disk_range_probe(struct block_backend *be, int fd, bool device)
{
	uint32_t unit = unit_of(be, fd, device);
	int ret = forget(fd, device, device ? 1 : (be->size + unit) / unit * unit, unit);

	be->zeroes = true;
	be->discard_unit = ret < 0 && errno != EINVAL ? 0 : unit;
}
