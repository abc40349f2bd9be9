/* SPDX-License-Identifier: MIT */
/*
 * dma-queue.c - virtio's five operations on the lguest bus of Linux 2.6.23: buffers in the order in which they were
 * added, which dma-kinds.c hands to the host and takes back.
 */
#include "transport/lguest/dma-guest-internal.h"

static void finish(struct dma_entry *e, unsigned long value)
{
	/* release: pairs with virtio_is_done() in a driver that polls from another thread. */
	__atomic_store_n(e->used, value, __ATOMIC_RELEASE);
	e->used = NULL;
}

/* Forget the entry of rank @i. */
static void drop(struct dma_queue *q, unsigned int i)
{
	q->count--;
	q->synced -= i < q->synced;
	q->armed -= i < q->armed;
	for (; i < q->count; i++)
		q->fifo[i] = q->fifo[i + 1];
}

static unsigned int dma_harvest(struct virtio_queue *vq)
{
	struct dma_queue *q = dma_queue_of(vq);
	unsigned int count = 0;
	unsigned long used;

	if (q->dead)
		return 0;
	do {
		while (q->armed && q->kind->pull(q, &q->entry[q->fifo[0]], &used)) {
			struct dma_entry *e = &q->entry[q->fifo[0]];

			drop(q, 0);
			finish(e, used);
			count++;
		}
		if (q->armed || !q->synced)
			break;
		q->kind->push(q);
	} while (q->armed);
	return count;
}

static void dma_sync(struct virtio_queue *vq)
{
	struct dma_queue *q = dma_queue_of(vq);

	if (q->dead)
		return;
	q->synced = q->count;
	q->kind->push(q);
}

static long add(struct dma_queue *q, const struct virtio_iov *sg, unsigned int out, unsigned int num, unsigned long *used)
{
	struct dma_entry e = { .used = used, .pieces = num, .out = out };
	long id = 0;

	if (q->dead)
		return -VIRTIO_ENODEV;
	if (!used || !sg || !num || num > DMA_QUEUE_PIECES)
		return -VIRTIO_EINVAL;
	for (unsigned int i = 0; i < num; i++) {
		if (!sg[i].len)
			return -VIRTIO_EINVAL;
		if (virtio_mem_address(q->vq.vdev->platform->mem, sg[i].base, sg[i].len) == VIRTIO_BAD_ADDRESS)
			return -VIRTIO_EFAULT;
		e.piece[i] = sg[i];
	}
	if (q->kind->valid && !q->kind->valid(&e))
		return -VIRTIO_EINVAL;
	if (q->count == DMA_QUEUE_ENTRIES)
		return -VIRTIO_ENOSPC;
	while (q->entry[id].used)
		id++;
	q->entry[id] = e;
	q->fifo[q->count++] = (uint8_t)id;
	*used = VIRTIO_PENDING;
	return id;
}

static long dma_add_outbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int num, unsigned long *used)
{
	return add(dma_queue_of(vq), sg, num, num, used);
}

static long dma_add_inbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int out, unsigned int num,
			  unsigned long *used)
{
	return out < num ? add(dma_queue_of(vq), sg, out, num, used) : -VIRTIO_EINVAL;
}

bool lguest_dma_queue_bind(struct dma_queue *q)
{
	return dma_call(q, LGUEST_BIND_DMA, q->key, q->list_address, q->kind->bound << 8 | dma_device_of(q->vq.vdev)->irq);
}

void lguest_dma_queue_unbind(struct dma_queue *q)
{
	dma_call(q, LGUEST_BIND_DMA, q->key, q->list_address, 0);
	for (unsigned int i = 0; i < q->kind->lists; i++)
		dma_store32(dma_list_at(q, i) + DMA_USED_LEN, 1);
}

static void dma_detach(struct virtio_queue *vq, long id)
{
	struct dma_queue *q = dma_queue_of(vq);
	unsigned int rank = 0;

	dma_harvest(vq);
	while (rank < q->count && q->fifo[rank] != id)
		rank++;
	if (rank == q->count)
		return;
	if (rank < q->armed && q->kind->keeps) {
		virtio_device_reset(vq->vdev);
		return;
	}
	if (rank < q->armed) {
		lguest_dma_queue_unbind(q);
		/* All lists are ours now; those who stay are handed over again. */
		q->armed = 0;
		drop(q, rank);
		finish(&q->entry[id], VIRTIO_CANCELLED);
		if (lguest_dma_queue_bind(q))
			q->kind->push(q);
		else
			virtio_device_reset(vq->vdev);
		return;
	}
	drop(q, rank);
	finish(&q->entry[id], VIRTIO_CANCELLED);
}

/* An interrupt that nobody wants costs little, and cannot be declined. */
static bool dma_interrupts(struct virtio_queue *vq, bool on)
{
	return false;
}

static unsigned int dma_room(struct virtio_queue *vq)
{
	return dma_queue_of(vq)->dead ? 0 : DMA_QUEUE_ENTRIES - dma_queue_of(vq)->count;
}

static void dma_cancel(struct virtio_queue *vq)
{
	struct dma_queue *q = dma_queue_of(vq);

	q->dead = true;
	q->count = q->synced = q->armed = 0;
	for (unsigned int i = 0; i < DMA_QUEUE_ENTRIES; i++)
		if (q->entry[i].used)
			finish(&q->entry[i], VIRTIO_CANCELLED);
}

const struct virtio_ops lguest_dma_queue_ops = {
	.add_outbuf = dma_add_outbuf,
	.add_inbuf = dma_add_inbuf,
	.sync = dma_sync,
	.detach_outbuf = dma_detach,
	.detach_inbuf = dma_detach,
	.harvest = dma_harvest,
	.interrupts = dma_interrupts,
	.room = dma_room,
	.cancel = dma_cancel,
};
