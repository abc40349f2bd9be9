/* SPDX-License-Identifier: MIT */
/*
 * block.h - the store of translated code: blocks, how they are found, chained, and dropped.
 */
#ifndef KENNEL_CPU_X86_CACHE_BLOCK_H
#define KENNEL_CPU_X86_CACHE_BLOCK_H

#include "cpu/x86/cache/point.h"
#include "cpu/x86/frame.h"

enum { BLOCK_NONE = 0xffffffffu, LINK_NONE = 0xffffffffu };

enum {
	BLOCK_SEGMENTED = 1,	/* translated for segments that are not flat */
	BLOCK_CHECKED = 2,	/* its page is also hot data: verified against source[] on each entry, never chained */
	BLOCK_SOFT = 8,		/* contains checked accesses */
	BLOCK_RING0 = 16,	/* translated for ring 0 of a guest that has one (cpu_config.system) */
	BLOCK_EXACT = 32,	/* all guest addresses are computed modulo 2^32 (address.c) */
	BLOCK_CODE16 = 64,	/* translated from 16-bit code */
	BLOCK_COLD = 128,	/* user code of an address space that is cold (runs_cold()): all accesses are checked that can be */
	BLOCK_KEY = BLOCK_SEGMENTED | BLOCK_RING0 | BLOCK_CODE16 | BLOCK_COLD,	/* what it depends on besides its bytes and its address */
	BLOCK_DEAD = 4,		/* dropped; its host code stays until the cache is emptied, because it may be running */
};

/*
 * Pushes and calls do not change rsp at once: for a while the guest's ESP lies below it (translate/stack.c says why). At the
 * beginning of a block the distance is its depth, in words: the same guest code makes other blocks for other depths.
 */
enum { BLOCK_DEPTHS = 8 };

/*
 * Cold code moves. A library lies at another address in each process, and would have to be translated for each; what is cold has no time
 * for that. So a cold block is right at all addresses where its page may be mapped: it is made as if it ran at its physical address, and
 * what it does run at is that plus a slide, which all blocks of the page share. It begins with BLOCK_PROLOGUE bytes that work the slide out
 * from r8d, which holds EIP whenever a block is entered by way of C or a jump table, and store it; chains, which stay within a page, enter
 * behind them. Of its code only what is pushed by calls and where jumps leave the page is made with the slide. All else that it tells C is
 * made right there (run.c).
 *
 * Jump tables have such a block at addresses that nobody knows; so one that is dropped stays in them, with its prologue replaced by a way
 * to C, which tells the two by their first byte.
 */
enum { BLOCK_PROLOGUE = 14, BLOCK_PROLOGUE_FIRST = 0x45 };

/* Each begins a cache line: docs/design-notes.md has what happened when they shared them. */
enum { BLOCK_ALIGN = 64 };

struct block {
	uint32_t eip;			/* of the first byte: its offset in CS (and its address, if that is flat); cold, its physical address */
	uint32_t physical;		/* of the first byte */
	uint32_t hash_next;
	uint8_t flags;
	uint8_t depth;
	uint8_t link_count;
	uint32_t host;			/* where it is entered: an address below 4 GiB */
	uint32_t view_next;		/* list of those that begin in the same page, at the same address: see block_view() */
	uint32_t second;		/* frame of the page it runs into, or 0 if it stays in one page */
	uint16_t guest_len, host_len;
	uint16_t points_size;		/* bytes of packed points (point.c) */
	uint32_t links;			/* its first link */
	uint32_t incoming;		/* list of links that are chained to it: link.next */
	uint32_t page_next[2];		/* lists of its first and second frame */
	uint32_t points;		/* where they are in the notes */
	uint32_t source;		/* BLOCK_CHECKED: where the bytes that it was made from are in the notes */
};

/* A direct jump out of a block. */
struct link {
	uint32_t block;			/* that it leaves */
	uint32_t site;			/* host address of its 4-byte displacement */
	uint32_t target;		/* eip */
	uint16_t stub;			/* its exit, where it goes when not chained: so far behind the site */
	uint8_t depth;			/* at the target */
	uint32_t to;			/* block it is chained to, or BLOCK_NONE */
	uint32_t next;			/* in that block's incoming list */
};

