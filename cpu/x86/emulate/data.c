/* SPDX-License-Identifier: MIT */
/*
 * data.c - moves that need more than a copy, segment registers, and the odd arithmetic that 64-bit mode dropped.
 */
#include "cpu/x86/emulate/emulate-internal.h"

/* 40-4F. CF stays. */
bool emulate_incdec(struct emulation *e)
{
	unsigned reg = e->insn->op & 7, size = e->insn->opsize;
	uint32_t value = emulate_reg(e, reg, size), flags;
	bool dec = e->insn->op & 8;

	flags = dec ? flags_of_sub(value, 1, size) : flags_of_add(value, 1, size);
	emulate_set_reg(e, reg, size, dec ? value - 1 : value + 1);
	emulate_change_flags(e, flags, FLAGS_STATUS & ~FLAG_CF);
	return emulate_done(e);
}

bool emulate_lea(struct emulation *e)
{
	emulate_set_reg(e, e->insn->reg, e->insn->opsize, emulate_offset(e, e->gpr[R_ESP]));
	return emulate_done(e);
}

/* A0-A3: bit 0 for more than a byte, bit 1 for a store. */
bool emulate_moffs(struct emulation *e)
{
	const struct insn *in = e->insn;
	unsigned size = in->op & 1 ? in->opsize : 1;
	uint32_t offset = emulate_offset(e, e->gpr[R_ESP]), value;

	if (in->op & 2) {
		if (!emulate_store(e, in->seg, offset, size, e->gpr[R_EAX]))
			return false;
	} else {
		if (!emulate_load(e, in->seg, offset, size, &value))
			return false;
		emulate_set_reg(e, R_EAX, size, value);
	}
	return emulate_done(e);
}

bool emulate_xlat(struct emulation *e)
{
	uint32_t offset = e->gpr[R_EBX] + (e->gpr[R_EAX] & 0xff), value;

	if (e->insn->adsize == 2)
		offset &= 0xffff;
	if (!emulate_load(e, e->insn->seg, offset, 1, &value))
		return false;
	emulate_set_reg(e, R_EAX, 1, value);
	return emulate_done(e);
}

/* To a register the selector is zero-extended; to memory it is always 16 bits. */
bool emulate_mov_from_seg(struct emulation *e)
{
	uint32_t selector;

	if (e->insn->reg >= S_COUNT)
		return emulate_fault(e, TRAP_UD, 0);
	selector = cpu_segment(e->cpu, e->insn->reg)->sel & 0xffff;
	return emulate_store_rm(e, e->insn->mem ? 2 : e->insn->opsize, selector) && emulate_done(e);
}

static bool load_segment(struct emulation *e, unsigned seg, uint32_t selector)
{
	struct cpu_fault fault;

	return !cpu_load_segment(e->cpu, seg, selector, &fault) || emulate_raise(e, &fault);
}

bool emulate_mov_to_seg(struct emulation *e)
{
	uint32_t selector;

	if (e->insn->reg >= S_COUNT || e->insn->reg == S_CS)
		return emulate_fault(e, TRAP_UD, 0);
	return emulate_load_rm(e, 2, &selector) && load_segment(e, e->insn->reg, selector) && emulate_done(e);
}

bool emulate_load_far_pointer(struct emulation *e)
{
	const struct insn *in = e->insn;
	uint32_t offset, selector;

	if (!emulate_load_pair(e, in->opsize, &offset, 2, &selector) || !load_segment(e, in->segreg, selector))
		return false;
	emulate_set_reg(e, in->reg, in->opsize, offset);
	return emulate_done(e);
}

bool emulate_bound(struct emulation *e)
{
	unsigned size = e->insn->opsize, shift = 32 - 8 * size;
	uint32_t lower, upper;
	int32_t index;

	if (!emulate_load_pair(e, size, &lower, size, &upper))
		return false;
	index = (int32_t)(e->gpr[e->insn->reg] << shift);
	if (index < (int32_t)(lower << shift) || index > (int32_t)(upper << shift))
		return emulate_fault(e, TRAP_BR, 0);
	return emulate_done(e);
}

/* Memory is written only when it changes: on a read-only page the other case does not fault (seen on hardware). */
bool emulate_arpl(struct emulation *e)
{
	uint32_t destination, rpl = e->gpr[e->insn->reg] & 3;
	bool raise;

	if (!emulate_load_rm(e, 2, &destination))
		return false;
	raise = (destination & 3) < rpl;
	if (raise && !emulate_store_rm(e, 2, (destination & ~3u) | rpl))
		return false;
	emulate_change_flags(e, raise ? FLAG_ZF : 0, FLAG_ZF);
	return emulate_done(e);
}
