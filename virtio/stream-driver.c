/* SPDX-License-Identifier: MIT */
/*
 * stream-driver.c - the driver's end of virtio over a stream: see <virtio/stream.h>.
 *
 * A buffer goes through these states: added; waiting for its turn, after sync(); current, while its bytes are written, straight from
 * the driver's memory; sent; done, until the driver harvests. What the device writes comes with USED and is stored straight into the
 * driver's memory. So the other end never touches that memory, and taking a buffer back asks nobody: it is only remembered that its
 * identifier is not free yet. One that is current goes out with zeros in the place of what was not sent, and a last byte that voids it.
 *
 * Everything happens in pump(), which neither waits nor calls drivers back. Questions to the device wait for their answer in ask().
 */
#include "stream-frame.h"

enum slot_state { SLOT_FREE, SLOT_ADDED, SLOT_WAITING, SLOT_CURRENT, SLOT_SENT, SLOT_DONE };

struct virtio_stream_slot {
	struct virtio_stream_queue *queue;
	struct virtio_stream_slot *next;	/* in the list of its state */
	unsigned long *used;
	uint32_t out_len, in_len, written;
	uint16_t out, num;			/* pieces to be read, and all */
	uint8_t state;
	bool taken;				/* back by the driver: its memory is not ours any more */
	struct virtio_iov iov[VIRTIO_STREAM_PIECES];
};

struct list {
	struct virtio_stream_slot *first, **end;
};

struct virtio_stream_queue {
	struct virtio_queue vq;			/* first: what the driver holds */
	struct list added, done;
	unsigned int room;
	bool dead;				/* cancelled; nothing works until the queue is made anew */
	uint16_t num;
	struct virtio_stream_slot slot[];	/* [num] */
};

static struct virtio_stream_queue *queue_of(struct virtio_queue *vq)
{
	return (struct virtio_stream_queue *)(void *)vq;
}

static struct virtio_stream *stream_of(struct virtio_device *vdev)
{
	return (struct virtio_stream *)(void *)vdev;
}

/* --- lists of slots ---------------------------------------------------------------------------------------------------- */

static void append(struct virtio_stream_slot ***end, struct virtio_stream_slot *slot)
{
	slot->next = NULL;
	**end = slot;
	*end = &slot->next;
}

static struct virtio_stream_slot *take(struct virtio_stream_slot **first, struct virtio_stream_slot ***end)
{
	struct virtio_stream_slot *slot = *first;

	if (slot && !(*first = slot->next))
		*end = first;
	return slot;
}

static void drop(struct virtio_stream_slot **first, struct virtio_stream_slot ***end, struct virtio_stream_slot *slot)
{
	struct virtio_stream_slot **link = first;

	while (*link != slot)
		link = &(*link)->next;
	*link = slot->next;
	if (!*link)
		*end = link;
}

static void release(struct virtio_stream_slot *slot)
{
	slot->state = SLOT_FREE;
	slot->queue->room++;
}

static void finish(struct virtio_stream_slot *slot, unsigned long value)
{
	/* release: pairs with virtio_is_done() in a driver that polls from another thread. */
	if (!slot->taken)
		__atomic_store_n(slot->used, value, __ATOMIC_RELEASE);
}

/* --- giving up --------------------------------------------------------------------------------------------------------- */

/* The stream is of no use any more: cancel everything. The first reason is kept. */
static void give_up(struct virtio_stream *s, const char *reason)
{
	if (s->broken)
		return;
	s->broken = reason;
	s->status |= VIRTIO_STATUS_NEEDS_RESET;
	s->asking = false;
	s->current = NULL;
	virtio_device_reset(&s->vdev);
}

static const char *failure(int ret)
{
	return ret == -VIRTIO_ENODEV ? "the stream has ended" : "the stream failed";
}

/* --- sending ----------------------------------------------------------------------------------------------------------- */

