/* SPDX-License-Identifier: MIT */
/*
 * flow.c - jumps, calls, returns.
 *
 * A direct jump is chained to its target (a jmp rel32 that C patches once the target exists) where the two can only be mapped
 * together: inside one page, or within the kernel, which is the same in every address space. Any other jump looks its target up
 * in the jump table in force, inline and without touching the flags.
 */
#include "cpu/x86/cache/jump.h"
#include "cpu/x86/translate/address.h"
#include "cpu/x86/translate/translate.h"

/* For what comes behind translate_depth(). */
static unsigned depth(const struct translation *t)
{
	return (unsigned)-t->esp / 4;
}

/* The entry is not the target's: in r8d, or known now. C will put it there; it has to know how deep. */
static void emit_miss(struct translation *t, const uint32_t *known)
{
	emit_mov64(&t->e, H_ECX, H_R9);
	if (known)
		emit_mov_imm(&t->e, H_R8, *known);
	translate_leave_esp(t);
	emit_mov_imm(&t->e, H_R9, depth(t));
	emit_jmp_field(&t->e, CPU_EXITS + 8 * REASON_INDIRECT);
}

static void emit_hit(struct translation *t)
{
	emit_mov64(&t->e, H_ECX, H_R9);
	emit_jmp_reg(&t->e, H_R11);
}

/*
 * Behind the comparison, whose result is in ecx, with r9 = rcx. JRCXZ finds a zero by jumping, so that the way nearly always taken
 * jumps twice. LOOP finds a one by not jumping, and is as cheap on some processors.
 */
static void emit_hit_or_miss(struct translation *t, const uint32_t *known)
{
	uint8_t *other;

	if (t->cpu->quick_loop) {
		other = emit_short(&t->e, OP_LOOP);
		emit_hit(t);
		emit_here(&t->e, other);
		emit_miss(t, known);
	} else {
		other = emit_short(&t->e, OP_JRCXZ);
		emit_miss(t, known);
		emit_here(&t->e, other);
		emit_hit(t);
	}
}

/* mov reg, [r14 + r9*8 + disp] */
static void emit_load_entry(struct emit *e, unsigned reg, uint32_t disp)
{
	emit8(e, 0x47), emit8(e, 0x8b);
	if (!disp) {
		emit8(e, (uint8_t)((reg & 7) << 3 | 4)), emit8(e, 0xce);
	} else if (disp < 128) {
		emit8(e, (uint8_t)(0x40 | (reg & 7) << 3 | 4)), emit8(e, 0xce), emit8(e, (uint8_t)disp);
	} else {
		emit8(e, (uint8_t)(0x80 | (reg & 7) << 3 | 4)), emit8(e, 0xce), emit32(e, disp);
	}
}

/*
 * Registers: r8d = target. Leaves through the table, or to C. A kick may put another table in force at any point: the host address
 * is read before the EIP that vouches for it, so that a mixed pair never matches, and fault.c knows that r11 holds it.
 */
static void emit_lookup(struct translation *t)
{
	uint32_t entries = jump_index(0, depth(t)) * 8;
	struct emit *e = &t->e;

	emit32(e, 0xc8b70f45);			/* movzx r9d, r8w */
	emit_load_entry(e, H_R11, entries + 4);	/* host code */
	emit_load_entry(e, H_R10, entries);	/* minus EIP */
	emit_mov64(e, H_R9, H_ECX);
	emit32(e, 0x024c8d43), emit8(e, t->cpu->quick_loop);	/* lea ecx, [r10 + r8 + quick_loop] */
	emit_hit_or_miss(t, NULL);
}

/* The same for a target known now, or but for the slide. */
static void emit_lookup_known(struct translation *t, uint32_t target)
{
	uint32_t entry = jump_index(target, depth(t)) * 8;
	struct emit *e = &t->e;

	if (t->block->flags & BLOCK_COLD) {
		translate_slid(t, H_R8, target);
		emit_lookup(t);
		return;
	}
	emit8(e, 0x45), emit8(e, 0x8b), emit_modrm_disp(e, H_R11, H_R14, (int32_t)entry + 4);
	emit8(e, 0x45), emit8(e, 0x8b), emit_modrm_disp(e, H_R10, H_R14, (int32_t)entry);
	emit_mov64(e, H_R9, H_ECX);
	emit_lea(e, H_ECX, H_R10, (int32_t)(target + t->cpu->quick_loop));
	emit_hit_or_miss(t, &target);
}

