/* SPDX-License-Identifier: MIT */
/*
 * deliver.c - exceptions and interrupts on their way through the guest's IDT (SDM vol. 3, chapter 6; pseudo-code at INT n, vol. 2).
 *
 * Entering a gate is all or nothing: every check, and every access to guest memory, comes before the first register changes. An
 * access that faults, or a gate that is no good, is an exception of its own, delivered in place of the first; which two of them
 * make a double fault, and when that becomes a shutdown, is at the end of the file.
 */
#include "cpu/x86/system/deliver.h"

#include "cpu/x86/system/segment.h"
#include "cpu/x86/system/system.h"

enum { GATE_TASK = 5, GATE_INTERRUPT16 = 6, GATE_TRAP16 = 7, GATE_INTERRUPT = 14, GATE_TRAP = 15 };

enum { FAULT_EXTERNAL = 1, FAULT_IDT = 2 };	/* low bits of error codes with a selector in them */

/* One event under way. */
struct event {
	struct cpu *cpu;
	uint32_t vector;
	const uint32_t *error;
	uint32_t flags;			/* as pushed */
	uint32_t external;		/* FAULT_EXTERNAL unless it is INT n */
	struct cpu_fault *fault;
	uint32_t gate[2];
	uint32_t cs, cs_low, cs_high;
	bool inner;
	uint32_t ss, ss_low, ss_high, esp;
};

static bool refuse(struct event *e, uint32_t vector, uint32_t error)
{
	*e->fault = (struct cpu_fault){ .vector = vector, .error = error | e->external };
	return false;
}

static unsigned gate_type(const struct event *e)
{
	return e->gate[1] >> 8 & 0x1f;
}

static bool read_gate(struct event *e)
{
	struct cpu *cpu = e->cpu;
	uint32_t code = e->vector << 3 | FAULT_IDT;

	if (e->vector * 8 + 7 > cpu->system.idt.limit)
		return refuse(e, TRAP_GP, code);
	if (cpu_read(cpu, cpu->system.idt.base + e->vector * 8, e->gate, 8, false, e->fault))
		return false;
	switch (gate_type(e)) {
	case GATE_TASK: case GATE_INTERRUPT16: case GATE_TRAP16: case GATE_INTERRUPT: case GATE_TRAP:
		break;
	default:
		return refuse(e, TRAP_GP, code);
	}
	if (!e->external && attr_dpl(e->gate[1]) < cpu->cpl)
		return refuse(e, TRAP_GP, code);
	return e->gate[1] & ATTR_P || refuse(e, TRAP_NP, code);
}

/* @vector: what a selector outside its table raises. */
static bool fetch(struct event *e, uint32_t selector, uint32_t *low, uint32_t *high, uint32_t vector)
{
	int result = cpu_descriptor(e->cpu, selector, low, high, e->fault);

	return !result || (result == DESCRIPTOR_OUTSIDE && refuse(e, vector, selector & 0xfffc));
}

static bool find_code(struct event *e)
{
	uint32_t high;

	e->cs = e->gate[0] >> 16;
	if (!(e->cs & 0xfffc))
		return refuse(e, TRAP_GP, 0);
	if (!fetch(e, e->cs, &e->cs_low, &e->cs_high, TRAP_GP))
		return false;
	high = e->cs_high;
	if ((high & (ATTR_S | ATTR_CODE)) != (ATTR_S | ATTR_CODE) || attr_dpl(high) > e->cpu->cpl)
		return refuse(e, TRAP_GP, e->cs & 0xfffc);
	if (!(high & ATTR_P))
		return refuse(e, TRAP_NP, e->cs & 0xfffc);
	e->inner = !(high & ATTR_CONFORMING) && attr_dpl(high) < e->cpu->cpl;
	e->cs = (e->cs & ~3u) | (e->inner ? attr_dpl(high) : e->cpu->cpl);
	return true;
}

