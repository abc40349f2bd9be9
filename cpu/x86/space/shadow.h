/* SPDX-License-Identifier: MIT */
/*
 * shadow.h - what each view of an address space shows, page by page.
 *
 * The frame is in it too, so that comparing a shadow with the guest's tables finds just the pages to take away.
 */
#ifndef KENNEL_CPU_X86_SPACE_SHADOW_H
#define KENNEL_CPU_X86_SPACE_SHADOW_H

#include "cpu/x86/space/mmu.h"

enum view {
	VIEW_KERNEL, VIEW_USER, VIEWS,
	VIEW_MET = VIEWS	/* no view, but what one would show of a page that only checked accesses have met (soft.h) */
};

/* What a view does with a page: shadow entries keep two bits for each view. */
enum page_state { PAGE_NONE, PAGE_HIDDEN /* its frame is mapped, but inaccessible */, PAGE_READ, PAGE_WRITE };

/* Shadow entry: frame | states | SHADOW_CODE. Zero: we know nothing of the page and have nothing mapped. */
enum { SHADOW_CODE = 1, SHADOW_STATE = 1 /* shift: 1 kernel, 3 user, 5 met */ };

struct shadow_table {
	uint32_t entry[1024];
	uint64_t used[16];	/* which entries are not zero */
	uint64_t large[2];	/* by half: the large page (mmu_mode.large) that its entries were made under, or 0 */
	struct shadow_table *next_spare;
};

struct shadow {
	struct shadow_table *table[1024];	/* by the top ten bits of the address */
	struct shadow_table *spare;		/* all zero but for next_spare */
};

static inline enum page_state shadow_state(uint32_t entry, enum view view)
{
	return (enum page_state)(entry >> (SHADOW_STATE + 2 * view) & 3);
}

static inline uint32_t shadow_with(uint32_t entry, enum view view, enum page_state state)
{
	unsigned shift = SHADOW_STATE + 2 * view;

	return (entry & ~(3u << shift)) | (uint32_t)state << shift;
}

/* Is nothing mapped or known of a page, but that it was met? */
static inline bool shadow_is_bare(uint32_t entry)
{
	return !(shadow_with(entry, VIEW_MET, PAGE_NONE) & PAGE_MASK);
}

static inline uint32_t shadow_frame(uint32_t entry)
{
	return entry >> PAGE_SHIFT;
}

static inline uint32_t shadow_get(const struct shadow *shadow, uint32_t page)
{
	const struct shadow_table *table = shadow->table[page >> 10];

	return table ? table->entry[page & 1023] : 0;
}

struct shadow_table *shadow_new_table(struct shadow *shadow, uint32_t index);

static inline struct shadow_table *shadow_table(struct shadow *shadow, uint32_t index)
{
	return shadow->table[index] ? shadow->table[index] : shadow_new_table(shadow, index);
}

/** shadow_set - change a page's entry. Returns false, and forgets the page, when there is no memory for it. */
static inline bool shadow_set(struct shadow *shadow, uint32_t page, uint32_t entry)
{
	struct shadow_table *table = shadow_table(shadow, page >> 10);

	if (!table)
		return false;
	table->entry[page & 1023] = entry;
	if (entry)
		table->used[(page & 1023) >> 6] |= 1ull << (page & 63);
	else
		table->used[(page & 1023) >> 6] &= ~(1ull << (page & 63));
	return true;
}

/** shadow_empty - forget the tables from @first up to, not including, @last. Their memory is kept for others. */
void shadow_empty(struct shadow *shadow, uint32_t first, uint32_t last);
void shadow_destroy(struct shadow *shadow);

/**
 * shadow_accessible - how many pages from @first up to, not including, @last a view gives access to, counted up to @most
 * Pages without a table have none, so this is quick over large gaps.
 */
unsigned shadow_accessible(const struct shadow *shadow, enum view view, uint32_t first, uint32_t last, unsigned most);

#endif
