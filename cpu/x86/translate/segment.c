/* SPDX-License-Identifier: MIT */
/*
 * segment.c - moves from and to segment registers.
 *
 * A kernel loads DS, ES and FS on every way in and out, nearly always with one of three selectors. cpu->loadable[] says which
 * selectors may be loaded without C: entry s is the number of the cached descriptor for selector s, or 0. One table holds only
 * flat writable data segments, for DS and ES, whose load changes nothing that translated code has assumed; the other, for FS and
 * GS, holds any data segment. system/segment.c fills them when C has loaded a selector, and empties them when a descriptor changes.
 *
 * A guest in ring 0 keeps its descriptors in memory and tells nobody when it changes one. There the translated code of ring 0
 * compares all eight bytes with what they were when C loaded them, and any other code leaves the load to C.
 */
#include "cpu/x86/translate/address.h"
#include "cpu/x86/translate/translate.h"

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

/*
 * r8d = number of a descriptor, r9 = rcx: is it still what the guest's table holds? Returns the jump that is taken if not. A fault
 * on the table is the guest's, and finds its registers untouched.
 */
static uint8_t *compare_descriptor(struct emit *e)
{
	uint8_t *same, *differs;

	emit_mov64(e, H_ECX, H_R9);
	emit32(e, 0x879c8b47), emit32(e, CPU_DESCRIPTOR_AT);	/* mov r11d, [r15 + r8*4 + descriptor_at] */
	emit_window(e, 1, H_R12, H_R11), emit8(e, 0x8b), emit_window_disp(e, H_R12, H_R11, 0);	/* mov r12, window:[r11d] */
	emit32(e, 0xc79c8b4f), emit32(e, CPU_DESCRIPTOR_MINUS);	/* mov r11, [r15 + r8*8 + descriptor_minus] */
	emit32(e, 0x1c0c8d4b);					/* lea rcx, [r12 + r11] */
	same = emit_short(e, OP_JRCXZ);
	differs = emit_short(e, OP_JMP_SHORT);
	emit_here(e, same);
	return differs;
}

/* r10d = selector. On a miss everything is as it was, and C runs the instruction. */
static void load(struct translation *t, unsigned s, unsigned pop)
{
	struct emit *e = &t->e;
	bool any = s == S_FS || s == S_GS, compare = t->cpu->system_mode;
	uint8_t *slow, *differs = NULL, *null = NULL, *taken;

	emit32(e, 0x84b60f47), emit8(e, 0x17), emit32(e, CPU_LOADABLE + (any ? 65536 : 0));	/* movzx r8d, byte [r15 + r10 + table] */
	emit_mov64(e, H_R9, H_ECX);
	emit_mov32(e, H_ECX, H_R8);
	slow = emit_short(e, OP_JRCXZ);
	if (compare && any) {	/* number 1 is the null selector's */
		emit_lea(e, H_ECX, H_R8, -1);
		null = emit_short(e, OP_JRCXZ);
	}
	if (compare)
		differs = compare_descriptor(e);
	if (null)
		emit_here(e, null);
	emit_mov64(e, H_ECX, H_R9);
	emit_store_field(e, CPU_SELECTOR + 4 * s, H_R10);
	emit_store_field(e, CPU_HIDDEN + 4 * s, H_R8);
	if (any) {	/* mov r8, [r15 + r8*8 + base_of] */
		emit8(e, 0x4f), emit8(e, 0x8b), emit8(e, 0x84), emit8(e, 0xc7), emit32(e, CPU_BASE_OF);
		emit_store_field64(e, CPU_BASE_AT + 8 * s, H_R8);
	}
	taken = emit_short(e, OP_JMP_SHORT);
	emit_here(e, slow);
	if (differs)
		emit_here(e, differs);
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
	if (in->reg == S_SS || in->reg == S_CS || t->cpu->segmented || (t->cpu->system_mode && t->cpu->cpl)) {
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
