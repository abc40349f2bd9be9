/* SPDX-License-Identifier: MIT */
/* fill.c - what the tables allow appears in a view. See fill.h. */
#include <sys/mman.h>

#include "cpu/x86/space/fill.h"

#include "cpu/x86/space/codepage.h"
#include "cpu/x86/space/compare.h"
#include "cpu/x86/space/half.h"
#include "cpu/x86/space/maps.h"
#include "cpu/x86/space/warm.h"

enum { RUN_USER = 16, RUN_KERNEL = 16384 };

/* The state a page gets in a view when mapped for an access that the tables allow. */
static enum page_state wanted_state(const struct cpu *cpu, enum view view, uint32_t pte)
{
	return mmu_needed_to_write(cpu, view == VIEW_USER) & ~pte || cpu->frames[pte >> PAGE_SHIFT].code ? PAGE_READ : PAGE_WRITE;
}

/* Could @page be mapped along with @first, @distance pages away, by the same call? */
static bool joins_run(const struct cpu *cpu, enum view view, uint32_t page, uint32_t first_pte, int distance, enum page_state state)
{
	uint32_t pte = mmu_peek(cpu, page << PAGE_SHIFT);

	return pte & PTE_A && (pte & PTE_FRAME) == (first_pte & PTE_FRAME) + (uint32_t)distance * PAGE_SIZE &&
	       !((pte ^ first_pte) & PTE_LOCAL) && wanted_state(cpu, view, pte) == state && (view == VIEW_KERNEL || pte & PTE_US) &&
	       shadow_is_bare(shadow_get(&cpu->slot->shadow, page));
}

static void note_mapped(struct cpu *cpu, enum view view, uint32_t page, uint32_t frame, enum page_state state)
{
	uint32_t entry = shadow_get(&cpu->slot->shadow, page);

	if (shadow_frame(entry) != frame)
		entry = frame << PAGE_SHIFT;
	shadow_set(&cpu->slot->shadow, page, shadow_with(entry, view, state));
	if (state == PAGE_WRITE)
		codepage_note_writer(cpu, cpu->slot, page, frame);
}

void fill_drop_other_frame(struct cpu *cpu, uint32_t page, uint32_t pte)
{
	struct batches batches = { 0 };
	uint32_t entry = shadow_get(&cpu->slot->shadow, page);

	if (!entry || !((entry ^ pte) & PTE_FRAME))
		return;
	compare_page(cpu, cpu->slot, page, LOOK_BOTH, &batches);
	batches_finish(cpu, &batches);
	shadow_set(&cpu->slot->shadow, page, 0);
}

/* Put a run of frames into a view. */
static bool map_frames(struct cpu *cpu, uint8_t *at, uint32_t first, uint32_t count, enum page_state state)
{
	bool nothing = first == frame_void(cpu);
	int flags = MAP_SHARED | MAP_FIXED | (count <= (cpu->cost->pieces ? WARM_PIECE : RUN_USER * 2) ? MAP_POPULATE : 0);

	return mmap(at, (size_t)count << PAGE_SHIFT, maps_prot(state), flags, nothing ? cpu->void_fd : cpu->ram.fd,
		    nothing ? 0 : (off_t)first << PAGE_SHIFT) != MAP_FAILED;
}

/* Large pages that a run lies in: what was made under others goes first, since it may be hidden by a call that covers the run as well. */
static void compare_run(struct cpu *cpu, uint32_t first, uint32_t count)
{
	for (uint32_t i = 0; i < count; i = ((first + i) | 511) + 1 - first)
		compare_large(cpu, first + i);
}

/* What the shadow says of a run now, and what depends on it. */
static void note_run(struct cpu *cpu, enum view view, uint32_t first, uint32_t count, uint32_t first_pte, enum page_state state)
{
	for (uint32_t i = 0; i < count; i++) {
		note_mapped(cpu, view, first + i, (first_pte >> PAGE_SHIFT) + i, state);
		if (first_pte & PTE_LOCAL && in_kernel_half(cpu, first))
			local_note(&cpu->slot->local, first + i);
	}
}

static void map_run(struct cpu *cpu, enum view view, uint32_t page, uint32_t pte, enum page_state state)
{
	bool kernel = in_kernel_half(cpu, page);
	int most = kernel ? RUN_KERNEL : RUN_USER, before = 0, after = 1;
	uint32_t start = kernel ? kernel_page(cpu) : 0, limit = kernel ? 1u << 20 : kernel_page(cpu);
	uint32_t first, count;

	if (cpu->mmu.mode->flat)
		most = RUN_KERNEL;
	if (cpu->cost->pieces) {	/* of which the host maps each page now */
		if (start < (page & ~(WARM_PIECE - 1u)))
			start = page & ~(WARM_PIECE - 1u);
		if (limit > (page | (WARM_PIECE - 1u)) + 1)
			limit = (page | (WARM_PIECE - 1u)) + 1;
	}
	while (after < most && page + (uint32_t)after < limit && joins_run(cpu, view, page + (uint32_t)after, pte, after, state))
		after++;
	while (before < most && page - (uint32_t)before > start &&
	       joins_run(cpu, view, page - (uint32_t)before - 1, pte, -before - 1, state))
		before++;
	first = page - (uint32_t)before;
	count = (uint32_t)(before + after);
	pte -= (uint32_t)before << PAGE_SHIFT;
	compare_run(cpu, first, count);
	if (!map_frames(cpu, cpu->slot->view[view] + ((size_t)first << PAGE_SHIFT), pte >> PAGE_SHIFT, count, state)) {
		maps_hide(cpu->slot->view[view] + ((size_t)first << PAGE_SHIFT), (size_t)count << PAGE_SHIFT);
		slots_make_room(cpu);	/* and the guest faults again */
		return;
	}
	note_run(cpu, view, first, count, pte, state);
	slots_count_maps(cpu, 2);
}

void fill_page(struct cpu *cpu, enum view view, uint32_t page, uint32_t pte)
{
	enum page_state state = wanted_state(cpu, view, pte);
	uint32_t entry;

	fill_drop_other_frame(cpu, page, pte);
	entry = shadow_get(&cpu->slot->shadow, page);
	if (shadow_state(entry, view) != PAGE_NONE) {
		compare_run(cpu, page, 1);
		maps_protect(cpu, cpu->slot, cpu->slot->view[view] + ((size_t)page << PAGE_SHIFT), PAGE_SIZE, maps_prot(state));
		note_run(cpu, view, page, 1, pte, state);
		return;
	}
	map_run(cpu, view, page, pte, state);
}

bool fill_awaited(struct cpu *cpu)
{
	uint32_t pte = mmu_peek(cpu, cpu->fault_page << PAGE_SHIFT);
	enum view view = cpu->fault_user ? VIEW_USER : VIEW_KERNEL;
	uint32_t needs = PTE_A | (cpu->fault_user ? PTE_US : 0) | (cpu->fault_write ? mmu_needed_to_write(cpu, cpu->fault_user) : 0);

	if (needs & ~pte || (cpu->fault_write && cpu->frames[pte >> PAGE_SHIFT].code))
		return false;
	fill_page(cpu, view, cpu->fault_page, pte);
	return true;
}
