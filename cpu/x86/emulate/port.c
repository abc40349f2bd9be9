/* SPDX-License-Identifier: MIT */
/*
 * port.c - IN, OUT, INS and OUTS.
 *
 * A processor without privileged state hands them to its machine whole (EXIT_IO). One with it asks the machine for each access,
 * and a repeated INS or OUTS stops in the middle as other string instructions do. A port may act on being read, so INS makes sure
 * of its destination first.
 */
#include "cpu/x86/emulate/emulate-internal.h"
#include "cpu/x86/system/system.h"

enum { ITERATIONS = 64 };

/* E4-E7 name the port in a byte, EC-EF and the string forms take DX. */
static uint32_t port_number(const struct emulation *e)
{
	return (e->insn->op & 0xf8) == 0xe0 ? e->insn->imm & 0xff : e->gpr[R_EDX] & 0xffff;
}

static unsigned port_size(const struct emulation *e)
{
	return e->insn->op & 1 ? e->insn->opsize : 1;
}

static bool permitted(struct emulation *e)
{
	struct cpu_fault fault;

	if (emulate_io_allowed(e))
		return true;
	if (!cpu_system(e->cpu))
		return emulate_privileged(e);
	return !system_port_allowed(e->cpu, port_number(e), port_size(e), &fault) || emulate_raise(e, &fault);
}

static void access_port(struct emulation *e, bool write, uint32_t *value)
{
	void *opaque;
	const struct cpu_ops *ops = cpu_ops(e->cpu, &opaque);

	ops->io(opaque, port_number(e), port_size(e), write, value);
}

bool emulate_port(struct emulation *e)
{
	bool write = e->insn->op & 2;
	uint32_t value;

	if (!permitted(e))
		return false;
	if (!cpu_system(e->cpu))
		return emulate_exit(e, EXIT_IO);
	value = write ? emulate_reg(e, R_EAX, port_size(e)) : 0;
	access_port(e, write, &value);
	if (!write)
		emulate_set_reg(e, R_EAX, port_size(e), value);
	return emulate_done(e);
}

/* One element of INS (to ES:EDI) or OUTS (from DS:ESI, or another segment). */
static bool transfer(struct emulation *e)
{
	const struct insn *in = e->insn;
	bool write = in->op & 2;
	unsigned reg = write ? R_ESI : R_EDI, size = port_size(e);
	uint32_t at = emulate_reg(e, reg, in->adsize), value = 0;

	if (write ? !emulate_load(e, in->seg, at, size, &value) : !emulate_probe_write(e, S_ES, at, size))
		return false;
	access_port(e, write, &value);
	if (!write && !emulate_store(e, S_ES, at, size, value))
		return false;
	emulate_set_reg(e, reg, in->adsize, at + (e->eflags & FLAG_DF ? -size : size));
	return true;
}

static bool transfer_all(struct emulation *e)
{
	unsigned adsize = e->insn->adsize, budget = e->eflags & FLAG_TF ? 1 : ITERATIONS;
	uint32_t count = emulate_reg(e, R_ECX, adsize);

	for (; count && budget; budget--) {
		if (!transfer(e))
			return false;
		emulate_set_reg(e, R_ECX, adsize, --count);
	}
	return count ? true : emulate_done(e);
}

/* Privilege comes before the count: REP INS with ECX = 0 faults too (hardware). */
bool emulate_port_string(struct emulation *e)
{
	bool repeated = e->insn->prefix & (PFX_REP | PFX_REPNE);

	if (!permitted(e))
		return false;
	if (!cpu_system(e->cpu)) {
		if (repeated && !emulate_reg(e, R_ECX, e->insn->adsize))
			return emulate_done(e);
		return emulate_exit(e, EXIT_IO);
	}
	if (repeated)
		return transfer_all(e);
	return transfer(e) && emulate_done(e);
}
