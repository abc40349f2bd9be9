/* SPDX-License-Identifier: MIT */
/*
 * flow.c - tests of cpu/x86/emulate/flow.c.
 */
#include "fake_cpu.h"

static int setup(void **state)
{
	fake_reset(3);
	return 0;
}

static void jumps(void **state)
{
	assert_true(RUN(0xeb, 0xfe));
	assert_int_equal(fake.eip, FAKE_CODE);
	assert_true(RUN(0xe9, 0x00, 0x00, 0x01, 0x00));
	assert_int_equal(fake.eip, FAKE_CODE + 5 + 0x10000);
	fake.eip = 0x11000;
	assert_true(RUN(0x66, 0xe9, 0x00, 0x10));		/* cut to 16 bits */
	assert_int_equal(fake.eip, 0x2004);
	fake.gpr[R_EDI] = 0x56789abc;
	assert_true(RUN(0xff, 0xe7));
	assert_int_equal(fake.eip, 0x56789abc);
	fake.eip = FAKE_CODE;
	assert_true(RUN(0x66, 0xff, 0xe7));
	assert_int_equal(fake.eip, 0x9abc);
	fake.eip = FAKE_CODE;
	fake_put(0x3000, 4, 0x11112222);
	assert_true(RUN(0xff, 0x25, 0x00, 0x30, 0x00, 0x00));
	assert_int_equal(fake.eip, 0x11112222);
}

static void beyond_the_limit(void **state)
{
	fake_segment(S_CS, SHORT_CODE3 | 3);
	assert_true(RUN(0xe9, 0xfa, 0x0f, 0x00, 0x00));		/* the last byte is still within */
	assert_int_equal(fake.eip, 0x1fff);
	fake.eip = FAKE_CODE;
	assert_fault(RUN(0xe9, 0x00, 0x10, 0x00, 0x00), TRAP_GP, 0);
	assert_fault(RUN(0xe8, 0x00, 0x10, 0x00, 0x00), TRAP_GP, 0);
	fake_put(0x8000, 4, 0x2000);
	assert_fault(RUN(0xc3), TRAP_GP, 0);
	fake.gpr[R_ECX] = 0;
	fake.gpr[R_EAX] = 0x2000;
	assert_fault(RUN(0xff, 0xe0), TRAP_GP, 0);
	assert_fault(RUN(0xff, 0xd0), TRAP_GP, 0);
	fake.eip = 0x1ff0;
	assert_fault(RUN(0xe3, 0x7f), TRAP_GP, 0);		/* jecxz: taken, out of reach */
	fake.gpr[R_ECX] = 1;
	assert_next(RUN(0xe3, 0x7f));
}

/* Every condition with every combination of the five flags, against the host. */
static void conditions(void **state)
{
	for (unsigned i = 0; i < 32; i++) {
		uint32_t flags = (i & 1 ? FLAG_CF : 0) | (i & 2 ? FLAG_PF : 0) | (i & 4 ? FLAG_ZF : 0) | (i & 8 ? FLAG_SF : 0) |
				 (i & 16 ? FLAG_OF : 0) | FLAG_IF | 2;
		uint8_t taken[16];

#define HOST(n, cc) __asm__("pushq %1; popfq; set" cc " %0" : "=q"(taken[n]) : "r"((uint64_t)flags) : "cc", "memory")
		HOST(0, "o");
		HOST(1, "no");
		HOST(2, "b");
		HOST(3, "ae");
		HOST(4, "e");
		HOST(5, "ne");
		HOST(6, "be");
		HOST(7, "a");
		HOST(8, "s");
		HOST(9, "ns");
		HOST(10, "p");
		HOST(11, "np");
		HOST(12, "l");
		HOST(13, "ge");
		HOST(14, "le");
		HOST(15, "g");
		for (unsigned cc = 0; cc < 16; cc++) {
			fake_reset(3);
			fake.eflags = flags;
			assert_true(RUN((uint8_t)(0x70 + cc), 0x40));
			assert_int_equal(fake.eip, FAKE_CODE + 2 + (taken[cc] ? 0x40 : 0));
			fake_reset(3);
			fake.eflags = flags;
			assert_true(RUN(0x0f, (uint8_t)(0x80 + cc), 0x00, 0xf0, 0xff, 0xff));
			assert_int_equal(fake.eip, FAKE_CODE + 6 - (taken[cc] ? 0x1000 : 0));
			assert_int_equal(fake.eflags, flags);
		}
	}
}

static bool loops(uint8_t op, uint32_t ecx, uint32_t zf)
{
	fake_reset(3);
	fake.gpr[R_ECX] = ecx;
	fake.eflags |= zf;
	assert_true(RUN(op, 0x10));
	assert_int_equal(fake.gpr[R_ECX], op == 0xe3 ? ecx : ecx - 1);
	return fake.eip != FAKE_CODE + 2;
}