/* The contiguous bytes at offset s->sent of the current buffer's message. */
static const void *current_bytes(struct virtio_stream *s, size_t *len)
{
	static const uint8_t zeros[256], commit = STREAM_COMMIT;
	const struct virtio_stream_slot *slot = s->current;
	size_t at = s->sent;

	if (at < sizeof(s->frame)) {
		*len = sizeof(s->frame) - at;
		return s->frame + at;
	}
	at -= sizeof(s->frame);
	if (slot->taken && at < slot->out_len) {
		*len = slot->out_len - at < sizeof(zeros) ? slot->out_len - at : sizeof(zeros);
		return zeros;
	}
	for (unsigned int i = 0; i < slot->out && !slot->taken; i++) {
		if (at < slot->iov[i].len) {
			*len = slot->iov[i].len - at;
			return (const uint8_t *)slot->iov[i].base + at;
		}
		at -= slot->iov[i].len;
	}
	*len = 1;
	return slot->taken ? zeros : &commit;
}

static int send_current(struct virtio_stream *s)
{
	size_t total = sizeof(s->frame) + s->current->out_len + 1;

	while (s->sent < total) {
		size_t len, done = 0;
		const void *bytes = current_bytes(s, &len);
		int ret = stream_write(s->io, bytes, len, &done);

		s->sent += done;
		if (ret <= 0)
			return ret;
	}
	s->current->state = SLOT_SENT;
	s->current = NULL;
	return 1;
}

static bool question_waits(const struct virtio_stream *s)
{
	return s->asking && s->question_sent < sizeof(s->question) + s->more_len;
}

static void begin_buffer(struct virtio_stream *s)
{
	struct virtio_stream_slot *slot = take(&s->send, &s->send_end);

	slot->state = SLOT_CURRENT;
	s->current = slot;
	s->sent = 0;
	stream_header(s->frame, STREAM_BUFFER, slot->queue->vq.index, slot->out_len + 1, (uint32_t)(slot - slot->queue->slot), slot->in_len);
}

/* 1: everything is out. 0: the stream takes no more now. */
static int pump_out(struct virtio_stream *s)
{
	int ret = 1;

	while (ret > 0) {
		if (s->current)
			ret = send_current(s);
		else if (question_waits(s))
			ret = stream_write_message(s->io, s->question, s->more, s->more_len, &s->question_sent);
		else if (s->send && !s->asking)
			begin_buffer(s);
		else
			break;
	}
	return ret;
}

/* --- receiving --------------------------------------------------------------------------------------------------------- */

/* A header has come. NULL, or what is wrong with it. */
static const char *on_answer(struct virtio_stream *s, uint32_t length)
{
	uint32_t result = virtio_get32(false, s->header + STREAM_A), status = virtio_get32(false, s->header + STREAM_B);

	if (!s->asking || question_waits(s))
		return "an answer that nobody asked for";
	if ((result && result < (uint32_t)-4095) || status > UINT8_MAX)
		return "an answer that is none";
	if (length != (result ? 0 : s->answer_len))
		return "an answer of the wrong length";
	s->result = (int32_t)result;
	s->status = (uint8_t)status;
	return NULL;
}

static const char *on_used(struct virtio_stream *s, uint32_t length)
{
	unsigned int which = virtio_get16(false, s->header + STREAM_WHICH);
	uint32_t id = virtio_get32(false, s->header + STREAM_A);
	struct virtio_stream_queue *q = which < VIRTIO_DRIVER_QUEUES ? s->queues[which] : NULL;

	if (!q || id >= q->num || q->slot[id].state != SLOT_SENT)
		return "a used buffer that the device was not given";
	if (length > q->slot[id].in_len)
		return "more bytes than the buffer has room for";
	s->into = &q->slot[id];
	return NULL;
}

static const char *on_changed(struct virtio_stream *s, uint32_t length)
{
	uint32_t status = virtio_get32(false, s->header + STREAM_B);

	if (length || status > UINT8_MAX)
		return "a change that is none";
	s->status = (uint8_t)status;
	return NULL;
}

