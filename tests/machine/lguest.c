/* SPDX-License-Identifier: MIT */
/*
 * The lguest machine on a processor that runs nothing: every hypercall, the ring, interrupts, traps, privileged instructions, and
 * each way in which a guest can break the contract, with the sentence it gets.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_cpu.h"
#include "images.h"
#include "machine/lguest/lguest.h"
#include "tests/features.h"

enum { RAM_BYTES = 4 << 20, DATA = 0x2000, STACK = 0x80000, KSTACK = 0x90000, HANDLER = 0xc0001000, QUIET = 0xc0002000 };

static struct kernel kernel;
static struct machine *machine;
static struct lguest *m;
static struct cpu *cpu;

static uint32_t *word(uint32_t address)
{
	return (uint32_t *)(void *)(m->ram.base + address);
}

static uint32_t *data(uint32_t offset)
{
	return word(DATA + offset);
}

static int set_up(void **state)
{
	struct image image = image_vmlinux();
	struct machine_config config = {.kernel = &kernel, .command_line = "", .memory = RAM_BYTES};
	struct error error;

	if (kernel_open(&kernel, image_file(image.data, image.size), &error))
		return -1;
	mprotect(kernel.file.data, kernel.file.size, PROT_READ | PROT_WRITE);
	image_free(image);
	machine = lguest_machine.create(&config, &error);
	if (!machine) {
		fprintf(stderr, "%s\n", error.text);
		return -1;
	}
	m = (struct lguest *)machine;
	cpu = m->cpu;
	cpu->gpr[R_ESP] = STACK;
	return 0;
}

static int tear_down(void **state)
{
	lguest_machine.destroy(machine);
	kernel_close(&kernel);
	image_cleanup();
	return 0;
}

static void exit_with(struct cpu_exit exit)
{
	lguest_handle_exit(m, &exit);
}

static void call(uint32_t number, uint32_t a, uint32_t b, uint32_t c)
{
	cpu->gpr[R_EAX] = number;
	cpu->gpr[R_EBX] = a;
	cpu->gpr[R_ECX] = b;
	cpu->gpr[R_EDX] = c;
	cpu->gpr[R_ESI] = 0x51515151;
	cpu->eip = 0xc0100002;
	exit_with((struct cpu_exit){.kind = EXIT_INT, .vector = VECTOR_HYPERCALL, .eip = 0xc0100000});
	/* Nothing but memory changes (lguest-pitfalls, G2). */
	assert_int_equal(cpu->gpr[R_EAX], number);
	assert_int_equal(cpu->gpr[R_EBX], a);
	assert_int_equal(cpu->gpr[R_ESI], 0x51515151);
}

static void init(void)
{
	memset(word(DATA), 0, 1392);
	memset(word(DATA + 24), 0xff, 64);
	*data(4) = 1;
	*data(1376) = QUIET;
	*data(1380) = QUIET + 8;
	*data(1384) = 0xc0000000;
	*data(1388) = 0x80;
	call(CALL_LGUEST_INIT, DATA, 0, 0);
	assert_false(m->ended);
}

static void gate(uint32_t vector, uint32_t type, uint32_t dpl, uint32_t offset)
{
	call(CALL_LOAD_IDT_ENTRY, vector, 0x610000 | (offset & 0xffff), (offset & 0xffff0000) | 0x8000 | dpl << 13 | type << 8);
	assert_false(m->ended);
}

static void queue(uint32_t slot, uint32_t number, uint32_t a, uint32_t b, uint32_t c)
{
	uint32_t *at = data(88 + slot * 20);

	at[0] = number, at[1] = a, at[2] = b, at[3] = c, at[4] = 0;
	((uint8_t *)data(24))[slot] = 0;
}

static void in_ring(unsigned int ring)
{
	cpu->segment[S_CS].sel = ring == 3 ? 0x73 : KERNEL_CS;
	cpu->segment[S_SS].sel = ring == 3 ? 0x7b : KERNEL_DS;
}

static void assert_killed(const char *part)
{
	assert_true(m->ended);
	assert_int_equal(m->end, MACHINE_CRASHED);
	if (!strstr(machine->last_words.text, part))
		fail_msg("\"%s\" does not say \"%s\"", machine->last_words.text, part);
	/* As if nothing had happened, for the next one. */
	m->ended = false;
	machine->last_words.text[0] = 0;
}

/* --- the beginning ------------------------------------------------------------------------------------------------------ */

static void entry_state(void **state)
{
	uint32_t low, high;

	cpu->gpr[R_ESP] = 0;
	for (int i = 0; i < 8; i++)
		assert_int_equal(cpu->gpr[i], 0);
	assert_int_equal(cpu->eip, IMAGE_ENTRY);
	assert_int_equal(cpu->eflags, 0x202);
	assert_int_equal(cpu->segment[S_CS].sel, 0x61);
	assert_int_equal(cpu->segment[S_SS].sel, 0x69);
	assert_int_equal(cpu->segment[S_DS].sel, 0x69);
	assert_int_equal(cpu->segment[S_ES].limit, 0xffffffff);
	assert_int_equal(cpu->segment[S_FS].sel, 0);
	assert_int_equal(cpu->segment[S_GS].attr, 0);
	assert_int_equal(cpu->linear, RAM_BYTES);
	assert_false(cpu->ts);
	assert_true(cpu->ops->descriptor(m, 0x61, &low, &high));
	assert_int_equal(low, 0x0000ffff);
	assert_int_equal(high, 0x00cfbb00);
	assert_true(cpu->ops->descriptor(m, 0x69, &low, &high));
	assert_int_equal(high, 0x00cfb300);
	assert_true(cpu->ops->descriptor(m, 0x73, &low, &high));
	assert_int_equal(low | high, 0);
	assert_false(cpu->ops->descriptor(m, 0x100, &low, &high));
	assert_false(cpu->ops->descriptor(m, 0x0f, &low, &high));
	/* The device page: empty, and right above memory. */
	assert_int_equal(*word(RAM_BYTES), 0);
}

