/* SPDX-License-Identifier: MIT */
/*
 * loop.c - the loop around the processor.
 *
 * The processor delivers interrupts by itself; what it needs from us is the level of the controller's output. Lines change on this
 * thread within a port access, and on any other at any time. pc_io() looks at the output after each access; another thread wakes us
 * (pc_raised()), and we look in look_around(). So a line is never raised without somebody passing it on.
 *
 * Sleeping: the processor's thread waits on m->bell, a futex. Whoever has news rings it: first the news, then the bell, then a look at
 * m->sleeping; the sleeper sets m->sleeping first and looks for news after it. With sequentially consistent accesses one of the two
 * sees the other.
 *
 * The host's timer is set when the guest is about to run, or runs and has moved a deadline forward, and nothing would stop it in time;
 * it is never set back: a signal too early finds nothing due. A halted guest needs none, since its sleep has a deadline; the timer is
 * muted meanwhile, since it is mostly set to the same moment.
 */
#include "machine/pc/pc.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "host/clock.h"
#include "machine/dump.h"

/* Clocks and timers of the board are below this port: a write there may have moved a deadline. */
enum { TIMER_PORTS_END = 0x80 };

/* A deadline is noticed this late only if the host ran nothing of ours meanwhile: the process was stopped (SIGSTOP), or starved. */
#define PAUSE_NS UINT64_C(2000000000)

static uint64_t now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

void pc_end(struct pc *m, enum machine_end how)
{
	if (m->ended)
		return;
	m->ended = true;
	m->end = how;
	cpu_kick(m->cpu);
}

/* --- interrupts -------------------------------------------------------------------------------------------------------- */

static void update_irq(struct pc *m)
{
	bool pending = pic_pending(&m->board.pic);

	if (pending == m->irq)
		return;
	m->irq = pending;
	cpu_set_irq_pending(m->cpu, pending);
}

int pc_interrupt(void *opaque)
{
	struct pc *m = opaque;
	int vector = pic_pending(&m->board.pic) ? pic_acknowledge(&m->board.pic) : -1;

	update_irq(m);
	if (vector < 0)
		return vector;
	m->stats.interrupts[vector & 255]++;
	if (unlikely(m->trace & TRACE_IRQ))
		pc_tell_interrupt_cold(m, vector);
	return vector;
}

static void futex(_Atomic uint32_t *word, int op, uint32_t value, const struct timespec *timeout)
{
	syscall(SYS_futex, word, op | FUTEX_PRIVATE_FLAG, value, timeout, NULL, FUTEX_BITSET_MATCH_ANY);
}

void pc_wake(struct pc *m)
{
	atomic_fetch_add(&m->bell, 1);
	if (atomic_load(&m->sleeping))
		futex(&m->bell, FUTEX_WAKE_BITSET, 1, NULL);
	else
		cpu_kick(m->cpu);
}

void pc_raised(void *opaque)
{
	struct pc *m = opaque;

	/* The processor's own thread (a device that answers within a doorbell) looks at the output before the guest goes on. */
	if (!pthread_equal(pthread_self(), m->thread))
		pc_wake(m);
}

/* --- time -------------------------------------------------------------------------------------------------------------- */

static void arm(struct pc *m)
{
	uint64_t when = board_deadline(&m->board);

	if (when >= m->armed)
		return;
	m->armed = when;
	kick_timer_set(&m->timer, when);
}

static void poll_board(struct pc *m)
{
	uint64_t due = board_deadline(&m->board);

	if (due != NEVER && unlikely(now() > due + PAUSE_NS))
		pc_paused_cold(m);
	board_poll(&m->board);
}

static void look_around(struct pc *m)
{
	uint64_t at = now();

	if (m->armed != NEVER && m->armed <= at)
		m->armed = NEVER;
	if (unlikely(kvmclock_strays(&m->clock, clock_tsc(), clock_raw_ns())))
		pc_sync_cold(m);
	poll_board(m);
	update_irq(m);
	if (unlikely(atomic_load(&m->stop)) && !m->ended) {
		m->ended = true;
		m->end = MACHINE_STOPPED;
	}
}

static void wait_for_bell(struct pc *m, uint32_t seen)
{
	uint64_t until = board_deadline(&m->board);
	struct timespec at = {.tv_sec = (time_t)(until / 1000000000), .tv_nsec = (long)(until % 1000000000)};

	futex(&m->bell, FUTEX_WAIT_BITSET, seen, until == NEVER ? NULL : &at);
}

static void sleep_until_interrupt(struct pc *m)
{
	uint64_t from = now();

	kick_timer_mute(&m->timer, true);
	atomic_store(&m->sleeping, 1);
	while (!atomic_load(&m->stop)) {
		uint32_t seen = atomic_load(&m->bell);

		poll_board(m);
		if (pic_pending(&m->board.pic))
			break;
		wait_for_bell(m, seen);
	}
	atomic_store(&m->sleeping, 0);
	kick_timer_mute(&m->timer, false);
	look_around(m);
	if (idle_note(&m->idle, from, now()))
		cpu_trim(m->cpu);
}

/* --- the processor's questions ------------------------------------------------------------------------------------------ */

void pc_io(void *opaque, uint32_t port, unsigned int size, bool write, uint32_t *value)
{
	struct pc *m = opaque;

	if (write) {
		m->stats.out++;
		ports_out(&m->board.ports, (uint16_t)port, size, *value);
		if (port < TIMER_PORTS_END)
			arm(m);
	} else {
		m->stats.in++;
		*value = ports_in(&m->board.ports, (uint16_t)port, size);
	}
	update_irq(m);
	if (unlikely(m->trace & TRACE_IO))
		pc_tell_io_cold(m, port, size, write, *value);
}

/* Called with the guest's vector registers live. */
void pc_inspect(void *opaque, const uint8_t *code, uint32_t len, uint32_t address, uint32_t eip)
{
	struct pc *m = opaque;

	dump_block(m->dump_fd, cpu_stats(m->cpu)->flushes, code, len, address, eip);
}

/* --- the loop ----------------------------------------------------------------------------------------------------------- */

static void handle_exit(struct pc *m, const struct cpu_exit *exit)
{
	switch (exit->kind) {
	case EXIT_HALT:
		m->stats.halts++;
		if (cpu_eflags(m->cpu) & FLAG_IF)
			sleep_until_interrupt(m);
		else
			pc_end(m, MACHINE_HALTED);
		break;
	case EXIT_SHUTDOWN:
		pc_shutdown(m, exit);
		break;
	default:
		look_around(m);
		break;
	}
}

void pc_loop(struct pc *m)
{
	look_around(m);
	while (!m->ended) {
		arm(m);
		handle_exit(m, cpu_run(m->cpu));
	}
}
