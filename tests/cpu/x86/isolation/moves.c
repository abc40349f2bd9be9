/* SPDX-License-Identifier: MIT */
/*
 * moves.c - the instructions that the translator makes up: moves, LEA and string operations, and what they do to values.
 *
 * All that is special about translated code passes through these: struct cpu, the jump table, the window's address, the registers
 * that the guest does not have. Copied instructions appear here only as those that name none of it.
 */
#include <string.h>

#include "check.h"
#include "cpu/x86/space/slot.h"

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
	{ CPU_IF,		1,	   4, LOAD | STORE, V_GUEST,   NO_INDEX, 0 },
	{ CPU_SLIDE,		1,	   4, LOAD,	    V_GUEST,   NO_INDEX, 0 },	/* stored by prologue_form only */
	{ CPU_KEPT,		1,	   4, LOAD | STORE, V_GUEST,   NO_INDEX, 0 },
	{ CPU_IRQ_PENDING,	1,	   4, LOAD,	    V_GUEST,   NO_INDEX, 0 },
	{ CPU_SYSTEM,		4,	   4, LOAD,	    V_GUEST,   NO_INDEX, 0 },	/* CR0, CR2, CR3, CR4 */
	{ CPU_SYSTEM + 4,	1,	   4, STORE,	    V_GUEST,   NO_INDEX, 0 },	/* CR2 */
	{ CPU_DESCRIPTOR_AT,	1,	   4, LOAD,	    V_GUEST,   V_NUMBER, 4 },
	{ CPU_DESCRIPTOR_MINUS,	1,	   8, LOAD,	    V_WIDE,    V_NUMBER, 8 },
	{ CPU_LOADABLE,		1,	   1, LOAD,	    V_NUMBER,  V_WORD,	 1 },
	{ CPU_LOADABLE + 65536, 1,	   1, LOAD,	    V_NUMBER,  V_WORD,	 1 },
};

/* A jump table: an entry for each EIP modulo 64 KiB and each depth, those of one depth STEP entries behind those of the one before. */
enum { TABLE_DEPTHS = 8, TABLE_STEP = 509, TABLE_ENTRIES = 65536 + (TABLE_DEPTHS - 1) * TABLE_STEP };
enum { LARGEST_ACCESS = 512, BIT_OFFSET = 1 << 28 /* how far BT reaches */, TAG_ENTRY = 1 << 30, TAG_DEPTH = 26 /* shift: above any version */ };

_Static_assert((int64_t)WINDOW_GUARD >= BIT_OFFSET - (int64_t)LOWEST_DISPLACEMENT &&
	       (int64_t)WINDOW_GUARD >= BIT_OFFSET + (int64_t)HIGHEST_DISPLACEMENT + LARGEST_ACCESS, "an operand may pass a guard");
_Static_assert((int64_t)WINDOW_GUARD_GS >= BIT_OFFSET + LARGEST_ACCESS, "an operand may pass a guard");
_Static_assert((int)JUMP_FIRST == (int)TABLE_ENTRIES, "an index may lead behind the table");

