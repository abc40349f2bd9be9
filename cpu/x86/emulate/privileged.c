/* SPDX-License-Identifier: MIT */
/*
 * privileged.c - the instructions of a kernel, for a processor that has what they are about (system.h).
 *
 * That CPL is 0 has been seen to, where it must be.
 */
#include "cpu/x86/emulate/emulate-internal.h"
#include "cpu/x86/system/system.h"

static bool protection(struct emulation *e)
{
	return emulate_fault(e, TRAP_GP, 0);
}

/* --- control, debug and model-specific registers ----------------------------------------------------------------------- */

static bool mov_from_cr(struct emulation *e)
{
	const struct cpu_system *s = cpu_system(e->cpu);
	const uint32_t value[5] = { s->cr0, 0, s->cr2, s->cr3, s->cr4 };

	e->gpr[e->insn->rm] = value[e->insn->reg];
	return emulate_done(e);
}

static bool mov_to_cr(struct emulation *e)
{
	if (!system_set_cr(e->cpu, e->insn->reg, e->gpr[e->insn->rm]))
		return protection(e);
	return emulate_done(e);
}

/* LMSW sets PE but does not clear it. */
static bool lmsw(struct emulation *e)
{
	uint32_t cr0 = cpu_system(e->cpu)->cr0, value;

	if (!emulate_load_rm(e, 2, &value))
		return false;
	value = (cr0 & ~(uint32_t)(CR0_MP | CR0_EM | CR0_TS)) | (value & (CR0_MP | CR0_EM | CR0_TS));
	return system_set_cr(e->cpu, 0, value) ? emulate_done(e) : protection(e);
}

static bool clts(struct emulation *e)
{
	system_set_cr(e->cpu, 0, cpu_system(e->cpu)->cr0 & ~(uint32_t)CR0_TS);
	return emulate_done(e);
}

/* DR4 and DR5 are other names of DR6 and DR7, unless CR4.DE says that they are not. */
static bool debug_register(struct emulation *e, unsigned *number)
{
	*number = e->insn->reg;
	if (*number != 4 && *number != 5)
		return true;
	*number += 2;
	return !(cpu_system(e->cpu)->cr4 & CR4_DE) || emulate_fault(e, TRAP_UD, 0);
}

static bool mov_from_dr(struct emulation *e)
{
	unsigned number;

	if (!debug_register(e, &number))
		return false;
	e->gpr[e->insn->rm] = cpu_system(e->cpu)->dr[number];
	return emulate_done(e);
}

static bool mov_to_dr(struct emulation *e)
{
	uint32_t value = e->gpr[e->insn->rm];
	unsigned number;

	if (!debug_register(e, &number))
		return false;
	if (number == 6)
		value = DR6_ONES | (value & 0xe00f);
	else if (number == 7)
		value = DR7_ONES | (value & 0xffff2bff);
	cpu_system(e->cpu)->dr[number] = value;
	return emulate_done(e);
}

static bool msr(struct emulation *e, bool write)
{
	uint64_t value = e->gpr[R_EAX] | (uint64_t)e->gpr[R_EDX] << 32;

	if (!system_msr(e->cpu, e->gpr[R_ECX], write, &value))
		return protection(e);
	if (!write) {
		e->gpr[R_EAX] = (uint32_t)value;
		e->gpr[R_EDX] = (uint32_t)(value >> 32);
	}
	return emulate_done(e);
}

/* --- tables -------------------------------------------------------------------------------------------------------------- */

/* With a 16-bit operand the base has 24 bits. */
static bool load_table(struct emulation *e, bool idt)
{
	uint32_t limit, base;

	if (!emulate_load_pair(e, 2, &limit, 4, &base))
		return false;
	system_set_table(e->cpu, idt, e->insn->opsize == 2 ? base & 0xffffff : base, limit);
	return emulate_done(e);
}

static bool store_table(struct emulation *e, uint32_t base, uint32_t limit)
{
	uint8_t image[6] = { (uint8_t)limit, (uint8_t)(limit >> 8), (uint8_t)base, (uint8_t)(base >> 8), (uint8_t)(base >> 16),
			     (uint8_t)(base >> 24) };

	return emulate_write(e, e->insn->seg, emulate_offset(e, e->gpr[R_ESP]), image, sizeof(image)) && emulate_done(e);
}

/* To a register the word is zero-extended; to memory it is always 16 bits. */
static bool store_word(struct emulation *e, uint32_t value)
{
	return emulate_store_rm(e, e->insn->mem ? 2 : e->insn->opsize, value) && emulate_done(e);
}

enum { TYPE_LDT = 2, TYPE_TSS = 9, TYPE_BUSY = 2 };

/* A present descriptor of type @type in the GDT. */
static bool system_segment(struct emulation *e, uint32_t selector, unsigned type, struct segment *seg)
{
	uint32_t low, high;
	bool found;

	if (selector & 4)
		return emulate_fault(e, TRAP_GP, selector & 0xfffc);
	if (!emulate_descriptor(e, selector, &low, &high, &found))
		return false;
	if (!found || (high >> 8 & 0x1f) != type)
		return emulate_fault(e, TRAP_GP, selector & 0xfffc);
	if (!(high & ATTR_P))
		return emulate_fault(e, TRAP_NP, selector & 0xfffc);
	*seg = emulate_segment(selector, low, high);
	return true;
}

