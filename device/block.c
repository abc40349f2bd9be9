/* SPDX-License-Identifier: MIT */
/*
 * block.c - a disk (virtio 1.2, 5.2). One queue; as many requests under way as the queue has entries; the backend moves the data between
 * its file and guest memory, and calls back when it is done.
 *
 * What is delicate is the end of a request. Between submit and done the guest may reset the device, and then the ring it came from is
 * gone, and its memory belongs to something else. So a reset first makes every request under way foreign (by a generation number), then
 * waits for the backend to have finished them all; a foreign request's end touches neither ring nor memory.
 *
 * A driver that does not accept the flush feature believes that what is written is safe (5.2.5.2): its writes end with a flush of ours.
 */
#include <stdlib.h>

#include <device/block_range.h>
#include <device/device.h>
#include <virtio/block.h>

#define QUEUE_SIZE	128
#define SEG_MAX		(QUEUE_SIZE - 2)

struct block_device;

struct block_request {
	struct block_io io;		/* first: what the backend gives back */
	struct block_device *blk;
	struct block_request *next;	/* in the list of free ones */
	unsigned int generation;	/* of the device when the request was made */
	uint32_t id;			/* of the buffer */
	uint32_t writable;		/* bytes of it that the device writes, the status included */
	uint8_t *status;		/* in guest memory */
	/* Of a discard or write-zeroes request: @next_range is the first that the backend has not been given. */
	struct block_range ranges[BLOCK_RANGES];
	unsigned int num_ranges, next_range;
	struct virtio_iov iov[QUEUE_SIZE];
};

struct block_device {
	struct virtio_dev dev;
	struct vring_device queue;
	struct block_backend *backend;
	struct block_request *free;
	unsigned int under_way;		/* requests the backend holds, foreign ones too */
	unsigned int generation;
	bool batch;			/* within queue_notify(): one flush at its end will do */
	struct block_request requests[QUEUE_SIZE];
};

static struct block_device *of(struct virtio_dev *dev)
{
	return (struct block_device *)(void *)dev;
}

static void serve(struct block_device *blk);

/* --- the end of a request --------------------------------------------------------------------------------------------- */

static void release(struct block_request *req)
{
	req->next = req->blk->free;
	req->blk->free = req;
}

/* Answer the guest. 5.2.6: the status is the last byte; everything up to it counts as written. */
static void answer(struct block_request *req, uint8_t status)
{
	struct block_device *blk = req->blk;

	*req->status = status;
	virtio_dev_push(&blk->dev, 0, req->id, req->writable);
	release(req);
	if (!blk->batch)
		virtio_dev_flush(&blk->dev, 0);
}

static void submit(struct block_request *req)
{
	req->blk->under_way++;
	req->blk->backend->ops->submit(req->blk->backend, &req->io);
}

static void commit(struct block_device *blk)
{
	if (blk->backend->ops->commit)
		blk->backend->ops->commit(blk->backend);
}

/* The next range of a discard or write-zeroes request, if there is one. */
static bool submit_range(struct block_request *req)
{
	const struct block_range *range = &req->ranges[req->next_range];

	if (req->next_range == req->num_ranges)
		return false;
	req->next_range++;
	req->io.offset = range->sector * VIRTIO_BLOCK_SECTOR;
	req->io.length = (uint64_t)range->sectors * VIRTIO_BLOCK_SECTOR;
	req->io.unmap = range->unmap;
	submit(req);
	return true;
}

static bool submit_flush(struct block_request *req)
{
	req->io.op = BLOCK_FLUSH;
	req->io.iov_count = 0;
	submit(req);
	return true;
}

/* Part of a request is done: does it need more? */
static bool go_on(struct block_request *req)
{
	bool cached = virtio_dev_has(&req->blk->dev, VIRTIO_BLOCK_F_FLUSH);

	switch (req->io.op) {
	case BLOCK_DISCARD:
		return submit_range(req);
	case BLOCK_ZERO:
		return submit_range(req) || (!cached && submit_flush(req));
	case BLOCK_WRITE:
		return !cached && submit_flush(req);
	default:
		return false;
	}
}

/* The backend is done with a request. */
static void block_done(struct block_io *io, int error)
{
	struct block_request *req = (struct block_request *)(void *)io;
	struct block_device *blk = req->blk;
	bool was_empty = !blk->free;

	blk->under_way--;
	if (req->generation != blk->generation) {
		release(req);
		return;
	}
	if (!error && go_on(req)) {
		if (!blk->batch)
			commit(blk);
		return;
	}
	answer(req, error ? VIRTIO_BLOCK_S_IOERR : VIRTIO_BLOCK_S_OK);
	/* The queue may hold buffers that found no free request. */
	if (was_empty && !blk->batch)
		serve(blk);
}

/* --- the beginning of a request --------------------------------------------------------------------------------------- */

/* 5.2.6.2: requests beyond the end of the disk get an I/O error. */
static bool in_range(const struct block_device *blk, uint64_t sector, uint64_t bytes)
{
	uint64_t sectors = blk->backend->size / VIRTIO_BLOCK_SECTOR;

	return bytes % VIRTIO_BLOCK_SECTOR == 0 && sector <= sectors && bytes / VIRTIO_BLOCK_SECTOR <= sectors - sector;
}

