/* SPDX-License-Identifier: MIT */
/*
 * special.c - what has to be arranged and cannot be drawn at random: code that rewrites itself, two addresses of one frame, every
 * way an access can fall on the edge of a page, single-stepping, mappings that change under running code, the end of the address
 * space.
 *
 * Wherever a native process can do the same, it is asked what comes out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cpu/x86/cache/block.h"
#include "cpu/x86/decode/decode.h"
#include "tests/cpu/x86/oracle/compare.h"
#include "tests/cpu/x86/oracle/programs.h"
#include "tests/cpu/x86/oracle/qemu.h"
#include "tests/cpu/x86/oracle/sequences.h"
#include "tests/cpu/x86/oracle/translated.h"

static struct native native;
static struct translated ours;
static struct forms forms;
static uint8_t background[AREA_BYTES];
static const char *path;	/* of native32 */
static enum native_way way;
static struct state_options options = { .low = true };

/* cmocka puts its own handlers where the processor has its: take them back before each run. */
static const int fault_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE };
static struct sigaction fault_handlers[4];

static void take_handlers(void)
{
	for (int i = 0; i < 4; i++)
		sigaction(fault_signals[i], &fault_handlers[i], NULL);
}

static void start_ours(size_t code_cache)
{
	assert_int_equal(translated_start(&ours, native.control, code_cache), 0);
}

static int group_setup(void **state)
{
	background_make(background, 1);
	forms_make(&forms);
	if (native_start(&native, path, way, background))
		return -1;
	options.qemu = native.control->qemu;
	return 0;
}

static int group_teardown(void **state)
{
	native_stop(&native);
	free(forms.form);
	return 0;
}

static int setup(void **state)
{
	start_ours(0);
	return 0;
}

static int teardown(void **state)
{
	translated_stop(&ours);
	return 0;
}

/*
 * Helpers.
 */

static void plain_state(struct state *in, uint32_t eip)
{
	struct rng rng = { 1 };

	memset(in, 0, sizeof(*in));
	fpu_make(in->fx, false, &rng);
	in->fx[0] = 0x7f;
	in->fx[1] = 0x03;
	memset(in->fx + 2, 0, 3); /* all registers empty */
	in->gpr[R_EAX] = 0x11;
	in->gpr[R_EDX] = 0x1000;
	in->gpr[R_EBX] = DATA_BASE + 0x1100;
	in->gpr[R_EBP] = 0x12345678;
	in->gpr[R_ESI] = in->gpr[R_EDI] = DATA_BASE + 0x1200;
	in->gpr[R_ESP] = STACK_BASE + 0x1000;
	in->eip = eip;
	in->eflags = FLAG_IF | 2;
	in->seg[S_CS] = SEL_CODE;
	in->seg[S_ES] = in->seg[S_SS] = in->seg[S_DS] = SEL_DATA;
	in->seg[S_FS] = tls_selector(&options, 0);
	in->seg[S_GS] = tls_selector(&options, 1);
}

static struct result *run_native(const struct test_case *test)
{
	native.control->test[0] = *test;
	native_begin(&native, 1);
	assert_int_equal(native_finish(&native), 0);
	return &native.control->result[0];
}

static struct result *run_ours(const struct test_case *test)
{
	ours.control->diffs = 0;
	take_handlers();
	translated_run(&ours, test, 0);
	return &ours.control->result[0];
}

/* @instance may be NULL. */
static void run_both(const struct instance *instance, const struct test_case *test, const char *name)
{
	struct result *a = run_native(test), *b = run_ours(test);
	uint64_t reasons;

	if (compare_results(instance, test, native.control, a, ours.control, b, &reasons) != DIFFERENT)
		return;
	printf("%s:\n", name);
	print_case(stdout, test);
	print_differences(stdout, test, native.control, a, ours.control, b);
	fail();
}

static void write_ram(uint32_t physical, const void *bytes, uint32_t len)
{
	cpu_dirty(ours.cpu, physical, len);
	memcpy(ours.ram + physical, bytes, len);
}

static void write_code(uint32_t address, const void *bytes, uint32_t len)
{
	write_ram(translated_physical(address), bytes, len);
}

/* Run from @in without touching memory; the state afterwards goes to @out. */
static const struct cpu_exit *go(const struct state *in, struct state *out)
{
	const struct cpu_exit *exit;

	take_handlers();
	translated_load(&ours, in);
	exit = translated_enter(&ours, in, out);
	memcpy(out->gpr, cpu_gpr(ours.cpu), sizeof(out->gpr));
	memcpy(out->seg, in->seg, sizeof(out->seg));
	out->eip = cpu_eip(ours.cpu);
	out->eflags = cpu_eflags(ours.cpu);
	return exit;
}

static void assert_stop(const struct cpu_exit *exit)
{
	assert_int_equal(exit->kind, EXIT_INT);
	assert_int_equal(exit->vector, TRAP_BP);
}

static void assert_page_fault(const struct cpu_exit *exit, uint32_t error, uint32_t address, uint32_t eip)
{
	assert_int_equal(exit->kind, EXIT_FAULT);
	assert_int_equal(exit->vector, TRAP_PF);
	assert_int_equal(exit->error, error);
	assert_int_equal(exit->address, address);
	assert_int_equal(exit->eip, eip);
}

