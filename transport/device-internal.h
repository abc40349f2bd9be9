/* SPDX-License-Identifier: MIT */
/* device-internal.h - what every bus asks of a device before it takes it, and of the platform that hosts its drivers. */
#ifndef KENNEL_TRANSPORT_DEVICE_INTERNAL_H
#define KENNEL_TRANSPORT_DEVICE_INTERNAL_H

#include <virtio/device.h>
#include <virtio/driver.h>

/* Is @dev a device: all of it is there, of possible sizes? */
static inline bool transport_device_valid(const struct virtio_dev *dev)
{
	if (!dev || !dev->ops || !dev->id || dev->config_len > VIRTIO_CONFIG_MAX || (dev->num_queues && !dev->queues))
		return false;
	for (unsigned int i = 0; i < dev->num_queues; i++)
		if (!vring_size_valid(dev->queues[i].num_max))
			return false;
	return true;
}

/* Is there memory that drivers can share with devices? */
static inline bool transport_platform_valid(const struct virtio_platform *platform)
{
	return platform && platform->mem;
}

#endif
