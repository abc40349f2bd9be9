/* SPDX-License-Identifier: MIT */
/*
 * hypercall.h - how a generation-2 lguest guest talks to its host: one software interrupt, one shared structure.
 *
 * A call puts its number in EAX and up to four arguments in EBX, ECX, EDX and ESI, then executes INT 0x1f at ring 1. The host
 * changes no register. Calls that may wait ("lazy" ones) can instead be queued in the shared structure's ring of 64 slots: the
 * host executes whatever is queued, in order, before the next synchronous call. Numbers, layout and rules as in the guest
 * support of Linux 3.11 to 3.19.
 */
#ifndef PUP_HYPERCALL_H
#define PUP_HYPERCALL_H

#include <stddef.h>
#include <stdint.h>

enum hypercall_number {
	LHCALL_FLUSH_ASYNC = 0,		/* execute what is queued */
	LHCALL_LGUEST_INIT = 1,		/* physical address of lguest_data; first call, only once */
	LHCALL_SHUTDOWN = 2,		/* physical address of a text, SHUTDOWN_* */
	LHCALL_NEW_PGTABLE = 4,		/* physical address of a page directory */
	LHCALL_FLUSH_TLB = 5,		/* 0: user half of the current directory, 1: everything */
	LHCALL_LOAD_IDT_ENTRY = 6,	/* vector, low, high */
	LHCALL_SET_STACK = 7,		/* selector, virtual top, pages: the stack for traps from ring 3 */
	LHCALL_TS = 8,			/* 0: FPU usable, else: FPU use raises #NM */
	LHCALL_SET_CLOCKEVENT = 9,	/* nanoseconds until irq 0; 0 cancels */
	LHCALL_HALT = 10,		/* enable interrupts and sleep until one comes */
	LHCALL_SET_PTE = 14,		/* physical directory, virtual address, entry */
	LHCALL_SET_PGD = 15,		/* physical directory, index */
	LHCALL_LOAD_TLS = 16,		/* physical address of three descriptors */
	LHCALL_NOTIFY = 17,		/* physical address of a queue, a device descriptor or a string */
	LHCALL_LOAD_GDT_ENTRY = 18,	/* slot, low, high */
	LHCALL_SEND_INTERRUPTS = 19,	/* now would be a good time */
};

enum { SHUTDOWN_POWEROFF = 1, SHUTDOWN_RESTART = 2 };

#define HYPERCALL_VECTOR    0x1f
#define HYPERCALL_RING_SIZE 64

/* A queued call. */
struct hypercall_slot {
	uint32_t number, arg1, arg2, arg3, arg4;
};

/* What guest and host share; "G" is written by the guest, "H" by the host. */
struct lguest_data {
	uint32_t irq_enabled;		/* G: bit 9 as in EFLAGS. H: set when HALT ends, cleared by an interrupt gate */
	uint32_t blocked_interrupts;	/* G: one bit for each irq */
	uint32_t cr2;			/* H: address of the last page fault */
	uint32_t time_sec, time_nsec;	/* H: wall clock, refreshed at each interrupt */
	uint32_t irq_pending;		/* H: 0x200 when an interrupt waits for irq_enabled */
	uint8_t hcall_status[HYPERCALL_RING_SIZE];	/* G: 0 = queued. H: 0xff = done */
	struct hypercall_slot hcalls[HYPERCALL_RING_SIZE];
	uint32_t reserve_mem;		/* H: bytes at the top of the address space to keep away from */
	uint32_t tsc_khz;		/* H: rate of RDTSC, 0 = do not use it */
	uint32_t noirq_start, noirq_end;/* G: no interrupt is delivered while EIP is in [start, end) */
	uint32_t kernel_address;	/* G: from here up every address space is the same */
	uint32_t syscall_vec;		/* G: 0x80 */
};

_Static_assert(offsetof(struct lguest_data, hcall_status) == 24, "as in Linux 3.19");
_Static_assert(offsetof(struct lguest_data, hcalls) == 88, "as in Linux 3.19");
_Static_assert(offsetof(struct lguest_data, reserve_mem) == 1368, "as in Linux 3.19");
_Static_assert(sizeof(struct lguest_data) == 1392, "as in Linux 3.19");

/* In hypercall.c; the host reads and writes it behind the compiler's back. */
extern volatile struct lguest_data lguest_data;

/**
 * hypercall - call the host now
 * Returns what the host left in EAX: the number itself, for every call of this generation.
 */
static inline uint32_t hypercall(uint32_t number, uint32_t arg1, uint32_t arg2, uint32_t arg3, uint32_t arg4)
{
	__asm__ volatile("int $0x1f" : "+a"(number) : "b"(arg1), "c"(arg2), "d"(arg3), "S"(arg4) : "memory", "cc");
	return number;
}

/** hypercall_lazy - queue a call for the next synchronous one; calls at once if the ring is full */
void hypercall_lazy(uint32_t number, uint32_t arg1, uint32_t arg2, uint32_t arg3, uint32_t arg4);

#endif