/* The stack of an inner ring, from the TSS. */
static bool find_stack(struct event *e)
{
	const struct segment *tr = &e->cpu->system.tr;
	unsigned dpl = e->cs & 3;
	uint32_t at = 4 + 8 * dpl, pair[2], high;

	if (at + 7 > tr->limit)
		return refuse(e, TRAP_TS, tr->sel & 0xfffc);
	if (cpu_read(e->cpu, tr->base + at, pair, 8, false, e->fault))
		return false;
	e->esp = pair[0];
	e->ss = pair[1] & 0xffff;
	if (!(e->ss & 0xfffc))
		return refuse(e, TRAP_TS, 0);
	if (!fetch(e, e->ss, &e->ss_low, &e->ss_high, TRAP_TS))
		return false;
	high = e->ss_high;
	if ((e->ss & 3) != dpl || attr_dpl(high) != dpl || (high & (ATTR_S | ATTR_CODE | ATTR_WRITABLE)) != (ATTR_S | ATTR_WRITABLE))
		return refuse(e, TRAP_TS, e->ss & 0xfffc);
	return high & ATTR_P || refuse(e, TRAP_SS, e->ss & 0xfffc);
}

/* Base and reach of the stack that is pushed to. */
static void stack_segment(const struct event *e, struct segment *ss)
{
	if (e->inner)
		segment_describe(ss, e->ss_low, e->ss_high);
	else
		*ss = e->cpu->descriptors[e->cpu->hidden[S_SS]];
}

static bool within(const struct segment *ss, uint32_t mask, uint32_t top, uint32_t len)
{
	uint32_t from = (top - len) & mask, last = (top - 1) & mask;

	if (last < from)
		return false;
	if (ss->attr & ATTR_CONFORMING)		/* of data: grows down */
		return from > ss->limit;
	return last <= ss->limit;
}

/* A 16-bit gate pushes the low halves. */
static void halve(uint32_t *words, unsigned count)
{
	for (unsigned i = 0; i < count; i += 2)
		words[i / 2] = (words[i] & 0xffff) | (i + 1 < count ? words[i + 1] << 16 : 0);
}

/* @words in the order they lie in memory; they are not needed any more. */
static bool push(struct event *e, uint32_t *words, unsigned count)
{
	unsigned size = gate_type(e) & 8 ? 4 : 2;
	uint32_t mask, top = e->inner ? e->esp : e->cpu->gpr[R_ESP];
	struct segment ss;

	stack_segment(e, &ss);
	mask = ss.attr & ATTR_BIG ? ~0u : 0xffff;
	if (!within(&ss, mask, top, count * size))
		return refuse(e, TRAP_SS, e->inner ? e->ss & 0xfffc : 0);
	if (size == 2)
		halve(words, count);
	if (cpu_write(e->cpu, ss.base + ((top - count * size) & mask), words, count * size, (e->cs & 3) == 3, e->fault))
		return false;
	e->esp = (top & ~mask) | ((top - count * size) & mask);
	return true;
}

static bool push_frame(struct event *e)
{
	const struct cpu *cpu = e->cpu;
	uint32_t words[6], count = 0;

	if (e->error)
		words[count++] = *e->error;
	words[count++] = cpu->eip;
	words[count++] = cpu->selector[S_CS];
	words[count++] = e->flags;
	if (e->inner) {
		words[count++] = cpu->gpr[R_ESP];
		words[count++] = cpu->selector[S_SS];
	}
	return push(e, words, count);
}

static uint32_t gate_offset(const struct event *e)
{
	uint32_t low = e->gate[0] & 0xffff;

	return gate_type(e) & 8 ? low | (e->gate[1] & 0xffff0000) : low;
}