static void transfer(struct block_request *req, enum block_op op, uint64_t sector, struct virtio_iov *iov, unsigned int count)
{
	struct block_device *blk = req->blk;
	uint64_t bytes = virtio_iov_length(iov, count);

	if (!in_range(blk, sector, bytes) || (op == BLOCK_WRITE && blk->backend->read_only)) {
		answer(req, VIRTIO_BLOCK_S_IOERR);
		return;
	}
	if (!bytes) {
		answer(req, VIRTIO_BLOCK_S_OK);
		return;
	}
	req->io = (struct block_io){ .op = op, .offset = sector * VIRTIO_BLOCK_SECTOR, .iov = iov, .iov_count = count, .done = block_done };
	submit(req);
}

static void flush(struct block_request *req)
{
	req->io = (struct block_io){ .op = BLOCK_FLUSH, .done = block_done };
	submit(req);
}

/* A request of ranges, all of which are looked at before the first of them goes to the backend. */
static void free_or_zero(struct block_request *req, uint32_t type, const struct virtio_iov *iov, unsigned int count)
{
	struct block_device *blk = req->blk;
	bool discard = type == VIRTIO_BLOCK_T_DISCARD;
	uint8_t status = VIRTIO_BLOCK_S_UNSUPP;

	/* 5.2.6.2: to a read-only disk nothing is written. */
	if (blk->backend->read_only)
		status = VIRTIO_BLOCK_S_IOERR;
	else if (virtio_dev_has(&blk->dev, discard ? VIRTIO_BLOCK_F_DISCARD : VIRTIO_BLOCK_F_WRITE_ZEROES))
		status = block_ranges_read(type, iov, count, blk->dev.big_endian, blk->backend->size / VIRTIO_BLOCK_SECTOR, req->ranges,
					   &req->num_ranges);
	if (status != VIRTIO_BLOCK_S_OK) {
		answer(req, status);
		return;
	}
	req->next_range = 0;
	req->io = (struct block_io){ .op = discard ? BLOCK_DISCARD : BLOCK_ZERO, .done = block_done };
	submit_range(req);
}

static void get_id(struct block_request *req, struct virtio_iov *iov, unsigned int count)
{
	char id[VIRTIO_BLOCK_ID_LEN] = { 0 };

	for (unsigned int i = 0; i < sizeof(id) && req->blk->backend->serial[i]; i++)
		id[i] = req->blk->backend->serial[i];
	virtio_iov_write(iov, count, 0, id, sizeof(id));
	answer(req, VIRTIO_BLOCK_S_OK);
}

static size_t header_len(const struct block_device *blk)
{
	return blk->dev.early ? VIRTIO_BLOCK_HDR_EARLY : VIRTIO_BLOCK_HDR_LEN;
}

/* Take the request apart, which needs no particular cut into pieces, and begin it. */
static void begin(struct block_request *req, struct vring_buffer *buf)
{
	struct virtio_iov *out = buf->out, *in = buf->in;
	unsigned int out_count = buf->out_count, in_count = buf->in_count;
	uint8_t header[VIRTIO_BLOCK_HDR_LEN];
	bool big = req->blk->dev.big_endian;
	uint64_t sector;
	uint32_t type;

	virtio_iov_read(out, out_count, 0, header, sizeof(header));
	virtio_iov_skip(&out, &out_count, header_len(req->blk));
	req->status = (uint8_t *)in[in_count - 1].base + in[in_count - 1].len - 1;
	virtio_iov_trim(in, &in_count, 1);
	sector = virtio_get64(big, header + 8);
	type = virtio_get32(big, header) & ~VIRTIO_BLOCK_T_BARRIER;

	switch (type) {
	case VIRTIO_BLOCK_T_IN:
		transfer(req, BLOCK_READ, sector, in, in_count);
		break;
	case VIRTIO_BLOCK_T_OUT:
		transfer(req, BLOCK_WRITE, sector, out, out_count);
		break;
	case VIRTIO_BLOCK_T_FLUSH:
		flush(req);
		break;
	case VIRTIO_BLOCK_T_GET_ID:
		get_id(req, in, in_count);
		break;
	case VIRTIO_BLOCK_T_DISCARD:
	case VIRTIO_BLOCK_T_WRITE_ZEROES:
		free_or_zero(req, type, out, out_count);
		break;
	default:
		answer(req, VIRTIO_BLOCK_S_UNSUPP);
	}
}

/* Take buffers while there are requests to hold them. False: none was left, or no request is free. */
static bool serve_one(struct block_device *blk)
{
	struct block_request *req = blk->free;
	struct vring_buffer buf;

	if (!req || virtio_dev_pop(&blk->dev, 0, &buf, req->iov, QUEUE_SIZE) <= 0)
		return false;
	if (buf.out_len < header_len(blk) || !buf.in_len) {
		virtio_dev_break(&blk->dev, "a disk request without a whole header or without room for its status (virtio 1.2, 5.2.6)");
		return false;
	}
	blk->free = req->next;
	req->generation = blk->generation;
	req->id = buf.id;
	req->writable = (uint32_t)buf.in_len;
	begin(req, &buf);
	return true;
}

