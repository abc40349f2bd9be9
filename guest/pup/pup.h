/* SPDX-License-Identifier: MIT */
/*
 * pup.h - a guest kernel for lguest hosts, as small as one can be that still asks the host for everything it offers.
 *
 * Reading order, which is also the order of what follows:
 *	hypercall.h	the calls and the shared structure
 *	start.S		from the entry point to C; the ways in and out
 *	main.c		who is started when
 *	memory.c	frames, the kernel's page tables
 *	segment.c	the GDT, thread-local storage
 *	trap.c		gates, exceptions, interrupts
 *	clock.c		time and the one-shot timer
 *	task.c, space.c	user programs: address spaces, switching, the FPU
 *	syscall.c	what they may ask
 *	device.c, console.c, disk.c, net.c, rng.c	through libvirtio
 *	shell.c, selftest.c, crash.c	what one can do with it
 *	print.c, string.c	small change
 */
#ifndef PUP_H
#define PUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "hypercall.h"

#define PAGE_SIZE      4096u
#define PAGE_OFFSET    0xc0000000u	/* where physical memory is seen by the kernel */
#define LINEAR_LIMIT   0x20000000u	/* how much of it: 512 MiB */
#define MAPPING_START  0xf0000000u	/* device memory and test pages are mapped from here */
#define MAPPING_TABLES 4u		/* 16 MiB of that */

#define SYSCALL_VECTOR 0x80
#define IRQ_VECTOR     0x20
#define IRQ_COUNT      32

/* Selectors: lguest gives ring 1 slots 12 and 13 at the start; the others are ours to fill, with the numbers Linux uses. */
#define KERNEL_CS 0x61
#define KERNEL_DS 0x69
#define USER_CS   0x73
#define USER_DS   0x7b
#define PERCPU_FS 0xd8
#define TLS_SLOT  6

#define PHYSICAL(pointer) ((uint32_t)(pointer) - PAGE_OFFSET)
#define VIRTUAL(physical) ((void *)((uint32_t)(physical) + PAGE_OFFSET))
#define ARRAY_SIZE(a)     (sizeof(a) / sizeof((a)[0]))
#define barrier()         __asm__ volatile("" ::: "memory")

/* For functions that start.S calls or that call into it: arguments in EAX, EDX, ECX. */
#define asm_call __attribute__((regparm(3)))

/* start.S: EAX, ECX, EDX, EBX, ESP, EBP, ESI, EDI, CS, SS, DS, ES, FS, GS, EFLAGS as the host handed them over. */
extern const uint32_t entry_state[15];

/* main.c */

/* What the host says about this machine, from the boot parameters at physical 0. */
struct machine {
	uint32_t memory_end;		/* physical; the device page lies right there */
	uint32_t initrd, initrd_size;	/* physical, bytes; 0 = none */
	char command_line[2048];
};

extern struct machine machine;

/** machine_option - the value of NAME=value on the command line, without its quotes; false if absent */
bool machine_option(const char *name, char *value, size_t size);

/** shutdown - end this guest: SHUTDOWN_POWEROFF or SHUTDOWN_RESTART. The host takes any text but "Power down" for last words. */
__attribute__((noreturn)) void shutdown(const char *text, uint32_t how);

/** panic - end this guest with last words */
__attribute__((noreturn, format(printf, 1, 2))) void panic(const char *format, ...);

/* memory.c */

enum { PTE_PRESENT = 1, PTE_WRITE = 2, PTE_USER = 4, PTE_ACCESSED = 0x20, PTE_DIRTY = 0x40 };

#define PTE_KERNEL (PTE_PRESENT | PTE_WRITE | PTE_ACCESSED | PTE_DIRTY)
#define PTE_FRAME  0xfffff000u

extern uint32_t boot_directory[1024];	/* the kernel's own page directory */

void memory_init(void);
void *page_alloc(void);		/* a zeroed page with one reference; panics when there is none */
void page_get(void *page);
void page_put(void *page);		/* the last reference frees it */
unsigned int page_references(void *page);
uint32_t memory_free_pages(void);

/** mapping_entry - the page-table entry of an address in the mapping area or the linear area */
volatile uint32_t *mapping_entry(uint32_t address);

/** memory_map - show physical memory at a new kernel address, in the mapping area; forever */
void *memory_map(uint32_t physical, uint32_t size);

/** set_kernel_pte - store an entry and tell the host */
void set_kernel_pte(uint32_t address, uint32_t entry);

/* segment.c */

void segment_init(void);
void segment_load_tls(const uint64_t tls[3]);	/* lazily */
/** segment_descriptor - pack a descriptor: @access is bits 8-15, @flags bits 20-23 of the high word */
uint64_t segment_descriptor(uint32_t base, uint32_t limit, uint8_t access, uint8_t flags);

/* trap.c */

/* What start.S and the host leave on the stack. ESP and SS exist only if CS is of ring 3. */
struct frame {
	uint32_t gs, fs, es, ds;
	uint32_t edi, esi, ebp, unused_esp, ebx, edx, ecx, eax;
	uint32_t vector, error;
	uint32_t eip, cs, eflags, esp, ss;
};

/* What a function that may trap did: see probe(). The first word is start.S's. */
struct probe {
	uint32_t esp;
	uint32_t vector, error, cr2, eip, eflags;
};

enum { PROBE_NONE = 0xffffffff };	/* the vector when nothing happened */

void trap_init(void);
asm_call void trap(struct frame *frame);

/** probe - call function(argument); if it traps, abandon it there. Returns the vector or PROBE_NONE; details in *probe. */
uint32_t probe(struct probe *probe, asm_call void (*function)(void *), void *argument);