static bool lldt(struct emulation *e)
{
	struct segment ldt = { 0 };
	uint32_t selector;

	if (!emulate_load_rm(e, 2, &selector))
		return false;
	ldt.sel = selector;
	if (!selector_null(selector) && !system_segment(e, selector, TYPE_LDT, &ldt))
		return false;
	system_set_ldt(e->cpu, &ldt);
	return emulate_done(e);
}

static bool ltr(struct emulation *e)
{
	struct cpu_system *s = cpu_system(e->cpu);
	struct cpu_fault fault;
	struct segment tr;
	uint32_t selector;
	uint8_t type;

	if (!emulate_load_rm(e, 2, &selector))
		return false;
	if (selector_null(selector))
		return protection(e);
	if (!system_segment(e, selector, TYPE_TSS, &tr))
		return false;
	tr.attr |= TYPE_BUSY << 8;
	type = (uint8_t)(tr.attr >> 8);
	if (cpu_write(e->cpu, s->gdt.base + (selector & 0xfff8) + 5, &type, 1, false, &fault))
		return emulate_raise(e, &fault);
	s->tr = tr;
	return emulate_done(e);
}

/* 0F 00 */
static bool group6(struct emulation *e)
{
	const struct cpu_system *s = cpu_system(e->cpu);

	switch (e->insn->reg) {
	case 0:
		return store_word(e, s->ldt.sel);
	case 1:
		return store_word(e, s->tr.sel);
	case 2:
		return lldt(e);
	default:
		return ltr(e);
	}
}

/* 0F 01 */
static bool group7(struct emulation *e)
{
	const struct cpu_system *s = cpu_system(e->cpu);

	switch (e->insn->reg) {
	case 0:
		return store_table(e, s->gdt.base, s->gdt.limit);
	case 1:
		return store_table(e, s->idt.base, s->idt.limit);
	case 2:
		return load_table(e, false);
	case 3:
		return load_table(e, true);
	case 4:
		return store_word(e, s->cr0);
	case 6:
		return lmsw(e);
	default:	/* INVLPG: its operand is only an address */
		system_invlpg(e->cpu, insn_address(e->cpu, e->insn));
		return emulate_done(e);
	}
}

bool emulate_system(struct emulation *e)
{
	switch (e->insn->op) {
	case 0x00:
		return group6(e);
	case 0x01:
		return group7(e);
	case 0x06:
		return clts(e);
	case 0x08:	/* INVD, WBINVD: our memory is never out of date */
	case 0x09:
		return emulate_done(e);
	case 0x20:
		return mov_from_cr(e);
	case 0x21:
		return mov_from_dr(e);
	case 0x22:
		return mov_to_cr(e);
	case 0x23:
		return mov_to_dr(e);
	case 0x30:
		return msr(e, true);
	case 0x32:
		return msr(e, false);
	default:	/* RDPMC: there are no counters */
		return protection(e);
	}
}

/* --- SYSENTER and SYSEXIT ------------------------------------------------------------------------------------------------ */

/* Both segments are made up, whatever the descriptors say. */
static void flat_segments(struct emulation *e, uint32_t cs, unsigned cpl)
{
	struct segment s = { .sel = cs | cpl, .limit = 0xffffffff, .attr = ATTR_FLAT_CODE | cpl << ATTR_DPL_SHIFT };

	cpu_set_segment(e->cpu, S_CS, &s);
	s.sel = (cs + 8) | cpl;
	s.attr = ATTR_FLAT_DATA | cpl << ATTR_DPL_SHIFT;
	cpu_set_segment(e->cpu, S_SS, &s);
}

bool emulate_sysenter(struct emulation *e)
{
	const struct cpu_system *s = cpu_system(e->cpu);

	if (!s)
		return emulate_fault(e, TRAP_UD, 0);
	if (selector_null(s->sysenter_cs))
		return protection(e);
	emulate_change_flags(e, 0, FLAG_IF | FLAG_VM | FLAG_RF);
	flat_segments(e, s->sysenter_cs & 0xfffc, 0);
	e->gpr[R_ESP] = s->sysenter_esp;
	cpu_set_eip(e->cpu, s->sysenter_eip);
	return true;
}

bool emulate_sysexit(struct emulation *e)
{
	const struct cpu_system *s = cpu_system(e->cpu);

	if (!s)
		return emulate_fault(e, TRAP_UD, 0);
	if (e->cpl || selector_null(s->sysenter_cs))
		return protection(e);
	flat_segments(e, (s->sysenter_cs & 0xfffc) + 16, 3);
	e->gpr[R_ESP] = e->gpr[R_ECX];
	cpu_set_eip(e->cpu, e->gpr[R_EDX]);
	return true;
}
