/* SPDX-License-Identifier: MIT */
/*
 * test-edges.c - where instructions end that do not fit: in fifteen bytes, in a page, in their segment; and what an instruction shows of
 * the processor that runs it, which must not be the host's. All blocks made for it pass the isolation checker.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/x86/cache/block.h"
#include "tests/cpu/x86/isolation/guest.h"

#define CODE_BYTES(...) (const uint8_t[]){ __VA_ARGS__ }, sizeof((const uint8_t[]){ __VA_ARGS__ })

enum { CS_ATTR = 0x00c0fb00, BIG = 1 << 22, FIRST_HOLE = USER_CODE + GUEST_CODE_SIZE, DATA_FRAMES = 0x200000 };

static struct guest *g;

static int set_up(void **state)
{
	(void)state;
	g = guest_create(4 << 20, false);
	guest_mode(g, true, false);
	memset(g->code, 0xcc, GUEST_CODE_SIZE);
	memset(g->ram + DATA_FRAMES, 0, GUEST_DATA_SIZE);
	memset(cpu_gpr(g->cpu), 0, 32);
	cpu_gpr(g->cpu)[R_ESP] = USER_DATA + 0x8000;
	cpu_gpr(g->cpu)[R_EBX] = USER_DATA;
	return 0;
}

static int tear_down(void **state)
{
	uint64_t refused = g->refused;

	(void)state;
	guest_destroy(g);
	return refused ? -1 : 0;
}

static void put(uint32_t address, const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len && address + i < FIRST_HOLE; i++)
		g->code[address + i - USER_CODE] = bytes[i];
	guest_forget(g);
}

/* The guest's x87 and SSE registers are the host's while it runs: those left by the last run, or fresh ones. */
static uint8_t fx[512] __attribute__((aligned(64)));

__attribute__((target("general-regs-only"), noinline)) static const struct cpu_exit *enter(void)
{
	static const uint32_t mxcsr = 0x1f80;
	const struct cpu_exit *exit;

	cpu_fpu_acquire(g->cpu);
	__asm__ volatile("fninit; ldmxcsr %0" : : "m"(mxcsr));
	exit = cpu_run(g->cpu);
	__asm__ volatile("fxsave64 %0; fninit; ldmxcsr %1" : "=m"(fx) : "m"(mxcsr));
	cpu_fpu_release(g->cpu);
	return exit;
}

static const struct cpu_exit *run(uint32_t eip)
{
	guest_handlers();
	cpu_set_eip(g->cpu, eip);
	return enter();
}

static void assert_fault(uint32_t eip, uint32_t vector, uint32_t address)
{
	const struct cpu_exit *exit = run(eip);

	assert_int_equal(exit->kind, EXIT_FAULT);
	assert_int_equal(exit->vector, vector);
	assert_int_equal(exit->error, vector == TRAP_PF ? (uint32_t)PF_USER : 0);
	if (vector == TRAP_PF)
		assert_int_equal(exit->address, address);
	assert_int_equal(cpu_eip(g->cpu), eip);
}

static void assert_stop(uint32_t eip)
{
	const struct cpu_exit *exit = run(eip);

	assert_int_equal(exit->kind, EXIT_INT);
	assert_int_equal(exit->vector, TRAP_BP);
}

/* --- fifteen bytes, and the end of a page: all as seen on an AMD processor (Zen 5) ----------------------------------------------- */

