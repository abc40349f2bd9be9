/* SPDX-License-Identifier: MIT */
/*
 * address.c - how a guest address becomes a host operand.
 *
 * The window makes the common case free: operand [ebx+esi*4+8] stays what it is, byte for byte, behind the prefixes 65 (add the
 * GS base) and 67 (compute the rest modulo 2^32). Only the form with no base register needs another encoding, because 64-bit
 * mode took the old one for RIP-relative addresses.
 *
 * Everything else - FS and GS, which have bases, 16-bit addressing, segments that are not flat - computes the linear address in
 * r8d first, modulo 2^32 again, and uses gs:[r8d]. That needs a REX prefix, and a REX prefix turns AH, CH, DH and BH into other
 * registers: an instruction that names one of them is wrapped in two XCHGs, which swap the register's halves. If the access
 * between them faults, fault.c swaps them back (address_swaps()).
 *
 * The base of a segment is found through cpu->base_at, an offset from r15. For a null selector that leads to an inaccessible
 * page, and the fault there is recognised as the #GP that it should be. So null selectors cost nothing to check.
 */
#include "cpu/x86/translate/address.h"

#include "cpu/x86/space/reach.h"

bool address_is_flat(const struct cpu *cpu, unsigned s)
{
	return s != S_FS && s != S_GS && !cpu->segmented;
}

/*
 * Without GS the host adds 64 bits: a zero-extended register, r13, and a displacement that is signed. If that is a small one, the sum
 * lies in the window or in its guards; a guest address that wraps ends up in a guard, and its block is made again with exact
 * addresses (fault.c). Displacements that are addresses themselves, a kernel's table(%edx), would always do so.
 */
bool address_is_direct(const struct insn *insn)
{
	enum { LOWEST = -(64 << 20), HIGHEST = 192 << 20 };

	if (insn->index >= 0)
		return false;
	return insn->base < 0 ? insn->disp >= 0 : insn->disp >= LOWEST && insn->disp <= HIGHEST;
}

static bool is_simple(const struct cpu *cpu, const struct insn *insn)
{
	return insn->adsize == 4 && address_is_flat(cpu, insn->seg);
}

/* May the operand stay as it is? */
static bool keeps_operand(const struct emit *e, const struct cpu *cpu, const struct insn *insn)
{
	if (!is_simple(cpu, insn))
		return false;
	return !e->by_register || (!e->exact && address_is_direct(insn));
}

/* r8d = base of segment s */
static void emit_segment_base(struct emit *e, unsigned s)
{
	emit_load_field64(e, H_R8, CPU_BASE_AT + 8 * s);
	/* mov r8d, [r15 + r8] */
	emit8(e, 0x47);
	emit8(e, 0x8b);
	emit8(e, 0x04);
	emit8(e, 0x07);
}

/* ModRM, SIB and displacement as the guest wrote them, but for RIP-relative; @reg replaces ModRM.reg. */
static void emit_guest_modrm(struct emit *e, const struct insn *insn, unsigned reg, int32_t adjust)
{
	int32_t disp = insn->disp + adjust;
	bool small = disp >= -128 && disp < 128;

	if (insn->base < 0) {	/* [index*scale+disp32] or [disp32] */
		emit8(e, (uint8_t)((reg & 7) << 3 | 4));
		emit8(e, (uint8_t)(insn->scale << 6 | (insn->index < 0 ? 4 : insn->index) << 3 | 5));
		emit32(e, (uint32_t)disp);
		return;
	}
	unsigned mod = disp == 0 && insn->base != R_EBP ? 0 : small ? 1 : 2;

	if (insn->index >= 0 || insn->base == R_ESP) {
		emit8(e, (uint8_t)(mod << 6 | (reg & 7) << 3 | 4));
		emit8(e, (uint8_t)(insn->scale << 6 | (insn->index < 0 ? 4 : insn->index) << 3 | insn->base));
	} else {
		emit8(e, (uint8_t)(mod << 6 | (reg & 7) << 3 | insn->base));
	}
	if (mod == 1)
		emit8(e, (uint8_t)disp);
	else if (mod == 2)
		emit32(e, (uint32_t)disp);
}

