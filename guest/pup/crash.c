/* SPDX-License-Identifier: MIT */
/*
 * crash.c - the command `crash KIND`: every way to break the contract that must end this guest, and nothing but this guest, with
 * a sentence. If the host lets us go on instead, that is a failed check.
 */
#include "pup.h"
#include "device.h"

#include <transport/lguest/page.h>

#define BEYOND 0xfff00000u	/* a physical address that no machine of ours has */

static void bad_hypercall(void)
{
	hypercall(99, 1, 2, 3, 4);
}

static void ring_hypercall(void)
{
	hypercall_lazy(98, 1, 2, 3, 4);
	hypercall(LHCALL_FLUSH_ASYNC, 0, 0, 0, 0);
}

static void second_init(void)
{
	hypercall(LHCALL_LGUEST_INIT, PHYSICAL(&lguest_data), 0, 0, 0);
}

static void shutdown_text(void)
{
	panic("as was asked for");
}

static void shutdown_outside(void)
{
	hypercall(LHCALL_SHUTDOWN, BEYOND, SHUTDOWN_POWEROFF, 0, 0);
}

static void tls_outside(void)
{
	hypercall(LHCALL_LOAD_TLS, BEYOND, 0, 0, 0);
}

static void tls_wraps(void)
{
	hypercall(LHCALL_LOAD_TLS, 0xfffffff0, 0, 0, 0);
}

static void directory_outside(void)
{
	hypercall(LHCALL_NEW_PGTABLE, BEYOND, 0, 0, 0);
}

static void idt_type(void)
{
	hypercall(LHCALL_LOAD_IDT_ENTRY, 0x40, KERNEL_CS << 16, 0x8500, 0); /* a task gate */
}

static void idt_vector(void)
{
	hypercall(LHCALL_LOAD_IDT_ENTRY, 256, KERNEL_CS << 16, 0x8e00, 0);
}

static void gdt_slot(void)
{
	hypercall(LHCALL_LOAD_GDT_ENTRY, 32, 0xffff, 0x00cf9200, 0);
}

static void stack_ring(void)
{
	hypercall(LHCALL_SET_STACK, USER_DS, PAGE_OFFSET + 0x200000, 1, 0);
}

static void stack_pages(void)
{
	hypercall(LHCALL_SET_STACK, KERNEL_DS, PAGE_OFFSET + 0x200000, 3, 0);
}

static void stack_absent(void)
{
	struct task *task = task_spawn(0);
	uint32_t code;

	task->stack = (uint8_t *)0x10000; /* what SET_STACK will name; the task itself starts from its real one */
	task_wait(task_current(), &code);
}

static void notify_outside(void)
{
	hypercall(LHCALL_NOTIFY, BEYOND, 0, 0, 0);
}

/* Entries that name memory we do not have. */
static void touch(uint32_t entry)
{
	static uint8_t page[PAGE_SIZE] __attribute__((aligned(PAGE_SIZE)));
	uint8_t *window = memory_map(PHYSICAL(page), PAGE_SIZE);

	set_kernel_pte((uint32_t)window, entry);
	*(volatile uint8_t *)window = 1;
}

static void pte_frame(void)
{
	touch(BEYOND | PTE_KERNEL);
}

static void pgd_frame(void)
{
	boot_directory[(MAPPING_START >> 22) + MAPPING_TABLES] = BEYOND | PTE_KERNEL;
	hypercall(LHCALL_SET_PGD, PHYSICAL(boot_directory), (MAPPING_START >> 22) + MAPPING_TABLES, 0, 0);
	*(volatile uint8_t *)(MAPPING_START + MAPPING_TABLES * 0x400000) = 1;
}

static void pgd_index(void)
{
	hypercall(LHCALL_SET_PGD, PHYSICAL(boot_directory), 5000, 0, 0);
}

static void trap_without_gate(void)
{
	hypercall(LHCALL_LOAD_IDT_ENTRY, 6, 0, 0, 0);
	__asm__ volatile("ud2");
}

/* Without a stack the first trap faults, whose fault has no stack either. */
static void no_stack(void)
{
	__asm__ volatile("movl $0x10, %esp\n\tud2");
}

/* The text of a trap loop: the gate of page faults lies in a page that is not there. */
static void gate_absent(void)
{
	hypercall(LHCALL_LOAD_IDT_ENTRY, 14, KERNEL_CS << 16, 0x8e00 | 0x10000, 0);
	*(volatile uint8_t *)0x3000 = 1;
}

/* --- rings that no driver would write ----------------------------------------------------------------------------------- */

