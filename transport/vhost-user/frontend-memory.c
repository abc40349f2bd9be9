/* SPDX-License-Identifier: MIT */
/*
 * frontend-memory.c - memory for a front end to share. The books on it are kept outside of it, because the back end may write to all of it.
 */
#include <transport/vhost-user/frontend.h>

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "host/memory_file.h"

int vhost_user_memory_create(struct vhost_user_memory *memory, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	int error;

	if (!memory)
		return -EINVAL;
	memset(memory, 0, sizeof(*memory));
	memory->fd = -1;
	if (!size || size > SIZE_MAX - page)
		return -EINVAL;
	size = (size + page - 1) & ~(page - 1);
	error = memory_file_memfd("vhost-user", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	if (error < 0)
		return error;
	memory->fd = error;
	if (ftruncate(memory->fd, (off_t)size) || fcntl(memory->fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL))
		goto failed;
	memory->mem.base = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, memory->fd, 0);
	if (memory->mem.base == MAP_FAILED)
		goto failed;
	memory->mem.start = VHOST_USER_MEMORY_GPA;
	memory->mem.size = size;
	return 0;

failed:
	error = -errno;
	close(memory->fd);
	memory->fd = -1;
	return error;
}

void vhost_user_memory_destroy(struct vhost_user_memory *memory)
{
	if (!memory || memory->fd < 0)
		return;
	munmap(memory->mem.base, memory->mem.size);
	close(memory->fd);
	memory->fd = -1;
}

static void *reuse(struct vhost_user_memory *memory, size_t size, size_t align)
{
	for (unsigned int i = 0; i < sizeof(memory->freed) / sizeof(memory->freed[0]); i++) {
		void *block = memory->freed[i].block;

		if (!block || memory->freed[i].size != size || ((uintptr_t)block & (align - 1)))
			continue;
		memory->freed[i].block = NULL;
		memset(block, 0, size);
		return block;
	}
	return NULL;
}

void *vhost_user_memory_alloc(struct vhost_user_memory *memory, size_t size, size_t align)
{
	size_t at;
	void *block;

	if (!memory || !size || !align || (align & (align - 1)) || align > memory->mem.size)
		return NULL;
	at = (memory->used + align - 1) & ~(align - 1);
	block = reuse(memory, size, align);
	if (block || at > memory->mem.size || size > memory->mem.size - at)
		return block;
	memory->used = at + size;
	return (uint8_t *)memory->mem.base + at;
}

void vhost_user_memory_free(struct vhost_user_memory *memory, void *block, size_t size)
{
	if (!memory || !block)
		return;
	for (unsigned int i = 0; i < sizeof(memory->freed) / sizeof(memory->freed[0]); i++) {
		if (memory->freed[i].block)
			continue;
		memory->freed[i].block = block;
		memory->freed[i].size = size;
		return;
	}
}
