/* SPDX-License-Identifier: MIT */
/*
 * check.h - one check in progress; for checker.c, which judges blocks, and moves.c, which follows values through instructions.
 */
#ifndef KENNEL_TESTS_CPU_X86_ISOLATION_CHECK_H
#define KENNEL_TESTS_CPU_X86_ISOLATION_CHECK_H

#include <Zydis/Zydis.h>

#include "cpu/x86/cache/jump.h"
#include "values.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Names and reasons are in checker.c. */
enum rule {
	RULE_DECODE, RULE_ENCODING, RULE_PREFIX, RULE_LISTED, RULE_RIP, RULE_MEMORY, RULE_EXTENT, RULE_WINDOWED, RULE_FIELD, RULE_TABLE,
	RULE_VALUE, RULE_WIDE, RULE_RESERVED, RULE_SCRATCH, RULE_STRING, RULE_TARGET, RULE_INDIRECT, RULE_EXIT, RULE_DEAD, RULE_END,
	RULE_CHECK, RULE_FLAGS, RULE_ACCESS, RULES
};

enum { WAITING = 32 };

struct check {
	bool by_register;	/* the window is in r13, not behind GS */
	const uint8_t *code;
	uint32_t len, at;	/* the instruction at hand */
	ZydisDecodedInstruction in;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
	struct state now;	/* before it */
	struct {
		uint32_t at;
		struct state state;
	} waiting[WAITING];	/* jump targets further on */
	unsigned waiting_count;
	uint32_t serial;
	enum rule broken;	/* RULES: none */
};

/* Always false; only the first rule that is broken counts. */
static inline bool refuse(struct check *c, enum rule rule)
{
	if (c->broken == RULES)
		c->broken = rule;
	return false;
}

static inline bool is_mem(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY;
}

static inline bool is_reg(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_REGISTER;
}

/* Number of an integer register, 0-15, or -1; *@bits: how much of it. AH-BH are registers 0-3. */
static inline int gpr(ZydisRegister reg, unsigned *bits)
{
	int id = ZydisRegisterGetId(reg);

	switch (ZydisRegisterGetClass(reg)) {
	case ZYDIS_REGCLASS_GPR8:
		*bits = 8;
		if (reg >= ZYDIS_REGISTER_AH && reg <= ZYDIS_REGISTER_BH)
			return reg - ZYDIS_REGISTER_AH;
		return reg >= ZYDIS_REGISTER_SPL ? reg - ZYDIS_REGISTER_SPL + 4 : reg - ZYDIS_REGISTER_AL;
	case ZYDIS_REGCLASS_GPR16:
		*bits = 16;
		return id;
	case ZYDIS_REGCLASS_GPR32:
		*bits = 32;
		return id;
	case ZYDIS_REGCLASS_GPR64:
		*bits = 64;
		return id;
	default:
		*bits = 0;
		return -1;
	}
}

static inline int op_gpr(const ZydisDecodedOperand *op, unsigned *bits)
{
	return gpr(is_reg(op) ? op->reg.value : ZYDIS_REGISTER_NONE, bits);
}

/* [base + ...] with a 64-bit address and no segment. */
static inline bool is_based(const struct check *c, const ZydisDecodedOperand *op, ZydisRegister base)
{
	return is_mem(op) && op->mem.base == base && op->mem.type == ZYDIS_MEMOP_TYPE_MEM && c->in.address_width == 64 &&
	       (op->mem.segment == ZYDIS_REGISTER_DS || op->mem.segment == ZYDIS_REGISTER_NONE);
}

static inline void set(struct check *c, int reg, enum kind kind, uint32_t tag)
{
	c->now.value[reg] = (struct value){ kind, tag };
	c->now.version[reg] = ++c->serial;
}

static inline enum kind kind_of(const struct check *c, int reg)
{
	return c->now.value[reg].kind;
}

/*
 * Where r13 is the window: [register + r13 + displacement] or [r13 + displacement], nothing shifted. The register is below 4 GiB, so the sum
 * stays between the guards if the displacement does; or it is nothing, and then the displacement may be anything that is not negative.
 */
enum { LOWEST_DISPLACEMENT = -(64 << 20), HIGHEST_DISPLACEMENT = 192 << 20 };

static inline bool is_in_r13(const struct check *c, const ZydisDecodedOperand *op)
{
	const ZydisDecodedOperandMem *mem = &op->mem;
	unsigned bits;
	int base = gpr(mem->base, &bits);

	if (c->in.address_width != 64 || mem->segment == ZYDIS_REGISTER_GS || mem->segment == ZYDIS_REGISTER_FS)
		return false;
	if (mem->base == ZYDIS_REGISTER_R13 && mem->index == ZYDIS_REGISTER_NONE)
		return mem->disp.value >= 0;
	if (mem->base == ZYDIS_REGISTER_RDI && mem->index == ZYDIS_REGISTER_NONE && !mem->disp.value && kind_of(c, RDI) == V_STRING)
		return c->in.mnemonic == ZYDIS_MNEMONIC_MASKMOVQ || c->in.mnemonic == ZYDIS_MNEMONIC_MASKMOVDQU;
	return mem->index == ZYDIS_REGISTER_R13 && mem->scale == 1 && base >= 0 && base < R13 && kind_is_guests(kind_of(c, base)) &&
	       mem->disp.value >= LOWEST_DISPLACEMENT && mem->disp.value <= HIGHEST_DISPLACEMENT;
}

/* In the window: gs:[32-bit registers + displacement], or by way of r13. */
static inline bool is_guest_mem(const struct check *c, const ZydisDecodedOperand *op)
{
	if (!is_mem(op) || op->mem.type == ZYDIS_MEMOP_TYPE_MIB || op->mem.type == ZYDIS_MEMOP_TYPE_VSIB)
		return false;
	return c->by_register ? is_in_r13(c, op) : op->mem.segment == ZYDIS_REGISTER_GS && c->in.address_width == 32;
}

/* moves.c. Each returns whether the instruction at hand may stand here, and leaves in c->now what is known behind it. */

/** check_guest_memory - are all memory operands in the window? */
bool check_guest_memory(struct check *c);
/** write_registers - after a copied instruction: what it writes is a guest register, and the guest's */
bool write_registers(struct check *c);
bool check_mov(struct check *c);
bool check_movzx(struct check *c);
bool check_lea(struct check *c);
bool check_string(struct check *c);

/**
 * check_fixed - forms.c: does one of the sequences stand here that are compared as a whole?
 * Returns true if so, with what is known behind it, or refused; *@length is how long it is.
 */
bool check_fixed(struct check *c, uint32_t *length);

#endif
