/* SPDX-License-Identifier: MIT */
/*
 * test_decode.c - encodings that are easy to get wrong, one by one, with what the processor makes of them.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <string.h>

#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/decode.h"

/* Bytes after the instruction are the rest of the 15: int3, which no instruction mistakes for an operand it lacks. */
#define DECODE(...)                                                                                                      \
	({                                                                                                              \
		const uint8_t bytes_[] = { __VA_ARGS__ };                                                               \
		decode_bytes(bytes_, sizeof(bytes_));                                                                   \
	})
#define LENGTH(...) sizeof((const uint8_t[]){ __VA_ARGS__ })
#define assert_undefined(...) assert_int_equal(DECODE(__VA_ARGS__).action, ACT_UD)
/* Action, and exactly the bytes given. */
#define assert_form(act, ...)                                                                                            \
	({                                                                                                              \
		struct insn insn_ = DECODE(__VA_ARGS__);                                                                \
		assert_int_equal(insn_.action, act);                                                                    \
		assert_int_equal(insn_.len, LENGTH(__VA_ARGS__));                                                       \
		insn_;                                                                                                  \
	})
#define assert_flags(want, ...) assert_int_equal(assert_form(ACT_COPY, __VA_ARGS__).flags, want)

static struct insn decode_bytes(const uint8_t *bytes, unsigned count)
{
	uint8_t code[15];
	struct insn insn;

	memset(code, 0xcc, sizeof(code));
	memcpy(code, bytes, count);
	assert_int_equal(decode(code, sizeof(code), &insn), DECODE_OK);
	return insn;
}

static void assert_address(struct insn insn, unsigned seg, int base, int index, unsigned scale, int32_t disp)
{
	assert_true(insn.mem);
	assert_int_equal(insn.seg, seg);
	assert_int_equal(insn.base, base);
	assert_int_equal(insn.index, index);
	assert_int_equal(insn.scale, scale);
	assert_int_equal(insn.disp, disp);
}

static void prefixes(void **state)
{
	struct insn insn = assert_form(ACT_COPY, 0x2e, 0x36, 0x65, 0x64, 0x8b, 0x00);

	assert_int_equal(insn.seg, S_FS);	/* the last one counts */
	assert_int_equal(insn.prefix, PFX_SEG);
	insn = assert_form(ACT_STRING, 0xf3, 0xf2, 0xa6);
	assert_int_equal(insn.prefix, PFX_REPNE);
	insn = assert_form(ACT_STRING, 0xf2, 0x66, 0xf3, 0x66, 0xa7);
	assert_int_equal(insn.prefix, PFX_REP | PFX_OPSIZE);
	assert_int_equal(insn.opsize, 2);
	insn = assert_form(ACT_COPY, 0x66, 0xf2, 0x0f, 0x38, 0xf1, 0xc1);	/* crc32 eax, cx */
	assert_int_equal(insn.opcode_at, 4);
	assert_int_equal(insn.modrm_at, 5);
	assert_int_equal(insn.map, MAP_0F38);
	/* F3 outranks 66 wherever it stands: movss, not movupd */
	assert_form(ACT_COPY, 0xf3, 0x66, 0x0f, 0x10, 0xc0);
	assert_undefined(0xf3, 0x66, 0x0f, 0x28, 0xc0);				/* there is no such movaps */
}

static void fifteen_bytes(void **state)
{
	uint8_t code[16];
	struct insn insn;

	memset(code, 0x66, sizeof(code));
	code[14] = 0x90;
	assert_int_equal(decode(code, 16, &insn), DECODE_OK);
	assert_int_equal(insn.len, 15);
	assert_int_equal(decode(code, 14, &insn), DECODE_MORE);
	code[14] = 0x04;	/* add al, imm8: byte 16 would be its immediate */
	assert_int_equal(decode(code, 16, &insn), DECODE_TOO_LONG);
	code[14] = 0x66;
	assert_int_equal(decode(code, 16, &insn), DECODE_TOO_LONG);
	assert_int_equal(decode(code, 15, &insn), DECODE_TOO_LONG);
	code[0] = 0xf0;		/* not to be locked, but too long first */
	code[12] = 0xc7;	/* mov dword [eax], imm32 */
	code[13] = 0x00;
	assert_int_equal(decode(code, 16, &insn), DECODE_TOO_LONG);
}

