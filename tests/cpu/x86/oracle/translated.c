/* SPDX-License-Identifier: MIT */
/*
 * translated.c - the smallest machine that can hold a case: RAM, two levels of page tables that show the areas of case.h at the
 * addresses where the native child has them, and descriptors like those of a Linux process.
 *
 * Exits are turned into what a native process would have seen: INT n is a general protection fault with the vector in its error
 * code there (the kernel's gates are not for users), and so is everything privileged.
 */
#include "tests/cpu/x86/oracle/translated.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/x86/cache/block.h"

static const struct area areas[AREAS] = AREA_TABLE;
static const struct user_segment tls[TLS_SEGMENTS] = TLS_TABLE, ldt[LDT_SEGMENTS] = LDT_TABLE;

/*
 * Descriptors, as Linux has them.
 */

static void make_descriptor(const struct user_segment *s, uint32_t *low, uint32_t *high)
{
	uint32_t type = 1 | (s->flags & SEG_READ_EXEC_ONLY ? 0 : 2) | (s->flags >> 1 & 3) << 2;

	*low = (s->base << 16) | (s->limit & 0xffff);
	*high = (s->base & 0xff000000) | (s->base >> 16 & 0xff) | (s->limit & 0xf0000) | type << 8 | 7 << 12;
	if (!(s->flags & SEG_NOT_PRESENT))
		*high |= 1 << 15;
	if (s->flags & SEG_USEABLE)
		*high |= 1 << 20;
	if (s->flags & SEG_32BIT)
		*high |= 1 << 22;
	if (s->flags & SEG_LIMIT_IN_PAGES)
		*high |= 1 << 23;
}

static bool descriptor(void *opaque, uint32_t selector, uint32_t *low, uint32_t *high)
{
	static const uint32_t gdt[16][2] = {
		[1] = { 0xffff, 0x00cf9b00 }, [2] = { 0xffff, 0x00af9b00 }, [3] = { 0xffff, 0x00cf9300 },
		[4] = { 0xffff, 0x00cffb00 }, [5] = { 0xffff, 0x00cff300 }, [6] = { 0xffff, 0x00affb00 },
		[15] = { 0, 0x0040f500 }, /* whose limit is the number of the cpu and the node */
	};
	const struct translated *t = opaque;
	uint32_t index = selector >> 3 & 0x1fff;

	if (selector & 4) {
		if (t->ldt_absent || index >= LDT_SEGMENTS + (t->qemu ? TLS_SEGMENTS : 0))
			return false;
		make_descriptor(index < LDT_SEGMENTS ? &ldt[index] : &tls[index - LDT_SEGMENTS], low, high);
	} else if (t->ring != 3 && (index == SEL_RING_CODE >> 3 || index == SEL_RING_DATA >> 3)) {
		*low = 0xffff;
		*high = (index == SEL_RING_CODE >> 3 ? 0x00cf9b00 : 0x00cf9300) | t->ring << 13;
	} else if (t->qemu && index >= QEMU_GDT_ENTRIES) {
		return false;
	} else if (index >= 12 && index < 12 + TLS_SEGMENTS) {
		make_descriptor(&tls[index - 12], low, high);
	} else {
		if (index >= 16)
			return false;
		*low = gdt[index][0];
		*high = gdt[index][1];
	}
	return true;
}

static bool interruptible(void *opaque)
{
	return false;
}

static void cpuid(void *opaque, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
}

static void broken(void *opaque, const char *what, uint32_t value)
{
	fprintf(stderr, "oracle: guest is said to have broken its contract: %s %#x\n", what, value);
}

static const struct cpu_ops ops = { .descriptor = descriptor, .interruptible = interruptible, .cpuid = cpuid, .broken = broken };

static uint32_t ring_selector(const struct translated *t, uint32_t selector)
{
	if (selector == SEL_CODE)
		return SEL_RING_CODE | t->ring;
	return selector == SEL_DATA ? SEL_RING_DATA | t->ring : selector;
}

static uint32_t plain_selector(const struct translated *t, uint32_t selector)
{
	if (selector == (SEL_RING_CODE | t->ring))
		return SEL_CODE;
	return selector == (SEL_RING_DATA | t->ring) ? SEL_DATA : selector;
}

static void load_segment(struct translated *t, unsigned s, uint32_t selector)
{
	struct segment seg = { .sel = selector };
	uint32_t low, high;

	if (t->ring != 3)
		seg.sel = selector = ring_selector(t, selector);
	if (t->selector[s] == selector)
		return;
	if ((selector & ~3u) && descriptor(t, selector, &low, &high)) {
		seg.base = (high & 0xff000000) | (high & 0xff) << 16 | low >> 16;
		seg.limit = (high & 0xf0000) | (low & 0xffff);
		if (high & 1 << 23)
			seg.limit = seg.limit << 12 | 0xfff;
		seg.attr = high & 0x00f0ff00;
	}
	cpu_set_segment(t->cpu, s, &seg);
	t->selector[s] = selector;
}

