/* SPDX-License-Identifier: MIT */
/*
 * data.c - tests of cpu/x86/emulate/data.c, emulate/bcd.c and the operands of emulate/operand.c.
 */
#include "fake_cpu.h"

enum { STATUS = FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF | FLAG_OF };

static int setup(void **state)
{
	fake_reset(3);
	return 0;
}

static uint32_t native_incdec(uint32_t *value, uint32_t flags, bool dec, bool wide)
{
	uint64_t f = flags;

	if (dec && wide)
		__asm__("pushq %0; popfq; decl %1; pushfq; popq %0" : "+r"(f), "+r"(*value) : : "cc", "memory");
	else if (dec)
		__asm__("pushq %0; popfq; decw %w1; pushfq; popq %0" : "+r"(f), "+r"(*value) : : "cc", "memory");
	else if (wide)
		__asm__("pushq %0; popfq; incl %1; pushfq; popq %0" : "+r"(f), "+r"(*value) : : "cc", "memory");
	else
		__asm__("pushq %0; popfq; incw %w1; pushfq; popq %0" : "+r"(f), "+r"(*value) : : "cc", "memory");
	return (uint32_t)f;
}

static void incdec(void **state)
{
	static const uint32_t values[] = { 0,	       1,	   0xf,	       0x10,	   0xff,
					   0x7fff,     0x8000,	   0xffff,     0x10000,	   0x12345678,
					   0x7fffffff, 0x80000000, 0xffffffff, 0xffff8000, 0xabcdffff };

	for (unsigned i = 0; i < sizeof(values) / sizeof(values[0]) * 8; i++) {
		uint32_t value = values[i / 8], flags = (i & 1 ? STATUS : 0) | FLAG_IF | 2;
		bool dec = i & 2, wide = i & 4;
		uint8_t op = dec ? 0x4b : 0x43;	/* ebx */

		fake_reset(3);
		fake.gpr[R_EBX] = value;
		fake.eflags = flags;
		assert_next(wide ? RUN(op) : RUN(0x66, op));
		assert_int_equal(fake.eflags & STATUS, native_incdec(&value, flags, dec, wide) & STATUS);
		assert_int_equal(fake.gpr[R_EBX], value);
		assert_int_equal(fake.eflags & ~STATUS, FLAG_IF | 2);
	}
}

/* AX and flags before and after, as a 32-bit process saw them on an AMD processor of family 1Ah. */
struct decimal {
	uint8_t op, imm;
	uint16_t ax, flags, result, result_flags;
};

static void decimal(void **state)
{
	static const struct decimal cases[] = {
#include "bcd.inc"
	};

	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct decimal *c = &cases[i];

		fake_reset(3);
		fake.gpr[R_EAX] = 0xabcd0000 | c->ax;
		fake.eflags = c->flags | FLAG_IF | 2;
		assert_next((c->op & 0xf0) == 0xd0 ? RUN(c->op, c->imm) : RUN(c->op));
		if (fake.gpr[R_EAX] != (0xabcd0000 | c->result) || (fake.eflags & STATUS) != c->result_flags)
			fail_msg("%02x %02x: ax %04x flags %03x: %04x %03x, not %04x %03x", c->op, c->imm, c->ax, c->flags,
				 fake.gpr[R_EAX] & 0xffff, fake.eflags & STATUS, c->result, c->result_flags);
	}
}

static void aam_0_and_salc(void **state)
{
	assert_fault(RUN(0xd4, 0x00), TRAP_DE, 0);
	fake.eflags |= FLAG_CF | FLAG_OF;
	assert_next(RUN(0xd6));
	assert_int_equal(fake.gpr[R_EAX], 0x101010ff);
	assert_int_equal(fake.eflags, before.eflags);
	fake.eflags &= ~(uint32_t)FLAG_CF;
	assert_next(RUN(0xd6));
	assert_int_equal(fake.gpr[R_EAX], 0x10101000);
}