static uint32_t *ram_word(uint32_t physical)
{
	return (uint32_t *)(ours.ram + physical);
}

static uint32_t *page_table_entry(uint32_t address)
{
	return ram_word((*ram_word(PGD + (address >> 22) * 4) & ~0xfffu) + (address >> 12 & 0x3ff) * 4);
}

/*
 * Code that rewrites itself; two addresses of one frame.
 */

static void test_programs(void **state)
{
	for (const struct hand_program *p = hand_programs; p->name; p++) {
		static struct test_case test;
		const char *differs = way == NATIVE_QEMU ? qemu_program_differs(p->name) : NULL;

		if (differs) {
			printf("skipped %s: %s\n", p->name, differs);
			continue;
		}
		plain_state(&test.in, PROGRAM_BASE);
		test.patches = 0;
		assert_true(add_patch(&test, PROGRAM_BASE, p->start, (uint32_t)(p->end - p->start)));
		run_both(NULL, &test, p->name);
	}
}

/*
 * Edges: each instruction that touches memory in several steps, with its operand at every distance from every edge.
 */

static const struct {
	const char *bytes;
	uint32_t len;
} edge_instructions[] = {
#define INSN(s) { s, sizeof(s) - 1 }
	INSN("\x50"), INSN("\x66\x50"), INSN("\x6a\x01"), INSN("\x68\x01\x02\x03\x04"), INSN("\xff\x33"),
	INSN("\xff\x36"), INSN("\x58"), INSN("\x66\x58"), INSN("\x5c"), INSN("\x8f\x03"), INSN("\x8f\x06"),
	INSN("\x8f\x44\x24\x04"), INSN("\xff\x74\x24\x04"), INSN("\xe8\x40\x00\x00\x00"), INSN("\xff\xd0"),
	INSN("\xff\x13"), INSN("\xff\x16"), INSN("\xff\x14\x24"), INSN("\xc3"), INSN("\xc2\x08\x00"),
	INSN("\xc8\x00\x00\x00"), INSN("\xc8\x10\x00\x00"), INSN("\xc8\x10\x00\x01"), INSN("\xc8\x08\x00\x03"),
	INSN("\xc9"), INSN("\x66\xc9"), INSN("\x60"), INSN("\x61"), INSN("\x66\x60"), INSN("\x66\x61"), INSN("\x9c"),
	INSN("\x9d"), INSN("\x1e"), INSN("\x06"), INSN("\x0f\xa0"), INSN("\xa4"), INSN("\xa5"), INSN("\x66\xa5"),
	INSN("\xa6"), INSN("\xa7"), INSN("\xaa"), INSN("\xab"), INSN("\xac"), INSN("\xad"), INSN("\xae"),
	INSN("\xaf"), INSN("\xf3\xa4"), INSN("\xf3\xa5"), INSN("\xf3\x66\xa5"), INSN("\xf3\xa6"), INSN("\xf2\xa7"),
	INSN("\xf3\xaa"), INSN("\xf3\xab"), INSN("\xf3\xac"), INSN("\xf3\xad"), INSN("\xf2\xae"), INSN("\xf3\xaf"),
	INSN("\xcb"), INSN("\xcf"), INSN("\x9a\x00\x01\x00\x10\x23\x00"), INSN("\xff\x1b"), INSN("\xff\x2b"),
	INSN("\xc4\x03"), INSN("\x0f\xb4\x03"), INSN("\xd7"), INSN("\x0f\xc7\x0b"), INSN("\xf0\x0f\xc7\x0b"),
	INSN("\xf0\x01\x03"), INSN("\x87\x03"), INSN("\x0f\xb1\x13"), INSN("\xd9\x33"), INSN("\xdd\x33"),
	INSN("\xd9\x23"), INSN("\xdd\x23"), INSN("\xdb\x3b"), INSN("\xdb\x2b"), INSN("\xdf\x33"), INSN("\xdf\x23"),
	INSN("\x0f\x11\x03"), INSN("\x0f\x10\x03"), INSN("\x0f\x29\x03"), INSN("\x0f\xe7\x03"), INSN("\x62\x03"),
	INSN("\x0f\xab\x03"), INSN("\x64\x8b\x03"), INSN("\x65\x89\x13"), INSN("\xa1\xfe\x1f\x00\x20"),
	INSN("\xa3\xfe\x1f\x00\x20"), INSN("\x88\x3b"), INSN("\x86\x33"), INSN("\x0f\xc0\x23"), INSN("\xd1\x1b"),
	INSN("\xff\x03"),
#undef INSN
};

/* ESI and EDI meet the edge from both directions, ESP and EBP too: @which says who is at it; the others are elsewhere. */
static void at_edge(struct state *in, uint32_t address, uint32_t which, bool down)
{
	plain_state(in, CODE_BASE + 0x300);
	if (which & 1)
		in->gpr[R_ESP] = address;
	if (which & 2)
		in->gpr[R_EBP] = address;
	if (which & 4)
		in->gpr[R_EBX] = in->gpr[R_ESI] = address;
	if (which & 8)
		in->gpr[R_EDI] = address;
	in->gpr[R_ECX] = 20;
	in->gpr[R_EAX] = CODE_BASE + 0x800;
	if (down)
		in->eflags |= FLAG_DF;
}

