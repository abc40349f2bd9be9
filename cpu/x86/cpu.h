/* SPDX-License-Identifier: MIT */
/*
 * cpu.h - an i386 processor that runs on an x86-64 host without help from it.
 *
 * A machine makes one struct cpu, tells it where guest RAM and the page tables are, and calls cpu_run() in a loop. cpu_run()
 * runs guest code until something happens that only the machine can decide, and returns that as a struct cpu_exit. Missing
 * translations, missing pages, rewritten code and rare instructions are the processor's own business and never become exits.
 *
 * Everything but cpu_kick() belongs to the thread that called cpu_init(). That thread keeps the guest's x87/SSE registers in
 * the host's while cpu_run() is not inside a cpu_fpu_release()/cpu_fpu_acquire() pair: see fpu.h.
 */
#ifndef KENNEL_CPU_X86_CPU_H
#define KENNEL_CPU_X86_CPU_H

#include <stdbool.h>
#include <stdint.h>
#include <stddef.h>

/* Register numbers as the instruction set encodes them. */
enum { R_EAX, R_ECX, R_EDX, R_EBX, R_ESP, R_EBP, R_ESI, R_EDI };
enum { S_ES, S_CS, S_SS, S_DS, S_FS, S_GS, S_COUNT };

enum {
	FLAG_CF = 1u << 0,  FLAG_PF = 1u << 2,  FLAG_AF = 1u << 4,  FLAG_ZF = 1u << 6,
	FLAG_SF = 1u << 7,  FLAG_TF = 1u << 8,  FLAG_IF = 1u << 9,  FLAG_DF = 1u << 10,
	FLAG_OF = 1u << 11, FLAG_IOPL = 3u << 12, FLAG_NT = 1u << 14, FLAG_RF = 1u << 16,
	FLAG_VM = 1u << 17, FLAG_AC = 1u << 18, FLAG_ID = 1u << 21,
};

/* Exception vectors. */
enum {
	TRAP_DE = 0, TRAP_DB = 1, TRAP_BP = 3, TRAP_OF = 4, TRAP_BR = 5, TRAP_UD = 6, TRAP_NM = 7,
	TRAP_DF = 8, TRAP_TS = 10, TRAP_NP = 11, TRAP_SS = 12, TRAP_GP = 13, TRAP_PF = 14,
	TRAP_MF = 16, TRAP_AC = 17, TRAP_XM = 19,
};

/* Page-fault error code. */
enum { PF_PRESENT = 1, PF_WRITE = 2, PF_USER = 4, PF_RESERVED = 8, PF_FETCH = 16 };

/* The visible and the hidden part of a segment register. */
struct segment {
	uint32_t sel;	/* 16 bits used; 32 so that translated code can load it whole */
	uint32_t base;
	uint32_t limit;	/* last valid offset */
	uint32_t attr;	/* descriptor high dword, bits 8-15 and 20-23; 0 = null selector */
};

enum cpu_exit_kind {
	EXIT_NONE,
	EXIT_KICK,	/* cpu_kick() was called, or an interrupt became deliverable */
	EXIT_INT,	/* INT n (or INT3, INTO, ICEBP): .vector; EIP is after the instruction, .eip is at it */
	EXIT_FAULT,	/* an exception: .vector, .error, .address (for #PF); EIP is at the instruction (#DB: after it) */
	EXIT_PRIVILEGED,/* an instruction CPL does not allow: machine emulates .insn or turns it into #GP(0); EIP is at it */
	EXIT_HALT,	/* HLT at CPL 0; EIP is after it */
	EXIT_IO,	/* IN/OUT at a CPL that allows it: decoded in .insn; EIP is at it */
	EXIT_SHUTDOWN,	/* system only: a triple fault; .vector, .error, .address are the first fault's, .eip where it happened */
};

struct insn;

struct cpu_exit {
	enum cpu_exit_kind kind;
	uint32_t vector;
	uint32_t error;
	uint32_t address;
	uint32_t eip;		/* of the instruction that caused it */
	const struct insn *insn;/* EXIT_PRIVILEGED, EXIT_IO: valid until the next cpu_run() */
};

/* An exception: .address for #PF. */
struct cpu_fault { uint32_t vector, error, address; };

/* Guest-physical memory: one file of memory, mapped once, linear. The caller owns it. */
struct cpu_ram {
	int fd;
	uint8_t *base;		/* host address of guest-physical 0 */
	uint32_t pages;		/* 4096-byte frames, device pages above RAM included */
};

struct cpu;

/* What a processor asks of its machine. Called on the processor's thread. The first, second and fourth: not with cpu_config.system. */
struct cpu_ops {
	/* Fetch the descriptor of a selector (TI and index bits; RPL ignored). false = outside its table. */
	bool (*descriptor)(void *opaque, uint32_t selector, uint32_t *low, uint32_t *high);
	/* With cpu->irq_pending set: could an interrupt be delivered at this instruction boundary? */
	bool (*interruptible)(void *opaque);
	/* Filter CPUID: regs = eax, ebx, ecx, edx as the host gives them for this leaf and subleaf. */
	void (*cpuid)(void *opaque, uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);
	/* Guest broke its contract in a way no exception expresses (a page table outside memory, say). */
	void (*broken)(void *opaque, const char *what, uint32_t value);

