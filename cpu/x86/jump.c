/* SPDX-License-Identifier: MIT */
/* jump.c - jump tables. See jump.h. */
#include <sys/mman.h>

#include "cpu/x86/jump.h"
#include "cpu/x86/window.h"

enum { LONGEST_INSN = 15 };

struct jump_table *jump_table_create(void)
{
	struct jump_table *table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (table == MAP_FAILED)
		return NULL;
	jump_clear_entry(table, 0);
	return table;
}

void jump_table_destroy(struct jump_table *table)
{
	if (table)
		munmap(table, sizeof(*table));
}

void jump_clear(struct jump_table *table)
{
	if (table->log_count > JUMP_LOG) {
		madvise(table, sizeof(*table), MADV_DONTNEED);
		jump_clear_entry(table, 0);
		return;
	}
	for (uint32_t i = 0; i < table->log_count; i++)
		jump_clear_entry(table, table->log[i]);
	table->log_count = 0;
}

void jump_forget_page(struct jump_table *table, uint32_t page)
{
	uint32_t first = page << PAGE_SHIFT;

	/* An instruction may begin in the page before and run into this one. Clean entries are only read: their pages stay unshared. */
	for (uint32_t i = 0; i < PAGE_SIZE + LONGEST_INSN; i++) {
		uint32_t eip = first - LONGEST_INSN + i;

		if (jump_lookup(table, eip))
			jump_clear_entry(table, eip & 0xffff);
	}
}

void jump_forget(struct cpu *cpu, uint32_t eip)
{
	if (jump_lookup(cpu->kernel_table, eip))
		jump_clear_entry(cpu->kernel_table, eip & 0xffff);
	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].table && jump_lookup(cpu->slots[i].table, eip))
			jump_clear_entry(cpu->slots[i].table, eip & 0xffff);
}

void jump_clear_all(struct cpu *cpu)
{
	if (cpu->kernel_table)
		jump_clear(cpu->kernel_table);
	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].table)
			jump_clear(cpu->slots[i].table);
}
