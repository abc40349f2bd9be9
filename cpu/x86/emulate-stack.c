/* SPDX-License-Identifier: MIT */
/*
 * emulate-stack.c - PUSH, POP and their families, ENTER and LEAVE.
 *
 * The stack segment decides whether ESP or only SP moves (its B bit); the operand size decides how much is pushed. Both come in
 * two sizes, independently.
 */
#include "cpu/x86/emulate-internal.h"

uint32_t emulate_stack_mask(const struct emulation *e)
{
	return cpu_segment(e->cpu, S_SS)->attr & ATTR_BIG ? ~0u : 0xffff;
}

uint32_t emulate_esp_plus(const struct emulation *e, uint32_t delta)
{
	uint32_t mask = emulate_stack_mask(e), esp = e->gpr[R_ESP];

	return (esp & ~mask) | ((esp + delta) & mask);
}

static void put_value(uint8_t *at, uint32_t value, unsigned size)
{
	for (unsigned i = 0; i < size; i++)
		at[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get_value(const uint8_t *at, unsigned size)
{
	uint32_t value = 0;

	for (unsigned i = 0; i < size; i++)
		value |= (uint32_t)at[i] << 8 * i;
	return value;
}

/* A frame that passes the end of the stack segment and comes in at the other: word by word. */
static bool push_wrapped(struct emulation *e, const uint32_t *values, unsigned count, unsigned size, uint32_t mask)
{
	for (unsigned i = 0; i < count; i++)
		if (!emulate_store(e, S_SS, (e->gpr[R_ESP] - (i + 1) * size) & mask, size, values[i]))
			return false;
	return true;
}

bool emulate_push(struct emulation *e, const uint32_t *values, unsigned count, unsigned size, uint32_t *esp)
{
	uint32_t mask = emulate_stack_mask(e), len = count * size, bottom = (e->gpr[R_ESP] - len) & mask;
	uint8_t frame[STACK_WORDS * 4];

	*esp = emulate_esp_plus(e, -len);
	if (len > 1 && ((bottom + len - 1) & mask) < bottom)
		return push_wrapped(e, values, count, size, mask);
	for (unsigned i = 0; i < count; i++)
		put_value(frame + (count - 1 - i) * size, values[i], size);
	return emulate_write(e, S_SS, bottom, frame, len);
}

static bool peek_wrapped(struct emulation *e, uint32_t at, uint32_t *values, unsigned count, unsigned size, uint32_t mask)
{
	for (unsigned i = 0; i < count; i++)
		if (!emulate_load(e, S_SS, (at + i * size) & mask, size, &values[i]))
			return false;
	return true;
}

bool emulate_peek(struct emulation *e, uint32_t skip, uint32_t *values, unsigned count, unsigned size)
{
	uint32_t mask = emulate_stack_mask(e), len = count * size, at = (e->gpr[R_ESP] + skip) & mask;
	uint8_t frame[STACK_WORDS * 4];

	if (((at + len - 1) & mask) < at)
		return peek_wrapped(e, at, values, count, size, mask);
	if (!emulate_read(e, S_SS, at, frame, len))
		return false;
	for (unsigned i = 0; i < count; i++)
		values[i] = get_value(frame + i * size, size);
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

	if (!emulate_peek(e, 0, values, 8, size))
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

/*
 * ENTER size, level copies the frame pointers of the enclosing levels from below [EBP], one read and one push at a time. We push
 * them together at the end, so a read from where this same frame is being built must be answered from the frame. @frame_at: the
 * offset of values[0]'s first byte.
 */
static bool read_display(struct emulation *e, uint32_t at, uint32_t frame_at, const uint32_t *values, unsigned count, uint32_t *value)
{
	uint32_t mask = emulate_stack_mask(e);
	unsigned size = e->insn->opsize;
	uint8_t bytes[4];

	if (!emulate_read(e, S_SS, at, bytes, size))
		return false;
	for (unsigned i = 0; i < size; i++) {
		uint32_t depth = (frame_at + size - 1 - (at + i)) & mask;	/* bytes below the top of the frame */

		if (depth / size < count)
			bytes[i] = (uint8_t)(values[depth / size] >> 8 * (size - 1 - depth % size));
	}
	*value = get_value(bytes, size);
	return true;
}

/* The processor also makes sure that the word at the new ESP could be written, though it writes nothing there. */
static bool probe_stack(struct emulation *e, uint32_t esp)
{
	uint32_t at = esp & emulate_stack_mask(e);
	uint8_t byte;

	if (emulate_read(e, S_SS, at, &byte, 1))
		return emulate_write(e, S_SS, at, &byte, 1);
	if (e->exit->vector == TRAP_PF)
		e->exit->error |= PF_WRITE;
	return false;
}

bool emulate_enter(struct emulation *e)
{
	unsigned size = e->insn->opsize, level = e->insn->imm2 & 31, count = 0;
	uint32_t mask = emulate_stack_mask(e), reserve = e->insn->imm & 0xffff;
	uint32_t frame = emulate_esp_plus(e, -size), values[STACK_WORDS], esp;

	values[count++] = e->gpr[R_EBP];
	for (unsigned i = 1; i < level; i++) {
		if (!read_display(e, (e->gpr[R_EBP] - i * size) & mask, frame & mask, values, count, &values[count]))
			return false;
		count++;
	}
	if (level)
		values[count++] = frame;
	esp = emulate_esp_plus(e, -(count * size + reserve));
	if (reserve && !probe_stack(e, esp))
		return false;
	if (!emulate_push(e, values, count, size, &frame))
		return false;
	emulate_set_reg(e, R_EBP, size, emulate_esp_plus(e, -size));
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
	uint32_t esp = emulate_esp_plus(e, size), selector, error = 0;
	int vector;

	if (!emulate_peek(e, 0, &selector, 1, size))
		return false;
	vector = cpu_load_segment(e->cpu, e->insn->reg, selector & 0xffff, &error);
	if (vector)
		return emulate_fault(e, (uint32_t)vector, error);
	e->gpr[R_ESP] = esp;
	return emulate_done(e);
}
