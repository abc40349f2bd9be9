/* SPDX-License-Identifier: MIT */
/*
 * task.c - hardware task switches (SDM vol. 3, chapter 8), with 32-bit task state segments.
 *
 * Linux has one use for them: its double-fault handler is a task, which runs whatever has become of the kernel's stack. The order
 * is the manual's: check the new TSS, save the old task, note who is busy, load the new task; from there on faults are the new
 * task's. Not looked at: the debug trap bit, and 16-bit segments. The LDT and the segments of the new task are checked for being
 * there and of the right kind, not for every rule of privilege.
 */
#include "cpu/x86/system/system.h"

#include "cpu/x86/system/segment.h"

/* 32-bit TSS, as far as a switch touches it. Selectors lie in the low half of their words. */
struct tss {
	uint32_t link, stack[6];
	uint32_t cr3, eip, eflags, gpr[8], selector[6], ldt, io_map;
};

enum { TSS_DYNAMIC = offsetof(struct tss, eip), TSS_DYNAMIC_LEN = offsetof(struct tss, ldt) - TSS_DYNAMIC };
enum { TYPE_LDT = 2, TYPE_TSS = 9, TYPE_BUSY = 2 };

static int refuse(struct cpu_fault *fault, uint32_t vector, uint32_t selector)
{
	*fault = (struct cpu_fault){ .vector = vector, .error = selector & 0xfffc };
	return (int)vector;
}

/* A descriptor of the GDT that is not code or data. */
static int fetch_system(struct cpu *cpu, uint32_t selector, unsigned type, struct segment *seg, uint32_t vector, struct cpu_fault *fault)
{
	uint32_t low, high;
	int result;

	if (selector & 4 || !(selector & 0xfffc))
		return refuse(fault, vector, selector);
	result = cpu_descriptor(cpu, selector, &low, &high, fault);
	if (result == DESCRIPTOR_OUTSIDE || (!result && (high >> 8 & 0x1f) != type))
		return refuse(fault, vector, selector);
	if (result)
		return result;
	if (!(high & ATTR_P))
		return refuse(fault, TRAP_NP, selector);
	segment_describe(seg, low, high);
	seg->sel = selector & 0xffff;
	return 0;
}

static int set_busy(struct cpu *cpu, uint32_t selector, bool busy, struct cpu_fault *fault)
{
	uint32_t at = cpu->system.gdt.base + (selector & 0xfff8) + 5;
	uint8_t type;
	int vector = cpu_read(cpu, at, &type, 1, false, fault);

	if (vector)
		return vector;
	type = busy ? type | TYPE_BUSY : type & (uint8_t)~TYPE_BUSY;
	return cpu_write(cpu, at, &type, 1, false, fault);
}

static int save(struct cpu *cpu, enum task_reason reason, struct cpu_fault *fault)
{
	struct tss tss;

	tss.eip = cpu->eip;
	tss.eflags = cpu_eflags(cpu);
	if (reason == TASK_RETURN)
		tss.eflags &= ~(uint32_t)FLAG_NT;
	for (unsigned i = 0; i < 8; i++)
		tss.gpr[i] = cpu->gpr[i];
	for (unsigned s = 0; s < S_COUNT; s++)
		tss.selector[s] = cpu->selector[s];
	return cpu_write(cpu, cpu->system.tr.base + TSS_DYNAMIC, (uint8_t *)&tss + TSS_DYNAMIC, TSS_DYNAMIC_LEN, false, fault);
}

static int load_segment(struct cpu *cpu, unsigned s, uint32_t selector, struct cpu_fault *fault)
{
	static const struct segment null;
	uint32_t low, high;
	bool code = s == S_CS;
	int result;

	if (!(selector & 0xfffc)) {
		cpu_set_segment(cpu, s, &null);
		return s == S_CS || s == S_SS ? refuse(fault, TRAP_TS, 0) : 0;
	}
	result = cpu_descriptor(cpu, selector, &low, &high, fault);
	if (result == DESCRIPTOR_OUTSIDE || (!result && (!(high & ATTR_S) || (code && !(high & ATTR_CODE)) ||
							  (s == S_SS && (high & (ATTR_CODE | ATTR_WRITABLE)) != ATTR_WRITABLE))))
		return refuse(fault, TRAP_TS, selector);
	if (result)
		return result;
	if (!(high & ATTR_P))
		return refuse(fault, s == S_SS ? TRAP_SS : TRAP_NP, selector);
	result = cpu_descriptor_used(cpu, selector, high, fault);
	if (!result)
		segment_load(cpu, s, selector, low, high);
	return result;
}