static const char *on_header(struct virtio_stream *s)
{
	uint32_t length = virtio_get32(false, s->header + STREAM_LENGTH);

	s->into = NULL;
	s->done = 0;
	if (s->header[STREAM_ZERO])
		return "a message of an unknown kind";
	switch (s->header[STREAM_TYPE]) {
	case STREAM_ANSWER:
		return on_answer(s, length);
	case STREAM_USED:
		return on_used(s, length);
	case STREAM_CHANGED:
		return on_changed(s, length);
	default:
		return "a message of an unknown kind";
	}
}

/* The bytes of a used buffer, to where the driver wants them. */
static int read_used(struct virtio_stream *s, uint32_t length)
{
	struct virtio_stream_slot *slot = s->into;
	uint8_t scratch[256];

	while (s->done < length) {
		size_t at = s->done, done = 0, len = sizeof(scratch);
		unsigned int i = slot->out;
		int ret;

		for (; at >= slot->iov[i].len; i++)
			at -= slot->iov[i].len;
		if (!slot->taken || slot->iov[i].len - at < len)
			len = slot->iov[i].len - at;
		if (len > length - s->done)
			len = length - s->done;
		ret = stream_read(s->io, slot->taken ? scratch : (uint8_t *)slot->iov[i].base + at, len, &done);
		s->done += done;
		if (ret <= 0)
			return ret;
	}
	return 1;
}

/* A message is complete. */
static void on_message(struct virtio_stream *s, uint32_t length)
{
	struct virtio_stream_slot *slot = s->into;

	if (s->header[STREAM_TYPE] == STREAM_ANSWER)
		s->asking = false;
	s->into = NULL;
	if (!slot)
		return;
	slot->written = length;
	if (slot->taken) {
		release(slot);
		return;
	}
	slot->state = SLOT_DONE;
	append(&slot->queue->done.end, slot);
}

/* One message, as far as it has come. 1: it is complete. 0: not yet. Negative: given up. */
static int read_message(struct virtio_stream *s)
{
	const char *wrong = NULL;
	uint32_t length;
	int ret;

	if (s->header_done < sizeof(s->header)) {
		ret = stream_read(s->io, s->header, sizeof(s->header), &s->header_done);
		if (ret > 0)
			wrong = on_header(s);
		if (ret < 0 || wrong)
			give_up(s, wrong ? wrong : failure(ret));
		if (ret <= 0 || wrong)
			return wrong ? -VIRTIO_EPROTO : ret;
	}
	length = virtio_get32(false, s->header + STREAM_LENGTH);
	ret = s->into ? read_used(s, length) : stream_read(s->io, s->answer, length, &s->done);
	if (ret < 0)
		give_up(s, failure(ret));
	if (ret <= 0)
		return ret;
	s->header_done = 0;
	on_message(s, length);
	return 1;
}

/* A device that never stops talking must not keep us from returning. */
#define MESSAGES_AT_ONCE 1024

static int pump_in(struct virtio_stream *s)
{
	int ret = 1;

	for (unsigned int i = 0; ret > 0 && i < MESSAGES_AT_ONCE; i++)
		ret = read_message(s);
	return ret;
}

/* Move what can be moved without waiting. */
static void pump(struct virtio_stream *s)
{
	int ret;

	if (s->broken)
		return;
	ret = pump_out(s);
	if (ret < 0)
		give_up(s, failure(ret));
	else if (pump_in(s) >= 0 && pump_out(s) < 0)
		give_up(s, "the stream failed");
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
	for (pump(s); s->asking; pump(s))
		if (s->io->wait && s->io->wait(s->io->opaque, virtio_stream_wants_write(s)) < 0)
			give_up(s, "the device does not answer");
	return s->broken ? -VIRTIO_ENODEV : s->result;
}

