/* SPDX-License-Identifier: MIT */
/*
 * pci.c - the PCI bus of the pc: configuration mechanism 1 (PCI Local Bus 3.0, 3.2.2.3.2), port decoding, interrupt wiring.
 *
 * Every window of a function is a range of the board's port space, which is where a doorbell finds its function by one look into a
 * table. When the guest changes a BAR or a command register, which it does a few dozen times while it boots and then never again, the
 * function's windows are taken out and put in again where they are now. Where that is on top of something else, whoever was there first
 * goes on answering.
 *
 * INTA of each slot is wired to one of five lines that no chip of the board uses. The guest reads it from the interrupt line register,
 * which a BIOS would have filled in; writing there changes what it reads, not the wire.
 */
#include "machine/pc/pci.h"

#include <string.h>

/* Not 9 (ACPI), 12 (mouse), 13 (FPU) or any that the board has a chip for. */
static const uint8_t wires[] = {10, 11, 5, 15, 14};

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

static uint32_t window_in(void *opaque, uint32_t offset, unsigned int size)
{
	const struct pci_window *window = opaque;

	return pci_bar_read(window->function, window->bar, offset, size);
}

static void window_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	const struct pci_window *window = opaque;

	pci_bar_write(window->function, window->bar, offset, size, value);
}

static const struct port_ops window_ops = {.in = window_in, .out = window_out, .min_size = 1, .max_size = 4, .cold = true};

/* A window that finds no place in the port space (there are fewer windows than places) is one that does not answer. */
static void place_window(struct ports *ports, struct pci_window *window, uint32_t count)
{
	int32_t port = count ? pci_function_port(window->function, window->bar) : -1;
	struct port_range *range = &window->range;

	if (range->slot && port == range->first)
		return;
	ports_remove(ports, range);
	if (port < 0)
		return;
	*range = (struct port_range){.first = (uint16_t)port, .count = count, .ops = &window_ops, .opaque = window};
	ports_add(ports, range);
}

static void slot_moved(void *opaque)
{
	struct pci_slot *slot = opaque;

	for (unsigned int bar = 0; bar < PCI_BARS; bar++)
		place_window(slot->bus->ports, &slot->window[bar], slot->function->bar_size[bar]);
}

static const struct pci_bus_ops slot_ops = {.irq = slot_irq, .moved = slot_moved};

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

	*slot = (struct pci_slot){.bus = bus, .function = function, .number = bus->count, .line = pci_bus_line(bus->count)};
	for (unsigned int bar = 0; bar < PCI_BARS; bar++)
		slot->window[bar] = (struct pci_window){.function = function, .bar = bar};
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

void pci_bus_restart(struct pci_bus *bus)
{
	bus->address = 0;
	for (unsigned int i = 0; i < bus->count; i++)
		pci_function_restart(bus->slot[i].function);
}

/* --- configuration mechanism 1 ---------------------------------------------------------------------------------------- */

/* The function and register that 0xcf8 names for an access at @offset of 0xcfc; NULL: nothing answers. One bus, function 0 only. */
static struct pci_function *configured(const struct pci_bus *bus, uint32_t offset, unsigned int *at)
{
	uint32_t address = bus->address;

	*at = (address & 0xfc) + offset;
	if (!(address & PCI_CONFIG_ENABLE) || (address & 0xff0700))
		return NULL;
	return bus->slot[address >> 11 & 31].function;
}

static uint32_t data_in(void *opaque, uint32_t offset, unsigned int size)
{
	unsigned int at;
	struct pci_function *function = configured(opaque, offset, &at);

	return function ? pci_config_read(function, at, size) : ~0u;
}

static void data_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	unsigned int at;
	struct pci_function *function = configured(opaque, offset, &at);

	if (function)
		pci_config_write(function, at, size, value);
}

static uint32_t address_in(void *opaque, uint32_t offset, unsigned int size)
{
	return ((struct pci_bus *)opaque)->address;
}

/* Some bits do not exist. */
static void address_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	((struct pci_bus *)opaque)->address = value & (PCI_CONFIG_ENABLE | 0xfffffc);
}

static const struct port_ops data_ops = {.in = data_in, .out = data_out, .min_size = 1, .max_size = 4, .cold = true};
/* Only as a whole: single bytes there belong to other chips. */
static const struct port_ops address_ops = {.in = address_in, .out = address_out, .min_size = 4, .max_size = 4, .cold = true};

int pci_bus_init(struct pci_bus *bus, struct ports *ports, void (*irq)(void *opaque, unsigned int line, bool level), void *opaque)
{
	int err;

	memset(bus, 0, sizeof(*bus));
	bus->ports = ports;
	bus->irq = irq;
	bus->opaque = opaque;
	bus->next_port = PCI_PORTS_FIRST;
	make_bridge(&bus->bridge);
	put_into(bus, &bus->bridge);
	bus->address_range = (struct port_range){.first = PCI_CONFIG_ADDRESS, .count = 4, .ops = &address_ops, .opaque = bus};
	bus->data_range = (struct port_range){.first = PCI_CONFIG_DATA, .count = 4, .ops = &data_ops, .opaque = bus};
	err = ports_add(ports, &bus->address_range);
	return err ? err : ports_add(ports, &bus->data_range);
}
