/* SPDX-License-Identifier: MIT */
/*
 * pci.c - the PCI bus of the pc: configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2), port decoding, interrupt wiring.
 *
 * A doorbell is an OUT, so finding the function behind a port must be one look into a table. The table is made anew whenever the guest
 * changes a BAR or a command register, which it does a few dozen times while it boots and then never again.
 *
 * INTA of each slot is wired to one of five lines that no chip of the board uses. The guest reads it from the interrupt line register,
 * which a BIOS would have filled in; writing there changes what it reads, not the wire.
 */
#include "machine/pc/pci.h"

#include <string.h>

/* Not 9 (ACPI), 12 (mouse), 13 (FPU) or any that the board has a chip for. */
static const uint8_t wires[] = { 10, 11, 5, 15, 14 };

enum { WIRES = sizeof(wires) / sizeof(wires[0]) };

unsigned int pci_bus_line(unsigned int slot)
{
	return wires[(slot + WIRES - 1) % WIRES];
}

uint16_t pci_bus_lines(void)
{
	uint16_t lines = 0;

	for (unsigned int i = 0; i < WIRES; i++)
		lines |= (uint16_t)(1u << wires[i]);
	return lines;
}

/* --- what functions tell the board ------------------------------------------------------------------------------------ */

/* A line is asserted while any of its slots wants it. */
static void slot_irq(void *opaque, bool level)
{
	struct pci_slot *slot = opaque;
	struct pci_bus *bus = slot->bus;
	uint32_t *asserted = &bus->asserted[slot->line], before = *asserted, bit = UINT32_C(1) << slot->number;

	*asserted = level ? before | bit : before & ~bit;
	if (!*asserted != !before)
		bus->irq(bus->opaque, slot->line, level);
}

static void map_window(struct pci_bus *bus, const struct pci_slot *slot, unsigned int bar)
{
	int32_t port = pci_function_port(slot->function, bar);

	if (port >= 0)
		memset(bus->decode + port / 4, (int)(1 + PCI_BARS * slot->number + bar), slot->function->bar_size[bar] / 4);
}

/* Where two windows overlap, the guest has made a mistake, and the later slot answers. */
static void slot_moved(void *opaque)
{
	struct pci_bus *bus = ((struct pci_slot *)opaque)->bus;

	memset(bus->decode, 0, sizeof(bus->decode));
	for (unsigned int i = 0; i < bus->count; i++)
		for (unsigned int bar = 0; bar < PCI_BARS; bar++)
			map_window(bus, &bus->slot[i], bar);
}

static const struct pci_bus_ops slot_ops = { .irq = slot_irq, .moved = slot_moved };

/* --- building: what a BIOS does --------------------------------------------------------------------------------------- */

/* Give every window of @function ports from @port on. Returns the first port behind them. */
static uint32_t assign_ports(struct pci_function *function, uint32_t port)
{
	for (unsigned int bar = 0; bar < PCI_BARS; bar++) {
		uint32_t size = function->bar_size[bar];

		if (!size)
			continue;
		port = (port + size - 1) & ~(size - 1);
		pci_function_set32(function, PCI_BAR0 + 4 * bar, port | PCI_BAR_IO);
		port += size;
	}
	return port;
}

static uint32_t ports_needed(const struct pci_function *function, uint32_t port)
{
	struct pci_function copy = *function;

	return assign_ports(&copy, port);
}

static void put_into(struct pci_bus *bus, struct pci_function *function)
{
	struct pci_slot *slot = &bus->slot[bus->count];

	*slot = (struct pci_slot){ .bus = bus, .function = function, .number = bus->count, .line = pci_bus_line(bus->count) };
	function->bus = &slot_ops;
	function->bus_data = slot;
	bus->count++;
}

