/* SPDX-License-Identifier: MIT */
/*
 * jump.h - jump tables: from a guest address to host code, looked up by translated code itself.
 *
 * Direct-mapped by the low 16 bits of EIP, because MOVZX extracts those without touching a flag. An entry holds minus its EIP,
 * so that one LEA compares. The kernel has one table, each address space has one for its user code; entry X of a user table is
 * only right while X's page is mapped as it was, which space/ sees to. The miss table has no entry at all: it is put in force
 * when translated code must come back to C at its next indirect jump.
 *
 * Two targets that meet in an entry would push each other out for ever. So the one that is pushed out moves to another place, where
 * bits 16 to 23 of EIP count too; glue.S looks there before it leaves for C. There are as many of these places: a compiler's pass over a
 * source file has more targets than the first 64 Ki entries hold. (With 256 of them, 85 of 100 misses in cc1 were of a target that
 * another had pushed out.)
 *
 * Code is also told apart by its depth (block.h): a number of words added to the index. The index without it is the low half of
 * the EIP in the entry, so an entry that matches is of one depth only.
 */
#ifndef KENNEL_CPU_X86_CACHE_JUMP_H
#define KENNEL_CPU_X86_CACHE_JUMP_H

#include "cpu/x86/cache/block.h"

struct jump_entry {
	uint32_t minus_eip;
	uint32_t host;
};

enum { JUMP_DEPTH_STEP = 509 /* entries; no power of two, so that neighbours do not meet */, JUMP_LOG = 49152 };
enum { JUMP_FIRST = 65536 + (BLOCK_DEPTHS - 1) * JUMP_DEPTH_STEP };
enum { JUMP_SECOND_STEP = 256, JUMP_SPREAD = 729, JUMP_ENTRIES = JUMP_FIRST + 65536 + (BLOCK_DEPTHS - 1) * JUMP_SECOND_STEP };
_Static_assert(JUMP_SECOND_AT == JUMP_FIRST * sizeof(struct jump_entry), "glue.S");

/* What r14 points at, and behind it the list of entries in use, so that a table is emptied as fast as it was filled. */
struct jump_table {
	struct jump_entry entry[JUMP_ENTRIES];
	uint32_t log_count;		/* more than JUMP_LOG: unknown */
	uint32_t log[JUMP_LOG];
};

/** jump_tables_create - all empty: the kernel's, one for user code in each slot, and the miss table. Returns whether there was memory. */
bool jump_tables_create(struct cpu *cpu);
void jump_tables_destroy(struct cpu *cpu);
/* All-zero entries match EIP 0 only, whose own entries must hold something else. */
static inline void jump_clear_entry(struct jump_table *table, uint32_t index)
{
	bool for_zero = index < JUMP_FIRST ? index % JUMP_DEPTH_STEP == 0 : (index - JUMP_FIRST) % JUMP_SECOND_STEP == 0;

	table->entry[index] = (struct jump_entry){ .minus_eip = for_zero };
}
/** jump_forget_kernel_page, jump_forget_kernel, jump_forget_user - see struct frame_owner. */
void jump_forget_kernel_page(struct cpu *cpu, uint32_t page);
void jump_forget_kernel(struct cpu *cpu);
void jump_forget_user(struct cpu *cpu, unsigned slot);
/** jump_forget - code at one address, in every table. */
void jump_forget(struct cpu *cpu, uint32_t eip, unsigned depth);
void jump_clear_all(struct cpu *cpu);

static inline uint32_t jump_index(uint32_t eip, unsigned depth)
{
	return (eip & 0xffff) + depth * JUMP_DEPTH_STEP;
}

static inline uint32_t jump_second_index(uint32_t eip, unsigned depth)
{
	return JUMP_FIRST + depth * JUMP_SECOND_STEP + ((eip + (eip >> 16 & 0xff) * JUMP_SPREAD) & 0xffff);
}

static inline uint32_t jump_lookup(const struct jump_table *table, uint32_t eip, unsigned depth)
{
	const struct jump_entry *entry = &table->entry[jump_index(eip, depth)];

	if (entry->minus_eip + eip)
		entry = &table->entry[jump_second_index(eip, depth)];
	return entry->minus_eip + eip == 0 ? entry->host : 0;
}

static inline void jump_put(struct jump_table *table, uint32_t index, struct jump_entry entry)
{
	table->entry[index] = entry;
	if (table->log_count < JUMP_LOG)
		table->log[table->log_count] = index;
	if (table->log_count <= JUMP_LOG)
		table->log_count++;
}

/* To the second place: it has the depth that brings its EIP to @index. */
static inline void jump_move(struct jump_table *table, uint32_t index)
{
	uint32_t eip = 0u - table->entry[index].minus_eip;

	jump_put(table, jump_second_index(eip, (index - (eip & 0xffff)) / JUMP_DEPTH_STEP), table->entry[index]);
}

static inline void jump_enter(struct jump_table *table, uint32_t eip, unsigned depth, uint32_t host)
{
	uint32_t index = jump_index(eip, depth);

	if (table->entry[index].host && table->entry[index].minus_eip + eip)
		jump_move(table, index);
	jump_put(table, index, (struct jump_entry){ .minus_eip = 0u - eip, .host = host });
}

#endif