	/* The rest is for cpu_config.system. None of them is called with the guest's x87 and SSE registers out of the way. */
	/* IN, OUT, INS, OUTS: one access of @size 1, 2 or 4 bytes. */
	void (*io)(void *opaque, uint32_t port, unsigned size, bool write, uint32_t *value);
	/* RDMSR, WRMSR of a register that the processor does not have itself. false = #GP(0). */
	bool (*msr)(void *opaque, uint32_t index, bool write, uint64_t *value);
	/* INTA: irq_pending is set and an interrupt may be delivered. The vector, or -1 if there is none after all (which clears irq_pending). */
	int (*interrupt)(void *opaque);
};

struct cpu_config {
	struct cpu_ram ram;
	const struct cpu_ops *ops;
	void *opaque;
	unsigned slots;		/* address spaces kept in windows, if the host has room for so many; 0 = default */
	size_t code_cache;	/* bytes of translated code; 0 = default */
	/*
	 * The guest runs in ring 0 with privileged state of its own (struct cpu_system). Exceptions and interrupts of all kinds go
	 * through the IDT and the TSS in guest memory, and cpu_run() returns only EXIT_KICK, EXIT_HALT and EXIT_SHUTDOWN. Without it the
	 * machine is asked about all of that.
	 */
	bool system;
	/*
	 * Called with every finished block of host code, before it first runs: @code holds @len bytes that will run at @address,
	 * translated from guest code at @eip. For tests; may be NULL. Must not use vector registers (or must save them).
	 */
	void (*inspect)(void *opaque, const uint8_t *code, uint32_t len, uint32_t address, uint32_t eip);
};

/**
 * cpu_create - make a processor; installs the thread's signal stack and the process's SIGSEGV/SIGBUS/SIGILL/SIGFPE/SIGTRAP handlers
 * @config: copied.
 * @error: on failure, a sentence that says what is missing on this host (static storage).
 * Returns the processor, in ring 0, flat segments all zero, linear mode over no memory; or NULL. One per thread.
 */
struct cpu *cpu_create(const struct cpu_config *config, const char **error);
void cpu_destroy(struct cpu *cpu);

/** cpu_window_way - how translated code will reach guest memory on this host: a name and a sentence; NULL, with why not in *@sentence. */
const char *cpu_window_way(const char **sentence);

/** cpu_host_line - what was learnt of this host and decided for it, in one line. May be called before there is a processor; uses libc. */
void cpu_host_line(char *line, size_t size);

/** cpu_makes_do - what this host has less of than a processor wants, in one sentence; NULL: nothing. */
const char *cpu_makes_do(const struct cpu *cpu);

/** cpu_run - run guest code until the machine is needed. The exit is owned by the cpu. */
const struct cpu_exit *cpu_run(struct cpu *cpu);

/** cpu_kick - make cpu_run() return EXIT_KICK soon. From any thread or signal handler. */
void cpu_kick(struct cpu *cpu);

/*
 * State. Registers are valid between calls of cpu_run().
 */
uint32_t *cpu_gpr(struct cpu *cpu);		/* eight, in encoding order; may be written */
uint32_t cpu_eip(const struct cpu *cpu);
void cpu_set_eip(struct cpu *cpu, uint32_t eip);
uint32_t cpu_eflags(const struct cpu *cpu);	/* architectural image; IF, IOPL, VM as kept by the machine through cpu_set_eflags */
void cpu_set_eflags(struct cpu *cpu, uint32_t eflags);
unsigned cpu_cpl(const struct cpu *cpu);
const struct segment *cpu_segment(const struct cpu *cpu, unsigned s);
/** cpu_set_segment - set visible and hidden part without any check. CS.RPL (or SS.DPL for @s == S_CS) becomes CPL: the low two bits of sel. */
void cpu_set_segment(struct cpu *cpu, unsigned s, const struct segment *seg);
/** cpu_load_segment - load as MOV to a segment register would. Returns 0, or the vector that it raises with *fault filled. */
int cpu_load_segment(struct cpu *cpu, unsigned s, uint32_t selector, struct cpu_fault *fault);
/** cpu_descriptor_changed - ops->descriptor() gives something else for @selector (RPL ignored) from now on. Registers that hold it keep
 * their hidden part until they are loaded again, as on hardware. */
void cpu_descriptor_changed(struct cpu *cpu, uint32_t selector);
void cpu_set_ts(struct cpu *cpu, bool ts);	/* CR0.TS: FPU instructions raise #NM */
/**
 * cpu_set_irq_pending - an interrupt waits that could not be delivered: come back (EXIT_KICK) soon after ops->interruptible() turns true
 * With cpu_config.system: the level of the interrupt controller's output. ops->interrupt() is called when IF allows it.
 */
void cpu_set_irq_pending(struct cpu *cpu, bool pending);

