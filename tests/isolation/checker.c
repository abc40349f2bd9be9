/* SPDX-License-Identifier: MIT */
/*
 * checker.c - may this block of host code run?
 *
 * Translated code runs in the hypervisor's own process. What keeps the guest inside its windows is nothing but the shape of that
 * code, so here is a second opinion on the shape: it shares no code with the translator, decodes with Zydis, and knows what each
 * register may hold on every path (values.h). Whatever is not listed is refused.
 *
 * The argument is an induction. When a block begins, eax-edi and esp hold values below 4 GiB that are the guest's, r15 points to
 * struct cpu and r14 to a jump table. The rules keep it so up to each way out, and on the way no instruction reaches memory but a
 * window, the listed fields of struct cpu, and the jump table; see docs/isolation.md for the rest of the argument.
 *
 * One pass in the order of addresses is enough, because inside a block all jumps go forward. The state at a jump is kept until
 * its target is reached, and met there with the state that falls through.
 */
#include <stdio.h>
#include <string.h>

#include "check.h"
#include "checker.h"

static const struct {
	const char *name, *reason;
} rules[RULES] = {
	[RULE_DECODE]	= { "decode", "what cannot be decoded cannot be judged" },
	[RULE_ENCODING]	= { "encoding", "only legacy encodings: VEX, EVEX and XOP reach registers and forms that the guest does not have" },
	[RULE_PREFIX]	= { "prefix", "65 and 67 come together, in front of a guest operand; 67 alone only counts ECX; REX stands last; "
				      "no other segment is ever named; a jump takes no 66, whose meaning differs between makers" },
	[RULE_LISTED]	= { "listed", "not an instruction that the translator copies or makes: stack, calls, system, segment registers, "
				      "I/O, base registers and protection keys are all out because they are not on the list" },
	[RULE_RIP]	= { "rip", "a RIP-relative operand names the code cache's neighbourhood, not the guest's memory" },
	[RULE_MEMORY]	= { "memory", "a memory operand is gs with a 32-bit address, a listed form on r15 or r14, or a string operand" },
	[RULE_EXTENT]	= { "extent", "an access that begins below 4 GiB must end inside the guard behind the window" },
	[RULE_WINDOWED]	= { "windowed", "the operand must be computed modulo 2^32 from the window: both prefixes, nothing else" },
	[RULE_FIELD]	= { "field", "translated code touches only the fields of struct cpu that are listed for it, with the listed index" },
	[RULE_TABLE]	= { "table", "a jump table is only read, with a 16-bit index: nothing behind it is reached; the host address first, "
				     "because a kick may change r14 in between, and then the pair must not match" },
	[RULE_VALUE]	= { "value", "C trusts this place: a value of another kind, or one of the host's, must not get there" },
	[RULE_WIDE]	= { "wide", "guest registers stay below 4 GiB: 64 bits are written only for string operands and to give RCX back" },
	[RULE_RESERVED]	= { "reserved", "r14 and r15 are what every other rule stands on" },
	[RULE_SCRATCH]	= { "scratch", "r8-r13 appear in moves, LEA and guest addresses only, so their contents are known" },
	[RULE_STRING]	= { "string", "string operands are host addresses: made for one instruction, and cut to 32 bits behind it" },
	[RULE_TARGET]	= { "target", "a direct jump goes forward to an instruction of this block, or to its first" },
	[RULE_INDIRECT]	= { "indirect", "the only indirect jumps lead to a listed exit, or to a jump table's entry that was compared" },
	[RULE_EXIT]	= { "exit", "whoever goes on from here expects guest values in guest registers and our constants in r9" },
	[RULE_DEAD]	= { "dead", "no path leads here, so nothing is known about the registers" },
	[RULE_END]	= { "end", "code behind the block is not this block's" },
};

