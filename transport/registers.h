/* SPDX-License-Identifier: MIT */
/*
 * registers.h - what a driver says of its device through registers, and what that does: the half that virtio over PCI and
 * virtio over MMIO have in common, of drivers of virtio 1.x and of older ones. A bus knows where registers are and how wide; it
 * calls these.
 *
 * A driver of virtio 1.x has an order to keep (virtio 1.2, 3.1.1): status 0 (reset), ACKNOWLEDGE, DRIVER; the features, in
 * halves of 32 bits; FEATURES_OK, which stays clear if we do not like them; for each queue its size, three addresses, and
 * enable; DRIVER_OK. One that leaves this order has broken the contract, and its device says NEEDS_RESET.
 *
 * An older driver writes its features when it likes, then the page number of each ring, then DRIVER_OK. Nothing says when the
 * features are final; and old drivers use their queues before DRIVER_OK (3.1.2 remembers them: a disk whose partitions are read
 * while it is probed). So what a driver says is kept, and the device begins with all of it at DRIVER_OK or at the first kick. A
 * ring is one block: descriptors, available ring, and the used ring at the next multiple of some alignment.
 */
#ifndef KENNEL_TRANSPORT_REGISTERS_H
#define KENNEL_TRANSPORT_REGISTERS_H

#include <virtio/device.h>

#define VIRTIO_REGS_QUEUES	32	/* most queues of one device */

/* Why the device interrupts (virtio 1.2, 4.1.4.5 and 4.2.2). */
#define VIRTIO_ISR_QUEUE	1u
#define VIRTIO_ISR_CONFIG	2u

/* What the driver has said about a queue. */
struct virtio_regs_queue {
	uint64_t desc, driver, device;	/* guest-physical addresses of its three parts */
	uint32_t pfn;			/* older drivers: of all three in one block, in units of page_size; 0 = none */
	uint32_t align;			/* older drivers: of the used ring */
	uint16_t size;
	uint16_t vector;		/* message interrupts: which one; VIRTIO_REGS_NO_VECTOR = none */
	bool enabled;			/* 1.x: and the device has taken it over */
};

struct virtio_regs {
	struct virtio_dev *dev;
	uint8_t generation;		/* of the device's configuration; only ever counts */
	bool unread;			/* it has counted since the driver looked */

	/* Since the last reset. */
	uint8_t isr;			/* VIRTIO_ISR_*: not yet acknowledged */
	uint32_t device_feature_select, driver_feature_select;
	uint64_t driver_features;
	uint32_t page_size;		/* of older drivers */
	uint32_t queue_select;
	uint16_t config_vector;		/* as a queue's */
	struct virtio_regs_queue queue[VIRTIO_REGS_QUEUES];
};

#define VIRTIO_REGS_NO_VECTOR 0xffffu
#define VIRTIO_REGS_PAGE 4096u		/* page_size and align, unless the driver says otherwise */

/* Loads and stores have these widths, in bytes. */
static inline bool virtio_regs_width(unsigned int size)
{
	return size == 1 || size == 2 || size == 4;
}

/* Can @dev be described by registers? NULL, or a sentence why not. */
const char *virtio_regs_why_not(const struct virtio_dev *dev);

/* Have @dev offer what needs the help of its bus too, to drivers of virtio 1.x. */
void virtio_regs_offer(struct virtio_dev *dev);

/* Reset the device and all that the driver said. The bus lowers its line. */
void virtio_regs_reset(struct virtio_regs *regs);

/* What the driver has said about the selected queue; NULL: there is no such queue. */
static inline struct virtio_regs_queue *virtio_regs_selected(struct virtio_regs *regs)
{
	return regs->queue_select < regs->dev->num_queues ? &regs->queue[regs->queue_select] : NULL;
}

/* Half @select of a feature set; only two exist. */
static inline uint32_t virtio_regs_half(uint64_t features, uint32_t select)
{
	/* 4.1.4.3.1-2: there are no features beyond. */
	return select > 1 ? 0 : (uint32_t)(features >> 32 * select);
}

/* Half @high of an address. */
static inline void virtio_regs_set_half(uint64_t *address, bool high, uint32_t value)
{
	*address = high ? (uint64_t)value << 32 | (uint32_t)*address : (*address & ~(uint64_t)UINT32_MAX) | value;
}

/* The device's configuration has changed; and the driver reads its generation. */
void virtio_regs_config_changed(struct virtio_regs *regs);
uint8_t virtio_regs_generation(struct virtio_regs *regs);

/* The device's configuration, little-endian in the value as on the bus; what lies outside reads as zero and takes nothing. */
uint32_t virtio_regs_config_read(struct virtio_regs *regs, uint32_t offset, unsigned int size);
void virtio_regs_config_write(struct virtio_regs *regs, uint32_t offset, unsigned int size, uint32_t value);

/* --- drivers of virtio 1.x ------------------------------------------------------------------------------------------ */

/* The half of the driver's features that driver_feature_select names. */
void virtio_regs_set_features(struct virtio_regs *regs, uint32_t value);

/* The status register. 0 is a reset. */
void virtio_regs_set_status(struct virtio_regs *regs, uint8_t status);

/* Enable the selected queue, which has been described. */
void virtio_regs_enable(struct virtio_regs *regs);

/*
 * The driver stops using the selected queue, which exists, and was not asked whether that can be: with this call it gets its memory
 * back. A device that cannot forget one queue is reset.
 */
void virtio_regs_stop_queue(struct virtio_regs *regs);

/* Reset the selected queue (virtio 1.2, 2.6.1): it is as after a reset of the device. Nothing without VIRTIO_F_RING_RESET. */
void virtio_regs_reset_queue(struct virtio_regs *regs);

/* --- older drivers -------------------------------------------------------------------------------------------------- */

/* The page number of the selected queue's ring. */
void virtio_regs_legacy_set_pfn(struct virtio_regs *regs, uint32_t pfn);
void virtio_regs_legacy_kick(struct virtio_regs *regs, unsigned int queue);
void virtio_regs_legacy_set_status(struct virtio_regs *regs, uint8_t status);

#endif
