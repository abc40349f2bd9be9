/* SPDX-License-Identifier: MIT */
/*
 * pic.h - the interrupt controllers of a PC: two cascaded 8259A, lines 0 to 15 (Intel 8259A datasheet; ELCR as in the PIIX).
 *
 * Who may call what. pic_set_irq() may be called from any thread, with any locks; everything else belongs to the processor's
 * thread. Callers of pic_set_irq() for one line must not race with each other (they hold the I/O lock, or are one thread).
 *
 * pic.c is hot (ports.h): it runs while the guest's x87 and SSE registers are in the host's.
 */
#ifndef KENNEL_MACHINE_PC_PIC_H
#define KENNEL_MACHINE_PC_PIC_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "machine/pc/ports.h"

#define PIC_LINES	16

/* One 8259A. Bit n of a register is its input n. */
struct pic_chip {
	uint8_t in_service;		/* ISR */
	uint8_t mask;			/* IMR */
	uint8_t base;			/* vector of input 0 */
	uint8_t lowest;			/* the input that has the lowest priority now; 7 after initialisation */
	uint8_t init_step;		/* the command word expected next at the odd port: 2 to 4; 0 = none */
	bool wants_icw4, single;
	bool auto_eoi, rotate_on_auto_eoi, special_nested, special_mask;
	bool read_isr;			/* what reading the even port gives; otherwise IRR */
	bool poll;			/* the next read is a poll */
};

struct pic {
	_Atomic uint32_t level;		/* bit n: line n is high */
	_Atomic uint32_t edge;		/* bit n: line n has risen since this was last taken */
	_Atomic uint32_t heard;		/* bit n: line n is unmasked, and its rising is worth a call */
	_Atomic bool stale;		/* lines have changed since output was computed */
	bool output;			/* the INT pin of the master */
	uint16_t level_triggered;	/* ELCR */
	struct pic_chip chip[2];	/* master, slave */

	/* A line rose that is not masked. On the thread that raised it: rings the bell of the processor's. May be NULL. */
	void (*raised)(void *opaque);
	/* The processor has taken line @line; the line may be lowered and raised from here. May be NULL. */
	void (*taken)(void *opaque, unsigned int line);
	void *opaque;

	struct port_range master_ports, slave_ports, elcr_ports;
};

/** pic_init - as firmware leaves them: vectors 0x08 and 0x70, everything masked and edge-triggered. Callbacks are set afterwards. */
void pic_init(struct pic *pic);

/** pic_reset - the same for a restart; lines keep their levels */
void pic_reset(struct pic *pic);

/** pic_set_level_triggered - what firmware leaves in the ELCR: bit n makes line n level-triggered, where the board allows it */
void pic_set_level_triggered(struct pic *pic, uint16_t lines);

/** pic_add_ports - answer 0x20, 0x21, 0xa0, 0xa1, 0x4d0 and 0x4d1. 0 or a negative errno. */
int pic_add_ports(struct pic *pic, struct ports *ports);

/** pic_set_irq - set line @line (0 to 15, not 2) high or low. Any thread. */
void pic_set_irq(struct pic *pic, unsigned int line, bool high);

/** pic_update - compute the output anew; for pic_pending() */
void pic_update(struct pic *pic);

/** pic_pending - does the processor have an interrupt to take? Two loads when nothing has changed. */
static inline bool pic_pending(struct pic *pic)
{
	if (atomic_load(&pic->stale))
		pic_update(pic);
	return pic->output;
}

/**
 * pic_acknowledge - the processor takes the interrupt: the vector, 0 to 255
 *
 * If the request has gone meanwhile the vector is that of the spurious interrupt, input 7 of the master or the slave, and that
 * input's in-service bit is not set (datasheet, "the IR input must remain high").
 */
int pic_acknowledge(struct pic *pic);

#endif
