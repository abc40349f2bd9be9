/* SPDX-License-Identifier: MIT */
/* tell.c - what --trace shows of this machine. */
#include <inttypes.h>
#include <stdio.h>

#include "machine/lguest/lguest.h"

void lguest_tell_call_cold(struct lguest *m)
{
	const struct lguest_call *call = &m->abi->calls[m->call_number];
	const uint32_t *a = m->call_arg;
	char text[80];
	int n = 0;

	cpu_fpu_release(m->cpu);
	text[0] = 0;
	for (unsigned int i = 0; i < call->args; i++)
		n += snprintf(text + n, sizeof(text) - (size_t)n, "%s%#x", i ? ", " : "", a[i]);
	trace_line("hypercall %s(%s)%s at %#x", call->name, text, m->call_queued ? " queued" : "", lguest_eip(m));
	cpu_fpu_acquire(m->cpu);
}

void lguest_tell_interrupt_cold(struct lguest *m, uint32_t irq)
{
	cpu_fpu_release(m->cpu);
	trace_line("irq %u at %#x, ring %u", irq, cpu_eip(m->cpu), cpu_cpl(m->cpu));
	cpu_fpu_acquire(m->cpu);
}

static void tell_bytes(struct lguest *m)
{
	uint32_t eip = cpu_eip(m->cpu);
	struct cpu_fault fault;
	uint8_t code[15];
	char text[48];
	int n = 0;

	text[0] = 0;
	for (unsigned int i = 0; i < sizeof(code); i++) {
		if (cpu_read(m->cpu, cpu_segment(m->cpu, S_CS)->base + eip + i, &code[i], 1, cpu_cpl(m->cpu) == 3, &fault))
			break;
		n += snprintf(text + n, sizeof(text) - (size_t)n, " %02x", code[i]);
	}
	trace_line("undefined instruction at %#x, ring %u:%s", eip, cpu_cpl(m->cpu), text);
}

void lguest_tell_trap_cold(struct lguest *m, uint32_t vector, uint32_t error, uint32_t address)
{
	cpu_fpu_release(m->cpu);
	if (vector == TRAP_UD && m->trace & TRACE_UNDEFINED)
		tell_bytes(m);
	if (m->trace & TRACE_FAULT)
		trace_line("fault %u at %#x, ring %u, error %#x, address %#x", vector, cpu_eip(m->cpu), cpu_cpl(m->cpu), error, address);
	cpu_fpu_acquire(m->cpu);
}

void lguest_tell_privileged_cold(struct lguest *m, const struct insn *insn, uint32_t eip)
{
	cpu_fpu_release(m->cpu);
	trace_line("privileged instruction %s%02x /%u at %#x, ring %u", insn->map == MAP_0F ? "0f " : "", insn->op, insn->reg, eip,
		   cpu_cpl(m->cpu));
	cpu_fpu_acquire(m->cpu);
}

void lguest_print_stats(struct machine *machine)
{
	const struct lguest *m = (const struct lguest *)machine;
	const struct lguest_stats *s = &m->stats;

	for (unsigned int i = 0; i < m->abi->call_limit; i++)
		if (s->hypercalls[i])
			trace_line("stats: hypercall %s %" PRIu64, m->abi->calls[i].name, s->hypercalls[i]);
	for (unsigned int i = 0; i < 256; i++)
		if (s->traps[i])
			trace_line("stats: trap %u %" PRIu64, i, s->traps[i]);
	trace_line("stats: queued calls %" PRIu64 ", interrupts %" PRIu64 ", privileged instructions %" PRIu64 ", doorbells %" PRIu64
		   ", halts %" PRIu64, s->queued, s->interrupts, s->privileged, s->notifies, s->halts);
	trace_cpu_stats(m->cpu);
}