static void test_edges(void **state)
{
	static const uint32_t edges[] = { DATA_BASE,	  DATA_BASE + 4096, RO_PAGE,
					  RO_PAGE + 4096, STACK_BASE,	    STACK_BASE + STACK_PAGES * 4096 };
	static const uint32_t which[] = { 1, 2, 4, 8 };

	for (size_t n = 0; n < sizeof(edge_instructions) / sizeof(edge_instructions[0]); n++) {
		struct instance instance;
		char name[96];

		instance_at(&instance, (const uint8_t *)edge_instructions[n].bytes, edge_instructions[n].len, CODE_BASE + 0x300);
		if (way == NATIVE_QEMU && qemu_gives_up(&instance)) {
			printf("skipped %s: QEMU ends with an assertion at some of them\n",
			       disassemble(instance.bytes, instance.len, instance.eip));
			continue;
		}
		for (size_t e = 0; e < sizeof(edges) / sizeof(edges[0]); e++)
			for (size_t w = 0; w < sizeof(which) / sizeof(which[0]); w++)
				for (int distance = -36; distance <= 20; distance += n % 2 ? 1 : 2) {
					static struct test_case test;

					at_edge(&test.in, edges[e] + (uint32_t)distance, which[w], distance & 2);
					test.patches = 0;
					add_patch(&test, test.in.eip, edge_instructions[n].bytes, edge_instructions[n].len);
					snprintf(name, sizeof(name), "%s",
						 disassemble(instance.bytes, instance.len, instance.eip));
					run_both(&instance, &test, name);
				}
	}
}

/*
 * Single-stepping: the same end, one instruction at a time.
 */

static void step_through(const struct test_case *test, struct state *end, uint32_t *trap)
{
	struct state now = test->in;
	const struct cpu_exit *exit;
	int steps = 0;

	do {
		now.eflags |= FLAG_TF;
		exit = go(&now, end);
		assert_true(++steps < 5000);
		if (exit->kind != EXIT_FAULT || exit->vector != TRAP_DB)
			break;
		/* it moved, unless it is a repeated string instruction or a branch to itself */
		now = *end;
	} while (1);
	*trap = exit->vector;
}

static void test_single_steps(void **state)
{

	for (uint32_t i = 0; i < 300; i++) {
		static struct test_case test;
		struct program program;
		struct rng rng = rng_fork(1, 77, i, 0);
		struct result *straight;
		struct state end;
		uint32_t trap;

		sequence_make(&program, &forms, SEQUENCE_NO_FLAGS, &rng);
		sequence_state(&test, &program, &options, &rng);
		straight = run_ours(&test);
		for (uint32_t p = 0; p < test.patches; p++)
			write_code(test.patch[p].address, test.patch[p].bytes, test.patch[p].len);
		step_through(&test, &end, &trap);
		/* what it wrote to memory is dropped by the next run */
		assert_int_equal(trap, straight->trap);
		assert_int_equal(end.eip, straight->out.eip);
		assert_memory_equal(end.gpr, straight->out.gpr, sizeof(end.gpr));
		assert_int_equal((end.eflags ^ straight->out.eflags) & ~(uint32_t)(FLAG_TF | FLAG_RF), 0);
		assert_memory_equal(end.fx + 32, straight->out.fx + 32, 8 * 16);
		assert_memory_equal(end.fx + 160, straight->out.fx + 160, 8 * 16);
		translated_restore(&ours);
	}
}

static void test_step_stops_after_each(void **state)
{
	/* nop; inc eax; push eax; pop edx; jmp +2; int3; int3; rep movsb (ECX = 3); nop */
	static const uint8_t code[] = { 0x90, 0x40, 0x50, 0x5a, 0xeb, 0x02, 0xcc, 0xcc, 0xf3, 0xa4, 0x90 };
	static const uint32_t stops[] = { 1, 2, 3, 4, 8, 8, 8, 10, 11 };
	struct state now, next;

	plain_state(&now, CODE_BASE + 0x200);
	now.gpr[R_ECX] = 3;
	now.gpr[R_EDI] += 16;
	now.eflags |= FLAG_TF;
	write_code(now.eip, code, sizeof(code));
	for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
		const struct cpu_exit *exit = go(&now, &next);

		assert_int_equal(exit->kind, EXIT_FAULT);
		assert_int_equal(exit->vector, TRAP_DB);
		assert_int_equal(next.eip, CODE_BASE + 0x200 + stops[i]);
		assert_true(next.eflags & FLAG_TF);
		now = next;
	}
	assert_stop(go(&now, &next));
}

/*
 * Mappings that change.
 */

