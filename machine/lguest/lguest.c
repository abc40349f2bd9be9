/* SPDX-License-Identifier: MIT */
/*
 * lguest.c - the lguest machine: made, started, started again, taken down.
 */
#include "machine/lguest/lguest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/clock.h"
#include "host/loop/loop.h"
#include "machine/boot/params.h"
#include "machine/dump.h"
#include "machine/processor.h"

static struct lguest *lguest_of(struct machine *machine)
{
	return (struct lguest *)machine;
}

/* Every kernel with lguest support has the name of its paravirtual interface in it. */
static int check_kernel(const struct kernel *kernel, struct error *error)
{
	static const char name[] = "lguest";

	if (kernel_contains(kernel, name, sizeof(name)))
		return 0;
	return error_set(error, ENOEXEC, "%s: has no lguest guest support (CONFIG_LGUEST_GUEST, Linux 3.11 to 3.19)%s%s%s", kernel->file.path,
			 *kernel->version ? "; it is Linux " : "", kernel->version, "");
}

/*
 * A kernel without CONFIG_HIGHMEM cuts memory where its own address space ends, looks for its devices there, and finds none
 * (lguest-pitfalls, B1). Only such a kernel has this message in it.
 */
static int check_memory(const struct kernel *kernel, uint64_t memory, struct error *error)
{
	static const char no_highmem[] = "on non-highmem kernel!";
	/* Of what is above PAGE_OFFSET, 128 MiB are for vmalloc, and some for fixed mappings. */
	uint32_t limit = 0u - kernel->place.page_offset - (144u << 20);

	if (memory <= limit || !kernel->elf || !kernel_contains(kernel, no_highmem, sizeof(no_highmem) - 1))
		return 0;
	return error_set(error, EINVAL, "%s: too much memory: this kernel has no CONFIG_HIGHMEM and finds its devices only with at most %uM "
			 "(see --memory)", kernel->file.path, limit >> 20);
}

static void on_broken(void *opaque, const char *what, uint32_t value)
{
	lguest_kill(opaque, "%s (%#x) at EIP %#x", what, value, lguest_eip(opaque));
}

static const struct cpu_ops processor_ops = {
	.descriptor = lguest_descriptor,
	.interruptible = lguest_interruptible,
	.cpuid = lguest_cpuid,
	.broken = on_broken,
};

/* lguest-core, 2.1 */
static void set_registers(struct lguest *m)
{
	static const struct segment null = {0};
	struct segment code = {.sel = KERNEL_CS, .limit = 0xffffffff, .attr = 0x00c0bb00};
	struct segment data = {.sel = KERNEL_DS, .limit = 0xffffffff, .attr = 0x00c0b300};

	memset(cpu_gpr(m->cpu), 0, 8 * sizeof(uint32_t));
	cpu_gpr(m->cpu)[R_ESI] = BOOT_PARAMS;
	cpu_set_eip(m->cpu, m->kernel->place.entry);
	cpu_set_segment(m->cpu, S_CS, &code);
	cpu_set_segment(m->cpu, S_SS, &data);
	cpu_set_segment(m->cpu, S_DS, &data);
	cpu_set_segment(m->cpu, S_ES, &data);
	cpu_set_segment(m->cpu, S_FS, &null);
	cpu_set_segment(m->cpu, S_GS, &null);
	cpu_set_eflags(m->cpu, 0x202);
}

static void set_machine(struct lguest *m)
{
	memset(&m->shared, 0, sizeof(m->shared));
	memset(m->gate, 0, sizeof(m->gate));
	lguest_gdt_reset(m);
	m->initialised = m->paged = m->halted = m->ended = m->ts = false;
	m->ring_next = m->stack_selector = m->stack_top = m->pgd = 0;
	m->dr6 = DR6_NOTHING;
	m->clock.deadline = m->clock.retry = NEVER;
	m->call_arg = NULL;
	m->machine.last_words.text[0] = 0;
	atomic_store(&m->pending, 0);
}

