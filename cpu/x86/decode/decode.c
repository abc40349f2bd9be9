/* SPDX-License-Identifier: MIT */
/*
 * decode.c - walk the opcode tables over one instruction.
 *
 * The order is the order of the bytes: prefixes, escape bytes and opcode, ModRM, SIB, displacement, immediate. Every byte is
 * fetched through reach(), which knows both ends: where the caller's bytes stop (DECODE_MORE) and where the processor's patience
 * does (15 bytes, DECODE_TOO_LONG). An opcode that does not exist is reported as soon as it has been seen. But where it only has no
 * such form (a hole in a group, LOCK, a register where there must be memory), processors fetch all of the instruction first, and what
 * happens then comes before #UD: a page fault, or #GP for a sixteenth byte. (Seen on AMD's Zen 5.)
 *
 * What the tables cannot say is in finish(): fields that follow from the opcode number.
 */
#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/optable.h"

#define INSN_MAX 15

struct cursor {
	const uint8_t *code;
	unsigned at, limit;
	bool clipped;		/* limit is the caller's, not the processor's */
};

static inline bool reach(const struct cursor *c, unsigned count)
{
	return c->at + count <= c->limit;
}

static int ran_out(const struct cursor *c)
{
	return c->clipped ? DECODE_MORE : DECODE_TOO_LONG;
}

static inline uint16_t load16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static inline uint32_t load32(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static int undefined(const struct cursor *c, struct insn *insn)
{
	insn->action = ACT_UD;
	insn->flags = INSN_ENDS;
	insn->len = c->at + (insn->modrm_at == c->at);	/* a ModRM that was looked at counts */
	return DECODE_OK;
}

/* The last segment override wins, and so does the last of F2 and F3; the others only accumulate. */
static inline void apply_prefix(struct insn *insn, const struct opcode *op)
{
	if (op->flags & PFX_SEG)
		insn->seg = op->operand;
	if (op->flags & (PFX_REP | PFX_REPNE))
		insn->prefix &= ~(PFX_REP | PFX_REPNE);
	insn->prefix |= op->flags;
}

static inline enum column mandatory_prefix(const struct insn *insn)
{
	if (insn->prefix & PFX_REP)
		return COLUMN_F3;
	if (insn->prefix & PFX_REPNE)
		return COLUMN_F2;
	return insn->prefix & PFX_OPSIZE ? COLUMN_66 : COLUMN_NONE;
}

static inline void split_modrm(struct insn *insn, const struct cursor *c)
{
	insn->modrm_at = c->at;
	insn->modrm = c->code[c->at];
	insn->mod = insn->modrm >> 6;
	insn->reg = insn->modrm >> 3 & 7;
	insn->rm = insn->modrm & 7;
}

/* Follow signposts to the form, and *@last to the row that it is in; NULL when ModRM is needed and out of reach. ModRM is looked at, not consumed. */
static const struct opcode *resolve(const struct opcode *op, struct insn *insn, const struct cursor *c, const struct opcode **last)
{
	while (op->action >= STEP_MANDATORY) {
		const struct opcode *row = *last = opcode_rows[op->flags];

		if (op->action == STEP_MANDATORY) {
			op = row + mandatory_prefix(insn);
			continue;
		}
		if (!reach(c, 1))
			return 0;
		split_modrm(insn, c);
		if (op->action == STEP_REG)
			op = row + insn->reg;
		else if (op->action == STEP_MOD)
			op = row + (insn->mod == 3);
		else
			op = row + insn->rm;
	}
	return op;
}

/* 16-bit addressing: BX or BP is the base, SI or DI the index; SI or DI alone is an index too. */
static int address16(struct insn *insn, struct cursor *c)
{
	static const int8_t base[8] = { R_EBX, R_EBX, R_EBP, R_EBP, -1, -1, R_EBP, R_EBX };
	static const int8_t index[8] = { R_ESI, R_EDI, R_ESI, R_EDI, R_ESI, R_EDI, -1, -1 };
	bool absolute = insn->mod == 0 && insn->rm == 6;

	insn->base = absolute ? -1 : base[insn->rm];
	insn->index = index[insn->rm];
	insn->disp_size = absolute ? 2 : insn->mod;
	return DECODE_OK;
}

static int address32(struct insn *insn, struct cursor *c)
{
	uint8_t base = insn->rm;

	if (base == R_ESP) {
		uint8_t sib;

		if (!reach(c, 1))
			return ran_out(c);
		sib = c->code[c->at++];
		base = sib & 7;
		insn->index = (sib >> 3 & 7) == R_ESP ? -1 : sib >> 3 & 7;
		insn->scale = sib >> 6;
	}
	insn->disp_size = insn->mod == 2 ? 4 : insn->mod;
	insn->base = (int8_t)base;
	if (base == R_EBP && insn->mod == 0) {
		insn->base = -1;
		insn->disp_size = 4;
	}
	return DECODE_OK;
}

static int32_t load_signed(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1:
		return (int8_t)p[0];
	case 2:
		return (int16_t)load16(p);
	default:
		return (int32_t)load32(p);
	}
}

