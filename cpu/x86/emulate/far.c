/* SPDX-License-Identifier: MIT */
/*
 * far.c - jumps, calls and returns that load CS.
 *
 * What they may reach: code segments at the present privilege (JMP, CALL), and the present privilege or an outer one (RET, IRET).
 * Gates, task switches and virtual-8086 mode are not offered: #GP, as if the descriptor were of no use.
 *
 * The order of checks decides which of several possible faults a guest sees. It is that of the SDM's pseudo-code (vol. 2, JMP,
 * CALL, RET, IRET), except that a return to another ring reads all of its frame before it looks at CS, as AMD's manual has it
 * (vol. 3).
 */
#include "cpu/x86/emulate/emulate-internal.h"
#include "cpu/x86/system/system.h"

bool emulate_descriptor(struct emulation *e, uint32_t selector, uint32_t *low, uint32_t *high, bool *found)
{
	struct cpu_fault fault;
	int result = cpu_descriptor(e->cpu, selector, low, high, &fault);

	*found = !result;
	return result <= 0 || emulate_raise(e, &fault);
}

static uint32_t descriptor_limit(uint32_t low, uint32_t high)
{
	uint32_t limit = (low & 0xffff) | (high & 0xf0000);

	return high & ATTR_G ? limit << 12 | 0xfff : limit;
}

struct segment emulate_segment(uint32_t selector, uint32_t low, uint32_t high)
{
	struct segment s;

	s.sel = selector & 0xffff;
	s.base = low >> 16 | (high & 0xff) << 16 | (high & 0xff000000);
	s.limit = descriptor_limit(low, high);
	s.attr = high & ATTR_MASK;
	return s;
}

static bool selector_fault(struct emulation *e, uint32_t vector, uint32_t selector)
{
	return emulate_fault(e, vector, selector & 0xfffc);
}

/* Fetch what must be a descriptor. */
static bool fetch(struct emulation *e, uint32_t selector, uint32_t *low, uint32_t *high)
{
	bool found;

	if (selector_null(selector))
		return emulate_fault(e, TRAP_GP, 0);
	if (!emulate_descriptor(e, selector, low, high, &found))
		return false;
	return found || selector_fault(e, TRAP_GP, selector);
}

/* Fetch what must be a code segment. */
static bool fetch_code(struct emulation *e, uint32_t selector, struct segment *cs)
{
	uint32_t low, high;

	if (!fetch(e, selector, &low, &high))
		return false;
	if ((high & (ATTR_S | ATTR_CODE)) != (ATTR_S | ATTR_CODE))
		return selector_fault(e, TRAP_GP, selector);
	*cs = emulate_segment(selector, low, high);
	return true;
}

static bool present_and_within(struct emulation *e, const struct segment *cs, uint32_t eip)
{
	if (!(cs->attr & ATTR_P))
		return selector_fault(e, TRAP_NP, cs->sel);
	return eip <= cs->limit || emulate_fault(e, TRAP_GP, 0);
}

/* The target of a far JMP or CALL: the present privilege stays, whatever the selector's RPL. */
static bool jump_target(struct emulation *e, uint32_t selector, uint32_t eip, struct segment *cs)
{
	bool bad;

	if (!fetch_code(e, selector, cs))
		return false;
	if (cs->attr & ATTR_CONFORMING)
		bad = attr_dpl(cs->attr) > e->cpl;
	else
		bad = (selector & 3) > e->cpl || attr_dpl(cs->attr) != e->cpl;
	if (bad)
		return selector_fault(e, TRAP_GP, selector);
	if (!present_and_within(e, cs, eip))
		return false;
	cs->sel = (cs->sel & ~3u) | e->cpl;
	return true;
}

/* It is going to be loaded: its descriptor shows that. */
static bool use(struct emulation *e, struct segment *s)
{
	struct cpu_fault fault;

	return !cpu_descriptor_used(e->cpu, s->sel, s->attr, &fault) || emulate_raise(e, &fault);
}

static void go(struct emulation *e, const struct segment *cs, uint32_t eip)
{
	cpu_set_segment(e->cpu, S_CS, cs);
	cpu_set_eip(e->cpu, eip);
}

static bool jump_far(struct emulation *e, uint32_t selector, uint32_t eip)
{
	struct segment cs;

	if (!jump_target(e, selector, eip, &cs) || !use(e, &cs))
		return false;
	go(e, &cs, eip);
	return true;
}

static bool call_far(struct emulation *e, uint32_t selector, uint32_t eip)
{
	uint32_t frame[2] = { cpu_segment(e->cpu, S_CS)->sel & 0xffff, e->next }, esp;
	struct segment cs;

	if (!jump_target(e, selector, eip, &cs) || !use(e, &cs) || !emulate_push(e, frame, 2, e->insn->opsize, &esp))
		return false;
	e->gpr[R_ESP] = esp;
	go(e, &cs, eip);
	return true;
}

bool emulate_jmp_far(struct emulation *e)
{
	return jump_far(e, e->insn->imm2, e->insn->imm & size_mask(e->insn->opsize));
}

bool emulate_call_far(struct emulation *e)
{
	return call_far(e, e->insn->imm2, e->insn->imm & size_mask(e->insn->opsize));
}

bool emulate_jmp_far_ind(struct emulation *e)
{
	uint32_t selector, eip;

	return emulate_load_pair(e, e->insn->opsize, &eip, 2, &selector) && jump_far(e, selector, eip);
}

