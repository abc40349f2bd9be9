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

/* Byte by byte: that which starts the sleep and its type are in one. */
static void register_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct acpi *acpi = opaque;
	bool high = offset & 1;

	acpi_poll(acpi);
	switch (offset / 2) {
	case 0:
		acpi->status &= ~with_byte(0, high, (uint8_t)value);
		break;
	case 1:
		acpi->enable = with_byte(acpi->enable, high, (uint8_t)value) & EVENTS;
		break;
	default:
		write_control(acpi, with_byte(acpi->control, high, (uint8_t)value));
		break;
	}
	update_line(acpi);
}

static uint32_t register_in(void *opaque, uint32_t offset, unsigned int size)
{
	struct acpi *acpi = opaque;
	uint16_t word;

	acpi_poll(acpi);
	word = offset / 2 == 0 ? acpi->status : offset / 2 == 1 ? acpi->enable : acpi->control;
	return (word >> (8 * (offset & 1))) & 0xff;
}

static uint32_t timer_in(void *opaque, uint32_t offset, unsigned int size)
{
	return ((uint32_t)timer_ticks(opaque) & ((1u << TIMER_BITS) - 1)) >> (8 * offset);
}

static const struct port_ops register_ops = { .in = register_in, .out = register_out, .min_size = 1, .max_size = 1 };
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
		.registers = { .first = ACPI_EVENT_PORT, .count = 6, .ops = &register_ops, .opaque = acpi },
		.timer = { .first = ACPI_TIMER_PORT, .count = 4, .ops = &timer_ops, .opaque = acpi },
	};
	acpi_reset(acpi);
}

int acpi_add_ports(struct acpi *acpi, struct ports *ports)
{
	int error = ports_add(ports, &acpi->registers);

	return error ? error : ports_add(ports, &acpi->timer);
}
