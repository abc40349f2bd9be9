/* SPDX-License-Identifier: MIT */
/*
 * virtio-mmio.h - virtio over MMIO, what both ends know (virtio 1.2, 4.2): one window of registers per device, and one
 * interrupt line. Nothing says where the windows are; a machine tells its guest by other means.
 *
 * Version 2 is virtio 1.x, version 1 ("legacy", 4.2.4) what came before. Registers are 32 bits wide and little-endian; the
 * configuration is the device's own: bytes, in the guest's byte order when the driver is an old one.
 */
#ifndef KENNEL_TRANSPORT_MMIO_VIRTIO_MMIO_H
#define KENNEL_TRANSPORT_MMIO_VIRTIO_MMIO_H

#define VIRTIO_MMIO_MAGIC		0x000	/* read-only, as are the next three: "virt" */
#define VIRTIO_MMIO_VERSION		0x004
#define VIRTIO_MMIO_DEVICE_ID		0x008	/* 0 = no device here */
#define VIRTIO_MMIO_VENDOR_ID		0x00c
#define VIRTIO_MMIO_DEVICE_FEATURES	0x010	/* read-only: the half selected by: */
#define VIRTIO_MMIO_DEVICE_FEATURES_SEL	0x014	/* write-only, as are the next two */
#define VIRTIO_MMIO_DRIVER_FEATURES	0x020
#define VIRTIO_MMIO_DRIVER_FEATURES_SEL	0x024
#define VIRTIO_MMIO_GUEST_PAGE_SIZE	0x028	/* legacy, write-only */
#define VIRTIO_MMIO_QUEUE_SEL		0x030	/* write-only */
#define VIRTIO_MMIO_QUEUE_NUM_MAX	0x034	/* read-only; 0 = no such queue */
#define VIRTIO_MMIO_QUEUE_NUM		0x038	/* write-only */
#define VIRTIO_MMIO_QUEUE_ALIGN		0x03c	/* legacy, write-only */
#define VIRTIO_MMIO_QUEUE_PFN		0x040	/* legacy: address / GUEST_PAGE_SIZE; 0 = none */
#define VIRTIO_MMIO_QUEUE_READY		0x044
#define VIRTIO_MMIO_QUEUE_NOTIFY	0x050	/* write-only */
#define VIRTIO_MMIO_INTERRUPT_STATUS	0x060	/* read-only: VIRTIO_MMIO_INT_* */
#define VIRTIO_MMIO_INTERRUPT_ACK	0x064	/* write-only: the bits that were handled */
#define VIRTIO_MMIO_STATUS		0x070
#define VIRTIO_MMIO_QUEUE_DESC_LOW	0x080	/* write-only, as are the next five */
#define VIRTIO_MMIO_QUEUE_DESC_HIGH	0x084
#define VIRTIO_MMIO_QUEUE_DRIVER_LOW	0x090
#define VIRTIO_MMIO_QUEUE_DRIVER_HIGH	0x094
#define VIRTIO_MMIO_QUEUE_DEVICE_LOW	0x0a0
#define VIRTIO_MMIO_QUEUE_DEVICE_HIGH	0x0a4
#define VIRTIO_MMIO_SHM_SEL		0x0ac	/* write-only: shared memory region; we have none */
#define VIRTIO_MMIO_SHM_LEN_LOW		0x0b0	/* read-only: all ones = there is no such region */
#define VIRTIO_MMIO_SHM_LEN_HIGH	0x0b4
#define VIRTIO_MMIO_SHM_BASE_LOW	0x0b8
#define VIRTIO_MMIO_SHM_BASE_HIGH	0x0bc
#define VIRTIO_MMIO_QUEUE_RESET		0x0c0
#define VIRTIO_MMIO_GENERATION		0x0fc	/* read-only: of the configuration */
#define VIRTIO_MMIO_CONFIG		0x100	/* the device's own */

#define VIRTIO_MMIO_MAGIC_VALUE		0x74726976u
#define VIRTIO_MMIO_LEGACY		1u	/* versions */
#define VIRTIO_MMIO_MODERN		2u
#define VIRTIO_MMIO_WINDOW		0x200u	/* bytes that a window needs at least, with the largest configuration */

#define VIRTIO_MMIO_INT_QUEUE		1u
#define VIRTIO_MMIO_INT_CONFIG		2u

#endif
