/* SPDX-License-Identifier: MIT */
/*
 * test-jump.c - jumps that find their own way: what has been jumped to before is found without C, however the addresses lie.
 * Nothing but the processor's counters tells when it is not.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/x86/cache/block.h"
#include "tests/cpu/x86/isolation/guest.h"

enum { ROUNDS = 1000, MEET = 0x10000 /* addresses so far apart share their place in a jump table */, DATA_FRAMES = 0x200000 };

static struct guest *g;
static uint32_t at;

static int setup(void **state)
{
	g = guest_create(8 << 20, false);
	guest_mode(g, true, false);
	memset(g->code, 0x90, GUEST_CODE_SIZE);
	at = 0;
	return 0;
}

static int teardown(void **state)
{
	guest_destroy(g);
	return 0;
}

static void put(const void *code, uint32_t len)
{
	memcpy(g->code + at, code, len);
	at += len;
}

static void put_imm(uint8_t opcode, uint32_t value)
{
	put(&opcode, 1);
	put(&value, 4);
}

static void call_eax(uint32_t target)
{
	put_imm(0xb8, target);
	put("\xff\xd0", 2);
}

/* dec ecx; jnz @start; int3 */
static void put_end(uint32_t start)
{
	put("\x49\x0f\x85", 3);
	start -= at + 4;
	put(&start, 4);
	put("\xcc", 1);
}

/* From USER_CODE to the int3. How often did it come to C? */
static uint64_t exits_of_run(void)
{
	uint64_t before = cpu_stats(g->cpu)->exits;
	const struct cpu_exit *exit;

	guest_handlers();
	guest_forget(g);
	cpu_set_eip(g->cpu, USER_CODE);
	cpu_gpr(g->cpu)[4] = USER_DATA + GUEST_DATA_SIZE - 16;
	do
		exit = cpu_run(g->cpu);
	while (exit->kind == EXIT_KICK);
	assert_int_equal(cpu_gpr(g->cpu)[1], 0);
	return cpu_stats(g->cpu)->exits - before;
}

/* Three targets that have the same first place, called in turn. */
static void test_targets_that_meet(void **state)
{
	uint32_t start;

	put_imm(0xb9, ROUNDS);		/* mov ecx */
	start = at;
	for (uint32_t i = 0; i < 3; i++) {
		g->ram[DATA_FRAMES + i * MEET] = 0xc3;
		call_eax(USER_DATA + i * MEET);
	}
	put_end(start);
	assert_in_range(exits_of_run(), 1, 60);
}

/* A loop with an instruction that lies on two pages of a process: its block may not be chained, and is found all the same. */
static void test_instruction_on_two_pages(void **state)
{
	uint32_t start;

	put_imm(0xb9, ROUNDS);
	put_imm(0xe9, 4096 - 32 - (at + 5));	/* jmp */
	at = 4096 - 32;
	start = at;
	at = 4096 - 2;
	put_imm(0xb8, 0x12345678);
	put_end(start);
	assert_in_range(exits_of_run(), 1, 60);
	assert_int_equal(cpu_gpr(g->cpu)[0], 0x12345678);
}

/* What fills the cache is given back when the processor is told to, and what is needed again is there again. */
static void test_trim(void **state)
{
	const struct code_cache *cache = g->cpu->cache;
	uint32_t used;

	put_imm(0xb9, 1);
	put_end(at);
	exits_of_run();
	used = cache->used;
	cpu_trim(g->cpu);
	assert_int_equal(cache->used, used);	/* it is not worth it */
	while (cache->used < 16 << 20)
		for (uint32_t i = 0; i < GUEST_CODE_SIZE; i++)
			guest_translate(g, USER_CODE + i, false);
	cpu_trim(g->cpu);
	assert_int_equal(cache->used, 0);
	assert_int_equal(cache->block_count, 0);
	assert_int_equal(cache->write[0], 0);
	cpu_gpr(g->cpu)[1] = 1;
	exits_of_run();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_targets_that_meet, setup, teardown),
		cmocka_unit_test_setup_teardown(test_instruction_on_two_pages, setup, teardown),
		cmocka_unit_test_setup_teardown(test_trim, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
