/* SPDX-License-Identifier: MIT */
/*
 * acpi.h - the fixed hardware of ACPI: power button, sleep control and the power management timer (ACPI 6.3, 4.8.3), at the ports
 * that acpi_tables.h tells the guest. This is how a guest switches itself off, and how it is asked to.
 *
 * Everything belongs to the processor's thread but acpi_press_power_button(). Hot (ports.h), but for the callbacks.
 */
#ifndef KENNEL_MACHINE_PC_ACPI_H
#define KENNEL_MACHINE_PC_ACPI_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "machine/pc/ports.h"

#define ACPI_NEVER	UINT64_MAX
#define ACPI_TIMER_HZ	3579545u

/*
 * Ports, and the interrupt line, which is level-triggered. The events are where ISA Plug and Play has its write port (0xa79): Linux, which
 * gives them to ACPI first, then does without looking for such cards. That would be a third of a second of busy waiting in each boot of a
 * kernel that does not know the parameter against it (load.c).
 */
enum {
	ACPI_EVENT_PORT = 0xa78,	/* PM1a_EVT: status, enable */
	ACPI_CONTROL_PORT = 0x604,	/* PM1a_CNT */
	ACPI_TIMER_PORT = 0x608,	/* PM_TMR, 24 bits */
	ACPI_LINE = 9,
	ACPI_SLEEP_OFF = 5,		/* SLP_TYP of S5 */
};

struct acpi {
	uint64_t (*now)(void *opaque);			/* ns, monotonic */
	void (*set_irq)(void *opaque, bool high);	/* the SCI */
	void (*power_off)(void *opaque);	/* the guest has entered S5; the access that did it is still under way */
	void *opaque;
	uint64_t origin;		/* when the timer was 0 */
	uint64_t halves;		/* how often bit 23 of the timer had turned over when last looked */
	uint16_t status, enable, control;
	_Atomic bool pressed;
	struct port_range events, controls, timer;
};

void acpi_init(struct acpi *acpi, uint64_t (*now)(void *opaque), void (*set_irq)(void *opaque, bool high),
	       void (*power_off)(void *opaque), void *opaque);

/** acpi_reset - for a restart of the guest */
void acpi_reset(struct acpi *acpi);

/** acpi_add_ports - 0 or a negative errno */
int acpi_add_ports(struct acpi *acpi, struct ports *ports);

/**
 * acpi_press_power_button - ask the guest to shut down
 * Any thread or signal handler. Wake the processor's thread afterwards, so that it calls acpi_poll().
 */
void acpi_press_power_button(struct acpi *acpi);

/** acpi_listens - has the guest enabled the power button? Otherwise nothing will come of pressing it. */
bool acpi_listens(const struct acpi *acpi);

/** acpi_deadline - when acpi_poll() has something to do: on the scale of now(), ACPI_NEVER = not by itself */
uint64_t acpi_deadline(const struct acpi *acpi);

/** acpi_poll - raise the SCI if it is due. May be called at any time. */
void acpi_poll(struct acpi *acpi);

#endif
