/* SPDX-License-Identifier: MIT */
/*
 * system.c - control registers and the like, and what they change.
 */
#include "cpu/x86/system.h"

struct cpu_system *cpu_system(struct cpu *cpu)
{
	return cpu->system_mode ? &cpu->system : NULL;
}

static void apply_paging(struct cpu *cpu)
{
	const struct cpu_system *s = &cpu->system;
	struct cpu_paging paging = {
		.mode = !(s->cr0 & CR0_PG) ? PAGING_OFF : s->cr4 & CR4_PAE ? PAGING_PAE : PAGING_32,
		.root = s->cr3,
		.wp = s->cr0 & CR0_WP,
		.pse = s->cr4 & CR4_PSE,
		.pge = s->cr4 & CR4_PGE,
		.nx = s->efer & EFER_NX,
	};

	cpu_set_paging(cpu, &paging);
}

void cpu_system_changed(struct cpu *cpu)
{
	cpu_set_ts(cpu, cpu->system.cr0 & (CR0_TS | CR0_EM));
	apply_paging(cpu);
}
