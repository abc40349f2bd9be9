/* SPDX-License-Identifier: MIT */
/*
 * Message interrupts of virtio over PCI: capability, table, masks, vectors, and what becomes of the line and the legacy window.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <transport/pci/virtio-pci-host.h>

#include "tests/device/bed.h"

enum { CONFIG = 0, IN = 1, OUT = 2, VECTORS = 3, PBA = 2048 };

static struct {
	uint8_t *memory;
	struct virtio_mem mem;
	struct virtio_dev *dev;
	struct fake_console console;
	struct virtio_pci vp;
	unsigned int cap, sent;
	uint64_t address;
	uint32_t data;
	bool line;
} m;

static void send_message(void *opaque, uint64_t address, uint32_t data)
{
	m.sent++;
	m.address = address;
	m.data = data;
}

static void irq(void *opaque, bool level)
{
	m.line = level;
}

static void moved(void *opaque)
{
}

static const struct pci_bus_ops bus = { .irq = irq, .moved = moved };

static uint32_t get(unsigned int at, unsigned int size)
{
	return pci_config_read(&m.vp.pci, at, size);
}

static void set(unsigned int at, unsigned int size, uint32_t value)
{
	pci_config_write(&m.vp.pci, at, size, value);
}

static unsigned int find(uint8_t id)
{
	unsigned int at = get(PCI_CAPABILITIES, 1);

	while (at && get(at, 1) != id)
		at = get(at + PCI_CAP_NEXT, 1);
	return at;
}

static uint32_t entry(unsigned int vector, unsigned int at)
{
	return pci_bar_read(&m.vp.pci, VIRTIO_PCI_BAR_MSIX, PCI_MSIX_ENTRY * vector + at, 4);
}

static void set_entry(unsigned int vector, unsigned int at, uint32_t value)
{
	pci_bar_write(&m.vp.pci, VIRTIO_PCI_BAR_MSIX, PCI_MSIX_ENTRY * vector + at, 4, value);
}

static uint32_t held(void)
{
	return pci_bar_read(&m.vp.pci, VIRTIO_PCI_BAR_MSIX, PBA, 4);
}

static uint32_t modern(uint32_t offset, unsigned int size)
{
	return pci_bar_read(&m.vp.pci, VIRTIO_PCI_BAR_MODERN, offset, size);
}

static void set_modern(uint32_t offset, unsigned int size, uint32_t value)
{
	pci_bar_write(&m.vp.pci, VIRTIO_PCI_BAR_MODERN, offset, size, value);
}

static int setup(void **state)
{
	memset(&m, 0, sizeof(m));
	m.memory = aligned_alloc(4096, 0x10000);
	memset(m.memory, 0, 0x10000);
	m.mem = (struct virtio_mem){ .base = m.memory, .size = 0x10000 };
	fake_console_init(&m.console);
	m.dev = console_device_create(&m.console.be);
	assert_int_equal(virtio_pci_init(&m.vp, m.dev, VIRTIO_PCI_TRANSITIONAL, &m.mem, NULL), 0);
	assert_int_equal(virtio_pci_add_msix(&m.vp, send_message, NULL), 0);
	m.vp.pci.bus = &bus;
	m.cap = find(PCI_CAP_MSIX);
	return 0;
}

static int teardown(void **state)
{
	virtio_dev_destroy(m.dev);
	free(m.memory);
	return 0;
}

/* A driver that has enabled messages and given each vector its own data. */
static void enable(void)
{
	for (unsigned int i = 0; i < VECTORS; i++) {
		set_entry(i, 0, 0xfee00000 + i);
		set_entry(i, 4, 1);
		set_entry(i, PCI_MSIX_ENTRY_DATA, 0x40 + i);
		set_entry(i, PCI_MSIX_ENTRY_CONTROL, 0);
	}
	set(m.cap + PCI_MSIX_CONTROL, 2, PCI_MSIX_ENABLE);
}

