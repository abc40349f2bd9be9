/* SPDX-License-Identifier: MIT */
/*
 * stack.c - tests of cpu/x86/emulate/stack.c. Values marked "hardware" were seen in a 32-bit process on an AMD processor.
 */
#include "fake_cpu.h"

static int setup(void **state)
{
	fake_reset(3);
	return 0;
}

static void push_and_pop_registers(void **state)
{
	assert_next(RUN(0x53));					/* push ebx */
	assert_int_equal(fake.gpr[R_ESP], 0x7ffc);
	assert_int_equal(fake_get(0x7ffc, 4), 0x13131313);
	assert_next(RUN(0x54));					/* push esp: its old value */
	assert_int_equal(fake_get(0x7ff8, 4), 0x7ffc);
	assert_next(RUN(0x66, 0x51));				/* push cx */
	assert_int_equal(fake.gpr[R_ESP], 0x7ff6);
	assert_int_equal(fake_get(0x7ff6, 2), 0x1111);
	fake_put(0x7ff6, 2, 0xabcd);
	assert_next(RUN(0x66, 0x5f));				/* pop di */
	assert_int_equal(fake.gpr[R_EDI], 0x1717abcd);
	assert_next(RUN(0x5c));					/* pop esp */
	assert_int_equal(fake.gpr[R_ESP], 0x7ffc);
	assert_next(RUN(0x58));
	assert_int_equal(fake.gpr[R_EAX], 0x13131313);
	assert_int_equal(fake.gpr[R_ESP], 0x8000);
}

static void push_immediates_and_memory(void **state)
{
	assert_next(RUN(0x6a, 0xff));
	assert_int_equal(fake_get(0x7ffc, 4), 0xffffffff);
	assert_next(RUN(0x66, 0x68, 0x34, 0x12));
	assert_int_equal(fake_get(0x7ffa, 2), 0x1234);
	fake_put(0x3000, 4, 0x55667788);
	assert_next(RUN(0xff, 0x35, 0x00, 0x30, 0x00, 0x00));	/* push dword [3000h] */
	assert_int_equal(fake_get(0x7ff6, 4), 0x55667788);
	assert_next(RUN(0xff, 0x74, 0x24, 0x02));		/* push dword [esp+2]: ESP of before */
	assert_int_equal(fake_get(0x7ff2, 4), 0x12345566);
	assert_next(RUN(0xff, 0xf7));				/* push edi, the long way */
	assert_int_equal(fake_get(0x7fee, 4), 0x17171717);
}

/* The address of a POP's destination is computed with ESP incremented. */
static void pop_memory(void **state)
{
	fake_put(0x8000, 4, 0xcafe);
	assert_next(RUN(0x8f, 0x44, 0x24, 0x08));		/* pop dword [esp+8] */
	assert_int_equal(fake_get(0x800c, 4), 0xcafe);
	assert_int_equal(fake.gpr[R_ESP], 0x8004);
	fake.access[3] = 0;
	assert_fault(RUN(0x8f, 0x05, 0x00, 0x30, 0x00, 0x00), TRAP_PF, PF_WRITE | PF_USER);
	assert_int_equal(fake_exit.address, 0x3000);
	fake_put(0x8004, 4, 0x77778888);
	assert_next(RUN(0x66, 0x8f, 0xc4));			/* pop sp, the long way */
	assert_int_equal(fake.gpr[R_ESP], 0x8888);
}

