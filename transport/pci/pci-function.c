/* SPDX-License-Identifier: MIT */
/*
 * pci-function.c - the configuration space of one PCI function (PCI Local Bus 3.0, chapter 6).
 *
 * A space is three pages of bytes: what is there, which bits of it the guest may change, and what was there at power-on. Nearly all
 * rules of the standard are then entries of the second: the sizing of a BAR, for example, is that its low bits cannot be set. No bit
 * of ours is cleared by writing one, because nothing here ever sets an error bit.
 */
#include <transport/pci/pci-function.h>

static bool overlaps(unsigned int at, unsigned int size, unsigned int reg, unsigned int bytes)
{
	return at < reg + bytes && reg < at + size;
}

int pci_function_init(struct pci_function *fn, const struct pci_function_ops *ops, uint16_t vendor, uint16_t device)
{
	if (!fn || !ops)
		return -VIRTIO_EINVAL;
	virtio_zero(fn, sizeof(*fn));
	fn->ops = ops;
	fn->free = PCI_HEADER_END;
	fn->last = PCI_CAPABILITIES;
	pci_function_set16(fn, PCI_VENDOR_ID, vendor);
	pci_function_set16(fn, PCI_DEVICE_ID, device);
	virtio_put16(false, fn->writable + PCI_COMMAND, PCI_COMMAND_IO | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
	fn->writable[PCI_INTERRUPT_LINE] = 0xff;
	return 0;
}

int pci_function_add_bar(struct pci_function *fn, unsigned int bar, uint32_t ports)
{
	uint32_t size = 4;

	if (!fn || bar >= PCI_BARS || !ports || ports > 256)
		return -VIRTIO_EINVAL;
	while (size < ports)
		size *= 2;
	fn->bar_size[bar] = size;
	/* 6.2.5.1: bits below the size are hardwired, which is how the guest finds it out. */
	pci_function_set32(fn, PCI_BAR0 + 4 * bar, PCI_BAR_IO);
	virtio_put32(false, fn->writable + PCI_BAR0 + 4 * (size_t)bar, ~(size - 1));
	return 0;
}

int pci_function_add_memory_bar(struct pci_function *fn, unsigned int bar, uint32_t bytes)
{
	if (!fn || bar >= PCI_BARS || bytes < 16 || (bytes & (bytes - 1)))
		return -VIRTIO_EINVAL;
	fn->bar_size[bar] = bytes;
	fn->memory_bars |= (uint8_t)(1u << bar);
	virtio_put32(false, fn->writable + PCI_BAR0 + 4 * (size_t)bar, ~(bytes - 1));
	fn->writable[PCI_COMMAND] |= PCI_COMMAND_MEMORY;
	return 0;
}

int pci_function_add_capability(struct pci_function *fn, uint8_t id, const void *capability, unsigned int len)
{
	unsigned int at;

	if (!fn || !capability || len < 2)
		return -VIRTIO_EINVAL;
	at = fn->free;
	if (len > PCI_CONFIG_SIZE - at)
		return -VIRTIO_ENOSPC;
	virtio_copy(fn->config + at, capability, len);
	fn->config[at + PCI_CAP_ID] = id;
	fn->config[at + PCI_CAP_NEXT] = 0;
	/* 6.7: a list of offsets, each a multiple of 4. */
	fn->config[fn->last] = (uint8_t)at;
	fn->last = at + PCI_CAP_NEXT;
	fn->free = (at + len + 3) & ~3u;
	pci_function_set16(fn, PCI_STATUS, pci_function_get16(fn, PCI_STATUS) | PCI_STATUS_CAPABILITIES);
	return (int)at;
}

void pci_function_seal(struct pci_function *fn)
{
	if (fn)
		virtio_copy(fn->power_on, fn->config, sizeof(fn->power_on));
}

/* Tell the bus what the pin looks like to it. */
static void settle_pin(struct pci_function *fn)
{
	bool level = fn->pin && !(pci_function_get16(fn, PCI_COMMAND) & PCI_COMMAND_NO_INTX);

	if (level == fn->asserted)
		return;
	fn->asserted = level;
	if (fn->bus)
		fn->bus->irq(fn->bus_data, level);
}

void pci_function_interrupt(struct pci_function *fn, bool level)
{
	uint16_t status = pci_function_get16(fn, PCI_STATUS);

	if (!fn)
		return;
	fn->pin = level;
	/* 6.2.3: the bit shows the function's wish, whether or not the command register masks it. */
	pci_function_set16(fn, PCI_STATUS, (uint16_t)(level ? status | PCI_STATUS_INTERRUPT : status & ~PCI_STATUS_INTERRUPT));
	settle_pin(fn);
}

static void moved(struct pci_function *fn)
{
	if (fn->bus)
		fn->bus->moved(fn->bus_data);
}

void pci_function_restart(struct pci_function *fn)
{
	if (!fn)
		return;
	virtio_copy(fn->config, fn->power_on, sizeof(fn->config));
	pci_function_interrupt(fn, false);
	moved(fn);
	if (fn->ops->restart)
		fn->ops->restart(fn);
}

int32_t pci_function_port(const struct pci_function *fn, unsigned int bar)
{
	uint32_t base;

	if (!fn || bar >= PCI_BARS || !fn->bar_size[bar] || (fn->memory_bars >> bar & 1) || !(pci_function_get16(fn, PCI_COMMAND) & PCI_COMMAND_IO))
		return -1;
	base = pci_function_get32(fn, PCI_BAR0 + 4 * bar) & ~PCI_BAR_IO_FLAGS;
	/* A window whose address is still 0 has not been given one. */
	return base && base <= 0x10000 - fn->bar_size[bar] ? (int32_t)base : -1;
}

int64_t pci_function_memory(const struct pci_function *fn, unsigned int bar)
{
	uint32_t base;

	if (!fn || bar >= PCI_BARS || !(fn->memory_bars >> bar & 1) || !(pci_function_get16(fn, PCI_COMMAND) & PCI_COMMAND_MEMORY))
		return -1;
	base = pci_function_get32(fn, PCI_BAR0 + 4 * bar);
	return base ? (int64_t)base : -1;
}

/* --- the guest's accesses --------------------------------------------------------------------------------------------- */

static bool in_config(const struct pci_function *fn, unsigned int at, unsigned int size)
{
	return fn && (size == 1 || size == 2 || size == 4) && at <= PCI_CONFIG_SIZE - size;
}

uint32_t pci_config_read(struct pci_function *fn, unsigned int at, unsigned int size)
{
	uint32_t value = 0;

	if (!in_config(fn, at, size))
		return ~0u;
	if (at + size > PCI_HEADER_END && fn->ops->config_reading)
		fn->ops->config_reading(fn, at, size);
	for (unsigned int i = 0; i < size; i++)
		value |= (uint32_t)fn->config[at + i] << 8 * i;
	return value;
}

static void header_written(struct pci_function *fn, unsigned int at, unsigned int size, uint16_t old_command)
{
	bool command = overlaps(at, size, PCI_COMMAND, 2);

	if (command || overlaps(at, size, PCI_BAR0, 4 * PCI_BARS))
		moved(fn);
	if (!command)
		return;
	settle_pin(fn);
	if ((old_command & ~pci_function_get16(fn, PCI_COMMAND) & PCI_COMMAND_MASTER) && fn->ops->master_off)
		fn->ops->master_off(fn);
}

void pci_config_write(struct pci_function *fn, unsigned int at, unsigned int size, uint32_t value)
{
	uint16_t old_command = pci_function_get16(fn, PCI_COMMAND);

	if (!in_config(fn, at, size))
		return;
	for (unsigned int i = at; i < at + size; i++, value >>= 8)
		fn->config[i] = (uint8_t)((fn->config[i] & ~fn->writable[i]) | (value & fn->writable[i]));
	header_written(fn, at, size, old_command);
	if (at + size > PCI_HEADER_END && fn->ops->config_written)
		fn->ops->config_written(fn, at, size);
}

static bool in_bar(const struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size)
{
	return fn && bar < PCI_BARS && (size == 1 || size == 2 || size == 4) && size <= fn->bar_size[bar] && offset <= fn->bar_size[bar] - size;
}

static uint32_t all_ones(unsigned int size)
{
	return size && size < 4 ? (UINT32_C(1) << 8 * size) - 1 : ~0u;
}

uint32_t pci_bar_read(struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size)
{
	uint32_t mask = all_ones(size);

	if (!in_bar(fn, bar, offset, size) || !fn->ops->bar_read)
		return mask;
	return fn->ops->bar_read(fn, bar, offset, size) & mask;
}

void pci_bar_write(struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size, uint32_t value)
{
	if (in_bar(fn, bar, offset, size) && fn->ops->bar_write)
		fn->ops->bar_write(fn, bar, offset, size, value & all_ones(size));
}
