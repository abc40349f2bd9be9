/* SPDX-License-Identifier: MIT */
/*
 * RSDP, and behind it FACS, RSDT, FADT and DSDT, each aligned to 64 bytes as the FACS has to be.
 *
 * The FADT has the form of ACPI 2.0 (revision 3), the first with a reset register and the flags for absent hardware. Its 64-bit
 * addresses stay 0: kernels then take the 32-bit ones. There is no MADT, since there is no APIC.
 */
#include "machine/pc/acpi_tables.h"

#include <errno.h>
#include <string.h>

#include "machine/pc/acpi.h"
#include "machine/pc/aml.h"

/* Sizes, and offsets of fields (ACPI 6.3: RSDP 5.2.5.3, header 5.2.6, FADT 5.2.9, FACS 5.2.10). */
enum {
	ALIGN = 64,
	RSDP_SIZE = 20, RSDP_CHECKSUM = 8, RSDP_OEM = 9, RSDP_RSDT = 16,
	HEADER_SIZE = 36, HEADER_LENGTH = 4, HEADER_REVISION = 8, HEADER_CHECKSUM = 9, HEADER_OEM = 10, HEADER_OEM_TABLE = 16,
	HEADER_OEM_REVISION = 24, HEADER_CREATOR = 28, HEADER_CREATOR_REVISION = 32,
	FACS_SIZE = 64, FACS_LENGTH = 4,
	FADT_SIZE = 244, FADT_FACS = 36, FADT_DSDT = 40, FADT_PROFILE = 45, FADT_SCI = 46, FADT_PM1A_EVENT = 56, FADT_PM1A_CONTROL = 64,
	FADT_TIMER = 76, FADT_PM1_EVENT_LENGTH = 88, FADT_PM1_CONTROL_LENGTH = 89, FADT_TIMER_LENGTH = 91, FADT_C2_LATENCY = 96,
	FADT_C3_LATENCY = 98, FADT_CENTURY = 108, FADT_BOOT_FLAGS = 109, FADT_FLAGS = 112, FADT_RESET = 116, FADT_RESET_VALUE = 128,
};

enum {
	PROFILE_DESKTOP = 1,
	BOOT_LEGACY_DEVICES = 0x01, BOOT_NO_VGA = 0x04, BOOT_NO_MSI = 0x08,	/* and no 0x02: no keyboard controller */
	FLAG_WBINVD = 1 << 0, FLAG_C1 = 1 << 2, FLAG_NO_SLEEP_BUTTON = 1 << 5, FLAG_NO_RTC_WAKE = 1 << 6, FLAG_RESET = 1 << 10,
	NO_C2 = 101, NO_C3 = 1001,		/* latencies that mean "there is none" */
	SPACE_IO = 1, RESET_PORT = 0xcf9, RESET_HARD = 0x06,
	CENTURY_REGISTER = 0x32,
};

#define PCI_MEMORY_LAST	0xfebfffffu

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)value;
	at[1] = (uint8_t)(value >> 8);
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value);
	put16(at + 2, value >> 16);
}

/* The byte that makes the sum of all @size bytes 0. */
static uint8_t checksum(const uint8_t *data, size_t size)
{
	uint8_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += data[i];
	return (uint8_t)-sum;
}

/* Fill in the header of a table whose other @size bytes are in place. */
static void finish(uint8_t *table, const char *signature, uint8_t revision, uint32_t size)
{
	memcpy(table, signature, 4);
	put32(table + HEADER_LENGTH, size);
	table[HEADER_REVISION] = revision;
	memcpy(table + HEADER_OEM, "KENNEL", 6);
	memcpy(table + HEADER_OEM_TABLE, "KENNELPC", 8);
	put32(table + HEADER_OEM_REVISION, 1);
	memcpy(table + HEADER_CREATOR, "KNNL", 4);
	put32(table + HEADER_CREATOR_REVISION, 1);
	table[HEADER_CHECKSUM] = 0;
	table[HEADER_CHECKSUM] = checksum(table, size);
}

/* --- the DSDT -------------------------------------------------------------------------------------------------------- */

/* Which interrupt each pin of each slot has: (slot << 16 | all functions, pin, no link device, line) (6.2.13). */
static void describe_wiring(struct aml *aml, const struct acpi_board *board)
{
	unsigned int wired = 0;
	size_t table, entry;

	for (unsigned int slot = 0; slot < 32; slot++)
		wired += board->pci_line[slot] != 0;
	aml_name(aml, "_PRT");
	table = aml_open_package(aml, (uint8_t)(4 * wired));
	for (unsigned int i = 0; i < 32 * 4; i++) {
		if (!board->pci_line[i / 4])
			continue;
		entry = aml_open_package(aml, 4);
		aml_number(aml, i / 4 << 16 | 0xffff);
		aml_number(aml, i % 4);
		aml_number(aml, 0);
		aml_number(aml, board->pci_line[i / 4]);
		aml_close(aml, entry);
	}
	aml_close(aml, table);
}

