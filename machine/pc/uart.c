/* SPDX-License-Identifier: MIT */
#include "machine/pc/uart.h"

#include <string.h>

/* Registers by offset; those of one offset are told apart by direction and by the divisor latch bit. */
enum { DATA, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR };

enum { PATIENT_POLLS = 64 };

enum {
	IER_RECEIVED = 0x01, IER_EMPTY = 0x02, IER_LINE = 0x04, IER_MODEM = 0x08, IER_ALL = 0x0f,
	IIR_NONE = 0x01, IIR_MODEM = 0x00, IIR_EMPTY = 0x02, IIR_RECEIVED = 0x04, IIR_LINE = 0x06, IIR_TIMEOUT = 0x0c, IIR_FIFOS = 0xc0,
	FCR_ENABLE = 0x01, FCR_CLEAR_RECEIVE = 0x02, FCR_KEPT = 0xc9,
	LCR_BREAK = 0x40, LCR_DIVISOR = 0x80,
	MCR_DTR = 0x01, MCR_RTS = 0x02, MCR_OUT1 = 0x04, MCR_OUT2 = 0x08, MCR_LOOP = 0x10, MCR_ALL = 0x1f,
	LSR_READY = 0x01, LSR_OVERRUN = 0x02, LSR_BREAK = 0x10, LSR_EMPTY = 0x60,
	MSR_CTS = 0x10, MSR_DSR = 0x20, MSR_RING = 0x40, MSR_CARRIER = 0x80, MSR_DELTA_RING = 0x04, MSR_DELTAS = 0x0b,
};

/* --- interrupts ------------------------------------------------------------------------------------------------------ */

static unsigned int trigger_level(const struct uart *uart)
{
	static const uint8_t levels[4] = { 1, 4, 8, 14 };

	return uart->fcr & FCR_ENABLE ? levels[uart->fcr >> 6] : 1;
}

/* The source of highest priority (datasheet, table V), without the FIFO bits. */
static uint8_t interrupt_source(const struct uart *uart)
{
	if ((uart->ier & IER_LINE) && (uart->overrun || uart->break_seen))
		return IIR_LINE;
	if ((uart->ier & IER_RECEIVED) && uart->used)
		return uart->used >= trigger_level(uart) ? IIR_RECEIVED : IIR_TIMEOUT;
	if ((uart->ier & IER_EMPTY) && uart->thr_empty_pending)
		return IIR_EMPTY;
	if ((uart->ier & IER_MODEM) && uart->msr_delta)
		return IIR_MODEM;
	return IIR_NONE;
}

/* On a PC the modem output OUT2 is the gate of the interrupt line; in loopback mode it is disconnected. */
static void update_line(struct uart *uart)
{
	bool gate = (uart->mcr & (MCR_OUT2 | MCR_LOOP)) == MCR_OUT2;

	uart->set_irq(uart->opaque, gate && interrupt_source(uart) != IIR_NONE);
}

/* --- data ------------------------------------------------------------------------------------------------------------ */

static unsigned int capacity(const struct uart *uart)
{
	return uart->fcr & FCR_ENABLE ? UART_FIFO : 1;
}

static void receive(struct uart *uart, uint8_t byte)
{
	if (uart->used >= capacity(uart)) {
		uart->overrun = true;
		return;
	}
	uart->fifo[(uart->head + uart->used) % UART_FIFO] = byte;
	uart->used++;
}

/*
 * Is there anybody to take input? A driver that starts empties the FIFO first of all, so what was typed before is better kept by
 * the backend. A guest without interrupts shows by reading the line status again and again while it prints nothing.
 */
static bool listens(const struct uart *uart)
{
	return !(uart->mcr & MCR_LOOP) && ((uart->ier & IER_RECEIVED) || uart->polls >= PATIENT_POLLS);
}

static size_t backend_input(void *opaque, const void *data, size_t len)
{
	struct uart *uart = opaque;
	size_t taken = 0;

	while (taken < len && listens(uart) && uart->used < capacity(uart))
		receive(uart, ((const uint8_t *)data)[taken++]);
	uart->starved = taken < len;
	update_line(uart);
	return taken;
}

/* There is room again: the backend may offer what it was not rid of, from within this call. */
static void ask_for_input(struct uart *uart)
{
	if (!uart->starved || uart->used || !listens(uart) || !uart->backend)
		return;
	uart->starved = false;
	uart->backend->ops->input_ready(uart->backend);
}

static uint8_t read_data(struct uart *uart)
{
	uint8_t byte = 0;

	if (uart->used) {
		byte = uart->fifo[uart->head];
		uart->head = (uart->head + 1) % UART_FIFO;
		uart->used--;
	}
	ask_for_input(uart);
	return byte;
}

static void write_data(struct uart *uart, uint8_t byte)
{
	struct virtio_iov iov = { .base = &byte, .len = 1 };

	if (uart->mcr & MCR_LOOP)
		receive(uart, byte);
	else if (uart->backend)
		uart->backend->ops->write(uart->backend, &iov, 1);
	uart->thr_empty_pending = true;
	uart->polls = 0;
}

/* --- registers ------------------------------------------------------------------------------------------------------- */

/* The modem lines: a ready terminal with a carrier, or in loopback mode our own outputs (datasheet, 8.7 bit 4). */
static uint8_t modem_lines(const struct uart *uart)
{
	uint8_t lines = 0;

	if (!(uart->mcr & MCR_LOOP))
		return uart->backend ? MSR_CTS | MSR_DSR | MSR_CARRIER : 0;
	lines |= uart->mcr & MCR_RTS ? MSR_CTS : 0;
	lines |= uart->mcr & MCR_DTR ? MSR_DSR : 0;
	lines |= uart->mcr & MCR_OUT1 ? MSR_RING : 0;
	lines |= uart->mcr & MCR_OUT2 ? MSR_CARRIER : 0;
	return lines;
}

