/* SPDX-License-Identifier: MIT */
/*
 * block.c - a disk driver on the five operations: see <virtio/driver-block.h>.
 *
 * A request is one buffer: header, data and a status byte. Whether the data is question (write) or answer (read) only moves the line
 * between the pieces that the disk reads and those it writes.
 */
#include <virtio/driver-block.h>

static void finish(struct virtio_block_request *request)
{
	if (request->used == VIRTIO_CANCELLED)
		request->error = -VIRTIO_ENODEV;
	else if (request->status == VIRTIO_BLOCK_S_OK)
		request->error = 0;
	else
		request->error = request->status == VIRTIO_BLOCK_S_UNSUPP ? -VIRTIO_EOPNOTSUPP : -VIRTIO_EIO;
	request->finished = true;
	if (request->done)
		request->done(request, request->error);
}

/* Finish every request whose buffer is done. done() may submit: a new request goes to the list's head, behind us. */
static unsigned int reap(struct virtio_block *blk)
{
	struct virtio_block_request **link = &blk->pending, *ready = NULL;
	unsigned int count = 0;

	while (*link) {
		struct virtio_block_request *request = *link;

		if (!virtio_is_done(&request->used)) {
			link = &request->next;
			continue;
		}
		*link = request->next;
		request->next = ready;	/* youngest first becomes oldest first */
		ready = request;
	}
	while (ready) {
		struct virtio_block_request *request = ready;

		ready = request->next;
		finish(request);
		count++;
	}
	return count;
}

static void on_interrupt(struct virtio_queue *vq)
{
	reap(vq->data);
}

unsigned int virtio_block_poll(struct virtio_block *blk)
{
	if (!blk || !blk->vdev)
		return 0;
	virtio_harvest(blk->queue);
	return reap(blk);
}

static int read_config(struct virtio_block *blk)
{
	struct virtio_device *vdev = blk->vdev;
	int ret;

	blk->block_size = VIRTIO_BLOCK_SECTOR;
	blk->seg_max = 1;
	blk->max_discard = blk->max_zeroes = 0;
	blk->read_only = virtio_device_has(vdev, VIRTIO_BLOCK_F_RO);
	blk->flush = virtio_device_has(vdev, VIRTIO_BLOCK_F_FLUSH);
	ret = virtio_config_get64(vdev, VIRTIO_BLOCK_CFG_CAPACITY, &blk->capacity);
	/* 2.5.1-2: these fields are there if their features are. */
	if (!ret && virtio_device_has(vdev, VIRTIO_BLOCK_F_BLK_SIZE))
		ret = virtio_config_get32(vdev, VIRTIO_BLOCK_CFG_BLK_SIZE, &blk->block_size);
	if (!ret && virtio_device_has(vdev, VIRTIO_BLOCK_F_SEG_MAX))
		ret = virtio_config_get32(vdev, VIRTIO_BLOCK_CFG_SEG_MAX, &blk->seg_max);
	if (!ret && virtio_device_has(vdev, VIRTIO_BLOCK_F_DISCARD))
		ret = virtio_config_get32(vdev, VIRTIO_BLOCK_CFG_MAX_DISCARD, &blk->max_discard);
	if (!ret && virtio_device_has(vdev, VIRTIO_BLOCK_F_WRITE_ZEROES))
		ret = virtio_config_get32(vdev, VIRTIO_BLOCK_CFG_MAX_ZEROES, &blk->max_zeroes);
	return ret;
}

int virtio_block_probe(struct virtio_block *blk, struct virtio_device *vdev)
{
	int ret;

	if (!blk)
		return -VIRTIO_EINVAL;
	ret = virtio_device_setup(vdev, VIRTIO_BLOCK_F_SEG_MAX | VIRTIO_BLOCK_F_RO | VIRTIO_BLOCK_F_BLK_SIZE | VIRTIO_BLOCK_F_FLUSH |
						VIRTIO_BLOCK_F_DISCARD | VIRTIO_BLOCK_F_WRITE_ZEROES);
	if (ret < 0)
		return ret;
	blk->vdev = vdev;
	vdev->indirect = VIRTIO_BLOCK_PIECES + 2;
	ret = virtio_device_queue(vdev, 0, on_interrupt, blk, &blk->queue);
	if (!ret)
		ret = read_config(blk);
	if (ret < 0) {
		virtio_device_fail(vdev);
		return ret;
	}
	virtio_device_ready(vdev);
	return 0;
}

/* Does the device read the data of such a request? */
static bool reads_data(uint32_t type)
{
	return type == VIRTIO_BLOCK_T_OUT || type == VIRTIO_BLOCK_T_DISCARD || type == VIRTIO_BLOCK_T_WRITE_ZEROES;
}

