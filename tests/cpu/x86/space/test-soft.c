/* SPDX-License-Identifier: MIT */
/*
 * test-soft.c - what a checked access is worth: the faults that it saves are those that windows would have had, so a page counts
 * once until the guest takes it away, and an instruction that keeps meeting the same pages becomes bare again.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bed.h"

#include "cpu/x86/space/mmu.h"
#include "cpu/x86/space/cost.h"
#include "cpu/x86/space/slot.h"
#include "cpu/x86/space/soft.h"
#include "cpu/x86/space/window.h"

enum {
	DIRECTORY = 0x1000, TABLE = 0x2000,
	CODE = 0x400000, DATA = 0x410000,	/* in the one table: pages 0 and 16 */
	FIRST_FRAME = 0x100, CODE_FRAME = 0x80,
	ALL_RIGHTS = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D,
};

static struct bed *bed;

static void put_page(uint32_t linear, uint32_t entry)
{
	memcpy(bed->ram + TABLE + (linear >> 12 & 1023) * 4, &entry, 4);
}

static void map_data(unsigned pages, uint32_t frame)
{
	for (unsigned i = 0; i < pages; i++)
		put_page(DATA + i * 4096, (frame + i) << 12 | ALL_RIGHTS);
}

static void flush(uint32_t linear)
{
	cpu_flush_page(bed->cpu, DIRECTORY, linear);
	window_settle(bed->cpu);
}

static void set_cold(bool cold)
{
	bed->cpu->slot->cold = bed->cpu->cold = cold;
}

static int setup(void **state)
{
	static const struct cpu_paging paging = { .mode = PAGING_32, .root = DIRECTORY, .wp = true };
	uint32_t entry = TABLE | PTE_P | PTE_RW | PTE_US | PTE_A;

	(void)state;
	bed = bed_create(2);
	memcpy(bed->ram + DIRECTORY + (CODE >> 22) * 4, &entry, 4);
	put_page(CODE, CODE_FRAME << 12 | ALL_RIGHTS);
	map_data(64, FIRST_FRAME);
	assert_true(cpu_set_paging(bed->cpu, &paging));
	cpu_set_kernel_base(bed->cpu, 0xc0000000);
	bed->cpu->user = true;
	bed->cpu->cpl = 3;
	bed->cpu->eip = CODE;
	bed->cpu->segmented = false;
	set_cold(false);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	bed_destroy(bed);
	return 0;
}

static enum soft_result miss(bool write)
{
	struct cpu_fault fault;

	return soft_miss(bed->cpu, DATA + 8, 4 | (write ? SOFT_WRITE : 0), &fault);
}

static void once_for_each_kind_of_access(void **state)
{
	(void)state;
	assert_int_equal(miss(false), SOFT_NEW);
	assert_int_equal(miss(false), SOFT_DONE);
	assert_int_equal(miss(true), SOFT_NEW);
	assert_int_equal(miss(true), SOFT_DONE);
	assert_int_equal(miss(false), SOFT_DONE);
}

/* Two operands of one instruction whose pages share an entry: the second does not push the first out, or they would take turns for ever. */
static void not_both_of_two_that_share_an_entry(void **state)
{
	const uint32_t other = DATA + SOFT_ENTRIES * 4096;
	struct cpu_fault fault;

	(void)state;
	put_page(other, (FIRST_FRAME + 70) << 12 | ALL_RIGHTS);
	assert_int_equal(miss(false), SOFT_NEW);
	assert_int_equal(soft_miss(bed->cpu, other, 4 | SOFT_WRITE, &fault), SOFT_APART);
	assert_int_equal(bed->cpu->soft[(DATA >> 12) % SOFT_ENTRIES].read, DATA);
	bed->cpu->eip++;
	assert_int_equal(soft_miss(bed->cpu, other, 4 | SOFT_WRITE, &fault), SOFT_NEW);
}

static unsigned in_use(const struct soft_entry *entries)
{
	unsigned count = 0;

	for (unsigned i = 0; i < SOFT_ENTRIES; i++)
		count += entries[i].read != 1;
	return count;
}

