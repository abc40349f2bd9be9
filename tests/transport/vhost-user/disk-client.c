/* SPDX-License-Identifier: MIT */
/*
 * disk-client.c - our disk driver as a program: drives whatever vhost-user back end listens on a socket.
 *
 *	disk-client SOCKET info			capacity and features
 *	disk-client SOCKET dump FILE		copy the disk into a file
 *	disk-client SOCKET load FILE		copy a file onto the disk, and flush
 *	disk-client SOCKET halve		zero the first quarter of the disk, in its place, and free the third
 *	disk-client SOCKET random SECONDS	4 KiB random reads, 32 at a time; prints how many a second
 *	disk-client SOCKET patient SECONDS	reads and writes, and connects anew whenever the back end goes; prints how often
 *
 * Status 0; 1 and a sentence when the back end cannot be used or went away.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <transport/vhost-user/frontend.h>
#include <virtio/driver-block.h>

#define MEMORY	(8u << 20)
#define DEPTH	32
#define PIECE	(64u << 10)
#define BLOCK	4096u

/* What the driver needs in shared memory. */
struct shared {
	struct virtio_block disk;
	struct virtio_block_request request[DEPTH];
	uint8_t data[DEPTH][BLOCK] __attribute__((aligned(BLOCK)));
	uint8_t piece[PIECE] __attribute__((aligned(BLOCK)));
};

static struct vhost_user_memory memory;
static struct vhost_user_frontend fe;
static struct shared *shared;
static uint64_t seed = 1;

static int fail(const char *what, int error)
{
	fprintf(stderr, "disk-client: %s: %s%s%s\n", what, strerror(-error), fe.error ? "; " : "", fe.error ? fe.error : "");
	return 1;
}

static uint64_t random_below(uint64_t limit)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (seed >> 24) % limit;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int open_disk(const char *path)
{
	int error = vhost_user_connect(&fe, &memory, path, NULL);

	memset(&shared->disk, 0, sizeof(shared->disk));
	return error ? error : virtio_block_probe(&shared->disk, &fe.vdev);
}

static void close_disk(void)
{
	if (shared->disk.vdev)
		virtio_block_remove(&shared->disk);
	vhost_user_disconnect(&fe);
}

static int info(void)
{
	printf("sectors %llu, block size %u, features %#llx, protocol %#llx%s\n", (unsigned long long)shared->disk.capacity,
	       shared->disk.block_size, (unsigned long long)fe.vdev.features, (unsigned long long)fe.protocol_features,
	       shared->disk.read_only ? ", read-only" : "");
	return 0;
}

/* --- whole disks ------------------------------------------------------------------------------------------------------ */

static int dump(int fd)
{
	uint64_t size = shared->disk.capacity * VIRTIO_BLOCK_SECTOR;

	for (uint64_t at = 0; at < size; at += PIECE) {
		size_t len = size - at < PIECE ? (size_t)(size - at) : PIECE;
		int error = virtio_block_read(&shared->disk, at / VIRTIO_BLOCK_SECTOR, shared->piece, len);

		if (error)
			return fail("read", error);
		if (write(fd, shared->piece, len) != (ssize_t)len)
			return fail("file", -errno);
	}
	return 0;
}

static int load(int fd)
{
	uint64_t sector = 0;
	ssize_t len;
	int error;

	while ((len = read(fd, shared->piece, PIECE)) > 0) {
		error = virtio_block_write(&shared->disk, sector, shared->piece, (size_t)len);
		if (error)
			return fail("write", error);
		sector += (uint64_t)len / VIRTIO_BLOCK_SECTOR;
	}
	error = virtio_block_flush(&shared->disk);
	return error ? fail("flush", error) : 0;
}

static int halve(void)
{
	uint64_t quarter = shared->disk.capacity / 4;
	int error = virtio_block_write_zeroes(&shared->disk, 0, quarter, false);

	if (!error)
		error = virtio_block_discard(&shared->disk, 2 * quarter, quarter);
	return error ? fail("ranges", error) : 0;
}

