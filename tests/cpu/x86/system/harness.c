/* SPDX-License-Identifier: MIT */
/*
 * harness.c - runs the test kernel on our processor, with the few devices that it uses.
 *
 *	harness KERNEL [KERNEL_BASE]
 *
 * Port E9h prints. The interrupt controller has one line; the timer's one-shot raises it at once. Ends when the processor shuts
 * down, as the kernel does on purpose; any other end is a failure.
 */
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/x86/cpu.h"

enum { PAGES = 2048, DEBUG = 0xe9, PIC = 0x20, TIMER = 0x40 };

static struct board {
	struct cpu *cpu;
	bool pending, second;
	char out[1 << 16];
	unsigned len;
} board;

/* Called with the guest's vector registers live: nothing of libc in here. */
__attribute__((target("general-regs-only"))) static void io(void *opaque, uint32_t port, unsigned size, bool write, uint32_t *value)
{
	if (!write) {
		*value = port == PIC ? board.pending : 0xffffffff;
		return;
	}
	if (port == DEBUG && board.len < sizeof(board.out))
		board.out[board.len++] = (char)*value;
	if (port != TIMER)
		return;
	board.second = !board.second;	/* a count has two bytes */
	if (!board.second) {
		board.pending = true;
		cpu_set_irq_pending(board.cpu, true);
	}
}

__attribute__((target("general-regs-only"))) static bool msr(void *opaque, uint32_t index, bool write, uint64_t *value)
{
	return false;
}

__attribute__((target("general-regs-only"))) static int interrupt(void *opaque)
{
	cpu_set_irq_pending(board.cpu, false);
	board.pending = false;
	return 0x20;
}

static const struct cpu_ops ops = { .io = io, .msr = msr, .interrupt = interrupt };

static uint32_t load(const char *path, uint8_t *ram)
{
	static uint8_t file[1 << 20];
	const Elf32_Ehdr *header = (const Elf32_Ehdr *)file;
	FILE *f = fopen(path, "rb");
	size_t len = f ? fread(file, 1, sizeof(file), f) : 0;

	if (len < sizeof(*header) || memcmp(file, ELFMAG, SELFMAG)) {
		fprintf(stderr, "%s: %s\n", path, f ? "not an ELF file" : strerror(errno));
		exit(2);
	}
	fclose(f);
	for (unsigned i = 0; i < header->e_phnum; i++) {
		const Elf32_Phdr *p = (const Elf32_Phdr *)(file + header->e_phoff) + i;

		if (p->p_type == PT_LOAD)
			memcpy(ram + p->p_paddr, file + p->p_offset, p->p_filesz);
	}
	return header->e_entry;
}

/* As a multiboot loader leaves it. */
static void start(struct cpu *cpu, uint32_t eip)
{
	const struct segment code = { 0x08, 0, 0xffffffff, 0xc09b00 }, data = { 0x10, 0, 0xffffffff, 0xc09300 };

	for (unsigned s = 0; s < S_COUNT; s++)
		cpu_set_segment(cpu, s, s == S_CS ? &code : &data);
	cpu_set_eip(cpu, eip);
	cpu_set_eflags(cpu, 2);
	cpu_gpr(cpu)[R_ESP] = 0x7ff000;
	cpu_system_changed(cpu);
}

static const struct cpu_exit *run(struct cpu *cpu)
{
	const struct cpu_exit *exit;

	cpu_fpu_acquire(cpu);
	do
		exit = cpu_run(cpu);
	while (exit->kind == EXIT_KICK || (exit->kind == EXIT_HALT && board.pending));
	cpu_fpu_release(cpu);
	return exit;
}

int main(int argc, char **argv)
{
	int fd = memfd_create("ram", MFD_CLOEXEC);
	const struct cpu_exit *exit;
	struct cpu_config config = { .ram = { .fd = fd, .pages = PAGES }, .ops = &ops, .system = true };
	const char *error;

	if (argc < 2 || fd < 0 || ftruncate(fd, PAGES * 4096))
		return 2;
	config.ram.base = mmap(NULL, PAGES * 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	board.cpu = cpu_create(&config, &error);
	if (!board.cpu) {
		fprintf(stderr, "harness: %s\n", error);
		return 2;
	}
	cpu_set_kernel_base(board.cpu, argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 0) : 0xc0000000);
	start(board.cpu, load(argv[1], config.ram.base));
	exit = run(board.cpu);
	fwrite(board.out, 1, board.len, stdout);
	if (exit->kind == EXIT_SHUTDOWN && exit->vector == TRAP_BP)	/* its last words are an INT3 without an IDT */
		return 0;
	fprintf(stderr, "harness: ended with exit %u, vector %u (%#x, %#x) at %#x\n", exit->kind, exit->vector, exit->error, exit->address, exit->eip);
	return 1;
}
