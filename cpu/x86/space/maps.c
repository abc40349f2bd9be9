/* SPDX-License-Identifier: MIT */
/* maps.c - the host's mappings. See maps.h. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/x86/space/maps.h"

#include "cpu/x86/space/cost.h"
#include "cpu/x86/space/probe.h"

void *maps_zeroed(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

unsigned maps_limit(void)
{
	FILE *f = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned limit = 65530;
	char word[16];

	if (probe_forced("maps", word, sizeof(word)))
		limit = (unsigned)atoi(word);
	else if (f && fscanf(f, "%u", &limit) != 1)
		limit = 65530;
	if (f)
		fclose(f);
	return limit > 6000 ? limit - 3000 : limit / 2;
}

/* Not with stdio: see maps_zeroed(). */
unsigned maps_count(void)
{
	int fd = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
	char text[4096];
	unsigned lines = 0;
	ssize_t n;

	while (fd >= 0 && (n = read(fd, text, sizeof(text))) > 0)
		for (ssize_t i = 0; i < n; i++)
			lines += text[i] == '\n';
	if (fd >= 0)
		close(fd);
	return lines;
}

int maps_prot(enum page_state state)
{
	return state == PAGE_WRITE ? PROT_READ | PROT_WRITE : state == PAGE_READ ? PROT_READ : PROT_NONE;
}

/* Covers whole mappings, so it frees more than it takes. A window that cannot be closed must not be run in, nor left open. */
void maps_hide(uint8_t *from, uint64_t len)
{
	if (mmap(from, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0) == MAP_FAILED)
		abort();
}

/* Is the host about to run out of mappings for us? Our own count is too high; the host's is asked for before that is believed. */
static bool crowded(struct cpu *cpu)
{
	if (cpu->map_count >= cpu->map_limit)
		cpu->map_count = maps_count();
	return cpu->map_count >= cpu->map_limit;
}

/*
 * May split a mapping at both ends. If the host refuses, or soon would, the slot is emptied before the guest runs on. At the limit
 * itself nothing works any more, not even emptying a view.
 */
void maps_protect(struct cpu *cpu, struct slot *slot, uint8_t *at, size_t len, int prot)
{
	if (slot->distrusted)
		return;
	if (crowded(cpu) || mprotect(at, len, prot))
		slot->distrusted = cpu->distrust = true;
	slot->map_count += 2;
	cpu->map_count += 2;
}

static void run(struct cpu *cpu, struct batch *b, enum view view)
{
	if (b->first != b->end)
		maps_protect(cpu, b->slot, b->slot->view[view] + ((size_t)b->first << PAGE_SHIFT), (size_t)(b->end - b->first) << PAGE_SHIFT,
			     maps_prot(b->state));
	b->first = b->end = 0;
}

static void hide_along(struct slot *slot, enum view view, uint32_t first, uint32_t last)
{
	for (uint32_t page = first; page < last; page++) {
		uint32_t entry;

		if (!slot->shadow.table[page >> 10]) {
			page |= 1023;
			continue;
		}
		entry = shadow_get(&slot->shadow, page);
		if (shadow_state(entry, view) > PAGE_HIDDEN)
			shadow_set(&slot->shadow, page, shadow_with(entry, view, PAGE_HIDDEN));
	}
}

/* Can the same call change @page as well? */
static bool reaches(struct cpu *cpu, const struct batch *b, const struct slot *slot, enum view view, uint32_t page, enum page_state state)
{
	unsigned between;

	if (b->first == b->end || b->slot != slot || b->state != state || page < b->end)
		return false;
	if (page == b->end)
		return true;
	if (state != PAGE_HIDDEN)
		return false;
	between = shadow_accessible(&slot->shadow, view, b->end, page, cpu->cost->bridge + 1);
	return between <= cpu->cost->bridge;
}

void batches_add(struct cpu *cpu, struct batches *batches, struct slot *slot, enum view view, uint32_t page, enum page_state state)
{
	struct batch *b = &batches->of[view];

	cpu->stats.unmaps++;
	if (!reaches(cpu, b, slot, view, page, state)) {
		run(cpu, b, view);
		*b = (struct batch){ .slot = slot, .first = page, .state = state };
	} else if (page != b->end) {
		hide_along(slot, view, b->end, page);
	}
	b->end = page + 1;
}

void batches_finish(struct cpu *cpu, struct batches *b)
{
	for (enum view v = VIEW_KERNEL; v < VIEWS; v++)
		run(cpu, &b->of[v], v);
}
