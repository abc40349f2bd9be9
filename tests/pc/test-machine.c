/* SPDX-License-Identifier: MIT */
/* The PC as a whole on a processor that runs nothing: what is on its bus, its loop, how it ends, how it starts again. */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "host/clock.h"
#include "host/loop/loop.h"
#include "machine/pc/acpi_tables.h"
#include "tests/machine/images.h"
#include "tests/pc/bed.h"
#include "tests/pc/test.h"

#define MS UINT64_C(1000000)

static struct pc_bed bed;
static struct pc *m;
static struct cpu *cpu;

static int set_up(void **state)
{
	pc_bed_create(&bed, "quiet");
	m = bed.pc;
	cpu = bed.cpu;
	return 0;
}

static int tear_down(void **state)
{
	pc_bed_destroy(&bed);
	return 0;
}

static enum machine_end run(void)
{
	cpu_fpu_release(cpu);
	return pc_machine.run(&m->machine);
}

static void restart(void)
{
	struct error error;

	assert_int_equal(pc_machine.reset(&m->machine, &error), 0);
}

/* --- the beginning -------------------------------------------------------------------------------------------------------- */

static void registers_of_the_boot_protocol(void **state)
{
	const uint8_t *params = m->ram.base + BOOT_PAGE;

	assert_int_equal(cpu->eip, IMAGE_ENTRY);
	assert_int_equal(cpu->gpr[R_ESI], BOOT_PAGE);
	assert_int_equal(cpu->gpr[R_EBX] | cpu->gpr[R_EDI] | cpu->gpr[R_EBP], 0);
	assert_int_equal(cpu->eflags, 2);
	assert_int_equal(cpu->system.cr0, 0x11);
	assert_int_equal(cpu->segment[S_CS].sel, 0x10);
	assert_int_equal(cpu->segment[S_DS].sel, 0x18);
	assert_int_equal(cpu->segment[S_SS].limit, 0xffffffff);
	assert_true(cpu->system_changes);
	assert_memory_equal(params + 0x202, "HdrS", 4);
	assert_int_equal(m->ram.base[IMAGE_PADDR], bed.kernel.elf[0x1000]);
}

static void what_the_command_line_lacks(void **state)
{
	assert_string_equal(m->command_line, "console=ttyS0 panic=-1 pnp.isapnp_disable=1 quiet");
	for (unsigned int i = 0; i < 2; i++) {
		static const char *const given[] = {"console=hvc0 panic=5 pnp.isapnp_disable=0", "pnp.isapnp_disable=1 panic=5 quiet console=tty1"};
		char *line = pc_complete_command_line(given[i]);

		assert_string_equal(line, given[i]);
		free(line);
	}
}

/* --- the bus -------------------------------------------------------------------------------------------------------------- */

static void devices_in_their_slots(void **state)
{
	/* Transitional: disk, network, entropy, balloon. */
	static const uint16_t ids[] = {0x1001, 0x1000, 0x1005, 0x1002};

	assert_int_equal(pc_bed_config(&bed, 0, 0), 0x12378086);
	for (unsigned int i = 0; i < 4; i++) {
		assert_int_equal(pc_bed_config(&bed, i + 1, 0), (uint32_t)ids[i] << 16 | 0x1af4);
		assert_int_equal(pc_bed_config(&bed, i + 1, 0x3c) & 0xff, pci_bus_line(i + 1));
	}
	assert_int_equal(pc_bed_config(&bed, 5, 0), 0xffffffff);
	assert_int_equal(m->function_count, 4);
}

static void a_virtio_console_only_where_asked_for(void **state)
{
	pc_bed_destroy(&bed);
	pc_bed_create(&bed, "console=ttyS0 console=hvc0");
	m = bed.pc;
	cpu = bed.cpu;
	assert_int_equal(pc_bed_config(&bed, 5, 0), 0x10031af4);
	io_lock();
	assert_int_equal(bed.console.be.input(bed.console.be.opaque, "x", 1), 0);	/* it has no driver yet */
	io_unlock();
}

