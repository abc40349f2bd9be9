/* SPDX-License-Identifier: MIT */
/*
 * ram.c - guest memory: one memfd, so that the processor can show any frame at any address, mapped once for ourselves between
 * two inaccessible pages. Pages that the guest never touches cost nothing.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "machine/lguest/lguest.h"

static size_t whole(const struct lguest *m)
{
	return (size_t)m->ram.pages * PAGE;
}

static int map_ram(struct lguest *m, struct error *error)
{
	uint8_t *room = mmap(NULL, whole(m) + 2 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (room == MAP_FAILED)
		return error_errno(error, errno, "no address space for %uM of guest memory", m->ram_bytes >> 20);
	m->ram.base = mmap(room + PAGE, whole(m), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED | MAP_NORESERVE, m->ram.fd, 0);
	if (m->ram.base == MAP_FAILED) {
		int err = errno;

		m->ram.base = NULL;
		munmap(room, whole(m) + 2 * PAGE);
		return error_errno(error, err, "cannot map %uM of guest memory", m->ram_bytes >> 20);
	}
	return 0;
}

int lguest_ram_create(struct lguest *m, uint64_t bytes, struct error *error)
{
	int err;

	m->ram.fd = -1;
	if (bytes % PAGE || bytes < 1 << 20 || bytes > LGUEST_RAM_MAX)
		return error_set(error, EINVAL, "guest memory must be from 1M to %lluM, in whole pages", LGUEST_RAM_MAX >> 20);
	m->ram_bytes = (uint32_t)bytes;
	m->ram.pages = (uint32_t)((bytes + LGUEST_PAGE_SPACE) / PAGE);
	m->ram.fd = memfd_create("kennel-ram", MFD_CLOEXEC);
	if (m->ram.fd < 0)
		return error_errno(error, errno, "cannot create guest memory (memfd_create)");
	err = ftruncate(m->ram.fd, (off_t)whole(m)) ? error_errno(error, errno, "cannot size guest memory to %uM", m->ram_bytes >> 20)
						    : map_ram(m, error);
	if (err)
		lguest_ram_destroy(m);
	return err;
}

int lguest_ram_clear(struct lguest *m, struct error *error)
{
	if (fallocate(m->ram.fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, (off_t)whole(m)))
		memset(m->ram.base, 0, whole(m));
	return 0;
}

void lguest_ram_destroy(struct lguest *m)
{
	if (m->ram.base)
		munmap(m->ram.base - PAGE, whole(m) + 2 * PAGE);
	if (m->ram.fd >= 0)
		close(m->ram.fd);
	m->ram.base = NULL;
	m->ram.fd = -1;
}
