/* SPDX-License-Identifier: MIT */
/*
 * test_windows.c - a hostile guest kernel gets nothing but guest RAM into its windows.
 *
 * Page tables full of nonsense, which the guest's own code may overwrite, and random code run through them, with flushes and
 * switches of address space in between. What is mapped is then read back from the host's kernel: every byte of every window and
 * its guards must be reserved, and what is accessible must be guest RAM, never executable, and what the tables say.
 *
 * ISOLATION_FULL=1 goes on for longer, ISOLATION_SEED=n takes other nonsense.
 */
#include <inttypes.h>
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

#include "cpu/x86/space/mmu.h"
#include "cpu/x86/space/window.h"

static struct guest *g;
static bool full;
static uint64_t seed = 20070501;

static uint32_t random32(void)
{
	seed ^= seed >> 12;
	seed ^= seed << 25;
	seed ^= seed >> 27;
	return (uint32_t)(seed * 0x2545f4914f6cdd1dull >> 32);
}

/* --- what the host's kernel says ------------------------------------------------------------------------------------------- */

struct mapping {
	uint64_t from, to, offset;
	char access[5];
	bool guest;
};

static struct mapping mappings[70000];
static unsigned mapping_count;

static void read_mappings(void)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];

	assert_non_null(maps);
	mapping_count = 0;
	while (fgets(line, sizeof(line), maps)) {
		struct mapping *m = &mappings[mapping_count++];

		assert_true(mapping_count < sizeof(mappings) / sizeof(mappings[0]));
		assert_int_equal(sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64, &m->from, &m->to, m->access, &m->offset), 4);
		m->guest = strstr(line, "/memfd:guest ");
	}
	fclose(maps);
}

/* One accessible mapping inside a window, or a part of one: guest RAM, and in the slot in force what the tables say. */
static void check_accessible(const struct mapping *m, const struct slot *slot, enum view view, bool settled)
{
	uint64_t window = (uint64_t)(uintptr_t)slot->view[view];

	if (!m->guest)
		fail_msg("%" PRIx64 "-%" PRIx64 " %s is in a window, and not guest RAM", m->from, m->to, m->access);
	assert_int_equal(m->access[2], '-');
	assert_true(m->from >= window && m->to <= window + (1ull << 32));
	assert_true(m->offset + (m->to - m->from) <= g->size);
	for (uint64_t at = m->from; settled && at < m->to; at += PAGE_SIZE) {
		uint32_t pte = mmu_peek(g->cpu, (uint32_t)(at - window));

		assert_true(pte & PTE_P);
		assert_int_equal(pte & PTE_FRAME, m->offset + (at - m->from));
		assert_true(view == VIEW_KERNEL || pte & PTE_US);
		assert_true(m->access[1] == '-' || (pte & PTE_RW && pte & PTE_D));
	}
}

static void check_view(const struct slot *slot, enum view view, bool settled)
{
	uint64_t at = (uint64_t)(uintptr_t)slot->view[view] - window_guard(g->cpu), end = at + (1ull << 32) + 2 * window_guard(g->cpu);

	for (unsigned i = 0; i < mapping_count; i++) {
		const struct mapping *m = &mappings[i];

		if (m->to <= at || m->from >= end)
			continue;
		assert_true(m->from <= at);	/* no hole, where something else of the process could settle */
		at = m->to;
		if (strncmp(m->access, "---", 3))
			check_accessible(m, slot, view, settled);
	}
	assert_true(at >= end);
}

/* @settled: the guest has flushed everything and not run since; as far as the processor knows, user code is about to. */
static void check_windows(bool settled)
{
	if (settled) {
		cpu_flush_all(g->cpu);
		guest_mode(g, true, false);
		window_settle(g->cpu);
		window_enter(g->cpu);
	}
	read_mappings();
	for (unsigned i = 0; i < g->cpu->slot_count; i++)
		for (enum view v = VIEW_KERNEL; v < VIEWS; v++)
			check_view(&g->cpu->slots[i], v, settled && &g->cpu->slots[i] == g->cpu->slot);
}

/* --- what a hostile kernel does ---------------------------------------------------------------------------------------------- */

enum { DIRECTORIES = 3, FIRST_DIRECTORY = 1, FRAMES = 1024, SMALL_RAM = FRAMES * 4096 };

/* All that happens, happens in a few places, so that it meets. */
static uint32_t some_page(void)
{
	static const uint32_t places[] = { USER_CODE, USER_DATA, KERNEL_CODE, KERNEL_DATA, 0, 0xffff0000 };

	return places[random32() % 6] + (random32() % 16 << PAGE_SHIFT);
}

