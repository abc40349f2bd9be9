/* SPDX-License-Identifier: MIT */
/*
 * tests.c - what is asked.
 */
#include "kernel.h"

extern uint32_t sysenter_flags, sysenter_cs, sysenter_ss;
void from_sysenter(void);
void double_fault(void);

void test_exceptions(void)
{
	static const int32_t bounds[2] = { 1, 2 };

	print("-- exceptions\n");
	TRY("ud2", "ud2");
	TRY("int3", "int3");
	TRY("int 3", "int $3");
	TRY("into", "movb $0x7f, %%al; addb $1, %%al; into", );
	TRY("into not taken", "xorl %%eax, %%eax; into", );
	TRY("bound", "movl $3, %%eax; bound %%eax, %0", "m"(bounds));
	TRY("divide", "xorl %%ecx, %%ecx; divl %%ecx", );
	TRY("int 80", "int $0x80");
	TRY("int, gate absent", "int $0x40");
	TRY("rsm", "rsm");
	TRY("mov cs", ".byte 0x8e, 0xc8");
	TRY("lock nop", ".byte 0xf0, 0x90");
	TRY("mov cr1", ".byte 0x0f, 0x20, 0xc8");
}

void test_segments(void)
{
	uint32_t value, tr, low;

	print("-- segments\n");
	__asm__ volatile("lldt %w0" : : "r"(0));
	TRY("ds outside", "movl $0x1230, %%eax; movl %%eax, %%ds", );
	TRY("ds absent", "movl %0, %%eax; movl %%eax, %%ds", "i"(ABSENT_DATA));
	TRY("ds execute-only", "movl %0, %%eax; movl %%eax, %%ds", "i"(EXECUTE_ONLY));
	TRY("ds system", "movl %0, %%eax; movl %%eax, %%ds", "i"(LDT));
	TRY("ds null", "xorl %%eax, %%eax; movl %%eax, %%ds; movl $0x10, %%eax; movl %%eax, %%ds", );
	TRY("ss null", "xorl %%eax, %%eax; movl %%eax, %%ss", );
	TRY("ss rpl 3", "movl $0x13, %%eax; movl %%eax, %%ss", );
	TRY("ss absent", "movl %0, %%eax; movl %%eax, %%ss", "i"(ABSENT_DATA));
	TRY("ss user", "movl %0, %%eax; movl %%eax, %%ss", "i"(USER_DS));
	TRY("ss code", "movl %0, %%eax; movl %%eax, %%ss", "i"(KERNEL_CS));
	TRY("pop es absent", "pushl %0; popl %%es", "i"(ABSENT_DATA));
	TRY("jump null", "ljmp $0, $0");
	TRY("jump outside", "ljmp $0x1234, $0");
	TRY("jump data", "ljmp $0x10, $0");
	TRY("jump absent", "ljmp %0, $0", "i"(ABSENT_CODE));
	TRY("jump user code", "ljmp %0, $0", "i"(USER_CS));
	TRY("call absent", "lcall %0, $0", "i"(ABSENT_CODE));
	TRY("call conforming", "pushl %%cs; lcall %0, $2f; jmp 3f; 2: movl %%cs, %%eax; lret; 3: addl $4, %%esp", "i"(CONFORMING));
	TRY("ltr busy", "movl %0, %%eax; ltr %%ax", "i"(TSS));
	TRY("ltr data", "movl $0x10, %%eax; ltr %%ax", );
	TRY("lldt data", "movl $0x10, %%eax; lldt %%ax", );
	TRY("lldt outside", "movl $0x4440, %%eax; lldt %%ax", );
	TRY("ldt selector without ldt", "movl $0x14, %%eax; movl %%eax, %%es", );
	TRY("lldt", "movl %0, %%eax; lldt %%ax; movl $0x14, %%eax; movl %%eax, %%es; movl %%es:0x100000, %%eax", "i"(LDT));
	__asm__ volatile("sldt %0; str %1" : "=r"(value), "=r"(tr));
	print("sldt %x str %x, tss descriptor %x\n", value, tr, (uint32_t)(gdt[TSS / 8] >> 40) & 0xff);
	__asm__ volatile("lldt %w0" : : "r"(0));
	__asm__ volatile("sldt %0" : "=r"(value));
	print("sldt %x\n", value);
	print("fresh %x", (uint32_t)(gdt[FRESH / 8] >> 40) & 0xff);
	__asm__ volatile("movl %0, %%es" : : "r"(FRESH));
	print(" -> %x\n", (uint32_t)(gdt[FRESH / 8] >> 40) & 0xff);
	for (unsigned s = 0; s <= sizeof(gdt); s += 8) {
		bool lar, lsl, r, w;

		value = low = 0;
		__asm__ volatile("larl %2, %0; setz %1" : "+r"(value), "=q"(lar) : "r"(s));
		__asm__ volatile("lsll %2, %0; setz %1" : "+r"(low), "=q"(lsl) : "r"(s));
		__asm__ volatile("verr %w1; setz %0" : "=q"(r) : "r"(s));
		__asm__ volatile("verw %w1; setz %0" : "=q"(w) : "r"(s));
		print("selector %x: lar %x %x lsl %x verr %x verw %x\n", s, lar, value & 0xf0ffff, lsl, r, w);
	}
	/* A descriptor that changes, as the TLS entries do at each switch: translated code must notice. */
	value = 0;
	for (unsigned i = 0; i < 100; i++) {
		gdt[TLS / 8] = segment((uint32_t)&i - (i & 4), 0xfffff, 0xf3, 0xc);
		__asm__ volatile("movl %1, %%gs; movl %%gs:%c2, %0; pushl %1; popl %%fs; addl %%fs:%c2, %0" : "=&r"(low)
				 : "r"(TLS | 3), "i"(0) : "memory");
		value = value * 7 + (i & 4 ? 4 : low);
	}
	print("changing descriptor %x\n", value);
	for (unsigned i = 0; i < 3; i++) {
		gdt[TLS / 8] = segment(0, 0xfffff, i == 1 ? 0x73 : 0xf3, 0xc);
		TRY("tls", "movl %0, %%gs", "r"(TLS | 3));
	}
	gdt[TLS / 8] = segment((uint32_t)&last, 0xfffff, 0xf3, 0xc);
	__asm__ volatile("movl %0, %%fs; movl %0, %%gs" : : "r"(0));
}

