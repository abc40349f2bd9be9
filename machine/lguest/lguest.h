/* SPDX-License-Identifier: MIT */
/*
 * lguest.h - the inside of the lguest machine; for the files of this folder only.
 *
 * Hot and cold. While the guest runs, its x87 and SSE registers are live in the host's, also during the calls below that happen
 * between two entries to the guest. Files that run then are compiled with -mgeneral-regs-only and call nothing that is not
 * (tests/machine/hot.py looks at their symbols): hypercall.c ring.c interrupt.c trap.c descriptor.c privileged.c cpuid.c clock.c
 * exit.c. Whatever may touch such a register - libc, devices, tracing - is in the cold files, behind functions whose names end
 * in _cold, and those bracket themselves with cpu_fpu_release() and cpu_fpu_acquire().
 */
#ifndef KENNEL_MACHINE_LGUEST_LGUEST_H
#define KENNEL_MACHINE_LGUEST_LGUEST_H

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86/cpu.h"
#include "cpu/x86/decode/decode.h"
#include "machine/devices.h"
#include "machine/lguest/abi.h"
#include "machine/idle.h"
#include "machine/kick_timer.h"
#include "machine/machine.h"
#include "machine/ram.h"
#include "machine/trace.h"
#include "transport/lguest/page-host.h"

#define likely(x)   __builtin_expect(!!(x), 1)
#define unlikely(x) __builtin_expect(!!(x), 0)

/* DR6, as a debug exception leaves it (Intel SDM, 17.2.3). */
#define DR6_NOTHING     0xffff0ff0u
#define DR6_SINGLE_STEP 0x4000u

enum { PAGE = 4096 };

/* Physical address of the boot-parameter page. */
enum { BOOT_PARAMS = 0 };

/* A guest's IDT entry, as LOAD_IDT_ENTRY left it. */
struct gate {
	uint32_t offset;
	uint8_t present;
	uint8_t dpl;
	uint8_t interrupt;	/* type 0xE: clears irq_enabled */
	uint8_t pad;
};

/* Times are CLOCK_MONOTONIC nanoseconds; NEVER = not at all. */
#define NEVER UINT64_MAX

struct lguest_clock {
	uint64_t deadline;	/* of the guest's one-shot */
	uint64_t retry;		/* when we want to look at undeliverable interrupts again */
	uint64_t armed;		/* when the host timer fires: at the latest at the earlier one of the two, while the guest runs */
	uint32_t tsc_khz;	/* for the guest; 0 = the counter is not good enough to be a clock */
	struct kick_timer timer;
};

/* Where the fields of the guest's lguest_data are, once LGUEST_INIT said so. Host addresses, each 4-aligned. */
struct lguest_shared {
	uint32_t *irq_enabled, *blocked, *cr2, *time, *irq_pending, *slots;
	uint8_t *status;
	uint32_t noirq_start, noirq_length;
};

struct lguest_stats {
	uint64_t hypercalls[CALL_LIMIT], queued, interrupts, traps[256], privileged, notifies, halts;
};

struct lguest {
	struct machine machine;		/* first: a struct machine * is one of us */
	struct cpu *cpu;
	const struct lguest_abi *abi;
	uint32_t trace;
	int dump_fd;		/* -1: none */

	/* Memory: RAM, then the descriptor page and the rings. */
	struct cpu_ram ram;
	uint32_t ram_bytes;
	uint32_t memory_bytes;		/* what the guest may name in a call */

	struct lguest_shared shared;
	bool initialised;		/* LGUEST_INIT was called */
	bool paged;			/* NEW_PGTABLE was called */
	bool halted;
	uint32_t ring_next;		/* slot the guest fills next */
	uint32_t stack_selector, stack_top;	/* for traps from ring 3 */
	uint32_t pgd;			/* as last given to NEW_PGTABLE */
	uint32_t dr6;			/* what MOV from DR6 reads */
	bool ts;

	struct gate gate[256];
	uint32_t gdt[GDT_ENTRIES][2];

	/* Interrupts. */
	_Atomic uint32_t pending;	/* bit n = irq n; set from any thread */
	_Atomic uint32_t bell;		/* counts reasons to wake up; a futex */
	_Atomic uint32_t sleeping;	/* the processor's thread waits on the bell, or is about to */
	_Atomic uint32_t stop;		/* stop() was called */
	bool waiting;			/* what cpu_set_irq_pending() was told last */
	uint32_t masked;		/* pending interrupts that only blocked_interrupts keeps back */
	uint32_t masked_patience;	/* how often interruptible() may still say no to them */
	pthread_t thread;		/* the processor's */

	struct lguest_clock clock;
	struct idle idle;

	/* The call under way, for messages. */
	uint32_t call_number;
	const uint32_t *call_arg;	/* NULL: no call is under way */
	bool call_queued;

	bool ended;
	enum machine_end end;

	struct lguest_stats stats;