/** irq_request - have handler(argument) called with interrupts off for each interrupt @irq */
void irq_request(unsigned int irq, void (*handler)(void *), void *argument);
extern volatile uint32_t irq_counts[IRQ_COUNT];

#define IRQ_ON 0x200u

static inline uint32_t irq_save(void)
{
	uint32_t flags = lguest_data.irq_enabled;

	lguest_data.irq_enabled = 0;
	barrier();
	return flags;
}

static inline void irq_restore(uint32_t flags)
{
	barrier();
	lguest_data.irq_enabled = flags;
	barrier();
	/* Nobody looks at that word until we are interrupted or call: say so if something waits. */
	if (flags & lguest_data.irq_pending & IRQ_ON)
		hypercall(LHCALL_SEND_INTERRUPTS, 0, 0, 0, 0);
}

static inline void irq_enable(void)
{
	irq_restore(IRQ_ON);
}

/* clock.c */

void clock_init(void);
uint64_t clock_now(void);		/* nanoseconds since boot, monotonic */
uint32_t clock_wall(void);		/* seconds since 1970 */
/** clock_arm - interrupt at @deadline (of clock_now) at the latest; replaces the later of two */
void clock_arm(uint64_t deadline);
void clock_cancel(void);
/** wait_until - idle until done(argument), at most @timeout ns; false = timed out */
bool wait_until(bool (*done)(void *), void *argument, uint64_t timeout);
uint64_t divide(uint64_t dividend, uint32_t divisor);

/* task.c */

#define TASK_COUNT    16
#define TASK_REGIONS  16
#define STACK_PAGES   1
#define SLICE         10000000ull	/* ns a task may run while others wait */

enum task_state { TASK_NONE, TASK_READY, TASK_SLEEPING, TASK_WAITING, TASK_DEAD };

/* A piece of user address space whose pages appear when touched. */
struct region {
	uint32_t start, end;
	bool writable;
};

struct task {
	uint32_t kernel_esp;		/* where switch_stacks() left it */
	enum task_state state;
	uint32_t id;
	struct task *parent;
	uint32_t *directory;
	uint8_t *stack;			/* kernel stack, STACK_PAGES; NULL: the shell, on the boot stack */
	uint64_t tls[3];
	uint64_t wake;			/* TASK_SLEEPING: clock_now() */
	uint32_t exit_code;		/* 0-255, or 256 + vector of the fatal trap */
	bool fpu_used;
	struct region regions[TASK_REGIONS];
	uint8_t fpu[512] __attribute__((aligned(16)));	/* FXSAVE area */
};

extern struct task tasks[TASK_COUNT];

/* The running task, found through FS, whose base is not zero: as Linux does with its per-cpu data. */
struct percpu {
	struct task *current;
	uint32_t check;
};

static inline struct task *task_current(void)
{
	struct task *task;

	__asm__ volatile("movl %%fs:0, %0" : "=r"(task));
	return task;
}

void task_init(void);
struct task *task_spawn(uint32_t argument);	/* the user program, from its start */
struct task *task_fork(const struct frame *frame);
__attribute__((noreturn)) void task_exit(uint32_t code);
uint32_t task_wait(struct task *parent, uint32_t *code);	/* id of a dead child, reaped; 0 = has none */
void task_exec(struct frame *frame, uint32_t argument);
void task_yield(void);
void task_sleep(uint64_t ns);
void task_tick(void);			/* the timer came: wake who slept long enough */
bool task_should_yield(void);		/* the time slice is over and somebody else could run */
void task_use_fpu(void);		/* #NM */

/* space.c: user halves of address spaces */

#define USER_IMAGE       0x08048000u
#define USER_IMAGE_LIMIT 0x00100000u
#define USER_ARENA       0x40000000u	/* mmap() hands out addresses from here */
#define USER_STACK_TOP   0xbffff000u
#define USER_STACK       (64 * PAGE_SIZE)

uint32_t *space_create(void);
void space_destroy(uint32_t *directory);
void space_unmap(uint32_t *directory, uint32_t start, uint32_t end);
/** space_share - give @to the pages of @from, both read-only from now on; the first to write gets a copy */
void space_share(uint32_t *to, uint32_t *from);
/** space_fault - a page of the current task is missing or shared: provide it; false if it has no right to it */
bool space_fault(uint32_t address, bool write);
volatile uint32_t *space_entry(uint32_t *directory, uint32_t address, bool make);

/* syscall.c */

void syscall(struct frame *frame);

/* device.c */

void device_init(void);

/* console.c */

void console_write(const char *text, size_t length);	/* early: NOTIFY strings; later: virtio */
void console_init(void);
int console_read(void);			/* the next character typed; waits for it. -1: there is no console to type at */

/* disk.c, net.c, rng.c, each a shell command */

int disk_command(int argc, char **argv);
int ping_command(int argc, char **argv);
int rng_command(int argc, char **argv);

/* shell.c */

__attribute__((noreturn)) void shell(void);
int shell_user(uint32_t argument);	/* run the user program; its exit code */

/* selftest.c, crash.c */

extern unsigned int failures;
void report(bool ok, const char *name);	/* prints ok NAME or FAIL NAME */
int test_command(int argc, char **argv);
int crash_command(int argc, char **argv);

/* print.c, string.c */

__attribute__((format(printf, 1, 2))) void print(const char *format, ...);
int format_text(char *out, size_t size, const char *format, __builtin_va_list arguments);
uint32_t parse_number(const char *text);

#endif