static uint32_t flags_after(uint32_t flags)
{
	uint32_t value;

	__asm__ volatile("pushl %1; popfl; pushfl; popl %0; pushl $2; popfl" : "=r"(value) : "r"(flags) : "cc");
	return value;
}

void test_flags(void)
{
	static const uint32_t images[] = { 2, 0x8d7, 0xcd7, 0x3002, 0x1002, 0x4002, 0x40002, 0x200002, 0xffcfecffu & ~0x10100u, 0 };
	uint32_t value;

	print("-- flags\n");
	for (unsigned i = 0; i < sizeof(images) / sizeof(images[0]); i++)
		print("popf %x pushf %x\n", images[i], flags_after(images[i]));
	__asm__ volatile("stc; pushfl; popl %0; clc" : "=r"(value));
	print("stc %x\n", value & 0x3ffeff);
	__asm__ volatile("std; pushfw; popw %w0; cld" : "=r"(value) : "0"(0));
	print("pushfw %x\n", value & 0x700);
	__asm__ volatile("pushfl; pushw $0x4d7; popfw; pushfl; popl %0; popfl" : "=r"(value));
	print("popfw %x\n", value);
	__asm__ volatile("movl $0x4000, %%eax; pushl %%eax; popfl; cli; sti; cli; pushfl; popl %0; pushl $2; popfl" : "=r"(value) : : "eax");
	print("nt kept %x\n", value);
	TRY("popf at the end of memory", "movl %%esp, %%ecx; movl $0x7ffffc, %%esp; pushl $0x46; popfl; cli; movl %%ecx, %%esp", );
}

/* --- interrupts ----------------------------------------------------------------------------------------------------------- */

static volatile uint32_t irqs, irq_eax, irq_eip, irq_flags;

static bool on_irq(struct frame *f)
{
	if (f->vector == 0x21)
		return true;
	if (f->vector != 0x20)
		return false;
	out8(0x20, 0x20);
	irqs++;
	irq_eax = f->eax;
	irq_eip = f->eip;
	irq_flags = f->eflags;
	return true;
}

/* An interrupt is pending, EAX counts the instructions behind the one under test: where did the interrupt come? */
#define PENDING(name, code) \
	do { \
		uint32_t count_; \
		irq_prepare(); \
		irqs = 0; \
		irq_eax = 99; \
		__asm__ volatile("xorl %%eax, %%eax; " code "; incl %%eax; incl %%eax; incl %%eax; incl %%eax" : "=&a"(count_) : \
				 : "ecx", "edx", "memory", "cc"); \
		print("%s: irqs %x at %x of %x, flags %x\n", name, irqs, irq_eax, count_, irq_flags & 0x200); \
		__asm__ volatile("sti; nop; nop; cli"); \
		print("then %x\n", irqs); \
	} while (0)

