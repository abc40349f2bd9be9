/* SPDX-License-Identifier: MIT */
#include "machine/processor.h"

#include <errno.h>

#include "host/message.h"

struct cpu *processor_create(const struct cpu_config *config, struct error *error)
{
	const char *sentence = "no reason given";
	struct cpu *cpu = cpu_create(config, &sentence);

	if (!cpu) {
		error_set(error, ENODEV, "cannot make a processor: %s", sentence);
		return NULL;
	}
	sentence = cpu_makes_do(cpu);
	if (sentence)
		message_warn("%s", sentence);
	cpu_fpu_release(cpu);
	return cpu;
}
