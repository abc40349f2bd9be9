/* SPDX-License-Identifier: MIT */
/*
 * system.c - what asks who is running and where: flags under IOPL, CPUID, the clock, descriptor inquiries.
 */

#include "cpu/x86/emulate/emulate-internal.h"
#include "cpu/x86/system/hostid.h"
#include "cpu/x86/system/system.h"

/* Without privileged state of our own the machine decides what the instruction does; the fault it would otherwise be is written
 * down already. */
bool emulate_privileged(struct emulation *e)
{
	if (cpu_system(e->cpu))
		return e->cpl ? emulate_fault(e, TRAP_GP, 0) : emulate_system(e);
	emulate_exit(e, EXIT_PRIVILEGED);
	e->exit->vector = TRAP_GP;
	return false;
}

static bool change_if(struct emulation *e, uint32_t value)
{
	if (!emulate_io_allowed(e))
		return emulate_privileged(e);
	if (value && !(e->eflags & FLAG_IF))
		system_hold_interrupts(e->cpu);
	emulate_change_flags(e, value, FLAG_IF);
	return emulate_done(e);
}

bool emulate_cli(struct emulation *e)
{
	return change_if(e, 0);
}

bool emulate_sti(struct emulation *e)
{
	return change_if(e, FLAG_IF);
}

bool emulate_hlt(struct emulation *e)
{
	if (e->cpl)
		return emulate_privileged(e);
	cpu_set_eip(e->cpu, e->next);
	return emulate_exit(e, EXIT_HALT);
}

bool emulate_cpuid(struct emulation *e)
{
	uint32_t leaf = e->gpr[R_EAX], subleaf = e->gpr[R_ECX], regs[4];
	void *opaque;
	const struct cpu_ops *ops = cpu_ops(e->cpu, &opaque);

	hostid_cpuid(leaf, subleaf, regs);
	if (ops->cpuid)
		ops->cpuid(opaque, leaf, subleaf, regs);
	e->gpr[R_EAX] = regs[0];
	e->gpr[R_EBX] = regs[1];
	e->gpr[R_ECX] = regs[2];
	e->gpr[R_EDX] = regs[3];
	return emulate_done(e);
}

bool emulate_rdtsc(struct emulation *e)
{
	const struct cpu_system *system = cpu_system(e->cpu);
	uint64_t tsc = __builtin_ia32_rdtsc();

	if (system && system->cr4 & CR4_TSD && e->cpl)
		return emulate_fault(e, TRAP_GP, 0);
	e->gpr[R_EAX] = (uint32_t)tsc;
	e->gpr[R_EDX] = (uint32_t)(tsc >> 32);
	return emulate_done(e);
}

enum { LAR = 2, LSL = 3, VERR = 4, VERW = 5 };	/* 0F 02, 0F 03, 0F 00 /4, 0F 00 /5 */

/* System descriptors that answer (SDM vol. 2, LAR and LSL): a bit for each type. */
enum {
	LAR_TYPES = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 5 | 1 << 9 | 1 << 11 | 1 << 12,
	LSL_TYPES = 1 << 1 | 1 << 2 | 1 << 3 | 1 << 9 | 1 << 11,
};

static bool type_answers(uint32_t high, unsigned what)
{
	bool code = high & ATTR_CODE;

	if (what == VERR || what == VERW) {
		if (!(high & ATTR_S))
			return false;
		return what == VERR ? !code || high & ATTR_RW : !code && high & ATTR_RW;
	}
	if (high & ATTR_S)
		return true;
	return (what == LAR ? LAR_TYPES : LSL_TYPES) >> (high >> 8 & 0xf) & 1;
}

static bool visible(const struct emulation *e, uint32_t selector, uint32_t high)
{
	uint32_t conforming = ATTR_S | ATTR_CODE | ATTR_CONFORMING;

	if ((high & conforming) == conforming)
		return true;
	return attr_dpl(high) >= e->cpl && attr_dpl(high) >= (selector & 3);
}

/* ZF says whether the program could use the selector; LAR and LSL also give a part of the descriptor. Only the operand faults. */
static bool inquire(struct emulation *e, unsigned what)
{
	uint32_t selector, low, high;
	bool found = false;

	if (!emulate_load_rm(e, 2, &selector))
		return false;
	if (!selector_null(selector) && !emulate_descriptor(e, selector, &low, &high, &found))
		return false;
	found = found && type_answers(high, what) && visible(e, selector, high);
	if (found && what == LAR)
		emulate_set_reg(e, e->insn->reg, e->insn->opsize, high & 0x00ffff00);
	if (found && what == LSL)
		emulate_set_reg(e, e->insn->reg, e->insn->opsize, emulate_segment(selector, low, high).limit);
	emulate_change_flags(e, found ? FLAG_ZF : 0, FLAG_ZF);
	return emulate_done(e);
}

/* SGDT, SIDT, SLDT, STR and SMSW show registers that only the machine has, unless they are ours. */
bool emulate_system_read(struct emulation *e)
{
	const struct insn *in = e->insn;

	if (in->op == LAR || in->op == LSL)
		return inquire(e, in->op);
	if (in->op == 0 && (in->reg == VERR || in->reg == VERW))
		return inquire(e, in->reg);
	return cpu_system(e->cpu) ? emulate_system(e) : emulate_privileged(e);
}
