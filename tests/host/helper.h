/* SPDX-License-Identifier: MIT */
/* helper.h - what the tests of host/ share: cmocka, and waiting for something to become true. */
#ifndef TESTS_HOST_HELPER_H
#define TESTS_HOST_HELPER_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <time.h>

#include "host/clock.h"
#include "host/loop/loop.h"

/* Wait until @condition holds, at most ten seconds (a loaded machine is slow). */
#define wait_until(condition) do {								\
		uint64_t deadline_ = clock_monotonic_ns() + 10 * NSEC_PER_SEC;			\
		while (!(condition)) {								\
			struct timespec nap_ = { 0, 200000 };					\
			if (clock_monotonic_ns() > deadline_)					\
				fail_msg("never came: %s", #condition);				\
			nanosleep(&nap_, NULL);							\
		}										\
	} while (0)

/* The same for a loop without a thread: run it until @condition holds. */
#define run_until(loop, condition) do {								\
		uint64_t deadline_ = clock_monotonic_ns() + 10 * NSEC_PER_SEC;			\
		while (!(condition)) {								\
			if (clock_monotonic_ns() > deadline_)					\
				fail_msg("never came: %s", #condition);				\
			loop_run_once(loop, 20);						\
		}										\
	} while (0)

static inline struct loop *new_loop(void)
{
	struct error err;
	struct loop *loop = loop_create(&err);

	if (!loop)
		fail_msg("%s", err.text);
	return loop;
}

#endif
