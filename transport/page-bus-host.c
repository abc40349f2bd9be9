/* SPDX-License-Identifier: MIT */
/*
 * page-bus-host.c - a page of descriptions, and the rings in the pages behind it: who has which part, and clearing and serving
 * the rings.
 */
#include <transport/page-bus.h>

#include "transport/device-internal.h"

int page_space_init(struct page_space *space, const struct virtio_mem *mem, uint64_t top, uint64_t limit, unsigned int devices,
		    unsigned int irqs)
{
	if (!mem || top % PAGE_BUS_PAGE || limit <= top)
		return -VIRTIO_EINVAL;
	if (limit - top < PAGE_BUS_PAGE || !virtio_mem_at(mem, top, limit - top))
		return -VIRTIO_EFAULT;
	*space = (struct page_space){
		.mem = mem,
		.top = top,
		.limit = limit,
		.next = top + PAGE_BUS_PAGE,
		.devices = devices,
		.next_irq = 1,
		.irqs = irqs,
	};
	page_space_clear(space);
	return 0;
}

uint8_t *page_space_at(const struct page_space *space, unsigned int offset)
{
	return (uint8_t *)virtio_mem_at(space->mem, space->top, PAGE_BUS_PAGE) + offset;
}

void page_space_clear(const struct page_space *space)
{
	if (space->mem)
		virtio_zero(page_space_at(space, 0), PAGE_BUS_PAGE);
}

static bool place_rings(const struct virtio_dev *dev, uint64_t *next, uint64_t limit, uint64_t *ring)
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

const char *page_space_take(struct page_space *space, const struct virtio_dev *dev, size_t bytes, uint64_t *ring)
{
	if (space->count == space->devices)
		return "a guest takes no more devices on this bus; leave some out";
	if (space->irqs && space->next_irq + dev->num_queues > space->irqs)
		return "a guest has 31 device interrupts on this bus, one per queue, and they are used up; leave some devices out";
	if (bytes > PAGE_BUS_PAGE - space->used)
		return "the descriptions of all devices must fit into one page, and it is full; leave some devices out";
	if (!place_rings(dev, &space->next, space->limit, ring))
		return "no memory is left above the guest's RAM for the device's rings";
	space->count++;
	space->used += (unsigned int)bytes;
	space->next_irq += dev->num_queues;
	return NULL;
}

bool page_device_valid(const struct virtio_dev *dev, unsigned int max_queues)
{
	return transport_device_valid(dev) && dev->id <= 255 && dev->config_len <= 255 && dev->num_queues <= max_queues;
}

void page_rings_zero(const struct page_space *space, const struct virtio_dev *dev, const uint64_t *ring)
{
	for (unsigned int i = 0; i < dev->num_queues; i++) {
		uint64_t bytes = page_ring_bytes(dev->queues[i].num_max);

		virtio_zero(virtio_mem_at(space->mem, ring[i], bytes), (size_t)bytes);
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

/* --- configuration -------------------------------------------------------------------------------------------------- */

void page_config_write(struct page_config *c, struct virtio_dev *dev, uint8_t *config)
{
	virtio_dev_config_read(dev, 0, c->seen, dev->config_len);
	virtio_copy(config, c->seen, dev->config_len);
}

void page_config_take(struct page_config *c, struct virtio_dev *dev, const uint8_t *config)
{
	for (size_t at = 0, len; at < dev->config_len; at += len) {
		bool changed = false;
		uint8_t word[4];

		len = dev->config_len - at < sizeof(word) ? dev->config_len - at : sizeof(word);
		for (size_t i = 0; i < len; i++) {
			word[i] = ((const volatile uint8_t *)config)[at + i];
			changed |= word[i] != c->seen[at + i];
		}
		if (!changed)
			continue;
		/* Seen before it is told: the device may answer with a change. */
		virtio_copy(c->seen + at, word, len);
		virtio_dev_config_write(dev, at, word, len);
	}
}

void page_config_changed(struct page_config *c, struct virtio_dev *dev, uint8_t *config)
{
	uint8_t now[VIRTIO_CONFIG_MAX];

	page_config_take(c, dev, config);
	virtio_dev_config_read(dev, 0, now, dev->config_len);
	for (size_t i = 0; i < dev->config_len; i++)
		if (now[i] != c->seen[i])
			config[i] = c->seen[i] = now[i];
}
