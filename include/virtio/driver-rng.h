/* SPDX-License-Identifier: MIT */
/* driver-rng.h - an entropy driver for small kernels (virtio 1.2, 5.4). */
#ifndef VIRTIO_DRIVER_RNG_H
#define VIRTIO_DRIVER_RNG_H

#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

#define VIRTIO_RNG_CHUNK 256		/* bytes per request */

/* Zeroed by the caller; lies in memory that the platform's mem covers. */
struct virtio_rng {
	struct virtio_device *vdev;
	struct virtio_queue *queue;
	unsigned long used;
	uint8_t buffer[VIRTIO_RNG_CHUNK];
};

/* Take the device over. 0; -VIRTIO_EINVAL: null; another error: the device has been told FAILED. */
int virtio_rng_probe(struct virtio_rng *rng, struct virtio_device *vdev);

/* Fill @data with @len random bytes, waiting for the device. 0, or -VIRTIO_ENODEV, -VIRTIO_EIO: it gives nothing. */
int virtio_rng_read(struct virtio_rng *rng, void *data, size_t len);

/* Give the device back. */
void virtio_rng_remove(struct virtio_rng *rng);

VIRTIO_END_DECLS

#endif
