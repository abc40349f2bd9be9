/* SPDX-License-Identifier: MIT */
/*
 * A counter is a function of time. start is the tick at which it held its count; everything that can be read - the count, the
 * output, the status - follows from start, the mode and the present tick. Three things complicate that:
 *
 * - In modes 2 and 3 a new count waits for the end of the period under way (in mode 3 a chip waits for the half only): next_count
 *   and next_start, which settle() puts in force when their time has come. In modes 1 and 5 it waits for the gate.
 * - A low gate stops the time of modes 0 and 4, and the output of 2 and 3.
 * - IRQ 0 wants an action at the edges of channel 0's output. edge is when the next one comes, computed whenever something
 *   about the channel changes. In the periodic modes the processor may be late by many periods. One tick waits in the interrupt
 *   controller; further ones are owed, up to OWED_MAX, and handed out after the earlier one is taken. While one waits we need no
 *   wake-up at all. The line is lowered only to raise it again, so that mode 3 does not take back a tick half a period later.
 *
 * A count that is written takes effect on the next clock (datasheet, "operation common to all modes"), so start is one tick later.
 */
#include "machine/pc/pit.h"

#define NSEC	UINT64_C(1000000000)

enum {
	OWED_MAX = 32,
	CATCH_UP = 4,			/* owed ticks come at so many times the rate */
	LEAST_SPACE = 60,		/* ticks between two interrupts of a periodic mode, whatever the count: 50 us */
	REFRESH_TICKS = 18,		/* memory refresh: bit 4 of port 0x61 turns over every 15.09 us */
	SPEAKER_GATE = 0x01, WRITABLE61 = 0x0f, REFRESH = 0x10, OUT2 = 0x20,
	READ_BACK = 3, BACK_NO_COUNT = 0x20, BACK_NO_STATUS = 0x10,
	STATUS_OUT = 0x80, STATUS_NULL = 0x40,
};

/* --- time ------------------------------------------------------------------------------------------------------------ */

/* In two parts, as a product of nanoseconds and PIT_HZ would overflow within hours. */
static uint64_t ticks_of(uint64_t ns)
{
	return ns / NSEC * PIT_HZ + ns % NSEC * PIT_HZ / NSEC;
}

/* The first nanosecond that belongs to @tick. */
static uint64_t ns_of(uint64_t tick)
{
	return tick / PIT_HZ * NSEC + (tick % PIT_HZ * NSEC + PIT_HZ - 1) / PIT_HZ;
}

static uint64_t present(const struct pit *pit)
{
	return ticks_of(pit->now(pit->opaque) - pit->origin);
}

/* --- a counter at a given tick --------------------------------------------------------------------------------------- */

static bool is_periodic(const struct pit_channel *c)
{
	return c->mode == 2 || c->mode == 3;
}

/* Triggered by the gate's rising edge; the count is only made ready. */
static bool is_triggered(const struct pit_channel *c)
{
	return c->mode == 1 || c->mode == 5;
}

static uint32_t modulus(const struct pit_channel *c)
{
	return c->bcd ? 10000 : 65536;
}

/* Put what was written into force if its time has come. */
static void settle(struct pit_channel *c, uint64_t now)
{
	if (c->next_count && now >= c->next_start) {
		c->count = c->next_count;
		c->start = c->next_start;
		c->next_count = 0;
	}
	if (!c->next_count && c->running && now >= c->start)
		c->null_count = false;
}

/* Ticks since the counter held its count. A count that has not reached the counter yet counts as 0. */
static uint64_t elapsed(const struct pit_channel *c, uint64_t now)
{
	bool paused = !c->gate && (c->mode == 0 || c->mode == 4);

	if (paused && now > c->paused_at)
		now = c->paused_at;
	return now > c->start ? now - c->start : 0;
}

/* The output; initial levels are those of the control word (datasheet, "mode definitions"). */
static bool output(const struct pit_channel *c, uint64_t now)
{
	uint64_t e = elapsed(c, now);

	if (!c->running)
		return c->mode != 0;
	switch (c->mode) {
	case 0:
		return now >= c->start && e >= c->count;
	case 1:
		return now < c->start || e >= c->count;
	case 2:
		return !c->gate || e % c->count != c->count - 1;
	case 3:
		return !c->gate || e % c->count < (c->count + 1) / 2;
	default:
		return e != c->count;
	}
}

static uint32_t to_bcd(uint32_t value)
{
	return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 | value / 1000 % 10 << 12;
}

static uint32_t from_bcd(uint32_t value)
{
	return (value & 15) + (value >> 4 & 15) * 10 + (value >> 8 & 15) * 100 + (value >> 12 & 15) * 1000;
}

