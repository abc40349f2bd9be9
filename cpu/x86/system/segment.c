/* SPDX-License-Identifier: MIT */
/*
 * segment.c - segment registers, and the descriptors they were loaded with.
 *
 * A segment register's hidden part lives in a small cache of descriptors; hidden[] names the entry. Translated code may load DS,
 * ES, FS and GS by itself with selectors that have lately been loaded by C (translate/segment.c); what it may load depends on
 * CPL, so the entries are rewritten when CPL changes: there are about five of them.
 */
#include "cpu/x86/system/segment.h"

#include "cpu/x86/space/soft.h"
#include "cpu/x86/system/system.h"

enum { NULL_DESCRIPTOR = 1, TABLE_DATA = 0, TABLE_ANY = 1 };

static bool is_flat(const struct segment *seg)
{
	return seg->attr && !seg->base && seg->limit == 0xffffffffu;
}

/* Code of 16 bits, or a stack whose pointer is SP, is as little what plain blocks are for as a segment with a base. */
static bool needs_big(unsigned s)
{
	return s == S_CS || s == S_SS;
}

void segment_describe(struct segment *seg, uint32_t low, uint32_t high)
{
	seg->base = low >> 16 | (high & 0xff) << 16 | (high & 0xff000000u);
	seg->limit = (low & 0xffff) | (high & 0xf0000);
	if (high & ATTR_G)
		seg->limit = seg->limit << 12 | 0xfff;
	seg->attr = high & ATTR_KEPT;
}

static bool in_use(const struct cpu *cpu, unsigned number)
{
	for (unsigned s = 0; s < S_COUNT; s++)
		if (cpu->hidden[s] == number)
			return true;
	for (unsigned i = 0; i < cpu->loadable_count; i++)
		if (cpu->loadables[i].number == number)
			return true;
	return false;
}

static bool same_hidden(const struct segment *a, const struct segment *b)
{
	return a->base == b->base && a->limit == b->limit && a->attr == b->attr;
}

static void forget_loadables(struct cpu *cpu)
{
	for (unsigned i = 0; i < cpu->loadable_count; i++)
		cpu->loadable[cpu->loadables[i].table][cpu->loadables[i].selector] = 0;
	cpu->loadable_count = 0;
}

/* The cache entry for a descriptor. Six registers and a forgotten list of loadables always leave one free. */
static unsigned cache_descriptor(struct cpu *cpu, const struct segment *seg)
{
	if (!seg->attr)
		return NULL_DESCRIPTOR;
	for (unsigned i = NULL_DESCRIPTOR + 1; i < DESCRIPTORS; i++)
		if (same_hidden(&cpu->descriptors[i], seg))
			return i;
	for (;;) {
		for (unsigned i = NULL_DESCRIPTOR + 1; i < DESCRIPTORS; i++) {
			if (in_use(cpu, i))
				continue;
			for (unsigned k = 0; k < sizeof(cpu->known) / sizeof(cpu->known[0]); k++)
				if (cpu->known[k].number == i)
					cpu->known[k].number = 0;
			cpu->descriptors[i] = *seg;
			cpu->base_of[i] = (int64_t)((uint8_t *)&cpu->descriptors[i].base - (uint8_t *)cpu);
			return i;
		}
		forget_loadables(cpu);
	}
}

static void apply(struct cpu *cpu, const struct loadable *l)
{
	cpu->loadable[l->table][l->selector] = cpu->cpl <= l->max_cpl ? l->number : 0;
}

/* Translated code compares before it loads: with what, and where. Two selectors that share a number cannot both be told. */
static bool make_checkable(struct cpu *cpu, uint32_t selector, unsigned number, uint32_t low, uint32_t high)
{
	uint32_t at = cpu->system.gdt.base + (selector & 0xfff8);

	for (unsigned i = 0; i < cpu->loadable_count; i++)
		if (cpu->loadables[i].number == number && (cpu->loadables[i].selector ^ selector) & 0xfffc)
			return false;
	cpu->descriptor_at[number] = at;
	cpu->descriptor_minus[number] = -((uint64_t)high << 32 | low);
	return true;
}

static void make_loadable(struct cpu *cpu, unsigned table, uint32_t selector, unsigned number, unsigned max_cpl)
{
	struct loadable *l = &cpu->loadables[cpu->loadable_count];

	for (unsigned i = 0; i < cpu->loadable_count; i++)
		if (cpu->loadables[i].selector == selector && cpu->loadables[i].table == table)
			return;
	if (cpu->loadable_count == sizeof(cpu->loadables) / sizeof(cpu->loadables[0]))
		return;
	*l = (struct loadable){ .selector = (uint16_t)selector, .table = (uint8_t)table, .number = (uint8_t)number, .max_cpl = (uint8_t)max_cpl };
	cpu->loadable_count++;
	apply(cpu, l);
}

