/* SPDX-License-Identifier: MIT */
/*
 * pci-bed.h - a test bed: a "guest memory", the pc's PCI bus with virtio functions on it, and the guest's end in the same process.
 * IN and OUT are plain calls; an asserted line is a bit that pci_bed_interrupts() hands to every device of the guest's end.
 */
#ifndef TESTS_DEVICE_PCI_BED_H
#define TESTS_DEVICE_PCI_BED_H

#include <device/device.h>
#include <machine/pc/pci.h>
#include <transport/pci/virtio-pci-guest.h>
#include <transport/pci/virtio-pci-host.h>

#define PCI_BED_RAM	(1024 * 1024u)
#define PCI_BED_DEVICES	8

struct pci_bed {
	uint8_t *memory;
	size_t next;			/* of the bump allocator */
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct ports port_space;
	struct pci_bus bus;
	struct virtio_pci fn[PCI_BED_DEVICES];
	unsigned int count;
	uint16_t lines;			/* asserted now */
	unsigned int edges;		/* how often one became asserted */
	unsigned int strays;		/* accesses that were nobody's */
	const char *complaint;

	struct virtio_pci_ports ports;
	struct virtio_pci_bus guest;
	struct virtio_pci_device *devices[PCI_BED_DEVICES];
	unsigned int found;
	unsigned int config_changes;
	void (*idle)(struct pci_bed *bed);	/* what wait() does besides delivering interrupts */
	void *opaque;
};

struct pci_bed *pci_bed_create(void);
/* Put a device on the bus; returns its slot. */
unsigned int pci_bed_add(struct pci_bed *bed, struct virtio_dev *dev, enum virtio_pci_kind kind);
/* The guest looks at the bus. */
void pci_bed_boot(struct pci_bed *bed, bool legacy);
/* The next device; fails the test when it is not one of this id. */
struct virtio_pci_device *pci_bed_next(struct pci_bed *bed, uint32_t id);
/* Let every device of the guest's end look whether it is meant. Fails the test when a line stays asserted after that. */
void pci_bed_interrupts(struct pci_bed *bed);
/* Zeroed guest memory; fails the test when there is none. */
void *pci_bed_alloc(struct pci_bed *bed, size_t size);
/* Destroys the devices too. */
void pci_bed_destroy(struct pci_bed *bed);

/* Ports, and configuration registers of @slot. */
uint32_t pci_bed_in(struct pci_bed *bed, unsigned int port, unsigned int size);
void pci_bed_out(struct pci_bed *bed, unsigned int port, unsigned int size, uint32_t value);
uint32_t pci_bed_get(struct pci_bed *bed, unsigned int slot, unsigned int at, unsigned int size);
void pci_bed_set(struct pci_bed *bed, unsigned int slot, unsigned int at, unsigned int size, uint32_t value);
/* First port of a window, as the guest reads it. */
unsigned int pci_bed_port(struct pci_bed *bed, unsigned int slot, unsigned int bar);

#endif
