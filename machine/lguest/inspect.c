/* SPDX-License-Identifier: MIT */
/* inspect.c - translated code, block by block, to the file of --dump-code. docs/isolation.md has the format. */
#include "machine/lguest/lguest.h"

#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

/* Called with the guest's vector registers live. A full disk cuts the dump short, and the checker says so. */
void lguest_inspect(void *opaque, const uint8_t *code, uint32_t len, uint32_t address, uint32_t eip)
{
	struct lguest *m = opaque;
	uint32_t head[4] = {address, len, eip, (uint32_t)cpu_stats(m->cpu)->flushes};
	struct iovec parts[2] = {{head, sizeof(head)}, {(void *)code, len}};

	syscall(SYS_writev, m->dump_fd, parts, 2);
}
