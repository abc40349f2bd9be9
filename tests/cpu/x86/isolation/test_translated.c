/* SPDX-License-Identifier: MIT */
/*
 * test_translated.c - everything the translator makes of everything a guest may write passes the checker.
 *
 * Sweeps translate without running: each combination of prefixes, opcode and ModRM, in each mode a block can be made for, and
 * then random bytes. Runs let the processor go its own way through random code, with faults, single steps and interruptions. Only the
 * checker's verdict counts. ISOLATION_FULL=1 leaves nothing out, ISOLATION_SEED=n takes other random bytes.
 */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest.h"

#include "cpu/x86/cache/block.h"
#include "cpu/x86/decode/decode.h"

/* The guest that all tests of a group work on, and whether it has privileged state of its own. There is one processor in a thread. */
static struct guest *g;
static bool system_guest;
static bool full;
static uint64_t seed = 20070501;

/* xorshift64*: the same everywhere. */
static uint32_t random32(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)(seed * 0x2545f4914f6cdd1dull >> 32);
}

/* --- modes ------------------------------------------------------------------------------------------------------------------ */

static const struct mode {
	const char *name;
	uint32_t code;
	bool user, segmented, mixed, apart, checked, cold, system, code16;
} modes[] = {
	{ .name = "user", .code = USER_CODE, .user = true },
	{ .name = "kernel", .code = KERNEL_CODE },
	{ .name = "segmented", .code = USER_CODE, .user = true, .segmented = true },
	{ .name = "mixed", .code = USER_CODE, .user = true, .mixed = true },
	{ .name = "apart", .code = KERNEL_CODE, .apart = true },
	{ .name = "checked", .code = USER_CODE, .user = true, .checked = true },
	{ .name = "checked, segmented", .code = USER_CODE, .user = true, .segmented = true, .checked = true },
	{ .name = "cold", .code = USER_CODE, .user = true, .cold = true },
	{ .name = "16-bit", .code = USER_CODE, .user = true, .code16 = true },
	{ .name = "ring 0", .code = KERNEL_CODE, .system = true },
	{ .name = "ring 0, segmented", .code = KERNEL_CODE, .system = true, .segmented = true },
	{ .name = "ring 0, mixed", .code = KERNEL_CODE, .system = true, .mixed = true },
	{ .name = "ring 0, apart", .code = KERNEL_CODE, .system = true, .apart = true },
	{ .name = "ring 0, checked", .code = KERNEL_CODE, .system = true, .checked = true },
	{ .name = "ring 3 over ring 0", .code = USER_CODE, .system = true, .user = true },
};

enum { MODES = sizeof(modes) / sizeof(modes[0]) };

/* Mode number @i, modulo as many as there are, of those for the guest at hand. */
static const struct mode *mode(unsigned i)
{
	unsigned first = 0, count = 0;

	for (unsigned k = 0; k < MODES; k++) {
		first += !count && modes[k].system != system_guest;
		count += modes[k].system == system_guest;
	}
	return &modes[first + i % count];
}

static void enter_mode(const struct mode *m)
{
	guest_mode(g, m->user, m->segmented);
	if (m->code16) {
		struct segment cs = *cpu_segment(g->cpu, S_CS);

		cs.attr &= ~(1u << 22);
		cpu_set_segment(g->cpu, S_CS, &cs);
	}
	guest_mix(g, m->mixed);
	guest_check_accesses(g, m->checked);
	guest_cool(g, m->cold);
	if (m->checked)
		guest_note_faults(g);
}

/* --- sweeps ----------------------------------------------------------------------------------------------------------------- */

static uint64_t checked_blocks;

static void count_checked(void)
{
	const struct code_cache *cache = g->cpu->cache;

	if (cache->block_count && cache->blocks[cache->block_count - 1].flags & BLOCK_SOFT)
		checked_blocks++;
}

/* Translate all of the code frames: wherever a block ends, the next begins. */
static void translate_all(const struct mode *m)
{
	uint32_t at = 0;

	while (at < GUEST_CODE_SIZE) {
		uint32_t len = guest_translate(g, m->code + at, m->apart);

		at += len ? len : 1;
		count_checked();
	}
	guest_forget(g);
}

/* The code frames fill up with instructions, one behind the other; the rest of a frame too short for one gets half of it. */
struct filler {
	const struct mode *mode;
	uint32_t at;
};

static void flush(struct filler *f)
{
	translate_all(f->mode);
	f->at = 0;
}