/* Might the instruction there run into the next page? */
static bool near_page_end(uint32_t eip)
{
	return (eip & PAGE_MASK) + LONGEST_INSN > PAGE_SIZE;
}

static bool chainable(const struct translation *t, uint32_t target)
{
	const struct block *b = t->block;

	if (b->eip >= t->cpu->kernel_base && target >= t->cpu->kernel_base && !(b->flags & BLOCK_COLD))
		return true;
	return (b->eip ^ target) < PAGE_SIZE && !near_page_end(target);
}

void translate_go(struct translation *t, uint32_t target)
{
	translate_depth(t);
	if (chainable(t, target))
		translate_chain(t, 0xe9, target);
	else
		emit_lookup_known(t, target);
	t->done = true;
}

void translate_go_r8(struct translation *t)
{
	translate_depth(t);
	emit_lookup(t);
	t->done = true;
}

static uint32_t next_eip(const struct translation *t)
{
	return t->eip + t->insn.len;
}

static uint32_t relative(const struct translation *t)
{
	return next_eip(t) + t->insn.imm;
}

/*
 * A conditional jump whose target can be chained is one jcc rel32; otherwise it jumps over the look-up. Either way the block goes on
 * behind it: compilers lay code out so that most conditional jumps are not taken.
 */
static void jcc(struct translation *t)
{
	uint32_t target = relative(t);
	unsigned condition = t->insn.op & 15;
	uint8_t *past;

	translate_depth(t);
	if (chainable(t, target)) {
		emit8(&t->e, 0x0f);
		translate_chain(t, (uint8_t)(0x80 | condition), target);
	} else {
		past = emit_short(&t->e, (uint8_t)(0x70 | (condition ^ 1)));
		emit_lookup_known(t, target);
		emit_here(&t->e, past);
	}
}

/* LOOP and JECXZ exist here too; 67 makes them count ECX. */
static void loop(struct translation *t)
{
	uint8_t *taken;

	if (t->insn.adsize != 4) {
		translate_emulate(t);
		return;
	}
	translate_depth(t);
	emit8(&t->e, 0x67);
	taken = emit_short(&t->e, t->insn.op);
	translate_go(t, next_eip(t));
	emit_here(&t->e, taken);
	translate_go(t, relative(t));
}

static void push_return(struct translation *t)
{
	if (t->block->flags & BLOCK_COLD) {
		translate_slid(t, H_R12, next_eip(t));
		translate_push_value(t, 4, H_R12);
		return;
	}
	emit_store_imm(&t->e, 4, next_eip(t), R_ESP, t->esp - 4);
	t->esp -= 4;
}

/* r8d = the operand of an indirect jump or call */
static void indirect_target(struct translation *t)
{
	if (t->insn.mem)
		emit_operand(&t->e, t->cpu, &t->insn, 0, 0x8b, H_R8, 0);
	else
		emit_mov32(&t->e, H_R8, t->insn.rm);
}

static void ret(struct translation *t)
{
	emit_load(&t->e, 4, H_R8, R_ESP, t->esp);
	t->esp += 4 + (int32_t)(t->insn.imm & 0xffff);
	translate_go_r8(t);
}

void translate_flow(struct translation *t)
{
	if (t->insn.opsize == 2 || t->cpu->segmented) {	/* 16-bit EIP; or a CS that may have a base and a limit */
		translate_emulate(t);
		return;
	}
	switch (t->insn.action) {
	case ACT_JCC:
		jcc(t);
		return;
	case ACT_JMP:
		translate_go(t, relative(t));
		break;
	case ACT_CALL:
		push_return(t);
		translate_go(t, relative(t));
		break;
	case ACT_LOOP:
		loop(t);
		break;
	case ACT_JMP_IND:
		indirect_target(t);
		translate_go_r8(t);
		break;
	case ACT_CALL_IND:
		indirect_target(t);
		push_return(t);
		translate_go_r8(t);
		break;
	default:
		ret(t);
		break;
	}
	t->done = true;
}
