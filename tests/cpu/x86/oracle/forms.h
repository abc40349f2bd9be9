/* SPDX-License-Identifier: MIT */
/*
 * forms.h - which instruction forms there are, and concrete instructions of each.
 *
 * A form is an opcode with a set of prefixes and a kind of operand (register, memory or none), split further where ModRM.reg (or
 * the whole ModRM byte) chooses another operation. An instance is one encoding of it, placed at an address.
 */
#ifndef ORACLE_FORMS_H
#define ORACLE_FORMS_H

#include <stddef.h>
#include <Zydis/Zydis.h>
#include "tests/cpu/x86/oracle/random.h"

enum { FORM_66 = 1, FORM_F3 = 2, FORM_F2 = 4, FORM_LOCK = 8 };

struct form {
	uint8_t map, op;	/* MAP_* of cpu/x86/decode/decode.h */
	uint8_t prefix;		/* FORM_* */
	bool modrm, mem;
	bool valid;		/* Zydis knows it in 32-bit mode */
	bool redundant;		/* its F2, F3 or 66 prefix changes nothing */
	bool sequence;		/* not an instruction: random programs, see sequences.h */
	ZydisMnemonic mnemonic;
	uint32_t set[8];	/* which ModRM bytes belong to it */
	uint64_t signature;
	char name[72];
};

struct forms {
	struct form *form;
	size_t count;
};

struct instance {
	const struct form *form;
	uint32_t eip;
	uint8_t bytes[16];
	uint8_t len;
	bool decoded;		/* the two below are filled */
	ZydisDecodedInstruction insn;
	ZydisDecodedOperand op[ZYDIS_MAX_OPERAND_COUNT];
};

/** forms_make - enumerate all forms of the four opcode maps that can be tried in user mode. The caller frees list->form. */
void forms_make(struct forms *list);

/** forms_add_sequences - append the pseudo-form of random programs. */
void forms_add_sequences(struct forms *list);

/** instance_make - draw one encoding of @form, and where it stands. */
void instance_make(struct instance *instance, const struct form *form, struct rng *rng);

/** instance_at - decode what stands at @eip. Returns false where nothing can be decoded; instance->form is NULL. */
bool instance_at(struct instance *instance, const uint8_t *bytes, uint32_t avail, uint32_t eip);

/** pick_address - an address for an operand of @size bytes: mostly in the data area, often on an edge. */
uint32_t pick_address(struct rng *rng, uint32_t size);
/** pick_code_target - where a branch at [eip, eip + len) may go: mostly the INT3s of the code area, never into itself. */
uint32_t pick_code_target(struct rng *rng, uint32_t eip, uint32_t len);
/** pick_code_target16 - likewise, below 64 KiB. */
uint32_t pick_code_target16(struct rng *rng);
/** pick_value - a number such as carries, sign changes and masks trip over. */
uint32_t pick_value(struct rng *rng);

/** instruction_length - at least 1, at most @avail, also where nothing can be decoded. */
uint32_t instruction_length(const uint8_t *bytes, uint32_t avail);
/** disassemble - one line, static storage. */
const char *disassemble(const uint8_t *bytes, uint32_t len, uint32_t eip);

#endif
