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
 * Integer and SSE instructions of known operand size are done this way, and those that push, pop, call and return. Where there are two
 * accesses, r12d holds what the first one loaded; a miss of the second starts the instruction again. The x87 is left out: it remembers the
 * address of its last operand, which must not be one of the host's.
 */
#include "cpu/x86/space/soft.h"
#include "cpu/x86/translate/address.h"
#include "cpu/x86/translate/odd.h"
#include "cpu/x86/translate/translate.h"

/* SSE: size of a memory operand by mandatory prefix: none, 66, F3, F2; 0: not one of ours. MMX is not, nor x87 (below). */
static const struct { uint8_t first, last, size[4]; } vectors[] = {
	{ 0x10, 0x11, { 16, 16, 4, 8 } }, { 0x12, 0x13, { 8, 8, 0, 0 } },   { 0x14, 0x15, { 16, 16, 0, 0 } }, { 0x16, 0x17, { 8, 8, 0, 0 } },
	{ 0x28, 0x29, { 16, 16, 0, 0 } }, { 0x2a, 0x2a, { 0, 0, 4, 4 } },   { 0x2c, 0x2d, { 0, 0, 4, 8 } },   { 0x2e, 0x2f, { 4, 8, 0, 0 } },
	{ 0x51, 0x51, { 16, 16, 4, 8 } }, { 0x54, 0x57, { 16, 16, 0, 0 } }, { 0x58, 0x59, { 16, 16, 4, 8 } }, { 0x5a, 0x5a, { 8, 16, 4, 8 } },
	{ 0x5b, 0x5b, { 16, 16, 16, 0 } }, { 0x5c, 0x5f, { 16, 16, 4, 8 } }, { 0x60, 0x6d, { 0, 16, 0, 0 } }, { 0x6e, 0x6e, { 0, 4, 0, 0 } },
	{ 0x6f, 0x6f, { 0, 16, 16, 0 } }, { 0x70, 0x70, { 0, 16, 16, 16 } }, { 0x74, 0x76, { 0, 16, 0, 0 } }, { 0x7e, 0x7e, { 0, 4, 8, 0 } },
	{ 0x7f, 0x7f, { 0, 16, 16, 0 } }, { 0xc2, 0xc2, { 16, 16, 4, 8 } }, { 0xc6, 0xc6, { 16, 16, 0, 0 } }, { 0xd1, 0xd5, { 0, 16, 0, 0 } },
	{ 0xd6, 0xd6, { 0, 8, 0, 0 } },   { 0xd8, 0xe5, { 0, 16, 0, 0 } },  { 0xe7, 0xef, { 0, 16, 0, 0 } },  { 0xf1, 0xf6, { 0, 16, 0, 0 } },
	{ 0xf8, 0xfe, { 0, 16, 0, 0 } },
};

static unsigned vector_size(const struct insn *in)
{
	unsigned prefix = in->prefix & (PFX_OPSIZE | PFX_REP | PFX_REPNE);
	unsigned which = prefix == 0 ? 0 : prefix == PFX_OPSIZE ? 1 : prefix == PFX_REP ? 2 : 3;

	if (prefix & (prefix - 1))
		return 0;
	for (unsigned i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++)
		if (in->op >= vectors[i].first && in->op <= vectors[i].last)
			return vectors[i].size[which];
	return 0;
}

static unsigned primary_size(const struct insn *in, unsigned size)
{
	if (in->op < 0x40)
		return size;
	switch (in->op) {
	case 0x69: case 0x6b:
	case 0x80: case 0x81: case 0x82: case 0x83: case 0x84: case 0x85: case 0x86: case 0x87: case 0x88: case 0x89: case 0x8a: case 0x8b:
	case 0xc0: case 0xc1: case 0xc6: case 0xc7: case 0xd0: case 0xd1: case 0xd2: case 0xd3: case 0xf6: case 0xf7: case 0xfe: case 0xff:
		return size;
	default:
		return 0;
	}
}

static unsigned second_size(const struct insn *in, unsigned size)
{
	switch (in->op) {
	case 0xb6: case 0xbe:
		return 1;
	case 0xb7: case 0xbf:
		return 2;
	case 0xa4: case 0xa5: case 0xac: case 0xad: case 0xaf: case 0xb0: case 0xb1: case 0xba: case 0xbc: case 0xbd: case 0xc0: case 0xc1:
		return size;
	case 0xc7:
		return (in->modrm >> 3 & 7) == 1 ? 8 : 0;	/* CMPXCHG8B */
	default:
		return (in->op & 0xf0) == 0x90 ? 1 : (in->op & 0xf0) == 0x40 ? size : 0;
	}
}

/* Operand size in memory of the instructions we handle; 0: not one of them. */
static unsigned operand_size(const struct insn *in)
{
	unsigned size = in->flags & INSN_BYTE ? 1 : in->opsize;

	if (in->flags & INSN_FPU && !(in->flags & INSN_SSE && in->map == MAP_0F))
		return 0;
	if (in->flags & INSN_SSE)
		return in->map == MAP_0F ? vector_size(in) : 0;
	if (in->prefix & (PFX_REP | PFX_REPNE))
		return 0;
	return in->map == MAP_PRIMARY ? primary_size(in, size) : in->map == MAP_0F ? second_size(in, size) : 0;
}

