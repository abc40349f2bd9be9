/* SPDX-License-Identifier: MIT */
/*
 * system.c - tests of cpu/x86/emulate/system.c.
 */
#include "fake_cpu.h"

static int setup(void **state)
{
	fake_reset(3);
	return 0;
}

static void interrupt_flag(void **state)
{
	assert_privileged(RUN(0xfa));
	assert_privileged(RUN(0xfb));
	fake.eflags |= FLAG_IOPL;
	assert_next(RUN(0xfa));
	assert_int_equal(fake.eflags, FLAG_IOPL | 2);
	assert_next(RUN(0xfb));
	assert_int_equal(fake.eflags, FLAG_IOPL | FLAG_IF | 2);
	fake_reset(1);
	assert_privileged(RUN(0xfa));
	fake.eflags |= 1 << 12;
	assert_next(RUN(0xfa));
	fake_reset(0);
	assert_next(RUN(0xfa));
}

static void halt(void **state)
{
	assert_privileged(RUN(0xf4));
	fake_reset(0);
	assert_false(RUN(0xf4));
	assert_int_equal(fake_exit.kind, EXIT_HALT);
	assert_int_equal(fake.eip, FAKE_CODE + 1);
}

static void ports(void **state)
{
	assert_privileged(RUN(0xe4, 0x60));
	assert_privileged(RUN(0xef));
	fake_reset(0);
	assert_false(RUN(0xec));
	assert_int_equal(fake_exit.kind, EXIT_IO);
	assert_ptr_equal(fake_exit.insn, &fake_insn);
	assert_memory_equal(&fake, &before, sizeof(fake));
	assert_false(RUN(0xe7, 0x80));
	assert_int_equal(fake_exit.kind, EXIT_IO);
}

static void privileged(void **state)
{
	for (unsigned cpl = 0; cpl < 4; cpl += cpl ? 2 : 1) {
		fake_reset(cpl);
		assert_privileged(RUN(0x0f, 0x01, 0x15, 0, 0x30, 0, 0));	/* lgdt */
		assert_privileged(RUN(0x0f, 0x20, 0xc0));			/* mov eax, cr0 */
		assert_privileged(RUN(0x0f, 0x30));				/* wrmsr */
		assert_privileged(RUN(0x0f, 0x33));				/* rdpmc */
		assert_privileged(RUN(0x0f, 0x06));				/* clts */
		assert_privileged(RUN(0x0f, 0x01, 0x05, 0, 0x30, 0, 0));	/* sgdt */
		assert_privileged(RUN(0x0f, 0x00, 0xc8));			/* str eax */
		assert_privileged(RUN(0x0f, 0x00, 0x00));			/* sldt [eax] */
	}
}

static void cpuid_is_filtered(void **state)
{
	fake.gpr[R_EAX] = 0x12345678;
	fake.gpr[R_ECX] = 7;
	assert_next(RUN(0x0f, 0xa2));
	assert_int_equal(fake.gpr[R_EAX], 0x12345678);
	assert_int_equal(fake.gpr[R_ECX], 7);
	assert_int_equal(fake.gpr[R_EDX], 0xd0d0d0d0);
}

static void clock_runs(void **state)
{
	uint64_t first;

	assert_next(RUN(0x0f, 0x31));
	first = (uint64_t)fake.gpr[R_EDX] << 32 | fake.gpr[R_EAX];
	assert_next(RUN(0x0f, 0x31));
	assert_true(((uint64_t)fake.gpr[R_EDX] << 32 | fake.gpr[R_EAX]) > first);
}

/* Does the inquiry say yes? A no must leave the destination alone. */
static bool lar(uint32_t selector)
{
	fake.gpr[R_EAX] = selector;
	fake.gpr[R_ECX] = 0x5a5a5a5a;
	fake.eflags ^= FLAG_ZF;
	assert_next(RUN(0x0f, 0x02, 0xc8));
	if (!(fake.eflags & FLAG_ZF))
		assert_int_equal(fake.gpr[R_ECX], 0x5a5a5a5a);
	return fake.eflags & FLAG_ZF;
}