void segment_tables_changed(struct cpu *cpu)
{
	forget_loadables(cpu);
}

static void forget_loadable(struct cpu *cpu, unsigned i)
{
	struct loadable *l = &cpu->loadables[i];

	cpu->loadable[l->table][l->selector] = 0;
	*l = cpu->loadables[--cpu->loadable_count];
}

void cpu_descriptor_changed(struct cpu *cpu, uint32_t selector)
{
	for (unsigned i = 0; i < cpu->loadable_count;)
		if ((cpu->loadables[i].selector ^ selector) & 0xfffc)
			i++;
		else
			forget_loadable(cpu, i);
}

static void set_cpl(struct cpu *cpu, unsigned cpl)
{
	if (cpu->cpl == cpl)
		return;
	soft_flush_cpl(cpu, cpl);
	cpu->cpl = (uint8_t)cpl;
	cpu->user = cpl == 3;
	if (cpu->system_mode)	/* only ring 0's code looks */
		return;
	for (unsigned i = 0; i < cpu->loadable_count; i++)
		apply(cpu, &cpu->loadables[i]);
}

static void note_flatness(struct cpu *cpu)
{
	bool flat = true;

	for (unsigned s = S_ES; s <= S_DS; s++) {
		const struct segment *seg = &cpu->descriptors[cpu->hidden[s]];

		flat = flat && is_flat(seg) && (!needs_big(s) || seg->attr & ATTR_BIG);
	}
	cpu->segmented = !flat;
	cpu->code16 = cpu->descriptors[cpu->hidden[S_CS]].attr && !(cpu->descriptors[cpu->hidden[S_CS]].attr & ATTR_BIG);
}

static void set_register(struct cpu *cpu, unsigned s, uint32_t selector, unsigned number)
{
	bool change = cpu->hidden[s] != number;

	cpu->selector[s] = selector & 0xffff;
	cpu->hidden[s] = number;
	cpu->base_at[s] = cpu->base_of[number];
	if (s == S_CS)
		set_cpl(cpu, selector & 3);
	if (s <= S_DS && change)
		note_flatness(cpu);
}

void cpu_set_segment(struct cpu *cpu, unsigned s, const struct segment *seg)
{
	set_register(cpu, s, seg->sel, cache_descriptor(cpu, seg));
}

void segment_load(struct cpu *cpu, unsigned s, uint32_t selector, uint32_t low, uint32_t high)
{
	unsigned k = selector >> 3 & 31;
	struct segment seg = { .sel = selector };

	if (!cpu->known[k].number || cpu->known[k].low != low || cpu->known[k].high != high) {
		segment_describe(&seg, low, high);
		cpu->known[k].low = low;
		cpu->known[k].high = high;
		cpu->known[k].number = (uint8_t)cache_descriptor(cpu, &seg);
	}
	set_register(cpu, s, selector, cpu->known[k].number);
}

const struct segment *cpu_segment(const struct cpu *cpu, unsigned s)
{
	struct segment *view = &((struct cpu *)cpu)->segment_views[s];

	*view = cpu->descriptors[cpu->hidden[s]];
	view->sel = cpu->selector[s];
	return view;
}

void segment_reset(struct cpu *cpu)
{
	const struct segment null = { 0 };

	cpu->base_of[NULL_DESCRIPTOR] = cpu->null_page - (uint8_t *)cpu;
	for (uint32_t selector = 0; selector < 4; selector++)
		cpu->loadable[TABLE_ANY][selector] = NULL_DESCRIPTOR;
	for (unsigned s = 0; s < S_COUNT; s++)
		cpu_set_segment(cpu, s, &null);
}

static int guest_descriptor(struct cpu *cpu, uint32_t selector, uint32_t words[2], struct cpu_fault *fault)
{
	const struct cpu_system *system = &cpu->system;
	uint32_t index = selector & 0xfff8, base = system->gdt.base, limit = system->gdt.limit;

	if (selector & 4) {
		base = system->ldt.base;
		limit = system->ldt.attr ? system->ldt.limit : 0;
	}
	return index + 7 > limit ? DESCRIPTOR_OUTSIDE : cpu_read(cpu, base + index, words, 8, false, fault);
}

