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
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <Zydis/Zydis.h>

#include "cpu/x86/state.h"
#include "checker.h"
#include "values.h"

enum rule {
	RULE_DECODE, RULE_ENCODING, RULE_PREFIX, RULE_LISTED, RULE_RIP, RULE_MEMORY, RULE_EXTENT, RULE_WINDOWED, RULE_FIELD, RULE_TABLE,
	RULE_VALUE, RULE_WIDE, RULE_RESERVED, RULE_SCRATCH, RULE_STRING, RULE_TARGET, RULE_INDIRECT, RULE_EXIT, RULE_DEAD, RULE_END,
	RULES
};

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

/*
 * What translated code may touch in struct cpu: @count elements of @size bytes from @at, or, with an index register, one place
 * that a value of kind @index leads to. @kind is what a load gives and what a store must bring.
 */
enum { LOAD = 1, STORE = 2, NO_INDEX = -1 };

static const struct field {
	uint32_t at, count, size;
	unsigned access;
	enum kind kind;
	int index, scale;
} fields[] = {
	{ CPU_WINDOW,		1,	   8, LOAD,	    V_WINDOW,  NO_INDEX, 0 },
	{ CPU_TS,		1,	   4, LOAD,	    V_GUEST,   NO_INDEX, 0 },
	{ CPU_SELECTOR,		S_COUNT,   4, LOAD | STORE, V_WORD,    NO_INDEX, 0 },
	{ CPU_HIDDEN,		S_COUNT,   4, STORE,	    V_NUMBER,  NO_INDEX, 0 },	/* C indexes descriptors[] with it */
	{ CPU_BASE_AT,		S_COUNT,   8, LOAD | STORE, V_BASE_AT, NO_INDEX, 0 },
	{ 0,			1,	   4, LOAD,	    V_GUEST,   V_BASE_AT, 1 },	/* a segment's base */
	{ CPU_BASE_OF,		1,	   8, LOAD,	    V_BASE_AT, V_NUMBER, 8 },
	{ CPU_LOADABLE,		1,	   1, LOAD,	    V_NUMBER,  V_WORD,	 1 },
	{ CPU_LOADABLE + 65536, 1,	   1, LOAD,	    V_NUMBER,  V_WORD,	 1 },
};

enum { TABLE_SIZE = 65536 * 8, LARGEST_ACCESS = 512, WAITING = 32, TAG_ENTRY = 1 << 30 };

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

static bool refuse(struct check *c, enum rule rule)
{
	if (c->broken == RULES)
		c->broken = rule;
	return false;
}

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

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

static bool is_mem(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_MEMORY;
}

static bool is_reg(const ZydisDecodedOperand *op)
{
	return op->type == ZYDIS_OPERAND_TYPE_REGISTER;
}

/* Number of an integer register, 0-15, or -1; *@bits: how much of it. AH-BH are registers 0-3. */
static int gpr(ZydisRegister reg, unsigned *bits)
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
		return -1;
	}
}

static int op_gpr(const ZydisDecodedOperand *op, unsigned *bits)
{
	return is_reg(op) ? gpr(op->reg.value, bits) : -1;
}

/* In the window: gs:[32-bit registers + displacement]. */
static bool is_guest_mem(const struct check *c, const ZydisDecodedOperand *op)
{
	return is_mem(op) && op->mem.type != ZYDIS_MEMOP_TYPE_MIB && op->mem.type != ZYDIS_MEMOP_TYPE_VSIB &&
	       op->mem.segment == ZYDIS_REGISTER_GS && c->in.address_width == 32;
}

/* [base + ...] with a 64-bit address and no segment. */
static bool is_based(const struct check *c, const ZydisDecodedOperand *op, ZydisRegister base)
{
	return is_mem(op) && op->mem.base == base && op->mem.type == ZYDIS_MEMOP_TYPE_MEM && c->in.address_width == 64 &&
	       (op->mem.segment == ZYDIS_REGISTER_DS || op->mem.segment == ZYDIS_REGISTER_NONE);
}

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

/* Memory operands of anything but LEA, string instructions and our own forms on r14 and r15. */
static bool check_guest_memory(struct check *c)
{
	for (unsigned i = 0; i < c->in.operand_count; i++) {
		const ZydisDecodedOperand *op = &c->op[i];

		if (op->type == ZYDIS_OPERAND_TYPE_POINTER)
			return refuse(c, RULE_LISTED);
		if (!is_mem(op))
			continue;
		if (!is_guest_mem(c, op))
			return refuse(c, RULE_MEMORY);
		if (op->size > LARGEST_ACCESS * 8)
			return refuse(c, RULE_EXTENT);
	}
	return true;
}

