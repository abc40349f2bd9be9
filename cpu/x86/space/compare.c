/* SPDX-License-Identifier: MIT */
/*
 * compare.c - views and jump tables made to obey the guest's page tables again. See compare.h.
 *
 * Taking away is mprotect(); the mapping itself stays, hidden, because a page that comes back with the same frame then needs no
 * new one (here mprotect takes 1.4 us, mmap over foreign ground 6.3 us, a first touch after that 2.5 us).
 */
#include "cpu/x86/space/compare.h"

#include "cpu/x86/space/cost.h"
#include "cpu/x86/space/half.h"

/* What a view may at most keep of a page, now that its table entry is @pte (0: not present). */
static enum page_state may_keep(const struct cpu *cpu, uint32_t entry, uint32_t pte, enum view view)
{
	if (!(pte & PTE_A) || (pte ^ entry) & PTE_FRAME || (view == VIEW_USER && !(pte & PTE_US)))
		return PAGE_HIDDEN;	/* not accessed, says the guest: the next access must tell it otherwise */
	return mmu_needed_to_write(cpu, view == VIEW_USER) & ~pte ? PAGE_READ : PAGE_WRITE;
}

static bool may_run(uint32_t entry, uint32_t pte)
{
	return pte && !((pte ^ entry) & PTE_FRAME) && (pte & (PTE_US | PTE_NX)) == PTE_US;
}

static bool concerns(const struct cpu *cpu, uint32_t entry, unsigned look)
{
	return (look & LOOK_KERNEL && (shadow_state(entry, VIEW_KERNEL) > PAGE_HIDDEN || shadow_state(entry, VIEW_MET))) ||
	       (look & LOOK_USER && shadow_state(entry, VIEW_USER) > PAGE_HIDDEN) ||
	       (entry & SHADOW_CODE && (look & LOOK_USER || cpu->kernel_table_low));
}

/* A page that a view would have lost is one that checked accesses have not met. */
static uint32_t forget_met(const struct cpu *cpu, uint32_t entry, uint32_t pte)
{
	enum page_state most = may_keep(cpu, entry, pte, VIEW_MET);

	return shadow_state(entry, VIEW_MET) > most ? shadow_with(entry, VIEW_MET, most == PAGE_READ ? most : PAGE_NONE) : entry;
}

static void compare_one(struct cpu *cpu, struct slot *slot, uint32_t page, unsigned look, struct batches *batches)
{
	uint32_t entry = shadow_get(&slot->shadow, page), now, pte;

	if (!concerns(cpu, entry, look))
		return;
	pte = mmu_peek(cpu, page << PAGE_SHIFT);
	now = forget_met(cpu, entry, pte);
	for (enum view v = VIEW_KERNEL; v < VIEWS; v++) {
		enum page_state most = may_keep(cpu, entry, pte, v);

		if (!(look & 1 << v) || shadow_state(entry, v) <= most || shadow_state(entry, v) <= PAGE_HIDDEN)
			continue;
		if (most == PAGE_READ && cpu->cost->bridge)	/* what is hidden together is one call */
			most = PAGE_HIDDEN;
		batches_add(cpu, batches, slot, v, page, most);
		now = shadow_with(now, v, most);
	}
	if (now & SHADOW_CODE && !may_run(entry, pte)) {
		slot->jumps_stale = true;
		if (cpu->kernel_table_low)
			cpu->frame_owner->forget_kernel_page(cpu, page);
		now &= ~(uint32_t)SHADOW_CODE;
	}
	if (now != entry)
		shadow_set(&slot->shadow, page, now & ~PTE_FRAME ? now : 0);
	if (pte & PTE_LOCAL && in_kernel_half(cpu, page))
		local_note(&slot->local, page);
}

/* Half of a shadow table: what a large page maps. */
static void compare_unit(struct cpu *cpu, struct slot *slot, uint32_t unit, unsigned look, struct batches *batches)
{
	const struct shadow_table *table = slot->shadow.table[unit >> 1];
	unsigned first = (unit & 1) * 8;

	for (unsigned group = first; group < first + 8; group++)
		for (uint64_t bits = table->used[group]; bits; bits &= bits - 1)
			compare_one(cpu, slot, (unit >> 1) << 10 | group << 6 | (uint32_t)__builtin_ctzll(bits), look, batches);
}

/* Is a large page still what it was, or has at most become accessed or dirty? */
static bool same_large(uint64_t was, uint64_t now)
{
	return was && !((was ^ now) & ~(uint64_t)(PTE_A | PTE_D)) && !(was & ~now);
}

static uint64_t large_at(const struct cpu *cpu, uint32_t unit)
{
	return cpu->mmu.mode->large(cpu, unit << 21);
}

/* Nothing to look at if the unit was all made under a large page, and that is still there. */
static bool skips_unit(struct cpu *cpu, struct slot *slot, uint32_t unit)
{
	uint64_t was = slot->shadow.table[unit >> 1]->large[unit & 1];

	if (!same_large(was, large_at(cpu, unit)))
		return false;
	if (unit >> 1 >= kernel_table(cpu) && (cpu->mmu.all_local || !(was & PTE_G)))
		slot->local.count = LOCAL_MANY;
	return true;
}