bool emulate_call_far_ind(struct emulation *e)
{
	uint32_t selector, eip;

	return emulate_load_pair(e, e->insn->opsize, &eip, 2, &selector) && call_far(e, selector, eip);
}

/* The code segment that a RET or IRET goes back to: its RPL is the privilege to return to. */
static bool return_target(struct emulation *e, uint32_t selector, struct segment *cs)
{
	unsigned rpl = selector & 3;
	bool bad;

	if (!fetch_code(e, selector, cs))
		return false;
	if (cs->attr & ATTR_CONFORMING)
		bad = attr_dpl(cs->attr) > rpl;
	else
		bad = attr_dpl(cs->attr) != rpl;
	if (bad || rpl < e->cpl)
		return selector_fault(e, TRAP_GP, selector);
	if (!(cs->attr & ATTR_P))
		return selector_fault(e, TRAP_NP, selector);
	return true;
}

static bool return_stack(struct emulation *e, uint32_t selector, unsigned rpl, struct segment *ss)
{
	uint32_t low, high;

	if (!fetch(e, selector, &low, &high))
		return false;
	if ((selector & 3) != rpl || (high & (ATTR_S | ATTR_CODE | ATTR_RW)) != (ATTR_S | ATTR_RW) || attr_dpl(high) != rpl)
		return selector_fault(e, TRAP_GP, selector);
	if (!(high & ATTR_P))
		return selector_fault(e, TRAP_SS, selector);
	*ss = emulate_segment(selector, low, high);
	return true;
}

/* A data segment that the outer ring could not have loaded must not stay in its registers. */
static void drop_inner_segments(struct emulation *e, unsigned cpl)
{
	static const struct segment null;

	for (unsigned s = S_ES; s < S_COUNT; s++) {
		uint32_t attr = cpu_segment(e->cpu, s)->attr;
		bool conforming = (attr & (ATTR_CODE | ATTR_CONFORMING)) == (ATTR_CODE | ATTR_CONFORMING);

		if (s != S_CS && s != S_SS && attr && !conforming && attr_dpl(attr) < cpl)
			cpu_set_segment(e->cpu, s, &null);
	}
}

/*
 * The common part of RET and IRET. @frame: EIP and CS as popped, @len: bytes from the top of the stack to where SS and ESP lie
 * when the return goes outwards; @release: parameters to drop from both stacks. A 16-bit stack segment takes only SP from the
 * frame: the high half of ESP stays what it was, on hardware too.
 */
static bool return_far(struct emulation *e, const uint32_t frame[2], uint32_t len, uint32_t release)
{
	unsigned rpl = frame[1] & 3, size = e->insn->opsize;
	uint32_t outer[2], mask;
	struct segment cs, ss;

	if (rpl != e->cpl && !emulate_peek(e, len + release, outer, 2, size))
		return false;
	if (!return_target(e, frame[1] & 0xffff, &cs))
		return false;
	if (rpl == e->cpl) {
		if (!present_and_within(e, &cs, frame[0]) || !use(e, &cs))
			return false;
		e->gpr[R_ESP] = emulate_esp_plus(e, len + release);
		go(e, &cs, frame[0]);
		return true;
	}
	if (!return_stack(e, outer[1] & 0xffff, rpl, &ss) || !present_and_within(e, &cs, frame[0]) || !use(e, &cs) || !use(e, &ss))
		return false;
	go(e, &cs, frame[0]);
	cpu_set_segment(e->cpu, S_SS, &ss);
	mask = emulate_stack_mask(e);
	e->gpr[R_ESP] = (e->gpr[R_ESP] & ~mask) | ((outer[0] + release) & mask);
	drop_inner_segments(e, rpl);
	return true;
}

bool emulate_ret_far(struct emulation *e)
{
	unsigned size = e->insn->opsize;
	uint32_t frame[2];

	return emulate_peek(e, 0, frame, 2, size) && return_far(e, frame, 2 * size, e->insn->imm & 0xffff);
}

/* Which flags IRET takes from its frame; CPL is that of the IRET itself. */
static uint32_t iret_flags(const struct emulation *e)
{
	uint32_t mask = FLAGS_STATUS | FLAG_TF | FLAG_DF | FLAG_NT;

	if (e->insn->opsize == 4)
		mask |= FLAG_RF | FLAG_AC | FLAG_ID;
	if (emulate_io_allowed(e))
		mask |= FLAG_IF;
	if (e->cpl == 0)
		mask |= FLAG_IOPL;
	return mask;
}

/* Without a TSS there is no other task: the link in it is 0. */
static bool return_to_task(struct emulation *e)
{
	struct cpu_fault fault;

	if (!cpu_system(e->cpu))
		return emulate_fault(e, TRAP_TS, 0);
	cpu_set_eip(e->cpu, e->next);
	if (!task_return(e->cpu, &fault))
		return true;
	if (cpu_eip(e->cpu) == e->next)
		cpu_set_eip(e->cpu, e->eip);
	return emulate_raise(e, &fault);
}

bool emulate_iret(struct emulation *e)
{
	unsigned size = e->insn->opsize;
	uint32_t frame[3];

	if (e->eflags & FLAG_NT)
		return return_to_task(e);
	if (!emulate_peek(e, 0, frame, 3, size))
		return false;
	if (size == 4 && frame[2] & FLAG_VM && e->cpl == 0)
		return emulate_fault(e, TRAP_GP, 0);
	if (!return_far(e, frame, 3 * size, 0))
		return false;
	emulate_change_flags(e, frame[2], iret_flags(e));
	return true;
}
