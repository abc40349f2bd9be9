/* SPDX-License-Identifier: MIT */
/* guest.c - see guest.h. Reaches into the processor: it translates without running. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "checker.h"
#include "guest.h"

#include "cpu/x86/cache/block.h"
#include "cpu/x86/space/mmu.h"
#include "cpu/x86/space/reach.h"
#include "cpu/x86/space/slot.h"
#include "cpu/x86/space/soft.h"
#include "cpu/x86/translate/translate.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

/* Callbacks of the processor run with the guest's vector registers live. */
#define GENERAL_REGISTERS_ONLY __attribute__((target("general-regs-only")))

enum { PGD = 0x1000, TABLES = 0x2000, CODE_FRAMES = 0x100000, DATA_FRAMES = 0x200000, PTE_USER_RW = 0x67 };

/* Flat: base 0, limit 4 GiB. Narrow: base 0x10001000, limit 64 KiB. */
static const uint32_t descriptors[8][2] = {
	[KERNEL_CS / 8] = { 0x0000ffff, 0x00cf9b00 }, [KERNEL_DS / 8] = { 0x0000ffff, 0x00cf9300 },
	[USER_CS / 8] = { 0x0000ffff, 0x00cffb00 },   [USER_DS / 8] = { 0x0000ffff, 0x00cff300 },
	[NARROW_DS / 8] = { 0x1000ffff, 0x1040f300 }, [KERNEL_TLS / 8] = { 0x0000ffff, 0xc0409320 },
	[USER_TLS / 8] = { 0x2000ffff, 0x1040f300 },
};

GENERAL_REGISTERS_ONLY static bool descriptor(void *opaque, uint32_t selector, uint32_t *low, uint32_t *high)
{
	selector &= 0xffff;
	if (selector & 4 || selector / 8 >= 8 || !descriptors[selector / 8][1])
		return false;
	*low = descriptors[selector / 8][0];
	*high = descriptors[selector / 8][1];
	return true;
}

GENERAL_REGISTERS_ONLY static bool interruptible(void *opaque)
{
	return false;
}

GENERAL_REGISTERS_ONLY static void cpuid(void *opaque, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
}

GENERAL_REGISTERS_ONLY static void broken(void *opaque, const char *what, uint32_t value)
{
}

GENERAL_REGISTERS_ONLY static void io(void *opaque, uint32_t port, unsigned size, bool write, uint32_t *value)
{
}

GENERAL_REGISTERS_ONLY static bool msr(void *opaque, uint32_t index, bool write, uint64_t *value)
{
	return false;
}

GENERAL_REGISTERS_ONLY static int interrupt(void *opaque)
{
	return -1;
}

static const struct cpu_ops ops = { .descriptor = descriptor, .interruptible = interruptible, .cpuid = cpuid, .broken = broken,
				    .io = io, .msr = msr, .interrupt = interrupt };

static void report(const struct guest *g, const char *why, uint32_t eip)
{
	const uint8_t *source = g->code + (eip & (GUEST_CODE_SIZE - 1));
	uint32_t left = GUEST_CODE_SIZE - (eip & (GUEST_CODE_SIZE - 1));

	if (g->refused > 20)
		return;
	print_error("%s\n  guest code at %08x:", why, eip);
	for (uint32_t i = 0; i < 32 && i < left; i++)
		print_error(" %02x", source[i]);
	print_error("\n");
}

static void judge(struct guest *g, const uint8_t *code, uint32_t len, uint32_t address, uint32_t eip)
{
	char why[512];

	g->blocks++;
	if (isolation_check(g->cpu->reach->by_register, code, len, address, why, sizeof(why)))
		return;
	g->refused++;
	report(g, why, eip);
}

/* The guest's vector registers are live: put them away while the library decodes. */
GENERAL_REGISTERS_ONLY static void inspect(void *opaque, const uint8_t *code, uint32_t len, uint32_t address, uint32_t eip)
{
	static uint8_t vectors[512] __attribute__((aligned(64)));
	static const uint32_t mxcsr = 0x1f80;

	__asm__ volatile("fxsave64 %0; fninit; ldmxcsr %1" : "=m"(vectors) : "m"(mxcsr));
	judge(opaque, code, len, address, eip);
	__asm__ volatile("fxrstor64 %0" : : "m"(vectors));
}

static uint32_t *table_for(struct guest *g, uint32_t linear)
{
	uint32_t *pde = (uint32_t *)(g->ram + PGD) + (linear >> 22);

	if (!*pde)
		*pde = (TABLES + 4096 * g->tables++) | PTE_USER_RW;
	return (uint32_t *)(g->ram + (*pde & ~4095u));
}

static void map(struct guest *g, uint32_t linear, uint32_t physical, uint32_t size)
{
	for (uint32_t at = 0; at < size; at += 4096)
		table_for(g, linear + at)[(linear + at) >> 12 & 1023] = (physical + at) | PTE_USER_RW;
}

static void map_all(struct guest *g)
{
	map(g, USER_CODE, CODE_FRAMES, GUEST_CODE_SIZE);
	map(g, KERNEL_CODE, CODE_FRAMES, GUEST_CODE_SIZE);
	map(g, USER_DATA, DATA_FRAMES, GUEST_DATA_SIZE);
	map(g, KERNEL_DATA, DATA_FRAMES, GUEST_DATA_SIZE);
}

/* The processor installs its handlers once in a process. */
static const int fault_signals[] = { SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP };
static struct sigaction handlers[COUNT(fault_signals)];

static void keep_handlers(void)
{
	for (unsigned i = 0; i < COUNT(fault_signals) && !handlers[i].sa_sigaction; i++)
		sigaction(fault_signals[i], NULL, &handlers[i]);
}

