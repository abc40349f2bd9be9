/* SPDX-License-Identifier: MIT */
/*
 * test-views.c - what windows show, against the tables, while those change.
 *
 * A guest kernel keeps the contract of a TLB: it changes tables as it likes, and until it has flushed what it changed, either state
 * may be seen. So a page is `loose` from a change until a flush that reaches it, and whatever is not loose must be right: nothing is
 * shown, and nothing can be written, that the tables do not allow, and no address of code is known that may not be fetched.
 *
 * There are a few address spaces. Two regions belong to each alone, one is global and the same in all, and one lies in the kernel
 * half but is neither: local pages, different in each space. Regions become large pages and small ones again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "model.h"
#include "touch.h"

#include "cpu/x86/cache/jump.h"
#include "cpu/x86/space/mmu.h"
#include "cpu/x86/space/window.h"

enum {
	SPACES = 4, REGIONS = 4, PAGES = 24,
	GLOBAL_REGION = 2, LOCAL_REGION = 3,
	FIRST_TABLE = 16,		/* frames below: directories; from here: the regions' tables */
	FIRST_FRAME = 1024,		/* what is mapped lies from here up; each frame holds its own number */
	KERNEL_BASE = 0xc0000000,
};

static const uint32_t region_base[REGIONS] = { 0x08000000, 0x40200000, 0xc0400000, 0xfe800000 };

static struct bed *bed;
static struct model model;
static unsigned present_space;
static unsigned filled, refused, shown, hidden, ran;

/*
 * What the guest has changed and not flushed. Global regions have one copy, [0]. A page that was part of a large one until then is
 * flushed with any other of that.
 */
enum { TIGHT = 0, WAS_SMALL = 1, WAS_LARGE = 2 };
static unsigned loose[SPACES][REGIONS][PAGES];
/* The translation in force when the processor last might have cached it was global. */
static bool was_global[PAGES];

static unsigned keeper(unsigned space, unsigned region)
{
	return region == GLOBAL_REGION ? 0 : space;
}

static bool pae(void)
{
	return model.paging.mode == PAGING_PAE;
}

/* --- tables ---------------------------------------------------------------------------------------------------------------- */

static uint32_t address_of(unsigned region, unsigned page)
{
	return region_base[region] + page * 4096;
}

/* Spaces: a PDPT and four directories each, or one directory. */
static uint32_t directory_of(unsigned space, unsigned quarter)
{
	return pae() ? (2 + space * 2 + (quarter == 3)) * 4096 : (2 + space) * 4096;
}

static uint32_t root_of(unsigned space)
{
	return pae() ? 0x1000 + space * 32 : directory_of(space, 0);
}

static uint32_t table_of(unsigned space, unsigned region)
{
	return (uint32_t)(FIRST_TABLE + keeper(space, region) * REGIONS + region) * 4096;
}

static void put(uint32_t at, uint64_t entry)
{
	memcpy(bed->ram + at, &entry, pae() ? 8 : 4);
}

static uint32_t directory_entry(unsigned space, unsigned region)
{
	uint32_t linear = region_base[region];

	return pae() ? directory_of(space, linear >> 30) + (linear >> 21 & 511) * 8 : directory_of(space, 0) + (linear >> 22) * 4;
}

static uint32_t table_entry(unsigned space, unsigned region, unsigned page)
{
	uint32_t linear = address_of(region, page);

	return table_of(space, region) + (pae() ? (linear >> 12 & 511) * 8 : (linear >> 12 & 1023) * 4);
}

static uint64_t some_rights(unsigned region)
{
	uint64_t rights = bed_random(bed) & (PTE_RW | PTE_US | PTE_A | PTE_D);

	if (region == GLOBAL_REGION && !bed_chance(bed, 6))
		rights |= PTE_G;
	if (pae() && model.paging.nx && bed_chance(bed, 4))
		rights |= 1ull << 63;
	return rights;
}

static uint64_t some_frame(unsigned page)
{
	if (bed_chance(bed, 24))
		return BED_FRAMES + bed_random(bed) % 4096;
	return bed_chance(bed, 2) ? FIRST_FRAME + 100 + page : FIRST_FRAME + bed_random(bed) % 64;
}

static void loosen(unsigned space, unsigned region, unsigned page, unsigned how)
{
	loose[keeper(space, region)][region][page] |= how;
}

static void change_page(unsigned space, unsigned region, unsigned page)
{
	uint64_t entry = some_frame(page) << 12 | some_rights(region) | !bed_chance(bed, 4);

	put(table_entry(space, region, page), entry);
	loosen(space, region, page, WAS_SMALL);
}

/* For the global region, in all spaces: their kernel halves are the same. */
static void put_directory_entry(unsigned space, unsigned region, uint64_t entry)
{
	bool large = bed->ram[directory_entry(space, region)] & PTE_PS;

	for (unsigned s = 0; s < SPACES; s++)
		if (s == space || region == GLOBAL_REGION)
			put(directory_entry(s, region), entry);
	for (unsigned page = 0; page < PAGES; page++)
		loosen(space, region, page, large ? WAS_LARGE : WAS_SMALL);
}