void test_interrupts(void)
{
	print("-- interrupts\n");
	on_trap = on_irq;
	out8(0x43, 0x30);		/* the firmware's timer stops; what it has asked for is taken */
	__asm__ volatile("sti; nop; nop; cli");
	PENDING("sti", "sti");
	PENDING("sti, stc", "sti; stc");
	PENDING("sti, cli", "sti; cli");
	PENDING("sti, sti", "sti; sti");
	PENDING("popf", "pushl $0x202; popfl");
	PENDING("popf, cli", "pushl $0x202; popfl; cli");
	PENDING("iret", "pushfl; orl $0x200, (%%esp); pushl %%cs; pushl $1f; iret; 1:");
	PENDING("sti, hlt", "sti; hlt");
	PENDING("mov ss", "movl %%ss, %%ecx; pushl $0x202; popfl; cli; movl %%ecx, %%ss; sti; incl %%eax");
	PENDING("sti at a block's end", "sti; jmp 1f; 1: incl %%eax; jmp 2f; 2:");
	PENDING("sti, call", "sti; call 1f; jmp 2f; 1: incl %%eax; ret; 2:");
	PENDING("cli, int", "cli; int $0x21");
	on_trap = 0;
	__asm__ volatile("cli");
}

/* --- ring 3 --------------------------------------------------------------------------------------------------------------- */

static void wrmsr(uint32_t index, uint32_t value)
{
	__asm__ volatile("wrmsr" : : "c"(index), "a"(value), "d"(0));
}

static uint32_t rdmsr(uint32_t index)
{
	uint32_t value;

	__asm__ volatile("rdmsr" : "=a"(value) : "c"(index) : "edx");
	return value;
}

void test_user(void)
{
	uint32_t cr4;

	print("-- ring 3\n");
	USER("int 80", 2, "movl $5, %%eax");
	USER("int 80 with flags", 0x247ed7 & ~0x100, "nop");
	USER("cli", 0x202, "cli");
	USER("sti", 0x202, "sti");
	USER("cli, iopl 3", 0x3202, "cli");
	USER("sti, iopl 3", 0x3002, "sti; movl $1, %%eax");
	USER("hlt", 2, "hlt");
	USER("popf", 0x202, "pushl $0x3002; popfl");
	USER("popf, iopl 3", 0x3202, "pushl $0x0002; popfl");
	USER("pushf", 0x3202, "pushfl; popl %%eax; andl $0x7702, %%eax");
	USER("mov cr0", 2, "movl %%cr0, %%eax");
	USER("mov cr3", 2, "movl %%eax, %%cr3");
	USER("mov dr7", 2, "movl %%eax, %%dr7");
	USER("clts", 2, "clts");
	USER("lgdt", 2, "lgdt (%%esp)");
	USER("invlpg", 2, "invlpg (%%esp)");
	USER("rdmsr", 2, "rdmsr");
	USER("wbinvd", 2, "wbinvd");
	USER("ltr", 2, "ltr %%ax");
	USER("str", 2, "str %%eax");
	USER("smsw", 2, "smsw %%eax; andl $1, %%eax");
	USER("int 20", 2, "int $0x20");
	USER("int 40", 2, "int $0x40");
	USER("int 3", 2, "int3");
	USER("sysexit", 2, "sysexit");
	USER("in", 2, "inb $0x21, %%al");
	USER("in, iopl 3", 0x3002, "inb $0x21, %%al; movl $7, %%eax");
	tss.io[0x21 / 8] = 0xfd;
	USER("in, bitmap", 2, "inb $0x21, %%al; movl $7, %%eax");
	USER("in of two ports, bitmap", 2, "inw $0x21, %%ax");
	USER("in of the next port, bitmap", 2, "inb $0x22, %%al");
	USER("rep outs of nothing, bitmap", 2, "movl $0x22, %%edx; xorl %%ecx, %%ecx; rep outsb");
	tss.io[0x21 / 8] = 0xff;
	USER("in past the bitmap", 2, "movl $0xffff, %%edx; inb %%dx, %%al");
	USER("ds kernel", 2, "movl $0x10, %%eax; movl %%eax, %%ds");
	USER("gs tls", 2, "movl $0x43, %%eax; movl %%eax, %%gs; movl %%gs:0, %%edx; xorl %%edx, %%edx; movl %%gs, %%eax");
	USER("lret to kernel", 2, "pushl $0x8; pushl $0; lret");
	USER("iret to kernel", 2, "pushl $0; pushl $0x8; pushl $0; iret");
	USER("iret in ring 3", 2, "pushl $0x3282; pushl $0x23; pushl $1f; iret; 1: movl $9, %%eax");
	__asm__ volatile("mov %%cr4, %0" : "=r"(cr4));
	USER("rdtsc", 2, "rdtsc; xorl %%eax, %%eax; xorl %%edx, %%edx");
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4 | 4));
	USER("rdtsc, tsd", 2, "rdtsc; xorl %%eax, %%eax; xorl %%edx, %%edx");
	__asm__ volatile("mov %0, %%cr4" : : "r"(cr4));
	TRY("lret to ring 3", "pushl $0x2b; pushl %0; pushl $0x23; pushl $1f; lret; 1: movl $3, %%eax; int $0x80", "r"(0x700000));
	TRY("iret to a bad stack", "pushl $0x10; pushl $0; pushl $2; pushl $0x23; pushl $0; iret");
	TRY("iret to a bad segment", "pushl $2; pushl $0x10; pushl $0; iret");
	wrmsr(0x174, 0);
	USER("sysenter, none", 2, "sysenter");
	wrmsr(0x174, KERNEL_CS);
	wrmsr(0x175, tss.esp0);
	wrmsr(0x176, (uint32_t)from_sysenter);
	print("sysenter %x\n", rdmsr(0x174));
	USER("sysenter", 0x3246, "movl $1f, %%ebx; movl %%esp, %%ebp; movl $41, %%eax; sysenter; 1: movl %%ss, %%edx");
	print("was cs %x ss %x flags %x\n", sysenter_cs, sysenter_ss, sysenter_flags & 0x7700);
	USER("sysenter again", 0x246, "movl $1f, %%ebx; movl %%esp, %%ebp; movl $41, %%eax; sysenter; 1: movl %%cs, %%edx");
	print("was cs %x ss %x flags %x\n", sysenter_cs, sysenter_ss, sysenter_flags & 0x7700);
}

