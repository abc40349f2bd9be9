/* SPDX-License-Identifier: MIT */
/* The PC16550D as its datasheet describes it and as Linux probes it (drivers/tty/serial/8250/8250_port.c). */
#include <string.h>

#include "machine/pc/uart.h"
#include "tests/pc/test.h"

enum { DATA = 0x3f8, IER, IIR, LCR, MCR, LSR, MSR, SCR, FCR = IIR };

static struct ports ports;
static struct uart uart;
static bool line;

/* A backend that remembers what is printed, and has something typed. */
static struct terminal {
	struct console_backend be;
	char printed[256];
	size_t printed_used;
	const char *typed;
	unsigned int asked;
} terminal;

static size_t terminal_write(struct console_backend *be, const struct virtio_iov *iov, unsigned int count)
{
	assert_int_equal(count, 1);
	memcpy(terminal.printed + terminal.printed_used, iov[0].base, iov[0].len);
	terminal.printed_used += iov[0].len;
	return iov[0].len;
}

static void offer(void)
{
	terminal.typed += terminal.be.input(terminal.be.opaque, terminal.typed, strlen(terminal.typed));
}

static void terminal_input_ready(struct console_backend *be)
{
	terminal.asked++;
	if (*terminal.typed)
		offer();
}

static const struct console_backend_ops terminal_ops = { .write = terminal_write, .input_ready = terminal_input_ready };

static void set_irq(void *opaque, bool high)
{
	line = high;
}

static void out(uint16_t port, uint8_t value)
{
	ports_out(&ports, port, 1, value);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)ports_in(&ports, port, 1);
}

static int setup(void **state)
{
	terminal = (struct terminal){ .be.ops = &terminal_ops, .typed = "" };
	line = false;
	ports_init(&ports, NULL, NULL, NULL);
	uart_init(&uart, DATA, &terminal.be, set_irq, NULL);
	assert_int_equal(uart_add_ports(&uart, &ports), 0);
	return 0;
}

/* As a driver leaves it: FIFOs on, trigger at 8, interrupts through the gate. */
static void start(uint8_t ier)
{
	out(FCR, 0x87);
	out(LCR, 0x03);
	out(MCR, 0x0b);
	out(IER, ier);
}

static void type(const char *text)
{
	terminal.typed = text;
	offer();
}

/* autoconfig(), autoconfig_16550a() */
static void linux_finds_a_16550a(void **state)
{
	uint8_t saved;

	out(IER, 0);
	assert_int_equal(in(IER) & 0x0f, 0);
	out(IER, 0x0f);
	assert_int_equal(in(IER), 0x0f);
	out(IER, 0);
	out(MCR, 0x1a);
	assert_int_equal(in(MSR) & 0xf0, 0x90);
	out(MCR, 0);
	out(LCR, 0xbf);
	out(FCR, 0);
	out(LCR, 0);
	out(FCR, 0x01);
	assert_int_equal(in(IIR) >> 6, 3);
	out(LCR, 0xbf);
	assert_int_not_equal(in(IIR), 0);	/* no enhanced feature register */
	out(LCR, 0);
	out(FCR, 0x21);
	assert_int_equal(in(IIR) >> 5, 6);	/* not a 16750 */
	out(LCR, 0x80);
	saved = in(DATA);
	out(DATA, 0xaa);
	assert_int_equal(in(DATA), 0xaa);
	out(DATA, saved);
	out(LCR, 0);
	out(SCR, 0x5a);
	assert_int_equal(in(SCR), 0x5a);
}

/* serial8250_do_startup(): a receiver that is not there would be all ones; and the test for a lost transmitter interrupt. */
static void linux_starts_it(void **state)
{
	uint8_t first, second;

	start(0);
	assert_int_not_equal(in(LSR), 0xff);
	out(IER, 0x02);
	first = in(IIR);
	out(IER, 0);
	out(IER, 0x02);
	second = in(IIR);
	assert_int_equal(first, 0xc2);
	assert_int_equal(second, 0xc2);
	assert_int_equal(in(LSR) & 0x60, 0x60);
	assert_int_equal(in(IIR), 0xc1);
}

static void printing(void **state)
{
	start(0);
	for (const char *c = "hello"; *c; c++) {
		assert_int_equal(in(LSR) & 0x60, 0x60);
		out(DATA, (uint8_t)*c);
	}
	assert_int_equal(terminal.printed_used, 5);
	assert_memory_equal(terminal.printed, "hello", 5);
	assert_false(line);
}

static void the_transmitter_interrupts(void **state)
{
	start(0);
	out(IER, 0x02);
	assert_true(line);
	assert_int_equal(in(IIR), 0xc2);
	assert_false(line);
	out(DATA, 'x');
	assert_true(line);
	out(IER, 0);
	assert_false(line);
}

