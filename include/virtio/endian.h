/* SPDX-License-Identifier: MIT */
/*
 * endian.h - byte order as a property of an instance. Virtio 1.x is little-endian; the old buses speak the guest's order, which
 * for s390 is big. So every multi-byte access takes a flag; none is decided by #ifdef except this machine's own order.
 */
#ifndef VIRTIO_ENDIAN_H
#define VIRTIO_ENDIAN_H

#include <stdbool.h>
#include <stdint.h>

#define VIRTIO_HOST_BIG_ENDIAN (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)

/* Must accesses to an instance of byte order @big be swapped here? */
static inline bool virtio_must_swap(bool big)
{
	return big != VIRTIO_HOST_BIG_ENDIAN;
}

static inline uint16_t virtio_swap16(bool swap, uint16_t v)
{
	return swap ? __builtin_bswap16(v) : v;
}

static inline uint32_t virtio_swap32(bool swap, uint32_t v)
{
	return swap ? __builtin_bswap32(v) : v;
}

static inline uint64_t virtio_swap64(bool swap, uint64_t v)
{
	return swap ? __builtin_bswap64(v) : v;
}

/* Unaligned loads and stores in byte order @big, for headers, config spaces and packed descriptors. */
static inline uint16_t virtio_get16(bool big, const void *p)
{
	const uint8_t *b = (const uint8_t *)p;

	return big ? (uint16_t)(b[0] << 8 | b[1]) : (uint16_t)(b[1] << 8 | b[0]);
}

static inline uint32_t virtio_get32(bool big, const void *p)
{
	const uint8_t *b = (const uint8_t *)p;
	uint32_t first = virtio_get16(big, b), second = virtio_get16(big, b + 2);

	return big ? first << 16 | second : second << 16 | first;
}

static inline uint64_t virtio_get64(bool big, const void *p)
{
	const uint8_t *b = (const uint8_t *)p;
	uint64_t first = virtio_get32(big, b), second = virtio_get32(big, b + 4);

	return big ? first << 32 | second : second << 32 | first;
}

static inline void virtio_put16(bool big, void *p, uint16_t v)
{
	uint8_t *b = (uint8_t *)p;

	b[big ? 1 : 0] = (uint8_t)v;
	b[big ? 0 : 1] = (uint8_t)(v >> 8);
}

static inline void virtio_put32(bool big, void *p, uint32_t v)
{
	uint8_t *b = (uint8_t *)p;

	virtio_put16(big, b + (big ? 2 : 0), (uint16_t)v);
	virtio_put16(big, b + (big ? 0 : 2), (uint16_t)(v >> 16));
}

static inline void virtio_put64(bool big, void *p, uint64_t v)
{
	uint8_t *b = (uint8_t *)p;

	virtio_put32(big, b + (big ? 4 : 0), (uint32_t)v);
	virtio_put32(big, b + (big ? 0 : 4), (uint32_t)(v >> 32));
}

#endif
