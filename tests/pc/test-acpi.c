/* SPDX-License-Identifier: MIT */
/* Fixed ACPI hardware, and the tables; with iasl's word on them where it is installed. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "machine/pc/acpi.h"
#include "machine/pc/acpi_tables.h"
#include "tests/pc/test.h"

#define SECOND	UINT64_C(1000000000)

static struct ports ports;
static struct acpi acpi;
static uint64_t clock_ns;
static bool line;
static unsigned int offs;

static uint64_t now(void *opaque)
{
	return clock_ns;
}

static void set_irq(void *opaque, bool high)
{
	line = high;
}

static void power_off(void *opaque)
{
	offs++;
}

static int setup(void **state)
{
	clock_ns = 987654321;
	line = false;
	offs = 0;
	ports_init(&ports, NULL, NULL, NULL);
	acpi_init(&acpi, now, set_irq, power_off, NULL);
	assert_int_equal(acpi_add_ports(&acpi, &ports), 0);
	return 0;
}

static void the_timer_runs(void **state)
{
	assert_int_equal(ports_in(&ports, 0x608, 4), 0);
	clock_ns += SECOND;
	assert_int_equal(ports_in(&ports, 0x608, 4), 3579545);
	assert_int_equal(ports_in(&ports, 0x609, 1), 3579545 >> 8 & 255);
	clock_ns += 9 * SECOND;
	assert_int_equal(ports_in(&ports, 0x608, 4), 35795450 & 0xffffff);
}

static void sleeping(void **state)
{
	assert_int_equal(ports_in(&ports, 0x604, 2), 1);
	/* As Linux does it: the type, then the type and the enable bit. */
	ports_out(&ports, 0x604, 2, 5 << 10);
	assert_int_equal(offs, 0);
	ports_out(&ports, 0x604, 2, 5 << 10 | 1 << 13);
	assert_int_equal(offs, 1);
	ports_out(&ports, 0x604, 2, 1 << 10 | 1 << 13);
	assert_int_equal(offs, 1);
	assert_int_equal(ports_in(&ports, 0x604, 2), 1 << 10 | 1);
}

static void the_power_button(void **state)
{
	assert_false(acpi_listens(&acpi));
	ports_out(&ports, ACPI_EVENT_PORT + 2, 2, 0x100);
	assert_int_equal(ports_in(&ports, ACPI_EVENT_PORT + 2, 2), 0x100);
	assert_true(acpi_listens(&acpi));
	assert_true(acpi_deadline(&acpi) == ACPI_NEVER);
	acpi_press_power_button(&acpi);
	assert_int_equal(acpi_deadline(&acpi), 0);
	acpi_poll(&acpi);
	assert_true(acpi_deadline(&acpi) == ACPI_NEVER);
	assert_true(line);
	assert_int_equal(ports_in(&ports, ACPI_EVENT_PORT, 2), 0x100);
	ports_out(&ports, ACPI_EVENT_PORT, 2, 0xfeff);
	assert_true(line);
	ports_out(&ports, ACPI_EVENT_PORT, 2, 0x100);
	assert_false(line);
	assert_int_equal(ports_in(&ports, ACPI_EVENT_PORT, 2), 0);
}

static void the_timer_interrupts(void **state)
{
	assert_true(acpi_deadline(&acpi) == ACPI_NEVER);
	ports_out(&ports, ACPI_EVENT_PORT + 2, 2, 1);
	/* Half the period of 24 bits: 2.34 s. */
	assert_in_range(acpi_deadline(&acpi) - clock_ns, 2343000000, 2344000000);
	clock_ns = acpi_deadline(&acpi) - 1;
	acpi_poll(&acpi);
	assert_false(line);
	clock_ns++;
	acpi_poll(&acpi);
	assert_true(line);
	assert_true(acpi_deadline(&acpi) == ACPI_NEVER);
	ports_out(&ports, ACPI_EVENT_PORT, 1, 1);
	assert_false(line);
	assert_in_range(acpi_deadline(&acpi) - clock_ns, 2343000000, 2344000000);
}

static void a_reset_forgets(void **state)
{
	ports_out(&ports, ACPI_EVENT_PORT + 2, 2, 0x101);
	acpi_press_power_button(&acpi);
	clock_ns += 5 * SECOND;
	acpi_reset(&acpi);
	acpi_poll(&acpi);
	assert_false(line);
	assert_int_equal(ports_in(&ports, 0x608, 4), 0);
	assert_int_equal(ports_in(&ports, ACPI_EVENT_PORT + 2, 2), 0);
}

/* --- tables ---------------------------------------------------------------------------------------------------------- */

static uint8_t tables[8192];

