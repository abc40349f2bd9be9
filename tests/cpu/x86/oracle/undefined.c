/* SPDX-License-Identifier: MIT */
/*
 * undefined.c - the table of undefined flags, after Intel's SDM volume 2 and AMD's APM volume 3 (where one of them defines a flag
 * that the other leaves undefined, it counts as undefined: the guest cannot know which it runs on).
 *
 * An instruction that the translator copies leaves the same undefined flags as the native one does, since the same processor runs
 * both; the table matters for those that are done in software.
 */
#include "tests/cpu/x86/oracle/undefined.h"

#include "cpu/x86/cpu.h"
#include "tests/cpu/x86/oracle/states.h"

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

uint32_t ever_undefined_flags(const struct instance *instance)
{
	for (size_t i = 0; instance->decoded && i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].mnemonic == instance->insn.mnemonic)
			return table[i].when == ALWAYS ? table[i].flags : C | P | A | Z | S | O;
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

bool address_by_nature(const struct instance *instance)
{
	/* INT1 is a trap, but under some hypervisors EIP stays at it */
	return instance->decoded && instance->insn.mnemonic == ZYDIS_MNEMONIC_INT1;
}

static bool one_of(const struct instance *instance, const ZydisMnemonic *list, size_t n)
{
	for (size_t i = 0; instance->decoded && i < n; i++)
		if (instance->insn.mnemonic == list[i])
			return true;
	return false;
}

bool several_checks(const struct instance *instance)
{
	static const ZydisMnemonic list[] = { ZYDIS_MNEMONIC_IRET, ZYDIS_MNEMONIC_IRETD, ZYDIS_MNEMONIC_LES, ZYDIS_MNEMONIC_LDS,
					      ZYDIS_MNEMONIC_LSS, ZYDIS_MNEMONIC_LFS, ZYDIS_MNEMONIC_LGS, ZYDIS_MNEMONIC_BOUND };

	return one_of(instance, list, sizeof(list) / sizeof(list[0])) ||
	       (instance->decoded && instance->insn.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR);
}

bool runs_over_64k(const struct instance *instance, const struct state *in)
{
	for (int i = 0; instance->decoded && instance->insn.address_width == 16 && i < instance->insn.operand_count; i++)
		if (instance->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && instance->op[i].size > 64 &&
		    effective_offset(instance, in, &instance->op[i]) + instance->op[i].size / 8 > 0x10000)
			return true;
	return false;
}

bool several_accesses(const struct instance *instance)
{
	static const ZydisMnemonic list[] = {
		ZYDIS_MNEMONIC_PUSHA, ZYDIS_MNEMONIC_PUSHAD, ZYDIS_MNEMONIC_POPA, ZYDIS_MNEMONIC_POPAD, ZYDIS_MNEMONIC_ENTER,
		ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE, ZYDIS_MNEMONIC_FLDENV, ZYDIS_MNEMONIC_FRSTOR, ZYDIS_MNEMONIC_FXSAVE,
		ZYDIS_MNEMONIC_FXRSTOR,
	};

	return several_checks(instance) || one_of(instance, list, sizeof(list) / sizeof(list[0]));
}

uint32_t flags_on_fault(const struct instance *instance)
{
	if (instance->decoded && (instance->insn.attributes & (ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)))
		return C | P | A | Z | S | O;
	return 0;
}

/* Is byte @n of what @instance stores one of the x87 selectors or of the last opcode? Newer processors store zeros there. */
static bool is_hole(const struct instance *instance, uint32_t n)
{
	switch (instance->insn.mnemonic) {
	case ZYDIS_MNEMONIC_FXSAVE:
		return n == 6 || n == 7 || n == 12 || n == 13 || n == 20 || n == 21;
	case ZYDIS_MNEMONIC_FNSTENV:
	case ZYDIS_MNEMONIC_FNSAVE:
		if (instance->insn.operand_width == 16)
			return n == 8 || n == 9 || n == 12 || n == 13;
		return (n >= 16 && n < 20) || n == 24 || n == 25;
	default:
		return false;
	}
}

uint32_t undefined_bytes(const struct instance *instance, const struct state *in, uint32_t address)
{
	/* differences are listed by the first of two addresses */
	const uint32_t alias = address - CODE_BASE < CODE_PAGES * 4096 ? ALIAS_BASE - CODE_BASE : ALIAS_DATA - DATA_BASE;
	uint32_t at, mask = 0;

	if (!instance->decoded || instance->op[0].type != ZYDIS_OPERAND_TYPE_MEMORY)
		return 0;
	at = effective_address(instance, in, &instance->op[0]);
	for (uint32_t i = 0; i < 4; i++)
		if (is_hole(instance, address + i - at) || is_hole(instance, address + i + alias - at))
			mask |= 0xffu << (8 * i);
	return mask;
}

bool fails_segment_check(const struct instance *instance, const struct state *in)
{
	for (int i = 0; instance->decoded && i < instance->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &instance->op[i];

		if (op->type != ZYDIS_OPERAND_TYPE_MEMORY || op->mem.type == ZYDIS_MEMOP_TYPE_AGEN)
			continue;
		if (op->mem.segment == ZYDIS_REGISTER_CS && (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			return true;
		/* pushes store below the offset, pops and strings may go on above it: be generous */
		if (effective_offset(instance, in, op) + 1024 < 2048)
			return true;
	}
	return false;
}
