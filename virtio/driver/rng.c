/* SPDX-License-Identifier: MIT */
/* rng.c - an entropy driver on the five operations: see <virtio/driver-rng.h>. */
#include <virtio/driver-rng.h>

int virtio_rng_probe(struct virtio_rng *rng, struct virtio_device *vdev)
{
	int ret = rng ? virtio_device_setup(vdev, 0) : -VIRTIO_EINVAL;

	if (ret < 0)
		return ret;
	rng->vdev = vdev;
	ret = virtio_device_queue(vdev, 0, NULL, rng, &rng->queue);
	if (ret < 0) {
		virtio_device_fail(vdev);
		return ret;
	}
	virtio_device_ready(vdev);
	return 0;
}

int virtio_rng_read(struct virtio_rng *rng, void *data, size_t len)
{
	uint8_t *to = data;

	if (!rng || (len && !data))
		return -VIRTIO_EINVAL;
	while (len) {
		struct virtio_iov piece = { rng->buffer, len < VIRTIO_RNG_CHUNK ? len : VIRTIO_RNG_CHUNK };
		long ret = virtio_add_inbuf(rng->queue, &piece, 0, 1, &rng->used);

		if (ret < 0)
			return (int)ret;
		virtio_sync(rng->queue);
		ret = virtio_wait_done(rng->queue, &rng->used);
		if (ret < 0)
			return (int)ret;
		if (!rng->used)
			return -VIRTIO_EIO;
		virtio_copy(to, rng->buffer, rng->used);
		to += rng->used;
		len -= rng->used;
	}
	return 0;
}

void virtio_rng_remove(struct virtio_rng *rng)
{
	if (rng)
		virtio_device_remove(rng->vdev);
}
