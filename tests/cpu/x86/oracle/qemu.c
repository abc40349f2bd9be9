/* SPDX-License-Identifier: MIT */
/*
 * qemu.c - the table of what QEMU does differently, as seen with Debian's 7.2. Each is QEMU's: a processor, and Intel's and AMD's
 * manuals, side with us, and the native oracle makes none of these exceptions.
 */
#include "tests/cpu/x86/oracle/qemu.h"

#include <string.h>
#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/decode.h"
#include "tests/cpu/x86/oracle/states.h"
#include "tests/cpu/x86/oracle/undefined.h"

enum { STATUS = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF };

/* What an exception is asked about. */
struct question {
	const struct instance *instance;
	const struct test_case *test;
	const struct result *a, *b;
	const struct differences *d;
};

static bool is(const struct question *q, ZydisMnemonic mnemonic)
{
	return q->instance->decoded && q->instance->insn.mnemonic == mnemonic;
}

static bool has_prefix(const struct question *q, uint8_t byte)
{
	for (uint32_t i = 0; q->instance->decoded && i < q->instance->insn.raw.prefix_count; i++)
		if (q->instance->insn.raw.prefixes[i].value == byte)
			return true;
	/* what cannot be decoded: at least its form is known */
	return !q->instance->decoded && q->instance->form && byte == 0xf0 && (q->instance->form->prefix & FORM_LOCK);
}

static const ZydisDecodedOperand *memory_operand(const struct question *q)
{
	for (int i = 0; q->instance->decoded && i < q->instance->insn.operand_count; i++)
		if (q->instance->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			return &q->instance->op[i];
	return NULL;
}

/* Did the instruction's own access fault, and not that of the next one, where its page ends? */
static bool page_fault(const struct question *q, const struct result *of)
{
	return of->trap == TRAP_PF && of->out.eip == q->test->in.eip;
}

static bool both_page_faults(const struct question *q)
{
	return q->a->trap == TRAP_PF && q->b->trap == TRAP_PF;
}

/* Both see the absent page; or, where the operand begins in the read-only one, we see that. */
static bool reads_before_writing(const struct question *q)
{
	const ZydisDecodedOperand *op = memory_operand(q);

	return both_page_faults(q) && op && (op->actions & ZYDIS_OPERAND_ACTION_MASK_READ) &&
	       (op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) && !(q->a->error & (PF_WRITE | PF_PRESENT)) &&
	       (q->b->error & PF_WRITE) &&
	       (q->b->error & PF_PRESENT ? q->a->address == (q->b->address | 0xfff) + 1 : q->a->address == q->b->address);
}

static bool is_atomic(const struct question *q)
{
	return has_prefix(q, 0xf0) || is(q, ZYDIS_MNEMONIC_CMPXCHG8B) || (is(q, ZYDIS_MNEMONIC_XCHG) && memory_operand(q));
}

static bool lost_flags_when_atomic(const struct question *q)
{
	return is_atomic(q) && q->a->trap != TRAP_BP && !(q->a->out.eflags & (STATUS | FLAG_DF));
}

static bool rotates_flags_early(const struct question *q)
{
	return (is(q, ZYDIS_MNEMONIC_RCL) || is(q, ZYDIS_MNEMONIC_RCR)) && both_page_faults(q) && q->d->flags == FLAG_CF;
}

static bool setcc_loses_flags(const struct question *q)
{
	return q->instance->decoded && q->instance->insn.meta.category == ZYDIS_CATEGORY_SETCC && both_page_faults(q);
}

static bool takes_any_lock(const struct question *q)
{
	return !q->instance->decoded && has_prefix(q, 0xf0) && q->b->trap == TRAP_UD && q->b->out.eip == q->test->in.eip;
}

static bool enter_looks_not_ahead(const struct question *q)
{
	bool bad = q->b->trap == TRAP_PF ? q->b->error & PF_WRITE : q->b->trap == TRAP_SS && !q->b->error;

	return is(q, ZYDIS_MNEMONIC_ENTER) && bad && (q->a->trap != q->b->trap || q->a->out.eip != q->b->out.eip);
}

static bool signed_ret(const struct question *q)
{
	uint32_t esp = q->a->out.gpr[R_ESP] ^ q->b->out.gpr[R_ESP];

	return is(q, ZYDIS_MNEMONIC_RET) && q->instance->insn.operand_count_visible && (q->instance->op[0].imm.value.u & 0x8000) &&
	       q->d->registers == 1 << R_ESP && !(esp & 0xffff);
}

static bool cmps_second_first(const struct question *q)
{
	switch (q->instance->decoded ? q->instance->insn.mnemonic : ZYDIS_MNEMONIC_INVALID) {
	case ZYDIS_MNEMONIC_CMPSB:
	case ZYDIS_MNEMONIC_CMPSW:
	case ZYDIS_MNEMONIC_CMPSD:
		return both_page_faults(q) && q->a->error == q->b->error;
	default:
		return false;
	}
}

static bool arpl_writes_always(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_ARPL) && q->a->trap == TRAP_PF && (q->a->error & PF_WRITE) &&
	       (q->b->trap != TRAP_PF || q->b->out.eip != q->test->in.eip);
}

