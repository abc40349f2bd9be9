/* SPDX-License-Identifier: MIT */
#include "fake_cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/x86/emulate/emulate.h"

struct cpu *cpu_create(const struct cpu_config *config, const char **error)
{
	struct cpu *cpu = calloc(1, sizeof(*cpu));

	cpu->ram = config->ram;
	cpu->ops = config->ops;
	cpu->opaque = config->opaque;
	cpu->limit = config->ram.pages * 4096;
	return cpu;
}

const char *cpu_makes_do(const struct cpu *cpu)
{
	return NULL;
}

void cpu_destroy(struct cpu *cpu)
{
	free(cpu);
}

const struct cpu_exit *cpu_run(struct cpu *cpu)
{
	cpu->exit = (struct cpu_exit){.kind = EXIT_KICK, .eip = cpu->eip};
	cpu->stats.exits++;
	if (!atomic_exchange(&cpu->kicked, false) && cpu->step)
		cpu->step(cpu);
	return &cpu->exit;
}

void cpu_trim(struct cpu *cpu)
{
	cpu->trims++;
}

void cpu_kick(struct cpu *cpu)
{
	atomic_store(&cpu->kicked, true);
	cpu->stats.kicks++;
}

uint32_t *cpu_gpr(struct cpu *cpu)
{
	return cpu->gpr;
}

uint32_t cpu_eip(const struct cpu *cpu)
{
	return cpu->eip;
}

void cpu_set_eip(struct cpu *cpu, uint32_t eip)
{
	cpu->eip = eip;
}

uint32_t cpu_eflags(const struct cpu *cpu)
{
	return cpu->eflags;
}

void cpu_set_eflags(struct cpu *cpu, uint32_t eflags)
{
	cpu->eflags = eflags;
}

unsigned cpu_cpl(const struct cpu *cpu)
{
	return cpu->segment[S_CS].sel & 3;
}

const struct segment *cpu_segment(const struct cpu *cpu, unsigned s)
{
	return &cpu->segment[s];
}

void cpu_set_segment(struct cpu *cpu, unsigned s, const struct segment *seg)
{
	cpu->segment[s] = *seg;
}

void cpu_descriptor_changed(struct cpu *cpu, uint32_t selector)
{
	cpu->descriptors++;
	cpu->descriptor = selector;
}

void cpu_set_ts(struct cpu *cpu, bool ts)
{
	cpu->ts = ts;
}

void cpu_set_irq_pending(struct cpu *cpu, bool pending)
{
	cpu->irq_pending = pending;
}

struct cpu_system *cpu_system(struct cpu *cpu)
{
	return &cpu->system;
}

void cpu_system_changed(struct cpu *cpu)
{
	cpu->system_changes++;
}

void cpu_set_linear(struct cpu *cpu, uint32_t limit)
{
	cpu->linear = limit;
}

void cpu_set_pgd(struct cpu *cpu, uint32_t pgd)
{
	cpu->pgd = pgd;
	cpu->linear = 0;
}

void cpu_set_kernel_base(struct cpu *cpu, uint32_t base)
{
	cpu->kernel_base = base;
}

void cpu_flush_page(struct cpu *cpu, uint32_t pgd, uint32_t address)
{
	cpu->pages++;
	cpu->page_pgd = pgd;
	cpu->page_address = address;
}

void cpu_flush_pgd_slot(struct cpu *cpu, uint32_t pgd, uint32_t index)
{
	cpu->slots++;
	cpu->slot_pgd = pgd;
	cpu->slot_index = index;
}

void cpu_flush_user(struct cpu *cpu)
{
	cpu->users++;
}

void cpu_flush_all(struct cpu *cpu)
{
	cpu->alls++;
}

static int check(struct cpu *cpu, uint32_t address, uint32_t len, bool write, bool user, struct cpu_fault *fault)
{
	if (address < cpu->limit && len <= cpu->limit - address)
		return 0;
	*fault = (struct cpu_fault){TRAP_PF, (write ? PF_WRITE : 0) | (user ? PF_USER : 0), address};
	return TRAP_PF;
}

int cpu_read(struct cpu *cpu, uint32_t address, void *buf, uint32_t len, bool user, struct cpu_fault *fault)
{
	int vector = check(cpu, address, len, false, user, fault);

	if (!vector)
		memcpy(buf, cpu->ram.base + address, len);
	return vector;
}

int cpu_write(struct cpu *cpu, uint32_t address, const void *buf, uint32_t len, bool user, struct cpu_fault *fault)
{
	int vector = check(cpu, address, len, true, user, fault);

	if (!vector)
		memcpy(cpu->ram.base + address, buf, len);
	return vector;
}

void cpu_warm(struct cpu *cpu, uint32_t physical, uint32_t len)
{
}

void cpu_dirty(struct cpu *cpu, uint32_t physical, uint32_t len)
{
	cpu->dirties++;
	cpu->dirty_at = physical;
	cpu->dirty_len = len;
}

int cpu_push_frame(struct cpu *cpu, uint32_t cs, uint32_t eip, uint32_t ss, uint32_t esp, uint32_t eflags, const uint32_t *error,
		   struct cpu_fault *fault)
{
	uint32_t words[6], count = 0;
	bool inner = cpu_cpl(cpu) > (cs & 3);
	uint32_t top = inner ? esp : cpu->gpr[R_ESP];

	if (error)
		words[count++] = *error;
	words[count++] = cpu->eip;
	words[count++] = cpu->segment[S_CS].sel;
	words[count++] = eflags;
	if (inner) {
		words[count++] = cpu->gpr[R_ESP];
		words[count++] = cpu->segment[S_SS].sel;
	}
	if (cpu_write(cpu, top - 4 * count, words, 4 * count, false, fault))
		return fault->vector;
	cpu->gpr[R_ESP] = top - 4 * count;
	cpu->segment[S_CS].sel = cs;
	if (inner)
		cpu->segment[S_SS].sel = ss;
	cpu->eip = eip;
	cpu->eflags &= ~(uint32_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
	cpu->frames++;
	return 0;
}

void cpu_fpu_release(struct cpu *cpu)
{
	cpu->fpu_released = true;
}

void cpu_fpu_acquire(struct cpu *cpu)
{
	cpu->fpu_released = false;
}

void cpu_host_line(char *line, size_t size)
{
	snprintf(line, size, "no host");
}

const struct cpu_stats *cpu_stats(const struct cpu *cpu)
{
	return &cpu->stats;
}

uint32_t insn_address(struct cpu *cpu, const struct insn *insn)
{
	return (uint32_t)insn->disp;
}
