/* SPDX-License-Identifier: MIT */
/*
 * system.h - privileged state and what depends on it, for a guest that runs in ring 0.
 *
 * This much the emulator knows too, so there is only cpu.h in here.
 */
#ifndef KENNEL_CPU_X86_SYSTEM_SYSTEM_H
#define KENNEL_CPU_X86_SYSTEM_SYSTEM_H

#include "cpu/x86/cpu.h"

enum {
	CR0_PE = 1u << 0, CR0_MP = 1u << 1, CR0_EM = 1u << 2, CR0_TS = 1u << 3, CR0_ET = 1u << 4, CR0_NE = 1u << 5, CR0_WP = 1u << 16,
	CR0_AM = 1u << 18, CR0_NW = 1u << 29, CR0_CD = 1u << 30, CR0_PG = 1u << 31,
	CR4_TSD = 1u << 2, CR4_DE = 1u << 3, CR4_PSE = 1u << 4, CR4_PAE = 1u << 5, CR4_MCE = 1u << 6, CR4_PGE = 1u << 7,
	CR4_OSFXSR = 1u << 9, CR4_OSXMMEXCPT = 1u << 10,
	EFER_NX = 1u << 11,
	DR6_ONES = 0xffff0ff0u, DR6_STEP = 1u << 14, DR7_ONES = 1u << 10,
	TSS_LINK = 0, TSS_SS0 = 4 + 4, TSS_MIN_LIMIT = 0x67, TSS_IO_MAP = 0x66,
	/* What a segment looks like that SYSENTER and SYSEXIT make up: flat, 32 bits, accessed; the DPL is added. */
	ATTR_FLAT_CODE = 0xc09b00, ATTR_FLAT_DATA = 0xc09300,
};

/**
 * cpu_descriptor - fetch the descriptor of a selector, from the machine or from the tables in guest memory
 * Returns 0, DESCRIPTOR_OUTSIDE, or TRAP_PF with *@fault.
 */
enum { DESCRIPTOR_OUTSIDE = -1 };
int cpu_descriptor(struct cpu *cpu, uint32_t selector, uint32_t *low, uint32_t *high, struct cpu_fault *fault);

/** cpu_descriptor_used - a code or data descriptor with high dword @high is being loaded: note that in it. Returns 0, or TRAP_PF with *@fault. */
int cpu_descriptor_used(struct cpu *cpu, uint32_t selector, uint32_t high, struct cpu_fault *fault);

/** system_set_cr - MOV to a control register, and all that follows from it. false: #GP(0), nothing changed. */
bool system_set_cr(struct cpu *cpu, unsigned number, uint32_t value);
/** system_set_table - LGDT, LIDT */
void system_set_table(struct cpu *cpu, bool idt, uint32_t base, uint32_t limit);
/** system_set_ldt - LLDT, as checked; attr 0 for a null selector */
void system_set_ldt(struct cpu *cpu, const struct segment *ldt);
/** system_msr - RDMSR, WRMSR. false: #GP(0). */
bool system_msr(struct cpu *cpu, uint32_t index, bool write, uint64_t *value);
/** system_invlpg - the page of @address may be mapped otherwise now */
void system_invlpg(struct cpu *cpu, uint32_t address);
/** system_hold_interrupts - one more instruction comes before any interrupt */
void system_hold_interrupts(struct cpu *cpu);

/**
 * system_port_allowed - may CPL > IOPL touch the port? As the bitmap in the TSS says.
 * Returns 0, TRAP_GP or TRAP_PF, with *@fault.
 */
int system_port_allowed(struct cpu *cpu, uint32_t port, unsigned size, struct cpu_fault *fault);

/* task.c: how another task came to run. */
enum task_reason { TASK_JUMP, TASK_CALL, TASK_RETURN };

/**
 * task_switch - to the task whose TSS descriptor is @selector's
 * @error: pushed on its stack, if not NULL. Returns 0, or the vector of *@fault: raised in the old task if that is still in
 * force, in the new one if not.
 */
int task_switch(struct cpu *cpu, uint32_t selector, enum task_reason reason, const uint32_t *error, struct cpu_fault *fault);
/** task_return - IRET with NT set. */
int task_return(struct cpu *cpu, struct cpu_fault *fault);

#endif