/* --- the operations ---------------------------------------------------------------------------------------------------- */

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
	append(&q->added.end, slot);
	q->room--;
	return slot - q->slot;
}

static long stream_add_outbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int num, unsigned long *used)
{
	return add(queue_of(vq), sg, num, num, used);
}

static long stream_add_inbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int out, unsigned int num,
			     unsigned long *used)
{
	return out < num ? add(queue_of(vq), sg, out, num, used) : -VIRTIO_EINVAL;
}

static void stream_sync(struct virtio_queue *vq)
{
	struct virtio_stream_queue *q = queue_of(vq);
	struct virtio_stream *s = stream_of(vq->vdev);
	struct virtio_stream_slot *slot;

	if (q->dead)
		return;
	while ((slot = take(&q->added.first, &q->added.end))) {
		slot->state = SLOT_WAITING;
		append(&s->send_end, slot);
	}
	pump(s);
}

static void stream_detach(struct virtio_queue *vq, long id)
{
	struct virtio_stream_queue *q = queue_of(vq);
	struct virtio_stream *s = stream_of(vq->vdev);
	struct virtio_stream_slot *slot;

	vq->ops->harvest(vq);
	if (q->dead || id < 0 || id >= q->num || q->slot[id].state == SLOT_FREE || q->slot[id].taken)
		return;
	slot = &q->slot[id];
	finish(slot, VIRTIO_CANCELLED);
	slot->taken = true;
	if (slot->state == SLOT_ADDED)
		drop(&q->added.first, &q->added.end, slot);
	else if (slot->state == SLOT_WAITING)
		drop(&s->send, &s->send_end, slot);
	else
		return;	/* until its USED comes */
	release(slot);
}

static unsigned int stream_harvest(struct virtio_queue *vq)
{
	struct virtio_stream_queue *q = queue_of(vq);
	struct virtio_stream_slot *slot;
	unsigned int count = 0;

	pump(stream_of(vq->vdev));
	while ((slot = take(&q->done.first, &q->done.end))) {
		/* 2.7.8.3-1: what was sent counts for a buffer that is only read, and no more than came for one that is written. */
		finish(slot, slot->in_len ? slot->written : slot->out_len);
		release(slot);
		count++;
	}
	return count;
}

/* Every used buffer is announced, wanted or not. */
static bool stream_interrupts(struct virtio_queue *vq, bool on)
{
	return on && queue_of(vq)->done.first;
}

static unsigned int stream_room(struct virtio_queue *vq)
{
	return queue_of(vq)->dead ? 0 : queue_of(vq)->room;
}

/* What is done already was not lost, and can still be harvested. */
static void stream_cancel(struct virtio_queue *vq)
{
	struct virtio_stream_queue *q = queue_of(vq);

	q->dead = true;
	for (unsigned int i = 0; i < q->num; i++) {
		struct virtio_stream_slot *slot = &q->slot[i];

		if (slot->state == SLOT_FREE || slot->state == SLOT_DONE)
			continue;
		finish(slot, VIRTIO_CANCELLED);
		release(slot);
	}
	q->added = (struct list){ .end = &q->added.first };
}

static const struct virtio_ops stream_ops = {
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
		finish(s->current, VIRTIO_CANCELLED);
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
	q->vq = (struct virtio_queue){ .vdev = vdev, .ops = &stream_ops, .index = index, .size = s->num };
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
		platform->free(platform->opaque, queue_of(vq), queue_bytes(s->num));
}

static void bus_notify(struct virtio_queue *vq)
{
	pump(stream_of(vq->vdev));
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
	give_up(s, "a device that takes no buffers, or too many");
	return -VIRTIO_EPROTO;
}

bool virtio_stream_poll(struct virtio_stream *s)
{
	pump(s);
	virtio_device_interrupt(&s->vdev);
	return !s->broken;
}

bool virtio_stream_wants_write(const struct virtio_stream *s)
{
	return !s->broken && (s->current || question_waits(s) || (s->send && !s->asking));
}
