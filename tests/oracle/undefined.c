/* SPDX-License-Identifier: MIT */
/*
 * undefined.c - the table of undefined flags, after Intel's SDM volume 2 and AMD's APM volume 3 (where one of them defines a flag
 * that the other leaves undefined, it counts as undefined: the guest cannot know which it runs on).
 *
 * An instruction that the translator copies leaves the same undefined flags as the native one does, since the same processor runs
 * both; the table matters for those that are done in software.
 */
#include "tests/oracle/undefined.h"

#include "cpu/x86/cpu.h"

enum { C = FLAG_CF, P = FLAG_PF, A = FLAG_AF, Z = FLAG_ZF, S = FLAG_SF, O = FLAG_OF };

enum when {
	ALWAYS,
	SHIFT,	/* the masked count is not zero: A; not one: O too; at least the operand size: C too */
	ROTATE,	/* the masked count is not one: O */
	DOUBLE,	/* SHLD, SHRD: as SHIFT; count over the operand size: everything, the result too */
};

static const struct {
	ZydisMnemonic mnemonic;
	enum when when;
	uint32_t flags;
} table[] = {
	{ ZYDIS_MNEMONIC_AND, ALWAYS, A },
	{ ZYDIS_MNEMONIC_OR, ALWAYS, A },
	{ ZYDIS_MNEMONIC_XOR, ALWAYS, A },
	{ ZYDIS_MNEMONIC_TEST, ALWAYS, A },
	{ ZYDIS_MNEMONIC_MUL, ALWAYS, S | Z | A | P },
	{ ZYDIS_MNEMONIC_IMUL, ALWAYS, S | Z | A | P },
	{ ZYDIS_MNEMONIC_DIV, ALWAYS, C | P | A | Z | S | O },
	{ ZYDIS_MNEMONIC_IDIV, ALWAYS, C | P | A | Z | S | O },
	{ ZYDIS_MNEMONIC_BSF, ALWAYS, C | O | S | A | P },
	{ ZYDIS_MNEMONIC_BSR, ALWAYS, C | O | S | A | P },
	{ ZYDIS_MNEMONIC_TZCNT, ALWAYS, O | S | A | P },
	{ ZYDIS_MNEMONIC_LZCNT, ALWAYS, O | S | A | P },
	{ ZYDIS_MNEMONIC_BT, ALWAYS, O | S | A | P },
	{ ZYDIS_MNEMONIC_BTS, ALWAYS, O | S | A | P },
	{ ZYDIS_MNEMONIC_BTR, ALWAYS, O | S | A | P },
	{ ZYDIS_MNEMONIC_BTC, ALWAYS, O | S | A | P },
	{ ZYDIS_MNEMONIC_AAA, ALWAYS, O | S | Z | P },
	{ ZYDIS_MNEMONIC_AAS, ALWAYS, O | S | Z | P },
	{ ZYDIS_MNEMONIC_AAM, ALWAYS, O | A | C },
	{ ZYDIS_MNEMONIC_AAD, ALWAYS, O | A | C },
	{ ZYDIS_MNEMONIC_DAA, ALWAYS, O },
	{ ZYDIS_MNEMONIC_DAS, ALWAYS, O },
	{ ZYDIS_MNEMONIC_SHL, SHIFT, A },
	{ ZYDIS_MNEMONIC_SHR, SHIFT, A },
	{ ZYDIS_MNEMONIC_SAR, SHIFT, A },
	{ ZYDIS_MNEMONIC_ROL, ROTATE, O },
	{ ZYDIS_MNEMONIC_ROR, ROTATE, O },
	{ ZYDIS_MNEMONIC_RCL, ROTATE, O },
	{ ZYDIS_MNEMONIC_RCR, ROTATE, O },
	{ ZYDIS_MNEMONIC_SHLD, DOUBLE, A },
	{ ZYDIS_MNEMONIC_SHRD, DOUBLE, A },
	/* CF says whether it worked; the rest are zero on real processors and undocumented as such by some */
	{ ZYDIS_MNEMONIC_RDRAND, ALWAYS, C | P | A | Z | S | O },
	{ ZYDIS_MNEMONIC_RDSEED, ALWAYS, C | P | A | Z | S | O },
};