void compare_page(struct cpu *cpu, struct slot *slot, uint32_t page, unsigned look, struct batches *batches)
{
	const struct shadow_table *table = slot->shadow.table[page >> 10];
	uint64_t was = table ? table->large[page >> 9 & 1] : 0;

	if (was && !same_large(was, large_at(cpu, page >> 9)))
		compare_unit(cpu, slot, page >> 9, look, batches);	/* who flushes a page of a large one flushes all of it */
	else
		compare_one(cpu, slot, page, look, batches);
}

void compare_large(struct cpu *cpu, uint32_t page)
{
	struct shadow_table *table = shadow_table(&cpu->slot->shadow, page >> 10);
	uint64_t now = large_at(cpu, page >> 9), *large = table ? &table->large[page >> 9 & 1] : NULL;
	struct batches batches = { 0 };

	if (!large || *large == now)
		return;
	if (!same_large(*large, now))	/* what is left after that could have been made under the new one */
		compare_unit(cpu, cpu->slot, page >> 9, LOOK_BOTH, &batches);
	batches_finish(cpu, &batches);
	*large = now;
}

void compare_range(struct cpu *cpu, struct slot *slot, uint32_t first, uint32_t last, unsigned look)
{
	struct batches batches = { 0 };

	for (uint32_t t = first; t < last; t++)
		for (uint32_t unit = 2 * t; slot->shadow.table[t] && unit < 2 * t + 2; unit++)
			if (!skips_unit(cpu, slot, unit))
				compare_unit(cpu, slot, unit, look, &batches);
	batches_finish(cpu, &batches);
}

/* Is the page known, and does it still show what it did? */
static bool is_left(const struct cpu *cpu, const struct slot *slot, uint32_t page)
{
	uint32_t entry = shadow_get(&slot->shadow, page), pte;

	if (!concerns(cpu, entry, LOOK_BOTH))
		return false;
	pte = mmu_peek(cpu, page << PAGE_SHIFT);
	return pte && !((pte ^ entry) & PTE_FRAME);
}

bool compare_finds_nothing(const struct cpu *cpu, const struct slot *slot)
{
	for (uint32_t t = 0; t < kernel_table(cpu); t++)
		for (unsigned group = 0; slot->shadow.table[t] && group < 16; group++)
			for (uint64_t bits = slot->shadow.table[t]->used[group]; bits; bits &= bits - 1)
				if (is_left(cpu, slot, t << 10 | group << 6 | (uint32_t)__builtin_ctzll(bits)))
					return false;
	return true;
}

void compare_user(struct cpu *cpu, struct slot *slot)
{
	compare_range(cpu, slot, 0, kernel_table(cpu), LOOK_KERNEL);
	slot->user_stale = true;
}

void compare_kernel(struct cpu *cpu, struct slot *slot)
{
	slot->kernel_stale = false;
	slot->local.count = 0;
	compare_range(cpu, slot, kernel_table(cpu), 1024, LOOK_BOTH);
}

void compare_local(struct cpu *cpu, struct slot *slot)
{
	struct batches batches = { 0 };

	if (slot->local.count >= LOCAL_MANY) {
		compare_kernel(cpu, slot);
		return;
	}
	for (unsigned i = 0; i < slot->local.count; i++)
		compare_page(cpu, slot, slot->local.page[i], LOOK_BOTH, &batches);
	batches_finish(cpu, &batches);
}

/* --- one window for both views (slot.h) ------------------------------------------------------------------------------------ */

/*
 * What the user's view shows, the kernel's may show too. Of what the kernel's shows, its half goes as a whole, and of the other half
 * what only the kernel may touch.
 */
static void turn_page(struct cpu *cpu, struct slot *slot, uint32_t page, enum view to, struct batches *batches)
{
	uint32_t entry = shadow_get(&slot->shadow, page);
	enum view from = to == VIEW_USER ? VIEW_KERNEL : VIEW_USER;
	enum page_state state = shadow_state(entry, from), most;

	if (state == PAGE_NONE)
		return;
	if (to == VIEW_USER && in_kernel_half(cpu, page))
		most = PAGE_NONE;
	else
		most = may_keep(cpu, entry, mmu_peek(cpu, page << PAGE_SHIFT), to);
	if (most >= state)
		most = state;
	else if (most != PAGE_NONE)
		batches_add(cpu, batches, slot, to, page, most);
	entry = shadow_with(shadow_with(entry, from, PAGE_NONE), to, most);
	shadow_set(&slot->shadow, page, entry & ~PTE_FRAME ? entry : 0);
}

void compare_turn(struct cpu *cpu, enum view view)
{
	struct slot *slot = cpu->slot;
	struct batches batches = { 0 };
	uint8_t *half = slot->view[view] + ((size_t)kernel_page(cpu) << PAGE_SHIFT);

	if (!cpu->one_window || slot->shown == view)
		return;
	for (uint32_t t = 0; t < 1024; t++)
		for (unsigned group = 0; slot->shadow.table[t] && group < 16; group++)
			for (uint64_t bits = slot->shadow.table[t]->used[group]; bits; bits &= bits - 1)
				turn_page(cpu, slot, t << 10 | group << 6 | (uint32_t)__builtin_ctzll(bits), view, &batches);
	batches_finish(cpu, &batches);
	if (view == VIEW_USER)
		maps_hide(half, slot->view[view] + (1ull << 32) - half);
	slot->shown = view;
}
