/* SPDX-License-Identifier: MIT */
/*
 * trap.c - exceptions, software interrupts, and the guest's gates.
 *
 * The guest's kernel sits in ring 1 and never sees the real IF: the EFLAGS image in a frame shows irq_enabled instead, and an
 * interrupt gate clears that word (lguest-core, 6.3).
 */
#include "machine/lguest/lguest.h"

/* Trap gates leave interrupts on, interrupt gates do not; nothing else may be in a guest's table (lguest-core, 8.1). */
enum { GATE_PRESENT = 1 << 15, GATE_INTERRUPT = 0xe, GATE_TRAP = 0xf };

void lguest_set_gate(struct lguest *m, uint32_t vector, uint32_t low, uint32_t high)
{
	uint32_t type = high >> 8 & 15;

	/* NMI, double fault (a task gate), spurious, and our own: not the guest's, but its calls must succeed (C11). */
	if (vector == 2 || vector == 8 || vector == 15 || vector == VECTOR_HYPERCALL)
		return;
	if (!(high & GATE_PRESENT)) {
		m->gate[vector] = (struct gate){0};
		return;
	}
	if (type != GATE_INTERRUPT && type != GATE_TRAP) {
		lguest_kill(m, "gate type %u for vector %u is neither interrupt nor trap", type, vector);
		return;
	}
	m->gate[vector] = (struct gate){
		.offset = (low & 0xffff) | (high & 0xffff0000),
		.present = 1,
		.dpl = (uint8_t)(high >> 13 & 3),
		.interrupt = type == GATE_INTERRUPT,
	};
}

static bool has_error(uint32_t vector)
{
	/* 8, 10 to 14, 17 */
	return vector < 32 && (1u << vector & 0x27d00);
}

bool lguest_enter_gate(struct lguest *m, uint32_t vector, const uint32_t *error)
{
	const struct gate *gate = &m->gate[vector];
	uint32_t flags = cpu_eflags(m->cpu) | FLAG_IF;
	struct cpu_fault fault;

	/* Gates come by hypercall, so lguest_data is there. */
	if (!(*m->shared.irq_enabled & FLAG_IF))
		flags &= ~(uint32_t)FLAG_IF;
	if (unlikely(cpu_push_frame(m->cpu, KERNEL_CS, gate->offset, m->stack_selector, m->stack_top, flags, error, &fault))) {
		lguest_kill(m, "no usable kernel stack for trap %u at EIP %#x: page fault at %#x", vector, lguest_eip(m), fault.address);
		return false;
	}
	if (gate->interrupt)
		*m->shared.irq_enabled = 0;
	return true;
}

void lguest_trap(struct lguest *m, uint32_t vector, const uint32_t *error, uint32_t address)
{
	uint32_t code = error ? *error : 0;

	m->stats.traps[vector & 255]++;
	if (unlikely(m->trace & (TRACE_FAULT | TRACE_UNDEFINED)))
		lguest_tell_trap_cold(m, vector, code, address);
	if (unlikely(!m->gate[vector & 255].present)) {
		lguest_kill(m, "unhandled trap %u at EIP %#x (%#x)", vector, lguest_eip(m), vector == TRAP_PF ? address : code);
		return;
	}
	if (vector == TRAP_PF)
		*m->shared.cr2 = address;
	if (vector == TRAP_DB)
		m->dr6 = DR6_NOTHING | DR6_SINGLE_STEP;
	lguest_enter_gate(m, vector, has_error(vector) ? &code : NULL);
}

void lguest_protection_fault(struct lguest *m, uint32_t error)
{
	lguest_trap(m, TRAP_GP, &error, 0);
}

/* ICEBP reports vector 1 as INT 1 does, but asks no gate for permission. */
static bool is_icebp(struct lguest *m, uint32_t eip)
{
	struct cpu_fault fault;
	uint8_t byte;

	return !cpu_read(m->cpu, cpu_segment(m->cpu, S_CS)->base + eip, &byte, 1, cpu_cpl(m->cpu) == 3, &fault) && byte == 0xf1;
}

void lguest_int(struct lguest *m, uint32_t vector, uint32_t eip)
{
	const struct gate *gate = &m->gate[vector];

	if (likely(gate->present && gate->dpl >= cpu_cpl(m->cpu))) {
		lguest_enter_gate(m, vector, NULL);
		return;
	}
	if (vector == TRAP_DB && is_icebp(m, eip)) {
		m->dr6 = DR6_NOTHING;
		if (gate->present)
			lguest_enter_gate(m, vector, NULL);
		else
			lguest_trap(m, vector, NULL, 0);
		return;
	}
	/* The gate is missing, or not for this ring (lguest-pitfalls, C15 and F11). */
	cpu_set_eip(m->cpu, eip);
	if (m->gate[TRAP_GP].present)
		lguest_protection_fault(m, vector << 3 | 2);
	else
		lguest_trap(m, vector, NULL, 0);
}
