/* SPDX-License-Identifier: MIT */
/*
 * memory.c - page frames, and the kernel's half of every address space.
 *
 * Physical memory up to LINEAR_LIMIT is seen at PAGE_OFFSET, through page tables that are made once at boot and never change.
 * Above it the mapping area shows device pages, and lends the self-test addresses to play with. All kernel page tables exist
 * before the first user directory is made, so a directory's upper 256 entries are copied from the kernel's and need no upkeep.
 *
 * The contract with the host is the one a processor's TLB has: new entries need no call, since the host looks at our tables
 * when it misses one; an entry that changed or went away is announced by SET_PTE, SET_PGD or FLUSH_TLB afterwards.
 */
#include "pup.h"

extern char image_end[];

#define FRAMES (LINEAR_LIMIT / PAGE_SIZE)

static uint8_t references[FRAMES];
static void *free_list;			/* linked through the first word of each free page */
static uint32_t fresh, fresh_end;	/* physical: never handed out so far, so that boot need not touch all of memory */
static uint32_t free_pages;
static uint32_t mapping_next = MAPPING_START;

void *page_alloc(void)
{
	uint32_t *page = free_list;

	if (page) {
		free_list = *(void **)page;
	} else {
		if (fresh == fresh_end)
			panic("out of memory");
		page = VIRTUAL(fresh);
		fresh += PAGE_SIZE;
	}
	free_pages--;
	references[PHYSICAL(page) / PAGE_SIZE] = 1;
	memset(page, 0, PAGE_SIZE);
	return page;
}

void page_get(void *page)
{
	references[PHYSICAL(page) / PAGE_SIZE]++;
}

void page_put(void *page)
{
	if (--references[PHYSICAL(page) / PAGE_SIZE])
		return;
	*(void **)page = free_list;
	free_list = page;
	free_pages++;
}

unsigned int page_references(void *page)
{
	return references[PHYSICAL(page) / PAGE_SIZE];
}

uint32_t memory_free_pages(void)
{
	return free_pages;
}

/* Boot maps 8 MiB only, and the tables for the rest come from there: LINEAR_LIMIT needs half a megabyte of them. */
static void add_table(uint32_t address)
{
	uint32_t *table = page_alloc();

	if (address < PAGE_OFFSET + LINEAR_LIMIT) {
		for (unsigned int i = 0; i < 1024; i++)
			table[i] = (PHYSICAL(address) + i * PAGE_SIZE) | PTE_KERNEL;
	}
	boot_directory[address >> 22] = PHYSICAL(table) | PTE_KERNEL;
}

void memory_init(void)
{
	uint32_t end = machine.memory_end < LINEAR_LIMIT ? machine.memory_end : LINEAR_LIMIT;

	fresh = PHYSICAL(image_end);
	fresh_end = machine.initrd && machine.initrd < end ? machine.initrd & PTE_FRAME : end;
	free_pages = (fresh_end - fresh) / PAGE_SIZE;
	for (uint32_t address = PAGE_OFFSET + 0x800000; address < PAGE_OFFSET + end; address += 0x400000)
		add_table(address);
	for (unsigned int i = 0; i < MAPPING_TABLES; i++)
		add_table(MAPPING_START + i * 0x400000);
	/* Nobody runs at the low addresses any more. */
	boot_directory[0] = boot_directory[1] = 0;
	hypercall(LHCALL_SET_PGD, PHYSICAL(boot_directory), 0, 0, 0);
	hypercall(LHCALL_SET_PGD, PHYSICAL(boot_directory), 1, 0, 0);
	hypercall(LHCALL_FLUSH_TLB, 1, 0, 0, 0);
}

volatile uint32_t *mapping_entry(uint32_t address)
{
	uint32_t *table = VIRTUAL(boot_directory[address >> 22] & PTE_FRAME);

	return &table[address >> 12 & 1023];
}

void *memory_map(uint32_t physical, uint32_t size)
{
	uint32_t address = mapping_next, offset = physical & ~PTE_FRAME;
	uint32_t pages = (offset + size + PAGE_SIZE - 1) / PAGE_SIZE;

	if (address + pages * PAGE_SIZE > MAPPING_START + MAPPING_TABLES * 0x400000)
		panic("no room to map %u bytes at %08x", size, physical);
	for (uint32_t i = 0; i < pages; i++)
		*mapping_entry(address + i * PAGE_SIZE) = ((physical & PTE_FRAME) + i * PAGE_SIZE) | PTE_KERNEL;
	mapping_next += pages * PAGE_SIZE;
	return (void *)(address + offset);
}

void set_kernel_pte(uint32_t address, uint32_t entry)
{
	*mapping_entry(address) = entry;
	hypercall(LHCALL_SET_PTE, PHYSICAL(boot_directory), address, entry, 0);
}