static void assert_undefined_as_a_whole(const uint8_t *code, unsigned len)
{
	struct insn insn;

	for (unsigned part = 0; part < len; part++)
		assert_int_equal(decode(code, part, &insn), DECODE_MORE);
	assert_int_equal(decode(code, len, &insn), DECODE_OK);
	assert_int_equal(insn.action, ACT_UD);
	assert_int_equal(insn.len, len);
}

static void certainly_undefined(void **state)
{
	const uint8_t ud2[] = { 0x0f, 0x0b }, vex[] = { 0xc5, 0xf8 };
	const uint8_t lock[] = { 0xf0, 0xc7, 0x00, 1, 2, 3, 4 }, group[] = { 0xff, 0xb8, 1, 2, 3, 4 };
	const uint8_t hole[] = { 0xc6, 0xc8, 1 }, far[] = { 0x0f, 0x3a, 0xff, 0x04, 0x24, 1 }, lock_nop[] = { 0xf0, 0x90 };
	const uint8_t syscall[] = { 0x0f, 0x05 }, add[] = { 0x05, 1, 2, 3 }, nothing[1] = { 0 };
	struct insn insn;

	assert_int_equal(decode(nothing, 0, &insn), DECODE_MORE);
	assert_int_equal(decode(ud2, 1, &insn), DECODE_MORE);
	assert_int_equal(decode(ud2, 2, &insn), DECODE_OK);
	assert_int_equal(insn.action, ACT_UD);
	assert_int_equal(insn.len, 2);
	assert_int_equal(decode(syscall, 2, &insn), DECODE_OK);
	assert_int_equal(decode(vex, 1, &insn), DECODE_MORE);
	assert_int_equal(decode(vex, 2, &insn), DECODE_OK);
	assert_int_equal(insn.action, ACT_UD);
	assert_int_equal(decode(lock_nop, 1, &insn), DECODE_MORE);
	assert_int_equal(decode(lock_nop, 2, &insn), DECODE_OK);
	assert_int_equal(insn.action, ACT_UD);
	assert_true(insn.flags & INSN_ENDS);
	/* Of an opcode that exists all is fetched, though there is no such form. */
	assert_undefined_as_a_whole(lock, sizeof(lock));
	assert_undefined_as_a_whole(group, sizeof(group));
	assert_undefined_as_a_whole(hole, sizeof(hole));
	assert_undefined_as_a_whole(far, sizeof(far));
	assert_int_equal(decode(add, 4, &insn), DECODE_MORE);
}

static void addresses_32(void **state)
{
	assert_address(assert_form(ACT_COPY, 0x8b, 0x00), S_DS, R_EAX, -1, 0, 0);
	assert_address(assert_form(ACT_COPY, 0x8b, 0x45, 0xfc), S_SS, R_EBP, -1, 0, -4);
	assert_address(assert_form(ACT_COPY, 0x8b, 0x05, 0xff, 0xff, 0xff, 0xff), S_DS, -1, -1, 0, -1);
	assert_address(assert_form(ACT_COPY, 0x8b, 0x04, 0x24), S_SS, R_ESP, -1, 0, 0);
	assert_address(assert_form(ACT_COPY, 0x8b, 0x04, 0xe4), S_SS, R_ESP, -1, 3, 0);		/* no index, whatever the scale */
	assert_address(assert_form(ACT_COPY, 0x8b, 0x04, 0xad, 4, 0, 0, 0), S_DS, -1, R_EBP, 2, 4);
	assert_address(assert_form(ACT_COPY, 0x8b, 0x44, 0x6d, 0x80), S_SS, R_EBP, R_EBP, 1, -128);
	assert_address(assert_form(ACT_COPY, 0x8b, 0x84, 0x68, 0x78, 0x56, 0x34, 0x12), S_DS, R_EAX, R_EBP, 1, 0x12345678);
	assert_address(assert_form(ACT_COPY, 0x3e, 0x8b, 0x04, 0x24), S_DS, R_ESP, -1, 0, 0);
	assert_address(assert_form(ACT_COPY, 0x65, 0x89, 0x05, 0x14, 0, 0, 0), S_GS, -1, -1, 0, 0x14);
}

