/* SPDX-License-Identifier: MIT */
/*
 * emit.h - writes host instructions. Every instruction the translator makes up (rather than copies) is named here, so this is
 * also the list of what may appear in the code cache: see docs/isolation.md and tests/cpu/x86/isolation.
 *
 * None of them changes the flags, none uses the host's stack; but for POPF, which changes them all, and PUSHF and POPF on a stack of
 * one word in struct cpu (translate/system.c).
 */
#ifndef KENNEL_CPU_X86_TRANSLATE_EMIT_H
#define KENNEL_CPU_X86_TRANSLATE_EMIT_H

#include <stdint.h>
#include <string.h>

#include "cpu/x86/state.h"

/* Host register numbers. */
enum { H_EAX, H_ECX, H_EDX, H_EBX, H_ESP, H_EBP, H_ESI, H_EDI, H_R8, H_R9, H_R10, H_R11, H_R12, H_R13, H_R14, H_R15 };

struct emit {
	uint8_t *p;	/* next byte, in the writable mapping */
	uint8_t *limit;	/* no instruction is begun past this */
	bool by_register;/* guest memory is reached through r13 (reach.h), not through GS */
	bool exact;	/* by register: each address is cut to 32 bits before r13 is added */
};

static inline void emit8(struct emit *e, uint8_t v)
{
	*e->p++ = v;
}

static inline void emit16(struct emit *e, uint16_t v)
{
	e->p[0] = (uint8_t)v;
	e->p[1] = (uint8_t)(v >> 8);
	e->p += 2;
}

static inline void emit32(struct emit *e, uint32_t v)
{
	emit16(e, (uint16_t)v);
	emit16(e, (uint16_t)(v >> 16));
}

/* ModRM (+ SIB) (+ displacement) for [base + disp], base any 64-bit register; no REX. */
static inline void emit_modrm_disp(struct emit *e, unsigned reg, unsigned base, int32_t disp)
{
	unsigned mod = disp >= -128 && disp < 128 ? 1 : 2;

	emit8(e, (uint8_t)(mod << 6 | (reg & 7) << 3 | (base & 7)));
	if ((base & 7) == H_ESP)
		emit8(e, 0x24);
	if (mod == 1)
		emit8(e, (uint8_t)disp);
	else
		emit32(e, (uint32_t)disp);
}

/* REX for reg and base, only if one is needed. */
static inline void emit_rex(struct emit *e, unsigned wide, unsigned reg, unsigned index, unsigned base)
{
	unsigned rex = wide << 3 | (reg >> 3) << 2 | (index >> 3) << 1 | base >> 3;

	if (rex)
		emit8(e, (uint8_t)(0x40 | rex));
}

/* mov between a register and [r15 + field]: opcode 8b loads, 89 stores */
static inline void emit_field(struct emit *e, unsigned wide, uint8_t opcode, unsigned reg, unsigned field)
{
	emit_rex(e, wide, reg, 0, H_R15);
	emit8(e, opcode);
	emit_modrm_disp(e, reg, H_R15, (int32_t)field);
}

/* mov reg32, [r15 + field] */
static inline void emit_load_field(struct emit *e, unsigned reg, unsigned field)
{
	emit_field(e, 0, 0x8b, reg, field);
}

/* mov reg64, [r15 + field] */
static inline void emit_load_field64(struct emit *e, unsigned reg, unsigned field)
{
	emit_field(e, 1, 0x8b, reg, field);
}

/* mov [r15 + field], reg32 */
static inline void emit_store_field(struct emit *e, unsigned field, unsigned reg)
{
	emit_field(e, 0, 0x89, reg, field);
}

/* mov dword [r15 + field], imm */
static inline void emit_store_field_imm(struct emit *e, unsigned field, uint32_t imm)
{
	emit_field(e, 0, 0xc7, 0, field);
	emit32(e, imm);
}

/* op reg32, imm: @op 1 OR, 4 AND; changes the flags */
static inline void emit_alu_imm(struct emit *e, unsigned op, unsigned reg, uint32_t imm)
{
	emit_rex(e, 0, 0, 0, reg);
	emit8(e, 0x81);
	emit8(e, (uint8_t)(0xc0 | op << 3 | (reg & 7)));
	emit32(e, imm);
}

/* mov [r15 + field], reg64 */
static inline void emit_store_field64(struct emit *e, unsigned field, unsigned reg)
{
	emit_field(e, 1, 0x89, reg, field);
}

/* mov dst, src: whole 64-bit registers */
static inline void emit_mov64(struct emit *e, unsigned dst, unsigned src)
{
	emit_rex(e, 1, src, 0, dst);
	emit8(e, 0x89);
	emit8(e, (uint8_t)(0xc0 | (src & 7) << 3 | (dst & 7)));
}

/* mov dst32, src32: zero-extends */
static inline void emit_mov32(struct emit *e, unsigned dst, unsigned src)
{
	emit_rex(e, 0, src, 0, dst);
	emit8(e, 0x89);
	emit8(e, (uint8_t)(0xc0 | (src & 7) << 3 | (dst & 7)));
}

/* mov reg32, imm */
static inline void emit_mov_imm(struct emit *e, unsigned reg, uint32_t imm)
{
	emit_rex(e, 0, 0, 0, reg);
	emit8(e, (uint8_t)(0xb8 | (reg & 7)));
	emit32(e, imm);
}

/* lea dst32, [base + disp] */
static inline void emit_lea(struct emit *e, unsigned dst, unsigned base, int32_t disp)
{
	emit_rex(e, 0, dst, 0, base);
	emit8(e, 0x8d);
	emit_modrm_disp(e, dst, base, disp);
}