/* What reading the counter shows, 16 bits. */
static uint16_t counter(const struct pit_channel *c, uint64_t now)
{
	uint64_t e = elapsed(c, now);
	uint32_t value = c->count;

	if (c->running && c->mode == 2) {
		value = c->count - (uint32_t)(e % c->count);
	} else if (c->running && c->mode == 3) {
		/* By two in each half; an odd count shows as the even one below it (datasheet, mode 3). */
		uint32_t half = (c->count + 1) / 2, at = (uint32_t)(e % c->count);

		value = (c->count & ~1u) - 2 * (at < half ? at : at - half);
	} else if (c->running) {
		/* Counts on past zero, and from the top again. */
		value = (uint32_t)((c->count + modulus(c) - e % modulus(c)) % modulus(c));
	}
	value %= modulus(c);
	return (uint16_t)(c->bcd ? to_bcd(value) : value);
}

/* --- the edges of channel 0 ------------------------------------------------------------------------------------------ */

/* The first tick after @now at which the output rises; PIT_NEVER = not by itself. */
static uint64_t next_edge(const struct pit_channel *c, uint64_t now)
{
	uint64_t end = c->start + c->count;

	if (!c->running || !c->gate)
		return PIT_NEVER;
	if (is_periodic(c) && now >= end)
		end += (now - end) / c->count * c->count + c->count;
	if (c->mode >= 4)
		end++;		/* low for one tick, and it is the rise that counts */
	return end > now ? end : PIT_NEVER;
}

/* The channel was given a new mode or count: what is owed for the old one is forgotten. */
static void restart_edges(struct pit *pit, uint64_t now)
{
	const struct pit_channel *c = &pit->channel[0];

	pit->owed = 0;
	pit->waiting = false;
	pit->not_before = 0;
	pit->set_irq(pit->opaque, output(c, now));
	pit->edge = next_edge(c, now);
}

/* Take note of the edges up to @now. While a new count waits, the next edge is where it takes over; so all others are its own. */
static void count_edges(struct pit *pit, uint64_t now)
{
	struct pit_channel *c = &pit->channel[0];
	uint64_t passed = 1;

	if (pit->edge > now)
		return;
	settle(c, now);
	if (is_periodic(c))
		passed += (now - pit->edge) / c->count;
	pit->owed = passed < OWED_MAX - pit->owed ? pit->owed + (uint32_t)passed : OWED_MAX;
	pit->edge = next_edge(c, now);
}

static void tick(struct pit *pit, uint64_t now)
{
	const struct pit_channel *c = &pit->channel[0];
	uint32_t space = c->count / CATCH_UP;

	pit->owed--;
	pit->waiting = is_periodic(c);
	pit->not_before = now + (space > LEAST_SPACE ? space : LEAST_SPACE);
	pit->set_irq(pit->opaque, false);
	pit->set_irq(pit->opaque, true);
}

void pit_poll(struct pit *pit)
{
	uint64_t now = present(pit);

	count_edges(pit, now);
	if (pit->owed && !pit->waiting && now >= pit->not_before)
		tick(pit, now);
}

uint64_t pit_deadline(const struct pit *pit)
{
	uint64_t tick_at = pit->owed ? pit->not_before : pit->edge;

	if (pit->waiting || tick_at == PIT_NEVER)
		return PIT_NEVER;
	return pit->origin + ns_of(tick_at > pit->not_before ? tick_at : pit->not_before);
}

void pit_taken(struct pit *pit)
{
	if (!pit->waiting)
		return;
	count_edges(pit, present(pit));
	pit->waiting = false;
}

/* --- what the guest does with a channel ------------------------------------------------------------------------------ */

static void start(struct pit_channel *c, uint64_t when)
{
	if (c->next_count)
		c->count = c->next_count;
	c->next_count = 0;
	c->start = c->paused_at = when;
	c->running = true;
}

/* All of a count is there. True: the counter starts anew. */
static bool write_count(struct pit_channel *c, uint32_t raw, uint64_t now)
{
	uint32_t count = c->bcd ? from_bcd(raw) : raw;

	c->next_count = count ? count : modulus(c);
	c->next_start = PIT_NEVER;
	c->loaded = c->null_count = true;
	if (is_triggered(c) || (is_periodic(c) && !c->gate))
		return false;
	if (is_periodic(c) && c->running) {
		c->next_start = now < c->start ? c->start + c->count : c->start + ((now - c->start) / c->count + 1) * c->count;
		return false;
	}
	start(c, now + 1);
	return true;
}

/* True: the counter starts anew, or stops. */
static bool write_byte(struct pit_channel *c, uint8_t value, uint64_t now)
{
	if (c->access == 1)
		return write_count(c, value, now);
	if (c->access == 2)
		return write_count(c, (uint32_t)value << 8, now);
	c->high_byte_next = !c->high_byte_next;
	if (!c->high_byte_next)
		return write_count(c, (uint32_t)value << 8 | c->low_byte, now);
	c->low_byte = value;
	if (c->mode == 0)
		c->running = false;	/* the first byte stops it (datasheet, mode 0) */
	return c->mode == 0;
}

static void set_mode(struct pit_channel *c, uint8_t word)
{
	uint8_t mode = word >> 1 & 7;

	c->mode = mode > 5 ? mode - 4 : mode;
	c->access = word >> 4 & 3;
	c->bcd = word & 1;
	c->high_byte_next = c->read_high_next = c->status_latched = c->count_latched = false;
	c->running = c->loaded = false;
	c->null_count = true;
	c->next_count = 0;
}

