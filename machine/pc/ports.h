/* SPDX-License-Identifier: MIT */
/*
 * ports.h - the I/O port space of the PC: who answers which port.
 *
 * A chip or a PCI BAR owns a struct port_range and adds it; a table with one byte for each port leads from a port to its range, so
 * an access costs one load and one indirect call. Ranges may overlap, as when a guest moves a BAR onto something else: the one
 * that was added first answers, and the other comes to light again when the first is removed.
 *
 * An access goes to the range of its first port if that takes this width and all its bytes; otherwise it is made as two of half
 * the width, as the bridges of a PC do for 8-bit devices. So a dword at 0xcf8 and a byte at 0xcf9 can be two different registers.
 * What nobody claims reads as all ones and swallows writes.
 *
 * Hot and cold: accesses come from translated code, with the guest's x87 and SSE registers live in the host's. A range is called
 * as it is if its handlers keep off those registers; one that is marked cold (it takes the I/O lock, calls devices or libc) is
 * called between the two hooks of ports_init(), where the machine brackets it.
 *
 * Everything here belongs to the processor's thread; before that thread runs, to whoever sets the machine up.
 */
#ifndef KENNEL_MACHINE_PC_PORTS_H
#define KENNEL_MACHINE_PC_PORTS_H

#include <stdbool.h>
#include <stdint.h>

#define PORTS_MAX_RANGES 255

/* @offset: from the start of the range. @size: 1, 2 or 4 bytes; a value has no bits above that. */
struct port_ops {
	uint32_t (*in)(void *opaque, uint32_t offset, unsigned int size);		/* NULL: all ones */
	void (*out)(void *opaque, uint32_t offset, unsigned int size, uint32_t value);	/* NULL: nothing happens */
	uint8_t min_size, max_size;	/* the widths it takes; the width below the least goes to nobody */
	bool cold;
};

/* Embedded in its owner, who keeps it where it is while it is added. */
struct port_range {
	uint16_t first;
	uint32_t count;			/* first + count <= 65536 */
	const struct port_ops *ops;
	void *opaque;
	uint8_t slot;			/* 0: not added */
};

struct ports {
	void (*enter_cold)(void *opaque);	/* both may be NULL */
	void (*leave_cold)(void *opaque);
	void *opaque;
	struct port_range *range[PORTS_MAX_RANGES + 1];	/* [0] is never used */
	uint32_t order[PORTS_MAX_RANGES + 1];	/* when each was added */
	uint32_t added;
	uint8_t owner[65536];			/* 0: nobody */
};

/** ports_init - an empty port space; the hooks are called with @opaque around every access to a cold range */
void ports_init(struct ports *ports, void (*enter_cold)(void *opaque), void (*leave_cold)(void *opaque), void *opaque);

/** ports_add - let @range answer from now on. 0, -EINVAL (empty, too long, added already), -ENOSPC (too many ranges). */
int ports_add(struct ports *ports, struct port_range *range);

/** ports_remove - no longer; nothing if it was not added. A handler may remove its own range. */
void ports_remove(struct ports *ports, struct port_range *range);

/** ports_in - read @size bytes (1, 2 or 4) at @port; the value has no bits above them */
uint32_t ports_in(struct ports *ports, uint16_t port, unsigned int size);

/** ports_out - write the lower @size bytes of @value at @port */
void ports_out(struct ports *ports, uint16_t port, unsigned int size, uint32_t value);

#endif