/*
 * x87, MMX, SSE.
 */

enum { FSW_SF = 0x40, FSW_C1 = 0x200, FSW_CONDITION = 0x4500, FSW_SUMMARY = 0x8080, DENORMAL = 2 };

static uint32_t half(const uint8_t *fx, int at)
{
	return fx[at] | (uint32_t)fx[at + 1] << 8;
}

static uint32_t fsw_difference(const struct question *q)
{
	return half(q->a->out.fx, FX_FSW) ^ half(q->b->out.fx, FX_FSW);
}

static bool is_x87(const struct question *q)
{
	return q->instance->decoded && q->instance->insn.opcode_map == ZYDIS_OPCODE_MAP_DEFAULT &&
	       ((q->instance->insn.opcode & 0xf8) == 0xd8 || q->instance->insn.opcode == 0x9b);
}

static bool no_stack_faults(const struct question *q)
{
	return is_x87(q) && ((half(q->b->out.fx, FX_FSW) | half(q->test->in.fx, FX_FSW)) & FSW_SF);
}

static bool no_rounding_direction(const struct question *q)
{
	return is_x87(q) && !(fsw_difference(q) & ~(uint32_t)(FSW_C1 | DENORMAL));
}

static bool no_x87_exceptions(const struct question *q)
{
	return q->b->trap == TRAP_MF && q->a->trap != TRAP_MF;
}

static bool transcendental(const struct question *q)
{
	switch (q->instance->decoded ? q->instance->insn.mnemonic : ZYDIS_MNEMONIC_INVALID) {
	case ZYDIS_MNEMONIC_F2XM1:
	case ZYDIS_MNEMONIC_FYL2X:
	case ZYDIS_MNEMONIC_FYL2XP1:
	case ZYDIS_MNEMONIC_FPTAN:
	case ZYDIS_MNEMONIC_FPATAN:
	case ZYDIS_MNEMONIC_FSIN:
	case ZYDIS_MNEMONIC_FCOS:
	case ZYDIS_MNEMONIC_FSINCOS:
		return true;
	default:
		return false;
	}
}

static bool condition_codes_cleared(const struct question *q)
{
	return is_x87(q) && !(fsw_difference(q) & ~(uint32_t)(FSW_CONDITION | FSW_C1)) &&
	       !(half(q->a->out.fx, FX_FSW) & (FSW_CONDITION | FSW_C1) & fsw_difference(q));
}

static bool comparison_leaves_flags(const struct question *q)
{
	switch (q->instance->decoded ? q->instance->insn.mnemonic : ZYDIS_MNEMONIC_INVALID) {
	case ZYDIS_MNEMONIC_FCOMI:
	case ZYDIS_MNEMONIC_FCOMIP:
	case ZYDIS_MNEMONIC_FUCOMI:
	case ZYDIS_MNEMONIC_FUCOMIP:
		return !(q->d->flags & ~(uint32_t)(FLAG_OF | FLAG_SF | FLAG_AF));
	default:
		return false;
	}
}

static bool fcw_as_loaded(const struct question *q)
{
	const uint32_t defined = 0x0f3f;

	return (is_x87(q) || is(q, ZYDIS_MNEMONIC_FXRSTOR)) && !((half(q->a->out.fx, FX_FCW) ^ half(q->b->out.fx, FX_FCW)) & defined);
}

static bool uses_mmx(const struct question *q)
{
	for (int i = 0; q->instance->decoded && i < q->instance->insn.operand_count; i++)
		if (q->instance->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER && q->instance->op[i].reg.value >= ZYDIS_REGISTER_MM0 &&
		    q->instance->op[i].reg.value <= ZYDIS_REGISTER_MM7)
			return true;
	return false;
}

