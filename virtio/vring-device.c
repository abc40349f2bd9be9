/* SPDX-License-Identifier: MIT */
/*
 * vring-device.c - the device's end of a ring: what both layouts have in common. vring-device-split.c and vring-device-packed.c are the
 * two (virtio 1.2, 2.7 and 2.8); the essay on what is believed and in which order things are done is in the former.
 */
#include "vring-device-internal.h"

#include "access.h"

void vring_device_break(struct vring_device *vq, const char *reason)
{
	if (vq && !vq->broken)
		vq->broken = reason;
}

/* Bytes of the driver's and of the device's part. */
static void part_sizes(uint32_t num, bool packed, size_t *avail, size_t *used)
{
	*avail = packed ? sizeof(uint32_t) : vring_avail_bytes(num);
	*used = packed ? sizeof(uint32_t) : vring_used_bytes(num);
}

int vring_device_init(struct vring_device *vq, const struct virtio_mem *mem, uint32_t num, uint64_t desc, uint64_t avail, uint64_t used,
		      uint64_t features, bool big)
{
	bool packed = features & VIRTIO_F_RING_PACKED;
	unsigned int avail_mask = packed ? 3 : 1;
	size_t avail_bytes, used_bytes;
	void *d, *a, *u;

	/* 2.7-1, 2.8.10.1-1: a split ring's size is a power of two. */
	if (!vq || !mem || !(packed ? vring_packed_size_valid(num) : vring_size_valid(num)))
		return -VIRTIO_EINVAL;
	/* 2.7.1-1, 2.8.11-1: alignments 16, 2 and 4; of a packed ring 16, 4 and 4. */
	if ((desc & 15) || (avail & avail_mask) || (used & 3))
		return -VIRTIO_EINVAL;
	/* 6.1: a packed ring is never a legacy one, so it is little-endian. */
	if (packed && !(features & VIRTIO_F_VERSION_1))
		return -VIRTIO_EINVAL;
	part_sizes(num, packed, &avail_bytes, &used_bytes);
	d = virtio_mem_at(mem, desc, vring_desc_bytes(num));
	a = virtio_mem_at(mem, avail, avail_bytes);
	u = virtio_mem_at(mem, used, used_bytes);
	if (!d || !a || !u)
		return -VIRTIO_EFAULT;
	if (((uintptr_t)d & 7) || ((uintptr_t)a & avail_mask) || ((uintptr_t)u & 3))
		return -VIRTIO_EINVAL;

	vring_device_reset(vq);
	vq->desc = d;
	vq->avail = a;
	vq->used = u;
	vq->desc_addr = desc;
	vq->avail_addr = avail;
	vq->used_addr = used;
	vq->mem = mem;
	vq->num = (uint16_t)num;
	/* 2.8.1: wrap counters begin as 1. */
	vq->avail_wrap = vq->used_wrap = vq->published_wrap = packed;
	vq->swap = virtio_must_swap(big && !packed);
	vq->packed = packed;
	vq->event_idx = features & VIRTIO_F_EVENT_IDX;
	vq->indirect = features & VIRTIO_F_INDIRECT_DESC;
	vq->in_order = features & VIRTIO_F_IN_ORDER;
	vq->read_only = true;
	vq->event_shown = UINT32_MAX;
	return 0;
}

void vring_device_reset(struct vring_device *vq)
{
	uint16_t num_max;

	if (!vq)
		return;
	num_max = vq->num_max;
	virtio_zero(vq, sizeof(*vq));
	vq->num_max = num_max;
}

static bool usable(const struct vring_device *vq)
{
	return vq && vq->num && !vq->broken;
}

/* --- pieces ------------------------------------------------------------------------------------------------------------ */

const char *vring_device_add_piece(struct vring_device *vq, struct vring_buffer *buf, unsigned int max, uint64_t addr, uint32_t len,
				   bool writable)
{
	unsigned int count = buf->out_count + buf->in_count;
	void *base;

	if (!len)
		return NULL;
	/* 2.7.4.2-1, 2.8.17-2: what is read comes first. */
	if (!writable && buf->in_count)
		return "a readable descriptor behind a writable one (virtio 1.2, 2.7.4.2, 2.8.17)";
	/* 2.7.5.2-1: both directions together. */
	if (buf->out_len + buf->in_len + len > UINT32_MAX)
		return "a buffer of 4 GiB or more (virtio 1.2, 2.7.5.2)";
	if (count == max)
		return "a buffer of more pieces than the device takes";
	base = virtio_mem_at(vq->mem, addr, len);
	if (!base)
		return "a buffer outside guest memory";
	buf->out[count] = (struct virtio_iov){ base, len };
	if (writable) {
		if (vq->mem->dirty)
			vq->mem->dirty(vq->mem->opaque, addr, len);
		buf->in_count++;
		buf->in_len += len;
		vq->read_only = false;
	} else {
		buf->out_count++;
		buf->out_len += len;
	}
	return NULL;
}

const void *vring_device_table(struct vring_device *vq, uint64_t addr, uint32_t len, uint32_t *entries, const char **wrong)
{
	const void *table = NULL;

	/* 2.7.5.3.1-1, 2.8.19-1: only if it was negotiated. */
	if (!vq->indirect)
		*wrong = "an indirect descriptor, which was not negotiated (virtio 1.2, 2.7.5.3.1, 2.8.19)";
	else if (!len || len % sizeof(struct vring_desc))
		*wrong = "an indirect table whose length is not a multiple of 16";
	else if (!(table = virtio_mem_at(vq->mem, addr, len)))
		*wrong = "an indirect table outside guest memory";
	*entries = len / sizeof(struct vring_desc);
	return table;
}

/* --- what a device calls ------------------------------------------------------------------------------------------------ */