static int memory_operand(struct insn *insn, struct cursor *c)
{
	int ret;

	insn->mem = true;
	ret = insn->adsize == 2 ? address16(insn, c) : address32(insn, c);
	if (ret)
		return ret;
	if (!(insn->prefix & PFX_SEG) && (insn->base == R_EBP || insn->base == R_ESP))
		insn->seg = S_SS;
	if (insn->disp_size) {
		if (!reach(c, insn->disp_size))
			return ran_out(c);
		insn->disp = load_signed(c->code + c->at, insn->disp_size);
		c->at += insn->disp_size;
	}
	return DECODE_OK;
}

static int immediate(struct insn *insn, struct cursor *c, unsigned kind)
{
	static const uint8_t fixed[] = { [IMM_S8] = 1, [IMM_U8] = 1, [IMM_U16] = 2, [IMM_ENTER] = 2, [IMM_MOFFS] = 0 };
	uint8_t size = kind == IMM_MOFFS ? insn->adsize : fixed[kind] ? fixed[kind] : insn->opsize;
	uint8_t size2 = kind == IMM_FAR ? 2 : kind == IMM_ENTER ? 1 : 0;
	const uint8_t *p = c->code + c->at;
	uint32_t value;

	if (!reach(c, size + size2))
		return ran_out(c);
	c->at += size + size2;
	value = size == 1 ? p[0] : size == 2 ? load16(p) : load32(p);
	if (kind == IMM_MOFFS) {
		insn->disp_size = size;
		insn->disp = (int32_t)value;
		return DECODE_OK;
	}
	insn->imm_size = size;
	insn->imm = kind == IMM_S8 || kind == IMM_REL ? (uint32_t)load_signed(p, size) : value;
	insn->imm2_size = size2;
	if (size2)
		insn->imm2 = size2 == 2 ? load16(p + size) : p[size];
	return DECODE_OK;
}

/*
 * What the host may take for an instruction that we do not offer, but a processor without it for an older one: TZCNT is BSF; all of MPX,
 * CET and CLDEMOTE is NOP. (RDSSP would show the guest the host's shadow stack.)
 */
static inline void forget_news(struct insn *insn)
{
	if (insn->op == 0xbc) {
		insn->prefix &= ~PFX_REP;
	} else if (insn->op >= 0x19 && insn->op <= 0x1f) {
		insn->op = 0x1f;
		insn->prefix &= ~(PFX_REP | PFX_REPNE);
	}
}

/* Register numbers that are part of the opcode; the alias 82, which 64-bit mode lacks; forms that mean more to newer processors. */
static inline void finish(struct insn *insn)
{
	switch (insn->action) {
	case ACT_COPY:
		if (insn->op == 0x82 && insn->map == MAP_PRIMARY)
			insn->op = 0x80;
		if (insn->map == MAP_0F)
			forget_news(insn);
		break;
	case ACT_PUSH_SEG:
	case ACT_POP_SEG:
		insn->reg = insn->op >> 3 & 7;
		break;
	case ACT_LOAD_FAR_POINTER:
		if (insn->map == MAP_0F)
			insn->segreg = insn->op & 7;	/* B2 B4 B5 */
		else
			insn->segreg = insn->op == 0xc4 ? S_ES : S_DS;
		break;
	case ACT_INS:
		insn->seg = S_ES;
		break;
	}
}

