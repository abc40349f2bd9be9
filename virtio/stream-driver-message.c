/* SPDX-License-Identifier: MIT */
/*
 * stream-driver-message.c - the messages of a stream, as its driver's end sends and receives them. A stream takes and gives as much as
 * it likes, so wherever one may stop is kept in struct virtio_stream, and everything here returns at once.
 */
#include "stream-driver-internal.h"

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

static void begin_buffer(struct virtio_stream *s)
{
	struct virtio_stream_slot *slot = slot_take(&s->send, &s->send_end);

	slot->state = SLOT_CURRENT;
	s->current = slot;
	s->sent = 0;
	stream_header(s->frame, STREAM_BUFFER, slot->queue->vq.index, slot->out_len + 1, (uint32_t)(slot - slot->queue->slot), slot->in_len);
}

int virtio_stream_send(struct virtio_stream *s)
{
	int ret = 1;

	while (ret > 0) {
		if (s->current)
			ret = send_current(s);
		else if (stream_question_waits(s))
			ret = stream_write_message(s->io, s->question, s->more, s->more_len, &s->question_sent);
		else if (s->send && !s->asking)
			begin_buffer(s);
		else
			break;
	}
	if (ret < 0)
		virtio_stream_give_up(s, failure(ret));
	return ret;
}

/* --- receiving --------------------------------------------------------------------------------------------------------- */

/* A header has come. NULL, or what is wrong with it. */
static const char *on_answer(struct virtio_stream *s, uint32_t length)
{
	uint32_t result = virtio_get32(false, s->header + STREAM_A), status = virtio_get32(false, s->header + STREAM_B);

	if (!s->asking || stream_question_waits(s))
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
		slot_release(slot);
		return;
	}
	slot->state = SLOT_DONE;
	slot_append(&slot->queue->done.end, slot);
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
			virtio_stream_give_up(s, wrong ? wrong : failure(ret));
		if (ret <= 0 || wrong)
			return wrong ? -VIRTIO_EPROTO : ret;
	}
	length = virtio_get32(false, s->header + STREAM_LENGTH);
	ret = s->into ? read_used(s, length) : stream_read(s->io, s->answer, length, &s->done);
	if (ret < 0)
		virtio_stream_give_up(s, failure(ret));
	if (ret <= 0)
		return ret;
	s->header_done = 0;
	on_message(s, length);
	return 1;
}

/* A device that never stops talking must not keep us from returning. */
#define MESSAGES_AT_ONCE 1024

int virtio_stream_receive(struct virtio_stream *s)
{
	int ret = 1;

	for (unsigned int i = 0; ret > 0 && i < MESSAGES_AT_ONCE; i++)
		ret = read_message(s);
	return ret;
}
