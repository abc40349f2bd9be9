/* SPDX-License-Identifier: MIT */
/* The PCI bus of the pc: configuration mechanism 1, BARs, decoding, interrupt lines. A function that records stands in for devices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <machine/pc/pci.h>

/* A function with two windows, which remembers what was last done to it. */
struct probe {
	struct pci_function pci;
	unsigned int bar, size, reads, writes, restarts, masters;
	uint32_t offset, value;
};

struct board {
	struct ports ports;
	struct pci_bus bus;
	struct probe probe[PCI_SLOTS];
	uint16_t lines;
	unsigned int changes;
};

static uint32_t probe_read(struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size)
{
	struct probe *p = (struct probe *)fn;

	p->reads++;
	p->bar = bar;
	p->offset = offset;
	p->size = size;
	return 0xfedcba98;
}

static void probe_write(struct pci_function *fn, unsigned int bar, uint32_t offset, unsigned int size, uint32_t value)
{
	struct probe *p = (struct probe *)fn;

	p->writes++;
	p->bar = bar;
	p->offset = offset;
	p->size = size;
	p->value = value;
}

static void probe_restart(struct pci_function *fn)
{
	((struct probe *)fn)->restarts++;
}

static void probe_master_off(struct pci_function *fn)
{
	((struct probe *)fn)->masters++;
}

static const struct pci_function_ops probe_ops = {
	.bar_read = probe_read,
	.bar_write = probe_write,
	.restart = probe_restart,
	.master_off = probe_master_off,
};

static void board_irq(void *opaque, unsigned int line, bool level)
{
	struct board *b = opaque;

	b->lines = (uint16_t)(level ? b->lines | 1u << line : b->lines & ~(1u << line));
	b->changes++;
}

static uint32_t in(struct board *b, unsigned int port, unsigned int size)
{
	return ports_in(&b->ports, (uint16_t)port, size);
}

static void out(struct board *b, unsigned int port, unsigned int size, uint32_t value)
{
	ports_out(&b->ports, (uint16_t)port, size, value);
}

static uint32_t get(struct board *b, unsigned int slot, unsigned int at, unsigned int size)
{
	out(b, 0xcf8, 4, 0x80000000u | slot << 11 | (at & 0xfc));
	return in(b, 0xcfc + (at & 3), size);
}

static void set(struct board *b, unsigned int slot, unsigned int at, unsigned int size, uint32_t value)
{
	out(b, 0xcf8, 4, 0x80000000u | slot << 11 | (at & 0xfc));
	out(b, 0xcfc + (at & 3), size, value);
}

static bool decodes(struct board *b, unsigned int port)
{
	return b->ports.owner[port];
}

/* Two functions, with windows 0 (20 ports, so 32) and 3 (256). */
static void add_probe(struct board *b, unsigned int i)
{
	struct pci_function *fn = &b->probe[i].pci;
	const char *reason = "";

	pci_function_init(fn, &probe_ops, 0x1234, (uint16_t)(0x5600 + i));
	assert_int_equal(pci_function_add_bar(fn, 0, 20), 0);
	assert_int_equal(pci_function_add_bar(fn, 3, 256), 0);
	pci_function_set8(fn, PCI_INTERRUPT_PIN, 1);
	pci_function_seal(fn);
	assert_int_equal(pci_bus_add(&b->bus, fn, &reason), i + 1);
	assert_null(reason);
}

static int setup(void **state)
{
	struct board *b = calloc(1, sizeof(*b));

	ports_init(&b->ports, NULL, NULL, NULL);
	assert_int_equal(pci_bus_init(&b->bus, &b->ports, board_irq, b), 0);
	add_probe(b, 0);
	add_probe(b, 1);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

/* --- configuration mechanism 1 ------------------------------------------------------------------------------------------ */

/* The register behind the last byte of which Linux looks for mechanism 1, and which another chip uses to restart the board. */
static void reset_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	*(uint32_t *)opaque = value;
}