static void init_call(void **state)
{
	call(CALL_FLUSH_TLB, 1, 0, 0);
	assert_killed("the first hypercall must be LGUEST_INIT [FLUSH_TLB(0x1) at EIP 0xc0100000]");
	call(CALL_LGUEST_INIT, 0xfffffff0, 0, 0);
	assert_killed("0xfffffff0 is outside memory");
	call(CALL_LGUEST_INIT, DATA + 2, 0, 0);
	assert_killed("misaligned");
	*data(1388) = 0x40;
	call(CALL_LGUEST_INIT, DATA, 0, 0);
	assert_killed("system-call vector 0x40");
	*data(1368) = 0x1234;
	*data(1372) = ~0u;
	init();
	assert_int_equal(*data(1368), 0);
	assert_int_equal(*data(1372), m->clock.tsc_khz);
	assert_true(*data(12) > 1500000000);
	assert_true(*data(16) < 1000000000);
	assert_int_equal(cpu->kernel_base, 0xc0000000);
	assert_int_equal(cpu->alls, 1);
	call(CALL_LGUEST_INIT, DATA, 0, 0);
	assert_killed("a second time [LGUEST_INIT(0x2000) at EIP 0xc0100000]");
}

/* A table that reaches exactly to the end is fine (lguest-pitfalls, G11). */
static void data_at_the_end_of_memory(void **state)
{
	uint32_t end = m->memory_bytes;

	*word(end - 1392 + 1388) = 0x80;
	call(CALL_LGUEST_INIT, end - 1392, 0, 0);
	assert_false(m->ended);
}

/* --- calls -------------------------------------------------------------------------------------------------------------- */

static void unknown_calls(void **state)
{
	init();
	call(11, 1, 2, 3);
	assert_killed("bad hypercall 11 [hypercall 11(0x1, 0x2, 0x3, 0x51515151) at EIP 0xc0100000]");
	call(13, 0, 0, 0);
	assert_killed("bad hypercall 13");
	call(20, 0, 0, 0);
	assert_killed("bad hypercall 20");
	call(0xffffffff, 0, 0, 0);
	assert_killed("bad hypercall 4294967295");
}

static void harmless_calls(void **state)
{
	init();
	call(CALL_FLUSH_ASYNC, 0, 0, 0);
	call(CALL_SEND_INTERRUPTS, 0, 0, 0);
	assert_false(m->ended);
}

static void page_table_calls(void **state)
{
	init();
	*word(0x5000) = 0x6063;
	call(CALL_NEW_PGTABLE, 0x5000, 0, 0);
	assert_int_equal(cpu->pgd, 0x5000);
	call(CALL_SET_PTE, 0x5000, 0xbffff123, 0x67);
	assert_int_equal(cpu->page_pgd, 0x5000);
	assert_int_equal(cpu->page_address, 0xbffff123);
	call(CALL_SET_PGD, 0x5000, 1023, 0);
	assert_int_equal(cpu->slot_index, 1023);
	call(CALL_SET_PGD, 0x5000, 1024, 0);
	assert_int_equal(cpu->slots, 1);
	assert_false(m->ended);
	call(CALL_SET_PGD, 0x5000, 1025, 0);
	assert_killed("slot 1025");
	call(CALL_FLUSH_TLB, 0, 0, 0);
	assert_int_equal(cpu->users, 1);
	call(CALL_FLUSH_TLB, 1, 0, 0);
	assert_int_equal(cpu->alls, 2);
	call(CALL_NEW_PGTABLE, m->memory_bytes, 0, 0);
	assert_killed("outside memory");
	call(CALL_NEW_PGTABLE, 0xfffff000, 0, 0);
	assert_killed("page directory 0xfffff000 is outside memory [NEW_PGTABLE(0xfffff000) at");
}

static void pae_is_refused(void **state)
{
	init();
	*word(0x5000) = 0x6001, *word(0x5004) = 0, *word(0x5018) = 0x7001, *word(0x501c) = 0;
	call(CALL_NEW_PGTABLE, 0x5000, 0, 0);
	assert_killed("PAE");
}

static void stacks(void **state)
{
	init();
	call(CALL_SET_STACK, KERNEL_DS, KSTACK, 2);
	assert_false(m->ended);
	assert_int_equal(m->stack_top, KSTACK);
	call(CALL_SET_STACK, 0x7b, KSTACK, 1);
	assert_killed("stack selector 0x7b");
	call(CALL_SET_STACK, KERNEL_DS, KSTACK, 3);
	assert_killed("3 pages");
}

static void task_switched(void **state)
{
	init();
	call(CALL_TS, 8, 0, 0);
	assert_true(cpu->ts);
	call(CALL_TS, 0, 0, 0);
	assert_false(cpu->ts);
}

