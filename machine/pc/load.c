/* SPDX-License-Identifier: MIT */
/*
 * load.c - what a boot loader does: a kernel in memory, its parameters, registers as the 32-bit boot protocol wants them (Linux,
 * Documentation/x86/boot). There is no firmware; what it would have left behind is the memory map and the ACPI tables.
 *
 * A vmlinux is entered where its own unpacker would enter it, in the same state: it needs no relocation, since it lies where it was
 * linked to be.
 */
#include "machine/pc/pc.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "machine/boot/params.h"
#include "machine/pc/acpi_tables.h"

enum { CR0_PE = 1 << 0, CR0_ET = 1 << 4 };
enum { BOOT_CS = 0x10, BOOT_DS = 0x18 };

/* Where Linux keeps its own half, unless it was configured otherwise: a hint for the processor's windows. */
#define KERNEL_BASE 0xc0000000u

static bool has_parameter(const char *line, const char *name)
{
	size_t len = strlen(name);

	for (const char *word = line; *word; word += strcspn(word, " ")) {
		word += strspn(word, " ");
		if (!strncmp(word, name, len))
			return true;
	}
	return false;
}

/* A parameter, unless the user has said something about it. */
static const char *unless(const char *line, const char *name, const char *parameter)
{
	return has_parameter(line, name) ? "" : parameter;
}

char *pc_complete_command_line(const char *line)
{
	char *whole;

	/*
	 * In front: what follows a "--" is init's. Without the last, Linux looks for ISA Plug and Play cards for a third of a second, or
	 * (acpi.h) says at each boot, quiet or not, that it cannot. A kernel that does not know the name ignores it, as it has a dot.
	 */
	if (asprintf(&whole, "%s%s%s%s", unless(line, "console=", "console=ttyS0 "), unless(line, "panic=", "panic=-1 "),
		     unless(line, "pnp.isapnp_disable=", "pnp.isapnp_disable=1 "), line) < 0)
		return NULL;
	return whole;
}

static int load_memory(struct pc *m, struct error *error)
{
	uint32_t size = m->ram.pages * 4096;
	const struct memory_range map[] = {
		{0, LOW_RAM_END, MEMORY_RAM},
		{LOW_RAM_END, 0xa0000, MEMORY_RESERVED},
		{ACPI_TABLES_START, ACPI_TABLES_END, MEMORY_RESERVED},
		{HIGH_RAM, size, MEMORY_RAM},
	};
	const struct boot_params params = {
		.kernel = m->kernel, .initrd = m->initrd, .command_line = m->command_line, .subarch = SUBARCH_PC, .page = BOOT_PAGE,
		.map = map, .map_count = sizeof(map) / sizeof(map[0]),
	};
	int err = kernel_load(m->kernel, m->ram.base, size, error);

	if (!err)
		err = boot_params_write(&params, m->ram.base, size, error);
	return err ? err : pc_bus_describe(m, error);
}

static void set_registers(struct pc *m)
{
	static const struct segment code = {.sel = BOOT_CS, .limit = 0xffffffff, .attr = 0x00c09b00};
	static const struct segment data = {.sel = BOOT_DS, .limit = 0xffffffff, .attr = 0x00c09300};
	struct cpu_system *system = cpu_system(m->cpu);

	memset(system, 0, sizeof(*system));
	system->cr0 = CR0_PE | CR0_ET;
	system->dr[6] = 0xffff0ff0;
	system->dr[7] = 0x400;
	cpu_system_changed(m->cpu);
	cpu_set_kernel_base(m->cpu, KERNEL_BASE);
	cpu_set_segment(m->cpu, S_CS, &code);
	for (unsigned int s = 0; s < S_COUNT; s++)
		if (s != S_CS)
			cpu_set_segment(m->cpu, s, &data);
	memset(cpu_gpr(m->cpu), 0, 8 * sizeof(uint32_t));
	cpu_gpr(m->cpu)[R_ESI] = BOOT_PAGE;
	cpu_gpr(m->cpu)[R_ESP] = BOOT_PAGE;
	cpu_set_eip(m->cpu, m->kernel->place.entry);
	cpu_set_eflags(m->cpu, 2);
	cpu_set_irq_pending(m->cpu, false);
}

int pc_load(struct pc *m, struct error *error)
{
	int err = load_memory(m, error);

	if (err)
		return err;
	set_registers(m);
	m->machine.last_words.text[0] = 0;
	m->irq = m->halted = m->ended = false;
	m->spec_ctrl = 0;
	return 0;
}