int virtio_block_submit(struct virtio_block *blk, struct virtio_block_request *request, uint32_t type, uint64_t sector,
			const struct virtio_iov *data, unsigned int count)
{
	struct virtio_iov sg[VIRTIO_BLOCK_PIECES + 2];
	bool big;
	long ret;

	if (!blk || !blk->vdev || !request || (count && !data))
		return -VIRTIO_EINVAL;
	if (count > VIRTIO_BLOCK_PIECES || (count > blk->seg_max && count > 1))
		return -VIRTIO_EINVAL;
	big = blk->vdev->big_endian;
	virtio_put32(big, request->header, type);
	virtio_put32(big, request->header + 4, 0);
	virtio_put64(big, request->header + 8, sector);
	request->status = 0xff;
	request->finished = false;

	sg[0] = (struct virtio_iov){ request->header, blk->vdev->early ? VIRTIO_BLOCK_HDR_EARLY : VIRTIO_BLOCK_HDR_LEN };
	for (unsigned int i = 0; i < count; i++)
		sg[1 + i] = data[i];
	sg[1 + count] = (struct virtio_iov){ &request->status, 1 };
	ret = virtio_add_inbuf(blk->queue, sg, reads_data(type) ? 1 + count : 1, count + 2, &request->used);
	if (ret < 0)
		return (int)ret;
	request->next = blk->pending;
	blk->pending = request;
	return 0;
}

/* --- synchronous ------------------------------------------------------------------------------------------------------ */

static int run(struct virtio_block *blk, uint32_t type, uint64_t sector, void *data, size_t len)
{
	struct virtio_iov piece = { data, len };
	struct virtio_block_request *request;
	int ret;

	if (!blk || (len && !data))
		return -VIRTIO_EINVAL;
	request = &blk->own;
	request->done = NULL;
	ret = virtio_block_submit(blk, request, type, sector, &piece, len ? 1 : 0);
	if (ret < 0)
		return ret;
	virtio_sync(blk->queue);
	virtio_wait_done(blk->queue, &request->used);
	reap(blk);
	return request->error;
}

int virtio_block_read(struct virtio_block *blk, uint64_t sector, void *data, size_t len)
{
	return run(blk, VIRTIO_BLOCK_T_IN, sector, data, len);
}

int virtio_block_write(struct virtio_block *blk, uint64_t sector, const void *data, size_t len)
{
	return run(blk, VIRTIO_BLOCK_T_OUT, sector, (void *)(uintptr_t)data, len);
}

int virtio_block_flush(struct virtio_block *blk)
{
	return !blk || blk->flush ? run(blk, VIRTIO_BLOCK_T_FLUSH, 0, NULL, 0) : 0;
}

/* Requests of type @type for one range after the other, of at most @max sectors each. */
static int run_ranges(struct virtio_block *blk, uint32_t type, uint64_t sector, uint64_t sectors, uint32_t max, uint32_t flags)
{
	int ret = max ? 0 : -VIRTIO_EOPNOTSUPP;
	bool big;

	if (!blk->vdev)
		return -VIRTIO_EINVAL;
	big = blk->vdev->big_endian;

	/* 5.2.6.1: nothing beyond the disk's end. */
	if (!ret && (sector > blk->capacity || sectors > blk->capacity - sector))
		ret = -VIRTIO_EINVAL;
	while (!ret && sectors) {
		uint32_t part = sectors < max ? (uint32_t)sectors : max;

		virtio_put64(big, blk->range, sector);
		virtio_put32(big, blk->range + 8, part);
		virtio_put32(big, blk->range + 12, flags);
		/* 5.2.6.1: the request's own sector is 0 and not looked at. */
		ret = run(blk, type, 0, blk->range, sizeof(blk->range));
		sector += part;
		sectors -= part;
	}
	return ret;
}

int virtio_block_discard(struct virtio_block *blk, uint64_t sector, uint64_t sectors)
{
	return !blk ? -VIRTIO_EINVAL : run_ranges(blk, VIRTIO_BLOCK_T_DISCARD, sector, sectors, blk->max_discard, 0);
}

int virtio_block_write_zeroes(struct virtio_block *blk, uint64_t sector, uint64_t sectors, bool unmap)
{
	uint32_t flags = unmap ? VIRTIO_BLOCK_RANGE_UNMAP : 0;

	return !blk ? -VIRTIO_EINVAL : run_ranges(blk, VIRTIO_BLOCK_T_WRITE_ZEROES, sector, sectors, blk->max_zeroes, flags);
}

int virtio_block_get_id(struct virtio_block *blk, char id[VIRTIO_BLOCK_ID_LEN + 1])
{
	int ret;

	if (!blk || !id)
		return -VIRTIO_EINVAL;
	virtio_zero(blk->id, sizeof(blk->id));
	ret = run(blk, VIRTIO_BLOCK_T_GET_ID, 0, blk->id, sizeof(blk->id));
	virtio_copy(id, blk->id, sizeof(blk->id));
	id[VIRTIO_BLOCK_ID_LEN] = '\0';
	return ret;
}

void virtio_block_remove(struct virtio_block *blk)
{
	if (!blk)
		return;
	virtio_device_reset(blk->vdev);
	reap(blk);
	virtio_device_remove(blk->vdev);
}
