/* SPDX-License-Identifier: MIT */
/*
 * mmu.h - the guest's page tables, read as a processor would.
 *
 * Tables come in several formats, and each has a pair of functions (struct mmu_mode); what they find has one format for all: an
 * entry of 32 bits with the frame and the PTE_* bits below, the rights of all levels taken together.
 */
#ifndef KENNEL_CPU_X86_SPACE_MMU_H
#define KENNEL_CPU_X86_SPACE_MMU_H

#include "cpu/x86/frame.h"

enum {
	PTE_P = 1, PTE_RW = 2, PTE_US = 4, PTE_A = 0x20, PTE_D = 0x40, PTE_PS = 0x80, PTE_G = 0x100,
	PTE_FRAME = 0xfffff000u,
	/* In what a lookup finds only: */
	PTE_LOCAL = 0x100,	/* not global: a load of CR3 flushes it (lguest's are never said to be: its guests announce all changes) */
	PTE_NX = 0x200,		/* no instruction may be fetched from there */
};

enum { MMU_WRITE = 1, MMU_USER = 2, MMU_FETCH = 4 };

/* No page directory: linear = physical. */
#define MMU_LINEAR 0xffffffffu

struct mmu_mode {
	uint32_t (*peek)(const struct cpu *cpu, uint32_t linear);
	int (*walk)(struct cpu *cpu, uint32_t linear, unsigned access, uint32_t *pte, struct cpu_fault *fault);
	/* What identifies the large page at @linear, with all that decides what views may show of it; 0: there is none. */
	uint64_t (*large)(const struct cpu *cpu, uint32_t linear);
	bool flat;		/* neighbours are neighbours: map a lot at once */
};

extern const struct mmu_mode mmu_linear, mmu_lguest;	/* the lguest machine: a table that is not right breaks the contract */
extern const struct mmu_mode mmu_off, mmu_32, mmu_pae;	/* as a processor has them: what is not memory reads as ones */

/**
 * mmu_peek - what maps @linear in the address space in force, without touching the tables
 * Returns 0 when nothing does.
 */
static inline uint32_t mmu_peek(const struct cpu *cpu, uint32_t linear)
{
	return cpu->mmu.mode->peek(cpu, linear);
}

/**
 * mmu_walk - translate in the address space in force, check access, set A (and D on a write)
 * @access: MMU_*. Returns 0 and *@pte as mmu_peek() would now; or TRAP_PF with *@fault.
 */
static inline int mmu_walk(struct cpu *cpu, uint32_t linear, unsigned access, uint32_t *pte, struct cpu_fault *fault)
{
	return cpu->mmu.mode->walk(cpu, linear, access, pte, fault);
}

/** mmu_set_linear, mmu_set_lguest - the lguest machine's address spaces: below @limit bytes, or from the directory at @pgd. */
void mmu_set_linear(struct cpu *cpu, uint32_t limit);
void mmu_set_lguest(struct cpu *cpu, uint32_t pgd);

/**
 * mmu_set - the address space that control registers describe
 * Returns false when a PDPTE has bits set that must not be: nothing has changed, and what loaded CR3 gets #GP(0).
 */
bool mmu_set(struct cpu *cpu, const struct cpu_paging *paging);

/**
 * mmu_fetch - translate the address of code for the present CPL, and remember that code there is known to translated code
 * @known: if not NULL, whether it was already.
 */
int mmu_fetch(struct cpu *cpu, uint32_t linear, uint32_t *physical, bool *known, struct cpu_fault *fault);

/**
 * mmu_host - where C finds the page that @pte maps, for reading or for writing: PAGE_SIZE bytes
 * What is not RAM reads as ones and swallows what is written.
 */
uint8_t *mmu_host(struct cpu *cpu, uint32_t pte, bool write);

/* --- for the modes ---------------------------------------------------------------------------------------------------------- */

/** mmu_fail - the fault that an access ends in. @reason: PF_PRESENT, PF_RESERVED or both. */
int mmu_fail(const struct cpu *cpu, uint32_t linear, unsigned access, uint32_t reason, struct cpu_fault *fault);

/* Which PTE bits an access from C or translated code needs to write: D always, RW unless it is the supervisor's and CR0.WP = 0. */
static inline uint32_t mmu_needed_to_write(const struct cpu *cpu, bool user)
{
	return cpu->mmu.write_needs[user];
}

static inline bool mmu_allowed(const struct cpu *cpu, uint32_t pte, unsigned access)
{
	uint32_t needs = access & MMU_WRITE ? mmu_needed_to_write(cpu, access & MMU_USER) & PTE_RW : 0;

	needs |= access & MMU_USER ? PTE_US : 0;
	return !(needs & ~pte) && !(access & MMU_FETCH && pte & PTE_NX);
}

static inline uint32_t mmu_frame(const struct cpu *cpu, uint64_t frame)
{
	return (frame < cpu->ram.pages ? (uint32_t)frame : frame_void(cpu)) << PAGE_SHIFT;
}

/* Where a table lies on the host; NULL: not in RAM. */
static inline void *mmu_table(const struct cpu *cpu, uint64_t physical)
{
	uint64_t frame = physical >> PAGE_SHIFT;

	return frame < cpu->ram.pages ? cpu->ram.base + (frame << PAGE_SHIFT) : NULL;
}

#endif
