/* SPDX-License-Identifier: MIT */
/*
 * point.h - where the guest's instructions are in a block's host code.
 */
#ifndef KENNEL_CPU_X86_CACHE_POINT_H
#define KENNEL_CPU_X86_CACHE_POINT_H

#include <stdbool.h>
#include <stdint.h>

struct block;
struct cpu;

/* One guest instruction of a block: where its bytes and its host code begin, and ESP there as a distance from rsp. */
struct point {
	uint16_t guest, host;
	int16_t esp;
	uint16_t next;		/* where the description of the next one begins, or the packed points end */
};

/* What one instruction takes at most, packed. */
enum { POINT_MAX = 6 };

/** point_pack - describe the instruction @to that follows @from (a zeroed point: none); returns the bytes written, at most POINT_MAX. */
unsigned point_pack(uint8_t *packed, const struct point *from, const struct point *to);

/** point_first - the first guest instruction of a block; it has at least one. */
struct point point_first(const struct cpu *cpu, const struct block *block);
/** point_next - go on to the next instruction; false if there is none. */
bool point_next(const struct cpu *cpu, const struct block *block, struct point *point);
/** point_at - the guest instruction that @host, an address in the block's code, belongs to. */
struct point point_at(const struct cpu *cpu, const struct block *block, uint32_t host);

#endif