static bool mmx_without_exponent(const struct question *q)
{
	const uint8_t *a = q->a->out.fx + FX_ST, *b = q->b->out.fx + FX_ST;

	for (int i = 0; i < 8; i++, a += 16, b += 16)
		if (memcmp(a, b, 10) && (memcmp(a, b, 8) || half(b, 8) != 0xffff))
			return false;
	return true;
}

static bool mmx_before_fault(const struct question *q)
{
	return uses_mmx(q) && (q->b->trap == TRAP_PF || q->b->trap == TRAP_GP);
}

static bool no_sse_exceptions(const struct question *q)
{
	return q->b->trap == TRAP_XM && q->a->trap != TRAP_XM;
}

static bool no_sse_denormals(const struct question *q)
{
	return ((half(q->a->out.fx, FX_MXCSR) ^ half(q->b->out.fx, FX_MXCSR)) & ~(uint32_t)DENORMAL) == 0;
}

static bool sse_alignment(const struct question *q)
{
	const ZydisDecodedOperand *op = memory_operand(q);

	return op && op->size == 128 && q->b->trap == TRAP_GP && !q->b->error && q->a->trap != TRAP_GP &&
	       effective_address(q->instance, &q->test->in, op) % 16;
}

static bool approximates(const struct question *q)
{
	switch (q->instance->decoded ? q->instance->insn.mnemonic : ZYDIS_MNEMONIC_INVALID) {
	case ZYDIS_MNEMONIC_RCPPS:
	case ZYDIS_MNEMONIC_RCPSS:
	case ZYDIS_MNEMONIC_RSQRTPS:
	case ZYDIS_MNEMONIC_RSQRTSS:
		return true;
	default:
		return false;
	}
}

static bool both_nan(const uint8_t *a, const uint8_t *b, int bytes)
{
	uint64_t x = 0, y = 0, infinity = bytes == 8 ? 0x7ff0000000000000u : 0x7f800000u, sign = bytes == 8 ? 1ull << 63 : 1u << 31;

	memcpy(&x, a, (size_t)bytes);
	memcpy(&y, b, (size_t)bytes);
	return (x & ~sign) > infinity && (y & ~sign) > infinity;
}

/* Every lane of @bytes that differs is a NaN on both sides. */
static bool only_nans_differ(const struct question *q, int bytes)
{
	const uint8_t *a = q->a->out.fx + FX_XMM, *b = q->b->out.fx + FX_XMM;

	for (int at = 0; at < 128; at += bytes)
		if (memcmp(a + at, b + at, (size_t)bytes) && !both_nan(a + at, b + at, bytes))
			return false;
	return true;
}

static bool another_nan(const struct question *q)
{
	return q->instance->decoded && (only_nans_differ(q, 4) || only_nans_differ(q, 8));
}

enum { FSW_ES = 0x80, X87 = DIFFERS_FSW | DIFFERS_FTW | DIFFERS_ST };

static bool unmasked_x87(const struct question *q)
{
	return is_x87(q) && (half(q->b->out.fx, FX_FSW) & FSW_ES);
}

static bool x87_before_fault(const struct question *q)
{
	return is_x87(q) && both_page_faults(q) && !(fsw_difference(q) & ~(uint32_t)(0x3f | FSW_C1 | FSW_SUMMARY));
}

static bool summary_as_loaded(const struct question *q)
{
	return (is_x87(q) || is(q, ZYDIS_MNEMONIC_FXRSTOR)) && !(fsw_difference(q) & ~(uint32_t)FSW_SUMMARY);
}

static bool rounds_operands(const struct question *q)
{
	const uint32_t precision = 0x300;
	bool concerned = is_x87(q) && memory_operand(q);

	switch (q->instance->decoded ? q->instance->insn.mnemonic : ZYDIS_MNEMONIC_INVALID) {
	case ZYDIS_MNEMONIC_FPREM:
	case ZYDIS_MNEMONIC_FPREM1:
	case ZYDIS_MNEMONIC_FSCALE:
	case ZYDIS_MNEMONIC_FRNDINT:
		concerned = true;
		break;
	default:
		break;
	}
	return concerned && (half(q->test->in.fx, FX_FCW) & precision) != precision;
}

