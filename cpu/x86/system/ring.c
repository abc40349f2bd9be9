/* SPDX-License-Identifier: MIT */
/*
 * ring.c - the hot ways between the rings: frames that machines push for interrupts, and the IRETs that take them away again.
 */
#include "cpu/x86/system/ring.h"

#include "cpu/x86/system/segment.h"
#include "cpu/x86/system/system.h"

/* What a gate names is loaded without checks: the machine has made them. */
static void load_unchecked(struct cpu *cpu, unsigned s, uint32_t selector)
{
	uint32_t low, high;

	if (cpu->ops->descriptor(cpu->opaque, selector, &low, &high))
		segment_load(cpu, s, selector, low, high);
}

int cpu_push_frame(struct cpu *cpu, uint32_t cs, uint32_t eip, uint32_t ss, uint32_t esp, uint32_t eflags, const uint32_t *error,
		   struct cpu_fault *fault)
{
	bool inner = cpu->cpl > (cs & 3);
	uint32_t words[6], count = 0;
	uint32_t top = inner ? esp : cpu->gpr[R_ESP];
	int vector;

	if (error)
		words[count++] = *error;
	words[count++] = cpu->eip;
	words[count++] = cpu->selector[S_CS];
	words[count++] = eflags;
	if (inner) {
		words[count++] = cpu->gpr[R_ESP];
		words[count++] = cpu->selector[S_SS];
	}
	vector = cpu_write(cpu, top - 4 * count, words, 4 * count, false, fault);
	if (vector)
		return vector;
	cpu->gpr[R_ESP] = top - 4 * count;
	if (cpu->selector[S_CS] != cs)
		load_unchecked(cpu, S_CS, cs);
	if (inner)
		load_unchecked(cpu, S_SS, ss);
	cpu->eip = eip;
	cpu->system_flags &= ~(uint32_t)(FLAG_TF | FLAG_NT | FLAG_RF | FLAG_VM);
	return 0;
}

/* The flags IRET may change at a CPL above IOPL; at others emulate() has the say. */
static void return_flags(struct cpu *cpu, uint32_t eflags)
{
	uint32_t changeable = FLAG_TF | FLAG_NT | FLAG_RF | FLAG_AC | FLAG_ID;

	cpu->flags = (eflags & FLAGS_ARITHMETIC) | FLAG_IF | 2;
	cpu->system_flags = (cpu->system_flags & ~changeable) | (eflags & changeable);
}

/* Is @high a descriptor that a return to ring @rpl may load, flat and of 32 bits? */
static bool suits(uint32_t low, uint32_t high, unsigned rpl, bool code)
{
	uint32_t kind = code ? ATTR_CODE : ATTR_WRITABLE;

	return (high & (ATTR_P | ATTR_S)) == (ATTR_P | ATTR_S) && (high & (ATTR_CODE | kind)) == kind &&
	       !(code && high & ATTR_CONFORMING) && attr_dpl(high) == rpl && (low & 0xffff) == 0xffff && !(low >> 16) &&
	       (high & 0xffcf00ff) == 0x00cf0000;
}

/* Data segments of the inner ring do not survive into the outer one. */
static void drop_inner_segments(struct cpu *cpu)
{
	static const uint8_t data[] = { S_ES, S_DS, S_FS, S_GS };
	const struct segment null = { 0 };

	for (unsigned i = 0; i < sizeof(data); i++) {
		uint32_t attr = cpu->descriptors[cpu->hidden[data[i]]].attr;

		if (attr && attr_dpl(attr) < cpu->cpl && (attr & (ATTR_CODE | ATTR_CONFORMING)) != (ATTR_CODE | ATTR_CONFORMING))
			cpu_set_segment(cpu, data[i], &null);
	}
}