/* And has set the device up, with vectors for everything. */
static void start(void)
{
	set_modern(VIRTIO_PCI_STATUS, 1, 3);
	set_modern(VIRTIO_PCI_DRIVER_FEATURE_SELECT, 4, 1);
	set_modern(VIRTIO_PCI_DRIVER_FEATURE, 4, 1);
	set_modern(VIRTIO_PCI_STATUS, 1, 11);
	set_modern(VIRTIO_PCI_CONFIG_VECTOR, 2, CONFIG);
	for (unsigned int i = 0; i < 2; i++) {
		set_modern(VIRTIO_PCI_QUEUE_SELECT, 2, i);
		set_modern(VIRTIO_PCI_QUEUE_VECTOR, 2, i + 1);
	}
	set_modern(VIRTIO_PCI_STATUS, 1, 15);
}

/* clause 4.1.5.1.2.1-1 */
static void capability(void **state)
{
	assert_true(m.cap);
	assert_int_equal(get(m.cap + PCI_MSIX_CONTROL, 2), VECTORS - 1);
	assert_int_equal(get(m.cap + PCI_MSIX_TABLE, 4), 0 | VIRTIO_PCI_BAR_MSIX);
	assert_int_equal(get(m.cap + PCI_MSIX_PBA, 4), PBA | VIRTIO_PCI_BAR_MSIX);
	/* Two bits of it are the driver's. */
	set(m.cap + PCI_MSIX_CONTROL, 2, 0xffff);
	set(m.cap + PCI_MSIX_TABLE, 4, 0xffffffff);
	assert_int_equal(get(m.cap + PCI_MSIX_CONTROL, 2), PCI_MSIX_ENABLE | PCI_MSIX_MASK | (VECTORS - 1));
	assert_int_equal(get(m.cap + PCI_MSIX_TABLE, 4), VIRTIO_PCI_BAR_MSIX);
	/* A window of 4096 bytes of memory, which must be switched on. */
	set(PCI_BAR0 + 4 * VIRTIO_PCI_BAR_MSIX, 4, 0xffffffff);
	assert_int_equal(get(PCI_BAR0 + 4 * VIRTIO_PCI_BAR_MSIX, 4), 0xfffff000);
	set(PCI_BAR0 + 4 * VIRTIO_PCI_BAR_MSIX, 4, 0xe0000000);
	assert_int_equal(pci_function_memory(&m.vp.pci, VIRTIO_PCI_BAR_MSIX), -1);
	set(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_IO);
	assert_int_equal(pci_function_memory(&m.vp.pci, VIRTIO_PCI_BAR_MSIX), 0xe0000000);
	assert_int_equal(pci_function_port(&m.vp.pci, VIRTIO_PCI_BAR_MSIX), -1);
	assert_int_equal(pci_function_memory(&m.vp.pci, VIRTIO_PCI_BAR_MODERN), -1);
	/* The capabilities of virtio are still there. */
	assert_true(find(PCI_CAP_VENDOR));
	assert_int_equal(virtio_pci_add_msix(&m.vp, send_message, NULL), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_memory_bar(&m.vp.pci, 6, 4096), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_memory_bar(&m.vp.pci, 4, 24), -VIRTIO_EINVAL);
}

/* Entries begin masked; words are 32 bits wide; nothing is behind the last one. */
static void table(void **state)
{
	for (unsigned int i = 0; i < VECTORS; i++) {
		assert_int_equal(entry(i, PCI_MSIX_ENTRY_CONTROL), 1);
		set_entry(i, 0, 0x1000 + i);
		set_entry(i, PCI_MSIX_ENTRY_CONTROL, 0xfffffffe);
		assert_int_equal(entry(i, 0), 0x1000 + i);
		assert_int_equal(entry(i, PCI_MSIX_ENTRY_CONTROL), 0);
	}
	pci_bar_write(&m.vp.pci, VIRTIO_PCI_BAR_MSIX, 0, 2, 7);
	pci_bar_write(&m.vp.pci, VIRTIO_PCI_BAR_MSIX, 2, 4, 7);
	assert_int_equal(entry(0, 0), 0x1000);
	assert_int_equal(pci_bar_read(&m.vp.pci, VIRTIO_PCI_BAR_MSIX, 0, 1), 0);
	set_entry(VECTORS, 0, 5);
	assert_int_equal(entry(VECTORS, 0), 0);
	pci_bar_write(&m.vp.pci, VIRTIO_PCI_BAR_MSIX, PBA, 4, 0xff);
	assert_int_equal(held(), 0);
	assert_int_equal(pci_bar_read(&m.vp.pci, VIRTIO_PCI_BAR_MSIX, 4092, 4), 0);
	pci_function_restart(&m.vp.pci);
	assert_int_equal(entry(0, 0), 0);
	assert_int_equal(entry(0, PCI_MSIX_ENTRY_CONTROL), 1);
}