static uint32_t get32(const uint8_t *at)
{
	return at[0] | at[1] << 8 | at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint8_t sum(const uint8_t *at, size_t size)
{
	uint8_t total = 0;

	while (size--)
		total += *at++;
	return total;
}

static const struct acpi_board example = {
	.pci_line = { 0, 10, 11, 5, [31] = 15 }, .pci_memory = 0xe0000000, .serial = true, .timer = true,
};

/* The table that @address names, its header checked. */
static const uint8_t *table_at(uint32_t address, const char *signature)
{
	const uint8_t *at = tables + (address - ACPI_TABLES_START);

	assert_in_range(address, ACPI_TABLES_START, ACPI_TABLES_START + sizeof(tables) - 36);
	assert_memory_equal(at, signature, 4);
	assert_in_range(get32(at + 4), 36, sizeof(tables) - (size_t)(at - tables));
	assert_int_equal(sum(at, get32(at + 4)), 0);
	return at;
}

static void the_tables_lead_to_each_other(void **state)
{
	const uint8_t *rsdt, *fadt, *facs, *dsdt;
	int used = acpi_tables_write(tables, ACPI_TABLES_START, sizeof(tables), &example);

	assert_in_range(used, 500, sizeof(tables));
	assert_memory_equal(tables, "RSD PTR ", 8);
	assert_int_equal(sum(tables, 20), 0);
	rsdt = table_at(get32(tables + 16), "RSDT");
	assert_int_equal(get32(rsdt + 4), 40);
	fadt = table_at(get32(rsdt + 36), "FACP");
	assert_int_equal(get32(fadt + 4), 244);
	dsdt = table_at(get32(fadt + 40), "DSDT");
	assert_int_equal(dsdt + get32(dsdt + 4) - tables, used);
	facs = tables + (get32(fadt + 36) - ACPI_TABLES_START);
	assert_memory_equal(facs, "FACS", 4);
	assert_int_equal((facs - tables) % 64, 0);
	assert_int_equal(fadt[46], ACPI_LINE);
	assert_int_equal(get32(fadt + 76), ACPI_TIMER_PORT);
	assert_int_equal(get32(fadt + 120), 0xcf9);
}

static void the_timer_may_be_left_out(void **state)
{
	struct acpi_board board = example;
	const uint8_t *fadt;

	board.timer = false;
	acpi_tables_write(tables, ACPI_TABLES_START, sizeof(tables), &board);
	fadt = table_at(get32(table_at(get32(tables + 16), "RSDT") + 36), "FACP");
	assert_int_equal(get32(fadt + 76), 0);
	assert_int_equal(fadt[91], 0);
}

static void too_little_room(void **state)
{
	int used = acpi_tables_write(tables, ACPI_TABLES_START, sizeof(tables), &example);
	uint8_t *exact = malloc((size_t)used);

	assert_non_null(exact);
	assert_int_equal(acpi_tables_write(exact, ACPI_TABLES_START, (size_t)used, &example), used);
	for (size_t size = 0; size < (size_t)used; size += 7)
		assert_true(acpi_tables_write(exact, ACPI_TABLES_START, size, &example) < 0);
	free(exact);
}

/* Returns the text of DSL that iasl makes of the table, on the heap. */
static char *disassemble(const uint8_t *table)
{
	char dir[] = "/tmp/kennel-acpi-XXXXXX", command[256], name[64], *text = calloc(1, 1 << 20);
	FILE *file;

	assert_non_null(mkdtemp(dir));
	snprintf(name, sizeof(name), "%s/t.aml", dir);
	file = fopen(name, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(table, 1, get32(table + 4), file), get32(table + 4));
	fclose(file);
	snprintf(command, sizeof(command), "iasl -d %s/t.aml >/dev/null 2>&1 && cat %s/t.dsl", dir, dir);
	file = popen(command, "r");		/* NOLINT(bugprone-command-processor) */
	assert_non_null(file);
	assert_in_range(fread(text, 1, (1 << 20) - 1, file), 1, 1 << 20);
	assert_int_equal(pclose(file), 0);
	/* And back: the compiler finds no fault with it. */
	if (!memcmp(table, "DSDT", 4)) {
		snprintf(command, sizeof(command), "iasl -p %s/u %s/t.dsl 2>&1 | grep -q ' 0 Errors, 0 Warnings'", dir, dir);
		assert_int_equal(system(command), 0);	/* NOLINT(bugprone-command-processor) */
	}
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);		/* NOLINT(bugprone-command-processor) */
	return text;
}

static void iasl_understands_them(void **state)
{
	static const char *const wanted[] = {
		"Name (_S5,", "Device (PCI0)", "EisaId (\"PNP0A03\")", "0x001FFFFF", "0xE0000000,", "0xFEBFFFFF,", "EisaId (\"PNP0501\")",
		"0x03F8,", "EisaId (\"PNP0B00\")", "{8}", "{4}", "0x0CF8,",
	};
	const uint8_t *fadt, *dsdt;
	char *text;

	if (system("command -v iasl >/dev/null")) {	/* NOLINT(bugprone-command-processor) */
		print_message("skipped: no iasl here (package acpica-tools)\n");
		skip();
	}
	acpi_tables_write(tables, ACPI_TABLES_START, sizeof(tables), &example);
	fadt = table_at(get32(table_at(get32(tables + 16), "RSDT") + 36), "FACP");
	dsdt = table_at(get32(fadt + 40), "DSDT");
	text = disassemble(dsdt);
	for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
		if (!strstr(text, wanted[i]))
			fail_msg("no %s in:\n%s", wanted[i], text);
	free(text);
	text = disassemble(fadt);
	assert_non_null(strstr(text, "SCI Interrupt : 0009"));
	assert_non_null(strstr(text, "8042 Present on ports 60/64 (V2) : 0"));
	assert_non_null(strstr(text, "Reset Register Supported (V2) : 1"));
	assert_null(strstr(text, "rror"));
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_timer_runs, setup),
		cmocka_unit_test_setup(sleeping, setup),
		cmocka_unit_test_setup(the_power_button, setup),
		cmocka_unit_test_setup(the_timer_interrupts, setup),
		cmocka_unit_test_setup(a_reset_forgets, setup),
		cmocka_unit_test(the_tables_lead_to_each_other),
		cmocka_unit_test(the_timer_may_be_left_out),
		cmocka_unit_test(too_little_room),
		cmocka_unit_test(iasl_understands_them),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
