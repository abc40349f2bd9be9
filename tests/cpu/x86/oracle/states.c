/* SPDX-License-Identifier: MIT */
/*
 * states.c - random initial states.
 *
 * Uniformly random registers would make almost every memory operand fault and almost no carry ripple. So operands come first: for
 * each memory operand of the instruction (explicit or implied; Zydis lists them) an address is drawn, mostly valid, often at an
 * edge, and the registers that form it are solved for. Everything else is drawn from numbers that arithmetic trips over.
 */
#include "tests/cpu/x86/oracle/states.h"

#include <string.h>
#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/decode.h"

static const struct area areas[AREAS] = AREA_TABLE;
static const struct user_segment tls[TLS_SEGMENTS] = TLS_TABLE, ldt[LDT_SEGMENTS] = LDT_TABLE;

uint32_t segment_base(uint32_t selector)
{
	uint32_t index = selector >> 3;

	if (selector & 4 && index < LDT_SEGMENTS)
		return ldt[index].base;
	if (selector & 4)
		return index < LDT_SEGMENTS + TLS_SEGMENTS ? tls[index - LDT_SEGMENTS].base : 0;
	return index >= 12 && index < 12 + TLS_SEGMENTS ? tls[index - 12].base : 0;
}

uint16_t tls_selector(const struct state_options *options, uint32_t n)
{
	return (uint16_t)((options->qemu ? SEL_QEMU_TLS0 : SEL_TLS0) + 8 * n);
}

/* One of the selectors of case.h, as it is here. */
static uint16_t here(const struct state_options *options, uint16_t selector)
{
	return selector == SEL_TLS0 || selector == SEL_TLS1 || selector == SEL_TLS2 ?
		       tls_selector(options, (selector - SEL_TLS0) / 8u) : selector;
}

/*
 * Numbers for x87 and SSE.
 */

static uint64_t pick_double(struct rng *rng)
{
	static const uint64_t special[] = {
		0, 0x8000000000000000u, 0x3ff0000000000000u, 0xbff0000000000000u, 0x7ff0000000000000u, 0xfff0000000000000u,
		0x7ff8000000000000u, 0xfff8000000000000u, 0x7ff0000000000001u, 0xfff7ffffffffffffu, 0x0000000000000001u,
		0x800fffffffffffffu, 0x0010000000000000u, 0x7fefffffffffffffu, 0xffefffffffffffffu, 0x3fe0000000000000u,
		0x41dfffffffc00000u, 0x41e0000000000000u, 0xc1e0000000000000u, 0x43e0000000000000u, 0xc3e0000000000000u,
		0x400921fb54442d18u, 0x3fb999999999999au, 0x4330000000000001u, 0x3ff8000000000000u, 0x4004000000000000u,
		0x47efffffe0000000u, 0x380fffffc0000000u, 0x36a0000000000000u,
	};
	uint32_t dice = rng_below(rng, 100);

	if (dice < 50)
		return special[rng_below(rng, sizeof(special) / sizeof(special[0]))];
	if (dice < 80) /* of moderate size */
		return (rng64(rng) & 0x800fffffffffffffu) | (uint64_t)(1023 - 40 + rng_below(rng, 80)) << 52;
	return rng64(rng);
}

static uint32_t pick_float(struct rng *rng)
{
	static const uint32_t special[] = {
		0, 0x80000000, 0x3f800000, 0xbf800000, 0x7f800000, 0xff800000, 0x7fc00000, 0xffc00000, 0x7f800001, 0xffbfffff, 1,
		0x807fffff, 0x00800000, 0x7f7fffff, 0xff7fffff, 0x3f000000, 0x4effffff, 0x4f000000, 0xcf000000, 0x5f000000,
		0x40490fdb, 0x3dcccccd, 0x4b000001, 0x3fc00000, 0x40200000,
	};
	uint32_t dice = rng_below(rng, 100);

	if (dice < 50)
		return special[rng_below(rng, sizeof(special) / sizeof(special[0]))];
	if (dice < 80)
		return (rng32(rng) & 0x807fffffu) | (127 - 30 + rng_below(rng, 60)) << 23;
	return rng32(rng);
}