static void addresses_16(void **state)
{
	assert_address(assert_form(ACT_COPY, 0x67, 0x8b, 0x00), S_DS, R_EBX, R_ESI, 0, 0);
	assert_address(assert_form(ACT_COPY, 0x67, 0x8b, 0x03), S_SS, R_EBP, R_EDI, 0, 0);
	assert_address(assert_form(ACT_COPY, 0x67, 0x8b, 0x04), S_DS, -1, R_ESI, 0, 0);
	assert_address(assert_form(ACT_COPY, 0x67, 0x8b, 0x06, 0x00, 0x80), S_DS, -1, -1, 0, -0x8000);
	assert_address(assert_form(ACT_COPY, 0x67, 0x8b, 0x46, 0xff), S_SS, R_EBP, -1, 0, -1);
	assert_address(assert_form(ACT_COPY, 0x67, 0x8b, 0x87, 0x34, 0x12), S_DS, R_EBX, -1, 0, 0x1234);
}

static void moffs(void **state)
{
	struct insn insn = assert_form(ACT_MOFFS, 0x64, 0xa1, 0x78, 0x56, 0x34, 0x92);

	assert_false(insn.mem);
	assert_int_equal(insn.seg, S_FS);
	assert_int_equal((uint32_t)insn.disp, 0x92345678);
	assert_int_equal(insn.disp_size, 4);
	assert_int_equal(insn.imm_size, 0);
	insn = assert_form(ACT_MOFFS, 0x67, 0xa2, 0x34, 0x92);
	assert_int_equal(insn.disp, 0x9234);	/* an offset, so not sign-extended */
	assert_int_equal(insn.disp_size, 2);
}

static void immediates(void **state)
{
	struct insn insn = assert_form(ACT_COPY, 0x83, 0xc0, 0xff);

	assert_int_equal(insn.imm, 0xffffffff);
	insn = assert_form(ACT_COPY, 0x66, 0x81, 0xc0, 0x34, 0x12);
	assert_int_equal(insn.imm, 0x1234);
	assert_int_equal(insn.imm_size, 2);
	insn = assert_form(ACT_PUSH_IMM, 0x6a, 0x80);
	assert_int_equal(insn.imm, 0xffffff80);
	insn = assert_form(ACT_INT, 0xcd, 0x80);
	assert_int_equal(insn.imm, 0x80);
	insn = assert_form(ACT_ENTER, 0xc8, 0x34, 0x12, 0x05);
	assert_int_equal(insn.imm, 0x1234);
	assert_int_equal(insn.imm2, 5);
	insn = assert_form(ACT_JMP_FAR, 0xea, 0x78, 0x56, 0x34, 0x12, 0x61, 0x00);
	assert_int_equal(insn.imm, 0x12345678);
	assert_int_equal(insn.imm2, 0x61);
	insn = assert_form(ACT_CALL_FAR, 0x66, 0x9a, 0x34, 0x12, 0x61, 0x00);
	assert_int_equal(insn.imm, 0x1234);
	assert_int_equal(insn.imm2, 0x61);
	insn = assert_form(ACT_JMP, 0xeb, 0xfe);
	assert_int_equal(insn.imm, 0xfffffffe);
	insn = assert_form(ACT_JCC, 0x66, 0x0f, 0x84, 0xfe, 0xff);	/* a 16-bit branch: the displacement is still signed */
	assert_int_equal(insn.imm, 0xfffffffe);
	insn = assert_form(ACT_RET, 0xc2, 0x08, 0x80);
	assert_int_equal(insn.imm, 0x8008);
	assert_form(ACT_COPY, 0xf6, 0x00, 0x01);			/* test has an immediate, */
	assert_form(ACT_COPY, 0xf6, 0x10);				/* not has none */
	assert_form(ACT_COPY, 0xf7, 0x08, 1, 2, 3, 4);			/* test's twin */
	insn = assert_form(ACT_COPY, 0x0f, 0xba, 0x63, 0x04, 0x1f);	/* displacement before immediate */
	assert_int_equal(insn.disp, 4);
	assert_int_equal(insn.imm, 0x1f);
}

