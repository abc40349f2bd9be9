/* SPDX-License-Identifier: MIT */
/*
 * block.c - the store of translated code.
 *
 * Host code, block records, links and notes are four arrays that only grow; when one is full all of them are emptied at once
 * and translation starts again. A block is dropped before that when the bytes it was made from change: it leaves the hash, the
 * jump tables and the chains, but its host code stays where it is, because it may be what is running.
 *
 * Emptying happens only when the translator asks for room, in C, with no translated code on the way.
 */
#include <sys/mman.h>
#include <unistd.h>

#include "cpu/x86/cache/block.h"
#include "cpu/x86/cache/jump.h"
#include "cpu/x86/copy.h"
#include "host/memory_file.h"

enum { BLOCK_HOST_MAX = 16384, BLOCK_NOTES_MAX = 16384, BLOCK_LINKS_MAX = 8, TRIM_FROM = 12 << 20 };

/*
 * Both addresses count: programs load the same library at different ones, so that a page of it may have been translated for a hundred.
 */
static uint32_t mix(uint32_t eip, uint32_t physical)
{
	return (physical * 0x9e3779b1u ^ (eip >> PAGE_SHIFT)) * 0x85ebca6bu;
}

static uint32_t *hash_head(const struct code_cache *cache, uint32_t eip, uint32_t physical)
{
	return &cache->hash[mix(eip, physical) >> (32 - BLOCK_HASH_BITS)];
}

static uint32_t *view_head(const struct code_cache *cache, uint32_t eip, uint32_t physical)
{
	return &cache->views[mix(eip, physical >> PAGE_SHIFT) >> (32 - BLOCK_VIEW_BITS)];
}

