/* SPDX-License-Identifier: MIT */
/*
 * system.c - control registers, tables and model-specific registers, and what changes with them.
 */
#include "cpu/x86/system/system.h"

#include "cpu/x86/cache/block.h"
#include "cpu/x86/system/segment.h"

enum {
	CR0_KEPT = CR0_PE | CR0_MP | CR0_EM | CR0_TS | CR0_ET | CR0_NE | CR0_WP | CR0_AM | CR0_NW | CR0_CD,
	CR4_KEPT = CR4_TSD | CR4_DE | CR4_PSE | CR4_PAE | CR4_MCE | CR4_PGE | CR4_OSFXSR | CR4_OSXMMEXCPT,
};

enum {
	MSR_TSC = 0x10, MSR_SYSENTER_CS = 0x174, MSR_SYSENTER_ESP = 0x175, MSR_SYSENTER_EIP = 0x176,
};

#define MSR_EFER 0xc0000080u

struct cpu_system *cpu_system(struct cpu *cpu)
{
	return cpu->system_mode ? &cpu->system : NULL;
}

static bool apply_paging(struct cpu *cpu)
{
	const struct cpu_system *s = &cpu->system;
	struct cpu_paging paging = {
		.mode = !(s->cr0 & CR0_PG) ? PAGING_OFF : s->cr4 & CR4_PAE ? PAGING_PAE : PAGING_32,
		.root = s->cr3,
		.wp = s->cr0 & CR0_WP,
		.pse = s->cr4 & CR4_PSE,
		.pge = s->cr4 & CR4_PGE,
		.nx = s->efer & EFER_NX,
	};

	return cpu_set_paging(cpu, &paging);
}

/* A change that paging refuses has not happened. */
static bool change(struct cpu *cpu, uint32_t *reg, uint32_t value)
{
	uint32_t was = *reg;

	*reg = value;
	if (apply_paging(cpu))
		return true;
	*reg = was;
	return false;
}

static void apply_ts(struct cpu *cpu)
{
	cpu_set_ts(cpu, cpu->system.cr0 & (CR0_TS | CR0_EM));
}

void cpu_system_changed(struct cpu *cpu)
{
	apply_ts(cpu);
	apply_paging(cpu);
	segment_tables_changed(cpu);
}

/* Leaving protected mode is not offered: nothing here decodes 16-bit code. */
static bool set_cr0(struct cpu *cpu, uint32_t value)
{
	uint32_t was = cpu->system.cr0;

	if (!(value & CR0_PE) || (value & CR0_NW && !(value & CR0_CD)))
		return false;
	value = (value & (CR0_KEPT | CR0_PG)) | CR0_ET;
	if (!((value ^ was) & (CR0_PG | CR0_WP)))
		cpu->system.cr0 = value;
	else if (!change(cpu, &cpu->system.cr0, value))
		return false;
	apply_ts(cpu);
	return true;
}

static bool set_cr4(struct cpu *cpu, uint32_t value)
{
	uint32_t differs = cpu->system.cr4 ^ value;

	if (value & ~(uint32_t)CR4_KEPT)
		return false;
	if (!(differs & (CR4_PSE | CR4_PAE | CR4_PGE)))
		cpu->system.cr4 = value;
	else if (!change(cpu, &cpu->system.cr4, value))
		return false;
	if (differs & CR4_TSD)
		block_flush(cpu);	/* RDTSC is translated for what it was */
	return true;
}

bool system_set_cr(struct cpu *cpu, unsigned number, uint32_t value)
{
	switch (number) {
	case 0:
		return set_cr0(cpu, value);
	case 2:
		cpu->system.cr2 = value;
		return true;
	case 3:
		return change(cpu, &cpu->system.cr3, value);
	default:
		return set_cr4(cpu, value);
	}
}

void system_set_table(struct cpu *cpu, bool idt, uint32_t base, uint32_t limit)
{
	if (idt) {
		cpu->system.idt.base = base;
		cpu->system.idt.limit = limit;
		return;
	}
	cpu->system.gdt.base = base;
	cpu->system.gdt.limit = limit;
	segment_tables_changed(cpu);
}

void system_set_ldt(struct cpu *cpu, const struct segment *ldt)
{
	cpu->system.ldt = *ldt;
}

static bool set_efer(struct cpu *cpu, uint64_t value)
{
	if (value & ~(uint64_t)EFER_NX)
		return false;
	cpu->system.efer = value;
	return apply_paging(cpu);
}

/* One of the 32-bit registers that are nothing but a value. */
static uint32_t *plain_msr(struct cpu *cpu, uint32_t index)
{
	switch (index) {
	case MSR_SYSENTER_CS:
		return &cpu->system.sysenter_cs;
	case MSR_SYSENTER_ESP:
		return &cpu->system.sysenter_esp;
	case MSR_SYSENTER_EIP:
		return &cpu->system.sysenter_eip;
	default:
		return NULL;
	}
}

bool system_msr(struct cpu *cpu, uint32_t index, bool write, uint64_t *value)
{
	uint32_t *plain = plain_msr(cpu, index);

	if (plain && write)
		*plain = (uint32_t)*value;
	else if (plain)
		*value = *plain;
	else if (index == MSR_EFER && write)
		return set_efer(cpu, *value);
	else if (index == MSR_EFER)
		*value = cpu->system.efer;
	else if (index == MSR_TSC && !write)
		*value = __builtin_ia32_rdtsc();
	else if (index == MSR_TSC)
		return true;		/* the host's keeps running */
	else
		return cpu->ops->msr && cpu->ops->msr(cpu->opaque, index, write, value);
	return true;
}

void system_invlpg(struct cpu *cpu, uint32_t address)
{
	cpu_flush_page(cpu, cpu->system.cr3, address);
}

void system_hold_interrupts(struct cpu *cpu)
{
	cpu->shadow = true;
}

static int refuse_port(struct cpu_fault *fault)
{
	*fault = (struct cpu_fault){ .vector = TRAP_GP };
	return TRAP_GP;
}

/* SDM vol. 1, 19.5.2: two bytes are read always, and both must be inside the TSS. */
int system_port_allowed(struct cpu *cpu, uint32_t port, unsigned size, struct cpu_fault *fault)
{
	const struct segment *tr = &cpu->system.tr;
	uint16_t map, bits;
	int vector;

	if (!tr->attr || tr->limit < TSS_MIN_LIMIT)
		return refuse_port(fault);
	vector = cpu_read(cpu, tr->base + TSS_IO_MAP, &map, 2, false, fault);
	if (vector)
		return vector;
	if (map + port / 8 + 1 > tr->limit)
		return refuse_port(fault);
	vector = cpu_read(cpu, tr->base + map + port / 8, &bits, 2, false, fault);
	if (vector)
		return vector;
	return bits >> (port & 7) & ((1u << size) - 1) ? refuse_port(fault) : 0;
}
