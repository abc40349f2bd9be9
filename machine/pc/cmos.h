/* SPDX-License-Identifier: MIT */
/*
 * cmos.h - the clock of a PC and the memory beside it: an MC146818 with 128 bytes, at ports 0x70 and 0x71 (Motorola datasheet).
 *
 * Like the 8254 (pit.h) it does nothing by itself: the time of day is computed from the host's when it is read, and interrupt
 * flags when register C is. Only enabled interrupts have a deadline. The guest may set the clock; that moves its own time only.
 *
 * Everything belongs to the processor's thread, or to one thread at a time. Hot (ports.h).
 */
#ifndef KENNEL_MACHINE_PC_CMOS_H
#define KENNEL_MACHINE_PC_CMOS_H

#include <stdbool.h>
#include <stdint.h>

#include "machine/pc/ports.h"

#define CMOS_NEVER	UINT64_MAX
#define CMOS_SIZE	128

struct cmos {
	uint64_t (*realtime)(void *opaque);		/* ns since 1970, UTC */
	uint64_t (*monotonic)(void *opaque);		/* ns; the scale of cmos_deadline() */
	void (*set_irq)(void *opaque, bool high);	/* IRQ 8 */
	void *opaque;

	uint8_t index;			/* port 0x70 */
	uint8_t ram[CMOS_SIZE];		/* registers 0 to 9 and the century: only while the clock stands still */
	uint8_t flags;			/* of register C */
	int64_t offset;			/* ns to add to the host's time */
	uint64_t seen;			/* guest's time in ns up to which flags have been set */

	struct port_range ports;
};

/**
 * cmos_init - a clock that shows the host's time, 24 hours, BCD
 * @memory: bytes of RAM, for the registers in which firmware leaves its size
 */
void cmos_init(struct cmos *cmos, uint64_t memory, uint64_t (*realtime)(void *opaque), uint64_t (*monotonic)(void *opaque),
	       void (*set_irq)(void *opaque, bool high), void *opaque);

/** cmos_reset - the reset pin, for a restart of the guest: no interrupts; memory and time stay (datasheet, "RESET") */
void cmos_reset(struct cmos *cmos);

/** cmos_add_ports - answer 0x70 and 0x71. 0 or a negative errno. */
int cmos_add_ports(struct cmos *cmos, struct ports *ports);

/** cmos_deadline - when cmos_poll() should be called, at the latest: monotonic ns, CMOS_NEVER = no interrupt is enabled or due */
uint64_t cmos_deadline(struct cmos *cmos);

/** cmos_poll - raise IRQ 8 if an enabled interrupt is due. May be called at any time. */
void cmos_poll(struct cmos *cmos);

#endif
