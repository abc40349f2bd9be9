/* SPDX-License-Identifier: MIT */
/*
 * vring-device-internal.h - between vring-device.c, which a device calls, and the two layouts of a ring. The functions here are those of
 * <virtio/vring-device.h> for one layout; the ring is set up and not broken.
 */
#ifndef VIRTIO_VRING_DEVICE_INTERNAL_H
#define VIRTIO_VRING_DEVICE_INTERNAL_H

#include <virtio/vring-device.h>

/* What ids given to a device carry above the 16 bits of the ring's own: how many descriptors to skip. */
static inline uint32_t vring_token(uint16_t id, uint32_t count)
{
	return id | count << 16;
}

static inline uint16_t vring_token_id(uint32_t token)
{
	return (uint16_t)token;
}

static inline uint16_t vring_token_count(uint32_t token)
{
	return (uint16_t)(token >> 16);
}

/* Add a piece of memory to the buffer being popped; @writable: by us. NULL, or what is wrong with it. */
const char *vring_device_add_piece(struct vring_device *vq, struct vring_buffer *buf, unsigned int max, uint64_t addr, uint32_t len,
				   bool writable);

/* Count what an indirect table holds and find it. NULL, and *@wrong says what is wrong with it. */
const void *vring_device_table(struct vring_device *vq, uint64_t addr, uint32_t len, uint32_t *entries, const char **wrong);

int vring_split_pop(struct vring_device *vq, struct vring_buffer *buf, struct virtio_iov *iov, unsigned int max);
void vring_split_unpop(struct vring_device *vq, uint32_t id);
bool vring_split_has_buffers(struct vring_device *vq);
void vring_split_push(struct vring_device *vq, uint32_t id, uint32_t written);
bool vring_split_flush(struct vring_device *vq);
bool vring_split_notify(struct vring_device *vq, bool on);

int vring_packed_pop(struct vring_device *vq, struct vring_buffer *buf, struct virtio_iov *iov, unsigned int max);
void vring_packed_unpop(struct vring_device *vq, uint32_t id);
bool vring_packed_has_buffers(struct vring_device *vq);
void vring_packed_push(struct vring_device *vq, uint32_t id, uint32_t written);
bool vring_packed_flush(struct vring_device *vq);
bool vring_packed_notify(struct vring_device *vq, bool on);

#endif