static void address_register(void **state)
{
	static const struct port_ops reset_ops = { .out = reset_out, .min_size = 1, .max_size = 1 };
	uint32_t told = 0;
	struct port_range reset = { .first = 0xcf9, .count = 1, .ops = &reset_ops, .opaque = &told };
	struct board *b = *state;

	out(b, 0xcf8, 4, 0x80000000u);
	assert_int_equal(in(b, 0xcf8, 4), 0x80000000u);
	/* Bits that do not exist. */
	out(b, 0xcf8, 4, 0xffffffffu);
	assert_int_equal(in(b, 0xcf8, 4), 0x80fffffcu);
	/* Parts of it are not it. */
	out(b, 0xcfb, 1, 1);
	out(b, 0xcf8, 2, 0);
	assert_int_equal(in(b, 0xcf8, 4), 0x80fffffcu);
	assert_int_equal(in(b, 0xcf8, 2), 0xffff);
	assert_false(decodes(b, 0xd00));
	/* A chip that was there first has its byte, and the register goes on working. */
	ports_init(&b->ports, NULL, NULL, NULL);
	assert_int_equal(ports_add(&b->ports, &reset), 0);
	assert_int_equal(pci_bus_init(&b->bus, &b->ports, board_irq, b), 0);
	out(b, 0xcf9, 1, 6);
	assert_int_equal(told, 6);
	out(b, 0xcf8, 4, 0x80001234u);
	assert_int_equal(in(b, 0xcf8, 4), 0x80001234u);
	assert_int_equal(told, 6);
}

static void host_bridge(void **state)
{
	struct board *b = *state;

	assert_int_equal(get(b, 0, PCI_VENDOR_ID, 4), 0x12378086);
	assert_int_equal(get(b, 0, 0x0a, 2), 0x0600);
	assert_int_equal(get(b, 0, PCI_HEADER_TYPE, 1), 0);
	assert_int_equal(get(b, 0, PCI_INTERRUPT_PIN, 1), 0);
	assert_int_equal(get(b, 0, PCI_STATUS, 2), 0);
}

static void widths(void **state)
{
	struct board *b = *state;

	assert_int_equal(get(b, 1, PCI_VENDOR_ID, 4), 0x56001234);
	assert_int_equal(get(b, 1, PCI_VENDOR_ID, 2), 0x1234);
	assert_int_equal(get(b, 1, PCI_DEVICE_ID, 2), 0x5600);
	assert_int_equal(get(b, 1, 3, 1), 0x56);
	assert_int_equal(get(b, 2, PCI_DEVICE_ID, 1), 0x01);
	/* Read-only stays. */
	set(b, 1, PCI_VENDOR_ID, 4, 0);
	assert_int_equal(get(b, 1, PCI_VENDOR_ID, 4), 0x56001234);
	/* Each byte of a longer write finds its place. */
	set(b, 1, PCI_INTERRUPT_LINE, 4, 0xffffff42);
	assert_int_equal(get(b, 1, PCI_INTERRUPT_LINE, 4), 0x0142);
	/* An access that leaves the four ports does what it can inside. */
	out(b, 0xcf8, 4, 0x80000800u);
	assert_int_equal(in(b, 0xcff, 2), 0xff56);
	assert_int_equal(in(b, 0xcfd, 4), 0xff560012);
}

static void nothing_there(void **state)
{
	struct board *b = *state;

	assert_int_equal(get(b, 3, 0, 4), 0xffffffff);
	assert_int_equal(get(b, 31, 0, 2), 0xffff);
	set(b, 31, PCI_COMMAND, 2, 7);
	/* Another bus, another function, and the enable bit off. */
	out(b, 0xcf8, 4, 0x80010800u);
	assert_int_equal(in(b, 0xcfc, 4), 0xffffffff);
	out(b, 0xcf8, 4, 0x80000900u);
	assert_int_equal(in(b, 0xcfc, 4), 0xffffffff);
	out(b, 0xcf8, 4, 0x00000800u);
	assert_int_equal(in(b, 0xcfc, 1), 0xff);
}

/* --- windows ------------------------------------------------------------------------------------------------------------ */

