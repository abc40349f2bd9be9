/* SPDX-License-Identifier: MIT */
/*
 * pc.c - the PC: made, started, started again, taken down.
 */
#include "machine/pc/pc.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/loop/loop.h"
#include "machine/boot/params.h"
#include "machine/dump.h"
#include "machine/processor.h"

static struct pc *pc_of(struct machine *machine)
{
	return (struct pc *)machine;
}

/* A kernel can be many things that we cannot see; what we can see is where it wants to lie. */
static int check_kernel(const struct kernel *kernel, struct error *error)
{
	if (kernel->place.start >= HIGH_RAM)
		return 0;
	return error_set(error, ENOEXEC, "%s: has a segment at %#x, where a PC has no memory for kernels; they lie at 1M or above",
			 kernel->file.path, kernel->place.start);
}

static const struct cpu_ops processor_ops = {
	.cpuid = pc_cpuid,
	.io = pc_io,
	.msr = pc_msr,
	.interrupt = pc_interrupt,
};

static int create_cpu(struct pc *m, struct error *error)
{
	const struct cpu_config config = {
		.ram = m->ram, .ops = &processor_ops, .opaque = m, .system = true, .inspect = m->dump_fd >= 0 ? pc_inspect : NULL,
	};

	m->cpu = processor_create(&config, error);
	return m->cpu ? 0 : -ENODEV;
}

static int complete_command_line(struct pc *m, const char *line, struct error *error)
{
	m->command_line = pc_complete_command_line(line);
	if (!m->command_line)
		return error_set(error, ENOMEM, "no memory for a machine");
	return command_line_check(m->command_line, error);
}

static void destroy(struct machine *machine)
{
	struct pc *m = pc_of(machine);

	/* First, because devices use memory and kick the processor. */
	pc_bus_destroy(m);
	kick_timer_destroy(&m->timer);
	if (m->cpu)
		cpu_destroy(m->cpu);
	ram_destroy(&m->ram);
	if (m->dump_fd >= 0)
		close(m->dump_fd);
	free(m->command_line);
	free(m);
}

static struct machine *create(const struct machine_config *config, struct error *error)
{
	struct pc *m = calloc(1, sizeof(*m));
	int err;

	if (!m) {
		error_set(error, ENOMEM, "no memory for a machine");
		devices_refuse(&config->devices);
		return NULL;
	}
	m->machine.ops = &pc_machine;
	m->trace = config->trace;
	m->dump_fd = m->ram.fd = -1;
	m->armed = NEVER;
	m->kernel = config->kernel;
	m->initrd = config->initrd;
	m->thread = pthread_self();
	m->tsc_khz = clock_tsc_trust() != CLOCK_TSC_BAD ? clock_tsc_khz() : 0;
	m->tsc_constant = clock_tsc_trust() == CLOCK_TSC_CONSTANT;
	err = complete_command_line(m, config->command_line, error);
	if (!err && config->dump_code)
		err = dump_open(config->dump_code, &m->dump_fd, error);
	if (!err)
		err = ram_create(&m->ram, config->memory, 0, error);
	if (!err)
		err = create_cpu(m, error);
	if (!err)
		err = kick_timer_create(&m->timer, m->cpu, error);
	if (err)
		devices_refuse(&config->devices);
	else
		err = pc_bus_create(m, &config->devices, error);
	if (!err)
		err = pc_load(m, error);
	if (!err)
		return &m->machine;
	destroy(&m->machine);
	return NULL;
}

static int reset(struct machine *machine, struct error *error)
{
	struct pc *m = pc_of(machine);

	/* The loop's thread may be completing requests: stop the devices first, and keep it out until memory is new. */
	io_lock();
	pc_bus_restart(m);
	ram_clear(&m->ram);
	pc_bus_restart(m);
	io_unlock();
	cpu_dirty(m->cpu, 0, m->ram.pages * 4096);
	cpu_flush_all(m->cpu);
	return pc_load(m, error);
}

static enum machine_end run(struct machine *machine)
{
	struct pc *m = pc_of(machine);

	cpu_fpu_acquire(m->cpu);
	pc_loop(m);
	cpu_fpu_release(m->cpu);
	return m->end;
}

static void stop(struct machine *machine)
{
	struct pc *m = pc_of(machine);

	atomic_store(&m->stop, 1);
	pc_wake(m);
}

const struct machine_ops pc_machine = {
	.name = "pc",
	.check_kernel = check_kernel,
	.create = create,
	.reset = reset,
	.run = run,
	.stop = stop,
	.print_stats = pc_print_stats,
	.destroy = destroy,
};