/* What a system call changes. */
static void ring_0_has_entries_of_its_own(void **state)
{
	struct cpu *cpu = bed->cpu;

	(void)state;
	cpu->system_mode = true;
	miss(false);
	soft_flush_cpl(cpu, 0);
	cpu->cpl = 0;
	cpu->user = false;
	miss(false);
	soft_flush_cpl(cpu, 3);
	cpu->cpl = 3;
	assert_int_equal(in_use(cpu->soft), 1);
	assert_int_equal(in_use(cpu->soft_ring0), 1);
	soft_flush_cpl(cpu, 1);		/* whose blocks look where those of ring 3 do */
	assert_int_equal(in_use(cpu->soft), 0);
}

static void not_where_a_window_shows_it(void **state)
{
	struct cpu_fault fault;
	uint32_t frame;

	(void)state;
	assert_int_equal(window_fault(bed->cpu, DATA, false, &frame, &fault), WINDOW_MAPPED);
	assert_int_equal(miss(false), SOFT_DONE);
	bed->cpu->user = false;
	assert_int_equal(miss(false), SOFT_NEW);
}

static void again_when_the_guest_took_it_away(void **state)
{
	(void)state;
	miss(true);
	put_page(DATA, FIRST_FRAME << 12 | (ALL_RIGHTS & ~(PTE_RW | PTE_D)));
	flush(DATA);
	assert_int_equal(miss(false), SOFT_DONE);
	put_page(DATA, FIRST_FRAME << 12 | ALL_RIGHTS);
	assert_int_equal(miss(true), SOFT_NEW);
	put_page(DATA, (FIRST_FRAME + 77) << 12 | ALL_RIGHTS);
	flush(DATA);
	assert_int_equal(miss(true), SOFT_NEW);
	put_page(DATA, 0);
	flush(DATA);
	assert_int_equal(miss(true), SOFT_FAULT);
	put_page(DATA, (FIRST_FRAME + 77) << 12 | ALL_RIGHTS);
	assert_int_equal(miss(true), SOFT_NEW);
}

/* rep stosb over so many pages of data, @times times */
static void fill(unsigned pages, unsigned times)
{
	static const uint8_t code[] = { 0xf3, 0xaa };
	struct cpu *cpu = bed->cpu;
	struct cpu_fault fault;
	struct insn insn;

	assert_int_equal(decode(code, sizeof(code), &insn), DECODE_OK);
	while (times--) {
		cpu->eip = CODE;
		cpu->gpr[R_EDI] = DATA;
		cpu->gpr[R_ECX] = pages * 4096;
		while (cpu->eip == CODE)
			assert_int_equal(soft_string(cpu, &insn, &fault), 1);
	}
}

static bool is_checked(void)
{
	return soft_is_checked(bed->cpu, CODE_FRAME << 12);
}

static void check_string(void)
{
	for (unsigned i = 0; i < 10000 && !is_checked(); i++)
		soft_note_fault(bed->cpu, CODE_FRAME << 12);
	assert_true(is_checked());
}

/* Enough to be worth no fault on any host: cost.h. */
enum { MANY = 4000 };

static void a_string_over_the_same_pages(void **state)
{
	(void)state;
	check_string();
	fill(64, MANY);
	assert_false(is_checked());
}

static void a_string_over_new_pages(void **state)
{
	(void)state;
	check_string();
	for (unsigned i = 0; i < 1000; i++) {
		map_data(64, FIRST_FRAME + i % 2 * 64);
		cpu_flush_user(bed->cpu);
		fill(64, 1);
	}
	assert_true(is_checked());
}

static void patience_grows(void **state)
{
	unsigned faults = 0;

	(void)state;
	check_string();
	fill(64, MANY);
	while (!is_checked()) {
		soft_note_fault(bed->cpu, CODE_FRAME << 12);
		faults++;
	}
	assert_in_range(faults, bed->cpu->cost->check_after << 3, (bed->cpu->cost->check_after << 3) + 2);
}

/* Instructions that share a place in the table with as many as it has room for. */
enum { NEIGHBOURS = 4, NEIGHBOUR_STEP = 512, NEWCOMER = 0x180000 };

static uint32_t neighbour(unsigned i)
{
	return (CODE_FRAME << 12) + i * NEIGHBOUR_STEP;
}