/* @have bytes lie before a page that is not there; 0: all of them, in the middle of one. */
static const struct end {
	uint8_t prefixes, code[8], len, have, vector;
} ends[] = {
	{ 15, { 0x90 }, 1, 0, TRAP_GP },
	{ 15, { 0 }, 0, 15, TRAP_GP },
	{ 14, { 0 }, 0, 14, TRAP_PF },
	{ 13, { 0x0f, 0x0b }, 2, 0, TRAP_UD },
	{ 14, { 0x0f, 0x0b }, 2, 0, TRAP_GP },
	{ 14, { 0x0f }, 1, 15, TRAP_GP },
	{ 12, { 0xc7, 0x00, 0, 0, 0, 0 }, 6, 0, TRAP_GP },
	{ 12, { 0xc7, 0x00, 0 }, 3, 15, TRAP_GP },
	{ 12, { 0xc7, 0x00 }, 2, 14, TRAP_PF },
	{ 10, { 0xf0, 0xc7, 0x00, 0, 0, 0, 0 }, 7, 0, TRAP_GP },	/* not to be locked, but too long first */
	{ 7, { 0xf0, 0xc7, 0x00, 0, 0, 0, 0 }, 7, 0, TRAP_UD },
	{ 7, { 0xf0, 0xc7, 0x00, 0 }, 4, 11, TRAP_PF },
	{ 0, { 0xf0, 0xc7 }, 2, 2, TRAP_PF },
	{ 0, { 0xf0, 0x90 }, 2, 2, TRAP_UD },
	{ 0, { 0x0f, 0xff }, 2, 2, TRAP_UD },
	{ 0, { 0x0f, 0xb9 }, 2, 2, TRAP_UD },
	{ 0, { 0x0f, 0x0b }, 2, 2, TRAP_UD },
	{ 0, { 0x0f, 0x04 }, 2, 2, TRAP_UD },
	{ 0, { 0x0f, 0x7a }, 2, 2, TRAP_UD },
	{ 0, { 0xc6, 0xc8 }, 2, 2, TRAP_PF },				/* holes in groups */
	{ 0, { 0xc6, 0xc8, 0 }, 3, 3, TRAP_UD },
	{ 0, { 0xff, 0xf8 }, 2, 2, TRAP_UD },
	{ 0, { 0xff, 0xb8 }, 2, 2, TRAP_PF },
	{ 0, { 0xfe, 0xb8 }, 2, 2, TRAP_PF },
	{ 0, { 0x8d, 0xc0 }, 2, 2, TRAP_UD },
	{ 0, { 0x0f, 0x38, 0xff }, 3, 3, TRAP_PF },
	{ 0, { 0x0f, 0x3a, 0xff }, 3, 3, TRAP_PF },
	{ 0, { 0x0f, 0x3a, 0x14, 0x00 }, 4, 4, TRAP_PF },		/* PEXTRB without 66 */
	{ 12, { 0x0f, 0x3a, 0xff }, 3, 0, TRAP_GP },
	{ 13, { 0x0f, 0xff }, 2, 0, TRAP_UD },
};

static void instructions_that_do_not_fit(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		const struct end *e = &ends[i];
		uint32_t eip = e->have ? (uint32_t)FIRST_HOLE - e->have : USER_CODE + 0x100;
		uint8_t code[32];

		memset(code, 0x3e, e->prefixes);
		memcpy(code + e->prefixes, e->code, e->len);
		put(eip, code, e->prefixes + e->len);
		assert_fault(eip, e->vector, FIRST_HOLE);
	}
}

/* One behind another instruction, too: that one runs. */
static void a_long_one_comes_second(void **state)
{
	uint8_t code[18] = { 0x40, 0x40 };

	(void)state;
	memset(code + 2, 0x66, 15);
	code[17] = 0x90;
	put(USER_CODE, code, sizeof(code));
	assert_int_equal(run(USER_CODE)->vector, TRAP_GP);
	assert_int_equal(cpu_eip(g->cpu), USER_CODE + 2);
	assert_int_equal(cpu_gpr(g->cpu)[R_EAX], 2);
	memset(code + 2, 0x66, 14);
	code[16] = 0x90;
	put(USER_CODE, code, 17);
	assert_stop(USER_CODE);
}

/* --- the end of a code segment --------------------------------------------------------------------------------------------------- */

static void load_cs(uint32_t base, uint32_t limit, uint32_t attr)
{
	const struct segment cs = { .sel = USER_CS, .base = base, .limit = limit, .attr = attr };

	cpu_set_segment(g->cpu, S_CS, &cs);
}

enum { AT = 0x40, LIMIT = 0x7f };

