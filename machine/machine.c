/* SPDX-License-Identifier: MIT */
#include "machine/machine.h"

#include <stddef.h>
#include <string.h>

static const struct machine_ops *const machines[] = {&lguest_machine, &pc_machine};

enum { COUNT = sizeof(machines) / sizeof(machines[0]) };

bool machine_known(const char *name)
{
	for (size_t i = 0; i < COUNT; i++)
		if (!strcmp(name, machines[i]->name))
			return true;
	return !strcmp(name, "auto");
}

const struct machine_ops *machine_find(const char *name, const struct kernel *kernel, struct error *error)
{
	bool any = !strcmp(name, "auto");

	for (size_t i = 0; i < COUNT; i++)
		if ((any || !strcmp(name, machines[i]->name)) && !machines[i]->check_kernel(kernel, error))
			return machines[i];
	return NULL;
}