static void latch_count(struct pit_channel *c, uint64_t now)
{
	if (c->count_latched)
		return;
	c->latched = counter(c, now);
	c->count_latched = true;
}

static void latch_status(struct pit_channel *c, uint64_t now)
{
	if (c->status_latched)
		return;
	c->status = (uint8_t)(c->access << 4 | c->mode << 1 | c->bcd);
	c->status |= (output(c, now) ? STATUS_OUT : 0) | (c->null_count ? STATUS_NULL : 0);
	c->status_latched = true;
}

static uint8_t read_byte(struct pit_channel *c, uint64_t now)
{
	uint16_t value = c->count_latched ? c->latched : counter(c, now);
	bool high = c->access == 2 || (c->access == 3 && c->read_high_next);

	if (c->status_latched) {
		c->status_latched = false;
		return c->status;
	}
	if (c->access == 3)
		c->read_high_next = !high;
	if (c->access != 3 || high)
		c->count_latched = false;
	return (uint8_t)(high ? value >> 8 : value);
}

static void set_gate(struct pit_channel *c, bool high, uint64_t now)
{
	if (high == c->gate)
		return;
	c->gate = high;
	if (!high) {
		c->paused_at = now > c->start ? now : c->start;
		if (is_periodic(c))
			c->running = false;
	} else if (c->mode == 0 || c->mode == 4) {
		c->start += now > c->paused_at ? now - c->paused_at : 0;
	} else if (c->loaded) {
		start(c, now + 1);
	}
}

/* --- ports ----------------------------------------------------------------------------------------------------------- */

static void read_back(struct pit *pit, uint8_t command, uint64_t now)
{
	for (unsigned int i = 0; i < 3; i++) {
		if (!(command & 2u << i))
			continue;
		settle(&pit->channel[i], now);
		if (!(command & BACK_NO_COUNT))
			latch_count(&pit->channel[i], now);
		if (!(command & BACK_NO_STATUS))
			latch_status(&pit->channel[i], now);
	}
}

static void control(struct pit *pit, uint8_t word, uint64_t now)
{
	struct pit_channel *c = &pit->channel[word >> 6 & 3];

	if (word >> 6 == READ_BACK) {
		read_back(pit, word, now);
	} else if (!(word >> 4 & 3)) {
		settle(c, now);
		latch_count(c, now);
	} else {
		set_mode(c, word);
		if (c == pit->channel)
			restart_edges(pit, now);
	}
}

static void pit_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct pit *pit = opaque;
	uint64_t now = present(pit);

	if (offset == 3) {
		control(pit, (uint8_t)value, now);
		return;
	}
	if (!offset)
		count_edges(pit, now);
	settle(&pit->channel[offset], now);
	if (write_byte(&pit->channel[offset], (uint8_t)value, now) && !offset)
		restart_edges(pit, now);
}

static uint32_t pit_in(void *opaque, uint32_t offset, unsigned int size)
{
	struct pit *pit = opaque;
	uint64_t now = present(pit);

	if (offset == 3)
		return 0xff;
	settle(&pit->channel[offset], now);
	return read_byte(&pit->channel[offset], now);
}

static void port61_out(void *opaque, uint32_t offset, unsigned int size, uint32_t value)
{
	struct pit *pit = opaque;
	uint64_t now = present(pit);

	settle(&pit->channel[2], now);
	set_gate(&pit->channel[2], value & SPEAKER_GATE, now);
	pit->control61 = value & WRITABLE61;
}

static uint32_t port61_in(void *opaque, uint32_t offset, unsigned int size)
{
	struct pit *pit = opaque;
	uint64_t now = present(pit);

	settle(&pit->channel[2], now);
	return pit->control61 | (now / REFRESH_TICKS & 1 ? REFRESH : 0) | (output(&pit->channel[2], now) ? OUT2 : 0);
}

static const struct port_ops pit_ops = { .in = pit_in, .out = pit_out, .min_size = 1, .max_size = 1 };
static const struct port_ops port61_ops = { .in = port61_in, .out = port61_out, .min_size = 1, .max_size = 1 };

void pit_reset(struct pit *pit)
{
	for (unsigned int i = 0; i < 3; i++)
		pit->channel[i] = (struct pit_channel){ .mode = 3, .access = 3, .gate = i != 2, .count = 65536 };
	pit->control61 = 0;
	restart_edges(pit, present(pit));
}

void pit_init(struct pit *pit, uint64_t (*now)(void *opaque), void (*set_irq)(void *opaque, bool high), void *opaque)
{
	*pit = (struct pit){
		.now = now,
		.set_irq = set_irq,
		.opaque = opaque,
		.origin = now(opaque),
		.ports = { .first = 0x40, .count = 4, .ops = &pit_ops, .opaque = pit },
		.port61 = { .first = 0x61, .count = 1, .ops = &port61_ops, .opaque = pit },
	};
	pit_reset(pit);
}

int pit_add_ports(struct pit *pit, struct ports *ports)
{
	int error = ports_add(ports, &pit->ports);

	return error ? error : ports_add(ports, &pit->port61);
}
