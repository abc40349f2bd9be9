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
 * Only integer instructions of known operand size are done this way, pushes, and calls.
 */
#include "cpu/x86/space/soft.h"
#include "cpu/x86/translate/address.h"
#include "cpu/x86/translate/translate.h"

/* Operand size in memory of the instructions we handle; 0: not one of them. */
static unsigned operand_size(const struct insn *in)
{
	unsigned size = in->flags & INSN_BYTE ? 1 : in->opsize;

	if (in->prefix & (PFX_LOCK | PFX_REP | PFX_REPNE))
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
	case 0xaf:
		return size;
	default:
		return (in->op & 0xf0) == 0x90 ? 1 : 0;
	}
}

/* r8d holds the address. Leaves r9 = host address, or the block. */
static void emit_check(struct translation *t, unsigned size, bool write)
{
	struct emit *e = &t->e;
	uint32_t tag = CPU_SOFT + (write ? 4 : 0);
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
	emit32(e, 0x178c8b4f), emit32(e, CPU_SOFT + 8);			/* mov r9, [r15 + r10 + addend] */
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

/* lea r8d, [esp - size]; check; mov [r9], what; esp = r8d */
static bool soft_push(struct translation *t)
{
	const struct insn *in = &t->insn;
	struct emit *e = &t->e;

	if (in->opsize != 4 || t->cpu->segmented)
		return false;
	emit_lea(e, H_R8, R_ESP, -4);
	emit_check(t, 4, true);
	if (in->action == ACT_PUSH_REG) {			/* mov [r9], reg */
		emit8(e, 0x41), emit8(e, 0x89), emit8(e, (uint8_t)((in->op & 7) << 3 | 1));
	} else {						/* mov dword [r9], imm */
		emit8(e, 0x41), emit8(e, 0xc7), emit8(e, 0x01);
		emit32(e, in->action == ACT_CALL ? t->eip + in->len : in->imm);
	}
	emit_mov32(e, R_ESP, H_R8);
	return true;
}

bool translate_soft(struct translation *t, uint32_t physical)
{
	if (t->apart || !soft_is_checked(t->cpu, physical))
		return false;
	switch (t->insn.action) {
	case ACT_COPY:
		return soft_copy(t);
	case ACT_PUSH_REG: case ACT_PUSH_IMM:
		return soft_push(t);
	case ACT_CALL:
		if (!soft_push(t))
			return false;
		translate_go(t, t->eip + t->insn.len + t->insn.imm);
		t->done = true;
		return true;
	case ACT_STRING:
		if (!soft_does_string(&t->insn))
			return false;
		translate_emulate(t);
		return true;
	default:
		return false;
	}
}
