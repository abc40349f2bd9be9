/* SPDX-License-Identifier: MIT */
/* stream-driver-internal.h - between the files of a stream's driver's end. */
#ifndef VIRTIO_STREAM_DRIVER_INTERNAL_H
#define VIRTIO_STREAM_DRIVER_INTERNAL_H

#include "stream-frame.h"
#include "stream-slot.h"

extern const struct virtio_ops virtio_stream_ops;	/* of a struct virtio_stream_queue */

/* The stream is of no use any more: cancel everything. The first reason is kept. */
void virtio_stream_give_up(struct virtio_stream *s, const char *reason);

/* Move what can be moved without waiting. */
void virtio_stream_pump(struct virtio_stream *s);

/* Write what waits. 1: everything is out. 0: the stream takes no more now. Negative: the stream was given up. */
int virtio_stream_send(struct virtio_stream *s);

/* Read what has come, up to some number of messages. 1: there may be more. 0: not now. Negative: as above. */
int virtio_stream_receive(struct virtio_stream *s);

/* A question to the device that has not left, or not all of it. */
static inline bool stream_question_waits(const struct virtio_stream *s)
{
	return s->asking && s->question_sent < sizeof(s->question) + s->more_len;
}

#endif
