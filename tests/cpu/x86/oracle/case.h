/* SPDX-License-Identifier: MIT */
/*
 * case.h - what the 64-bit harness and the 32-bit native child say to each other.
 *
 * One shared memory area (struct control) holds the initial contents of all guest-visible memory, a batch of cases and room for
 * their results. A case is a processor state and a few patches to memory (the instruction is one of them); its result is the
 * state at the first trap, what trap it was, and which words of memory differ from their initial contents.
 *
 * Guest-visible memory lies at the same fixed virtual addresses in the child and in the translated machine. Around every area
 * there is nothing, so that operands can straddle into absent pages; the last page of the data area is read-only.
 *
 * Only fixed-size types without padding surprises: this header is compiled for both word sizes.
 */
#ifndef ORACLE_CASE_H
#define ORACLE_CASE_H

#include <stdint.h>

enum {
	LOW_BASE = 0x0000e000,	/* reachable by 16-bit addresses; absent where vm.mmap_min_addr forbids it */
	LOW_STOPS = 0x0000f800,	/* from here up INT3, for 16-bit branches */
	CODE_BASE = 0x10000000, /* filled with INT3: whatever a branch reaches here stops there */
	DATA_BASE = 0x20000000,
	STACK_BASE = 0x30000000,
	ALIAS_BASE = 0x40000000, /* the code area again, then the first data page again: two addresses, one frame */
	LOW_PAGES = 2,
	CODE_PAGES = 2,
	DATA_PAGES = 3,
	STACK_PAGES = 2,
	ALIAS_DATA = ALIAS_BASE + CODE_PAGES * 4096,
	RO_PAGE = DATA_BASE + 2 * 4096,
	AREAS = 4,
	AREA_BYTES = (LOW_PAGES + CODE_PAGES + DATA_PAGES + STACK_PAGES) * 4096,
	/* The child's own image, stacks and struct control: no case should touch these 16 MiB, nor find them with round numbers. */
	PRIVATE_BASE = 0x6b390000,
	CONTROL_BASE = 0x6b7d0000,
	PRIVATE_END = 0x6c390000,
};

struct area {
	uint32_t base, pages;
};

#define AREA_TABLE { { LOW_BASE, LOW_PAGES }, { CODE_BASE, CODE_PAGES }, { DATA_BASE, DATA_PAGES }, { STACK_BASE, STACK_PAGES } }

/* Selectors a Linux process has, and those that the child makes for itself. */
enum {
	SEL_CODE = 0x23,
	SEL_CODE64 = 0x33,
	SEL_DATA = 0x2b,
	SEL_TLS0 = 0x63,
	SEL_TLS1 = 0x6b,
	SEL_TLS2 = 0x73,
	SEL_CPU = 0x7b,
	SEL_LDT0 = 0x07,
	TLS_SEGMENTS = 3,
	LDT_SEGMENTS = 8,
	/* Under QEMU: its GDT ends before those of a 64-bit kernel begin, so they stand in the LDT, behind what is there anyway. */
	SEL_QEMU_TLS0 = 0x47,
	QEMU_GDT_ENTRIES = 9,
};

/* Where things are in an FXSAVE image. */
enum { FX_FCW = 0, FX_FSW = 2, FX_FTW = 4, FX_MXCSR = 24, FX_ST = 32, FX_XMM = 160 };

/* A descriptor as modify_ldt(2) and set_thread_area(2) take it. */
struct user_segment {
	uint32_t entry, base, limit, flags;
};

enum { /* user_segment.flags */
	SEG_32BIT = 1,
	SEG_CONTENTS_DATA = 0 << 1,
	SEG_CONTENTS_DOWN = 1 << 1,
	SEG_CONTENTS_CODE = 2 << 1,
	SEG_READ_EXEC_ONLY = 1 << 3,
	SEG_LIMIT_IN_PAGES = 1 << 4,
	SEG_NOT_PRESENT = 1 << 5,
	SEG_USEABLE = 1 << 6,
};