	/* Cold. */
	const struct kernel *kernel;
	const struct file_view *initrd;
	const char *command_line;
	struct virtio_mem mem;
	struct lguest_page bus;
	struct devices devices;
	struct console_backend *console;
};

/* --- hot: may run with the guest's floating point state in the host's registers ------------------------------------------- */

/* exit.c */

/** lguest_loop - run the guest until it has ended */
void lguest_loop(struct lguest *m);
void lguest_handle_exit(struct lguest *m, const struct cpu_exit *exit);

/* hypercall.c */

/** lguest_hypercall - execute the call that the guest's registers describe; drains the ring first */
void lguest_hypercall(struct lguest *m);
void lguest_run_call(struct lguest *m, uint32_t number, const uint32_t a[4], bool queued);

/* ring.c */
void lguest_ring_drain(struct lguest *m);

/* interrupt.c */

/** lguest_raise - make irq @irq pending. From any thread. */
void lguest_raise(struct lguest *m, unsigned int irq);
/** lguest_deliver - before the guest runs on: push the frame of one interrupt if it may be; remember if one has to wait */
void lguest_deliver(struct lguest *m);
bool lguest_interruptible(void *opaque);
/** lguest_sleep - the guest halted: wait until an interrupt can be delivered, or the machine is to stop */
void lguest_sleep(struct lguest *m);
/** lguest_wake - let the processor's thread look around. From any thread or signal handler. */
void lguest_wake(struct lguest *m);

/* trap.c */

/** lguest_trap - give the guest exception @vector; EIP is where it has to return to. @error: NULL for none. Kills it if it has no gate. */
void lguest_trap(struct lguest *m, uint32_t vector, const uint32_t *error, uint32_t address);
/** lguest_enter_gate - push a frame and go to the gate; false: the guest's stack is unusable, and it has been killed */
bool lguest_enter_gate(struct lguest *m, uint32_t vector, const uint32_t *error);
/** lguest_int - the guest executed INT n, INT3, INTO or ICEBP at @eip */
void lguest_int(struct lguest *m, uint32_t vector, uint32_t eip);
void lguest_protection_fault(struct lguest *m, uint32_t error);
void lguest_set_gate(struct lguest *m, uint32_t vector, uint32_t low, uint32_t high);

/* descriptor.c */
void lguest_gdt_reset(struct lguest *m);
void lguest_gdt_set(struct lguest *m, uint32_t slot, uint32_t low, uint32_t high);
bool lguest_descriptor(void *opaque, uint32_t selector, uint32_t *low, uint32_t *high);

/* privileged.c */
void lguest_privileged(struct lguest *m, const struct cpu_exit *exit);

/* cpuid.c */
void lguest_cpuid(void *opaque, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);

/* clock.c */
void lguest_clock_set(struct lguest *m, uint32_t nanoseconds);	/* 0 cancels */
/** lguest_clock_poll - raise irq 0 if it is due */
void lguest_clock_poll(struct lguest *m);
/** lguest_clock_arm - see to it that the guest is interrupted when something is due */
void lguest_clock_arm(struct lguest *m);
/** lguest_clock_retry - come back in @nanoseconds even if nothing happens */
void lguest_clock_retry(struct lguest *m, uint64_t nanoseconds);
void lguest_clock_tell(struct lguest *m);			/* lguest_data.time */
uint64_t lguest_now(void);

/** lguest_memory - host address of @len bytes of guest-physical memory; NULL if they are not all there */
static inline void *lguest_memory(const struct lguest *m, uint32_t address, uint32_t len)
{
	if (address > m->memory_bytes || len > m->memory_bytes - address)
		return NULL;
	return m->ram.base + address;
}

/** lguest_eip - of the guest, for messages: of the INT when a call is under way */
uint32_t lguest_eip(const struct lguest *m);

/* --- cold: bracket themselves ------------------------------------------------------------------------------------------ */

/* end.c */

/** lguest_kill - the guest broke the contract: it never runs again. A call under way is named behind the sentence. */
void lguest_kill(struct lguest *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
/** lguest_end - the guest ends in an orderly way, with a few last words at guest-physical @text */
void lguest_end(struct lguest *m, enum machine_end how, uint32_t text);

/* bus.c */
int lguest_bus_create(struct lguest *m, const struct machine_devices *devices, struct error *error);
void lguest_bus_restart(struct lguest *m);
void lguest_bus_destroy(struct lguest *m);
void lguest_notify_cold(struct lguest *m, uint32_t address);

/* inspect.c: cpu_config.inspect for --dump-code */
void lguest_inspect(void *opaque, const uint8_t *code, uint32_t len, uint32_t address, uint32_t eip);

/* tell.c: traces and counters */
void lguest_tell_call_cold(struct lguest *m);
void lguest_tell_interrupt_cold(struct lguest *m, uint32_t irq);
void lguest_tell_trap_cold(struct lguest *m, uint32_t vector, uint32_t error, uint32_t address);
void lguest_tell_privileged_cold(struct lguest *m, const struct insn *insn, uint32_t eip);
void lguest_print_stats(struct machine *machine);

#endif
