/* SPDX-License-Identifier: MIT */
/*
 * maps.h - the host's mappings: changed in few calls, and counted.
 *
 * The kernel limits mappings per process (vm.max_map_count). We count the calls that may split one; most calls do not, so before
 * anything is given up for it, the count is put right from what the host says.
 */
#ifndef KENNEL_CPU_X86_SPACE_MAPS_H
#define KENNEL_CPU_X86_SPACE_MAPS_H

#include "cpu/x86/space/slot.h"

/** maps_zeroed - memory, or NULL. Not calloc(): libc would use vector registers, and they are the guest's. */
void *maps_zeroed(size_t size);

/** maps_limit - how many mappings we may come to have. */
unsigned maps_limit(void);
/** maps_count - how many the process really has. */
unsigned maps_count(void);

/** maps_prot - what mmap() and mprotect() call a page's state. */
int maps_prot(enum page_state state);
/** maps_hide - make a range inaccessible, and forget what was there. */
void maps_hide(uint8_t *from, uint64_t len);
/** maps_protect - change access to part of a slot's view. If the host refuses, or soon would, the slot becomes distrusted. */
void maps_protect(struct cpu *cpu, struct slot *slot, uint8_t *at, size_t len, int prot);

/*
 * Changes to pages of both views; adjacent ones become one call. So do two with a gap between them in which nothing is accessible; or
 * so little that hiding it along, to be brought back when it is missed, is cheaper here than another call (cost.h). All zero: none.
 */
struct batches {
	struct batch {
		struct slot *slot;
		uint32_t first, end;	/* pages: @end is not one of them */
		enum page_state state;
	} of[VIEWS];
};

void batches_add(struct cpu *cpu, struct batches *b, struct slot *slot, enum view view, uint32_t page, enum page_state state);
/** batches_finish - carry out what has been added. */
void batches_finish(struct cpu *cpu, struct batches *b);

#endif
