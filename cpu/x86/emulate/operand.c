/* SPDX-License-Identifier: MIT */
/*
 * operand.c - where an instruction's operands are, whether the segment lets it touch them, and the flags a result sets.
 *
 * Translated code checks no segment: it runs with flat ones, whose only limit is the end of the address space. Here every access
 * is checked, since an instruction often comes to the emulator because its segment is not flat.
 */
#include "cpu/x86/emulate/emulate-internal.h"

/* SDM vol. 3, 5.3 and 5.5: the last byte must be inside; a data segment that grows down is valid above its limit. */
static bool within_limit(const struct segment *s, uint32_t offset, uint32_t len)
{
	uint32_t last = offset + len - 1;

	if (last < offset)
		return false;
	if ((s->attr & (ATTR_CODE | ATTR_DOWN)) == ATTR_DOWN)
		return offset > s->limit && last <= (s->attr & ATTR_BIG ? ~0u : 0xffff);
	return last <= s->limit;
}

static bool access_allowed(const struct segment *s, bool write)
{
	if (!s->attr)		/* null selector */
		return false;
	if (s->attr & ATTR_CODE)
		return !write && s->attr & ATTR_RW;
	return !write || s->attr & ATTR_RW;
}

/* Check, and turn the offset into a linear address. */
static bool linearize(struct emulation *e, unsigned seg, uint32_t *offset, uint32_t len, bool write)
{
	const struct segment *s = cpu_segment(e->cpu, seg);

	if (!access_allowed(s, write) || !within_limit(s, *offset, len))
		return emulate_fault(e, seg == S_SS ? TRAP_SS : TRAP_GP, 0);
	*offset += s->base;
	return true;
}

bool emulate_read(struct emulation *e, unsigned seg, uint32_t offset, void *buf, uint32_t len)
{
	struct cpu_fault fault;

	if (!linearize(e, seg, &offset, len, false))
		return false;
	return !cpu_read(e->cpu, offset, buf, len, e->cpl == 3, &fault) || emulate_raise(e, &fault);
}

bool emulate_write(struct emulation *e, unsigned seg, uint32_t offset, const void *buf, uint32_t len)
{
	struct cpu_fault fault;

	if (!linearize(e, seg, &offset, len, true))
		return false;
	return !cpu_write(e->cpu, offset, buf, len, e->cpl == 3, &fault) || emulate_raise(e, &fault);
}

bool emulate_probe_write(struct emulation *e, unsigned seg, uint32_t offset, uint32_t len)
{
	uint8_t bytes[4];

	if (emulate_read(e, seg, offset, bytes, len))
		return emulate_write(e, seg, offset, bytes, len);
	if (e->exit->vector == TRAP_PF)
		e->exit->error |= PF_WRITE;
	return false;
}

bool emulate_load(struct emulation *e, unsigned seg, uint32_t offset, unsigned size, uint32_t *value)
{
	*value = 0;
	return emulate_read(e, seg, offset, value, size);
}

bool emulate_store(struct emulation *e, unsigned seg, uint32_t offset, unsigned size, uint32_t value)
{
	return emulate_write(e, seg, offset, &value, size);
}

uint32_t emulate_offset(const struct emulation *e, uint32_t esp)
{
	const struct insn *in = e->insn;
	uint32_t offset = (uint32_t)in->disp;

	if (in->base >= 0)
		offset += in->base == R_ESP ? esp : e->gpr[in->base];
	if (in->index >= 0)
		offset += e->gpr[in->index] << in->scale;
	return in->adsize == 2 ? offset & 0xffff : offset;
}

/* Two accesses: the second one's offset wraps with the address size, and each has a fault of its own. */
bool emulate_load_pair(struct emulation *e, unsigned size, uint32_t *first, unsigned size2, uint32_t *second)
{
	uint32_t offset = emulate_offset(e, e->gpr[R_ESP]), after = (offset + size) & size_mask(e->insn->adsize);

	if (!e->insn->mem)
		return emulate_fault(e, TRAP_UD, 0);
	return emulate_load(e, e->insn->seg, offset, size, first) && emulate_load(e, e->insn->seg, after, size2, second);
}

bool emulate_load_rm(struct emulation *e, unsigned size, uint32_t *value)
{
	if (e->insn->mem)
		return emulate_load(e, e->insn->seg, emulate_offset(e, e->gpr[R_ESP]), size, value);
	*value = emulate_reg(e, e->insn->rm, size);
	return true;
}

bool emulate_store_rm(struct emulation *e, unsigned size, uint32_t value)
{
	if (e->insn->mem)
		return emulate_store(e, e->insn->seg, emulate_offset(e, e->gpr[R_ESP]), size, value);
	emulate_set_reg(e, e->insn->rm, size, value);
	return true;
}

uint32_t flags_of_result(uint32_t value, unsigned size)
{
	uint32_t flags = 0, low = value & 0xff;

	if (value >> (8 * size - 1) & 1)
		flags |= FLAG_SF;
	if (!(value & size_mask(size)))
		flags |= FLAG_ZF;
	low ^= low >> 4;
	if (0x9669 >> (low & 0xf) & 1)	/* bit n: n has an even number of bits set */
		flags |= FLAG_PF;
	return flags;
}

/* The carry out of each bit position is carries; out of the top one it is CF, out of bit 3 AF; OF is top against next to top. */
static uint32_t flags_of_carries(uint32_t result, uint32_t carries, unsigned size)
{
	unsigned top = 8 * size - 1;
	uint32_t flags = flags_of_result(result, size);

	if (carries >> top & 1)
		flags |= FLAG_CF;
	if (carries >> 3 & 1)
		flags |= FLAG_AF;
	if ((carries >> top ^ carries >> (top - 1)) & 1)
		flags |= FLAG_OF;
	return flags;
}

uint32_t flags_of_add(uint32_t a, uint32_t b, unsigned size)
{
	uint32_t sum = a + b;

	return flags_of_carries(sum, (a & b) | ((a | b) & ~sum), size);
}

uint32_t flags_of_sub(uint32_t a, uint32_t b, unsigned size)
{
	uint32_t difference = a - b;

	return flags_of_carries(difference, (~a & b) | ((~a | b) & difference), size);
}