static bool iret_outward(struct cpu *cpu, const uint32_t *frame, unsigned rpl)
{
	uint32_t low[2], high[2];
	uint32_t cs = frame[1] & 0xffff, ss = frame[4] & 0xffff;

	if ((ss & 3) != rpl || !cpu->ops->descriptor(cpu->opaque, cs, &low[0], &high[0]) ||
	    !cpu->ops->descriptor(cpu->opaque, ss, &low[1], &high[1]) || !suits(low[0], high[0], rpl, true) ||
	    !suits(low[1], high[1], rpl, false))
		return false;
	return_flags(cpu, frame[2]);
	segment_load(cpu, S_CS, cs, low[0], high[0]);
	segment_load(cpu, S_SS, ss, low[1], high[1]);
	cpu->eip = frame[0];
	cpu->gpr[R_ESP] = frame[3];
	drop_inner_segments(cpu);
	return true;
}

static bool guests_iret(struct cpu *cpu, const struct insn *insn)
{
	unsigned iopl = cpu->system_flags >> 12 & 3;
	uint32_t frame[5];
	struct cpu_fault fault;
	unsigned rpl;

	if (insn->opsize != 4 || cpu->segmented || cpu->system_flags & FLAG_NT || cpu->cpl <= iopl ||
	    cpu_read(cpu, cpu->gpr[R_ESP], frame, 12, cpu->user, &fault))
		return false;
	rpl = frame[1] & 3;
	if (rpl > cpu->cpl)
		return !cpu_read(cpu, cpu->gpr[R_ESP] + 12, frame + 3, 8, cpu->user, &fault) && iret_outward(cpu, frame, rpl);
	if ((frame[1] & 0xffff) != cpu->selector[S_CS])
		return false;
	return_flags(cpu, frame[2]);
	cpu->eip = frame[0];
	cpu->gpr[R_ESP] += 12;
	return true;
}

/* --- the same for a guest in ring 0 ------------------------------------------------------------------------------------- */

/* The descriptor as it is in the GDT, if it suits a return to ring @rpl and has been loaded before. */
static bool returnable(struct cpu *cpu, uint32_t selector, unsigned rpl, bool code, uint32_t words[2])
{
	struct cpu_fault fault;

	return !cpu_descriptor(cpu, selector, &words[0], &words[1], &fault) && words[1] & ATTR_ACCESSED &&
	       suits(words[0], words[1], rpl, code);
}

static bool kernels_iret(struct cpu *cpu, const struct insn *insn)
{
	uint32_t frame[5], cs[2], ss[2];
	struct cpu_fault fault;
	unsigned rpl;

	if (insn->opsize != 4 || cpu->cpl || cpu->segmented || cpu->system_flags & FLAG_NT ||
	    cpu_read(cpu, cpu->gpr[R_ESP], frame, 12, false, &fault) || frame[2] & (FLAG_VM | FLAG_TF))
		return false;
	rpl = frame[1] & 3;
	if (!rpl) {
		if ((frame[1] & 0xffff) != cpu->selector[S_CS])
			return false;
		cpu->gpr[R_ESP] += 12;
	} else {
		if (cpu_read(cpu, cpu->gpr[R_ESP] + 12, frame + 3, 8, false, &fault) || (frame[4] & 3) != rpl ||
		    !returnable(cpu, frame[1] & 0xffff, rpl, true, cs) || !returnable(cpu, frame[4] & 0xffff, rpl, false, ss))
			return false;
		segment_load(cpu, S_CS, frame[1] & 0xffff, cs[0], cs[1]);
		segment_load(cpu, S_SS, frame[4] & 0xffff, ss[0], ss[1]);
		cpu->gpr[R_ESP] = frame[3];
		drop_inner_segments(cpu);
	}
	cpu->eip = frame[0];
	cpu_set_eflags(cpu, frame[2]);
	return true;
}

bool ring_iret(struct cpu *cpu, const struct insn *insn)
{
	return cpu->system_mode ? kernels_iret(cpu, insn) : guests_iret(cpu, insn);
}
