/* SPDX-License-Identifier: MIT */
/*
 * compare.h - views and jump tables made to obey the guest's page tables again.
 *
 * What the tables in force forbid is taken away, nothing is added. That is what a TLB flush or a return to an old address space costs.
 */
#ifndef KENNEL_CPU_X86_SPACE_COMPARE_H
#define KENNEL_CPU_X86_SPACE_COMPARE_H

#include "cpu/x86/space/maps.h"

/*
 * Which views to look at. The user's is only looked at by user code: it is put right just before that runs again, which for a
 * process that is being torn down is never.
 */
enum { LOOK_KERNEL = 1 << VIEW_KERNEL, LOOK_USER = 1 << VIEW_USER, LOOK_BOTH = LOOK_KERNEL | LOOK_USER };

/** compare_page - one page of a slot, and if it was part of a large page that has changed, all of that. @batches: what is to be done then, see batches_finish(). */
void compare_page(struct cpu *cpu, struct slot *slot, uint32_t page, unsigned look, struct batches *batches);
/** compare_range - all that the shadow tables from @first up to, not including, @last know of. */
void compare_range(struct cpu *cpu, struct slot *slot, uint32_t first, uint32_t last, unsigned look);
/** compare_user - the user half's kernel view now, its user view before user code runs. */
void compare_user(struct cpu *cpu, struct slot *slot);
/** compare_finds_nothing - of all that the slot in force knows in its user half: do the tables show none of it any more? */
bool compare_finds_nothing(const struct cpu *cpu, const struct slot *slot);
void compare_kernel(struct cpu *cpu, struct slot *slot);
/** compare_local - what the kernel half shows of pages that are not global. */
void compare_local(struct cpu *cpu, struct slot *slot);

/** compare_turn - @view of the slot in force is about to be changed, or run in: with one window for both (slot.h), make it show that one. */
void compare_turn(struct cpu *cpu, enum view view);

/** compare_large - something is about to be shown of @page in the slot in force: what its large page, if any, means for the shadow. */
void compare_large(struct cpu *cpu, uint32_t page);

#endif
