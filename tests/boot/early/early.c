/* SPDX-License-Identifier: MIT */
/*
 * early.c - a kernel that goes wrong before it has come far: the parameter do= says how. Entered by the 32-bit boot protocol (Linux,
 * Documentation/x86/boot), it has no paging, no stack of the loader's, and no IDT but the one it makes itself.
 *
 * What it does is for early.py to judge, from outside.
 */
#include <stdbool.h>
#include <stdint.h>

enum { COMMAND_LINE = 0x228, VECTORS = 32, CODE = 0x10, SERIAL = 0x3f8 };

__asm__(".section .head, \"ax\"\n"
	".globl start\n"
	"start: movl $stack_top, %esp\n\t"
	"pushl %esi\n\t"
	"call early\n"
	"1: jmp 1b\n\t"
	".bss\n\t"
	".balign 4096\n\t"
	".skip 8192\n"
	"stack_top:\n\t"
	".text");

/* A fault here is counted, and goes on behind the instruction, which must have two bytes. */
__asm__(".globl skip_with_error, skip\n"
	"skip_with_error: addl $4, %esp\n"
	"skip: addl $2, (%esp)\n\t"
	"incl faults\n\t"
	"iret\n"
	/* One tick: told to the controller, then on with what was interrupted. */
	".globl tick\n"
	"tick: pushl %eax\n\t"
	"incl ticks\n\t"
	"movb $0x20, %al\n\t"
	"outb %al, $0x20\n\t"
	"popl %eax\n\t"
	"iret");

extern void skip_with_error(void), skip(void), tick(void);
extern volatile uint32_t faults, ticks;
volatile uint32_t faults, ticks;

static uint64_t idt[VECTORS + 16];
static struct {
	uint16_t limit;
	uint32_t base;
} __attribute__((packed)) table;

static void outb(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port));
}

static void outw(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port));
}

static uint32_t inl(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port));
	return value;
}

static void outl(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port));
}

static void print(const char *text)
{
	for (; *text; text++)
		outb(SERIAL, (uint8_t)*text);
}

static void power_off(void)
{
	outw(0x604, 5 << 10 | 1 << 13);
}

static void set_gate(unsigned int vector, void (*handler)(void))
{
	uint32_t at = (uint32_t)handler;

	idt[vector] = (at & 0xffff) | CODE << 16 | (uint64_t)(0x8e00 | (at & 0xffff0000)) << 32;
}

/* There is no GDT either until we make one: IRET and gates look at it. */
static uint64_t gdt[4];

static void make_tables(void)
{
	gdt[2] = 0x00cf9b000000ffff;
	gdt[3] = 0x00cf93000000ffff;
	table.limit = sizeof(gdt) - 1;
	table.base = (uint32_t)gdt;
	__asm__ volatile("lgdt %0" : : "m"(table));
	table.limit = sizeof(idt) - 1;
	table.base = (uint32_t)idt;
	__asm__ volatile("lidt %0" : : "m"(table));
}

/* --- ways to go wrong ------------------------------------------------------------------------------------------------------- */

static void undefined_instruction(void)
{
	__asm__ volatile("ud2");
}

static void bad_page_tables(void)
{
	/* They lie where no memory is, so they say that no page is there... or anything else. */
	__asm__ volatile("movl %0, %%cr3\n\tmovl %%cr0, %%eax\n\torl $0x80000000, %%eax\n\tmovl %%eax, %%cr0" : : "r"(0xfff00000) : "eax");
}

static void empty_page_tables(void)
{
	__asm__ volatile("movl %0, %%cr3\n\tmovl %%cr0, %%eax\n\torl $0x80000000, %%eax\n\tmovl %%eax, %%cr0" : : "r"(0x200000) : "eax");
}

static void jump_into_the_void(void)
{
	((void (*)(void))0xf0000000)();
}

static void stack_in_the_void(void)
{
	make_tables();
	set_gate(6, skip);
	__asm__ volatile("movl $0xf0000000, %esp\n\tud2");
}