void guest_handlers(void)
{
	for (unsigned i = 0; i < COUNT(fault_signals); i++)
		sigaction(fault_signals[i], &handlers[i], NULL);
}

/* The tables that the machine's calls stand for otherwise: descriptors in guest memory, and no gates. */
static void reset_system(struct guest *g)
{
	struct cpu_system *s = cpu_system(g->cpu);

	for (unsigned i = 0; i < COUNT(descriptors); i++)
		for (unsigned k = 0; k < 2; k++)
			((uint32_t *)(g->ram + DATA_FRAMES))[2 * i + k] = descriptors[i][k];
	s->cr0 = 0x80010033;
	s->cr3 = PGD;
	s->cr4 = 0;
	s->gdt.base = KERNEL_DATA;
	s->gdt.limit = sizeof(descriptors) - 1;
	s->idt.limit = 0;
	s->sysenter_cs = KERNEL_CS;
	s->sysenter_eip = KERNEL_CODE;
	s->sysenter_esp = KERNEL_DATA + GUEST_DATA_SIZE / 2;
	cpu_system_changed(g->cpu);
}

struct guest *guest_create(uint32_t size, bool system)
{
	struct guest *g = calloc(1, sizeof(*g));
	struct cpu_config config = { .ops = &ops, .opaque = g, .inspect = inspect, .slots = 2, .system = system };
	const char *error = "";
	static unsigned made;

	g->size = size;
	g->fd = memfd_create("guest", MFD_CLOEXEC);
	assert_int_equal(ftruncate(g->fd, size), 0);
	g->ram = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, g->fd, 0);
	assert_ptr_not_equal(g->ram, MAP_FAILED);
	g->code = g->ram + CODE_FRAMES;
	map_all(g);
	config.ram = (struct cpu_ram){ .fd = g->fd, .base = g->ram, .pages = size / 4096 };
	g->cpu = cpu_create(&config, &error);
	if (!g->cpu)
		fail_msg("%s", error);
	g->cpu->quick_loop = made++ % 2;	/* whatever this host's is */
	keep_handlers();
	cpu_set_kernel_base(g->cpu, KERNEL_BASE);
	if (system) {
		reset_system(g);
		return g;
	}
	cpu_set_linear(g->cpu, size);
	cpu_set_pgd(g->cpu, PGD);
	return g;
}

void guest_destroy(struct guest *g)
{
	cpu_destroy(g->cpu);
	munmap(g->ram, g->size);
	close(g->fd);
	free(g);
}

static void load(struct guest *g, unsigned s, uint32_t selector)
{
	uint32_t low = descriptors[selector / 8][0], high = descriptors[selector / 8][1];
	struct segment seg = { .sel = selector, .attr = high & 0x00f0ff00 };

	seg.base = low >> 16 | (high & 0xff) << 16 | (high & 0xff000000);
	seg.limit = (low & 0xffff) | (high & 0xf0000);
	if (high & 1 << 23)
		seg.limit = seg.limit << 12 | 0xfff;
	cpu_set_segment(g->cpu, s, &seg);
}

void guest_mode(struct guest *g, bool user, bool segmented)
{
	uint32_t data = user ? USER_DS : KERNEL_DS;

	if (cpu_system(g->cpu))
		reset_system(g);
	load(g, S_CS, user ? USER_CS : KERNEL_CS);
	load(g, S_SS, data);
	load(g, S_DS, segmented ? NARROW_DS : data);
	load(g, S_ES, segmented ? NARROW_DS : data);
	load(g, S_FS, user ? USER_TLS : KERNEL_TLS);
	load(g, S_GS, user ? USER_TLS : KERNEL_TLS);
}

uint32_t guest_translate(struct guest *g, uint32_t eip, bool apart)
{
	struct cpu_fault fault;
	struct block *block;
	uint32_t physical;
	unsigned depth = apart ? 0 : g->depth++ % BLOCK_DEPTHS;

	cpu_set_eip(g->cpu, eip);
	if (mmu_fetch(g->cpu, eip, &physical, NULL, &fault))
		return 0;
	block = translate(g->cpu, physical, depth, apart ? TRANSLATE_APART : 0, &fault);
	return block ? block->guest_len : 0;
}

void guest_forget(struct guest *g)
{
	for (uint32_t i = 0; i < GUEST_CODE_PAGES; i++)
		block_drop_frame(g->cpu, (CODE_FRAMES >> PAGE_SHIFT) + i);
}

void guest_mix(struct guest *g, bool mixed)
{
	guest_forget(g);
	for (uint32_t i = 0; i < GUEST_CODE_PAGES; i++)
		g->cpu->frames[(CODE_FRAMES >> PAGE_SHIFT) + i].mixed = mixed;
}

void guest_check_accesses(struct guest *g, bool checked)
{
	guest_forget(g);
	for (uint32_t i = 0; i < GUEST_CODE_PAGES; i++)
		g->cpu->frames[(CODE_FRAMES >> PAGE_SHIFT) + i].soft = checked;
}

void guest_cool(struct guest *g, bool cold)
{
	guest_forget(g);
	g->cpu->slot->cold = g->cpu->cold = cold;
}

void guest_note_faults(struct guest *g)
{
	for (uint32_t i = CODE_FRAMES; i < CODE_FRAMES + GUEST_CODE_SIZE; i++)
		for (unsigned k = 0; k < 16 && !soft_is_checked(g->cpu, i); k++)
			soft_note_fault(g->cpu, i);
}

void guest_wrap(struct guest *g, bool exact)
{
	guest_forget(g);
	for (uint32_t i = 0; i < GUEST_CODE_PAGES; i++)
		g->cpu->frames[(CODE_FRAMES >> PAGE_SHIFT) + i].exact = exact;
}