static void the_gate_is_out2(void **state)
{
	start(0x02);
	out(MCR, 0x03);
	assert_false(line);
	out(MCR, 0x0b);
	assert_true(line);
}

static void receiving(void **state)
{
	start(0x01);
	type("ab");
	assert_true(line);
	assert_int_equal(in(IIR), 0xcc);	/* below the trigger level: timed out */
	assert_int_equal(in(LSR) & 1, 1);
	assert_int_equal(in(DATA), 'a');
	assert_true(line);
	assert_int_equal(in(DATA), 'b');
	assert_false(line);
	assert_int_equal(in(LSR) & 1, 0);
	type("12345678");
	assert_int_equal(in(IIR), 0xc4);
}

static void long_input_waits_for_room(void **state)
{
	const char *text = "abcdefghijklmnopqrstuvwxyz0123456789";

	start(0x01);
	type(text);
	assert_string_equal(terminal.typed, text + 16);
	for (; *text; text++) {
		assert_true(line);
		assert_int_equal(in(LSR) & 3, 1);	/* data, and no overrun */
		assert_int_equal(in(DATA), *text);
	}
	assert_false(line);
	assert_string_equal(terminal.typed, "");
}

static void early_input_is_kept(void **state)
{
	type("early");
	assert_string_equal(terminal.typed, "early");
	assert_int_equal(in(LSR) & 1, 0);
	start(0);
	in(LSR);
	in(DATA);
	out(IER, 0x05);
	assert_true(line);
	assert_int_equal(in(DATA), 'e');
}

static void a_polling_guest_gets_its_input(void **state)
{
	unsigned int polls = 0;

	start(0);
	type("k");
	while (!(in(LSR) & 1) && polls < 1000)
		polls++;
	assert_in_range(polls, 1, 999);
	assert_int_equal(in(DATA), 'k');
}

static void priorities(void **state)
{
	start(0x0f);
	in(MSR);
	type("x");
	out(MCR, 0x13);
	out(LCR, 0x43);			/* a break, in loopback mode */
	assert_int_equal(in(IIR), 0xc6);
	assert_int_equal(in(LSR) & 0x10, 0x10);
	assert_int_equal(in(LSR) & 0x10, 0);
	assert_int_equal(in(IIR), 0xcc);
	in(DATA);
	in(DATA);
	assert_int_equal(in(IIR), 0xc2);
	assert_int_equal(in(IIR), 0xc0);	/* modem lines have changed */
	in(MSR);
	assert_int_equal(in(IIR), 0xc1);
}

static void loopback(void **state)
{
	start(0);
	out(MCR, 0x10);
	in(MSR);
	out(DATA, 'q');
	assert_int_equal(terminal.printed_used, 0);
	assert_int_equal(in(LSR) & 1, 1);
	assert_int_equal(in(DATA), 'q');
	out(MCR, 0x14);
	assert_int_equal(in(MSR), 0x40);
	out(MCR, 0x10);
	assert_int_equal(in(MSR), 0x04);	/* the ring ended */
	out(MCR, 0x13);
	assert_int_equal(in(MSR), 0x33);
	for (unsigned int i = 0; i < 17; i++)
		out(DATA, (uint8_t)i);
	assert_int_equal(in(LSR) & 2, 2);
	assert_int_equal(in(LSR) & 2, 0);
	out(FCR, 0x03);
	assert_int_equal(in(LSR) & 1, 0);
}

static void modem_lines(void **state)
{
	assert_int_equal(in(MSR), 0xb0);
	uart_disconnect(&uart);
	uart_reset(&uart);
	assert_int_equal(in(MSR), 0);
	out(DATA, 'x');
	assert_int_equal(terminal.printed_used, 0);
	assert_null(terminal.be.input);
}

static void without_fifos(void **state)
{
	out(MCR, 0x08);
	out(IER, 0x01);
	type("ab");
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(DATA), 'a');
	assert_int_equal(in(DATA), 'b');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(linux_finds_a_16550a, setup),
		cmocka_unit_test_setup(linux_starts_it, setup),
		cmocka_unit_test_setup(printing, setup),
		cmocka_unit_test_setup(the_transmitter_interrupts, setup),
		cmocka_unit_test_setup(the_gate_is_out2, setup),
		cmocka_unit_test_setup(receiving, setup),
		cmocka_unit_test_setup(long_input_waits_for_room, setup),
		cmocka_unit_test_setup(early_input_is_kept, setup),
		cmocka_unit_test_setup(a_polling_guest_gets_its_input, setup),
		cmocka_unit_test_setup(priorities, setup),
		cmocka_unit_test_setup(loopback, setup),
		cmocka_unit_test_setup(modem_lines, setup),
		cmocka_unit_test_setup(without_fifos, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