/* clause 4.1.5.1.2.1-2, 4.1.5.1.2.1-3, 4.1.5.1.2.1-4: vectors that exist read back; others, and all after a reset, are none. */
static void vectors(void **state)
{
	set_modern(VIRTIO_PCI_QUEUE_SELECT, 2, 1);
	assert_int_equal(modern(VIRTIO_PCI_QUEUE_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
	assert_int_equal(modern(VIRTIO_PCI_CONFIG_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
	set_modern(VIRTIO_PCI_QUEUE_VECTOR, 2, VECTORS - 1);
	set_modern(VIRTIO_PCI_CONFIG_VECTOR, 2, 0);
	assert_int_equal(modern(VIRTIO_PCI_QUEUE_VECTOR, 2), VECTORS - 1);
	assert_int_equal(modern(VIRTIO_PCI_CONFIG_VECTOR, 2), 0);
	set_modern(VIRTIO_PCI_QUEUE_VECTOR, 2, VECTORS);
	set_modern(VIRTIO_PCI_CONFIG_VECTOR, 2, 0xfffe);
	assert_int_equal(modern(VIRTIO_PCI_QUEUE_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
	assert_int_equal(modern(VIRTIO_PCI_CONFIG_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
	set_modern(VIRTIO_PCI_QUEUE_VECTOR, 2, 1);
	set_modern(VIRTIO_PCI_STATUS, 1, 0);
	set_modern(VIRTIO_PCI_QUEUE_SELECT, 2, 1);
	assert_int_equal(modern(VIRTIO_PCI_QUEUE_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
}

/* clause 4.1.4.5.1-2, 4.1.5.3.1-1, 4.1.5.4.1-1: each reason has its message; the line is for INTx, and are as before when messages are switched off. */
static void messages(void **state)
{
	enable();
	start();
	m.dev->transport->interrupt(m.dev, 1);
	assert_int_equal(m.sent, 1);
	assert_int_equal(m.address, UINT64_C(0x1fee00002));
	assert_int_equal(m.data, 0x42);
	m.dev->transport->interrupt(m.dev, 0);
	assert_int_equal(m.data, 0x41);
	m.console.be.resized(m.console.be.opaque, 1, 1);
	assert_int_equal(m.data, 0x40);
	assert_int_equal(m.sent, 3);
	assert_false(m.line);
	assert_int_equal(modern(VIRTIO_PCI_AT_ISR, 1), VIRTIO_PCI_ISR_CONFIG);
	/* No vector, no message. */
	set_modern(VIRTIO_PCI_CONFIG_VECTOR, 2, VIRTIO_PCI_NO_VECTOR);
	m.console.be.resized(m.console.be.opaque, 2, 1);
	assert_int_equal(m.sent, 3);
	assert_false(m.line);
	set_modern(VIRTIO_PCI_QUEUE_SELECT, 2, 0);
	set_modern(VIRTIO_PCI_QUEUE_VECTOR, 2, VIRTIO_PCI_NO_VECTOR);
	m.dev->transport->interrupt(m.dev, 0);
	assert_int_equal(m.sent, 3);
	/* Without messages it is the line that says what was not read. */
	set(m.cap + PCI_MSIX_CONTROL, 2, 0);
	assert_true(m.line);
	assert_int_equal(modern(VIRTIO_PCI_AT_ISR, 1), VIRTIO_PCI_ISR_CONFIG);
	assert_false(m.line);
	m.dev->transport->interrupt(m.dev, 1);
	assert_int_equal(m.sent, 3);
	assert_true(m.line);
	assert_int_equal(modern(VIRTIO_PCI_AT_ISR, 1), VIRTIO_PCI_ISR_QUEUE);
	assert_false(m.line);
}

/* A masked message waits, and is sent once, whichever mask is the last to go. */
static void masks(void **state)
{
	enable();
	start();
	set_entry(OUT, PCI_MSIX_ENTRY_CONTROL, 1);
	for (unsigned int i = 0; i < 3; i++)
		m.dev->transport->interrupt(m.dev, 1);
	assert_int_equal(m.sent, 0);
	assert_int_equal(held(), 1 << OUT);
	set(m.cap + PCI_MSIX_CONTROL, 2, PCI_MSIX_ENABLE | PCI_MSIX_MASK);
	set_entry(OUT, PCI_MSIX_ENTRY_CONTROL, 0);
	m.dev->transport->interrupt(m.dev, 0);
	assert_int_equal(m.sent, 0);
	assert_int_equal(held(), 1 << OUT | 1 << IN);
	set_entry(IN, PCI_MSIX_ENTRY_CONTROL, 1);
	set(m.cap + PCI_MSIX_CONTROL + 1, 1, PCI_MSIX_ENABLE >> 8);
	assert_int_equal(m.sent, 1);
	assert_int_equal(m.data, 0x42);
	assert_int_equal(held(), 1 << IN);
	set_entry(IN, PCI_MSIX_ENTRY_CONTROL, 0);
	assert_int_equal(m.sent, 2);
	assert_int_equal(m.data, 0x41);
	assert_int_equal(held(), 0);
	set_entry(IN, PCI_MSIX_ENTRY_CONTROL, 1);
	m.dev->transport->interrupt(m.dev, 0);
	pci_function_restart(&m.vp.pci);
	assert_int_equal(held(), 0);
	assert_int_equal(m.sent, 2);
}

/* clause 4.1.4.10-3: two registers come in front of the configuration while messages are enabled. */
static void legacy_window(void **state)
{
	struct pci_function *fn = &m.vp.pci;
	const unsigned int bar = VIRTIO_PCI_BAR_LEGACY;

	assert_int_equal(pci_bar_read(fn, bar, VIRTIO_PCI_LEGACY_CONFIG, 2), 80);
	enable();
	assert_int_equal(pci_bar_read(fn, bar, VIRTIO_PCI_LEGACY_MSIX_CONFIG, 2), 80);
	assert_int_equal(pci_bar_read(fn, bar, VIRTIO_PCI_LEGACY_CONFIG_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
	pci_bar_write(fn, bar, VIRTIO_PCI_LEGACY_CONFIG_VECTOR, 2, 2);
	assert_int_equal(pci_bar_read(fn, bar, VIRTIO_PCI_LEGACY_CONFIG_VECTOR, 2), 2);
	pci_bar_write(fn, bar, VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, 1);
	pci_bar_write(fn, bar, VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2, 1);
	assert_int_equal(pci_bar_read(fn, bar, VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2), 1);
	pci_bar_write(fn, bar, VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2, 3);
	assert_int_equal(pci_bar_read(fn, bar, VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
	pci_bar_write(fn, bar, VIRTIO_PCI_LEGACY_QUEUE_SELECT, 2, 9);
	pci_bar_write(fn, bar, VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2, 1);
	assert_int_equal(pci_bar_read(fn, bar, VIRTIO_PCI_LEGACY_QUEUE_VECTOR, 2), VIRTIO_PCI_NO_VECTOR);
	set(m.cap + PCI_MSIX_CONTROL, 2, 0);
	assert_int_equal(pci_bar_read(fn, bar, VIRTIO_PCI_LEGACY_CONFIG, 2), 80);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(capability, setup, teardown),
		cmocka_unit_test_setup_teardown(table, setup, teardown),
		cmocka_unit_test_setup_teardown(vectors, setup, teardown),
		cmocka_unit_test_setup_teardown(messages, setup, teardown),
		cmocka_unit_test_setup_teardown(masks, setup, teardown),
		cmocka_unit_test_setup_teardown(legacy_window, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
