/* SPDX-License-Identifier: MIT */
/*
 * reset.h - the three ways in which a PC is told to start again, and nothing else of the chips they belong to:
 *
 *	0x64	keyboard controller: command 0xfe pulses the processor's reset pin. There is no controller otherwise: its ports
 *		read all ones, which drivers take for its absence at once, where a controller without a keyboard would make
 *		them wait for answers. The ACPI tables say so too.
 *	0x92	"fast A20": bit 0 resets. Bit 1, the A20 gate, is always open, and reads back as written.
 *	0xcf9	reset control of PCI chipsets: bit 2 resets when it rises; bit 1 says how hard, which is all the same here.
 *
 * Processor's thread. Hot (ports.h), but for the callback.
 */
#ifndef KENNEL_MACHINE_PC_RESET_H
#define KENNEL_MACHINE_PC_RESET_H

#include <stdint.h>

#include "machine/pc/ports.h"

struct reset {
	void (*pulled)(void *opaque);	/* the guest wants to start again; the access that did it is still under way */
	void *opaque;
	uint8_t port92, portcf9;
	struct port_range keyboard, fast, control;
};

void reset_init(struct reset *reset, void (*pulled)(void *opaque), void *opaque);

/** reset_reset - for a restart of the guest */
void reset_reset(struct reset *reset);

/** reset_add_ports - answer 0x64, 0x92 and 0xcf9. Before the PCI bridge, whose 0xcf8 overlaps. 0 or a negative errno. */
int reset_add_ports(struct reset *reset, struct ports *ports);

#endif