static void descriptors(void **state)
{
	uint32_t low, high;

	init();
	cpu->descriptors = 0;
	call(CALL_LOAD_GDT_ENTRY, 27, 0x1234ffff, 0xc08f9200);		/* DPL 0, not accessed */
	assert_true(cpu->ops->descriptor(m, 0xd8, &low, &high));
	assert_int_equal(low, 0x1234ffff);
	assert_int_equal(high, 0xc08fb300);
	assert_int_equal(cpu->descriptors, 1);
	assert_int_equal(cpu->descriptor & ~7u, 0xd8);
	call(CALL_LOAD_GDT_ENTRY, 27, 0x1234ffff, 0xc08f9200);		/* the same: nobody needs to know */
	assert_int_equal(cpu->descriptors, 1);
	call(CALL_LOAD_GDT_ENTRY, 15, 0x0000ffff, 0x00cff200);
	assert_true(cpu->ops->descriptor(m, 0x7b, &low, &high));
	assert_int_equal(high, 0x00cff300);
	/* The host's own slots, and one that is emptied. */
	for (int i = 0; i < 4; i++) {
		call(CALL_LOAD_GDT_ENTRY, (uint32_t[]){10, 11, 16, 31}[i], 1, 0x00cf9200);
		cpu->ops->descriptor(m, (uint32_t[]){10, 11, 16, 31}[i] << 3, &low, &high);
		assert_int_equal(low | high, 0);
	}
	call(CALL_LOAD_GDT_ENTRY, 15, 0, 0);
	cpu->ops->descriptor(m, 0x7b, &low, &high);
	assert_int_equal(low | high, 0);
	call(CALL_LOAD_GDT_ENTRY, 32, 0, 0);
	assert_killed("slot 32");

	for (uint32_t i = 0; i < 6; i++)
		*word(0x6000 + 4 * i) = i & 1 ? 0x00cff200 : i;
	call(CALL_LOAD_TLS, 0x6000, 0, 0);
	cpu->ops->descriptor(m, 0x43, &low, &high);
	assert_int_equal(low, 4);
	assert_int_equal(high, 0x00cff300);
	call(CALL_LOAD_TLS, m->memory_bytes - 23, 0, 0);
	assert_killed("outside memory");
	call(CALL_LOAD_TLS, 0xfffffff8, 0, 0);
	assert_killed("outside memory");
}

static void gates(void **state)
{
	init();
	gate(14, 0xe, 0, HANDLER);
	assert_int_equal(m->gate[14].offset, HANDLER);
	assert_true(m->gate[14].interrupt);
	call(CALL_LOAD_IDT_ENTRY, 14, 0, 0);
	assert_false(m->gate[14].present);
	/* A task gate for the double fault, and the others that are not the guest's: taken without a word. */
	call(CALL_LOAD_IDT_ENTRY, 8, 0xf80000, 0x8500);
	call(CALL_LOAD_IDT_ENTRY, 2, 0x610000, 0xc0008e00);
	call(CALL_LOAD_IDT_ENTRY, 31, 0x610000, 0xc0008e00);
	assert_false(m->ended);
	assert_false(m->gate[2].present | m->gate[8].present | m->gate[31].present);
	call(CALL_LOAD_IDT_ENTRY, 9, 0xf80000, 0x8500);
	assert_killed("gate type 5 for vector 9");
	call(CALL_LOAD_IDT_ENTRY, 256, 0, 0x8e00);
	assert_killed("vector 256");
}

static void shutdown_calls(void **state)
{
	init();
	strcpy((char *)word(0x7000), "Power down");
	call(CALL_SHUTDOWN, 0x7000, 1, 0);
	assert_true(m->ended);
	assert_int_equal(m->end, MACHINE_POWEROFF);
	m->ended = false;
	strcpy((char *)word(0x7000), "Fatal\nexception");
	call(CALL_SHUTDOWN, 0x7000, 1, 0);
	assert_killed("Fatal exception");
	/* A NULL turned physical: unreadable, and no reason not to restart (lguest-pitfalls, G7). */
	call(CALL_SHUTDOWN, 0x40000000, 2, 0);
	assert_true(m->ended);
	assert_int_equal(m->end, MACHINE_RESTART);
	m->ended = false;
	call(CALL_SHUTDOWN, 0x40000000, 1, 0);
	assert_killed("last words at 0x40000000");
	memset(word(m->memory_bytes - 64), 'x', 64);
	call(CALL_SHUTDOWN, m->memory_bytes - 64, 1, 0);
	assert_killed("xxxxxxxx");
}

/* --- the ring ----------------------------------------------------------------------------------------------------------- */

static void ring_runs_first_and_in_order(void **state)
{
	init();
	queue(0, CALL_SET_PTE, 0x5000, 0x1000, 1);
	queue(1, CALL_SET_PTE, 0x5000, 0x2000, 1);
	assert_int_equal(cpu->pages, 0);
	call(CALL_SET_PTE, 0x5000, 0x3000, 1);
	assert_int_equal(cpu->pages, 3);
	assert_int_equal(cpu->page_address, 0x3000);
	assert_int_equal(((uint8_t *)data(24))[0], 0xff);
	assert_int_equal(((uint8_t *)data(24))[1], 0xff);
	/* It goes on where it stopped. */
	queue(0, CALL_TS, 8, 0, 0);
	call(CALL_FLUSH_ASYNC, 0, 0, 0);
	assert_false(cpu->ts);
	queue(2, CALL_TS, 8, 0, 0);
	call(CALL_FLUSH_ASYNC, 0, 0, 0);
	assert_true(cpu->ts);
}

static void full_ring(void **state)
{
	init();
	for (uint32_t i = 0; i < 64; i++)
		queue(i, CALL_SET_PTE, 0x5000, i << 12, 1);
	call(CALL_FLUSH_ASYNC, 0, 0, 0);
	assert_int_equal(cpu->pages, 64);
	assert_int_equal(m->ring_next, 0);
	assert_int_equal(m->stats.queued, 64);
}

static void ring_call_that_ends_the_guest(void **state)
{
	init();
	queue(0, 99, 0, 0, 0);
	queue(1, CALL_SET_PTE, 0x5000, 0x2000, 1);
	call(CALL_SET_PTE, 0x5000, 0x3000, 1);
	assert_int_equal(cpu->pages, 0);
	assert_killed("[hypercall 99(0, 0, 0, 0), queued, at EIP 0xc0100000]");
}

/* --- traps -------------------------------------------------------------------------------------------------------------- */

