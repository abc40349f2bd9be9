/* SPDX-License-Identifier: MIT */
/*
 * reach.h - how translated code reaches the window in force. There is more than one way, because hosts differ in what they leave us.
 *
 *	gs		operand gs:[X], and the kernel keeps the GS base for each thread
 *	gs-poison	the same where the kernel does not know that programs write it (reach-poison.c)
 *	register	operand [r13 + X]: no segment register at all (reach-register.c)
 *
 * One is chosen when a processor is made, and holds for its life.
 */
#ifndef KENNEL_CPU_X86_SPACE_REACH_H
#define KENNEL_CPU_X86_SPACE_REACH_H

#include "cpu/x86/state.h"

struct probe;

struct reach {
	const char *name;
	const char *what;	/* the same as a sentence */
	bool by_register;	/* operands are [r13 + X], not gs:[X] */
	/** works - can this host do it? */
	bool (*works)(const struct probe *probe);
	/** create - for the calling thread. Returns 0, or -1 with a sentence in *@error. */
	int (*create)(struct cpu *cpu, const char **error);
	void (*destroy)(struct cpu *cpu);
	/** enter - cpu->window is in force from now on. Before each run of translated code. */
	void (*enter)(struct cpu *cpu);
	/** repair - in a signal handler: an access of translated code faulted at @host. Returns true if that was ours, and the access may try again. */
	bool (*repair)(struct cpu *cpu, uint64_t host);
};

extern const struct reach reach_gs, reach_poison, reach_register;

/** reach_choose - the best way on this host, or the one that KENNEL_HOST asks for (window=NAME) if the host can do that. NULL, and a sentence in *@error. */
const struct reach *reach_choose(const char **error);

#endif