static void lea(void **state)
{
	fake.gpr[R_EBX] = 0xfffffff0;
	fake.gpr[R_ESI] = 9;
	assert_next(RUN(0x8d, 0x44, 0xf3, 0x10));		/* [ebx+esi*8+16] */
	assert_int_equal(fake.gpr[R_EAX], 72);
	assert_next(RUN(0x66, 0x8d, 0x0b));
	assert_int_equal(fake.gpr[R_ECX], 0x1111fff0);
	assert_next(RUN(0x67, 0x8d, 0x50, 0x20));		/* [bx+si+32], 16 bits, zero-extended */
	assert_int_equal(fake.gpr[R_EDX], 0x19);
	fake.gpr[R_EBP] = 0xffff0010;
	assert_next(RUN(0x67, 0x8d, 0x56, 0xff));		/* [bp-1] */
	assert_int_equal(fake.gpr[R_EDX], 0xf);
	assert_next(RUN(0x67, 0x8d, 0x16, 0x34, 0x92));	/* [9234h] */
	assert_int_equal(fake.gpr[R_EDX], 0x9234);
	assert_next(RUN(0x8d, 0x24, 0x24));
	assert_int_equal(fake.gpr[R_ESP], 0x8000);
}

static void moffs(void **state)
{
	fake_put(0x3000, 4, 0xa1b2c3d4);
	assert_next(RUN(0xa0, 0x00, 0x30, 0x00, 0x00));
	assert_int_equal(fake.gpr[R_EAX], 0x101010d4);
	assert_next(RUN(0x66, 0xa1, 0x00, 0x30, 0x00, 0x00));
	assert_int_equal(fake.gpr[R_EAX], 0x1010c3d4);
	assert_next(RUN(0x67, 0xa1, 0x00, 0x30));
	assert_int_equal(fake.gpr[R_EAX], 0xa1b2c3d4);
	assert_next(RUN(0x67, 0xa2, 0xff, 0xff));
	assert_int_equal(fake_get(0xffff, 2), 0xd4);
	assert_next(RUN(0x66, 0xa3, 0x00, 0x40, 0x01, 0x00));
	assert_int_equal(fake_get(0x14000, 4), 0xc3d4);
	fake_segment(S_GS, SMALL3 | 3);
	assert_next(RUN(0x65, 0xa3, 0x10, 0x00, 0x00, 0x00));
	assert_int_equal(fake_get(0x4010, 4), 0xa1b2c3d4);
	assert_int_equal(insn_address(&fake, &fake_insn), 0x4010);
	assert_fault(RUN(0x65, 0xa3, 0xfd, 0x0f, 0x00, 0x00), TRAP_GP, 0);
}

static void xlat(void **state)
{
	fake.gpr[R_EBX] = 0x2ffff;
	fake.gpr[R_EAX] = 0x55555501;
	fake_put(0, 1, 0x77);
	assert_next(RUN(0x67, 0xd7));				/* [bx+al] wraps */
	assert_int_equal(fake.gpr[R_EAX], 0x55555577);
	fake.gpr[R_EBX] = 0x3000;
	fake_put(0x3077, 1, 0x99);
	assert_next(RUN(0xd7));
	assert_int_equal(fake.gpr[R_EAX], 0x55555599);
	fake.gpr[R_EBX] = 0xfffff;
	assert_fault(RUN(0xd7), TRAP_PF, PF_USER);
}

