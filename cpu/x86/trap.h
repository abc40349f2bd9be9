/* SPDX-License-Identifier: MIT */
/*
 * trap.h - which exception a signal stands for.
 */
#ifndef KENNEL_CPU_X86_TRAP_H
#define KENNEL_CPU_X86_TRAP_H

#include <signal.h>
#include <ucontext.h>

#include "cpu/x86/state.h"

enum { TRAP_OTHER = 0xff };	/* none that a guest's instruction causes */

struct trap {
	uint8_t vector;		/* TRAP_*: of the host, which is the guest's unless it is TRAP_PF */
	bool write;		/* TRAP_PF: the access was a write */
};

/**
 * trap_read - in a signal handler, with the PC in translated code
 * @info, @regs: what the handler was given. Where frames are blind (probe.h) the answer comes from the instruction and from @info alone.
 */
struct trap trap_read(struct cpu *cpu, int signal, const siginfo_t *info, const greg_t *regs);

#endif
