/* SPDX-License-Identifier: MIT */
/*
 * far.c - tests of cpu/x86/emulate/far.c: which code segments can be reached from which ring, and which fault says no.
 */
#include "fake_cpu.h"

static int setup(void **state)
{
	fake_reset(1);
	return 0;
}

static bool jmp_far(uint32_t selector, uint32_t eip)
{
	return RUN(0xea, (uint8_t)eip, (uint8_t)(eip >> 8), (uint8_t)(eip >> 16), (uint8_t)(eip >> 24), (uint8_t)selector,
		   (uint8_t)(selector >> 8));
}

static void jump_checks(void **state)
{
	assert_fault(jmp_far(0, 0x2000), TRAP_GP, 0);
	assert_fault(jmp_far(3, 0x2000), TRAP_GP, 0);
	assert_fault(jmp_far(OUTSIDE | 1, 0x2000), TRAP_GP, OUTSIDE);
	assert_fault(jmp_far(CODE1 | 4 | 1, 0x2000), TRAP_GP, CODE1 | 4);	/* the LDT is empty */
	assert_fault(jmp_far(DATA1 | 1, 0x2000), TRAP_GP, DATA1);
	assert_fault(jmp_far(CALL_GATE3 | 1, 0x2000), TRAP_GP, CALL_GATE3);
	assert_fault(jmp_far(TSS3 | 1, 0x2000), TRAP_GP, TSS3);
	assert_fault(jmp_far(CODE1 | 3, 0x2000), TRAP_GP, CODE1);		/* RPL > CPL */
	assert_fault(jmp_far(CODE3 | 1, 0x2000), TRAP_GP, CODE3);		/* DPL != CPL */
	assert_fault(jmp_far(CODE0, 0x2000), TRAP_GP, CODE0);
	assert_fault(jmp_far(CONFORMING3 | 1, 0x2000), TRAP_GP, CONFORMING3);	/* DPL > CPL */
	assert_fault(jmp_far(ABSENT_CODE1 | 1, 0x2000), TRAP_NP, ABSENT_CODE1);
	assert_fault(jmp_far(SHORT_CODE1 | 1, 0x2000), TRAP_GP, 0);
}

static void jump(void **state)
{
	assert_true(jmp_far(SHORT_CODE1, 0x1fff));
	assert_int_equal(fake.eip, 0x1fff);
	assert_int_equal(fake.cpl, 1);
	assert_int_equal(fake.seg[S_CS].sel, SHORT_CODE1 | 1);	/* the RPL is CPL now */
	assert_int_equal(fake.seg[S_CS].limit, 0x1fff);
	fake.eip = FAKE_CODE;
	assert_true(jmp_far(CONFORMING0, 0x12345));
	assert_int_equal(fake.seg[S_CS].sel, CONFORMING0 | 1);
	assert_int_equal(fake.cpl, 1);
	fake.eip = FAKE_CODE;
	assert_true(RUN(0x66, 0xea, 0x34, 0x82, CODE1 | 1, 0));
	assert_int_equal(fake.eip, 0x8234);
	fake_put(0x3000, 4, 0x00018234);
	fake_put(0x3004, 2, CODE1 | 1);
	fake.eip = FAKE_CODE;
	assert_true(RUN(0xff, 0x2d, 0x00, 0x30, 0x00, 0x00));
	assert_int_equal(fake.eip, 0x18234);
	fake_put(0x3000, 4, (CODE1 | 1) << 16 | 0x1234);
	fake.eip = FAKE_CODE;
	assert_true(RUN(0x66, 0xff, 0x2d, 0x00, 0x30, 0x00, 0x00));
	assert_int_equal(fake.eip, 0x1234);
}

