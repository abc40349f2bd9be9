/* SPDX-License-Identifier: MIT */
/* page-bus-host.c - rings in the pages behind a page of descriptions: what fits, placing, clearing, serving them. */
#include <transport/page-bus.h>
#include <virtio/device.h>

int page_bus_clear(const struct virtio_mem *mem, uint64_t top, uint64_t limit)
{
	if (!mem || top % PAGE_BUS_PAGE || limit <= top)
		return -VIRTIO_EINVAL;
	if (limit - top < PAGE_BUS_PAGE || !virtio_mem_at(mem, top, limit - top))
		return -VIRTIO_EFAULT;
	virtio_zero(virtio_mem_at(mem, top, PAGE_BUS_PAGE), PAGE_BUS_PAGE);
	return 0;
}

bool page_device_valid(const struct virtio_dev *dev, unsigned int max_queues)
{
	if (!dev || !dev->ops || !dev->id || dev->id > 255 || dev->config_len > 255 || dev->num_queues > max_queues)
		return false;
	for (unsigned int i = 0; i < dev->num_queues; i++)
		if (!vring_size_valid(dev->queues[i].num_max))
			return false;
	return true;
}

bool page_rings_place(const struct virtio_dev *dev, uint64_t *next, uint64_t limit, uint64_t *ring)
{
	uint64_t at = *next;

	for (unsigned int i = 0; i < dev->num_queues; i++) {
		ring[i] = at;
		at += page_ring_bytes(dev->queues[i].num_max);
		if (at > limit)
			return false;
	}
	*next = at;
	return true;
}

void page_rings_zero(const struct virtio_mem *mem, const struct virtio_dev *dev, const uint64_t *ring)
{
	for (unsigned int i = 0; i < dev->num_queues; i++) {
		uint64_t bytes = page_ring_bytes(dev->queues[i].num_max);

		virtio_zero(virtio_mem_at(mem, ring[i], bytes), (size_t)bytes);
	}
}

void page_rings_start(struct virtio_dev *dev, const uint64_t *ring)
{
	for (unsigned int i = 0; i < dev->num_queues; i++) {
		uint32_t num = dev->queues[i].num_max;

		virtio_dev_set_queue(dev, i, num, ring[i], ring[i] + vring_desc_bytes(num),
				     ring[i] + vring_used_offset(num, VRING_LEGACY_ALIGN));
	}
	virtio_dev_start(dev);
}
