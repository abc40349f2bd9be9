/* SPDX-License-Identifier: MIT */
/*
 * compare.c - views and jump tables made to obey the guest's page tables again. See compare.h.
 *
 * Taking away is mprotect(); the mapping itself stays, hidden, because a page that comes back with the same frame then needs no
 * new one (here mprotect takes 1.4 us, mmap over foreign ground 6.3 us, a first touch after that 2.5 us).
 */
#include "cpu/x86/compare.h"

#include "cpu/x86/half.h"
#include "cpu/x86/jump.h"

/* What a view may at most keep of a page, now that its table entry is @pte (0: not present). */
static enum page_state may_keep(uint32_t entry, uint32_t pte, enum view view)
{
	if (!pte || (pte ^ entry) & PTE_FRAME || (view == VIEW_USER && !(pte & PTE_US)))
		return PAGE_HIDDEN;
	return (pte & (PTE_RW | PTE_D)) == (PTE_RW | PTE_D) ? PAGE_WRITE : PAGE_READ;
}

static bool concerns(const struct cpu *cpu, uint32_t entry, unsigned look)
{
	return (look & LOOK_KERNEL && shadow_state(entry, VIEW_KERNEL) > PAGE_HIDDEN) ||
	       (look & LOOK_USER && shadow_state(entry, VIEW_USER) > PAGE_HIDDEN) ||
	       (entry & SHADOW_CODE && (look & LOOK_USER || cpu->kernel_table_low));
}

void compare_page(struct cpu *cpu, struct slot *slot, uint32_t page, unsigned look, struct batches *batches)
{
	uint32_t entry = shadow_get(&slot->shadow, page), now = entry, pte;

	if (!concerns(cpu, entry, look))
		return;
	/* The kernel half is the same everywhere, and a slot not in use may name a directory that is one no more. */
	pte = mmu_peek(cpu, in_kernel_half(cpu, page) ? cpu->slot->pgd : slot->pgd, page << PAGE_SHIFT);
	for (enum view v = VIEW_KERNEL; v < VIEWS; v++) {
		enum page_state most = may_keep(entry, pte, v);

		if (!(look & 1 << v) || shadow_state(entry, v) <= most || shadow_state(entry, v) <= PAGE_HIDDEN)
			continue;
		batches_add(cpu, batches, slot, v, page, most);
		now = shadow_with(now, v, most);
	}
	if (now & SHADOW_CODE && may_keep(entry, pte, VIEW_USER) == PAGE_HIDDEN) {
		slot->jumps_stale = true;
		if (cpu->kernel_table_low)
			jump_forget_page(cpu->kernel_table, page);
		now &= ~(uint32_t)SHADOW_CODE;
	}
	if (now != entry)
		shadow_set(&slot->shadow, page, now & ~PTE_FRAME ? now : 0);
}

void compare_range(struct cpu *cpu, struct slot *slot, uint32_t first, uint32_t last, unsigned look)
{
	struct batches batches = { 0 };

	for (uint32_t t = first; t < last; t++) {
		const struct shadow_table *table = slot->shadow.table[t];

		for (unsigned group = 0; table && group < 16; group++)
			for (uint64_t bits = table->used[group]; bits; bits &= bits - 1)
				compare_page(cpu, slot, t << 10 | group << 6 | (uint32_t)__builtin_ctzll(bits), look, &batches);
	}
	batches_finish(cpu, &batches);
}

void compare_user(struct cpu *cpu, struct slot *slot)
{
	compare_range(cpu, slot, 0, kernel_table(cpu), LOOK_KERNEL);
	slot->user_stale = true;
}

void compare_kernel(struct cpu *cpu, struct slot *slot)
{
	slot->kernel_stale = false;
	compare_range(cpu, slot, kernel_table(cpu), 1024, LOOK_BOTH);
}
