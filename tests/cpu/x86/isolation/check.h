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

/* In the window: gs:[32-bit registers + displacement]. */
static inline bool is_guest_mem(const struct check *c, const ZydisDecodedOperand *op)
{
	return is_mem(op) && op->mem.type != ZYDIS_MEMOP_TYPE_MIB && op->mem.type != ZYDIS_MEMOP_TYPE_VSIB &&
	       op->mem.segment == ZYDIS_REGISTER_GS && c->in.address_width == 32;
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
