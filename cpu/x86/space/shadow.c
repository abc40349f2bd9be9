/* SPDX-License-Identifier: MIT */
/* shadow.c - what each view of an address space shows. See shadow.h. */
#include <sys/mman.h>

#include "cpu/x86/space/shadow.h"

#include "cpu/x86/space/maps.h"

struct shadow_table *shadow_new_table(struct shadow *shadow, uint32_t index)
{
	struct shadow_table *table = shadow->spare;

	if (table) {
		shadow->spare = table->next_spare;
		table->next_spare = NULL;
	} else {
		table = maps_zeroed(sizeof(*table));
	}
	return shadow->table[index] = table;
}

static void clear(struct shadow_table *table)
{
	for (unsigned group = 0; group < 16; group++) {
		for (uint64_t bits = table->used[group]; bits; bits &= bits - 1)
			table->entry[group << 6 | (unsigned)__builtin_ctzll(bits)] = 0;
		table->used[group] = 0;
	}
	table->large[0] = table->large[1] = 0;
}

/* New memory costs more than it takes to clear what is there: a process has a handful of tables, and they come and go with it. */
void shadow_empty(struct shadow *shadow, uint32_t first, uint32_t last)
{
	for (uint32_t t = first; t < last; t++) {
		struct shadow_table *table = shadow->table[t];

		if (!table)
			continue;
		clear(table);
		table->next_spare = shadow->spare;
		shadow->spare = table;
		shadow->table[t] = NULL;
	}
}

void shadow_destroy(struct shadow *shadow)
{
	shadow_empty(shadow, 0, 1024);
	while (shadow->spare) {
		struct shadow_table *next = shadow->spare->next_spare;

		munmap(shadow->spare, sizeof(*shadow->spare));
		shadow->spare = next;
	}
}

static unsigned in_group(const struct shadow_table *table, enum view view, uint32_t first, uint32_t last)
{
	uint64_t bits = table->used[(first & 1023) >> 6] & ~0ull << (first & 63);
	unsigned count = 0;

	if (last - (first & ~63u) < 64)
		bits &= ~(~0ull << (last & 63));
	for (; bits; bits &= bits - 1)
		count += shadow_state(table->entry[((first & 1023) & ~63u) + (unsigned)__builtin_ctzll(bits)], view) > PAGE_HIDDEN;
	return count;
}

unsigned shadow_accessible(const struct shadow *shadow, enum view view, uint32_t first, uint32_t last, unsigned most)
{
	unsigned count = 0;

	while (first < last && count < most) {
		const struct shadow_table *table = shadow->table[first >> 10];

		if (table)
			count += in_group(table, view, first, last);
		first = table ? (first | 63) + 1 : (first | 1023) + 1;
	}
	return count < most ? count : most;
}
