/* SPDX-License-Identifier: MIT */
/*
 * stream-device-message.c - the messages of a stream, as its device's end receives and sends them.
 *
 * What a message may be is decided by its header, before room is needed for what follows. While an answer waits to be sent nothing is
 * read, so a peer that does not read cannot pile up work here; see virtio_stream_device_poll().
 */
#include "stream-device-internal.h"

/* --- sending ----------------------------------------------------------------------------------------------------------- */

static struct virtio_stream_request *take_finished(struct virtio_stream_device *sd)
{
	struct virtio_stream_request *request = sd->finished;

	if (request && !(sd->finished = request->next))
		sd->finished_end = &sd->finished;
	return request;
}

static void begin(struct virtio_stream_device *sd, enum stream_type type, unsigned int queue, uint32_t a, uint32_t b, const uint8_t *data,
		  size_t len)
{
	stream_header(sd->out, type, queue, (uint32_t)len, a, b);
	sd->out_data = data;
	sd->out_len = len;
	sd->out_done = 0;
	sd->begun = true;
}

static bool begin_next(struct virtio_stream_device *sd)
{
	if (sd->answering) {
		begin(sd, STREAM_ANSWER, 0, (uint32_t)sd->answer_result, sd->dev->status, sd->answer, sd->answer_len);
	} else if ((sd->sending = take_finished(sd))) {
		struct virtio_stream_request *request = sd->sending;
		size_t at = (size_t)(request - sd->requests);

		request->state = REQUEST_SENDING;
		begin(sd, STREAM_USED, (unsigned int)(at / sd->num), (uint32_t)(at % sd->num), 0, request->data + request->out_len,
		      request->in_len ? request->used : 0);
	} else if (sd->changed) {
		sd->changed = false;
		begin(sd, STREAM_CHANGED, 0, 0, sd->dev->status, NULL, 0);
	}
	return sd->begun;
}

static int send_begun(struct virtio_stream_device *sd)
{
	int ret = stream_write_message(sd->io, sd->out, sd->out_data, sd->out_len, &sd->out_done);

	if (ret <= 0)
		return ret;
	sd->begun = false;
	if (sd->sending)
		sd->sending->state = REQUEST_FREE;
	else if (sd->out[STREAM_TYPE] == STREAM_ANSWER)
		sd->answering = false;
	sd->sending = NULL;
	return 1;
}

void virtio_stream_device_send(struct virtio_stream_device *sd)
{
	int ret = 1;

	while (ret > 0 && !sd->over && !sd->failed && (sd->begun || begin_next(sd)))
		ret = send_begun(sd);
	/* The device may be what called us, so it cannot be reset here. */
	if (ret < 0)
		sd->failed = true;
}

/* --- receiving --------------------------------------------------------------------------------------------------------- */

/* May this header's message follow? Only what loses the boundary of messages ends the stream. NULL, or what is wrong. */
static const char *check_header(struct virtio_stream_device *sd, uint32_t length)
{
	uint32_t a = virtio_get32(false, sd->header + STREAM_A), b = virtio_get32(false, sd->header + STREAM_B);
	uint32_t most = 0, least = 0;

	switch (sd->header[STREAM_TYPE]) {
	case STREAM_HELLO:
		if (a != STREAM_MAGIC || b != STREAM_VERSION)
			return "a greeting in another language";
		sd->greeted = true;
		break;
	case STREAM_STATUS:
		if (a > UINT8_MAX)
			return "a status that is none";
		break;
	case STREAM_CONFIG_GET:
	case STREAM_QUEUE:
		break;
	case STREAM_FEATURES:
		most = least = 8;
		break;
	case STREAM_CONFIG_SET:
		most = sizeof(sd->answer);
		break;
	case STREAM_BUFFER:
		least = 1;
		most = sd->max + 1;
		break;
	default:
		return "a message of an unknown kind";
	}
	if (sd->header[STREAM_ZERO] || !sd->greeted)
		return "a message of an unknown kind";
	return length < least || length > most ? "a message of an impossible length" : NULL;
}

static const char *on_header(struct virtio_stream_device *sd, uint32_t length)
{
	const char *wrong = check_header(sd, length), *refused;

	sd->into = NULL;
	sd->done = 0;
	if (wrong || sd->header[STREAM_TYPE] != STREAM_BUFFER || sd->dev->broken)
		return wrong;
	refused = virtio_stream_device_take(sd, length - 1);
	if (refused)
		virtio_dev_break(sd->dev, refused);
	return NULL;
}

static int read_buffer(struct virtio_stream_device *sd)
{
	struct virtio_stream_request *request = sd->into;
	size_t out_len = request->out_len, done = 0;
	int ret;

	if (sd->done < out_len) {
		ret = stream_read(sd->io, request->data, out_len, &sd->done);
		if (ret <= 0)
			return ret;
	}
	ret = stream_read(sd->io, &sd->commit, 1, &done);
	sd->done += done;
	return ret;
}

/* Skip what was refused: the device is broken, the stream is not. */
static int skip(struct virtio_stream_device *sd, size_t length)
{
	while (sd->done < length) {
		uint8_t scratch[256];
		size_t len = length - sd->done < sizeof(scratch) ? length - sd->done : sizeof(scratch), done = 0;
		int ret = stream_read(sd->io, scratch, len, &done);

		sd->done += done;
		if (ret <= 0)
			return ret;
	}
	return 1;
}

int virtio_stream_device_receive(struct virtio_stream_device *sd)
{
	const char *wrong = NULL;
	uint32_t length;
	int ret = 1;

	if (sd->header_done < sizeof(sd->header)) {
		ret = stream_read(sd->io, sd->header, sizeof(sd->header), &sd->header_done);
		if (ret <= 0)
			return ret;
		wrong = on_header(sd, virtio_get32(false, sd->header + STREAM_LENGTH));
		if (wrong) {
			virtio_stream_device_hang_up(sd, -VIRTIO_EPROTO, wrong);
			return -VIRTIO_EPROTO;
		}
	}
	length = virtio_get32(false, sd->header + STREAM_LENGTH);
	if (sd->into)
		ret = read_buffer(sd);
	else if (sd->header[STREAM_TYPE] == STREAM_BUFFER)
		ret = skip(sd, length);
	else
		ret = stream_read(sd->io, sd->answer, length, &sd->done);
	if (ret <= 0)
		return ret;
	sd->header_done = 0;
	if (sd->into)
		virtio_stream_device_submit(sd);
	else if (sd->header[STREAM_TYPE] != STREAM_BUFFER)
		virtio_stream_device_answer(sd, length);
	return 1;
}
