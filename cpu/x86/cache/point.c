/* SPDX-License-Identifier: MIT */
/*
 * point.c - where the guest's instructions are in a block's host code.
 *
 * Asked for at faults only, but kept for every instruction ever translated; so it is packed, as the distances from the instruction
 * before. Two bytes do for nearly all: the low half of the first is the guest's distance (an instruction has up to 15 bytes), the
 * high half ESP's, in words, plus ESP_ZERO; the second byte is the host's distance. What does not fit follows in full.
 */
#include "cpu/x86/cache/point.h"

#include "cpu/x86/cache/block.h"

enum { ESP_ZERO = 8, ESP_FULL = 15, HOST_FULL = 255 };

static unsigned pack16(uint8_t *to, uint16_t value)
{
	to[0] = (uint8_t)value;
	to[1] = (uint8_t)(value >> 8);
	return 2;
}

static uint16_t unpack16(const uint8_t *from)
{
	return (uint16_t)(from[0] | from[1] << 8);
}

unsigned point_pack(uint8_t *packed, const struct point *from, const struct point *to)
{
	unsigned guest = to->guest - from->guest, host = to->host - from->host, size = 2;
	int esp = to->esp - from->esp, code = esp % 4 ? ESP_FULL : esp / 4 + ESP_ZERO;

	if (code < 0 || code > ESP_FULL)
		code = ESP_FULL;
	packed[0] = (uint8_t)(guest | (unsigned)code << 4);
	packed[1] = (uint8_t)(host < HOST_FULL ? host : HOST_FULL);
	if (code == ESP_FULL)
		size += pack16(packed + size, (uint16_t)to->esp);
	if (host >= HOST_FULL)
		size += pack16(packed + size, to->host);
	return size;
}

static void unpack(const uint8_t *packed, struct point *p)
{
	const uint8_t *at = packed + p->next;
	uint8_t first = *at++, host = *at++;

	p->guest = (uint16_t)(p->guest + (first & 15));
	if (first >> 4 == ESP_FULL) {
		p->esp = (int16_t)unpack16(at);
		at += 2;
	} else {
		p->esp = (int16_t)(p->esp + ((first >> 4) - ESP_ZERO) * 4);
	}
	if (host == HOST_FULL) {
		p->host = unpack16(at);
		at += 2;
	} else {
		p->host = (uint16_t)(p->host + host);
	}
	p->next = (uint16_t)(at - packed);
}

struct point point_first(const struct cpu *cpu, const struct block *block)
{
	struct point p = {0};

	unpack(cpu->cache->notes + block->points, &p);
	return p;
}

bool point_next(const struct cpu *cpu, const struct block *block, struct point *point)
{
	if (point->next >= block->points_size)
		return false;
	unpack(cpu->cache->notes + block->points, point);
	return true;
}

struct point point_at(const struct cpu *cpu, const struct block *block, uint32_t host)
{
	struct point p = point_first(cpu, block), next = p;
	uint32_t offset = host - block->host;

	while (point_next(cpu, block, &next) && next.host <= offset)
		p = next;
	return p;
}