/* Memory is zero but for what the bus put above it. */
static int load(struct lguest *m, struct error *error)
{
	struct boot_params params = {.kernel = m->kernel, .initrd = m->initrd, .command_line = m->command_line,
				     .subarch = SUBARCH_LGUEST, .page = BOOT_PARAMS};
	int err = kernel_load(m->kernel, m->ram.base, m->ram_bytes, error);

	if (!err)
		err = boot_params_write(&params, m->ram.base, m->ram_bytes, error);
	if (err)
		return err;
	set_machine(m);
	cpu_set_linear(m->cpu, m->ram_bytes);
	cpu_set_ts(m->cpu, false);
	set_registers(m);
	return 0;
}

static int create_cpu(struct lguest *m, struct error *error)
{
	struct cpu_config config = {.ram = m->ram, .ops = &processor_ops, .opaque = m, .inspect = m->dump_fd >= 0 ? lguest_inspect : NULL};

	m->cpu = processor_create(&config, error);
	return m->cpu ? 0 : -ENODEV;
}

static void destroy(struct machine *machine)
{
	struct lguest *m = lguest_of(machine);

	/* First, because devices use memory and kick the processor. */
	lguest_bus_destroy(m);
	kick_timer_destroy(&m->clock.timer);
	if (m->cpu)
		cpu_destroy(m->cpu);
	ram_destroy(&m->ram);
	if (m->dump_fd >= 0)
		close(m->dump_fd);
	free(m);
}

static struct machine *create(const struct machine_config *config, struct error *error)
{
	struct lguest *m = calloc(1, sizeof(*m));
	int err;

	if (!m) {
		error_set(error, ENOMEM, "no memory for a machine");
		devices_refuse(&config->devices);
		return NULL;
	}
	m->machine.ops = &lguest_machine;
	m->abi = &lguest_abi_2;
	m->trace = config->trace;
	m->dump_fd = -1;
	m->kernel = config->kernel;
	m->initrd = config->initrd;
	m->command_line = config->command_line;
	m->thread = pthread_self();
	m->ram.fd = -1;
	m->ram_bytes = (uint32_t)config->memory;
	m->clock.deadline = m->clock.retry = m->clock.armed = NEVER;
	m->clock.tsc_khz = clock_tsc_trust() == CLOCK_TSC_CONSTANT ? clock_tsc_khz() : 0;
	err = command_line_check_memory(config->command_line, error);
	if (!err && config->dump_code)
		err = dump_open(config->dump_code, &m->dump_fd, error);
	if (!err)
		err = check_memory(config->kernel, config->memory, error);
	if (!err)
		err = ram_create(&m->ram, config->memory, LGUEST_PAGE_SPACE, error);
	if (!err)
		err = create_cpu(m, error);
	if (!err)
		err = load(m, error);
	if (!err)
		err = kick_timer_create(&m->clock.timer, m->cpu, error);
	if (err)
		devices_refuse(&config->devices);
	else
		err = lguest_bus_create(m, &config->devices, error);
	if (!err)
		return &m->machine;
	destroy(&m->machine);
	return NULL;
}

static int reset(struct machine *machine, struct error *error)
{
	struct lguest *m = lguest_of(machine);

	/* The loop's thread may be completing requests: stop the devices first, and keep it out until memory is new. */
	io_lock();
	lguest_bus_restart(m);
	ram_clear(&m->ram);
	lguest_bus_restart(m);
	io_unlock();
	cpu_dirty(m->cpu, 0, m->ram.pages * PAGE);
	cpu_flush_all(m->cpu);
	return load(m, error);
}

static enum machine_end run(struct machine *machine)
{
	struct lguest *m = lguest_of(machine);

	cpu_fpu_acquire(m->cpu);
	lguest_loop(m);
	cpu_fpu_release(m->cpu);
	return m->end;
}

static void stop(struct machine *machine)
{
	struct lguest *m = lguest_of(machine);

	atomic_store(&m->stop, 1);
	lguest_wake(m);
}

const struct machine_ops lguest_machine = {
	.name = "lguest",
	.check_kernel = check_kernel,
	.create = create,
	.reset = reset,
	.run = run,
	.stop = stop,
	.print_stats = lguest_print_stats,
	.destroy = destroy,
};
