/* SPDX-License-Identifier: MIT */
#include "machine/pc/reset.h"

enum {
	KEYBOARD_PULSE_RESET = 0xfe,
	FAST_RESET = 0x01, FAST_A20 = 0x02,
	CONTROL_RESET = 0x04, CONTROL_WRITABLE = 0x0e,
};

static void keyboard_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct reset *reset = opaque;

	if (value == KEYBOARD_PULSE_RESET)
		reset->pulled(reset->opaque);
}

static uint32_t fast_in(void *opaque, uint32_t offset, unsigned int size)
{
	const struct reset *reset = opaque;

	return reset->port92;
}

static void fast_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct reset *reset = opaque;

	reset->port92 = (uint8_t)value & FAST_A20;
	if (value & FAST_RESET)
		reset->pulled(reset->opaque);
}

static uint32_t control_in(void *opaque, uint32_t offset, unsigned int size)
{
	const struct reset *reset = opaque;

	return reset->portcf9;
}

static void control_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct reset *reset = opaque;
	bool rises = value & ~reset->portcf9 & CONTROL_RESET;

	reset->portcf9 = (uint8_t)value & CONTROL_WRITABLE;
	if (rises) {
		reset->portcf9 = 0;
		reset->pulled(reset->opaque);
	}
}

static const struct port_ops keyboard_ops = { .out = keyboard_out, .min_size = 1, .max_size = 1 };
static const struct port_ops fast_ops = { .in = fast_in, .out = fast_out, .min_size = 1, .max_size = 1 };
static const struct port_ops control_ops = { .in = control_in, .out = control_out, .min_size = 1, .max_size = 1 };

void reset_init(struct reset *reset, void (*pulled)(void *opaque), void *opaque)
{
	*reset = (struct reset){
		.pulled = pulled,
		.opaque = opaque,
		.keyboard = { .first = 0x64, .count = 1, .ops = &keyboard_ops, .opaque = reset },
		.fast = { .first = 0x92, .count = 1, .ops = &fast_ops, .opaque = reset },
		.control = { .first = 0xcf9, .count = 1, .ops = &control_ops, .opaque = reset },
	};
	reset_reset(reset);
}

void reset_reset(struct reset *reset)
{
	reset->port92 = FAST_A20;
	reset->portcf9 = 0;
}

int reset_add_ports(struct reset *reset, struct ports *ports)
{
	int error = ports_add(ports, &reset->keyboard);

	if (!error)
		error = ports_add(ports, &reset->fast);
	if (!error)
		error = ports_add(ports, &reset->control);
	return error;
}