int cpu_descriptor(struct cpu *cpu, uint32_t selector, uint32_t *low, uint32_t *high, struct cpu_fault *fault)
{
	uint32_t words[2];
	int result;

	if (!cpu->system_mode)
		return cpu->ops->descriptor(cpu->opaque, selector, low, high) ? 0 : DESCRIPTOR_OUTSIDE;
	result = guest_descriptor(cpu, selector, words, fault);
	*low = words[0];
	*high = words[1];
	return result;
}

int cpu_descriptor_used(struct cpu *cpu, uint32_t selector, uint32_t high, struct cpu_fault *fault)
{
	uint32_t base = selector & 4 ? cpu->system.ldt.base : cpu->system.gdt.base;
	uint8_t type = (uint8_t)((high | ATTR_ACCESSED) >> 8);

	if (!cpu->system_mode || high & ATTR_ACCESSED)
		return 0;
	return cpu_write(cpu, base + (selector & 0xfff8) + 5, &type, 1, false, fault);
}

static int refuse(struct cpu_fault *fault, uint32_t selector, int vector)
{
	*fault = (struct cpu_fault){ .vector = (uint32_t)vector, .error = selector & 0xfffc };
	return vector;
}

static int check_stack(const struct cpu *cpu, uint32_t selector, uint32_t attr, struct cpu_fault *fault)
{
	unsigned cpl = cpu->cpl;

	if ((selector & 3) != cpl || attr_dpl(attr) != cpl || attr & ATTR_CODE || !(attr & ATTR_WRITABLE))
		return refuse(fault, selector, TRAP_GP);
	return attr & ATTR_P ? 0 : refuse(fault, selector, TRAP_SS);
}

static int check_data(const struct cpu *cpu, uint32_t selector, uint32_t attr, struct cpu_fault *fault)
{
	bool code = attr & ATTR_CODE;
	unsigned rpl = selector & 3, cpl = cpu->cpl;

	if (code && !(attr & ATTR_WRITABLE))	/* the same bit: readable */
		return refuse(fault, selector, TRAP_GP);
	if (!(code && attr & ATTR_CONFORMING) && (rpl > attr_dpl(attr) || cpl > attr_dpl(attr)))
		return refuse(fault, selector, TRAP_GP);
	return attr & ATTR_P ? 0 : refuse(fault, selector, TRAP_NP);
}

/* For a guest with tables in its memory: may translated code load this, after a look at the table? */
static bool checked_load(struct cpu *cpu, unsigned s, uint32_t selector, uint32_t low, uint32_t high)
{
	unsigned table = s == S_FS || s == S_GS ? TABLE_ANY : TABLE_DATA;

	if (cpu->cpl || selector & 4)
		return false;
	for (unsigned i = 0; i < cpu->loadable_count; i++)
		if (cpu->loadables[i].selector == selector && cpu->loadables[i].table == table && cpu->loadables[i].number != cpu->hidden[s])
			forget_loadable(cpu, i--);
	return make_checkable(cpu, selector, cpu->hidden[s], low, high);
}

int cpu_load_segment(struct cpu *cpu, unsigned s, uint32_t selector, struct cpu_fault *fault)
{
	struct segment seg = { .sel = selector & 0xffff };
	uint32_t low, high;
	int vector;

	selector &= 0xffff;
	if (!(selector & 0xfffc)) {
		if (s == S_SS)
			return refuse(fault, 0, TRAP_GP);
		cpu_set_segment(cpu, s, &seg);
		return 0;
	}
	vector = cpu_descriptor(cpu, selector, &low, &high, fault);
	if (vector > 0)
		return vector;
	if (vector == DESCRIPTOR_OUTSIDE || !(high & ATTR_S))
		return refuse(fault, selector, TRAP_GP);
	vector = s == S_SS ? check_stack(cpu, selector, high, fault) : check_data(cpu, selector, high, fault);
	if (!vector)
		vector = cpu_descriptor_used(cpu, selector, high, fault);
	if (vector)
		return vector;
	if (cpu->system_mode)
		high |= ATTR_ACCESSED;
	segment_load(cpu, s, selector, low, high);
	cpu->shadow = s == S_SS;
	if (high & ATTR_CODE || (selector & 3) > attr_dpl(high))
		return 0;
	if (cpu->system_mode && !checked_load(cpu, s, selector, low, high))
		return 0;
	if (is_flat(&cpu->descriptors[cpu->hidden[s]]) && high & ATTR_WRITABLE && (s == S_DS || s == S_ES))
		make_loadable(cpu, TABLE_DATA, selector, cpu->hidden[s], attr_dpl(high));
	else if (s == S_FS || s == S_GS)
		make_loadable(cpu, TABLE_ANY, selector, cpu->hidden[s], attr_dpl(high));
	return 0;
}