int vring_device_pop(struct vring_device *vq, struct vring_buffer *buf, struct virtio_iov *iov, unsigned int max)
{
	if (!vq || !buf || !iov)
		return -VIRTIO_EINVAL;
	if (vq->broken)
		return -VIRTIO_EPROTO;
	if (!vq->num)
		return 0;
	return vq->packed ? vring_packed_pop(vq, buf, iov, max) : vring_split_pop(vq, buf, iov, max);
}

void vring_device_unpop(struct vring_device *vq, uint32_t id)
{
	if (!usable(vq))
		return;
	if (vq->packed)
		vring_packed_unpop(vq, id);
	else
		vring_split_unpop(vq, id);
}

bool vring_device_has_buffers(struct vring_device *vq)
{
	if (!usable(vq))
		return false;
	return vq->packed ? vring_packed_has_buffers(vq) : vring_split_has_buffers(vq);
}

void vring_device_push(struct vring_device *vq, uint32_t id, uint32_t written)
{
	if (!usable(vq))
		return;
	if (vq->packed)
		vring_packed_push(vq, id, written);
	else
		vring_split_push(vq, id, written);
}

bool vring_device_flush(struct vring_device *vq)
{
	if (!usable(vq) || !vq->unpublished)
		return false;
	return vq->packed ? vring_packed_flush(vq) : vring_split_flush(vq);
}

bool vring_device_notify(struct vring_device *vq, bool on)
{
	if (!usable(vq))
		return false;
	vq->quiet = !on;
	return vq->packed ? vring_packed_notify(vq, on) : vring_split_notify(vq, on);
}

/* --- where it stands ---------------------------------------------------------------------------------------------------- */

uint32_t vring_device_base(const struct vring_device *vq)
{
	if (!vq || !vq->packed)
		return vq ? vq->last_avail : 0;
	return vq->last_avail | (vq->avail_wrap ? VRING_EVENT_WRAP : 0) |
	       (uint32_t)(vq->used_idx | (vq->used_wrap ? VRING_EVENT_WRAP : 0)) << 16;
}

int vring_device_set_base(struct vring_device *vq, uint32_t base)
{
	uint16_t avail = base & (VRING_EVENT_WRAP - 1), used = (base >> 16) & (VRING_EVENT_WRAP - 1);

	if (!vq || !vq->num)
		return -VIRTIO_EINVAL;
	if (!vq->packed) {
		vq->last_avail = vq->seen_avail = (uint16_t)base;
		vq->used_idx = vq->used_published = ring_load16(&vq->used->idx, vq->swap);
		return 0;
	}
	if (avail >= vq->num || used >= vq->num)
		return -VIRTIO_EINVAL;
	vq->last_avail = avail;
	vq->avail_wrap = base & VRING_EVENT_WRAP;
	vq->used_idx = vq->used_published = used;
	vq->used_wrap = vq->published_wrap = base >> 31;
	return 0;
}

/* How far taking is ahead of giving back, in the unit of in_flight. */
static uint32_t ahead(const struct vring_device *vq)
{
	if (!vq->packed)
		return (uint16_t)(vq->last_avail - vq->used_idx);
	return vq->last_avail + (vq->avail_wrap != vq->used_wrap ? vq->num : 0u) - vq->used_idx;
}

int vring_device_save(const struct vring_device *vq, struct vring_device_state *state)
{
	if (!vq || !state)
		return -VIRTIO_EINVAL;
	if (vq->broken)
		return -VIRTIO_EPROTO;
	if (vq->unpublished)
		return -VIRTIO_EBUSY;
	*state = (struct vring_device_state){ .version = VRING_STATE_VERSION, .num = vq->num };
	if (!vq->num)
		return 0;
	state->features = (vq->packed ? VIRTIO_F_RING_PACKED | VIRTIO_F_VERSION_1 : 0) | (vq->event_idx ? VIRTIO_F_EVENT_IDX : 0) |
			  (vq->indirect ? VIRTIO_F_INDIRECT_DESC : 0) | (vq->in_order ? VIRTIO_F_IN_ORDER : 0);
	state->desc = vq->desc_addr;
	state->avail = vq->avail_addr;
	state->used = vq->used_addr;
	state->base = vring_device_base(vq) | (vq->packed ? 0 : (uint32_t)vq->used_idx << 16);
	state->in_flight = vq->in_flight;
	state->flags = (vq->swap != virtio_must_swap(false) ? VRING_STATE_BIG : 0) | (vq->quiet ? VRING_STATE_QUIET : 0) |
		       (vq->read_only ? VRING_STATE_READ_ONLY : 0);
	return 0;
}

int vring_device_load(struct vring_device *vq, const struct virtio_mem *mem, const struct vring_device_state *state)
{
	int ret;

	if (!vq || !mem || !state)
		return -VIRTIO_EINVAL;
	vring_device_reset(vq);
	if (state->version != VRING_STATE_VERSION)
		return -VIRTIO_EINVAL;
	if (!state->num)
		return 0;
	ret = vring_device_init(vq, mem, state->num, state->desc, state->avail, state->used, state->features,
				state->flags & VRING_STATE_BIG);
	if (ret < 0)
		return ret;
	ret = vring_device_set_base(vq, state->base);
	if (!vq->packed)
		vq->used_idx = vq->used_published = (uint16_t)(state->base >> 16);
	if (ret < 0 || state->in_flight > vq->num || ahead(vq) != state->in_flight) {
		vring_device_reset(vq);
		return -VIRTIO_EINVAL;
	}
	vq->in_flight = state->in_flight;
	vq->quiet = state->flags & VRING_STATE_QUIET;
	vq->read_only = state->flags & VRING_STATE_READ_ONLY;
	return 0;
}
