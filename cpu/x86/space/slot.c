/* SPDX-License-Identifier: MIT */
/* slot.c - rooms for address spaces. See slot.h. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/x86/space/slot.h"

#include "cpu/x86/space/codepage.h"
#include "cpu/x86/space/cost.h"
#include "cpu/x86/space/half.h"
#include "cpu/x86/space/maps.h"
#include "cpu/x86/space/probe.h"

#define GIB4 (1ull << 32)

static size_t view_room(const struct cpu *cpu)
{
	return GIB4 + 2 * window_guard(cpu);
}

static uint8_t *reserve(void *hint, size_t size)
{
	uint8_t *p = mmap(hint, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

static bool well_placed(const struct cpu *cpu, const uint8_t *p)
{
	return !(((uintptr_t)p + window_guard(cpu)) & (GIB4 - 1));
}

/*
 * Never more than is needed, not even for a moment: there may be a limit on address space. The host is asked where it has room, and from
 * there down for the next multiple. (Mappings grow down on Linux, so that the first is free.)
 */
uint8_t *slot_reserve_view(const struct cpu *cpu)
{
	enum { TRIES = 1024 };
	size_t guard = window_guard(cpu), room = view_room(cpu);
	uint8_t *p = reserve(NULL, room), *hint;

	hint = (uint8_t *)((((uintptr_t)p + guard) & ~(GIB4 - 1)) - guard);
	for (unsigned i = 0; p && !well_placed(cpu, p) && i < TRIES && (uintptr_t)hint > GIB4; i++, hint -= GIB4) {
		munmap(p, room);
		p = reserve(hint, room);
	}
	if (!p)
		return NULL;
	if (!well_placed(cpu, p)) {
		munmap(p, room);
		return NULL;
	}
	return p + guard;
}

void slot_release_view(const struct cpu *cpu, uint8_t *view)
{
	munmap(view - window_guard(cpu), view_room(cpu));
}

static void release(const struct cpu *cpu, struct slot *s)
{
	if (s->view[VIEW_USER] && s->view[VIEW_USER] != s->view[VIEW_KERNEL])
		slot_release_view(cpu, s->view[VIEW_USER]);
	if (s->view[VIEW_KERNEL])
		slot_release_view(cpu, s->view[VIEW_KERNEL]);
}

static bool make(const struct cpu *cpu, struct slot *s, bool shared)
{
	*s = (struct slot){ .pgd = SLOT_FREE, .number = (unsigned)(s - cpu->slots) };
	s->view[VIEW_KERNEL] = slot_reserve_view(cpu);
	s->view[VIEW_USER] = shared ? s->view[VIEW_KERNEL] : slot_reserve_view(cpu);
	if (s->view[VIEW_KERNEL] && s->view[VIEW_USER])
		return true;
	release(cpu, s);
	return false;
}

/*
 * As many as are wanted, or as there is room for. Where addresses are limited, the rest of the process needs some too: stacks of
 * threads, shadows, what libraries allocate. If not even one slot fits, it makes do with one window.
 */
static unsigned make_some(struct cpu *cpu, unsigned wanted)
{
	char word[8];
	bool forced = probe_forced("windows", word, sizeof(word)) && !strcmp(word, "one");
	static const struct { size_t rest; bool shared; } plans[] = { { 512 << 20, false }, { 128 << 20, false }, { 128 << 20, true } };
	unsigned count = 0;

	for (unsigned i = forced ? 2 : 0; i < sizeof(plans) / sizeof(plans[0]) && !count; i++) {
		uint8_t *rest = reserve(NULL, plans[i].rest);

		cpu->one_window = plans[i].shared;
		while (rest && count < wanted && make(cpu, &cpu->slots[count], cpu->one_window))
			count++;
		if (rest)
			munmap(rest, plans[i].rest);
	}
	return count;
}

/* Half of the limit is what is left after room has been made: besides what the process has by itself, a view needs some. */
enum { MAPS_LEAST = 64 };

int slots_create(struct cpu *cpu, unsigned count, const char **error)
{
	cpu->slots = calloc(count, sizeof(*cpu->slots));
	if (!cpu->slots) {
		*error = "no memory for address spaces";
		return -1;
	}
	cpu->slot_count = make_some(cpu, count);
	if (!cpu->slot_count) {
		*error = SLOT_NO_ROOM;
		return -1;
	}
	cpu->map_limit = maps_limit();
	if (cpu->map_limit < 2 * (maps_count() + MAPS_LEAST)) {
		*error = "this host allows a process too few mappings (vm.max_map_count)";
		return -1;
	}
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
		release(cpu, s);
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

void slot_begin(struct cpu *cpu, struct slot *slot)
{
	slot->cold = cpu->cost->cold_start;
	slot->met = 0;
}

struct slot *slot_take(struct cpu *cpu, uint32_t pgd)
{
	struct slot *slot = cpu->slot_count > 1 ? oldest(cpu, false) : cpu->slot;

	empty_user(cpu, slot);
	slot->pgd = pgd;
	slot_begin(cpu, slot);
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
