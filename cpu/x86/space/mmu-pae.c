/* SPDX-License-Identifier: MIT */
/*
 * mmu-pae.c - PAE paging: four PDPTEs, entries of 64 bits, 2 MiB pages, NX (Intel SDM volume 3, 4.4).
 *
 * The PDPTEs are read when CR3 is loaded and not looked at again, as on hardware. Physical addresses have 36 bits, which is what CPUID
 * must say; those above 4 GiB are as much void as any others without memory.
 */
#include "cpu/x86/space/mmu-pae.h"

#include "cpu/x86/space/mmu.h"

#define PHYSICAL   0x0000000ffffff000ull
#define RESERVED   0x7ffffff000000000ull	/* in any entry below the PDPTEs; and bit 63 without EFER.NXE: cpu->mmu.reserved */
#define LARGE_LOW  0x00000000001fe000ull	/* in a large page's: bits 13 to 20 */
#define PDPTE_RESERVED 0xfffffff0000001e6ull

enum { RIGHTS = PTE_RW | PTE_US, KEPT = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D };

bool mmu_pae_load(const struct cpu *cpu, uint32_t root, uint64_t pdpte[4])
{
	const uint8_t *page = mmu_table(cpu, root);
	const volatile uint64_t *table = page ? (const volatile uint64_t *)(page + (root & PAGE_MASK & ~31u)) : NULL;

	for (unsigned i = 0; i < 4; i++) {
		pdpte[i] = table ? table[i] : 0;
		if (pdpte[i] & PTE_P && pdpte[i] & PDPTE_RESERVED)
			return false;
	}
	return true;
}

uint64_t mmu_pae_reserved(bool nx)
{
	return RESERVED | (nx ? 0 : 1ull << 63);
}

static volatile uint64_t *entry_of(const struct cpu *cpu, uint64_t upper, uint32_t index)
{
	volatile uint64_t *table = mmu_table(cpu, upper & PHYSICAL);

	return table ? table + index : NULL;
}

static volatile uint64_t *directory_entry(const struct cpu *cpu, uint32_t linear)
{
	uint64_t pdpte = cpu->mmu.pdpte[linear >> 30];

	return pdpte & PTE_P ? entry_of(cpu, pdpte, linear >> 21 & 511) : NULL;
}

static bool is_reserved(const struct cpu *cpu, uint64_t entry, bool is_large)
{
	return entry & (cpu->mmu.reserved | (is_large ? LARGE_LOW : 0));
}

/* @leaf: the entry that names the frame; @upper: rights of the levels above (for a large page, its own again). */
static uint32_t combine(const struct cpu *cpu, uint64_t upper, uint64_t leaf, uint64_t frame)
{
	uint32_t low = (uint32_t)leaf;

	return mmu_frame(cpu, frame) | (low & KEPT & ((uint32_t)upper | ~(uint32_t)RIGHTS)) | (~low & PTE_G) | cpu->mmu.all_local |
	       ((upper | leaf) >> 63 ? PTE_NX : 0);
}

static uint32_t small_page(const struct cpu *cpu, uint64_t pde, uint64_t pte)
{
	return combine(cpu, pde, pte, (pte & PHYSICAL) >> PAGE_SHIFT);
}

static uint32_t large_page(const struct cpu *cpu, uint64_t pde, uint32_t linear)
{
	return combine(cpu, pde, pde, (pde & PHYSICAL & ~0x1fffffull) >> PAGE_SHIFT | (linear >> PAGE_SHIFT & 511));
}

static uint32_t peek(const struct cpu *cpu, uint32_t linear)
{
	volatile uint64_t *entry = directory_entry(cpu, linear);
	uint64_t pde = entry ? *entry : 0, pte;

	if (!(pde & PTE_P) || is_reserved(cpu, pde, pde & PTE_PS))
		return 0;
	if (pde & PTE_PS)
		return large_page(cpu, pde, linear);
	entry = entry_of(cpu, pde, linear >> 12 & 511);
	pte = entry ? *entry : 0;
	return pte & PTE_P && !is_reserved(cpu, pte, false) ? small_page(cpu, pde, pte) : 0;
}

/* The last step of a walk: what @entry says is *@result. */
static int finish(struct cpu *cpu, uint32_t linear, unsigned access, volatile uint64_t *entry, uint32_t *result,
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
	volatile uint64_t *entry = directory_entry(cpu, linear);
	uint64_t pde = entry ? *entry : 0, pte;

	if (!(pde & PTE_P))
		return mmu_fail(cpu, linear, access, 0, fault);
	if (is_reserved(cpu, pde, pde & PTE_PS))
		return mmu_fail(cpu, linear, access, PF_PRESENT | PF_RESERVED, fault);
	if (pde & PTE_PS) {
		*result = large_page(cpu, pde, linear);
		return finish(cpu, linear, access, entry, result, fault);
	}
	if (!(pde & PTE_A))
		*entry = pde | PTE_A;
	entry = entry_of(cpu, pde, linear >> 12 & 511);
	pte = entry ? *entry : 0;
	if (!(pte & PTE_P))
		return mmu_fail(cpu, linear, access, 0, fault);
	if (is_reserved(cpu, pte, false))
		return mmu_fail(cpu, linear, access, PF_PRESENT | PF_RESERVED, fault);
	*result = small_page(cpu, pde, pte);
	return finish(cpu, linear, access, entry, result, fault);
}

static uint64_t large(const struct cpu *cpu, uint32_t linear)
{
	volatile uint64_t *entry = directory_entry(cpu, linear);
	uint64_t pde = entry ? *entry : 0;

	if (!(pde & PTE_P) || !(pde & PTE_PS) || is_reserved(cpu, pde, true))
		return 0;
	return pde | (uint64_t)cpu->mmu.flags << 52;
}

const struct mmu_mode mmu_pae = { .peek = peek, .walk = walk, .large = large };