static void tables_name_the_lines(void **state)
{
	const uint8_t *ram = m->ram.base;
	bool found = false;

	for (uint32_t at = ACPI_TABLES_START; at < ACPI_TABLES_END; at += 16)
		found |= !memcmp(ram + at, "RSD PTR ", 8);
	assert_true(found);
}

/* The fake processor remembers whose the registers are. */
static bool released_while_writing;

static size_t watch_registers(struct console_backend *be, const struct virtio_iov *iov, unsigned int count)
{
	released_while_writing = cpu->fpu_released && io_locked();
	return iov->len;
}

static void cold_accesses_put_registers_aside(void **state)
{
	static const struct console_backend_ops watching = {.write = watch_registers};
	const struct console_backend_ops *ops = bed.console.be.ops;

	bed.console.be.ops = &watching;
	assert_false(cpu->fpu_released);
	pc_bed_out(&bed, 0x3f8, 1, 'x');
	bed.console.be.ops = ops;
	assert_true(released_while_writing);
	assert_false(cpu->fpu_released);
	assert_false(io_locked());
}

static void absent_hardware_reads_as_ones(void **state)
{
	static const uint16_t ports[] = {0x6c, 0x1f4, 0x2f8, 0x3c0, 0x3f2, 0x80, 0xb2, 0xbff0};

	for (unsigned int i = 0; i < sizeof(ports) / sizeof(ports[0]); i++)
		for (unsigned int size = 1; size <= 4; size *= 2) {
			pc_bed_out(&bed, ports[i], size, 0);
			assert_int_equal(pc_bed_in(&bed, ports[i], size), size == 4 ? 0xffffffff : (1u << 8 * size) - 1);
		}
	assert_false(m->ended);
}

/* --- interrupts ------------------------------------------------------------------------------------------------------------- */

static void the_processor_hears_of_lines(void **state)
{
	pc_bed_open_lines(&bed);
	assert_false(cpu->irq_pending);
	assert_int_equal(cpu->ops->interrupt(cpu->opaque), -1);
	/* The transmitter is empty: that is an interrupt as soon as somebody wants to know. */
	pc_bed_out(&bed, 0x3fc, 1, 0x0b);
	pc_bed_out(&bed, 0x3f9, 1, 0x02);
	assert_true(cpu->irq_pending);
	assert_int_equal(cpu->ops->interrupt(cpu->opaque), 0x34);
	assert_false(cpu->irq_pending);
	assert_int_equal(m->stats.interrupts[0x34], 1);
}

static void *type_a_letter(void *opaque)
{
	const struct timespec soon = {.tv_nsec = 20 * MS};

	nanosleep(&soon, NULL);
	io_lock();
	bed.console.be.input(bed.console.be.opaque, "x", 1);
	io_unlock();
	return NULL;
}

/* What the guest does next. */
static unsigned int steps;

static void open_serial_port(void)
{
	pc_bed_open_lines(&bed);
	pc_bed_out(&bed, 0x3fc, 1, 0x0b);
	pc_bed_out(&bed, 0x3f9, 1, 0x01);
}

static void halt_until_a_letter(struct cpu *fake)
{
	if (!steps++) {
		fake->exit.kind = EXIT_HALT;
		return;
	}
	assert_true(fake->irq_pending);
	assert_int_equal(fake->ops->interrupt(fake->opaque), 0x34);
	assert_int_equal(pc_bed_in(&bed, 0x3f8, 1), 'x');
	pc_bed_out(&bed, 0x604, 2, 5 << 10 | 1 << 13);
}

static void another_thread_ends_the_sleep(void **state)
{
	pthread_t thread;

	open_serial_port();
	steps = 0;
	cpu->step = halt_until_a_letter;
	cpu->eflags = FLAG_IF | 2;
	pthread_create(&thread, NULL, type_a_letter, NULL);
	assert_int_equal(run(), MACHINE_POWEROFF);
	pthread_join(thread, NULL);
	assert_int_equal(m->stats.halts, 1);
}