/* --- pages ---------------------------------------------------------------------------------------------------------------- */

static void set_page(uint32_t entry)
{
	page_table[1][(TEST_PAGE >> 12) - 1024] = entry;
	__asm__ volatile("invlpg (%0)" : : "r"(TEST_PAGE) : "memory");
}

static void set_wp(bool on)
{
	__asm__ volatile("mov %%cr0, %%eax; andl $~0x10000, %%eax; orl %0, %%eax; mov %%eax, %%cr0" : : "r"(on ? 0x10000 : 0) : "eax", "memory");
}

static uint32_t page_bits(void)
{
	return page_table[1][(TEST_PAGE >> 12) - 1024] & 0xfff;
}

void test_paging(void)
{
	*(volatile uint8_t *)TEST_PAGE = 0xc3;
	*(volatile uint32_t *)(TEST_PAGE + 16) = 0x1234;
	print("-- pages\n");
	for (unsigned wp = 0; wp < 2; wp++) {
		set_wp(wp);
		print("wp %x\n", wp);
		for (unsigned bits = 0; bits < 8; bits++) {
			set_page(TEST_PAGE | bits);
			print("entry %x\n", bits);
			TRY("read", "movl 0x600010, %%eax", );
			print("now %x\n", page_bits());
			TRY("write", "movl %%eax, 0x600020", );
			print("now %x\n", page_bits());
			TRY("run", "call *%0", "r"(TEST_PAGE));
			USER("user read", 2, "movl 0x600010, %%eax");
			USER("user write", 2, "movl %%eax, 0x600020");
			USER("user run", 2, "movl $0x600000, %%eax; call *%%eax");
		}
	}
	set_page(TEST_PAGE | 3);
	TRY("write to the next page too", "movl %%eax, 0x600ffe", );
	page_table[1][(TEST_PAGE >> 12) - 1023] = 0;
	__asm__ volatile("invlpg 0x601000" : : : "memory");
	TRY("straddle", "movl %%eax, 0x600ffe", );
	TRY("ins into nowhere", "cld; movl $0x600ffe, %%edi; movl $8, %%ecx; movl $0x21, %%edx; rep insb", );
	print("edi %x ecx %x\n", last.edi, last.ecx);
	for (unsigned i = 0; i < 4; i++)
		((volatile uint8_t *)TEST_PAGE)[0xffc + i] = (uint8_t)('a' + i);
	TRY("outs from nowhere", "movl $0x600ffc, %%esi; movl $8, %%ecx; movl $0xe9, %%edx; rep outsb", );
	print("esi %x ecx %x\n", last.esi, last.ecx);
	TRY("rep movs", "movl $0x600ffc, %%esi; movl $0x600100, %%edi; movl $8, %%ecx; rep movsb", );
	print("esi %x edi %x ecx %x\n", last.esi, last.edi, last.ecx);
	page_table[1][(TEST_PAGE >> 12) - 1023] = 0x601007;
	__asm__ volatile("mov %%cr3, %%eax; mov %%eax, %%cr3" : : : "eax", "memory");
	TRY("straddle", "movl %%eax, 0x600ffe", );
}

