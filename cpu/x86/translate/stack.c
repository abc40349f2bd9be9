/* SPDX-License-Identifier: MIT */
/*
 * stack.c - instructions that push and pop. 64-bit mode has no 32-bit PUSH, and its stack takes no segment override,
 * so each becomes a MOV - and then ESP has changed.
 *
 * An LEA for each of them would be right, and slow: a processor knows that what was pushed is what is loaded again if both
 * operands have the same base and its value has not changed meanwhile, and then passes it on without a look at memory. With an
 * LEA in between, an argument on the stack takes eight cycles to its function. So rsp stays, and the distance of the guest's ESP
 * from it is kept here, added to each operand based on ESP, noted for each instruction (struct point, for faults), and handed on
 * to the next block (its depth), through calls and returns. rsp becomes the guest's ESP on the ways out to C, before an
 * instruction that uses ESP for something else, and where the distance is not one that blocks begin with.
 */
#include "cpu/x86/translate/address.h"
#include "cpu/x86/translate/translate.h"

/* --- the distance ----------------------------------------------------------------------------------------------------------- */

enum { FARTHEST = 127 };	/* of what LEA may add up to, so that translate_end_early() finds room */

void translate_leave_esp(struct translation *t)
{
	if (t->esp)
		emit_lea(&t->e, R_ESP, R_ESP, t->esp);
}

void translate_settle_esp(struct translation *t)
{
	translate_leave_esp(t);
	t->esp = 0;
}

void translate_depth(struct translation *t)
{
	if (t->esp > 0 || t->esp <= -4 * BLOCK_DEPTHS || t->esp & 3)
		translate_settle_esp(t);
}

/* MOV of 32 bits between registers: *to and *from. */
static bool is_move(const struct insn *in, unsigned *to, unsigned *from)
{
	if (in->action != ACT_COPY || in->map != MAP_PRIMARY || (in->op != 0x89 && in->op != 0x8b) || in->mem || in->opsize != 4)
		return false;
	*to = in->op == 0x89 ? in->rm : in->reg;
	*from = in->op == 0x89 ? in->reg : in->rm;
	return true;
}

static bool is_lea_to_esp(const struct insn *in)
{
	return in->action == ACT_LEA && in->reg == R_ESP && in->opsize == 4 && in->adsize == 4;
}

static bool moves_esp(const struct insn *in)
{
	unsigned to, from;

	return is_lea_to_esp(in) || (is_move(in, &to, &from) && (to == R_ESP) != (from == R_ESP));
}

bool translate_move_esp(struct translation *t)
{
	const struct insn *in = &t->insn;
	unsigned to, from;

	if (!moves_esp(in))
		return false;
	if (is_lea_to_esp(in)) {
		bool near = in->disp >= -FARTHEST && in->disp <= FARTHEST && t->esp >= -FARTHEST && t->esp <= FARTHEST;

		if (in->base == R_ESP && in->index < 0 && near) {
			t->esp = in->disp;
			return true;
		}
		translate_simple_lea(t);
		t->esp = 0;
	} else if (is_move(in, &to, &from) && from == R_ESP) {
		emit_lea(&t->e, to, R_ESP, t->esp);
	} else {
		emit_mov32(&t->e, R_ESP, from);
		t->esp = 0;
	}
	return true;
}

/* Does a copied instruction name ESP or SP as a register? If in doubt, yes. */
static bool copy_names_esp(const struct insn *in)
{
	bool byte = in->flags & INSN_BYTE;

	if (!(in->flags & INSN_MODRM))
		return !byte && in->reg == R_ESP;
	if (in->flags & INSN_REG_ACCESS && in->reg == R_ESP && !byte)
		return true;
	return !in->mem && in->flags & INSN_RM_INT && in->rm == R_ESP && !byte && !(in->flags & INSN_RM8);
}

/* Must rsp be the guest's ESP for this instruction? What is not here goes on as if it always had been. */
static bool needs_esp(const struct insn *in)
{
	switch (in->action) {
	case ACT_COPY:
		return copy_names_esp(in);
	case ACT_INCDEC: case ACT_PUSH_REG:
		return (in->op & 7) == R_ESP;
	case ACT_POP_REG:
		return (in->op & 7) == R_ESP && in->opsize == 2;
	case ACT_POP_MEM:
		return !in->mem && in->rm == R_ESP && in->opsize == 2;
	case ACT_PUSH_MEM: case ACT_MOV_FROM_SEG: case ACT_MOV_TO_SEG: case ACT_JMP_IND: case ACT_CALL_IND:
		return !in->mem && in->rm == R_ESP;
	case ACT_LEA:
		return in->reg == R_ESP;
	case ACT_PUSH_IMM: case ACT_PUSH_SEG: case ACT_POP_SEG: case ACT_LEAVE: case ACT_MOFFS: case ACT_XLAT: case ACT_STRING:
	case ACT_JCC: case ACT_JMP: case ACT_CALL: case ACT_LOOP: case ACT_RET: case ACT_RDTSC:
		return false;
	default:
		return true;
	}
}

void translate_begin_esp(struct translation *t)
{
	if (!moves_esp(&t->insn) && needs_esp(&t->insn))
		translate_settle_esp(t);
	if (uses_rsp(&t->insn))
		t->insn.disp += t->esp;
}

/* --- the instructions ------------------------------------------------------------------------------------------------------- */

/* mov gs:[esp - size], reg */
void translate_push_value(struct translation *t, unsigned size, unsigned reg)
{
	emit_store(&t->e, size, reg, R_ESP, t->esp - (int32_t)size);
	t->esp -= (int32_t)size;
}

static void push_imm(struct translation *t)
{
	unsigned size = t->insn.opsize;

	emit_store_imm(&t->e, size, t->insn.imm, R_ESP, t->esp - (int32_t)size);
	t->esp -= (int32_t)size;
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
		emit_load_half(&t->e, reg == R_ESP ? H_R8 : reg, R_ESP, t->esp);
		t->esp += 2;
		if (reg == R_ESP) {
			translate_settle_esp(t);
			emit8(&t->e, 0x66);
			emit_mov32(&t->e, R_ESP, H_R8);
		}
		return;
	}
	emit_load(&t->e, 4, reg, R_ESP, t->esp);
	t->esp = reg == R_ESP ? 0 : t->esp + 4;
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
	emit_load(&t->e, size, H_R10, R_ESP, t->esp);
	emit_operand(&t->e, t->cpu, &t->insn, size == 2 ? 0x66 : 0, 0x89, H_R10, t->insn.base == R_ESP ? (int32_t)size : 0);
	t->esp += (int32_t)size;
}

/* Top down, as the processor does; no register changes before the end. ESP is settled, here and for POPA. */
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
	t->esp = 0;
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
