/* SPDX-License-Identifier: MIT */
/*
 * main.c - tables, traps, printing; runs the tests in order.
 */
#include <stdarg.h>

#include "kernel.h"

uint64_t gdt[GDT_ENTRIES] __attribute__((aligned(8)));
uint64_t idt[256] __attribute__((aligned(8)));
struct tss tss, df_tss;
uint32_t page_directory[1024] __attribute__((aligned(4096)));
uint32_t page_table[2][1024] __attribute__((aligned(4096)));
struct frame last;
uint32_t at;
bool (*on_trap)(struct frame *f);

extern uint8_t stubs[], trap_stack_top[], df_stack_top[];
void double_fault_task(void);
void trap(struct frame *f);
void main(void);

static void put(char c)
{
	out8(0xe9, (uint8_t)c);
}

static void print_hex(uint32_t value)
{
	bool begun = false;

	for (int shift = 28; shift >= 0; shift -= 4) {
		unsigned digit = value >> shift & 15;

		begun = begun || digit || !shift;
		if (begun)
			put("0123456789abcdef"[digit]);
	}
}

void print(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	for (; *format; format++) {
		if (*format != '%') {
			put(*format);
		} else if (*++format == 'x') {
			print_hex(va_arg(args, uint32_t));
		} else {
			for (const char *s = va_arg(args, const char *); *s; s++)
				put(*s);
		}
	}
	va_end(args);
}

/*
 * Vector, error code, how far EIP is from the instruction, and of the flags those that a program sets. Not the EXT bit of error
 * codes: the manual sets it for what goes wrong on the way to an exception's handler, QEMU does not.
 */
void report(const char *name)
{
	bool elsewhere = last.eip >> 20 == TEST_PAGE >> 20;

	print("%s: %x(%x) eip%s%x cs %x eflags %x", name, last.vector, last.vector == 14 ? last.error : last.error & ~1u, elsewhere ? " " : "+",
	      elsewhere ? last.eip : last.eip - at, last.cs, last.eflags & 0x247700);
	if (last.vector == 14) {
		uint32_t cr2;

		__asm__ volatile("mov %%cr2, %0" : "=r"(cr2));
		print(" cr2 %x", cr2);
	}
	if (last.cs & 3)
		print(" ss %x eax %x edx %x", last.ss, last.eax, last.edx);
	print("\n");
}

void trap(struct frame *f)
{
	if (on_trap && on_trap(f))
		return;
	last = *f;
	if (!(f->cs & 3))
		last.esp = last.ss = 0;
	throw();
}

uint64_t segment(uint32_t base, uint32_t limit, uint32_t access, uint32_t flags)
{
	uint32_t low = base << 16 | (limit & 0xffff);
	uint32_t high = (base & 0xff000000) | flags << 20 | (limit & 0xf0000) | access << 8 | (base >> 16 & 0xff);

	return (uint64_t)high << 32 | low;
}

void set_gate(unsigned vector, uint32_t type_dpl, uint32_t selector)
{
	uint32_t offset = (uint32_t)stubs + vector * 16;

	idt[vector] = (uint64_t)((offset & 0xffff0000) | type_dpl << 8) << 32 | selector << 16 | (offset & 0xffff);
}

