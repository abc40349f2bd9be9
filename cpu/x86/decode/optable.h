/* SPDX-License-Identifier: MIT */
/*
 * optable.h - what the opcode tables tell the decoder.
 *
 * An entry is either a finished description of an instruction form (its action is an enum insn_action) or a signpost (its action
 * is one of the STEP_* below) that names what to look at next: another map, or a row of opcode_rows picked by ModRM or prefix.
 */
#ifndef KENNEL_CPU_X86_DECODE_OPTABLE_H
#define KENNEL_CPU_X86_DECODE_OPTABLE_H

#include "cpu/x86/decode/decode.h"

struct opcode {
	uint8_t action;		/* enum insn_action, or STEP_* */
	uint8_t operand;	/* IMM_* in the low nibble, ONLY_* in the high one */
	uint16_t flags;		/* INSN_* and FORM_*; for STEP_*: its argument */
};

/* Signposts. All but PREFIX and MAP read a row of opcode_rows, whose number is the entry's flags. */
enum {
	STEP_PREFIX = 0xf0,	/* a prefix byte: flags = PFX_*, operand = segment number */
	STEP_MAP,		/* an escape byte: flags = MAP_* */
	STEP_MANDATORY,		/* column = mandatory prefix: enum column */
	STEP_MOD,		/* column = 0 for memory, 1 for register (mod = 3) */
	STEP_REG,		/* column = ModRM.reg */
	STEP_RM,		/* column = ModRM.rm */
};

/* Mandatory prefixes: the last of F2 and F3 decides, else 66. */
enum column { COLUMN_NONE, COLUMN_66, COLUMN_F3, COLUMN_F2 };

/* Low nibble of operand: what follows ModRM, SIB and displacement. */
enum {
	IMM_NONE,
	IMM_S8,		/* byte, sign-extended */
	IMM_U8,		/* byte */
	IMM_U16,	/* word */
	IMM_Z,		/* operand size */
	IMM_REL,	/* operand size, sign-extended */
	IMM_FAR,	/* operand size, then a selector */
	IMM_ENTER,	/* word, then byte */
	IMM_MOFFS,	/* address size, goes to disp */
};

/* High nibble of operand: the mandatory prefixes that this form has; none set = the form does not look at them. */
enum {
	ONLY_NONE = 0x10 << COLUMN_NONE,
	ONLY_66 = 0x10 << COLUMN_66,
	ONLY_F3 = 0x10 << COLUMN_F3,
	ONLY_F2 = 0x10 << COLUMN_F2,
};

/* Above the INSN_* bits of flags, for the decoder alone. */
enum {
	FORM_INSN = 0x0fff,		/* the bits that go to struct insn */
	FORM_PAIR = 1 << 12,		/* MMX without 66, SSE with it: of INSN_FPU and INSN_SSE one is dropped */
	FORM_REG_ONLY = 1 << 13,	/* mod != 3 is undefined */
	FORM_NO_MOD = 1 << 14,		/* ModRM always names a register, whatever mod says (MOV CR, MOV DR) */
};

extern const struct opcode opcode_maps[4][256];
extern const struct opcode opcode_rows[][8];

#endif