static void code_ends_at_the_limit(void **state)
{
	static const uint8_t code[] = { 0x40, 0x40, 0xb8, 1, 0, 0, 0, 0x40 };	/* inc eax; inc eax; mov eax, 1; inc eax */

	(void)state;
	load_cs(USER_CODE, LIMIT, CS_ATTR);
	for (uint32_t fit = 1; fit <= sizeof(code); fit++) {
		uint32_t at = LIMIT + 1 - fit, end = fit < 2 ? 1 : fit < 7 ? 2 : fit;

		cpu_gpr(g->cpu)[R_EAX] = 5;
		put(USER_CODE + at, code, sizeof(code));
		for (int twice = 0; twice < 2; twice++) {	/* found again: with a limit that is larger or smaller than it was made for */
			cpu_gpr(g->cpu)[R_EAX] = 5;
			assert_int_equal(run(at)->vector, TRAP_GP);
			assert_int_equal(cpu_eip(g->cpu), at + end);
			assert_int_equal(cpu_gpr(g->cpu)[R_EAX], fit == 1 ? 6 : fit < 7 ? 7 : fit == 7 ? 1 : 2);
			load_cs(USER_CODE, LIMIT + 0x20, CS_ATTR);
			assert_stop(at);
			load_cs(USER_CODE, LIMIT, CS_ATTR);
		}
	}
	assert_fault(LIMIT + 1, TRAP_GP, 0);
	assert_fault(0xffffffff, TRAP_GP, 0);
}

/* The limit comes before the page that is not there, and after one that comes first. */
static void the_limit_and_the_page(void **state)
{
	uint32_t base = FIRST_HOLE - 0x1000;

	(void)state;
	put(FIRST_HOLE - 2, CODE_BYTES(0xb8, 1));
	load_cs(base, 0xfff, CS_ATTR);
	assert_fault(0xffe, TRAP_GP, 0);
	load_cs(base, 0x1000, CS_ATTR);
	assert_fault(0xffe, TRAP_PF, FIRST_HOLE);
	load_cs(base, 0xfff, CS_ATTR);
	assert_fault(0x1000, TRAP_GP, 0);
	load_cs(base, 0x1fff, CS_ATTR);
	assert_fault(0x1000, TRAP_PF, FIRST_HOLE);
}

/* Jumps of every kind check where they go, and where they do not go is where EIP stays. */
static void jumps_over_the_limit(void **state)
{
	static const struct {
		uint8_t code[8], len;
	} jumps[] = {
		{ { 0xeb, 0x7e }, 2 }, { { 0xe9, 0x7b, 0, 0, 0 }, 5 }, { { 0x74, 0x7e }, 2 }, { { 0xff, 0xe6 }, 2 }, { { 0xff, 0x23 }, 2 },
		{ { 0xe8, 0x7b, 0, 0, 0 }, 5 }, { { 0xff, 0xd6 }, 2 }, { { 0xff, 0x13 }, 2 }, { { 0xc3 }, 1 }, { { 0xe2, 0x7e }, 2 },
		{ { 0xeb, 0x80 }, 2 },
	};
	uint32_t *data = (uint32_t *)(g->ram + DATA_FRAMES);

	(void)state;
	load_cs(USER_CODE, LIMIT, CS_ATTR);
	for (size_t i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		uint32_t esp = USER_DATA + 0x8000;

		cpu_gpr(g->cpu)[R_ESP] = esp;
		cpu_gpr(g->cpu)[R_ECX] = 7;
		cpu_gpr(g->cpu)[R_ESI] = data[0] = data[0x2000] = LIMIT + 1;
		cpu_set_eflags(g->cpu, FLAG_ZF | 2);
		put(USER_CODE + AT, jumps[i].code, jumps[i].len);
		assert_fault(AT, TRAP_GP, 0);
		assert_int_equal(cpu_gpr(g->cpu)[R_ESP], esp);
		assert_int_equal(cpu_gpr(g->cpu)[R_ECX], 7);
	}
}