static void pick_extended(uint8_t value[10], struct rng *rng)
{
	static const uint64_t fractions[] = {
		0x8000000000000000u, 0xc000000000000000u, 0x8000000000000001u, 0xffffffffffffffffu, 0, 1, 0x7fffffffffffffffu,
		0x4000000000000000u, 0xc90fdaa22168c235u, 0xfffffffffffff800u, 0xffffff0000000000u, 0xa000000000000000u,
	};
	static const uint16_t exponents[] = {
		0, 1, 0x3fff, 0x7fff, 0x7ffe, 0x3ffe, 0x4000, 0x400d, 0x400e, 0x401d, 0x401e, 0x403d, 0x403e, 0x403f, 0x3c00,
		0x43ff, 0x3f80, 0x407f,
	};
	uint64_t fraction = rng_percent(rng, 60) ? fractions[rng_below(rng, 12)] : rng64(rng);
	uint16_t exponent = exponents[rng_below(rng, sizeof(exponents) / 2)];

	if (rng_percent(rng, 25))
		exponent = (uint16_t)(0x3fff - 70 + rng_below(rng, 140));
	if (rng_percent(rng, 90) && exponent)
		fraction |= 1ull << 63; /* a normal number */
	if (rng_percent(rng, 40))
		exponent |= 0x8000;
	memcpy(value, &fraction, 8);
	memcpy(value + 8, &exponent, 2);
}

/* Sixteen bytes of one kind of data. */
static void pick_vector(uint8_t value[16], struct rng *rng)
{
	uint32_t dice = rng_below(rng, 100);

	for (int i = 0; i < 4; i++) {
		uint32_t f = dice < 40 ? pick_float(rng) : dice < 85 ? pick_value(rng) : rng32(rng);

		memcpy(value + 4 * i, &f, 4);
	}
	if (dice >= 40 && dice < 70)
		for (int i = 0; i < 2; i++) {
			uint64_t d = pick_double(rng);

			memcpy(value + 8 * i, &d, 8);
		}
	if (dice >= 70 && dice < 76)
		pick_extended(value, rng);
}

static void put16(uint8_t *p, uint32_t value)
{
	p[0] = (uint8_t)value;
	p[1] = (uint8_t)(value >> 8);
}

void fpu_make(uint8_t fx[512], bool wild, struct rng *rng)
{
	uint32_t fcw = 0x37f, fsw = rng32(rng) & 0x7f00, mxcsr = 0x1f80;

	memset(fx, 0, 512);
	if (rng_percent(rng, 50))
		fcw = (fcw & ~0xf00u) | (rng32(rng) & 0xf00);
	if (wild && rng_percent(rng, 12))
		fcw &= ~(rng32(rng) & 0x3f);
	if (rng_percent(rng, 15))
		fsw |= rng32(rng) & 0x7f & (wild && rng_percent(rng, 40) ? 0x7f : fcw | 0x40);
	if (fsw & ~fcw & 0x3f)
		fsw |= 0x8080; /* ES and B follow from the rest */
	if (rng_percent(rng, 50))
		mxcsr |= rng32(rng) & 0xe07f;
	if (wild && rng_percent(rng, 10))
		mxcsr &= ~(rng32(rng) & 0x1f80);
	put16(fx + FX_FCW, fcw);
	put16(fx + FX_FSW, fsw);
	fx[FX_FTW] = rng_percent(rng, 60) ? 0xff : (uint8_t)rng32(rng);
	memcpy(fx + FX_MXCSR, &mxcsr, 4);
	for (int i = 0; i < 8; i++) {
		pick_extended(fx + FX_ST + 16 * i, rng);
		if (rng_percent(rng, 15)) { /* as MMX leaves it */
			pick_vector(fx + FX_ST + 16 * i, rng);
			memset(fx + FX_ST + 16 * i + 8, 0xff, 2);
			memset(fx + FX_ST + 16 * i + 10, 0, 6);
		}
		pick_vector(fx + FX_XMM + 16 * i, rng);
	}
}

/*
 * Memory.
 */

