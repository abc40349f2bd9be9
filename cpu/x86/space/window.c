/* SPDX-License-Identifier: MIT */
/*
 * window.c - address spaces as host mappings.
 *
 * A slot holds one guest address space as two views: windows of 4 GiB of host addresses in which the guest's pages are mapped at
 * their own addresses, all of them in the kernel's view, those with the user bit in the user's. A view is a cache of the guest's
 * page tables, like a TLB with room for everything, and obeys the TLB's contract: what the tables allow appears on demand
 * (fill.c), what they forbid disappears when the guest announces the change (compare.c). The shadow says, page by page, what each
 * view has (shadow.h), the slots are a small pool (slot.h), and the host's mappings are counted (maps.h).
 *
 * This file decides when any of that happens: what the guest says of its tables, and what the processor asks before it runs.
 */
#include "cpu/x86/space/window.h"

#include "cpu/x86/space/codepage.h"
#include "cpu/x86/space/compare.h"
#include "cpu/x86/space/cost.h"
#include "cpu/x86/space/fill.h"
#include "cpu/x86/space/half.h"
#include "cpu/x86/space/reach.h"
#include "cpu/x86/space/soft.h"

int window_create(struct cpu *cpu, unsigned slots, const char **error)
{
	cpu->fault_page = ~0u;
	return slots_create(cpu, slots, error);
}

void window_destroy(struct cpu *cpu)
{
	slots_destroy(cpu);
	codepage_destroy(cpu);
}

/* --- what the processor asks for ------------------------------------------------------------------------------------------ */

static enum view present_view(const struct cpu *cpu)
{
	return cpu->user ? VIEW_USER : VIEW_KERNEL;
}

enum window_result window_fault(struct cpu *cpu, uint32_t linear, bool write, uint32_t *frame, struct cpu_fault *fault)
{
	unsigned access = (write ? MMU_WRITE : 0) | (cpu->user ? MMU_USER : 0);
	uint32_t pte;
	bool to_code;

	if (mmu_walk(cpu, linear, access, &pte, fault)) {
		cpu->fault_page = linear >> PAGE_SHIFT;
		cpu->fault_write = write;
		cpu->fault_user = cpu->user;
		return WINDOW_FAULT;
	}
	*frame = pte >> PAGE_SHIFT;
	to_code = write && cpu->frames[*frame].code;
	if (to_code && *frame == frame_void(cpu))
		return WINDOW_VOID;
	if (to_code)
		frame_written(cpu, *frame);
	fill_page(cpu, present_view(cpu), linear >> PAGE_SHIFT, pte);
	if (cpu->distrust)	/* and the access finds an empty view, and faults again */
		slots_empty_distrusted(cpu);
	return to_code ? WINDOW_CODE : WINDOW_MAPPED;
}

static void settle_pages(struct cpu *cpu, unsigned first, unsigned look)
{
	struct batches batches = { 0 };

	for (unsigned i = first; i < cpu->stale.count; i++)
		compare_page(cpu, cpu->slot, cpu->stale.page[i], look, &batches);
	batches_finish(cpu, &batches);
}

/* Pages named by cpu_flush_page(): the kernel's view follows before the kernel runs on, the user's before user code does. */
static void settle_stale(struct cpu *cpu)
{
	settle_pages(cpu, cpu->stale.kernel_done, LOOK_KERNEL);
	cpu->stale.kernel_done = cpu->stale.count;
	if (!cpu->user)
		return;
	settle_pages(cpu, 0, LOOK_USER);
	cpu->stale.count = cpu->stale.kernel_done = 0;
}

static void settle_user(struct cpu *cpu)
{
	compare_range(cpu, cpu->slot, 0, kernel_table(cpu), LOOK_USER);
	cpu->slot->user_stale = false;
}

/*
 * The guest is back at the CPL at which it met a missing page, or on the way there: its kernel's own fault comes back after a few exits,
 * a process's either with the page there, or for something else.
 */
static void settle_awaited(struct cpu *cpu)
{
	if (cpu->user == cpu->fault_user ? fill_awaited(cpu) || cpu->user : cpu->user)
		cpu->fault_page = ~0u;
}

void window_settle(struct cpu *cpu)
{
	compare_turn(cpu, present_view(cpu));
	if (cpu->stale.count != cpu->stale.kernel_done || (cpu->user && cpu->stale.count))
		settle_stale(cpu);
	if (cpu->user && cpu->slot->user_stale)
		settle_user(cpu);
	if (cpu->fault_page != ~0u)
		settle_awaited(cpu);
	if (runs_cold(cpu) && cpu->slot->met >= COLD_TICKS) {
		cpu->slot->cold = cpu->cold = false;
		cpu->slot->jumps_stale = true;
		cpu->stats.warmed++;
	}
	if (cpu->user && cpu->slot->jumps_stale) {
		cpu->frame_owner->forget_user(cpu, cpu->slot->number);
		cpu->slot->jumps_stale = false;
	}
}

void window_enter(struct cpu *cpu)
{
	if (cpu->distrust)
		slots_empty_distrusted(cpu);
	compare_turn(cpu, present_view(cpu));
	cpu->window = cpu->slot->view[present_view(cpu)];
	cpu->reach->enter(cpu);
}

