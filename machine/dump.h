/* SPDX-License-Identifier: MIT */
#ifndef KENNEL_MACHINE_DUMP_H
#define KENNEL_MACHINE_DUMP_H

#include <stdint.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "host/error.h"

/** dump_open - create the file for --dump-code. Returns 0 and *@fd, or a negative errno and a sentence. */
int dump_open(const char *path, int *fd, struct error *error);

/**
 * dump_block - write one block of translated code to it (docs/isolation.md has the format)
 * May run with the guest's vector registers live. A full disk cuts the dump short, and the checker says so.
 */
static inline void dump_block(int fd, uint64_t flushes, const uint8_t *code, uint32_t len, uint32_t address, uint32_t eip)
{
	uint32_t head[4] = {address, len, eip, (uint32_t)flushes};
	struct iovec parts[2] = {{head, sizeof(head)}, {(void *)code, len}};

	syscall(SYS_writev, fd, parts, 2);
}

#endif