static bool fsqrt_condition(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_FSQRT) && !(fsw_difference(q) & ~(uint32_t)(FSW_CONDITION | FSW_C1));
}

static bool fst_fills_nothing(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_FST) || is(q, ZYDIS_MNEMONIC_FSTP);
}

static bool fstpnce(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_FSTPNCE);
}

static bool stores_x87_state(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_FNSTENV) || is(q, ZYDIS_MNEMONIC_FNSAVE) || is(q, ZYDIS_MNEMONIC_FXSAVE);
}

static bool fnstenv_masks_nothing(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_FNSTENV) && (half(q->b->out.fx, FX_FCW) & 0x3f) == 0x3f;
}

static bool keeps_less(const struct question *q)
{
	return (is(q, ZYDIS_MNEMONIC_FLDENV) || is(q, ZYDIS_MNEMONIC_FXSAVE)) && page_fault(q, q->b) && !page_fault(q, q->a);
}

static bool mxcsr_reserved(const struct question *q)
{
	return (is(q, ZYDIS_MNEMONIC_LDMXCSR) || is(q, ZYDIS_MNEMONIC_FXRSTOR)) && q->b->trap == TRAP_GP && !q->b->error &&
	       q->a->trap != TRAP_GP;
}

static bool unpack_reads_more(const struct question *q)
{
	const ZydisDecodedOperand *op = memory_operand(q);

	return uses_mmx(q) && op && op->size == 32 && page_fault(q, q->a) && !page_fault(q, q->b);
}

static bool cvtdq2pd_reads_more(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_CVTDQ2PD) && page_fault(q, q->a) && !page_fault(q, q->b);
}

static bool resets_top(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_EMMS) ||
	       ((is(q, ZYDIS_MNEMONIC_CVTPI2PD) || is(q, ZYDIS_MNEMONIC_CVTPI2PS)) && memory_operand(q));
}

static bool min_max_denormals(const struct question *q)
{
	const uint32_t daz = 0x40;

	switch (q->instance->decoded ? q->instance->insn.mnemonic : ZYDIS_MNEMONIC_INVALID) {
	case ZYDIS_MNEMONIC_MINPS:
	case ZYDIS_MNEMONIC_MINPD:
	case ZYDIS_MNEMONIC_MINSS:
	case ZYDIS_MNEMONIC_MINSD:
	case ZYDIS_MNEMONIC_MAXPS:
	case ZYDIS_MNEMONIC_MAXPD:
	case ZYDIS_MNEMONIC_MAXSS:
	case ZYDIS_MNEMONIC_MAXSD:
		return half(q->test->in.fx, FX_MXCSR) & daz;
	default:
		return false;
	}
}

static bool is_extended_nan(const uint8_t *st)
{
	return (half(st, 8) & 0x7fff) == 0x7fff && (half(st, 0) || half(st, 2) || half(st, 4) || (half(st, 6) & 0x7fff));
}

static bool another_extended_nan(const struct question *q)
{
	const uint8_t *a = q->a->out.fx + FX_ST, *b = q->b->out.fx + FX_ST;

	for (int i = 0; i < 8; i++, a += 16, b += 16)
		if (memcmp(a, b, 10) && !(is_extended_nan(a) && is_extended_nan(b)))
			return false;
	return is_x87(q);
}

/*
 * Others.
 */

static bool bswap16(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_BSWAP) && q->instance->insn.operand_width == 16;
}

static bool shift_too_far(const struct question *q)
{
	return (is(q, ZYDIS_MNEMONIC_SHLD) || is(q, ZYDIS_MNEMONIC_SHRD)) && undefined_flags(q->instance, &q->test->in) == STATUS;
}

static bool is_second_test(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_TEST) && (q->instance->insn.opcode & 0xfe) == 0xf6 && q->instance->insn.raw.modrm.reg == 1;
}

static bool test_undefined(const struct question *q)
{
	return is_second_test(q) && q->a->trap == TRAP_UD;
}

static bool test_refused_early(const struct question *q)
{
	return is_second_test(q) && both_page_faults(q) && q->b->address == (q->test->in.eip | 0xfff) + 1;
}

static bool prefix_ignored(const struct question *q)
{
	const struct form *form = q->instance->form;

	return !q->instance->decoded && form && form->map == MAP_0F && (form->prefix & (FORM_66 | FORM_F2 | FORM_F3)) &&
	       q->b->trap == TRAP_UD && q->b->out.eip == q->test->in.eip;
}