/* lea dst32, [base + index << scale + disp]; index is not esp */
static inline void emit_lea_index(struct emit *e, unsigned dst, unsigned base, unsigned index, unsigned scale, int32_t disp)
{
	emit_rex(e, 0, dst, index, base);
	emit8(e, 0x8d);
	emit8(e, (uint8_t)(0x80 | (dst & 7) << 3 | 4));
	emit8(e, (uint8_t)(scale << 6 | (index & 7) << 3 | (base & 7)));
	emit32(e, (uint32_t)disp);
}

/*
 * Guest memory at [base + disp], where the sum is known not to leave the window and its guards (address.c). Two ways:
 *
 *	65 67 [rex] opcode [base + disp]	65: GS base added; 67: the address before that is computed modulo 2^32
 *	rex opcode [base + r13 + disp]		the window is in r13; registers are zero-extended, @disp is signed
 *
 * emit_window() writes what stands in front of the opcode, emit_window_disp() what comes behind it.
 */
static inline void emit_window(struct emit *e, unsigned wide, unsigned reg, unsigned base)
{
	if (!e->by_register) {
		emit8(e, 0x65);
		emit8(e, 0x67);
	}
	emit_rex(e, wide, reg, e->by_register ? H_R13 : 0, base);
}

static inline void emit_window_disp(struct emit *e, unsigned reg, unsigned base, int32_t disp)
{
	unsigned mod = disp == 0 && (base & 7) != H_EBP ? 0 : disp >= -128 && disp < 128 ? 1 : 2;

	if (!e->by_register) {
		emit8(e, (uint8_t)(mod << 6 | (reg & 7) << 3 | (base & 7)));
		if ((base & 7) == H_ESP)
			emit8(e, 0x24);
	} else {
		emit8(e, (uint8_t)(mod << 6 | (reg & 7) << 3 | 4));
		emit8(e, (uint8_t)((H_R13 & 7) << 3 | (base & 7)));
	}
	if (mod == 1)
		emit8(e, (uint8_t)disp);
	else if (mod == 2)
		emit32(e, (uint32_t)disp);
}

/* Where addresses must be exact, one based on a guest register: r12d = base + disp. */
static inline unsigned emit_exact(struct emit *e, unsigned base, int32_t *disp)
{
	if (!e->exact || !e->by_register || base >= H_R8)
		return base;
	emit_lea(e, H_R12, base, *disp);
	*disp = 0;
	return H_R12;
}

/* mov reg, window:[base + disp]; @size 2 (zero-extended) or 4 */
static inline void emit_load(struct emit *e, unsigned size, unsigned reg, unsigned base, int32_t disp)
{
	base = emit_exact(e, base, &disp);
	emit_window(e, 0, reg, base);
	if (size == 2) {
		emit8(e, 0x0f);
		emit8(e, 0xb7);
	} else {
		emit8(e, 0x8b);
	}
	emit_window_disp(e, reg, base, disp);
}

/* mov reg16, window:[base + disp]; the register's upper half stays */
static inline void emit_load_half(struct emit *e, unsigned reg, unsigned base, int32_t disp)
{
	base = emit_exact(e, base, &disp);
	emit8(e, 0x66);
	emit_window(e, 0, reg, base);
	emit8(e, 0x8b);
	emit_window_disp(e, reg, base, disp);
}

/* mov window:[base + disp], reg; @size 2 or 4 */
static inline void emit_store(struct emit *e, unsigned size, unsigned reg, unsigned base, int32_t disp)
{
	base = emit_exact(e, base, &disp);
	if (size == 2)
		emit8(e, 0x66);
	emit_window(e, 0, reg, base);
	emit8(e, 0x89);
	emit_window_disp(e, reg, base, disp);
}

/* mov window:[base + disp], imm; @size 2 or 4 */
static inline void emit_store_imm(struct emit *e, unsigned size, uint32_t imm, unsigned base, int32_t disp)
{
	base = emit_exact(e, base, &disp);
	if (size == 2)
		emit8(e, 0x66);
	emit_window(e, 0, 0, base);
	emit8(e, 0xc7);
	emit_window_disp(e, 0, base, disp);
	if (size == 2)
		emit16(e, (uint16_t)imm);
	else
		emit32(e, imm);
}

/* jmp [r15 + field] */
static inline void emit_jmp_field(struct emit *e, unsigned field)
{
	emit8(e, 0x41);
	emit8(e, 0xff);
	emit_modrm_disp(e, 4, H_R15, (int32_t)field);
}

/* jmp reg64 */
static inline void emit_jmp_reg(struct emit *e, unsigned reg)
{
	emit_rex(e, 0, 0, 0, reg);
	emit8(e, 0xff);
	emit8(e, (uint8_t)(0xe0 | (reg & 7)));
}

/* A short branch forward, to be patched: returns where its displacement is. */
static inline uint8_t *emit_short(struct emit *e, uint8_t opcode)
{
	emit8(e, opcode);
	return e->p++;
}

static inline void emit_here(struct emit *e, uint8_t *displacement)
{
	*displacement = (uint8_t)(e->p - (displacement + 1));
}

enum { OP_JMP_SHORT = 0xeb, OP_LOOP = 0xe2, OP_JRCXZ = 0xe3, OP_JNE_SHORT = 0x75 };

/* For emit_field(): compare and test a register with a field; they change the flags. */
enum { OP_CMP = 0x3b, OP_TEST = 0x85 };

enum { ALU_OR = 1, ALU_AND = 4 };

#endif
