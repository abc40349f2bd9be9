/* SPDX-License-Identifier: MIT */
/*
 * string.c - tests of cpu/x86/emulate/string.c.
 */
#include "fake_cpu.h"

static int setup(void **state)
{
	fake_reset(3);
	for (unsigned i = 0; i < 256; i++)
		fake_put(0x3000 + i, 1, i);
	fake.gpr[R_ESI] = 0x3000;
	fake.gpr[R_EDI] = 0x4000;
	return 0;
}

/* Run a repeated instruction until EIP moves on; returns the number of calls. */
static unsigned run_out(const uint8_t *code, unsigned len)
{
	uint32_t eip = fake.eip;
	unsigned calls = 0;

	do {
		assert_true(fake_run(code, len));
		calls++;
	} while (fake.eip == eip);
	assert_int_equal(fake.eip, eip + len);
	return calls;
}
#define RUN_OUT(...) run_out((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

static void movs(void **state)
{
	assert_next(RUN(0xa5));
	assert_int_equal(fake_get(0x4000, 4), 0x03020100);
	assert_int_equal(fake.gpr[R_ESI], 0x3004);
	assert_int_equal(fake.gpr[R_EDI], 0x4004);
	assert_int_equal(fake.gpr[R_ECX], before.gpr[R_ECX]);
	assert_next(RUN(0xa4));
	assert_next(RUN(0x66, 0xa5));
	assert_int_equal(fake.gpr[R_ESI], 0x3007);
	assert_memory_equal(fake.memory + 0x3000, fake.memory + 0x4000, 7);
	fake.eflags |= FLAG_DF;
	fake_put(0x3007, 4, 0xaabbccdd);
	assert_next(RUN(0xa5));
	assert_int_equal(fake.gpr[R_ESI], 0x3003);
	assert_int_equal(fake.gpr[R_EDI], 0x4003);
	assert_int_equal(fake_get(0x4007, 4), 0xaabbccdd);
}

static void rep_movs(void **state)
{
	fake.gpr[R_ECX] = 200;
	assert_in_range(RUN_OUT(0xf3, 0xa4), 1, 200);
	assert_memory_equal(fake.memory + 0x3000, fake.memory + 0x4000, 200);
	assert_int_equal(fake_get(0x40c8, 1), 0);
	assert_int_equal(fake.gpr[R_ECX], 0);
	assert_int_equal(fake.gpr[R_ESI], 0x30c8);
	assert_int_equal(fake.gpr[R_EDI], 0x40c8);
	assert_next(RUN(0xf3, 0xa4));		/* nothing left */
	assert_int_equal(fake.gpr[R_EDI], 0x40c8);
	fake.gpr[R_ESI] = 0x3000;		/* each byte is the one before it */
	fake.gpr[R_EDI] = 0x3001;
	fake.gpr[R_ECX] = 100;
	RUN_OUT(0xf2, 0xa4);
	assert_int_equal(fake_get(0x3064, 1), 0);
	assert_int_equal(fake_get(0x3065, 1), 0x65);
}

/* A fault in the middle: what was moved is moved, and the registers say so. */
static void fault_midway(void **state)
{
	fake.access[5] = PAGE_PRESENT | PAGE_USER;
	fake.gpr[R_EDI] = 0x4ff6;
	fake.gpr[R_ECX] = 8;
	assert_false(RUN(0xf3, 0xa5));
	assert_int_equal(fake_exit.kind, EXIT_FAULT);
	assert_int_equal(fake_exit.vector, TRAP_PF);
	assert_int_equal(fake_exit.error, PF_PRESENT | PF_WRITE | PF_USER);
	assert_int_equal(fake_exit.address, 0x5000);
	assert_int_equal(fake.eip, FAKE_CODE);
	assert_int_equal(fake.gpr[R_ECX], 6);
	assert_int_equal(fake.gpr[R_ESI], 0x3008);
	assert_int_equal(fake.gpr[R_EDI], 0x4ffe);
	assert_memory_equal(fake.memory + 0x3000, fake.memory + 0x4ff6, 8);
	assert_int_equal(fake_get(0x4ffe, 2), 0);
	fake.access[5] = PAGE_ALL;
	RUN_OUT(0xf3, 0xa5);
	assert_memory_equal(fake.memory + 0x3000, fake.memory + 0x4ff6, 32);
}

