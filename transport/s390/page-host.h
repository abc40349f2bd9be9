/* SPDX-License-Identifier: MIT */
/*
 * page-host.h - the host's end of the s390 bus (see s390/page.h): describes devices to the guest, answers its calls.
 *
 * For a machine:
 *
 *	s390_page_init(&bus, mem, top_of_storage, end_of_device_space, raise, opaque);
 *	s390_page_add(&bus, dev, &reason);	before the guest runs, or while it does
 *	...
 *	DIAG 0x500: R2 = s390_page_call(&bus, R1, R2)
 *	restart of the guest: s390_page_restart(&bus), and only then clear its storage
 *
 * Callers hold the I/O lock. raise() is called with it held, from any thread. No allocation; freestanding.
 */
#ifndef KENNEL_TRANSPORT_S390_PAGE_HOST_H
#define KENNEL_TRANSPORT_S390_PAGE_HOST_H

#include <transport/s390/page.h>
#include <virtio/device.h>

VIRTIO_BEGIN_DECLS

#define S390_MAX_DEVICES	32
#define S390_MAX_QUEUES		8	/* of one device */

struct s390_page;

/* What we told the guest about a device. Kept here, because the guest may overwrite the page. */
struct s390_slot {
	struct s390_page *bus;
	struct virtio_dev *dev;
	uint16_t offset;		/* of the descriptor in the page */
	uint16_t length;		/* its bytes */
	uint32_t offered;
	uint64_t ring[S390_MAX_QUEUES];	/* address of each queue's ring */
	struct page_config config;
};

struct s390_page {
	struct page_space space;
	/* Make external interrupt 0x2603 pending: its 32-bit and 64-bit parameters. Each is an event: none may be lost. */
	void (*raise)(void *opaque, uint32_t reason, uint64_t token);
	/*
	 * Set after s390_page_init(), each may be NULL: @len characters of the early console; and a device stopped because its
	 * driver broke the contract, once per reset.
	 */
	void (*print)(void *opaque, const char *text, size_t len);
	void (*complain)(void *opaque, const struct virtio_dev *dev, const char *reason);
	void *opaque;
	bool reasons;			/* the guest knows reasons besides 0 (after Linux 2.6.26); set after s390_page_init() */
	bool running;			/* the guest has called: from now on, a new device is announced */
	struct s390_slot slot[S390_MAX_DEVICES];
};

/*
 * Make an empty bus. @top: end of storage, a multiple of 4096; @limit: end of the memory that may hold rings; @mem must cover
 * [0, @limit). 0; -VIRTIO_EINVAL: null, @top no multiple of 4096 or not below @limit; -VIRTIO_EFAULT: @mem is too small.
 */
int s390_page_init(struct s390_page *bus, const struct virtio_mem *mem, uint64_t top, uint64_t limit,
		   void (*raise)(void *opaque, uint32_t reason, uint64_t token), void *opaque);

/*
 * Describe @dev to the guest. On failure nothing has changed, and *@reason (unless @reason is NULL) is a sentence.
 * -VIRTIO_ENOSPC: page or ring space are used up; -VIRTIO_EINVAL: null, or a device that a descriptor cannot hold: its id, its
 * configuration (of 255 bytes at most), its queues (8; sizes are powers of two). The bus does not own the device.
 */
int s390_page_add(struct s390_page *bus, struct virtio_dev *dev, const char **reason);

/* First address above all rings; 0: @bus is null. */
uint64_t s390_page_end(const struct s390_page *bus);

/* The guest's DIAG 0x500: call @number with @argument. What its R2 becomes: 0, or -VIRTIO_EINVAL: no such call, device or ring. */
int64_t s390_page_call(struct s390_page *bus, uint64_t number, uint64_t argument);

/* The guest restarts: reset every device, then write the page and clear the rings anew. See lguest_page_restart(). */
void s390_page_restart(struct s390_page *bus);

VIRTIO_END_DECLS

#endif
