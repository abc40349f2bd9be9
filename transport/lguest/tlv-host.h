/* SPDX-License-Identifier: MIT */
/*
 * tlv-host.h - the host's end of the lguest bus of Linux 2.6.24 (see lguest/tlv.h). For a machine: as page-host.h.
 *
 * Callers hold the I/O lock. raise() is called with it held, from any thread. No allocation; freestanding.
 */
#ifndef KENNEL_TRANSPORT_LGUEST_TLV_HOST_H
#define KENNEL_TRANSPORT_LGUEST_TLV_HOST_H

#include <transport/lguest/tlv.h>
#include <virtio/device.h>

VIRTIO_BEGIN_DECLS

#define LGUEST_TLV_DEVICES	31

struct lguest_tlv;

/* What we told the guest about a device. Kept here, because the guest may overwrite the page. */
struct lguest_tlv_slot {
	struct lguest_tlv *bus;
	struct virtio_dev *dev;
	uint16_t offset;		/* of the descriptor in the page */
	uint16_t length;		/* its bytes */
	uint8_t first_irq;		/* queue n has irq first_irq + n */
	uint64_t ring[LGUEST_MAX_IRQS];	/* guest-physical address of each queue's ring */
};

struct lguest_tlv {
	struct page_space space;
	void (*raise)(void *opaque, unsigned int irq);
	/* A device stopped because its driver broke the contract. Set after lguest_tlv_init(); may be NULL. */
	void (*complain)(void *opaque, const struct virtio_dev *dev, const char *reason);
	void *opaque;
	struct lguest_tlv_slot slot[LGUEST_TLV_DEVICES];
};

/* Arguments and errors of the five: those of their namesakes in page-host.h. */
int lguest_tlv_init(struct lguest_tlv *bus, const struct virtio_mem *mem, uint64_t top, uint64_t limit,
		    void (*raise)(void *opaque, unsigned int irq), void *opaque);
int lguest_tlv_add(struct lguest_tlv *bus, struct virtio_dev *dev, const char **reason);
uint64_t lguest_tlv_end(const struct lguest_tlv *bus);
bool lguest_tlv_notify(struct lguest_tlv *bus, uint64_t address);
void lguest_tlv_restart(struct lguest_tlv *bus);

VIRTIO_END_DECLS

#endif