void background_make(uint8_t *background, uint64_t seed)
{
	struct rng rng = rng_fork(seed, 0xbac, 0, 0);

	for (uint32_t at = 0; at < AREA_BYTES; at += 16)
		pick_vector(background + at, &rng);
	memset(background + LOW_STOPS - LOW_BASE, 0xcc, 0x10000 - LOW_STOPS + CODE_PAGES * 4096);
}

static const struct area *area_of(uint32_t address)
{
	for (int i = 0; i < AREAS; i++)
		if (address - areas[i].base < areas[i].pages * 4096)
			return &areas[i];
	return NULL;
}

static bool patchable(uint32_t address)
{
	return area_of(address) && address - RO_PAGE >= 4096;
}

bool add_patch(struct test_case *test, uint32_t address, const void *bytes, uint32_t len)
{
	uint32_t done = 0;

	while (done < len) {
		struct patch *patch = &test->patch[test->patches];
		uint32_t n = 0;

		if (!patchable(address + done) || test->patches == MAX_PATCHES)
			return false;
		while (n < sizeof(patch->bytes) && done + n < len && patchable(address + done + n))
			n++;
		patch->address = address + done;
		patch->len = n;
		memcpy(patch->bytes, (const uint8_t *)bytes + done, n);
		test->patches++;
		done += n;
	}
	return true;
}

/*
 * Operands.
 */

struct maker {
	struct test_case *test;
	const struct instance *instance;
	const struct state_options *options;
	struct rng *rng;
};

/* Register number of a 16- or 32-bit integer register, -1 for none. */
static int gpr_number(ZydisRegister reg)
{
	if (reg >= ZYDIS_REGISTER_EAX && reg <= ZYDIS_REGISTER_EDI)
		return reg - ZYDIS_REGISTER_EAX;
	if (reg >= ZYDIS_REGISTER_AX && reg <= ZYDIS_REGISTER_DI)
		return reg - ZYDIS_REGISTER_AX;
	return -1;
}

static int segment_number(ZydisRegister reg)
{
	return reg >= ZYDIS_REGISTER_ES && reg <= ZYDIS_REGISTER_GS ? (int)(reg - ZYDIS_REGISTER_ES) : S_DS;
}

/* Stack pointers: interior, or so that a push or pop of up to 32 bytes meets an edge. */
static uint32_t pick_stack(struct maker *m)
{
	uint32_t dice = rng_below(m->rng, 100), base = segment_base(m->test->in.seg[S_SS]), address;

	if (dice < 60)
		address = STACK_BASE + 0x800 + rng_below(m->rng, 0x1000);
	else if (dice < 72)
		address = STACK_BASE + rng_below(m->rng, 40);
	else if (dice < 84)
		address = STACK_BASE + STACK_PAGES * 4096 - rng_below(m->rng, 40);
	else if (dice < 88)
		address = STACK_BASE + 4096 + 20 - rng_below(m->rng, 40);
	else
		address = pick_address(m->rng, 4);
	if (rng_percent(m->rng, 75))
		address &= ~3u;
	return address - base;
}

static uint32_t pick_offset(struct maker *m, uint32_t base, uint32_t size, bool address16)
{
	uint32_t offset = pick_address(m->rng, size) - base;

	if (!address16 || offset < 0x10000)
		return offset;
	if (rng_percent(m->rng, 70))
		return LOW_BASE + rng_below(m->rng, LOW_PAGES * 4096) - base;
	return rng_percent(m->rng, 50) ? rng_below(m->rng, 0x2000) : 0u - rng_below(m->rng, 2 * size + 1);
}

static void set_reg(struct maker *m, int reg, uint32_t value, bool only16)
{
	uint32_t *gpr = &m->test->in.gpr[reg];

	*gpr = only16 && rng_percent(m->rng, 70) ? (*gpr & 0xffff0000) | (value & 0xffff) : value;
}