static bool not_there(const struct question *q)
{
	ZydisISASet set = q->instance->decoded ? q->instance->insn.meta.isa_set : ZYDIS_ISA_SET_INVALID;

	return q->a->trap == TRAP_UD && (set == ZYDIS_ISA_SET_SHA || set == ZYDIS_ISA_SET_GFNI);
}

static bool no_flush_fault(const struct question *q)
{
	return (is(q, ZYDIS_MNEMONIC_CLFLUSH) || is(q, ZYDIS_MNEMONIC_CLFLUSHOPT) || is(q, ZYDIS_MNEMONIC_CLWB)) &&
	       q->b->trap == TRAP_PF && (q->a->trap != TRAP_PF || q->a->out.eip != q->b->out.eip);
}

static bool no_step(const struct question *q)
{
	return (is(q, ZYDIS_MNEMONIC_LSS) || is(q, ZYDIS_MNEMONIC_PAUSE)) && q->b->trap == TRAP_DB && q->a->trap != TRAP_DB;
}

static bool refused_early(const struct question *q)
{
	return (q->a->trap == TRAP_GP || q->a->trap == TRAP_UD) && q->b->trap == TRAP_PF && q->b->out.eip == q->test->in.eip &&
	       q->b->address == (q->test->in.eip | 0xfff) + 1;
}

static bool masked_only(const struct question *q)
{
	return (is(q, ZYDIS_MNEMONIC_MASKMOVQ) || is(q, ZYDIS_MNEMONIC_MASKMOVDQU)) && page_fault(q, q->b) && !page_fault(q, q->a);
}

static bool in_pieces(const struct question *q)
{
	const ZydisDecodedOperand *op = memory_operand(q);

	return both_page_faults(q) && op && !((q->a->error ^ q->b->error) & PF_WRITE) && (op->size > 64 || is(q, ZYDIS_MNEMONIC_MASKMOVQ));
}

static bool int1_undefined(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_INT1) && q->a->trap == TRAP_UD;
}

static bool lar_without_limit(const struct question *q)
{
	uint32_t reg = q->instance->insn.raw.modrm.reg;

	return is(q, ZYDIS_MNEMONIC_LAR) && q->d->registers == 1u << reg &&
	       !((q->a->out.gpr[reg] ^ q->b->out.gpr[reg]) & ~0xf0000u);
}

static bool hints_undefined(const struct question *q)
{
	return is(q, ZYDIS_MNEMONIC_NOP) && q->instance->insn.opcode_map == ZYDIS_OPCODE_MAP_0F && q->a->trap == TRAP_UD;
}