/* --- what the machine asks for -------------------------------------------------------------------------------------------- */

/* The slot for the address space that has just been put in force. */
static void use(struct cpu *cpu)
{
	struct slot *slot = slot_find(cpu, cpu->mmu.root);

	soft_flush(cpu);
	if (slot)
		compare_user(cpu, slot);
	else
		slot = slot_take(cpu, cpu->mmu.root);
	cpu->slot = slot;
	cpu->cold = slot->cold;
	if (slot->kernel_stale)
		compare_kernel(cpu, slot);
	else if (slot->local.count)
		compare_local(cpu, slot);
	if (cpu->local_code.count)
		codepage_compare_local(cpu);
	slot->last_used = ++cpu->slot_clock;
	cpu->stale.count = cpu->stale.kernel_done = 0;
	cpu->fault_page = ~0u;
	if (cpu->kernel_table_low) {
		cpu->frame_owner->forget_kernel(cpu);
		cpu->kernel_table_low = false;
	}
}

/*
 * The guest is about to turn to another address space. One of which nothing is left belonged to a process that has ended: the next one that
 * has its tables in the same place begins as any other does.
 */
static void leave(struct cpu *cpu)
{
	struct slot *slot = cpu->slot;

	if (slot->cold == cpu->cost->cold_start && !slot->met)
		return;
	if (!compare_finds_nothing(cpu, slot))
		return;
	slot_begin(cpu, slot);
	slot->jumps_stale = true;
}

void cpu_set_linear(struct cpu *cpu, uint32_t limit)
{
	slots_free_all(cpu);
	cpu->frame_owner->drop_all(cpu);
	cpu->kernel_base = ~PAGE_MASK;
	mmu_set_linear(cpu, limit);
	use(cpu);
}

void cpu_set_pgd(struct cpu *cpu, uint32_t pgd)
{
	leave(cpu);
	mmu_set_lguest(cpu, pgd);
	use(cpu);
}

bool cpu_set_paging(struct cpu *cpu, const struct cpu_paging *paging)
{
	const struct mmu_mode *mode = cpu->mmu.mode;
	uint32_t flags = cpu->mmu.flags;

	leave(cpu);
	if (!mmu_set(cpu, paging))
		return false;
	if (cpu->mmu.mode != mode) {	/* roots mean something else now */
		slots_free_all(cpu);
		cpu->frame_owner->drop_all(cpu);
	}
	if (cpu->mmu.root != cpu->slot->pgd || cpu->mmu.flags == flags)
		use(cpu);
	if (cpu->mmu.flags != flags)
		cpu_flush_all(cpu);
	return true;
}

/* The halves change: nothing that was sorted by them may stay. */
void cpu_set_kernel_base(struct cpu *cpu, uint32_t base)
{
	base &= 0xffc00000u;
	if (base == cpu->kernel_base)
		return;
	slots_free_all(cpu);
	cpu->frame_owner->drop_all(cpu);
	cpu->kernel_base = base ? base : ~PAGE_MASK;
	use(cpu);
}

static void flush_kernel_page(struct cpu *cpu, uint32_t page)
{
	struct batches batches = { 0 };

	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].pgd != SLOT_FREE)
			compare_page(cpu, &cpu->slots[i], page, LOOK_BOTH, &batches);
	batches_finish(cpu, &batches);
	codepage_compare_kernel(cpu, page);
}

static bool in_force(const struct cpu *cpu, uint32_t root)
{
	return !((cpu->mmu.root ^ root) & cpu->mmu.root_mask);
}

void cpu_flush_page(struct cpu *cpu, uint32_t pgd, uint32_t address)
{
	uint32_t page = address >> PAGE_SHIFT;

	soft_flush(cpu);
	if (in_kernel_half(cpu, page)) {
		flush_kernel_page(cpu, page);
		return;
	}
	if (!in_force(cpu, pgd))
		return;		/* compared when it is next used */
	if (cpu->stale.count == sizeof(cpu->stale.page) / sizeof(cpu->stale.page[0])) {
		settle_stale(cpu);
		cpu->slot->user_stale = true;
		cpu->stale.count = cpu->stale.kernel_done = 0;
	}
	cpu->stale.page[cpu->stale.count++] = page;
}

void cpu_flush_pgd_slot(struct cpu *cpu, uint32_t pgd, uint32_t index)
{
	soft_flush(cpu);
	if (index >= kernel_table(cpu))
		cpu_flush_all(cpu);
	else if (in_force(cpu, pgd))
		compare_range(cpu, cpu->slot, index, index + 1, LOOK_BOTH);
}

void cpu_flush_user(struct cpu *cpu)
{
	soft_flush(cpu);
	compare_user(cpu, cpu->slot);
}

void cpu_flush_all(struct cpu *cpu)
{
	soft_flush(cpu);
	for (unsigned i = 0; i < cpu->slot_count; i++)
		cpu->slots[i].kernel_stale = true;
	compare_user(cpu, cpu->slot);
	compare_kernel(cpu, cpu->slot);
	codepage_compare_all_kernel(cpu);
}
