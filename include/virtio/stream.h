/* SPDX-License-Identifier: MIT */
/*
 * stream.h - virtio over a stream of bytes: the operations of <virtio/driver.h> by plain reads and writes, for two ends that share no
 * memory. Drivers and devices are the same as over a ring; who sets them up chooses.
 *
 *	driver --> struct virtio_stream ==== socket, pipes, serial line ==== struct virtio_stream_device --> struct virtio_dev
 *
 * Both ends are freestanding and neither allocates after setup. The stream itself is three functions of the caller's, which never
 * block but in wait(); <virtio/stream-fd.h> has them for file descriptors. Any read and any write may move fewer bytes than asked.
 *
 * The framing. A message is a header of 16 bytes, then @length bytes. All numbers are little-endian, as are the structures of devices:
 *
 *	u8 type; u8 zero; u16 queue; u32 length; u32 a; u32 b
 *
 *	from the driver	queue	a		b		what follows
 *	HELLO		0	"vios"		version: 1	nothing
 *	FEATURES	0	0		0		u64: the features accepted
 *	STATUS		0	new status	0		nothing; 0 is a reset
 *	CONFIG_GET	0	offset		bytes		nothing
 *	CONFIG_SET	0	offset		0		the bytes
 *	QUEUE		which	0		0		nothing: set this queue up
 *	BUFFER		which	identifier	bytes to write	the bytes to read, then one byte: 1, or 0 if the buffer was taken back
 *
 *	from the device
 *	ANSWER		0	0 or -errno	status		what was asked for: config bytes, or for HELLO u32 device id, u32 config bytes,
 *							u64 features, u32 most bytes of a buffer, u16 buffers under way per queue
 *	USED		which	identifier	0		the bytes written, from the start of those to be written
 *	CHANGED		0	0		status		nothing: config space or status changed
 *
 * Every message of a driver but BUFFER has one ANSWER, and the driver sends nothing else until it comes. A device does nothing with a
 * BUFFER before its last byte came. Identifiers are below the number of buffers that may be under way in that queue; one is free
 * again when USED has come, or the answer to a reset.
 *
 * Whatever breaks these rules: the driver's end gives the stream up, which cancels all buffers (-VIRTIO_ENODEV from then on). The
 * device's end marks the device NEEDS_RESET when it can still tell where the next message begins, or else gives the stream up and
 * resets the device. So does the end of the stream, at whatever byte.
 */
#ifndef VIRTIO_STREAM_H
#define VIRTIO_STREAM_H

#include <virtio/device.h>
#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

#define VIRTIO_STREAM_PIECES	32	/* most pieces of a buffer */
#define VIRTIO_STREAM_BUFFERS	64	/* most buffers under way in one queue */
#define VIRTIO_STREAM_HEADER	16	/* bytes */

/* The stream: from the caller, for either end. Filled in before, and unchanged while, that end uses it. */
struct virtio_stream_io {
	/* Up to @len bytes, at least 1; 0: the stream has ended; -VIRTIO_EAGAIN: none now; other negative values: it failed. */
	long (*read)(void *opaque, void *buf, size_t len);
	/* The same, but 0 counts as "none now". */
	long (*write)(void *opaque, const void *buf, size_t len);
	/*
	 * Driver's end only: idle until there may be something to read or, with @write, room to write. Negative: the other end takes too
	 * long, give the stream up. May return early; NULL: spin.
	 */
	int (*wait)(void *opaque, bool write);
	void *opaque;
};

/* --- the driver's end -------------------------------------------------------------------------------------------------- */

struct virtio_stream_queue;
struct virtio_stream_slot;

/* One device at the other end of a stream. Fields behind @vdev are the implementation's; it must not move. */
struct virtio_stream {
	struct virtio_device vdev;	/* for the driver */
	const struct virtio_stream_io *io;
	const char *broken;		/* why the stream was given up; NULL = it was not */

	/* What HELLO said. */
	uint64_t offered;
	uint32_t config_len;
	uint32_t max;			/* bytes of one buffer, both directions together */
	uint16_t num;			/* buffers under way in one queue */
	uint8_t status;

	/* Receiving. */
	uint8_t header[VIRTIO_STREAM_HEADER];
	size_t header_done, done;	/* bytes of it, and of what follows */
	struct virtio_stream_slot *into;	/* USED: its buffer */
	void *answer;			/* ANSWER: where to */
	uint32_t answer_len;		/* and how much must come, if all is well */
	bool asking;
	int32_t result;

	/* Sending: a buffer that was begun, then a question, then the buffers that wait. */
	struct virtio_stream_slot *current, *send, **send_end;
	uint8_t frame[VIRTIO_STREAM_HEADER];
	size_t sent;			/* bytes of the current buffer's message */
	uint8_t question[VIRTIO_STREAM_HEADER];
	const void *more;		/* what follows it */
	size_t more_len, question_sent;
	struct virtio_stream_queue *queues[VIRTIO_DRIVER_QUEUES];
};