/* A guest that runs is kicked, since nothing else would make it look. */
static void spin_until_a_letter(struct cpu *fake)
{
	if (fake->irq_pending)
		pc_bed_out(&bed, 0x604, 2, 5 << 10 | 1 << 13);
}

static void another_thread_interrupts(void **state)
{
	pthread_t thread;

	open_serial_port();
	cpu->step = spin_until_a_letter;
	pthread_create(&thread, NULL, type_a_letter, NULL);
	assert_int_equal(run(), MACHINE_POWEROFF);
	pthread_join(thread, NULL);
	assert_true(cpu->stats.kicks);
}

/* --- time --------------------------------------------------------------------------------------------------------------------- */

static void program_timer(uint16_t count)
{
	pc_bed_out(&bed, 0x43, 1, 0x34);
	pc_bed_out(&bed, 0x40, 1, count & 255);
	pc_bed_out(&bed, 0x40, 1, count >> 8);
}

static void halt_for_three_ticks(struct cpu *fake)
{
	if (fake->irq_pending) {
		assert_int_equal(fake->ops->interrupt(fake->opaque), 0x30);
		pc_bed_out(&bed, 0x20, 1, 0x60);
		steps++;
	}
	if (steps == 3)
		pc_bed_out(&bed, 0x604, 2, 5 << 10 | 1 << 13);
	else
		fake->exit.kind = EXIT_HALT;
}

static void sleep_for_three_ticks(void)
{
	pc_bed_open_lines(&bed);
	program_timer(11932);
	steps = 0;
	cpu->step = halt_for_three_ticks;
	cpu->eflags = FLAG_IF | 2;
	assert_int_equal(run(), MACHINE_POWEROFF);
}

static void sleeping_ends_with_the_next_tick(void **state)
{
	uint64_t start = clock_monotonic_ns();

	sleep_for_three_ticks();
	assert_in_range(clock_monotonic_ns() - start, 29 * MS, 2000 * MS);
	assert_in_range(m->stats.halts, 2, 4);
}

/* Without exits of its own, the guest is stopped by the host's timer. */
static void spin_for_a_tick(struct cpu *fake)
{
	if (fake->irq_pending) {
		pc_bed_out(&bed, 0x604, 2, 5 << 10 | 1 << 13);
		return;
	}
	while (!atomic_load(&fake->kicked))
		;
	steps++;
}

static void a_timer_is_armed_for_running_guests(void **state)
{
	pc_bed_open_lines(&bed);
	program_timer(11932);
	assert_in_range(m->armed, clock_monotonic_ns(), clock_monotonic_ns() + 11 * MS);
	steps = 0;
	cpu->step = spin_for_a_tick;
	assert_int_equal(run(), MACHINE_POWEROFF);
	assert_in_range(steps, 1, 3);
}

/* --- pauses --------------------------------------------------------------------------------------------------------------------- */

/* The flags of the guest's clock, where the test has put it. */
static const uint8_t *clock_flags(void)
{
	return &m->ram.base[0x1000 + 29];
}

/* The first time, as if the process had been stopped. */
static void be_late_once(struct cpu *fake)
{
	if (!steps++) {
		uint64_t late = clock_monotonic_ns() + 2100 * MS;

		assert_int_equal(*clock_flags(), 1);
		if (fake->irq_pending)
			fake->ops->interrupt(fake->opaque);
		while (clock_monotonic_ns() < late)
			poll(NULL, 0, 100);
	} else {
		assert_int_equal(*clock_flags(), 1 | 2);
		pc_bed_out(&bed, 0x604, 2, 5 << 10 | 1 << 13);
	}
}

static void watchdogs_hear_of_a_pause(void **state)
{
	uint64_t clock = 0x1001;

	m->clock.khz = 1000000;
	assert_true(cpu->ops->msr(m, KVMCLOCK_MSR_SYSTEM, true, &clock));
	sleep_for_three_ticks();
	assert_int_equal(*clock_flags(), 1);
	m->ended = false;
	steps = 0;
	cpu->step = be_late_once;
	assert_int_equal(run(), MACHINE_POWEROFF);
}