static void bad_selector(void)
{
	__asm__ volatile("movw %w0, %%ds" : : "r"(0x1238));
}

/* Everything is overwritten, this loop included. */
static void wipe_memory(void)
{
	__asm__ volatile("cld\n\trep stosl" : : "a"(0), "c"(0x3fffffff), "D"(0));
}

static void spin(void)
{
	for (;;)
		;
}

/* Ticks, and a loop that never ends. */
static void spin_with_ticks(void)
{
	static const uint8_t words[][2] = {{0x20, 0x11}, {0x21, VECTORS}, {0x21, 4}, {0x21, 1}, {0x21, 0xfe}, {0x43, 0x34}, {0x40, 0xff}, {0x40, 4}};

	make_tables();
	set_gate(VECTORS, tick);
	for (unsigned int i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		outb(words[i][0], words[i][1]);
	__asm__ volatile("sti");
	while (ticks < 100)
		;
	print("a hundred ticks\r\n");
	spin();
}

static void halt(void)
{
	__asm__ volatile("cli; hlt");
}

static void wait_for_nothing(void)
{
	make_tables();
	__asm__ volatile("sti; hlt");
}

static void reset(void)
{
	print("reset\r\n");
	outb(0xcf9, 6);
}

static void panic(void)
{
	print("Kernel panic - not syncing: no root\r\n");
	outb(0x64, 0xfe);
}

/* What a PC may have and this one has not: nothing of it is there, and nothing of it hurts. */
static void probe(void)
{
	volatile uint32_t *far = (volatile uint32_t *)0xfee00000;
	uint32_t wrong = 0;

	make_tables();
	set_gate(13, skip_with_error);
	for (uint32_t port = 0x100; port < 0x3f0; port += 4)
		wrong += inl((uint16_t)port) != ~0u;
	for (uint32_t slot = 8; slot < 32; slot++) {
		outl(0xcf8, 0x80000000 | slot << 11);
		wrong += inl(0xcfc) != ~0u;
	}
	/* A local APIC, a bridge's flash, a graphics card. */
	for (unsigned int i = 0; i < 3; i++, far = (volatile uint32_t *)(i == 1 ? 0xffffff00 : 0xe0000000)) {
		*far = 0x12345678;
		wrong += *far == 0x12345678;
	}
	for (uint32_t msr = 0x400; msr < 0x440; msr++)
		__asm__ volatile("rdmsr" : : "c"(msr) : "eax", "edx");
	print(faults == 0x40 && !wrong ? "all absent\r\n" : "something answered\r\n");
	power_off();
}

/* --- which ------------------------------------------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	void (*go)(void);
} ways[] = {
	{"undefined-instruction", undefined_instruction}, {"bad-page-tables", bad_page_tables}, {"empty-page-tables", empty_page_tables},
	{"jump-into-the-void", jump_into_the_void}, {"stack-in-the-void", stack_in_the_void}, {"bad-selector", bad_selector},
	{"wipe-memory", wipe_memory}, {"spin", spin}, {"spin-with-ticks", spin_with_ticks}, {"halt", halt},
	{"wait-for-nothing", wait_for_nothing}, {"reset", reset}, {"panic", panic}, {"probe", probe},
};

/* What follows @word, if that is how @line begins; else NULL. */
static const char *after(const char *line, const char *word)
{
	while (*word && *line == *word)
		line++, word++;
	return *word ? 0 : line;
}

static const char *find(const char *line, const char *word)
{
	const char *found = 0;

	for (; *line && !found; line++)
		found = after(line, word);
	return found;
}

void early(const uint8_t *params);
void early(const uint8_t *params)
{
	const char *what = find(*(const char *const *)(params + COMMAND_LINE), "do=");

	for (unsigned int i = 0; what && i < sizeof(ways) / sizeof(ways[0]); i++) {
		const char *end = after(what, ways[i].name);

		if (end && (!*end || *end == ' '))
			ways[i].go();
	}
	print("early: nothing to do\r\n");
	power_off();
}
