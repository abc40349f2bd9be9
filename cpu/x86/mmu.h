/* SPDX-License-Identifier: MIT */
/*
 * mmu.h - the guest's page tables, read as a processor would.
 */
#ifndef KENNEL_CPU_X86_MMU_H
#define KENNEL_CPU_X86_MMU_H

#include "cpu/x86/state.h"

enum {
	PTE_P = 1, PTE_RW = 2, PTE_US = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80,
	PTE_FRAME = 0xfffff000u,
};

enum { MMU_WRITE = 1, MMU_USER = 2 };

/* No page directory: linear = physical. */
#define MMU_LINEAR 0xffffffffu

/**
 * mmu_peek - what maps @linear in the tables at @pgd, without touching them
 * Returns the page-table entry with the directory's RW and US taken into account; 0 when nothing does (or it lies outside RAM).
 */
uint32_t mmu_peek(const struct cpu *cpu, uint32_t pgd, uint32_t linear);

/**
 * mmu_walk - translate in the address space in force, check access as CR0.WP = 1 does, set A (and D on a write)
 * @access: MMU_*. Returns 0 and *@pte as mmu_peek() would now; or TRAP_PF with *@fault.
 */
int mmu_walk(struct cpu *cpu, uint32_t linear, unsigned access, uint32_t *pte, struct cpu_fault *fault);

/**
 * mmu_fetch - translate the address of code for the present CPL, and remember that code there is known to translated code
 * @known: if not NULL, whether it was already.
 */
int mmu_fetch(struct cpu *cpu, uint32_t linear, uint32_t *physical, bool *known, struct cpu_fault *fault);

#endif
