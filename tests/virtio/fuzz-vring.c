/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the device's end of a ring. The input first chooses the ring's shape, then alternates between what a driver may do to memory
 * and what a device does. Whatever happens, a popped buffer lies in memory, within bounds, and nothing takes for ever.
 */
#include <stdlib.h>
#include <string.h>

#include <virtio/endian.h>
#include <virtio/vring-device.h>

#include "fuzz.h"

#define SIZE	4096u
#define START	UINT64_C(0x1000)
#define MAX	64

struct fuzz {
	uint8_t *memory;
	struct virtio_mem mem;
	struct vring_device vq;
	struct fuzz_input in;
	unsigned int num;
	bool big;
	uint32_t held[MAX];
	unsigned int held_count;
};

static void must(bool truth)
{
	if (!truth)
		abort();
}

/* A descriptor, mostly a plausible one. */
static void store_desc(struct fuzz *f, uint8_t *d)
{
	uint8_t kind = fuzz_u8(&f->in);
	uint64_t addr = START + fuzz_u16(&f->in) % (SIZE + 16);

	if (kind & 0x80)
		addr = (uint64_t)fuzz_u32(&f->in) << 32 | fuzz_u32(&f->in);
	virtio_put64(f->big, d, addr);
	virtio_put32(f->big, d + 8, kind & 0x40 ? fuzz_u32(&f->in) : (uint32_t)fuzz_u8(&f->in) * (kind & 0x20 ? 16 : 1));
	virtio_put16(f->big, d + 12, kind & 7);
	virtio_put16(f->big, d + 14, fuzz_u8(&f->in) % (f->num + 1));
}

static void check(struct fuzz *f, const struct vring_buffer *buf, const struct virtio_iov *iov)
{
	unsigned int count = buf->out_count + buf->in_count;

	must(count <= f->num && buf->id < f->num && buf->out == iov && buf->in == iov + buf->out_count);
	must(virtio_iov_length(buf->out, buf->out_count) == buf->out_len);
	must(virtio_iov_length(buf->in, buf->in_count) == buf->in_len);
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *base = iov[i].base;

		must(base >= f->memory && base <= f->memory + SIZE && iov[i].len <= (size_t)(f->memory + SIZE - base));
		if (i >= buf->out_count)
			memset(base, 0x5a, iov[i].len);
	}
}

static void device_step(struct fuzz *f, uint8_t op)
{
	struct virtio_iov iov[MAX];
	struct vring_buffer buf;
	unsigned int i;

	switch (op & 7) {
	case 0:
	case 1:
	case 2:
		if (f->held_count < MAX && vring_device_pop(&f->vq, &buf, iov, f->num) > 0) {
			check(f, &buf, iov);
			f->held[f->held_count++] = buf.id;
		}
		break;
	case 3:
		if (f->held_count) {
			i = fuzz_u8(&f->in) % f->held_count;
			vring_device_push(&f->vq, f->held[i], fuzz_u32(&f->in));
			f->held[i] = f->held[--f->held_count];
		}
		break;
	case 4:
		vring_device_flush(&f->vq);
		break;
	case 5:
		vring_device_notify(&f->vq, op & 8);
		break;
	case 6:
		vring_device_has_buffers(&f->vq);
		break;
	case 7:
		if (f->held_count && !(op & 0xf8)) {
			vring_device_unpop(&f->vq, f->held[--f->held_count]);
		}
	}
}

static void driver_step(struct fuzz *f, uint8_t op)
{
	uint8_t *avail = (uint8_t *)f->vq.avail;
	uint16_t idx = virtio_get16(f->big, avail + 2);

	switch (op & 3) {
	case 0:
		store_desc(f, f->memory + 16 * (fuzz_u8(&f->in) % f->num));
		break;
	case 1:
		store_desc(f, f->memory + fuzz_u16(&f->in) % (SIZE - 16));
		break;
	case 2:
		virtio_put16(f->big, avail + 4 + 2 * (idx % f->num), fuzz_u8(&f->in) % (f->num + 1));
		virtio_put16(f->big, avail + 2, (uint16_t)(idx + 1));
		break;
	case 3:
		f->memory[fuzz_u16(&f->in) % SIZE] = fuzz_u8(&f->in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = { .in = { data, size } };
	uint8_t shape = fuzz_u8(&f.in);
	uint64_t features = (shape & 8 ? VIRTIO_F_INDIRECT_DESC : 0) | (shape & 16 ? VIRTIO_F_EVENT_IDX : 0);

	/* Memory of its own, so that the sanitizer sees both its ends. */
	f.memory = aligned_alloc(16, SIZE);
	memset(f.memory, 0, SIZE);
	f.mem = (struct virtio_mem){ .base = f.memory, .start = START, .size = SIZE };
	f.num = 1u << (shape & 3);
	f.big = shape & 32;
	must(!vring_device_init(&f.vq, &f.mem, f.num, START, START + 256, START + 512, features, f.big));
	while (f.in.left && !f.vq.broken) {
		uint8_t op = fuzz_u8(&f.in);

		if (op & 0x40)
			driver_step(&f, op);
		else
			device_step(&f, op);
	}
	free(f.memory);
	return 0;
}
