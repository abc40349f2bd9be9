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
 * window, the listed fields of struct cpu, the jump table, and guest RAM behind a check; see docs/isolation.md for the rest of the
 * argument.
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
	[RULE_MEMORY]	= { "memory", "a memory operand is gs with a 32-bit address or r13 with one register, a listed form on r15 or r14, or a string operand" },
	[RULE_EXTENT]	= { "extent", "an access that begins below 4 GiB must end inside the guard behind the window" },
	[RULE_WINDOWED]	= { "windowed", "the operand must be computed modulo 2^32 from the window: both prefixes, nothing else" },
	[RULE_FIELD]	= { "field", "translated code touches only the fields of struct cpu that are listed for it, with the listed index" },
	[RULE_TABLE]	= { "table", "a jump table is only read, with a 16-bit index: nothing behind it is reached; the host address first, "
				     "because a kick may change r14 in between, and then the pair must not match" },
	[RULE_VALUE]	= { "value", "C trusts this place: a value of another kind, or one of the host's, must not get there" },
	[RULE_WIDE]	= { "wide", "guest registers stay below 4 GiB: 64 bits are written only for string operands and to give RCX back" },
	[RULE_RESERVED]	= { "reserved", "r13, r14 and r15 are what every other rule stands on" },
	[RULE_SCRATCH]	= { "scratch", "r8-r12 appear in moves, LEA and guest addresses only, so their contents are known" },
	[RULE_STRING]	= { "string", "string operands are host addresses: made for one instruction, and cut to 32 bits behind it" },
	[RULE_TARGET]	= { "target", "a direct jump goes forward to an instruction of this block, or to its first" },
	[RULE_INDIRECT]	= { "indirect", "the only indirect jumps lead to a listed exit, or to a jump table's entry that was compared" },
	[RULE_EXIT]	= { "exit", "whoever goes on from here expects guest values in guest registers and our constants in r9" },
	[RULE_DEAD]	= { "dead", "no path leads here, so nothing is known about the registers" },
	[RULE_END]	= { "end", "code behind the block is not this block's" },
	[RULE_CHECK]	= { "check", "the check of an access is one sequence, byte for byte; size, tag and the number for C agree in it" },
	[RULE_FLAGS]	= { "flags", "rsp leaves the guest only for the one word of PUSHF and POPF, in one sequence, byte for byte" },
	[RULE_ACCESS]	= { "access", "behind a check stands one instruction on [r9] itself, no larger than was checked, which writes only "
				      "what was checked for writing" },
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

/* Behind a check, and all of SSE and SSE2 with it. (x87 and MMX not: what they remember of an operand is its address.) */
static const ZydisMnemonic checked_list[] = {
#define M(name) ZYDIS_MNEMONIC_##name
	M(ADD), M(OR), M(ADC), M(SBB), M(AND), M(SUB), M(XOR), M(CMP), M(TEST), M(XCHG), M(MOV), M(MOVZX), M(MOVSX),
	M(INC), M(DEC), M(NOT), M(NEG), M(MUL), M(IMUL), M(DIV), M(IDIV), M(XADD), M(CMPXCHG), M(CMPXCHG8B),
	M(ROL), M(ROR), M(RCL), M(RCR), M(SHL), M(SHR), M(SAR), M(SHLD), M(SHRD), M(BSF), M(BSR), M(BT), M(BTS), M(BTR), M(BTC),
	M(CMOVB), M(CMOVBE), M(CMOVL), M(CMOVLE), M(CMOVNB), M(CMOVNBE), M(CMOVNL), M(CMOVNLE),
	M(CMOVNO), M(CMOVNP), M(CMOVNS), M(CMOVNZ), M(CMOVO), M(CMOVP), M(CMOVS), M(CMOVZ),
	M(SETB), M(SETBE), M(SETL), M(SETLE), M(SETNB), M(SETNBE), M(SETNL), M(SETNLE),
	M(SETNO), M(SETNP), M(SETNS), M(SETNZ), M(SETO), M(SETP), M(SETS), M(SETZ),
#undef M
};