/* One page shown at two offsets by two segments: what is made for one serves the other. */
static void two_bases(void **state)
{
	static const uint8_t code[] = { 0xe8, 0, 0, 0, 0, 0x58, 0xcc };	/* call to the next; pop eax; int3 */
	static const uint32_t bases[] = { USER_CODE, USER_CODE - 0x1000, USER_CODE - 0x123, 0x80000000u, 0 };

	(void)state;
	put(USER_CODE + 0x200, code, sizeof(code));
	for (int round = 0; round < 3; round++)
		for (size_t i = 0; i < sizeof(bases) / sizeof(bases[0]); i++) {
			uint32_t eip = USER_CODE + 0x200 - bases[i];

			load_cs(bases[i], 0xffffffff, CS_ATTR);
			assert_stop(eip);
			assert_int_equal(cpu_gpr(g->cpu)[R_EAX], eip + 5);
			assert_int_equal(cpu_eip(g->cpu), eip + 7);
		}
}

/* The same bytes, as code of 16 and of 32 bits in turn. */
static void two_sizes(void **state)
{
	static const uint8_t code[] = { 0xb8, 0x34, 0x12, 0x40, 0xcc, 0xcc };	/* mov ax, 0x1234; inc ax - or mov eax, 0xcc401234 */

	(void)state;
	put(USER_CODE + 0x200, code, sizeof(code));
	for (int round = 0; round < 3; round++) {
		cpu_gpr(g->cpu)[R_EAX] = 0;
		load_cs(0, 0xffffffff, CS_ATTR & ~BIG);
		assert_stop(USER_CODE + 0x200);
		assert_int_equal(cpu_gpr(g->cpu)[R_EAX], 0x1235);
		load_cs(0, 0xffffffff, CS_ATTR);
		assert_stop(USER_CODE + 0x200);
		assert_int_equal(cpu_gpr(g->cpu)[R_EAX], 0xcc401234);
	}
}

/* --- what is the host's ---------------------------------------------------------------------------------------------------------- */

struct environment {
	uint32_t ip, data;
	uint16_t cs, ds, op;
};

static struct environment stored(unsigned opsize)
{
	const uint16_t *half = (const uint16_t *)(g->ram + DATA_FRAMES);
	const uint32_t *word = (const uint32_t *)(g->ram + DATA_FRAMES);

	if (opsize == 2)
		return (struct environment){ .ip = half[3], .cs = half[4], .data = half[5], .ds = half[6] };
	return (struct environment){ .ip = word[3], .cs = half[8], .op = half[9], .data = word[5], .ds = half[12] };
}

/* Of an instruction that the host has forgotten nothing shows: it was interrupted in between. */
static void assert_environment(const struct environment *e, unsigned opsize, uint32_t ip, uint32_t data, unsigned ds)
{
	uint32_t mask = opsize == 2 ? 0xffff : ~0u;

	if (!e->ip && !e->cs)
		return;
	assert_int_equal(e->ip, ip & mask);
	assert_int_equal(e->cs, USER_CS);
	assert_int_equal(e->data, data & mask);
	assert_int_equal(e->ds, ds);
}