/* Within a second of the guest's, and while it sleeps as well, its clock is looked after. */
static void the_clock_is_looked_after(void **state)
{
	uint64_t clock = 0x1001;
	uint32_t before, after;

	m->clock.khz = clock_tsc_khz();
	assert_true(cpu->ops->msr(m, KVMCLOCK_MSR_SYSTEM, true, &clock));
	memcpy(&before, m->ram.base + 0x1000, sizeof(before));
	m->clock.base_ns -= 5 * MS;
	sleep_for_three_ticks();
	memcpy(&after, m->ram.base + 0x1000, sizeof(after));
	assert_in_range(after - before, 2, 20);
	assert_int_equal(after & 1, 0);
	assert_in_range(clock_raw_ns() - m->clock.start - kvmclock_guest_ns(&m->clock, clock_tsc()) + MS, 0, 2 * MS);
}

/* --- how it ends ---------------------------------------------------------------------------------------------------------------- */

static const char *printed;
static struct cpu_exit how;
static uint16_t last_port, last_value;

/* Prints something, then leaves with an exit or writes to a port. */
static void print_and_end(struct cpu *fake)
{
	if (printed)
		pc_bed_print(&bed, printed);
	if (last_port)
		pc_bed_out(&bed, last_port, last_port == 0x604 ? 2 : 1, last_value);
	else
		fake->exit = how;
}

static enum machine_end ends(const char *text, struct cpu_exit exit, uint16_t port, uint16_t value)
{
	printed = text, how = exit, last_port = port, last_value = value;
	cpu->step = print_and_end;
	return run();
}

static void ways_to_end(void **state)
{
	static const struct cpu_exit halt = {.kind = EXIT_HALT}, none;

	assert_int_equal(ends(NULL, halt, 0, 0), MACHINE_HALTED);
	restart();
	assert_int_equal(ends(NULL, none, 0x604, 5 << 10 | 1 << 13), MACHINE_POWEROFF);
	restart();
	assert_int_equal(ends(NULL, none, 0xcf9, 6), MACHINE_RESTART);
	restart();
	assert_int_equal(ends(NULL, none, 0x64, 0xfe), MACHINE_RESTART);
	assert_string_equal(m->machine.last_words.text, "");
}

static void triple_faults(void **state)
{
	static const struct {
		struct cpu_exit exit;
		const char *words;
	} faults[] = {
		{{.kind = EXIT_SHUTDOWN, .vector = TRAP_PF, .error = 2, .address = 0xdead0, .eip = 0x100200},
		 "triple fault at EIP 0x100200: page fault at 0xdead0, error 0x2, and no way to handle it"},
		{{.kind = EXIT_SHUTDOWN, .vector = TRAP_GP, .error = 0x18, .eip = 0x100300},
		 "triple fault at EIP 0x100300: protection fault (vector 13, error 0x18), and no way to handle it"},
		{{.kind = EXIT_SHUTDOWN, .vector = 200, .eip = 4},
		 "triple fault at EIP 0x4: interrupt (vector 200, error 0), and no way to handle it"},
	};

	for (unsigned int i = 0; i < sizeof(faults) / sizeof(faults[0]); i++) {
		assert_int_equal(ends(NULL, faults[i].exit, 0, 0), MACHINE_CRASHED);
		assert_string_equal(m->machine.last_words.text, faults[i].words);
		restart();
	}
}

/* INT3 with an empty IDT is how a kernel restarts a PC when nothing else helps; with a full one it is a crash. */
static void triple_fault_on_purpose(void **state)
{
	static const struct cpu_exit int3 = {.kind = EXIT_SHUTDOWN, .vector = TRAP_BP, .eip = 0x100000};

	assert_int_equal(ends(NULL, int3, 0, 0), MACHINE_RESTART);
	restart();
	cpu->system.idt.limit = 0x7ff;
	assert_int_equal(ends(NULL, int3, 0, 0), MACHINE_CRASHED);
}