static const ZydisMnemonic jcc_list[] = {
	ZYDIS_MNEMONIC_JB, ZYDIS_MNEMONIC_JBE, ZYDIS_MNEMONIC_JL, ZYDIS_MNEMONIC_JLE, ZYDIS_MNEMONIC_JNB, ZYDIS_MNEMONIC_JNBE,
	ZYDIS_MNEMONIC_JNL, ZYDIS_MNEMONIC_JNLE, ZYDIS_MNEMONIC_JNO, ZYDIS_MNEMONIC_JNP, ZYDIS_MNEMONIC_JNS, ZYDIS_MNEMONIC_JNZ,
	ZYDIS_MNEMONIC_JO, ZYDIS_MNEMONIC_JP, ZYDIS_MNEMONIC_JS, ZYDIS_MNEMONIC_JZ,
};

/* These count ECX, by way of 67. (Without it, LOOP makes a comparison: compares().) */
static const ZydisMnemonic loop_list[] = { ZYDIS_MNEMONIC_LOOP, ZYDIS_MNEMONIC_LOOPE, ZYDIS_MNEMONIC_LOOPNE, ZYDIS_MNEMONIC_JECXZ };

static bool among(const ZydisMnemonic *list, size_t count, ZydisMnemonic mnemonic)
{
	for (size_t i = 0; i < count; i++)
		if (list[i] == mnemonic)
			return true;
	return false;
}

/* 0F 18 brings memory nearer or does nothing; what its forms are called, and to which sets they belong, depends on the version of Zydis. */
static bool is_prefetch(const ZydisDecodedInstruction *in)
{
	return in->opcode_map == ZYDIS_OPCODE_MAP_0F && in->opcode == 0x18;
}