static void ring_3_may_not_call(void **state)
{
	init();
	gate(TRAP_GP, 0xe, 0, HANDLER);
	call(CALL_SET_STACK, KERNEL_DS, KSTACK, 1);
	in_ring(3);
	cpu->eip = 0x8048002;
	exit_with((struct cpu_exit){.kind = EXIT_INT, .vector = VECTOR_HYPERCALL, .eip = 0x8048000});
	assert_int_equal(cpu->eip, HANDLER);
	assert_int_equal(*word(KSTACK - 24), 0x1f << 3 | 2);
	assert_int_equal(*word(KSTACK - 20), 0x8048000);
	assert_int_equal(*word(KSTACK - 16), 0x73);
	assert_int_equal(*word(KSTACK - 4), 0x7b);
	assert_int_equal(cpu_cpl(cpu), 1);
}

static void system_call_frame(void **state)
{
	init();
	gate(0x80, 0xf, 3, HANDLER);
	call(CALL_SET_STACK, KERNEL_DS, KSTACK, 1);
	*data(0) = 0x200;
	in_ring(3);
	cpu->eip = 0x8048002;
	cpu->gpr[R_ESP] = 0xbffff000;
	exit_with((struct cpu_exit){.kind = EXIT_INT, .vector = 0x80, .eip = 0x8048000});
	assert_int_equal(cpu->eip, HANDLER);
	assert_int_equal(cpu->gpr[R_ESP], KSTACK - 20);
	assert_int_equal(*word(KSTACK - 20), 0x8048002);
	assert_int_equal(*word(KSTACK - 12), 0x202);
	assert_int_equal(*word(KSTACK - 8), 0xbffff000);
	/* A trap gate leaves interrupts on. */
	assert_int_equal(*data(0), 0x200);
}

static void page_fault_frame(void **state)
{
	init();
	gate(TRAP_PF, 0xe, 0, HANDLER);
	*data(0) = 0;		/* in ring 1 with interrupts off: the frame must say so (lguest-pitfalls, C16) */
	cpu->eip = 0xc0123456;
	cpu->gpr[R_ESP] = STACK;
	exit_with((struct cpu_exit){.kind = EXIT_FAULT, .vector = TRAP_PF, .error = 2, .address = 0xf8001234, .eip = 0xc0123456});
	assert_int_equal(*data(8), 0xf8001234);
	assert_int_equal(cpu->gpr[R_ESP], STACK - 16);
	assert_int_equal(*word(STACK - 16), 2);
	assert_int_equal(*word(STACK - 12), 0xc0123456);
	assert_int_equal(*word(STACK - 8), KERNEL_CS);
	assert_int_equal(*word(STACK - 4), 0x2);
	*data(0) = 0x246;
	cpu->gpr[R_ESP] = STACK;
	exit_with((struct cpu_exit){.kind = EXIT_FAULT, .vector = TRAP_PF, .error = 0, .address = 1, .eip = 2});
	assert_int_equal(*word(STACK - 4), 0x202);
	assert_int_equal(*data(0), 0);
}

static void error_codes(void **state)
{
	static const uint8_t with[] = {8, 10, 11, 12, 13, 14, 17};

	init();
	for (uint32_t vector = 0; vector < 20; vector++) {
		uint32_t words = memchr(with, (int)vector, sizeof(with)) ? 4 : 3;

		if (vector == 2 || vector == 8 || vector == 15)
			continue;
		gate(vector, 0xf, 0, HANDLER);
		cpu->gpr[R_ESP] = STACK;
		exit_with((struct cpu_exit){.kind = EXIT_FAULT, .vector = vector, .error = 0});
		assert_int_equal(cpu->gpr[R_ESP], STACK - 4 * words);
	}
}

static void software_interrupts(void **state)
{
	init();
	gate(TRAP_GP, 0xe, 0, HANDLER + 0x100);
	gate(TRAP_BP, 0xe, 3, HANDLER);
	gate(TRAP_DB, 0xe, 0, HANDLER + 0x200);
	call(CALL_SET_STACK, KERNEL_DS, KSTACK, 1);
	in_ring(3);
	cpu->eip = 0x1001;
	exit_with((struct cpu_exit){.kind = EXIT_INT, .vector = TRAP_BP, .eip = 0x1000});
	assert_int_equal(cpu->eip, HANDLER);
	assert_int_equal(*word(KSTACK - 20), 0x1001);
	/* INT $14, INT $0x50: no gate for ring 3. */
	in_ring(3);
	gate(TRAP_PF, 0xe, 0, HANDLER);
	in_ring(3);
	exit_with((struct cpu_exit){.kind = EXIT_INT, .vector = TRAP_PF, .eip = 0x1000});
	assert_int_equal(cpu->eip, HANDLER + 0x100);
	assert_int_equal(*word(KSTACK - 24), 14 << 3 | 2);
	in_ring(3);
	exit_with((struct cpu_exit){.kind = EXIT_INT, .vector = 0x50, .eip = 0x1000});
	assert_int_equal(*word(KSTACK - 24), 0x50 << 3 | 2);
	/* INT $1 is refused, ICEBP is not. */
	*word(0x1000) = 0x01cd;
	in_ring(3);
	exit_with((struct cpu_exit){.kind = EXIT_INT, .vector = TRAP_DB, .eip = 0x1000});
	assert_int_equal(cpu->eip, HANDLER + 0x100);
	*word(0x1000) = 0xf1;
	in_ring(3);
	exit_with((struct cpu_exit){.kind = EXIT_INT, .vector = TRAP_DB, .eip = 0x1000});
	assert_int_equal(cpu->eip, HANDLER + 0x200);
	assert_false(m->ended);
}

static void unhandled_traps(void **state)
{
	cpu->eip = 0x101234;
	exit_with((struct cpu_exit){.kind = EXIT_FAULT, .vector = TRAP_PF, .error = 2, .address = 0xdeadbeef});
	assert_killed("unhandled trap 14 at EIP 0x101234 (0xdeadbeef)");
	exit_with((struct cpu_exit){.kind = EXIT_FAULT, .vector = TRAP_GP, .error = 0x18});
	assert_killed("unhandled trap 13 at EIP 0x101234 (0x18)");
	exit_with((struct cpu_exit){.kind = EXIT_INT, .vector = TRAP_BP, .eip = 0x101230});
	assert_killed("unhandled trap 3 at EIP 0x101230");
}