static bool lsl(uint32_t selector)
{
	fake.gpr[R_EAX] = selector;
	fake.gpr[R_ECX] = 0x5a5a5a5a;
	assert_next(RUN(0x0f, 0x03, 0xc8));
	if (!(fake.eflags & FLAG_ZF))
		assert_int_equal(fake.gpr[R_ECX], 0x5a5a5a5a);
	return fake.eflags & FLAG_ZF;
}

static bool verr(uint32_t selector)
{
	fake.gpr[R_EAX] = selector;
	assert_next(RUN(0x0f, 0x00, 0xe0));
	return fake.eflags & FLAG_ZF;
}

static bool verw(uint32_t selector)
{
	fake_put(0x3000, 2, selector);
	assert_next(RUN(0x0f, 0x00, 0x2d, 0x00, 0x30, 0x00, 0x00));
	return fake.eflags & FLAG_ZF;
}

/* The values are those that hardware gives for the same descriptors. */
static void lar_and_lsl(void **state)
{
	assert_true(lar(CODE3 | 3));
	assert_int_equal(fake.gpr[R_ECX], 0x00cffb00);
	assert_true(lar(DATA3));
	assert_int_equal(fake.gpr[R_ECX], 0x00cff300);
	assert_true(lar(CALL_GATE3 | 3));
	assert_true(lar(TSS3 | 3));
	assert_int_equal(fake.gpr[R_ECX], 0x0000e900);
	assert_false(lar(INTERRUPT_GATE3 | 3));
	assert_false(lar(0));
	assert_false(lar(3));
	assert_false(lar(OUTSIDE | 3));
	assert_false(lar(DATA1 | 3));
	assert_true(lar(CONFORMING0 | 3));
	assert_true(lsl(DATA3 | 3));
	assert_int_equal(fake.gpr[R_ECX], 0xffffffff);
	assert_true(lsl(SMALL3 | 3));
	assert_int_equal(fake.gpr[R_ECX], 0xfff);
	assert_true(lsl(TSS3 | 3));
	assert_int_equal(fake.gpr[R_ECX], 0x67);
	assert_false(lsl(CALL_GATE3 | 3));
	assert_false(lsl(INTERRUPT_GATE3 | 3));
	fake.gpr[R_EAX] = DATA3;
	assert_next(RUN(0x66, 0x0f, 0x02, 0xc8));
	assert_int_equal(fake.gpr[R_ECX] & 0xffff, 0xf300);
	fake_reset(1);
	assert_true(lar(DATA1 | 1));
	assert_false(lar(DATA1 | 3));	/* the RPL counts too */
	assert_true(lar(DATA3 | 3));
}

static void verr_and_verw(void **state)
{
	assert_true(verr(DATA3 | 3));
	assert_true(verw(DATA3 | 3));
	assert_true(verr(READ_ONLY3 | 3));
	assert_false(verw(READ_ONLY3 | 3));
	assert_true(verr(CODE3 | 3));
	assert_false(verw(CODE3 | 3));
	assert_false(verr(EXECUTE_ONLY3 | 3));
	assert_true(verr(CONFORMING0 | 3));
	assert_false(verr(DATA0));
	assert_false(verr(TSS3 | 3));
	assert_false(verw(0));
	assert_true(verr(ABSENT_DATA3 | 3));	/* presence is not asked for */
	fake.access[3] = 0;
	assert_fault(RUN(0x0f, 0x00, 0x2d, 0x00, 0x30, 0x00, 0x00), TRAP_PF, PF_USER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(interrupt_flag, setup),	  cmocka_unit_test_setup(halt, setup),
		cmocka_unit_test_setup(ports, setup),		  cmocka_unit_test_setup(privileged, setup),
		cmocka_unit_test_setup(cpuid_is_filtered, setup), cmocka_unit_test_setup(clock_runs, setup),
		cmocka_unit_test_setup(lar_and_lsl, setup),	  cmocka_unit_test_setup(verr_and_verw, setup),
	};

	return cmocka_run_group_tests_name("emulate-system", tests, NULL, NULL);
}
