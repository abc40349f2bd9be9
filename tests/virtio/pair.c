/* SPDX-License-Identifier: MIT */
#include <stdlib.h>
#include <string.h>

#include "pair.h"

static void pair_notify(struct virtio_queue *vq)
{
	struct pair *pair = vq->vdev->driver;

	__atomic_add_fetch(&pair->kicks, 1, __ATOMIC_RELAXED);
	if (pair->on_kick)
		pair->on_kick(pair);
}

static void pair_reset(struct virtio_device *vdev)
{
	struct pair *pair = vdev->driver;

	pair->resets++;
	vring_device_reset(&pair->dev);
}

static int pair_reset_queue(struct virtio_queue *vq)
{
	struct pair *pair = vq->vdev->driver;

	pair->queue_resets++;
	vring_device_reset(&pair->dev);
	return 0;
}

static int pair_enable_queue(struct virtio_queue *vq)
{
	struct pair *pair = vq->vdev->driver;

	return vring_device_init(&pair->dev, &pair->mem, vq->size, pair->desc, pair->avail, pair->used, vq->vdev->features,
				 vq->vdev->big_endian);
}

static const struct virtio_bus pair_bus = {
	.notify = pair_notify,
	.reset = pair_reset,
	.reset_queue = pair_reset_queue,
	.enable_queue = pair_enable_queue,
};

static void *platform_alloc(void *opaque, size_t size, size_t align)
{
	struct pair *pair = opaque;
	size_t at = (pair->next + align - 1) & ~(align - 1);

	if (at + size > PAIR_MEMORY)
		return NULL;
	pair->next = at + size;
	return pair->memory + at;
}

void *pair_alloc(struct pair *pair, size_t size, size_t align)
{
	void *p = platform_alloc(pair, size, align);

	if (!p)
		abort();
	return p;
}

uint64_t pair_address(struct pair *pair, const void *p)
{
	return PAIR_START + (uint64_t)((const uint8_t *)p - pair->memory);
}

struct pair *pair_create(uint32_t num, uint64_t features, bool big, unsigned int indirect)
{
	struct pair *pair = calloc(1, sizeof(*pair));
	void *desc, *avail, *used;

	if (!pair)
		abort();
	pair->memory = aligned_alloc(4096, PAIR_MEMORY);
	if (!pair->memory)
		abort();
	memset(pair->memory, 0, PAIR_MEMORY);
	pair->mem = (struct virtio_mem){ .base = pair->memory, .start = PAIR_START, .size = PAIR_MEMORY };
	pair->platform = (struct virtio_platform){ .mem = &pair->mem, .alloc = platform_alloc, .opaque = pair };
	pair->vdev = (struct virtio_device){
		.bus = &pair_bus,
		.platform = &pair->platform,
		.features = features,
		.big_endian = big,
		.indirect = indirect,
		.driver = pair,
	};
	desc = pair_alloc(pair, vring_desc_bytes(num), 16);
	avail = pair_alloc(pair, vring_avail_bytes(num), 4);
	used = pair_alloc(pair, vring_used_bytes(num), 4);
	pair->desc = pair_address(pair, desc);
	pair->avail = pair_address(pair, avail);
	pair->used = pair_address(pair, used);
	if (vring_driver_create(&pair->vdev, 0, num, desc, avail, used, &pair->vq))
		abort();
	pair->vdev.queues[0] = pair->vq;
	if (vring_device_init(&pair->dev, &pair->mem, num, pair->desc, pair->avail, pair->used, features, big))
		abort();
	return pair;
}

void pair_destroy(struct pair *pair)
{
	free(pair->memory);
	free(pair);
}
