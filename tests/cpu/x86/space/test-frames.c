/* SPDX-License-Identifier: MIT */
/*
 * test-frames.c - what whoever keeps code hears of the frames it was made from. There is no code cache here: space is linked without
 * one, and someone takes its place who writes down what he is told.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "touch.h"

#include "cpu/x86/space/codepage.h"
#include "cpu/x86/space/cost.h"
#include "cpu/x86/space/reach.h"
#include "cpu/x86/space/soft.h"
#include "cpu/x86/space/void.h"
#include "cpu/x86/space/window.h"

enum {
	FRAMES = 2048, SLOTS = 2, SPACES = 3,
	TABLE = 0x8000, KERNEL_TABLE = 0x9000,	/* the same in all spaces, whose directories lie below, from 0x1000 */
	CODE = 0x400000, DATA = 0x410000, ALIAS = 0x420000, NOWHERE = 0x430000, KERNEL_CODE = 0xc0010000,
	CODE_FRAME = 0x80, KERNEL_FRAME = 0x90, OTHER_FRAME = 0xa0, DATA_FRAME = 0x100,
	ALL_RIGHTS = PTE_P | PTE_RW | PTE_US | PTE_A | PTE_D,
};

static struct cpu *cpu;
static uint8_t *ram;

/* --- the owner --------------------------------------------------------------------------------------------------------------- */

enum news { WRITTEN, DROP_FRAME, DROP_AT, DROP_ALL, FORGET_KERNEL_PAGE, FORGET_KERNEL, FORGET_USER };

static struct {
	enum news news;
	uint32_t what, word;	/* @word: the frame's first, as it was when it was said to be written */
} heard[16];
static unsigned heard_count;

static void hear(enum news news, uint32_t what, uint32_t word)
{
	assert_in_range(heard_count, 0, sizeof(heard) / sizeof(heard[0]) - 1);
	heard[heard_count].news = news;
	heard[heard_count].what = what;
	heard[heard_count++].word = word;
}

static uint32_t first_word(uint32_t frame)
{
	uint32_t word;

	memcpy(&word, ram + frame * PAGE_SIZE, 4);
	return word;
}

static void written(struct cpu *c, uint32_t number)
{
	c->frames[number].code = 0;
	hear(WRITTEN, number, first_word(number));
}

static void drop_frame(struct cpu *c, uint32_t number)
{
	c->frames[number].code = 0;
	hear(DROP_FRAME, number, 0);
}

static void drop_at(struct cpu *c, uint32_t physical)
{
	(void)c;
	hear(DROP_AT, physical, 0);
}

static void drop_all(struct cpu *c)
{
	(void)c;
	hear(DROP_ALL, 0, 0);
}

static void forget_kernel_page(struct cpu *c, uint32_t page)
{
	(void)c;
	hear(FORGET_KERNEL_PAGE, page, 0);
}

static void forget_kernel(struct cpu *c)
{
	(void)c;
	hear(FORGET_KERNEL, 0, 0);
}

static void forget_user(struct cpu *c, unsigned slot)
{
	(void)c;
	hear(FORGET_USER, slot, 0);
}

static const struct frame_owner owner = {
	.written = written,
	.drop_frame = drop_frame,
	.drop_at = drop_at,
	.drop_all = drop_all,
	.forget_kernel_page = forget_kernel_page,
	.forget_kernel = forget_kernel,
	.forget_user = forget_user,
};

/* Of all that was heard since the last time: just this. */
static void assert_heard(enum news news, uint32_t what)
{
	assert_int_equal(heard_count, 1);
	assert_int_equal(heard[0].news, news);
	assert_int_equal(heard[0].what, what);
	heard_count = 0;
}

static void assert_heard_among_others(enum news news, uint32_t what)
{
	bool found = false;

	for (unsigned i = 0; i < heard_count; i++)
		found |= heard[i].news == news && heard[i].what == what;
	assert_true(found);
	heard_count = 0;
}

/* --- the guest --------------------------------------------------------------------------------------------------------------- */

static uint32_t directory(unsigned space)
{
	return 0x1000 + space * PAGE_SIZE;
}

