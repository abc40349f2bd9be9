/* SPDX-License-Identifier: MIT */
/*
 * forms.c - PUSHF and POPF, which are compared as a whole; and the first bytes of blocks that may run at several addresses.
 *
 * The flags of the host go through a stack, and rsp is the guest's. So for one instruction it points to one word in struct cpu, and
 * is the guest's again before anything else happens: no jump leads into the sequence, nothing in it faults, and signals have a stack
 * of their own.
 *
 *	PUSHF	Leaves in r9d a sum of three words: the host's flags, whose system bits the guest has never set, and two of C's.
 *	POPF	What POPFQ takes is r8d, the guest's word, cut to the arithmetic flags and DF, with IF set as the host's process has it:
 *		not TF, IOPL, NT, AC. IF is stored for C. Anything else leaves for C, with the guest's registers as they were.
 */
#include <string.h>

#include "check.h"

#define LE32(v) (uint8_t)(v), (uint8_t)((v) >> 8), (uint8_t)((v) >> 16), (uint8_t)((v) >> 24)

enum { IMAGE = 0xcd5, HOST_IF = 0x200, SYSTEM = 0x247100 /* TF IOPL NT AC ID */ };

static const uint8_t pushf_form[] = {
	0x41, 0x89, 0xe0,				/* mov r8d, esp */
	0x49, 0x8d, 0xa7, LE32(CPU_SCRATCH + 8),	/* lea rsp, [r15 + scratch + 8] */
	0x9c,						/* pushfq */
	0x44, 0x89, 0xc4,				/* mov esp, r8d */
	0x45, 0x8b, 0x8f, LE32(CPU_SCRATCH),		/* mov r9d, [r15 + scratch] */
	0x45, 0x8b, 0x97, LE32(CPU_SYSTEM_FLAGS),	/* mov r10d, [r15 + system_flags] */
	0x47, 0x8d, 0x8c, 0x11, LE32(-HOST_IF),		/* lea r9d, [r9 + r10 - IF] */
	0x45, 0x8b, 0x97, LE32(CPU_IF),			/* mov r10d, [r15 + interrupt_flag] */
	0x47, 0x8d, 0x8c, 0x11, LE32(0),		/* lea r9d, [r9 + r10] */
};

static const uint8_t popf_form[] = {
	0x45, 0x89, 0xc1,				/* mov r9d, r8d */
	0x41, 0x81, 0xe1, LE32(SYSTEM),			/* and r9d, system flags */
	0x45, 0x3b, 0x8f, LE32(CPU_SYSTEM_FLAGS),	/* cmp r9d, [r15 + system_flags] */
	0x75, 65,					/* jne slow */
	0x45, 0x89, 0xc1,				/* mov r9d, r8d */
	0x41, 0x81, 0xe1, LE32(HOST_IF),		/* and r9d, IF */
	0x45, 0x85, 0x8f, LE32(CPU_IRQ_PENDING),	/* test r9d, [r15 + irq_pending] */
	0x75, 46,					/* jne slow */
	0x45, 0x89, 0x8f, LE32(CPU_IF),			/* mov [r15 + interrupt_flag], r9d */
	0x41, 0x81, 0xe0, LE32(IMAGE),			/* and r8d, what the guest may set */
	0x41, 0x81, 0xc8, LE32(HOST_IF | 2),		/* or r8d, what the host has set */
	0x4d, 0x89, 0x87, LE32(CPU_SCRATCH),		/* mov [r15 + scratch], r8 */
	0x44, 0x8d, 0x4c, 0x24, 4,			/* lea r9d, [rsp + 4] */
	0x49, 0x8d, 0xa7, LE32(CPU_SCRATCH),		/* lea rsp, [r15 + scratch] */
	0x9d,						/* popfq */
	0x44, 0x89, 0xcc,				/* mov esp, r9d */
	0xeb, 19,					/* jmp done */
	0x41, 0xb9, 0, 0, 0, 0,				/* slow: mov r9d, decoded instruction */
	0x41, 0xb8, 0, 0, 0, 0,				/* mov r8d, eip */
	0x41, 0xff, 0xa7, LE32(CPU_EXITS + 8 * REASON_EMULATE),	/* jmp [r15 + exit] */
};							/* done: */

/*
 * Whoever enters a block but by a chain, which goes behind these bytes, has its EIP in r8d: glue_enter() loads that, and a jump table is only
 * gone through with the target in r8d, in blocks of this kind, which are all that such a table has. So what is stored is the guest's.
 */
static const uint8_t prologue_form[] = {
	0x45, 0x8d, 0x80, LE32(0),			/* lea r8d, [r8 - eip] */
	0x45, 0x89, 0x87, LE32(CPU_SLIDE),		/* mov [r15 + slide], r8d */
};

/* Each begins as nothing else does, at least there, and may hold other constants in two places. */
static const struct form {
	const uint8_t *code;
	uint32_t len, begins, constant[2];
	bool first;		/* at the beginning of a block, and nowhere else */
} forms[] = {
	{ prologue_form, sizeof(prologue_form), 3, { 3, 0 }, true },
	{ pushf_form, sizeof(pushf_form), 6, { 0, 0 }, false },
	{ popf_form, sizeof(popf_form), 10, { sizeof(popf_form) - 17, sizeof(popf_form) - 11 }, false },
};

static bool is_constant(const struct form *f, uint32_t at)
{
	return (f->constant[0] && at - f->constant[0] < 4) || (f->constant[1] && at - f->constant[1] < 4);
}

static bool same(const struct form *f, const uint8_t *code)
{
	for (uint32_t i = 0; i < f->len; i++)
		if (code[i] != f->code[i] && !is_constant(f, i))
			return false;
	return true;
}

bool check_fixed(struct check *c, uint32_t *length)
{
	const uint8_t *code = c->code + c->at;
	uint32_t left = c->len - c->at;

	for (unsigned i = 0; i < COUNT(forms); i++) {
		const struct form *f = &forms[i];

		if ((f->first && c->at) || left < f->begins || memcmp(code, f->code, f->begins))
			continue;
		*length = f->len;
		if (left < f->len || !same(f, code))
			refuse(c, RULE_FLAGS);
		if (!state_is_guests(&c->now))
			refuse(c, RULE_EXIT);
		if (f->code == popf_form && !kind_is_guests(kind_of(c, R8)))
			refuse(c, RULE_VALUE);
		set(c, R8, V_ANY, 0);
		if (f->code == prologue_form)
			return true;
		set(c, R9, f->code == pushf_form ? V_GUEST : V_ANY, 0);
		set(c, R10, V_ANY, 0);
		return true;
	}
	return false;
}