/* The operand of a copied instruction that keeps it. @reg replaces ModRM.reg. */
static void emit_kept_prefix(struct emit *e, const struct insn *insn, unsigned reg)
{
	if (insn->base >= 0 || !e->by_register)
		emit_window(e, 0, reg, e->by_register ? (unsigned)insn->base : 0);
	else
		emit_rex(e, 0, reg, 0, H_R13);
}

static void emit_kept_operand(struct emit *e, const struct insn *insn, unsigned reg, int32_t adjust)
{
	if (!e->by_register)
		emit_guest_modrm(e, insn, reg, adjust);
	else if (insn->base >= 0)
		emit_window_disp(e, reg, (unsigned)insn->base, insn->disp + adjust);
	else
		emit_modrm_disp(e, reg, H_R13, insn->disp + adjust);
}

/* dst = offset within the segment, not yet cut to 16 bits */
static void emit_offset(struct emit *e, const struct insn *insn, unsigned dst)
{
	if (insn->base < 0 && insn->index < 0) {
		emit_mov_imm(e, dst, (uint32_t)insn->disp);
		return;
	}
	emit_rex(e, 0, dst, 0, 0);
	emit8(e, 0x8d);
	emit_guest_modrm(e, insn, dst, 0);
}

void emit_address(struct emit *e, const struct cpu *cpu, const struct insn *insn, bool linear)
{
	bool add_base = linear && !address_is_flat(cpu, insn->seg);
	unsigned offset = add_base ? H_R9 : H_R8;

	if (!add_base || insn->adsize == 2 || insn->index >= 0) {
		emit_offset(e, insn, offset);
		if (insn->adsize == 2) {	/* movzx offset, offset16 */
			emit_rex(e, 0, offset, 0, offset);
			emit8(e, 0x0f);
			emit8(e, 0xb7);
			emit8(e, (uint8_t)(0xc0 | (offset & 7) << 3 | (offset & 7)));
		}
		if (add_base) {
			emit_segment_base(e, insn->seg);
			emit_lea_index(e, H_R8, H_R8, H_R9, 0, 0);
		}
		return;
	}
	emit_segment_base(e, insn->seg);
	if (insn->base < 0)
		emit_lea(e, H_R8, H_R8, insn->disp);
	else
		emit_lea_index(e, H_R8, (unsigned)insn->base, H_R8, 0, insn->disp);
}

int address_swaps(const struct cpu *cpu, const struct insn *insn)
{
	unsigned both = INSN_BYTE | INSN_REG_ACCESS;

	if (!insn->mem || (is_simple(cpu, insn) && !cpu->reach->by_register) || (insn->flags & both) != both || insn->flags & INSN_RM8 || insn->reg < 4)
		return -1;
	return insn->reg - 4;
}

/* xchg low, high of register r (0-3) */
static void emit_swap(struct emit *e, unsigned r)
{
	emit8(e, 0x86);
	emit8(e, (uint8_t)(0xc0 | (r + 4) << 3 | r));
}

static void emit_prefixes(struct emit *e, const struct insn *insn)
{
	if (insn->prefix & PFX_OPSIZE)
		emit8(e, 0x66);
	if (insn->prefix & PFX_LOCK)
		emit8(e, 0xf0);
	if (insn->prefix & PFX_REP)
		emit8(e, 0xf3);
	if (insn->prefix & PFX_REPNE)
		emit8(e, 0xf2);
}

static void emit_opcode(struct emit *e, const struct insn *insn)
{
	if (insn->map != MAP_PRIMARY)
		emit8(e, 0x0f);
	if (insn->map == MAP_0F38)
		emit8(e, 0x38);
	else if (insn->map == MAP_0F3A)
		emit8(e, 0x3a);
	emit8(e, insn->op);
}

static void emit_immediates(struct emit *e, const struct insn *insn, const uint8_t *bytes)
{
	for (unsigned i = insn->len - insn->imm_size - insn->imm2_size; i < insn->len; i++)
		emit8(e, bytes[i]);
}

