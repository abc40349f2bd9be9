/* SPDX-License-Identifier: MIT */
/* disk.c - the command `disk`: look at, write to and check a virtio disk. */
#include "pup.h"
#include "device.h"

#define SECTOR  VIRTIO_BLOCK_SECTOR
#define CHUNK   (64 * 1024u)	/* bytes of one request in a check */
#define BATCH   8		/* requests under way at once */

static uint8_t buffers[BATCH][CHUNK];
static struct virtio_block_request requests[BATCH];

static void list(void)
{
	for (unsigned int i = 0; i < disk_count; i++) {
		char id[VIRTIO_BLOCK_ID_LEN + 1] = "?";
		uint32_t flags = device_enter();

		virtio_block_get_id(&disks[i], id);
		device_leave(flags);
		print("vd%c: %llu sectors, blocks of %u bytes%s, serial '%s'\n", 'a' + i, disks[i].capacity, disks[i].block_size,
		      disks[i].read_only ? ", read-only" : "", id);
	}
	if (!disk_count)
		print("no disk\n");
}

static void dump(uint64_t sector)
{
	uint8_t *data = buffers[0];
	uint32_t flags = device_enter();
	int error = virtio_block_read(&disks[0], sector, data, SECTOR);

	device_leave(flags);
	if (error) {
		print("disk: reading sector %llu: error %d\n", sector, error);
		return;
	}
	for (unsigned int line = 0; line < SECTOR; line += 32) {
		print("%03x ", line);
		for (unsigned int i = 0; i < 32; i++)
			print("%02x", data[line + i]);
		print("\n");
	}
}

static void write_text(uint64_t sector, const char *text)
{
	uint8_t *data = buffers[0];
	size_t length = strlen(text) < SECTOR ? strlen(text) : SECTOR;
	uint32_t flags;
	int error;

	memset(data, 0, SECTOR);
	memcpy(data, text, length);
	flags = device_enter();
	error = virtio_block_write(&disks[0], sector, data, SECTOR);
	if (!error)
		error = virtio_block_flush(&disks[0]);
	device_leave(flags);
	print("disk: sector %llu: %s\n", sector, error == -VIRTIO_EOPNOTSUPP || !error ? "written" : "error");
}

/* A pattern that tells every word of every sector from every other. */
static void fill(uint8_t *data, uint64_t sector, size_t size)
{
	uint32_t *word = (uint32_t *)data;

	for (size_t i = 0; i < size / 4; i++)
		word[i] = (uint32_t)(sector + i / (SECTOR / 4)) * 2654435761u + i * 40503u;
}

static bool matches(const uint8_t *data, uint64_t sector, size_t size)
{
	const uint32_t *word = (const uint32_t *)data;

	for (size_t i = 0; i < size / 4; i++) {
		if (word[i] != (uint32_t)(sector + i / (SECTOR / 4)) * 2654435761u + i * 40503u)
			return false;
	}
	return true;
}

/* Up to BATCH requests in one kick, then wait for all of them. The number of bytes covered, 0 on an error. */
static size_t transfer(uint32_t type, uint64_t sector, size_t size)
{
	struct virtio_block *disk = &disks[0];
	uint32_t flags = device_enter();
	size_t at = 0;
	unsigned int count = 0;
	bool good = true;

	for (; count < BATCH && at < size; count++) {
		size_t length = size - at < CHUNK ? size - at : CHUNK;
		struct virtio_iov piece = { buffers[count], length };

		memset(&requests[count], 0, sizeof(requests[count]));
		if (virtio_block_submit(disk, &requests[count], type, sector + at / SECTOR, &piece, 1) < 0)
			break;
		at += length;
	}
	virtio_sync(disk->queue);
	for (unsigned int i = 0; i < count; i++) {
		while (!requests[i].finished) {
			if (!virtio_block_poll(disk))
				disk->vdev->platform->wait(disk->vdev->platform->opaque);
		}
		good = good && !requests[i].error;
	}
	device_leave(flags);
	return good ? at : 0;
}

/* Write a pattern over the whole range, then read it back. */
static void check(uint32_t megabytes)
{
	uint64_t end = (uint64_t)megabytes << 20, at = 0, start = clock_now(), middle;
	bool good = true;

	if (end > disks[0].capacity * SECTOR)
		end = disks[0].capacity * SECTOR;
	while (at < end && good) {
		size_t size = end - at < BATCH * CHUNK ? end - at : BATCH * CHUNK, done;

		for (unsigned int i = 0; i < BATCH; i++)
			fill(buffers[i], (at + i * CHUNK) / SECTOR, CHUNK);
		done = transfer(VIRTIO_BLOCK_T_OUT, at / SECTOR, size);
		good = done;
		at += done;
	}
	report(good, "disk-write");
	middle = clock_now();
	for (at = 0; at < end && good;) {
		size_t size = end - at < BATCH * CHUNK ? end - at : BATCH * CHUNK, done;

		memset(buffers, 0, sizeof(buffers));
		done = transfer(VIRTIO_BLOCK_T_IN, at / SECTOR, size);
		for (size_t i = 0; i * CHUNK < done; i++)
			good = good && matches(buffers[i], (at + i * CHUNK) / SECTOR, done - i * CHUNK < CHUNK ? done - i * CHUNK : CHUNK);
		good = good && done;
		at += done;
	}
	report(good, "disk-verify");
	print("disk: %llu bytes written in %llu us, read in %llu us\n", end, divide(middle - start, 1000),
	      divide(clock_now() - middle, 1000));
}

int disk_command(int argc, char **argv)
{
	if (argc < 2) {
		list();
	} else if (!disk_count) {
		report(false, "disk-present");
		return 1;
	} else if (!strcmp(argv[1], "read") && argc == 3) {
		dump(parse_number(argv[2]));
	} else if (!strcmp(argv[1], "write") && argc == 4) {
		write_text(parse_number(argv[2]), argv[3]);
	} else if (!strcmp(argv[1], "check")) {
		check(argc > 2 ? parse_number(argv[2]) : 1);
	} else {
		print("disk | disk read SECTOR | disk write SECTOR TEXT | disk check [MIB]: overwrites the disk\n");
		return 1;
	}
	return 0;
}