static void describe_pci(struct aml *aml, const struct acpi_board *board)
{
	size_t device = aml_open_device(aml, "PCI0"), resources;

	aml_name(aml, "_HID");
	aml_id(aml, "PNP0A03");
	aml_name(aml, "_UID");
	aml_number(aml, 0);
	aml_name(aml, "_CRS");
	resources = aml_open_resources(aml);
	aml_bus_window(aml, 0, 0xff);
	aml_ports(aml, 0xcf8, 8);
	aml_port_window(aml, 0, 0xcf7);
	aml_port_window(aml, 0xd00, 0xffff);
	if (board->pci_memory)
		aml_memory_window(aml, board->pci_memory, PCI_MEMORY_LAST);
	aml_close_resources(aml, resources);
	describe_wiring(aml, board);
	aml_close(aml, device);
}

static void describe_isa(struct aml *aml, const char *name, const char *id, uint16_t port, uint8_t count, unsigned int line)
{
	size_t device = aml_open_device(aml, name), resources;

	aml_name(aml, "_HID");
	aml_id(aml, id);
	aml_name(aml, "_UID");
	aml_number(aml, 1);
	aml_name(aml, "_CRS");
	resources = aml_open_resources(aml);
	aml_ports(aml, port, count);
	aml_irq(aml, line);
	aml_close_resources(aml, resources);
	aml_close(aml, device);
}

static void describe_board(struct aml *aml, const struct acpi_board *board)
{
	size_t open;

	aml_name(aml, "_S5_");
	open = aml_open_package(aml, 4);
	aml_number(aml, ACPI_SLEEP_OFF);
	aml_number(aml, ACPI_SLEEP_OFF);
	aml_number(aml, 0);
	aml_number(aml, 0);
	aml_close(aml, open);

	open = aml_open_scope(aml, "_SB_");
	describe_pci(aml, board);
	describe_isa(aml, "RTC0", "PNP0B00", 0x70, 2, 8);
	if (board->serial)
		describe_isa(aml, "COM1", "PNP0501", 0x3f8, 8, 4);
	aml_close(aml, open);
}

/* --- the fixed tables ------------------------------------------------------------------------------------------------ */

static void write_rsdp(uint8_t *at, uint32_t rsdt)
{
	memcpy(at, "RSD PTR ", 8);
	memcpy(at + RSDP_OEM, "KENNEL", 6);
	put32(at + RSDP_RSDT, rsdt);
	at[RSDP_CHECKSUM] = checksum(at, RSDP_SIZE);
}

static void write_fadt(uint8_t *at, uint32_t facs, uint32_t dsdt, const struct acpi_board *board)
{
	put32(at + FADT_FACS, facs);
	put32(at + FADT_DSDT, dsdt);
	at[FADT_PROFILE] = PROFILE_DESKTOP;
	put16(at + FADT_SCI, ACPI_LINE);
	put32(at + FADT_PM1A_EVENT, ACPI_EVENT_PORT);
	put32(at + FADT_PM1A_CONTROL, ACPI_CONTROL_PORT);
	if (board->timer) {
		put32(at + FADT_TIMER, ACPI_TIMER_PORT);
		at[FADT_TIMER_LENGTH] = 4;
	}
	at[FADT_PM1_EVENT_LENGTH] = 4;
	at[FADT_PM1_CONTROL_LENGTH] = 2;
	put16(at + FADT_C2_LATENCY, NO_C2);
	put16(at + FADT_C3_LATENCY, NO_C3);
	at[FADT_CENTURY] = CENTURY_REGISTER;
	put16(at + FADT_BOOT_FLAGS, BOOT_LEGACY_DEVICES | BOOT_NO_VGA | BOOT_NO_MSI);
	put32(at + FADT_FLAGS, FLAG_WBINVD | FLAG_C1 | FLAG_NO_SLEEP_BUTTON | FLAG_NO_RTC_WAKE | FLAG_RESET);
	/* A generic address: space, bits, offset, access size, address (5.2.3.2). */
	at[FADT_RESET] = SPACE_IO;
	at[FADT_RESET + 1] = 8;
	at[FADT_RESET + 3] = 1;
	put32(at + FADT_RESET + 4, RESET_PORT);
	at[FADT_RESET_VALUE] = RESET_HARD;
	finish(at, "FACP", 3, FADT_SIZE);
}

static size_t aligned(size_t size)
{
	return (size + ALIGN - 1) & ~(size_t)(ALIGN - 1);
}

int acpi_tables_write(uint8_t *at, uint32_t address, size_t size, const struct acpi_board *board)
{
	const size_t facs = aligned(RSDP_SIZE), rsdt = facs + FACS_SIZE, fadt = rsdt + aligned(HEADER_SIZE + 4),
		     dsdt = fadt + aligned(FADT_SIZE);
	struct aml aml = { .data = at + dsdt, .used = HEADER_SIZE };

	if (size < dsdt + HEADER_SIZE)
		return -ENOSPC;
	aml.size = size - dsdt;
	memset(at, 0, size);
	describe_board(&aml, board);
	if (aml.used > aml.size)
		return -ENOSPC;
	/* Revision 2: numbers have 64 bits, as everybody expects by now. */
	finish(at + dsdt, "DSDT", 2, (uint32_t)aml.used);
	memcpy(at + facs, "FACS", 4);
	put32(at + facs + FACS_LENGTH, FACS_SIZE);
	write_fadt(at + fadt, address + (uint32_t)facs, address + (uint32_t)dsdt, board);
	put32(at + rsdt + HEADER_SIZE, address + (uint32_t)fadt);
	finish(at + rsdt, "RSDT", 1, HEADER_SIZE + 4);
	write_rsdp(at, address + (uint32_t)rsdt);
	return (int)(dsdt + aml.used);
}