/* FNSTENV, FNSAVE [EBX], behind an instruction without an operand, with one, with one in a segment that has a base, and a longer way to it. */
static void x87_environments(void **state)
{
	static const struct {
		uint8_t code[8], len;
		unsigned ds;
		uint32_t data;
		uint16_t op;
	} before[] = {
		{ { 0xd9, 0xe8 }, 2, USER_DS, 0, 0x1e8 },
		{ { 0xd9, 0x83, 0x40, 0, 0, 0 }, 6, USER_DS, USER_DATA + 0x40, 0x183 },
		{ { 0xd9, 0x05, 0x40, 0, 0, 0x10 }, 6, USER_DS, 0x10000040, 0x105 },	/* the host needs another ModRM for this */
		{ { 0x64, 0xd9, 0x40, 0x10 }, 4, USER_TLS, 0x10, 0x140 },
	};
	static const uint8_t store[][2] = { { 0xd9, 0x33 }, { 0xdd, 0x33 } };
	unsigned seen = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(before) / sizeof(before[0]); i++)
		for (unsigned what = 0; what < 4; what++) {
			uint8_t code[16] = { 0x90, 0x90 };
			unsigned n = 2, opsize = what & 1 ? 2 : 4;
			struct environment e;

			memcpy(code + n, before[i].code, before[i].len);
			n += before[i].len;
			if (what & 1)
				code[n++] = 0x66;
			memcpy(code + n, store[what / 2], 2);
			code[n + 2] = 0xcc;
			put(USER_CODE + 0x300, code, n + 3);
			memset(g->ram + DATA_FRAMES, 0xee, 128);
			assert_stop(USER_CODE + 0x300);
			e = stored(opsize);
			assert_environment(&e, opsize, USER_CODE + 0x302, before[i].data, before[i].ds);
			if (opsize == 4 && e.op)
				assert_int_equal(e.op, before[i].op);
			assert_int_equal(g->ram[DATA_FRAMES + (opsize == 2 ? 14 : 28)] == 0xee, what < 2);
			assert_int_equal(g->ram[DATA_FRAMES + (opsize == 2 ? 94 : 108)], 0xee);
			assert_int_equal(*(uint16_t *)(g->ram + DATA_FRAMES), 0x37f);
			seen += !!e.ip;
		}
	assert_true(seen > 8);
}

/* After FNSTENV the instruction is still known; after FNINIT there is none. */
static void x87_environment_again(void **state)
{
	struct environment e;

	(void)state;
	put(USER_CODE + 0x300, CODE_BYTES(0xd9, 0xe8, 0xd9, 0x73, 0x20, 0xd9, 0x33, 0xcc));
	assert_stop(USER_CODE + 0x300);
	e = stored(4);
	assert_environment(&e, 4, USER_CODE + 0x300, 0, USER_DS);
	put(USER_CODE + 0x300, CODE_BYTES(0xd9, 0xe8, 0xdb, 0xe3, 0xd9, 0x33, 0xcc));
	assert_stop(USER_CODE + 0x300);
	e = stored(4);
	assert_int_equal(e.ip | e.data | e.cs | e.ds | e.op, 0);
}

/* What the guest itself has loaded stays its own, even an address where the host has translated code. */
static void x87_environment_loaded(void **state)
{
	uint32_t *word = (uint32_t *)(g->ram + DATA_FRAMES);
	struct environment e;

	(void)state;
	for (int i = 0; i < 2; i++) {
		uint32_t ip = i ? g->cpu->cache->exec + 0x10 : 0x12345678;

		memset(word, 0, 28);
		word[0] = 0x37f;
		word[2] = 0xffff;
		word[3] = ip;
		word[4] = 0x73;
		word[5] = 0x87654321;
		word[6] = 0x7b;
		put(USER_CODE + 0x300, CODE_BYTES(0xd9, 0x23, 0xd9, 0x33, 0xcc));	/* fldenv [ebx]; fnstenv [ebx] */
		assert_stop(USER_CODE + 0x300);
		e = stored(4);
		if (!e.cs)	/* this host does not keep selectors */
			continue;
		assert_int_equal(e.ip, ip);
		assert_int_equal(e.cs, 0x73);
		assert_int_equal(e.data, 0x87654321);
		assert_int_equal(e.ds, 0x7b);
	}
}

