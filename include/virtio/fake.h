/* SPDX-License-Identifier: MIT */
/*
 * fake.h - a test bed: drivers and devices of libvirtio in one process, over a private guest memory, on any of the buses there
 * are, in either byte order. Neither end can tell it from a guest: the driver's end of the bus reads pages or registers, the
 * device's end serves them, and buffers travel through rings in the memory; or both ends speak over a stream of bytes.
 *
 *	struct virtio_fake_options options = { .bus = VIRTIO_FAKE_S390_PAGE, .big_endian = true };
 *
 *	virtio_fake_create(&options, &fake);
 *	virtio_fake_add(fake, my_device_create());		a struct virtio_dev, in the order in which the bus has them
 *	virtio_fake_find(fake, 0, &vdev);			its other end, for a driver
 *	net = virtio_fake_alloc(fake, sizeof(*net), 16);	drivers lie in guest memory
 *	virtio_net_probe(net, vdev);
 *	...
 *	virtio_fake_deliver(fake);				interrupts come when you say so, or when a driver waits
 *	virtio_fake_destroy(fake);
 *
 * A run is deterministic: everything happens on the caller's thread. Unlike the rest of the library this needs a C library, for
 * memory.
 */
#ifndef VIRTIO_FAKE_H
#define VIRTIO_FAKE_H

#include <virtio/device.h>
#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

enum virtio_fake_bus {
	VIRTIO_FAKE_DIRECT,		/* no bus: calls, and rings between them */
	VIRTIO_FAKE_STREAM,		/* <virtio/stream.h>: no shared memory, and buffers of at most 64 KiB */
	VIRTIO_FAKE_LGUEST_DMA,		/* lguest of Linux 2.6.23, which was no virtio: consoles, disks, network cards; little-endian */
	VIRTIO_FAKE_LGUEST_TLV,		/* lguest of Linux 2.6.24: little-endian; no features; a device can be taken over once */
	VIRTIO_FAKE_LGUEST_PAGE,	/* lguest of Linux 2.6.25 to 4.3: little-endian */
	VIRTIO_FAKE_S390_PAGE,		/* KVM on s390: big-endian */
	VIRTIO_FAKE_MMIO_LEGACY,
	VIRTIO_FAKE_MMIO,
	VIRTIO_FAKE_PCI_LEGACY,		/* a transitional device, driven as before virtio 1.0 */
	VIRTIO_FAKE_PCI_MSIX_LEGACY,	/* the same two with message interrupts */
	VIRTIO_FAKE_PCI,
	VIRTIO_FAKE_PCI_MSIX,
	VIRTIO_FAKE_BUSES
};

struct virtio_fake_options {
	enum virtio_fake_bus bus;
	bool big_endian;		/* the guest's byte order: what counts where VERSION_1 is not negotiated */
	size_t memory;			/* bytes of guest memory, at least 64 KiB; 0 = 4 MiB */
	uint64_t without;		/* feature bits that devices are not to offer: RING_PACKED, to have split rings */
	/* Called when a driver waits, after interrupts were delivered: let your backend do something. May be NULL. */
	void (*idle)(void *opaque);
	/* The driver was told that the device's configuration or status changed. May be NULL. */
	void (*config_changed)(void *opaque, struct virtio_device *vdev);
	void *opaque;
};

#define VIRTIO_FAKE_DEVICES 16		/* most devices of one bed */

struct virtio_fake;

/*
 * A bed without devices. 0 and *@fake; -VIRTIO_EINVAL: null, no such bus, too little memory, or a byte order that the bus never
 * had; -VIRTIO_ENOMEM.
 */
int virtio_fake_create(const struct virtio_fake_options *options, struct virtio_fake **fake);

/*
 * Put a device on the bus, before the first virtio_fake_find(). The bed owns it from now on: it destroys it. 0; -VIRTIO_EINVAL: null, or
 * it is there already; -VIRTIO_ENOSPC: the bed or the bus is full; -VIRTIO_EBUSY: the driver's end has looked already; or what the bus finds wrong with the device.
 * After an error it is still the caller's.
 */
int virtio_fake_add(struct virtio_fake *fake, struct virtio_dev *dev);

/* What a driver sees of the @index-th device that was added. 0 and *@vdev; -VIRTIO_ENOENT: there is none; -VIRTIO_EINVAL: null. */
int virtio_fake_find(struct virtio_fake *fake, unsigned int index, struct virtio_device **vdev);

/* Deliver the interrupts that are pending, and those that come of it. How many rounds it took: 0 = there was none, or no bed. */
unsigned int virtio_fake_deliver(struct virtio_fake *fake);

/*
 * Zeroed guest memory, aligned to @align, and its release. NULL: there is no more, or @align is no power of two. What was never given
 * out, or was released before, is not released.
 */
void *virtio_fake_alloc(struct virtio_fake *fake, size_t size, size_t align);
void virtio_fake_free(struct virtio_fake *fake, void *ptr, size_t size);

/* How guest-physical addresses and pointers correspond in this bed; null without one. */
const struct virtio_mem *virtio_fake_mem(const struct virtio_fake *fake);

/* Why a device stopped, and which; NULL: none did since the bed was made or was last asked. @dev may be NULL. */
const char *virtio_fake_broken(struct virtio_fake *fake, const struct virtio_dev **dev);

/* "s390-page": for messages. */
const char *virtio_fake_name(enum virtio_fake_bus bus);

/* Destroys the devices too, whose drivers should have been removed before. NULL is fine. */
void virtio_fake_destroy(struct virtio_fake *fake);

VIRTIO_END_DECLS

#endif
