/* SPDX-License-Identifier: MIT */
/*
 * descriptor.c - the guest's GDT. There is no LDT: user selectors with the TI bit never work (lguest-core, 8.4).
 */
#include "machine/lguest/lguest.h"

enum { TI = 4, DPL_MASK = 3 << 13, DPL_1 = 1 << 13, CODE_OR_DATA = 1 << 12, ACCESSED = 1 << 8 };

/* Slots that the guest fills but that are not its own: the original host's segments, the TSS, the double-fault TSS. */
#define HOST_SLOTS (1u << 10 | 1u << 11 | 1u << 16 | 1u << 31)

void lguest_gdt_set(struct lguest *m, uint32_t slot, uint32_t low, uint32_t high)
{
	uint32_t *entry = m->gdt[slot];

	if (HOST_SLOTS & 1u << slot)
		return;
	/* What the guest meant for ring 0 is for ring 1. */
	if ((low | high) && !(high & DPL_MASK))
		high |= DPL_1;
	if (high & CODE_OR_DATA)
		high |= ACCESSED;
	if (entry[0] == low && entry[1] == high)
		return;
	entry[0] = low;
	entry[1] = high;
	cpu_descriptor_changed(m->cpu, slot << 3);
}

void lguest_gdt_reset(struct lguest *m)
{
	for (uint32_t slot = 0; slot < GDT_ENTRIES; slot++)
		lguest_gdt_set(m, slot, 0, 0);
	lguest_gdt_set(m, GDT_KERNEL_CS, 0x0000ffff, 0x00cfbb00);
	lguest_gdt_set(m, GDT_KERNEL_DS, 0x0000ffff, 0x00cfb300);
}

bool lguest_descriptor(void *opaque, uint32_t selector, uint32_t *low, uint32_t *high)
{
	const struct lguest *m = opaque;
	uint32_t slot = selector >> 3 & 0x1fff;

	if (selector & TI || slot >= GDT_ENTRIES)
		return false;
	*low = m->gdt[slot][0];
	*high = m->gdt[slot][1];
	return true;
}
