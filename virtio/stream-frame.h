/* SPDX-License-Identifier: MIT */
/* stream-frame.h - the messages of <virtio/stream.h>, and moving bytes when a stream takes or gives only some. */
#ifndef VIRTIO_STREAM_FRAME_H
#define VIRTIO_STREAM_FRAME_H

#include <virtio/stream.h>

enum stream_type {
	STREAM_HELLO = 1,
	STREAM_FEATURES,
	STREAM_STATUS,
	STREAM_CONFIG_GET,
	STREAM_CONFIG_SET,
	STREAM_QUEUE,
	STREAM_BUFFER,
	STREAM_ANSWER = 0x81,
	STREAM_USED,
	STREAM_CHANGED,
};

#define STREAM_MAGIC	UINT32_C(0x736f6976)	/* "vios" */
#define STREAM_VERSION	1u

/* Where things are in a header, and in the answer to HELLO. */
#define STREAM_TYPE	0
#define STREAM_ZERO	1
#define STREAM_WHICH	2
#define STREAM_LENGTH	4
#define STREAM_A	8
#define STREAM_B	12

#define STREAM_HELLO_ID		0
#define STREAM_HELLO_CONFIG	4
#define STREAM_HELLO_FEATURES	8
#define STREAM_HELLO_MAX	16
#define STREAM_HELLO_NUM	20
#define STREAM_HELLO_BYTES	22

#define STREAM_COMMIT	1	/* the last byte of a BUFFER */

static inline void stream_header(uint8_t *h, enum stream_type type, unsigned int queue, uint32_t length, uint32_t a, uint32_t b)
{
	h[STREAM_TYPE] = (uint8_t)type;
	h[STREAM_ZERO] = 0;
	virtio_put16(false, h + STREAM_WHICH, (uint16_t)queue);
	virtio_put32(false, h + STREAM_LENGTH, length);
	virtio_put32(false, h + STREAM_A, a);
	virtio_put32(false, h + STREAM_B, b);
}

/*
 * Read until @done, which is advanced, is @len. 1: it is. 0: no more now. -VIRTIO_ENODEV: the stream has ended. -VIRTIO_EIO: it failed,
 * or the caller's read() claims more than it was asked for.
 */
static inline int stream_read(const struct virtio_stream_io *io, void *buf, size_t len, size_t *done)
{
	while (*done < len) {
		long ret = io->read(io->opaque, (uint8_t *)buf + *done, len - *done);

		if (ret == -VIRTIO_EAGAIN)
			return 0;
		if (!ret)
			return -VIRTIO_ENODEV;
		if (ret < 0 || (size_t)ret > len - *done)
			return -VIRTIO_EIO;
		*done += (size_t)ret;
	}
	return 1;
}

/* Write until @done is @len. As above, but there is no end. */
static inline int stream_write(const struct virtio_stream_io *io, const void *buf, size_t len, size_t *done)
{
	while (*done < len) {
		long ret = io->write(io->opaque, (const uint8_t *)buf + *done, len - *done);

		if (!ret || ret == -VIRTIO_EAGAIN)
			return 0;
		if (ret < 0 || (size_t)ret > len - *done)
			return -VIRTIO_EIO;
		*done += (size_t)ret;
	}
	return 1;
}

/* Write a header and the @len bytes that follow it; @done counts both. As above. */
static inline int stream_write_message(const struct virtio_stream_io *io, const uint8_t *header, const void *data, size_t len, size_t *done)
{
	size_t rest;
	int ret = 1;

	if (*done < VIRTIO_STREAM_HEADER)
		ret = stream_write(io, header, VIRTIO_STREAM_HEADER, done);
	if (ret <= 0)
		return ret;
	rest = *done - VIRTIO_STREAM_HEADER;
	ret = stream_write(io, data, len, &rest);
	*done = VIRTIO_STREAM_HEADER + rest;
	return ret;
}

#endif