static void assert_long_nop(struct insn insn)
{
	assert_int_equal(insn.map, MAP_0F);
	assert_int_equal(insn.op, 0x1f);
	assert_int_equal(insn.prefix & (PFX_REP | PFX_REPNE), 0);
}

static void aliases(void **state)
{
	struct insn insn = assert_form(ACT_COPY, 0x82, 0x00, 0x01);

	assert_int_equal(insn.op, 0x80);	/* 64-bit mode has no 82 */
	assert_int_equal(insn.opcode_at, 0);
	assert_form(ACT_COPY, 0xc0, 0xf0, 0x01);	/* sal */
	assert_form(ACT_COPY, 0xdc, 0xd1);		/* fcom st(1) */
	assert_form(ACT_COPY, 0xf3, 0x90);
	assert_form(ACT_COPY, 0xf3, 0x0f, 0x1e, 0xfa);	/* endbr64 */
	assert_form(ACT_COPY, 0xf3, 0x0f, 0x1e, 0xfb);	/* endbr32 */
	assert_form(ACT_COPY, 0x66, 0x2e, 0x0f, 0x1f, 0x84, 0x00, 0, 0, 0, 0);
	/* Newer processors' instructions where older ones have NOP and BSF: nothing is left that would make the difference. */
	assert_long_nop(assert_form(ACT_COPY, 0xf3, 0x0f, 0x1e, 0xc8));			/* rdsspd eax */
	assert_long_nop(assert_form(ACT_COPY, 0xf3, 0x0f, 0x1b, 0x00));			/* bndmk */
	assert_long_nop(assert_form(ACT_COPY, 0x66, 0x0f, 0x1a, 0x00));			/* bndmov */
	assert_long_nop(assert_form(ACT_COPY, 0x0f, 0x1c, 0x00));			/* cldemote */
	assert_int_equal(assert_form(ACT_COPY, 0xf3, 0x0f, 0xbc, 0xc1).prefix, 0);	/* tzcnt */
	assert_int_equal(assert_form(ACT_COPY, 0xf3, 0x0f, 0xbd, 0xc1).prefix, PFX_REP);/* lzcnt is offered */
}

static void segment_registers(void **state)
{
	static const uint8_t push[] = { 0x06, 0x0e, 0x16, 0x1e };
	struct insn insn;

	for (unsigned i = 0; i < 4; i++) {
		insn = assert_form(ACT_PUSH_SEG, push[i]);
		assert_int_equal(insn.reg, i);
	}
	assert_int_equal(assert_form(ACT_PUSH_SEG, 0x0f, 0xa0).reg, S_FS);
	assert_int_equal(assert_form(ACT_POP_SEG, 0x0f, 0xa9).reg, S_GS);
	assert_int_equal(assert_form(ACT_POP_SEG, 0x1f).reg, S_DS);
	assert_int_equal(assert_form(ACT_MOV_FROM_SEG, 0x8c, 0xe8).reg, S_GS);
	assert_int_equal(assert_form(ACT_MOV_TO_SEG, 0x8e, 0xd0).reg, S_SS);
	assert_undefined(0x8e, 0xc8);		/* mov cs, ax */
	assert_undefined(0x8c, 0xf0);		/* segment register 6 */
	insn = assert_form(ACT_LOAD_FAR_POINTER, 0xc5, 0x30);
	assert_int_equal(insn.segreg, S_DS);
	assert_int_equal(insn.reg, R_ESI);
	assert_int_equal(assert_form(ACT_LOAD_FAR_POINTER, 0xc4, 0x00).segreg, S_ES);
	assert_int_equal(assert_form(ACT_LOAD_FAR_POINTER, 0x0f, 0xb2, 0x00).segreg, S_SS);
	assert_int_equal(assert_form(ACT_LOAD_FAR_POINTER, 0x0f, 0xb4, 0x00).segreg, S_FS);
	assert_int_equal(assert_form(ACT_LOAD_FAR_POINTER, 0x0f, 0xb5, 0x00).segreg, S_GS);
}