static bool is_listed(const ZydisDecodedInstruction *in)
{
	if (among(unlisted, COUNT(unlisted), in->mnemonic))
		return false;
	if (among(integer_list, COUNT(integer_list), in->mnemonic) || is_prefetch(in))
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

/* LOOP behind a comparison, where it counts RCX */
static bool compares(const struct check *c)
{
	return c->in.mnemonic == ZYDIS_MNEMONIC_LOOP && kind_of(c, RCX) == V_PAST;
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
	if (compares(c))
		return !c->in.raw.prefix_count || refuse(c, RULE_PREFIX);
	if (among(loop_list, COUNT(loop_list), c->in.mnemonic))
		return window || !address || rex || c->in.raw.prefix_count != 1 ? refuse(c, RULE_PREFIX) : true;
	if (c->by_register)
		return !(window || address) || refuse(c, RULE_PREFIX);
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
	if ((reason == REASON_CHAIN || reason == REASON_EMULATE || reason == REASON_INDIRECT) && kind_of(c, R9) != V_CONST)
		return refuse(c, RULE_EXIT);
	if (reason == REASON_INDIRECT && c->now.value[R9].tag >= BLOCK_DEPTHS)
		return refuse(c, RULE_EXIT);
	if (reason == REASON_SOFT)	/* its numbers belong to a check: check_form[] holds the only jump there */
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

/* The entry that was compared is the right one. */
static void hit(struct state *s, uint32_t tag)
{
	for (unsigned i = R8; i < R13; i++)
		if (s->value[i].kind == V_PAIRED && s->value[i].tag == tag)
			s->value[i].kind = V_HIT;
}

/* jrcxz: where it jumps, RCX is zero */
static bool jrcxz(struct check *c)
{
	struct state taken = c->now;

	if (kind_of(c, RCX) == V_MISS)
		hit(&taken, c->now.value[RCX].tag);
	return jump_to(c, &taken);
}

/* loop: where it does not jump, RCX was one */
static bool loop_compares(struct check *c)
{
	uint32_t tag = c->now.value[RCX].tag;

	set(c, RCX, V_ANY, 0);
	if (!jump_to(c, &c->now))
		return false;
	hit(&c->now, tag);
	return true;
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
	if (compares(c))
		return loop_compares(c);
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
			if (op_gpr(&c->op[i], &bits) >= R13)
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

/* --- checked accesses --------------------------------------------------------------------------------------------------------- */

/*
 * A checked access goes past the window: soft[] in struct cpu turns a guest address into a host address in guest RAM. The check
 * is a fixed form, compared byte for byte, so what it does can be said once, here, for any 32-bit r8d and any entries that C
 * may have written.
 *
 * Let P be the page of the first byte, at r8d, and Q that of the last, at r8d + size - 1 modulo 2^32.
 *
 *	Inside soft[]	(or soft_ring0[], which is as long.) The index is P cut to 8 bits, times 16: one of 256 entries.
 *	P = Q		The tag is compared with Q. C enters a page in the entry of its own number modulo 256 only, so a match
 *			means Q = P modulo 256. size is 16 at most, so Q is P or P + 1 (modulo 2^20, for an operand that wraps
 *			from 4 GiB to 0), and P + 1 is another number modulo 256. An empty entry holds 1, which no Q is: its
 *			low 12 bits are cut off. So all bytes lie in the page of the tag.
 *	Inside RAM	addend is where the page's frame is in the linear mapping of RAM, minus the page; C writes it after a
 *			walk that looked at the frame's number. r8 is below 4 GiB, so r9 = addend + r8 is exact, and with it all
 *			of the operand lies in that one frame.
 *	Permission	read and write are two tags. C fills the second only after a walk for writing, and a page that may be
 *			written may be read.
 *	In time		Entries change in C only, on the processor's own thread and in no signal handler, so not between the
 *			compare and the load of addend. The instruction behind the check is the only one to use r9.
 *
 * No path joins inside the form, as arrive() refuses jumps to what is not the beginning of a judged instruction. A path that
 * joins behind it brings something else in r9, and then nothing is known of it there.
 *
 * A miss leaves for C with the guest's registers - rax is back, and no other has changed - with the address in r8d, EIP in r9d,
 * and in r10d what was asked of the entry.
 */
#define LE32(v) (uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), (uint8_t)((v) >> 24)

static const uint8_t check_form[] = {
	0x49, 0x89, 0xc3,				/* mov r11, rax */
	0x9f,						/* lahf */
	0x0f, 0x90, 0xc0,				/* seto al */
	0x45, 0x8d, 0x48, 0,				/* lea r9d, [r8 + size - 1] */
	0x45, 0x89, 0xc2,				/* mov r10d, r8d */
	0x41, 0xc1, 0xea, 12,				/* shr r10d, 12 */
	0x45, 0x0f, 0xb6, 0xd2,				/* movzx r10d, r10b */
	0x41, 0xc1, 0xe2, 4,				/* shl r10d, 4 */
	0x41, 0x81, 0xe1, LE32(~PAGE_MASK),		/* and r9d, ~0xfff */
	0x47, 0x3b, 0x8c, 0x17, LE32(CPU_SOFT),		/* cmp r9d, [r15 + r10 + tag] */
	0x75, 19,					/* jne slow */
	0x4f, 0x8b, 0x8c, 0x17, LE32(CPU_SOFT + 8),	/* mov r9, [r15 + r10 + addend] */
	0x4d, 0x01, 0xc1,				/* add r9, r8 */
	0x04, 0x7f,					/* add al, 0x7f */
	0x9e,						/* sahf */
	0x4c, 0x89, 0xd8,				/* mov rax, r11 */
	0xeb, 25,					/* jmp done */
	0x04, 0x7f,					/* slow: add al, 0x7f */
	0x9e,						/* sahf */
	0x4c, 0x89, 0xd8,				/* mov rax, r11 */
	0x41, 0xb9, 0, 0, 0, 0,				/* mov r9d, eip */
	0x41, 0xba, 0, 0, 0, 0,				/* mov r10d, size | write << 8 */
	0x41, 0xff, 0xa7, LE32(CPU_EXITS + 8 * REASON_SOFT),	/* jmp [r15 + exit] */
};							/* done: */

/* Where the form has parameters, and the instructions that no other sequence begins with. */
enum { FORM_BEGINS = 4, FORM_LAST = 10, FORM_TAG = 37, FORM_ADDEND = 47, FORM_EIP = 70, FORM_KIND = 76, FORM_SIZE = 87, KIND_WRITE = 1 << 8, KIND_ALIGNED = 1 << 9 };

_Static_assert(sizeof(check_form) == FORM_SIZE, "an instruction is missing");
_Static_assert(sizeof(((struct cpu *)0)->soft) == 256 * 16 && sizeof(((struct cpu *)0)->soft_ring0) == 256 * 16 && sizeof(struct soft_entry) == 16 &&
	       offsetof(struct soft_entry, read) == 0 && offsetof(struct soft_entry, write) == 4 &&
	       offsetof(struct soft_entry, addend) == 8, "the form reads what is not there");

static bool begins_check(const struct check *c)
{
	return c->len - c->at >= FORM_BEGINS && !memcmp(c->code + c->at, check_form, FORM_BEGINS);
}

static void put32(uint8_t *to, uint32_t v)
{
	const uint8_t bytes[] = { LE32(v) };

	memcpy(to, bytes, sizeof(bytes));
}

/* The form with the parameters that are found in @code; EIP is anything, the others are the few that there may be. */
static bool same_form(const uint8_t *code, uint32_t entries, uint32_t size, bool write, bool aligned)
{
	uint8_t form[FORM_SIZE];

	memcpy(form, check_form, FORM_SIZE);
	form[FORM_LAST] = (uint8_t)(size - 1);
	put32(form + FORM_TAG, entries + (write ? 4 : 0));
	put32(form + FORM_ADDEND, entries + 8);
	memcpy(form + FORM_EIP, code + FORM_EIP, 4);
	put32(form + FORM_KIND, size | (write ? KIND_WRITE : 0) | (aligned ? KIND_ALIGNED : 0));
	return !memcmp(code, form, FORM_SIZE);
}

/* The whole of a check at once. Leaves r9 = host address of size bytes. */
static bool check_form_here(struct check *c)
{
	const uint8_t *code = c->code + c->at;

	if (kind_of(c, R9) == V_CHECKED)
		return refuse(c, RULE_ACCESS);
	if (c->len - c->at < FORM_SIZE)
		return refuse(c, RULE_CHECK);
	if (!state_is_guests(&c->now))		/* it leaves for C on a miss */
		return refuse(c, RULE_EXIT);
	if (!kind_is_guests(kind_of(c, R8)))
		return refuse(c, RULE_VALUE);
	for (uint32_t size = 1; size <= 16; size *= 2)
		for (unsigned way = 0; way < 4; way++) {
			bool write = way & 1, aligned = way & 2;	/* what is aligned is for C to see */

			if ((aligned && size != 16) || (!same_form(code, CPU_SOFT, size, write, aligned) &&
							 !same_form(code, CPU_SOFT_RING0, size, write, aligned)))
				continue;
			set(c, R9, V_CHECKED, size | (write ? KIND_WRITE : 0));
			set(c, R10, V_ANY, 0);
			set(c, R11, V_ANY, 0);
			return true;
		}
	return refuse(c, RULE_CHECK);
}

/* [r9], with nothing added, as far as it was checked */
static bool is_checked(const struct check *c, const ZydisDecodedOperand *op)
{
	uint32_t kind = c->now.value[R9].tag;

	return is_based(c, op, ZYDIS_REGISTER_R9) && c->in.raw.modrm.mod == 0 && op->mem.index == ZYDIS_REGISTER_NONE &&
	       !op->mem.disp.value && op->size && op->size <= (kind & 0xff) * 8 &&
	       (kind & KIND_WRITE || !(op->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE));
}

/* mov r8d or r12d, [r9]: what is loaded is the guest's. mov [r9], r12d: it may have it back. */
static bool moves_scratch(struct check *c)
{
	unsigned to_bits = 0, from_bits = 0;
	int to = op_gpr(&c->op[0], &to_bits), from = op_gpr(&c->op[1], &from_bits);

	if (c->in.mnemonic != ZYDIS_MNEMONIC_MOV)
		return false;
	if ((to == R8 || to == R12) && to_bits == 32) {
		set(c, to, V_GUEST, 0);
		return true;
	}
	return from == R12 && from_bits == 32 && kind_is_guests(kind_of(c, R12));
}

static bool is_vector(const ZydisDecodedInstruction *in)
{
	return in->meta.isa_set == ZYDIS_ISA_SET_SSE || in->meta.isa_set == ZYDIS_ISA_SET_SSE2;
}

/* A bit offset in a register leads away from the operand. */
static bool leads_away(const struct check *c)
{
	ZydisMnemonic m = c->in.mnemonic;
	bool bits = m == ZYDIS_MNEMONIC_BT || m == ZYDIS_MNEMONIC_BTS || m == ZYDIS_MNEMONIC_BTR || m == ZYDIS_MNEMONIC_BTC;

	return bits && c->op[1].type != ZYDIS_OPERAND_TYPE_IMMEDIATE;
}

/* Of AX to BX, the halves change places: an instruction with a REX prefix cannot name the upper one. */
static bool swaps_halves(const struct check *c)
{
	unsigned bits[2] = { 0, 0 };

	return c->in.mnemonic == ZYDIS_MNEMONIC_XCHG && is_reg(&c->op[0]) && is_reg(&c->op[1]) &&
	       op_gpr(&c->op[0], &bits[0]) == op_gpr(&c->op[1], &bits[1]) && bits[0] == 8 && bits[1] == 8;
}

/* The one instruction behind a check. Before it, halves of a register may be swapped. */
static bool check_access(struct check *c)
{
	unsigned count = 0;

	if (swaps_halves(c))
		return check_registers(c) && write_registers(c);
	if ((!among(checked_list, COUNT(checked_list), c->in.mnemonic) && !is_vector(&c->in)) || leads_away(c))
		return refuse(c, RULE_ACCESS);
	for (unsigned i = 0; i < c->in.raw.prefix_count; i++)
		if (!memchr(is_vector(&c->in) ? "\x66\xf2\x41\xf3" : "\x66\xf0\x41\x45", c->in.raw.prefixes[i].value, 4))
			return refuse(c, RULE_ACCESS);
	for (unsigned i = 0; i < c->in.operand_count; i++) {
		if (!is_mem(&c->op[i]))
			continue;
		if (!is_checked(c, &c->op[i]))
			return refuse(c, RULE_ACCESS);
		count++;
	}
	if (count != 1)
		return refuse(c, RULE_ACCESS);
	set(c, R9, V_ANY, 0);
	return moves_scratch(c) || (check_registers(c) && write_registers(c));
}

static bool check_instruction(struct check *c)
{
	if (!check_encoding(c) || !check_prefixes(c))
		return false;
	if (kind_of(c, R9) == V_CHECKED)
		return check_access(c);
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

static void begin(struct check *c, bool by_register, const uint8_t *code, uint32_t len)
{
	c->by_register = by_register;
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
	uint32_t length;

	decoder_init(&decoder);
	while (c->at < c->len) {
		if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&decoder, c->code + c->at, c->len - c->at, &c->in, c->op)))
			return refuse(c, RULE_DECODE);
		if (!arrive(c))
			return false;
		if (begins_check(c)) {
			if (!check_form_here(c))
				return false;
			c->at += FORM_SIZE;
			continue;
		}
		if (check_fixed(c, &length)) {
			if (c->broken != RULES)
				return false;
			c->at += length;
			continue;
		}
		if (!check_instruction(c))
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

bool isolation_check(bool by_register, const uint8_t *code, uint32_t len, uint32_t address, char *why, size_t why_len)
{
	struct check c = { 0 };

	begin(&c, by_register, code, len);
	if (check_block(&c))
		return true;
	explain(&c, address, why, why_len);
	return false;
}
