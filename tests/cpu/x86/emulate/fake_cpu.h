/* SPDX-License-Identifier: MIT */
/*
 * fake_cpu.h - the functions of cpu.h on a handful of variables, and what a test needs to run one instruction on them.
 */
#ifndef KENNEL_TESTS_CPU_X86_EMULATE_FAKE_CPU_H
#define KENNEL_TESTS_CPU_X86_EMULATE_FAKE_CPU_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "cpu/x86/emulate/emulate.h"

enum { FAKE_PAGES = 32, FAKE_SIZE = FAKE_PAGES * 4096, FAKE_CODE = 0x1000 };

struct cpu {
	uint32_t gpr[8];
	uint32_t eip, eflags;
	unsigned cpl;
	struct segment seg[S_COUNT];
	uint8_t access[FAKE_PAGES];	/* PAGE_*; the pages lie from linear address 0 up */
	uint8_t memory[FAKE_SIZE];
};

enum { PAGE_PRESENT = 1, PAGE_WRITABLE = 2, PAGE_USER = 4, PAGE_ALL = 7 };

/* The descriptor table. Numbers are selectors with RPL 0. */
enum {
	CODE0 = 0x08, DATA0 = 0x10, CODE1 = 0x18, DATA1 = 0x20, CODE3 = 0x28, DATA3 = 0x30,
	SMALL3 = 0x38,		/* data, base 4000h, limit FFFh */
	CONFORMING0 = 0x40,	/* code, DPL 0 */
	EXECUTE_ONLY3 = 0x48, READ_ONLY3 = 0x50,
	DOWN3 = 0x58,		/* data that grows down to 1000h, 64 KiB at most */
	STACK16_3 = 0x60,	/* data, B clear */
	ABSENT_DATA3 = 0x68, ABSENT_CODE3 = 0x70, ABSENT_CODE1 = 0x78,
	CALL_GATE3 = 0x80, TSS3 = 0x88,
	SHORT_CODE3 = 0x90, SHORT_CODE1 = 0x98,	/* limit 1FFFh */
	CONFORMING3 = 0xa0, STACK16_1 = 0xa8, INTERRUPT_GATE3 = 0xb0,
	OUTSIDE = 0x100,	/* not in the table */
};

extern struct cpu fake, before;		/* now; when RUN() started */
extern struct cpu_exit fake_exit;
extern struct insn fake_insn;
extern struct cpu_system *fake_system;	/* what cpu_system() gives; NULL unless a test sets it */
extern uint32_t fake_open_port;		/* the one port that the TSS would let anyone touch */

/* Flat segments of ring @cpl, all pages accessible, EIP at FAKE_CODE, ESP 8000h, recognizable registers. */
void fake_reset(unsigned cpl);
/* Decode @code, copied to EIP, and emulate it. */
bool fake_run(const uint8_t *code, unsigned len);
#define RUN(...) fake_run((const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ }))

/* The run went on, with EIP behind the instruction. */
#define assert_next(ran) \
	do { \
		assert_true(ran); \
		assert_int_equal(fake.eip, before.eip + fake_insn.len); \
	} while (0)

/* It faulted, and no register changed. */
#define assert_fault_midway(ran, number, code) \
	do { \
		assert_false(ran); \
		assert_int_equal(fake_exit.kind, EXIT_FAULT); \
		assert_int_equal(fake_exit.vector, number); \
		assert_int_equal(fake_exit.error, code); \
		assert_memory_equal(&fake, &before, offsetof(struct cpu, memory)); \
	} while (0)

/* It faulted, and nothing whatsoever changed. */
#define assert_fault(ran, number, code) \
	do { \
		assert_fault_midway(ran, number, code); \
		assert_memory_equal(fake.memory, before.memory, FAKE_SIZE); \
	} while (0)

#define assert_privileged(ran) \
	do { \
		assert_false(ran); \
		assert_int_equal(fake_exit.kind, EXIT_PRIVILEGED); \
		assert_ptr_equal(fake_exit.insn, &fake_insn); \
		assert_memory_equal(&fake, &before, sizeof(fake)); \
	} while (0)

uint32_t fake_get(uint32_t address, unsigned size);
void fake_put(uint32_t address, unsigned size, uint32_t value);
/* Put the segment of @selector into @s as it is, whoever runs. */
void fake_segment(unsigned s, uint32_t selector);

#endif
