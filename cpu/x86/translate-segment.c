/* SPDX-License-Identifier: MIT */
/*
 * translate-segment.c - moves from and to segment registers.
 *
 * A kernel loads DS, ES and FS on every way in and out, nearly always with one of three selectors. cpu->loadable[] says which
 * selectors may be loaded without C: entry s is the number of the cached descriptor for selector s, or 0. One table holds only
 * flat writable data segments, for DS and ES, whose load changes nothing that translated code has assumed; the other, for FS and
 * GS, holds any data segment. segment.c fills them when C has loaded a selector, and empties them when a descriptor changes.
 */
#include "cpu/x86/address.h"
#include "cpu/x86/translate.h"

static void mov_from(struct translation *t)
{
	const struct insn *in = &t->insn;

	if (in->mem) {
		emit_load_field(&t->e, H_R10, CPU_SELECTOR + 4u * in->reg);
		emit_operand(&t->e, t->cpu, in, 0x66, 0x89, H_R10, 0);
		return;
	}
	if (in->opsize == 4) {
		emit_load_field(&t->e, in->rm, CPU_SELECTOR + 4u * in->reg);
		return;
	}
	emit_load_field(&t->e, H_R8, CPU_SELECTOR + 4u * in->reg);
	emit8(&t->e, 0x66);
	emit_mov32(&t->e, in->rm, H_R8);
}

/* r10d = selector. On a miss everything is as it was, and C runs the instruction. */
static void load(struct translation *t, unsigned s, unsigned pop)
{
	struct emit *e = &t->e;
	bool any = s == S_FS || s == S_GS;
	uint8_t *slow, *taken;

	emit32(e, 0x84b60f47), emit8(e, 0x17), emit32(e, CPU_LOADABLE + (any ? 65536 : 0));	/* movzx r8d, byte [r15 + r10 + table] */
	emit_mov64(e, H_R9, H_ECX);
	emit_mov32(e, H_ECX, H_R8);
	slow = emit_short(e, OP_JRCXZ);
	emit_mov64(e, H_ECX, H_R9);
	emit_store_field(e, CPU_SELECTOR + 4 * s, H_R10);
	emit_store_field(e, CPU_HIDDEN + 4 * s, H_R8);
	if (any) {	/* mov r8, [r15 + r8*8 + base_of] */
		emit8(e, 0x4f), emit8(e, 0x8b), emit8(e, 0x84), emit8(e, 0xc7), emit32(e, CPU_BASE_OF);
		emit_store_field64(e, CPU_BASE_AT + 8 * s, H_R8);
	}
	taken = emit_short(e, OP_JMP_SHORT);
	emit_here(e, slow);
	emit_mov64(e, H_ECX, H_R9);
	translate_emulate(t);
	t->done = false;
	emit_here(e, taken);
	t->esp += (int32_t)pop;
}

void translate_segment(struct translation *t)
{
	const struct insn *in = &t->insn;

	if (in->action == ACT_MOV_FROM_SEG) {
		mov_from(t);
		return;
	}
	if (in->reg == S_SS || in->reg == S_CS || t->cpu->segmented) {
		translate_emulate(t);
		return;
	}
	if (in->action == ACT_POP_SEG) {
		emit_load(&t->e, in->opsize, H_R10, R_ESP, t->esp);	/* all four bytes must be there */
		emit32(&t->e, 0xd2b70f45);			/* movzx r10d, r10w */
		load(t, in->reg, in->opsize);
		return;
	}
	if (in->mem) {
		emit_operand(&t->e, t->cpu, in, 0, 0x0fb7, H_R10, 0);
	} else {		/* movzx r10d, rm16 */
		emit8(&t->e, 0x44), emit8(&t->e, 0x0f), emit8(&t->e, 0xb7), emit8(&t->e, (uint8_t)(0xc0 | 2 << 3 | in->rm));
	}
	load(t, in->reg, 0);
}
