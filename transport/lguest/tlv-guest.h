/* SPDX-License-Identifier: MIT */
/*
 * tlv-guest.h - the guest's end of the lguest bus of Linux 2.6.24 (see lguest/tlv.h). Freestanding. Used as
 * page-guest.h.
 *
 * Where a bus of today tells feature bits, here a field that is present is the feature: a network card with an address has
 * VIRTIO_NET_F_MAC. The host hears nothing of what the driver makes of them.
 *
 * There is no reset, so a device can be taken over once. Resetting one whose queues are in use leaves it FAILED, and kicks it
 * so that the host sees: Kennel's then lets go of it, the first launcher did not.
 */
#ifndef KENNEL_TRANSPORT_LGUEST_TLV_GUEST_H
#define KENNEL_TRANSPORT_LGUEST_TLV_GUEST_H

#include <transport/lguest/tlv.h>
#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

struct lguest_tlv_bus {
	const struct virtio_platform *platform;
	uint8_t *page;			/* the descriptor page, in our addresses */
	unsigned int next;		/* where lguest_tlv_bus_next() goes on */
	void (*notify)(void *opaque, uint64_t address);
	void *opaque;
	struct virtio_queue *irq[LGUEST_MAX_IRQS];	/* who waits for it */
};

/* One device found. The caller keeps it as long as the device is used; it must not move once a driver has probed it. */
struct lguest_tlv_device {
	struct virtio_device vdev;	/* for the driver */
	struct lguest_tlv_bus *bus;
	uint8_t *desc;			/* its descriptor, in our addresses */
};

/* Arguments and results of the three: those of their namesakes in page-guest.h. */
int lguest_tlv_bus_init(struct lguest_tlv_bus *bus, const struct virtio_platform *platform, uint64_t address,
			void (*notify)(void *opaque, uint64_t address), void *opaque);
bool lguest_tlv_bus_next(struct lguest_tlv_bus *bus, struct lguest_tlv_device *device);
bool lguest_tlv_bus_interrupt(struct lguest_tlv_bus *bus, unsigned int irq);

VIRTIO_END_DECLS

#endif
