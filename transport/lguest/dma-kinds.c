/* SPDX-License-Identifier: MIT */
/*
 * dma-kinds.c - what queues carry on the lguest bus of Linux 2.6.23, and how that goes through scatter lists: the
 * guest's end.
 *
 * What is sent (a console's output, frames) has been consumed when the call returns. What is received goes into lists that stay
 * bound under a key; a list in our hands has used_len 1. The host fills the first free list, so lists are handed over in
 * batches, the whole array at a time: otherwise a buffer offered later would be filled earlier. A disk has one request under
 * way, in as many transfers as its sections need: 16 at a time, none across a page.
 */
#include <virtio/block.h>
#include <virtio/net.h>

#include "transport/lguest/dma-guest-internal.h"

/* --- scatter lists -------------------------------------------------------------------------------------------------- */

/*
 * Fill list @list with the bytes of @iov from @skip on: at most @max of them, and at most 16 sections. Returns the bytes, or a
 * negative error: memory that the host cannot reach.
 */
static int64_t fill_list(struct dma_queue *q, uint8_t *list, const struct virtio_iov *iov, unsigned int count, uint64_t skip,
			 uint64_t max)
{
	unsigned int n = 0;
	uint64_t total = 0;

	virtio_zero(list + DMA_ADDR, DMA_BYTES - DMA_ADDR);
	for (unsigned int i = 0; i < count; i++) {
		uint64_t at = 0, address;

		if (skip >= iov[i].len) {
			skip -= iov[i].len;
			continue;
		}
		address = virtio_mem_address(q->vq.vdev->platform->mem, iov[i].base, iov[i].len);
		if (address == VIRTIO_BAD_ADDRESS || address > UINT32_MAX - iov[i].len)
			return -VIRTIO_EFAULT;
		for (at = skip; at < iov[i].len && n < DMA_SECTIONS && total < max; n++) {
			uint64_t len = LGUEST_PAGE_SIZE - (address + at) % LGUEST_PAGE_SIZE;

			len = len < iov[i].len - at ? len : iov[i].len - at;
			len = len < max - total ? len : max - total;
			virtio_put32(false, list + DMA_ADDR + 4 * (size_t)n, (uint32_t)(address + at));
			virtio_put16(false, list + DMA_LEN + 2 * (size_t)n, (uint16_t)len);
			at += len;
			total += len;
		}
		skip = 0;
	}
	return (int64_t)total;
}

/* --- what is sent --------------------------------------------------------------------------------------------------- */

/* Does peer @p of the network want a frame for @to? */
static bool peer_wants(const uint8_t *p, const uint8_t *to)
{
	if (!virtio_is_zero(p, 1) && ((to[0] & 1) || (p[0] & DMA_NET_ALL)))
		return true;
	for (unsigned int i = 1; i < DMA_NET_MAC; i++)
		if (p[i] != to[i])
			return false;
	return p[0] && (p[0] & ~DMA_NET_ALL) == (to[0] & ~DMA_NET_ALL);
}

unsigned int lguest_dma_my_peer(const struct lguest_dma_device *dev)
{
	unsigned int pages = virtio_get16(false, dev->slot + DMA_SLOT_PAGES);

	return virtio_get16(false, dev->slot + DMA_SLOT_FEATURES) & (LGUEST_PAGE_SIZE * pages - 1);
}

static void send_to(struct dma_queue *q, uint64_t key)
{
	dma_store32(q->list + DMA_USED_LEN, 0);
	dma_call(q, LGUEST_SEND_DMA, key, q->list_address, 0);
}

static void send_frame(struct dma_queue *q, const struct dma_entry *e)
{
	struct lguest_dma_device *dev = dma_device_of(q->vq.vdev);
	uint8_t to[DMA_NET_MAC];

	virtio_iov_read(e->piece, e->pieces, q->kind->header, to, sizeof(to));
	for (unsigned int i = 0; i < LGUEST_PAGE_SIZE / DMA_NET_MAC; i++)
		if (i != lguest_dma_my_peer(dev) && peer_wants(dev->page + (size_t)DMA_NET_MAC * i, to))
			send_to(q, dev->page_address + (uint64_t)DMA_NET_KEY * i);
}

static void push_out(struct dma_queue *q)
{
	for (; q->armed < q->synced; q->armed++) {
		const struct dma_entry *e = &q->entry[q->fifo[q->armed]];

		if (fill_list(q, q->list, e->piece, e->pieces, q->kind->header, UINT32_MAX) <= 0)
			continue;
		if (q->kind->header)
			send_frame(q, e);
		else
			send_to(q, q->key);
	}
}

static bool pull_out(struct dma_queue *q, struct dma_entry *e, unsigned long *used)
{
	*used = (unsigned long)virtio_iov_length(e->piece, e->pieces);
	return true;
}

/* --- what is received ----------------------------------------------------------------------------------------------- */

static void push_in(struct dma_queue *q)
{
	/* A batch is under way. */
	if (q->armed)
		return;
	q->taken = 0;
	for (; q->armed < q->synced && q->armed < q->kind->lists; q->armed++) {
		const struct dma_entry *e = &q->entry[q->fifo[q->armed]];

		fill_list(q, dma_list_at(q, q->armed), e->piece, e->pieces, q->kind->header, UINT32_MAX);
		dma_store32(dma_list_at(q, q->armed) + DMA_USED_LEN, 0);
	}
}

static bool pull_in(struct dma_queue *q, struct dma_entry *e, unsigned long *used)
{
	static const uint8_t header[VIRTIO_NET_HDR_LONG];
	uint64_t room = virtio_iov_length(e->piece, e->pieces), len = dma_load32(dma_list_at(q, q->taken) + DMA_USED_LEN);

	if (!len)
		return false;
	q->taken++;
	virtio_iov_write(e->piece, e->pieces, 0, header, q->kind->header);
	len += q->kind->header;
	*used = (unsigned long)(len < room ? len : room);
	return true;
}