static void segment_registers(void **state)
{
	fake.gpr[R_EAX] = ~0u;
	assert_next(RUN(0x8c, 0xd8));				/* mov eax, ds */
	assert_int_equal(fake.gpr[R_EAX], DATA3 | 3);
	assert_next(RUN(0x66, 0x8c, 0xc9));			/* mov cx, cs */
	assert_int_equal(fake.gpr[R_ECX], 0x11110000 | CODE3 | 3);
	fake_put(0x3000, 4, ~0u);
	assert_next(RUN(0x8c, 0x15, 0x00, 0x30, 0x00, 0x00));	/* to memory: 16 bits */
	assert_int_equal(fake_get(0x3000, 4), 0xffff0000 | DATA3 | 3);
	fake_put(0x3000, 2, SMALL3 | 3);
	assert_next(RUN(0x8e, 0x25, 0x00, 0x30, 0x00, 0x00));	/* mov fs, [3000h] */
	assert_int_equal(fake.seg[S_FS].base, 0x4000);
	fake.gpr[R_EDX] = 0x77770003;
	assert_next(RUN(0x8e, 0xea));				/* mov gs, dx: null */
	assert_int_equal(fake.seg[S_GS].attr, 0);
	assert_fault(RUN(0x65, 0xa0, 0, 0, 0, 0), TRAP_GP, 0);
	assert_fault(RUN(0x8e, 0xd2), TRAP_GP, 0);		/* mov ss, dx */
	fake.gpr[R_EDX] = ABSENT_DATA3 | 3;
	assert_fault(RUN(0x8e, 0xda), TRAP_NP, ABSENT_DATA3);
}

static void far_pointers(void **state)
{
	fake_put(0x3000, 4, 0x11223344);
	fake_put(0x3004, 2, SMALL3 | 3);
	assert_next(RUN(0xc4, 0x1d, 0x00, 0x30, 0x00, 0x00));	/* les ebx, [3000h] */
	assert_int_equal(fake.gpr[R_EBX], 0x11223344);
	assert_int_equal(fake.seg[S_ES].sel, SMALL3 | 3);
	fake_put(0x3002, 2, DATA3 | 3);
	assert_next(RUN(0x66, 0x0f, 0xb2, 0x25, 0x00, 0x30, 0x00, 0x00));	/* lss sp */
	assert_int_equal(fake.gpr[R_ESP], 0x3344);
	fake_put(0x3002, 2, OUTSIDE | 3);
	assert_fault(RUN(0x66, 0xc5, 0x1d, 0x00, 0x30, 0x00, 0x00), TRAP_GP, OUTSIDE);
	fake_put(0xfffc, 4, 0x55667788);
	fake_put(0, 2, DATA3 | 3);
	assert_next(RUN(0x67, 0xc5, 0x0e, 0xfc, 0xff));	/* lds ecx, [fffch]: the selector lies around the end */
	assert_int_equal(fake.gpr[R_ECX], 0x55667788);
	assert_int_equal(fake.seg[S_DS].sel, DATA3 | 3);
}

static void bound(void **state)
{
	fake_put(0x3000, 4, (uint32_t)-5);
	fake_put(0x3004, 4, 7);
	for (int i = -7; i < 10; i++) {
		fake.gpr[R_EDI] = (uint32_t)i;
		if (i >= -5 && i <= 7)
			assert_next(RUN(0x62, 0x3d, 0x00, 0x30, 0x00, 0x00));
		else
			assert_fault(RUN(0x62, 0x3d, 0x00, 0x30, 0x00, 0x00), TRAP_BR, 0);
	}
	fake_put(0x3002, 2, 0x7fff);
	fake.gpr[R_EDI] = 0x1234fffb;
	assert_next(RUN(0x66, 0x62, 0x3d, 0x00, 0x30, 0x00, 0x00));
	fake.gpr[R_EDI] = 0x1234fffa;
	assert_fault(RUN(0x66, 0x62, 0x3d, 0x00, 0x30, 0x00, 0x00), TRAP_BR, 0);
}

