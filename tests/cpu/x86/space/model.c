/* SPDX-License-Identifier: MIT */
/* model.c - see model.h. */
#include <string.h>

#include "model.h"

/* A level of tables: where its index stands in the address, how wide entries are, and which bits a large page must not have. */
struct level {
	unsigned shift, bits, size;
	uint64_t large_reserved;	/* 0: no large pages here */
};

static const struct level levels_32[] = { { 22, 10, 4, 0x003fe000 }, { 12, 10, 4, 0 } };
static const struct level levels_pae[] = { { 21, 9, 8, 0x001fe000 }, { 12, 9, 8, 0 } };

/* Entries on the way to a page. */
struct path {
	uint64_t at[2], entry[2];
	unsigned count;
};

static uint64_t read_entry(const struct model *m, uint64_t at, unsigned size)
{
	uint64_t entry = 0;

	if (at / 4096 < m->pages)
		memcpy(&entry, m->ram + at, size);
	return entry;
}

bool model_load(struct model *m)
{
	for (unsigned i = 0; i < 4 && m->paging.mode == PAGING_PAE; i++) {
		m->pdpte[i] = read_entry(m, (m->paging.root & ~31u) + 8 * i, 8);
		if (m->pdpte[i] & 1 && m->pdpte[i] & 0xfffffff0000001e6)
			return false;
	}
	return true;
}

static bool is_reserved(const struct model *m, const struct level *level, uint64_t entry, bool large)
{
	if (large && entry & level->large_reserved)
		return true;
	if (level->size == 4)
		return false;
	return (entry >> 36 & 0x7ffffff) || (entry >> 63 && !m->paging.nx);
}

static void take_rights(struct translation *t, uint64_t entry)
{
	t->writable &= entry >> 1 & 1;
	t->user &= entry >> 2 & 1;
	t->executable &= !(entry >> 63);
}

static uint32_t descend(const struct model *m, uint32_t linear, struct translation *t, struct path *path)
{
	const struct level *levels = m->paging.mode == PAGING_PAE ? levels_pae : levels_32;
	uint64_t table = m->paging.root & ~4095u;

	*t = (struct translation){ .writable = true, .user = true, .executable = true };
	path->count = 0;
	if (m->paging.mode == PAGING_PAE) {
		if (!(m->pdpte[linear >> 30] & 1))
			return 0;
		table = m->pdpte[linear >> 30] & 0xffffff000;
	}
	for (unsigned i = 0; i < 2; i++) {
		const struct level *level = &levels[i];
		uint64_t at = table + (linear >> level->shift & ((1u << level->bits) - 1)) * level->size;
		uint64_t entry = read_entry(m, at, level->size);
		bool large = i == 0 && entry & 0x80 && (m->paging.mode == PAGING_PAE || m->paging.pse);

		if (!(entry & 1))
			return 0;
		if (is_reserved(m, level, entry, large))
			return PF_PRESENT | PF_RESERVED;
		path->at[path->count] = at;
		path->entry[path->count++] = entry;
		take_rights(t, entry);
		table = entry & 0xffffff000;
		if (i == 0 && !large)
			continue;
		t->dirty = entry >> 6 & 1;
		t->global = entry >> 8 & 1 && m->paging.pge;
		t->large = large;
		t->frame = ((table >> level->shift << level->shift) + (linear & ((1ull << level->shift) - 1))) >> 12;
		return MODEL_NONE;
	}
	return 0;
}

uint32_t model_lookup(const struct model *m, uint32_t linear, struct translation *t)
{
	struct path path;

	if (m->paging.mode == PAGING_OFF) {
		*t = (struct translation){ linear >> 12, true, true, true, true, false, false };
		return MODEL_NONE;
	}
	return descend(m, linear, t, &path);
}

static void set_bits(struct model *m, const struct path *path, unsigned i, uint8_t bits)
{
	m->ram[path->at[i]] |= bits;
}

static uint32_t error_code(const struct model *m, unsigned access, uint32_t reason)
{
	bool tells_fetches = m->paging.mode == PAGING_PAE && m->paging.nx;

	return reason | (access & MODEL_WRITE ? PF_WRITE : 0) | (access & MODEL_USER ? PF_USER : 0) |
	       (access & MODEL_FETCH && tells_fetches ? PF_FETCH : 0);
}

uint32_t model_access(struct model *m, uint32_t linear, unsigned access, struct translation *t)
{
	struct path path = { .count = 0 };
	uint32_t result;

	if (m->paging.mode == PAGING_OFF)
		return model_lookup(m, linear, t);
	result = descend(m, linear, t, &path);
	if (path.count && !(result == MODEL_NONE && path.count == 1))	/* the directory entry has been used, whatever came of it */
		set_bits(m, &path, 0, 0x20);
	if (result != MODEL_NONE)
		return error_code(m, access, result);
	if ((access & MODEL_USER && !t->user) || (access & MODEL_FETCH && !t->executable) ||
	    (access & MODEL_WRITE && !t->writable && (access & MODEL_USER || m->paging.wp)))
		return error_code(m, access, PF_PRESENT);
	set_bits(m, &path, path.count - 1, 0x20 | (access & MODEL_WRITE ? 0x40 : 0));
	return MODEL_NONE;
}
