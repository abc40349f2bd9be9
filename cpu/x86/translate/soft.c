/* SPDX-License-Identifier: MIT */
/*
 * soft.c - emits checked accesses (space/soft.h).
 *
 *	r8d = linear address
 *	r11 = rax; ah = SF ZF AF PF CF, al = OF		the check needs the flags
 *	r10 = offset of the entry for the page
 *	r9d = page of the operand's last byte		another page than the first's: no match, and C sorts it out
 *	match? then r9 = host address, flags and rax back, and the instruction runs on [r9].
 *
 * Only integer instructions of known operand size are done this way, and those that push, pop, call and return. Where there are two
 * accesses, r12d holds what the first one loaded; a miss of the second starts the instruction again.
 */
#include "cpu/x86/space/soft.h"
#include "cpu/x86/translate/address.h"
#include "cpu/x86/translate/translate.h"

/* Operand size in memory of the instructions we handle; 0: not one of them. */
static unsigned operand_size(const struct insn *in)
{
	unsigned size = in->flags & INSN_BYTE ? 1 : in->opsize;

	if (in->prefix & (PFX_REP | PFX_REPNE))
		return 0;
	if (in->map == MAP_PRIMARY) {
		if (in->op < 0x40 || (in->op >= 0x80 && in->op <= 0x8b) || (in->op >= 0xc6 && in->op <= 0xc7) ||
		    (in->op >= 0xf6 && in->op <= 0xf7) || in->op >= 0xfe)
			return in->op == 0x63 ? 0 : size;
		return 0;
	}
	if (in->map != MAP_0F)
		return 0;
	switch (in->op) {
	case 0xb6: case 0xbe:
		return 1;
	case 0xb7: case 0xbf:
		return 2;
	case 0xaf: case 0xb0: case 0xb1: case 0xc0: case 0xc1:
		return size;
	default:
		return (in->op & 0xf0) == 0x90 ? 1 : 0;
	}
}

/* r8d holds the address. Leaves r9 = host address, or the block. */
static void emit_check(struct translation *t, unsigned size, bool write)
{
	struct emit *e = &t->e;
	uint32_t entries = t->block->flags & BLOCK_RING0 ? CPU_SOFT_RING0 : CPU_SOFT, tag = entries + (write ? 4 : 0);
	uint8_t *slow, *done;

	emit_mov64(e, H_R11, R_EAX);
	emit8(e, 0x9f);							/* lahf */
	emit8(e, 0x0f), emit8(e, 0x90), emit8(e, 0xc0);			/* seto al */
	emit_lea(e, H_R9, H_R8, (int32_t)size - 1);
	emit_mov32(e, H_R10, H_R8);
	emit32(e, 0x0ceac141);						/* shr r10d, 12 */
	emit32(e, 0xd2b60f45);						/* movzx r10d, r10b */
	emit32(e, 0x04e2c141);						/* shl r10d, 4 */
	emit8(e, 0x41), emit8(e, 0x81), emit8(e, 0xe1), emit32(e, ~PAGE_MASK);	/* and r9d, page */
	emit32(e, 0x178c3b47), emit32(e, tag);				/* cmp r9d, [r15 + r10 + tag] */
	slow = emit_short(e, 0x75);					/* jne */
	emit32(e, 0x178c8b4f), emit32(e, entries + 8);			/* mov r9, [r15 + r10 + addend] */
	emit8(e, 0x4d), emit8(e, 0x01), emit8(e, 0xc1);			/* add r9, r8 */
	emit16(e, 0x7f04);						/* add al, 0x7f: OF */
	emit8(e, 0x9e);							/* sahf */
	emit_mov64(e, R_EAX, H_R11);
	done = emit_short(e, OP_JMP_SHORT);
	emit_here(e, slow);
	emit16(e, 0x7f04);
	emit8(e, 0x9e);
	emit_mov64(e, R_EAX, H_R11);
	emit_mov_imm(e, H_R9, t->eip);
	emit_mov_imm(e, H_R10, size | (write ? SOFT_WRITE : 0));
	emit_jmp_field(e, CPU_EXITS + 8 * REASON_SOFT);
	emit_here(e, done);
	t->block->flags |= BLOCK_SOFT;
}

static bool soft_copy(struct translation *t)
{
	const struct insn *in = &t->insn;
	unsigned size = operand_size(in);

	if (!in->mem || !size || ((in->flags & INSN_BYTE) && (in->flags & INSN_REG_ACCESS) && in->reg >= 4))
		return false;
	emit_address(&t->e, t->cpu, in, true);
	emit_check(t, size, in->flags & INSN_WRITES_RM);
	emit_on_host(&t->e, in, t->bytes, H_R9);
	return true;
}

