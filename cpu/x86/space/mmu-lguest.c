/* SPDX-License-Identifier: MIT */
/*
 * mmu-lguest.c - the lguest machine's address spaces: two levels, no large pages, and nothing outside memory.
 *
 * There is no hardware to imitate but a contract: a directory or table entry that points out of RAM is reported to the machine, which
 * ends the guest.
 */
#include "cpu/x86/space/mmu.h"

static volatile uint32_t *entry_at(const struct cpu *cpu, uint32_t table, uint32_t index)
{
	table >>= PAGE_SHIFT;
	if (table >= cpu->ram.pages)
		return NULL;
	return (volatile uint32_t *)(cpu->ram.base + ((size_t)table << PAGE_SHIFT)) + index;
}

static uint32_t combine(uint32_t pde, uint32_t pte)
{
	return pte & ((pde & (PTE_RW | PTE_US)) | ~(uint32_t)(PTE_RW | PTE_US | PTE_LOCAL | PTE_NX));
}

static uint32_t peek(const struct cpu *cpu, uint32_t linear)
{
	volatile uint32_t *entry = entry_at(cpu, cpu->mmu.root, linear >> 22);
	uint32_t pde = entry ? *entry : 0, pte;

	if (!(pde & PTE_P))
		return 0;
	entry = entry_at(cpu, pde, linear >> 12 & 1023);
	pte = entry ? *entry : 0;
	if (!(pte & PTE_P) || pte >> PAGE_SHIFT >= cpu->ram.pages)
		return 0;
	return combine(pde, pte);
}

static int walk(struct cpu *cpu, uint32_t linear, unsigned access, uint32_t *result, struct cpu_fault *fault)
{
	uint32_t bits = PTE_A | (access & MMU_WRITE ? PTE_D : 0);
	volatile uint32_t *entry = entry_at(cpu, cpu->mmu.root, linear >> 22);
	uint32_t pde, pte;

	if (!entry || !(*entry & PTE_P))
		return mmu_fail(cpu, linear, access, 0, fault);
	pde = *entry;
	if (!(pde & PTE_A))
		*entry = pde | PTE_A;
	entry = entry_at(cpu, pde, linear >> 12 & 1023);
	if (!entry || pde & PTE_PS) {
		cpu->ops->broken(cpu->opaque, "bad page directory entry", pde);
		return mmu_fail(cpu, linear, access, 0, fault);
	}
	pte = *entry;
	if (!(pte & PTE_P))
		return mmu_fail(cpu, linear, access, 0, fault);
	if (pte >> PAGE_SHIFT >= cpu->ram.pages) {
		cpu->ops->broken(cpu->opaque, "bad page table entry", pte);
		return mmu_fail(cpu, linear, access, 0, fault);
	}
	*result = combine(pde, pte);
	if (!mmu_allowed(cpu, *result, access))
		return mmu_fail(cpu, linear, access, PF_PRESENT, fault);
	if ((pte & bits) != bits) {
		*entry = pte | bits;
		*result |= bits;
	}
	return 0;
}

static uint64_t no_large(const struct cpu *cpu, uint32_t linear)
{
	(void)cpu;
	(void)linear;
	return 0;
}

const struct mmu_mode mmu_lguest = { .peek = peek, .walk = walk, .large = no_large };

static uint32_t peek_linear(const struct cpu *cpu, uint32_t linear)
{
	if (linear >= cpu->mmu.limit)
		return 0;
	return (linear & PTE_FRAME) | PTE_P | PTE_RW | PTE_A | PTE_D;
}

static int walk_linear(struct cpu *cpu, uint32_t linear, unsigned access, uint32_t *result, struct cpu_fault *fault)
{
	*result = peek_linear(cpu, linear);
	return *result && !(access & MMU_USER) ? 0 : mmu_fail(cpu, linear, access, *result ? PF_PRESENT : 0, fault);
}

const struct mmu_mode mmu_linear = { .peek = peek_linear, .walk = walk_linear, .large = no_large, .flat = true };
