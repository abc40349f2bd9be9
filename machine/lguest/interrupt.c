/* SPDX-License-Identifier: MIT */
/*
 * interrupt.c - 32 lines into the guest.
 *
 * A line is a bit in m->pending, set from any thread. Whether the guest takes it depends on words in its own memory (irq_enabled,
 * blocked_interrupts) and on where it is (lguest-core, 6), and it changes those words without telling anyone: a plain store, or
 * an IRET. So delivery is tried whenever the guest has come to us anyway; where it fails although a bit is pending, the
 * processor is asked to look in, through lguest_interruptible(), while the guest goes on (lguest-pitfalls, C1). It does so at
 * indirect jumps and returns; for a guest that spins without any there is a timer besides.
 *
 * A bit that only blocked_interrupts keeps back is usually a device that spoke up again while its handler runs, and comes free
 * within microseconds; but the guest may also have switched that line off for good. So the processor looks in only so many
 * times, and after that we try again every few milliseconds.
 *
 * Sleeping: the processor's thread waits on m->bell, a futex. Whoever sets a bit rings it: first the bit, then the bell, then a
 * look at m->sleeping; the sleeper sets m->sleeping first and looks at the bits after it. With sequentially consistent accesses
 * one of the two sees the other (lguest-pitfalls, C4).
 */
#include "machine/lguest/lguest.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

enum {
	PATIENCE = 20000,		/* looks at a blocked line before we stop asking for them */
	BLOCKED_NS = 4 * 1000 * 1000,	/* how often to try then */
	WAITING_NS = 1000 * 1000,	/* how often to try when nobody looked */
};

static uint32_t candidates(const struct lguest *m)
{
	/* acquire: pairs with the release in lguest_raise(), after a device's last store to guest memory */
	return atomic_load_explicit(&m->pending, memory_order_acquire) & ~*m->shared.blocked;
}

/* From the store to irq_enabled up to the IRET that follows no frame may be pushed (lguest-pitfalls, C8). */
static bool in_quiet_window(const struct lguest *m)
{
	return cpu_eip(m->cpu) - m->shared.noirq_start < m->shared.noirq_length;
}

/* The original takes any non-zero word for "enabled"; the guest means bit 9 (lguest-pitfalls, C2). */
static bool enabled(const struct lguest *m)
{
	return *m->shared.irq_enabled & FLAG_IF;
}

static void set_waiting(struct lguest *m, bool waiting)
{
	if (m->waiting == waiting)
		return;
	m->waiting = waiting;
	cpu_set_irq_pending(m->cpu, waiting);
	if (waiting)
		lguest_clock_retry(m, WAITING_NS);
	else
		m->clock.retry = NEVER;
}

static void wait_for_unblocking(struct lguest *m, uint32_t masked)
{
	if (m->masked != masked) {
		m->masked = masked;
		m->masked_patience = PATIENCE;
	}
	set_waiting(m, m->masked_patience > 0);
	if (!m->masked_patience)
		lguest_clock_retry(m, BLOCKED_NS);
}

static void push_interrupt(struct lguest *m, uint32_t irq)
{
	atomic_fetch_and(&m->pending, ~(1u << irq));
	m->stats.interrupts++;
	if (unlikely(m->trace & TRACE_IRQ))
		lguest_tell_interrupt_cold(m, irq);
	if (!lguest_enter_gate(m, VECTOR_IRQ + irq, NULL))
		return;
	lguest_clock_tell(m);
}

void lguest_deliver(struct lguest *m)
{
	uint32_t pending = atomic_load_explicit(&m->pending, memory_order_acquire), ready, irq;

	if (!pending || !m->initialised) {
		set_waiting(m, false);
		return;
	}
	ready = pending & ~*m->shared.blocked;
	if (!ready) {
		wait_for_unblocking(m, pending);
		return;
	}
	m->masked = 0;
	if (in_quiet_window(m) && !m->halted) {
		set_waiting(m, true);
		return;
	}
	if (m->halted) {
		/* First of all, so that the frame has IF set and the idle loop goes on with interrupts on (C3). */
		*m->shared.irq_enabled = FLAG_IF;
		m->halted = false;
	} else if (!enabled(m)) {
		*m->shared.irq_pending = FLAG_IF;
		set_waiting(m, true);
		return;
	}
	irq = (uint32_t)__builtin_ctz(ready);
	if (!m->gate[VECTOR_IRQ + irq].present) {
		/* It stays pending (C5); the guest will set the gate with a call, and then we are here again. */
		set_waiting(m, false);
		return;
	}
	push_interrupt(m, irq);
	ready &= ~(1u << irq);
	*m->shared.irq_pending = ready ? FLAG_IF : 0;
	set_waiting(m, ready != 0);
}

bool lguest_interruptible(void *opaque)
{
	struct lguest *m = opaque;

	if (candidates(m))
		return enabled(m) && !in_quiet_window(m);
	if (m->masked_patience)
		m->masked_patience--;
	return !m->masked_patience;
}

static void futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, timeout, NULL, FUTEX_BITSET_MATCH_ANY);
}

void lguest_wake(struct lguest *m)
{
	atomic_fetch_add(&m->bell, 1);
	if (atomic_load(&m->sleeping))
		futex(&m->bell, FUTEX_WAKE_BITSET, 1, NULL);
	else
		cpu_kick(m->cpu);
}

void lguest_raise(struct lguest *m, unsigned int irq)
{
	uint32_t bit = 1u << (irq & 31);

	if (atomic_fetch_or(&m->pending, bit) & bit)
		return;
	/* The processor's own thread (a device that answers within a NOTIFY) looks at the bits before the guest goes on. */
	if (!pthread_equal(pthread_self(), m->thread))
		lguest_wake(m);
}

static void wait_for_bell(struct lguest *m, uint32_t seen)
{
	uint64_t until = m->clock.deadline;
	struct timespec at = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};

	futex(&m->bell, FUTEX_WAIT_BITSET, seen, until == NEVER ? NULL : &at);
}

void lguest_sleep(struct lguest *m)
{
	uint64_t from = lguest_now();

	atomic_store(&m->sleeping, 1);
	while (!atomic_load(&m->stop)) {
		uint32_t seen = atomic_load(&m->bell);

		lguest_clock_poll(m);
		if (m->initialised && candidates(m))
			break;
		wait_for_bell(m, seen);
	}
	atomic_store(&m->sleeping, 0);
	if (idle_note(&m->idle, from, lguest_now()))
		cpu_trim(m->cpu);
}