/* --- a disk --------------------------------------------------------------------------------------------------------- */

/* List 0 is bound, and filled by reads; list 1 is sent. */
enum { BLOCK_BOUND, BLOCK_SENT, BLOCK_LISTS };

static bool valid_request(const struct dma_entry *e)
{
	return e->out && e->out < e->pieces && e->piece[0].len >= VIRTIO_BLOCK_HDR_LEN;
}

static uint64_t data_length(const struct dma_entry *e)
{
	return virtio_iov_length(e->piece + 1, e->pieces - 2);
}

/* Begin the next transfer of the request, or have it end with a status. */
static void transfer(struct dma_queue *q, const struct dma_entry *e)
{
	struct lguest_dma_device *dev = dma_device_of(q->vq.vdev);
	uint8_t *bound = dma_list_at(q, BLOCK_BOUND), *sent = dma_list_at(q, BLOCK_SENT), *list;
	const uint8_t *header = e->piece[0].base;
	uint32_t type = virtio_get32(false, header) & ~VIRTIO_BLOCK_T_BARRIER;
	uint64_t sector = virtio_get64(false, header + 8) + e->done / VIRTIO_BLOCK_SECTOR;
	int64_t bytes;

	q->chunk = 0;
	q->status = type == VIRTIO_BLOCK_T_IN || type == VIRTIO_BLOCK_T_OUT ? VIRTIO_BLOCK_S_IOERR : VIRTIO_BLOCK_S_UNSUPP;
	if (q->status == VIRTIO_BLOCK_S_UNSUPP || sector > UINT32_MAX || data_length(e) % VIRTIO_BLOCK_SECTOR)
		return;
	list = type == VIRTIO_BLOCK_T_IN ? bound : sent;
	virtio_zero(bound + DMA_ADDR, DMA_BYTES - DMA_ADDR);
	virtio_zero(sent, DMA_BYTES);
	bytes = fill_list(q, list, e->piece + 1, e->pieces - 2, e->done, UINT32_MAX);
	/* Sixteen sections of an odd buffer may end within a sector. */
	if (bytes > 0 && bytes % VIRTIO_BLOCK_SECTOR)
		bytes = fill_list(q, list, e->piece + 1, e->pieces - 2, e->done,
				  (uint64_t)bytes - (uint64_t)bytes % VIRTIO_BLOCK_SECTOR);
	if (bytes <= 0)
		return;
	q->chunk = (uint32_t)bytes;
	dma_store32(bound + DMA_USED_LEN, 0);
	virtio_put32(false, dev->page + DMA_BLOCK_TYPE, type == VIRTIO_BLOCK_T_OUT);
	virtio_put32(false, dev->page + DMA_BLOCK_SECTOR, (uint32_t)sector);
	virtio_put32(false, dev->page + DMA_BLOCK_LENGTH, q->chunk);
	dma_store32(dev->page + DMA_BLOCK_RESULT, 0);
	dma_call(q, LGUEST_SEND_DMA, q->key, q->list_address + DMA_BYTES * BLOCK_SENT, 0);
}

static void push_request(struct dma_queue *q)
{
	if (q->armed || !q->synced)
		return;
	q->armed = 1;
	q->entry[q->fifo[0]].done = 0;
	transfer(q, &q->entry[q->fifo[0]]);
}

static bool pull_request(struct dma_queue *q, struct dma_entry *e, unsigned long *used)
{
	const struct virtio_iov *last = &e->piece[e->pieces - 1];

	while (q->chunk) {
		uint32_t result = dma_load32(dma_device_of(q->vq.vdev)->page + DMA_BLOCK_RESULT);

		if (!result)
			return false;
		if (result != DMA_BLOCK_OK) {
			q->chunk = 0;
			q->status = VIRTIO_BLOCK_S_IOERR;
			break;
		}
		e->done += q->chunk;
		q->chunk = 0;
		q->status = VIRTIO_BLOCK_S_OK;
		if (e->done == data_length(e))
			break;
		transfer(q, e);
	}
	*((uint8_t *)last->base + last->len - 1) = q->status;
	*used = 1 + (e->out == 1 && q->status == VIRTIO_BLOCK_S_OK ? e->done : 0);
	return true;
}

/* --- the kinds ------------------------------------------------------------------------------------------------------ */

static const struct dma_queue_kind console_in = { .lists = 4, .bound = 4, .push = push_in, .pull = pull_in };
static const struct dma_queue_kind console_out = { .lists = 1, .push = push_out, .pull = pull_out };
static const struct dma_queue_kind net_in = {
	.lists = 8, .bound = 8, .header = VIRTIO_NET_HDR_LEN, .push = push_in, .pull = pull_in };
static const struct dma_queue_kind net_out = { .lists = 1, .header = VIRTIO_NET_HDR_LEN, .push = push_out, .pull = pull_out };
static const struct dma_queue_kind disk = {
	.lists = BLOCK_LISTS, .bound = 1, .keeps = true, .valid = valid_request, .push = push_request, .pull = pull_request };

const struct dma_queue_kind *lguest_dma_queue_kind(const struct virtio_device *vdev, unsigned int index)
{
	if (index > 1 || (vdev->id == VIRTIO_ID_BLOCK && index))
		return NULL;
	if (vdev->id == VIRTIO_ID_BLOCK)
		return &disk;
	if (vdev->id == VIRTIO_ID_NET)
		return index == VIRTIO_NET_QUEUE_RX ? &net_in : &net_out;
	return index ? &console_out : &console_in;
}