static void a_reset_after_a_panic_is_a_crash(void **state)
{
	static const struct cpu_exit none;
	static const char words[] = "Kernel panic - not syncing: sorry";

	assert_int_equal(ends("[ 1.0] Kernel panic - not syncing: sorry\r\n[ 1.1] CPU: 0\r\n", none, 0xcf9, 6), MACHINE_CRASHED);
	assert_string_equal(m->machine.last_words.text, words);
	/* The next life begins without it. */
	restart();
	assert_string_equal(m->machine.last_words.text, "");
	assert_int_equal(ends(NULL, none, 0xcf9, 6), MACHINE_RESTART);
	restart();
	assert_int_equal(ends("Kernel panic - not syncing: in a log\n[ 9.9] reboot: Restarting system\n", none, 0xcf9, 6), MACHINE_RESTART);
	/* Whoever switches off has done so on purpose. */
	restart();
	assert_int_equal(ends("Kernel panic - not syncing: in a log\n", none, 0x604, 5 << 10 | 1 << 13), MACHINE_POWEROFF);
}

static void *stop_it(void *opaque)
{
	const struct timespec soon = {.tv_nsec = 20 * MS};

	nanosleep(&soon, NULL);
	pc_machine.stop(&m->machine);
	return NULL;
}

static void halt_for_ever(struct cpu *fake)
{
	fake->exit.kind = EXIT_HALT;
}

static void stopped_from_outside(void **state)
{
	for (unsigned int sleeping = 0; sleeping < 2; sleeping++) {
		pthread_t thread;

		atomic_store(&m->stop, 0);
		cpu->eflags = FLAG_IF | 2;
		cpu->step = sleeping ? halt_for_ever : NULL;
		pthread_create(&thread, NULL, stop_it, NULL);
		assert_int_equal(run(), MACHINE_STOPPED);
		pthread_join(thread, NULL);
		restart();
	}
	pc_machine.stop(&m->machine);
	assert_int_equal(run(), MACHINE_STOPPED);
}

static void a_restart_begins_anew(void **state)
{
	static const struct cpu_exit none;
	uint32_t bar = pc_bed_config(&bed, 1, 0x10);
	uint64_t clock = 0x1001;

	m->clock.khz = 1000000;
	assert_true(cpu->ops->msr(m, KVMCLOCK_MSR_SYSTEM, true, &clock));
	pc_bed_open_lines(&bed);
	program_timer(1000);
	m->ram.base[0x300000] = 7;
	cpu->gpr[R_EBX] = 7;
	pc_bed_out(&bed, 0xcf8, 4, 0x80000810);
	pc_bed_out(&bed, 0xcfc, 4, 0x9000);
	m->spec_ctrl = 1;
	assert_int_equal(ends(NULL, none, 0xcf9, 6), MACHINE_RESTART);
	restart();
	assert_int_equal(m->ram.base[0x300000], 0);
	assert_int_equal(cpu->gpr[R_EBX], 0);
	assert_int_equal(cpu->eip, IMAGE_ENTRY);
	assert_int_equal(pc_bed_config(&bed, 1, 0x10), bar);
	assert_true(board_deadline(&m->board) == NEVER);
	assert_int_equal(m->spec_ctrl, 0);
	assert_true(cpu->ops->msr(m, KVMCLOCK_MSR_SYSTEM, false, &clock));
	assert_int_equal(clock, 0);
	assert_int_equal(cpu->dirty_len, PC_BED_RAM);
	assert_true(cpu->alls);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(registers_of_the_boot_protocol), T(what_the_command_line_lacks), T(devices_in_their_slots),
		T(a_virtio_console_only_where_asked_for), T(tables_name_the_lines), T(cold_accesses_put_registers_aside),
		T(absent_hardware_reads_as_ones), T(the_processor_hears_of_lines), T(another_thread_ends_the_sleep),
		T(another_thread_interrupts), T(sleeping_ends_with_the_next_tick), T(a_timer_is_armed_for_running_guests),
		T(watchdogs_hear_of_a_pause), T(the_clock_is_looked_after), T(ways_to_end), T(triple_faults), T(triple_fault_on_purpose),
		T(a_reset_after_a_panic_is_a_crash), T(stopped_from_outside), T(a_restart_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
