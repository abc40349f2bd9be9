/* SPDX-License-Identifier: MIT */
/*
 * translate-stack.c - instructions that push and pop. 64-bit mode has no 32-bit PUSH, and its stack takes no segment override,
 * so each becomes a MOV and an LEA, in the order that lets a fault start over.
 */
#include "cpu/x86/address.h"
#include "cpu/x86/translate.h"

/* mov gs:[esp - size], reg; lea esp, [esp - size] */
void translate_push_value(struct translation *t, unsigned size, unsigned reg)
{
	emit_store(&t->e, size, reg, R_ESP, -(int32_t)size);
	emit_lea(&t->e, R_ESP, R_ESP, -(int32_t)size);
}

static void push_imm(struct translation *t)
{
	unsigned size = t->insn.opsize;

	emit_store_imm(&t->e, size, t->insn.imm, R_ESP, -(int32_t)size);
	emit_lea(&t->e, R_ESP, R_ESP, -(int32_t)size);
}

static void push_mem(struct translation *t)
{
	unsigned size = t->insn.opsize;

	if (!t->insn.mem) {
		translate_push_value(t, size, t->insn.rm);
		return;
	}
	emit_operand(&t->e, t->cpu, &t->insn, size == 2 ? 0x66 : 0, 0x8b, H_R10, 0);
	translate_push_value(t, size, H_R10);
}

static void pop_reg(struct translation *t)
{
	unsigned reg = t->insn.op & 7, size = t->insn.opsize;

	if (size == 2) {	/* the upper half stays */
		emit8(&t->e, 0x66);
		emit_load(&t->e, 4, reg == R_ESP ? H_R8 : reg, R_ESP, 0);
		emit_lea(&t->e, R_ESP, R_ESP, 2);
		if (reg == R_ESP) {
			emit8(&t->e, 0x66);
			emit_mov32(&t->e, R_ESP, H_R8);
		}
		return;
	}
	emit_load(&t->e, 4, reg, R_ESP, 0);
	if (reg != R_ESP)
		emit_lea(&t->e, R_ESP, R_ESP, 4);
}

/* An ESP-relative destination is computed after the pop. */
static void pop_mem(struct translation *t)
{
	unsigned size = t->insn.opsize;

	if (!t->insn.mem) {
		t->insn.op = t->insn.rm;
		pop_reg(t);
		return;
	}
	emit_load(&t->e, size, H_R10, R_ESP, 0);
	emit_operand(&t->e, t->cpu, &t->insn, size == 2 ? 0x66 : 0, 0x89, H_R10, t->insn.base == R_ESP ? (int32_t)size : 0);
	emit_lea(&t->e, R_ESP, R_ESP, (int32_t)size);
}

/* Top down, as the processor does; no register changes before the end. */
static void pusha(struct translation *t)
{
	for (int r = R_EAX; r <= R_EDI; r++)
		emit_store(&t->e, 4, (unsigned)r, R_ESP, -4 * (r + 1));
	emit_lea(&t->e, R_ESP, R_ESP, -32);
}

/* Both ends are read before a register changes; what lies between is in the same two pages. */
static void popa(struct translation *t)
{
	emit_load(&t->e, 4, H_R8, R_ESP, 0);
	emit_load(&t->e, 4, H_R8, R_ESP, 28);
	for (int r = R_EDI; r >= R_EAX; r--)
		if (r != R_ESP)
			emit_load(&t->e, 4, (unsigned)r, R_ESP, 4 * (R_EDI - r));
	emit_lea(&t->e, R_ESP, R_ESP, 32);
}

static void leave(struct translation *t)
{
	emit_load(&t->e, 4, H_R8, R_EBP, 0);
	emit_lea(&t->e, R_ESP, R_EBP, 4);
	emit_mov32(&t->e, R_EBP, H_R8);
}

void translate_stack(struct translation *t)
{
	const struct insn *in = &t->insn;

	if (t->cpu->segmented) {
		translate_emulate(t);
		return;
	}
	switch (in->action) {
	case ACT_PUSH_REG:
		translate_push_value(t, in->opsize, in->op & 7);
		return;
	case ACT_POP_REG:
		pop_reg(t);
		return;
	case ACT_PUSH_IMM:
		push_imm(t);
		return;
	case ACT_PUSH_MEM:
		push_mem(t);
		return;
	case ACT_POP_MEM:
		pop_mem(t);
		return;
	case ACT_PUSH_SEG:
		emit_load_field(&t->e, H_R8, CPU_SELECTOR + 4u * in->reg);
		translate_push_value(t, in->opsize, H_R8);
		return;
	default:
		break;
	}
	if (in->opsize == 2 || in->action == ACT_ENTER)	/* ENTER must find its new ESP writable, without writing there */
		translate_emulate(t);
	else if (in->action == ACT_PUSHA)
		pusha(t);
	else if (in->action == ACT_POPA)
		popa(t);
	else
		leave(t);
}