static void set_idt(uint32_t base)
{
	const struct { uint16_t limit; uint32_t base; } __attribute__((packed)) idtr = { sizeof(idt) - 1, base };

	__asm__ volatile("lidt %0" : : "m"(idtr));
}

/* Through a 16-bit gate to code in the first 64 KiB, which takes the frame of three words apart and goes on at ECX. */
static void test_small_gate(void)
{
	static const uint8_t code[] = { 0x8b, 0x04, 0x24, 0x0f, 0xb7, 0x54, 0x24, 0x04, 0x83, 0xc4, 0x06, 0xff, 0xe1 };
	uint32_t words, flags, next;

	for (unsigned i = 0; i < sizeof(code); i++)
		((volatile uint8_t *)0x8000)[i] = code[i];
	idt[0x45] = (uint64_t)0x8600 << 32 | KERNEL_CS << 16 | 0x8000;
	__asm__ volatile("pushl $0x3002; popfl; movl $1f, %%ecx; int $0x45; 1: movl %%ecx, %2; pushl $2; popfl" : "=&a"(words), "=&d"(flags), "=r"(next)
			 : : "ecx", "memory");
	print("16-bit gate: cs %x ip+%x flags %x\n", words >> 16, (next - words) & 0xffff, flags);
	set_gate(0x45, 0x8e, KERNEL_CS);
}

/* Gates and frames are read and written by the processor itself: it, too, must notice that a page has become another. */
void test_gates(void)
{
	enum { OTHER = TEST_PAGE + 0x2000 };

	print("-- gates\n");
	for (unsigned i = 0; i < 256; i++)
		((volatile uint64_t *)TEST_PAGE)[i] = ((volatile uint64_t *)OTHER)[i] = idt[i];
	((volatile uint8_t *)OTHER)[0x40 * 8 + 5] = 0x8e;
	set_idt(TEST_PAGE);
	TRY("gate absent", "int $0x40");
	set_page(OTHER | 3);
	TRY("gate there", "int $0x40");
	page_table[1][(TEST_PAGE >> 12) - 1024] = TEST_PAGE | 3;
	__asm__ volatile("mov %%cr3, %%eax; mov %%eax, %%cr3" : : : "eax", "memory");
	TRY("gate absent", "int $0x40");
	set_idt((uint32_t)idt);
	TRY("stack there", "movl $0x600800, %%esp; int $3", );
	set_page(0);
	TRY("stack gone", "movl $77, %%eax; movl $0x600800, %%esp; int $3", );
	__asm__ volatile("clts");
	set_page(TEST_PAGE | 7);
	test_small_gate();
}

/* --- the rest --------------------------------------------------------------------------------------------------------------- */

static volatile uint32_t steps, step_dr6;

static bool on_step(struct frame *f)
{
	uint32_t dr6;

	if (f->vector != 1)
		return false;
	__asm__ volatile("mov %%dr6, %0" : "=r"(dr6));
	step_dr6 = dr6;
	__asm__ volatile("mov %0, %%dr6" : : "r"(0));
	steps++;
	return true;
}

