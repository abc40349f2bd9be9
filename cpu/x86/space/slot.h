/* SPDX-License-Identifier: MIT */
/*
 * slot.h - a small pool of rooms for address spaces.
 *
 * When a slot passes to another address space only its user half is emptied. The kernel half, the same everywhere, stays mapped
 * and warm. Slots are also what is given up when the host runs out of mappings.
 *
 * A host may limit address space (ulimit -v). Then there are fewer slots, in the end one; and if there is no room for its two windows, one
 * window shows the kernel's view and the user's in turn (compare_turn()), which is slow.
 */
#ifndef KENNEL_CPU_X86_SPACE_SLOT_H
#define KENNEL_CPU_X86_SPACE_SLOT_H

#include "cpu/x86/space/reach.h"
#include "cpu/x86/space/shadow.h"

/* One address space, or room for one. */
struct slot {
	unsigned number;		/* its place among them */
	uint32_t pgd;			/* MMU_LINEAR, or its physical address; SLOT_FREE */
	uint8_t *view[VIEWS];		/* 4 GiB each, aligned to 4 GiB, guards on both sides; the same one with cpu->one_window */
	enum view shown;		/* with cpu->one_window: the one that it shows; the shadow says of the other that nothing is mapped */
	struct shadow shadow;
	uint64_t last_used;
	struct local_pages local;	/* shown in the kernel half, but not global */
	unsigned map_count;
	bool kernel_stale;		/* compare the kernel half before it is used again */
	bool user_stale;		/* compare the user half's user view before user code runs again */
	bool jumps_stale;		/* empty the jump table before user code runs again */
	bool cold;			/* its user code has all accesses checked: see COLD_TICKS */
	unsigned met;			/* while cold: how often a kick has found its user code running */
	bool distrusted;		/* the host refused to take access away: empty it before the guest runs */
};

#define SLOT_FREE 1u

#define SLOT_NO_ROOM "cannot reserve address space for guest memory (is there a limit on virtual memory, ulimit -v?)"

/*
 * Nobody maps anything this near a window. A page would do for accesses that wrap at 4 GiB, but BT with a register reaches
 * 256 MiB beyond its operand, and whether that sum is cut to 32 bits is not written down anywhere. Where the window is in a register,
 * operands add their displacements to that (address.c). Where GS has it, what is more is for the operand itself: a host may limit addresses.
 */
#define WINDOW_GUARD (1ull << 29)
#define WINDOW_GUARD_GS ((256ull << 20) + (64 << 10))

static inline uint64_t window_guard(const struct cpu *cpu)
{
	return cpu->reach->by_register ? WINDOW_GUARD : WINDOW_GUARD_GS;
}

/** slot_reserve_view - 4 GiB of addresses at a multiple of 4 GiB, with a guard on both sides, nothing accessible; or NULL. */
uint8_t *slot_reserve_view(const struct cpu *cpu);
void slot_release_view(const struct cpu *cpu, uint8_t *view);

/** slot_in_view - does a host address lie in a view or in its guards? */
static inline bool slot_in_view(const struct cpu *cpu, const uint8_t *view, uint64_t host)
{
	return host - ((uintptr_t)view - window_guard(cpu)) < (1ull << 32) + 2 * window_guard(cpu);
}

int slots_create(struct cpu *cpu, unsigned count, const char **error);
void slots_destroy(struct cpu *cpu);
/** slots_free_all - no address space is remembered, and no kernel code. */
void slots_free_all(struct cpu *cpu);
/** slots_empty_distrusted - before the guest runs on. */
void slots_empty_distrusted(struct cpu *cpu);

/** slot_find - the slot that holds the address space of @pgd, or NULL. */
struct slot *slot_find(struct cpu *cpu, uint32_t pgd);
/** slot_take - a slot other than the one in force, if there are several, with nothing in its user half, for the address space of @pgd. */
struct slot *slot_take(struct cpu *cpu, uint32_t pgd);

/*
 * Where a page in a window is dear (cost.h), most address spaces do not live long enough to be worth any: that of a shell's child between
 * fork and exec, that of `true`. So there one begins cold, without windows and with all accesses of its user code checked (soft.h), and is
 * not cold any more when so many kicks have found that running.
 */
enum { COLD_TICKS = 2 };

/** slot_begin - the address space in a slot is a new one. Jump tables may have what only one does that is not cold. */
void slot_begin(struct cpu *cpu, struct slot *slot);

/** slots_make_room - give up the windows that have been idle longest; if no others have any, our own. */
void slots_make_room(struct cpu *cpu);
/** slots_count_maps - the slot in force has come to have @n mappings more: make room if need be. */
void slots_count_maps(struct cpu *cpu, unsigned n);

#endif
