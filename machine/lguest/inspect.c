/* SPDX-License-Identifier: MIT */
/* inspect.c - translated code, block by block, to the file of --dump-code. */
#include "machine/lguest/lguest.h"

#include "machine/dump.h"

/* Called with the guest's vector registers live. */
void lguest_inspect(void *opaque, const uint8_t *code, uint32_t len, uint32_t address, uint32_t eip)
{
	struct lguest *m = opaque;

	dump_block(m->dump_fd, cpu_stats(m->cpu)->flushes, code, len, address, eip);
}