static void serve(struct block_device *blk)
{
	blk->batch = true;
	while (serve_one(blk))
		;
	commit(blk);
	blk->batch = false;
	virtio_dev_flush(&blk->dev, 0);
}

/* --- the device ------------------------------------------------------------------------------------------------------- */

static void block_queue_notify(struct virtio_dev *dev, unsigned int queue)
{
	serve(of(dev));
}

static void block_reset(struct virtio_dev *dev)
{
	struct block_device *blk = of(dev);

	blk->generation++;
	if (blk->under_way && blk->backend->ops->drain)
		blk->backend->ops->drain(blk->backend);
}

/* As within queue_notify(), so that a request that ends makes us take no other. */
static void block_drain(struct virtio_dev *dev)
{
	struct block_device *blk = of(dev);

	blk->batch = true;
	if (blk->under_way && blk->backend->ops->drain)
		blk->backend->ops->drain(blk->backend);
	blk->batch = false;
	virtio_dev_flush(&blk->dev, 0);
}

/* There is one queue. */
static void block_queue_reset(struct virtio_dev *dev, unsigned int queue)
{
	block_reset(dev);
}

static void block_config_get(struct virtio_dev *dev, void *config)
{
	struct block_backend *backend = of(dev)->backend;
	bool big = dev->big_endian;
	uint8_t *c = config;

	virtio_put64(big, c + VIRTIO_BLOCK_CFG_CAPACITY, backend->size / VIRTIO_BLOCK_SECTOR);
	virtio_put32(big, c + VIRTIO_BLOCK_CFG_SEG_MAX, SEG_MAX);
	virtio_put32(big, c + VIRTIO_BLOCK_CFG_BLK_SIZE, backend->block_size);
	c[VIRTIO_BLOCK_CFG_WRITEBACK] = 1;
	virtio_put16(big, c + VIRTIO_BLOCK_CFG_NUM_QUEUES, 1);
	if (dev->offered & VIRTIO_BLOCK_F_DISCARD) {
		virtio_put32(big, c + VIRTIO_BLOCK_CFG_MAX_DISCARD, BLOCK_DISCARD_MAX);
		virtio_put32(big, c + VIRTIO_BLOCK_CFG_DISCARD_SEGS, BLOCK_RANGES);
		virtio_put32(big, c + VIRTIO_BLOCK_CFG_DISCARD_ALIGN, backend->discard_unit / VIRTIO_BLOCK_SECTOR);
	}
	if (dev->offered & VIRTIO_BLOCK_F_WRITE_ZEROES) {
		virtio_put32(big, c + VIRTIO_BLOCK_CFG_MAX_ZEROES, BLOCK_ZEROES_MAX);
		virtio_put32(big, c + VIRTIO_BLOCK_CFG_ZEROES_SEGS, BLOCK_RANGES);
		c[VIRTIO_BLOCK_CFG_MAY_UNMAP] = backend->discard_unit != 0;
	}
}

static void block_destroy(struct virtio_dev *dev)
{
	struct block_device *blk = of(dev);

	if (blk->backend->ops->close)
		blk->backend->ops->close(blk->backend);
	free(blk);
}

static const struct virtio_dev_ops block_ops = {
	.name = "block",
	.queue_notify = block_queue_notify,
	.reset = block_reset,
	.queue_reset = block_queue_reset,
	.config_get = block_config_get,
	.drain = block_drain,
	.destroy = block_destroy,
};

static uint64_t offered(const struct block_backend *backend)
{
	uint64_t features = VIRTIO_DEV_RING_FEATURES | VIRTIO_BLOCK_F_SEG_MAX | VIRTIO_BLOCK_F_BLK_SIZE | VIRTIO_BLOCK_F_FLUSH;

	if (backend->read_only)
		return features | VIRTIO_BLOCK_F_RO;
	return features | (backend->discard_unit ? VIRTIO_BLOCK_F_DISCARD : 0) | (backend->zeroes ? VIRTIO_BLOCK_F_WRITE_ZEROES : 0);
}

struct virtio_dev *block_device_create(struct block_backend *backend)
{
	struct block_device *blk = calloc(1, sizeof(*blk));

	if (!blk)
		return NULL;
	if (backend->block_size < VIRTIO_BLOCK_SECTOR)
		backend->block_size = VIRTIO_BLOCK_SECTOR;
	blk->queue.num_max = QUEUE_SIZE;
	blk->dev = (struct virtio_dev){
		.ops = &block_ops,
		.id = VIRTIO_ID_BLOCK,
		.offered = offered(backend),
		.config_len = VIRTIO_BLOCK_CFG_LONG,
		.queues = &blk->queue,
		.num_queues = 1,
	};
	blk->backend = backend;
	for (unsigned int i = 0; i < QUEUE_SIZE; i++) {
		blk->requests[i].blk = blk;
		release(&blk->requests[i]);
	}
	return &blk->dev;
}
