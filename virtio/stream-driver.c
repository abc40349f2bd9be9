/* SPDX-License-Identifier: MIT */
/*
 * stream-driver.c - the driver's end of virtio over a stream: see <virtio/stream.h>. This file makes it a bus; what a buffer goes through
 * is told in stream-slot.h, stream-driver-queue.c has what drivers do with buffers, and stream-driver-message.c what becomes of that on
 * the stream.
 *
 * Everything happens in virtio_stream_pump(), which neither waits nor calls drivers back. Questions to the device wait for their answer
 * in ask().
 */
#include "stream-driver-internal.h"

/* --- moving on, and giving up ------------------------------------------------------------------------------------------ */

void virtio_stream_give_up(struct virtio_stream *s, const char *reason)
{
	if (s->broken)
		return;
	s->broken = reason;
	s->status |= VIRTIO_STATUS_NEEDS_RESET;
	s->asking = false;
	s->current = NULL;
	virtio_device_reset(&s->vdev);
}

void virtio_stream_pump(struct virtio_stream *s)
{
	if (!s->broken && virtio_stream_send(s) >= 0 && virtio_stream_receive(s) >= 0)
		virtio_stream_send(s);
}

/* --- questions --------------------------------------------------------------------------------------------------------- */

/*
 * Ask the device and wait. @more, @more_len: what follows the question. @answer, @answer_len: where the answer goes, and how long it
 * has to be. What the device says (0 or a negative error), or -VIRTIO_ENODEV.
 */
static int ask(struct virtio_stream *s, enum stream_type type, unsigned int queue, uint32_t a, uint32_t b, const void *more, uint32_t more_len,
	       void *answer, uint32_t answer_len)
{
	if (s->broken)
		return -VIRTIO_ENODEV;
	stream_header(s->question, type, queue, more_len, a, b);
	s->more = more;
	s->more_len = more_len;
	s->question_sent = 0;
	s->answer = answer;
	s->answer_len = answer_len;
	s->asking = true;
	for (virtio_stream_pump(s); s->asking; virtio_stream_pump(s))
		if (s->io->wait && s->io->wait(s->io->opaque, virtio_stream_wants_write(s)) < 0)
			virtio_stream_give_up(s, "the device does not answer");
	return s->broken ? -VIRTIO_ENODEV : s->result;
}

/* --- the bus ----------------------------------------------------------------------------------------------------------- */

static uint64_t bus_get_features(struct virtio_device *vdev)
{
	return stream_of(vdev)->offered;
}

static int bus_finalize_features(struct virtio_device *vdev)
{
	struct virtio_stream *s = stream_of(vdev);
	uint8_t raw[8];
	int ret;

	virtio_put64(false, raw, vdev->features);
	ret = ask(s, STREAM_FEATURES, 0, 0, 0, raw, sizeof(raw), NULL, 0);
	return ret && ret != -VIRTIO_ENODEV ? -VIRTIO_EOPNOTSUPP : ret;
}

static int bus_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	struct virtio_stream *s = stream_of(vdev);

	if (offset > s->config_len || len > s->config_len - offset)
		return -VIRTIO_ERANGE;
	return ask(s, STREAM_CONFIG_GET, 0, (uint32_t)offset, (uint32_t)len, NULL, 0, buf, (uint32_t)len);
}

static int bus_set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	struct virtio_stream *s = stream_of(vdev);

	if (offset > s->config_len || len > s->config_len - offset)
		return -VIRTIO_ERANGE;
	return ask(s, STREAM_CONFIG_SET, 0, (uint32_t)offset, 0, buf, (uint32_t)len, NULL, 0);
}

static uint8_t bus_get_status(struct virtio_device *vdev)
{
	return stream_of(vdev)->status;
}

static void bus_set_status(struct virtio_device *vdev, uint8_t status)
{
	ask(stream_of(vdev), STREAM_STATUS, 0, status, 0, NULL, 0, NULL, 0);
}

