/* SPDX-License-Identifier: MIT */
/*
 * test-walk.c - walks through tables full of chance, against the model: what they find, what they refuse and why, which bits they set.
 *
 * A few frames serve as tables of all kinds at once, so that entries of any value stand everywhere.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"
#include "model.h"

#include "cpu/x86/space/mmu.h"

enum { TABLES = 16, TABLE_BYTES = TABLES * 4096, ADDRESSES = 64 };

static struct bed *bed;
static struct model model;
static unsigned walks, faults, reserved, larges;

static uint64_t some_entry(unsigned size)
{
	uint64_t frame = bed_chance(bed, 16) ? bed_random(bed) : bed_random(bed) % (bed_chance(bed, 2) ? TABLES : BED_FRAMES);
	uint64_t entry = frame << 12 | (bed_random(bed) & 0xfff & ~0x80u) | !bed_chance(bed, 8);

	if (bed_chance(bed, 4))
		entry |= 0x80;
	if (bed_chance(bed, 2))
		entry &= ~0x1fe000ull;		/* what a large page must not have */
	if (bed_chance(bed, 2))
		entry &= ~0x200000ull;
	if (size == 8 && bed_chance(bed, 8))
		entry |= 1ull << (36 + bed_random(bed) % 28);
	if (size == 4)
		entry &= 0xffffffff;
	else if (!bed_chance(bed, 16))
		entry &= ~(0x7ffffffull << 36);
	return entry;
}

static void make_tables(unsigned size)
{
	for (unsigned at = 0; at < TABLE_BYTES; at += size) {
		uint64_t entry = some_entry(size);

		memcpy(bed->ram + at, &entry, size);
	}
}

/* PDPTEs that can be loaded, most of the time. */
static void make_pdptes(uint32_t at)
{
	for (unsigned i = 0; i < 4; i++) {
		uint64_t entry = some_entry(8) & (bed_chance(bed, 20) ? ~0ull : 0xffffffe19);

		memcpy(bed->ram + at + 8 * i, &entry, 8);
	}
}

static uint32_t some_address(void)
{
	uint32_t linear = bed_random(bed);

	return bed_chance(bed, 16) ? linear | 0xfffff000 : linear;
}

static uint32_t frame_of(const struct translation *t)
{
	return t->frame < BED_FRAMES ? (uint32_t)t->frame : frame_void(bed->cpu);
}

static void check_peek(uint32_t linear)
{
	struct translation t;
	uint32_t pte = mmu_peek(bed->cpu, linear);

	if (model_lookup(&model, linear, &t) != MODEL_NONE) {
		assert_int_equal(pte, 0);
		return;
	}
	assert_true(pte & PTE_P);
	assert_int_equal(pte >> 12, frame_of(&t));
	assert_int_equal(!!(pte & PTE_RW), t.writable);
	assert_int_equal(!!(pte & PTE_US), t.user);
	assert_int_equal(!!(pte & PTE_D), t.dirty);
	assert_int_equal(!!(pte & PTE_NX), !t.executable);
	assert_true(model.paging.mode == PAGING_OFF || !!(pte & PTE_LOCAL) == !t.global);
	larges += t.large;
}

static void check_walk(uint32_t linear)
{
	unsigned access = bed_random(bed) & 7;
	struct cpu_fault fault = { 0 };
	struct translation t;
	uint32_t pte = 0, error;
	int vector;

	if (access & MODEL_FETCH)
		access &= ~(unsigned)MODEL_WRITE;
	error = model_access(&model, linear, access, &t);
	vector = mmu_walk(bed->cpu, linear, access, &pte, &fault);
	walks++;
	assert_memory_equal(bed->ram, model.ram, TABLE_BYTES);
	if (error == MODEL_NONE) {
		assert_int_equal(vector, 0);
		assert_int_equal(pte, mmu_peek(bed->cpu, linear));
		return;
	}
	faults++;
	reserved += !!(error & PF_RESERVED);
	assert_int_equal(vector, TRAP_PF);
	assert_int_equal(fault.vector, TRAP_PF);
	assert_int_equal(fault.address, linear);
	assert_int_equal(fault.error, error);
}

static void walk_all(enum cpu_paging_mode mode)
{
	unsigned size = mode == PAGING_PAE ? 8 : 4;

	walks = faults = reserved = larges = 0;
	model = (struct model){ .ram = calloc(BED_FRAMES, 4096), .pages = BED_FRAMES };
	assert_non_null(model.ram);
	for (unsigned i = bed_rounds(1000); i; i--) {
		if (i % 32 == 0)
			make_tables(size);
		model.paging = bed_paging(bed, mode);
		model.paging.root = bed_random(bed) % TABLE_BYTES & ~31u;
		if (mode == PAGING_PAE)
			make_pdptes(model.paging.root);
		memcpy(model.ram, bed->ram, TABLE_BYTES);	/* the rest is zero for ever */
		assert_int_equal(cpu_set_paging(bed->cpu, &model.paging), model_load(&model));
		if (!model_load(&model))
			continue;
		for (unsigned k = 0; k < ADDRESSES; k++) {
			uint32_t linear = some_address();

			check_peek(linear);
			check_walk(linear);
		}
	}
	free(model.ram);
	print_message("           %u walks, %u faults, %u for reserved bits, %u large pages\n", walks, faults, reserved, larges);
}

static void paging_off(void **state)
{
	(void)state;
	walk_all(PAGING_OFF);
	assert_int_equal(faults, 0);
}

static void two_levels(void **state)
{
	(void)state;
	walk_all(PAGING_32);
	assert_true(faults && reserved && larges);
}

static void three_levels(void **state)
{
	(void)state;
	walk_all(PAGING_PAE);
	assert_true(faults && reserved && larges);
}

/* PDPTEs are read when CR3 is loaded, and only then. */
static void pdptes_are_cached(void **state)
{
	struct cpu_paging paging = { .mode = PAGING_PAE, .root = 0x20 };
	uint64_t *pdpte = (uint64_t *)(void *)(bed->ram + 0x20), *directory = (uint64_t *)(void *)(bed->ram + 0x1000);

	(void)state;
	memset(bed->ram, 0, TABLE_BYTES);
	pdpte[0] = 0x1001;
	directory[1] = 0x200000 | PTE_P | PTE_PS;
	assert_true(cpu_set_paging(bed->cpu, &paging));
	assert_int_equal(mmu_peek(bed->cpu, 0x200000) & (PTE_FRAME | PTE_P), 0x200001);
	pdpte[0] = 0;
	assert_int_equal(mmu_peek(bed->cpu, 0x200000) & (PTE_FRAME | PTE_P), 0x200001);
	assert_true(cpu_set_paging(bed->cpu, &paging));
	assert_int_equal(mmu_peek(bed->cpu, 0x200000), 0);
	pdpte[1] = 0x1003;
	assert_false(cpu_set_paging(bed->cpu, &paging));
}

static int setup(void **state)
{
	(void)state;
	bed = bed_create(2);
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
		cmocka_unit_test_setup_teardown(paging_off, setup, teardown),
		cmocka_unit_test_setup_teardown(two_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(three_levels, setup, teardown),
		cmocka_unit_test_setup_teardown(pdptes_are_cached, setup, teardown),
	};

	return cmocka_run_group_tests_name("walk", tests, NULL, NULL);
}
