/* SPDX-License-Identifier: MIT */
/*
 * model.h - paging as the manual describes it, written for reading: one loop over the levels, no caches.
 *
 * It shares nothing with cpu/x86 but struct cpu_paging. (Intel SDM volume 3, chapter 4: 4.3, 4.4, 4.6, 4.7.)
 */
#ifndef KENNEL_TESTS_CPU_X86_SPACE_MODEL_H
#define KENNEL_TESTS_CPU_X86_SPACE_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86/cpu.h"

enum { MODEL_WRITE = 1, MODEL_USER = 2, MODEL_FETCH = 4 };

struct model {
	struct cpu_paging paging;
	uint8_t *ram;		/* the tables are read there, and A and D set */
	uint32_t pages;
	uint64_t pdpte[4];
};

struct translation {
	uint64_t frame;		/* >= pages: nothing is there */
	bool writable, user, executable, dirty, global, large;
};

/** model_load - as a load of CR3 does. Returns false where that would raise #GP. */
bool model_load(struct model *m);
/** model_lookup - what the tables say of an address, whoever asks. Returns 0, or PF_PRESENT and PF_RESERVED of the fault, | MODEL_NONE. */
#define MODEL_NONE 0x80000000u
uint32_t model_lookup(const struct model *m, uint32_t linear, struct translation *t);
/** model_access - access an address. Returns MODEL_NONE if that works, having set A and D, or the error code. */
uint32_t model_access(struct model *m, uint32_t linear, unsigned access, struct translation *t);

#endif