/* ModRM is consumed here, with the checks that depend on mod. */
static int operands(struct insn *insn, struct cursor *c, const struct opcode *op)
{
	bool exists = true;

	if (op->flags & INSN_MODRM) {
		if (!reach(c, 1))
			return ran_out(c);
		split_modrm(insn, c);
		c->at++;
		if (op->flags & FORM_NO_MOD)
			insn->mod = 3;
		if (insn->mod == 3) {
			exists = !(op->flags & INSN_MEM_ONLY || insn->prefix & PFX_LOCK);
		} else {
			int ret = memory_operand(insn, c);

			if (ret)
				return ret;
			exists = !(op->flags & FORM_REG_ONLY);
		}
	} else {
		insn->reg = insn->rm = insn->op & 7;
	}
	if (op->operand & 0xf) {
		int ret = immediate(insn, c, op->operand & 0xf);

		if (ret)
			return ret;
	}
	if (!exists)
		return undefined(c, insn);
	insn->len = c->at;
	finish(insn);
	return DECODE_OK;
}

/* What a form that does not exist is as long as: a neighbour in its row; NULL: nothing follows such an opcode. */
static const struct opcode *stand_in(const struct insn *insn, const struct opcode *row)
{
	static const struct opcode holes[] = { [MAP_0F38] = { ACT_UD, 0, INSN_MODRM }, [MAP_0F3A] = { ACT_UD, IMM_U8, INSN_MODRM } };

	for (unsigned i = 0; row && i < 8; i++)
		if (row[i].action && row[i].action < STEP_PREFIX)
			return &row[i];
	return insn->map >= MAP_0F38 ? &holes[insn->map] : NULL;
}

static int no_such_form(struct insn *insn, struct cursor *c, const struct opcode *op, const struct opcode *row)
{
	int ret = DECODE_OK;

	if (op->action == ACT_UD)
		op = stand_in(insn, row);
	if (op)
		ret = operands(insn, c, op);
	return ret ? ret : undefined(c, insn);
}

static bool form_exists(const struct insn *insn, const struct opcode *op)
{
	if (op->action == ACT_UD)
		return false;
	if (op->operand & 0xf0 && !(op->operand & 0x10 << mandatory_prefix(insn)))
		return false;
	return !(insn->prefix & PFX_LOCK) || op->flags & INSN_LOCKABLE;
}

/*
 * From here on an instruction of 16-bit code is the one of 32-bit code that does the same. Where 66 is part of the encoding it means the
 * same in both.
 */
static void to_code32(struct insn *insn, const struct opcode *op)
{
	bool encodes = op->operand & 0xf0 || (insn->map != MAP_PRIMARY && insn->flags & (INSN_FPU | INSN_SSE));

	insn->prefix ^= encodes ? PFX_ADSIZE : PFX_ADSIZE | PFX_OPSIZE;
	if (encodes)
		insn->opsize = insn->prefix & PFX_OPSIZE ? 2 : 4;
}

int decode_code(const uint8_t *code, unsigned avail, bool code16, struct insn *insn)
{
	struct cursor c = { code, 0, avail < INSN_MAX ? avail : INSN_MAX, avail < INSN_MAX };
	const struct opcode *op, *row = NULL;

	*insn = (struct insn){ .seg = S_DS, .base = -1, .index = -1 };
	for (;;) {
		if (!reach(&c, 1))
			return ran_out(&c);
		insn->op = code[c.at++];
		op = &opcode_maps[insn->map][insn->op];
		if (op->action == STEP_PREFIX)
			apply_prefix(insn, op);
		else if (op->action == STEP_MAP)
			insn->map = op->flags;
		else
			break;
	}
	insn->opcode_at = c.at - 1;
	insn->opsize = !(insn->prefix & PFX_OPSIZE) == code16 ? 2 : 4;
	insn->adsize = !(insn->prefix & PFX_ADSIZE) == code16 ? 2 : 4;

	op = resolve(op, insn, &c, &row);
	if (!op)
		return ran_out(&c);
	if (!form_exists(insn, op))
		return no_such_form(insn, &c, op, row);
	insn->action = op->action;
	insn->flags = op->flags & FORM_INSN;
	if (op->flags & FORM_PAIR)
		insn->flags &= ~(insn->prefix & (PFX_OPSIZE | PFX_REP) ? INSN_FPU : INSN_SSE);
	if (code16)
		to_code32(insn, op);
	return operands(insn, &c, op);
}