static void kernel_stack_that_is_not_there(void **state)
{
	init();
	gate(TRAP_UD, 0xe, 0, HANDLER);
	in_ring(3);
	cpu->eip = 0x8048000;
	exit_with((struct cpu_exit){.kind = EXIT_FAULT, .vector = TRAP_UD});
	assert_killed("no usable kernel stack for trap 6 at EIP 0x8048000");
}

/* --- interrupts --------------------------------------------------------------------------------------------------------- */

static void ready_for_interrupts(void)
{
	init();
	for (uint32_t i = 0; i < 32; i++)
		gate(VECTOR_IRQ + i, 0xe, 0, HANDLER + 16 * i);
	*data(4) = 0;
	cpu->eip = 0xc0100000;
	cpu->gpr[R_ESP] = STACK;
}

static void delivered(uint32_t irq)
{
	assert_int_equal(cpu->eip, HANDLER + 16 * irq);
	assert_false(atomic_load(&m->pending) & 1u << irq);
	cpu->eip = 0xc0100000;
	cpu->gpr[R_ESP] = STACK;
}

static void lowest_first_and_one_at_a_time(void **state)
{
	ready_for_interrupts();
	*data(0) = 0x200;
	*data(12) = 0;
	lguest_raise(m, 5);
	lguest_raise(m, 3);
	lguest_raise(m, 5);
	lguest_deliver(m);
	delivered(3);
	assert_true(*data(12));			/* the clock was set */
	assert_int_equal(*data(0), 0);
	assert_int_equal(*data(20), 0x200);	/* one more is waiting */
	assert_true(cpu->irq_pending);
	lguest_deliver(m);
	assert_int_equal(cpu->frames, 1);
	*data(0) = 0x200;
	lguest_deliver(m);
	delivered(5);
	assert_int_equal(*data(20), 0);
	assert_false(cpu->irq_pending);
	*data(0) = 0x200;
	lguest_deliver(m);
	assert_int_equal(cpu->frames, 2);
}

static void kept_back(void **state)
{
	ready_for_interrupts();
	/* Off. Other bits of a saved EFLAGS image do not count (lguest-pitfalls, C2). */
	*data(0) = 0x46;
	lguest_raise(m, 1);
	lguest_deliver(m);
	assert_int_equal(cpu->frames, 0);
	assert_int_equal(*data(20), 0x200);
	assert_true(cpu->irq_pending);
	assert_true(m->clock.retry != NEVER);	/* also if it spins where the processor does not look */
	assert_false(cpu->ops->interruptible(m));
	*data(0) = 0x246;
	assert_true(cpu->ops->interruptible(m));
	/* In the quiet window. */
	for (uint32_t eip = QUIET; eip < QUIET + 8; eip++) {
		cpu->eip = eip;
		assert_false(cpu->ops->interruptible(m));
		lguest_deliver(m);
		assert_int_equal(cpu->frames, 0);
	}
	cpu->eip = QUIET + 8;
	assert_true(cpu->ops->interruptible(m));
	cpu->eip = QUIET - 1;
	assert_true(cpu->ops->interruptible(m));
	lguest_deliver(m);
	delivered(1);
	assert_int_equal(*word(STACK - 12), QUIET - 1);
	assert_int_equal(m->clock.retry, NEVER);
}

static void blocked_lines(void **state)
{
	int looks = 0;

	ready_for_interrupts();
	*data(0) = 0x200;
	*data(4) = 1 << 2;
	lguest_raise(m, 2);
	lguest_deliver(m);
	assert_int_equal(cpu->frames, 0);
	assert_true(cpu->irq_pending);
	/* The processor does not look for ever. */
	while (!cpu->ops->interruptible(m) && looks < 1000000)
		looks++;
	assert_in_range(looks, 100, 999999);
	lguest_deliver(m);
	assert_false(cpu->irq_pending);
	assert_true(m->clock.retry != NEVER);
	*data(4) = 0;
	lguest_deliver(m);
	delivered(2);
}

static void no_gate_no_delivery(void **state)
{
	init();
	*data(4) = 0;
	*data(0) = 0x200;
	lguest_raise(m, 4);
	lguest_deliver(m);
	assert_false(m->ended);
	assert_int_equal(atomic_load(&m->pending), 1 << 4);
}

static void none_before_init(void **state)
{
	lguest_raise(m, 1);
	lguest_deliver(m);
	assert_int_equal(atomic_load(&m->pending), 2);
	assert_false(m->ended);
}

static void halt_ends_with_interrupts_on(void **state)
{
	ready_for_interrupts();
	*data(0) = 0;
	lguest_raise(m, 7);
	call(CALL_HALT, 0, 0, 0);
	assert_true(m->halted);
	cpu->gpr[R_ESP] = STACK;
	lguest_deliver(m);
	assert_false(m->halted);
	assert_int_equal(*word(STACK - 4), 0x202);	/* IF, though irq_enabled was 0 (lguest-pitfalls, C3) */
	delivered(7);
}

static void *raise_later(void *opaque)
{
	usleep(20000);
	lguest_raise(m, 9);
	return NULL;
}

/* A device's thread wakes a sleeping guest; a blocked line does not. */
static void sleep_and_wake(void **state)
{
	pthread_t thread;

	ready_for_interrupts();
	*data(4) = 1 << 8;
	lguest_raise(m, 8);
	m->halted = true;
	pthread_create(&thread, NULL, raise_later, NULL);
	lguest_sleep(m);
	pthread_join(thread, NULL);
	assert_int_equal(atomic_load(&m->pending), 1 << 8 | 1 << 9);
	assert_int_equal(cpu->stats.kicks, 0);
	m->halted = false;
	atomic_store(&m->pending, 0);
	/* And a running one is kicked. */
	pthread_create(&thread, NULL, raise_later, NULL);
	pthread_join(thread, NULL);
	assert_int_equal(cpu->stats.kicks, 1);
}