bool address_moves_edi(const struct cpu *cpu, const struct insn *insn)
{
	return insn->flags & INSN_IMPLICIT_DI && (cpu->reach->by_register || !is_simple(cpu, insn));
}

/*
 * MASKMOVQ, MASKMOVDQU: no operand to rewrite, so EDI holds the linear address meanwhile; fault.c gives it back from r10.
 */
static void emit_masked_store(struct emit *e, const struct cpu *cpu, const struct insn *insn)
{
	if (insn->adsize == 2)
		emit32(e, 0xcfb70f44);		/* movzx r9d, di */
	else
		emit_mov32(e, H_R9, R_EDI);
	if (!address_is_flat(cpu, insn->seg)) {
		emit_segment_base(e, insn->seg);
		emit_lea_index(e, H_R9, H_R8, H_R9, 0, 0);
	}
	emit_mov32(e, H_R10, R_EDI);
	if (e->by_register)
		emit32(e, 0x293c8d4b);		/* lea rdi, [r9 + r13] */
	else
		emit_mov32(e, R_EDI, H_R9);
	emit_prefixes(e, insn);
	if (!e->by_register)
		emit_window(e, 0, 0, 0);
	emit_opcode(e, insn);
	emit8(e, insn->modrm);
	emit_mov32(e, R_EDI, H_R10);
}

void emit_copy(struct emit *e, const struct cpu *cpu, const struct insn *insn, const uint8_t *bytes)
{
	int swap = address_swaps(cpu, insn);

	if (address_moves_edi(cpu, insn)) {
		emit_masked_store(e, cpu, insn);
		return;
	}
	if (!insn->mem) {
		emit_prefixes(e, insn);
		if (insn->flags & INSN_IMPLICIT_DI)
			emit_window(e, 0, 0, 0);
		emit_opcode(e, insn);
		if (insn->flags & INSN_MODRM)
			emit8(e, insn->modrm);
		emit_immediates(e, insn, bytes);
		return;
	}
	if (swap < 0 && keeps_operand(e, cpu, insn)) {
		emit_prefixes(e, insn);
		emit_kept_prefix(e, insn, 0);
		emit_opcode(e, insn);
		emit_kept_operand(e, insn, insn->reg, 0);
		emit_immediates(e, insn, bytes);
		return;
	}
	emit_address(e, cpu, insn, true);
	if (swap >= 0)
		emit_swap(e, (unsigned)swap);
	emit_prefixes(e, insn);
	emit_window(e, 0, 0, H_R8);
	emit_opcode(e, insn);
	emit_window_disp(e, swap >= 0 ? (unsigned)swap : insn->reg, H_R8, 0);
	emit_immediates(e, insn, bytes);
	if (swap >= 0)
		emit_swap(e, (unsigned)swap);
}

void emit_on_host(struct emit *e, const struct insn *insn, const uint8_t *bytes, unsigned base, bool swap)
{
	unsigned reg = swap ? insn->reg - 4u : insn->modrm >> 3 & 7u;

	if (swap)
		emit_swap(e, reg);
	emit_prefixes(e, insn);
	emit8(e, 0x41);
	emit_opcode(e, insn);
	emit8(e, (uint8_t)(reg << 3 | (base & 7)));	/* [base]; not r12 or r13 */
	emit_immediates(e, insn, bytes);
	if (swap)
		emit_swap(e, reg);
}

void emit_operand(struct emit *e, const struct cpu *cpu, const struct insn *insn, uint8_t prefix, unsigned opcode, unsigned reg,
		  int32_t adjust)
{
	bool kept = keeps_operand(e, cpu, insn);

	if (!kept) {
		emit_address(e, cpu, insn, true);
		if (adjust)
			emit_lea(e, H_R8, H_R8, adjust);
	}
	if (prefix)
		emit8(e, prefix);
	if (kept)
		emit_kept_prefix(e, insn, reg);
	else
		emit_window(e, 0, reg, H_R8);
	if (opcode >> 8)
		emit8(e, (uint8_t)(opcode >> 8));
	emit8(e, (uint8_t)opcode);
	if (kept)
		emit_kept_operand(e, insn, reg, adjust);
	else
		emit_window_disp(e, reg, H_R8, 0);
}
