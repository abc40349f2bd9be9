/* SPDX-License-Identifier: MIT */
#ifndef KENNEL_CPU_X86_FAULT_H
#define KENNEL_CPU_X86_FAULT_H

#include "cpu/x86/state.h"

/** fault_install - signal stack of this thread, signal handlers of the process. Returns 0 or -1. */
int fault_install(struct cpu *cpu);
void fault_remove(struct cpu *cpu);

/** fault_kick_signal - the signal that interrupts translated code. */
int fault_kick_signal(void);

#endif