static void sleep_until_the_timer(void **state)
{
	uint64_t start;

	ready_for_interrupts();
	call(CALL_SET_CLOCKEVENT, 30000000, 0, 0);
	start = lguest_now();
	lguest_sleep(m);
	assert_in_range(lguest_now() - start, 25000000, 3000000000);
	assert_int_equal(atomic_load(&m->pending), 1);
	/* Once for each setting (lguest-pitfalls, D2). */
	atomic_store(&m->pending, 0);
	lguest_clock_poll(m);
	assert_int_equal(atomic_load(&m->pending), 0);
}

static void timer_is_cancelled_and_moved(void **state)
{
	ready_for_interrupts();
	call(CALL_SET_CLOCKEVENT, 1, 0, 0);
	call(CALL_SET_CLOCKEVENT, 0, 0, 0);
	lguest_clock_poll(m);
	assert_int_equal(atomic_load(&m->pending), 0);
	call(CALL_SET_CLOCKEVENT, 1, 0, 0);
	call(CALL_SET_CLOCKEVENT, 0xffffffff, 0, 0);
	lguest_clock_poll(m);
	assert_int_equal(atomic_load(&m->pending), 0);
	/* A tick that is pending stays pending (D1). */
	call(CALL_SET_CLOCKEVENT, 1, 0, 0);
	usleep(1);
	lguest_clock_poll(m);
	call(CALL_SET_CLOCKEVENT, 0, 0, 0);
	assert_int_equal(atomic_load(&m->pending), 1);
}

static void wait_for_tick(struct cpu *c)
{
	if (c->frames)
		lguest_machine.stop(machine);
}

/* While the guest runs the host's timer has to stop it. */
static void timer_interrupts_a_running_guest(void **state)
{
	ready_for_interrupts();
	*data(0) = 0x200;
	call(CALL_SET_CLOCKEVENT, 5000000, 0, 0);
	cpu->gpr[R_ESP] = STACK;
	cpu->step = wait_for_tick;
	assert_int_equal(lguest_machine.run(machine), MACHINE_STOPPED);
	assert_true(cpu->stats.kicks >= 1);
	assert_int_equal(cpu->frames, 1);
}

/* --- privileged instructions -------------------------------------------------------------------------------------------- */

static void execute(struct insn insn)
{
	cpu->eip = 0xc0100000;
	exit_with((struct cpu_exit){.kind = EXIT_PRIVILEGED, .insn = &insn, .eip = 0xc0100000});
}

static void assert_skipped(uint32_t len)
{
	assert_false(m->ended);
	assert_int_equal(cpu->eip, 0xc0100000 + len);
}

static void ports(void **state)
{
	cpu->gpr[R_EAX] = 0x12345678;
	execute((struct insn){.action = ACT_IN, .op = 0xe4, .len = 2, .opsize = 4, .imm = 0x71});
	assert_skipped(2);
	assert_int_equal(cpu->gpr[R_EAX], 0x123456ff);
	cpu->gpr[R_EAX] = 0x12345678;
	execute((struct insn){.action = ACT_IN, .op = 0xed, .len = 2, .opsize = 2});
	assert_int_equal(cpu->gpr[R_EAX], 0x1234ffff);
	execute((struct insn){.action = ACT_IN, .op = 0xed, .len = 1, .opsize = 4});
	assert_skipped(1);
	assert_int_equal(cpu->gpr[R_EAX], 0xffffffff);
	cpu->gpr[R_EDX] = 0x3f8;
	execute((struct insn){.action = ACT_OUT, .op = 0xee, .len = 1, .opsize = 4});
	assert_skipped(1);
	/* The keyboard controller's reset line. */
	cpu->gpr[R_EAX] = 0xfe;
	execute((struct insn){.action = ACT_OUT, .op = 0xe6, .len = 2, .opsize = 4, .imm = 0x64});
	assert_true(m->ended);
	assert_int_equal(m->end, MACHINE_RESTART);
}

static void user_mode_gets_a_fault(void **state)
{
	static const struct insn insns[] = {
		{.action = ACT_IN, .op = 0xe4, .len = 2}, {.action = ACT_OUT, .op = 0xee, .len = 1}, {.action = ACT_CLI, .len = 1},
		{.action = ACT_HLT, .len = 1}, {.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x20, .len = 3},
		{.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x32, .len = 2},
	};

	init();
	gate(TRAP_GP, 0xe, 0, HANDLER);
	call(CALL_SET_STACK, KERNEL_DS, KSTACK, 1);
	for (size_t i = 0; i < sizeof(insns) / sizeof(insns[0]); i++) {
		in_ring(3);
		execute(insns[i]);
		assert_false(m->ended);
		assert_int_equal(cpu->eip, HANDLER);
		assert_int_equal(*word(KSTACK - 24), 0);
	}
}

static void before_there_is_a_gate(void **state)
{
	cpu->gpr[R_EAX] = cpu->gpr[R_EDX] = 0x55;
	execute((struct insn){.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x32, .len = 2});
	assert_skipped(2);
	assert_int_equal(cpu->gpr[R_EAX] | cpu->gpr[R_EDX], 0);
	execute((struct insn){.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x30, .len = 2});
	assert_skipped(2);
	execute((struct insn){.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x01, .reg = 2, .mem = true, .len = 7});
	assert_skipped(7);
	execute((struct insn){.action = ACT_CLI, .len = 1});
	assert_skipped(1);
	execute((struct insn){.action = ACT_HLT, .len = 1});
	assert_killed("gave up before it was up");
}