static void windows_are_assigned(void **state)
{
	struct board *b = *state;

	/* One after the other, each on a multiple of its size, switched on. */
	assert_int_equal(get(b, 1, PCI_BAR0, 4), 0xc001);
	assert_int_equal(get(b, 1, PCI_BAR0 + 12, 4), 0xc101);
	assert_int_equal(get(b, 2, PCI_BAR0, 4), 0xc201);
	assert_int_equal(get(b, 2, PCI_BAR0 + 12, 4), 0xc301);
	assert_int_equal(get(b, 1, PCI_BAR0 + 4, 4), 0);
	assert_int_equal(get(b, 1, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MASTER);
}

static void access_reaches_its_window(void **state)
{
	struct board *b = *state;
	struct probe *p = &b->probe[1];

	assert_int_equal(in(b, 0xc302, 2), 0xba98);
	assert_int_equal(p->bar, 3);
	assert_int_equal(p->offset, 2);
	assert_int_equal(p->size, 2);
	out(b, 0xc21f, 1, 0x12345678);
	assert_int_equal(p->bar, 0);
	assert_int_equal(p->offset, 31);
	assert_int_equal(p->value, 0x78);
	assert_int_equal(p->reads, 1);
	assert_int_equal(p->writes, 1);
	/* Over the end of a window: the part inside. */
	assert_int_equal(in(b, 0xc3ff, 2), 0xff98);
	assert_int_equal(p->size, 1);
	assert_int_equal(p->offset, 255);
	/* Behind a window. */
	assert_false(decodes(b, 0xc220));
	assert_false(decodes(b, 0xc400));
	assert_false(decodes(b, 0x3f8));
	assert_false(decodes(b, 0xbfff));
	assert_false(decodes(b, 0xffff));
}

static void sizing(void **state)
{
	struct board *b = *state;

	set(b, 1, PCI_COMMAND, 2, 0);
	set(b, 1, PCI_BAR0, 4, 0xffffffff);
	assert_int_equal(get(b, 1, PCI_BAR0, 4), 0xffffffe1);
	set(b, 1, PCI_BAR0, 4, 0xc001);
	assert_int_equal(get(b, 1, PCI_BAR0, 4), 0xc001);
	set(b, 1, PCI_BAR0 + 4, 4, 0xffffffff);
	assert_int_equal(get(b, 1, PCI_BAR0 + 4, 4), 0);
	set(b, 1, PCI_BAR0 + 12, 4, 0xffffffff);
	assert_int_equal(get(b, 1, PCI_BAR0 + 12, 4), 0xffffff01);
	/* With decoding on, an address that is no port answers nowhere, and does no harm. */
	set(b, 1, PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_true(decodes(b, 0xc000));
	assert_false(decodes(b, 0xff00));
	set(b, 1, PCI_BAR0 + 12, 4, 0xff00);
	assert_true(decodes(b, 0xffff));
}

static void command_switches_decoding(void **state)
{
	struct board *b = *state;

	set(b, 1, PCI_COMMAND, 2, PCI_COMMAND_MASTER);
	assert_false(decodes(b, 0xc000));
	assert_false(decodes(b, 0xc100));
	assert_true(decodes(b, 0xc200));
	set(b, 1, PCI_COMMAND, 1, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	assert_true(decodes(b, 0xc000));
	/* Bits that do not exist. */
	set(b, 1, PCI_COMMAND, 2, 0xffff);
	assert_int_equal(get(b, 1, PCI_COMMAND, 2), PCI_COMMAND_IO | PCI_COMMAND_MASTER | PCI_COMMAND_NO_INTX);
}

static void windows_move(void **state)
{
	struct board *b = *state;

	set(b, 1, PCI_BAR0, 4, 0x1041);
	assert_false(decodes(b, 0xc000));
	assert_true(decodes(b, 0x1040));
	assert_true(decodes(b, 0x105f));
	assert_false(decodes(b, 0x1060));
	in(b, 0x1044, 1);
	assert_int_equal(b->probe[0].offset, 4);
	/* Half an address at a time. */
	set(b, 1, PCI_BAR0 + 1, 1, 0x20);
	assert_true(decodes(b, 0x2040));
	/* Address 0 is no address. */
	set(b, 1, PCI_BAR0, 4, 1);
	assert_false(decodes(b, 0));
	/* On top of another function, which was there first; when that goes away it comes to light. */
	set(b, 1, PCI_BAR0, 4, 0xc201);
	in(b, 0xc204, 1);
	assert_int_equal(b->probe[1].offset, 4);
	b->probe[0].offset = 0;
	set(b, 2, PCI_COMMAND, 2, PCI_COMMAND_IO);
	in(b, 0xc204, 1);
	assert_int_equal(b->probe[0].offset, 0);
	set(b, 2, PCI_COMMAND, 2, 0);
	in(b, 0xc204, 1);
	assert_int_equal(b->probe[0].offset, 4);
	set(b, 2, PCI_COMMAND, 2, PCI_COMMAND_IO);
	set(b, 1, PCI_BAR0, 4, 0xc001);
	in(b, 0xc208, 1);
	assert_int_equal(b->probe[1].offset, 8);
}

static void losing_the_bus(void **state)
{
	struct board *b = *state;

	set(b, 1, PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MASTER);
	assert_int_equal(b->probe[0].masters, 0);
	set(b, 1, PCI_COMMAND, 2, PCI_COMMAND_IO);
	assert_int_equal(b->probe[0].masters, 1);
	set(b, 1, PCI_COMMAND, 2, 0);
	assert_int_equal(b->probe[0].masters, 1);
}

static void bad_windows(void **state)
{
	struct pci_function fn;

	pci_function_init(&fn, &probe_ops, 1, 2);
	assert_int_equal(pci_function_add_bar(&fn, 6, 4), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_bar(&fn, 0, 0), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_bar(&fn, 0, 257), -VIRTIO_EINVAL);
	assert_int_equal(pci_bar_read(&fn, 0, 0, 4), 0xffffffff);
	assert_int_equal(pci_bar_read(&fn, 200, 0, 1), 0xff);
	assert_int_equal(pci_config_read(&fn, 0xfd, 4), 0xffffffff);
}

static void capabilities(void **state)
{
	static const uint8_t body[190] = { 0, 0, 7 };
	struct pci_function fn;

	pci_function_init(&fn, &probe_ops, 1, 2);
	assert_int_equal(pci_function_add_capability(&fn, 9, body, 5), 0x40);
	assert_int_equal(pci_function_add_capability(&fn, 5, body, 16), 0x48);
	assert_int_equal(fn.config[PCI_CAPABILITIES], 0x40);
	assert_memory_equal(fn.config + 0x40, "\11\110\7", 3);
	assert_memory_equal(fn.config + 0x48, "\5\0\7", 3);
	assert_int_equal(pci_function_get16(&fn, PCI_STATUS), PCI_STATUS_CAPABILITIES);
	assert_int_equal(pci_function_add_capability(&fn, 9, body, 169), -VIRTIO_ENOSPC);
	assert_int_equal(pci_function_add_capability(&fn, 9, body, 1), -VIRTIO_EINVAL);
	assert_int_equal(pci_function_add_capability(&fn, 9, body, 168), 0x58);
}

/* --- interrupts --------------------------------------------------------------------------------------------------------- */

static void a_line(void **state)
{
	struct board *b = *state;
	unsigned int line = pci_bus_line(1);

	assert_int_equal(get(b, 1, PCI_INTERRUPT_PIN, 1), 1);
	assert_int_equal(get(b, 1, PCI_INTERRUPT_LINE, 1), line);
	/* The register is the guest's notebook. */
	set(b, 1, PCI_INTERRUPT_LINE, 1, 3);
	pci_function_interrupt(&b->probe[0].pci, true);
	assert_int_equal(b->lines, 1u << line);
	assert_int_equal(get(b, 1, PCI_STATUS, 2), PCI_STATUS_INTERRUPT);
	pci_function_interrupt(&b->probe[0].pci, true);
	assert_int_equal(b->changes, 1);
	pci_function_interrupt(&b->probe[0].pci, false);
	assert_int_equal(b->lines, 0);
	assert_int_equal(get(b, 1, PCI_STATUS, 2), 0);
}

static void masked(void **state)
{
	struct board *b = *state;

	pci_function_interrupt(&b->probe[0].pci, true);
	set(b, 1, PCI_COMMAND, 2, PCI_COMMAND_NO_INTX);
	assert_int_equal(b->lines, 0);
	assert_int_equal(get(b, 1, PCI_STATUS, 2), PCI_STATUS_INTERRUPT);
	set(b, 1, PCI_COMMAND, 2, 0);
	assert_int_equal(b->lines, 1u << pci_bus_line(1));
	set(b, 1, PCI_COMMAND, 2, PCI_COMMAND_NO_INTX);
	pci_function_interrupt(&b->probe[0].pci, false);
	set(b, 1, PCI_COMMAND, 2, 0);
	assert_int_equal(b->lines, 0);
}

static void shared_line(void **state)
{
	struct board *b = *state;
	unsigned int other = 1;

	for (unsigned int i = 2; i < PCI_SLOTS - 1; i++)
		add_probe(b, i);
	while (pci_bus_line(++other) != pci_bus_line(1))
		;
	assert_in_range(other, 2, PCI_SLOTS - 1);
	pci_function_interrupt(&b->probe[0].pci, true);
	pci_function_interrupt(&b->probe[other - 1].pci, true);
	assert_int_equal(b->changes, 1);
	pci_function_interrupt(&b->probe[0].pci, false);
	assert_int_equal(b->lines, 1u << pci_bus_line(1));
	pci_function_interrupt(&b->probe[other - 1].pci, false);
	assert_int_equal(b->lines, 0);
	assert_int_equal(b->changes, 2);
}

static void lines_are_free(void **state)
{
	/* Timer, keyboard, cascade, serial port, clock, ACPI, mouse and FPU keep theirs. */
	assert_int_equal(pci_bus_lines() & (1 << 0 | 1 << 1 | 1 << 2 | 1 << 4 | 1 << 8 | 1 << 9 | 1 << 12 | 1 << 13), 0);
	for (unsigned int slot = 1; slot < PCI_SLOTS; slot++)
		assert_true(pci_bus_lines() >> pci_bus_line(slot) & 1);
}

/* --- full, and again from the beginning --------------------------------------------------------------------------------- */

static void slots_run_out(void **state)
{
	struct board *b = *state;
	struct probe more = { 0 };
	const char *reason = NULL;

	for (unsigned int i = 2; i < PCI_SLOTS - 1; i++)
		add_probe(b, i);
	assert_int_equal(get(b, 31, PCI_DEVICE_ID, 2), 0x561e);
	pci_function_init(&more.pci, &probe_ops, 1, 2);
	assert_int_equal(pci_bus_add(&b->bus, &more.pci, &reason), -VIRTIO_ENOSPC);
	assert_non_null(strstr(reason, "31 devices"));
	assert_null(more.pci.bus);
}

static void ports_run_out(void **state)
{
	struct board *b = *state;
	struct probe more = { 0 };
	const char *reason = NULL;
	unsigned int i = 2;

	for (;; i++) {
		struct pci_function *fn = &b->probe[i].pci;

		pci_function_init(fn, &probe_ops, 1, 2);
		for (unsigned int bar = 0; bar < PCI_BARS; bar++)
			pci_function_add_bar(fn, bar, 256);
		if (pci_bus_add(&b->bus, fn, &reason) < 0)
			break;
	}
	assert_non_null(strstr(reason, "ports"));
	/* 0x4000 ports less 0x400 for the first two, 0x600 each: that is exactly all, and a function without ports still fits. */
	assert_int_equal(i, 2 + (0x4000 - 0x400) / 0x600);
	assert_true(decodes(b, 0xffff));
	pci_function_init(&more.pci, &probe_ops, 1, 2);
	assert_true(pci_bus_add(&b->bus, &more.pci, NULL) > 0);
}

static void restart(void **state)
{
	struct board *b = *state;

	pci_function_interrupt(&b->probe[0].pci, true);
	set(b, 1, PCI_BAR0, 4, 0x1041);
	set(b, 1, PCI_COMMAND, 2, 0);
	set(b, 1, PCI_INTERRUPT_LINE, 1, 3);
	pci_bus_restart(&b->bus);
	assert_int_equal(in(b, 0xcf8, 4), 0);
	assert_int_equal(b->lines, 0);
	assert_int_equal(b->probe[0].restarts, 1);
	assert_int_equal(b->probe[1].restarts, 1);
	assert_int_equal(get(b, 1, PCI_INTERRUPT_LINE, 1), pci_bus_line(1));
	windows_are_assigned(state);
	assert_true(decodes(b, 0xc000));
	assert_false(decodes(b, 0x1040));
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(address_register), test(host_bridge), test(widths), test(nothing_there), test(windows_are_assigned),
		test(access_reaches_its_window), test(sizing), test(command_switches_decoding), test(windows_move), test(losing_the_bus),
		test(bad_windows), test(capabilities), test(a_line), test(masked), test(shared_line), test(lines_are_free),
		test(slots_run_out), test(ports_run_out), test(restart),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
