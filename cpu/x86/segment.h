/* SPDX-License-Identifier: MIT */
#ifndef KENNEL_CPU_X86_SEGMENT_H
#define KENNEL_CPU_X86_SEGMENT_H

#include "cpu/x86/state.h"

/** segment_reset - all selectors null, CPL 0. */
void segment_reset(struct cpu *cpu);

#endif