/*
 * Memory.
 */

uint32_t translated_physical(uint32_t address)
{
	uint32_t at = AREA_FRAMES;

	for (int i = 0; i < AREAS; i++) {
		if (address - areas[i].base < areas[i].pages * 4096)
			return at + address - areas[i].base;
		at += areas[i].pages * 4096;
	}
	return 0;
}

static uint32_t *word(struct translated *t, uint32_t physical)
{
	return (uint32_t *)(t->ram + physical);
}

void translated_map(struct translated *t, uint32_t address, uint32_t frame, uint32_t flags)
{
	uint32_t *directory = word(t, PGD + (address >> 22) * 4), table;

	if (!*directory) {
		/* the first free table: entry 0 of the directory's last word counts them */
		uint32_t *used = word(t, 0);

		*directory = (FIRST_TABLE + (*used)++ * 4096) | PTE_P | PTE_W | PTE_U | PTE_A;
	}
	table = *directory & ~0xfffu;
	*word(t, table + (address >> 12 & 0x3ff) * 4) = flags ? frame | flags : 0;
	cpu_flush_page(t->cpu, PGD, address);
}

static void map_areas(struct translated *t)
{
	for (int i = 0; i < AREAS; i++) {
		for (uint32_t page = 0; page < areas[i].pages; page++) {
			uint32_t address = areas[i].base + page * 4096, flags = PTE_ALL;

			if (areas[i].base == LOW_BASE && t->low_absent)
				continue;
			if (address == RO_PAGE)
				flags = PTE_P | PTE_U | PTE_A;
			translated_map(t, address, translated_physical(address), flags);
		}
	}
	for (uint32_t page = 0; page < CODE_PAGES; page++)
		translated_map(t, ALIAS_BASE + page * 4096, translated_physical(CODE_BASE) + page * 4096, PTE_ALL);
	translated_map(t, ALIAS_DATA, translated_physical(DATA_BASE), PTE_ALL);
}

/* Write to memory as a device would; code may be there. */
static void poke(struct translated *t, uint32_t physical, const void *bytes, uint32_t len)
{
	cpu_dirty(t->cpu, physical, len);
	memcpy(t->ram + physical, bytes, len);
}

/* As the child does: note the words that differ from the background and restore them. */
static void collect_memory(struct translated *t)
{
	const uint32_t *was = (const uint32_t *)t->control->background;
	uint32_t *now = word(t, AREA_FRAMES);
	uint32_t at = 0;

	for (int i = 0; i < AREAS; i++) {
		for (uint32_t n = 0; n < areas[i].pages * 1024; n++, at++) {
			if (now[at] == was[at])
				continue;
			if (t->control->diffs < MAX_DIFFS)
				t->control->diff[t->control->diffs++] = (struct diff){ areas[i].base + 4 * n, now[at] };
			poke(t, AREA_FRAMES + 4 * at, &was[at], 4);
		}
	}
}

void translated_restore(struct translated *t)
{
	t->control->diffs = 0;
	collect_memory(t);
}

static void apply_patches(struct translated *t, const struct test_case *test)
{
	for (uint32_t i = 0; i < test->patches; i++) {
		const struct patch *patch = &test->patch[i];
		uint32_t first = 4096 - patch->address % 4096;

		if (first > patch->len)
			first = patch->len;
		poke(t, translated_physical(patch->address), patch->bytes, first);
		if (patch->len > first)
			poke(t, translated_physical(patch->address + first), patch->bytes + first, patch->len - first);
	}
}

/*
 * Running.
 */

void translated_load(struct translated *t, const struct state *in)
{
	memcpy(cpu_gpr(t->cpu), in->gpr, sizeof(in->gpr));
	for (unsigned s = 0; s < 6; s++)
		load_segment(t, s, in->seg[s]);
	cpu_set_eip(t->cpu, in->eip);
	cpu_set_eflags(t->cpu, in->eflags);
}

/* No SSE between loading and saving: the registers are the guest's. */
__attribute__((target("general-regs-only"), noinline)) const struct cpu_exit *translated_enter(struct translated *t,
											       const struct state *in,
											       struct state *out)
{
	static const uint32_t mxcsr = 0x1f80;
	const struct cpu_exit *exit;

	cpu_fpu_acquire(t->cpu);
	__asm__ volatile("fxrstor %0" : : "m"(in->fx));
	do
		exit = cpu_run(t->cpu);
	while (exit->kind == EXIT_KICK && !t->expired);
	__asm__ volatile("fxsave %0\n\tfninit\n\tldmxcsr %1" : "=m"(out->fx) : "m"(mxcsr));
	cpu_fpu_release(t->cpu);
	return exit;
}

