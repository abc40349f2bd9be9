/* SPDX-License-Identifier: MIT */
/* driver-block.h - a disk driver for small kernels: asynchronous requests, and synchronous calls on top. */
#ifndef VIRTIO_DRIVER_BLOCK_H
#define VIRTIO_DRIVER_BLOCK_H

#include <virtio/block.h>
#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

#define VIRTIO_BLOCK_PIECES 16		/* data pieces per request */

struct virtio_block;

/* One request; owned by the driver from submit to done. Lies in memory that the platform's mem covers. */
struct virtio_block_request {
	/* Called when the request is finished; @error as below. May be NULL. */
	void (*done)(struct virtio_block_request *request, int error);
	void *opaque;
	bool finished;
	int error;			/* 0, -VIRTIO_EIO, -VIRTIO_EOPNOTSUPP, -VIRTIO_ENODEV */
	/* private */
	struct virtio_block_request *next;
	unsigned long used;
	uint8_t header[VIRTIO_BLOCK_HDR_EARLY];
	uint8_t status;
};

/* Zeroed by the caller; lies in memory that the platform's mem covers. */
struct virtio_block {
	struct virtio_device *vdev;
	struct virtio_queue *queue;
	uint64_t capacity;		/* sectors of 512 bytes */
	uint32_t block_size;		/* bytes: requests must be multiples of it */
	uint32_t seg_max;		/* data pieces the device takes */
	bool read_only;
	bool flush;			/* the device has a write cache to flush */
	uint32_t max_discard;		/* sectors of one range; 0 = the device cannot discard */
	uint32_t max_zeroes;		/* the same for writing zeroes */
	struct virtio_block_request *pending;	/* submitted, youngest first */
	struct virtio_block_request own;	/* for the synchronous calls */
	char id[VIRTIO_BLOCK_ID_LEN];
	uint8_t range[VIRTIO_BLOCK_RANGE_LEN];
};

/* Take the device over. 0; -VIRTIO_EINVAL: null; another error: the device has been told FAILED. */
int virtio_block_probe(struct virtio_block *blk, struct virtio_device *vdev);

/*
 * Submit a request of @type (VIRTIO_BLOCK_T_*) at @sector; @data: @count pieces, at most VIRTIO_BLOCK_PIECES. The device begins at
 * the next virtio_sync(blk->queue). 0, or -VIRTIO_ENOSPC (wait for others to finish), -VIRTIO_EINVAL, -VIRTIO_ENODEV.
 */
int virtio_block_submit(struct virtio_block *blk, struct virtio_block_request *request, uint32_t type, uint64_t sector,
			const struct virtio_iov *data, unsigned int count);

/* Finish what the device has finished: calls done(). The queue's interrupt does this too. Returns how many. */
unsigned int virtio_block_poll(struct virtio_block *blk);

/* Synchronous, one at a time: @len is a multiple of the block size, @data in memory that the platform's mem covers. 0 or negative error. */
int virtio_block_read(struct virtio_block *blk, uint64_t sector, void *data, size_t len);
int virtio_block_write(struct virtio_block *blk, uint64_t sector, const void *data, size_t len);
int virtio_block_flush(struct virtio_block *blk);

/*
 * Synchronous too: @sectors sectors from @sector on are not needed any more (what they read as is not known then), or are to read as
 * zeroes, in which case @unmap lets the device free them. In several requests if the device's limits want it. 0; -VIRTIO_EOPNOTSUPP: the
 * device does not offer this; -VIRTIO_EINVAL: beyond the end; or an error as of the others, and some of it may have been done.
 */
int virtio_block_discard(struct virtio_block *blk, uint64_t sector, uint64_t sectors);
int virtio_block_write_zeroes(struct virtio_block *blk, uint64_t sector, uint64_t sectors, bool unmap);

/* Serial number into @id, NUL-terminated. 0 or negative error. */
int virtio_block_get_id(struct virtio_block *blk, char id[VIRTIO_BLOCK_ID_LEN + 1]);

/* Give the device back; requests under way finish with -VIRTIO_ENODEV. */
void virtio_block_remove(struct virtio_block *blk);

VIRTIO_END_DECLS

#endif
