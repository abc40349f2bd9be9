/* SPDX-License-Identifier: MIT */
/*
 * dma-host.h - the host's end of the lguest bus of Linux 2.6.23 (see lguest/dma.h), in front of virtio devices.
 *
 * For a machine:
 *
 *	lguest_dma_init(&bus, mem, top_of_ram, end_of_device_space, own, LGUEST_DMA_PRIVATE, &ops, opaque);
 *	lguest_dma_add(&bus, dev, &reason);	consoles (one), disks, network cards
 *	...
 *	BIND_DMA, SEND_DMA: lguest_dma_bind(), lguest_dma_send(); negative: kill the guest
 *	after ops->wake(), soon, and not from within it: lguest_dma_poll(&bus)
 *
 * A network here has two peers, guest and host; memory shared between guests is not supported. Callers hold the I/O lock. No
 * allocation; freestanding.
 */
#ifndef KENNEL_TRANSPORT_LGUEST_DMA_HOST_H
#define KENNEL_TRANSPORT_LGUEST_DMA_HOST_H

#include <transport/direct.h>
#include <transport/lguest/dma.h>
#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-net.h>

VIRTIO_BEGIN_DECLS

#define LGUEST_DMA_PRIVATE	(DMA_SLOTS * 128 * 1024)	/* bytes of private memory that are always enough */

struct lguest_dma_bus;

struct lguest_dma_ops {
	void (*raise)(void *opaque, unsigned int irq);
	/* A device has something: call lguest_dma_poll() soon, but not from here. */
	void (*wake)(void *opaque);
	/* What the guest prints where there is no console; may be NULL, as may the next. */
	void (*print)(void *opaque, const char *text, size_t len);
	/* A device stopped: what it was asked for made no sense to it. */
	void (*complain)(void *opaque, const struct virtio_dev *dev, const char *reason);
};

struct lguest_dma_slot {
	struct lguest_dma_bus *bus;
	struct virtio_direct direct;	/* joins the device with a driver of ours */
	struct virtio_dev *dev;
	uint32_t page;			/* guest-physical: the device's own; 0 = none */
	/* In private memory: the driver, of the kind that goes with the device. */
	struct virtio_console *console;
	struct virtio_net *net;
	struct virtio_block *block;
	struct virtio_block_request *request;	/* of the disk; under way if not @request->finished */
	uint32_t transfer;		/* bytes of it */
	bool write;
	bool up;			/* the driver has the device */
};

struct lguest_dma_bus {
	const struct virtio_mem *guest;
	struct virtio_mem mem;		/* guest and private memory, for the devices */
	struct virtio_platform platform;
	uint8_t *own;
	size_t own_size, own_next;
	struct page_space space;	/* of guest memory: the page of slots, and devices' pages */
	const struct lguest_dma_ops *ops;
	void *opaque;
	struct lguest_dma_slot slot[DMA_SLOTS];
	struct {
		uint32_t key, array;
		uint8_t count, irq;	/* irq 0 = free */
	} binding[DMA_MAX_BINDINGS];	/* the newest last */
	unsigned int bindings;
};

/*
 * Make an empty bus. @mem covers [0, @limit) of guest memory, @top is the end of RAM; @own: @size bytes for ourselves,
 * aligned to 4096. All must outlive the bus. 0; -VIRTIO_EINVAL: null, a misaligned @own or @top, @top not below @limit, @limit beyond
 * 4 GiB; -VIRTIO_EFAULT: @mem is too small.
 */
int lguest_dma_init(struct lguest_dma_bus *bus, const struct virtio_mem *mem, uint64_t top, uint64_t limit, void *own,
		    size_t size, const struct lguest_dma_ops *ops, void *opaque);

/*
 * Describe @dev to the guest, and take it over. On failure *@reason (unless NULL) is a sentence: -VIRTIO_EINVAL: null, not a console,
 * disk or network card, a second console, a queue of impossible size; -VIRTIO_ENOSPC: slots, pages or private memory are used up. Errors of the device's
 * driver. The bus does not own the device.
 */
int lguest_dma_add(struct lguest_dma_bus *bus, struct virtio_dev *dev, const char **reason);

/* First address above all devices' pages: what a guest may touch ends here. 0: @bus is null. */
uint64_t lguest_dma_end(const struct lguest_dma_bus *bus);

/* BIND_DMA. What the guest is told: 1 or 0; or -VIRTIO_EFAULT: an address that is none, for which guests are killed; or -VIRTIO_EINVAL: null. */
int lguest_dma_bind(struct lguest_dma_bus *bus, uint32_t key, uint32_t array, uint32_t count_irq);

/* SEND_DMA. 0, or errors as above. */
int lguest_dma_send(struct lguest_dma_bus *bus, uint32_t key, uint32_t list);

/* Hand over what devices have for the guest. Input for which it has no room now stays, and goes with a later call. */
void lguest_dma_poll(struct lguest_dma_bus *bus);

/* The guest restarts: forget its bindings, reset the devices, write the page anew. 0, or errors as of lguest_dma_add(). */
int lguest_dma_restart(struct lguest_dma_bus *bus);

VIRTIO_END_DECLS

#endif