static void loop(void **state)
{
	assert_true(loops(0xe2, 0, 0));
	assert_true(loops(0xe2, 2, 0));
	assert_false(loops(0xe2, 1, 0));
	assert_true(loops(0xe1, 2, FLAG_ZF));
	assert_false(loops(0xe1, 2, 0));
	assert_false(loops(0xe1, 1, FLAG_ZF));
	assert_true(loops(0xe0, 2, 0));
	assert_false(loops(0xe0, 2, FLAG_ZF));
	assert_false(loops(0xe0, 1, 0));
	assert_true(loops(0xe3, 0, 0));
	assert_false(loops(0xe3, 0x10000, 0));
}

static void loop_16(void **state)
{
	fake.gpr[R_ECX] = 0xabcd0001;
	assert_next(RUN(0x67, 0xe2, 0x10));			/* CX counts */
	assert_int_equal(fake.gpr[R_ECX], 0xabcd0000);
	assert_true(RUN(0x67, 0xe3, 0x10));
	assert_int_equal(fake.eip, before.eip + 3 + 0x10);
	fake.eip = 0x11000;
	assert_true(RUN(0x66, 0xe2, 0x10));			/* ECX counts, the target is cut */
	assert_int_equal(fake.gpr[R_ECX], 0xabccffff);
	assert_int_equal(fake.eip, 0x1013);
}

static void calls_and_returns(void **state)
{
	assert_true(RUN(0xe8, 0x00, 0x01, 0x00, 0x00));
	assert_int_equal(fake.eip, FAKE_CODE + 0x105);
	assert_int_equal(fake_get(0x7ffc, 4), FAKE_CODE + 5);
	assert_true(RUN(0xc2, 0x08, 0x00));
	assert_int_equal(fake.eip, FAKE_CODE + 5);
	assert_int_equal(fake.gpr[R_ESP], 0x8008);
	fake.gpr[R_ESP] = 0x8000;
	assert_true(RUN(0xff, 0xd4));				/* call esp: its value before the push */
	assert_int_equal(fake.eip, 0x8000);
	assert_int_equal(fake.gpr[R_ESP], 0x7ffc);
	fake_put(0x7ffc, 4, 0xdead9000);
	assert_true(RUN(0x66, 0xc3));
	assert_int_equal(fake.eip, 0x9000);
	assert_int_equal(fake.gpr[R_ESP], 0x7ffe);
	assert_true(RUN(0x66, 0xe8, 0x00, 0x80));
	assert_int_equal(fake.eip, 0x1004);
	assert_int_equal(fake_get(0x7ffc, 2), 0x9004);
	fake_put(0x8010, 4, 0x5000);
	fake.gpr[R_ESP] = 0x8000;
	assert_true(RUN(0xff, 0x54, 0x24, 0x10));		/* call [esp+16] */
	assert_int_equal(fake.eip, 0x5000);
	fake.access[7] = PAGE_PRESENT | PAGE_USER;
	assert_fault(RUN(0xe8, 0, 0, 0, 0), TRAP_PF, PF_PRESENT | PF_WRITE | PF_USER);
	assert_int_equal(fake_exit.address, 0x7ff8);
}

#define assert_interrupt(ran, number) \
	do { \
		assert_false(ran); \
		assert_int_equal(fake_exit.kind, EXIT_INT); \
		assert_int_equal(fake_exit.vector, number); \
		assert_int_equal(fake_exit.eip, before.eip); \
		assert_int_equal(fake.eip, before.eip + fake_insn.len); \
	} while (0)

static void interrupts(void **state)
{
	assert_interrupt(RUN(0xcd, 0x80), 0x80);
	assert_interrupt(RUN(0xcc), TRAP_BP);
	assert_next(RUN(0xce));
	fake.eflags |= FLAG_OF;
	assert_interrupt(RUN(0xce), TRAP_OF);
	assert_false(RUN(0xf1));
	assert_int_equal(fake_exit.kind, EXIT_FAULT);
	assert_int_equal(fake_exit.vector, TRAP_DB);
	assert_int_equal(fake_exit.eip, before.eip);
	assert_int_equal(fake.eip, before.eip + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(jumps, setup),	   cmocka_unit_test_setup(beyond_the_limit, setup),
		cmocka_unit_test_setup(conditions, setup), cmocka_unit_test_setup(loop, setup),
		cmocka_unit_test_setup(loop_16, setup),	   cmocka_unit_test_setup(calls_and_returns, setup),
		cmocka_unit_test_setup(interrupts, setup),
	};

	return cmocka_run_group_tests_name("emulate-flow", tests, NULL, NULL);
}