/* mov eax, imm32 across two pages, whose second page is absent, then there, then another. */
static void test_straddling_instruction(void **state)
{
	static const uint8_t code[] = { 0xb8, 0x01, 0x02, 0x03, 0x04, 0xcc };

	for (uint32_t split = 1; split < 5; split++) {
		uint32_t eip = CODE_BASE + 4096 - split, second = translated_physical(CODE_BASE + 4096);
		struct state in, out;

		plain_state(&in, eip);
		write_code(eip, code, split);
		write_code(CODE_BASE + 4096, code + split, sizeof(code) - split);
		memcpy(ours.ram + SPARE_FRAMES, ours.ram + second, 4096);
		ours.ram[SPARE_FRAMES + 4 - split] = 0x44;

		translated_map(&ours, CODE_BASE + 4096, 0, 0);
		assert_page_fault(go(&in, &out), PF_USER, CODE_BASE + 4096, eip);
		assert_int_equal(out.gpr[R_EAX], in.gpr[R_EAX]);
		translated_map(&ours, CODE_BASE + 4096, second, PTE_ALL);
		assert_stop(go(&in, &out));
		assert_int_equal(out.gpr[R_EAX], 0x04030201);
		translated_map(&ours, CODE_BASE + 4096, SPARE_FRAMES, PTE_ALL);
		assert_stop(go(&in, &out));
		assert_int_equal(out.gpr[R_EAX], 0x44030201);
		translated_map(&ours, CODE_BASE + 4096, 0, 0);
		assert_page_fault(go(&in, &out), PF_USER, CODE_BASE + 4096, eip);
		translated_map(&ours, CODE_BASE + 4096, second, PTE_ALL);
		assert_stop(go(&in, &out));
		assert_int_equal(out.gpr[R_EAX], 0x04030201);
	}
}

/* A jump from one page to the next, whose frame is exchanged: the chain must not outlive the mapping. */
static void test_remapped_code(void **state)
{
	static const uint8_t jump[] = { 0xe9, 0xf3, 0x0f, 0x00, 0x00 };
	static const uint8_t first[] = { 0xb8, 1, 0, 0, 0, 0xcc }, other[] = { 0xb8, 2, 0, 0, 0, 0xcc };
	uint32_t second = translated_physical(CODE_BASE + 4096);
	struct state in, out;

	plain_state(&in, CODE_BASE + 8);
	write_code(CODE_BASE + 8, jump, sizeof(jump)); /* to CODE_BASE + 0x1000 */
	write_code(CODE_BASE + 4096, first, sizeof(first));
	write_ram(SPARE_FRAMES, other, sizeof(other));
	for (int i = 0; i < 20; i++) {
		translated_map(&ours, CODE_BASE + 4096, i % 2 ? SPARE_FRAMES : second, PTE_ALL);
		assert_stop(go(&in, &out));
		assert_int_equal(out.gpr[R_EAX], 1 + i % 2);
	}
}

/* The same where cpu_run() starts in the exchanged page: nobody jumped there. */
static void test_remapped_entry(void **state)
{
	static const uint8_t first[] = { 0xb8, 1, 0, 0, 0, 0xcc }, other[] = { 0xb8, 2, 0, 0, 0, 0xcc };
	uint32_t second = translated_physical(CODE_BASE + 4096);
	struct state in, out;

	plain_state(&in, CODE_BASE + 4096);
	write_code(CODE_BASE + 4096, first, sizeof(first));
	write_ram(SPARE_FRAMES, other, sizeof(other));
	for (int i = 0; i < 20; i++) {
		translated_map(&ours, CODE_BASE + 4096, i % 2 ? SPARE_FRAMES : second, PTE_ALL);
		assert_stop(go(&in, &out));
		assert_int_equal(out.gpr[R_EAX], 1 + i % 2);
	}
}

/*
 * A library's page is mapped at another address in each process: each finds its blocks, without passing all others. Its own, or, while it is cold,
 * those of all.
 */
static void test_page_at_many_addresses(void **state)
{
	static const uint8_t code[] = { 0xe8, 0, 0, 0, 0, 0x58, 0xcc };	/* call to the next; pop eax; int3 */
	enum { FIRST = 64, COUNT = 900 };
	struct state in, out;

	write_ram(SPARE_FRAMES, code, sizeof(code));
	for (int i = 0; i < 2 * COUNT; i++) {
		uint32_t eip = CODE_BASE + (FIRST + i % COUNT) * 4096;
		unsigned passed = 0, own = 0;

		if (i < COUNT)
			translated_map(&ours, eip, SPARE_FRAMES, PTE_ALL);
		plain_state(&in, eip);
		assert_stop(go(&in, &out));
		assert_int_equal(out.gpr[R_EAX], eip + 5);
		for (uint32_t at = block_view(ours.cpu, eip, SPARE_FRAMES); at != BLOCK_NONE; at = ours.cpu->cache->blocks[at].view_next) {
			own += ours.cpu->cache->blocks[at].eip >> 12 == block_eip(ours.cpu, eip, SPARE_FRAMES) >> 12;
			passed++;
		}
		assert_in_range(own, 1, 8);
		assert_in_range(passed, 1, 64);
	}
	for (int i = 0; i < COUNT; i++)
		translated_map(&ours, CODE_BASE + (FIRST + i) * 4096, 0, 0);
}

