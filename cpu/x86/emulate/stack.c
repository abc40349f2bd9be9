/* SPDX-License-Identifier: MIT */
/*
 * stack.c - PUSH, POP and their families, ENTER and LEAVE.
 *
 * The stack segment decides whether ESP or only SP moves (its B bit); the operand size decides how much is pushed. Both come in
 * two sizes, independently.
 */
#include "cpu/x86/emulate/emulate-internal.h"

uint32_t emulate_stack_mask(const struct emulation *e)
{
	return cpu_segment(e->cpu, S_SS)->attr & ATTR_BIG ? ~0u : 0xffff;
}

uint32_t emulate_esp_plus(const struct emulation *e, uint32_t delta)
{
	uint32_t mask = emulate_stack_mask(e), esp = e->gpr[R_ESP];

	return (esp & ~mask) | ((esp + delta) & mask);
}

bool emulate_push(struct emulation *e, const uint32_t *values, unsigned count, unsigned size, uint32_t *esp)
{
	uint32_t mask = emulate_stack_mask(e);

	*esp = e->gpr[R_ESP];
	for (unsigned i = 0; i < count; i++) {
		*esp = (*esp & ~mask) | ((*esp - size) & mask);
		if (!emulate_store(e, S_SS, *esp & mask, size, values[i]))
			return false;
	}
	return true;
}

