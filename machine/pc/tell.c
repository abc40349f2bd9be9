/* SPDX-License-Identifier: MIT */
/* tell.c - what is said about a guest: how it crashed, and what --trace shows. */
#include <inttypes.h>
#include <stdio.h>

#include "machine/pc/pc.h"

static const char *exception_name(uint32_t vector)
{
	static const char *const names[] = {
		[TRAP_DE] = "divide error", [TRAP_DB] = "debug exception", [TRAP_BP] = "breakpoint", [TRAP_OF] = "overflow",
		[TRAP_BR] = "bound", [TRAP_UD] = "invalid opcode", [TRAP_NM] = "no coprocessor", [TRAP_DF] = "double fault",
		[TRAP_TS] = "invalid TSS", [TRAP_NP] = "segment not present", [TRAP_SS] = "stack fault", [TRAP_GP] = "protection fault",
		[TRAP_PF] = "page fault", [TRAP_MF] = "coprocessor error", [TRAP_AC] = "alignment check", [TRAP_XM] = "SIMD exception",
	};

	return vector < sizeof(names) / sizeof(names[0]) && names[vector] ? names[vector] : "interrupt";
}

/* Its floating point registers are of no interest any more. */
void pc_crash(struct pc *m, const char *words)
{
	if (m->ended)
		return;
	snprintf(m->machine.last_words.text, sizeof(m->machine.last_words.text), "%s", words);
	pc_end(m, MACHINE_CRASHED);
}

/* A kernel that knows no better way to reboot empties the IDT and executes INT3. Everything else is a crash. */
void pc_shutdown(struct pc *m, const struct cpu_exit *exit)
{
	char words[160];

	if (exit->vector == TRAP_BP && !cpu_system(m->cpu)->idt.limit) {
		pc_end(m, MACHINE_RESTART);
		return;
	}
	if (exit->vector == TRAP_PF)
		snprintf(words, sizeof(words), "triple fault at EIP %#x: page fault at %#x, error %#x, and no way to handle it", exit->eip,
			 exit->address, exit->error);
	else
		snprintf(words, sizeof(words), "triple fault at EIP %#x: %s (vector %u, error %#x), and no way to handle it", exit->eip,
			 exception_name(exit->vector), exit->vector, exit->error);
	pc_crash(m, words);
}

void pc_tell_io_cold(struct pc *m, uint32_t port, unsigned int size, bool write, uint32_t value)
{
	cpu_fpu_release(m->cpu);
	trace_line("%s port %#x, %u bytes: %#x at %#x", write ? "out" : "in", port, size, value, cpu_eip(m->cpu));
	cpu_fpu_acquire(m->cpu);
}

void pc_tell_msr_cold(struct pc *m, uint32_t index, bool write, uint64_t value, bool known)
{
	cpu_fpu_release(m->cpu);
	trace_line("%s %#x: %#" PRIx64 "%s at %#x", write ? "wrmsr" : "rdmsr", index, value, known ? "" : ", refused", cpu_eip(m->cpu));
	cpu_fpu_acquire(m->cpu);
}

void pc_tell_interrupt_cold(struct pc *m, int vector)
{
	cpu_fpu_release(m->cpu);
	trace_line("interrupt vector %#x at %#x, ring %u", (unsigned int)vector, cpu_eip(m->cpu), cpu_cpl(m->cpu));
	cpu_fpu_acquire(m->cpu);
}

void pc_print_stats(struct machine *machine)
{
	const struct pc *m = (const struct pc *)machine;
	const struct pc_stats *s = &m->stats;

	for (unsigned int i = 0; i < 256; i++)
		if (s->interrupts[i])
			trace_line("stats: interrupt vector %#x %" PRIu64, i, s->interrupts[i]);
	trace_line("stats: port reads %" PRIu64 ", port writes %" PRIu64 ", MSR accesses %" PRIu64 ", halts %" PRIu64, s->in, s->out, s->msrs,
		   s->halts);
	trace_cpu_stats(m->cpu);
}
