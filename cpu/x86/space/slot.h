/* SPDX-License-Identifier: MIT */
/*
 * slot.h - a small pool of rooms for address spaces.
 *
 * When a slot passes to another address space only its user half is emptied. The kernel half, the same everywhere, stays mapped
 * and warm. Slots are also what is given up when the host runs out of mappings.
 */
#ifndef KENNEL_CPU_X86_SPACE_SLOT_H
#define KENNEL_CPU_X86_SPACE_SLOT_H

#include "cpu/x86/space/shadow.h"

/* One address space, or room for one. */
struct slot {
	unsigned number;		/* its place among them */
	uint32_t pgd;			/* MMU_LINEAR, or its physical address; SLOT_FREE */
	uint8_t *view[VIEWS];		/* 4 GiB each, aligned to 4 GiB, guards on both sides */
	struct shadow shadow;
	uint64_t last_used;
	struct local_pages local;	/* shown in the kernel half, but not global */
	unsigned map_count;
	bool kernel_stale;		/* compare the kernel half before it is used again */
	bool user_stale;		/* compare the user half's user view before user code runs again */
	bool jumps_stale;		/* empty the jump table before user code runs again */
	bool distrusted;		/* the host refused to take access away: empty it before the guest runs */
};

#define SLOT_FREE 1u

#define SLOT_NO_ROOM "cannot reserve address space for guest memory (is there a limit on virtual memory, ulimit -v?)"

/*
 * Nobody maps anything this near a window. A page would do for accesses that wrap at 4 GiB, but BT with a register reaches
 * 256 MiB beyond its operand, and whether that sum is cut to 32 bits is not written down anywhere.
 */
#define WINDOW_GUARD (1ull << 29)

/** slot_reserve_view - 4 GiB of addresses at a multiple of 4 GiB, with a guard on both sides, nothing accessible; or NULL. */
uint8_t *slot_reserve_view(void);
void slot_release_view(uint8_t *view);

/** slot_in_view - does a host address lie in a view or in its guards? */
static inline bool slot_in_view(const uint8_t *view, uint64_t host)
{
	return host - ((uintptr_t)view - WINDOW_GUARD) < (1ull << 32) + 2 * WINDOW_GUARD;
}

int slots_create(struct cpu *cpu, unsigned count, const char **error);
void slots_destroy(struct cpu *cpu);
/** slots_free_all - no address space is remembered, and no kernel code. */
void slots_free_all(struct cpu *cpu);
/** slots_empty_distrusted - before the guest runs on. */
void slots_empty_distrusted(struct cpu *cpu);

/** slot_find - the slot that holds the address space of @pgd, or NULL. */
struct slot *slot_find(struct cpu *cpu, uint32_t pgd);
/** slot_take - a slot other than the one in force, with nothing in its user half, for the address space of @pgd. */
struct slot *slot_take(struct cpu *cpu, uint32_t pgd);

/** slots_make_room - give up the windows that have been idle longest; if no others have any, our own. */
void slots_make_room(struct cpu *cpu);
/** slots_count_maps - the slot in force has come to have @n mappings more: make room if need be. */
void slots_count_maps(struct cpu *cpu, unsigned n);

#endif