static const struct {
	const char *why;
	bool (*applies)(const struct question *q);
	uint32_t parts;
} table[] = {
	{ "read-modify-write begins as a read: the page fault of an absent page says so", reads_before_writing,
	  DIFFERS_ERROR | DIFFERS_ADDRESS },
	{ "atomic accesses that it does alone lose the status flags and DF with an exception", lost_flags_when_atomic, DIFFERS_FLAGS },
	{ "LOCK is accepted where it is #UD", takes_any_lock, ~0u },
	{ "RCL and RCR set CF also when the result cannot be written", rotates_flags_early, DIFFERS_FLAGS },
	{ "SETcc loses the status flags when its result cannot be written", setcc_loses_flags, DIFFERS_FLAGS },
	{ "ENTER does not look whether the stack it makes can be written", enter_looks_not_ahead,
	  DIFFERS_TRAP | DIFFERS_REGISTERS | DIFFERS_MEMORY },
	{ "what RET adds to ESP is taken as signed", signed_ret, DIFFERS_REGISTERS },
	{ "CMPS reads the second operand first", cmps_second_first, DIFFERS_ADDRESS },
	{ "INT1 is #UD", int1_undefined, ~0u },
	{ "LAR gives no bits of the limit (which are undefined)", lar_without_limit, DIFFERS_REGISTERS },
	{ "prefetching and other hints of registers are #UD", hints_undefined, ~0u },
	{ "the x87 stack neither overflows nor underflows", no_stack_faults,
	  DIFFERS_FSW | DIFFERS_FTW | DIFFERS_ST | DIFFERS_MEMORY | DIFFERS_FLAGS },
	{ "the x87 notes neither denormal operands nor in which direction it rounded", no_rounding_direction, DIFFERS_FSW },
	{ "the x87 raises no exceptions", no_x87_exceptions, ~0u },
	{ "sines, logarithms and their kin have other last bits and limits", transcendental, X87 },
	{ "undefined condition codes of the x87 are 0", condition_codes_cleared, DIFFERS_FSW },
	{ "FCOMI and its kin leave OF, SF and AF alone", comparison_leaves_flags, DIFFERS_FLAGS },
	{ "reserved bits of the x87 control word can be set", fcw_as_loaded, DIFFERS_FCW },
	{ "MMX leaves the exponents of the x87 registers alone", mmx_without_exponent, DIFFERS_ST },
	{ "MMX has reset the x87 stack before it faults", mmx_before_fault, DIFFERS_FSW | DIFFERS_FTW | DIFFERS_ST },
	{ "SSE raises no exceptions", no_sse_exceptions, ~0u },
	{ "SSE does not note denormal operands", no_sse_denormals, DIFFERS_MXCSR },
	{ "SSE operands need not be aligned", sse_alignment, ~0u },
	{ "reciprocals are more exact", approximates, DIFFERS_XMM | DIFFERS_MXCSR },
	{ "of two NaNs, the x87 takes another one", another_extended_nan, DIFFERS_ST },
	{ "of two NaNs, SSE takes another one", another_nan, DIFFERS_XMM },
	{ "an unmasked x87 exception does not keep a result from being stored", unmasked_x87, X87 | DIFFERS_MEMORY },
	{ "the x87 notes what a store would raise also where the store faults", x87_before_fault, DIFFERS_FSW },
	{ "the x87's summary bits stay as loaded", summary_as_loaded, DIFFERS_FSW },
	{ "what the x87 loads is rounded to its precision, and so are remainders", rounds_operands, DIFFERS_FSW | DIFFERS_ST },
	{ "FSQRT of a negative number sets C2, which is undefined", fsqrt_condition, DIFFERS_FSW },
	{ "FST and FSTP to an empty register leave it empty", fst_fills_nothing, DIFFERS_FTW },
	{ "FSTPNCE is FSTP", fstpnce, X87 },
	{ "FNSTENV does not mask the x87's exceptions", fnstenv_masks_nothing, DIFFERS_FCW | DIFFERS_FSW },
	{ "FLDENV reads and FXSAVE writes only what they keep", keeps_less, ~0u },
	{ "MXCSR takes reserved bits", mxcsr_reserved, ~0u },
	{ "unpacking MMX registers reads eight bytes where it needs four", unpack_reads_more, ~0u },
	{ "CVTDQ2PD reads sixteen bytes where it needs eight", cvtdq2pd_reads_more, ~0u },
	{ "FNSTENV and its kin do not store ones in reserved bits, nor real pointers", stores_x87_state, DIFFERS_MEMORY },
	{ "EMMS, and conversions from memory that are no MMX, reset TOP", resets_top, X87 },
	{ "MIN and MAX give denormals as they are, with DAZ too", min_max_denormals, DIFFERS_XMM },
	{ "BSWAP of 16 bits, which is undefined, gives something else", bswap16, DIFFERS_REGISTERS },
	{ "SHLD and SHRD of memory by more than its size, which is undefined, give something else", shift_too_far,
	  DIFFERS_MEMORY | DIFFERS_FLAGS },
	{ "TEST's second encoding is #UD", test_undefined, ~0u },
	{ "... before all of it has been fetched", test_refused_early, DIFFERS_ADDRESS },
	{ "prefixes that make an undefined opcode of another are not always seen", prefix_ignored, ~0u },
	{ "SHA and GFNI are not there", not_there, ~0u },
	{ "CLFLUSH and its kin do not fault", no_flush_fault, ~0u },
	{ "no single-step trap comes behind LSS and PAUSE", no_step, ~0u },
	{ "MASKMOVQ and MASKMOVDQU touch only what the mask says", masked_only, ~0u },
	{ "wide operands that run into a bad page are accessed in pieces", in_pieces,
	  DIFFERS_ADDRESS | DIFFERS_ERROR | DIFFERS_MEMORY },
	{ "a privileged or undefined instruction is refused before all of it has been fetched", refused_early, ~0u },
	{ "ARPL writes also where nothing changes", arpl_writes_always, DIFFERS_TRAP | DIFFERS_FLAGS },
};
enum { EXCEPTIONS = sizeof(table) / sizeof(table[0]) };

