/* SPDX-License-Identifier: MIT */
/*
 * page-guest.h - the guest's end of the lguest bus (see lguest/page.h): finds the devices and gives drivers their bus
 * operations. Freestanding.
 *
 *	lguest_bus_init(&bus, platform, max_pfn * 4096, notify, opaque);
 *	while (lguest_bus_next(&bus, &device))	one struct lguest_device per device, kept by the caller
 *		switch (device.vdev.id) ...  virtio_console_probe(&console, &device.vdev)
 *	interrupt: lguest_bus_interrupt(&bus, irq)
 */
#ifndef KENNEL_TRANSPORT_LGUEST_PAGE_GUEST_H
#define KENNEL_TRANSPORT_LGUEST_PAGE_GUEST_H

#include <transport/lguest/page.h>
#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

struct lguest_bus {
	const struct virtio_platform *platform;
	uint8_t *page;			/* the descriptor page, in our addresses */
	uint64_t address;		/* and guest-physical */
	unsigned int next;		/* where lguest_bus_next() goes on */
	void (*notify)(void *opaque, uint64_t address);
	void *opaque;
	struct virtio_queue *irq[LGUEST_MAX_IRQS];	/* who waits for it */
};

/* One device found. The caller keeps it as long as the device is used; it must not move once a driver has probed it. */
struct lguest_device {
	struct virtio_device vdev;	/* for the driver */
	struct lguest_bus *bus;
	struct page_desc desc;
};

/*
 * Look at the page at guest-physical @address (the guest's max_pfn * 4096). @platform->mem must cover the page and the rings behind it.
 * @notify(@opaque, address) makes the NOTIFY hypercall. 0; -VIRTIO_EINVAL: null, or @address is no multiple of 4096; -VIRTIO_EFAULT: it is
 * not in memory.
 */
int lguest_bus_init(struct lguest_bus *bus, const struct virtio_platform *platform, uint64_t address,
		    void (*notify)(void *opaque, uint64_t address), void *opaque);

/* The next device in the page into @device; false: there is no more, or a pointer is null. */
bool lguest_bus_next(struct lguest_bus *bus, struct lguest_device *device);

/* Interrupt @irq came. True: a queue had something. Numbers that are none, and null: false. */
bool lguest_bus_interrupt(struct lguest_bus *bus, unsigned int irq);

VIRTIO_END_DECLS

#endif