/* FXSAVE, with a division by zero pending so that processors which store these only then do so. */
static void fxsave_pointers(void **state)
{
	const uint32_t *word = (const uint32_t *)(g->ram + DATA_FRAMES);
	const uint16_t *half = (const uint16_t *)(g->ram + DATA_FRAMES);

	(void)state;
	*(uint16_t *)(g->ram + DATA_FRAMES + 0x400) = 0x37b;
	/* fldcw [ebx + 0x400]; fldz; fld1; fdiv st(0), st(1); fxsave [ebx] */
	put(USER_CODE + 0x300, CODE_BYTES(0xd9, 0xab, 0, 4, 0, 0, 0xd9, 0xee, 0xd9, 0xe8, 0xd8, 0xf1, 0x0f, 0xae, 0x03, 0xcc));
	memset(g->ram + DATA_FRAMES, 0xee, 512);
	assert_stop(USER_CODE + 0x300);
	assert_int_equal(half[1] & 0x8084, 0x8084);
	assert_int_equal(word[2], USER_CODE + 0x30a);
	assert_int_equal(half[6], USER_CS);
	if (half[3])
		assert_int_equal(half[3], 0xf1);
	assert_int_equal(g->ram[DATA_FRAMES + 288], 0xee);
}

/* A null segment is one for these, too. */
static void environment_into_nowhere(void **state)
{
	static const struct segment null;
	static const uint8_t code[][8] = { { 0xd9, 0x33 }, { 0x66, 0xd9, 0x33 }, { 0xdd, 0x33 }, { 0x0f, 0xae, 0x03 } };

	(void)state;
	cpu_set_segment(g->cpu, S_DS, &null);
	for (size_t i = 0; i < 4; i++) {
		put(USER_CODE + 0x300, code[i], 8);
		assert_fault(USER_CODE + 0x300, TRAP_GP, 0);
	}
}

/* The shadow stack of the host; its processor number; its counters; its tables: not ours to tell. */
static void nothing_of_the_hosts(void **state)
{
	static const struct {
		uint8_t code[6], len;
		int vector;	/* -1: it runs, and EAX stays; -2: the machine decides */
	} instructions[] = {
		{ { 0xf3, 0x0f, 0x1e, 0xc8 }, 4, -1 },		/* rdsspd eax: a NOP */
		{ { 0xf3, 0x0f, 0x1e, 0xfb }, 4, -1 },		/* endbr32 */
		{ { 0x0f, 0x01, 0xf9 }, 3, TRAP_UD },		/* rdtscp */
		{ { 0xf3, 0x0f, 0xc7, 0xf8 }, 4, TRAP_UD },	/* rdpid */
		{ { 0x0f, 0x01, 0xd0 }, 3, TRAP_UD },		/* xgetbv */
		{ { 0x0f, 0x01, 0xee }, 3, TRAP_UD },		/* rdpkru */
		{ { 0x0f, 0x01, 0xfd }, 3, TRAP_UD },		/* rdpru */
		{ { 0xf3, 0x0f, 0xae, 0xc0 }, 4, TRAP_UD },	/* rdfsbase */
		{ { 0xf3, 0x0f, 0xae, 0xc8 }, 4, TRAP_UD },	/* rdgsbase */
		{ { 0x0f, 0xae, 0x23 }, 3, TRAP_UD },		/* xsave */
		{ { 0x0f, 0x33 }, 2, -2 },			/* rdpmc */
		{ { 0x0f, 0x01, 0x03 }, 3, -2 },		/* sgdt */
		{ { 0x0f, 0x01, 0x0b }, 3, -2 },		/* sidt */
		{ { 0x0f, 0x00, 0xc0 }, 3, -2 },		/* sldt */
		{ { 0x0f, 0x00, 0xc8 }, 3, -2 },		/* str */
		{ { 0x0f, 0x01, 0xe0 }, 3, -2 },		/* smsw */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(instructions) / sizeof(instructions[0]); i++) {
		const struct cpu_exit *exit;

		cpu_gpr(g->cpu)[R_EAX] = 0x5a5a5a5a;
		put(USER_CODE + 0x300, instructions[i].code, sizeof(instructions[i].code));
		put(USER_CODE + 0x300 + instructions[i].len, CODE_BYTES(0xcc));
		exit = run(USER_CODE + 0x300);
		assert_int_equal(cpu_gpr(g->cpu)[R_EAX], 0x5a5a5a5a);
		if (instructions[i].vector == -2)
			assert_int_equal(exit->kind, EXIT_PRIVILEGED);
		else
			assert_int_equal(exit->vector, instructions[i].vector < 0 ? TRAP_BP : instructions[i].vector);
	}
}

