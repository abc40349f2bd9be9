/* SPDX-License-Identifier: MIT */
/* rng.c - an entropy device (virtio 1.2, 5.4): fills what it is given. */
#include <stdlib.h>

#include <device/device.h>

#define QUEUE_SIZE 16

/* Bytes per buffer at most: the guest asks for a few hundred; one that asks for gigabytes gets part of it, as 5.4.6 allows. */
#define FILL_MAX 4096

struct rng_device {
	struct virtio_dev dev;
	struct vring_device queue;
	struct entropy_backend *backend;
	struct virtio_iov iov[QUEUE_SIZE];
};

static struct rng_device *of(struct virtio_dev *dev)
{
	return (struct rng_device *)(void *)dev;
}

static uint32_t fill(struct entropy_backend *backend, const struct virtio_iov *iov, unsigned int count)
{
	uint32_t filled = 0;

	for (unsigned int i = 0; i < count && filled < FILL_MAX; i++) {
		size_t len = iov[i].len < FILL_MAX - filled ? iov[i].len : FILL_MAX - filled;
		size_t got = backend->ops->fill(backend, iov[i].base, len);

		filled += (uint32_t)got;
		if (got < iov[i].len)
			break;
	}
	return filled;
}

static void rng_queue_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct rng_device *rng = of(dev);
	struct vring_buffer buf;

	while (virtio_dev_pop(dev, 0, &buf, rng->iov, QUEUE_SIZE) > 0)
		virtio_dev_push(dev, 0, buf.id, fill(rng->backend, buf.in, buf.in_count));
	virtio_dev_flush(dev, 0);
}

/* Nothing is kept of a buffer. */
static void rng_queue_reset(struct virtio_dev *dev, unsigned int queue)
{
}

static void rng_destroy(struct virtio_dev *dev)
{
	struct rng_device *rng = of(dev);

	if (rng->backend->ops->close)
		rng->backend->ops->close(rng->backend);
	free(rng);
}

static const struct virtio_dev_ops rng_ops = {
	.name = "rng",
	.queue_notify = rng_queue_notify,
	.queue_reset = rng_queue_reset,
	.destroy = rng_destroy,
};

struct virtio_dev *rng_device_create(struct entropy_backend *backend)
{
	struct rng_device *rng = calloc(1, sizeof(*rng));

	if (!rng)
		return NULL;
	rng->queue.num_max = QUEUE_SIZE;
	rng->dev = (struct virtio_dev){
		.ops = &rng_ops,
		.id = VIRTIO_ID_RNG,
		.offered = VIRTIO_DEV_RING_FEATURES | VIRTIO_F_IN_ORDER,
		.queues = &rng->queue,
		.num_queues = 1,
	};
	rng->backend = backend;
	return &rng->dev;
}
