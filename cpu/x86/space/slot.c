/* SPDX-License-Identifier: MIT */
/* slot.c - rooms for address spaces. See slot.h. */
#include <stdlib.h>
#include <sys/mman.h>

#include "cpu/x86/space/slot.h"

#include "cpu/x86/space/codepage.h"
#include "cpu/x86/space/half.h"
#include "cpu/x86/space/maps.h"

#define GIB4 (1ull << 32)

uint8_t *slot_reserve_view(void)
{
	uint8_t *p = mmap(NULL, 3 * GIB4, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *view;

	if (p == MAP_FAILED)
		return NULL;
	view = (uint8_t *)(((uintptr_t)p + WINDOW_GUARD + GIB4 - 1) & ~(GIB4 - 1));
	munmap(p, (size_t)(view - WINDOW_GUARD - p));
	munmap(view + GIB4 + WINDOW_GUARD, (size_t)(p + 3 * GIB4 - (view + GIB4 + WINDOW_GUARD)));
	return view;
}

void slot_release_view(uint8_t *view)
{
	munmap(view - WINDOW_GUARD, GIB4 + 2 * WINDOW_GUARD);
}

int slots_create(struct cpu *cpu, unsigned count, const char **error)
{
	cpu->slot_count = count;
	cpu->slots = calloc(count, sizeof(*cpu->slots));
	if (!cpu->slots) {
		*error = "no memory for address spaces";
		return -1;
	}
	for (unsigned i = 0; i < count; i++) {
		struct slot *s = &cpu->slots[i];

		s->number = i;
		s->pgd = SLOT_FREE;
		s->view[VIEW_KERNEL] = slot_reserve_view();
		s->view[VIEW_USER] = slot_reserve_view();
		if (!s->view[VIEW_KERNEL] || !s->view[VIEW_USER]) {
			*error = SLOT_NO_ROOM;
			return -1;
		}
	}
	cpu->map_limit = maps_limit();
	cpu->slot = &cpu->slots[0];
	cpu->slot->pgd = MMU_LINEAR;
	mmu_set_linear(cpu, 0);
	return 0;
}

void slots_destroy(struct cpu *cpu)
{
	for (unsigned i = 0; cpu->slots && i < cpu->slot_count; i++) {
		struct slot *s = &cpu->slots[i];

		shadow_destroy(&s->shadow);
		for (enum view v = VIEW_KERNEL; v < VIEWS; v++)
			if (s->view[v])
				slot_release_view(s->view[v]);
	}
	free(cpu->slots);
}

/* --- emptying ------------------------------------------------------------------------------------------------------------- */

static void forget_maps(struct cpu *cpu, struct slot *slot)
{
	cpu->map_count -= slot->map_count < cpu->map_count ? slot->map_count : cpu->map_count;
	slot->map_count = 0;
}

static void empty_common(struct cpu *cpu, struct slot *slot)
{
	cpu->frame_owner->forget_user(cpu, slot->number);
	slot->jumps_stale = slot->user_stale = false;
	forget_maps(cpu, slot);
}

static void empty_user(struct cpu *cpu, struct slot *slot)
{
	if (slot->map_count) {
		maps_hide(slot->view[VIEW_KERNEL], cpu->kernel_base & ~PAGE_MASK);
		maps_hide(slot->view[VIEW_USER], cpu->kernel_base & ~PAGE_MASK);
	}
	shadow_empty(&slot->shadow, 0, kernel_table(cpu));
	empty_common(cpu, slot);
}

static void empty_slot(struct cpu *cpu, struct slot *slot)
{
	for (enum view v = VIEW_KERNEL; v < VIEWS; v++)
		maps_hide(slot->view[v], GIB4);
	shadow_empty(&slot->shadow, 0, 1024);
	empty_common(cpu, slot);
	slot->local.count = 0;
	slot->kernel_stale = false;
	slot->distrusted = false;
}

void slots_free_all(struct cpu *cpu)
{
	for (unsigned i = 0; i < cpu->slot_count; i++) {
		empty_slot(cpu, &cpu->slots[i]);
		cpu->slots[i].pgd = SLOT_FREE;
	}
	codepage_forget_kernel(cpu);
}

void slots_empty_distrusted(struct cpu *cpu)
{
	cpu->distrust = false;
	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].distrusted)
			empty_slot(cpu, &cpu->slots[i]);
}

/* --- choosing ------------------------------------------------------------------------------------------------------------- */

struct slot *slot_find(struct cpu *cpu, uint32_t pgd)
{
	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].pgd == pgd)
			return &cpu->slots[i];
	return NULL;
}

/* Of the slots not in force, the one that has been idle longest. @mapped: only among those that have mappings. */
static struct slot *oldest(struct cpu *cpu, bool mapped)
{
	struct slot *oldest = NULL;

	for (unsigned i = 0; i < cpu->slot_count; i++) {
		struct slot *s = &cpu->slots[i];

		if (s != cpu->slot && (s->map_count || !mapped) && (!oldest || s->last_used < oldest->last_used))
			oldest = s;
	}
	return oldest;
}

struct slot *slot_take(struct cpu *cpu, uint32_t pgd)
{
	struct slot *slot = oldest(cpu, false);

	empty_user(cpu, slot);
	slot->pgd = pgd;
	cpu->stats.slot_reuse++;
	return slot;
}

void slots_make_room(struct cpu *cpu)
{
	struct slot *slot = oldest(cpu, true);

	empty_slot(cpu, slot ? slot : cpu->slot);
	if (slot)
		slot->pgd = SLOT_FREE;
}

void slots_count_maps(struct cpu *cpu, unsigned n)
{
	cpu->slot->map_count += n;
	cpu->map_count += n;
	cpu->stats.maps++;
	if (cpu->map_count < cpu->map_limit)
		return;
	cpu->map_count = maps_count();
	while (cpu->map_count > cpu->map_limit / 2 && oldest(cpu, true)) {
		slots_make_room(cpu);
		cpu->map_count = maps_count();
	}
	if (cpu->map_count > cpu->map_limit / 2)
		slots_make_room(cpu);
}
