/* SPDX-License-Identifier: MIT */
/*
 * page-guest.h - the guest's end of the s390 bus (see s390/page.h): finds the devices and gives drivers their bus
 * operations. Freestanding.
 *
 *	s390_bus_init(&bus, platform, increment_size * increments, call, opaque);
 *	while (s390_bus_next(&bus, &device))	one struct s390_device per device, kept by the caller
 *		switch (device.vdev.id) ...  virtio_console_probe(&console, &device.vdev)
 *	external interrupt 0x2603, high byte of the subcode 0x0d: s390_bus_interrupt(&bus, parameter, parameter2, &changed)
 */
#ifndef KENNEL_TRANSPORT_S390_PAGE_GUEST_H
#define KENNEL_TRANSPORT_S390_PAGE_GUEST_H

#include <transport/s390/page.h>
#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

#define S390_BUS_QUEUES 64		/* most queues in use at a time */

struct s390_bus {
	const struct virtio_platform *platform;
	uint8_t *page;			/* the descriptor page, in our addresses */
	uint64_t address;		/* and absolute */
	unsigned int next;		/* where s390_bus_next() goes on */
	int64_t (*call)(void *opaque, uint64_t number, uint64_t argument);
	void *opaque;
	struct virtio_queue *queue[S390_BUS_QUEUES];	/* who has which token */
};

/* One device found. The caller keeps it as long as the device is used; it must not move once a driver has probed it. */
struct s390_device {
	struct virtio_device vdev;	/* for the driver */
	struct s390_bus *bus;
	struct page_desc desc;
};

/*
 * Look at the page at @address (the end of storage). @platform->mem must cover the page and the rings behind it. @call(@opaque,
 * ...) executes DIAG 0x500. 0; -VIRTIO_EINVAL: null, or @address is no multiple of 4096; -VIRTIO_EFAULT: it is not in memory.
 */
int s390_bus_init(struct s390_bus *bus, const struct virtio_platform *platform, uint64_t address,
		  int64_t (*call)(void *opaque, uint64_t number, uint64_t argument), void *opaque);

/* The next device in the page into @device; false: there is no more yet, or a pointer is null. After an interrupt for reason 2 there may be. */
bool s390_bus_next(struct s390_bus *bus, struct s390_device *device);

/*
 * The interrupt came, with its 32-bit and 64-bit parameters. True: a queue had something. *@changed (unless NULL) becomes the
 * device whose configuration has changed, or NULL. A token that is nobody's, and null: false.
 */
bool s390_bus_interrupt(struct s390_bus *bus, uint32_t reason, uint64_t token, struct virtio_device **changed);

VIRTIO_END_DECLS

#endif