static void pusha_and_popa(void **state)
{
	assert_next(RUN(0x60));
	assert_int_equal(fake.gpr[R_ESP], 0x7fe0);
	for (unsigned r = 0; r < 8; r++)
		assert_int_equal(fake_get(0x7ffc - 4 * r, 4), before.gpr[r]);
	for (unsigned i = 0; i < 8; i++)
		fake_put(0x7fe0 + 4 * i, 4, 0xa0 + i);
	assert_next(RUN(0x61));
	assert_int_equal(fake.gpr[R_EDI], 0xa0);
	assert_int_equal(fake.gpr[R_EBX], 0xa4);
	assert_int_equal(fake.gpr[R_EAX], 0xa7);
	assert_int_equal(fake.gpr[R_ESP], 0x8000);
	fake.gpr[R_EBP] = 0x12345678;
	assert_next(RUN(0x66, 0x60));
	assert_int_equal(fake.gpr[R_ESP], 0x7ff0);
	assert_int_equal(fake_get(0x7ff4, 2), 0x5678);
	assert_int_equal(fake_get(0x7ff6, 2), 0x8000);
	fake_put(0x7ff4, 2, 0xbeef);
	assert_next(RUN(0x66, 0x61));
	assert_int_equal(fake.gpr[R_EBP], 0x1234beef);
	assert_int_equal(fake.gpr[R_ESP], 0x8000);
}

/* Word by word, in the order of the pushes and pops. */
static void pusha_and_popa_fault_midway(void **state)
{
	fake.gpr[R_ESP] = 0x8010;
	fake.access[7] = 0;
	assert_fault_midway(RUN(0x60), TRAP_PF, PF_WRITE | PF_USER);
	assert_int_equal(fake_exit.address, 0x7ffc);
	assert_int_equal(fake_get(0x8000, 4), 0x13131313);
	fake.gpr[R_ESP] = 0x7ff0;
	fake.access[7] = PAGE_ALL;
	fake.access[8] = 0;
	assert_fault(RUN(0x61), TRAP_PF, PF_USER);
	assert_int_equal(fake_exit.address, 0x8000);
	fake.access[8] = PAGE_ALL & ~PAGE_USER;
	assert_fault(RUN(0x61), TRAP_PF, PF_USER | PF_PRESENT);
}

static void pushf_popf(void **state)
{
	fake.eflags = FLAG_IF | FLAG_CF | FLAG_RF | FLAG_VM | FLAG_AC | FLAG_ID | FLAG_NT | 2;
	assert_next(RUN(0x9c));
	assert_int_equal(fake_get(0x7ffc, 4), FLAG_IF | FLAG_CF | FLAG_AC | FLAG_ID | FLAG_NT | 2);
	assert_next(RUN(0x66, 0x9c));
	assert_int_equal(fake_get(0x7ffa, 2), FLAG_IF | FLAG_CF | FLAG_NT | 2);
	assert_int_equal(fake.gpr[R_ESP], 0x7ffa);
}

static uint32_t popf(unsigned cpl, uint32_t flags, uint32_t popped, bool wide)
{
	fake_reset(cpl);
	fake.eflags = flags;
	fake_put(0x8000, 4, popped);
	assert_next(wide ? RUN(0x9d) : RUN(0x66, 0x9d));
	assert_int_equal(fake.gpr[R_ESP], wide ? 0x8004 : 0x8002);
	return fake.eflags;
}

static void popf_obeys_privilege(void **state)
{
	uint32_t always = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_TF | FLAG_DF | FLAG_OF | FLAG_NT;
	uint32_t wide = always | FLAG_AC | FLAG_ID;

	assert_int_equal(popf(3, 2, ~0u, true), wide | 2);
	assert_int_equal(popf(1, FLAG_IF | FLAG_RF | 2, 0, true), FLAG_IF | FLAG_RF | 2);
	assert_int_equal(popf(1, 1 << 12 | 2, ~0u, true), wide | FLAG_IF | 1 << 12 | 2);
	assert_int_equal(popf(0, 2, ~0u, true), wide | FLAG_IF | FLAG_IOPL | 2);
	assert_int_equal(popf(0, FLAG_IF | FLAG_IOPL | FLAG_AC | 2, 0, false), FLAG_AC | 2);
	assert_int_equal(popf(3, FLAG_IOPL | FLAG_ID | FLAG_AC | 2, ~0u, false),
			 always | FLAG_IF | FLAG_IOPL | FLAG_ID | FLAG_AC | 2);
}

