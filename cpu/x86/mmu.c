/* SPDX-License-Identifier: MIT */
/*
 * mmu.c - the guest's page tables, and guest memory as C code reaches it.
 *
 * C never goes through a window: windows are a cache, and a fault there belongs to translated code. It walks the tables and uses
 * the linear mapping of RAM.
 */
#include "cpu/x86/mmu.h"

#include "cpu/x86/block.h"
#include "cpu/x86/codepage.h"
#include "cpu/x86/copy.h"
#include "cpu/x86/window.h"

static volatile uint32_t *entry_at(const struct cpu *cpu, uint32_t table, uint32_t index)
{
	table >>= PAGE_SHIFT;
	if (table >= cpu->ram.pages)
		return NULL;
	return (volatile uint32_t *)(cpu->ram.base + ((size_t)table << PAGE_SHIFT)) + index;
}

static uint32_t peek_linear(const struct cpu *cpu, uint32_t linear)
{
	if (linear >= cpu->linear_limit)
		return 0;
	return (linear & PTE_FRAME) | PTE_P | PTE_RW | PTE_A | PTE_D;
}

uint32_t mmu_peek(const struct cpu *cpu, uint32_t pgd, uint32_t linear)
{
	volatile uint32_t *entry;
	uint32_t pde, pte;

	if (pgd == MMU_LINEAR)
		return peek_linear(cpu, linear);
	entry = entry_at(cpu, pgd, linear >> 22);
	pde = entry ? *entry : 0;
	if (!(pde & PTE_P))
		return 0;
	entry = entry_at(cpu, pde, linear >> 12 & 1023);
	pte = entry ? *entry : 0;
	if (!(pte & PTE_P) || pte >> PAGE_SHIFT >= cpu->ram.pages)
		return 0;
	return pte & (pde | ~(uint32_t)(PTE_RW | PTE_US));
}

static int fail(uint32_t linear, unsigned access, bool present, struct cpu_fault *fault)
{
	fault->vector = TRAP_PF;
	fault->address = linear;
	fault->error = (present ? PF_PRESENT : 0) | (access & MMU_WRITE ? PF_WRITE : 0) | (access & MMU_USER ? PF_USER : 0);
	return TRAP_PF;
}

static bool allowed(uint32_t pte, unsigned access)
{
	return !(access & MMU_WRITE && !(pte & PTE_RW)) && !(access & MMU_USER && !(pte & PTE_US));
}

int mmu_walk(struct cpu *cpu, uint32_t linear, unsigned access, uint32_t *result, struct cpu_fault *fault)
{
	uint32_t pgd = window_pgd(cpu);
	uint32_t bits = PTE_A | (access & MMU_WRITE ? PTE_D : 0);
	volatile uint32_t *entry;
	uint32_t pde, pte;

	if (pgd == MMU_LINEAR) {
		*result = peek_linear(cpu, linear);
		return *result && !(access & MMU_USER) ? 0 : fail(linear, access, *result, fault);
	}
	entry = entry_at(cpu, pgd, linear >> 22);
	if (!entry || !(*entry & PTE_P))
		return fail(linear, access, false, fault);
	pde = *entry;
	if (!(pde & PTE_A))
		*entry = pde | PTE_A;
	entry = entry_at(cpu, pde, linear >> 12 & 1023);
	if (!entry || pde & PTE_PS) {
		cpu->ops->broken(cpu->opaque, "bad page directory entry", pde);
		return fail(linear, access, false, fault);
	}
	pte = *entry;
	if (!(pte & PTE_P))
		return fail(linear, access, false, fault);
	if (pte >> PAGE_SHIFT >= cpu->ram.pages) {
		cpu->ops->broken(cpu->opaque, "bad page table entry", pte);
		return fail(linear, access, false, fault);
	}
	*result = pte & (pde | ~(uint32_t)(PTE_RW | PTE_US));
	if (!allowed(*result, access))
		return fail(linear, access, true, fault);
	if ((pte & bits) != bits) {
		*entry = pte | bits;
		*result |= bits;
	}
	return 0;
}

int mmu_fetch(struct cpu *cpu, uint32_t linear, uint32_t *physical, bool *known, struct cpu_fault *fault)
{
	uint32_t pte;
	bool noted;
	int vector = mmu_walk(cpu, linear, cpu->user ? MMU_USER : 0, &pte, fault);

	if (vector)
		return vector;
	*physical = (pte & PTE_FRAME) | (linear & PAGE_MASK);
	noted = codepage_note(cpu, linear, pte);
	if (known)
		*known = noted;
	return 0;
}

/* Host addresses of a range that touches at most two pages. */
static int locate(struct cpu *cpu, uint32_t address, uint32_t len, unsigned access, uint8_t *at[2], uint32_t frame[2],
		  struct cpu_fault *fault)
{
	uint32_t pte;

	for (unsigned i = 0; i < 2; i++) {
		uint32_t linear = i ? (address | PAGE_MASK) + 1 : address;
		int vector;

		if (i && (address & PAGE_MASK) + len <= PAGE_SIZE)
			break;
		vector = mmu_walk(cpu, linear, access, &pte, fault);
		if (vector)
			return vector;
		frame[i] = pte >> PAGE_SHIFT;
		at[i] = cpu->ram.base + ((size_t)frame[i] << PAGE_SHIFT) + (linear & PAGE_MASK);
	}
	return 0;
}

int cpu_read(struct cpu *cpu, uint32_t address, void *buf, uint32_t len, bool user, struct cpu_fault *fault)
{
	uint8_t *at[2], *to = buf;
	uint32_t frame[2];

	while (len) {
		uint32_t first = PAGE_SIZE - (address & PAGE_MASK);
		uint32_t n = len < first ? len : first;
		int vector = locate(cpu, address, n, user ? MMU_USER : 0, at, frame, fault);

		if (vector)
			return vector;
		copy_bytes(to, at[0], n);
		address += n;
		to += n;
		len -= n;
	}
	return 0;
}

/* Code made from a page that is about to be written by C is dropped before the bytes change. */
static void forget_code(struct cpu *cpu, uint32_t frame)
{
	if (cpu->frames[frame].code)
		block_written(cpu, frame);
}

static int write_two(struct cpu *cpu, uint32_t address, const uint8_t *from, uint32_t len, bool user, struct cpu_fault *fault)
{
	uint32_t first = PAGE_SIZE - (address & PAGE_MASK);
	uint8_t *at[2];
	uint32_t frame[2];
	int vector = locate(cpu, address, len, MMU_WRITE | (user ? MMU_USER : 0), at, frame, fault);

	if (vector)
		return vector;
	forget_code(cpu, frame[0]);
	copy_bytes(at[0], from, len < first ? len : first);
	if (len > first) {
		forget_code(cpu, frame[1]);
		copy_bytes(at[1], from + first, len - first);
	}
	return 0;
}

int cpu_write(struct cpu *cpu, uint32_t address, const void *buf, uint32_t len, bool user, struct cpu_fault *fault)
{
	const uint8_t *from = buf;

	for (uint32_t at = 0; len > PAGE_SIZE && at < len; at += PAGE_SIZE) {	/* a long range: look at all of it first */
		uint32_t pte;
		int vector = mmu_walk(cpu, address + at, MMU_WRITE | (user ? MMU_USER : 0), &pte, fault);

		if (vector)
			return vector;
	}
	while (len) {
		uint32_t n = len < PAGE_SIZE ? len : PAGE_SIZE;
		int vector = write_two(cpu, address, from, n, user, fault);

		if (vector)
			return vector;
		address += n;
		from += n;
		len -= n;
	}
	return 0;
}
