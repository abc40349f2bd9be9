/* SPDX-License-Identifier: MIT */
/* half.h - where the half of an address space begins that all share. */
#ifndef KENNEL_CPU_X86_HALF_H
#define KENNEL_CPU_X86_HALF_H

#include "cpu/x86/state.h"

static inline uint32_t kernel_page(const struct cpu *cpu)
{
	return cpu->kernel_base >> PAGE_SHIFT;
}

static inline uint32_t kernel_table(const struct cpu *cpu)
{
	return cpu->kernel_base >> 22;
}

static inline bool in_kernel_half(const struct cpu *cpu, uint32_t page)
{
	return page >= kernel_page(cpu);
}

#endif
