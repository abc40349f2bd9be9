/* SPDX-License-Identifier: MIT */
#include "machine/trace.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct {
	const char *name;
	uint32_t bit;
} names[] = {
	{"hypercall", TRACE_HYPERCALL}, {"irq", TRACE_IRQ},       {"fault", TRACE_FAULT}, {"undefined", TRACE_UNDEFINED},
	{"privileged", TRACE_PRIVILEGED}, {"notify", TRACE_NOTIFY}, {"stats", TRACE_STATS},
	{"io", TRACE_IO},         {"all", ~0u},
};

int trace_parse(const char *list, uint32_t *bits, struct error *error)
{
	*bits = 0;
	while (*list) {
		size_t len = strcspn(list, ","), i;

		for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			if (strlen(names[i].name) == len && !strncmp(list, names[i].name, len))
				break;
		if (i == sizeof(names) / sizeof(names[0]))
			return error_set(error, EINVAL, "--trace: there is no \"%.*s\"; choose from hypercall, irq, fault, undefined, "
					 "privileged, notify, io, stats, all", (int)len, list);
		*bits |= names[i].bit;
		list += len;
		list += *list == ',';
	}
	return 0;
}

void trace_line(const char *format, ...)
{
	char line[256] = "trace: ";
	size_t start = strlen(line), len;
	va_list args;
	int n;

	va_start(args, format);
	n = vsnprintf(line + start, sizeof(line) - start - 1, format, args);
	va_end(args);
	len = start + (n < 0 ? 0 : (size_t)n);
	if (len > sizeof(line) - 2)
		len = sizeof(line) - 2;
	line[len++] = '\n';
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

void trace_cpu_stats(const struct cpu *cpu)
{
	const struct cpu_stats *c = cpu_stats(cpu);
	char host[200];

	cpu_host_line(host, sizeof(host));
	trace_line("stats: %s", host);

	trace_line("stats: cpu exits %" PRIu64 ", kicks %" PRIu64 ", jump misses %" PRIu64 ", emulated %" PRIu64, c->exits, c->kicks,
		   c->misses, c->emulated);
	trace_line("stats: blocks %" PRIu64 ", guest bytes %" PRIu64 ", host bytes %" PRIu64 ", flushes %" PRIu64 ", rewritten %" PRIu64,
		   c->blocks, c->block_bytes, c->host_bytes, c->flushes, c->smc);
	trace_line("stats: host faults %" PRIu64 ", guest faults %" PRIu64 ", maps %" PRIu64 ", unmaps %" PRIu64 ", slots reused %" PRIu64
		   ", not cold any more %" PRIu64 ", GS repairs %" PRIu64, c->host_faults, c->guest_faults, c->maps, c->unmaps, c->slot_reuse, c->warmed, c->repairs);
}
