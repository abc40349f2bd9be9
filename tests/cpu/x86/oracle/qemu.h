/* SPDX-License-Identifier: MIT */
/*
 * qemu.h - what QEMU's user mode is known to do differently from a processor.
 *
 * Where the host runs no 32-bit programs, QEMU runs the native child. It is no processor: an exception here says for which
 * instructions, in which states, which parts of a result need not be the same. It counts as explained only if exceptions cover
 * every part that differs.
 */
#ifndef ORACLE_QEMU_H
#define ORACLE_QEMU_H

#include "tests/cpu/x86/oracle/compare.h"

/* Parts of a result. */
enum {
	DIFFERS_TRAP = 1,	/* another exception, or none, or elsewhere */
	DIFFERS_ERROR = 2,	/* the same, but not its error code */
	DIFFERS_ADDRESS = 4,	/* ... of a page fault */
	DIFFERS_SEGMENTS = 8,
	DIFFERS_FLAGS = 16,
	DIFFERS_REGISTERS = 32,
	DIFFERS_MEMORY = 64,
	DIFFERS_FCW = 128,
	DIFFERS_FSW = 256,
	DIFFERS_FTW = 512,
	DIFFERS_ST = 1024,
	DIFFERS_MXCSR = 2048,
	DIFFERS_XMM = 4096,
};

struct differences {
	uint32_t parts, flags, registers; /* @flags, @registers: masks */
};

/** qemu_name_trap - some of its signals stand for several exceptions: take the one that @b has, if it is among them. */
void qemu_name_trap(struct result *a, const struct result *b);

/**
 * qemu_known - are the differences between @a, QEMU's result, and @b known ones?
 * Returns which exceptions it takes to explain them, a mask of bits for qemu_reason(), or 0.
 */
uint64_t qemu_known(const struct instance *instance, const struct test_case *test, const struct result *a, const struct result *b,
		    const struct differences *differences);

/** qemu_reason - a sentence on exception @n, or NULL behind the last. */
const char *qemu_reason(uint32_t n);

/** qemu_steady - does QEMU do @instance as a processor does, whatever the state, undefined results included? */
bool qemu_steady(const struct instance *instance);

/** qemu_program_differs - why QEMU does not run the program of this name (see programs.h) as a processor does, or NULL. */
const char *qemu_program_differs(const char *name);

/** qemu_gives_up - is QEMU known to end with an error of its own at @instance? */
bool qemu_gives_up(const struct instance *instance);

#endif