static void make_tables(void)
{
	gdt[KERNEL_CS / 8] = segment(0, 0xfffff, 0x9b, 0xc);
	gdt[KERNEL_DS / 8] = segment(0, 0xfffff, 0x93, 0xc);
	gdt[USER_CS_SYSEXIT / 8] = segment(0, 0xfffff, 0xfb, 0xc);
	gdt[USER_CS / 8] = segment(0, 0xfffff, 0xfb, 0xc);
	gdt[USER_DS / 8] = segment(0, 0xfffff, 0xf3, 0xc);
	gdt[TSS / 8] = segment((uint32_t)&tss, sizeof(tss) - 1, 0x89, 0);
	gdt[DF_TSS / 8] = segment((uint32_t)&df_tss, 0x67, 0x89, 0);
	gdt[ABSENT_DATA / 8] = segment(0, 0xfffff, 0x13, 0xc);
	gdt[ABSENT_CODE / 8] = segment(0, 0xfffff, 0x1b, 0xc);
	gdt[EXECUTE_ONLY / 8] = segment(0, 0xfffff, 0x99, 0xc);
	gdt[READ_ONLY / 8] = segment(0, 0xfffff, 0xf1, 0xc);
	gdt[LDT / 8] = segment((uint32_t)gdt, sizeof(gdt) - 1, 0x82, 0);
	gdt[CONFORMING / 8] = segment(0, 0xfffff, 0x9f, 0xc);
	gdt[SMALL / 8] = segment((uint32_t)&last, 0xfff, 0x93, 4);
	gdt[FRESH / 8] = segment(0, 0xfffff, 0x92, 0xc);
	for (unsigned i = 0; i < 256; i++)
		set_gate(i, 0x8e, KERNEL_CS);
	set_gate(3, 0xee, KERNEL_CS);
	set_gate(0x80, 0xef, KERNEL_CS);
	set_gate(0x40, 0x0e, KERNEL_CS);		/* not present */
	idt[8] = (uint64_t)0x8500 << 32 | DF_TSS << 16;
	tss.esp0 = (uint32_t)trap_stack_top;
	tss.ss0 = KERNEL_DS;
	tss.cr3 = (uint32_t)page_directory;
	tss.io_map = (uint16_t)((uint32_t)tss.io - (uint32_t)&tss);
	for (unsigned i = 0; i < sizeof(tss.io); i++)
		tss.io[i] = 0xff;
	df_tss.esp = (uint32_t)df_stack_top;
	df_tss.eip = (uint32_t)double_fault_task;
	df_tss.eflags = 2;
	df_tss.cs = KERNEL_CS;
	df_tss.ss = df_tss.ds = df_tss.es = KERNEL_DS;
	df_tss.cr3 = (uint32_t)page_directory;
}

/* The first 8 MiB where they are, for everybody. */
static void make_pages(void)
{
	for (unsigned i = 0; i < 2048; i++)
		page_table[i / 1024][i % 1024] = i << 12 | 7;
	page_directory[0] = (uint32_t)page_table[0] | 7;
	page_directory[1] = (uint32_t)page_table[1] | 7;
}

struct pointer {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed));

static void load_tables(void)
{
	struct pointer g = { sizeof(gdt) - 1, (uint32_t)gdt }, i = { sizeof(idt) - 1, (uint32_t)idt };

	__asm__ volatile("lgdt %0; lidt %1; ljmp %2, $1f; 1: mov %3, %%ds; mov %3, %%es; mov %3, %%ss; mov %4, %%fs; mov %4, %%gs; ltr %w5"
			 : : "m"(g), "m"(i), "i"(KERNEL_CS), "r"(KERNEL_DS), "r"(0), "r"(TSS) : "memory");
	__asm__ volatile("mov %0, %%cr3" : : "r"(page_directory) : "memory");
	__asm__ volatile("mov %%cr0, %%eax; or $0x80010022, %%eax; mov %%eax, %%cr0" : : : "eax", "memory");
	__asm__ volatile("mov %%cr4, %%eax; or $0x600, %%eax; mov %%eax, %%cr4" : : : "eax");
}

void irq_prepare(void)
{
	out8(0x43, 0x30);	/* channel 0, both bytes, mode 0 */
	out8(0x40, 1);
	out8(0x40, 0);
	do
		out8(0x20, 0x0a);
	while (!(in8(0x20) & 1));
}

static void make_interrupts(void)
{
	static const uint8_t init[][2] = { { 0x20, 0x11 }, { 0x21, 0x20 }, { 0x21, 4 }, { 0x21, 1 }, { 0xa0, 0x11 }, { 0xa1, 0x28 },
					   { 0xa1, 2 }, { 0xa1, 1 }, { 0xa1, 0xff }, { 0x21, 0xfe } };

	for (unsigned i = 0; i < sizeof(init) / sizeof(init[0]); i++)
		out8(init[i][0], init[i][1]);
}

/* With an IDT of no length even INT 3 is a triple fault. */
static void triple_fault(void)
{
	static const struct pointer none;

	print("triple fault\n");
	__asm__ volatile("lidt %0; int3" : : "m"(none));
}

void main(void)
{
	make_tables();
	make_pages();
	load_tables();
	make_interrupts();
	test_exceptions();
	test_segments();
	test_flags();
	test_interrupts();
	test_user();
	test_paging();
	test_gates();
	test_code_segments();
	test_system();
	test_tasks();
	triple_fault();
}
