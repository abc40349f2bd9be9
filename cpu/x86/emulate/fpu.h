/* SPDX-License-Identifier: MIT */
/*
 * fpu.h - the guest's x87, MMX and SSE registers. They live in the host's own, from cpu_create() on: C code on the processor's
 * thread is compiled not to use vector registers, and brackets calls into anything else with cpu_fpu_release() and
 * cpu_fpu_acquire() (cpu.h).
 */
#ifndef KENNEL_CPU_X86_EMULATE_FPU_H
#define KENNEL_CPU_X86_EMULATE_FPU_H

#include "cpu/x86/state.h"

/** fpu_store_environment - run FNSTENV, FNSAVE or FXSAVE. false: it faulted, and *@exit says how. */
bool fpu_store_environment(struct cpu *cpu, const struct insn *insn, struct cpu_exit *exit);

#endif
