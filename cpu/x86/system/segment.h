/* SPDX-License-Identifier: MIT */
#ifndef KENNEL_CPU_X86_SYSTEM_SEGMENT_H
#define KENNEL_CPU_X86_SYSTEM_SEGMENT_H

#include "cpu/x86/state.h"

/* Bits of a descriptor's high dword, and of struct segment.attr. */
enum {
	ATTR_TYPE = 0xf << 8, ATTR_CODE = 8 << 8, ATTR_CONFORMING = 4 << 8, ATTR_WRITABLE = 2 << 8 /* of code: readable */,
	ATTR_ACCESSED = 1 << 8, ATTR_BIG = 1 << 22,
	ATTR_S = 1 << 12, ATTR_P = 1 << 15, ATTR_G = 1 << 23, ATTR_KEPT = 0x00f0ff00,
};

static inline unsigned attr_dpl(uint32_t attr)
{
	return attr >> 13 & 3;
}

/** segment_reset - all selectors null, CPL 0. */
void segment_reset(struct cpu *cpu);

/** segment_describe - the hidden part that a code or data descriptor gives */
void segment_describe(struct segment *seg, uint32_t low, uint32_t high);

/** segment_tables_changed - the GDT is another one now. */
void segment_tables_changed(struct cpu *cpu);

/** segment_load - load a segment register from a descriptor that has passed its checks. CS sets CPL to the selector's RPL. */
void segment_load(struct cpu *cpu, unsigned s, uint32_t selector, uint32_t low, uint32_t high);

#endif
