/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pci-bed.h"

static void bed_irq(void *opaque, unsigned int line, bool level)
{
	struct pci_bed *bed = opaque;

	assert_true(pci_bus_lines() >> line & 1);
	/* Only changes are told. */
	assert_int_equal(bed->lines >> line & 1, !level);
	bed->lines ^= (uint16_t)(1u << line);
	bed->edges += level;
}

static void bed_complain(void *opaque, const struct virtio_dev *dev, const char *reason)
{
	((struct pci_bed *)opaque)->complaint = reason;
}

uint32_t pci_bed_in(struct pci_bed *bed, unsigned int port, unsigned int size)
{
	bed->strays += !bed->port_space.owner[port];
	return ports_in(&bed->port_space, (uint16_t)port, size);
}

void pci_bed_out(struct pci_bed *bed, unsigned int port, unsigned int size, uint32_t value)
{
	bed->strays += !bed->port_space.owner[port];
	ports_out(&bed->port_space, (uint16_t)port, size, value);
}

static uint32_t guest_in(void *opaque, uint16_t port, unsigned int size)
{
	return pci_bed_in(opaque, port, size);
}

static void guest_out(void *opaque, uint16_t port, unsigned int size, uint32_t value)
{
	pci_bed_out(opaque, port, size, value);
}

uint32_t pci_bed_get(struct pci_bed *bed, unsigned int slot, unsigned int at, unsigned int size)
{
	return virtio_pci_config_in(&bed->guest, slot, at, size);
}

void pci_bed_set(struct pci_bed *bed, unsigned int slot, unsigned int at, unsigned int size, uint32_t value)
{
	virtio_pci_config_out(&bed->guest, slot, at, size, value);
}

unsigned int pci_bed_port(struct pci_bed *bed, unsigned int slot, unsigned int bar)
{
	uint32_t value = pci_bed_get(bed, slot, PCI_BAR0 + 4 * bar, 4);

	assert_int_equal(value & PCI_BAR_IO_FLAGS, PCI_BAR_IO);
	return value & ~PCI_BAR_IO_FLAGS;
}

static void *platform_alloc(void *opaque, size_t size, size_t align)
{
	struct pci_bed *bed = opaque;
	size_t at = (bed->next + align - 1) & ~(align - 1);

	if (at + size > PCI_BED_RAM)
		return NULL;
	bed->next = at + size;
	return bed->memory + at;
}

void *pci_bed_alloc(struct pci_bed *bed, size_t size)
{
	void *p = platform_alloc(bed, size, 16);

	assert_non_null(p);
	return p;
}

void pci_bed_interrupts(struct pci_bed *bed)
{
	if (!bed->lines)
		return;
	for (unsigned int i = 0; i < bed->found; i++) {
		bool config;

		virtio_pci_device_interrupt(bed->devices[i], &config);
		bed->config_changes += config;
	}
}

static void platform_wait(void *opaque)
{
	struct pci_bed *bed = opaque;

	pci_bed_interrupts(bed);
	if (bed->idle)
		bed->idle(bed);
}

struct pci_bed *pci_bed_create(void)
{
	struct pci_bed *bed = calloc(1, sizeof(*bed));

	assert_non_null(bed);
	bed->memory = aligned_alloc(4096, PCI_BED_RAM);
	assert_non_null(bed->memory);
	memset(bed->memory, 0, PCI_BED_RAM);
	bed->next = 4096;
	bed->mem = (struct virtio_mem){ .base = bed->memory, .size = PCI_BED_RAM };
	bed->platform = (struct virtio_platform){ .mem = &bed->mem, .alloc = platform_alloc, .wait = platform_wait, .opaque = bed };
	bed->ports = (struct virtio_pci_ports){ .in = guest_in, .out = guest_out, .opaque = bed };
	ports_init(&bed->port_space, NULL, NULL, NULL);
	assert_int_equal(pci_bus_init(&bed->bus, &bed->port_space, bed_irq, bed), 0);
	virtio_pci_bus_init(&bed->guest, &bed->platform, &bed->ports);
	return bed;
}

unsigned int pci_bed_add(struct pci_bed *bed, struct virtio_dev *dev, enum virtio_pci_kind kind)
{
	struct virtio_pci *vp = &bed->fn[bed->count];
	const char *reason = "";
	int slot;

	assert_in_range(bed->count, 0, PCI_BED_DEVICES - 1);
	assert_int_equal(virtio_pci_init(vp, dev, kind, &bed->mem, &reason), 0);
	assert_null(reason);
	vp->complain = bed_complain;
	vp->opaque = bed;
	slot = pci_bus_add(&bed->bus, &vp->pci, &reason);
	assert_true(slot > 0);
	bed->count++;
	return (unsigned int)slot;
}

void pci_bed_boot(struct pci_bed *bed, bool legacy)
{
	virtio_pci_bus_init(&bed->guest, &bed->platform, &bed->ports);
	bed->guest.prefer_legacy = legacy;
	bed->found = 0;
}

struct virtio_pci_device *pci_bed_next(struct pci_bed *bed, uint32_t id)
{
	struct virtio_pci_device *device = pci_bed_alloc(bed, sizeof(*device));

	assert_true(virtio_pci_bus_next(&bed->guest, device));
	assert_int_equal(device->vdev.id, id);
	bed->devices[bed->found++] = device;
	return device;
}

void pci_bed_destroy(struct pci_bed *bed)
{
	for (unsigned int i = 0; i < bed->count; i++)
		virtio_dev_destroy(bed->fn[i].regs.dev);
	free(bed->memory);
	free(bed);
}
