/* SPDX-License-Identifier: MIT */
/* bench.h - a driver of ours, and a device made of a few lines in the test, which may do what no device should. No bus between them. */
#ifndef TESTS_DRIVERS_BENCH_H
#define TESTS_DRIVERS_BENCH_H

#include <transport/direct.h>

#define BENCH_MEMORY	(4u << 20)
#define BENCH_QUEUES	12

struct bench {
	struct virtio_direct direct;
	struct virtio_dev dev;
	struct vring_device queues[BENCH_QUEUES];
	struct virtio_mem mem;
	struct virtio_platform platform;
	uint8_t *memory;
	size_t next, freed;		/* bytes that were allocated; that were given back */
	uint8_t config[VIRTIO_CONFIG_MAX];
	void *opaque;			/* the test's */
};

/* A device of @queues queues that offers @features besides those of rings. Its config_get() may be bench_config_get(). */
struct bench *bench_create(const struct virtio_dev_ops *ops, uint32_t id, uint64_t features, size_t config_len, unsigned int queues);
void bench_destroy(struct bench *b);

static inline struct bench *bench_of(struct virtio_dev *dev)
{
	return (struct bench *)((uint8_t *)dev - offsetof(struct bench, dev));
}

/* Zeroed memory for both; fails the test when there is none. */
void *bench_alloc(struct bench *b, size_t size);

/* b->config, as it is. */
void bench_config_get(struct virtio_dev *dev, void *config);

#endif