/* Solve base + index * scale + disp = offset for base (or index where there is no base). */
static void aim(struct maker *m, const ZydisDecodedOperandMem *mem, uint32_t offset, bool address16)
{
	int base = gpr_number(mem->base), index = gpr_number(mem->index);
	uint32_t scale = mem->scale ? mem->scale : 1, rest = offset - (uint32_t)mem->disp.value;

	if (index >= 0 && base >= 0 && index != base) {
		uint32_t value = rng_percent(m->rng, 60) ? rng_below(m->rng, 16) : pick_value(m->rng);

		set_reg(m, index, value, address16);
		rest -= m->test->in.gpr[index] * scale;
		set_reg(m, base, rest, address16);
	} else if (index >= 0 && base >= 0) {
		set_reg(m, base, rest / (scale + 1), address16);
	} else if (base >= 0) {
		set_reg(m, base, rest, address16);
	} else if (index >= 0) {
		set_reg(m, index, rest / scale, address16);
	}
}

static bool is_stack_operand(const ZydisDecodedOperand *op)
{
	return op->visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
	       (gpr_number(op->mem.base) == R_ESP || gpr_number(op->mem.base) == R_EBP);
}

uint32_t effective_offset(const struct instance *instance, const struct state *in, const ZydisDecodedOperand *op)
{
	int base = gpr_number(op->mem.base), index = gpr_number(op->mem.index);
	uint32_t offset = (uint32_t)op->mem.disp.value;

	if (base >= 0)
		offset += in->gpr[base];
	if (index >= 0)
		offset += in->gpr[index] * (op->mem.scale ? op->mem.scale : 1);
	if (instance->insn.address_width == 16 && !is_stack_operand(op))
		offset &= 0xffff;
	return offset;
}

uint32_t effective_address(const struct instance *instance, const struct state *in, const ZydisDecodedOperand *op)
{
	return effective_offset(instance, in, op) + segment_base(in->seg[segment_number(op->mem.segment)]);
}

static bool is_far(const ZydisDecodedInstruction *insn)
{
	return insn->meta.branch_type == ZYDIS_BRANCH_TYPE_FAR;
}

static uint16_t pick_far_selector(struct maker *m)
{
	static const uint16_t likely[] = { SEL_CODE, SEL_CODE, SEL_CODE, 0x1f, 0x1f, 0x37,    SEL_DATA,
					   0,	     0x10,     0x2f,	 0x20, 0x22, SEL_TLS0 };

	return here(m->options, likely[rng_below(m->rng, m->options->segments ? 13 : 3)]);
}

static bool loads_ss(const struct instance *instance)
{
	const ZydisDecodedInstruction *insn = &instance->insn;

	return insn->mnemonic == ZYDIS_MNEMONIC_LSS || (instance->form->map == MAP_PRIMARY && instance->form->op == 0x17) ||
	       (instance->form->op == 0x8e && insn->raw.modrm.reg == S_SS);
}

static uint16_t pick_data_selector(struct maker *m)
{
	static const uint16_t likely[] = { SEL_DATA, SEL_TLS0, SEL_TLS1, SEL_TLS2, 0, 1, 2, 3, SEL_CODE, 0x28, 0x29, 0x18, 0x10,
					   0x08, 0x07, 0x0f, 0x17, 0x1f, 0x27, 0x2f, 0x37, 0x3f, 0x47, 0x60, 0x04, 0x05 };

	if (rng_percent(m->rng, 10))
		return (uint16_t)(0x80 + rng_below(m->rng, 0xff80));
	if (loads_ss(m->instance) && rng_percent(m->rng, 60))
		return rng_percent(m->rng, 60) ? SEL_DATA : (uint16_t)(8 * rng_below(m->rng, 3) + 7);
	return here(m->options, likely[rng_below(m->rng, m->options->segments ? sizeof(likely) / 2 : 4)]);
}

/* What a branch reads from memory (or pops) should be somewhere to go; what is loaded into a segment, a selector. */
static void patch_branch_target(struct maker *m, uint32_t address)
{
	const ZydisDecodedInstruction *insn = &m->instance->insn;
	uint32_t target = pick_code_target(m->rng, m->instance->eip, m->instance->len), len = 4;
	uint8_t bytes[12] = { 0 };

	if (insn->operand_width == 16)
		len = 2, target = pick_code_target16(m->rng);
	memcpy(bytes, &target, 4);
	if (is_far(insn) || insn->mnemonic == ZYDIS_MNEMONIC_IRET || insn->mnemonic == ZYDIS_MNEMONIC_IRETD) {
		uint16_t sel = pick_far_selector(m);
		uint32_t flags = (pick_value(m->rng) & 0xed5) | 2;

		if (insn->meta.category == ZYDIS_CATEGORY_RET && insn->mnemonic != ZYDIS_MNEMONIC_RET)
			memcpy(bytes + 2 * len, &flags, len);
		memcpy(bytes + len, &sel, 2);
		len *= 3;
	}
	add_patch(m->test, address, bytes, len);
}