static void single_step(void **state)
{
	fake.eflags |= FLAG_TF;
	fake.gpr[R_ECX] = 3;
	assert_int_equal(RUN_OUT(0xf3, 0xa4), 3);
}

static void stos_and_lods(void **state)
{
	fake.gpr[R_EAX] = 0x11223344;
	fake.gpr[R_ECX] = 5;
	RUN_OUT(0xf3, 0xab);
	assert_int_equal(fake_get(0x4010, 4), 0x11223344);
	assert_int_equal(fake.gpr[R_EDI], 0x4014);
	assert_int_equal(fake.gpr[R_ESI], 0x3000);
	assert_next(RUN(0xac));
	assert_int_equal(fake.gpr[R_EAX], 0x11223300);
	assert_next(RUN(0x66, 0xad));
	assert_int_equal(fake.gpr[R_EAX], 0x11220201);
	assert_next(RUN(0xad));
	assert_int_equal(fake.gpr[R_EAX], 0x06050403);
	assert_int_equal(fake.gpr[R_ESI], 0x3007);
}

static uint32_t native_cmp(uint32_t a, uint32_t b, unsigned size)
{
	uint64_t flags;

	if (size == 1)
		__asm__("cmpb %b2, %b1; pushfq; popq %0" : "=r"(flags) : "q"(a), "q"(b) : "cc", "memory");
	else if (size == 2)
		__asm__("cmpw %w2, %w1; pushfq; popq %0" : "=r"(flags) : "r"(a), "r"(b) : "cc", "memory");
	else
		__asm__("cmpl %2, %1; pushfq; popq %0" : "=r"(flags) : "r"(a), "r"(b) : "cc", "memory");
	return (uint32_t)flags & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF);
}

static uint32_t random32(void)
{
	static uint32_t x = 2463534242u;
	static const uint32_t edges[] = { 0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff };

	x ^= x << 13;
	x ^= x >> 17;
	x ^= x << 5;
	return x & 0x300 ? x : edges[(x >> 12) % 11];
}

/* All flags, against the host's own CMP. */
static void compare_flags(void **state)
{
	for (unsigned i = 0; i < 3000; i++) {
		uint32_t a = random32(), b = random32(), flags = FLAG_IF | 2 | (i & 1 ? FLAG_CF | FLAG_OF | FLAG_ZF : 0);

		fake_put(0x3000, 4, a);
		fake_put(0x4000, 4, b);
		for (unsigned size = 1; size <= 4; size *= 2) {
			setup(NULL);
			fake_put(0x3000, 4, a);
			fake_put(0x4000, 4, b);
			fake.eflags = flags;
			assert_true(size == 1 ? RUN(0xa6) : size == 2 ? RUN(0x66, 0xa7) : RUN(0xa7));
			assert_int_equal(fake.eflags, native_cmp(a, b, size) | FLAG_IF | 2);
			fake.gpr[R_EAX] = a;
			fake.gpr[R_EDI] = 0x4000;
			assert_true(size == 1 ? RUN(0xae) : size == 2 ? RUN(0x66, 0xaf) : RUN(0xaf));
			assert_int_equal(fake.eflags, native_cmp(a, b, size) | FLAG_IF | 2);
		}
	}
}