static void enter_and_leave(void **state)
{
	fake.gpr[R_EBP] = 0x5004;
	for (unsigned i = 0; i < 64; i++)
		fake_put(0x4f00 + 4 * i, 4, 0xf000 + i);
	assert_next(RUN(0xc8, 0x10, 0x00, 0x00));		/* enter 16, 0 */
	assert_int_equal(fake.gpr[R_EBP], 0x7ffc);
	assert_int_equal(fake.gpr[R_ESP], 0x7fec);
	assert_int_equal(fake_get(0x7ffc, 4), 0x5004);
	assert_next(RUN(0xc9));
	assert_int_equal(fake.gpr[R_EBP], 0x5004);
	assert_int_equal(fake.gpr[R_ESP], 0x8000);
	fake.gpr[R_EBP] = 0x4f10;
	assert_next(RUN(0xc8, 0x08, 0x00, 0x23));		/* level 3, modulo 32 */
	assert_int_equal(fake_get(0x7ffc, 4), 0x4f10);
	assert_int_equal(fake_get(0x7ff8, 4), 0xf003);
	assert_int_equal(fake_get(0x7ff4, 4), 0xf002);
	assert_int_equal(fake_get(0x7ff0, 4), 0x7ffc);
	assert_int_equal(fake.gpr[R_EBP], 0x7ffc);
	assert_int_equal(fake.gpr[R_ESP], 0x7fe8);
}

/* Hardware: the frame pointer is pushed and kept as wide as the operand size says. */
static void enter_16(void **state)
{
	fake.gpr[R_EBP] = 0x12345678;
	assert_next(RUN(0x66, 0xc8, 0x10, 0x00, 0x01));
	assert_int_equal(fake.gpr[R_EBP], 0x12347ffe);
	assert_int_equal(fake.gpr[R_ESP], 0x7fec);
	assert_int_equal(fake_get(0x7ffc, 4), 0x56787ffe);
	fake.gpr[R_EBP] = 0x7ffe;
	assert_next(RUN(0x66, 0xc9));
	assert_int_equal(fake.gpr[R_EBP], 0x5678);
	assert_int_equal(fake.gpr[R_ESP], 0x8000);
}

/* The enclosing frame pointers are read from the very frame that is being pushed. */
static void enter_overlaps(void **state)
{
	fake.gpr[R_EBP] = 0x8002;
	fake_put(0x7ffe, 4, 0x99999999);
	assert_next(RUN(0xc8, 0x00, 0x00, 0x03));
	/* Pushed first: 8002 at 7FFC. Then [7FFE]: half of that, half old memory. Then [7FFA]: half of each of the two. */
	assert_int_equal(fake_get(0x7ff8, 4), 0x99990000);
	assert_int_equal(fake_get(0x7ff4, 4), 0x80029999);
}

/* Hardware: the word at the new ESP must be writable. */
static void enter_probe(void **state)
{
	fake.access[6] = 0;
	assert_fault_midway(RUN(0xc8, 0xfd, 0x0f, 0x00), TRAP_PF, PF_WRITE | PF_USER);
	assert_int_equal(fake_exit.address, 0x6fff);
	fake.access[6] = PAGE_PRESENT | PAGE_USER;
	assert_fault_midway(RUN(0xc8, 0xfd, 0x0f, 0x00), TRAP_PF, PF_WRITE | PF_USER | PF_PRESENT);
	assert_next(RUN(0xc8, 0xfc, 0x0f, 0x00));
	assert_int_equal(fake.gpr[R_ESP], 0x7000);
}

