/* SPDX-License-Identifier: MIT */
/*
 * pci.h - the board's only PCI bus: a host bridge in slot 0, up to 31 functions, configuration mechanism 1, I/O ports, INTA lines.
 *
 * For the machine:
 *
 *	pci_bus_init(&bus, irq, opaque)
 *	pci_bus_add(&bus, &vp.pci, &reason)	gives it a slot, ports and an interrupt line, as a BIOS would
 *	IN and OUT: if (!pci_bus_in(&bus, port, size, &value)) it is somebody else's port
 *	restart of the guest: pci_bus_restart(&bus)
 *
 * The lines (pci_bus_lines()) have to be level-triggered before the guest runs: there is no BIOS to program ELCR. Callers hold the I/O
 * lock; irq() is called with it held, from any thread.
 */
#ifndef KENNEL_MACHINE_PC_PCI_H
#define KENNEL_MACHINE_PC_PCI_H

#include <stdbool.h>
#include <stdint.h>

#include "transport/pci-function.h"

/* Ports that functions are given, from here to the top. Ports below are the board's own. */
#define PCI_PORTS_FIRST	0xc000u
#define PCI_PORTS_END	0x10000u

struct pci_bus;

struct pci_slot {
	struct pci_bus *bus;
	struct pci_function *function;	/* NULL: empty */
	unsigned int number;
	unsigned int line;		/* where its INTA is wired to; the interrupt line register only says so */
};

struct pci_bus {
	struct pci_slot slot[PCI_SLOTS];
	unsigned int count;
	uint32_t next_port;
	uint32_t address;		/* what was written to 0xcf8 */
	uint32_t asserted[16];		/* per interrupt line: the slots that want it */
	void (*irq)(void *opaque, unsigned int line, bool level);
	void *opaque;
	struct pci_function bridge;
	/* Who answers to the four ports from 4 * n: 0 = nobody, else 1 + 6 * slot + window. BARs are multiples of four. */
	uint8_t decode[0x10000 / 4];
};

/** pci_bus_init - an empty bus but for the host bridge. @irq(@opaque, line, level): an input of the interrupt controller changes. */
void pci_bus_init(struct pci_bus *bus, void (*irq)(void *opaque, unsigned int line, bool level), void *opaque);

/**
 * pci_bus_add - put a function into the next slot, with ports and an interrupt line, switched on
 * Before the guest runs. Returns the slot; or -VIRTIO_ENOSPC and a sentence in *@reason (NULL: nobody asks): slots or ports are used up,
 * and nothing has changed. The bus does not own the function, which must not move.
 */
int pci_bus_add(struct pci_bus *bus, struct pci_function *function, const char **reason);

/** pci_bus_in - IN of @size (1, 2, 4) bytes at @port. False: not a port of PCI's, and *@value is untouched. */
bool pci_bus_in(struct pci_bus *bus, uint16_t port, unsigned int size, uint32_t *value);

/** pci_bus_out - OUT, likewise */
bool pci_bus_out(struct pci_bus *bus, uint16_t port, unsigned int size, uint32_t value);

/** pci_bus_line - the interrupt line that INTA of @slot is wired to: for tables that describe the board */
unsigned int pci_bus_line(unsigned int slot);

/** pci_bus_lines - bit n: line n may be driven by this bus, and is to be level-triggered */
uint16_t pci_bus_lines(void);

/** pci_bus_restart - power-on state: every function is reset and has the ports it had at first */
void pci_bus_restart(struct pci_bus *bus);

#endif
