/* SPDX-License-Identifier: MIT */
/*
 * segments.c - code segments that are not flat: with a base, and of 16 bits; each way in, and what shows of them.
 *
 * Other code lies at the address that is the offset, so a processor that forgets the base is found out. Limits are not asked about:
 * QEMU has none for code.
 */
#include "kernel.h"

enum { BASE = 0x20000, BASE16 = 0x630000 };

/* In an LDT. */
enum { BASED = 0x04, BASED_USER = 0x0f, CODE16 = 0x14, CODE16_USER = 0x1f, SMALL_CODE = 0x24, EVEN16 = 0x2c, STACK16 = 0x34, LDT_ENTRIES = 7 };

extern uint8_t based_code[], based_code_end[], code16[], code16_end[];
extern uint8_t based_eip[], based_flow[], based_data[], based_rewrites[], based_ud[], based_int[], based_handler[], based_trap[],
	based_steps[], based_far[], small_plain[], small_flow[], small_data[], small_string[], small_stack[], small_sse[], small_far[],
	small_int[], small_ud[], small_handler[], small_steps[];

uint32_t far_call(uint32_t offset, uint32_t selector);
void far_jump(uint32_t offset, uint32_t selector) __attribute__((noreturn));
void far_iret(uint32_t offset, uint32_t selector) __attribute__((noreturn));
void far_return(uint32_t offset, uint32_t selector) __attribute__((noreturn));
void user_code(uint32_t offset, uint32_t selector) __attribute__((noreturn));
void double_fault_task(void);

static uint64_t ldt[LDT_ENTRIES] __attribute__((aligned(8)));

static uint32_t based(const uint8_t *label)
{
	return TEST_PAGE + (uint32_t)(label - based_code);
}

static uint32_t small(const uint8_t *label)
{
	return (uint32_t)(label - code16);
}

static void copy(uint32_t to, const uint8_t *from, const uint8_t *end)
{
	for (volatile uint8_t *p = (volatile uint8_t *)to; from < end;)
		*p++ = *from++;
}

/* What a processor would run that forgets the base: MOV EAX, 7 and a far RET, or the first three bytes of it. */
static void copy_decoys(void)
{
	static const uint8_t decoy[] = { 0xb8, 7, 0, 0, 0, 0xcb };

	for (uint32_t i = 0; i < 0x800; i++)
		*(volatile uint8_t *)(TEST_PAGE + i) = 0xcb;
	copy(TEST_PAGE, decoy, decoy + sizeof(decoy));
}

static void make_segments(void)
{
	ldt[BASED / 8] = segment(BASE, 0xfffff, 0x9a, 0xc);
	ldt[BASED_USER / 8] = segment(BASE, 0xfffff, 0xfa, 0xc);
	ldt[CODE16 / 8] = segment(BASE16, 0xffff, 0x9a, 0);
	ldt[CODE16_USER / 8] = segment(BASE16, 0xffff, 0xfa, 0);
	ldt[SMALL_CODE / 8] = segment(BASE + TEST_PAGE, 0xfff, 0x9a, 4);
	ldt[EVEN16 / 8] = segment(0, 0xfffff, 0x9a, 0x8);
	ldt[STACK16 / 8] = segment(0, 0xfffff, 0x92, 0x8);
	gdt[LDT / 8] = segment((uint32_t)ldt, sizeof(ldt) - 1, 0x82, 0);
	__asm__ volatile("lldt %w0" : : "r"(LDT));
}

static void call(const char *name, uint32_t selector, uint32_t offset)
{
	at = offset;
	if (!save())
		print("%s: %x\n", name, far_call(offset, selector));
	else
		report(name);
}

static void enter(const char *name, void (*way)(uint32_t, uint32_t), uint32_t selector, uint32_t offset)
{
	at = offset;
	if (!save())
		way(offset, selector);
	report(name);
}

static bool on_int(struct frame *f)
{
	if (f->vector != 0x46)
		return false;
	f->eax = f->eip;
	return true;
}

static volatile uint32_t steps, sum;

static bool on_step(struct frame *f)
{
	if (f->vector != 1)
		return false;
	steps++;
	if (f->cs != KERNEL_CS)
		sum = sum * 3 + (f->eip & 0xfff);
	return true;
}

static void step(const char *name, uint32_t selector, uint32_t offset)
{
	steps = sum = 0;
	on_trap = on_step;
	__asm__ volatile("pushl $0x102; popfl");
	far_call(offset, selector);
	__asm__ volatile("pushl $2; popfl");
	on_trap = 0;
	print("%s: sum %x\n", name, sum);
}

/* An interrupt gate whose code is in @selector. */
static void set_far_gate(unsigned vector, uint32_t selector, uint32_t offset)
{
	idt[vector] = (uint64_t)((offset & 0xffff0000) | 0xee00) << 32 | selector << 16 | (offset & 0xffff);
}