void test_system(void)
{
	uint32_t a, b;

	print("-- system registers\n");
	__asm__ volatile("mov %%cr0, %0" : "=r"(a));
	print("cr0 %x\n", a);
	__asm__ volatile("mov %%cr0, %0; or $8, %0; mov %0, %%cr0" : "=r"(a));
	TRY("fpu with ts", "fninit");
	TRY("fpu with ts, wait", "fwait");
	TRY("sse with ts", "movaps %%xmm0, %%xmm1", );
	__asm__ volatile("clts");
	TRY("clts, fpu", "fninit");
	__asm__ volatile("mov %%cr0, %0" : "=r"(a));
	print("cr0 %x\n", a);
	__asm__ volatile("movl $8, %%eax; lmsw %%ax; smsw %0; clts" : "=r"(a) : : "eax");
	print("lmsw %x\n", a);
	__asm__ volatile("mov %1, %%cr2; mov %%cr2, %0" : "=r"(a) : "r"(0x12345678));
	print("cr2 %x\n", a);
	__asm__ volatile("mov %%cr3, %0" : "=r"(a));
	print("cr3 %x\n", a - (uint32_t)page_directory);
	__asm__ volatile("mov %1, %%dr0; mov %1, %%dr3; mov %%dr0, %0" : "=r"(a) : "r"(0xabcdef));
	__asm__ volatile("mov %%dr7, %0" : "=r"(b));
	print("dr0 %x dr7 %x\n", a, b);
	__asm__ volatile("sgdt %0" : "=m"(last));
	print("gdt %x %x\n", last.gs & 0xffff, (last.gs >> 16 | last.fs << 16) - (uint32_t)gdt);
	__asm__ volatile("wbinvd");
	on_trap = on_step;
	steps = 0;
	__asm__ volatile("mov %0, %%dr6" : : "r"(0));
	__asm__ volatile("pushl $0x102; popfl; nop; xorl %%eax, %%eax; movl %%ss, %%ecx; movl %%ecx, %%ss; nop; pushl $2; popfl; nop; nop"
			 : : : "eax", "ecx", "cc");
	print("steps %x dr6 %x\n", steps, step_dr6);
	steps = 0;
	__asm__ volatile("pushl $0x102; popfl; movl $3, %%ecx; movl %%esp, %%esi; rep lodsb; pushl $2; popfl" : : : "eax", "ecx", "esi", "cc");
	print("steps of rep %x\n", steps);
	on_trap = 0;
	__asm__ volatile("mov %0, %%cr2" : : "r"(0));
}

/* In the task for double faults: send the old task to its handler. */
void double_fault(void)
{
	uint32_t tr, flags, cr0;

	__asm__ volatile("str %0; pushfl; popl %1; mov %%cr0, %2" : "=r"(tr), "=r"(flags), "=r"(cr0));
	print("double fault: tr %x link %x nt %x ts %x busy %x %x\n", tr, df_tss.link, flags >> 14 & 1, cr0 >> 3 & 1,
	      (uint32_t)(gdt[TSS / 8] >> 40) & 0xff, (uint32_t)(gdt[DF_TSS / 8] >> 40) & 0xff);
	print("old task: eip+%x esp %x cs %x ss %x eax %x\n", tss.eip - at, tss.esp == 0x600800, tss.cs, tss.ss, tss.eax);
	last = (struct frame){ .vector = 8, .eip = at, .cs = KERNEL_CS };
	tss.cs = KERNEL_CS;
	tss.ss = tss.ds = tss.es = tss.ss0 = KERNEL_DS;
	tss.eip = (uint32_t)throw;
	tss.esp = (uint32_t)&last;
}

void test_tasks(void)
{
	print("-- tasks\n");
	set_page(0);
	TRY("stack in nowhere", "movl $77, %%eax; movl $0x600800, %%esp; pushl %%eax", );
	set_gate(13, 0x0e, KERNEL_CS);
	TRY("gp without a gate", "movl $0x1230, %%eax; movl %%eax, %%ds", );
	set_gate(13, 0x8e, KERNEL_CS);
	TRY("and with one", "movl $0x1230, %%eax; movl %%eax, %%ds", );
	set_gate(14, 0x0e, KERNEL_CS);
	TRY("pf without a gate", "movl 0x600000, %%eax", );
	set_gate(14, 0x8e, KERNEL_CS);
	set_gate(6, 0x0e, KERNEL_CS);
	TRY("ud without a gate", "ud2");
	set_gate(6, 0x8e, 0x1230);
	TRY("ud with a bad gate", "ud2");
	set_gate(6, 0x8e, KERNEL_CS);
	tss.ss0 = 0;
	USER("no stack", 2, "int $0x80");
	tss.ss0 = KERNEL_DS;
}
