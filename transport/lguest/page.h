/* SPDX-License-Identifier: MIT */
/*
 * page.h - the lguest bus of Linux 2.6.25 to 4.3 ("generation 2"): what lies in the page above the top of guest memory.
 *
 * Descriptors are those of page-bus.h. A ring is described by { u16 num, u16 irq, u32 pfn }. Everything is little-endian.
 *
 * The guest has one call, NOTIFY(address): of a ring's first byte to kick it, of a descriptor to say "status is 0: reset", "status
 * has FAILED", or else "the features are final, begin". Other status changes are not announced.
 *
 * Sources: Linux 3.11 and 3.19, drivers/lguest/lguest_device.c and include/linux/lguest_launcher.h (facts, not code).
 */
#ifndef KENNEL_TRANSPORT_LGUEST_PAGE_H
#define KENNEL_TRANSPORT_LGUEST_PAGE_H

#include <transport/page-bus.h>

#define LGUEST_PAGE_SIZE	4096u
#define LGUEST_MAX_IRQS		32u	/* lines of the guest's interrupt word; 0 is the timer */

#define LGUEST_DESC_VQ		8	/* bytes per ring: */
#define LGUEST_VQ_NUM		0
#define LGUEST_VQ_IRQ		2
#define LGUEST_VQ_PFN		4

#define LGUEST_FEATURE_LEN	4u	/* guests read at most 32 bits; bit 32 cannot be offered (Linux 3.19 has a BUG check) */

#endif