/* LAR, LSL, VERR and VERW ask the guest's tables; selectors are the guest's wherever they are stored, and nothing is above them. */
static void selectors_are_the_guests(void **state)
{
	uint32_t *word = (uint32_t *)(g->ram + DATA_FRAMES), *gpr = cpu_gpr(g->cpu);

	(void)state;
	/* mov eax, cs; mov [ebx], ds; push ss; push fs; lar ecx, edx; lsl esi, edx; verr dx; pushf */
	put(USER_CODE + 0x300, CODE_BYTES(0x8c, 0xc8, 0x8c, 0x1b, 0x16, 0x0f, 0xa0, 0x0f, 0x02, 0xca, 0x0f, 0x03, 0xf2, 0x0f, 0x00, 0xe2, 0x9c,
					  0xcc));
	memset(word, 0xee, 8);
	memset(g->ram + DATA_FRAMES + 0x8000 - 16, 0xee, 16);
	gpr[R_EAX] = gpr[R_ECX] = gpr[R_ESI] = ~0u;
	gpr[R_EDX] = 0x33;	/* the host's code segment; not one here */
	assert_stop(USER_CODE + 0x300);
	assert_int_equal(gpr[R_EAX], USER_CS);
	assert_int_equal(word[0], 0xeeee0000 | USER_DS);
	assert_int_equal(word[0x2000 - 1], USER_DS);
	assert_int_equal(word[0x2000 - 2], USER_TLS);
	assert_int_equal(gpr[R_ECX], ~0u);
	assert_int_equal(gpr[R_ESI], ~0u);
	assert_int_equal(word[0x2000 - 3] & ~(uint32_t)(FLAG_PF | FLAG_SF | FLAG_OF | FLAG_AF | FLAG_CF), 2);
	gpr[R_ESP] = USER_DATA + 0x8000;
	gpr[R_EDX] = USER_TLS;
	assert_stop(USER_CODE + 0x300);
	assert_int_equal(gpr[R_ECX], 0x0040f300);
	assert_int_equal(gpr[R_ESI], 0xffff);
}

/* --- what CPUID hides ------------------------------------------------------------------------------------------------------------ */

/* F3 before BSF is ignored: of 0, the destination stays (on AMD's and, in fact, Intel's processors). */
static void bsf_with_a_prefix(void **state)
{
	(void)state;
	put(USER_CODE + 0x300, CODE_BYTES(0xf3, 0x0f, 0xbc, 0xc1, 0xcc));
	cpu_gpr(g->cpu)[R_EAX] = 77;
	cpu_gpr(g->cpu)[R_ECX] = 0;
	assert_stop(USER_CODE + 0x300);
	assert_int_equal(cpu_gpr(g->cpu)[R_EAX], 77);
	assert_true(cpu_eflags(g->cpu) & FLAG_ZF);
	cpu_gpr(g->cpu)[R_ECX] = 0x50;
	assert_stop(USER_CODE + 0x300);
	assert_int_equal(cpu_gpr(g->cpu)[R_EAX], 4);
	put(USER_CODE + 0x300, CODE_BYTES(0xf3, 0x66, 0x0f, 0xbc, 0x03, 0xcc));
	*(uint32_t *)(g->ram + DATA_FRAMES) = 0x10000;
	cpu_gpr(g->cpu)[R_EAX] = 78;
	assert_stop(USER_CODE + 0x300);
	assert_int_equal(cpu_gpr(g->cpu)[R_EAX], 78);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(instructions_that_do_not_fit), T(a_long_one_comes_second), T(code_ends_at_the_limit), T(the_limit_and_the_page),
		T(jumps_over_the_limit), T(two_bases), T(two_sizes), T(x87_environments), T(x87_environment_again),
		T(x87_environment_loaded), T(fxsave_pointers), T(environment_into_nowhere), T(nothing_of_the_hosts),
		T(selectors_are_the_guests), T(bsf_with_a_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
