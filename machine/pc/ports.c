/* SPDX-License-Identifier: MIT */
#include "machine/pc/ports.h"

#include <errno.h>
#include <stddef.h>

void ports_init(struct ports *ports, void (*enter_cold)(void *opaque), void (*leave_cold)(void *opaque), void *opaque)
{
	*ports = (struct ports){ .enter_cold = enter_cold, .leave_cold = leave_cold, .opaque = opaque };
}

static bool covers(const struct port_range *range, uint32_t port)
{
	return port >= range->first && port - range->first < range->count;
}

/* The range that answers @port: of all that cover it the one added first. */
static uint8_t find_owner(const struct ports *ports, uint32_t port)
{
	unsigned int best = 0;

	for (unsigned int i = 1; i <= PORTS_MAX_RANGES; i++)
		if (ports->range[i] && covers(ports->range[i], port) && (!best || ports->order[i] < ports->order[best]))
			best = i;
	return (uint8_t)best;
}

int ports_add(struct ports *ports, struct port_range *range)
{
	unsigned int slot = 1;

	if (range->slot || !range->count || range->first + range->count > 65536)
		return -EINVAL;
	while (slot <= PORTS_MAX_RANGES && ports->range[slot])
		slot++;
	if (slot > PORTS_MAX_RANGES)
		return -ENOSPC;
	range->slot = (uint8_t)slot;
	ports->range[slot] = range;
	ports->order[slot] = ports->added++;
	for (uint32_t port = range->first; port < range->first + range->count; port++)
		if (!ports->owner[port])
			ports->owner[port] = (uint8_t)slot;
	return 0;
}

void ports_remove(struct ports *ports, struct port_range *range)
{
	uint8_t slot = range->slot;

	if (!slot)
		return;
	ports->range[slot] = NULL;
	range->slot = 0;
	for (uint32_t port = range->first; port < range->first + range->count; port++)
		if (ports->owner[port] == slot)
			ports->owner[port] = find_owner(ports, port);
}

static uint32_t ones(unsigned int size)
{
	return UINT32_MAX >> (32 - 8 * size);
}

/* The range that takes an access of @size bytes at @port as a whole, or NULL. */
static struct port_range *find_range(const struct ports *ports, uint16_t port, unsigned int size)
{
	struct port_range *range = ports->range[ports->owner[port]];

	if (!range || size < range->ops->min_size || size > range->ops->max_size || port - range->first + size > range->count)
		return NULL;
	return range;
}

static void enter(struct ports *ports, const struct port_ops *ops)
{
	if (ops->cold && ports->enter_cold)
		ports->enter_cold(ports->opaque);
}

static void leave(struct ports *ports, const struct port_ops *ops)
{
	if (ops->cold && ports->leave_cold)
		ports->leave_cold(ports->opaque);
}

static uint32_t range_in(struct ports *ports, struct port_range *range, uint16_t port, unsigned int size)
{
	const struct port_ops *ops = range->ops;
	uint32_t value;

	if (!ops->in)
		return ones(size);
	enter(ports, ops);
	value = ops->in(range->opaque, (uint32_t)port - range->first, size);
	leave(ports, ops);
	return value & ones(size);
}

static void range_out(struct ports *ports, struct port_range *range, uint16_t port, unsigned int size, uint32_t value)
{
	const struct port_ops *ops = range->ops;

	if (!ops->out)
		return;
	enter(ports, ops);
	ops->out(range->opaque, (uint32_t)port - range->first, size, value & ones(size));
	leave(ports, ops);
}

uint32_t ports_in(struct ports *ports, uint16_t port, unsigned int size)
{
	struct port_range *range = find_range(ports, port, size);
	uint32_t value = 0;

	if (range)
		return range_in(ports, range, port, size);
	if (size == 1)
		return 0xff;
	for (unsigned int i = 0; i < size; i += size / 2)
		value |= ports_in(ports, (uint16_t)(port + i), size / 2) << (8 * i);
	return value;
}

void ports_out(struct ports *ports, uint16_t port, unsigned int size, uint32_t value)
{
	struct port_range *range = find_range(ports, port, size);

	if (range) {
		range_out(ports, range, port, size, value);
		return;
	}
	for (unsigned int i = 0; size > 1 && i < size; i += size / 2)
		ports_out(ports, (uint16_t)(port + i), size / 2, value >> (8 * i));
}