/* Memory operands of anything but LEA, string instructions and our own forms on r14 and r15. */
bool check_guest_memory(struct check *c)
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
bool write_registers(struct check *c)
{
	bool move = c->in.mnemonic == ZYDIS_MNEMONIC_MOV || c->in.mnemonic == ZYDIS_MNEMONIC_MOVZX || c->in.mnemonic == ZYDIS_MNEMONIC_LEA;

	for (unsigned i = 0; i < c->in.operand_count; i++) {
		unsigned bits;
		int reg = op_gpr(&c->op[i], &bits);

		if (reg < 0 || !(c->op[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		if (reg >= R13)
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
	if (f->kind == V_GUEST && c->op[1].type == ZYDIS_OPERAND_TYPE_IMMEDIATE)
		return true;
	if (f->kind == V_GUEST && reg >= 0 && kind_is_guests(kind_of(c, reg)))
		return true;
	return (reg >= 0 && kind_of(c, reg) == f->kind) || refuse(c, RULE_VALUE);
}

/* The key of an entry is read: the host addresses read before it are those that it may vouch for. */
static bool pair_entries(struct check *c, uint32_t tag)
{
	bool found = false;

	for (unsigned i = R8; i < R13; i++) {
		struct value *v = &c->now.value[i];

		if (v->kind != V_ENTRY || v->tag != tag)
			continue;
		v->kind = V_PAIRED;
		found = true;
	}
	return found || refuse(c, RULE_TABLE);
}

/* mov reg, [r14 + index*8 + depth] or [r14 + constant]: the entry's key; 4 bytes further: its host code */
static bool load_entry(struct check *c, int reg)
{
	const ZydisDecodedOperandMem *mem = &c->op[1].mem;
	uint64_t disp = (uint64_t)mem->disp.value;
	unsigned bits;
	uint32_t tag;

	if (c->op[1].size != 32 || reg < R8)
		return refuse(c, RULE_TABLE);
	if (mem->index == ZYDIS_REGISTER_NONE) {
		if (disp >= TABLE_ENTRIES * 8)
			return refuse(c, RULE_TABLE);
		tag = TAG_ENTRY | (uint32_t)disp >> 3;
	} else {
		int index = gpr(mem->index, &bits);
		uint64_t depth = disp / (TABLE_STEP * 8);

		if (mem->scale != 8 || depth >= TABLE_DEPTHS || disp % (TABLE_STEP * 8) >= 8 || kind_of(c, index) != V_WORD)
			return refuse(c, RULE_TABLE);
		tag = c->now.value[index].tag | (uint32_t)depth << TAG_DEPTH;
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
	if (to >= R13)
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
	if (from >= R13 || (!visible(c, from, bits) && !cut))
		return refuse(c, RULE_VALUE);
	if (bits == 32)
		set(c, to, cut ? V_GUEST : kind, cut ? 0 : c->now.value[from].tag);
	else if (to >= R8)
		return refuse(c, RULE_SCRATCH);
	return true;
}

bool check_mov(struct check *c)
{
	unsigned bits = 0, from_bits;
	int to = op_gpr(&c->op[0], &bits), from = op_gpr(&c->op[1], &from_bits);

	if (is_based(c, &c->op[0], ZYDIS_REGISTER_R15))
		return store_field(c);
	if (is_based(c, &c->op[0], ZYDIS_REGISTER_R14))
		return refuse(c, RULE_TABLE);
	if (to >= R13)
		return refuse(c, RULE_RESERVED);
	if (is_based(c, &c->op[1], ZYDIS_REGISTER_R15))
		return load_field(c, to, bits);
	if (is_based(c, &c->op[1], ZYDIS_REGISTER_R14))
		return load_entry(c, to);
	if (!check_guest_memory(c))
		return false;
	if (to < 0)	/* to guest memory */
		return from < 0 || (from < R13 && from_bits < 64 && visible(c, from, from_bits)) || refuse(c, RULE_VALUE);
	if (from >= 0 && bits >= 16)
		return move_registers(c, to, from, bits);
	if (bits == 64 && to >= R8 && is_mem(&c->op[1])) {	/* a descriptor, to be compared */
		set(c, to, V_WIDE, 0);
		return true;
	}
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

bool check_movzx(struct check *c)
{
	unsigned bits, from_bits;
	int to = op_gpr(&c->op[0], &bits), from = op_gpr(&c->op[1], &from_bits);

	if (to >= R13)
		return refuse(c, RULE_RESERVED);
	if (is_based(c, &c->op[1], ZYDIS_REGISTER_R15))
		return load_field(c, to, bits);
	if (!check_guest_memory(c))
		return false;
	if (to < R8)
		return from >= R8 ? refuse(c, RULE_SCRATCH) : write_registers(c);
	if (bits != 32)
		return refuse(c, RULE_SCRATCH);
	if (from >= 0 && (from >= R13 || !visible(c, from, from_bits)))
		return refuse(c, RULE_VALUE);
	set(c, to, V_WORD, from >= 0 && from_bits == 16 ? c->now.version[from] : 0);
	return true;
}

/* lea rsi, [rsi + r8] and the same with rdi; lea rdi, [r9 + r13], for MASKMOVQ; lea rcx, [r12 + r11]: zero if the descriptor is what it was */
static bool lea_wide(struct check *c, int to)
{
	const ZydisDecodedOperandMem *mem = &c->op[1].mem;
	unsigned bits;
	int base = gpr(mem->base, &bits), index = gpr(mem->index, &bits);

	if (to >= R13)
		return refuse(c, RULE_RESERVED);
	if (to == RCX && base >= R8 && index >= R8 && kind_of(c, base) == V_WIDE && kind_of(c, index) == V_WIDE &&
	    c->in.address_width == 64) {
		set(c, RCX, V_WIDE, 0);
		return true;
	}
	if (to == RDI && mem->index == ZYDIS_REGISTER_R13 && base >= R8 && mem->scale == 1 && !mem->disp.value && c->by_register &&
	    c->in.address_width == 64 && kind_is_guests(kind_of(c, base))) {
		set(c, RDI, V_STRING, 0);
		return true;
	}
	if ((to != RSI && to != RDI) || base != to || index < 0 || mem->scale != 1 || mem->disp.value || c->in.address_width != 64)
		return refuse(c, RULE_WIDE);
	if (!kind_is_guests(kind_of(c, to)) || kind_of(c, index) != V_WINDOW)
		return refuse(c, RULE_STRING);
	set(c, to, V_STRING, 0);
	return true;
}

/* lea ecx, [key + eip + past]: @past if this is the entry for eip */
static bool is_comparison(const struct check *c, int base, int index, int64_t disp, int64_t past)
{
	uint32_t tag = c->now.value[base].tag;
	int64_t beyond = (int64_t)(tag & ~TAG_ENTRY) - (int64_t)((uint32_t)(disp - past) & 0xffff);

	if (index >= 0)
		return disp == past && c->op[1].mem.scale == 1 && (tag & ((1u << TAG_DEPTH) - 1)) == c->now.version[index];
	return tag & TAG_ENTRY && beyond >= 0 && beyond % TABLE_STEP == 0 && beyond / TABLE_STEP < TABLE_DEPTHS;
}

bool check_lea(struct check *c)
{
	const ZydisDecodedOperandMem *mem = &c->op[1].mem;
	unsigned bits = 0, ignored;
	int to = op_gpr(&c->op[0], &bits), base = gpr(mem->base, &ignored), index = gpr(mem->index, &ignored);

	if (bits == 64)
		return lea_wide(c, to);
	if (to >= R13)
		return refuse(c, RULE_RESERVED);
	if (base >= R8 && kind_of(c, base) == V_KEY) {
		bool miss = is_comparison(c, base, index, mem->disp.value, 0);

		if (to != RCX || bits != 32 || (!miss && !is_comparison(c, base, index, mem->disp.value, 1)))
			return refuse(c, RULE_TABLE);
		set(c, to, miss ? V_MISS : V_PAST, c->now.value[base].tag);
		return true;
	}
	if ((base >= 0 && (base >= R13 || !kind_is_guests(kind_of(c, base)))) ||
	    (index >= 0 && (index >= R13 || !kind_is_guests(kind_of(c, index)))))
		return refuse(c, RULE_VALUE);
	if (bits == 32)
		set(c, to, V_GUEST, 0);
	return bits == 32 || to < R8 || refuse(c, RULE_SCRATCH);
}

/* --- string instructions ---------------------------------------------------------------------------------------------------- */

bool check_string(struct check *c)
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
