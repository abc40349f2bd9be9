/* SPDX-License-Identifier: MIT */
/*
 * string.c - MOVS, CMPS, STOS, LODS and SCAS, alone or repeated.
 *
 * A repeated string instruction is the one kind that may stop in the middle: after any iteration the registers say how far it
 * came, and running it again goes on from there. So each call does a bounded number of iterations and leaves EIP where it is
 * until the last; a fault ends the call with the iterations before it done, their flags included (Intel's processors would show
 * the flags from before the instruction then, AMD's do as we do; the iteration to come sets them all anew).
 */
#include "cpu/x86/emulate/emulate-internal.h"

enum { ITERATIONS = 64 };

struct string {
	unsigned size;			/* of an element */
	uint32_t src, dst, count;	/* ESI, EDI, ECX, or SI, DI, CX */
	uint32_t step;
	uint32_t flags;			/* of CMPS and SCAS */
};

static bool movs(struct emulation *e, struct string *s)
{
	uint32_t value;

	if (!emulate_load(e, e->insn->seg, s->src, s->size, &value) || !emulate_store(e, S_ES, s->dst, s->size, value))
		return false;
	s->src += s->step;
	s->dst += s->step;
	return true;
}

static bool cmps(struct emulation *e, struct string *s)
{
	uint32_t a, b;

	if (!emulate_load(e, e->insn->seg, s->src, s->size, &a) || !emulate_load(e, S_ES, s->dst, s->size, &b))
		return false;
	s->flags = flags_of_sub(a, b, s->size);
	s->src += s->step;
	s->dst += s->step;
	return true;
}

static bool stos(struct emulation *e, struct string *s)
{
	if (!emulate_store(e, S_ES, s->dst, s->size, e->gpr[R_EAX]))
		return false;
	s->dst += s->step;
	return true;
}

static bool lods(struct emulation *e, struct string *s)
{
	uint32_t value;

	if (!emulate_load(e, e->insn->seg, s->src, s->size, &value))
		return false;
	emulate_set_reg(e, R_EAX, s->size, value);
	s->src += s->step;
	return true;
}

static bool scas(struct emulation *e, struct string *s)
{
	uint32_t value;

	if (!emulate_load(e, S_ES, s->dst, s->size, &value))
		return false;
	s->flags = flags_of_sub(emulate_reg(e, R_EAX, s->size), value, s->size);
	s->dst += s->step;
	return true;
}

/* By bits 1-3 of the opcode, A4 to AF; A8 and A9 are TEST. */
static bool (*const operations[])(struct emulation *e, struct string *s) = {
	[0xa4 >> 1 & 7] = movs, [0xa6 >> 1 & 7] = cmps, [0xaa >> 1 & 7] = stos, [0xac >> 1 & 7] = lods, [0xae >> 1 & 7] = scas,
};

static void load_registers(const struct emulation *e, struct string *s)
{
	const struct insn *in = e->insn;

	s->size = in->op & 1 ? in->opsize : 1;
	s->step = e->eflags & FLAG_DF ? -s->size : s->size;
	s->src = emulate_reg(e, R_ESI, in->adsize);
	s->dst = emulate_reg(e, R_EDI, in->adsize);
	s->count = emulate_reg(e, R_ECX, in->adsize);
}

/* One iteration came to its end: wrap the offsets and make it visible. */
static void store_registers(struct emulation *e, struct string *s)
{
	unsigned size = e->insn->adsize;

	s->src &= size_mask(size);
	s->dst &= size_mask(size);
	emulate_set_reg(e, R_ESI, size, s->src);
	emulate_set_reg(e, R_EDI, size, s->dst);
	if (e->insn->prefix & (PFX_REP | PFX_REPNE))
		emulate_set_reg(e, R_ECX, size, --s->count);
}

bool emulate_string(struct emulation *e)
{
	const struct insn *in = e->insn;
	bool repeated = in->prefix & (PFX_REP | PFX_REPNE);
	bool compares = (in->op & 0xf6) == 0xa6;	/* A6, A7, AE, AF */
	unsigned budget = e->eflags & FLAG_TF ? 1 : ITERATIONS;
	struct string s;

	load_registers(e, &s);
	if (repeated && !s.count)
		return emulate_done(e);
	for (;;) {
		if (!operations[in->op >> 1 & 7](e, &s))
			return false;
		store_registers(e, &s);
		if (compares)
			emulate_change_flags(e, s.flags, FLAGS_STATUS);
		if (!repeated || !s.count)
			break;
		if (compares && !(s.flags & FLAG_ZF) != !!(in->prefix & PFX_REPNE))
			break;
		if (!--budget)
			return true;
	}
	return emulate_done(e);
}