static void patch_bounds(struct maker *m, uint32_t address, uint32_t size)
{
	uint32_t value = m->test->in.gpr[m->instance->insn.raw.modrm.reg], bounds[2];

	bounds[0] = value - rng_below(m->rng, 3);
	bounds[1] = value + rng_below(m->rng, 3) - (rng_percent(m->rng, 20) ? 1 : 0);
	add_patch(m->test, address, &bounds[0], size);
	add_patch(m->test, address + size, &bounds[1], size);
}

/* The environment part of FLDENV and FRSTOR, all of FXRSTOR, LDMXCSR: mostly something that may be loaded. */
static void patch_fpu_state(struct maker *m, uint32_t address)
{
	uint8_t fx[512];
	uint16_t words[14] = { 0 };

	fpu_make(fx, true, m->rng);
	switch (m->instance->insn.mnemonic) {
	case ZYDIS_MNEMONIC_FXRSTOR:
		if (rng_percent(m->rng, 10))
			fx[26] = 1; /* a reserved bit of MXCSR */
		add_patch(m->test, address, fx, sizeof(fx));
		return;
	case ZYDIS_MNEMONIC_LDMXCSR:
		if (rng_percent(m->rng, 10))
			fx[26] = 4;
		add_patch(m->test, address, fx + FX_MXCSR, 4);
		return;
	default:
		memcpy(&words[0], fx, 2);
		memcpy(&words[m->instance->insn.operand_width == 16 ? 1 : 2], fx + 2, 2);
		words[m->instance->insn.operand_width == 16 ? 2 : 4] = (uint16_t)rng32(m->rng);
		add_patch(m->test, address, words, m->instance->insn.operand_width == 16 ? 14 : 28);
	}
}

static void patch_operand(struct maker *m, const ZydisDecodedOperand *op, uint32_t address)
{
	const ZydisDecodedInstruction *insn = &m->instance->insn;
	uint8_t bytes[128];
	uint16_t sel = pick_data_selector(m);
	uint32_t size = op->size / 8, n = 0;

	if (!(op->actions & ZYDIS_OPERAND_ACTION_MASK_READ))
		return;
	if (rng_percent(m->rng, 15) && insn->mnemonic != ZYDIS_MNEMONIC_LAR && insn->mnemonic != ZYDIS_MNEMONIC_LSL)
		return;
	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL:
	case ZYDIS_MNEMONIC_RET:
	case ZYDIS_MNEMONIC_IRET:
	case ZYDIS_MNEMONIC_IRETD:
		patch_branch_target(m, address);
		return;
	case ZYDIS_MNEMONIC_POPF:
	case ZYDIS_MNEMONIC_POPFD:
		n = (pick_value(m->rng) ^ (rng32(m->rng) & 0xcd5)) & ~(uint32_t)(FLAG_AC | (m->options->steps ? 0 : FLAG_TF));
		add_patch(m->test, address, &n, 4);
		return;
	case ZYDIS_MNEMONIC_POP:
		if (m->instance->form->op >= 0x50 && m->instance->form->map == MAP_PRIMARY)
			break;
		add_patch(m->test, address, &sel, 2);
		return;
	case ZYDIS_MNEMONIC_LES:
	case ZYDIS_MNEMONIC_LDS:
	case ZYDIS_MNEMONIC_LSS:
	case ZYDIS_MNEMONIC_LFS:
	case ZYDIS_MNEMONIC_LGS:
		add_patch(m->test, address + size - 2, &sel, 2);
		return;
	case ZYDIS_MNEMONIC_MOV:
		if (m->instance->form->op == 0x8e)
			add_patch(m->test, address, &sel, 2);
		return;
	case ZYDIS_MNEMONIC_LAR:
	case ZYDIS_MNEMONIC_LSL:
		add_patch(m->test, address, &sel, 2);
		return;
	case ZYDIS_MNEMONIC_BOUND:
		patch_bounds(m, address, size / 2);
		return;
	case ZYDIS_MNEMONIC_FLDENV:
	case ZYDIS_MNEMONIC_FRSTOR:
	case ZYDIS_MNEMONIC_FXRSTOR:
	case ZYDIS_MNEMONIC_LDMXCSR:
		patch_fpu_state(m, address);
		return;
	default:
		break;
	}
	for (; n < size && n < sizeof(bytes); n += 16)
		pick_vector(bytes + n, m->rng);
	if (size == 10)
		pick_extended(bytes, m->rng);
	if (size && rng_percent(m->rng, 60))
		add_patch(m->test, address, bytes, size < sizeof(bytes) ? size : sizeof(bytes));
}