static void call(void **state)
{
	assert_true(RUN(0x9a, 0x00, 0x20, 0x01, 0x00, CODE1 | 1, 0));
	assert_int_equal(fake.eip, 0x12000);
	assert_int_equal(fake.gpr[R_ESP], 0x7ff8);
	assert_int_equal(fake_get(0x7ff8, 4), FAKE_CODE + 7);
	assert_int_equal(fake_get(0x7ffc, 4), CODE1 | 1);
	fake.eip = FAKE_CODE;
	assert_true(RUN(0x66, 0x9a, 0x00, 0x20, CODE1 | 1, 0));
	assert_int_equal(fake.gpr[R_ESP], 0x7ff4);
	assert_int_equal(fake_get(0x7ff4, 4), (CODE1 | 1) << 16 | (FAKE_CODE + 6));
	fake.eip = FAKE_CODE;
	fake_put(0x3000, 4, 0x8888);
	fake_put(0x3004, 2, CODE1);
	assert_true(RUN(0xff, 0x1d, 0x00, 0x30, 0x00, 0x00));
	assert_int_equal(fake.eip, 0x8888);
	assert_int_equal(fake.gpr[R_ESP], 0x7fec);
	fake.eip = FAKE_CODE;
	assert_fault(RUN(0x9a, 0, 0, 0, 0, CALL_GATE3 | 1, 0), TRAP_GP, CALL_GATE3);
	fake.access[7] = PAGE_PRESENT;
	assert_fault(RUN(0x9a, 0, 0, 0, 0, CODE1 | 1, 0), TRAP_PF, PF_WRITE | PF_PRESENT);	/* ring 1 is no user */
}

static bool retf(uint32_t cs, uint32_t eip, uint32_t ss, uint32_t esp)
{
	fake_put(0x8000, 4, eip);
	fake_put(0x8004, 4, cs);
	fake_put(0x8018, 4, esp);
	fake_put(0x801c, 4, ss);
	return RUN(0xca, 0x10, 0x00);
}

static void return_checks(void **state)
{
	assert_fault(retf(0, 0x2000, 0, 0), TRAP_GP, 0);
	assert_fault(retf(1, 0x2000, 0, 0), TRAP_GP, 0);
	assert_fault(retf(CODE0, 0x2000, 0, 0), TRAP_GP, CODE0);			/* inwards */
	assert_fault(retf(OUTSIDE | 1, 0x2000, 0, 0), TRAP_GP, OUTSIDE);
	assert_fault(retf(DATA1 | 1, 0x2000, 0, 0), TRAP_GP, DATA1);
	assert_fault(retf(CODE3 | 1, 0x2000, 0, 0), TRAP_GP, CODE3);			/* DPL != RPL */
	assert_fault(retf(CODE1 | 3, 0x2000, DATA3 | 3, 0x5000), TRAP_GP, CODE1);
	assert_fault(retf(CONFORMING3 | 1, 0x2000, 0, 0), TRAP_GP, CONFORMING3);	/* DPL > RPL */
	assert_fault(retf(ABSENT_CODE1 | 1, 0x2000, 0, 0), TRAP_NP, ABSENT_CODE1);
	assert_fault(retf(SHORT_CODE1 | 1, 0x2000, 0, 0), TRAP_GP, 0);
}

static void return_outwards_checks(void **state)
{
	assert_fault(retf(CODE3 | 3, 0x2000, 0, 0x5000), TRAP_GP, 0);
	assert_fault(retf(CODE3 | 3, 0x2000, 3, 0x5000), TRAP_GP, 0);
	assert_fault(retf(CODE3 | 3, 0x2000, OUTSIDE | 3, 0x5000), TRAP_GP, OUTSIDE);
	assert_fault(retf(CODE3 | 3, 0x2000, DATA3 | 1, 0x5000), TRAP_GP, DATA3);
	assert_fault(retf(CODE3 | 3, 0x2000, DATA1 | 3, 0x5000), TRAP_GP, DATA1);
	assert_fault(retf(CODE3 | 3, 0x2000, READ_ONLY3 | 3, 0x5000), TRAP_GP, READ_ONLY3);
	assert_fault(retf(CODE3 | 3, 0x2000, CODE3 | 3, 0x5000), TRAP_GP, CODE3);
	assert_fault(retf(CODE3 | 3, 0x2000, TSS3 | 3, 0x5000), TRAP_GP, TSS3);
	assert_fault(retf(CODE3 | 3, 0x2000, ABSENT_DATA3 | 3, 0x5000), TRAP_SS, ABSENT_DATA3);
	assert_fault(retf(ABSENT_CODE3 | 3, 0x2000, 0, 0x5000), TRAP_NP, ABSENT_CODE3);
	assert_fault(retf(SHORT_CODE3 | 3, 0x2000, DATA3 | 3, 0x5000), TRAP_GP, 0);
	assert_fault(retf(SHORT_CODE3 | 3, 0x2000, DATA1 | 3, 0x5000), TRAP_GP, DATA1);
}

