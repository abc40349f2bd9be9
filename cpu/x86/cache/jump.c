/* SPDX-License-Identifier: MIT */
/* jump.c - jump tables. See jump.h. */
#include <sys/mman.h>

#include "cpu/x86/cache/jump.h"
#include "cpu/x86/space/window.h"

static void clear_first(struct jump_table *table)
{
	for (unsigned depth = 0; depth < BLOCK_DEPTHS; depth++) {
		jump_clear_entry(table, jump_index(0, depth));
		jump_clear_entry(table, jump_second_index(0, depth));
	}
}

struct jump_table *jump_table_create(void)
{
	struct jump_table *table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (table == MAP_FAILED)
		return NULL;
	clear_first(table);
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
		clear_first(table);
		return;
	}
	for (uint32_t i = 0; i < table->log_count; i++)
		jump_clear_entry(table, table->log[i]);
	table->log_count = 0;
}

static void forget_at(struct jump_table *table, uint32_t eip, uint32_t index)
{
	if (table->entry[index].host && table->entry[index].minus_eip + eip == 0)
		jump_clear_entry(table, index);
}

/* An address may be in both places. */
static void forget(struct jump_table *table, uint32_t eip, unsigned depth)
{
	forget_at(table, eip, jump_index(eip, depth));
	forget_at(table, eip, jump_second_index(eip, depth));
}

void jump_forget_page(struct jump_table *table, uint32_t page)
{
	uint32_t first = page << PAGE_SHIFT;

	/* An instruction may begin in the page before and run into this one. Clean entries are only read: their pages stay unshared. */
	for (uint32_t i = 0; i < PAGE_SIZE + LONGEST_INSN; i++)
		for (unsigned depth = 0; depth < BLOCK_DEPTHS; depth++)
			forget(table, first - LONGEST_INSN + i, depth);
}

void jump_forget(struct cpu *cpu, uint32_t eip, unsigned depth)
{
	forget(cpu->kernel_table, eip, depth);
	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].table)
			forget(cpu->slots[i].table, eip, depth);
}

void jump_clear_all(struct cpu *cpu)
{
	if (cpu->kernel_table)
		jump_clear(cpu->kernel_table);
	for (unsigned i = 0; i < cpu->slot_count; i++)
		if (cpu->slots[i].table)
			jump_clear(cpu->slots[i].table);
}
