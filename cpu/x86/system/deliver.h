/* SPDX-License-Identifier: MIT */
#ifndef KENNEL_CPU_X86_SYSTEM_DELIVER_H
#define KENNEL_CPU_X86_SYSTEM_DELIVER_H

#include "cpu/x86/state.h"

/**
 * deliver_exit - what would be the machine's to decide without cpu_config.system: send it through the guest's IDT
 * Returns true if cpu->exit has been dealt with (and is EXIT_NONE); false if cpu_run() must return it.
 */
bool deliver_exit(struct cpu *cpu);

/** deliver_interrupt - ask the machine for its vector and enter the gate. false: cpu->exit is EXIT_SHUTDOWN. */
bool deliver_interrupt(struct cpu *cpu);

#endif
