/* SPDX-License-Identifier: MIT */
/*
 * paging.c - the paging modes of a guest with control registers of its own.
 */
#include "cpu/x86/state.h"

void cpu_set_paging(struct cpu *cpu, const struct cpu_paging *paging)
{
	if (paging->mode == PAGING_OFF)
		cpu_set_linear(cpu, cpu->ram.pages << PAGE_SHIFT);
	else
		cpu_set_pgd(cpu, paging->root & ~PAGE_MASK);
}
