/* SPDX-License-Identifier: MIT */
/*
 * fake_cpu.h - a processor that runs nothing: cpu_run() asks the test what happened. Linear addresses are physical ones.
 */
#ifndef TESTS_MACHINE_FAKE_CPU_H
#define TESTS_MACHINE_FAKE_CPU_H

#include <stdatomic.h>

#include "cpu/x86/cpu.h"

struct cpu {
	uint32_t gpr[8], eip, eflags;
	struct segment segment[S_COUNT];
	struct cpu_ram ram;
	const struct cpu_ops *ops;
	void *opaque;
	struct cpu_exit exit;
	struct cpu_stats stats;
	struct cpu_system system;
	_Atomic bool kicked;

	/* What the machine told us. */
	bool ts, irq_pending, fpu_released;
	uint32_t linear, pgd, kernel_base;
	unsigned int pages, slots, users, alls, descriptors, dirties, frames, system_changes, trims;
	uint32_t page_pgd, page_address, slot_pgd, slot_index, descriptor, dirty_at, dirty_len;

	/* Addresses from here on cannot be written. */
	uint32_t limit;
	/* What cpu_run() returns; the default is a kick. */
	void (*step)(struct cpu *cpu);
};

#endif
