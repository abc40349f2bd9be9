/* SPDX-License-Identifier: MIT */
/*
 * page-host.h - the host's end of the lguest bus (see lguest/page.h): describes devices to the guest, follows what it says.
 *
 * For a machine:
 *
 *	lguest_page_init(&bus, mem, top_of_ram, end_of_device_space, raise, opaque);
 *	lguest_page_add(&bus, dev);		the console last: 16-interrupt guests see irqs 1 to 15 only
 *	pfn_limit = lguest_page_end(&bus) / 4096
 *	...
 *	NOTIFY hypercall: if (!lguest_page_notify(&bus, address)) it is an early console string
 *	restart of the guest: lguest_page_restart(&bus), and only then clear the RAM below the page
 *
 * Callers hold the I/O lock. raise() is called with it held, from any thread. No allocation; freestanding.
 */
#ifndef KENNEL_TRANSPORT_LGUEST_PAGE_HOST_H
#define KENNEL_TRANSPORT_LGUEST_PAGE_HOST_H

#include <transport/lguest/page.h>
#include <virtio/device.h>

VIRTIO_BEGIN_DECLS

/* Device space that is always enough for devices with rings of at most 256 entries: the page, and 31 rings of three pages. */
#define LGUEST_PAGE_SPACE	((1 + 31 * 3) * (uint64_t)LGUEST_PAGE_SIZE)

#define LGUEST_MAX_DEVICES	31

struct lguest_page;

/* What we told the guest about a device. Kept here, because the guest may overwrite the page. */
struct lguest_slot {
	struct lguest_page *bus;
	struct virtio_dev *dev;
	uint16_t offset;		/* of the descriptor in the page */
	uint16_t length;		/* its bytes */
	uint8_t num_vq;
	uint8_t config_len;
	uint8_t first_irq;		/* queue n has irq first_irq + n */
	uint32_t offered;
	uint64_t ring[LGUEST_MAX_IRQS];	/* guest-physical address of each queue's ring */
	struct page_config config;
};

struct lguest_page {
	struct page_space space;
	void (*raise)(void *opaque, unsigned int irq);
	/* A device stopped because its driver broke the contract; once per reset. Set after lguest_page_init(); may be NULL. */
	void (*complain)(void *opaque, const struct virtio_dev *dev, const char *reason);
	void *opaque;
	struct lguest_slot slot[LGUEST_MAX_DEVICES];
};

/*
 * Make an empty bus. @top: guest-physical end of RAM, a multiple of 4096; @limit: end of the memory that may hold rings; @mem must
 * cover [0, @limit). @raise(@opaque, irq) sets an interrupt line pending. 0; -VIRTIO_EINVAL: null, @top no multiple of 4096 or not
 * below @limit, @limit beyond 4 GiB; -VIRTIO_EFAULT: @mem is too small.
 */
int lguest_page_init(struct lguest_page *bus, const struct virtio_mem *mem, uint64_t top, uint64_t limit,
		     void (*raise)(void *opaque, unsigned int irq), void *opaque);

/*
 * Describe @dev to the guest: one irq and one ring per queue, in order. Before the guest runs. On failure nothing has changed, and
 * *@reason (unless @reason is NULL) is a sentence. -VIRTIO_ENOSPC: interrupts, page or ring space are used up; -VIRTIO_EINVAL: null,
 * or a device that a descriptor cannot hold: its id, its configuration (of 255 bytes at most), its queues (31; sizes are powers of
 * two). The bus does not own the device.
 */
int lguest_page_add(struct lguest_page *bus, struct virtio_dev *dev, const char **reason);

/* First guest-physical address above all rings: what a guest may touch ends here. 0: @bus is null. */
uint64_t lguest_page_end(const struct lguest_page *bus);

/*
 * The guest called NOTIFY(@address). True: it was a ring or a descriptor, and the device has been told. False: it was neither, so
 * it names an early console string (if it is in memory); or @bus is null.
 */
bool lguest_page_notify(struct lguest_page *bus, uint64_t address);

/*
 * The guest restarts: reset every device, then write the page and clear the rings anew. Touches only memory at and above the top of
 * RAM, but until it returns a disk may still be reading into RAM: clear that afterwards. Null: nothing.
 */
void lguest_page_restart(struct lguest_page *bus);

VIRTIO_END_DECLS

#endif