/* The console's output queue: the rings are where its descriptor in the device page says. Returns the notify address. */
static uint32_t find_ring(uint8_t type, unsigned int index, uint8_t **ring, unsigned int *num)
{
	const uint8_t *desc = memory_map(machine.memory_end, PAGE_SIZE);

	while (desc[PAGE_DESC_TYPE] && desc[PAGE_DESC_TYPE] != type)
		desc += page_desc_bytes(LGUEST_DESC_VQ, desc[PAGE_DESC_NUM_VQ], desc[PAGE_DESC_FEATURE_LEN], desc[PAGE_DESC_CONFIG_LEN]);
	if (!desc[PAGE_DESC_TYPE])
		panic("crash: there is no such device");
	desc += PAGE_DESC_HEADER + index * LGUEST_DESC_VQ;
	*num = desc[LGUEST_VQ_NUM] | desc[LGUEST_VQ_NUM + 1] << 8;
	*ring = memory_map(*(const uint32_t *)(desc + LGUEST_VQ_PFN) << 12, *num * 16 + PAGE_SIZE);
	return *(const uint32_t *)(desc + LGUEST_VQ_PFN) << 12;
}

struct descriptor {
	uint64_t address;
	uint32_t length;
	uint16_t flags, next;
};

static void offer(struct descriptor descriptor, uint16_t head, uint16_t count)
{
	uint8_t *ring;
	unsigned int num;
	uint32_t address;
	struct descriptor *table;
	uint16_t *available;

	irq_save();
	address = find_ring(VIRTIO_ID_RNG, 0, &ring, &num);
	table = (struct descriptor *)ring;
	available = (uint16_t *)(ring + num * 16);
	table[0] = descriptor;
	available[2 + available[1] % num] = head;
	barrier();
	available[1] += count;
	hypercall(LHCALL_NOTIFY, address, 0, 0, 0);
	/* A broken queue is the device's end, not ours; it says so through its status, and on the host's side in words. */
	irq_enable();
	print("pup: the device was given a broken ring\n");
}

static void ring_loop(void)
{
	offer((struct descriptor){ PHYSICAL(&machine), 16, 1 | 2, 0 }, 0, 1);
}

static void ring_address(void)
{
	offer((struct descriptor){ 0xffffffff00000000ull, 16, 2, 0 }, 0, 1);
}

static void ring_length(void)
{
	offer((struct descriptor){ PHYSICAL(&machine), 0xffffffff, 2, 0 }, 0, 1);
}

static void ring_next(void)
{
	offer((struct descriptor){ PHYSICAL(&machine), 16, 1 | 2, 0xfff0 }, 0, 1);
}

static void ring_head(void)
{
	offer((struct descriptor){ PHYSICAL(&machine), 16, 2, 0 }, 0xffff, 1);
}

static void ring_count(void)
{
	offer((struct descriptor){ PHYSICAL(&machine), 16, 2, 0 }, 0, 0x8000);
}

static const struct kind {
	const char *name;
	void (*run)(void);
	bool survives;		/* it is a device that ends, not the guest */
} kinds[] = {
	{ "hypercall", bad_hypercall, false },
	{ "hypercall-in-ring", ring_hypercall, false },
	{ "second-init", second_init, false },
	{ "panic", shutdown_text, false },
	{ "shutdown-outside", shutdown_outside, false },
	{ "tls-outside", tls_outside, false },
	{ "tls-wraps", tls_wraps, false },
	{ "directory-outside", directory_outside, false },
	{ "idt-type", idt_type, false },
	{ "idt-vector", idt_vector, false },
	{ "gdt-slot", gdt_slot, false },
	{ "stack-ring", stack_ring, false },
	{ "stack-pages", stack_pages, false },
	{ "stack-absent", stack_absent, false },
	{ "notify-outside", notify_outside, false },
	{ "pte-frame", pte_frame, false },
	{ "pgd-frame", pgd_frame, false },
	{ "pgd-index", pgd_index, false },
	{ "trap-without-gate", trap_without_gate, false },
	{ "no-stack", no_stack, false },
	{ "gate-absent", gate_absent, false },
	{ "ring-loop", ring_loop, true },
	{ "ring-address", ring_address, true },
	{ "ring-length", ring_length, true },
	{ "ring-next", ring_next, true },
	{ "ring-head", ring_head, true },
	{ "ring-count", ring_count, true },
};

int crash_command(int argc, char **argv)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (argc > 1 && !strcmp(argv[1], kinds[i].name)) {
			kinds[i].run();
			report(kinds[i].survives, kinds[i].name);
			return !kinds[i].survives;
		}
		if (argc < 2)
			print("%s%s", kinds[i].name, (i + 1) % 6 && i + 1 < ARRAY_SIZE(kinds) ? " " : "\n");
	}
	if (argc > 1)
		print("crash: no such kind\n");
	return argc > 1;
}
