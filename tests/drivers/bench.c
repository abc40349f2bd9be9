/* SPDX-License-Identifier: MIT */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void *platform_alloc(void *opaque, size_t size, size_t align)
{
	struct bench *b = opaque;
	size_t at = (b->next + align - 1) & ~(align - 1);

	if (at + size > BENCH_MEMORY)
		return NULL;
	b->next = at + size;
	return b->memory + at;
}

static void platform_free(void *opaque, void *ptr, size_t size)
{
	((struct bench *)opaque)->freed += size;
}

static void platform_wait(void *opaque)
{
	virtio_direct_deliver(&((struct bench *)opaque)->direct, NULL);
}

void *bench_alloc(struct bench *b, size_t size)
{
	void *p = platform_alloc(b, size, 16);

	assert_non_null(p);
	return p;
}

void bench_config_get(struct virtio_dev *dev, void *config)
{
	memcpy(config, bench_of(dev)->config, dev->config_len);
}

struct bench *bench_create(const struct virtio_dev_ops *ops, uint32_t id, uint64_t features, size_t config_len, unsigned int queues)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->memory = aligned_alloc(4096, BENCH_MEMORY);
	memset(b->memory, 0, BENCH_MEMORY);
	b->mem = (struct virtio_mem){ .base = b->memory, .start = 4096, .size = BENCH_MEMORY };
	b->platform = (struct virtio_platform){
		.mem = &b->mem, .alloc = platform_alloc, .free = platform_free, .wait = platform_wait, .opaque = b,
	};
	b->dev = (struct virtio_dev){
		.ops = ops, .id = id, .offered = VIRTIO_DEV_RING_FEATURES | features, .config_len = config_len, .queues = b->queues,
		.num_queues = queues,
	};
	for (unsigned int i = 0; i < queues; i++)
		b->queues[i].num_max = 64;
	assert_int_equal(virtio_direct_init(&b->direct, &b->dev, &b->platform, false), 0);
	return b;
}

void bench_destroy(struct bench *b)
{
	free(b->memory);
	free(b);
}
