/* SPDX-License-Identifier: MIT */
/*
 * pci-function.h - the host's end of one PCI function: its configuration space, its windows of I/O ports, its interrupt pin.
 *
 * What a bus (a machine's) and a function (a virtio device, a bridge) agree on. The function is filled in before it is put on a bus:
 *
 *	pci_function_init(&fn, &ops, vendor, device);
 *	pci_function_set16(&fn, PCI_SUBSYSTEM_ID, ...), pci_function_add_bar(&fn, 0, 64), pci_function_add_capability(...)
 *
 * The bus then calls pci_config_read(), pci_config_write() and pci_bar_read(), pci_bar_write(), and hears of the interrupt pin and of
 * changed addresses through struct pci_bus_ops. Header type 0; 32-bit BARs. Callers hold the I/O lock. No allocation; freestanding.
 */
#ifndef KENNEL_TRANSPORT_PCI_PCI_FUNCTION_H
#define KENNEL_TRANSPORT_PCI_PCI_FUNCTION_H

#include <transport/pci/pci.h>
#include <virtio/endian.h>
#include <virtio/virtio.h>

VIRTIO_BEGIN_DECLS

struct pci_function;

/* What a function does; every operation may be NULL. */
struct pci_function_ops {
	/* @size (1, 2, 4) bytes at @offset of window @bar, all inside it. */
	uint32_t (*bar_read)(struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size);
	void (*bar_write)(struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size, uint32_t value);
	/* The guest is about to read configuration bytes [@at, @at + @size) behind the header: bring them up to date. */
	void (*config_reading)(struct pci_function *fn, unsigned int at, unsigned int size);
	/* It wrote there, and what is writable has changed. */
	void (*config_written)(struct pci_function *fn, unsigned int at, unsigned int size);
	/* It took away the right to access memory: stop, and touch no guest memory after returning. */
	void (*master_off)(struct pci_function *fn);
	/* Power-on state: the guest restarts. */
	void (*restart)(struct pci_function *fn);
};

/* How a function reaches its bus. */
struct pci_bus_ops {
	/* INTA is asserted, or not. Only called when that changes. */
	void (*irq)(void *opaque, bool level);
	/* The ports it answers to may have changed. */
	void (*moved)(void *opaque);
};

struct pci_function {
	const struct pci_function_ops *ops;
	const struct pci_bus_ops *bus;		/* set by the bus, as is the next; NULL before */
	void *bus_data;
	uint32_t bar_size[PCI_BARS];		/* ports, a power of two from 4 to 256, or bytes; 0 = there is no such BAR */
	uint8_t memory_bars;			/* which of them are of memory, as bits */
	unsigned int free;			/* where the next capability goes */
	unsigned int last;			/* where the last one's "next" is */
	bool pin;				/* the function wants an interrupt */
	bool asserted;				/* and the bus was told so */
	uint8_t config[PCI_CONFIG_SIZE];
	uint8_t writable[PCI_CONFIG_SIZE];	/* bits that the guest may change */
	uint8_t power_on[PCI_CONFIG_SIZE];	/* as pci_function_seal() found it */
};

/* An empty function. @ops must outlive it. 0, or -VIRTIO_EINVAL: null. Null to any of the others is an error too, or nothing happens. */
int pci_function_init(struct pci_function *fn, const struct pci_function_ops *ops, uint16_t vendor, uint16_t device);

/*
 * Fill in bytes of the configuration space, past all masks: for the function itself and the bus. What is not there cannot be set, and
 * reads as zero.
 */
static inline void pci_function_set8(struct pci_function *fn, unsigned int at, uint8_t value)
{
	if (fn && at < PCI_CONFIG_SIZE)
		fn->config[at] = value;
}

static inline void pci_function_set16(struct pci_function *fn, unsigned int at, uint16_t value)
{
	if (fn && at <= PCI_CONFIG_SIZE - 2)
		virtio_put16(false, fn->config + at, value);
}

static inline void pci_function_set32(struct pci_function *fn, unsigned int at, uint32_t value)
{
	if (fn && at <= PCI_CONFIG_SIZE - 4)
		virtio_put32(false, fn->config + at, value);
}

static inline uint16_t pci_function_get16(const struct pci_function *fn, unsigned int at)
{
	return fn && at <= PCI_CONFIG_SIZE - 2 ? virtio_get16(false, fn->config + at) : 0;
}

static inline uint32_t pci_function_get32(const struct pci_function *fn, unsigned int at)
{
	return fn && at <= PCI_CONFIG_SIZE - 4 ? virtio_get32(false, fn->config + at) : 0;
}

/* Window @bar takes at least @ports I/O ports. 0; -VIRTIO_EINVAL: no such window, no ports, or more than the 256 of PCI 3.0, 6.2.5.1. */
int pci_function_add_bar(struct pci_function *fn, unsigned int bar, uint32_t ports);

/*
 * Append a capability: @len bytes at @capability (its first two are filled in here: id, next). Returns its offset; -VIRTIO_EINVAL: null, or
 * fewer than 2 bytes; -VIRTIO_ENOSPC: there is no room left.
 */
int pci_function_add_capability(struct pci_function *fn, uint8_t id, const void *capability, unsigned int len);

/*
 * Window @bar takes @bytes of memory addresses, a power of two of at least 16, which only a bus that has such can give it. 0;
 * -VIRTIO_EINVAL: no such window, or another size.
 */
int pci_function_add_memory_bar(struct pci_function *fn, unsigned int bar, uint32_t bytes);

/* First address of memory window @bar, or -1: there is none, it is not enabled, or it has no address. */
int64_t pci_function_memory(const struct pci_function *fn, unsigned int bar);

/* Complete: what is there now is what a restart brings back. */
void pci_function_seal(struct pci_function *fn);

/* Back to what was sealed, and the function's own restart(). The bus hears of it. */
void pci_function_restart(struct pci_function *fn);

/* First port of window @bar, or -1: there is none, it is of memory, it is not enabled, or its address is no 16-bit port. */
int32_t pci_function_port(const struct pci_function *fn, unsigned int bar);

/* The function wants (@level) an interrupt, or does not: status bit and pin follow, as far as the command register allows. */
void pci_function_interrupt(struct pci_function *fn, bool level);

/*
 * Guest accesses; @size 1, 2 or 4, @at + @size at most 256. What is not there reads as zero, and what is not writable stays. Other sizes
 * and places read all ones and write nothing.
 */
uint32_t pci_config_read(struct pci_function *fn, unsigned int at, unsigned int size);
void pci_config_write(struct pci_function *fn, unsigned int at, unsigned int size, uint32_t value);

/* Guest accesses to a window, enabled or not; @size 1, 2 or 4. Those that reach beyond it read all ones and write nothing. */
uint32_t pci_bar_read(struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size);
void pci_bar_write(struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size, uint32_t value);

VIRTIO_END_DECLS

#endif
