/* SPDX-License-Identifier: MIT */
/* void.c - guest-physical addresses without memory behind them. See void.h. */
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/x86/space/void.h"

#include "cpu/x86/space/codepage.h"
#include "cpu/x86/space/maps.h"
#include "host/memory_file.h"

static void fill_with_ones(struct cpu *cpu)
{
	volatile uint64_t *word = (volatile uint64_t *)(void *)cpu->void_ones;

	for (unsigned i = 0; i < PAGE_SIZE / sizeof(*word); i++)
		word[i] = ~0ull;
}

int void_create(struct cpu *cpu, const char **error)
{
	void *page;

	cpu->void_fd = memory_file_create("kennel-void", PAGE_SIZE, false, NULL);
	cpu->void_sink = maps_zeroed(PAGE_SIZE);
	if (cpu->void_fd < 0 || !cpu->void_sink) {
		*error = "no memory for a processor";
		return -1;
	}
	page = mmap(NULL, PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, cpu->void_fd, 0);
	if (page == MAP_FAILED) {
		*error = "no memory for a processor";
		return -1;
	}
	cpu->void_ones = page;
	fill_with_ones(cpu);
	cpu->frames[frame_void(cpu)].code = 1;
	return 0;
}

void void_destroy(struct cpu *cpu)
{
	if (cpu->void_ones)
		munmap(cpu->void_ones, PAGE_SIZE);
	if (cpu->void_sink)
		munmap(cpu->void_sink, PAGE_SIZE);
	if (cpu->void_fd > 0)
		close(cpu->void_fd);
}

void void_open(struct cpu *cpu)
{
	cpu->frames[frame_void(cpu)].code = 0;
}

void void_close(struct cpu *cpu)
{
	cpu->frames[frame_void(cpu)].code = 1;
	codepage_protect(cpu, frame_void(cpu));
	fill_with_ones(cpu);
}
