/* SPDX-License-Identifier: MIT */
/*
 * Fuzz the device's end of a ring, split or packed. The input first chooses the ring's shape, then alternates between what a driver may
 * do to memory and what a device does. The driver also strikes in the middle of a pop, between two reads: whenever an address is
 * translated. Whatever happens, a popped buffer lies in memory, within bounds, and nothing takes for ever.
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
	bool big, busy;
	uint32_t held[MAX];
	unsigned int held_count;
};

static void must(bool truth)
{
	if (!truth)
		abort();
}

/* A descriptor, mostly a plausible one. In a packed ring the flags are where the id of the next one is in a split ring. */
static void store_desc(struct fuzz *f, uint8_t *d)
{
	uint8_t kind = fuzz_u8(&f->in);
	uint64_t addr = START + fuzz_u16(&f->in) % (SIZE + 16);
	uint16_t id = fuzz_u8(&f->in) % (f->num + 1);

	if (kind & 0x80)
		addr = (uint64_t)fuzz_u32(&f->in) << 32 | fuzz_u32(&f->in);
	virtio_put64(f->big, d, addr);
	virtio_put32(f->big, d + 8, kind & 0x40 ? fuzz_u32(&f->in) : (uint32_t)fuzz_u8(&f->in) * (kind & 0x20 ? 16 : 1));
	if (f->vq.packed) {
		virtio_put16(false, d + 12, id);
		virtio_put16(false, d + 14, (kind & 7) | (kind & 8 ? VRING_PACKED_AVAIL : 0) | (kind & 16 ? VRING_PACKED_USED : 0));
	} else {
		virtio_put16(f->big, d + 12, kind & 7);
		virtio_put16(f->big, d + 14, id);
	}
}

static void check(struct fuzz *f, const struct vring_buffer *buf, const struct virtio_iov *iov)
{
	unsigned int count = buf->out_count + buf->in_count;

	/* A packed ring's ids are its driver's own affair. */
	must(f->vq.packed || buf->id < f->num);
	must(count <= f->num && buf->out == iov && buf->in == iov + buf->out_count);
	must(virtio_iov_length(buf->out, buf->out_count) == buf->out_len);
	must(virtio_iov_length(buf->in, buf->in_count) == buf->in_len);
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *base = iov[i].base;

		must(base >= f->memory && base <= f->memory + SIZE && iov[i].len <= (size_t)(f->memory + SIZE - base));
		if (i >= buf->out_count)
			memset(base, 0x5a, iov[i].len);
	}
}

/* Stop, and go on with what was written down. */
static void move(struct fuzz *f)
{
	struct vring_device_state state;
	int ret = vring_device_save(&f->vq, &state);

	must(ret == 0 || ret == -VIRTIO_EBUSY || ret == -VIRTIO_EPROTO);
	if (ret)
		return;
	memset(&f->vq, 0x5a, sizeof(f->vq));
	must(!vring_device_load(&f->vq, &f->mem, &state));
}

/* A state of anybody's making: refused, or one to go on with. */
static void load_anything(struct fuzz *f)
{
	struct vring_device_state state;

	if (vring_device_save(&f->vq, &state))
		return;
	for (unsigned int i = fuzz_u8(&f->in) % 4; i; i--)
		((uint8_t *)&state)[fuzz_u8(&f->in) % sizeof(state)] = fuzz_u8(&f->in);
	f->held_count = 0;
	if (vring_device_load(&f->vq, &f->mem, &state) || !f->vq.num || f->vq.num > f->num)
		vring_device_break(&f->vq, "no ring any more");
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
		if (f->held_count == MAX)
			break;
		f->busy = true;
		i = vring_device_pop(&f->vq, &buf, iov, f->num) > 0;
		f->busy = false;
		if (i) {
			check(f, &buf, iov);
			f->held[f->held_count++] = buf.id;
		}
		break;
	case 3:
		if (f->held_count) {
			i = f->vq.in_order ? 0 : fuzz_u8(&f->in) % f->held_count;
			vring_device_push(&f->vq, f->held[i], fuzz_u32(&f->in));
			memmove(&f->held[i], &f->held[i + 1], (--f->held_count - i) * sizeof(f->held[0]));
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
		if (op & 0x20)
			move(f);
		else if (op & 0x10)
			load_anything(f);
		else if (f->held_count)
			vring_device_unpop(&f->vq, f->held[--f->held_count]);
	}
}

/* The next entry of the available ring, or the descriptor that a packed ring's device looks at. */
static void offer(struct fuzz *f)
{
	uint8_t *avail = f->memory + 256, *d = f->memory + 16 * (size_t)f->vq.last_avail;
	uint16_t idx = virtio_get16(f->big, avail + 2);

	if (f->vq.packed) {
		store_desc(f, d);
		virtio_put16(false, d + 14, (virtio_get16(false, d + 14) & 7) | (f->vq.avail_wrap ? VRING_PACKED_AVAIL : VRING_PACKED_USED));
	} else {
		virtio_put16(f->big, avail + 4 + 2 * (size_t)(idx % f->num), fuzz_u8(&f->in) % (f->num + 1));
		virtio_put16(f->big, avail + 2, (uint16_t)(idx + 1));
	}
}

static void driver_step(struct fuzz *f, uint8_t op)
{
	switch (op & 3) {
	case 0:
		store_desc(f, f->memory + 16 * (size_t)(fuzz_u8(&f->in) % f->num));
		break;
	case 1:
		store_desc(f, f->memory + fuzz_u16(&f->in) % (SIZE - 16));
		break;
	case 2:
		offer(f);
		break;
	case 3:
		f->memory[fuzz_u16(&f->in) % SIZE] = fuzz_u8(&f->in);
	}
}

static void *translate(void *opaque, uint64_t gpa, uint64_t len)
{
	struct fuzz *f = opaque;

	if (f->busy && fuzz_u8(&f->in) & 1)
		driver_step(f, fuzz_u8(&f->in));
	if (gpa < START || gpa - START > SIZE || len > SIZE - (gpa - START))
		return NULL;
	return f->memory + (gpa - START);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz f = { .in = { data, size } };
	uint8_t shape = fuzz_u8(&f.in);
	uint64_t features = (shape & 8 ? VIRTIO_F_INDIRECT_DESC : 0) | (shape & 16 ? VIRTIO_F_EVENT_IDX : 0) |
			    (shape & 64 ? VIRTIO_F_RING_PACKED | VIRTIO_F_VERSION_1 : 0) | (shape & 128 ? VIRTIO_F_IN_ORDER : 0);

	/* Memory of its own, so that the sanitizer sees both its ends. */
	f.memory = aligned_alloc(16, SIZE);
	memset(f.memory, 0, SIZE);
	f.mem = (struct virtio_mem){ .translate = translate, .opaque = &f };
	f.num = 1u << (shape & 3);
	/* A packed ring has any size. */
	if ((shape & 4) && (shape & 64))
		f.num += 2;
	f.big = (shape & 32) && !(shape & 64);
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
