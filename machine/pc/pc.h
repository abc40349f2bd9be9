/* SPDX-License-Identifier: MIT */
/*
 * pc.h - the inside of the PC; for the files of this folder that know the whole machine, not for the chips.
 *
 * The board is the least that a stock i386 distribution kernel needs. Everything is behind I/O ports: no device has memory, so the
 * processor's windows show nothing but RAM.
 *
 *	loop.c		runs the processor, sleeps when the guest does
 *	board.c		the chips (board.h), which know no machine
 *	bus.c		what is plugged into the board: devices, terminal
 *	cpuid.c msr.c	the processor as the guest may see it
 *	console.c	one terminal for two ways to write to it
 *	load.c		a kernel, put where a boot loader would put it
 *	pc.c		made, started, started again, taken down
 *
 * Hot and cold as in lguest.h: loop.c, cpuid.c and msr.c, and the chips that say so, run with the guest's x87 and SSE registers live in
 * the host's. ports.h has the way from hot to cold: enter_cold() and leave_cold() in bus.c.
 */
#ifndef KENNEL_MACHINE_PC_PC_H
#define KENNEL_MACHINE_PC_PC_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86/cpu.h"
#include "machine/devices.h"
#include "machine/idle.h"
#include "machine/kick_timer.h"
#include "machine/machine.h"
#include "machine/pc/board.h"
#include "machine/pc/console.h"
#include "machine/pc/kvmclock.h"
#include "machine/pc/pci.h"
#include "machine/ram.h"
#include "machine/trace.h"
#include "transport/pci/virtio-pci-host.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* Times are CLOCK_MONOTONIC nanoseconds; NEVER = not at all. */
#define NEVER UINT64_MAX

/* Physical addresses. */
enum {
	BOOT_PAGE = 0x10000,		/* the boot parameters, and behind them the command line */
	LOW_RAM_END = 0x9fc00,		/* as on any PC: the last KiB below 640K is the firmware's */
	HIGH_RAM = 0x100000,
};

struct pc_stats {
	uint64_t halts, in, out, msrs, interrupts[256];
};

struct pc {
	struct machine machine;		/* first: a struct machine * is one of us */
	struct cpu *cpu;
	uint32_t trace;
	int dump_fd;			/* -1: none */
	struct cpu_ram ram;
	uint32_t tsc_khz;		/* 0: the counter is not good enough to be a clock */
	bool tsc_constant;		/* it is one by itself, and the guest may use it without asking us */

	/* What it is built of. */
	struct board board;
	struct kvmclock clock;
	struct pci_bus pci;
	struct virtio_pci functions[DEVICES_MAX];
	unsigned int function_count;
	struct devices devices;
	struct virtio_mem mem;
	struct pc_console *console;	/* NULL: none */
	uint64_t spec_ctrl;		/* an MSR that only remembers */

	/* Running. */
	bool irq;			/* what cpu_set_irq_pending() was told last */
	bool halted;
	bool ended;
	enum machine_end end;
	uint64_t armed;			/* when the host's timer fires, at the latest at the next deadline while the guest runs */
	struct kick_timer timer;
	struct idle idle;
	_Atomic uint32_t bell;		/* counts reasons to wake up; a futex */
	_Atomic uint32_t sleeping;	/* the processor's thread waits on the bell, or is about to */
	_Atomic uint32_t stop;		/* stop() was called */
	pthread_t thread;		/* the processor's */

	struct pc_stats stats;

	/* Cold. */
	const struct kernel *kernel;
	const struct file_view *initrd;
	char *command_line;		/* owned: the user's, completed */
};

/* --- hot ------------------------------------------------------------------------------------------------------------- */

/* loop.c */

/** pc_loop - run the guest until it has ended */
void pc_loop(struct pc *m);
/** pc_wake - let the processor's thread look around. From any thread or signal handler. */
void pc_wake(struct pc *m);
/** pc_end - the guest is to end, and the processor to notice. On its thread. */
void pc_end(struct pc *m, enum machine_end how);
/* For struct cpu_ops. */
void pc_io(void *opaque, uint32_t port, unsigned int size, bool write, uint32_t *value);
int pc_interrupt(void *opaque);
void pc_inspect(void *opaque, const uint8_t *code, uint32_t len, uint32_t address, uint32_t eip);
/* For the board. */
void pc_raised(void *opaque);

/* cpuid.c, msr.c */
void pc_cpuid(void *opaque, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);
bool pc_msr(void *opaque, uint32_t index, bool write, uint64_t *value);

/* --- cold ------------------------------------------------------------------------------------------------------------ */

/* bus.c */

/** pc_bus_create - board, bus and devices, whose backends are ours now. 0, or a negative errno and a sentence; pc_bus_destroy() either way. */
int pc_bus_create(struct pc *m, const struct machine_devices *devices, struct error *error);
/** pc_bus_describe - put tables that describe it all into memory. 0, or a negative errno and a sentence. */
int pc_bus_describe(struct pc *m, struct error *error);
/** pc_bus_restart - power-on state. Under the I/O lock. */
void pc_bus_restart(struct pc *m);
void pc_bus_destroy(struct pc *m);
/** pc_clock_cpuid_cold - a leaf of the hypervisor's; false: there is no such leaf */
bool pc_clock_cpuid_cold(struct pc *m, uint32_t leaf, uint32_t regs[4]);
/** pc_clock_cold - RDMSR or WRMSR of the hypervisor's clock; false: it does not have that register */
bool pc_clock_cold(struct pc *m, uint32_t msr, bool write, uint64_t *value);
/** pc_sync_cold - bring the hypervisor's clock together with the host's */
void pc_sync_cold(struct pc *m);
/** pc_paused_cold - tell the guest that it was not run for seconds */
void pc_paused_cold(struct pc *m);

/* load.c */

/** pc_complete_command_line - what the user wrote and what is missing from it. Allocated; NULL: no memory. */
char *pc_complete_command_line(const char *line);
/** pc_load - kernel, initrd and tables into zeroed memory, registers as the 32-bit boot protocol wants them */
int pc_load(struct pc *m, struct error *error);

/* tell.c */

/** pc_crash - end the guest, with these last words */
void pc_crash(struct pc *m, const char *words);
void pc_tell_io_cold(struct pc *m, uint32_t port, unsigned int size, bool write, uint32_t value);
void pc_tell_msr_cold(struct pc *m, uint32_t index, bool write, uint64_t value, bool known);
void pc_tell_interrupt_cold(struct pc *m, int vector);
void pc_shutdown(struct pc *m, const struct cpu_exit *exit);
void pc_print_stats(struct machine *machine);

#endif