static void put(uint32_t at, uint32_t entry)
{
	memcpy(ram + at, &entry, 4);
}

static void put_page(uint32_t linear, uint32_t frame, uint32_t rights)
{
	put((linear < KERNEL_CODE ? TABLE : KERNEL_TABLE) + (linear >> 12 & 1023) * 4, frame << 12 | rights);
}

static void load(unsigned space)
{
	const struct cpu_paging paging = { .mode = PAGING_32, .root = directory(space), .wp = true, .pge = true };

	assert_true(cpu_set_paging(cpu, &paging));
}

static void flush(uint32_t linear)
{
	cpu_flush_page(cpu, directory(0), linear);
	window_settle(cpu);
}

static void as_user(bool user)
{
	cpu->user = user;
	cpu->cpl = user ? 3 : 0;
}

static enum window_result touch(uint32_t linear, bool write)
{
	struct cpu_fault fault;
	uint32_t frame;

	return window_fault(cpu, linear, write, &frame, &fault);
}

static void fetch(uint32_t linear)
{
	struct cpu_fault fault;
	uint32_t physical;

	assert_int_equal(mmu_fetch(cpu, linear, &physical, NULL, &fault), 0);
}

static bool shown(enum view view, uint32_t linear)
{
	uint32_t value;

	return readable(cpu->slot->view[view] + linear, &value);
}

static bool shown_to_write(enum view view, uint32_t linear)
{
	return writable(cpu->slot->view[view] + linear, first_word(DATA_FRAME));
}

static struct cost cost;

