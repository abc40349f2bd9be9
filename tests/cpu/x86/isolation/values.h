/* SPDX-License-Identifier: MIT */
/*
 * values.h - what is known of a register's value at one place of a block.
 *
 * The checker follows values the way a verifier of bytecode does: a handful of kinds, one table of registers, and a meeting of
 * the two where paths join. A kind says where a value came from and so what it may be used for.
 */
#ifndef KENNEL_TESTS_CPU_X86_ISOLATION_VALUES_H
#define KENNEL_TESTS_CPU_X86_ISOLATION_VALUES_H

#include <stdbool.h>
#include <stdint.h>

enum kind {
	V_ANY,		/* nothing is known: r8-r13 when a block begins */
	V_HALF,		/* its low 16 bits came from the guest, the others are unknown */

	/* Below 4 GiB, and the guest may see it. Guest registers hold one of these between instructions. */
	V_GUEST,
	V_WORD,		/* below 64 KiB; tag: version of the register it is the low half of, or 0 */
	V_CONST,	/* written out in the block; tag: the value */
	V_NUMBER,	/* of a descriptor: read from loadable[] */

	/* From a jump table. tag: what the entry's index was made from. */
	V_ENTRY,	/* host code of an entry, which may be the wrong one */
	V_KEY,		/* minus the entry's EIP, read after the host code */
	V_PAIRED,	/* host code that was read before the key */
	V_MISS,		/* KEY + the EIP wanted: zero says that the entry is the right one */
	V_PAST,		/* the same + 1, for LOOP: one says so */
	V_HIT,		/* host code of the right entry */

	V_WIDE,		/* 64 bits: a descriptor, what C remembers of it, or their sum */

	/* Host addresses. */
	V_WINDOW,	/* cpu->window */
	V_STRING,	/* window + a guest address */
	V_SPENT,	/* what a string instruction left of that */
	V_BASE_AT,	/* where a segment's base is, relative to r15 */
	V_CHECKED,	/* in guest RAM: what a check leaves in r9 for the next instruction; tag: size | write << 8 */
};

struct value {
	enum kind kind;
	uint32_t tag;
};

enum { REGISTERS = 16, GUEST_REGISTERS = 8, R8 = 8, R9, R10, R11, R12, R13, R14, R15 };
enum { RCX = 1, RSP = 4, RSI = 6, RDI = 7 };

struct state {
	bool reached;
	struct value value[REGISTERS];
	uint32_t version[REGISTERS];	/* which write it is from: two equal versions are the same value */
};

static inline bool kind_is_guests(enum kind kind)
{
	return kind >= V_GUEST && kind <= V_NUMBER;
}

/* Is every guest register the guest's, as it must be wherever another block or C takes over? */
static inline bool state_is_guests(const struct state *s)
{
	for (unsigned i = 0; i < GUEST_REGISTERS; i++)
		if (!kind_is_guests(s->value[i].kind))
			return false;
	return true;
}

static inline struct value value_meet(struct value a, struct value b)
{
	if (a.kind == b.kind && a.tag == b.tag)
		return a;
	return (struct value){ kind_is_guests(a.kind) && kind_is_guests(b.kind) ? V_GUEST : V_ANY, 0 };
}

/* @serial: a version not used so far, for registers whose two values may differ. */
static inline void state_meet(struct state *s, const struct state *other, uint32_t serial)
{
	if (!s->reached) {
		*s = *other;
		return;
	}
	for (unsigned i = 0; i < REGISTERS; i++) {
		s->value[i] = value_meet(s->value[i], other->value[i]);
		if (s->version[i] != other->version[i])
			s->version[i] = serial;
	}
}

#endif