static void with_a_gate(void **state)
{
	init();
	gate(TRAP_GP, 0xe, 0, HANDLER);
	execute((struct insn){.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x32, .len = 2});
	assert_int_equal(cpu->eip, HANDLER);
	cpu->gpr[R_ESI] = 0x55;
	execute((struct insn){.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x20, .reg = 4, .rm = R_ESI, .len = 3});
	assert_skipped(3);
	assert_int_equal(cpu->gpr[R_ESI], 0);
	*data(8) = 0xabcd;
	execute((struct insn){.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x20, .reg = 2, .rm = R_ESI, .len = 3});
	assert_int_equal(cpu->gpr[R_ESI], 0xabcd);
	execute((struct insn){.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x20, .reg = 0, .rm = R_ESI, .len = 3});
	assert_int_equal(cpu->gpr[R_ESI] & 0x80010001, 0x80010001);
	execute((struct insn){.action = ACT_STI, .len = 1});
	assert_skipped(1);
	/* HLT: with interrupts on it sleeps, with them off that is the end (lguest-pitfalls, J3). */
	*data(0) = 0x200;
	execute((struct insn){.action = ACT_HLT, .len = 1});
	assert_skipped(1);
	assert_true(m->halted);
	*data(0) = 0;
	execute((struct insn){.action = ACT_HLT, .len = 1});
	assert_true(m->ended);
	assert_int_equal(m->end, MACHINE_HALTED);
}

/* A debugger inside the guest finds its single step (lguest-pitfalls, F10). */
static void debug_status(void **state)
{
	init();
	gate(TRAP_DB, 0xe, 0, HANDLER);
	exit_with((struct cpu_exit){.kind = EXIT_FAULT, .vector = TRAP_DB});
	execute((struct insn){.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x21, .reg = 6, .rm = R_EAX, .len = 3});
	assert_skipped(3);
	assert_int_equal(cpu->gpr[R_EAX], 0xffff4ff0);
	cpu->gpr[R_EAX] = 0;
	execute((struct insn){.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x23, .reg = 6, .rm = R_EAX, .len = 3});
	execute((struct insn){.action = ACT_PRIVILEGED, .map = MAP_0F, .op = 0x21, .reg = 6, .rm = R_EAX, .len = 3});
	assert_int_equal(cpu->gpr[R_EAX], 0xffff0ff0);
}

static void system_reads_work_for_everybody(void **state)
{
	init();
	gate(TRAP_PF, 0xe, 0, HANDLER);
	call(CALL_SET_STACK, KERNEL_DS, KSTACK, 1);
	in_ring(3);
	cpu->gpr[R_EDI] = 0x12345678;
	execute((struct insn){.action = ACT_SYSTEM_READ, .map = MAP_0F, .op = 0, .reg = 1, .rm = R_EDI, .len = 3, .opsize = 2});
	assert_skipped(3);
	assert_int_equal(cpu->gpr[R_EDI], 0x12340000);
	execute((struct insn){.action = ACT_SYSTEM_READ, .map = MAP_0F, .op = 1, .reg = 4, .rm = R_EDI, .len = 3, .opsize = 4});
	assert_int_equal(cpu->gpr[R_EDI] & 0x31, 0x31);
	*word(0x7000) = *word(0x7004) = ~0u;
	execute((struct insn){.action = ACT_SYSTEM_READ, .map = MAP_0F, .op = 1, .reg = 0, .mem = true, .disp = 0x7000, .len = 7});
	assert_skipped(7);
	assert_int_equal(*word(0x7000), 0x000000ff);
	assert_int_equal(*word(0x7004), 0xffff0000);
	/* Where the operand cannot be written that is a page fault. */
	execute((struct insn){.action = ACT_SYSTEM_READ, .map = MAP_0F, .op = 0, .reg = 0, .mem = true, .disp = 0x7fffffff, .len = 7});
	assert_int_equal(cpu->eip, HANDLER);
	assert_int_equal(*data(8), 0x7fffffff);
	assert_int_equal(*word(KSTACK - 24), PF_WRITE | PF_USER);
}

/* --- CPUID -------------------------------------------------------------------------------------------------------------- */

static void all_ones(uint32_t leaf, uint32_t regs[4])
{
	memset(regs, 0xff, 16);
	cpu->ops->cpuid(m, leaf, 0, regs);
}

static void cpuid_hides_what_needs_a_kernel(void **state)
{
	uint32_t r[4];

	all_ones(0, r);
	assert_int_equal(r[0], 7);
	all_ones(1, r);
	assert_int_equal(r[3] & (1 << 11 | 1 << 9 | 1 << 3 | 1 << 12 | 1 << 16), 0);		/* SEP APIC PSE MTRR PAT */
	assert_int_equal(r[3] & (1 << 4 | 1 << 8 | 1 << 15 | 1 << 25), 1 << 4 | 1 << 8 | 1 << 15 | 1 << 25);
	assert_int_equal(r[2] & (1 << 26 | 1 << 27 | 1 << 28 | 1 << 12 | 1 << 3 | 1 << 21), 0);	/* XSAVE OSXSAVE AVX FMA MONITOR x2APIC */
	assert_int_equal(r[2] & 1 << 30, 0);								/* RDRAND: #UD */
	assert_true(r[2] & 1u << 31);
	assert_int_equal(r[1] >> 24, 0);
	all_ones(7, r);
	assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
	all_ones(0xd, r);
	assert_int_equal(r[0] | r[1] | r[2] | r[3], 0);
	all_ones(0x80000001, r);
	assert_int_equal(r[3] & (1 << 11 | 1 << 20 | 1 << 27 | 1 << 29), 0);			/* SYSCALL NX RDTSCP LM */
	all_ones(0x80000008, r);
	assert_int_equal(r[1] | r[2] | r[3], 0);
	all_ones(0x40000000, r);
	assert_memory_equal(&r[1], "Kenn", 4);
}

