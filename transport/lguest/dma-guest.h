/* SPDX-License-Identifier: MIT */
/*
 * dma-guest.h - the guest's end of the lguest bus of Linux 2.6.23 (see lguest/dma.h), for drivers of virtio: the five
 * operations without a ring. Freestanding.
 *
 *	lguest_dma_guest_init(&bus, platform, max_pfn * 4096, guest_id, call, opaque);
 *	while (lguest_dma_guest_next(&bus, &device))	one struct lguest_dma_device per device, kept by the caller
 *		switch (device.vdev.id) ...  virtio_console_probe(&console, &device.vdev)
 *	interrupt: lguest_dma_guest_interrupt(&bus, irq)
 *
 * Drivers use the headers of virtio; they are taken apart here. A disk flushes nothing and has no name.
 */
#ifndef KENNEL_TRANSPORT_LGUEST_DMA_GUEST_H
#define KENNEL_TRANSPORT_LGUEST_DMA_GUEST_H

#include <transport/lguest/dma.h>
#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

#define DMA_QUEUE_ENTRIES	16u	/* buffers under way in a queue */
#define DMA_QUEUE_PIECES	18u	/* pieces of a buffer: a disk's request of 16, its header and its status */

struct lguest_dma_device;

/* A buffer under way. */
struct dma_entry {
	unsigned long *used;		/* NULL = the entry is free */
	struct virtio_iov piece[DMA_QUEUE_PIECES];
	unsigned int pieces, out;	/* all, and those that the host reads */
	uint32_t done;			/* disk: bytes transferred */
};

/* One queue: entries in the order in which they were added, and the scatter lists through which they go. */
struct dma_queue {
	struct virtio_queue vq;		/* first: what the driver holds */
	const struct dma_queue_kind *kind;
	uint8_t *list;			/* kind->lists of them, in memory the host can reach */
	uint64_t list_address, key;
	uint8_t fifo[DMA_QUEUE_ENTRIES];	/* numbers of entries, the oldest first */
	unsigned int count, synced;	/* in the fifo; those that sync() has seen */
	unsigned int armed;		/* the oldest ones: in the host's hands */
	unsigned int taken;		/* lists in front of the oldest one's, which the host has filled */
	uint32_t chunk;			/* disk: bytes of the transfer under way; 0 = none is, and the request ends with: */
	uint8_t status;
	bool dead;
	struct dma_entry entry[DMA_QUEUE_ENTRIES];
};

struct lguest_dma_guest {
	const struct virtio_platform *platform;
	uint8_t *page;			/* the page of slots, in our addresses */
	unsigned int next;		/* slot where lguest_dma_guest_next() goes on */
	uint16_t guest_id;
	/* BIND_DMA and SEND_DMA; the result of the hypercall. */
	uint32_t (*call)(void *opaque, uint32_t number, uint32_t key, uint32_t address, uint32_t count_irq);
	void *opaque;
	struct lguest_dma_device *device[DMA_SLOTS];	/* who waits for irq n + 1 */
};

/* One device found. The caller keeps it as long as the device is used; it must not move once it was found. */
struct lguest_dma_device {
	struct virtio_device vdev;	/* first: for the driver */
	struct lguest_dma_guest *bus;
	uint8_t *slot, *page;		/* the slot, and the device's own page (NULL: none), in our addresses */
	uint64_t page_address;
	unsigned int irq;
	struct dma_queue queue[2];
};

/*
 * Look at the page at guest-physical @address. @platform->mem must cover it and the devices' pages; its alloc gives memory
 * below 4 GiB. @guest_id: lguest_data.guestid, from which a network card's address is made. 0; -VIRTIO_EINVAL: null, or @address is
 * no multiple of 4096; -VIRTIO_EFAULT: it is not in memory.
 */
int lguest_dma_guest_init(struct lguest_dma_guest *bus, const struct virtio_platform *platform, uint64_t address,
			  uint16_t guest_id,
			  uint32_t (*call)(void *opaque, uint32_t number, uint32_t key, uint32_t address, uint32_t count_irq),
			  void *opaque);

/* The next device into @device; false: there is no more, or a pointer is null. */
bool lguest_dma_guest_next(struct lguest_dma_guest *bus, struct lguest_dma_device *device);

/* Interrupt @irq came. True: a queue had something. Numbers that are none, and null: false. */
bool lguest_dma_guest_interrupt(struct lguest_dma_guest *bus, unsigned int irq);

VIRTIO_END_DECLS

#endif