static void by_gate(const char *name, uint32_t selector, uint32_t offset)
{
	uint32_t eax;

	set_far_gate(0x47, selector, offset);
	__asm__ volatile("movl $0, %%eax; int $0x47; 1: subl $1b, %%eax" : "=a"(eax) : : "memory", "cc");
	print("%s: %x\n", name, eax);
	set_gate(0x47, 0x8e, KERNEL_CS);
}

/* A task whose code segment has a base. */
static void by_task(void)
{
	df_tss.cs = BASED;
	df_tss.eip = (uint32_t)double_fault_task - BASE;
	df_tss.ldt = tss.ldt = LDT;
	set_gate(6, 0x0e, KERNEL_CS);
	TRY("task with a base", "ud2");
	set_gate(6, 0x8e, KERNEL_CS);
	df_tss.cs = KERNEL_CS;
	df_tss.eip = (uint32_t)double_fault_task;
	df_tss.ldt = tss.ldt = 0;
	__asm__ volatile("clts");
}

static void test_based(void)
{
	static const uint8_t straddles[] = { 0xb8, 0x78, 0x56, 0x34, 0x12, 0xcb };	/* mov eax, 0x12345678; retf */

	print("-- code with a base\n");
	copy_decoys();
	copy(TEST_PAGE + BASE, based_code, based_code_end);
	call("eip", BASED, based(based_eip));
	call("flow", BASED, based(based_flow));
	call("data", BASED, based(based_data));
	call("rewrites itself", BASED, based(based_rewrites));
	call("ud", BASED, based(based_ud));
	call("far", BASED, based(based_far));
	on_trap = on_int;
	call("int", BASED, based(based_int));
	on_trap = 0;
	enter("jump", far_jump, BASED, based(based_trap));
	enter("iret", far_iret, BASED, based(based_trap));
	enter("ret", far_return, BASED, based(based_trap));
	enter("ring 3", user_code, BASED_USER, based(based_trap));
	by_gate("gate", BASED, based(based_handler));
	step("steps", BASED, based(based_steps));
	by_task();
	__asm__ volatile("lldt %w0" : : "r"(LDT));
	/* an instruction that runs into the next page: of the segment's, not of the offset's */
	copy(TEST_PAGE + BASE + 0xffd, straddles, straddles + sizeof(straddles));
	call("over the end of a page", BASED, TEST_PAGE + 0xffd);
	ldt[BASED / 8] = segment(BASE - 0x123, 0xfffff, 0x9a, 0xc);
	call("the same with an odd base", BASED, TEST_PAGE + 0xffd + 0x123);
	call("eip with an odd base", BASED, based(based_eip) + 0x123);
	call("a small one", SMALL_CODE, 0);
}

/* A stack that begins at 0 and has no end, but whose pointer is SP. */
static void test_stack16(void)
{
	uint32_t word, esp;

	*(volatile uint32_t *)0x800c = 0;
	__asm__ volatile("movl %%esp, %%ebx; movl %2, %%ss; movl $0x12348010, %%esp; pushl $0x77; call 1f; 1: popl %%ecx; movl %%esp, %1;"
			 "movl %3, %%ss; movl %%ebx, %%esp; movl 0x800c, %0"
			 : "=&r"(word), "=&r"(esp) : "r"(STACK16), "r"(KERNEL_DS) : "ebx", "ecx", "memory");
	print("flat stack of 16 bits: %x at %x\n", word, esp);
}

static void test_16(void)
{
	static const uint8_t data[] = { 0x11, 0x22, 0x33, 0x44 };

	print("-- 16-bit code\n");
	copy(BASE16, code16, code16_end);
	copy(0x8000, data, data + sizeof(data));
	call("plain", CODE16, small(small_plain));
	call("flow", CODE16, small(small_flow));
	call("data", CODE16, small(small_data));
	call("string", CODE16, small(small_string));
	call("stack", CODE16, small(small_stack));
	call("sse", CODE16, small(small_sse));
	call("far", CODE16, small(small_far));
	call("ud", CODE16, small(small_ud));
	on_trap = on_int;
	call("int", CODE16, small(small_int));
	on_trap = 0;
	by_gate("gate", CODE16, small(small_handler));
	step("steps", CODE16, small(small_steps));
	enter("jump", far_jump, CODE16, small(small_ud));
	enter("iret", far_iret, CODE16, small(small_ud));
	enter("ring 3", user_code, CODE16_USER, small(small_ud));
	call("flat, but 16 bits", EVEN16, BASE16 + small(small_plain));
	test_stack16();
	call("the same bytes as 32-bit code", BASED, TEST_PAGE + 0x10000 + 0x123 + small(small_plain));
}

void test_code_segments(void)
{
	make_segments();
	test_based();
	test_16();
	gdt[LDT / 8] = segment((uint32_t)gdt, sizeof(gdt) - 1, 0x82, 0);
	__asm__ volatile("lldt %w0" : : "r"(0));
}