/* --- values ----------------------------------------------------------------------------------------------------------------- */

static void set(struct check *c, int reg, enum kind kind, uint32_t tag)
{
	c->now.value[reg] = (struct value){ kind, tag };
	c->now.version[reg] = ++c->serial;
}

static enum kind kind_of(const struct check *c, int reg)
{
	return c->now.value[reg].kind;
}

/* May @bits of this register go where the guest sees them? */
static bool visible(const struct check *c, int reg, unsigned bits)
{
	enum kind kind = kind_of(c, reg);

	return kind_is_guests(kind) || (kind == V_HALF && bits == 16);
}

/*
 * What a copied instruction writes is the guest's if the register was. An instruction may leave a register as it was (CMOVcc,
 * BSF of zero), so only a move is known to replace what it held.
 */
static bool write_registers(struct check *c)
{
	bool move = c->in.mnemonic == ZYDIS_MNEMONIC_MOV || c->in.mnemonic == ZYDIS_MNEMONIC_MOVZX || c->in.mnemonic == ZYDIS_MNEMONIC_LEA;

	for (unsigned i = 0; i < c->in.operand_count; i++) {
		unsigned bits;
		int reg = op_gpr(&c->op[i], &bits);

		if (reg < 0 || !(c->op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		if (reg >= R14)
			return refuse(c, RULE_RESERVED);
		if (bits == 64)
			return refuse(c, RULE_WIDE);
		if (reg >= R8)
			return refuse(c, RULE_SCRATCH);
		if (kind_is_guests(kind_of(c, reg)) || (move && bits == 32))
			set(c, reg, V_GUEST, 0);
	}
	return true;
}

/* --- struct cpu and the jump table ------------------------------------------------------------------------------------------ */

static bool matches(const struct check *c, const struct field *f, const ZydisDecodedOperand *op)
{
	uint64_t offset = (uint64_t)op->mem.disp.value - f->at;
	unsigned bits;

	if (op->size != f->size * 8)
		return false;
	if (op->mem.index == ZYDIS_REGISTER_NONE)
		return f->index == NO_INDEX && offset < f->count * f->size && offset % f->size == 0;
	return f->index == (int)kind_of(c, gpr(op->mem.index, &bits)) && op->mem.scale == f->scale && offset == 0;
}

static const struct field *find_field(struct check *c, const ZydisDecodedOperand *op, unsigned access)
{
	for (size_t i = 0; i < COUNT(fields); i++)
		if (fields[i].access & access && matches(c, &fields[i], op))
			return &fields[i];
	refuse(c, RULE_FIELD);
	return NULL;
}

/* mov or movzx reg, [r15 + ...] */
static bool load_field(struct check *c, int reg, unsigned bits)
{
	const struct field *f = find_field(c, &c->op[1], LOAD);

	if (!f)
		return false;
	if (reg < GUEST_REGISTERS && !kind_is_guests(f->kind))
		return refuse(c, RULE_WIDE);
	if (bits < 32 || (f->size == 8) != (bits == 64))
		return refuse(c, RULE_FIELD);
	set(c, reg, f->kind, 0);
	return true;
}

/* mov [r15 + ...], reg */
static bool store_field(struct check *c)
{
	const struct field *f = find_field(c, &c->op[0], STORE);
	unsigned bits;
	int reg = op_gpr(&c->op[1], &bits);

	if (!f)
		return false;
	return (reg >= 0 && kind_of(c, reg) == f->kind) || refuse(c, RULE_VALUE);
}

/* The key of an entry is read: the host addresses read before it are those that it may vouch for. */
static bool pair_entries(struct check *c, uint32_t tag)
{
	bool found = false;

	for (unsigned i = R8; i < R14; i++) {
		struct value *v = &c->now.value[i];

		if (v->kind != V_ENTRY || v->tag != tag)
			continue;
		v->kind = V_PAIRED;
		found = true;
	}
	return found || refuse(c, RULE_TABLE);
}

/* mov reg, [r14 + index*8] or [r14 + constant]: the entry's key; 4 bytes further: its host code */
static bool load_entry(struct check *c, int reg)
{
	const ZydisDecodedOperandMem *mem = &c->op[1].mem;
	uint64_t disp = (uint64_t)mem->disp.value;
	unsigned bits;
	uint32_t tag;

	if (c->op[1].size != 32 || reg < R8)
		return refuse(c, RULE_TABLE);
	if (mem->index == ZYDIS_REGISTER_NONE) {
		if (disp >= TABLE_SIZE)
			return refuse(c, RULE_TABLE);
		tag = TAG_ENTRY | (uint32_t)disp >> 3;
	} else {
		int index = gpr(mem->index, &bits);

		if (mem->scale != 8 || disp >= 8 || kind_of(c, index) != V_WORD)
			return refuse(c, RULE_TABLE);
		tag = c->now.value[index].tag;
	}
	if (disp & 3)
		return refuse(c, RULE_TABLE);
	set(c, reg, disp & 4 ? V_ENTRY : V_KEY, tag);
	return disp & 4 || pair_entries(c, tag);
}

/* --- the translator's own instructions -------------------------------------------------------------------------------------- */

/* 64-bit moves: RCX to scratch and back. */
static bool move_wide(struct check *c, int to, int from)
{
	if (to >= R14)
		return refuse(c, RULE_RESERVED);
	if (from < 0 || !kind_is_guests(kind_of(c, from)) || (to < GUEST_REGISTERS && to != RCX))
		return refuse(c, RULE_WIDE);
	set(c, to, kind_of(c, from), c->now.value[from].tag);
	return true;
}

static bool move_registers(struct check *c, int to, int from, unsigned bits)
{
	enum kind kind = kind_of(c, from);
	bool cut = to == from && (kind == V_STRING || kind == V_SPENT);

	if (bits == 64)
		return move_wide(c, to, from);
	if (from >= R14 || (!visible(c, from, bits) && !cut))
		return refuse(c, RULE_VALUE);
	if (bits == 32)
		set(c, to, cut ? V_GUEST : kind, cut ? 0 : c->now.value[from].tag);
	else if (to >= R8)
		return refuse(c, RULE_SCRATCH);
	return true;
}

static bool mov(struct check *c)
{
	unsigned bits = 0, from_bits;
	int to = op_gpr(&c->op[0], &bits), from = op_gpr(&c->op[1], &from_bits);

	if (is_based(c, &c->op[0], ZYDIS_REGISTER_R15))
		return store_field(c);
	if (is_based(c, &c->op[0], ZYDIS_REGISTER_R14))
		return refuse(c, RULE_TABLE);
	if (to >= R14)
		return refuse(c, RULE_RESERVED);
	if (is_based(c, &c->op[1], ZYDIS_REGISTER_R15))
		return load_field(c, to, bits);
	if (is_based(c, &c->op[1], ZYDIS_REGISTER_R14))
		return load_entry(c, to);
	if (!check_guest_memory(c))
		return false;
	if (to < 0)	/* to guest memory */
		return from < 0 || (from < R14 && from_bits < 64 && visible(c, from, from_bits)) || refuse(c, RULE_VALUE);
	if (from >= 0 && bits >= 16)
		return move_registers(c, to, from, bits);
	if (bits == 64)
		return refuse(c, RULE_WIDE);
	if (from >= R8)
		return refuse(c, RULE_SCRATCH);
	if (to < R8)
		return write_registers(c);
	if (bits == 32 && c->op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		set(c, to, V_CONST, (uint32_t)c->op[1].imm.value.u);
	else if (bits >= 16 && is_mem(&c->op[1]))
		set(c, to, bits == 32 ? V_GUEST : V_HALF, 0);
	else
		return refuse(c, RULE_SCRATCH);
	return true;
}

static bool movzx(struct check *c)
{
	unsigned bits, from_bits;
	int to = op_gpr(&c->op[0], &bits), from = op_gpr(&c->op[1], &from_bits);

	if (to >= R14)
		return refuse(c, RULE_RESERVED);
	if (is_based(c, &c->op[1], ZYDIS_REGISTER_R15))
		return load_field(c, to, bits);
	if (!check_guest_memory(c))
		return false;
	if (to < R8)
		return from >= R8 ? refuse(c, RULE_SCRATCH) : write_registers(c);
	if (bits != 32)
		return refuse(c, RULE_SCRATCH);
	if (from >= 0 && (from >= R14 || !visible(c, from, from_bits)))
		return refuse(c, RULE_VALUE);
	set(c, to, V_WORD, from >= 0 && from_bits == 16 ? c->now.version[from] : 0);
	return true;
}

/* lea rsi, [rsi + r8] and the same with rdi */
static bool lea_string(struct check *c, int to)
{
	const ZydisDecodedOperandMem *mem = &c->op[1].mem;
	unsigned bits;
	int base = gpr(mem->base, &bits), index = gpr(mem->index, &bits);

	if (to >= R14)
		return refuse(c, RULE_RESERVED);
	if ((to != RSI && to != RDI) || base != to || index < 0 || mem->scale != 1 || mem->disp.value || c->in.address_width != 64)
		return refuse(c, RULE_WIDE);
	if (!kind_is_guests(kind_of(c, to)) || kind_of(c, index) != V_WINDOW)
		return refuse(c, RULE_STRING);
	set(c, to, V_STRING, 0);
	return true;
}

/* lea ecx, [key + eip]: zero if this is the entry for eip */
static bool is_comparison(const struct check *c, int base, int index, int64_t disp)
{
	uint32_t tag = c->now.value[base].tag;

	if (index >= 0)
		return disp == 0 && c->op[1].mem.scale == 1 && tag == c->now.version[index];
	return tag == (TAG_ENTRY | ((uint32_t)disp & 0xffff));
}

static bool lea(struct check *c)
{
	const ZydisDecodedOperandMem *mem = &c->op[1].mem;
	unsigned bits = 0, ignored;
	int to = op_gpr(&c->op[0], &bits), base = gpr(mem->base, &ignored), index = gpr(mem->index, &ignored);

	if (bits == 64)
		return lea_string(c, to);
	if (to >= R14)
		return refuse(c, RULE_RESERVED);
	if (base >= R8 && kind_of(c, base) == V_KEY) {
		if (to != RCX || bits != 32 || !is_comparison(c, base, index, mem->disp.value))
			return refuse(c, RULE_TABLE);
		set(c, to, V_MISS, c->now.value[base].tag);
		return true;
	}
	if ((base >= 0 && (base >= R14 || !kind_is_guests(kind_of(c, base)))) ||
	    (index >= 0 && (index >= R14 || !kind_is_guests(kind_of(c, index)))))
		return refuse(c, RULE_VALUE);
	if (bits == 32)
		set(c, to, V_GUEST, 0);
	return bits == 32 || to < R8 || refuse(c, RULE_SCRATCH);
}

/* --- string instructions ---------------------------------------------------------------------------------------------------- */

static bool string(struct check *c)
{
	for (unsigned i = 0; i < c->in.raw.prefix_count; i++)
		if (!memchr("\x66\xf2\xf3", c->in.raw.prefixes[i].value, 3))
			return refuse(c, RULE_STRING);
	for (unsigned i = 0; i < c->in.operand_count; i++) {
		unsigned bits;
		int reg = is_mem(&c->op[i]) ? gpr(c->op[i].mem.base, &bits) : -1;

		if (reg < 0)
			continue;
		if ((reg != RSI && reg != RDI) || kind_of(c, reg) != V_STRING || bits != 64)
			return refuse(c, RULE_STRING);
	}
	for (unsigned i = 0; i < c->in.operand_count; i++) {
		unsigned bits;
		int reg = op_gpr(&c->op[i], &bits);

		if (reg < 0)
			continue;
		if (reg == RSI || reg == RDI)
			set(c, reg, V_SPENT, 0);
		else if (!kind_is_guests(kind_of(c, reg)))	/* RCX counts, EAX is data */
			return refuse(c, RULE_STRING);
		else
			set(c, reg, V_GUEST, 0);
	}
	return true;
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
		return string(c);
	if (!is_listed(&c->in))
		return refuse(c, RULE_LISTED);
	switch (c->in.mnemonic) {
	case ZYDIS_MNEMONIC_MOV:
		if (c->op[0].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(c->op[0].reg.value) > ZYDIS_REGCLASS_GPR64)
			return refuse(c, RULE_LISTED);
		if (c->op[1].type == ZYDIS_OPERAND_TYPE_REGISTER && ZydisRegisterGetClass(c->op[1].reg.value) > ZYDIS_REGCLASS_GPR64)
			return refuse(c, RULE_LISTED);
		return mov(c);
	case ZYDIS_MNEMONIC_MOVZX:
		return movzx(c);
	case ZYDIS_MNEMONIC_LEA:
		return lea(c);
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