static void change_region(unsigned space, unsigned region)
{
	uint64_t rights = some_rights(region) | PTE_P;

	if ((pae() || model.paging.pse) && bed_chance(bed, 2)) {
		put_directory_entry(space, region, (bed_chance(bed, 8) ? 0x40000000 : FIRST_FRAME << 12) | rights | PTE_PS);
		return;
	}
	put_directory_entry(space, region, table_of(space, region) | PTE_P | PTE_RW | PTE_US | (rights & PTE_A));
}

/* --- flushes --------------------------------------------------------------------------------------------------------------- */

static bool is_global(unsigned region, unsigned page)
{
	struct translation t;

	return model_lookup(&model, address_of(region, page), &t) == MODEL_NONE && t.global;
}

static void tighten(unsigned region, bool global_too)
{
	for (unsigned page = 0; page < PAGES; page++)
		if (global_too || region != GLOBAL_REGION || !was_global[page])
			loose[keeper(present_space, region)][region][page] = TIGHT;
}

static void load_root(unsigned space)
{
	present_space = space;
	model.paging.root = root_of(space);
	assert_true(model_load(&model));
	assert_true(cpu_set_paging(bed->cpu, &model.paging));
	for (unsigned region = 0; region < REGIONS; region++)
		tighten(region, false);
}

/* As writing CR4.PGE twice. */
static void flush_all(void)
{
	for (unsigned i = 0; i < 2; i++) {
		model.paging.pge = !model.paging.pge;
		assert_true(cpu_set_paging(bed->cpu, &model.paging));
	}
	for (unsigned region = 0; region < REGIONS; region++)
		tighten(region, true);
}

static void flush_page(unsigned region, unsigned page)
{
	unsigned *these = loose[keeper(present_space, region)][region];

	cpu_flush_page(bed->cpu, model.paging.root, address_of(region, page));
	these[page] = TIGHT;
	for (unsigned i = 0; i < PAGES; i++)
		these[i] &= ~(unsigned)WAS_LARGE;
}

/* --- looking --------------------------------------------------------------------------------------------------------------- */

static uint32_t content_of(uint64_t frame)
{
	return frame < BED_FRAMES ? (uint32_t)frame : ~0u;
}

/* Each space has a directory entry of its own for a global large page, and writing through one marks that only. */
static bool is_dirty(unsigned region, const struct translation *t)
{
	bool dirty = t->dirty;

	for (unsigned space = 0; t->large && region == GLOBAL_REGION && space < SPACES; space++)
		dirty |= !!(bed->ram[directory_entry(space, region)] & PTE_D);
	return dirty;
}

static void check_view(enum view view, unsigned region, unsigned page)
{
	const uint8_t *at = bed->cpu->slot->view[view] + address_of(region, page);
	struct translation t;
	bool there = model_lookup(&model, address_of(region, page), &t) == MODEL_NONE;
	uint32_t value;

	if (!readable(at, &value)) {
		hidden++;
		return;
	}
	shown++;
	assert_true(there);
	assert_true(view == VIEW_KERNEL || t.user);
	assert_int_equal(value, content_of(t.frame));
	if (!writable(at, value))
		return;
	assert_true(t.frame < BED_FRAMES);
	assert_true(is_dirty(region, &t));
	assert_true(t.writable || (view == VIEW_KERNEL && !model.paging.wp));
}

static struct jump_table *user_table(void)
{
	return bed->cpu->user_tables[bed->cpu->slot->number];
}

/* Code of a page of the kernel's or the process's own is known to the jump table of that CPL: is it still to be run? */
static void check_code(unsigned region, unsigned page)
{
	bool kernel = region >= GLOBAL_REGION;
	uint32_t linear = address_of(region, page);
	uint32_t host = jump_lookup(kernel ? bed->cpu->kernel_table : user_table(), linear, page % BLOCK_DEPTHS);
	struct translation t;

	if (!host)
		return;
	ran++;
	assert_int_equal(model_lookup(&model, linear, &t), MODEL_NONE);
	assert_int_equal(t.frame, host);
	assert_true(t.executable);
	assert_true(kernel || t.user);
}

static void check_all(void)
{
	window_settle(bed->cpu);
	window_enter(bed->cpu);
	for (unsigned region = 0; region < REGIONS; region++)
		for (unsigned page = 0; page < PAGES; page++) {
			if (loose[keeper(present_space, region)][region][page])
				continue;
			check_view(VIEW_KERNEL, region, page);
			if (!bed->cpu->user)
				continue;
			check_view(VIEW_USER, region, page);
			check_code(region, page);
		}
}

/* --- using ----------------------------------------------------------------------------------------------------------------- */

static void note_cached(void)
{
	for (unsigned page = 0; page < PAGES; page++)
		was_global[page] |= is_global(GLOBAL_REGION, page);
}