static void string_segments(void **state)
{
	assert_int_equal(assert_form(ACT_STRING, 0xa4).seg, S_DS);
	assert_int_equal(assert_form(ACT_STRING, 0x65, 0xa5).seg, S_GS);
	assert_int_equal(assert_form(ACT_INS, 0x65, 0x6c).seg, S_ES);
	assert_int_equal(assert_form(ACT_OUTS, 0x2e, 0x6f).seg, S_CS);
	assert_int_equal(assert_form(ACT_XLAT, 0x36, 0xd7).seg, S_SS);
	assert_int_equal(assert_form(ACT_COPY, 0x64, 0x0f, 0xf7, 0xc1).seg, S_FS);
	assert_true(assert_form(ACT_COPY, 0x66, 0x0f, 0xf7, 0xc1).flags & INSN_IMPLICIT_DI);
	assert_undefined(0x0f, 0xf7, 0x01);
}

static void control_registers(void **state)
{
	struct insn insn = assert_form(ACT_PRIVILEGED, 0x0f, 0x22, 0x1d);	/* mod 0, rm 5: still mov cr3, ebp */

	assert_false(insn.mem);
	assert_int_equal(insn.mod, 3);
	assert_int_equal(insn.reg, 3);
	assert_int_equal(insn.rm, R_EBP);
	assert_form(ACT_PRIVILEGED, 0x0f, 0x20, 0xc0);
	assert_form(ACT_PRIVILEGED, 0x0f, 0x23, 0xf8);
	assert_undefined(0x0f, 0x20, 0xc8);		/* CR1 */
	assert_undefined(0xf0, 0x0f, 0x20, 0xc0);	/* AMD's CR8 */
	assert_undefined(0x0f, 0x24, 0xc0);		/* test registers */
}

static void integer_operands(void **state)
{
	const unsigned ev = INSN_MODRM | INSN_RM_INT, evgv = ev | INSN_REG_ACCESS;

	assert_flags(evgv | INSN_RM8, 0x0f, 0xb6, 0xc4);					/* movzx eax, ah */
	assert_flags(evgv, 0x0f, 0xbf, 0xc4);
	assert_flags(evgv | INSN_BYTE | INSN_WRITES_RM, 0x88, 0xe0);				/* mov al, ah */
	assert_flags(ev | INSN_BYTE | INSN_WRITES_RM, 0x0f, 0x94, 0xc0);			/* sete al */
	assert_flags(evgv | INSN_WRITES_RM | INSN_LOCKABLE, 0x0f, 0xb1, 0x08);			/* cmpxchg [eax], ecx */
	assert_flags(evgv, 0x39, 0x00);								/* cmp writes nothing */
	assert_flags(ev, 0x83, 0x38, 0x00);
	assert_flags(evgv, 0x85, 0x00);
	assert_flags(ev | INSN_SSE, 0x66, 0x0f, 0x6e, 0x00);					/* movd xmm0, [eax] */
	assert_flags(ev | INSN_FPU | INSN_WRITES_RM, 0x0f, 0x7e, 0xc0);				/* movd eax, mm0 */
	assert_flags(INSN_MODRM | INSN_SSE, 0xf3, 0x0f, 0x7e, 0xc0);				/* movq xmm0, xmm0 */
	assert_flags(INSN_MODRM | INSN_FPU | INSN_REG_ACCESS, 0x0f, 0xd7, 0xc0);		/* pmovmskb eax, mm0 */
	assert_flags(ev | INSN_FPU, 0x0f, 0xc4, 0x00, 0x01);					/* pinsrw mm0, [eax], 1 */
	assert_flags(evgv | INSN_RM8, 0xf2, 0x0f, 0x38, 0xf0, 0xc4);				/* crc32 eax, ah */
	assert_flags(INSN_MODRM | INSN_REG_ACCESS | INSN_MEM_ONLY | INSN_WRITES_RM, 0x0f, 0x38, 0xf1, 0x00); /* movbe */
	assert_flags(INSN_MODRM | INSN_MEM_ONLY | INSN_WRITES_RM | INSN_LOCKABLE, 0x0f, 0xc7, 0x08);
	assert_flags(ev | INSN_SSE | INSN_WRITES_RM, 0x66, 0x0f, 0x3a, 0x17, 0x00, 0x01);	/* extractps [eax], xmm0, 1 */
	assert_int_equal(assert_form(ACT_INCDEC, 0x4d).reg, R_EBP);
	assert_int_equal(assert_form(ACT_PUSH_REG, 0x56).reg, R_ESI);
}