static void test_address_spaces(void **state)
{
	static const uint8_t first[] = { 0xff, 0xd3, 0x90, 0xcc };	/* call ebx; nop; int3 */
	static const uint8_t other[] = { 0xb8, 2, 0, 0, 0, 0xcc };	/* mov eax, 2; int3 */
	static const uint8_t callee[] = { 0xb8, 1, 0, 0, 0, 0xc3 };
	const uint32_t pgd = SPARE_FRAMES + 0x1000, table = SPARE_FRAMES + 0x2000, frame = SPARE_FRAMES + 0x3000;
	struct state in, out;

	memcpy(ours.ram + pgd, ours.ram + PGD, 4096);
	memcpy(ours.ram + table, ours.ram + (*ram_word(PGD + (CODE_BASE >> 22) * 4) & ~0xfffu), 4096);
	*ram_word(pgd + (CODE_BASE >> 22) * 4) = table | PTE_P | PTE_W | PTE_U | PTE_A;
	*ram_word(table) = frame | PTE_ALL;
	plain_state(&in, CODE_BASE + 16);
	in.gpr[R_EBX] = CODE_BASE + 0x80;
	write_code(CODE_BASE + 16, first, sizeof(first));
	write_code(CODE_BASE + 0x80, callee, sizeof(callee));
	write_ram(frame + 16, other, sizeof(other));
	for (int i = 0; i < 40; i++) {
		cpu_set_pgd(ours.cpu, i % 2 ? pgd : PGD);
		assert_stop(go(&in, &out));
		assert_int_equal(out.gpr[R_EAX], 1 + i % 2);
	}
	cpu_set_pgd(ours.cpu, PGD);
}

/* A repeated string instruction that faults midway goes on where it stopped once the page is there. */
static void test_string_resumes(void **state)
{
	static const uint8_t code[] = { 0xf3, 0xa5, 0xcc };
	uint32_t frame = translated_physical(DATA_BASE + 4096);
	struct state in, out, end;

	plain_state(&in, CODE_BASE + 0x10);
	write_code(in.eip, code, sizeof(code));
	in.gpr[R_ESI] = DATA_BASE + 0x100;
	in.gpr[R_EDI] = DATA_BASE + 4096 - 40;
	in.gpr[R_ECX] = 50;
	translated_map(&ours, DATA_BASE + 4096, 0, 0);
	assert_page_fault(go(&in, &out), PF_USER | PF_WRITE, DATA_BASE + 4096, in.eip);
	assert_int_equal(out.gpr[R_ECX], 40);
	assert_int_equal(out.gpr[R_ESI], DATA_BASE + 0x100 + 40);
	assert_int_equal(out.gpr[R_EDI], DATA_BASE + 4096);
	translated_map(&ours, DATA_BASE + 4096, frame, PTE_P | PTE_U | PTE_A);
	assert_page_fault(go(&out, &end), PF_USER | PF_WRITE | PF_PRESENT, DATA_BASE + 4096, in.eip);
	translated_map(&ours, DATA_BASE + 4096, frame, PTE_ALL);
	assert_stop(go(&out, &end));
	assert_int_equal(end.gpr[R_ECX], 0);
	assert_memory_equal(ours.ram + translated_physical(DATA_BASE + 4096 - 40),
			    background + (LOW_PAGES + CODE_PAGES) * 4096 + 0x100, 200);
}

static void test_accessed_and_dirty(void **state)
{
	/* mov eax, [ebx]; nop; int3; mov [ebx], eax; int3 */
	static const uint8_t code[] = { 0x8b, 0x03, 0x90, 0xcc, 0x89, 0x03, 0xcc };
	uint32_t address = DATA_BASE + 4096, *entry = page_table_entry(address);
	struct state in, out;

	plain_state(&in, CODE_BASE + 0x10);
	in.gpr[R_EBX] = address + 8;
	write_code(in.eip, code, sizeof(code));
	translated_map(&ours, address, translated_physical(address), PTE_P | PTE_W | PTE_U);
	assert_stop(go(&in, &out));
	assert_int_equal(*entry & (PTE_A | PTE_D), PTE_A);
	in.eip += 4;
	assert_stop(go(&in, &out));
	assert_int_equal(*entry & (PTE_A | PTE_D), PTE_A | PTE_D);
	/* cleaned by the guest, and flushed: written again, dirty again */
	*entry &= ~(uint32_t)(PTE_A | PTE_D);
	cpu_flush_page(ours.cpu, PGD, address);
	assert_stop(go(&in, &out));
	assert_int_equal(*entry & (PTE_A | PTE_D), PTE_A | PTE_D);
}

static void test_permissions_change(void **state)
{
	static const uint8_t code[] = { 0x89, 0x03, 0x8b, 0x13, 0xcc }; /* mov [ebx], eax; mov edx, [ebx]; int3 */
	uint32_t address = DATA_BASE + 4096, frame = translated_physical(address);
	struct state in, out;

	plain_state(&in, CODE_BASE + 0x10);
	in.gpr[R_EBX] = address + 8;
	write_code(in.eip, code, sizeof(code));
	for (int i = 0; i < 5; i++) {
		in.gpr[R_EAX] = (uint32_t)i;
		translated_map(&ours, address, frame, PTE_ALL);
		assert_stop(go(&in, &out));
		assert_int_equal(out.gpr[R_EDX], i);
		translated_map(&ours, address, frame, PTE_P | PTE_U | PTE_A);
		assert_page_fault(go(&in, &out), PF_USER | PF_WRITE | PF_PRESENT, address + 8, in.eip);
		translated_map(&ours, address, frame, PTE_P | PTE_W | PTE_A);
		assert_page_fault(go(&in, &out), PF_USER | PF_WRITE | PF_PRESENT, address + 8, in.eip);
		translated_map(&ours, address, 0, 0);
		assert_page_fault(go(&in, &out), PF_USER | PF_WRITE, address + 8, in.eip);
		translated_map(&ours, address, SPARE_FRAMES, PTE_ALL);
		assert_stop(go(&in, &out));
		assert_int_equal(*ram_word(SPARE_FRAMES + 8), i);
	}
}

