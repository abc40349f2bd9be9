/* SPDX-License-Identifier: MIT */
/*
 * bcd.c - decimal arithmetic, and SALC.
 *
 * Intel leaves several flags undefined here. Hardware does not: it sets them as the additions and subtractions do that these
 * instructions are made of. The rules below were fitted to, and then compared with, every input on an AMD processor (family 1Ah).
 */
#include "cpu/x86/emulate/emulate-internal.h"

static bool finish(struct emulation *e, unsigned size, uint32_t value, uint32_t flags)
{
	emulate_set_reg(e, R_EAX, size, value);
	emulate_change_flags(e, flags, FLAGS_STATUS);
	return emulate_done(e);
}

static bool low_digit_carries(const struct emulation *e)
{
	return (e->gpr[R_EAX] & 0xf) > 9 || e->eflags & FLAG_AF;
}

/* DAA and DAS: one addition of 0, 6, 60h or 66h; only CF and AF have their own rules. */
static bool decimal_adjust(struct emulation *e, bool subtract)
{
	uint32_t al = e->gpr[R_EAX] & 0xff, by = 0, flags = 0;

	if (low_digit_carries(e)) {
		by = 6;
		flags = FLAG_AF;
		if (subtract && al < 6)
			flags |= FLAG_CF;
	}
	if (al > 0x99 || e->eflags & FLAG_CF) {
		by += 0x60;
		flags |= FLAG_CF;
	}
	if (subtract)
		flags |= flags_of_sub(al, by, 1) & (FLAGS_SZP | FLAG_OF);
	else
		flags |= flags_of_add(al, by, 1) & (FLAGS_SZP | FLAG_OF);
	return finish(e, 1, subtract ? al - by : al + by, flags);
}

/* AAA and AAS: AX and 0 or 106h; the flags are those of the sum before its second digit is cleared. */
static bool ascii_adjust(struct emulation *e, bool subtract)
{
	uint32_t ax = e->gpr[R_EAX] & 0xffff, by = 0, flags = 0, mask = FLAGS_SZP | FLAG_OF;

	if (low_digit_carries(e)) {
		by = 0x106;
		flags = FLAG_AF | FLAG_CF;
	}
	if (subtract)
		flags |= flags_of_sub(ax, by, 2) & mask;
	else
		flags |= flags_of_add(ax, by, 2) & mask;
	return finish(e, 2, (subtract ? ax - by : ax + by) & 0xff0f, flags);
}

static bool aam(struct emulation *e)
{
	uint32_t al = e->gpr[R_EAX] & 0xff, base = e->insn->imm & 0xff;

	if (!base)
		return emulate_fault(e, TRAP_DE, 0);
	return finish(e, 2, (al / base) << 8 | al % base, flags_of_result(al % base, 1));
}

static bool aad(struct emulation *e)
{
	uint32_t al = e->gpr[R_EAX] & 0xff, tens = (e->gpr[R_EAX] >> 8 & 0xff) * (e->insn->imm & 0xff) & 0xff;

	return finish(e, 2, (al + tens) & 0xff, flags_of_add(al, tens, 1));
}

static bool salc(struct emulation *e)
{
	emulate_set_reg(e, R_EAX, 1, e->eflags & FLAG_CF ? 0xff : 0);
	return emulate_done(e);
}

bool emulate_bcd(struct emulation *e)
{
	switch (e->insn->op) {
	case 0x27:
	case 0x2f:
		return decimal_adjust(e, e->insn->op == 0x2f);
	case 0x37:
	case 0x3f:
		return ascii_adjust(e, e->insn->op == 0x3f);
	case 0xd4:
		return aam(e);
	case 0xd5:
		return aad(e);
	default:
		return salc(e);
	}
}
