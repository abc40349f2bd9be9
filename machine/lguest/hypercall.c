/* SPDX-License-Identifier: MIT */
/*
 * hypercall.c - what the guest asks for.
 *
 * INT 0x1f at ring 1 is a call: number in EAX, arguments in the registers the generation says; nothing is changed but memory
 * (lguest-core, 3). Queued calls go first, in order. Page-table calls are TLB invalidations and no more than that: the guest's
 * tables in memory are the truth, and were changed before the call (lguest-pitfalls, E1).
 */
#include "machine/lguest/lguest.h"

/* A 4-aligned word of guest memory, at an address that was checked. */
static uint32_t *word(struct lguest *m, uint32_t address)
{
	return (uint32_t *)(void *)(m->ram.base + address);
}

static void call_flush_async(struct lguest *m, const uint32_t a[4])
{
	/* The ring has been drained already. */
}

static void call_init(struct lguest *m, const uint32_t a[4])
{
	const struct lguest_abi *abi = m->abi;
	struct lguest_shared *s = &m->shared;
	uint32_t at = a[0];

	if (m->initialised) {
		lguest_kill(m, "LGUEST_INIT was called a second time");
		return;
	}
	if (!lguest_memory(m, at, abi->data.size) || at % 4) {
		lguest_kill(m, "lguest_data at %#x is outside memory or misaligned", at);
		return;
	}
	if (*word(m, at + abi->data.syscall_vec) != VECTOR_SYSCALL) {
		lguest_kill(m, "system-call vector %#x is not 0x80", *word(m, at + abi->data.syscall_vec));
		return;
	}
	s->irq_enabled = word(m, at + abi->data.irq_enabled);
	s->blocked = word(m, at + abi->data.blocked);
	s->cr2 = word(m, at + abi->data.cr2);
	s->time = word(m, at + abi->data.time);
	s->irq_pending = word(m, at + abi->data.irq_pending);
	s->slots = word(m, at + abi->data.slots);
	s->status = m->ram.base + at + abi->data.status;
	s->noirq_start = *word(m, at + abi->data.noirq_start);
	s->noirq_length = *word(m, at + abi->data.noirq_end) - s->noirq_start;
	/* The windows hold all of the guest's 4 GiB: nothing at the top needs to be kept free (lguest-pitfalls, E19). */
	*word(m, at + abi->data.reserve_mem) = 0;
	*word(m, at + abi->data.tsc_khz) = m->clock.tsc_khz;
	m->initialised = true;
	lguest_clock_tell(m);
	cpu_set_kernel_base(m->cpu, *word(m, at + abi->data.kernel_address));
	cpu_flush_all(m->cpu);
}

static void call_shutdown(struct lguest *m, const uint32_t a[4])
{
	lguest_end(m, a[1] == SHUTDOWN_RESTART ? MACHINE_RESTART : MACHINE_POWEROFF, a[0]);
}

/* A PAE kernel's table starts with four 8-byte entries whose only flag is "present" (lguest-core, 2.4). */
static bool looks_like_pae(const uint32_t *table)
{
	return (table[0] & 0xfff) == 1 && !table[1] && (table[6] & 0xfff) == 1 && !table[7];
}

static void call_new_pgtable(struct lguest *m, const uint32_t a[4])
{
	uint32_t pgd = a[0] & ~(uint32_t)(PAGE - 1);

	if (!lguest_memory(m, a[0], 32) || !lguest_memory(m, pgd, PAGE)) {
		lguest_kill(m, "page directory %#x is outside memory", a[0]);
		return;
	}
	if (unlikely(!m->paged)) {
		if (looks_like_pae(word(m, a[0] & ~31u))) {
			lguest_kill(m, "the kernel uses PAE; only kernels without CONFIG_X86_PAE can be run");
			return;
		}
		m->paged = true;
	}
	m->pgd = pgd;
	cpu_set_pgd(m->cpu, pgd);
}

static void call_flush_tlb(struct lguest *m, const uint32_t a[4])
{
	if (a[0])
		cpu_flush_all(m->cpu);
	else
		cpu_flush_user(m->cpu);
}

static void call_load_idt_entry(struct lguest *m, const uint32_t a[4])
{
	if (a[0] >= 256)
		lguest_kill(m, "vector %u does not exist", a[0]);
	else
		lguest_set_gate(m, a[0], a[1], a[2]);
}

static void call_set_stack(struct lguest *m, const uint32_t a[4])
{
	if ((a[0] & 3) != 1)
		lguest_kill(m, "stack selector %#x is not of ring 1", a[0]);
	else if (a[2] > 2)
		lguest_kill(m, "a kernel stack of %u pages", a[2]);
	m->stack_selector = a[0];
	m->stack_top = a[1];
}

static void call_ts(struct lguest *m, const uint32_t a[4])
{
	m->ts = a[0] != 0;
	cpu_set_ts(m->cpu, m->ts);
}

static void call_set_clockevent(struct lguest *m, const uint32_t a[4])
{
	lguest_clock_set(m, a[0]);
}

static void call_halt(struct lguest *m, const uint32_t a[4])
{
	m->stats.halts++;
	m->halted = true;
}

static void call_set_pte(struct lguest *m, const uint32_t a[4])
{
	cpu_flush_page(m->cpu, a[0], a[1]);
}

