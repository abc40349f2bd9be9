/* SPDX-License-Identifier: MIT */
/*
 * direct.h - no bus at all: joins a device and its driver, both ends of libvirtio, in one program by plain calls. Rings are all
 * there is between them. For tests, and for hosts that drive a device of their own on behalf of somebody who does not speak
 * virtio. Freestanding.
 *
 *	virtio_direct_init(&direct, dev, platform, false);
 *	virtio_block_probe(&block, &direct.vdev);
 *	...
 *	virtio_direct_deliver(&direct, NULL)	where an interrupt would be served; from the platform's wait() at least
 */
#ifndef KENNEL_TRANSPORT_DIRECT_H
#define KENNEL_TRANSPORT_DIRECT_H

#include <transport/guest-ring.h>
#include <virtio/device.h>

VIRTIO_BEGIN_DECLS

struct virtio_direct {
	struct virtio_device vdev;	/* first: for the driver */
	struct virtio_dev *dev;
	struct guest_ring ring[VIRTIO_DRIVER_QUEUES];
	uint32_t pending;		/* queues with an interrupt that was not delivered, as bits */
	bool config;			/* the configuration changed, likewise */
	/* Set after virtio_direct_init(), each may be NULL: an interrupt became pending; the device stopped, once per reset. */
	void (*interrupt)(void *opaque);
	void (*complain)(void *opaque, const struct virtio_dev *dev, const char *reason);
	void *opaque;
};

/*
 * @platform: gives memory for rings, and is the device's memory too; it outlives both. @big_endian: the byte order unless
 * VERSION_1 is negotiated. 0, or -VIRTIO_EINVAL: null, no memory, or a device that cannot be: a queue whose size is no power of two,
 * more queues than our drivers use, a configuration of more than VIRTIO_CONFIG_MAX bytes. Owns nothing, and must not move.
 */
int virtio_direct_init(struct virtio_direct *direct, struct virtio_dev *dev, const struct virtio_platform *platform,
		       bool big_endian);

/*
 * Deliver what is pending: queues harvest. True: there was something; with @direct null there is nothing. *@config (unless NULL) becomes whether the configuration
 * or the status changed.
 */
bool virtio_direct_deliver(struct virtio_direct *direct, bool *config);

VIRTIO_END_DECLS

#endif
