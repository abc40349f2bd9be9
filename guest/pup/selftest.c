/* SPDX-License-Identifier: MIT */
/*
 * selftest.c - the command `test`: what the host promises to a kernel at ring 1, tried one by one. Each line is `ok NAME` or
 * `FAIL NAME`; a poweroff after any FAIL is a panic, so that whoever started the guest learns of it.
 */
#include "pup.h"

unsigned int failures;

void report(bool ok, const char *name)
{
	print("%s %s\n", ok ? "ok" : "FAIL", name);
	failures += !ok;
}

enum {
	DIVIDE = 0, DEBUG = 1, BREAKPOINT = 3, OVERFLOW = 4, BOUND = 5, UNDEFINED = 6, PROTECTION = 13, PAGE_FAULT = 14,
};

enum { PF_PRESENT = 1, PF_WRITE = 2 };

/* A function that should trap, on one line. */
#define TRAPPING(name, instructions)                                                 \
	static asm_call void name(void *argument)                                    \
	{                                                                            \
		__asm__ volatile(instructions : : : "eax", "ecx", "edx", "memory");  \
	}

static void expect(asm_call void (*function)(void *), uint32_t vector, uint32_t error, const char *name)
{
	struct probe hit = { 0 };
	uint32_t got = probe(&hit, function, NULL);
	bool ok = got == vector && (vector == PROBE_NONE || hit.error == error);

	if (!ok)
		print("    vector %d error %x, expected %d %x\n", got, hit.error, vector, error);
	report(ok, name);
}

/* --- the entry ---------------------------------------------------------------------------------------------------------- */

static void test_entry(void)
{
	bool zero = true;

	for (unsigned int i = 0; i < 8; i++) /* ESI too: the boot parameters are at 0 */
		zero = zero && !entry_state[i];
	report(zero, "entry-registers");
	report(entry_state[8] == KERNEL_CS && entry_state[9] == KERNEL_DS && entry_state[10] == KERNEL_DS &&
	       entry_state[11] == KERNEL_DS && !entry_state[12] && !entry_state[13], "entry-segments");
	report(entry_state[14] == 0x202, "entry-eflags");
	report(lguest_data.time_sec > 1000000000, "wall-clock");
	report(!(lguest_data.reserve_mem & ~PTE_FRAME), "reserve-mem");
}

/* --- hypercalls --------------------------------------------------------------------------------------------------------- */

static void test_registers(void)
{
	uint32_t a = LHCALL_FLUSH_ASYNC, b = 0x0b0b0b0b, c = 0x0c0c0c0c, d = 0x0d0d0d0d, s = 0x51515151, di = 0xd1d1d1d1, carry;

	__asm__ volatile("stc\n\tint $0x1f\n\tsbbl %%ecx, %%ecx\n\tmovl %%ecx, %6\n\tmovl $0x0c0c0c0c, %%ecx"
			 : "+a"(a), "+b"(b), "+c"(c), "+d"(d), "+S"(s), "+D"(di), "=m"(carry) : : "memory", "cc");
	report(a == LHCALL_FLUSH_ASYNC && b == 0x0b0b0b0b && d == 0x0d0d0d0d && s == 0x51515151 && di == 0xd1d1d1d1 &&
	       carry == 0xffffffff, "hypercall-keeps-registers");
}

