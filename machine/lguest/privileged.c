/* SPDX-License-Identifier: MIT */
/*
 * privileged.c - instructions that the guest's kernel executes although ring 1 may not.
 *
 * Some come from code that runs before the guest has a gate for #GP (its unpacker, the microcode loader: lguest-pitfalls, A1 to
 * A4); those get harmless answers. Later, the ones for which the guest has no paravirtual replacement are emulated as well, and
 * the rest is a protection fault, which its exception tables know how to take (lguest-core, 12). Nothing of this is for ring 3.
 *
 * The instructions that user code may execute, and that would show it the host's tables (SGDT, SIDT, SLDT, STR, SMSW), end up
 * here too, at any privilege.
 */
#include "cpu/x86/emulate/emulate.h"
#include "machine/lguest/lguest.h"

enum {
	CR0_SHOWN = 0x8005003b,		/* PG AM WP NE ET TS MP PE, as Linux has it; TS is added or not */
	CR0_TS = 8,
	KEYBOARD_COMMAND = 0x64,	/* port; 0xfe pulses the reset line */
	PULSE_RESET = 0xfe,
};

static void skip(struct lguest *m, const struct cpu_exit *exit)
{
	cpu_set_eip(m->cpu, exit->eip + exit->insn->len);
}

static bool early(const struct lguest *m)
{
	return !m->gate[TRAP_GP].present;
}

/* Store @len bytes of @value where the instruction's r/m operand is. False: it faulted, and the guest has been told. */
static bool store_memory(struct lguest *m, const struct cpu_exit *exit, const void *value, uint32_t len)
{
	struct cpu_fault fault;

	if (!cpu_write(m->cpu, insn_address(m->cpu, exit->insn), value, len, cpu_cpl(m->cpu) == 3, &fault))
		return true;
	lguest_trap(m, fault.vector, &fault.error, fault.address);
	return false;
}

static void store_word(struct lguest *m, const struct cpu_exit *exit, uint32_t value)
{
	const struct insn *in = exit->insn;
	uint32_t *reg = &cpu_gpr(m->cpu)[in->rm];
	uint16_t low = (uint16_t)value;

	if (in->mem) {
		if (!store_memory(m, exit, &low, sizeof(low)))
			return;
	} else if (in->opsize == 2) {
		*reg = (*reg & 0xffff0000) | low;
	} else {
		*reg = value;
	}
	skip(m, exit);
}

static uint32_t cr0(const struct lguest *m)
{
	return (CR0_SHOWN & ~(uint32_t)CR0_TS) | (m->ts ? CR0_TS : 0);
}

/* SGDT, SIDT: a table nobody can reach, of the right size. */
static void store_table(struct lguest *m, const struct cpu_exit *exit, uint16_t limit)
{
	uint8_t image[6] = {(uint8_t)limit, (uint8_t)(limit >> 8)};

	if (store_memory(m, exit, image, sizeof(image)))
		skip(m, exit);
}

static void system_read(struct lguest *m, const struct cpu_exit *exit)
{
	const struct insn *in = exit->insn;

	if (in->op == 0 && in->reg <= 1)
		store_word(m, exit, 0);		/* SLDT, STR */
	else if (in->op == 1 && in->reg == 0 && in->mem)
		store_table(m, exit, GDT_ENTRIES * 8 - 1);
	else if (in->op == 1 && in->reg == 1 && in->mem)
		store_table(m, exit, 256 * 8 - 1);
	else if (in->op == 1 && in->reg == 4)
		store_word(m, exit, cr0(m));
	else
		lguest_trap(m, TRAP_UD, NULL, 0);
}

/* Every port reads as all ones and swallows what is written, but for the one that resets a PC (lguest-pitfalls, J2). */
static void in(struct lguest *m, const struct cpu_exit *exit)
{
	uint32_t *eax = &cpu_gpr(m->cpu)[R_EAX];

	if (!(exit->insn->op & 1))
		*eax |= 0xff;
	else if (exit->insn->opsize == 2)
		*eax |= 0xffff;
	else
		*eax = 0xffffffff;
	skip(m, exit);
}

static void out(struct lguest *m, const struct cpu_exit *exit)
{
	const uint32_t *r = cpu_gpr(m->cpu);
	uint32_t port = exit->insn->op & 8 ? r[R_EDX] & 0xffff : exit->insn->imm & 0xff;

	if (port == KEYBOARD_COMMAND && (r[R_EAX] & 0xff) == PULSE_RESET) {
		m->ended = true;
		m->end = MACHINE_RESTART;
		return;
	}
	skip(m, exit);
}

