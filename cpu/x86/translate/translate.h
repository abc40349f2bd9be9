/* SPDX-License-Identifier: MIT */
/*
 * translate.h - makes a block of host code from guest code.
 */
#ifndef KENNEL_CPU_X86_TRANSLATE_TRANSLATE_H
#define KENNEL_CPU_X86_TRANSLATE_TRANSLATE_H

#include "cpu/x86/cache/block.h"
#include "cpu/x86/translate/emit.h"

/* Is the memory operand one that a distance of ESP from rsp changes? */
static inline bool uses_rsp(const struct insn *in)
{
	return in->mem && in->adsize == 4 && in->base == R_ESP;
}

/* A block in the making. */
struct translation {
	struct cpu *cpu;
	struct block *block;
	struct emit e;
	uint32_t eip;			/* of the instruction at hand */
	uint8_t *source;		/* the block's bytes, as they were read */
	uint8_t *bytes;			/* this instruction's, within source */
	struct insn insn;		/* an operand based on ESP: its displacement is already one from rsp */
	int32_t esp;			/* the guest's ESP is rsp + this: see stack.c */
	struct {
		uint8_t *site;		/* displacement to patch, in the writable mapping */
		uint32_t target;
		int32_t esp;
	} exits[8];
	unsigned exit_count;
	bool fpu_checked;		/* this block has looked at TS already */
	bool apart;			/* a single instruction, not to be found again */
	bool last;			/* nothing may come behind this instruction in the same block */
	bool done;
};

enum translate_flags {
	TRANSLATE_APART = 1,	/* one instruction, not entered in hash and frames: see block_forget_last() */
};

/**
 * translate - translate the code at cpu->eip
 * @physical: guest-physical address of its first byte (mmu_fetch() found it).
 * @depth: how many words the guest's ESP will lie below rsp when the block is entered.
 * Returns the block, or NULL with *@fault filled when even the first instruction cannot be fetched.
 */
struct block *translate(struct cpu *cpu, uint32_t physical, unsigned depth, unsigned flags, struct cpu_fault *fault);

/** translate_end_early - make a dropped block that is running leave before the instruction at @point. */
void translate_end_early(struct cpu *cpu, const struct block *block, const struct point *point);

/* stack.c, flow.c: the emitters for one instruction each. */
void translate_push_value(struct translation *t, unsigned size, unsigned reg);
void translate_stack(struct translation *t);
/** translate_simple_lea - LEA that is one on the host, too. */
void translate_simple_lea(struct translation *t);
/** translate_move_esp - if the instruction moves ESP as a whole, emit that: true. */
bool translate_move_esp(struct translation *t);
/** translate_begin_esp - before an instruction: set ESP if it must be right, or find the operand of one that is based on it. */
void translate_begin_esp(struct translation *t);
/** translate_settle_esp - make rsp the guest's ESP. */
void translate_settle_esp(struct translation *t);
/** translate_leave_esp - the same on one of the ways out of an instruction, while others go on. */
void translate_leave_esp(struct translation *t);
/** translate_depth - before the block ends: make the distance one that a block can begin with. */
void translate_depth(struct translation *t);
void translate_flow(struct translation *t);
void translate_string(struct translation *t);
void translate_segment(struct translation *t);
/** translate_system - instructions of ring 0 that need no C most of the time. */
void translate_system(struct translation *t);
/** translate_is_checked - is the instruction one to check (soft.h), at this guest-physical address, and can it be? */
bool translate_is_checked(const struct translation *t, uint32_t physical);
/** translate_soft - such an instruction. rsp is ESP. */
void translate_soft(struct translation *t);
/** translate_emulate - leave for C, which runs this instruction. */
void translate_emulate(struct translation *t);
/** translate_slid - @reg = where the code translated as that at @eip is: a cold block may run anywhere (block.h). */
void translate_slid(struct translation *t, unsigned reg, uint32_t eip);
/** translate_go - continue at a guest address known now, ending the block. */
void translate_go(struct translation *t, uint32_t target);
/** translate_go_r8 - continue at the guest address in r8d, ending the block. */
void translate_go_r8(struct translation *t);
/** translate_moffs_operand - MOV between EAX and an absolute address, as if that were a ModRM operand [disp32]. */
struct insn translate_moffs_operand(const struct insn *insn);
/** translate_chain - a jump that can be chained: @opcode (jmp, or the second byte of jcc) and a displacement for C to patch. */
void translate_chain(struct translation *t, uint8_t opcode, uint32_t target);

#endif