/* Integer instructions that may be copied, and the few that the translator makes up. None touches memory but by ModRM. */
static const ZydisMnemonic integer_list[] = {
#define M(name) ZYDIS_MNEMONIC_##name
	M(ADD), M(OR), M(ADC), M(SBB), M(AND), M(SUB), M(XOR), M(CMP), M(TEST), M(XCHG), M(MOV), M(MOVZX), M(MOVSX), M(LEA),
	M(INC), M(DEC), M(NOT), M(NEG), M(MUL), M(IMUL), M(DIV), M(IDIV),
	M(ROL), M(ROR), M(RCL), M(RCR), M(SHL), M(SHR), M(SAR), M(SHLD), M(SHRD),
	M(BT), M(BTS), M(BTR), M(BTC), M(BSF), M(BSR), M(TZCNT), M(LZCNT), M(POPCNT), M(BSWAP), M(MOVBE), M(CRC32), M(ADCX), M(ADOX),
	M(CMOVB), M(CMOVBE), M(CMOVL), M(CMOVLE), M(CMOVNB), M(CMOVNBE), M(CMOVNL), M(CMOVNLE),
	M(CMOVNO), M(CMOVNP), M(CMOVNS), M(CMOVNZ), M(CMOVO), M(CMOVP), M(CMOVS), M(CMOVZ),
	M(SETB), M(SETBE), M(SETL), M(SETLE), M(SETNB), M(SETNBE), M(SETNL), M(SETNLE),
	M(SETNO), M(SETNP), M(SETNS), M(SETNZ), M(SETO), M(SETP), M(SETS), M(SETZ),
	M(CBW), M(CWDE), M(CWD), M(CDQ), M(LAHF), M(SAHF), M(CLC), M(STC), M(CMC), M(CLD), M(STD), M(NOP), M(PAUSE),
	M(XADD), M(CMPXCHG), M(CMPXCHG8B), M(RDTSC), M(PREFETCHW), M(PREFETCHWT1), M(PREFETCH), M(CLFLUSH), M(CLFLUSHOPT), M(CLWB),
	M(FCOMI), M(FCOMIP), M(FUCOMI), M(FUCOMIP),	/* Zydis counts them with the integer instructions of their processor */
#undef M
};

/* Floating point and vectors: whole instruction sets... */
static const ZydisISASet set_list[] = {
#define S(name) ZYDIS_ISA_SET_##name
	S(X87), S(FCMOV), S(FXSAVE), S(PENTIUMMMX), S(SSE), S(SSEMXCSR), S(SSE_PREFETCH), S(SSE2), S(SSE2MMX), S(SSE3), S(SSE3X87),
	S(SSSE3), S(SSSE3MMX), S(SSE4), S(SSE42), S(AES), S(PCLMULQDQ), S(SHA), S(GFNI),
#undef S
};

/* ... without these: they would show the guest the address of the last x87 instruction, which is one of ours. */
static const ZydisMnemonic unlisted[] = { ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE, ZYDIS_MNEMONIC_FXSAVE };

static const ZydisMnemonic jcc_list[] = {
	ZYDIS_MNEMONIC_JB, ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNB, ZYDIS_MNEMONIC_JNBE,
	ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JNLE, ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JNP, ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JNZ,
	ZYDIS_MNEMONIC_JO, ZYDIS_MNEMONIC_JP, ZYDIS_MNEMONIC_JS, ZYDIS_MNEMONIC_JZ,
};

/* These count ECX, by way of 67. */
static const ZydisMnemonic loop_list[] = { ZYDIS_MNEMONIC_LOOP, ZYDIS_MNEMONIC_LOOPE, ZYDIS_MNEMONIC_LOOPNE, ZYDIS_MNEMONIC_JECXZ };

static bool among(const ZydisMnemonic *list, size_t count, ZydisMnemonic mnemonic)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == mnemonic)
			return true;
	return false;
}

static bool is_listed(const ZydisDecodedInstruction *in)
{
	if (among(unlisted, COUNT(unlisted), in->mnemonic))
		return false;
	if (among(integer_list, COUNT(integer_list), in->mnemonic))
		return true;
	for (size_t i = 0; i < COUNT(set_list); i++)
		if (set_list[i] == in->meta.isa_set)
			return true;
	return false;
}

/* --- operands ------------------------------------------------------------------------------------------------------------- */

static bool names_rip(const ZydisDecodedOperand *op)
{
	return is_mem(op) && (op->mem.base == ZYDIS_REGISTER_RIP || op->mem.base == ZYDIS_REGISTER_EIP);
}

