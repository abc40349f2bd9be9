/* SPDX-License-Identifier: MIT */
/*
 * soft.h - checked accesses, for the instructions that find their page missing again and again.
 *
 * A page missing from the window costs a signal and a new mapping: some 9 us here, ten times what the guest's own fault handler
 * takes. That is well spent on a page that is going to be used. But some instructions meet a new page nearly every time: the loop
 * that touches fresh memory, the push that first writes to a child's stack, the kernel's copy to user space. An instruction that
 * has cost many such faults is translated anew with a software TLB in front: address to host address in guest RAM, by 256
 * direct-mapped entries. A miss is a plain exit to C, which walks the guest's tables; a fault of the guest's own then costs no
 * signal, and a page that nobody else touches is never mapped.
 *
 * A checked access that hits is some three times dearer than a bare one, so an instruction is checked only while that pays: while
 * it saves faults that windows would have had. Those are the guest's own, and one for each page until the guest takes that away;
 * the TLB's other misses are the check's own fault (VIEW_MET in the shadow tells them apart). Every kick looks where it found the
 * guest, and an instruction that is met often but saves little becomes bare again, and must then cost several times as many faults
 * before it is checked once more. What it does in C no kick meets there: the pages that a string instruction goes through, and the
 * misses that no window would have had, are counted instead.
 *
 * Where pages in windows are dear, whole address spaces begin like this (slot.h, COLD_TICKS): all that can be checked is, in blocks of
 * their own (BLOCK_COLD), which count nothing and are the same for all that are cold. Most processes end before they are found running
 * twice; the others lose some milliseconds at a third of their speed.
 *
 * The entries hold translations for one address space and one CPL, and go whenever either changes or the guest announces any
 * change to its tables; frames with translated code are never entered for writing. Where ring 0 has blocks of its own (BLOCK_RING0) it
 * also has entries of its own, so that system calls leave both sides' as they are.
 */
#ifndef KENNEL_CPU_X86_SPACE_SOFT_H
#define KENNEL_CPU_X86_SPACE_SOFT_H

#include "cpu/x86/state.h"

enum { SOFT_WRITE = 1 << 8, SOFT_ALIGNED = 1 << 9 /* to 16 bytes, or it is #GP, before any page is looked for */ };

int soft_create(struct cpu *cpu);
void soft_destroy(struct cpu *cpu);

void soft_flush_entries(struct cpu *cpu);

/** soft_flush_cpl - another CPL is going to look at the same translations. Ring 0 of a guest that has one has a table of its own. */
static inline void soft_flush_cpl(struct cpu *cpu, unsigned cpl)
{
	if (!cpu->system_mode || (cpu->cpl && cpu->cpl != 3) || (cpl && cpl != 3))
		soft_flush_entries(cpu);
}

/** soft_flush - translations may have changed: here, and for cpu->host_pages. */
static inline void soft_flush(struct cpu *cpu)
{
	cpu->translation_age++;
	soft_flush_entries(cpu);
}

/** soft_is_checked - is the instruction at this guest-physical address to be translated with a check? */
bool soft_is_checked(struct cpu *cpu, uint32_t physical);

/**
 * soft_note_fault - an instruction found its page missing, or would have
 * Returns true when it has just become one to check: its block must be translated anew.
 */
bool soft_note_fault(struct cpu *cpu, uint32_t physical);

/** soft_note_saved - the check of the instruction at EIP has saved a fault that a window would have had. */
void soft_note_saved(struct cpu *cpu);

/** soft_note_met - a kick found the guest in a block with this checked instruction. Returns true when it is not worth checking any more. */
bool soft_note_met(struct cpu *cpu, uint32_t physical);

enum soft_result {
	SOFT_DONE,		/* entered: run the instruction again */
	SOFT_NEW,		/* the same, and a window would have missed the page as well */
	SOFT_APART,		/* straddles pages: run it apart */
	SOFT_FAULT,
};

/** soft_miss - a checked access missed. */
enum soft_result soft_miss(struct cpu *cpu, uint32_t linear, uint32_t kind, struct cpu_fault *fault);

/**
 * soft_does_string - is it one for soft_string()? Others, and those that are not repeated, are better off with signals than with exits.
 * @cold: in a cold block, where no window is to be expected.
 */
bool soft_does_string(const struct insn *insn, bool cold);

/**
 * soft_string - MOVS or STOS, repeated or not, by the page, without windows
 * Returns 1 when it has made progress (EIP moved if it is complete), 0 when emulate() must do it, -1 on a *@fault.
 */
int soft_string(struct cpu *cpu, const struct insn *insn, struct cpu_fault *fault);

#endif