int pci_bus_add(struct pci_bus *bus, struct pci_function *function, const char **reason)
{
	const char *why = NULL;

	if (bus->count == PCI_SLOTS)
		why = "a pc guest takes at most 31 devices; leave some out";
	else if (ports_needed(function, bus->next_port) > PCI_PORTS_END)
		why = "the I/O ports for devices are used up; leave some devices out";
	if (reason)
		*reason = why;
	if (why)
		return -VIRTIO_ENOSPC;
	put_into(bus, function);
	bus->next_port = assign_ports(function, bus->next_port);
	if (function->config[PCI_INTERRUPT_PIN])
		pci_function_set8(function, PCI_INTERRUPT_LINE, (uint8_t)bus->slot[bus->count - 1].line);
	pci_function_set16(function, PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	pci_function_seal(function);
	slot_moved(&bus->slot[bus->count - 1]);
	return (int)bus->count - 1;
}

/* Linux trusts mechanism 1 only if it finds a host bridge; this is the one it has known for longest. */
static void make_bridge(struct pci_function *bridge)
{
	static const struct pci_function_ops none;

	pci_function_init(bridge, &none, 0x8086, 0x1237);
	pci_function_set8(bridge, PCI_REVISION, 2);
	pci_function_set8(bridge, PCI_CLASS + 2, 0x06);
	pci_function_seal(bridge);
}

void pci_bus_init(struct pci_bus *bus, void (*irq)(void *opaque, unsigned int line, bool level), void *opaque)
{
	memset(bus, 0, sizeof(*bus));
	bus->irq = irq;
	bus->opaque = opaque;
	bus->next_port = PCI_PORTS_FIRST;
	make_bridge(&bus->bridge);
	put_into(bus, &bus->bridge);
}

void pci_bus_restart(struct pci_bus *bus)
{
	bus->address = 0;
	for (unsigned int i = 0; i < bus->count; i++)
		pci_function_restart(bus->slot[i].function);
}

/* --- the guest's accesses --------------------------------------------------------------------------------------------- */

/* The function and register that 0xcf8 names for an access at @port; NULL: nothing answers. */
static struct pci_function *configured(const struct pci_bus *bus, uint16_t port, unsigned int size, unsigned int *at)
{
	uint32_t address = bus->address;
	unsigned int slot = address >> 11 & 31;

	*at = (address & 0xfc) + (port & 3);
	/* One bus, and one function in each slot. An access that leaves the four ports has no meaning. */
	if (!(address & PCI_CONFIG_ENABLE) || (address & 0xff0700) || (port & 3) + size > 4)
		return NULL;
	return bus->slot[slot].function;
}

static bool is_config_data(uint16_t port)
{
	return (port & ~3) == PCI_CONFIG_DATA;
}

static const struct pci_slot *decoded(const struct pci_bus *bus, uint16_t port, unsigned int *bar)
{
	unsigned int code = bus->decode[port / 4];

	if (!code)
		return NULL;
	*bar = (code - 1) % PCI_BARS;
	return &bus->slot[(code - 1) / PCI_BARS];
}

static uint32_t offset_in(const struct pci_slot *slot, unsigned int bar, uint16_t port)
{
	return port & (slot->function->bar_size[bar] - 1);
}

bool pci_bus_in(struct pci_bus *bus, uint16_t port, unsigned int size, uint32_t *value)
{
	const struct pci_slot *slot;
	struct pci_function *function;
	unsigned int bar, at;

	if (port == PCI_CONFIG_ADDRESS && size == 4) {
		*value = bus->address;
		return true;
	}
	if (is_config_data(port)) {
		function = configured(bus, port, size, &at);
		*value = function ? pci_config_read(function, at, size) : ~0u >> (32 - 8 * size);
		return true;
	}
	slot = decoded(bus, port, &bar);
	if (slot)
		*value = pci_bar_read(slot->function, bar, offset_in(slot, bar, port), size);
	return slot;
}

bool pci_bus_out(struct pci_bus *bus, uint16_t port, unsigned int size, uint32_t value)
{
	const struct pci_slot *slot;
	struct pci_function *function;
	unsigned int bar, at;

	/* Only as a whole: single bytes there belong to other chips, 0xcf9 for one. Some bits do not exist. */
	if (port == PCI_CONFIG_ADDRESS && size == 4) {
		bus->address = value & (PCI_CONFIG_ENABLE | 0xfffffc);
		return true;
	}
	if (is_config_data(port)) {
		function = configured(bus, port, size, &at);
		if (function)
			pci_config_write(function, at, size, value);
		return true;
	}
	slot = decoded(bus, port, &bar);
	if (slot)
		pci_bar_write(slot->function, bar, offset_in(slot, bar, port), size, value);
	return slot;
}
