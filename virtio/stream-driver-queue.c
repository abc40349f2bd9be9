/* SPDX-License-Identifier: MIT */
/* stream-driver-queue.c - the operations of <virtio/driver.h> on a queue whose buffers go over a stream: see stream-slot.h. */
#include "stream-driver-internal.h"

/* Bytes of @num pieces, or -1 when they cannot be carried. */
static int64_t sum(const struct virtio_iov *sg, unsigned int num)
{
	uint64_t total = 0;

	for (unsigned int i = 0; i < num; i++) {
		if (!sg[i].len || sg[i].len > UINT32_MAX)
			return -1;
		total += sg[i].len;
	}
	return (int64_t)total;
}

static struct virtio_stream_slot *free_slot(struct virtio_stream_queue *q)
{
	for (unsigned int i = 0; i < q->num; i++)
		if (q->slot[i].state == SLOT_FREE)
			return &q->slot[i];
	return NULL;
}

static long add(struct virtio_stream_queue *q, const struct virtio_iov *sg, unsigned int out, unsigned int num, unsigned long *used)
{
	struct virtio_stream_slot *slot;
	int64_t out_len, in_len;

	if (q->dead)
		return -VIRTIO_ENODEV;
	if (!used || !sg || !num || num > VIRTIO_STREAM_PIECES || out > num)
		return -VIRTIO_EINVAL;
	out_len = sum(sg, out);
	in_len = sum(sg + out, num - out);
	if (out_len < 0 || in_len < 0 || out_len + in_len > (int64_t)stream_of(q->vq.vdev)->max)
		return -VIRTIO_EINVAL;
	slot = free_slot(q);
	if (!slot)
		return -VIRTIO_ENOSPC;
	slot->used = used;
	slot->out_len = (uint32_t)out_len;
	slot->in_len = (uint32_t)in_len;
	slot->out = (uint16_t)out;
	slot->num = (uint16_t)num;
	slot->taken = false;
	slot->state = SLOT_ADDED;
	virtio_copy(slot->iov, sg, num * sizeof(*sg));
	*used = VIRTIO_PENDING;
	slot_append(&q->added.end, slot);
	q->room--;
	return slot - q->slot;
}

static long stream_add_outbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int num, unsigned long *used)
{
	return add(stream_queue_of(vq), sg, num, num, used);
}

static long stream_add_inbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int out, unsigned int num,
			     unsigned long *used)
{
	return out < num ? add(stream_queue_of(vq), sg, out, num, used) : -VIRTIO_EINVAL;
}

static void stream_sync(struct virtio_queue *vq)
{
	struct virtio_stream_queue *q = stream_queue_of(vq);
	struct virtio_stream *s = stream_of(vq->vdev);
	struct virtio_stream_slot *slot;

	if (q->dead)
		return;
	while ((slot = slot_take(&q->added.first, &q->added.end))) {
		slot->state = SLOT_WAITING;
		slot_append(&s->send_end, slot);
	}
	virtio_stream_pump(s);
}

static void stream_detach(struct virtio_queue *vq, long id)
{
	struct virtio_stream_queue *q = stream_queue_of(vq);
	struct virtio_stream *s = stream_of(vq->vdev);
	struct virtio_stream_slot *slot;

	vq->ops->harvest(vq);
	if (q->dead || id < 0 || id >= q->num || q->slot[id].state == SLOT_FREE || q->slot[id].taken)
		return;
	slot = &q->slot[id];
	slot_finish(slot, VIRTIO_CANCELLED);
	slot->taken = true;
	if (slot->state == SLOT_ADDED)
		slot_drop(&q->added.first, &q->added.end, slot);
	else if (slot->state == SLOT_WAITING)
		slot_drop(&s->send, &s->send_end, slot);
	else
		return;	/* until its USED comes */
	slot_release(slot);
}

static unsigned int stream_harvest(struct virtio_queue *vq)
{
	struct virtio_stream_queue *q = stream_queue_of(vq);
	struct virtio_stream_slot *slot;
	unsigned int count = 0;

	virtio_stream_pump(stream_of(vq->vdev));
	while ((slot = slot_take(&q->done.first, &q->done.end))) {
		/* 2.7.8.3-1: what was sent counts for a buffer that is only read, and no more than came for one that is written. */
		slot_finish(slot, slot->in_len ? slot->written : slot->out_len);
		slot_release(slot);
		count++;
	}
	return count;
}

/* Every used buffer is announced, wanted or not. */
static bool stream_interrupts(struct virtio_queue *vq, bool on)
{
	return on && stream_queue_of(vq)->done.first;
}

static unsigned int stream_room(struct virtio_queue *vq)
{
	return stream_queue_of(vq)->dead ? 0 : stream_queue_of(vq)->room;
}

/* What is done already was not lost, and can still be harvested. */
static void stream_cancel(struct virtio_queue *vq)
{
	struct virtio_stream_queue *q = stream_queue_of(vq);

	q->dead = true;
	for (unsigned int i = 0; i < q->num; i++) {
		struct virtio_stream_slot *slot = &q->slot[i];

		if (slot->state == SLOT_FREE || slot->state == SLOT_DONE)
			continue;
		slot_finish(slot, VIRTIO_CANCELLED);
		slot_release(slot);
	}
	q->added = (struct slot_list){ .end = &q->added.first };
}

const struct virtio_ops virtio_stream_ops = {
	.add_outbuf = stream_add_outbuf,
	.add_inbuf = stream_add_inbuf,
	.sync = stream_sync,
	.detach_outbuf = stream_detach,
	.detach_inbuf = stream_detach,
	.harvest = stream_harvest,
	.interrupts = stream_interrupts,
	.room = stream_room,
	.cancel = stream_cancel,
};
