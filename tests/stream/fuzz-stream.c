/* SPDX-License-Identifier: MIT */
/*
 * Bytes of somebody's choice as what one end of a stream reads. The first byte of the input says which end; for the driver's, the answers
 * to its first questions are made right, so that more than the greeting is tried. See tests/virtio/fuzz.h.
 */
#include <stdlib.h>
#include <string.h>

#include <tests/virtio/fuzz.h>
#include <virtio/driver-block.h>
#include <virtio/stream.h>

#define MAX 512

struct input {
	struct fuzz_input in;
	unsigned int waits;
};

static long input_read(void *opaque, void *buf, size_t len)
{
	struct input *i = opaque;
	size_t part = len < i->in.left ? len : i->in.left;

	memcpy(buf, i->in.data, part);
	i->in.data += part;
	i->in.left -= part;
	return (long)part;	/* the end of the input is that of the stream */
}

static long swallow(void *opaque, const void *buf, size_t len)
{
	return (long)len;
}

static int input_wait(void *opaque, bool write)
{
	return ++((struct input *)opaque)->waits > 100 ? -1 : 0;
}

/* --- the device's end: an echo ----------------------------------------------------------------------------------------- */

static void echo_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_iov iov[4];
	struct vring_buffer buf;

	while (virtio_dev_pop(dev, queue, &buf, iov, 4) > 0) {
		uint8_t data[MAX];
		size_t len = virtio_iov_read(buf.out, buf.out_count, 0, data, sizeof(data));

		virtio_dev_push(dev, queue, buf.id, (uint32_t)virtio_iov_write(buf.in, buf.in_count, 0, data, len));
	}
	virtio_dev_flush(dev, queue);
}

static const struct virtio_dev_ops echo_ops = { .name = "echo", .queue_notify = echo_notify };

static void fuzz_device(struct input *input, const struct virtio_stream_io *io)
{
	static uint8_t memory[200000] __attribute__((aligned(16)));
	struct vring_device queues[2] = { { .num_max = 16 }, { .num_max = 16 } };
	struct virtio_dev dev = {
		.ops = &echo_ops, .id = 42, .offered = VIRTIO_F_VERSION_1, .config_len = 8, .queues = queues, .num_queues = 2,
	};
	struct virtio_stream_device sd;

	if (virtio_stream_device_bytes(&dev, MAX) > sizeof(memory) || virtio_stream_device_init(&sd, &dev, io, memory, MAX))
		abort();
	while (virtio_stream_device_poll(&sd) > 0)
		;
}

/* --- the driver's end -------------------------------------------------------------------------------------------------- */

static void *bump_alloc(void *opaque, size_t size, size_t align)
{
	return calloc(1, size);
}

static void bump_free(void *opaque, void *ptr, size_t size)
{
	free(ptr);
}

static void fuzz_driver(struct input *input, const struct virtio_stream_io *io)
{
	struct virtio_platform platform = { .alloc = bump_alloc, .free = bump_free };
	struct virtio_block_request request = { .opaque = NULL };
	struct virtio_block blk = { .capacity = 0 };
	uint8_t *data = malloc(MAX);
	struct virtio_iov piece = { data, MAX };
	struct virtio_stream s;

	if (!virtio_stream_connect(&s, &platform, io)) {
		s.vdev.id = VIRTIO_ID_BLOCK;
		if (!virtio_block_probe(&blk, &s.vdev)) {
			virtio_block_submit(&blk, &request, VIRTIO_BLOCK_T_IN, 1, &piece, 1);
			virtio_sync(blk.queue);
			for (int i = 0; i < 4 && virtio_stream_poll(&s); i++)
				virtio_block_poll(&blk);
			virtio_detach_inbuf(blk.queue, 0);
			virtio_block_read(&blk, 0, data, MAX);
		}
		virtio_device_remove(&s.vdev);
	}
	free(data);
}

/* The messages that the driver waits for until it is ready, followed by the rest of the input. */
static size_t prepare(uint8_t *to, const uint8_t *data, size_t size)
{
	static const uint8_t status[] = { 0, 1, 3, 3, 11, 11, 11, 15 };
	size_t at = 0;

	memset(to, 0, 4096);
	for (size_t i = 0; i < 1 + sizeof(status); i++) {
		to[at] = 0x81;
		to[at + 12] = i ? status[i - 1] : 0;
		to[at + 4] = i ? (i == 7 ? 8 : 0) : 22;
		if (!i) {
			to[at + 16 + 12] = 1;	/* VERSION_1 */
			to[at + 16] = VIRTIO_ID_BLOCK;
			to[at + 16 + 4] = 36;
			to[at + 16 + 18] = 1;
			to[at + 16 + 20] = 8;
		}
		at += 16u + to[at + 4];
	}
	if (size > 2048)
		size = 2048;
	memcpy(to + at, data, size);
	return at + size;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t whole[8192];
	struct input input = { .in = { data + 1, size ? size - 1 : 0 } };
	struct virtio_stream_io io = { .read = input_read, .write = swallow, .wait = input_wait, .opaque = &input };

	if (!size)
		return 0;
	if (data[0] & 2) {
		input.in.left = prepare(whole, data + 1, size - 1);
		input.in.data = whole;
	}
	if (data[0] & 1)
		fuzz_driver(&input, &io);
	else
		fuzz_device(&input, &io);
	return 0;
}
