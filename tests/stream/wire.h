/* SPDX-License-Identifier: MIT */
/*
 * wire.h - both ends of a stream in this process: two queues of bytes that give and take as little as they like, and end where they are
 * told. The driver's wait() is what lets the device's end run.
 */
#ifndef TESTS_STREAM_WIRE_H
#define TESTS_STREAM_WIRE_H

#include <virtio/stream.h>

#define WIRE_SIZE	8192
#define WIRE_WHOLE	SIZE_MAX

struct pipe {
	uint8_t bytes[WIRE_SIZE];
	size_t head, tail;		/* free running */
	size_t end;			/* after so many bytes the reader sees the end; WIRE_WHOLE = never */
	size_t room;			/* bytes that fit; at most WIRE_SIZE */
};

struct wire {
	struct pipe to_device, to_driver;
	struct virtio_stream_io driver_io, device_io;
	uint64_t seed;			/* of the splits; 0 = everything moves that can */
	unsigned int idle;		/* waits in a row that moved nothing */
	struct virtio_stream driver;
	struct virtio_stream_device device;
	struct virtio_platform platform;
	void *memory;			/* the device's end's */
	size_t used;			/* bytes of allocations not freed */
	bool silent;			/* the device's end does not run */
	int alive;			/* what its poll() last said */
	void (*on_wait)(struct wire *wire);	/* may be NULL */
	void *opaque;
};

/* A wire between @dev and a driver to come. @seed as above. Buffers of at most @max bytes. */
struct wire *wire_create(struct virtio_dev *dev, uint64_t seed, uint32_t max);
/* Does not destroy the device. */
void wire_destroy(struct wire *wire);
/* Let the device's end run until nothing moves. */
void wire_run(struct wire *wire);
/* Bytes straight into a pipe, past the end that should write there. Fails the test when they do not fit. */
void wire_inject(struct pipe *pipe, const void *bytes, size_t len);
/* A message of the framing. @data may be NULL. */
void wire_message(struct pipe *pipe, uint8_t type, uint16_t queue, uint32_t a, uint32_t b, const void *data, uint32_t len);
/* Bytes that went through so far. */
size_t wire_bytes(const struct pipe *pipe);

#endif