static void check_neighbours(void)
{
	for (unsigned i = 0; i < NEIGHBOURS; i++)
		while (!soft_is_checked(bed->cpu, neighbour(i)))
			soft_note_fault(bed->cpu, neighbour(i));
}

static void what_programs_left_behind_makes_room(void **state)
{
	unsigned faults = 0;

	(void)state;
	check_neighbours();
	while (!soft_is_checked(bed->cpu, NEWCOMER)) {
		soft_note_fault(bed->cpu, NEWCOMER);
		assert_in_range(++faults, 1, 100);
	}
	assert_true(faults > 10);
}

static void what_goes_on_saving_faults_stays(void **state)
{
	(void)state;
	check_neighbours();
	for (unsigned i = 0; i < 1000; i++) {
		soft_note_fault(bed->cpu, NEWCOMER);
		soft_note_fault(bed->cpu, neighbour(i % NEIGHBOURS));
	}
	assert_false(soft_is_checked(bed->cpu, NEWCOMER));
	for (unsigned i = 0; i < NEIGHBOURS; i++)
		assert_true(soft_is_checked(bed->cpu, neighbour(i)));
}

/* --- cold address spaces (slot.h) --------------------------------------------------------------------------------------------- */

static const struct cpu_paging other = { .mode = PAGING_32, .root = 0x3000, .wp = true }, back = { .mode = PAGING_32, .root = DIRECTORY, .wp = true };

/* Of what a cold one meets nothing is known afterwards: no window would have had it. */
static void a_cold_one_counts_nothing(void **state)
{
	(void)state;
	set_cold(true);
	assert_int_equal(miss(true), SOFT_DONE);
	assert_int_equal(bed->cpu->soft[(DATA >> 12) % SOFT_ENTRIES].write, DATA);
	assert_int_equal(shadow_get(&bed->cpu->slot->shadow, DATA >> 12), 0);
	set_cold(false);
	soft_flush(bed->cpu);
	assert_int_equal(miss(true), SOFT_NEW);
}

static void ticks_end_it(void **state)
{
	(void)state;
	set_cold(true);
	bed->cpu->slot->met = COLD_TICKS - 1;
	window_settle(bed->cpu);
	assert_true(runs_cold(bed->cpu));
	bed->cpu->slot->met = COLD_TICKS;
	bed->cpu->user = false;
	window_settle(bed->cpu);
	assert_false(runs_cold(bed->cpu));	/* in the kernel nothing is, and nothing changes */
	assert_true(bed->cpu->slot->cold);
	bed->cpu->user = true;
	window_settle(bed->cpu);
	assert_false(bed->cpu->slot->cold || runs_cold(bed->cpu));
}

static void leave_and_come_back(void)
{
	assert_true(cpu_set_paging(bed->cpu, &other));
	assert_true(cpu_set_paging(bed->cpu, &back));
}

/* The tables of a process that has ended, and then of another: it is a slot's old acquaintance, and another address space. */
static void the_next_one_at_the_same_place_is_cold_again(void **state)
{
	struct cost cost = *bed->cpu->cost;

	(void)state;
	cost.cold_start = true;
	bed->cpu->cost = &cost;
	miss(false);
	leave_and_come_back();
	assert_false(bed->cpu->slot->cold);
	map_data(64, 0x200);		/* other frames: nothing is left of what it knew */
	leave_and_come_back();
	assert_true(bed->cpu->slot->cold && runs_cold(bed->cpu));
	assert_int_equal(bed->cpu->slot->met, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(once_for_each_kind_of_access), T(not_both_of_two_that_share_an_entry), T(ring_0_has_entries_of_its_own), T(not_where_a_window_shows_it), T(again_when_the_guest_took_it_away),
		T(a_string_over_the_same_pages), T(a_string_over_new_pages), T(patience_grows),
		T(a_cold_one_counts_nothing), T(ticks_end_it), T(the_next_one_at_the_same_place_is_cold_again),
		T(what_programs_left_behind_makes_room), T(what_goes_on_saving_faults_stays),
#undef T
	};

	return cmocka_run_group_tests_name("soft", tests, NULL, NULL);
}
