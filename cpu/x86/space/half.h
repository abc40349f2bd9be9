/* SPDX-License-Identifier: MIT */
/*
 * half.h - the half of an address space that all share.
 *
 * Above kernel_base address spaces look alike, so windows keep what is there when they pass from one to the next, and chains and the
 * kernel's jump table rest on it. What makes that right is not the address but the G bit: pages that are global stay in a TLB when CR3
 * is loaded, so a guest cannot have two of them at one address. Those that are not global are remembered, and looked up again with each
 * load of CR3; where there are too many to remember, everything is.
 */
#ifndef KENNEL_CPU_X86_SPACE_HALF_H
#define KENNEL_CPU_X86_SPACE_HALF_H

#include "cpu/x86/state.h"

enum { LOCAL_PAGES = sizeof(((struct local_pages *)0)->page) / sizeof(uint32_t), LOCAL_MANY = LOCAL_PAGES + 1 };

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

/* Remember a page of the kernel half that is not global. */
static inline void local_note(struct local_pages *local, uint32_t page)
{
	if (local->count >= LOCAL_MANY)
		return;
	for (unsigned i = 0; i < local->count; i++)
		if (local->page[i] == page)
			return;
	if (local->count < LOCAL_PAGES)
		local->page[local->count] = page;
	local->count++;
}

#endif