static int load_ldt(struct cpu *cpu, uint32_t selector, struct cpu_fault *fault)
{
	struct segment ldt = { .sel = selector & 0xffff };
	int vector = selector & 0xfffc ? fetch_system(cpu, selector, TYPE_LDT, &ldt, TRAP_TS, fault) : 0;

	if (vector)
		ldt = (struct segment){ 0 };
	system_set_ldt(cpu, &ldt);
	return vector;
}

static int load_segments(struct cpu *cpu, const struct tss *tss, struct cpu_fault *fault)
{
	static const uint8_t order[] = { S_CS, S_SS, S_DS, S_ES, S_FS, S_GS };
	static const struct segment null;
	int vector = load_ldt(cpu, tss->ldt, fault);

	for (unsigned i = 0; i < S_COUNT; i++) {
		if (!vector)
			vector = load_segment(cpu, order[i], tss->selector[order[i]] & 0xffff, fault);
		else if (order[i] != S_CS)
			cpu_set_segment(cpu, order[i], &null);
	}
	return vector;
}

static int load_registers(struct cpu *cpu, const struct tss *tss, bool nested, struct cpu_fault *fault)
{
	cpu->eip = tss->eip;
	for (unsigned i = 0; i < 8; i++)
		cpu->gpr[i] = tss->gpr[i];
	cpu_set_eflags(cpu, tss->eflags | (nested ? FLAG_NT : 0));
	cpu->system.cr0 |= CR0_TS;
	cpu_set_ts(cpu, true);
	return !(cpu->system.cr0 & CR0_PG) || system_set_cr(cpu, 3, tss->cr3) ? 0 : refuse(fault, TRAP_TS, cpu->system.tr.sel);
}

static int push_error(struct cpu *cpu, uint32_t error, struct cpu_fault *fault)
{
	const struct segment *ss = cpu_segment(cpu, S_SS);
	uint32_t mask = ss->attr & ATTR_BIG ? ~0u : 0xffff, esp = cpu->gpr[R_ESP];
	int vector = cpu_write(cpu, ss->base + ((esp - 4) & mask), &error, 4, cpu->user, fault);

	if (!vector)
		cpu->gpr[R_ESP] = (esp & ~mask) | ((esp - 4) & mask);
	return vector;
}

/* What the descriptors and the new TSS say of who called whom. */
static int mark(struct cpu *cpu, uint32_t selector, const struct segment *to, enum task_reason reason, struct cpu_fault *fault)
{
	uint16_t link = (uint16_t)cpu->system.tr.sel;
	int vector = reason == TASK_CALL ? 0 : set_busy(cpu, link, false, fault);

	if (!vector && reason != TASK_RETURN)
		vector = set_busy(cpu, selector, true, fault);
	if (!vector && reason == TASK_CALL)
		vector = cpu_write(cpu, to->base + TSS_LINK, &link, 2, false, fault);
	return vector;
}

int task_switch(struct cpu *cpu, uint32_t selector, enum task_reason reason, const uint32_t *error, struct cpu_fault *fault)
{
	uint32_t refusal = reason == TASK_RETURN ? TRAP_TS : TRAP_GP;
	unsigned type = TYPE_TSS | (reason == TASK_RETURN ? TYPE_BUSY : 0);
	struct segment to;
	struct tss tss;
	int vector = fetch_system(cpu, selector, type, &to, refusal, fault);

	if (vector)
		return vector;
	if (to.limit < TSS_MIN_LIMIT || cpu->system.tr.limit < TSS_MIN_LIMIT)
		return refuse(fault, TRAP_TS, selector);
	vector = cpu_read(cpu, to.base, &tss, sizeof(tss), false, fault);
	if (!vector)
		vector = save(cpu, reason, fault);
	if (!vector)
		vector = mark(cpu, selector, &to, reason, fault);
	if (vector)
		return vector;
	to.attr |= TYPE_BUSY << 8;
	cpu->system.tr = to;
	vector = load_registers(cpu, &tss, reason == TASK_CALL, fault);
	if (!vector)
		vector = load_segments(cpu, &tss, fault);
	return !vector && error ? push_error(cpu, *error, fault) : vector;
}

int task_return(struct cpu *cpu, struct cpu_fault *fault)
{
	uint16_t link;
	int vector = cpu_read(cpu, cpu->system.tr.base + TSS_LINK, &link, 2, false, fault);

	return vector ? vector : task_switch(cpu, link, TASK_RETURN, NULL, fault);
}