/* @code: 15 bytes that begin with an instruction. Returns whether it has a ModRM byte, or might. */
static bool add(struct filler *f, const uint8_t *code)
{
	struct insn in;
	uint32_t len;

	decode_code(code, 15, f->mode->code16, &in);
	len = in.len && in.len <= 15 ? in.len : 15;
	for (uint32_t i = 0; i < len; i++) {
		if (f->at == GUEST_CODE_SIZE)
			flush(f);
		g->code[f->at++] = code[i];
	}
	return in.flags & INSN_MODRM || in.action == ACT_UD;
}

static const struct {
	uint8_t len, bytes[4];
} prefixes[] = {
	{ 0, { 0 } },		{ 1, { 0x66 } },	 { 1, { 0x67 } },	  { 1, { 0xf2 } },	   { 1, { 0xf3 } },
	{ 1, { 0xf0 } },	{ 1, { 0x64 } },	 { 2, { 0x66, 0x67 } },	  { 2, { 0x65, 0x66 } },   { 2, { 0x67, 0x64 } },
	{ 2, { 0x66, 0xf3 } },	{ 2, { 0xf2, 0x66 } },	 { 2, { 0xf0, 0x67 } },	  { 1, { 0x2e } },	   { 1, { 0x26 } },
	{ 1, { 0x36 } },	{ 2, { 0xf3, 0x64 } },	 { 2, { 0xf0, 0x65 } },	  { 3, { 0x3e, 0xf3, 0xf2 } }, { 4, { 0x66, 0x67, 0x65, 0xf0 } },
};

enum { PREFIXES = sizeof(prefixes) / sizeof(prefixes[0]) };

static const struct {
	uint8_t len, bytes[2];
} maps[] = { { 0, { 0 } }, { 1, { 0x0f } }, { 2, { 0x0f, 0x38 } }, { 2, { 0x0f, 0x3a } } };

/* One opcode with every ModRM (in haste, every fifth), and all else random. SIB bytes and displacements like to be extreme. */
static void sweep_opcode(struct filler *f, unsigned p, unsigned map, unsigned opcode)
{
	unsigned step = full ? 1 : 5, phase = full ? 0 : random32() % 5;
	uint8_t code[32];

	for (unsigned modrm = phase; modrm < 256; modrm += step) {
		uint8_t *c = code;

		memcpy(c, prefixes[p].bytes, prefixes[p].len), c += prefixes[p].len;
		memcpy(c, maps[map].bytes, maps[map].len), c += maps[map].len;
		*c++ = (uint8_t)opcode;
		*c++ = (uint8_t)modrm;
		for (unsigned i = 0; i < 15; i++)
			c[i] = random32() % 4 ? (uint8_t)random32() : i & 1 ? 0xff : 0;
		if (!add(f, code))
			break;
	}
}

static void sweep(const struct mode *m)
{
	struct filler f = { .mode = m };

	enter_mode(m);
	for (unsigned p = 0; p < PREFIXES; p++)
		for (unsigned map = 0; map < 4; map++)
			for (unsigned opcode = 0; opcode < 256; opcode++)
				sweep_opcode(&f, p, map, opcode);
	flush(&f);
}

static void every_opcode(void **state)
{
	for (unsigned i = 0; i < MODES; i++) {
		uint64_t before = g->blocks;

		if (modes[i].system != system_guest)
			continue;

		sweep(&modes[i]);
		print_message("           %s: %llu blocks\n", modes[i].name, (unsigned long long)(g->blocks - before));
	}
	print_message("           %llu with checked accesses\n", (unsigned long long)checked_blocks);
	assert_true(g->blocks > 10000);
	assert_true(checked_blocks > 100);
	assert_int_equal(g->refused, 0);
}

static void random_bytes(void)
{
	for (uint32_t i = 0; i < GUEST_CODE_SIZE; i++)
		g->code[i] = (uint8_t)random32();
}

static void random_code(void **state)
{
	unsigned rounds = full ? 4000 : 100;

	for (unsigned i = 0; i < rounds * MODES; i++) {
		enter_mode(mode(i));
		random_bytes();
		translate_all(mode(i));
	}
	assert_int_equal(g->refused, 0);
}

/* --- runs ------------------------------------------------------------------------------------------------------------------- */

static atomic_bool stop;

/* Random code may loop for ever. */
static void *kicker(void *opaque)
{
	while (!atomic_load(&stop)) {
		usleep(500);
		cpu_kick(g->cpu);
	}
	return NULL;
}