/* Privileged state, with cpu_config.system. */
struct cpu_system {
	uint32_t cr0, cr2, cr3, cr4;
	uint32_t dr[8];			/* kept, but there are no breakpoints: only DR6.BS is ever set */
	uint64_t efer;
	struct { uint32_t base, limit; } gdt, idt;
	struct segment ldt, tr;
	uint32_t sysenter_cs, sysenter_esp, sysenter_eip;
};

/** cpu_system - readable any time, NULL without cpu_config.system. A machine writes it before the first cpu_run() and calls cpu_system_changed(). */
struct cpu_system *cpu_system(struct cpu *cpu);
void cpu_system_changed(struct cpu *cpu);

/*
 * Address spaces.
 */
/** cpu_set_linear - no paging: linear = physical, supervisor, below @limit bytes. */
void cpu_set_linear(struct cpu *cpu, uint32_t limit);
/** cpu_set_pgd - two-level paging from the page directory at guest-physical @pgd; a new or stale space is compared, not rebuilt. */
void cpu_set_pgd(struct cpu *cpu, uint32_t pgd);
/*
 * Paging as control registers describe it. @root: CR3. Addresses without memory behind them read as ones and swallow what is written.
 */
enum cpu_paging_mode { PAGING_OFF, PAGING_32, PAGING_PAE };
struct cpu_paging {
	enum cpu_paging_mode mode;
	uint32_t root;
	bool wp, pse, pge, nx;	/* CR0.WP, CR4.PSE, CR4.PGE, EFER.NXE */
};
/**
 * cpu_set_paging - after MOV to CR0, CR3 or CR4, WRMSR to EFER, and task switches: the address space in force, and as a TLB would, all
 * that is not global is looked up in the tables again (everything, if anything but @root has changed)
 * Returns false, with nothing changed, when a PDPTE has reserved bits set: #GP(0). A CPUID that offers PAE must say 36 physical address bits.
 */
bool cpu_set_paging(struct cpu *cpu, const struct cpu_paging *paging);
/** cpu_set_kernel_base - most of what lies from here up is the same in every address space (in lguest mode: all). A hint otherwise. */
void cpu_set_kernel_base(struct cpu *cpu, uint32_t base);
/** cpu_flush_page - the entry of @address in the tables at @pgd may have changed (TLB contract: memory is authoritative). */
void cpu_flush_page(struct cpu *cpu, uint32_t pgd, uint32_t address);
void cpu_flush_pgd_slot(struct cpu *cpu, uint32_t pgd, uint32_t index);
void cpu_flush_user(struct cpu *cpu);		/* current space, below the kernel base */
void cpu_flush_all(struct cpu *cpu);

/*
 * Guest memory by linear address, as code at the given privilege would touch it (A and D bits set, translated code dropped on
 * writes). Returns 0, or TRAP_PF with *error and *address set; nothing is written unless all of it can be.
 */
int cpu_read(struct cpu *cpu, uint32_t address, void *buf, uint32_t len, bool user, struct cpu_fault *fault);
int cpu_write(struct cpu *cpu, uint32_t address, const void *buf, uint32_t len, bool user, struct cpu_fault *fault);
/** cpu_dirty - guest-physical memory was or is about to be written from outside (a device, a loader): drop code translated from it. */
void cpu_dirty(struct cpu *cpu, uint32_t physical, uint32_t len);

/** cpu_warm - guest-physical memory is about to be used at its host address: where the host maps pieces quicker than pages, it does. From any thread. */
void cpu_warm(struct cpu *cpu, uint32_t physical, uint32_t len);

/**
 * cpu_trim - between two runs of a guest that has little to do: give the memory of translated code back, if there is much of it. What
 * is needed again is translated again.
 */
void cpu_trim(struct cpu *cpu);

/** cpu_push_frame - switch to @cs:@eip as an interrupt would: if CPL > cs.RPL, to @ss:@esp with the old SS and ESP pushed; then
 * @eflags, CS, EIP and, if @error is not NULL, *@error. TF, NT, RF, VM are cleared. Returns 0, or TRAP_PF with *fault and nothing changed. */
int cpu_push_frame(struct cpu *cpu, uint32_t cs, uint32_t eip, uint32_t ss, uint32_t esp, uint32_t eflags,
		   const uint32_t *error, struct cpu_fault *fault);

/** cpu_fpu_release / cpu_fpu_acquire - bracket C code that may use x87 or SSE registers (any libc or library call may). */
void cpu_fpu_release(struct cpu *cpu);
void cpu_fpu_acquire(struct cpu *cpu);

/** cpu_ops - what cpu_create() was given. */
const struct cpu_ops *cpu_ops(struct cpu *cpu, void **opaque);

/* Counters for --trace stats, tests and benchmarks. */
struct cpu_stats {
	uint64_t blocks, block_bytes, host_bytes, flushes, host_faults, guest_faults, maps, unmaps, slot_reuse,
		 exits, misses, emulated, smc, kicks, repairs, warmed;
};
const struct cpu_stats *cpu_stats(const struct cpu *cpu);

#endif