/* More calls than the ring has slots, each changing the same page: the last one counts, and all slots come back. */
static void test_ring(void)
{
	static uint8_t pages[2 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	volatile uint8_t *window = memory_map(PHYSICAL(pages), PAGE_SIZE);
	bool done = true;

	pages[0] = 1;
	pages[PAGE_SIZE] = 2;
	for (unsigned int i = 0; i < 3 * HYPERCALL_RING_SIZE + 1; i++) {
		uint32_t entry = PHYSICAL(pages + (i & 1 ? 0 : PAGE_SIZE)) | PTE_KERNEL;

		*mapping_entry((uint32_t)window) = entry;
		hypercall_lazy(LHCALL_SET_PTE, PHYSICAL(boot_directory), (uint32_t)window, entry, 0);
	}
	hypercall(LHCALL_FLUSH_ASYNC, 0, 0, 0, 0);
	for (unsigned int i = 0; i < HYPERCALL_RING_SIZE; i++)
		done = done && lguest_data.hcall_status[i] == 0xff;
	report(done, "ring-drained");
	report(*window == 2, "ring-order");
}

/* --- traps -------------------------------------------------------------------------------------------------------------- */

TRAPPING(divide_by_zero, "xorl %%ecx, %%ecx\n\tdivl %%ecx")
TRAPPING(undefined, "ud2")
TRAPPING(breakpoint, "int3")
TRAPPING(overflow, "movb $0x7f, %%al\n\taddb $1, %%al\n\tinto")
TRAPPING(bound, "pushl $2\n\tpushl $1\n\tmovl $3, %%eax\n\tbound %%eax, (%%esp)\n\taddl $8, %%esp")
TRAPPING(step, "pushfl\n\torl $0x100, (%%esp)\n\tpopfl\n\tnop\n\tnop")
TRAPPING(selector_outside, "movl $0x1000, %%eax\n\tmovl %%eax, %%gs")
TRAPPING(selector_empty, "movl $0x28, %%eax\n\tmovl %%eax, %%gs")
TRAPPING(null_segment, "xorl %%eax, %%eax\n\tmovl %%eax, %%gs\n\tmovl %%gs:0, %%eax")
TRAPPING(load_cr3, "xorl %%eax, %%eax\n\tmovl %%eax, %%cr3")
TRAPPING(lidt, "lidt 0xc0000000")
TRAPPING(absent_gate, "int $0x90")
TRAPPING(far_jump_bad, "ljmp $0x1000, $0")
TRAPPING(call_nothing, "xorl %%eax, %%eax\n\tcall *%%eax")

static void test_traps(void)
{
	expect(divide_by_zero, DIVIDE, 0, "trap-divide");
	expect(step, DEBUG, 0, "trap-single-step");
	expect(breakpoint, BREAKPOINT, 0, "trap-breakpoint");
	expect(overflow, OVERFLOW, 0, "trap-overflow");
	expect(bound, BOUND, 0, "trap-bound");
	expect(undefined, UNDEFINED, 0, "trap-undefined");
	expect(selector_outside, PROTECTION, 0x1000, "trap-selector-outside-gdt");
	expect(selector_empty, PROTECTION, 0x28, "trap-selector-empty");
	expect(null_segment, PROTECTION, 0, "trap-null-segment");
	expect(load_cr3, PROTECTION, 0, "trap-mov-cr3");
	expect(lidt, PROTECTION, 0, "trap-lidt");
	expect(absent_gate, PROTECTION, 0x90 << 3 | 2, "trap-absent-gate");
	expect(far_jump_bad, PROTECTION, 0x1000, "trap-far-jump");
	expect(call_nothing, PAGE_FAULT, 0, "trap-call-null");
}

/* --- odd instructions --------------------------------------------------------------------------------------------------- */

static void test_instructions(void)
{
	uint32_t value, flags, check;
	uint8_t byte;

	__asm__ volatile("inb $0x71, %0" : "=a"(byte));
	report(byte == 0xff, "in-reads-ones");
	__asm__ volatile("outb %0, $0x80" : : "a"((uint8_t)0));
	report(true, "out-is-ignored");
	__asm__ volatile("pushfl\n\tandl $~0x200, (%%esp)\n\tpopfl\n\tpushfl\n\tpopl %0" : "=r"(flags));
	report(flags & IRQ_ON, "popf-cannot-clear-if");
	__asm__ volatile("movl %%fs:4, %0" : "=r"(check));
	report(check == 0x70757021, "segment-base");
	__asm__ volatile("pushl %%cs\n\tpushl $1f\n\tlret\n1:\tmovl %%cs, %0" : "=r"(value));
	report((value & 0xffff) == KERNEL_CS, "far-return");
	__asm__ volatile("pushfl\n\tpushl %%cs\n\tpushl $1f\n\tiret\n1:\tmovl $7, %0" : "=r"(value));
	report(value == 7, "iret-within-ring-1");
	__asm__ volatile("lsll %1, %0" : "=r"(value) : "r"(PERCPU_FS));
	report(value == 7, "lsl");
	__asm__ volatile("larl %1, %0" : "=r"(value) : "r"(PERCPU_FS));
	report((value & 0xff00) == 0xb300, "lar-shows-dpl-1");
}

/* Code that we write ourselves: movl $N, %eax; ret. */
static void test_own_code(void)
{
	static uint8_t code[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	uint8_t *alias = memory_map(PHYSICAL(code), PAGE_SIZE);
	uint32_t (*function)(void) = (uint32_t (*)(void))(uint32_t)code;
	bool good = true;

	code[0] = 0xb8;
	code[5] = 0xc3;
	for (uint32_t i = 1; i < 50; i++) {
		/* Through its own address and through another one in turns. */
		*(volatile uint32_t *)((i & 1 ? alias : code) + 1) = i * 0x01010101;
		good = good && function() == i * 0x01010101;
	}
	report(good, "code-rewritten");
	/* Code that changes the very next instruction: movb $2, next+1; next: movb $1, %al. */
	__asm__ volatile("" : : : "memory");
	code[0] = 0xc6;
	code[1] = 0x05;
	*(uint32_t *)(code + 2) = (uint32_t)(code + 8);
	code[6] = 2;
	code[7] = 0xb0;
	code[8] = 1;
	code[9] = 0xc3;
	barrier();
	report((function() & 0xff) == 2, "code-rewrites-next-instruction");
}

/* --- pages -------------------------------------------------------------------------------------------------------------- */

static asm_call void read_word(void *at)
{
	(void)*(volatile uint32_t *)at;
}

static asm_call void write_word(void *at)
{
	*(volatile uint32_t *)at = 0x12345678;
}

static asm_call void fill_across(void *at)
{
	memset((uint8_t *)at + PAGE_SIZE - 8, 0xaa, 16);
}

static void expect_page(asm_call void (*function)(void *), void *at, uint32_t error, uint32_t address, const char *name)
{
	struct probe hit = { 0 };
	bool ok = probe(&hit, function, at) == PAGE_FAULT && hit.error == error && hit.cr2 == address;

	if (!ok)
		print("    vector %d error %x cr2 %08x\n", hit.vector, hit.error, hit.cr2);
	report(ok, name);
}

static void test_pages(void)
{
	static uint8_t frames[3 * PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	uint8_t *window = memory_map(PHYSICAL(frames), 2 * PAGE_SIZE);
	uint32_t first = (uint32_t)window, second = first + PAGE_SIZE;
	volatile uint32_t *entry = mapping_entry(first), *next = mapping_entry(second);
	struct probe hit;

	*(uint32_t *)frames = 111;
	*(uint32_t *)(frames + PAGE_SIZE) = 222;
	*(uint32_t *)(frames + 2 * PAGE_SIZE) = 333;
	barrier();

	/* A new entry, clean: read it, then write to it. */
	*entry = PHYSICAL(frames) | PTE_PRESENT | PTE_WRITE;
	hypercall(LHCALL_SET_PTE, PHYSICAL(boot_directory), first, 0, 0);
	read_word(window);
	report((*entry & (PTE_ACCESSED | PTE_DIRTY)) == PTE_ACCESSED, "page-accessed");
	write_word(window);
	report((*entry & (PTE_ACCESSED | PTE_DIRTY)) == (PTE_ACCESSED | PTE_DIRTY), "page-dirty");

	/* Read-only counts for ring 1, too. */
	set_kernel_pte(first, PHYSICAL(frames) | PTE_PRESENT);
	expect_page(write_word, window, PF_PRESENT | PF_WRITE, first, "page-read-only");
	read_word(window);
	expect_page(write_word, window, PF_PRESENT | PF_WRITE, first, "page-read-only-after-read");
	set_kernel_pte(first, 0);
	expect_page(read_word, window, 0, first, "page-absent-read");
	expect_page(write_word, window + 4, PF_WRITE, first + 4, "page-absent-write");
	expect_page(read_word, (void *)0x1000, 0, 0x1000, "page-user-absent");
	set_kernel_pte(first, PHYSICAL(frames) | PTE_PRESENT | PTE_WRITE);
	report(probe(&hit, write_word, window) == PROBE_NONE, "page-back-again");

	/* A change that only FLUSH_TLB announces, and one that the ring announces. */
	*entry = PHYSICAL(frames + 2 * PAGE_SIZE) | PTE_KERNEL;
	hypercall(LHCALL_FLUSH_TLB, 1, 0, 0, 0);
	report(*(volatile uint32_t *)window == 333, "page-changed-flush");
	*entry = PHYSICAL(frames + PAGE_SIZE) | PTE_KERNEL;
	hypercall_lazy(LHCALL_SET_PTE, PHYSICAL(boot_directory), first, *entry, 0);
	hypercall(LHCALL_FLUSH_ASYNC, 0, 0, 0, 0);
	report(*(volatile uint32_t *)window == 222, "page-changed-ring");

	/* An access across two pages, of which the second is missing: the address is that of the first missing byte. */
	set_kernel_pte(first, PHYSICAL(frames) | PTE_KERNEL);
	set_kernel_pte(second, 0);
	expect_page(read_word, window + PAGE_SIZE - 2, 0, second, "page-straddle");
	expect_page(fill_across, window, PF_WRITE, second, "page-string-stops");
	report(window[PAGE_SIZE - 8] == 0xaa && window[PAGE_SIZE - 1] == 0xaa, "page-string-progress");
	/* A page that appears needs no announcement. */
	*next = PHYSICAL(frames + PAGE_SIZE) | PTE_KERNEL;
	fill_across(window);
	report(window[PAGE_SIZE + 7] == 0xaa, "page-appears");
}

/* --- interrupts --------------------------------------------------------------------------------------------------------- */

static void burn(uint64_t ns)
{
	uint64_t end = clock_now() + ns;

	while (clock_now() < end)
		barrier();
}

static bool ticked_since(uint32_t ticks)
{
	return irq_counts[0] != ticks;
}

#define MS 1000000u

/* Whatever was armed before is over. */
static uint32_t quiet(void)
{
	clock_cancel();
	irq_enable();
	return irq_counts[0];
}

static void test_interrupts(void)
{
	uint32_t ticks = quiet(), flags;
	volatile uint32_t loop;

	hypercall(LHCALL_SET_CLOCKEVENT, 2 * MS, 0, 0, 0);
	for (loop = 0; loop < 2000000000 && !ticked_since(ticks); loop++)
		barrier();
	report(ticked_since(ticks), "timer-interrupts-a-loop");

	ticks = quiet();
	hypercall(LHCALL_SET_CLOCKEVENT, 2 * MS, 0, 0, 0);
	hypercall(LHCALL_SET_CLOCKEVENT, 0, 0, 0, 0);
	if (lguest_data.tsc_khz) {
		burn(6 * MS);
		report(!ticked_since(ticks), "timer-cancelled");
	}

	ticks = quiet();
	irq_save();
	hypercall(LHCALL_SET_CLOCKEVENT, 2 * MS, 0, 0, 0);
	hypercall(LHCALL_HALT, 0, 0, 0, 0);
	flags = irq_save();
	report(ticked_since(ticks) && flags & IRQ_ON, "halt-wakes");

	/* From here on time must pass without interrupts: only RDTSC can tell. */
	if (!lguest_data.tsc_khz) {
		clock_arm(0); /* our clock needs its ticks again */
		irq_enable();
		return;
	}
	ticks = irq_counts[0];
	hypercall(LHCALL_SET_CLOCKEVENT, 2 * MS, 0, 0, 0);
	burn(8 * MS);
	report(!ticked_since(ticks), "irq-off-is-off");
	hypercall(LHCALL_FLUSH_ASYNC, 0, 0, 0, 0);
	report(!ticked_since(ticks) && lguest_data.irq_pending & IRQ_ON, "irq-pending-shown");
	irq_restore(IRQ_ON);
	report(ticked_since(ticks), "irq-send-interrupts");

	/* Unmasking tells nobody; the host must find out. */
	ticks = irq_counts[0];
	lguest_data.blocked_interrupts |= 1;
	hypercall(LHCALL_SET_CLOCKEVENT, 2 * MS, 0, 0, 0);
	burn(8 * MS);
	report(!ticked_since(ticks), "irq-blocked");
	lguest_data.blocked_interrupts &= ~1u;
	burn(20 * MS);
	report(ticked_since(ticks), "irq-unblocked");

	/* Nor does a plain store, which is what Linux 3.x does. */
	ticks = irq_counts[0];
	irq_save();
	hypercall(LHCALL_SET_CLOCKEVENT, 1 * MS, 0, 0, 0);
	burn(4 * MS);
	lguest_data.irq_enabled = IRQ_ON;
	burn(20 * MS);
	report(ticked_since(ticks), "irq-enabled-by-store");
}

/* --- the FPU ------------------------------------------------------------------------------------------------------------ */

TRAPPING(use_fpu, "fninit")
TRAPPING(use_sse, "xorps %%xmm0, %%xmm0")

/* #NM never reaches a probe: the trap handler serves it. So look at the owner change through its effect. */
static void test_fpu(void)
{
	uint16_t control = 0;

	hypercall(LHCALL_TS, 8, 0, 0, 0);
	expect(use_fpu, PROBE_NONE, 0, "fpu-after-ts");
	hypercall(LHCALL_TS, 8, 0, 0, 0);
	expect(use_sse, PROBE_NONE, 0, "sse-after-ts");
	__asm__ volatile("fnstcw %0" : "=m"(control));
	report(control == 0x37f, "fpu-control-word");
	hypercall(LHCALL_TS, 8, 0, 0, 0);
}

int test_command(int argc, char **argv)
{
	static void (*const tests[])(void) = {
		test_entry, test_registers, test_ring, test_traps, test_instructions, test_own_code, test_pages, test_interrupts,
		test_fpu,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(tests); i++)
		tests[i]();
	return failures != 0;
}