static uint32_t value_at(const uint8_t *p, unsigned size)
{
	return size == 2 ? p[0] | (uint32_t)p[1] << 8 : p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* The whole frame in one access: if none of it faults, the order does not show. On false it must be read word by word. */
static bool peek_at_once(struct emulation *e, uint32_t at, uint32_t *values, unsigned count, unsigned size)
{
	uint32_t len = count * size;
	uint8_t frame[PEEK_WORDS * 4];

	if (at + len - 1 > emulate_stack_mask(e) || !emulate_read(e, S_SS, at, frame, len))
		return false;
	for (unsigned i = 0; i < count; i++)
		values[i] = value_at(frame + i * size, size);
	return true;
}

bool emulate_peek(struct emulation *e, uint32_t skip, uint32_t *values, unsigned count, unsigned size)
{
	uint32_t mask = emulate_stack_mask(e), at = (e->gpr[R_ESP] + skip) & mask;

	if (count > 1 && peek_at_once(e, at, values, count, size))
		return true;
	for (unsigned i = count; i-- > 0;)
		if (!emulate_load(e, S_SS, (at + i * size) & mask, size, &values[i]))
			return false;
	return true;
}

static bool push_one(struct emulation *e, uint32_t value)
{
	uint32_t esp;

	if (!emulate_push(e, &value, 1, e->insn->opsize, &esp))
		return false;
	e->gpr[R_ESP] = esp;
	return emulate_done(e);
}

/* POP ESP and POP SP: the increment comes first, the popped value last. */
static bool pop_to_reg(struct emulation *e, unsigned reg)
{
	unsigned size = e->insn->opsize;
	uint32_t value;

	if (!emulate_peek(e, 0, &value, 1, size))
		return false;
	e->gpr[R_ESP] = emulate_esp_plus(e, size);
	emulate_set_reg(e, reg, size, value);
	return emulate_done(e);
}

bool emulate_push_reg(struct emulation *e)
{
	return push_one(e, e->gpr[e->insn->op & 7]);
}

bool emulate_pop_reg(struct emulation *e)
{
	return pop_to_reg(e, e->insn->op & 7);
}

bool emulate_push_imm(struct emulation *e)
{
	return push_one(e, e->insn->imm);
}

bool emulate_push_mem(struct emulation *e)
{
	uint32_t value;

	return emulate_load_rm(e, e->insn->opsize, &value) && push_one(e, value);
}

/* "If the ESP register is used as a base register for addressing a destination operand in memory, the POP instruction computes
 * the effective address of the operand after it increments the ESP register." (SDM vol. 2, POP) */
bool emulate_pop_mem(struct emulation *e)
{
	unsigned size = e->insn->opsize;
	uint32_t value, esp;

	if (!e->insn->mem)
		return pop_to_reg(e, e->insn->rm);
	if (!emulate_peek(e, 0, &value, 1, size))
		return false;
	esp = emulate_esp_plus(e, size);
	if (!emulate_store(e, e->insn->seg, emulate_offset(e, esp), size, value))
		return false;
	e->gpr[R_ESP] = esp;
	return emulate_done(e);
}

bool emulate_pusha(struct emulation *e)
{
	uint32_t esp;

	if (!emulate_push(e, e->gpr, 8, e->insn->opsize, &esp))
		return false;
	e->gpr[R_ESP] = esp;
	return emulate_done(e);
}

bool emulate_popa(struct emulation *e)
{
	unsigned size = e->insn->opsize;
	uint32_t values[8];

	for (unsigned i = 0; i < 8; i++)
		if (!emulate_peek(e, i * size, &values[i], 1, size))
			return false;
	for (unsigned r = R_EAX; r <= R_EDI; r++)
		if (r != R_ESP)
			emulate_set_reg(e, r, size, values[R_EDI - r]);
	e->gpr[R_ESP] = emulate_esp_plus(e, 8 * size);
	return emulate_done(e);
}

bool emulate_pushf(struct emulation *e)
{
	return push_one(e, (e->eflags & ~(uint32_t)(FLAG_RF | FLAG_VM)) | 2);
}

/* What CPL may not change stays as it is, silently (SDM vol. 2, POPF, table 4-21). */
bool emulate_popf(struct emulation *e)
{
	uint32_t mask = FLAGS_STATUS | FLAG_TF | FLAG_DF | FLAG_NT, value;
	unsigned size = e->insn->opsize;

	if (!emulate_peek(e, 0, &value, 1, size))
		return false;
	if (size == 4)
		mask |= FLAG_AC | FLAG_ID;
	if (emulate_io_allowed(e))
		mask |= FLAG_IF;
	if (e->cpl == 0)
		mask |= FLAG_IOPL;
	e->gpr[R_ESP] = emulate_esp_plus(e, size);
	emulate_change_flags(e, value, mask);
	return emulate_done(e);
}

/* The processor also makes sure that the word at the new ESP could be written, though it writes nothing there. */
static bool probe_stack(struct emulation *e, uint32_t esp)
{
	return emulate_probe_write(e, S_SS, esp & emulate_stack_mask(e), 1);
}

/*
 * ENTER size, level: push EBP, then the frame pointers of the enclosing levels, which lie below [EBP], then the new one's own.
 * One is read and pushed before the next is read: they may overlap.
 */
bool emulate_enter(struct emulation *e)
{
	unsigned size = e->insn->opsize, level = e->insn->imm2 & 31;
	uint32_t mask = emulate_stack_mask(e), reserve = e->insn->imm & 0xffff;
	uint32_t frame = emulate_esp_plus(e, -size), esp = frame, value = e->gpr[R_EBP];

	for (unsigned i = 0;; i++) {
		if (!emulate_store(e, S_SS, esp & mask, size, value))
			return false;
		if (i == level)
			break;
		value = frame;
		if (i + 1 < level && !emulate_load(e, S_SS, (e->gpr[R_EBP] - (i + 1) * size) & mask, size, &value))
			return false;
		esp = (esp & ~mask) | ((esp - size) & mask);
	}
	esp = (esp & ~mask) | ((esp - reserve) & mask);
	if (reserve && !probe_stack(e, esp))
		return false;
	emulate_set_reg(e, R_EBP, size, frame);
	e->gpr[R_ESP] = esp;
	return emulate_done(e);
}

/* ESP becomes EBP as wide as the stack segment says; EBP is popped as wide as the operand size says. */
bool emulate_leave(struct emulation *e)
{
	uint32_t mask = emulate_stack_mask(e), value;
	unsigned size = e->insn->opsize;

	if (!emulate_load(e, S_SS, e->gpr[R_EBP] & mask, size, &value))
		return false;
	e->gpr[R_ESP] = (e->gpr[R_ESP] & ~mask) | ((e->gpr[R_EBP] + size) & mask);
	emulate_set_reg(e, R_EBP, size, value);
	return emulate_done(e);
}

bool emulate_push_seg(struct emulation *e)
{
	return push_one(e, cpu_segment(e->cpu, e->insn->reg)->sel & 0xffff);
}

bool emulate_pop_seg(struct emulation *e)
{
	unsigned size = e->insn->opsize;
	uint32_t esp = emulate_esp_plus(e, size), selector;
	struct cpu_fault fault;

	if (!emulate_peek(e, 0, &selector, 1, size))
		return false;
	if (cpu_load_segment(e->cpu, e->insn->reg, selector & 0xffff, &fault))
		return emulate_raise(e, &fault);
	e->gpr[R_ESP] = esp;
	return emulate_done(e);
}
