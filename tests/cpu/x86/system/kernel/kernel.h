/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - a kernel that asks a processor what ring 0 is like, and prints the answers.
 *
 * It runs under QEMU and under our processor from the same file; what they print must be the same. So it prints nothing that
 * may differ between right processors: no counters, no CPUID, no flags that the manual leaves undefined, and not RF.
 */
#ifndef KENNEL_TESTS_CPU_X86_SYSTEM_KERNEL_KERNEL_H
#define KENNEL_TESTS_CPU_X86_SYSTEM_KERNEL_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

/* What the stubs push. ESP and SS are there only when the trap came from another ring. */
struct frame {
	uint32_t gs, fs, es, ds, edi, esi, ebp, ignored, ebx, edx, ecx, eax, vector, error, eip, cs, eflags, esp, ss;
};

enum {
	KERNEL_CS = 0x08, KERNEL_DS = 0x10, USER_CS_SYSEXIT = 0x18, USER_CS = 0x20, USER_DS = 0x28, TSS = 0x30, DF_TSS = 0x38, TLS = 0x40,
	ABSENT_DATA = 0x48, ABSENT_CODE = 0x50, EXECUTE_ONLY = 0x58, READ_ONLY = 0x60, LDT = 0x68, CONFORMING = 0x70, SMALL = 0x78,
	FRESH = 0x80 /* not accessed yet */, GDT_ENTRIES = 0x90 / 8,
};

enum { TEST_PAGE = 0x600000 };

struct tss {
	uint32_t link, esp0, ss0, esp1, ss1, esp2, ss2, cr3, eip, eflags, eax, ecx, edx, ebx, esp, ebp, esi, edi, es, cs, ss, ds, fs, gs, ldt;
	uint16_t trap, io_map;
	uint8_t io[1024 + 1];
} __attribute__((packed));

extern uint64_t gdt[GDT_ENTRIES], idt[256];
extern struct tss tss, df_tss;
extern uint32_t page_directory[1024], page_table[2][1024];
extern struct frame last;		/* the last trap nobody expected otherwise */
extern uint32_t at;			/* where the instruction under test stands */
extern bool (*on_trap)(struct frame *f);/* returns true if the trap is dealt with */

int save(void) __attribute__((returns_twice));
void throw(void) __attribute__((noreturn));
void to_user(uint32_t eip, uint32_t eflags) __attribute__((noreturn));

void print(const char *format, ...);	/* %x %d %s %c */
void report(const char *name);
uint64_t segment(uint32_t base, uint32_t limit, uint32_t access, uint32_t flags);
void set_gate(unsigned vector, uint32_t type_dpl, uint32_t selector);
void irq_prepare(void);			/* an interrupt is pending when this returns; IF must be clear */

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "d"(port));
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "d"(port));
	return value;
}

/* Run an instruction, and say what came of it. */
#define TRY(name, code, ...) \
	do { \
		if (!save()) { \
			__asm__ volatile("movl $90f, at\n90:\t" code : : __VA_ARGS__ : "eax", "ecx", "edx", "memory", "cc"); \
			print("%s: no fault\n", name); \
		} else { \
			report(name); \
		} \
	} while (0)

/* The same in ring 3 with EFLAGS @eflags; it ends with INT 80h. */
#define USER(name, eflags, code) \
	do { \
		uint32_t eip_; \
		if (!save()) { \
			__asm__ volatile("jmp 91f\n90:\t" code "\n\tint $0x80\n91:\tmovl $90b, %0\n\tmovl $90b, at" : "=r"(eip_) : : "memory"); \
			to_user(eip_, eflags); \
		} else { \
			report(name); \
		} \
	} while (0)

void test_exceptions(void);
void test_segments(void);
void test_flags(void);
void test_interrupts(void);
void test_user(void);
void test_paging(void);
void test_gates(void);
void test_code_segments(void);
void test_tasks(void);
void test_system(void);

#endif
