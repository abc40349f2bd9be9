/* SPDX-License-Identifier: MIT */
/* raw.h - the rings of a pair as the other end sees them: words in shared memory, in the byte order of a little-endian machine. */
#ifndef TESTS_CLAUSES_RAW_H
#define TESTS_CLAUSES_RAW_H

#include <tests/virtio/pair.h>

static inline uint8_t *raw_at(const struct pair *p, uint64_t gpa)
{
	return virtio_mem_at(&p->mem, gpa, 0);
}

/* The flags word of the available (@used false) or used ring; then the index. */
static inline uint8_t *raw_flags(const struct pair *p, bool used)
{
	return raw_at(p, used ? p->used : p->avail);
}

static inline uint8_t *raw_idx(const struct pair *p, bool used)
{
	return raw_flags(p, used) + 2;
}

static inline uint8_t *raw_used_event(const struct pair *p, unsigned int num)
{
	return raw_at(p, p->avail) + 4 + 2 * num;
}

static inline uint8_t *raw_avail_event(const struct pair *p, unsigned int num)
{
	return raw_at(p, p->used) + 4 + 8 * num;
}

/* Entry @i of the table of descriptors at @table, of either ring: u64 address, u32 length, then two u16. */
static inline uint8_t *raw_desc(const struct pair *p, uint64_t table, unsigned int i)
{
	return raw_at(p, table) + 16 * i;
}

static inline uint16_t raw_get(const uint8_t *at)
{
	return virtio_get16(false, at);
}

static inline void raw_put(uint8_t *at, uint16_t value)
{
	virtio_put16(false, at, value);
}

/* Add a buffer of @out pieces to be read and @in to be written, 16 bytes each. The identifier. */
static inline long raw_add(struct pair *p, unsigned int out, unsigned int in, unsigned long *used)
{
	struct virtio_iov sg[16];

	for (unsigned int i = 0; i < out + in; i++)
		sg[i] = (struct virtio_iov){ pair_alloc(p, 16, 16), 16 };
	return in ? virtio_add_inbuf(p->vq, sg, out, out + in, used) : virtio_add_outbuf(p->vq, sg, out, used);
}

/* The device takes all there is and gives it back with @written bytes. True: an interrupt is wanted. */
static inline bool raw_serve(struct pair *p, uint32_t written)
{
	struct virtio_iov iov[64];
	struct vring_buffer buf;

	while (vring_device_pop(&p->dev, &buf, iov, 64) > 0)
		vring_device_push(&p->dev, buf.id, written);
	return vring_device_flush(&p->dev);
}

#endif
