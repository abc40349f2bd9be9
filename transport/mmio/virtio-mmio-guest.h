/* SPDX-License-Identifier: MIT */
/*
 * virtio-mmio-guest.h - the guest's end of virtio over MMIO (see virtio-mmio.h), versions 1 and 2. Freestanding.
 *
 *	for each window that the machine is known to have:
 *		if (!virtio_mmio_probe(&device, platform, &access, address, size, big_endian))
 *			switch (device.vdev.id) ...  virtio_block_probe(&block, &device.vdev)
 *	interrupt: virtio_mmio_device_interrupt(&device, &config)
 */
#ifndef KENNEL_TRANSPORT_MMIO_VIRTIO_MMIO_GUEST_H
#define KENNEL_TRANSPORT_MMIO_VIRTIO_MMIO_GUEST_H

#include <transport/guest-ring.h>
#include <transport/mmio/virtio-mmio.h>

VIRTIO_BEGIN_DECLS

/* The caller's loads from and stores to device memory; @size 1, 2 or 4; values as a little-endian bus has them. */
struct virtio_mmio_access {
	uint32_t (*read)(void *opaque, uint64_t address, unsigned int size);
	void (*write)(void *opaque, uint64_t address, unsigned int size, uint32_t value);
	void *opaque;
};

/* One device found. The caller keeps it as long as the device is used; it must not move once a driver has probed it. */
struct virtio_mmio_device {
	struct virtio_device vdev;	/* for the driver */
	const struct virtio_mmio_access *access;
	uint64_t address;		/* of the window */
	uint32_t config_len;		/* what is left of the window; a device does not tell how much of it is configuration */
	bool legacy;
	struct guest_ring ring[VIRTIO_DRIVER_QUEUES];
};

/*
 * Look at the window of @size bytes at @address. @big_endian: our byte order, as far as an older device is concerned. All of the
 * pointers must outlive the device. 0; -VIRTIO_EINVAL: null, no memory, or @address is no multiple of 4; -VIRTIO_ENODEV: no device that
 * we could drive.
 */
int virtio_mmio_probe(struct virtio_mmio_device *device, const struct virtio_platform *platform,
		      const struct virtio_mmio_access *access, uint64_t address, uint32_t size, bool big_endian);

/*
 * The device's line was asserted: acknowledge, and let the queues harvest. True: it was this device. *@config (NULL: nobody
 * asks) says whether its configuration or status has changed. Null: false.
 */
bool virtio_mmio_device_interrupt(struct virtio_mmio_device *device, bool *config);

VIRTIO_END_DECLS

#endif
