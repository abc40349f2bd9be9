/* SPDX-License-Identifier: MIT */
/*
 * uart.h - a serial port: a 16550A with its FIFOs (National Semiconductor PC16550D), in front of a console backend.
 *
 * The line is infinitely fast: what is written is gone at once, and what waits in the receive FIFO below its trigger level counts
 * as timed out at once. So there is no timer. Output goes to the backend byte by byte, which gathers it (host/terminal/writer.h); input is
 * taken as far as the FIFO has room, so nothing overruns.
 *
 * All calls hold the I/O lock (host/loop/loop.h): port accesses come from the processor's thread, input from the loop's. Cold (ports.h).
 */
#ifndef KENNEL_MACHINE_PC_UART_H
#define KENNEL_MACHINE_PC_UART_H

#include <stdbool.h>
#include <stdint.h>

#include "device/backend.h"
#include "machine/pc/ports.h"

#define UART_FIFO	16

struct uart {
	struct console_backend *backend;		/* NULL: nothing is connected */
	void (*set_irq)(void *opaque, bool high);
	void *opaque;

	uint8_t ier, fcr, lcr, mcr, scr;
	uint16_t divisor;
	uint8_t msr_delta;		/* MSR bits 0 to 3 */
	uint8_t modem;			/* MSR bits 4 to 7 when last looked at */
	bool thr_empty_pending;		/* the "transmitter empty" interrupt waits to be seen */
	bool overrun, break_seen;	/* in loopback mode */
	uint8_t polls;			/* of the line status, since the guest last wrote data */
	bool starved;			/* the backend was refused, and waits for input_ready() */

	uint8_t fifo[UART_FIFO];
	uint8_t head, used;

	struct port_range ports;
};

/**
 * uart_init - a port at @base (eight I/O ports), connected to @backend
 * @backend: borrowed; its input member becomes ours, until uart_disconnect(). May be NULL.
 */
void uart_init(struct uart *uart, uint16_t base, struct console_backend *backend, void (*set_irq)(void *opaque, bool high),
	       void *opaque);

/** uart_reset - master reset, for a restart of the guest. Input that has arrived is dropped. */
void uart_reset(struct uart *uart);

/** uart_disconnect - give the backend back; nothing is called afterwards */
void uart_disconnect(struct uart *uart);

/** uart_add_ports - answer the eight ports. 0 or a negative errno. */
int uart_add_ports(struct uart *uart, struct ports *ports);

#endif
