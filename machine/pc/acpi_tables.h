/* SPDX-License-Identifier: MIT */
/*
 * acpi_tables.h - the board, described to the guest by ACPI tables (ACPI 6.3, 5.2).
 *
 * A stock i386 kernel would boot without them, at the same speed. They are what it switches itself off with and listens to the
 * power button by; they name the interrupt of each PCI slot, and tell it not to look for a keyboard controller or a VGA card.
 */
#ifndef KENNEL_MACHINE_PC_ACPI_TABLES_H
#define KENNEL_MACHINE_PC_ACPI_TABLES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Where a BIOS would be: the guest looks for the first table here, on a boundary of 16 bytes. To be reserved in the memory map. */
#define ACPI_TABLES_START	0xe0000u
#define ACPI_TABLES_END		0x100000u

struct acpi_board {
	uint8_t pci_line[32];		/* interrupt line of slot n, for all four pins; 0 = nothing there */
	uint32_t pci_memory;		/* from here up to 0xfebfffff the guest may place BARs; 0 = no memory for PCI */
	bool serial;			/* there is a port at 0x3f8 */
	bool timer;			/* offer the timer: for a guest without a better clock, as Linux takes 35 ms to try it out */
};

/**
 * acpi_tables_write - put the tables at @at, which the guest sees at @address
 * @address: a multiple of 64; ACPI_TABLES_START unless the boot parameters tell the guest otherwise.
 * Returns the bytes used, or -ENOSPC if @size is not enough (8 KiB are).
 */
int acpi_tables_write(uint8_t *at, uint32_t address, size_t size, const struct acpi_board *board);

#endif