static void aim_operand(struct maker *m, const ZydisDecodedOperand *op)
{
	uint32_t base = segment_base(m->test->in.seg[segment_number(op->mem.segment)]), size = op->size / 8;
	bool address16 = m->instance->insn.address_width == 16;

	if (is_stack_operand(op))
		m->test->in.gpr[gpr_number(op->mem.base)] = pick_stack(m);
	else
		aim(m, &op->mem, pick_offset(m, base, size, address16), address16);
}

/*
 * Registers that are not addresses but mean something.
 */

static void adjust_registers(struct maker *m)
{
	const ZydisDecodedInstruction *insn = &m->instance->insn;
	uint32_t *gpr = m->test->in.gpr;
	const ZydisDecodedOperand *op = m->instance->op;

	switch (insn->mnemonic) {
	case ZYDIS_MNEMONIC_BT:
	case ZYDIS_MNEMONIC_BTS:
	case ZYDIS_MNEMONIC_BTR:
	case ZYDIS_MNEMONIC_BTC:
		if (op[1].type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_number(op[1].reg.value) >= 0 && rng_percent(m->rng, 80))
			gpr[gpr_number(op[1].reg.value)] = rng_below(m->rng, 4096) - 2048;
		break;
	case ZYDIS_MNEMONIC_JMP:
	case ZYDIS_MNEMONIC_CALL:
		if (op[0].type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_number(op[0].reg.value) >= 0)
			gpr[gpr_number(op[0].reg.value)] = pick_code_target(m->rng, m->instance->eip, m->instance->len);
		if (op[0].type == ZYDIS_OPERAND_TYPE_REGISTER && insn->operand_width == 16 && rng_percent(m->rng, 90))
			gpr[gpr_number(op[0].reg.value)] = pick_code_target16(m->rng);
		break;
	case ZYDIS_MNEMONIC_MOV:
		if (m->instance->form->op == 0x8e && op[1].type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_number(op[1].reg.value) >= 0)
			gpr[gpr_number(op[1].reg.value)] = pick_data_selector(m) | (rng32(m->rng) & 0xffff0000);
		break;
	case ZYDIS_MNEMONIC_LAR:
	case ZYDIS_MNEMONIC_LSL:
	case ZYDIS_MNEMONIC_VERR:
	case ZYDIS_MNEMONIC_VERW: {
		int last = insn->operand_count_visible - 1;

		if (op[last].type == ZYDIS_OPERAND_TYPE_REGISTER && gpr_number(op[last].reg.value) >= 0)
			gpr[gpr_number(op[last].reg.value)] = pick_data_selector(m);
		break;
	}
	case ZYDIS_MNEMONIC_DIV:
	case ZYDIS_MNEMONIC_IDIV: /* let some quotients fit */
		if (rng_percent(m->rng, 70))
			gpr[R_EDX] = rng_percent(m->rng, 50) ? rng_below(m->rng, 4) : 0u - rng_below(m->rng, 4);
		break;
	case ZYDIS_MNEMONIC_CPUID:
		gpr[R_EAX] = rng_percent(m->rng, 50) ? rng_below(m->rng, 16) : 0x80000000 + rng_below(m->rng, 9);
		gpr[R_ECX] = rng_below(m->rng, 4);
		break;
	case ZYDIS_MNEMONIC_XGETBV:
		gpr[R_ECX] = rng_below(m->rng, 2);
		break;
	case ZYDIS_MNEMONIC_CMPXCHG8B: {
		/* let some comparisons succeed: see patch_operand for the other half */
		gpr[R_EDX] = rng_percent(m->rng, 50) ? 0 : gpr[R_EDX];
		break;
	}
	default:
		break;
	}
	if (insn->attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE | ZYDIS_ATTRIB_HAS_REPNE)) {
		uint32_t dice = rng_below(m->rng, 100);

		gpr[R_ECX] = dice < 92 ? rng_below(m->rng, dice < 15 ? 1 : dice < 60 ? 12 : 600) : pick_value(m->rng);
		if (insn->address_width == 16 && rng_percent(m->rng, 70))
			gpr[R_ECX] |= rng32(m->rng) & 0xffff0000;
	}
	if (insn->mnemonic == ZYDIS_MNEMONIC_ENTER && rng_percent(m->rng, 80))
		gpr[R_EBP] = pick_stack(m);
	if (insn->meta.category == ZYDIS_CATEGORY_COND_BR && rng_percent(m->rng, 30))
		gpr[R_ECX] = rng_below(m->rng, 3) | (rng_percent(m->rng, 50) ? 0x10000 : 0);
}