/* The last visible operand of a shift is its count: immediate, CL, or an implied 1. */
static uint32_t shift_count(const struct instance *instance, const struct state *in)
{
	const ZydisDecodedOperand *op = &instance->op[instance->insn.operand_count_visible - 1];

	if (op->type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return (uint32_t)op->imm.value.u & 31;
	return in->gpr[R_ECX] & 31;
}

static uint32_t shift_flags(const struct instance *instance, const struct state *in, enum when when, uint32_t flags)
{
	uint32_t count = shift_count(instance, in), size = instance->op[0].size;

	if (count == 0)
		return 0;
	if (count != 1)
		flags |= O;
	if (when == SHIFT && count >= size)
		flags |= C;
	if (when == DOUBLE && count > size)
		flags |= C | P | A | Z | S | O;
	return flags;
}

uint32_t undefined_flags(const struct instance *instance, const struct state *in)
{
	if (!instance->decoded)
		return 0;
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].mnemonic != instance->insn.mnemonic)
			continue;
		if (table[i].when == ALWAYS)
			return table[i].flags;
		return shift_flags(instance, in, table[i].when, table[i].flags);
	}
	return 0;
}

static uint32_t register_bit(const ZydisDecodedOperand *op)
{
	if (op->type != ZYDIS_OPERAND_TYPE_REGISTER)
		return 0;
	if (op->reg.value >= ZYDIS_REGISTER_AX && op->reg.value <= ZYDIS_REGISTER_DI)
		return 1u << (op->reg.value - ZYDIS_REGISTER_AX);
	if (op->reg.value >= ZYDIS_REGISTER_EAX && op->reg.value <= ZYDIS_REGISTER_EDI)
		return 1u << (op->reg.value - ZYDIS_REGISTER_EAX);
	return 0;
}

uint32_t undefined_registers(const struct instance *instance, const struct state *in)
{
	if (!instance->decoded)
		return 0;
	switch (instance->insn.mnemonic) {
	case ZYDIS_MNEMONIC_SHLD:
	case ZYDIS_MNEMONIC_SHRD:
		return shift_count(instance, in) > instance->op[0].size ? register_bit(&instance->op[0]) : 0;
	default:
		return 0;
	}
}

uint32_t differs_by_nature(const struct instance *instance)
{
	if (!instance->decoded)
		return 0;
	switch (instance->insn.mnemonic) {
	case ZYDIS_MNEMONIC_RDTSC:
		return 1 << R_EAX | 1 << R_EDX;
	case ZYDIS_MNEMONIC_RDTSCP:
		return 1 << R_EAX | 1 << R_EDX | 1 << R_ECX;
	case ZYDIS_MNEMONIC_CPUID: /* some leaves name the core they are asked on */
		return 1 << R_EAX | 1 << R_EDX | 1 << R_ECX | 1 << R_EBX;
	case ZYDIS_MNEMONIC_RDRAND:
	case ZYDIS_MNEMONIC_RDSEED:
	case ZYDIS_MNEMONIC_SMSW:
	case ZYDIS_MNEMONIC_SLDT:
	case ZYDIS_MNEMONIC_STR:
		return register_bit(&instance->op[0]);
	default:
		return 0;
	}
}

bool stores_host_state(const struct instance *instance)
{
	if (!instance->decoded)
		return false;
	switch (instance->insn.mnemonic) {
	case ZYDIS_MNEMONIC_SGDT:
	case ZYDIS_MNEMONIC_SIDT:
	case ZYDIS_MNEMONIC_SLDT:
	case ZYDIS_MNEMONIC_STR:
	case ZYDIS_MNEMONIC_SMSW:
		return true;
	default:
		return false;
	}
}
