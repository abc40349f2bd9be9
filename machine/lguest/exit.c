/* SPDX-License-Identifier: MIT */
/*
 * exit.c - the loop around the processor: run the guest, see why it stopped, put that right, go on.
 */
#include "machine/lguest/lguest.h"

static void look_around(struct lguest *m)
{
	lguest_clock_poll(m);
	if (atomic_load(&m->stop) && !m->ended) {
		m->ended = true;
		m->end = MACHINE_STOPPED;
	}
}

void lguest_handle_exit(struct lguest *m, const struct cpu_exit *exit)
{
	switch (exit->kind) {
	case EXIT_INT:
		/* Only ring 1 may make hypercalls (lguest-pitfalls, C15). */
		if (exit->vector == VECTOR_HYPERCALL && cpu_cpl(m->cpu) == 1)
			lguest_hypercall(m);
		else
			lguest_int(m, exit->vector, exit->eip);
		break;
	case EXIT_FAULT:
		lguest_trap(m, exit->vector, &exit->error, exit->address);
		break;
	case EXIT_PRIVILEGED:
	case EXIT_IO:
		lguest_privileged(m, exit);
		break;
	case EXIT_HALT:
		m->halted = true;
		break;
	case EXIT_KICK:
		look_around(m);
		break;
	case EXIT_NONE:
	case EXIT_SHUTDOWN:
		break;
	}
}

void lguest_loop(struct lguest *m)
{
	look_around(m);
	while (!m->ended) {
		if (atomic_load_explicit(&m->pending, memory_order_relaxed) || m->waiting) {
			lguest_deliver(m);
			if (m->ended)
				break;
		}
		if (m->halted) {
			lguest_sleep(m);
			look_around(m);
			continue;
		}
		if (m->clock.deadline < m->clock.armed || m->clock.retry < m->clock.armed)
			lguest_clock_arm(m);
		lguest_handle_exit(m, cpu_run(m->cpu));
	}
}