static uint8_t peek(struct translated *t, uint32_t address)
{
	uint32_t physical = translated_physical(address);

	return physical ? t->ram[physical] : 0;
}

/* The trap a native process would have seen. */
static void note_exit(struct translated *t, const struct cpu_exit *exit, struct result *result)
{
	result->out.eip = cpu_eip(t->cpu);
	result->error = result->address = 0;
	switch (exit->kind) {
	case EXIT_FAULT:
		result->trap = exit->vector;
		result->error = exit->error;
		result->address = exit->address;
		break;
	case EXIT_INT:
		result->trap = exit->vector;
		if (exit->vector == 3 || exit->vector == 4 || (exit->vector == 1 && peek(t, result->out.eip - 1) == 0xf1))
			break;
		result->trap = TRAP_GP;
		result->error = exit->vector * 8 + 2;
		result->out.eip = exit->eip;
		break;
	case EXIT_PRIVILEGED:
		result->trap = TRAP_GP;
		break;
	case EXIT_KICK:
		result->trap = TRAP_TIMEOUT;
		break;
	default:
		result->trap = TRAP_UNKNOWN_SIGNAL + exit->kind;
		break;
	}
}

void translated_expire(struct translated *t)
{
	t->expired = true;
	cpu_kick(t->cpu);
}

/* A block gives the same results however far below rsp ESP is when it begins: any depth will do, but the same for the same case. */
static unsigned depth_of(const struct state *in)
{
	uint32_t sum = in->eflags;

	for (unsigned r = 0; r < 8; r++)
		sum = sum * 31 + in->gpr[r];
	return sum >> 16 & (BLOCK_DEPTHS - 1);
}

void translated_run(struct translated *t, const struct test_case *test, uint32_t index)
{
	struct result *result = &t->control->result[index];
	const struct cpu_exit *exit;

	apply_patches(t, test);
	translated_load(t, &test->in);
	t->cpu->depth = depth_of(&test->in);
	t->expired = false;
	exit = translated_enter(t, &test->in, &result->out);
	note_exit(t, exit, result);
	memcpy(result->out.gpr, cpu_gpr(t->cpu), sizeof(result->out.gpr));
	result->out.eflags = cpu_eflags(t->cpu);
	for (unsigned s = 0; s < 6; s++)
		t->selector[s] = result->out.seg[s] = cpu_segment(t->cpu, s)->sel;
	for (unsigned s = 0; s < 6 && t->ring != 3; s++)
		result->out.seg[s] = plain_selector(t, result->out.seg[s]);
	if (t->ring != 3 && result->trap == TRAP_PF)
		result->error |= PF_USER;
	result->first_diff = t->control->diffs;
	collect_memory(t);
	result->diffs = t->control->diffs - result->first_diff;
}

int translated_start(struct translated *t, const struct control *native, size_t code_cache)
{
	struct cpu_config config = { .ops = &ops, .opaque = t, .code_cache = code_cache };
	const char *error = "";

	memset(t, 0, sizeof(*t));
	t->ring = 3;
	t->low_absent = native->low_absent;
	t->ldt_absent = native->ldt_absent;
	t->qemu = native->qemu;
	t->control = aligned_alloc(64, (sizeof(struct control) + 63) & ~63ul);
	t->fd = memfd_create("oracle-ram", MFD_CLOEXEC);
	if (!t->control || t->fd < 0 || ftruncate(t->fd, RAM_BYTES)) {
		perror("oracle: guest memory");
		return -1;
	}
	t->ram = mmap(NULL, RAM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, 0);
	if (t->ram == MAP_FAILED) {
		perror("oracle: guest memory");
		return -1;
	}
	memset(t->control, 0, sizeof(*t->control));
	memcpy(t->control->background, native->background, AREA_BYTES);
	memcpy(t->ram + AREA_FRAMES, native->background, AREA_BYTES);
	config.ram = (struct cpu_ram){ t->fd, t->ram, RAM_BYTES / 4096 };
	t->cpu = cpu_create(&config, &error);
	if (!t->cpu) {
		fprintf(stderr, "oracle: %s\n", error);
		return -1;
	}
	for (int s = 0; s < 6; s++)
		t->selector[s] = ~0u;
	cpu_set_kernel_base(t->cpu, 0xc0000000);
	map_areas(t);
	cpu_set_pgd(t->cpu, PGD);
	return 0;
}

void translated_stop(struct translated *t)
{
	cpu_destroy(t->cpu);
	munmap(t->ram, RAM_BYTES);
	close(t->fd);
	free(t->control);
}
