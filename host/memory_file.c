/* SPDX-License-Identifier: MIT */
#include "host/memory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

/* Linux 6.3; older C libraries do not have them. */
#ifndef MFD_NOEXEC_SEAL
#define MFD_NOEXEC_SEAL	8u
#endif
#ifndef MFD_EXEC
#define MFD_EXEC	16u
#endif

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23	/* Linux 5.14 */
#endif

enum { PAGE = 4096 };

/*
 * "No program" first, which no kernel that knows it refuses, and which says nothing about mappings: those may be executable all the same.
 * Should a kernel or a policy see that differently, the second is for it. The last is for kernels before 6.3 (EINVAL).
 */
static const unsigned int kinds[] = { MFD_NOEXEC_SEAL, MFD_EXEC, 0 };
enum { KINDS = sizeof(kinds) / sizeof(kinds[0]) };

int memory_file_memfd(const char *name, unsigned int flags)
{
	int fd = memfd_create(name, flags | MFD_NOEXEC_SEAL);

	if (fd < 0 && errno == EINVAL)
		fd = memfd_create(name, flags);
	return fd < 0 ? -errno : fd;
}

static bool maps_executable(int fd)
{
	void *p = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);

	if (p == MAP_FAILED)
		return false;
	munmap(p, PAGE);
	return true;
}

/* @fd if it can be made what is wanted; otherwise it is closed. */
static int finish(int fd, size_t size, bool executable)
{
	if (fd < 0)
		return -1;
	if (!ftruncate(fd, (off_t)size) && (!executable || maps_executable(fd)))
		return fd;
	close(fd);
	return -1;
}

static int without_name(const char *directory)
{
	char path[4096];
	int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC | O_EXCL, 0600);

	/* Not every file system has such files (overlayfs before Linux 6.3 has not). */
	if (fd >= 0 || (errno != EOPNOTSUPP && errno != EISDIR) ||
	    snprintf(path, sizeof(path), "%s/kennel-XXXXXX", directory) >= (int)sizeof(path))
		return fd;
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

/* A container's /dev/shm may have 64 MiB, and a file system that runs full under a mapping ends in SIGBUS. */
static bool has_room(const char *directory, size_t size, bool memory)
{
	struct statfs fs;

	if (statfs(directory, &fs))
		return false;
	return memory == (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC) && (!fs.f_blocks || fs.f_bavail >= size / (size_t)fs.f_bsize);
}

static int in_directory(size_t size, bool executable, const char **where)
{
	const char *const directories[] = { "/dev/shm", getenv("XDG_RUNTIME_DIR"), getenv("TMPDIR"), "/var/tmp", "/tmp" };
	enum { DIRECTORIES = sizeof(directories) / sizeof(directories[0]) };

	/* File systems in memory first: what lies on a disk is written there every now and then. */
	for (unsigned int i = 0; i < 2 * DIRECTORIES; i++) {
		const char *directory = directories[i % DIRECTORIES];
		int fd = -1;

		if (directory && *directory == '/' && has_room(directory, size, i < DIRECTORIES))
			fd = finish(without_name(directory), size, executable);
		if (fd >= 0) {
			*where = directory;
			return fd;
		}
	}
	return -1;
}

int memory_file_create(const char *name, size_t size, bool executable, const char **where)
{
	const char *ignored;
	int fd, error = 0;

	if (!where)
		where = &ignored;
	*where = NULL;
	for (unsigned int i = 0; i < KINDS; i++) {
		fd = memfd_create(name, MFD_CLOEXEC | kinds[i]);
		if (fd < 0 && !error)
			error = -errno;
		fd = finish(fd, size, executable);
		if (fd >= 0)
			return fd;
	}
	fd = in_directory(size, executable, where);
	return fd >= 0 ? fd : error ? error : -EACCES;
}

void memory_populate(void *at, size_t len)
{
	uintptr_t first = (uintptr_t)at & ~(uintptr_t)(PAGE - 1), end = ((uintptr_t)at + len + PAGE - 1) & ~(uintptr_t)(PAGE - 1);

	madvise((void *)first, end - first, MADV_POPULATE_WRITE);
}

void memory_fill(void *at, const void *from, size_t len)
{
	memory_populate(at, len);
	memcpy(at, from, len);
}