static void modem_changed(struct uart *uart)
{
	uint8_t lines = modem_lines(uart), changed = lines ^ uart->modem;

	uart->msr_delta |= (changed >> 4) & MSR_DELTAS;
	if (changed & uart->modem & MSR_RING)		/* of the ring only the end counts */
		uart->msr_delta |= MSR_DELTA_RING;
	uart->modem = lines;
}

static void write_fcr(struct uart *uart, uint8_t value)
{
	/* Turning the FIFOs on or off empties them, and without ENABLE nothing else is heeded (datasheet, 8.3). */
	if (((value ^ uart->fcr) & FCR_ENABLE) || (value & FCR_CLEAR_RECEIVE))
		uart->used = 0;
	uart->fcr = value & FCR_ENABLE ? value & FCR_KEPT : 0;
	ask_for_input(uart);
}

static void write_ier(struct uart *uart, uint8_t value)
{
	/* Enabled with the transmitter empty, it interrupts at once; drivers test chips for that. */
	if (value & ~uart->ier & IER_EMPTY)
		uart->thr_empty_pending = true;
	uart->ier = value & IER_ALL;
	ask_for_input(uart);
}

static void write_lcr(struct uart *uart, uint8_t value)
{
	if ((uart->mcr & MCR_LOOP) && (value & ~uart->lcr & LCR_BREAK)) {
		receive(uart, 0);
		uart->break_seen = true;
	}
	uart->lcr = value;
}

static void write_mcr(struct uart *uart, uint8_t value)
{
	uart->mcr = value & MCR_ALL;
	modem_changed(uart);
	ask_for_input(uart);
}

static void write_register(struct uart *uart, uint32_t offset, uint8_t value)
{
	switch (offset) {
	case DATA:
		if (uart->lcr & LCR_DIVISOR)
			uart->divisor = (uart->divisor & 0xff00) | value;
		else
			write_data(uart, value);
		break;
	case IER:
		if (uart->lcr & LCR_DIVISOR)
			uart->divisor = (uint16_t)(value << 8 | (uart->divisor & 0xff));
		else
			write_ier(uart, value);
		break;
	case IIR_FCR:
		write_fcr(uart, value);
		break;
	case LCR:
		write_lcr(uart, value);
		break;
	case MCR:
		write_mcr(uart, value);
		break;
	case SCR:
		uart->scr = value;
		break;
	default:
		break;
	}
}

static uint8_t read_iir(struct uart *uart)
{
	uint8_t source = interrupt_source(uart);

	if (source == IIR_EMPTY)
		uart->thr_empty_pending = false;
	return source | (uart->fcr & FCR_ENABLE ? IIR_FIFOS : 0);
}

static uint8_t read_lsr(struct uart *uart)
{
	uint8_t value = LSR_EMPTY;

	if (uart->polls < PATIENT_POLLS)
		uart->polls++;
	ask_for_input(uart);
	value |= uart->used ? LSR_READY : 0;
	value |= uart->overrun ? LSR_OVERRUN : 0;
	value |= uart->break_seen ? LSR_BREAK : 0;
	uart->overrun = uart->break_seen = false;
	return value;
}

static uint8_t read_msr(struct uart *uart)
{
	uint8_t value = uart->modem | uart->msr_delta;

	uart->msr_delta = 0;
	return value;
}

static uint8_t read_register(struct uart *uart, uint32_t offset)
{
	switch (offset) {
	case DATA:
		return uart->lcr & LCR_DIVISOR ? (uint8_t)uart->divisor : read_data(uart);
	case IER:
		return uart->lcr & LCR_DIVISOR ? (uint8_t)(uart->divisor >> 8) : uart->ier;
	case IIR_FCR:
		return read_iir(uart);
	case LCR:
		return uart->lcr;
	case MCR:
		return uart->mcr;
	case LSR:
		return read_lsr(uart);
	case MSR:
		return read_msr(uart);
	default:
		return uart->scr;
	}
}

static void uart_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct uart *uart = opaque;

	write_register(uart, offset, (uint8_t)value);
	update_line(uart);
}

static uint32_t uart_in(void *opaque, uint32_t offset, unsigned int size)
{
	struct uart *uart = opaque;
	uint8_t value = read_register(uart, offset);

	update_line(uart);
	return value;
}

static const struct port_ops uart_ops = { .in = uart_in, .out = uart_out, .min_size = 1, .max_size = 1, .cold = true };

void uart_reset(struct uart *uart)
{
	uart->ier = uart->fcr = uart->lcr = uart->mcr = uart->msr_delta = uart->used = uart->polls = 0;
	uart->thr_empty_pending = uart->overrun = uart->break_seen = false;
	uart->divisor = 12;		/* 9600 baud, as firmware would leave it */
	uart->modem = modem_lines(uart);
	uart->starved = true;		/* whatever the backend has, we have not seen it */
	update_line(uart);
}

void uart_init(struct uart *uart, uint16_t base, struct console_backend *backend, void (*set_irq)(void *opaque, bool high),
	       void *opaque)
{
	*uart = (struct uart){
		.backend = backend,
		.set_irq = set_irq,
		.opaque = opaque,
		.ports = { .first = base, .count = 8, .ops = &uart_ops, .opaque = uart },
	};
	uart_reset(uart);
	if (backend) {
		backend->opaque = uart;
		backend->input = backend_input;
	}
}

void uart_disconnect(struct uart *uart)
{
	if (uart->backend)
		uart->backend->input = NULL;
	uart->backend = NULL;
}

int uart_add_ports(struct uart *uart, struct ports *ports)
{
	return ports_add(ports, &uart->ports);
}