static void fpu(void **state)
{
	const unsigned fp = INSN_MODRM | INSN_FPU;

	assert_flags(fp, 0xd9, 0x00);
	assert_flags(fp | INSN_WRITES_RM, 0xdb, 0x38);				/* fstp tbyte [eax] */
	assert_flags(fp | INSN_WRITES_RM, 0xdd, 0x38);				/* fnstsw [eax] */
	assert_flags(fp, 0xdf, 0xe0);						/* fnstsw ax */
	assert_flags(fp, 0xdf, 0x20);						/* fbld */
	assert_flags(fp | INSN_WRITES_RM, 0xdf, 0x30);				/* fbstp */
	assert_flags(INSN_FPU, 0x9b);
	assert_flags(INSN_FPU, 0x0f, 0x77);
	assert_int_equal(assert_form(ACT_FPU_ENV, 0xd9, 0x30).flags, fp | INSN_WRITES_RM);
	assert_form(ACT_FPU_ENV, 0x66, 0xdd, 0x30);
	assert_form(ACT_FPU_ENV, 0x0f, 0xae, 0x00);
	assert_form(ACT_COPY, 0x0f, 0xae, 0x08);				/* fxrstor */
	assert_form(ACT_COPY, 0xdd, 0x20);					/* frstor */
	assert_flags(INSN_MODRM | INSN_SSE | INSN_WRITES_RM, 0x0f, 0xae, 0x18);
	assert_undefined(0xd9, 0x08);
	assert_undefined(0xd9, 0xd1);
	assert_undefined(0xda, 0xe8);
	assert_form(ACT_COPY, 0xda, 0xe9);
	assert_undefined(0xdf, 0xe1);
}

static void locks(void **state)
{
	assert_form(ACT_COPY, 0xf0, 0x01, 0x00);
	assert_form(ACT_COPY, 0xf0, 0xff, 0x00);
	assert_form(ACT_COPY, 0xf0, 0x0f, 0xab, 0x00);
	assert_form(ACT_COPY, 0xf0, 0x0f, 0xba, 0x28, 0x01);
	assert_form(ACT_COPY, 0xf0, 0x0f, 0xc7, 0x08);
	assert_form(ACT_COPY, 0xf0, 0x86, 0x00);
	assert_undefined(0xf0, 0x01, 0xc0);		/* on a register */
	assert_undefined(0xf0, 0x03, 0x00);		/* with memory as the source */
	assert_undefined(0xf0, 0x39, 0x00);		/* cmp */
	assert_undefined(0xf0, 0x0f, 0xa3, 0x00);	/* bt */
	assert_undefined(0xf0, 0x0f, 0xba, 0x20, 0x01);
	assert_undefined(0xf0, 0x90);
	assert_undefined(0xf0, 0xff, 0x30);
	assert_undefined(0xf0, 0xa4);
}