static void halt(struct lguest *m, const struct cpu_exit *exit)
{
	skip(m, exit);
	if (!m->initialised) {
		lguest_kill(m, "the kernel gave up before it was up (HLT at EIP %#x); its unpacker does that when it fails", exit->eip);
	} else if (*m->shared.irq_enabled & FLAG_IF) {
		m->halted = true;
	} else {
		m->ended = true;
		m->end = MACHINE_HALTED;
	}
}

static void mov_from_cr(struct lguest *m, const struct cpu_exit *exit)
{
	uint32_t value = 0;

	switch (exit->insn->reg) {
	case 0:
		value = cr0(m);
		break;
	case 2:
		value = m->initialised ? *m->shared.cr2 : 0;
		break;
	case 3:
		value = m->pgd;
		break;
	}
	cpu_gpr(m->cpu)[exit->insn->rm] = value;
	skip(m, exit);
}

static void mov_from_dr(struct lguest *m, const struct cpu_exit *exit)
{
	uint32_t value = 0;

	/* Without the single-step bit there the guest takes its own debugger's step for somebody else's (F10). */
	if (exit->insn->reg == 4 || exit->insn->reg == 6)
		value = m->dr6;
	else if (exit->insn->reg == 5 || exit->insn->reg == 7)
		value = 0x400;
	cpu_gpr(m->cpu)[exit->insn->rm] = value;
	skip(m, exit);
}

static void mov_to_dr(struct lguest *m, const struct cpu_exit *exit)
{
	if (exit->insn->reg == 4 || exit->insn->reg == 6)
		m->dr6 = cpu_gpr(m->cpu)[exit->insn->rm] | DR6_NOTHING;
	skip(m, exit);
}

static void mov_to_cr(struct lguest *m, const struct cpu_exit *exit)
{
	/* The guest drops its own writes to CR4; CR0 and CR3 go by hypercall, so a real one is a mistake it should hear of. */
	if (early(m) || exit->insn->reg == 4)
		skip(m, exit);
	else
		lguest_protection_fault(m, 0);
}

static void model_specific(struct lguest *m, const struct cpu_exit *exit)
{
	uint32_t *r = cpu_gpr(m->cpu);

	if (!early(m)) {
		lguest_protection_fault(m, 0);
		return;
	}
	if (exit->insn->op == 0x32)
		r[R_EAX] = r[R_EDX] = 0;
	skip(m, exit);
}

static void flush_page(struct lguest *m, const struct cpu_exit *exit)
{
	cpu_flush_page(m->cpu, m->pgd, insn_address(m->cpu, exit->insn));
	skip(m, exit);
}

static void other(struct lguest *m, const struct cpu_exit *exit)
{
	if (early(m))
		skip(m, exit);
	else
		lguest_protection_fault(m, 0);
}

static void privileged(struct lguest *m, const struct cpu_exit *exit)
{
	const struct insn *insn = exit->insn;

	switch (insn->op) {
	case 0x01:
		if (insn->reg == 7 && insn->mem)
			flush_page(m, exit);
		else
			other(m, exit);
		break;
	case 0x08:	/* INVD */
	case 0x09:	/* WBINVD */
		skip(m, exit);
		break;
	case 0x20:
		mov_from_cr(m, exit);
		break;
	case 0x21:
		mov_from_dr(m, exit);
		break;
	case 0x22:
		mov_to_cr(m, exit);
		break;
	case 0x23:
		mov_to_dr(m, exit);
		break;
	case 0x30:	/* WRMSR */
	case 0x32:	/* RDMSR */
		model_specific(m, exit);
		break;
	default:
		other(m, exit);
	}
}

void lguest_privileged(struct lguest *m, const struct cpu_exit *exit)
{
	m->stats.privileged++;
	if (unlikely(m->trace & TRACE_PRIVILEGED))
		lguest_tell_privileged_cold(m, exit->insn, exit->eip);
	if (exit->insn->action == ACT_SYSTEM_READ) {
		system_read(m, exit);
		return;
	}
	if (cpu_cpl(m->cpu) == 3) {
		lguest_protection_fault(m, 0);
		return;
	}
	switch (exit->insn->action) {
	case ACT_IN:
		in(m, exit);
		break;
	case ACT_OUT:
		out(m, exit);
		break;
	case ACT_CLI:
	case ACT_STI:
		skip(m, exit);
		break;
	case ACT_HLT:
		halt(m, exit);
		break;
	case ACT_PRIVILEGED:
		privileged(m, exit);
		break;
	default:
		other(m, exit);
	}
}