static bool check_encoding(struct check *c)
{
	if (c->in.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return refuse(c, RULE_ENCODING);
	for (unsigned i = 0; i < c->in.operand_count; i++)
		if (names_rip(&c->op[i]))
			return refuse(c, RULE_RIP);
	return true;
}

/* Each of 66 F0 F2 F3 65 67 and REX at most once, REX last; 65 and 67 together. */
static bool check_prefixes(struct check *c)
{
	bool window = false, address = false, rex = false, guest = false;
	uint8_t seen[256] = { 0 };

	for (unsigned i = 0; i < c->in.raw.prefix_count; i++) {
		uint8_t value = c->in.raw.prefixes[i].value;

		if (rex || seen[value]++)
			return refuse(c, RULE_PREFIX);
		rex = value >= 0x40 && value <= 0x4f;
		window |= value == 0x65;
		address |= value == 0x67;
		if (!rex && !memchr("\x66\xf0\xf2\xf3\x65\x67", value, 6))
			return refuse(c, RULE_PREFIX);
	}
	for (unsigned i = 0; i < c->in.operand_count; i++)
		guest |= is_guest_mem(c, &c->op[i]);
	if (among(loop_list, COUNT(loop_list), c->in.mnemonic))
		return window || !address || rex || c->in.raw.prefix_count != 1 ? refuse(c, RULE_PREFIX) : true;
	if (window != address)
		return refuse(c, is_mem(&c->op[0]) || is_mem(&c->op[1]) ? RULE_WINDOWED : RULE_PREFIX);
	return window == guest || refuse(c, RULE_PREFIX);
}

/* --- control ------------------------------------------------------------------------------------------------------------------ */

/* @taken: the state on the way to the target. */
static bool jump_to(struct check *c, const struct state *taken)
{
	int64_t target = (int64_t)c->at + c->in.length + c->op[0].imm.value.s;

	if (target == 0)
		return state_is_guests(taken) || refuse(c, RULE_EXIT);
	if (target < (int64_t)c->at + c->in.length || target >= c->len || c->waiting_count == WAITING)
		return refuse(c, RULE_TARGET);
	c->waiting[c->waiting_count].at = (uint32_t)target;
	c->waiting[c->waiting_count++].state = *taken;
	return true;
}

/* jmp [r15 + CPU_EXITS + 8 * reason]; glue.S says what each exit takes from r8d and r9d */
static bool leave(struct check *c)
{
	const ZydisDecodedOperandMem *mem = &c->op[0].mem;
	uint64_t reason = ((uint64_t)mem->disp.value - CPU_EXITS) / 8;

	if (mem->index != ZYDIS_REGISTER_NONE || c->op[0].size != 64 || mem->disp.value % 8 || reason >= REASON_COUNT)
		return refuse(c, RULE_INDIRECT);
	if (!state_is_guests(&c->now))
		return refuse(c, RULE_EXIT);
	if ((reason == REASON_CHAIN || reason == REASON_EMULATE) && kind_of(c, R9) != V_CONST)
		return refuse(c, RULE_EXIT);
	if (reason != REASON_CHAIN && !kind_is_guests(kind_of(c, R8)))
		return refuse(c, RULE_EXIT);
	c->now.reached = false;
	return true;
}

static bool jmp(struct check *c)
{
	unsigned bits;
	int reg = op_gpr(&c->op[0], &bits);
	bool ok;

	if (is_based(c, &c->op[0], ZYDIS_REGISTER_R15))
		return leave(c);
	if (c->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		ok = jump_to(c, &c->now);
	else if (reg < 0 || kind_of(c, reg) != V_HIT)
		ok = refuse(c, RULE_INDIRECT);
	else
		ok = state_is_guests(&c->now) || refuse(c, RULE_EXIT);
	c->now.reached = false;
	return ok;
}

/* jrcxz: where it jumps, RCX is zero, so the entry that was compared is the right one */
static bool jrcxz(struct check *c)
{
	struct state taken = c->now;

	for (unsigned i = R8; i < R14; i++)
		if (kind_of(c, RCX) == V_MISS && taken.value[i].kind == V_PAIRED && taken.value[i].tag == c->now.value[RCX].tag)
			taken.value[i].kind = V_HIT;
	return jump_to(c, &taken);
}

static bool is_branch(ZydisMnemonic m)
{
	return m == ZYDIS_MNEMONIC_JMP || m == ZYDIS_MNEMONIC_JRCXZ || among(jcc_list, COUNT(jcc_list), m) ||
	       among(loop_list, COUNT(loop_list), m);
}

static bool branch(struct check *c)
{
	bool loop = among(loop_list, COUNT(loop_list), c->in.mnemonic);
	bool relative = c->op[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;

	for (unsigned i = 0; relative && i < c->in.raw.prefix_count; i++) {
		uint8_t value = c->in.raw.prefixes[i].value;

		if (!(value >= 0x40 && value <= 0x4f) && !(loop && value == 0x67))
			return refuse(c, RULE_PREFIX);
	}
	if (c->in.mnemonic == ZYDIS_MNEMONIC_JMP)
		return jmp(c);
	if (c->in.mnemonic == ZYDIS_MNEMONIC_JRCXZ)
		return jrcxz(c);
	if (loop && !kind_is_guests(kind_of(c, RCX)))
		return refuse(c, RULE_EXIT);
	if (loop)
		set(c, RCX, V_GUEST, 0);
	return jump_to(c, &c->now);
}

/* --- one instruction, one block ----------------------------------------------------------------------------------------------- */

/* Copied instructions name only what the guest has: eax-edi, x87, MMX and SSE registers, flags. */
static bool check_registers(struct check *c)
{
	for (unsigned i = 0; i < c->in.operand_count; i++) {
		ZydisRegister value = c->op[i].reg.value;
		unsigned bits;

		if (!is_reg(&c->op[i]))
			continue;
		switch (ZydisRegisterGetClass(value)) {
		case ZYDIS_REGCLASS_GPR8: case ZYDIS_REGCLASS_GPR16: case ZYDIS_REGCLASS_GPR32: case ZYDIS_REGCLASS_GPR64:
			if (op_gpr(&c->op[i], &bits) >= R14)
				return refuse(c, RULE_RESERVED);
			if (op_gpr(&c->op[i], &bits) >= R8)
				return refuse(c, RULE_SCRATCH);
			break;
		case ZYDIS_REGCLASS_X87: case ZYDIS_REGCLASS_MMX: case ZYDIS_REGCLASS_FLAGS:
			break;
		case ZYDIS_REGCLASS_XMM:
			if (ZydisRegisterGetId(value) >= 8)
				return refuse(c, RULE_SCRATCH);
			break;
		default:
			if (value != ZYDIS_REGISTER_MXCSR && value != ZYDIS_REGISTER_X87CONTROL && value != ZYDIS_REGISTER_X87STATUS &&
			    value != ZYDIS_REGISTER_X87TAG)
				return refuse(c, RULE_LISTED);
		}
	}
	return true;
}

static bool check_instruction(struct check *c)
{
	if (!check_encoding(c) || !check_prefixes(c))
		return false;
	if (is_branch(c->in.mnemonic))
		return branch(c);
	if (c->in.meta.category == ZYDIS_CATEGORY_STRINGOP)
		return check_string(c);
	if (!is_listed(&c->in))
		return refuse(c, RULE_LISTED);
	switch (c->in.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		if (c->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(c->op[0].reg.value) > ZYDIS_REGCLASS_GPR64)
			return refuse(c, RULE_LISTED);
		if (c->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(c->op[1].reg.value) > ZYDIS_REGCLASS_GPR64)
			return refuse(c, RULE_LISTED);
		return check_mov(c);
	case ZYDIS_MNEMONIC_MOVZX:
		return check_movzx(c);
	case ZYDIS_MNEMONIC_LEA:
		return check_lea(c);
	default:
		return check_guest_memory(c) && check_registers(c) && write_registers(c);
	}
}

/* Paths that were waiting for this instruction join here. One that waits for the middle of the last one has missed it. */
static bool arrive(struct check *c)
{
	for (unsigned i = 0; i < c->waiting_count;) {
		if (c->waiting[i].at > c->at) {
			i++;
			continue;
		}
		if (c->waiting[i].at < c->at)
			return refuse(c, RULE_TARGET);
		state_meet(&c->now, &c->waiting[i].state, ++c->serial);
		c->waiting[i] = c->waiting[--c->waiting_count];
	}
	return c->now.reached || refuse(c, RULE_DEAD);
}

static void begin(struct check *c, const uint8_t *code, uint32_t len)
{
	c->code = code;
	c->len = len;
	c->broken = RULES;
	c->now.reached = true;
	for (unsigned i = 0; i < REGISTERS; i++)
		set(c, (int)i, i < GUEST_REGISTERS ? V_GUEST : V_ANY, 0);
}

static void decoder_init(ZydisDecoder *decoder)
{
	ZydisDecoderInit(decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	/* Hints to old processors, and to all that have not been told otherwise: no process of ours turns MPX or CET on. */
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_MPX, ZYAN_FALSE);
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CET, ZYAN_FALSE);
	ZydisDecoderEnableMode(decoder, ZYDIS_DECODER_MODE_CLDEMOTE, ZYAN_FALSE);
}

static bool check_block(struct check *c)
{
	ZydisDecoder decoder;

	decoder_init(&decoder);
	while (c->at < c->len) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, c->code + c->at, c->len - c->at, &c->in, c->op)))
			return refuse(c, RULE_DECODE);
		if (!arrive(c) || !check_instruction(c))
			return false;
		c->at += c->in.length;
	}
	if (c->waiting_count)
		return refuse(c, RULE_TARGET);
	return !c->now.reached || refuse(c, RULE_END);
}

static void explain(const struct check *c, uint32_t address, char *why, size_t why_len)
{
	char text[128] = "-";
	ZydisFormatter formatter;

	if (c->broken != RULE_DECODE && c->at < c->len && ZYAN_SUCCESS(ZydisFormatterInit(&formatter, ZYDIS_FORMATTER_STYLE_INTEL)))
		ZydisFormatterFormatInstruction(&formatter, &c->in, c->op, c->in.operand_count_visible, text, sizeof(text),
						(uint64_t)address + c->at, NULL);
	snprintf(why, why_len, "%s at %#x: %s: %s", rules[c->broken].name, c->at, text, rules[c->broken].reason);
}

bool isolation_check(const uint8_t *code, uint32_t len, uint32_t address, char *why, size_t why_len)
{
	struct check c = { 0 };

	begin(&c, code, len);
	if (check_block(&c))
		return true;
	explain(&c, address, why, why_len);
	return false;
}