/* r8d holds the address. Leaves r9 = host address, or the block. @kind: size and what else C is told (soft.h). */
static void emit_check(struct translation *t, unsigned kind)
{
	struct emit *e = &t->e;
	unsigned size = kind & 0xff, write = kind & SOFT_WRITE;
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
	emit_mov_imm(e, H_R10, kind);
	emit_jmp_field(e, CPU_EXITS + 8 * REASON_SOFT);
	emit_here(e, done);
	t->block->flags |= BLOCK_SOFT;
}

/* Of those of 16 bytes all but MOVUPS, MOVUPD and MOVDQU. */
static bool is_aligned(const struct insn *in)
{
	bool unaligned = in->op == 0x10 || in->op == 0x11 || ((in->op == 0x6f || in->op == 0x7f) && in->prefix & PFX_REP);

	return in->flags & INSN_SSE && vector_size(in) == 16 && !unaligned;
}

/* AH to BH, which an instruction with a REX prefix cannot name. */
static bool names_high_byte(const struct insn *in)
{
	return in->flags & INSN_BYTE && in->flags & INSN_REG_ACCESS && !(in->flags & INSN_RM8) && in->reg >= 4;
}

static void soft_copy(struct translation *t)
{
	const struct insn *in = &t->insn;

	emit_address(&t->e, t->cpu, in, true);
	emit_check(t, operand_size(in) | (in->flags & INSN_WRITES_RM ? SOFT_WRITE : 0) | (is_aligned(in) ? SOFT_ALIGNED : 0));
	emit_on_host(&t->e, in, t->bytes, H_R9, names_high_byte(in));
}

/* r8d holds the address. mov reg, [r9] */
static void checked_load(struct translation *t, unsigned reg)
{
	emit_check(t, 4);
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
	emit_check(t, 4 | SOFT_WRITE);
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
	emit_check(t, size | (t->insn.op & 2 ? SOFT_WRITE : 0));
	if (size == 2)
		emit8(e, 0x66);
	emit8(e, 0x41), emit8(e, opcode[t->insn.op & 3]), emit8(e, R_EAX << 3 | (H_R9 & 7));
}

static void soft_stack(struct translation *t)
{
	const struct insn *in = &t->insn;

	switch (in->action) {
	case ACT_PUSH_REG:
		checked_push(t, in->op & 7, 0);
		break;
	case ACT_PUSH_IMM:
		checked_push(t, NO_REGISTER, in->imm);
		break;
	case ACT_PUSH_MEM:
		checked_operand(t, H_R12);
		checked_push(t, H_R12, 0);
		break;
	case ACT_POP_REG:
		emit_mov32(&t->e, H_R8, R_ESP);
		checked_load(t, in->op & 7);
		t->esp = (in->op & 7) == R_ESP ? 0 : 4;
		break;
	default:	/* LEAVE */
		emit_mov32(&t->e, H_R8, R_EBP);
		checked_load(t, R_EBP);
		emit_lea(&t->e, R_ESP, H_R8, 4);
		break;
	}
}

static void soft_flow(struct translation *t)
{
	const struct insn *in = &t->insn;
	uint32_t next = t->eip + in->len;

	switch (in->action) {
	case ACT_CALL:
		translate_slid(t, H_R12, next);
		checked_push(t, H_R12, 0);
		translate_go(t, next + in->imm);
		break;
	case ACT_CALL_IND:
		checked_operand(t, H_R12);
		emit_store_field(&t->e, CPU_KEPT, H_R12);
		translate_slid(t, H_R12, next);
		checked_push(t, H_R12, 0);
		emit_load_field(&t->e, H_R8, CPU_KEPT);
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
}

static bool can_check(const struct translation *t)
{
	const struct insn *in = &t->insn;

	switch (in->action) {
	case ACT_COPY:
		return in->mem && operand_size(in) && !odd_cannot_copy(t->cpu, in, t->e.exact);
	case ACT_MOFFS:
		return true;
	case ACT_PUSH_REG: case ACT_PUSH_IMM: case ACT_PUSH_MEM: case ACT_POP_REG: case ACT_LEAVE: case ACT_CALL: case ACT_CALL_IND: case ACT_RET:
		return in->opsize == 4 && !t->cpu->segmented;
	case ACT_JMP_IND:
		return in->mem && in->opsize == 4 && !t->cpu->segmented;
	case ACT_STRING:
		return soft_does_string(in, t->block->flags & BLOCK_COLD);
	default:
		return false;
	}
}

bool translate_is_checked(const struct translation *t, uint32_t physical)
{
	bool cold = t->block->flags & BLOCK_COLD;

	if (t->apart || (!cold && !(t->cpu->frames[physical >> PAGE_SHIFT].soft && soft_is_checked(t->cpu, physical))))
		return false;
	return can_check(t);
}

void translate_soft(struct translation *t)
{
	switch (t->insn.action) {
	case ACT_COPY:
		soft_copy(t);
		break;
	case ACT_MOFFS:
		soft_moffs(t);
		break;
	case ACT_CALL: case ACT_CALL_IND: case ACT_JMP_IND: case ACT_RET:
		soft_flow(t);
		break;
	case ACT_STRING:
		translate_emulate(t);
		break;
	default:
		soft_stack(t);
		break;
	}
}
