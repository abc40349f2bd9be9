/* SPDX-License-Identifier: MIT */
/* frame.c - the pages of guest memory. See frame.h. */
#include <sys/mman.h>

#include "cpu/x86/frame.h"
#include "host/memory_file.h"

/* With the one for all that is not memory. */
static uint32_t count(const struct cpu *cpu)
{
	return frame_void(cpu) + 1;
}

int frames_create(struct cpu *cpu, const struct frame_owner *owner, frame_protect *protect, const char **error)
{
	void *p = mmap(NULL, count(cpu) * sizeof(struct frame), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED) {
		*error = "no memory for a processor";
		return -1;
	}
	memory_populate(p, count(cpu) * sizeof(struct frame));
	cpu->frames = p;
	cpu->frame_owner = owner;
	cpu->frame_protect = protect;
	for (uint32_t i = 0; i < count(cpu); i++)
		cpu->frames[i].writer_slot = -1;
	return 0;
}

void frames_destroy(struct cpu *cpu)
{
	if (cpu->frames)
		munmap(cpu->frames, count(cpu) * sizeof(struct frame));
}