static void arpl(void **state)
{
	fake.gpr[R_EAX] = 0xabcd1230;
	fake.gpr[R_ECX] = 2;
	assert_next(RUN(0x63, 0xc8));
	assert_int_equal(fake.gpr[R_EAX], 0xabcd1232);
	assert_true(fake.eflags & FLAG_ZF);
	assert_next(RUN(0x63, 0xc8));
	assert_false(fake.eflags & FLAG_ZF);
	fake.access[3] = PAGE_PRESENT | PAGE_USER;		/* hardware: no write where nothing changes */
	fake_put(0x3000, 2, 3);
	assert_next(RUN(0x63, 0x0d, 0x00, 0x30, 0x00, 0x00));
	fake_put(0x3000, 2, 1);
	assert_fault(RUN(0x63, 0x0d, 0x00, 0x30, 0x00, 0x00), TRAP_PF, PF_PRESENT | PF_WRITE | PF_USER);
}

/* Who may be read, who may be written, and how far. */
static void segment_rights(void **state)
{
	static const struct {
		uint16_t selector;
		bool read, write;
	} rights[] = {
		{ DATA3, true, true },
		{ READ_ONLY3, true, false },
		{ CODE3, true, false },
		{ EXECUTE_ONLY3, false, false },
	};

	for (unsigned i = 0; i < 4; i++) {
		fake_segment(S_GS, rights[i].selector | 3);
		if (rights[i].read)
			assert_next(RUN(0x65, 0xa0, 0, 0x30, 0, 0));
		else
			assert_fault(RUN(0x65, 0xa0, 0, 0x30, 0, 0), TRAP_GP, 0);
		if (rights[i].write)
			assert_next(RUN(0x65, 0xa2, 0, 0x30, 0, 0));
		else
			assert_fault(RUN(0x65, 0xa2, 0, 0x30, 0, 0), TRAP_GP, 0);
	}
}

static void segment_that_grows_down(void **state)
{
	fake_segment(S_GS, DOWN3 | 3);
	assert_next(RUN(0x65, 0xa1, 0x00, 0x10, 0, 0));
	assert_fault(RUN(0x65, 0xa1, 0xff, 0x0f, 0, 0), TRAP_GP, 0);
	assert_next(RUN(0x65, 0xa1, 0xfc, 0xff, 0, 0));
	assert_fault(RUN(0x65, 0xa1, 0xfd, 0xff, 0, 0), TRAP_GP, 0);
	assert_fault(RUN(0xa1, 0xfd, 0xff, 0xff, 0xff), TRAP_GP, 0);	/* around the end of a flat one (hardware) */
}

/* Only CPL 3 is a user. */
static void supervisor_access(void **state)
{
	fake.access[3] = PAGE_PRESENT | PAGE_WRITABLE;
	assert_fault(RUN(0xa0, 0, 0x30, 0, 0), TRAP_PF, PF_PRESENT | PF_USER);
	fake_reset(1);
	fake.access[3] = PAGE_PRESENT | PAGE_WRITABLE;
	assert_next(RUN(0xa0, 0, 0x30, 0, 0));
	assert_next(RUN(0xa2, 0, 0x30, 0, 0));
}

static void undefined(void **state)
{
	assert_fault(RUN(0x0f, 0x0b), TRAP_UD, 0);
	assert_fault(RUN(0x0f, 0x01, 0xf9), TRAP_UD, 0);	/* rdtscp */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(incdec, setup),
		cmocka_unit_test_setup(decimal, setup),
		cmocka_unit_test_setup(aam_0_and_salc, setup),
		cmocka_unit_test_setup(lea, setup),
		cmocka_unit_test_setup(moffs, setup),
		cmocka_unit_test_setup(xlat, setup),
		cmocka_unit_test_setup(segment_registers, setup),
		cmocka_unit_test_setup(far_pointers, setup),
		cmocka_unit_test_setup(bound, setup),
		cmocka_unit_test_setup(arpl, setup),
		cmocka_unit_test_setup(segment_rights, setup),
		cmocka_unit_test_setup(segment_that_grows_down, setup),
		cmocka_unit_test_setup(supervisor_access, setup),
		cmocka_unit_test_setup(undefined, setup),
	};

	return cmocka_run_group_tests_name("emulate-data", tests, NULL, NULL);
}