/* An instruction that random bytes would rarely be: with memory near the data, in blocks of a few, with loops and calls. */
static uint32_t likely(uint8_t *code)
{
	static const uint8_t common[] = { 0x01, 0x03, 0x89, 0x8b, 0x88, 0x8a, 0xa4, 0xaa, 0xff, 0x8f, 0x50, 0x58, 0xe8, 0xc3, 0x8e, 0x8c,
					  0x1e, 0x1f, 0x60, 0x61, 0xc8, 0xc9, 0xd7, 0xe2, 0xa1, 0xd9, 0x0f, 0x74, 0xeb, 0xac };
	unsigned at = 0;

	if (random32() % 4 == 0)
		code[at++] = prefixes[random32() % PREFIXES].bytes[0];
	code[at++] = common[random32() % sizeof(common)];
	for (unsigned i = at; i < 15; i++)
		code[i] = (uint8_t)random32();
	struct insn in;

	decode(code, 15, &in);
	return in.len && in.len <= 15 ? in.len : 1;
}

static void likely_code(void)
{
	uint8_t code[16];

	for (uint32_t at = 0; at + 16 < GUEST_CODE_SIZE;) {
		uint32_t len = likely(code);

		memcpy(g->code + at, code, len);
		at += len;
	}
}

static void random_registers(uint32_t data)
{
	for (unsigned r = 0; r < 8; r++)
		cpu_gpr(g->cpu)[r] = random32() % 4 ? data + random32() % GUEST_DATA_SIZE : random32();
	cpu_gpr(g->cpu)[R_ECX] &= random32() % 2 ? 0xff : 0xffffffff;
	cpu_gpr(g->cpu)[R_ESP] = data + GUEST_DATA_SIZE / 2;
}

/* Run until the machine is asked a few times; go on behind the instruction that asked. */
static void run_some(const struct mode *m, bool step)
{
	uint32_t at = random32() % GUEST_CODE_SIZE;

	random_registers(m->user ? USER_DATA : KERNEL_DATA);
	cpu_set_eip(g->cpu, m->code + at);
	for (unsigned i = 0; i < 8; i++) {
		cpu_set_eflags(g->cpu, step ? FLAG_TF : 0);
		const struct cpu_exit *exit = cpu_run(g->cpu);

		if (exit->kind == EXIT_KICK && !step)
			break;
		if (!step)
			cpu_set_eip(g->cpu, m->code + random32() % GUEST_CODE_SIZE);
	}
}

static void random_runs(void **state)
{
	unsigned rounds = full ? 20000 : 1200;
	uint64_t before = g->blocks;
	pthread_t thread;

	guest_handlers();
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, kicker, NULL), 0);
	for (unsigned i = 0; i < rounds; i++) {
		enter_mode(mode(i));
		if (i / MODES & 1)
			random_bytes();
		else
			likely_code();
		run_some(mode(i), i % 11 == 0);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	cpu_fpu_release(g->cpu);
	print_message("           %llu blocks\n", (unsigned long long)(g->blocks - before));
	assert_int_equal(g->refused, 0);
}

/* --- a device writes to the code that is being translated ----------------------------------------------------------------------- */

/* Between INC EAX, which is copied, and PUSH, JMP, CALL: whichever is seen, it must be seen once. */
static void *flicker(void *opaque)
{
	static const uint8_t others[] = { 0xf0, 0xe0, 0xd0, 0xe0 };
	volatile uint8_t *modrm = opaque;

	while (!atomic_load(&stop))
		for (unsigned i = 0; i < sizeof(others); i++) {
			*modrm = others[i];
			for (unsigned k = 0; k < 60; k++)
				__builtin_ia32_pause();
			*modrm = 0xc0;
			for (unsigned k = 0; k < 60; k++)
				__builtin_ia32_pause();
		}
	return NULL;
}

static void code_that_changes_meanwhile(void **state)
{
	static const uint8_t code[] = { 0xff, 0xc0, 0xcc };
	unsigned rounds = full ? 10000000 : 500000;
	pthread_t thread;

	enter_mode(mode(0));
	memcpy(g->code, code, sizeof(code));
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, flicker, g->code + 1), 0);
	for (unsigned i = 0; i < rounds; i++)
		guest_translate(g, mode(0)->code, true);
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	assert_int_equal(g->refused, 0);
}

/* --------------------------------------------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
	const char *other = getenv("ISOLATION_SEED");

	full = getenv("ISOLATION_FULL");
	if (other)
		seed = strtoull(other, NULL, 0) | 1;
	g = guest_create(4 << 20, system_guest);
	return 0;
}

static int teardown(void **state)
{
	cpu_fpu_release(g->cpu);
	guest_destroy(g);
	return 0;
}

/* An argument picks the tests whose names match it. */
int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_opcode),
		cmocka_unit_test(random_code),
		cmocka_unit_test(random_runs),
		cmocka_unit_test(code_that_changes_meanwhile),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	if (cmocka_run_group_tests_name("isolation of translated code", tests, setup, teardown))
		return 1;
	system_guest = true;
	return cmocka_run_group_tests_name("isolation of ring 0", tests, setup, teardown);
}
