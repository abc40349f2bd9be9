/* SPDX-License-Identifier: MIT */
/*
 * memory_limit.h - how much memory a control group leaves this process. Whoever uses more is killed, without a word.
 */
#ifndef KENNEL_HOST_MEMORY_LIMIT_H
#define KENNEL_HOST_MEMORY_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct memory_limit {
	uint64_t bytes;
	char file[512];		/* that says so */
};

/**
 * memory_limit_find - the lowest limit of our group and those around it, of either version of control groups
 * @root: what stands before /proc and /sys; "" but in tests.
 * Returns false if there is none, or none that can be seen.
 */
bool memory_limit_find(const char *root, struct memory_limit *limit);

#endif
