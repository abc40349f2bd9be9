/* SPDX-License-Identifier: MIT */
/*
 * void.h - guest-physical addresses without memory behind them.
 *
 * They read as ones and swallow what is written. For reading, one page of ones is mapped wherever the tables point into the void. It is
 * treated like code, so no view has it writable: an instruction that writes there runs alone, on the page, which then becomes ones again.
 */
#ifndef KENNEL_CPU_X86_SPACE_VOID_H
#define KENNEL_CPU_X86_SPACE_VOID_H

#include "cpu/x86/state.h"

int void_create(struct cpu *cpu, const char **error);
void void_destroy(struct cpu *cpu);
/** void_open, void_close - around one instruction that writes there */
void void_open(struct cpu *cpu);
void void_close(struct cpu *cpu);

#endif