/* CMPXCHG: make the accumulator equal to the operand half of the time. */
static void adjust_compare(struct maker *m, const ZydisDecodedOperand *op, uint32_t address)
{
	ZydisMnemonic mnemonic = m->instance->insn.mnemonic;
	uint32_t *gpr = m->test->in.gpr, pair[2] = { gpr[R_EAX], gpr[R_EDX] };

	if (mnemonic == ZYDIS_MNEMONIC_CMPXCHG8B && rng_percent(m->rng, 50))
		add_patch(m->test, address, pair, 8);
	if (mnemonic == ZYDIS_MNEMONIC_CMPXCHG && rng_percent(m->rng, 50))
		add_patch(m->test, address, pair, op->size / 8);
}

static uint16_t pick_fs(struct maker *m)
{
	static const uint16_t likely[] = { SEL_TLS0, SEL_TLS1, SEL_TLS0, SEL_TLS2, SEL_DATA, 0x07, 0x0f, 0x17, 0, 0x27, 0x3f };
	uint32_t n = !m->options->segments ? 4 : rng_percent(m->rng, 70) ? 5 : 8;

	if (m->options->strict && rng_percent(m->rng, 30))
		n = 11;
	return here(m->options, likely[rng_below(m->rng, n)]);
}

static void make_segments(struct maker *m)
{
	static const uint16_t other[] = { 0x07, 0x0f, 0x17, SEL_TLS0, SEL_TLS1 }, odd[] = { 0x27, 0x3f, 0x00, 0x23, 0x1f };
	uint32_t *seg = m->test->in.seg, usual = m->options->strict ? 80 : 100;

	seg[S_CS] = SEL_CODE;
	seg[S_SS] = seg[S_DS] = seg[S_ES] = SEL_DATA;
	seg[S_FS] = pick_fs(m);
	seg[S_GS] = pick_fs(m);
	if (!m->options->segments || rng_percent(m->rng, 85))
		return;
	if (rng_percent(m->rng, 50))
		seg[S_DS] = here(m->options, rng_percent(m->rng, usual) ? other[rng_below(m->rng, 5)] : odd[rng_below(m->rng, 5)]);
	if (rng_percent(m->rng, 50))
		seg[S_ES] = here(m->options, rng_percent(m->rng, usual) ? other[rng_below(m->rng, 5)] : odd[rng_below(m->rng, 5)]);
	if (rng_percent(m->rng, 30))
		seg[S_SS] = other[rng_below(m->rng, 3)];
	if (rng_percent(m->rng, 15))
		seg[S_CS] = !m->options->strict || rng_percent(m->rng, 50) ? 0x1f : 0x37;
}