static void return_same_ring(void **state)
{
	assert_true(retf(CODE1 | 1, 0x12345678, 0, 0));
	assert_int_equal(fake.eip, 0x12345678);
	assert_int_equal(fake.gpr[R_ESP], 0x8018);
	assert_int_equal(fake.cpl, 1);
	fake_reset(1);
	fake_put(0x8000, 4, (CODE1 | 1) << 16 | 0x4321);
	assert_true(RUN(0x66, 0xcb));
	assert_int_equal(fake.eip, 0x4321);
	assert_int_equal(fake.gpr[R_ESP], 0x8004);
}

/* The inner ring's segments must not leak out. */
static void return_outwards(void **state)
{
	fake_segment(S_ES, DATA1 | 1);
	fake_segment(S_DS, DATA3 | 3);
	fake_segment(S_FS, CONFORMING0 | 1);
	fake_segment(S_GS, CODE1 | 1);
	assert_true(retf(CODE3 | 3, 0x12345678, DATA3 | 3, 0x5000));
	assert_int_equal(fake.eip, 0x12345678);
	assert_int_equal(fake.cpl, 3);
	assert_int_equal(fake.seg[S_CS].sel, CODE3 | 3);
	assert_int_equal(fake.seg[S_SS].sel, DATA3 | 3);
	assert_int_equal(fake.gpr[R_ESP], 0x5010);
	assert_int_equal(fake.seg[S_ES].sel, 0);
	assert_int_equal(fake.seg[S_ES].attr, 0);
	assert_int_equal(fake.seg[S_DS].sel, DATA3 | 3);
	assert_int_equal(fake.seg[S_FS].sel, CONFORMING0 | 1);
	assert_int_equal(fake.seg[S_GS].attr, 0);
}

/* Last word first (hardware): where all of the frame is missing, the fault names its end. */
static void return_frame_faults(void **state)
{
	fake.access[8] = 0;
	assert_fault(RUN(0xcb), TRAP_PF, 0);
	assert_int_equal(fake_exit.address, 0x8004);
	assert_fault(RUN(0xcf), TRAP_PF, 0);
	assert_int_equal(fake_exit.address, 0x8008);
	fake.gpr[R_ESP] = 0x7ff8;
	fake_put(0x7ff8, 4, 0x2000);
	fake_put(0x7ffc, 4, CODE3 | 3);
	assert_fault(RUN(0xcb), TRAP_PF, 0);
	assert_int_equal(fake_exit.address, 0x8004);
	fake_put(0x7ffc, 4, CODE1 | 1);
	assert_true(RUN(0xcb));
	assert_int_equal(fake.gpr[R_ESP], 0x8000);
}

static bool iret(uint32_t cs, uint32_t eflags, uint32_t ss)
{
	fake_put(0x8000, 4, 0x12345678);
	fake_put(0x8004, 4, cs);
	fake_put(0x8008, 4, eflags);
	fake_put(0x800c, 4, 0xabcd5000);
	fake_put(0x8010, 4, ss);
	return RUN(0xcf);
}

enum {
	ALWAYS = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_TF | FLAG_DF | FLAG_OF | FLAG_NT,
	WIDE = ALWAYS | FLAG_RF | FLAG_AC | FLAG_ID,
};