static int setup(void **state)
{
	const char *error = "";
	int fd = memfd_create("frames", MFD_CLOEXEC);

	(void)state;
	assert_int_equal(ftruncate(fd, FRAMES * PAGE_SIZE), 0);
	ram = mmap(NULL, FRAMES * PAGE_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(ram, MAP_FAILED);
	cpu = mmap(NULL, sizeof(*cpu), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(cpu, MAP_FAILED);
	cpu->ram = (struct cpu_ram){ .fd = fd, .base = ram, .pages = FRAMES };
	cost = *cost_of_host();
	cost.cold_start = false;
	cpu->cost = &cost;
	cpu->reach = reach_choose(&error);
	assert_non_null(cpu->reach);
	cpu->kernel_base = ~PAGE_MASK;
	cpu->translation_age = 1;
	if (frames_create(cpu, &owner, codepage_protect, &error) || window_create(cpu, SLOTS, &error) || void_create(cpu, &error) ||
	    soft_create(cpu))
		fail_msg("%s", error);
	for (unsigned space = 0; space < SPACES; space++) {
		put(directory(space) + (CODE >> 22) * 4, TABLE | ALL_RIGHTS);
		put(directory(space) + (KERNEL_CODE >> 22) * 4, KERNEL_TABLE | ALL_RIGHTS);
	}
	put_page(CODE, CODE_FRAME, ALL_RIGHTS);
	put_page(KERNEL_CODE, KERNEL_FRAME, ALL_RIGHTS | PTE_G);
	put_page(ALIAS, DATA_FRAME, ALL_RIGHTS);
	put_page(NOWHERE, FRAMES + 7, ALL_RIGHTS);
	for (unsigned i = 0; i < 8; i++)
		put_page(DATA + i * PAGE_SIZE, DATA_FRAME + i, ALL_RIGHTS);
	load(0);
	cpu_set_kernel_base(cpu, 0xc0000000);
	as_user(true);
	heard_count = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	soft_destroy(cpu);
	void_destroy(cpu);
	window_destroy(cpu);
	frames_destroy(cpu);
	close(cpu->ram.fd);
	munmap(cpu, sizeof(*cpu));
	munmap(ram, FRAMES * PAGE_SIZE);
	return 0;
}

/* --- the tests --------------------------------------------------------------------------------------------------------------- */

static void write_from_c(uint32_t linear, uint32_t len)
{
	static const uint8_t bytes[8] = { 1, 2, 3, 4, 5, 6, 7, 8 };
	struct cpu_fault fault;

	assert_int_equal(cpu_write(cpu, linear, bytes, len, true, &fault), 0);
}

static void c_writes(void **state)
{
	(void)state;
	put(DATA_FRAME * PAGE_SIZE, 0x90909090);
	write_from_c(DATA + 8, 4);
	assert_int_equal(heard_count, 0);
	frame_takes_code(cpu, DATA_FRAME);
	write_from_c(DATA, 4);
	assert_int_equal(heard[0].word, 0x90909090);	/* before it happened */
	assert_int_equal(first_word(DATA_FRAME), 0x04030201);
	assert_heard(WRITTEN, DATA_FRAME);
	write_from_c(DATA, 4);
	assert_int_equal(heard_count, 0);
}

static void c_writes_to_two_pages(void **state)
{
	(void)state;
	frame_takes_code(cpu, DATA_FRAME + 1);
	write_from_c(DATA + PAGE_SIZE - 4, 8);
	assert_heard(WRITTEN, DATA_FRAME + 1);
}

static void a_window_is_written(void **state)
{
	(void)state;
	assert_int_equal(touch(DATA, false), WINDOW_MAPPED);
	frame_takes_code(cpu, DATA_FRAME);
	assert_int_equal(touch(DATA, false), WINDOW_MAPPED);
	assert_int_equal(heard_count, 0);
	assert_false(shown_to_write(VIEW_USER, DATA));
	assert_int_equal(touch(DATA, true), WINDOW_CODE);
	assert_heard(WRITTEN, DATA_FRAME);
	assert_true(shown_to_write(VIEW_USER, DATA));
	assert_int_equal(touch(DATA, true), WINDOW_MAPPED);
	assert_int_equal(heard_count, 0);
}

static void a_checked_access_writes(void **state)
{
	struct cpu_fault fault;

	(void)state;
	frame_takes_code(cpu, DATA_FRAME);
	assert_int_equal(soft_miss(cpu, DATA, 4, &fault), SOFT_NEW);
	assert_int_equal(heard_count, 0);
	assert_int_equal(soft_miss(cpu, DATA, 4 | SOFT_WRITE, &fault), SOFT_NEW);
	assert_heard(WRITTEN, DATA_FRAME);
}

/* rep stosb at CODE */
static void fill_pages(uint32_t count)
{
	static const struct insn stos = { .op = 0xaa, .prefix = PFX_REP, .adsize = 4, .opsize = 4, .len = 2, .seg = S_DS };
	struct cpu_fault fault;

	cpu->eip = CODE;
	cpu->gpr[R_EDI] = DATA;
	cpu->gpr[R_ECX] = count * PAGE_SIZE;
	assert_int_equal(soft_string(cpu, &stos, &fault), 1);
}

static void a_string_writes(void **state)
{
	(void)state;
	frame_takes_code(cpu, DATA_FRAME + 2);
	fill_pages(4);
	assert_heard(WRITTEN, DATA_FRAME + 2);
}

static void nobody_owns_the_void(void **state)
{
	(void)state;
	write_from_c(NOWHERE, 4);
	assert_int_equal(touch(NOWHERE, true), WINDOW_VOID);
	assert_int_equal(heard_count, 0);
}

/* One page to write in two views and, shown elsewhere, in a third. */
static void code_is_written_nowhere(void **state)
{
	(void)state;
	as_user(false);
	touch(DATA, true);
	as_user(true);
	touch(DATA, true);
	touch(ALIAS, true);
	assert_true(shown_to_write(VIEW_KERNEL, DATA) && shown_to_write(VIEW_USER, DATA) && shown_to_write(VIEW_USER, ALIAS));
	frame_takes_code(cpu, DATA_FRAME);
	assert_false(shown_to_write(VIEW_KERNEL, DATA) || shown_to_write(VIEW_USER, DATA) || shown_to_write(VIEW_USER, ALIAS));
	assert_true(shown(VIEW_KERNEL, DATA) && shown(VIEW_USER, DATA) && shown(VIEW_USER, ALIAS));
	assert_true(shown_to_write(VIEW_KERNEL, DATA + PAGE_SIZE));	/* its neighbour's frame is another */
	assert_int_equal(heard_count, 0);
}

static void kernel_code_moves(void **state)
{
	(void)state;
	as_user(false);
	fetch(KERNEL_CODE);
	flush(KERNEL_CODE);
	assert_int_equal(heard_count, 0);
	put_page(KERNEL_CODE, OTHER_FRAME, ALL_RIGHTS | PTE_G);
	flush(KERNEL_CODE);
	assert_int_equal(heard_count, 2);
	assert_int_equal(heard[1].news, FORGET_KERNEL_PAGE);
	assert_int_equal(heard[1].what, KERNEL_CODE >> 12);
	assert_heard_among_others(DROP_FRAME, KERNEL_FRAME);
	flush(KERNEL_CODE);
	assert_int_equal(heard_count, 0);
}

static void user_code_moves(void **state)
{
	(void)state;
	fetch(CODE);
	flush(CODE);
	assert_int_equal(heard_count, 0);
	put_page(CODE, OTHER_FRAME, ALL_RIGHTS);
	flush(CODE);
	assert_heard(FORGET_USER, cpu->slot->number);
}

/* The kernel runs code below its half, as it does when it boots. */
static void low_code_of_the_kernel(void **state)
{
	(void)state;
	as_user(false);
	fetch(CODE);
	cpu->kernel_table_low = true;
	put_page(CODE, OTHER_FRAME, ALL_RIGHTS);
	flush(CODE);
	assert_heard(FORGET_KERNEL_PAGE, CODE >> 12);
	load(1);
	assert_heard_among_others(FORGET_KERNEL, 0);
	load(0);
	assert_int_equal(heard_count, 0);
}

/* A space that has a slot loses nothing when another is loaded; a third one, for which there is none, takes the place of the first. */
static void a_slot_passes_on(void **state)
{
	unsigned first = cpu->slot->number;

	(void)state;
	load(1);
	assert_int_not_equal(cpu->slot->number, first);
	heard_count = 0;
	load(0);
	load(1);
	assert_int_equal(heard_count, 0);
	load(2);
	assert_int_equal(cpu->slot->number, first);
	assert_heard(FORGET_USER, first);
}

static void addresses_mean_something_else(void **state)
{
	const struct cpu_paging off = { .mode = PAGING_OFF };

	(void)state;
	cpu_set_kernel_base(cpu, 0x80000000);
	assert_heard_among_others(DROP_ALL, 0);
	cpu_set_kernel_base(cpu, 0x80000000);
	assert_int_equal(heard_count, 0);
	assert_true(cpu_set_paging(cpu, &off));
	assert_heard_among_others(DROP_ALL, 0);
	cpu_set_linear(cpu, 1 << 20);
	assert_heard_among_others(DROP_ALL, 0);
}

static void check(uint32_t physical)
{
	while (!soft_is_checked(cpu, physical))
		soft_note_fault(cpu, physical);
}

/* A string over the same pages again and again is not worth its check: it is to be translated without. */
static void a_check_ends(void **state)
{
	(void)state;
	check(CODE_FRAME << 12);
	while (soft_is_checked(cpu, CODE_FRAME << 12))
		fill_pages(8);
	assert_heard(DROP_AT, CODE_FRAME << 12);
}

/* An instruction that was checked when its program ended makes room for others, of the kind that share its place. */
static void a_check_makes_room(void **state)
{
	enum { WAYS = 4, STEP = 512, NEWCOMER = 0x180000 };

	(void)state;
	for (uint32_t i = 0; i < WAYS; i++)
		check((CODE_FRAME << 12) + i * STEP);
	check(NEWCOMER);
	assert_heard_among_others(DROP_AT, CODE_FRAME << 12);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		T(c_writes),
		T(c_writes_to_two_pages),
		T(a_window_is_written),
		T(a_checked_access_writes),
		T(a_string_writes),
		T(nobody_owns_the_void),
		T(code_is_written_nowhere),
		T(kernel_code_moves),
		T(user_code_moves),
		T(low_code_of_the_kernel),
		T(a_slot_passes_on),
		T(addresses_mean_something_else),
		T(a_check_ends),
		T(a_check_makes_room),
	};

	return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
