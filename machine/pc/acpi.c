/* SPDX-License-Identifier: MIT */
/*
 * We are always in ACPI mode: the tables name no SMI command port, so SCI_EN is fixed at 1 (ACPI 6.3, 4.8.2.5), and there is no
 * firmware to hand anything over from.
 */
#include "machine/pc/acpi.h"

#define NSEC	UINT64_C(1000000000)

/* Bits of PM1 status, enable and control (ACPI 6.3, tables 4.13 to 4.15). */
enum {
	TIMER = 0x0001, GLOBAL = 0x0020, BUTTON = 0x0100, RTC = 0x0400, EVENTS = TIMER | GLOBAL | BUTTON | RTC,
	SCI_ENABLED = 0x0001, BUS_MASTER_RELOAD = 0x0002, SLEEP_TYPE = 0x1c00, SLEEP_TYPE_SHIFT = 10, SLEEP = 0x2000,
	TIMER_BITS = 24,
};

static uint64_t timer_ticks(const struct acpi *acpi)
{
	uint64_t ns = acpi->now(acpi->opaque) - acpi->origin;

	return ns / NSEC * ACPI_TIMER_HZ + ns % NSEC * ACPI_TIMER_HZ / NSEC;
}

static uint64_t ns_of(uint64_t ticks)
{
	return ticks / ACPI_TIMER_HZ * NSEC + (ticks % ACPI_TIMER_HZ * NSEC + ACPI_TIMER_HZ - 1) / ACPI_TIMER_HZ;
}

static void update_line(struct acpi *acpi)
{
	acpi->set_irq(acpi->opaque, acpi->status & acpi->enable & EVENTS);
}

void acpi_poll(struct acpi *acpi)
{
	uint64_t halves = timer_ticks(acpi) >> (TIMER_BITS - 1);

	if (halves != acpi->halves)
		acpi->status |= TIMER;
	acpi->halves = halves;
	if (atomic_exchange(&acpi->pressed, false))
		acpi->status |= BUTTON;
	update_line(acpi);
}

uint64_t acpi_deadline(const struct acpi *acpi)
{
	if (atomic_load(&acpi->pressed))
		return 0;
	if (!(acpi->enable & TIMER) || (acpi->status & TIMER))
		return ACPI_NEVER;
	return acpi->origin + ns_of((acpi->halves + 1) << (TIMER_BITS - 1));
}

void acpi_press_power_button(struct acpi *acpi)
{
	atomic_store(&acpi->pressed, true);
}

bool acpi_listens(const struct acpi *acpi)
{
	return acpi->enable & BUTTON;
}

/* --- ports ----------------------------------------------------------------------------------------------------------- */

static void write_control(struct acpi *acpi, uint16_t value)
{
	acpi->control = (value & (BUS_MASTER_RELOAD | SLEEP_TYPE)) | SCI_ENABLED;
	if ((value & SLEEP) && (value & SLEEP_TYPE) >> SLEEP_TYPE_SHIFT == ACPI_SLEEP_OFF)
		acpi->power_off(acpi->opaque);
}

static uint16_t with_byte(uint16_t word, bool high, uint8_t byte)
{
	return high ? (uint16_t)(byte << 8 | (word & 0xff)) : (uint16_t)((word & 0xff00) | byte);
}

static uint32_t byte_of(uint16_t word, bool high)
{
	return high ? word >> 8 : word & 0xff;
}

static void event_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct acpi *acpi = opaque;

	acpi_poll(acpi);
	if (offset < 2)
		acpi->status &= ~with_byte(0, offset & 1, (uint8_t)value);
	else
		acpi->enable = with_byte(acpi->enable, offset & 1, (uint8_t)value) & EVENTS;
	update_line(acpi);
}

static uint32_t event_in(void *opaque, uint32_t offset, unsigned int size)
{
	struct acpi *acpi = opaque;

	acpi_poll(acpi);
	return byte_of(offset < 2 ? acpi->status : acpi->enable, offset & 1);
}

/* Byte by byte: that which starts the sleep and its type are in one. */
static void control_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct acpi *acpi = opaque;

	write_control(acpi, with_byte(acpi->control, offset, (uint8_t)value));
}

static uint32_t control_in(void *opaque, uint32_t offset, unsigned int size)
{
	const struct acpi *acpi = opaque;

	return byte_of(acpi->control, offset);
}

static uint32_t timer_in(void *opaque, uint32_t offset, unsigned int size)
{
	return ((uint32_t)timer_ticks(opaque) & ((1u << TIMER_BITS) - 1)) >> (8 * offset);
}

static const struct port_ops event_ops = { .in = event_in, .out = event_out, .min_size = 1, .max_size = 1 };
static const struct port_ops control_ops = { .in = control_in, .out = control_out, .min_size = 1, .max_size = 1 };
static const struct port_ops timer_ops = { .in = timer_in, .min_size = 1, .max_size = 4 };

void acpi_reset(struct acpi *acpi)
{
	acpi->origin = acpi->now(acpi->opaque);
	acpi->halves = 0;
	acpi->status = acpi->enable = 0;
	acpi->control = SCI_ENABLED;
	atomic_store(&acpi->pressed, false);
	update_line(acpi);
}

void acpi_init(struct acpi *acpi, uint64_t (*now)(void *opaque), void (*set_irq)(void *opaque, bool high),
	       void (*power_off)(void *opaque), void *opaque)
{
	*acpi = (struct acpi){
		.now = now,
		.set_irq = set_irq,
		.power_off = power_off,
		.opaque = opaque,
		.events = { .first = ACPI_EVENT_PORT, .count = 4, .ops = &event_ops, .opaque = acpi },
		.controls = { .first = ACPI_CONTROL_PORT, .count = 2, .ops = &control_ops, .opaque = acpi },
		.timer = { .first = ACPI_TIMER_PORT, .count = 4, .ops = &timer_ops, .opaque = acpi },
	};
	acpi_reset(acpi);
}

int acpi_add_ports(struct acpi *acpi, struct ports *ports)
{
	int error = ports_add(ports, &acpi->events);

	if (!error)
		error = ports_add(ports, &acpi->controls);
	return error ? error : ports_add(ports, &acpi->timer);
}