static void stack_of_16_bits(void **state)
{
	fake_segment(S_SS, STACK16_3 | 3);
	fake.gpr[R_ESP] = 0xabcd0002;
	assert_fault(RUN(0x50), TRAP_SS, 0);			/* one word does not go around the end */
	fake.gpr[R_ESP] = 0xabcd0000;
	assert_next(RUN(0x53));
	assert_int_equal(fake.gpr[R_ESP], 0xabcdfffc);
	assert_int_equal(fake_get(0xfffc, 4), 0x13131313);
	assert_next(RUN(0x58));
	assert_int_equal(fake.gpr[R_ESP], 0xabcd0000);
	fake.gpr[R_EBP] = 0x11119000;
	fake_put(0x9000, 4, 0x22223333);
	assert_next(RUN(0xc9));
	assert_int_equal(fake.gpr[R_ESP], 0xabcd9004);
	assert_int_equal(fake.gpr[R_EBP], 0x22223333);
	fake.gpr[R_ESP] = 0xabcd0008;				/* a frame around the end, word by word */
	assert_next(RUN(0x60));
	assert_int_equal(fake.gpr[R_ESP], 0xabcdffe8);
	assert_int_equal(fake_get(0x0004, 4), fake.gpr[R_EAX]);
	assert_int_equal(fake_get(0xfffc, 4), fake.gpr[R_EDX]);
	fake.gpr[R_EDX] = 0;
	assert_next(RUN(0x61));
	assert_int_equal(fake.gpr[R_EDX], 0x12121212);
	assert_int_equal(fake.gpr[R_ESP], 0xabcd0008);
}

static void stack_limit(void **state)
{
	fake_segment(S_SS, SMALL3 | 3);
	fake.gpr[R_ESP] = 0x1000;
	assert_next(RUN(0x50));
	assert_int_equal(fake_get(0x4ffc, 4), 0x10101010);
	fake.gpr[R_ESP] = 0x1002;
	assert_fault(RUN(0x50), TRAP_SS, 0);
	assert_fault(RUN(0x58), TRAP_SS, 0);
	fake.gpr[R_ESP] = 2;
	assert_fault(RUN(0x50), TRAP_SS, 0);
}

static void push_and_pop_segments(void **state)
{
	fake_put(0x7ffc, 4, 0xffffffff);
	assert_next(RUN(0x1e));					/* push ds: hardware zero-extends */
	assert_int_equal(fake_get(0x7ffc, 4), DATA3 | 3);
	assert_next(RUN(0x66, 0x0f, 0xa8));			/* push gs */
	assert_int_equal(fake.gpr[R_ESP], 0x7ffa);
	fake_put(0x7ffa, 4, 0x77770000 | SMALL3 | 3);
	assert_next(RUN(0x0f, 0xa1));				/* pop fs */
	assert_int_equal(fake.seg[S_FS].sel, SMALL3 | 3);
	assert_int_equal(fake.seg[S_FS].base, 0x4000);
	assert_int_equal(fake.gpr[R_ESP], 0x7ffe);
	fake_put(0x7ffe, 4, DATA0);
	assert_fault(RUN(0x07), TRAP_GP, DATA0);		/* pop es */
	fake_put(0x7ffe, 4, 3);
	assert_fault(RUN(0x17), TRAP_GP, 0);			/* pop ss */
	fake_put(0x7ffe, 2, STACK16_3 | 3);
	fake.gpr[R_ESP] = 0x17ffe;
	fake_put(0x17ffe, 2, STACK16_3 | 3);
	assert_next(RUN(0x66, 0x17));				/* the old SS says how ESP moves */
	assert_int_equal(fake.gpr[R_ESP], 0x18000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(push_and_pop_registers, setup), cmocka_unit_test_setup(push_immediates_and_memory, setup),
		cmocka_unit_test_setup(pop_memory, setup),	       cmocka_unit_test_setup(pusha_and_popa, setup),
		cmocka_unit_test_setup(pusha_and_popa_fault_midway, setup),     cmocka_unit_test_setup(pushf_popf, setup),
		cmocka_unit_test_setup(popf_obeys_privilege, setup),   cmocka_unit_test_setup(enter_and_leave, setup),
		cmocka_unit_test_setup(enter_16, setup),	       cmocka_unit_test_setup(enter_overlaps, setup),
		cmocka_unit_test_setup(enter_probe, setup),	       cmocka_unit_test_setup(stack_of_16_bits, setup),
		cmocka_unit_test_setup(stack_limit, setup),	       cmocka_unit_test_setup(push_and_pop_segments, setup),
	};

	return cmocka_run_group_tests_name("emulate-stack", tests, NULL, NULL);
}