/* Touch a page as translated code would; with a page not loose, the processor has no choice in what happens. */
static void touch(unsigned region, unsigned page)
{
	uint32_t linear = address_of(region, page), frame = 0, value = 0;
	bool write = bed_chance(bed, 2);
	struct cpu_fault fault = { 0 };
	struct translation t;
	uint32_t error;
	enum window_result result;

	/* The processor walks first: the tables are the same memory, and the bits it sets do not change the model's answer. */
	result = window_fault(bed->cpu, linear, write, &frame, &fault);
	error = model_access(&model, linear, (write ? MODEL_WRITE : 0) | (bed->cpu->user ? MODEL_USER : 0), &t);
	if (error != MODEL_NONE) {
		refused++;
		assert_int_equal(result, WINDOW_FAULT);
		assert_int_equal(fault.error, error);
		assert_int_equal(fault.address, linear);
		return;
	}
	if (write && t.frame >= BED_FRAMES) {
		assert_int_equal(result, WINDOW_VOID);
		return;
	}
	filled++;
	assert_int_equal(result, WINDOW_MAPPED);
	assert_true(readable(bed->cpu->slot->view[bed->cpu->user ? VIEW_USER : VIEW_KERNEL] + linear, &value));
	assert_int_equal(value, content_of(t.frame));
	assert_true(!write || writable(bed->cpu->slot->view[bed->cpu->user ? VIEW_USER : VIEW_KERNEL] + linear, value));
}

/* Fetch, and let the jump table know the frame instead of host code. */
static void fetch(unsigned region, unsigned page)
{
	uint32_t linear = address_of(region, page), physical;
	struct cpu_fault fault = { 0 };

	if (bed->cpu->user != (region < GLOBAL_REGION) || mmu_fetch(bed->cpu, linear, &physical, NULL, &fault))
		return;
	jump_enter(region < GLOBAL_REGION ? user_table() : bed->cpu->kernel_table, linear, page % BLOCK_DEPTHS,
		   physical >> 12);
}

static void some_change(void)
{
	unsigned region = bed_random(bed) % REGIONS, space = bed_random(bed) % SPACES;

	if (region == GLOBAL_REGION)
		space = present_space;
	if (bed_chance(bed, 24))
		change_region(space, region);
	else
		change_page(space, region, bed_random(bed) % PAGES);
}

static void some_flush(void)
{
	switch (bed_random(bed) % 16) {
	case 0:
		flush_all();
		break;
	case 1: case 2:
		load_root(bed_random(bed) % SPACES);
		break;
	case 3: case 4:
		load_root(present_space);
		break;
	default:
		flush_page(bed_random(bed) % REGIONS, bed_random(bed) % PAGES);
	}
}

static void some_use(void)
{
	unsigned region = bed_random(bed) % REGIONS, page = bed_random(bed) % PAGES;

	bed->cpu->user = bed_chance(bed, 2);
	bed->cpu->cpl = bed->cpu->user ? 3 : 0;
	window_settle(bed->cpu);
	if (bed_chance(bed, 3))
		fetch(region, page);
	else
		touch(region, page);
}

/* --- the tests ------------------------------------------------------------------------------------------------------------- */

static void number_frames(void)
{
	memset(bed->ram, 0, (size_t)BED_FRAMES * 4096);
	for (uint32_t frame = FIRST_FRAME; frame < BED_FRAMES; frame++)
		memcpy(bed->ram + (size_t)frame * 4096, &frame, 4);
}

static void build(void)
{
	number_frames();
	for (unsigned space = 0; space < SPACES; space++) {
		for (unsigned quarter = 0; pae() && quarter < 4; quarter++)
			put(root_of(space) + quarter * 8, directory_of(space, quarter) | 1);
		for (unsigned region = 0; region < REGIONS; region++)
			change_region(space, region);
	}
	memset(loose, 0, sizeof(loose));
	memset(was_global, 0, sizeof(was_global));
}

static void views(enum cpu_paging_mode mode)
{
	filled = refused = shown = hidden = ran = 0;
	for (unsigned i = 0; i < bed_rounds(60000); i++) {
		if (i % 6000 == 0) {
			model = (struct model){ .paging = bed_paging(bed, mode), .ram = bed->ram, .pages = BED_FRAMES };
			model.paging.pge = !bed_chance(bed, 4);
			build();
			load_root(0);
			cpu_set_kernel_base(bed->cpu, KERNEL_BASE);
			flush_all();
		}
		if (bed_chance(bed, 2))
			some_change();
		if (bed_chance(bed, 3))
			some_flush();
		some_use();
		note_cached();
		if (i % 16 == 0)
			check_all();
	}
	print_message("           %u filled, %u refused; %u pages shown, %u hidden; %u known as code\n", filled, refused, shown, hidden, ran);
	assert_true(filled && refused && shown && hidden && ran);
}

static void two_levels(void **state)
{
	(void)state;
	views(PAGING_32);
}

static void three_levels(void **state)
{
	(void)state;
	views(PAGING_PAE);
}

static int setup(void **state)
{
	(void)state;
	bed = bed_create(3);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_destroy(bed);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(two_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(three_levels, setup, teardown),
	};

	return cmocka_run_group_tests_name("views", tests, NULL, NULL);
}
