/* SPDX-License-Identifier: MIT */
#ifndef KENNEL_CPU_X86_SYSTEM_RING_H
#define KENNEL_CPU_X86_SYSTEM_RING_H

#include "cpu/x86/state.h"

/**
 * ring_iret - IRET, if it is one of the two kinds that kernels use all the time: within a ring, or out to flat user segments
 * Returns false when it is anything else (or faults): nothing has changed, and emulate() runs it with all the checks.
 */
bool ring_iret(struct cpu *cpu, const struct insn *insn);

#endif
