/* SPDX-License-Identifier: MIT */
/*
 * idle.h - has a guest slept nearly all of the last seconds? Then what is kept for its speed alone may be given back.
 */
#ifndef KENNEL_MACHINE_IDLE_H
#define KENNEL_MACHINE_IDLE_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: nothing is known yet. */
struct idle {
	uint64_t since;		/* the beginning of the stretch that is looked at, ns */
	uint64_t slept;		/* of it, ns */
};

#define IDLE_STRETCH UINT64_C(3000000000)	/* ns */

/** idle_note - the guest has slept @from one time to another (@until, both in ns). True once in a stretch of 3 s of which it slept 15/16. */
static inline bool idle_note(struct idle *idle, uint64_t from, uint64_t until)
{
	uint64_t stretch = until - idle->since;
	bool quiet;

	idle->slept += until - from;
	if (stretch < IDLE_STRETCH)
		return false;
	quiet = idle->slept >= stretch / 16 * 15;
	*idle = (struct idle){ .since = until };
	return quiet;
}

#endif
