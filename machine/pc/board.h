/* SPDX-License-Identifier: MIT */
/*
 * board.h - the chips of the PC on one board: which port, which interrupt line, which clock. What is not here - processor, memory,
 * PCI - is the machine's.
 *
 * For the machine, on the processor's thread:
 *
 *	cpu's io():		ports_in(&board->ports, ...), ports_out(...)
 *	cpu's interrupt():	pic_pending(&board->pic) ? pic_acknowledge(&board->pic) : -1
 *	before the guest runs or sleeps, again and again:
 *				if (board_deadline(board) <= now) board_poll(board);
 *				cpu_set_irq_pending(cpu, pic_pending(&board->pic));
 *	while it sleeps:	until board_deadline(board), or wake()
 *
 * PCI adds its ports after board_init(), and raises lines with pic_set_irq(). board_deadline() and board_poll() are
 * hot (ports.h), as is all that happens at ports but the serial port and PCI.
 */
#ifndef KENNEL_MACHINE_PC_BOARD_H
#define KENNEL_MACHINE_PC_BOARD_H

#include "device/backend.h"
#include "machine/pc/acpi.h"
#include "machine/pc/cmos.h"
#include "machine/pc/pic.h"
#include "machine/pc/pit.h"
#include "machine/pc/ports.h"
#include "machine/pc/reset.h"
#include "machine/pc/uart.h"

#define BOARD_NEVER	UINT64_MAX

enum board_end { BOARD_POWER_OFF, BOARD_RESET };

struct board_config {
	uint64_t memory;			/* bytes of RAM */
	struct console_backend *serial;		/* behind the port at 0x3f8; NULL = there is no such port. Borrowed. */
	uint16_t level_lines;			/* bit n: line n is driven by PCI, and level-triggered from the start */

	/* An interrupt line rose that the guest may take. Any thread, the processor's included. */
	void (*wake)(void *opaque);
	/* The guest has switched itself off, or wants to start again. Within the port access that did it. */
	void (*ended)(void *opaque, enum board_end how);
	/* Around the accesses that are cold; both may be NULL. They take the I/O lock, too. */
	void (*enter_cold)(void *opaque);
	void (*leave_cold)(void *opaque);
	/* The host's clocks, unless a test has others: ns, and ns since 1970. */
	uint64_t (*monotonic)(void *opaque);
	uint64_t (*realtime)(void *opaque);
	void *opaque;
};

struct board {
	struct board_config config;
	struct ports ports;
	struct pic pic;
	struct pit pit;
	struct cmos cmos;
	struct acpi acpi;
	struct reset reset;
	struct uart uart;
};

/** board_init - put it together, as firmware leaves it. It is large, and must not move. 0 or a negative errno. */
int board_init(struct board *board, const struct board_config *config);

/** board_reset - for a restart of the guest; the time of day goes on. With the I/O lock. */
void board_reset(struct board *board);

/** board_disconnect - give the serial port's backend back. With the I/O lock. */
void board_disconnect(struct board *board);

/** board_deadline - when board_poll() has something to do at the latest: monotonic ns, BOARD_NEVER = not by itself */
uint64_t board_deadline(struct board *board);

/** board_poll - raise what is due. Cheap; may be called at any time. */
void board_poll(struct board *board);

/** board_press_power_button - ask the guest to shut down. Any thread. False: it does not listen. */
bool board_press_power_button(struct board *board);

#endif
