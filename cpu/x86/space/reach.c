/* SPDX-License-Identifier: MIT */
/* reach.c - choosing a way to the window. See reach.h. */
#include <string.h>

#include "cpu/x86/space/reach.h"

#include "cpu/x86/space/probe.h"
#include "cpu/x86/space/stand-in.h"

/* The best first: where GS is not kept for us, a register is quicker than a base that has to be written on each entry. */
static const struct reach *const ways[] = { &reach_gs, &reach_register, &reach_poison };

const struct reach *reach_choose(const char **error)
{
	const struct probe *probe = probe_host();
	char wanted[16];
	bool forced = probe_forced("window", wanted, sizeof(wanted));
	const char *stand_in = stand_in_here();

	if (stand_in) {
		*error = stand_in;
		return NULL;
	}

	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
		if (!forced || !strcmp(ways[i]->name, wanted))
			if (ways[i]->works(probe))
				return ways[i];
	*error = "KENNEL_HOST asks for a way to guest memory that this host does not have";
	return NULL;
}
