/* SPDX-License-Identifier: MIT */
/*
 * page.h - the virtio bus of KVM on s390 before channel I/O (Linux 2.6.26 to 4.14): what lies in the page above the top of
 * storage.
 *
 * Descriptors are those of page-bus.h. A ring is described by { u64 token, u64 address, u16 num, 6 bytes of padding }, the
 * token written by the guest.
 *
 * Everything is big-endian, rings and configuration included. The guest calls the host by DIAG 0x500, the number in R1, the
 * argument in R2, which also takes the answer: 0, or a negative errno. The host calls the guest by external interrupt 0x2603: a
 * reason, and the token that the guest stored for one of the device's queues.
 *
 * Sources: Linux 2.6.26, arch/s390 asm/kvm_virtio.h; 3.19 and 4.4, drivers/s390/virtio/kvm_virtio.c (facts, not code).
 */
#ifndef KENNEL_TRANSPORT_S390_PAGE_H
#define KENNEL_TRANSPORT_S390_PAGE_H

#include <transport/page-bus.h>

#define S390_PAGE_SIZE		4096u

#define S390_DESC_VQ		24	/* bytes per ring: */
#define S390_VQ_TOKEN		0
#define S390_VQ_ADDRESS		8
#define S390_VQ_NUM		16

#define S390_FEATURE_LEN	4u	/* guests read at most 32 bits */

/* Calls. */
#define S390_DIAG		0x500u
#define S390_NOTIFY		0	/* a ring's address: a kick; one below the top of storage: text for the early console */
#define S390_RESET		1	/* a descriptor's address, as in the next */
#define S390_SET_STATUS		2	/* the status byte has changed, and maybe the accepted features */

/* The interrupt. */
#define S390_EXTERNAL_CODE	0x2603u
#define S390_EXTERNAL_SUBCODE	0x0d00u	/* where other interrupts have a processor's address; guests look at the high byte */
#define S390_REASON_QUEUE	0	/* guests of 2.6.26 take every interrupt for this one */
#define S390_REASON_CONFIG	1	/* with the token of any queue of the device */
#define S390_REASON_ADDED	2	/* no token: there is a new descriptor in the page */

#endif
