/* SPDX-License-Identifier: MIT */
/* touch.h - what is at a host address, and may it be written? The kernel is asked, so it takes no signal to find out. */
#ifndef KENNEL_TESTS_CPU_X86_SPACE_TOUCH_H
#define KENNEL_TESTS_CPU_X86_SPACE_TOUCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>
#include <unistd.h>

static inline bool readable(const uint8_t *at, uint32_t *value)
{
	struct iovec to = { value, 4 }, from = { (void *)(uintptr_t)at, 4 };

	return process_vm_readv(getpid(), &to, 1, &from, 1, 0) == 4;
}

/* By writing @value. */
static inline bool writable(const uint8_t *at, uint32_t value)
{
	struct iovec from = { &value, 4 }, to = { (void *)(uintptr_t)at, 4 };

	return process_vm_writev(getpid(), &from, 1, &to, 1, 0) == 4;
}

#endif