static void call_set_pgd(struct lguest *m, const uint32_t a[4])
{
	/* The original lets 1024 pass, too. */
	if (a[1] > 1024)
		lguest_kill(m, "page directory slot %u does not exist", a[1]);
	else if (a[1] < 1024)
		cpu_flush_pgd_slot(m->cpu, a[0], a[1]);
}

static void call_load_tls(struct lguest *m, const uint32_t a[4])
{
	const uint8_t *from = lguest_memory(m, a[0], 24);
	uint32_t d[6];

	if (!from) {
		lguest_kill(m, "thread descriptors at %#x are outside memory", a[0]);
		return;
	}
	__builtin_memcpy(d, from, sizeof(d));
	for (uint32_t i = 0; i < 3; i++)
		lguest_gdt_set(m, GDT_TLS + i, d[2 * i], d[2 * i + 1]);
}

static void call_notify(struct lguest *m, const uint32_t a[4])
{
	m->stats.notifies++;
	lguest_notify_cold(m, a[0]);
}

static void call_load_gdt_entry(struct lguest *m, const uint32_t a[4])
{
	if (a[0] >= GDT_ENTRIES)
		lguest_kill(m, "descriptor slot %u does not exist", a[0]);
	else
		lguest_gdt_set(m, a[0], a[1], a[2]);
}

static void call_send_interrupts(struct lguest *m, const uint32_t a[4])
{
	/* That it was a call is enough: interrupts are looked at before the guest goes on. */
}

static const struct lguest_call calls_2[CALL_LIMIT] = {
	[CALL_FLUSH_ASYNC] = {call_flush_async, "FLUSH_ASYNC", 0},
	[CALL_LGUEST_INIT] = {call_init, "LGUEST_INIT", 1},
	[CALL_SHUTDOWN] = {call_shutdown, "SHUTDOWN", 2},
	[CALL_NEW_PGTABLE] = {call_new_pgtable, "NEW_PGTABLE", 1},
	[CALL_FLUSH_TLB] = {call_flush_tlb, "FLUSH_TLB", 1},
	[CALL_LOAD_IDT_ENTRY] = {call_load_idt_entry, "LOAD_IDT_ENTRY", 3},
	[CALL_SET_STACK] = {call_set_stack, "SET_STACK", 3},
	[CALL_TS] = {call_ts, "TS", 1},
	[CALL_SET_CLOCKEVENT] = {call_set_clockevent, "SET_CLOCKEVENT", 1},
	[CALL_HALT] = {call_halt, "HALT", 0},
	[CALL_SET_PTE] = {call_set_pte, "SET_PTE", 3},
	[CALL_SET_PGD] = {call_set_pgd, "SET_PGD", 2},
	[CALL_LOAD_TLS] = {call_load_tls, "LOAD_TLS", 2},
	[CALL_NOTIFY] = {call_notify, "NOTIFY", 1},
	[CALL_LOAD_GDT_ENTRY] = {call_load_gdt_entry, "LOAD_GDT_ENTRY", 3},
	[CALL_SEND_INTERRUPTS] = {call_send_interrupts, "SEND_INTERRUPTS", 0},
};

const struct lguest_abi lguest_abi_2 = {
	.name = "2 (Linux 3.11 to 3.19)",
	.arg = {R_EBX, R_ECX, R_EDX, R_ESI},
	.slot_bytes = 20,
	.slot_arg = {4, 8, 12, 16},
	.data = {.irq_enabled = 0, .blocked = 4, .cr2 = 8, .time = 12, .irq_pending = 20, .status = 24, .slots = 88, .reserve_mem = 1368,
		 .tsc_khz = 1372, .noirq_start = 1376, .noirq_end = 1380, .kernel_address = 1384, .syscall_vec = 1388, .size = 1392},
	.calls = calls_2,
	.call_limit = CALL_LIMIT,
};

void lguest_run_call(struct lguest *m, uint32_t number, const uint32_t a[4], bool queued)
{
	const struct lguest_call *call;

	m->call_number = number;
	m->call_arg = a;
	m->call_queued = queued;
	if (unlikely(number >= m->abi->call_limit || !m->abi->calls[number].run)) {
		lguest_kill(m, "bad hypercall %u", number);
		goto out;
	}
	call = &m->abi->calls[number];
	if (unlikely(!m->initialised && call->run != call_init)) {
		lguest_kill(m, "the first hypercall must be LGUEST_INIT");
		goto out;
	}
	m->stats.hypercalls[number]++;
	if (unlikely(m->trace & TRACE_HYPERCALL))
		lguest_tell_call_cold(m);
	call->run(m, a);
out:
	m->call_arg = NULL;
}

void lguest_hypercall(struct lguest *m)
{
	const uint32_t *r = cpu_gpr(m->cpu);
	const uint8_t *arg = m->abi->arg;
	uint32_t number = r[R_EAX], a[4] = {r[arg[0]], r[arg[1]], r[arg[2]], r[arg[3]]};

	if (m->initialised)
		lguest_ring_drain(m);
	/* After a shutdown in the ring nothing more may run (lguest-pitfalls, J4). */
	if (!m->ended)
		lguest_run_call(m, number, a, false);
}
