/* SPDX-License-Identifier: MIT */
/*
 * space.c - the user half of an address space: pages that appear when they are touched and are copied when a second owner writes.
 *
 * An entry that a fault asks for is about to be used, so it gets its accessed and dirty bits at once and the host need not come
 * back to set them. A forked child's entries get neither: setting them, as a processor would, is the host's part.
 */
#include "pup.h"

#define USER_TABLES (PAGE_OFFSET >> 22)
#define MANY_PAGES  32

extern const uint8_t user_image[], user_image_end[];

uint32_t *space_create(void)
{
	uint32_t *directory = page_alloc();

	memcpy(directory + USER_TABLES, boot_directory + USER_TABLES, (1024 - USER_TABLES) * sizeof(*directory));
	return directory;
}

/* Where the entry of a user address is; with @make, its page table is added if there is none. */
volatile uint32_t *space_entry(uint32_t *directory, uint32_t address, bool make)
{
	uint32_t *slot = &directory[address >> 22];

	if (!*slot) {
		if (!make)
			return NULL;
		*slot = PHYSICAL(page_alloc()) | PTE_PRESENT | PTE_WRITE | PTE_USER | PTE_ACCESSED;
		hypercall_lazy(LHCALL_SET_PGD, PHYSICAL(directory), address >> 22, 0, 0);
	}
	return (uint32_t *)VIRTUAL(*slot & PTE_FRAME) + (address >> 12 & 1023);
}

static void set_entry(uint32_t *directory, uint32_t address, volatile uint32_t *entry, uint32_t value)
{
	*entry = value;
	hypercall(LHCALL_SET_PTE, PHYSICAL(directory), address & PTE_FRAME, value, 0);
}

/* Of the current directory. Few pages are announced one by one, many with one call that forgets everything of the user's. */
void space_unmap(uint32_t *directory, uint32_t start, uint32_t end)
{
	bool many = end - start > MANY_PAGES * PAGE_SIZE;

	for (uint32_t address = start; address < end; address += PAGE_SIZE) {
		volatile uint32_t *entry = space_entry(directory, address, false);
		uint32_t old;

		if (!entry || !*entry)
			continue;
		old = *entry;
		*entry = 0;
		if (!many)
			hypercall_lazy(LHCALL_SET_PTE, PHYSICAL(directory), address, 0, 0);
		page_put(VIRTUAL(old & PTE_FRAME));
	}
	/* Before anybody can be given those pages. */
	hypercall(many ? LHCALL_FLUSH_TLB : LHCALL_FLUSH_ASYNC, 0, 0, 0, 0);
}

/* Not the current one. The directory's page will be a directory again: leave no host with memories of this one. */
void space_destroy(uint32_t *directory)
{
	for (unsigned int i = 0; i < USER_TABLES; i++) {
		uint32_t *table = VIRTUAL(directory[i] & PTE_FRAME);

		if (!directory[i])
			continue;
		for (unsigned int j = 0; j < 1024; j++) {
			if (table[j])
				page_put(VIRTUAL(table[j] & PTE_FRAME));
		}
		directory[i] = 0;
		hypercall_lazy(LHCALL_SET_PGD, PHYSICAL(directory), i, 0, 0);
		page_put(table);
	}
	hypercall(LHCALL_FLUSH_ASYNC, 0, 0, 0, 0);
	page_put(directory);
}

void space_share(uint32_t *to, uint32_t *from)
{
	for (uint32_t i = 0; i < USER_TABLES; i++) {
		volatile uint32_t *old = VIRTUAL(from[i] & PTE_FRAME), *new;

		if (!from[i])
			continue;
		new = space_entry(to, i << 22, true);
		for (uint32_t j = 0; j < 1024; j++) {
			if (!old[j])
				continue;
			old[j] &= ~PTE_WRITE;
			new[j] = old[j] & ~(PTE_ACCESSED | PTE_DIRTY);
			page_get(VIRTUAL(old[j] & PTE_FRAME));
		}
	}
	hypercall(LHCALL_FLUSH_TLB, 0, 0, 0, 0);
}

/* A page of the current task's program or of nothing at all. */
static void *make_page(uint32_t address)
{
	uint8_t *page = page_alloc();
	uint32_t size = user_image_end - user_image, offset = (address & PTE_FRAME) - USER_IMAGE;

	if (address >= USER_IMAGE && offset < size)
		memcpy(page, user_image + offset, size - offset < PAGE_SIZE ? size - offset : PAGE_SIZE);
	return page;
}

bool space_fault(uint32_t address, bool write)
{
	struct task *task = task_current();
	const struct region *region = NULL;
	volatile uint32_t *entry;
	uint32_t used = PTE_PRESENT | PTE_USER | PTE_ACCESSED | (write ? PTE_DIRTY : 0);

	for (unsigned int i = 0; i < TASK_REGIONS && !region; i++) {
		if (address >= task->regions[i].start && address < task->regions[i].end)
			region = &task->regions[i];
	}
	if (!region || (write && !region->writable))
		return false;
	entry = space_entry(task->directory, address, true);
	if (!*entry) {
		set_entry(task->directory, address, entry,
			  PHYSICAL(make_page(address)) | used | (region->writable ? PTE_WRITE : 0));
	} else if (write && !(*entry & PTE_WRITE)) {
		void *page = VIRTUAL(*entry & PTE_FRAME);

		if (page_references(page) > 1) {
			void *copy = page_alloc();

			memcpy(copy, page, PAGE_SIZE);
			page_put(page);
			page = copy;
		}
		set_entry(task->directory, address, entry, PHYSICAL(page) | used | PTE_WRITE);
	} else {
		return false; /* the entry allows it: then it was not a missing page */
	}
	return true;
}
