/* SPDX-License-Identifier: MIT */
/* guest-ring.c - rings that the guest places: see guest-ring.h. */
#include <transport/guest-ring.h>
#include <virtio/vring-driver.h>

static void release(const struct virtio_platform *platform, struct guest_ring *ring)
{
	if (platform->free && ring->base)
		platform->free(platform->opaque, ring->base, ring->size);
	ring->base = NULL;
}

int guest_ring_create(struct virtio_device *vdev, unsigned int index, uint32_t num, struct guest_ring *ring,
		      struct virtio_queue **vq)
{
	const struct virtio_platform *platform = vdev->platform;
	size_t size, used;
	uint8_t *base;
	int ret = -VIRTIO_EFAULT;

	if (!num)
		return -VIRTIO_ENOENT;
	if (!vring_size_valid(num))
		return -VIRTIO_EINVAL;
	/* 2.7.2-2: of the size that the device says, in whole pages. */
	size = (vring_bytes(num, VRING_LEGACY_ALIGN) + VRING_LEGACY_ALIGN - 1) & ~(size_t)(VRING_LEGACY_ALIGN - 1);
	used = vring_used_offset(num, VRING_LEGACY_ALIGN);
	base = platform->alloc ? platform->alloc(platform->opaque, size, VRING_LEGACY_ALIGN) : NULL;
	if (!base)
		return -VIRTIO_ENOMEM;
	*ring = (struct guest_ring){ .base = base, .size = size, .num = num, .address = virtio_mem_address(platform->mem, base, size) };
	ring->driver = ring->address + vring_desc_bytes(num);
	ring->device = ring->address + used;
	if (ring->address != VIRTIO_BAD_ADDRESS)
		ret = vring_driver_create(vdev, index, num, base, base + vring_desc_bytes(num), base + used, vq);
	if (ret < 0)
		release(platform, ring);
	return ret;
}

void guest_ring_destroy(struct virtio_queue *vq, struct guest_ring *ring)
{
	const struct virtio_platform *platform = vq->vdev->platform;

	vring_driver_destroy(vq);
	release(platform, ring);
}