#define SEG_FLAT_DATA (SEG_32BIT | SEG_CONTENTS_DATA | SEG_LIMIT_IN_PAGES | SEG_USEABLE)
#define TLS_TABLE \
	{ \
		{ 12, DATA_BASE + 0x800, 0xfffff, SEG_FLAT_DATA }, { 13, 0xe0000100u, 0xfffff, SEG_FLAT_DATA }, \
		{ 14, DATA_BASE + 0x1ffd, 0xfffff, SEG_FLAT_DATA }, \
	}
#define LDT_TABLE \
	{ \
		{ 0, DATA_BASE + 0x100, 0xfffff, SEG_FLAT_DATA }, { 1, DATA_BASE - 0xe000, 0xfffff, SEG_FLAT_DATA }, \
		{ 2, STACK_BASE - 0x1000, 0xfffff, SEG_FLAT_DATA }, \
		{ 3, 0, 0xfffff, SEG_32BIT | SEG_CONTENTS_CODE | SEG_LIMIT_IN_PAGES | SEG_USEABLE }, \
		{ 4, DATA_BASE, 0xfffff, SEG_FLAT_DATA | SEG_READ_EXEC_ONLY }, \
		{ 5, DATA_BASE, 0xfffff, SEG_FLAT_DATA | SEG_NOT_PRESENT }, \
		{ 6, 0, 0xfffff, SEG_32BIT | SEG_CONTENTS_CODE | SEG_READ_EXEC_ONLY | SEG_LIMIT_IN_PAGES | SEG_USEABLE }, \
		{ 7, DATA_BASE, 0x0ffff, SEG_32BIT | SEG_CONTENTS_DATA | SEG_USEABLE }, \
	}

/* The descriptor tables of QEMU's user mode lie in the memory of the program that it runs. */
enum { QEMU_GDT, QEMU_IDT, QEMU_LDT, QEMU_TABLES };

struct state {
	uint8_t fx[512];	/* FXSAVE image */
	uint32_t gpr[8];	/* encoding order */
	uint32_t eip, eflags;
	uint32_t seg[6];	/* selectors, encoding order: ES CS SS DS FS GS */
} __attribute__((aligned(16)));

struct patch {
	uint32_t address; /* must lie within one area, not in the read-only page */
	uint32_t len;
	uint8_t bytes[128];
};

enum { MAX_PATCHES = 8, MAX_CASES = 64, MAX_DIFFS = 65536 };

struct test_case {
	struct state in;
	struct patch patch[MAX_PATCHES];
	uint32_t patches;
	uint32_t pad[3];
};

/* result.trap: an exception vector, or one of these */
enum { TRAP_TIMEOUT = 256, TRAP_UNKNOWN_SIGNAL = 512 /* + signal number */ };
/* ... or, under QEMU, whose signals do not say which: #NP or #SS; #GP, or that of INTO or BOUND */
enum { QEMU_TRAP_NP_OR_SS = 300, QEMU_TRAP_GP_OR_INT };

struct diff {
	uint32_t address, value; /* a word of memory and what it holds now */
};

struct result {
	struct state out;
	uint32_t trap, error, address;
	uint32_t first_diff, diffs; /* in control.diff */
	uint32_t pad[3];
};

struct control {
	uint8_t background[AREA_BYTES]; /* initial contents, in the order of AREA_TABLE */
	uint32_t cases;
	uint32_t diffs;
	uint32_t current;    /* where the child is */
	uint32_t low_absent; /* set by the child: mmap_min_addr kept it from mapping the low area */
	uint32_t ldt_absent; /* set by the child: no modify_ldt(2) here */
	uint32_t qemu;       /* set before the child starts: QEMU runs it */
	uint32_t pad[2];
	struct area taken[QEMU_TABLES]; /* set by the child: what QEMU keeps in its address space */
	uint32_t pad2[2];
	struct test_case test[MAX_CASES];
	struct result result[MAX_CASES];
	struct diff diff[MAX_DIFFS];
};

/* The file of CONTROL_FD: struct control, then what the areas show. */
enum { AREAS_AT = (sizeof(struct control) + 4095) / 4096 * 4096, CONTROL_FILE_BYTES = AREAS_AT + AREA_BYTES };

enum { CONTROL_FD = 3, COMMAND_FD = 4, REPLY_FD = 5 };

/* What the child exits with where it was started without CONTROL_FD: it runs, that is. */
enum { NATIVE_LACKS_CONTROL = 2 };

#endif
