/* SPDX-License-Identifier: MIT */
/* sequences.h - random short programs: what single instructions cannot show, such as branches, chains and faults midway. */
#ifndef ORACLE_SEQUENCES_H
#define ORACLE_SEQUENCES_H

#include "tests/cpu/x86/oracle/forms.h"
#include "tests/cpu/x86/oracle/states.h"

enum { PROGRAM_BYTES = 512 };

struct program {
	uint32_t eip, len;
	uint8_t bytes[PROGRAM_BYTES];
};

/* Leave out what can see TF; what can see in which ring it runs; what QEMU does differently, or leaves other undefined results of. */
enum { SEQUENCE_NO_FLAGS = 1, SEQUENCE_NO_SEGMENTS = 2, SEQUENCE_FOR_QEMU = 4 };

/**
 * sequence_make - 5 to 40 instructions, drawn from @forms. They end at the INT3s that fill the code area, or with a fault.
 * @without: SEQUENCE_*.
 */
void sequence_make(struct program *program, const struct forms *forms, unsigned without, struct rng *rng);

/** sequence_state - registers and memory for it. */
void sequence_state(struct test_case *test, const struct program *program, const struct state_options *options, struct rng *rng);

#endif