static void iret_flags(void **state)
{
	assert_true(iret(CODE1 | 1, ~0u, 0));
	assert_int_equal(fake.eip, 0x12345678);
	assert_int_equal(fake.gpr[R_ESP], 0x800c);
	assert_int_equal(fake.eflags, WIDE | FLAG_IF | 2);
	fake_reset(1);
	fake.eflags = 2;
	assert_true(iret(CODE1 | 1, ~0u, 0));
	assert_int_equal(fake.eflags, WIDE | 2);		/* IOPL is 0: no IF */
	fake_reset(1);
	fake.eflags = FLAG_IF | 1 << 12 | 2;
	assert_true(iret(CODE1 | 1, 0, 0));
	assert_int_equal(fake.eflags, 1 << 12 | 2);
	fake_reset(0);
	assert_true(iret(CODE0, ~0u & ~FLAG_VM, 0));
	assert_int_equal(fake.eflags, WIDE | FLAG_IF | FLAG_IOPL | 2);
	fake_reset(0);
	fake.eflags = FLAG_AC | FLAG_ID | FLAG_IF | 2;
	fake_put(0x8000, 4, CODE0 << 16 | 0x4321);
	fake_put(0x8004, 2, 0xffff);
	assert_true(RUN(0x66, 0xcf));
	assert_int_equal(fake.eip, 0x4321);
	assert_int_equal(fake.gpr[R_ESP], 0x8006);
	assert_int_equal(fake.eflags, ALWAYS | FLAG_AC | FLAG_ID | FLAG_IF | FLAG_IOPL | 2);
}

static void iret_outwards(void **state)
{
	fake.eflags = FLAG_IF | 2;
	assert_true(iret(CODE3 | 3, 0, DATA3 | 3));
	assert_int_equal(fake.cpl, 3);
	assert_int_equal(fake.gpr[R_ESP], 0xabcd5000);
	assert_int_equal(fake.eflags, FLAG_IF | 2);		/* the CPL that counts is that of the IRET */
	assert_int_equal(fake.seg[S_DS].attr, 0);
	fake_reset(0);
	assert_true(iret(CODE3 | 3, FLAG_IOPL, DATA3 | 3));
	assert_int_equal(fake.eflags, FLAG_IOPL | 2);
	fake_reset(1);
	fake.gpr[R_ESP] = 0x18000;
	fake_put(0x18000, 4, 0x2000);
	fake_put(0x18004, 4, CODE3 | 3);
	fake_put(0x1800c, 4, 0xabcd5000);
	fake_put(0x18010, 4, STACK16_3 | 3);
	assert_true(RUN(0xcf));					/* only SP is popped: the old upper half shows through */
	assert_int_equal(fake.gpr[R_ESP], 0x15000);
	fake_reset(1);
	assert_fault(iret(CODE0, 0, DATA0), TRAP_GP, CODE0);
	assert_fault(iret(CODE3 | 3, 0, DATA3 | 1), TRAP_GP, DATA3);
}

static void iret_refused(void **state)
{
	fake.eflags |= FLAG_NT;
	assert_fault(iret(CODE1 | 1, 0, 0), TRAP_TS, 0);
	fake_reset(0);
	assert_fault(iret(CODE0, FLAG_VM, 0), TRAP_GP, 0);
	fake_reset(1);
	assert_true(iret(CODE1 | 1, FLAG_VM, 0));		/* above ring 0, VM is just another bit that stays */
	assert_int_equal(fake.eflags, FLAG_IF | 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(jump_checks, setup),	  cmocka_unit_test_setup(jump, setup),
		cmocka_unit_test_setup(call, setup),		  cmocka_unit_test_setup(return_checks, setup),
		cmocka_unit_test_setup(return_outwards_checks, setup), cmocka_unit_test_setup(return_same_ring, setup),
		cmocka_unit_test_setup(return_outwards, setup),	  cmocka_unit_test_setup(return_frame_faults, setup),
		cmocka_unit_test_setup(iret_flags, setup),	  cmocka_unit_test_setup(iret_outwards, setup),
		cmocka_unit_test_setup(iret_refused, setup),
	};

	return cmocka_run_group_tests_name("emulate-far", tests, NULL, NULL);
}
