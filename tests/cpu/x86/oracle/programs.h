/* SPDX-License-Identifier: MIT */
/* programs.h - 32-bit programs written by hand (programs.S); they run at PROGRAM_BASE, natively and translated. */
#ifndef ORACLE_PROGRAMS_H
#define ORACLE_PROGRAMS_H

/* So that the label `edge' of a program falls on a page boundary. */
#define PROGRAM_BASE 0x10000f00
#define PROGRAM_EDGE 0x10001000

#ifndef __ASSEMBLER__
#include <stdint.h>

struct hand_program {
	const char *name;
	const uint8_t *start, *end;
};

/* Ends with a NULL name. */
extern const struct hand_program hand_programs[];
#endif

#endif