struct code_cache {
	uint8_t *write;			/* the two mappings of the same pages: read-write... */
	uint32_t exec;			/* ... and read-execute, below 4 GiB */
	uint32_t size, used;
	struct block *blocks;
	uint32_t block_count, block_max;
	struct link *links;
	uint32_t link_count, link_max;
	uint8_t *notes;			/* points, decoded instructions, sources */
	uint32_t notes_used, notes_max;
	uint32_t *hash;			/* by physical address and EIP */
	uint32_t *views;		/* by page and the address at which it is mapped */
	uint64_t generation;		/* times emptied */
	struct {
		uint32_t write, blocks, links, notes;
	} warm;				/* bytes of each that the host has mapped: see warm_up() */
};

enum { BLOCK_HASH_BITS = 18 /* there may be as many blocks */, BLOCK_VIEW_BITS = 13 };

/* What the frames' owner is told (frame.h). */
extern const struct frame_owner block_owner;

/** block_cache_create - the store, empty, and the jump tables. There are frames and slots already. */
int block_cache_create(struct cpu *cpu, size_t size, const char **error);
void block_cache_destroy(struct cpu *cpu);

static inline uint8_t *cache_write_at(const struct code_cache *cache, uint32_t host)
{
	return cache->write + (host - cache->exec);
}

static inline bool cache_contains(const struct code_cache *cache, uint64_t host)
{
	return host >= cache->exec && host < (uint64_t)cache->exec + cache->used;
}

/* Where a chain enters it. */
static inline uint32_t block_chained_at(const struct block *block)
{
	return block->host + (block->flags & BLOCK_COLD ? BLOCK_PROLOGUE : 0);
}

/* The kind of block that the processor's present state asks for. */
static inline uint8_t block_key(const struct cpu *cpu)
{
	return (uint8_t)((cpu->segmented ? BLOCK_SEGMENTED : 0) | (cpu->code16 ? BLOCK_CODE16 : 0) |
			 (cpu->system_mode && cpu->cpl == 0 ? BLOCK_RING0 : 0) | (runs_cold(cpu) && !cpu->segmented && !cpu->code16 ? BLOCK_COLD : 0));
}

/* What a block of that kind has for its eip, where code at @eip is to run whose first byte is at guest-physical @physical. */
static inline uint32_t block_eip(const struct cpu *cpu, uint32_t eip, uint32_t physical)
{
	return block_key(cpu) & BLOCK_COLD ? physical : eip;
}

/** block_find - the live block of the present kind for code at @eip whose first byte is at guest-physical @physical, at a depth; or NULL. */
struct block *block_find(struct cpu *cpu, uint32_t eip, uint32_t physical, unsigned depth);
/**
 * block_view - a list, through view_next, with all live blocks that begin in the page of @physical where it is mapped at that of @eip
 * (and perhaps some others). BLOCK_NONE ends it. A library's page has as many such lists as there are addresses it was loaded at.
 */
uint32_t block_view(const struct cpu *cpu, uint32_t eip, uint32_t physical);
/** block_at - the block whose host code contains @host, or NULL. */
struct block *block_at(struct cpu *cpu, uint32_t host);

/** block_decode - the instruction at a point of a block, decoded again. */
void block_decode(struct cpu *cpu, const struct block *block, const struct point *point, struct insn *insn);

/** block_room - make sure there is room for one more block, emptying the cache if there is not. */
void block_room(struct cpu *cpu);
struct block *block_new(struct cpu *cpu);
void *block_note(struct cpu *cpu, uint32_t size);
/** block_insert - enter a finished block into hash and frames, and tell who shows these. */
void block_insert(struct cpu *cpu, struct block *block);

void block_chain(struct cpu *cpu, struct link *link, struct block *to);
/** block_unchain - make a running block come back to C when it ends. Safe in a signal handler on the processor's thread. */
void block_unchain(struct cpu *cpu, struct block *block);
/** block_written - the guest writes to a frame with code: drop it, and notice when that happens too often. */
void block_written(struct cpu *cpu, uint32_t frame);
/** block_intact - is a BLOCK_CHECKED block still what memory holds? */
bool block_intact(struct cpu *cpu, struct block *block);
/** block_drop_at - forget all blocks with the instruction at this guest-physical address, but for cold ones, which have it checked anyway. */
void block_drop_at(struct cpu *cpu, uint32_t physical);
/** block_drop_frame - forget all code made from a frame. */
void block_drop_frame(struct cpu *cpu, uint32_t frame);
/** block_drop - forget one block. Its host code stays valid while it runs. */
void block_drop(struct cpu *cpu, struct block *block);
void block_flush(struct cpu *cpu);

static inline uint32_t block_index(const struct code_cache *cache, const struct block *block)
{
	return (uint32_t)(block - cache->blocks);
}

#endif
