/* SPDX-License-Identifier: MIT */
/* translated.h - the processor under test in a machine as small as can be. */
#ifndef ORACLE_TRANSLATED_H
#define ORACLE_TRANSLATED_H

#include <stdbool.h>
#include "cpu/x86/cpu.h"
#include "tests/cpu/x86/oracle/case.h"

struct translated {
	struct cpu *cpu;
	struct control *control; /* of its own: background and results; the cases are taken from elsewhere */
	int fd;
	uint8_t *ram;
	uint32_t selector[6];	/* what is loaded now */
	bool low_absent, ldt_absent, qemu;	/* as in struct control of the native child */
	volatile bool expired;	/* see translated_expire() */
	uint32_t ring;		/* not 3: cases run there, and selectors and error codes are made to look as if they did not */
};

/* The flat segments of rings other than 3. */
enum { SEL_RING_CODE = 0x80, SEL_RING_DATA = 0x88 };

enum { PTE_P = 1, PTE_W = 2, PTE_U = 4, PTE_A = 32, PTE_D = 64, PTE_ALL = PTE_P | PTE_W | PTE_U | PTE_A | PTE_D };

/* Frames of the machine's RAM. The areas lie one after the other, in the order of AREA_TABLE. */
enum { RAM_BYTES = 16 << 20, PGD = 0x1000, FIRST_TABLE = 0x2000, AREA_FRAMES = 0x100000, SPARE_FRAMES = 0x200000 };

/**
 * translated_start - make the machine
 * @native: the child's control, which says what memory and segments are there; @code_cache: bytes, 0 = default.
 * Returns 0, or -1 with a sentence on stderr.
 */
int translated_start(struct translated *t, const struct control *native, size_t code_cache);
void translated_stop(struct translated *t);

/** translated_run - run one case; the result goes to t->control->result[@index], differing words to t->control->diff. */
void translated_run(struct translated *t, const struct test_case *test, uint32_t index);

/** translated_expire - end the case that is running with TRAP_TIMEOUT. For signal handlers, which must use the signal stack. */
void translated_expire(struct translated *t);

/** translated_restore - put back the initial contents of all areas. */
void translated_restore(struct translated *t);

/** translated_map - make the page at @address show frame @frame with @flags (of a page-table entry), or nothing if @flags is 0. */
void translated_map(struct translated *t, uint32_t address, uint32_t frame, uint32_t flags);
/** translated_physical - of an address in one of the areas; 0 for others. */
uint32_t translated_physical(uint32_t address);
/** translated_load - state into the processor, x87 and SSE included. */
void translated_load(struct translated *t, const struct state *in);
/** translated_enter - cpu_run() with @in's x87 and SSE registers live, and back into @out. */
const struct cpu_exit *translated_enter(struct translated *t, const struct state *in, struct state *out);

#endif