/* r8d holds the address. mov reg, [r9] */
static void checked_load(struct translation *t, unsigned reg)
{
	emit_check(t, 4, false);
	emit_rex(&t->e, 0, reg, 0, H_R9);
	emit8(&t->e, 0x8b);
	emit8(&t->e, (uint8_t)((reg & 7) << 3 | (H_R9 & 7)));
}

/* What is pushed: a register, or, if that is none, a number. ESP is set behind the access, and r8d with it. */
enum { NO_REGISTER = -1 };

static void checked_push(struct translation *t, int reg, uint32_t imm)
{
	struct emit *e = &t->e;

	emit_lea(e, H_R8, R_ESP, -4);
	emit_check(t, 4, true);
	emit_rex(e, 0, reg < 0 ? 0 : (unsigned)reg, 0, H_R9);
	if (reg < 0) {			/* mov dword [r9], imm */
		emit8(e, 0xc7), emit8(e, H_R9 & 7);
		emit32(e, imm);
	} else {			/* mov [r9], reg */
		emit8(e, 0x89), emit8(e, (uint8_t)((reg & 7) << 3 | (H_R9 & 7)));
	}
	emit_mov32(e, R_ESP, H_R8);
}

/* reg = the operand of an indirect push, call or jump */
static void checked_operand(struct translation *t, unsigned reg)
{
	if (t->insn.mem) {
		emit_address(&t->e, t->cpu, &t->insn, true);
		checked_load(t, reg);
	} else {
		emit_mov32(&t->e, reg, t->insn.rm);
	}
}

static void soft_moffs(struct translation *t)
{
	static const uint8_t opcode[4] = { 0x8a, 0x8b, 0x88, 0x89 };
	struct insn as = translate_moffs_operand(&t->insn);
	unsigned size = t->insn.op & 1 ? t->insn.opsize : 1;
	struct emit *e = &t->e;

	emit_address(e, t->cpu, &as, true);
	emit_check(t, size, t->insn.op & 2);
	if (size == 2)
		emit8(e, 0x66);
	emit8(e, 0x41), emit8(e, opcode[t->insn.op & 3]), emit8(e, R_EAX << 3 | (H_R9 & 7));
}

/* ESP is settled, as before every instruction that is checked. */
static bool soft_stack(struct translation *t)
{
	const struct insn *in = &t->insn;

	if (in->opsize != 4 || t->cpu->segmented)
		return false;
	switch (in->action) {
	case ACT_PUSH_REG:
		checked_push(t, in->op & 7, 0);
		return true;
	case ACT_PUSH_IMM:
		checked_push(t, NO_REGISTER, in->imm);
		return true;
	case ACT_PUSH_MEM:
		checked_operand(t, H_R12);
		checked_push(t, H_R12, 0);
		return true;
	case ACT_POP_REG:
		emit_mov32(&t->e, H_R8, R_ESP);
		checked_load(t, in->op & 7);
		t->esp = (in->op & 7) == R_ESP ? 0 : 4;
		return true;
	default:	/* LEAVE */
		emit_mov32(&t->e, H_R8, R_EBP);
		checked_load(t, R_EBP);
		emit_lea(&t->e, R_ESP, H_R8, 4);
		return true;
	}
}

static bool soft_flow(struct translation *t)
{
	const struct insn *in = &t->insn;
	uint32_t next = t->eip + in->len;

	if (in->opsize != 4 || t->cpu->segmented)
		return false;
	switch (in->action) {
	case ACT_CALL:
		checked_push(t, NO_REGISTER, next);
		translate_go(t, next + in->imm);
		break;
	case ACT_CALL_IND:
		checked_operand(t, H_R12);
		checked_push(t, NO_REGISTER, next);
		emit_mov32(&t->e, H_R8, H_R12);
		translate_go_r8(t);
		break;
	case ACT_JMP_IND:
		checked_operand(t, H_R8);
		translate_go_r8(t);
		break;
	default:	/* RET */
		emit_mov32(&t->e, H_R8, R_ESP);
		checked_load(t, H_R8);
		t->esp = 4 + (int32_t)(in->imm & 0xffff);
		translate_go_r8(t);
		break;
	}
	t->done = true;
	return true;
}

bool translate_soft(struct translation *t, uint32_t physical)
{
	if (t->apart || !soft_is_checked(t->cpu, physical))
		return false;
	switch (t->insn.action) {
	case ACT_COPY:
		return soft_copy(t);
	case ACT_MOFFS:
		soft_moffs(t);
		return true;
	case ACT_PUSH_REG: case ACT_PUSH_IMM: case ACT_PUSH_MEM: case ACT_POP_REG: case ACT_LEAVE:
		return soft_stack(t);
	case ACT_CALL: case ACT_CALL_IND: case ACT_JMP_IND: case ACT_RET:
		return soft_flow(t);
	case ACT_STRING:
		if (!soft_does_string(&t->insn))
			return false;
		translate_emulate(t);
		return true;
	default:
		return false;
	}
}