/* Buffers that wait are not sent any more; one that is being sent is voided. */
static void bus_reset(struct virtio_device *vdev)
{
	struct virtio_stream *s = stream_of(vdev);

	s->send = NULL;
	s->send_end = &s->send;
	if (s->current) {
		slot_finish(s->current, VIRTIO_CANCELLED);
		s->current->taken = true;
	}
	ask(s, STREAM_STATUS, 0, 0, 0, NULL, 0, NULL, 0);
}

static size_t queue_bytes(unsigned int num)
{
	return sizeof(struct virtio_stream_queue) + num * sizeof(struct virtio_stream_slot);
}

static int bus_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct virtio_stream *s = stream_of(vdev);
	const struct virtio_platform *platform = vdev->platform;
	struct virtio_stream_queue *q;
	int ret = ask(s, STREAM_QUEUE, index, 0, 0, NULL, 0, NULL, 0);

	if (ret < 0)
		return ret;
	q = platform->alloc ? platform->alloc(platform->opaque, queue_bytes(s->num), 16) : NULL;
	if (!q)
		return -VIRTIO_ENOMEM;
	q->vq = (struct virtio_queue){ .vdev = vdev, .ops = &virtio_stream_ops, .index = index, .size = s->num };
	q->added.end = &q->added.first;
	q->done.end = &q->done.first;
	q->num = s->num;
	q->room = s->num;
	for (unsigned int i = 0; i < s->num; i++)
		q->slot[i].queue = q;
	s->queues[index] = q;
	*vq = &q->vq;
	return 0;
}

static void bus_delete_queue(struct virtio_queue *vq)
{
	struct virtio_stream *s = stream_of(vq->vdev);
	const struct virtio_platform *platform = vq->vdev->platform;

	s->queues[vq->index] = NULL;
	if (platform->free)
		platform->free(platform->opaque, stream_queue_of(vq), queue_bytes(s->num));
}

static void bus_notify(struct virtio_queue *vq)
{
	virtio_stream_pump(stream_of(vq->vdev));
}

static const struct virtio_bus stream_bus = {
	.get_features = bus_get_features,
	.finalize_features = bus_finalize_features,
	.get = bus_get,
	.set = bus_set,
	.get_status = bus_get_status,
	.set_status = bus_set_status,
	.reset = bus_reset,
	.find_queue = bus_find_queue,
	.delete_queue = bus_delete_queue,
	.notify = bus_notify,
};

/* --- public ------------------------------------------------------------------------------------------------------------ */

int virtio_stream_connect(struct virtio_stream *s, const struct virtio_platform *platform, const struct virtio_stream_io *io)
{
	uint8_t hello[STREAM_HELLO_BYTES];
	int ret;

	if (!s || !platform || !io || !io->read || !io->write)
		return -VIRTIO_EINVAL;
	*s = (struct virtio_stream){ .vdev = { .bus = &stream_bus, .platform = platform }, .io = io };
	s->send_end = &s->send;
	ret = ask(s, STREAM_HELLO, 0, STREAM_MAGIC, STREAM_VERSION, NULL, 0, hello, sizeof(hello));
	if (ret < 0)
		return ret == -VIRTIO_ENODEV ? ret : -VIRTIO_EPROTO;
	s->vdev.id = virtio_get32(false, hello + STREAM_HELLO_ID);
	s->config_len = virtio_get32(false, hello + STREAM_HELLO_CONFIG);
	s->offered = virtio_get64(false, hello + STREAM_HELLO_FEATURES);
	s->max = virtio_get32(false, hello + STREAM_HELLO_MAX);
	s->num = virtio_get16(false, hello + STREAM_HELLO_NUM);
	if (s->num && s->num <= VIRTIO_STREAM_BUFFERS && s->max)
		return 0;
	virtio_stream_give_up(s, "a device that takes no buffers, or too many");
	return -VIRTIO_EPROTO;
}

bool virtio_stream_poll(struct virtio_stream *s)
{
	if (!s)
		return false;
	virtio_stream_pump(s);
	virtio_device_interrupt(&s->vdev);
	return !s->broken;
}

bool virtio_stream_wants_write(const struct virtio_stream *s)
{
	return s && !s->broken && (s->current || stream_question_waits(s) || (s->send && !s->asking));
}