static void cpuid_offers_what_runs(void **state)
{
	uint32_t r[4];

	for (size_t i = 0; i < sizeof(features) / sizeof(features[0]); i++) {
		all_ones(features[i].leaf, r);
		if ((r[features[i].reg] >> features[i].bit & 1) != feature_runs(&features[i]))
			fail_msg("%s", features[i].name);
	}
}

/* --- the early console, the end, the next beginning --------------------------------------------------------------------- */

static void notify_outside_memory(void **state)
{
	init();
	call(CALL_NOTIFY, RAM_BYTES + 8, 0, 0);
	assert_killed("NOTIFY of 0x400008, which is no queue, no device, and not in memory");
	call(CALL_NOTIFY, 0xfffffff0, 0, 0);
	assert_killed("[NOTIFY(0xfffffff0) at EIP");
	strcpy((char *)word(0x7000), "hello");
	call(CALL_NOTIFY, 0x7000, 0, 0);
	/* Without an end, up to the end. */
	memset(word(RAM_BYTES - 16), 'x', 16);
	call(CALL_NOTIFY, RAM_BYTES - 16, 0, 0);
	assert_false(m->ended);
	assert_false(cpu->fpu_released);
}

static void reset_forgets_everything(void **state)
{
	struct error error;
	uint32_t low, high;

	init();
	gate(14, 0xe, 0, HANDLER);
	call(CALL_LOAD_GDT_ENTRY, 15, 0xffff, 0x00cff200);
	call(CALL_SET_STACK, KERNEL_DS, KSTACK, 1);
	call(CALL_TS, 8, 0, 0);
	call(CALL_SET_CLOCKEVENT, 0xffffffff, 0, 0);
	queue(0, CALL_TS, 0, 0, 0);
	call(CALL_NEW_PGTABLE, 0x5000, 0, 0);
	lguest_raise(m, 3);
	*word(0x300000) = 0x12345678;
	call(CALL_SHUTDOWN, 0, 2, 0);
	assert_int_equal(lguest_machine.run(machine), MACHINE_RESTART);
	assert_int_equal(lguest_machine.reset(machine, &error), 0);
	assert_int_equal(*word(0x300000), 0);
	assert_false(m->initialised | m->paged | m->halted | m->ended);
	assert_false(m->gate[14].present);
	assert_int_equal(m->stack_top, 0);
	assert_int_equal(m->ring_next, 0);
	assert_int_equal(m->clock.deadline, NEVER);
	assert_int_equal(atomic_load(&m->pending), 0);
	cpu->ops->descriptor(m, 0x7b, &low, &high);
	assert_int_equal(low | high, 0);
	assert_int_equal(cpu->linear, RAM_BYTES);
	assert_true(cpu->dirties >= 1);
	cpu->gpr[R_ESP] = 0;
	entry_state(NULL);
}

static void other_kernels_are_refused(void **state)
{
	struct image image = image_vmlinux();
	struct kernel other;
	struct error error;

	assert_int_equal(lguest_machine.check_kernel(&kernel, &error), 0);
	memcpy(image.data + 0x1100 + 48, "nobody", 6);
	assert_int_equal(kernel_open(&other, image_file(image.data, image.size), &error), 0);
	assert_true(lguest_machine.check_kernel(&other, &error) < 0);
	assert_non_null(strstr(error.text, "has no lguest guest support"));
	kernel_close(&other);
	image_free(image);
}

static void too_little_or_too_much_memory(void **state)
{
	struct machine_config config = {.kernel = &kernel, .command_line = "", .memory = 1 << 20};
	struct error error;

	assert_null(lguest_machine.create(&config, &error));
	assert_non_null(strstr(error.text, "too little memory: this kernel needs at least"));
	config.memory = 4ull << 30;
	assert_null(lguest_machine.create(&config, &error));
	assert_non_null(strstr(error.text, "from 1M to 3072M"));
}

/* It would cut memory short and look for its devices in the wrong place. */
static void too_much_without_highmem(void **state)
{
	struct machine_config config = {.kernel = &kernel, .command_line = "", .memory = 881 << 20};
	struct error error;
	struct machine *other;

	memcpy((uint8_t *)(uintptr_t)kernel.elf + 0x1200, "on non-highmem kernel!", 22);
	assert_null(lguest_machine.create(&config, &error));
	assert_non_null(strstr(error.text, "at most 880M"));
	config.memory = 880 << 20;
	other = lguest_machine.create(&config, &error);
	assert_non_null(other);
	lguest_machine.destroy(other);
}

#define T(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(entry_state), T(init_call), T(data_at_the_end_of_memory), T(unknown_calls), T(harmless_calls), T(page_table_calls),
		T(pae_is_refused), T(stacks), T(task_switched), T(descriptors), T(gates), T(shutdown_calls), T(ring_runs_first_and_in_order),
		T(full_ring), T(ring_call_that_ends_the_guest), T(ring_3_may_not_call), T(system_call_frame), T(page_fault_frame),
		T(error_codes), T(software_interrupts), T(unhandled_traps), T(kernel_stack_that_is_not_there),
		T(lowest_first_and_one_at_a_time), T(kept_back), T(blocked_lines), T(no_gate_no_delivery), T(none_before_init),
		T(halt_ends_with_interrupts_on), T(sleep_and_wake), T(sleep_until_the_timer), T(timer_is_cancelled_and_moved),
		T(timer_interrupts_a_running_guest), T(ports), T(user_mode_gets_a_fault), T(before_there_is_a_gate), T(with_a_gate),
		T(debug_status), T(system_reads_work_for_everybody), T(cpuid_hides_what_needs_a_kernel),
		T(cpuid_offers_what_runs), T(notify_outside_memory),
		T(reset_forgets_everything), T(other_kernels_are_refused), T(too_little_or_too_much_memory),
		T(too_much_without_highmem),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
