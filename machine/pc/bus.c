/* SPDX-License-Identifier: MIT */
/*
 * bus.c - what is plugged into the board: the terminal, the PCI bus with the virtio devices, the clock of the hypervisor.
 *
 * Ports are dispatched by ports.c. Chips that only look after themselves answer at once; devices, and whatever else calls libc or takes
 * a lock, are cold: on the way there the guest's floating point registers are put aside and the I/O lock is taken.
 */
#include <errno.h>
#include <string.h>

#include "host/clock.h"
#include "host/loop/loop.h"
#include "machine/balloon.h"
#include "machine/pc/acpi_tables.h"
#include "machine/pc/pc.h"

static void enter_cold(void *opaque)
{
	struct pc *m = opaque;

	cpu_fpu_release(m->cpu);
	io_lock();
}

static void leave_cold(void *opaque)
{
	struct pc *m = opaque;

	io_unlock();
	cpu_fpu_acquire(m->cpu);
}

/* --- the clock ----------------------------------------------------------------------------------------------------------- */

static uint64_t counter(void *opaque)
{
	return clock_tsc();
}

static uint64_t raw(void *opaque)
{
	return clock_raw_ns();
}

static uint64_t realtime(void *opaque)
{
	return clock_realtime_ns();
}

bool pc_clock_cpuid_cold(struct pc *m, uint32_t leaf, uint32_t regs[4])
{
	bool known;

	cpu_fpu_release(m->cpu);
	known = kvmclock_cpuid(&m->clock, leaf, regs);
	cpu_fpu_acquire(m->cpu);
	return known;
}

bool pc_clock_cold(struct pc *m, uint32_t msr, bool write, uint64_t *value)
{
	bool known;

	cpu_fpu_release(m->cpu);
	known = write ? kvmclock_write(&m->clock, msr, *value) : kvmclock_read(&m->clock, msr, value);
	cpu_fpu_acquire(m->cpu);
	return known;
}

void pc_sync_cold(struct pc *m)
{
	cpu_fpu_release(m->cpu);
	kvmclock_sync(&m->clock);
	cpu_fpu_acquire(m->cpu);
}

void pc_paused_cold(struct pc *m)
{
	cpu_fpu_release(m->cpu);
	kvmclock_paused(&m->clock);
	cpu_fpu_acquire(m->cpu);
}

/* --- how a run ends -------------------------------------------------------------------------------------------------------- */

/*
 * A kernel that has panicked asks for a reset, because load.c told it to. What it said meanwhile tells that from a reboot. Called with
 * the guest's registers live or not: pc_end() does not mind.
 */
static void ended(void *opaque, enum board_end how)
{
	struct pc *m = opaque;
	const char *panic = m->console ? pc_console_panic(m->console) : NULL;

	if (how == BOARD_POWER_OFF)
		pc_end(m, MACHINE_POWEROFF);
	else if (panic)
		pc_crash(m, panic);
	else
		pc_end(m, MACHINE_RESTART);
}

/* --- devices --------------------------------------------------------------------------------------------------------------- */

static void line_changed(void *opaque, unsigned int line, bool high)
{
	struct pc *m = opaque;

	pic_set_irq(&m->board.pic, line, high);
}

/* A device is about to write: what was translated from there must go, on whichever thread we are. */
static void dirty(void *opaque, uint64_t gpa, uint64_t len)
{
	struct pc *m = opaque;

	cpu_warm(m->cpu, (uint32_t)gpa, (uint32_t)len);
	cpu_dirty(m->cpu, (uint32_t)gpa, (uint32_t)len);
}

static void complain(void *opaque, const struct virtio_dev *dev, const char *reason)
{
	struct pc *m = opaque;

	devices_complain(&m->devices, dev, reason);
}

static int attach(void *opaque, struct virtio_dev *dev, const char **reason)
{
	struct pc *m = opaque;
	struct virtio_pci *function = &m->functions[m->function_count++];
	int err = virtio_pci_init(function, dev, VIRTIO_PCI_TRANSITIONAL, &m->mem, reason);

	if (err)
		return err;
	function->complain = complain;
	function->opaque = m;
	return pci_bus_add(&m->pci, &function->pci, reason);
}

static int create_board(struct pc *m, struct error *error)
{
	const struct board_config config = {
		.memory = (uint64_t)m->ram.pages * 4096,
		.serial = m->console ? pc_console_serial(m->console) : NULL,
		.level_lines = pci_bus_lines(),
		.wake = pc_raised,
		.ended = ended,
		.enter_cold = enter_cold,
		.leave_cold = leave_cold,
		.opaque = m,
	};
	int err = board_init(&m->board, &config);

	if (!err)
		err = pci_bus_init(&m->pci, &m->board.ports, line_changed, m);
	return err ? error_errno(error, -err, "cannot put the board together") : 0;
}

int pc_bus_create(struct pc *m, const struct machine_devices *config, struct error *error)
{
	bool virtio_console = config->console && pc_console_wants_virtio(m->command_line);
	struct machine_devices devices = *config;
	int err;

	m->mem = (struct virtio_mem){.base = m->ram.base, .size = (uint64_t)m->ram.pages * 4096, .dirty = dirty, .opaque = m};
	kvmclock_init(&m->clock, &m->mem, m->tsc_khz, counter, raw, realtime, m);
	io_lock();
	if (config->console)
		m->console = pc_console_create(config->console, virtio_console);
	if (m->console)
		devices.console = virtio_console ? pc_console_virtio(m->console) : NULL;
	err = config->console && !m->console ? error_set(error, ENOMEM, "no memory for a console") : create_board(m, error);
	devices.balloon = balloon_create(&m->ram);
	if (err)
		devices_refuse(&devices);
	else
		err = devices_create(&m->devices, &devices, attach, m, error);
	io_unlock();
	return err;
}

/* Slot 0 is the bridge's. */
int pc_bus_describe(struct pc *m, struct error *error)
{
	struct acpi_board board = {.serial = m->console, .timer = !m->tsc_khz};

	for (unsigned int slot = 1; slot <= m->function_count; slot++)
		board.pci_line[slot] = (uint8_t)pci_bus_line(slot);
	if (acpi_tables_write(m->ram.base + ACPI_TABLES_START, ACPI_TABLES_START, ACPI_TABLES_END - ACPI_TABLES_START, &board) < 0)
		return error_set(error, ENOSPC, "no room for the ACPI tables");
	return 0;
}

void pc_bus_restart(struct pc *m)
{
	pci_bus_restart(&m->pci);
	board_reset(&m->board);
	kvmclock_reset(&m->clock);
	if (m->console)
		pc_console_forget(m->console);
}

void pc_bus_destroy(struct pc *m)
{
	io_lock();
	devices_destroy(&m->devices);
	if (m->board.config.serial)
		board_disconnect(&m->board);
	pc_console_destroy(m->console);
	io_unlock();
}
