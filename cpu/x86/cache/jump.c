/* SPDX-License-Identifier: MIT */
/* jump.c - jump tables. See jump.h. */
#include <stdlib.h>
#include <sys/mman.h>

#include "cpu/x86/cache/jump.h"

static void clear_first(struct jump_table *table)
{
	for (unsigned depth = 0; depth < BLOCK_DEPTHS; depth++) {
		jump_clear_entry(table, jump_index(0, depth));
		jump_clear_entry(table, jump_second_index(0, depth));
	}
}

/* Pages that are never used cost nothing. */
static struct jump_table *create(void)
{
	struct jump_table *table = mmap(NULL, sizeof(*table), PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (table == MAP_FAILED)
		return NULL;
	clear_first(table);
	return table;
}

static void destroy(struct jump_table *table)
{
	if (table)
		munmap(table, sizeof(*table));
}

bool jump_tables_create(struct cpu *cpu)
{
	cpu->kernel_table = create();
	cpu->miss_table = create();
	cpu->user_tables = calloc(cpu->slots_wanted, sizeof(struct jump_table *));
	if (!cpu->kernel_table || !cpu->miss_table || !cpu->user_tables)
		return false;
	for (unsigned i = 0; i < cpu->slots_wanted; i++) {
		cpu->user_tables[i] = create();
		if (!cpu->user_tables[i])
			return false;
	}
	return true;
}

void jump_tables_destroy(struct cpu *cpu)
{
	for (unsigned i = 0; cpu->user_tables && i < cpu->slots_wanted; i++)
		destroy(cpu->user_tables[i]);
	free(cpu->user_tables);
	destroy(cpu->kernel_table);
	destroy(cpu->miss_table);
}

static void clear(struct jump_table *table)
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

/* An address may be in both places. Nobody looks at a table that is empty: its pages need not exist. */
static void forget(struct jump_table *table, uint32_t eip, unsigned depth)
{
	if (!table->log_count)
		return;
	forget_at(table, eip, jump_index(eip, depth));
	forget_at(table, eip, jump_second_index(eip, depth));
}

void jump_forget_kernel_page(struct cpu *cpu, uint32_t page)
{
	uint32_t first = page << PAGE_SHIFT;

	/* An instruction may begin in the page before and run into this one. Clean entries are only read: their pages stay unshared. */
	for (uint32_t i = 0; i < PAGE_SIZE + LONGEST_INSN; i++)
		for (unsigned depth = 0; depth < BLOCK_DEPTHS; depth++)
			forget(cpu->kernel_table, first - LONGEST_INSN + i, depth);
}

void jump_forget_kernel(struct cpu *cpu)
{
	clear(cpu->kernel_table);
}

void jump_forget_user(struct cpu *cpu, unsigned slot)
{
	clear(cpu->user_tables[slot]);
}

void jump_forget(struct cpu *cpu, uint32_t eip, unsigned depth)
{
	forget(cpu->kernel_table, eip, depth);
	for (unsigned i = 0; i < cpu->slots_wanted; i++)
		forget(cpu->user_tables[i], eip, depth);
}

void jump_clear_all(struct cpu *cpu)
{
	clear(cpu->kernel_table);
	for (unsigned i = 0; i < cpu->slots_wanted; i++)
		clear(cpu->user_tables[i]);
}