static bool enter_code(struct event *e)
{
	struct cpu *cpu = e->cpu;
	struct segment cs;

	if (!find_code(e) || (e->inner && !find_stack(e)))
		return false;
	segment_describe(&cs, e->cs_low, e->cs_high);
	if (cpu_descriptor_used(cpu, e->cs, e->cs_high, e->fault) ||
	    (e->inner && cpu_descriptor_used(cpu, e->ss, e->ss_high, e->fault)) || !push_frame(e))
		return false;
	if (gate_offset(e) > cs.limit)
		return refuse(e, TRAP_GP, 0);
	segment_load(cpu, S_CS, e->cs, e->cs_low, e->cs_high);
	if (e->inner)
		segment_load(cpu, S_SS, e->ss, e->ss_low, e->ss_high);
	cpu->gpr[R_ESP] = e->esp;
	cpu->eip = gate_offset(e);
	cpu->system_flags &= ~(uint32_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
	if (!(gate_type(e) & 1))
		cpu->interrupt_flag = 0;
	return true;
}

static bool enter(struct event *e)
{
	if (!read_gate(e))
		return false;
	if (gate_type(e) == GATE_TASK)
		return !task_switch(e->cpu, e->gate[0] >> 16, TASK_CALL, e->error, e->fault);
	return enter_code(e);
}

/* --- exceptions ------------------------------------------------------------------------------------------------------------- */

static bool is_one_of(uint32_t vector, uint32_t set)
{
	return vector < 32 && set >> vector & 1;
}

/* 8, 10 to 14, 17 */
static bool has_error(uint32_t vector)
{
	return is_one_of(vector, 0x27d00);
}

/* Faults, as opposed to traps and aborts: the frame asks for their instruction to be run without looking at breakpoints. */
static bool is_fault(uint32_t vector)
{
	return is_one_of(vector, 1u << TRAP_DE | 1u << TRAP_BR | 1u << TRAP_UD | 1u << TRAP_NM | 1u << TRAP_TS | 1u << TRAP_NP | 1u << TRAP_SS |
				 1u << TRAP_GP | 1u << TRAP_PF | 1u << TRAP_MF | 1u << TRAP_AC | 1u << TRAP_XM);
}

static bool contributory(uint32_t vector)
{
	return is_one_of(vector, 1u << TRAP_DE | 1u << TRAP_TS | 1u << TRAP_NP | 1u << TRAP_SS | 1u << TRAP_GP);
}

/* SDM vol. 3, table 6-5. */
static bool makes_double(uint32_t first, uint32_t second)
{
	if (first == TRAP_PF)
		return second == TRAP_PF || contributory(second);
	return contributory(first) && contributory(second);
}

/* Deliver an exception, and what comes of trying. false: the processor has shut down. */
static bool raise_exception(struct cpu *cpu, struct cpu_fault fault)
{
	const struct cpu_fault first = fault;

	for (;;) {
		struct cpu_fault next;
		struct event e = { .cpu = cpu, .vector = fault.vector, .error = has_error(fault.vector) ? &fault.error : NULL,
				   .flags = cpu_eflags(cpu) | (is_fault(fault.vector) ? FLAG_RF : 0), .external = FAULT_EXTERNAL,
				   .fault = &next };

		if (fault.vector == TRAP_PF)
			cpu->system.cr2 = fault.address;
		if (enter(&e))
			return true;
		if (fault.vector == TRAP_DF)
			break;
		fault = makes_double(fault.vector, next.vector) ? (struct cpu_fault){ .vector = TRAP_DF } : next;
	}
	cpu->exit = (struct cpu_exit){ .kind = EXIT_SHUTDOWN, .vector = first.vector, .error = first.error, .address = first.address,
				       .eip = cpu->eip };
	return false;
}

/* INT n: what goes wrong goes wrong at the instruction itself. */
static bool software_interrupt(struct cpu *cpu, uint32_t vector, uint32_t eip)
{
	struct cpu_fault fault;
	struct event e = { .cpu = cpu, .vector = vector, .flags = cpu_eflags(cpu), .fault = &fault };

	if (enter(&e))
		return true;
	cpu->eip = eip;
	if (raise_exception(cpu, fault))
		return true;
	if (vector == TRAP_BP) {	/* INT3 is an exception itself, and then the first: kernels end that way on purpose */
		cpu->exit.vector = TRAP_BP;
		cpu->exit.error = 0;
	}
	return false;
}

bool deliver_interrupt(struct cpu *cpu)
{
	int vector = cpu->ops->interrupt(cpu->opaque);
	struct cpu_fault fault;
	struct event e = { .cpu = cpu, .vector = (uint32_t)vector, .flags = cpu_eflags(cpu), .external = FAULT_EXTERNAL, .fault = &fault };

	if (vector < 0) {
		cpu->irq_pending = 0;
		return true;
	}
	return enter(&e) || raise_exception(cpu, fault);
}

bool deliver_exit(struct cpu *cpu)
{
	const struct cpu_exit exit = cpu->exit;

	switch (exit.kind) {
	case EXIT_FAULT:
		cpu->exit.kind = EXIT_NONE;
		return raise_exception(cpu, (struct cpu_fault){ .vector = exit.vector, .error = exit.error, .address = exit.address });
	case EXIT_INT:
		cpu->exit.kind = EXIT_NONE;
		return software_interrupt(cpu, exit.vector, exit.eip);
	case EXIT_HALT:
		if (cpu->irq_pending && cpu->interrupt_flag)
			cpu->exit.kind = EXIT_NONE;
		return cpu->exit.kind == EXIT_NONE;
	default:
		return false;
	}
}
