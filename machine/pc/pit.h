/* SPDX-License-Identifier: MIT */
/*
 * pit.h - the interval timer of a PC: an 8254 with three channels (Intel 8254 datasheet), and port 0x61 beside it.
 *
 * Nothing counts here. A channel remembers when it was started, and what it would show now is computed when somebody looks. Only
 * channel 0 has to act by itself, by raising IRQ 0; pit_deadline() says when it will do so next, and whoever runs the processor
 * sees to it that pit_poll() is called by then: with a deadline on its sleep while the guest is halted, with a timer that kicks
 * the processor while the guest runs. No thread wakes up for a timer the guest does not use.
 *
 * Everything belongs to the processor's thread. pit.c is hot (ports.h).
 */
#ifndef KENNEL_MACHINE_PC_PIT_H
#define KENNEL_MACHINE_PC_PIT_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/pc/ports.h"

#define PIT_HZ		1193182u
#define PIT_NEVER	UINT64_MAX

/* Times are in ticks of PIT_HZ since pit_init(). */
struct pit_channel {
	uint8_t mode;			/* 0 to 5 */
	uint8_t access;			/* 1: low byte, 2: high byte, 3: low, then high */
	bool bcd, gate;
	bool high_byte_next;		/* of a two-byte write; and the same for reads: */
	bool read_high_next;
	uint8_t low_byte;		/* of a two-byte write, until the other half comes */

	bool null_count;		/* a count was written that has not reached the counter */
	bool loaded;			/* there is a count to count with */
	bool running;			/* it has been started */
	uint32_t count;			/* 1 to 65536, or to 10000 in BCD */
	uint64_t start;			/* when the counter held the count */
	uint64_t paused_at;		/* gate low in modes 0 and 4: the time stands still */
	uint32_t next_count;		/* takes over at next_start, or when the gate rises; 0 = none */
	uint64_t next_start;

	bool status_latched, count_latched;
	uint8_t status;
	uint16_t latched;
};

struct pit {
	uint64_t (*now)(void *opaque);		/* ns, monotonic */
	void (*set_irq)(void *opaque, bool high);	/* output of channel 0 */
	void *opaque;
	uint64_t origin;		/* ns */
	struct pit_channel channel[3];
	uint8_t control61;		/* port 0x61, bits 0 to 3 as written */

	uint64_t edge;			/* tick of channel 0's next rising edge; PIT_NEVER = none */
	uint32_t owed;			/* edges that have passed and not been given to the interrupt controller */
	bool waiting;			/* in the periodic modes: one has been given and not taken */
	uint64_t not_before;		/* tick before which the next one is not given */

	struct port_range ports, port61;
};

/**
 * pit_init - stopped, as after power-on
 * @now: the time source
 * @set_irq: called with the output of channel 0
 */
void pit_init(struct pit *pit, uint64_t (*now)(void *opaque), void (*set_irq)(void *opaque, bool high), void *opaque);

/** pit_reset - for a restart of the guest */
void pit_reset(struct pit *pit);

/** pit_add_ports - answer 0x40 to 0x43 and 0x61. 0 or a negative errno. */
int pit_add_ports(struct pit *pit, struct ports *ports);

/** pit_deadline - when pit_poll() has something to do: on the scale of now(), PIT_NEVER = not unless the guest does something */
uint64_t pit_deadline(const struct pit *pit);

/** pit_poll - raise IRQ 0 if it is due. Cheap, and may be called at any time. */
void pit_poll(struct pit *pit);

/**
 * pit_taken - the processor has taken IRQ 0
 *
 * Ticks of the periodic modes that fell due before that are made up for, at most some, and at four times the normal rate: a guest
 * that counts ticks keeps its time over a short stall, and does not drown after a long one.
 */
void pit_taken(struct pit *pit);

#endif
