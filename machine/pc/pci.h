/* SPDX-License-Identifier: MIT */
/*
 * pci.h - the board's only PCI bus: a host bridge in slot 0, up to 31 functions, configuration mechanism 1, I/O ports, INTA lines.
 *
 * For the machine:
 *
 *	pci_bus_init(&bus, &ports, irq, opaque)	after the chips, one of which has port 0xcf9
 *	pci_bus_add(&bus, &vp.pci, &reason)	gives it a slot, ports and an interrupt line, as a BIOS would
 *	restart of the guest: pci_bus_restart(&bus)
 *
 * The lines (pci_bus_lines()) have to be level-triggered before the guest runs: there is no BIOS to program ELCR. All ranges of ports
 * are cold (ports.h), and are called with the I/O lock held, as are the functions below; irq() too, but from any thread.
 */
#ifndef KENNEL_MACHINE_PC_PCI_H
#define KENNEL_MACHINE_PC_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/pc/ports.h"
#include "transport/pci/pci-function.h"

/* Ports that functions are given, from here to the top. Ports below are the board's own. */
#define PCI_PORTS_FIRST	0xc000u
#define PCI_PORTS_END	0x10000u

struct pci_bus;

/* A window of a function, which may be anywhere or nowhere. */
struct pci_window {
	struct pci_function *function;
	unsigned int bar;
	struct port_range range;
};

struct pci_slot {
	struct pci_bus *bus;
	struct pci_function *function;	/* NULL: empty */
	unsigned int number;
	unsigned int line;		/* where its INTA is wired to; the interrupt line register only says so */
	struct pci_window window[PCI_BARS];
};

struct pci_bus {
	struct ports *ports;
	struct pci_slot slot[PCI_SLOTS];
	unsigned int count;
	uint32_t next_port;
	uint32_t address;		/* what was written to 0xcf8 */
	uint32_t asserted[16];		/* per interrupt line: the slots that want it */
	void (*irq)(void *opaque, unsigned int line, bool level);
	void *opaque;
	struct pci_function bridge;
	struct port_range address_range, data_range;
};

/**
 * pci_bus_init - an empty bus but for the host bridge
 * @irq: called with @opaque, a line and its level: an input of the interrupt controller changes.
 * Returns 0, or the negative errno of ports_add(). The bus must not move.
 */
int pci_bus_init(struct pci_bus *bus, struct ports *ports, void (*irq)(void *opaque, unsigned int line, bool level), void *opaque);

/**
 * pci_bus_add - put a function into the next slot, with ports and an interrupt line, switched on
 * Before the guest runs. Returns the slot; or -VIRTIO_ENOSPC and a sentence in *@reason (NULL: nobody asks): slots or ports are used up,
 * and nothing has changed. The bus does not own the function, which must not move.
 */
int pci_bus_add(struct pci_bus *bus, struct pci_function *function, const char **reason);

/** pci_bus_line - the interrupt line that INTA of @slot is wired to: for tables that describe the board */
unsigned int pci_bus_line(unsigned int slot);

/** pci_bus_lines - bit n: line n may be driven by this bus, and is to be level-triggered */
uint16_t pci_bus_lines(void);

/** pci_bus_restart - power-on state: every function is reset and has the ports it had at first */
void pci_bus_restart(struct pci_bus *bus);

#endif
