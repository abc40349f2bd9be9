/* SPDX-License-Identifier: MIT */
/*
 * abi.h - what guest and host agreed on, as tables.
 *
 * lguest lived through four generations (lguest-core, 2.2) that differ in the order of argument registers, in the layout of the
 * shared structure and in which calls exist, but hardly in what a call means. A generation is one struct lguest_abi; the code
 * reads offsets and functions from it and never asks which generation it is.
 */
#ifndef KENNEL_MACHINE_LGUEST_ABI_H
#define KENNEL_MACHINE_LGUEST_ABI_H

#include <stdint.h>

struct lguest;

/* Selectors and GDT slots, the same in every generation (lguest-core, 1). */
enum {
	KERNEL_CS = 0x61,
	KERNEL_DS = 0x69,
	GDT_ENTRIES = 32,
	GDT_TLS = 6,			/* first of three */
	GDT_KERNEL_CS = 12,
	GDT_KERNEL_DS = 13,
};

enum {
	VECTOR_IRQ = 0x20,		/* of irq 0 */
	VECTOR_HYPERCALL = 0x1f,
	VECTOR_SYSCALL = 0x80,
	IRQ_TIMER = 0,
	RING_SLOTS = 64,
	SLOT_FREE = 0xff,
	MESSAGE_BYTES = 128,		/* of CRASH and SHUTDOWN */
};

enum { SHUTDOWN_POWEROFF = 1, SHUTDOWN_RESTART = 2 };

enum {
	CALL_FLUSH_ASYNC = 0,
	CALL_LGUEST_INIT = 1,
	CALL_SHUTDOWN = 2,
	CALL_NEW_PGTABLE = 4,
	CALL_FLUSH_TLB = 5,
	CALL_LOAD_IDT_ENTRY = 6,
	CALL_SET_STACK = 7,
	CALL_TS = 8,
	CALL_SET_CLOCKEVENT = 9,
	CALL_HALT = 10,
	CALL_SET_PTE = 14,
	CALL_SET_PGD = 15,
	CALL_LOAD_TLS = 16,
	CALL_NOTIFY = 17,
	CALL_LOAD_GDT_ENTRY = 18,
	CALL_SEND_INTERRUPTS = 19,
	CALL_LIMIT = 20,
};

/* One hypercall: @a are its arguments, in the order of the table in lguest-core, 3.1. */
struct lguest_call {
	void (*run)(struct lguest *m, const uint32_t a[4]);	/* NULL: no such call */
	const char *name;
	unsigned int args;					/* for messages and traces */
};

struct lguest_abi {
	const char *name;		/* "2 (Linux 3.x)" */
	uint8_t arg[4];			/* registers of the arguments */
	uint8_t slot_bytes;		/* of a ring slot: call number, then */
	uint8_t slot_arg[4];		/* offsets of the arguments */
	struct {			/* offsets in struct lguest_data */
		uint16_t irq_enabled, blocked, cr2, time, irq_pending, status, slots, reserve_mem, tsc_khz, noirq_start, noirq_end,
			kernel_address, syscall_vec, size;
	} data;
	const struct lguest_call *calls;
	uint32_t call_limit;
};

extern const struct lguest_abi lguest_abi_2;

#endif