static uint32_t some_entry(uint32_t last_frame)
{
	uint32_t frame = random32() % 16 ? random32() % last_frame : random32() >> 12;

	return frame << PAGE_SHIFT | (random32() % 8 ? PTE_P : 0) | (random32() & (PTE_RW | PTE_US | PTE_A | PTE_D)) |
	       (random32() % 64 ? 0 : PTE_PS);
}

static uint32_t *entry_of(uint32_t directory, uint32_t linear)
{
	uint32_t *pde = (uint32_t *)(g->ram + (directory << PAGE_SHIFT)) + (linear >> 22);

	if (!(*pde & PTE_P) || *pde >> PAGE_SHIFT >= FRAMES || random32() % 256 == 0)
		*pde = some_entry(32) | PTE_P;
	return *pde >> PAGE_SHIFT < FRAMES ? (uint32_t *)(g->ram + (*pde & PTE_FRAME)) + (linear >> 12 & 1023) : pde;
}

static void spoil_tables(void)
{
	for (unsigned i = random32() % 32; i; i--) {
		uint32_t directory = FIRST_DIRECTORY + random32() % DIRECTORIES;

		*entry_of(directory, some_page()) = random32() % 2 ? some_entry(FRAMES) : (random32() % 4 + 256) << PAGE_SHIFT | 0x67;
	}
}

static void spoil_memory(void)
{
	for (unsigned i = random32() % 4; i; i--) {
		uint32_t at = random32() % (SMALL_RAM - 64);

		cpu_dirty(g->cpu, at, 64);
		for (unsigned k = 0; k < 64; k++)
			g->ram[at + k] = (uint8_t)random32();
	}
}

static void flush_something(void)
{
	uint32_t pgd = (FIRST_DIRECTORY + random32() % DIRECTORIES) << PAGE_SHIFT;

	switch (random32() % 12) {
	case 0: case 1: case 2: case 3:
		cpu_flush_page(g->cpu, random32() % 4 ? pgd : random32(), some_page());
		break;
	case 4:
		cpu_flush_pgd_slot(g->cpu, pgd, some_page() >> 22);
		break;
	case 5:
		cpu_flush_user(g->cpu);
		break;
	case 6:
		cpu_flush_all(g->cpu);
		break;
	case 7: case 8:
		cpu_set_pgd(g->cpu, random32() % 32 ? pgd : random32());
		break;
	case 9:
		if (random32() % 64 == 0)
			cpu_set_kernel_base(g->cpu, random32() % 2 ? KERNEL_BASE : random32());
		break;
	default:
		break;
	}
}

static atomic_bool stop;

static void *kicker(void *opaque)
{
	while (!atomic_load(&stop)) {
		usleep(500);
		cpu_kick(g->cpu);
	}
	return NULL;
}

static void run_a_little(void)
{
	for (unsigned r = 0; r < 8; r++)
		cpu_gpr(g->cpu)[r] = random32() % 8 ? some_page() + random32() % 4096 : random32();
	cpu_set_eip(g->cpu, some_page() + random32() % 4096);
	cpu_set_eflags(g->cpu, 0);
	for (unsigned i = 0; i < 4 && cpu_run(g->cpu)->kind != EXIT_KICK; i++)
		cpu_set_eip(g->cpu, some_page() + random32() % 4096);
}

static void hostile_kernel(void **state)
{
	unsigned rounds = full ? 400000 : 20000;
	pthread_t thread;

	guest_handlers();
	for (uint32_t i = 0; i < SMALL_RAM; i++)
		g->ram[i] = i < (FIRST_DIRECTORY + DIRECTORIES) * 4096 ? 0 : (uint8_t)random32();
	cpu_set_pgd(g->cpu, FIRST_DIRECTORY << PAGE_SHIFT);
	cpu_flush_all(g->cpu);
	atomic_store(&stop, false);
	assert_int_equal(pthread_create(&thread, NULL, kicker, NULL), 0);
	for (unsigned i = 0; i < rounds; i++) {
		guest_mode(g, random32() % 2, random32() % 8 == 0);
		spoil_tables();
		spoil_memory();
		flush_something();
		run_a_little();
		if (i % 512)
			continue;
		cpu_fpu_release(g->cpu);
		check_windows(false);
		check_windows(true);
		cpu_fpu_acquire(g->cpu);
	}
	atomic_store(&stop, true);
	pthread_join(thread, NULL);
	cpu_fpu_release(g->cpu);
	print_message("           %llu maps, %llu unmaps, %llu host faults, %llu blocks\n", (unsigned long long)cpu_stats(g->cpu)->maps,
		      (unsigned long long)cpu_stats(g->cpu)->unmaps, (unsigned long long)cpu_stats(g->cpu)->host_faults,
		      (unsigned long long)cpu_stats(g->cpu)->blocks);
	assert_int_equal(g->refused, 0);
}

