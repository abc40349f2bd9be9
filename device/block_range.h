/* SPDX-License-Identifier: MIT */
/* block_range.h - the ranges that a discard or write-zeroes request names (virtio 1.2, 5.2.6). */
#ifndef KENNEL_DEVICE_BLOCK_RANGE_H
#define KENNEL_DEVICE_BLOCK_RANGE_H

#include <device/backend.h>
#include <virtio/block.h>

#define BLOCK_RANGES		16			/* of one request: max_discard_seg, max_write_zeroes_seg */
/* Sectors of one range. What is freed is a note in the host's file system; zeroes may have to be written, and a reset waits for that. */
#define BLOCK_DISCARD_MAX	(UINT32_C(1) << 22)	/* 2 GiB */
#define BLOCK_ZEROES_MAX	(UINT32_C(1) << 16)	/* 32 MiB */

struct block_range {
	uint64_t sector;
	uint32_t sectors;
	bool unmap;
};

/*
 * Take the ranges of a request of @type (VIRTIO_BLOCK_T_DISCARD or _WRITE_ZEROES) for a disk of @capacity sectors from its data, in
 * byte order @big. VIRTIO_BLOCK_S_OK, with @ranges filled and their number in @found; or the status that refuses the request as a whole.
 */
uint8_t block_ranges_read(uint32_t type, const struct virtio_iov *data, unsigned int pieces, bool big, uint64_t capacity,
			  struct block_range ranges[BLOCK_RANGES], unsigned int *found);

#endif
