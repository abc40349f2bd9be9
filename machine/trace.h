/* SPDX-License-Identifier: MIT */
/*
 * trace.h - what --trace can show. A machine keeps the set in one word and tests a bit where the event happens; with the bit
 * clear that test is all it costs.
 */
#ifndef KENNEL_MACHINE_TRACE_H
#define KENNEL_MACHINE_TRACE_H

#include <stdint.h>

#include "cpu/x86/cpu.h"
#include "host/error.h"

enum {
	TRACE_HYPERCALL = 1 << 0,	/* each hypercall with its arguments */
	TRACE_IRQ = 1 << 1,		/* interrupts raised and delivered */
	TRACE_FAULT = 1 << 2,		/* exceptions given to the guest */
	TRACE_UNDEFINED = 1 << 3,	/* instructions that raise #UD, with their bytes */
	TRACE_PRIVILEGED = 1 << 4,	/* instructions emulated for the guest's kernel */
	TRACE_NOTIFY = 1 << 5,		/* doorbells */
	TRACE_STATS = 1 << 6,		/* counters at the end */
	TRACE_IO = 1 << 7,		/* port accesses */
};

/** trace_parse - "hypercall,irq" or "all" into bits. 0, or a negative errno and a sentence that lists the names. */
int trace_parse(const char *list, uint32_t *bits, struct error *error);

/** trace_line - one line on stderr, "trace: " in front, in a single write. */
void trace_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** trace_cpu_stats - the processor's counters, for --trace stats */
void trace_cpu_stats(const struct cpu *cpu);

#endif