static void not_offered(void **state)
{
	assert_undefined(0xc5, 0xf8, 0x77);			/* vzeroupper */
	assert_undefined(0xc4, 0xe2, 0x79, 0x00, 0xc0);
	assert_undefined(0x62, 0xf1, 0x7c, 0x48, 0x58, 0xc0);
	assert_undefined(0x8f, 0xe8, 0x78, 0xc2, 0xc0, 0);	/* XOP */
	assert_undefined(0x0f, 0x0f, 0xc0, 0x9e);		/* 3DNow! */
	assert_undefined(0x0f, 0x05);
	assert_undefined(0x0f, 0x07);
	assert_undefined(0x0f, 0x01, 0xc1);			/* vmcall */
	assert_undefined(0x0f, 0x01, 0xd9);			/* vmmcall */
	assert_undefined(0x0f, 0x01, 0xc8);			/* monitor */
	assert_undefined(0x0f, 0x01, 0xd0);			/* xgetbv */
	assert_undefined(0x0f, 0x01, 0xef);			/* wrpkru */
	assert_undefined(0x0f, 0x01, 0xfc);			/* clzero */
	assert_undefined(0x0f, 0xae, 0x20);			/* xsave */
	assert_undefined(0x0f, 0xae, 0x28);			/* xrstor */
	assert_undefined(0x0f, 0xae, 0x30);			/* xsaveopt */
	assert_undefined(0xf3, 0x0f, 0xae, 0xd0);		/* wrfsbase */
	assert_undefined(0xf3, 0x0f, 0xae, 0xe8);		/* incssp */
	assert_undefined(0x0f, 0xae, 0xc0);
	assert_undefined(0x0f, 0xc7, 0xf0);			/* rdrand */
	assert_undefined(0x0f, 0xc7, 0xf8);			/* rdseed */
	assert_undefined(0x0f, 0xc7, 0x20);			/* xsavec */
	assert_undefined(0xc7, 0xf8, 0, 0, 0, 0);		/* xbegin */
	assert_undefined(0xc6, 0xf8, 0);			/* xabort */
	assert_undefined(0x0f, 0xff, 0xc0);
	assert_undefined(0x0f, 0xb9, 0xc0);
	assert_undefined(0x66, 0x0f, 0x38, 0x82, 0x00);		/* invpcid */
	assert_undefined(0x66, 0x0f, 0x38, 0xf8, 0x00);		/* movdir64b */
	assert_undefined(0x0f, 0xaa);
	assert_form(ACT_COPY, 0x0f, 0xae, 0xe8);		/* the fences are the exceptions */
	assert_form(ACT_COPY, 0x0f, 0xae, 0xf0);
	assert_form(ACT_COPY, 0x0f, 0xae, 0xf8);
	assert_form(ACT_RDTSCP, 0x0f, 0x01, 0xf9);
	assert_form(ACT_BOUND, 0x62, 0x00);
}

static void ends(void **state)
{
	assert_true(assert_form(ACT_JCC, 0x74, 0x00).flags & INSN_ENDS);
	assert_true(assert_form(ACT_LOOP, 0xe3, 0x00).flags & INSN_ENDS);
	assert_true(assert_form(ACT_CALL_IND, 0xff, 0xd0).flags & INSN_ENDS);
	assert_true(assert_form(ACT_CALL_FAR_IND, 0xff, 0x18).flags & INSN_ENDS);
	assert_undefined(0xff, 0xd8);
	assert_true(assert_form(ACT_IRET, 0xcf).flags & INSN_ENDS);
	assert_true(assert_form(ACT_HLT, 0xf4).flags & INSN_ENDS);
	assert_false(assert_form(ACT_PUSH_MEM, 0xff, 0xf0).flags & INSN_ENDS);
	assert_false(assert_form(ACT_CPUID, 0x0f, 0xa2).flags & INSN_ENDS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(prefixes),	    cmocka_unit_test(fifteen_bytes),	cmocka_unit_test(certainly_undefined),
		cmocka_unit_test(addresses_32),	    cmocka_unit_test(addresses_16),	cmocka_unit_test(moffs),
		cmocka_unit_test(immediates),	    cmocka_unit_test(aliases),		cmocka_unit_test(segment_registers),
		cmocka_unit_test(string_segments),  cmocka_unit_test(control_registers), cmocka_unit_test(integer_operands),
		cmocka_unit_test(fpu),		    cmocka_unit_test(locks),		cmocka_unit_test(not_offered),
		cmocka_unit_test(ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
