/* SPDX-License-Identifier: MIT */
/*
 * cost.h - what faults and mappings cost on this host, and what follows from that.
 *
 * Between hosts these costs differ by a factor of thirty: on bare metal a page that is missing from a window costs two microseconds
 * and taking one away half of one; in a virtual machine whose page tables are shadowed it is 28 and 25, and a system call for one
 * page costs as much as for a hundred. So they are measured when the first processor is made, and the numbers that window.h and soft.h
 * weigh against each other are made from them.
 */
#ifndef KENNEL_CPU_X86_SPACE_COST_H
#define KENNEL_CPU_X86_SPACE_COST_H

#include <stdbool.h>
#include <stdint.h>

enum { WARM_PIECE = 256 /* pages */ };

struct cost {
	/* Measured, in ns. */
	uint32_t signal;	/* SIGSEGV and back */
	uint32_t map;		/* one page of a file into a window, and the first access to it */
	uint32_t touch;		/* of that, the first access */
	uint32_t take;		/* mprotect() that takes access to a page away which has been used */

	/* Decided. */
	unsigned check_after;	/* faults until an instruction is checked (soft.h) */
	unsigned worth_it;	/* faults that a checked instruction must save between two ticks that meet it */
	uint32_t page;		/* what a page in a window costs, from its fault to its end, in ns */
	bool cold_start;	/* an address space is to earn its windows (slot.h) */
	bool pieces;		/* the host is to map memory in pieces, not page by page (warm.h) */
	unsigned bridge;	/* pages that may be hidden along with two others so that these are taken away by one call, not two */
};

/** cost_of_host - looked for at the first call, in less than 2 ms. KENNEL_HOST may say costs=cheap or costs=dear instead (probe.h). */
const struct cost *cost_of_host(void);

#endif
