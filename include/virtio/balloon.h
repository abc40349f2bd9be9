/* SPDX-License-Identifier: MIT */
/*
 * balloon.h - memory balloon, both ends (virtio 1.2, 5.5). The driver puts pages into the balloon (queue 0) and takes them out again
 * (queue 1): each buffer is an array of 32-bit page numbers. Statistics and free page reports have queues of their own.
 *
 * The standard numbers the last two queues 2 and 4 (5.5.2). Linux before 6.11 leaves no gaps: there, queues of features that were not
 * negotiated are not counted, and reports come on queue 3, or 2 without statistics.
 */
#ifndef VIRTIO_BALLOON_H
#define VIRTIO_BALLOON_H

#include <virtio/virtio.h>

#define VIRTIO_BALLOON_F_MUST_TELL_HOST	VIRTIO_BIT(0)	/* pages are not used before the device knows */
#define VIRTIO_BALLOON_F_STATS_VQ	VIRTIO_BIT(1)
#define VIRTIO_BALLOON_F_DEFLATE_ON_OOM	VIRTIO_BIT(2)	/* the driver may take pages out when it is short of memory */
#define VIRTIO_BALLOON_F_FREE_PAGE_HINT	VIRTIO_BIT(3)
#define VIRTIO_BALLOON_F_PAGE_POISON	VIRTIO_BIT(4)
#define VIRTIO_BALLOON_F_REPORTING	VIRTIO_BIT(5)	/* the driver reports free pages */

#define VIRTIO_BALLOON_QUEUE_INFLATE	0
#define VIRTIO_BALLOON_QUEUE_DEFLATE	1
#define VIRTIO_BALLOON_QUEUE_STATS	2
#define VIRTIO_BALLOON_QUEUE_REPORTING	4
#define VIRTIO_BALLOON_QUEUES		5

#define VIRTIO_BALLOON_PAGE		4096u	/* bytes; the unit of page numbers, whatever pages the guest has */

/* Config space, offsets in bytes. Little-endian, for legacy drivers too (5.5.4). */
#define VIRTIO_BALLOON_CFG_NUM_PAGES	0	/* u32: pages the device wants in the balloon */
#define VIRTIO_BALLOON_CFG_ACTUAL	4	/* u32, written by the driver: pages that are in it */
#define VIRTIO_BALLOON_CFG_LEN		8	/* without FREE_PAGE_HINT and PAGE_POISON */

/* One figure of the statistics: u16 tag, u64 value, in the byte order of the rings. */
#define VIRTIO_BALLOON_STAT_LEN		10
#define VIRTIO_BALLOON_S_SWAP_IN	0	/* bytes */
#define VIRTIO_BALLOON_S_SWAP_OUT	1
#define VIRTIO_BALLOON_S_MAJFLT		2	/* events */
#define VIRTIO_BALLOON_S_MINFLT		3
#define VIRTIO_BALLOON_S_MEMFREE	4	/* bytes */
#define VIRTIO_BALLOON_S_MEMTOT		5
#define VIRTIO_BALLOON_S_AVAIL		6
#define VIRTIO_BALLOON_S_CACHES		7
#define VIRTIO_BALLOON_S_HTLB_PGALLOC	8	/* events */
#define VIRTIO_BALLOON_S_HTLB_PGFAIL	9

#endif