static void repe_and_repne(void **state)
{
	memcpy(fake.memory + 0x4000, fake.memory + 0x3000, 256);
	fake_put(0x4050, 1, 0xff);
	fake.gpr[R_ECX] = 256;
	RUN_OUT(0xf3, 0xa6);			/* up to and with the difference */
	assert_int_equal(fake.gpr[R_ESI], 0x3051);
	assert_int_equal(fake.gpr[R_ECX], 256 - 0x51);
	assert_false(fake.eflags & FLAG_ZF);
	assert_true(fake.eflags & FLAG_CF);
	fake.gpr[R_EAX] = 0x60;
	RUN_OUT(0xf2, 0xae);			/* up to and with the byte looked for */
	assert_int_equal(fake.gpr[R_EDI], 0x4061);
	assert_true(fake.eflags & FLAG_ZF);
	fake.gpr[R_ECX] = 4;
	RUN_OUT(0xf2, 0xae);			/* not found */
	assert_int_equal(fake.gpr[R_ECX], 0);
	assert_false(fake.eflags & FLAG_ZF);
	fake.eflags |= FLAG_ZF;
	assert_next(RUN(0xf2, 0xae));		/* a count of 0 leaves the flags */
	assert_true(fake.eflags & FLAG_ZF);
}

/* A 67 prefix: SI, DI and CX, wrapping at 64 KiB. */
static void address_size_16(void **state)
{
	fake.gpr[R_ESI] = 0xaaaa3000;
	fake.gpr[R_EDI] = 0xbbbbfffe;
	fake.gpr[R_ECX] = 0xcccc0004;
	RUN_OUT(0x67, 0xf3, 0xa4);
	assert_int_equal(fake.gpr[R_ESI], 0xaaaa3004);
	assert_int_equal(fake.gpr[R_EDI], 0xbbbb0002);
	assert_int_equal(fake.gpr[R_ECX], 0xcccc0000);
	assert_int_equal(fake_get(0xfffe, 2), 0x0100);
	assert_int_equal(fake_get(0, 2), 0x0302);
	assert_next(RUN(0x67, 0xf3, 0xa4));
}

/* The source takes an override, the destination is ES; both have limits. */
static void segments(void **state)
{
	fake_segment(S_FS, SMALL3 | 3);
	fake_put(0x4008, 4, 0x77777777);
	fake.gpr[R_ESI] = 8;
	fake.gpr[R_EDI] = 0x6000;
	assert_next(RUN(0x64, 0xa5));
	assert_int_equal(fake_get(0x6000, 4), 0x77777777);
	fake.gpr[R_ESI] = 0xffd;
	assert_fault(RUN(0x64, 0xa5), TRAP_GP, 0);
	fake.gpr[R_ESI] = 0xffc;
	assert_next(RUN(0x64, 0xad));
	fake_segment(S_ES, READ_ONLY3 | 3);
	assert_fault(RUN(0xab), TRAP_GP, 0);
	assert_next(RUN(0xaf));
	fake_segment(S_SS, SMALL3 | 3);
	fake.gpr[R_ESI] = 0x1000;
	assert_fault(RUN(0x36, 0xac), TRAP_SS, 0);
}

static void ports(void **state)
{
	assert_privileged(RUN(0x6c));
	fake.gpr[R_ECX] = 0;
	assert_privileged(RUN(0xf3, 0x6f));
	fake.eflags |= FLAG_IOPL;
	assert_next(RUN(0xf3, 0x6f));
	fake.gpr[R_ECX] = 1;
	assert_false(RUN(0xf3, 0x6d));
	assert_int_equal(fake_exit.kind, EXIT_IO);
	assert_ptr_equal(fake_exit.insn, &fake_insn);
	assert_memory_equal(&fake, &before, sizeof(fake));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(movs, setup),		cmocka_unit_test_setup(rep_movs, setup),
		cmocka_unit_test_setup(fault_midway, setup),	cmocka_unit_test_setup(single_step, setup),
		cmocka_unit_test_setup(stos_and_lods, setup),	cmocka_unit_test_setup(compare_flags, setup),
		cmocka_unit_test_setup(repe_and_repne, setup),	cmocka_unit_test_setup(address_size_16, setup),
		cmocka_unit_test_setup(segments, setup),	cmocka_unit_test_setup(ports, setup),
	};

	return cmocka_run_group_tests_name("emulate-string", tests, NULL, NULL);
}
