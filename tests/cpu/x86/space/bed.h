/* SPDX-License-Identifier: MIT */
/* bed.h - a processor with a little memory, and chance. */
#ifndef KENNEL_TESTS_CPU_X86_SPACE_BED_H
#define KENNEL_TESTS_CPU_X86_SPACE_BED_H

#include <stdint.h>

#include "cpu/x86/cpu.h"

enum { BED_FRAMES = 2048 };

struct bed {
	struct cpu *cpu;
	uint8_t *ram;
	int fd;
	uint64_t seed;
};

/** bed_create - fails the test that runs if it cannot. Seeded by PAGING_SEED, or always the same. */
struct bed *bed_create(unsigned slots);
void bed_destroy(struct bed *bed);
uint32_t bed_random(struct bed *bed);
/** bed_chance - true once in @n times */
bool bed_chance(struct bed *bed, uint32_t n);
/** bed_mode - of the three kinds */
struct cpu_paging bed_paging(struct bed *bed, enum cpu_paging_mode mode);
/** bed_full - PAGING_FULL=1: go on for longer */
unsigned bed_rounds(unsigned rounds);

#endif