/* Ring 1 sees supervisor pages, and may not write read-only ones. */
static void test_rings(void **state)
{
	static const uint8_t code[] = { 0x8b, 0x13, 0x89, 0x03, 0xcc }; /* mov edx, [ebx]; mov [ebx], eax; int3 */
	struct segment flat_code = { .limit = 0xffffffff }, flat_data = { .limit = 0xffffffff };
	uint32_t address = DATA_BASE + 4096, frame = translated_physical(address);

	for (uint32_t ring = 0; ring < 4; ring++) {
		struct state in, out;

		plain_state(&in, CODE_BASE + 0x10);
		in.gpr[R_EBX] = address;
		write_code(in.eip, code, sizeof(code));
		flat_code.sel = 0x60 | ring;
		flat_data.sel = 0x68 | ring;
		flat_code.attr = 0x00c09b00 | ring << 13;
		flat_data.attr = 0x00c09300 | ring << 13;
		for (int s = 0; s < 6; s++) {
			cpu_set_segment(ours.cpu, (unsigned)s, s == S_CS ? &flat_code : &flat_data);
			in.seg[s] = ours.selector[s] = s == S_CS ? flat_code.sel : flat_data.sel;
		}
		translated_map(&ours, address, frame, PTE_P | PTE_W | PTE_A | PTE_D);
		if (ring == 3) {
			assert_page_fault(go(&in, &out), PF_USER | PF_PRESENT, address, in.eip);
		} else {
			assert_stop(go(&in, &out));
			translated_map(&ours, address, frame, PTE_P | PTE_U | PTE_A);
			assert_page_fault(go(&in, &out), PF_WRITE | PF_PRESENT, address, in.eip + 2);
		}
		translated_map(&ours, address, frame, PTE_ALL);
		assert_stop(go(&in, &out));
	}
	for (int s = 0; s < 6; s++)
		ours.selector[s] = ~0u;
}

/* A device writes over code; the machine writes over code. */
static void test_code_written_from_outside(void **state)
{
	uint8_t code[] = { 0xb8, 0, 0, 0, 0, 0xcc };
	struct cpu_fault fault;
	struct state in, out;

	plain_state(&in, CODE_BASE + 0x40);
	for (uint8_t i = 1; i < 20; i++) {
		code[1] = i;
		if (i % 2)
			write_code(in.eip, code, sizeof(code));
		else
			assert_int_equal(cpu_write(ours.cpu, in.eip, code, sizeof(code), true, &fault), 0);
		assert_stop(go(&in, &out));
		assert_int_equal(out.gpr[R_EAX], i);
	}
}

/*
 * The end of the address space: an access that runs over it must not reach whatever lies behind the window. Hardware refuses it
 * (the segment ends there); we promise a fault, and that nothing was touched.
 */
static void test_wrap(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t len;
	} code[] = {
		{ "\x89\x03", 2 }, { "\x8b\x13", 2 }, { "\x66\x89\x43\x02", 4 }, { "\x0f\x11\x43\xf8", 4 }, { "\xdd\x5b\xfd", 3 },
		{ "\xf0\x01\x03", 3 }, { "\x0f\xae\x43\x02", 4 }, { "\xff\x33", 2 },
	};

	for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
		struct state in, out;
		const struct cpu_exit *exit;

		memset(ours.ram + SPARE_FRAMES, 0x5a, 2 * 4096);
		translated_map(&ours, 0xfffff000, SPARE_FRAMES, PTE_ALL);
		translated_map(&ours, 0, SPARE_FRAMES + 4096, PTE_ALL);
		plain_state(&in, CODE_BASE + 0x40);
		in.gpr[R_EBX] = 0xfffffffd;
		write_code(in.eip, code[i].bytes, code[i].len);
		exit = go(&in, &out);
		assert_int_equal(exit->kind, EXIT_FAULT);
		assert_true(exit->vector == TRAP_GP || exit->vector == TRAP_SS || exit->vector == TRAP_PF);
		assert_memory_equal(out.gpr, in.gpr, sizeof(in.gpr));
		for (int b = 0; b < 2 * 4096; b++)
			assert_int_equal(ours.ram[SPARE_FRAMES + b], 0x5a);
	}
}

/* The last byte and the last word are there, and an address may wrap on its way. */
static void test_last_word(void **state)
{
	/* mov [ebx + 0x10], eax; mov edx, [ecx * 4 - 4]; int3 */
	static const uint8_t code[] = { 0x89, 0x43, 0x10, 0x8b, 0x14, 0x8d, 0xfc, 0xff, 0xff, 0xff, 0xcc };
	struct state in, out;

	translated_map(&ours, 0xfffff000, SPARE_FRAMES, PTE_ALL);
	translated_map(&ours, 0, SPARE_FRAMES + 4096, PTE_ALL);
	plain_state(&in, CODE_BASE + 0x40);
	write_code(in.eip, code, sizeof(code));
	in.gpr[R_EBX] = 0xffffffec;
	in.gpr[R_ECX] = 0;
	assert_stop(go(&in, &out));
	assert_int_equal(*ram_word(SPARE_FRAMES + 0xffc), in.gpr[R_EAX]);
	assert_int_equal(out.gpr[R_EDX], in.gpr[R_EAX]);
	in.gpr[R_EBX] = 0xfffffff0;
	in.gpr[R_EAX] = 0x77;
	assert_stop(go(&in, &out));
	assert_int_equal(*ram_word(SPARE_FRAMES + 4096), 0x77);
}

