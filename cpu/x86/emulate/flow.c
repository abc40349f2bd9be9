/* SPDX-License-Identifier: MIT */
/*
 * flow.c - near jumps, calls and returns, and software interrupts. A 16-bit operand size cuts the new EIP to 16 bits.
 */
#include "cpu/x86/emulate/emulate-internal.h"

bool emulate_target_ok(struct emulation *e, uint32_t eip)
{
	return eip <= cpu_segment(e->cpu, S_CS)->limit || emulate_fault(e, TRAP_GP, 0);
}

bool emulate_jump(struct emulation *e, uint32_t eip)
{
	if (!emulate_target_ok(e, eip))
		return false;
	cpu_set_eip(e->cpu, eip);
	return true;
}

static uint32_t cut(const struct emulation *e, uint32_t eip)
{
	return eip & size_mask(e->insn->opsize);
}

/* The condition that the low four bits of Jcc, SETcc and CMOVcc name; bit 0 negates. */
static bool condition(uint32_t flags, unsigned code)
{
	bool less = !(flags & FLAG_SF) != !(flags & FLAG_OF), holds;

	switch (code >> 1 & 7) {
	case 0:
		holds = flags & FLAG_OF;
		break;
	case 1:
		holds = flags & FLAG_CF;
		break;
	case 2:
		holds = flags & FLAG_ZF;
		break;
	case 3:
		holds = flags & (FLAG_CF | FLAG_ZF);
		break;
	case 4:
		holds = flags & FLAG_SF;
		break;
	case 5:
		holds = flags & FLAG_PF;
		break;
	case 6:
		holds = less;
		break;
	default:
		holds = less || flags & FLAG_ZF;
		break;
	}
	return holds != (code & 1);
}

bool emulate_jmp(struct emulation *e)
{
	return emulate_jump(e, cut(e, e->next + e->insn->imm));
}

bool emulate_jcc(struct emulation *e)
{
	return condition(e->eflags, e->insn->op & 0xf) ? emulate_jmp(e) : emulate_done(e);
}

/* LOOPNE, LOOPE, LOOP, JCXZ. The address size chooses between ECX and CX. */
bool emulate_loop(struct emulation *e)
{
	unsigned size = e->insn->adsize, kind = e->insn->op & 3;
	uint32_t count = emulate_reg(e, R_ECX, size) - (kind != 3);
	bool zero = !(count & size_mask(size)), taken;

	if (kind == 3)
		taken = zero;
	else if (kind == 2)
		taken = !zero;
	else
		taken = !zero && kind == !!(e->eflags & FLAG_ZF);
	if (taken ? !emulate_jmp(e) : !emulate_done(e))
		return false;
	emulate_set_reg(e, R_ECX, size, count);
	return true;
}

static bool call(struct emulation *e, uint32_t target)
{
	uint32_t esp;

	if (!emulate_target_ok(e, target) || !emulate_push(e, &e->next, 1, e->insn->opsize, &esp))
		return false;
	e->gpr[R_ESP] = esp;
	return emulate_jump(e, target);
}

bool emulate_call(struct emulation *e)
{
	return call(e, cut(e, e->next + e->insn->imm));
}

bool emulate_jmp_ind(struct emulation *e)
{
	uint32_t target;

	return emulate_load_rm(e, e->insn->opsize, &target) && emulate_jump(e, target);
}

bool emulate_call_ind(struct emulation *e)
{
	uint32_t target;

	return emulate_load_rm(e, e->insn->opsize, &target) && call(e, target);
}

bool emulate_ret(struct emulation *e)
{
	uint32_t target;

	if (!emulate_peek(e, 0, &target, 1, e->insn->opsize) || !emulate_jump(e, target))
		return false;
	e->gpr[R_ESP] = emulate_esp_plus(e, e->insn->opsize + (e->insn->imm & 0xffff));
	return true;
}

static bool interrupt(struct emulation *e, uint32_t vector)
{
	emulate_exit(e, EXIT_INT);
	e->exit->vector = vector;
	cpu_set_eip(e->cpu, e->next);
	return false;
}

bool emulate_int(struct emulation *e)
{
	return interrupt(e, e->insn->imm & 0xff);
}

bool emulate_int3(struct emulation *e)
{
	return interrupt(e, TRAP_BP);
}

bool emulate_into(struct emulation *e)
{
	return e->eflags & FLAG_OF ? interrupt(e, TRAP_OF) : emulate_done(e);
}

/* A trap, not a software interrupt: no gate's DPL is looked at. */
bool emulate_icebp(struct emulation *e)
{
	cpu_set_eip(e->cpu, e->next);
	return emulate_fault(e, TRAP_DB, 0);
}