/* --- many requests ---------------------------------------------------------------------------------------------------- */

static int submit(unsigned int i, uint32_t type)
{
	struct virtio_iov data = { shared->data[i], BLOCK };
	uint64_t blocks = shared->disk.capacity * VIRTIO_BLOCK_SECTOR / BLOCK;

	return virtio_block_submit(&shared->disk, &shared->request[i], type, random_below(blocks) * (BLOCK / VIRTIO_BLOCK_SECTOR), &data, 1);
}

/* Submit again whatever has finished. Requests, or a negative error. */
static long refill(bool writes)
{
	long count = 0;

	for (unsigned int i = 0; i < DEPTH; i++) {
		int error = shared->request[i].error;

		if (!shared->request[i].finished)
			continue;
		if (!error)
			error = submit(i, writes && random_below(4) == 0 ? VIRTIO_BLOCK_T_OUT : VIRTIO_BLOCK_T_IN);
		if (error)
			return error;
		count++;
	}
	virtio_sync(shared->disk.queue);
	return count;
}

/* Keep DEPTH requests going until @end. Requests done, or a negative error. */
static long keep_going(double end, bool writes)
{
	long total = 0, count;
	int error;

	for (unsigned int i = 0; i < DEPTH; i++) {
		memset(&shared->request[i], 0, sizeof(shared->request[i]));
		shared->request[i].finished = true;
	}
	while (now() < end) {
		count = refill(writes);
		if (count < 0)
			return count;
		total += count;
		error = vhost_user_wait(&fe, 1000);
		if (error < 0)
			return error;
	}
	return total - DEPTH;
}

static int measure(double seconds)
{
	double begin = now();
	long count = keep_going(begin + seconds, false);

	if (count < 0)
		return fail("random read", (int)count);
	printf("%.0f\n", (double)count / (now() - begin));
	return 0;
}

static int patient(const char *path, double seconds)
{
	double end = now() + seconds;
	unsigned long connections = 0, done = 0;

	while (now() < end) {
		long count;
		int error = open_disk(path);

		if (!error) {
			connections++;
			count = keep_going(end, true);
			done += count > 0 ? (unsigned long)count : 0;
		}
		close_disk();
		usleep(2000);
	}
	printf("connections %lu, last requests %lu\n", connections, done);
	return connections ? 0 : 1;
}

static int with_file(const char *path, int flags, int (*copy)(int fd))
{
	int fd = open(path, flags | O_CLOEXEC, 0644), status;

	if (fd < 0)
		return fail(path, -errno);
	status = copy(fd);
	close(fd);
	return status;
}

static int command(const char *path, const char *name, const char *argument)
{
	int error;

	if (!strcmp(name, "patient"))
		return patient(path, atof(argument));
	error = open_disk(path);
	if (error)
		return fail(path, error);
	if (!strcmp(name, "info"))
		return info();
	if (!strcmp(name, "dump"))
		return with_file(argument, O_WRONLY | O_CREAT | O_TRUNC, dump);
	if (!strcmp(name, "load"))
		return with_file(argument, O_RDONLY, load);
	if (!strcmp(name, "halve"))
		return halve();
	return measure(atof(argument));
}

int main(int argc, char **argv)
{
	int error, status;

	if (argc < 3)
		return fail("usage: disk-client SOCKET info|dump|load|halve|random|patient [FILE|SECONDS]", -EINVAL);
	error = vhost_user_memory_create(&memory, MEMORY);
	if (error)
		return fail("memory", error);
	shared = vhost_user_memory_alloc(&memory, sizeof(*shared), BLOCK);
	status = command(argv[1], argv[2], argc > 3 ? argv[3] : "1");
	close_disk();
	vhost_user_memory_destroy(&memory);
	return status;
}