static void *reserve(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/*
 * The executable mapping must lie below 4 GiB: jump tables hold 32-bit addresses. Kernels before 4.17 take the address for a hint and go
 * elsewhere when it is taken, as may whatever else answers like Linux; where none of the places is to be had, the host may choose.
 */
static uint32_t map_exec(int fd, size_t size)
{
	void *p;

	for (uint64_t at = 0x20000000; at + size < 0x7f000000; at += 0x4000000) {
		p = mmap((void *)at, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

		if (p == (void *)at)
			return (uint32_t)at;
		if (p != MAP_FAILED)
			munmap(p, size);
	}
	p = mmap(NULL, size, PROT_READ | PROT_EXEC, MAP_SHARED | MAP_32BIT, fd, 0);
	return p == MAP_FAILED ? 0 : (uint32_t)(uintptr_t)p;
}

int block_cache_create(struct cpu *cpu, size_t size, const char **error)
{
	struct code_cache *cache = cpu->cache = reserve(sizeof(*cache));
	int fd;

	if (!cache) {
		*error = "no memory for translated code";
		return -1;
	}
	fd = memory_file_create("kennel-code", size, true, NULL);
	if (fd < 0) {
		*error = "no memory for translated code, which is mapped executable: " MEMORY_FILE_NONE;
		return -1;
	}
	cache->size = (uint32_t)size;
	cache->write = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	cache->exec = map_exec(fd, size);
	close(fd);
	if (cache->write == MAP_FAILED || !cache->exec) {
		*error = "cannot map executable memory below 4 GiB";
		return -1;
	}
	cache->block_max = (uint32_t)(size / 96);
	cache->link_max = cache->block_max * 2;
	cache->notes_max = (uint32_t)size;
	cache->blocks = reserve(cache->block_max * sizeof(struct block));
	cache->links = reserve(cache->link_max * sizeof(struct link));
	cache->notes = reserve(cache->notes_max);
	cache->hash = reserve(sizeof(uint32_t) << BLOCK_HASH_BITS);
	cache->views = reserve(sizeof(uint32_t) << BLOCK_VIEW_BITS);
	if (!cache->blocks || !cache->links || !cache->notes || !cache->hash || !cache->views || !jump_tables_create(cpu)) {
		*error = "no memory for translated code";
		return -1;
	}
	memory_populate(cache->hash, sizeof(uint32_t) << BLOCK_HASH_BITS);
	for (uint32_t i = 0; i <= frame_void(cpu); i++)
		cpu->frames[i].blocks = BLOCK_NONE;
	block_flush(cpu);
	return 0;
}

void block_cache_destroy(struct cpu *cpu)
{
	struct code_cache *cache = cpu->cache;

	jump_tables_destroy(cpu);
	if (!cache)
		return;
	if (cache->exec)
		munmap((void *)(uintptr_t)cache->exec, cache->size);
	munmap(cache->write, cache->size);
	munmap(cache->blocks, cache->block_max * sizeof(struct block));
	munmap(cache->links, cache->link_max * sizeof(struct link));
	munmap(cache->notes, cache->notes_max);
	munmap(cache->hash, sizeof(uint32_t) << BLOCK_HASH_BITS);
	munmap(cache->views, sizeof(uint32_t) << BLOCK_VIEW_BITS);
	munmap(cache, sizeof(*cache));
	cpu->cache = NULL;
}

struct block *block_find(struct cpu *cpu, uint32_t eip, uint32_t physical, unsigned depth)
{
	struct code_cache *cache = cpu->cache;
	uint8_t wanted = block_key(cpu);

	eip = block_eip(cpu, eip, physical);
	for (uint32_t i = *hash_head(cache, eip, physical); i != BLOCK_NONE; i = cache->blocks[i].hash_next) {
		struct block *b = &cache->blocks[i];

		if (b->physical == physical && b->eip == eip && b->depth == depth && (b->flags & BLOCK_KEY) == wanted)
			return b;
	}
	return NULL;
}

uint32_t block_view(const struct cpu *cpu, uint32_t eip, uint32_t physical)
{
	return *view_head(cpu->cache, block_eip(cpu, eip, physical), physical);
}

struct block *block_at(struct cpu *cpu, uint32_t host)
{
	struct code_cache *cache = cpu->cache;
	uint32_t low = 0, high = cache->block_count;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (cache->blocks[middle].host <= host)
			low = middle + 1;
		else
			high = middle;
	}
	if (!low)
		return NULL;
	struct block *b = &cache->blocks[low - 1];

	return host - b->host < b->host_len ? b : NULL;
}

/* The four arrays grow by pages, each of which is dear to have mapped alone. */
static void warm_up(void *array, uint64_t used, uint64_t size, uint32_t *warm)
{
	enum { PIECE = 256 << 10 };

	while (used > *warm && *warm < size) {
		memory_populate((uint8_t *)array + *warm, size - *warm < PIECE ? size - *warm : PIECE);
		*warm += PIECE;
	}
}

void block_room(struct cpu *cpu)
{
	struct code_cache *cache = cpu->cache;

	warm_up(cache->write, cache->used + BLOCK_HOST_MAX, cache->size, &cache->warm.write);
	warm_up(cache->blocks, (cache->block_count + 2) * sizeof(struct block), cache->block_max * sizeof(struct block), &cache->warm.blocks);
	warm_up(cache->links, (cache->link_count + BLOCK_LINKS_MAX) * sizeof(struct link), cache->link_max * sizeof(struct link), &cache->warm.links);
	warm_up(cache->notes, cache->notes_used + BLOCK_NOTES_MAX, cache->notes_max, &cache->warm.notes);
	if (cache->size - cache->used < BLOCK_HOST_MAX || cache->notes_max - cache->notes_used < BLOCK_NOTES_MAX ||
	    cache->block_max - cache->block_count < 2 || cache->link_max - cache->link_count < BLOCK_LINKS_MAX)
		block_flush(cpu);
}

struct block *block_new(struct cpu *cpu)
{
	struct block *b = &cpu->cache->blocks[cpu->cache->block_count++];

	*b = (struct block){ .links = cpu->cache->link_count, .incoming = LINK_NONE, .host = cpu->cache->exec + cpu->cache->used };
	return b;
}

void *block_note(struct cpu *cpu, uint32_t size)
{
	void *note = cpu->cache->notes + cpu->cache->notes_used;

	cpu->cache->notes_used += (size + 3) & ~3u;
	return note;
}

static void enter_frame(struct cpu *cpu, struct block *block, unsigned which, uint32_t number)
{
	struct frame *frame = &cpu->frames[number];

	block->page_next[which] = frame->blocks;
	frame->blocks = block_index(cpu->cache, block) << 1 | which;
	if (!frame->code && !frame->mixed)
		frame_takes_code(cpu, number);
}

void block_insert(struct cpu *cpu, struct block *block)
{
	struct code_cache *cache = cpu->cache;
	uint32_t *head = hash_head(cache, block->eip, block->physical), *view = view_head(cache, block->eip, block->physical);

	block->hash_next = *head;
	block->view_next = *view;
	*head = *view = block_index(cache, block);
	enter_frame(cpu, block, 0, block->physical >> PAGE_SHIFT);
	if (block->second && block->second != block->physical >> PAGE_SHIFT)	/* one frame may follow itself */
		enter_frame(cpu, block, 1, block->second);
	cpu->stats.blocks++;
	cpu->stats.block_bytes += block->guest_len;
	cpu->stats.host_bytes += block->host_len;
}

void block_decode(struct cpu *cpu, const struct block *block, const struct point *point, struct insn *insn)
{
	uint8_t bytes[16];

	for (uint32_t i = 0; i < sizeof(bytes); i++) {
		uint32_t at = (block->physical & PAGE_MASK) + point->guest + i;

		if (at < PAGE_SIZE)
			bytes[i] = cpu->ram.base[(block->physical & ~PAGE_MASK) + at];
		else
			bytes[i] = cpu->ram.base[((size_t)block->second << PAGE_SHIFT) + (at & PAGE_MASK)];
	}
	decode_code(bytes, LONGEST_INSN, block->flags & BLOCK_CODE16, insn);
}

static void patch(struct code_cache *cache, uint32_t site, uint32_t to)
{
	put_unaligned32(cache_write_at(cache, site), to - (site + 4));
}

void block_chain(struct cpu *cpu, struct link *link, struct block *to)
{
	struct code_cache *cache = cpu->cache;

	link->to = block_index(cache, to);
	link->next = to->incoming;
	to->incoming = (uint32_t)(link - cache->links);
	patch(cache, link->site, block_chained_at(to));
}

static void unchain_link(struct code_cache *cache, struct link *link)
{
	uint32_t self = (uint32_t)(link - cache->links);
	uint32_t *at = &cache->blocks[link->to].incoming;

	while (*at != self)
		at = &cache->links[*at].next;
	*at = link->next;
	link->to = BLOCK_NONE;
	patch(cache, link->site, link->site + link->stub);
}

void block_unchain(struct cpu *cpu, struct block *block)
{
	struct code_cache *cache = cpu->cache;

	for (uint32_t i = 0; i < block->link_count; i++) {
		struct link *link = &cache->links[block->links + i];

		if (link->to != BLOCK_NONE)
			unchain_link(cache, link);
	}
}

static void unhash(struct code_cache *cache, struct block *block)
{
	uint32_t self = block_index(cache, block);
	uint32_t *at = hash_head(cache, block->eip, block->physical);

	while (*at != self)
		at = &cache->blocks[*at].hash_next;
	*at = block->hash_next;
	at = view_head(cache, block->eip, block->physical);
	while (*at != self)
		at = &cache->blocks[*at].view_next;
	*at = block->view_next;
}

/* Out of the list of its other frame, when it has two. */
static void leave_frame(struct cpu *cpu, struct block *block, unsigned which, uint32_t number)
{
	uint32_t self = block_index(cpu->cache, block) << 1 | which;
	uint32_t *at = &cpu->frames[number].blocks;

	while (*at != self)
		at = &cpu->cache->blocks[*at >> 1].page_next[*at & 1];
	*at = block->page_next[which];
}

/* lea esp, [rsp - 4 * depth]; jmp to C, which looks at EIP, which is in r8d, again. Where a prologue was. */
static void cache_bar(struct cpu *cpu, const struct block *block)
{
	uint8_t *p = cache_write_at(cpu->cache, block->host);

	p[0] = 0x8d, p[1] = 0x64, p[2] = 0x24, p[3] = (uint8_t)(-4 * block->depth);
	p[4] = 0x41, p[5] = 0xff, p[6] = 0xa7;
	put_unaligned32(p + 7, CPU_EXITS + 8 * REASON_NEXT);
}

static void drop(struct cpu *cpu, struct block *block)
{
	struct code_cache *cache = cpu->cache;

	unhash(cache, block);
	block_unchain(cpu, block);
	while (block->incoming != LINK_NONE)
		unchain_link(cache, &cache->links[block->incoming]);
	if (block->flags & BLOCK_COLD)
		cache_bar(cpu, block);
	else
		jump_forget(cpu, block->eip, block->depth);
	block->flags |= BLOCK_DEAD;
}

void block_drop(struct cpu *cpu, struct block *block)
{
	if (block->flags & BLOCK_DEAD)
		return;
	leave_frame(cpu, block, 0, block->physical >> PAGE_SHIFT);
	if (block->second && block->second != block->physical >> PAGE_SHIFT)
		leave_frame(cpu, block, 1, block->second);
	drop(cpu, block);
}

void block_drop_at(struct cpu *cpu, uint32_t physical)
{
	for (uint32_t at = cpu->frames[physical >> PAGE_SHIFT].blocks; at != BLOCK_NONE;) {
		struct block *b = &cpu->cache->blocks[at >> 1];

		at = b->page_next[at & 1];
		if (physical - b->physical < b->guest_len && !(b->flags & BLOCK_COLD))
			block_drop(cpu, b);
	}
}

void block_drop_frame(struct cpu *cpu, uint32_t number)
{
	struct frame *frame = &cpu->frames[number];

	for (uint32_t at = frame->blocks; at != BLOCK_NONE;) {
		struct block *b = &cpu->cache->blocks[at >> 1];
		unsigned which = at & 1;

		at = b->page_next[which];
		drop(cpu, b);
		if (b->second && b->second != b->physical >> PAGE_SHIFT)
			leave_frame(cpu, b, !which, which ? b->physical >> PAGE_SHIFT : b->second);
	}
	frame->blocks = BLOCK_NONE;
	frame->code = 0;
}

enum { THRASH_BLOCKS = 64, THRASH_DROPS = 24, MIXED_CHECKS = 50000 };

/*
 * A page that is written again before much else was translated is code and hot data at once. Protecting it would cost a fault
 * for each write. Its blocks become BLOCK_CHECKED instead: entered from C only, after comparing their bytes, and ending
 * wherever they may have written. After a while it gets another chance.
 */
void block_written(struct cpu *cpu, uint32_t number)
{
	struct frame *frame = &cpu->frames[number];
	uint32_t now = (uint32_t)cpu->stats.blocks;

	cpu->stats.smc++;
	frame->drops = now - frame->last_drop < THRASH_BLOCKS ? (uint16_t)(frame->drops + 1) : 0;
	frame->last_drop = now;
	block_drop_frame(cpu, number);
	if (frame->drops < THRASH_DROPS)
		return;
	frame->mixed = 1;
	frame->checks = MIXED_CHECKS;
}

static void end_mixed(struct cpu *cpu, uint32_t number)
{
	block_drop_frame(cpu, number);
	cpu->frames[number].mixed = 0;
	cpu->frames[number].drops = 0;
}

bool block_intact(struct cpu *cpu, struct block *block)
{
	struct frame *frame = &cpu->frames[block->physical >> PAGE_SHIFT];
	const uint8_t *source = cpu->cache->notes + block->source;

	for (uint32_t i = 0; i < block->guest_len; i++) {
		uint32_t at = (block->physical & PAGE_MASK) + i;
		uint32_t from = at < PAGE_SIZE ? block->physical + i : (block->second << PAGE_SHIFT) + (at & PAGE_MASK);

		if (cpu->ram.base[from] != source[i]) {
			block_drop_frame(cpu, block->physical >> PAGE_SHIFT);
			return false;
		}
	}
	if (frame->mixed && !frame->checks--) {
		end_mixed(cpu, block->physical >> PAGE_SHIFT);
		return false;
	}
	return true;
}

void block_flush(struct cpu *cpu)
{
	struct code_cache *cache = cpu->cache;

	for (uint32_t i = 0; i < cache->block_count; i++) {
		struct block *b = &cache->blocks[i];

		cpu->frames[b->physical >> PAGE_SHIFT].blocks = BLOCK_NONE;
		cpu->frames[b->physical >> PAGE_SHIFT].code = 0;
		cpu->frames[b->second].blocks = BLOCK_NONE;
		cpu->frames[b->second].code = 0;
	}
	for (uint32_t i = 0; i < 1u << BLOCK_HASH_BITS; i++)
		cache->hash[i] = BLOCK_NONE;
	for (uint32_t i = 0; i < 1u << BLOCK_VIEW_BITS; i++)
		cache->views[i] = BLOCK_NONE;
	cache->used = cache->block_count = cache->link_count = cache->notes_used = 0;
	cache->generation++;
	cpu->stats.flushes++;
	jump_clear_all(cpu);
}

/* A system's boot fills the cache with code that never runs again; what an idle system runs is a small part of that. */
void cpu_trim(struct cpu *cpu)
{
	struct code_cache *cache = cpu->cache;

	if (cache->used < TRIM_FROM)
		return;
	block_flush(cpu);
	cache->warm.write = cache->warm.blocks = cache->warm.links = cache->warm.notes = 0;
	madvise(cache->write, cache->size, MADV_REMOVE);
	madvise(cache->blocks, cache->block_max * sizeof(struct block), MADV_DONTNEED);
	madvise(cache->links, cache->link_max * sizeof(struct link), MADV_DONTNEED);
	madvise(cache->notes, cache->notes_max, MADV_DONTNEED);
}

const struct frame_owner block_owner = {
	.written = block_written,
	.drop_frame = block_drop_frame,
	.drop_at = block_drop_at,
	.drop_all = block_flush,
	.forget_kernel_page = jump_forget_kernel_page,
	.forget_kernel = jump_forget_kernel,
	.forget_user = jump_forget_user,
};
