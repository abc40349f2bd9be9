/* SPDX-License-Identifier: MIT */
/* warm.c - guest memory mapped in pieces. See warm.h. */
#include <sys/mman.h>

#include "cpu/x86/space/warm.h"

#include "cpu/x86/space/maps.h"
#include "host/memory_file.h"

static size_t bitmap_size(const struct cpu *cpu)
{
	return (cpu->ram.pages / WARM_PIECE / 64 + 1) * sizeof(uint64_t);
}

int warm_create(struct cpu *cpu)
{
	if (!cpu->cost->pieces)
		return 0;
	cpu->warm = maps_zeroed(bitmap_size(cpu));
	return cpu->warm ? 0 : -1;
}

void warm_destroy(struct cpu *cpu)
{
	if (cpu->warm)
		munmap(cpu->warm, bitmap_size(cpu));
}

void cpu_warm(struct cpu *cpu, uint32_t physical, uint32_t len)
{
	uint64_t end = (uint64_t)physical + len;

	if (len > WARM_PIECE * PAGE_SIZE)	/* more than devices write at once: a balloon, which gives it back */
		return;
	for (uint64_t at = physical & ~PAGE_MASK; cpu->warm && at < end && at >> PAGE_SHIFT < cpu->ram.pages; at += WARM_PIECE * PAGE_SIZE)
		warm_frame(cpu, (uint32_t)(at >> PAGE_SHIFT));
	if (len && cpu->warm && (end - 1) >> PAGE_SHIFT < cpu->ram.pages)
		warm_frame(cpu, (uint32_t)((end - 1) >> PAGE_SHIFT));
}

/* Refused or not, it is not tried again: then the host maps page by page. */
void warm_piece(struct cpu *cpu, uint32_t frame)
{
	uint32_t first = frame - frame % WARM_PIECE, count = WARM_PIECE, piece = frame / WARM_PIECE;

	if (count > cpu->ram.pages - first)
		count = cpu->ram.pages - first;
	memory_populate(cpu->ram.base + ((size_t)first << PAGE_SHIFT), (size_t)count << PAGE_SHIFT);
	atomic_fetch_or_explicit(&cpu->warm[piece / 64], 1ull << piece % 64, memory_order_relaxed);
}
