/* SPDX-License-Identifier: MIT */
/* bed.c - see bed.h. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "bed.h"

#define GENERAL_REGISTERS_ONLY __attribute__((target("general-regs-only")))

GENERAL_REGISTERS_ONLY static void cpuid(void *opaque, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	(void)opaque, (void)leaf, (void)subleaf, (void)regs;
}

GENERAL_REGISTERS_ONLY static void broken(void *opaque, const char *what, uint32_t value)
{
	bool *broke = opaque;

	(void)what, (void)value;
	*broke = true;
}

static const struct cpu_ops ops = { .cpuid = cpuid, .broken = broken };

/* The modes of a processor never blame anybody. */
static bool broke;

struct bed *bed_create(unsigned slots)
{
	struct bed *bed = calloc(1, sizeof(*bed));
	struct cpu_config config = { .ops = &ops, .opaque = &broke, .slots = slots };
	const char *error = "", *seed = getenv("PAGING_SEED");

	assert_non_null(bed);
	bed->seed = seed ? strtoull(seed, NULL, 0) | 1 : 20070501;
	bed->fd = memfd_create("bed", MFD_CLOEXEC);
	assert_int_equal(ftruncate(bed->fd, BED_FRAMES * 4096), 0);
	bed->ram = mmap(NULL, BED_FRAMES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, bed->fd, 0);
	assert_ptr_not_equal(bed->ram, MAP_FAILED);
	config.ram = (struct cpu_ram){ .fd = bed->fd, .base = bed->ram, .pages = BED_FRAMES };
	bed->cpu = cpu_create(&config, &error);
	if (!bed->cpu)
		fail_msg("%s", error);
	return bed;
}

void bed_destroy(struct bed *bed)
{
	cpu_destroy(bed->cpu);
	munmap(bed->ram, BED_FRAMES * 4096);
	close(bed->fd);
	free(bed);
	assert_false(broke);
}

uint32_t bed_random(struct bed *bed)
{
	bed->seed ^= bed->seed >> 12;
	bed->seed ^= bed->seed << 25;
	bed->seed ^= bed->seed >> 27;
	return (uint32_t)(bed->seed * 0x2545f4914f6cdd1dull >> 32);
}

bool bed_chance(struct bed *bed, uint32_t n)
{
	return bed_random(bed) % n == 0;
}

struct cpu_paging bed_paging(struct bed *bed, enum cpu_paging_mode mode)
{
	uint32_t r = bed_random(bed);

	return (struct cpu_paging){ .mode = mode, .wp = r & 1, .pse = r & 6, .pge = r & 24, .nx = r & 32 };
}

unsigned bed_rounds(unsigned rounds)
{
	return getenv("PAGING_FULL") ? rounds * 50 : rounds;
}
