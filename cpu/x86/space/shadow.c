/* SPDX-License-Identifier: MIT */
/* shadow.c - what each view of an address space shows. See shadow.h. */
#include <sys/mman.h>

#include "cpu/x86/space/shadow.h"

#include "cpu/x86/space/maps.h"

struct shadow_table *shadow_new_table(struct shadow *shadow, uint32_t index)
{
	return shadow->table[index] = maps_zeroed(sizeof(struct shadow_table));
}

void shadow_empty(struct shadow *shadow, uint32_t first, uint32_t last)
{
	for (uint32_t t = first; t < last; t++) {
		if (shadow->table[t])
			munmap(shadow->table[t], sizeof(struct shadow_table));
		shadow->table[t] = NULL;
	}
}