/*
 * The rest.
 */

static void *kick(void *opaque)
{
	usleep(20000);
	cpu_kick(ours.cpu);
	return NULL;
}

static void test_kick(void **state)
{
	static const struct {
		const char *bytes;
		uint32_t len;
	} code[] = { { "\xeb\xfe", 2 }, { "\x40\xeb\xfd", 3 }, { "\xe8\x00\x00\x00\x00\x58\xff\xe0", 8 }, { "\xff\xe3", 2 } };

	for (size_t i = 0; i < sizeof(code) / sizeof(code[0]); i++) {
		const struct cpu_exit *exit;
		struct state in;
		pthread_t thread;

		plain_state(&in, CODE_BASE + 0x40);
		in.gpr[R_EBX] = in.eip;
		write_code(in.eip, code[i].bytes, code[i].len);
		take_handlers();
		translated_load(&ours, &in);
		assert_int_equal(pthread_create(&thread, NULL, kick, NULL), 0);
		exit = cpu_run(ours.cpu);
		assert_int_equal(exit->kind, EXIT_KICK);
		assert_in_range(cpu_eip(ours.cpu), in.eip, in.eip + code[i].len - 1);
		pthread_join(thread, NULL);
	}
}

/* The address of the last x87 instruction is the guest's (or has been forgotten), never one in the code cache. */
static void test_instruction_pointer(void **state)
{
	static const uint8_t code[] = { 0xd9, 0xe8, 0xd9, 0x33, 0xcc }; /* fld1; fnstenv [ebx]; int3 */
	struct state in, out;

	for (uint32_t i = 0; i < 50; i++) {
		uint32_t at;

		plain_state(&in, CODE_BASE + 0x100 + 8 * i);
		write_code(in.eip, code, sizeof(code));
		assert_stop(go(&in, &out));
		at = *ram_word(translated_physical(in.gpr[R_EBX]) + 12);
		assert_true(at == in.eip || at == 0);
	}
}

/* An MMX instruction raises an x87 exception that is pending: in the guest, whoever runs the instruction. */
static void test_pending_exception(void **state)
{
	static const uint8_t code[] = { 0x67, 0x0f, 0xf7, 0xc1, 0xcc }; /* maskmovq mm0, mm1, at DS:DI; int3 */
	const struct cpu_exit *exit;
	struct state in, out;

	translated_map(&ours, 0, SPARE_FRAMES, PTE_ALL);
	plain_state(&in, CODE_BASE + 0x40);
	write_code(in.eip, code, sizeof(code));
	in.gpr[R_EDI] = 0x10100;
	in.fx[0] &= ~4;		/* division by zero is not masked... */
	in.fx[2] = 0x84;	/* ... and has been seen */
	in.fx[3] = 0x80;
	exit = go(&in, &out);
	assert_int_equal(exit->kind, EXIT_FAULT);
	assert_int_equal(exit->vector, TRAP_MF);
	assert_int_equal(exit->eip, in.eip);
}

/* Random programs, on both sides. */
static void run_sequences(uint32_t first, uint32_t count, unsigned without)
{
	const struct state_options all = { .low = true, .segments = !(without & SEQUENCE_NO_SEGMENTS), .qemu = options.qemu };

	for (uint32_t i = first; i < first + count; i++) {
		static struct test_case test;
		struct program program;
		struct rng rng = rng_fork(2, 78, i, 0);

		sequence_make(&program, &forms, without | (options.qemu ? SEQUENCE_FOR_QEMU : 0), &rng);
		sequence_state(&test, &program, &all, &rng);
		run_both(NULL, &test, "random program");
	}
}

/* ... when every few of them fill the code cache */
static void test_small_cache(void **state)
{
	translated_stop(&ours);
	start_ours(128 << 10);
	run_sequences(0, 3000, 0);
}

/* ... in ring 1, where a guest's kernel runs */
static void test_ring_1(void **state)
{
	ours.ring = 1;
	run_sequences(10000, 3000, SEQUENCE_NO_SEGMENTS);
}

/* ... while an interrupt waits that cannot be delivered */
static void test_pending_interrupt(void **state)
{
	cpu_set_irq_pending(ours.cpu, true);
	run_sequences(20000, 1000, 0);
}

static volatile bool kicking;
static pthread_t kicker;

static void *kick_often(void *opaque)
{
	while (kicking) {
		usleep(30);
		cpu_kick(ours.cpu);
	}
	return NULL;
}

/* ... while somebody keeps interrupting: cpu_run() returns with exact registers and is called again */
static void test_kicked(void **state)
{
	kicking = true;
	assert_int_equal(pthread_create(&kicker, NULL, kick_often, NULL), 0);
	run_sequences(30000, 3000, 0);
}

/* Also when it failed. */
static int stop_kicking(void **state)
{
	if (kicking) {
		kicking = false;
		pthread_join(kicker, NULL);
	}
	return teardown(state);
}

