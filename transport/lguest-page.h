/* SPDX-License-Identifier: MIT */
/*
 * lguest-page.h - the lguest bus of Linux 2.6.25 to 4.3 ("generation 2"): what lies in the page above the top of guest memory.
 *
 * Device descriptors, packed byte by byte, one after the other; type 0 ends the list, as does the end of the page:
 *
 *	u8 type, u8 num_vq, u8 feature_len, u8 config_len, u8 status
 *	num_vq x { u16 num, u16 irq, u32 pfn }		the rings, placed by the host
 *	u8 offered[feature_len], u8 accepted[feature_len]	feature bit n = byte n / 8, bit n % 8
 *	u8 config[config_len]
 *
 * Everything is little-endian. A ring is one block: descriptor table, available ring, and the used ring on the next 4096 boundary.
 * The guest has one call, NOTIFY(address): of a ring's first byte to kick it, of a descriptor to say "status is 0: reset", "status
 * has FAILED", or else "the features are final, begin". Other status changes are not announced.
 *
 * Sources: Linux 3.11 and 3.19, drivers/lguest/lguest_device.c and include/linux/lguest_launcher.h (facts, not code).
 */
#ifndef KENNEL_TRANSPORT_LGUEST_PAGE_H
#define KENNEL_TRANSPORT_LGUEST_PAGE_H

#include <virtio/virtio.h>
#include <virtio/vring.h>

#define LGUEST_PAGE_SIZE	4096u
#define LGUEST_MAX_IRQS		32u	/* lines of the guest's interrupt word; 0 is the timer */

#define LGUEST_DESC_TYPE	0
#define LGUEST_DESC_NUM_VQ	1
#define LGUEST_DESC_FEATURE_LEN	2
#define LGUEST_DESC_CONFIG_LEN	3
#define LGUEST_DESC_STATUS	4
#define LGUEST_DESC_HEADER	5	/* bytes before the rings */
#define LGUEST_DESC_VQ		8	/* bytes per ring: */
#define LGUEST_VQ_NUM		0
#define LGUEST_VQ_IRQ		2
#define LGUEST_VQ_PFN		4

#define LGUEST_FEATURE_LEN	4u	/* guests read at most 32 bits; bit 32 cannot be offered (Linux 3.19 has a BUG check) */

static inline size_t lguest_desc_bytes(unsigned int num_vq, unsigned int feature_len, unsigned int config_len)
{
	return LGUEST_DESC_HEADER + (size_t)LGUEST_DESC_VQ * num_vq + 2 * (size_t)feature_len + config_len;
}

/* Bytes of one ring, whole pages. */
static inline uint64_t lguest_ring_bytes(uint32_t num)
{
	return (vring_bytes(num, VRING_LEGACY_ALIGN) + LGUEST_PAGE_SIZE - 1) & ~(uint64_t)(LGUEST_PAGE_SIZE - 1);
}

#endif