const char *qemu_reason(uint32_t n)
{
	return n < EXCEPTIONS ? table[n].why : NULL;
}

uint64_t qemu_known(const struct instance *instance, const struct test_case *test, const struct result *a, const struct result *b,
		    const struct differences *differences)
{
	const struct question q = { instance, test, a, b, differences };
	uint32_t left = differences->parts;
	uint64_t reasons = 0;

	for (uint32_t i = 0; i < EXCEPTIONS && left; i++) {
		if (!(left & table[i].parts) || !table[i].applies(&q))
			continue;
		left &= ~table[i].parts;
		reasons |= 1ull << i;
	}
	return left ? 0 : reasons;
}

void qemu_name_trap(struct result *a, const struct result *b)
{
	if (a->trap == b->trap) /* QEMU's, both */
		return;
	if (a->trap == QEMU_TRAP_NP_OR_SS)
		a->trap = b->trap == TRAP_SS ? TRAP_SS : TRAP_NP;
	if (a->trap == QEMU_TRAP_GP_OR_INT)
		a->trap = b->trap == TRAP_OF || b->trap == TRAP_BR ? b->trap : TRAP_GP;
}

const char *qemu_program_differs(const char *name)
{
	/*
	 * That two addresses show one page, and that code has changed with the other, it does not know. In alias_data it is the
	 * processor that does not: REP MOVS in big steps takes source and destination for as far apart as their addresses are.
	 */
	static const struct {
		const char *name, *why;
	} programs[] = {
		{ "alias", "QEMU does not see that code has changed at another address of its page" },
		{ "alias_jump", "QEMU does not see that code has changed at another address of its page" },
		{ "across_both", "QEMU does not see that code has changed at another address of its page" },
		{ "alias_data", "a processor's REP MOVS does not see that two addresses show one page, QEMU's does" },
		{ "hot_counter", "QEMU takes too long for code that rewrites its own page 20,000 times" },
	};

	for (size_t i = 0; i < sizeof(programs) / sizeof(programs[0]); i++)
		if (!strcmp(name, programs[i].name))
			return programs[i].why;
	return NULL;
}

bool qemu_gives_up(const struct instance *instance)
{
	/* IRET loads IOPL, which its translator takes for impossible in ring 3; LOCK where it may not be can make it stop. */
	return (instance->decoded && (instance->insn.mnemonic == ZYDIS_MNEMONIC_IRET || instance->insn.mnemonic == ZYDIS_MNEMONIC_IRETD)) ||
	       (!instance->decoded && instance->form && (instance->form->prefix & FORM_LOCK));
}

/* Of SSE, what moves, and integers: their names begin with P. */
static bool uses_floating_point(const struct question *q)
{
	const char *name = ZydisMnemonicGetString(q->instance->insn.mnemonic);

	if (is_x87(q) || uses_mmx(q) || stores_x87_state(q) || is(q, ZYDIS_MNEMONIC_EMMS) || is(q, ZYDIS_MNEMONIC_LDMXCSR) ||
	    is(q, ZYDIS_MNEMONIC_FXRSTOR))
		return true;
	for (int i = 0; i < q->instance->insn.operand_count; i++)
		if (q->instance->op[i].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		    ZydisRegisterGetClass(q->instance->op[i].reg.value) == ZYDIS_REGCLASS_XMM)
			return name[0] != 'p' && strncmp(name, "mov", 3) != 0;
	return !strncmp(name, "cvt", 3);
}

bool qemu_steady(const struct instance *instance)
{
	const struct question q = { .instance = instance };
	const ZydisDecodedOperand *op = memory_operand(&q);

	if (uses_floating_point(&q) || is_atomic(&q) || bswap16(&q) || is_second_test(&q) || (op && op->size >= 128))
		return false;
	if (instance->insn.meta.isa_set == ZYDIS_ISA_SET_SHA || instance->insn.meta.isa_set == ZYDIS_ISA_SET_GFNI ||
	    (is(&q, ZYDIS_MNEMONIC_NOP) && instance->insn.opcode_map == ZYDIS_OPCODE_MAP_0F))
		return false;
	/* AF after AND and its kin is 0 on both */
	return !(ever_undefined_flags(instance) & ~(uint32_t)FLAG_AF);
}