static bool is_fpu(const struct instance *instance)
{
	if (instance->form->map == MAP_PRIMARY && instance->form->op >= 0xd8 && instance->form->op <= 0xdf)
		return true;
	switch (instance->insn.meta.isa_set) {
	case ZYDIS_ISA_SET_PENTIUMMMX:
	case ZYDIS_ISA_SET_SSE:
	case ZYDIS_ISA_SET_SSEMXCSR:
	case ZYDIS_ISA_SET_SSE2:
	case ZYDIS_ISA_SET_SSE2MMX:
	case ZYDIS_ISA_SET_SSE3:
	case ZYDIS_ISA_SET_SSSE3:
	case ZYDIS_ISA_SET_SSSE3MMX:
	case ZYDIS_ISA_SET_FXSAVE:
		break;
	default:
		return false;
	}
	switch (instance->insn.mnemonic) {
	case ZYDIS_MNEMONIC_SFENCE:
	case ZYDIS_MNEMONIC_LFENCE:
	case ZYDIS_MNEMONIC_MFENCE:
	case ZYDIS_MNEMONIC_MOVNTI:
		return false;
	default:
		return true;
	}
}

/* Those of which the above says nothing: SSE4 and later have integer instructions among them. */
static bool may_be_fpu(const struct instance *instance)
{
	return instance->insn.mnemonic == ZYDIS_MNEMONIC_FWAIT || instance->form->map >= MAP_0F38 ||
	       instance->insn.meta.isa_set == ZYDIS_ISA_SET_SSE4A;
}

/* With CR0.TS set, every x87, MMX and SSE instruction raises #NM before it does anything, and no other does. */
static void test_task_switched(void **state)
{
	uint32_t raised = 0;

	cpu_set_ts(ours.cpu, true);
	for (uint32_t f = 0; f < forms.count; f++) {
		static struct test_case test;
		struct rng rng = rng_fork(3, 79, f, 0);
		struct instance instance;
		struct result *result;

		if (!forms.form[f].valid || forms.form[f].redundant || forms.form[f].prefix & FORM_LOCK)
			continue;
		do
			instance_make(&instance, &forms.form[f], &rng);
		while (!instance.decoded || instance.eip + instance.len > CODE_BASE + CODE_PAGES * 4096);
		state_make(&test, &instance, &options, &rng);
		result = run_ours(&test);
		if (!is_fpu(&instance)) {
			if (result->trap == TRAP_NM && !may_be_fpu(&instance))
				fail_msg("%s: #NM", forms.form[f].name);
			continue;
		}
		if (result->trap == TRAP_UD)
			continue;
		if (result->trap != TRAP_NM)
			print_error("%s: trap %u\n", forms.form[f].name, result->trap);
		assert_int_equal(result->trap, TRAP_NM);
		assert_int_equal(result->out.eip, instance.eip);
		assert_memory_equal(result->out.gpr, test.in.gpr, sizeof(test.in.gpr));
		raised++;
	}
	assert_true(raised > 400);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
static const struct CMUnitTest all_tests[] = {
	TEST(test_programs),
	TEST(test_edges),
	TEST(test_single_steps),
	TEST(test_step_stops_after_each),
	TEST(test_straddling_instruction),
	TEST(test_remapped_code),
	TEST(test_remapped_entry),
	TEST(test_page_at_many_addresses),
	TEST(test_address_spaces),
	TEST(test_string_resumes),
	TEST(test_accessed_and_dirty),
	TEST(test_permissions_change),
	TEST(test_rings),
	TEST(test_code_written_from_outside),
	TEST(test_wrap),
	TEST(test_last_word),
	TEST(test_kick),
	TEST(test_instruction_pointer),
	TEST(test_pending_exception),
	TEST(test_small_cache),
	TEST(test_ring_1),
	TEST(test_pending_interrupt),
	cmocka_unit_test_setup_teardown(test_kicked, setup, stop_kicking),
	TEST(test_task_switched),
};
enum { TESTS = sizeof(all_tests) / sizeof(all_tests[0]) };

/* Arguments: tests to leave out. */
int main(int argc, char **argv)
{
	static struct control empty = { .low_absent = true, .ldt_absent = true };
	static struct CMUnitTest tests[TESTS];
	size_t count = 0;

	path = getenv("NATIVE32");
	if (!path) {
		fprintf(stderr, "NATIVE32 must name the native32 program\n");
		return 1;
	}
	way = native_way(path);
	printf("%s: %s\n", way == NATIVE_NOTHING ? "skipped" : "oracle", native_name(way));
	fflush(stdout);
	if (way == NATIVE_NOTHING)
		return 77;

	/* The first processor of a process installs the handlers. */
	if (translated_start(&ours, &empty, 0))
		return 1;
	for (int i = 0; i < 4; i++)
		sigaction(fault_signals[i], NULL, &fault_handlers[i]);
	translated_stop(&ours);
	for (size_t i = 0; i < TESTS; i++) {
		bool out = false;

		for (int a = 1; a < argc; a++)
			out |= !strcmp(all_tests[i].name, argv[a]);
		if (!out)
			tests[count++] = all_tests[i];
	}
	return _cmocka_run_group_tests("special", tests, count, group_setup, group_teardown);
}
