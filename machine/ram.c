/* SPDX-License-Identifier: MIT */
#include "machine/ram.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/memory_file.h"
#include "host/message.h"

enum { PAGE = 4096 };

static size_t whole(const struct cpu_ram *ram)
{
	return (size_t)ram->pages * PAGE;
}

static int map_ram(struct cpu_ram *ram, struct error *error)
{
	uint8_t *room = mmap(NULL, whole(ram) + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (room == MAP_FAILED)
		return error_errno(error, errno, "no address space for %zuM of guest memory", whole(ram) >> 20);
	ram->base = mmap(room + PAGE, whole(ram), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, ram->fd, 0);
	if (ram->base == MAP_FAILED) {
		int err = errno;

		ram->base = NULL;
		munmap(room, whole(ram) + 2 * PAGE);
		return error_errno(error, err, "cannot map %zuM of guest memory", whole(ram) >> 20);
	}
	return 0;
}

int ram_create(struct cpu_ram *ram, uint64_t bytes, uint32_t extra, struct error *error)
{
	const char *where;
	int err;

	*ram = (struct cpu_ram){.fd = -1};
	if (bytes % PAGE || bytes < 1 << 20 || bytes > RAM_MAX)
		return error_set(error, EINVAL, "guest memory must be from 1M to %lluM, in whole pages", RAM_MAX >> 20);
	ram->pages = (uint32_t)((bytes + extra) / PAGE);
	ram->fd = memory_file_create("kennel-ram", whole(ram), false, &where);
	if (ram->fd < 0)
		return error_errno(error, -ram->fd, "no guest memory: " MEMORY_FILE_NONE);
	if (where)
		message_verbose("this host forbids memfd_create(): guest memory is in a file without a name in %s", where);
	err = map_ram(ram, error);
	if (err)
		ram_destroy(ram);
	return err;
}

void ram_clear(struct cpu_ram *ram)
{
	if (fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)whole(ram)))
		memset(ram->base, 0, whole(ram));
}

void ram_release(const struct cpu_ram *ram, uint64_t address, uint64_t len)
{
	uint64_t end = whole(ram);

	if (address >= end || address % PAGE || len < PAGE)
		return;
	if (len > end - address)
		len = end - address;
	/* Removes the pages from every mapping of them; a mapping stays, and finds new ones at the next touch. */
	fallocate(ram->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)address, (off_t)(len & ~(uint64_t)(PAGE - 1)));
}

void ram_destroy(struct cpu_ram *ram)
{
	if (ram->base)
		munmap(ram->base - PAGE, whole(ram) + 2 * PAGE);
	if (ram->fd >= 0)
		close(ram->fd);
	ram->base = NULL;
	ram->fd = -1;
}