static bool uses_fpu(const struct instance *instance)
{
	if (!instance->decoded)
		return true;
	return instance->insn.meta.isa_set != ZYDIS_ISA_SET_I86 && instance->insn.meta.isa_set != ZYDIS_ISA_SET_I386;
}

/* Most instructions do not look at it: a few images serve for all of them. */
static void make_fpu(struct maker *m)
{
	enum { IMAGES = 16 };
	static uint8_t image[IMAGES][512];
	static bool ready;

	if (!ready) {
		struct rng rng = { 42 };

		for (int i = 0; i < IMAGES; i++)
			fpu_make(image[i], false, &rng);
		ready = true;
	}
	if (uses_fpu(m->instance))
		fpu_make(m->test->in.fx, true, m->rng);
	else
		memcpy(m->test->in.fx, image[rng_below(m->rng, IMAGES)], 512);
}

static bool is_private(uint32_t address)
{
	return address - (PRIVATE_BASE - 0x10000) < PRIVATE_END - PRIVATE_BASE + 0x20000;
}

/* Would it hit the native child's own memory? Reads there differ; writes spoil the results of other cases. */
static bool hits_private(const struct instance *instance, const struct state *in)
{
	if (is_private(in->gpr[R_ESP])) /* the kernel would think we were on the signal stack */
		return true;
	for (int i = 0; i < instance->insn.operand_count; i++) {
		const ZydisDecodedOperand *op = &instance->op[i];
		uint32_t address;
		int bit;

		if (op->type != ZYDIS_OPERAND_TYPE_MEMORY)
			continue;
		address = effective_address(instance, in, op);
		bit = instance->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER ? gpr_number(instance->op[1].reg.value) : -1;
		if (is_private(address) || (bit >= 0 && is_private(address + (uint32_t)((int32_t)in->gpr[bit] >> 3))))
			return true;
	}
	return false;
}

static void make_registers(struct maker *m)
{
	const uint32_t arithmetic = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF;
	struct state *in = &m->test->in;

	make_segments(m);
	for (int i = 0; i < 8; i++)
		in->gpr[i] = pick_value(m->rng);
	in->gpr[R_ESP] = rng_percent(m->rng, 90) ? STACK_BASE + 0x800 + rng_below(m->rng, 0x1000) : pick_stack(m);
	in->eip = m->instance->eip;
	in->eflags = (rng32(m->rng) & arithmetic) | FLAG_IF | 2;
	if (rng_percent(m->rng, 30))
		in->eflags |= FLAG_DF;
	if (m->options->steps && rng_percent(m->rng, 4))
		in->eflags |= FLAG_TF;
}

static void make_operands(struct maker *m)
{
	const struct instance *instance = m->instance;

	adjust_registers(m);
	for (int i = 0; i < instance->insn.operand_count; i++)
		if (instance->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY && instance->op[i].mem.type != ZYDIS_MEMOP_TYPE_AGEN &&
		    rng_percent(m->rng, 95))
			aim_operand(m, &instance->op[i]);
}

void state_make(struct test_case *test, const struct instance *instance, const struct state_options *options, struct rng *rng)
{
	struct maker m = { test, instance, options, rng };
	int tries = 0;

	test->patches = 0;
	add_patch(test, instance->eip, instance->bytes, instance->len);
	make_fpu(&m);
	do {
		make_registers(&m);
		if (instance->decoded)
			make_operands(&m);
	} while (instance->decoded && hits_private(instance, &test->in) && ++tries < 20);
	if (is_private(test->in.gpr[R_ESP]))
		test->in.gpr[R_ESP] = STACK_BASE + 4096;
	for (int i = 0; instance->decoded && i < instance->insn.operand_count; i++)
		if (instance->op[i].type == ZYDIS_OPERAND_TYPE_MEMORY) {
			uint32_t address = effective_address(instance, &test->in, &instance->op[i]);

			if (address - (CODE_BASE - 64) < CODE_PAGES * 4096 + 64)
				continue; /* a patch there could change the instruction */
			patch_operand(&m, &instance->op[i], address);
			adjust_compare(&m, &instance->op[i], address);
		}
}
