/* SPDX-License-Identifier: MIT */
/*
 * mmu-32.c - no paging, and two-level paging with 4 MiB pages (Intel SDM volume 3, 4.3; physical addresses of 32 bits: no PSE-36).
 */
#include "cpu/x86/space/mmu.h"

enum { LARGE_RESERVED = 0x003fe000, RIGHTS = PTE_RW | PTE_US, KEPT = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D };

static uint32_t local(const struct cpu *cpu, uint32_t leaf)
{
	return (~leaf & PTE_G) | cpu->mmu.all_local;
}

static uint32_t small_page(const struct cpu *cpu, uint32_t pde, uint32_t pte)
{
	return mmu_frame(cpu, pte >> PAGE_SHIFT) | (pte & KEPT & (pde | ~(uint32_t)RIGHTS)) | local(cpu, pte);
}

static uint32_t large_page(const struct cpu *cpu, uint32_t pde, uint32_t linear)
{
	return mmu_frame(cpu, (pde & 0xffc00000) >> PAGE_SHIFT | (linear >> PAGE_SHIFT & 1023)) | (pde & KEPT) | local(cpu, pde);
}

static uint32_t peek(const struct cpu *cpu, uint32_t linear)
{
	const volatile uint32_t *table = mmu_table(cpu, cpu->mmu.root);
	uint32_t pde = table ? table[linear >> 22] : 0, pte;

	if (!(pde & PTE_P))
		return 0;
	if (pde & cpu->mmu.large_bit)
		return pde & LARGE_RESERVED ? 0 : large_page(cpu, pde, linear);
	table = mmu_table(cpu, pde);
	pte = table ? table[linear >> 12 & 1023] : 0;
	return pte & PTE_P ? small_page(cpu, pde, pte) : 0;
}

/* The last step of a walk: what @entry says is *@result. */
static int finish(struct cpu *cpu, uint32_t linear, unsigned access, volatile uint32_t *entry, uint32_t *result,
		  struct cpu_fault *fault)
{
	uint32_t bits = PTE_A | (access & MMU_WRITE ? PTE_D : 0);

	if (!mmu_allowed(cpu, *result, access))
		return mmu_fail(cpu, linear, access, PF_PRESENT, fault);
	if (bits & ~*result)
		*entry |= bits;
	*result |= bits;
	return 0;
}

static int walk(struct cpu *cpu, uint32_t linear, unsigned access, uint32_t *result, struct cpu_fault *fault)
{
	volatile uint32_t *table = mmu_table(cpu, cpu->mmu.root), *entry;
	uint32_t pde = table ? table[linear >> 22] : 0;

	if (!(pde & PTE_P))
		return mmu_fail(cpu, linear, access, 0, fault);
	entry = &table[linear >> 22];
	if (pde & cpu->mmu.large_bit) {
		if (pde & LARGE_RESERVED)
			return mmu_fail(cpu, linear, access, PF_PRESENT | PF_RESERVED, fault);
		*result = large_page(cpu, pde, linear);
		return finish(cpu, linear, access, entry, result, fault);
	}
	if (!(pde & PTE_A))
		*entry = pde | PTE_A;
	table = mmu_table(cpu, pde);
	if (!table || !(table[linear >> 12 & 1023] & PTE_P))
		return mmu_fail(cpu, linear, access, 0, fault);
	entry = &table[linear >> 12 & 1023];
	*result = small_page(cpu, pde, *entry);
	return finish(cpu, linear, access, entry, result, fault);
}

static uint64_t large(const struct cpu *cpu, uint32_t linear)
{
	const volatile uint32_t *table = mmu_table(cpu, cpu->mmu.root);
	uint32_t pde = table ? table[linear >> 22] : 0;

	return pde & PTE_P && pde & cpu->mmu.large_bit && !(pde & LARGE_RESERVED) ? pde | (uint64_t)cpu->mmu.flags << 32 : 0;
}

const struct mmu_mode mmu_32 = { .peek = peek, .walk = walk, .large = large };

/* --- no paging -------------------------------------------------------------------------------------------------------------- */

static uint32_t peek_off(const struct cpu *cpu, uint32_t linear)
{
	return mmu_frame(cpu, linear >> PAGE_SHIFT) | KEPT;
}

static int walk_off(struct cpu *cpu, uint32_t linear, unsigned access, uint32_t *result, struct cpu_fault *fault)
{
	(void)access;
	(void)fault;
	*result = peek_off(cpu, linear);
	return 0;
}

static uint64_t large_off(const struct cpu *cpu, uint32_t linear)
{
	(void)cpu;
	return (linear & 0xffc00000) | PTE_PS;
}

const struct mmu_mode mmu_off = { .peek = peek_off, .walk = walk_off, .large = large_off, .flat = true };