/*
 * Greet the device at the other end of @io and wait for its answer. Afterwards &s->vdev is for a driver's probe(). @platform gives
 * memory at setup; its mem is not used, so buffers may lie anywhere. Its wait() should be woken by what makes @io readable.
 * 0, -VIRTIO_EINVAL (null), -VIRTIO_ENODEV (stream ended or failed, or took too long), -VIRTIO_EPROTO (no such device there).
 */
int virtio_stream_connect(struct virtio_stream *s, const struct virtio_platform *platform, const struct virtio_stream_io *io);

/*
 * Move what can be moved now, then call the drivers back: this end's interrupt. For event loops: when the stream is ready, and before
 * waiting for that, because a driver's own calls read from the stream too. True: the stream is alive. NULL is not.
 */
bool virtio_stream_poll(struct virtio_stream *s);

/* Does it wait for room to write? NULL does not. */
bool virtio_stream_wants_write(const struct virtio_stream *s);

/* --- the device's end -------------------------------------------------------------------------------------------------- */

/* A buffer that came, in this end's own memory. */
struct virtio_stream_request {
	unsigned long used;		/* as for drivers: the ring reports here */
	struct virtio_stream_request *next;
	uint8_t *data;			/* what is read, then what is written */
	uint32_t out_len, in_len;
	uint8_t state;
};

/*
 * A stream as the bus of a device. The device sees buffers in a ring as ever: it lies in this end's own memory, and so do the bytes
 * that come and go. Fields are the implementation's but for complain(); it must not move.
 */
struct virtio_stream_device {
	struct virtio_dev *dev;
	const struct virtio_stream_io *io;
	const char *broken;		/* what nonsense came; NULL = none */
	int error;			/* the stream was given up: what poll() returns */
	bool failed, over;
	/* The driver broke the contract, and the device or the stream stopped: once per reset. Set after init; may be NULL. */
	void (*complain)(void *opaque, const struct virtio_dev *dev, const char *reason);
	void *opaque;

	/* Memory: requests, then the bytes of each, then rings as they are set up. */
	struct virtio_mem mem;
	struct virtio_platform platform;
	size_t rings, next;
	struct virtio_device driver;	/* of the rings */
	struct virtio_stream_request *requests;	/* [num_queues][num] */
	uint32_t max;
	uint16_t num;
	bool greeted;

	/* Receiving. */
	uint8_t header[VIRTIO_STREAM_HEADER];
	size_t header_done, done;
	struct virtio_stream_request *into;	/* BUFFER, unless it is refused */
	uint8_t commit;			/* its last byte */

	/* Sending: a message that was begun; else an answer, used buffers, a change. */
	bool begun, answering, changed;
	uint8_t out[VIRTIO_STREAM_HEADER];
	const uint8_t *out_data;	/* what follows */
	size_t out_len, out_done;
	struct virtio_stream_request *sending, *finished, **finished_end;
	uint8_t answer[VIRTIO_CONFIG_MAX];	/* what came to be answered, then what follows the answer */
	size_t answer_len;
	int answer_result;
};

/*
 * Bytes of memory that virtio_stream_device_init() needs to serve @dev with buffers of at most @max bytes (both directions together).
 * 0: bad arguments: null, no queues or such that are too small for a buffer, a configuration longer than VIRTIO_CONFIG_MAX, no bytes.
 */
size_t virtio_stream_device_bytes(const struct virtio_dev *dev, uint32_t max);

/*
 * Serve @dev over @io. @memory: as many bytes as virtio_stream_device_bytes() says, aligned to 16, the caller's and unused until the
 * stream is done. The device is reset and attached; the caller still owns it. 0, or -VIRTIO_EINVAL (null, misaligned, or as above).
 */
int virtio_stream_device_init(struct virtio_stream_device *sd, struct virtio_dev *dev, const struct virtio_stream_io *io, void *memory,
			      uint32_t max);

/*
 * Take what has come, send what can be sent: whenever the stream is readable, or writable while virtio_stream_device_wants_write().
 * Under the lock of the device. 1: the stream is alive. 0: it has ended, and the device was reset; -VIRTIO_EIO: likewise, it failed;
 * -VIRTIO_EPROTO: likewise, nonsense came, see sd->broken. -VIRTIO_EINVAL: null.
 */
int virtio_stream_device_poll(struct virtio_stream_device *sd);

/* Does it wait for room to write? NULL does not. */
bool virtio_stream_device_wants_write(const struct virtio_stream_device *sd);

VIRTIO_END_DECLS

#endif