/* --- more mappings than the host allows --------------------------------------------------------------------------------------- */

enum { MANY = 272 << 20, MANY_PAGES = MANY / 4096, MANY_TABLES = MANY >> 22, MANY_FIRST = 1024 };

/* All of RAM at @linear, but for the page tables themselves, which nobody needs to see. */
static void map_much(uint32_t directory, uint32_t linear, bool user)
{
	uint32_t *pde = (uint32_t *)(g->ram + directory) + (linear >> 22);
	uint32_t flags = PTE_P | PTE_RW | PTE_A | PTE_D | (user ? PTE_US : 0);
	uint32_t first = MANY_FIRST + (user ? MANY_TABLES : 0);

	for (uint32_t t = 0; t < MANY_TABLES; t++) {
		pde[t] = (first + t) << PAGE_SHIFT | flags;
		for (uint32_t i = 0; i < 1024; i++)
			((uint32_t *)(g->ram + ((first + t) << PAGE_SHIFT)))[i] = (t << 10 | i) << PAGE_SHIFT | flags;
	}
}

/* Read one byte a megabyte, as the guest would: mov al, [esi]; int3 */
static void touch_much(uint32_t code, uint32_t linear, bool user)
{
	static const uint8_t load[] = { 0x8a, 0x06, 0xcc };

	memcpy(g->code, load, sizeof(load));
	guest_mode(g, user, false);
	for (uint32_t at = 0; at < MANY; at += user ? 64 << 10 : 1 << 20) {
		cpu_gpr(g->cpu)[R_ESI] = linear + at;
		cpu_set_eip(g->cpu, code);
		for (unsigned tries = 0; tries < 100 && cpu_run(g->cpu)->kind == EXIT_KICK; tries++)
			;
		assert_int_equal(cpu_eip(g->cpu), code + sizeof(load));
	}
}

/* Take every other page away: what was one mapping becomes as many as there are pages. */
static void make_holes(bool user)
{
	uint32_t *table = (uint32_t *)(g->ram + ((MANY_FIRST + (user ? MANY_TABLES : 0)) << PAGE_SHIFT));

	for (uint32_t i = 0; i < MANY_PAGES; i += 2)
		if (i << PAGE_SHIFT != (uint32_t)(g->code - g->ram))
			table[i] = 0;
}

static void more_mappings_than_the_host_allows(void **state)
{
	static const uint32_t linear[] = { 0xc0000000, 0x40000000 };
	uint32_t code = (uint32_t)(g->code - g->ram);

	guest_handlers();
	for (unsigned round = 0; round < 4; round++) {
		bool user = !(round & 1);

		cpu_flush_all(g->cpu);
		map_much(0x1000, linear[user], user);
		touch_much(linear[user] + code, linear[user], user);
		make_holes(user);
		cpu_flush_all(g->cpu);
		cpu_set_eip(g->cpu, linear[user] + code);
		cpu_gpr(g->cpu)[R_ESI] = linear[user] + code;
		assert_int_equal(cpu_run(g->cpu)->kind, EXIT_INT);
		cpu_fpu_release(g->cpu);
		check_windows(true);
		cpu_fpu_acquire(g->cpu);
	}
	cpu_fpu_release(g->cpu);
	print_message("           %u mappings in the process\n", mapping_count);
}

/* --------------------------------------------------------------------------------------------------------------------------------- */

static int setup(void **state)
{
	const char *other = getenv("ISOLATION_SEED");

	full = getenv("ISOLATION_FULL");
	if (other)
		seed = strtoull(other, NULL, 0) | 1;
	g = guest_create(SMALL_RAM, false);
	return 0;
}

static int setup_much(void **state)
{
	g = guest_create(MANY, false);
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
		cmocka_unit_test_setup_teardown(hostile_kernel, setup, teardown),
		cmocka_unit_test_setup_teardown(more_mappings_than_the_host_allows, setup_much, teardown),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests_name("windows of a hostile guest", tests, NULL, NULL);
}
