/* SPDX-License-Identifier: MIT */
/*
 * machine.h - what every machine looks like to the command.
 *
 * A machine joins one processor, one bus, one interrupt scheme and one clock. The command makes it from a configuration, runs it
 * on the thread that made it, and learns how the run ended; between two runs it may start the guest again. Machines differ in
 * the table of functions below and in nothing the command sees.
 *
 *	machine_create() -> run() -> MACHINE_RESTART -> reset() -> run() -> MACHINE_POWEROFF -> destroy()
 */
#ifndef KENNEL_MACHINE_MACHINE_H
#define KENNEL_MACHINE_MACHINE_H

#include <stdbool.h>
#include <stdint.h>

#include "device/device.h"
#include "host/error.h"
#include "machine/boot/kernel.h"

struct machine;

/* What stands behind the devices. Creating a machine takes all of them over, whether or not it succeeds. */
struct machine_devices {
	struct block_backend **disks;
	unsigned int disk_count;
	struct net_backend **nets;
	unsigned int net_count;
	struct share_backend **shares;
	unsigned int share_count;
	struct entropy_backend *entropy;	/* NULL: none */
	struct balloon_backend *balloon;	/* NULL: none; a machine sets it itself, for it has the memory */
	struct console_backend *console;	/* NULL: none */
	const struct console_port *ports;	/* of another console device, which is made if there are any; borrowed */
	unsigned int port_count;
};

struct machine_config {
	const struct kernel *kernel;	/* borrowed while the machine lives, as are the next two: a restart needs them again */
	const struct file_view *initrd;	/* NULL: none */
	const char *command_line;
	uint64_t memory;		/* bytes, a multiple of 4096 */
	uint32_t trace;			/* TRACE_* */
	const char *dump_code;		/* file for all translated code (docs/isolation.md); NULL: none */
	struct machine_devices devices;
};

/* How a run ended. */
enum machine_end {
	MACHINE_POWEROFF,	/* the guest switched itself off */
	MACHINE_HALTED,		/* it halted with interrupts off: nothing can wake it */
	MACHINE_RESTART,	/* it asked for a reboot; reset() and run() do that */
	MACHINE_CRASHED,	/* it panicked, or broke its contract: last_words says how */
	MACHINE_STOPPED,	/* stop() was called */
};

struct machine_ops {
	const char *name;		/* for --machine */
	/* Can this machine run the kernel? If not, a sentence why. For --machine auto the first one that can is taken. */
	int (*check_kernel)(const struct kernel *kernel, struct error *error);
	struct machine *(*create)(const struct machine_config *config, struct error *error);
	int (*reset)(struct machine *machine, struct error *error);
	enum machine_end (*run)(struct machine *machine);
	/* From any thread or signal handler: run() returns soon, or at once when it is called next. */
	void (*stop)(struct machine *machine);
	/* Write counters to stderr, one a line (--trace stats). */
	void (*print_stats)(struct machine *machine);
	void (*destroy)(struct machine *machine);
};

struct machine {
	const struct machine_ops *ops;
	struct error last_words;	/* after MACHINE_CRASHED and MACHINE_RESTART: what the guest said, or what it did; "": nothing */
};

/** machine_known - is there a machine called @name? "auto" counts. */
bool machine_known(const char *name);

/** machine_find - the machine called @name, or for "auto" the first that can run @kernel; NULL and a sentence if there is none */
const struct machine_ops *machine_find(const char *name, const struct kernel *kernel, struct error *error);

extern const struct machine_ops lguest_machine, pc_machine;

#endif
