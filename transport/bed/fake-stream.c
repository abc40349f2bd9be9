/* SPDX-License-Identifier: MIT */
/*
 * fake-stream.c - the bus of the test bed that is a stream of bytes (<virtio/stream.h>): two pipes in memory for each device, so
 * that neither end sees the other's memory. A pipe is short and gives its bytes in odd pieces, as the real ones may; and what the
 * driver's end writes is looked at by the device's at once, as a kick would be.
 */
#include <stdlib.h>

#include "transport/bed/fake-internal.h"

#define BUFFER_BYTES	65536u		/* most bytes of one buffer, both directions together */
#define PIPE_BYTES	4096u
#define PIECE		1000u		/* most bytes of one read */

struct pipe {
	uint8_t bytes[PIPE_BYTES];
	size_t first, count;
};

/* One device, its driver's end, and what is between them. */
struct fake_stream {
	struct virtio_stream driver;
	struct virtio_stream_device device;
	struct virtio_stream_io driver_io, device_io;
	struct pipe to_device, to_driver;
	size_t moved;			/* bytes, since somebody asked */
	struct virtio_transport_ops ops;	/* the device's, by way of us */
	void (*config_changed)(struct virtio_dev *dev);
	bool changed;
	void *memory;			/* the device's end's */
};

/* --- pipes ---------------------------------------------------------------------------------------------------------- */

static long pipe_read(struct pipe *p, uint8_t *buf, size_t len)
{
	size_t done = 0;

	for (; done < len && done < PIECE && p->count; done++, p->count--) {
		buf[done] = p->bytes[p->first];
		p->first = (p->first + 1) % PIPE_BYTES;
	}
	return done ? (long)done : -VIRTIO_EAGAIN;
}

static long pipe_write(struct pipe *p, const uint8_t *buf, size_t len)
{
	size_t done = 0;

	for (; done < len && p->count < PIPE_BYTES; done++, p->count++)
		p->bytes[(p->first + p->count) % PIPE_BYTES] = buf[done];
	return done ? (long)done : -VIRTIO_EAGAIN;
}

static long driver_read(void *opaque, void *buf, size_t len)
{
	struct fake_stream *s = opaque;
	long ret = pipe_read(&s->to_driver, buf, len);

	if (ret > 0)
		s->moved += (size_t)ret;
	/* What the device's end said before it gave up is read first. */
	return ret == -VIRTIO_EAGAIN && s->device.over ? 0 : ret;
}

static long driver_write(void *opaque, const void *buf, size_t len)
{
	struct fake_stream *s = opaque;
	long ret = pipe_write(&s->to_device, buf, len);

	virtio_stream_device_poll(&s->device);
	return ret;
}

static int driver_wait(void *opaque, bool write)
{
	virtio_stream_device_poll(&((struct fake_stream *)opaque)->device);
	return 0;
}

static long device_read(void *opaque, void *buf, size_t len)
{
	struct fake_stream *s = opaque;
	long ret = pipe_read(&s->to_device, buf, len);

	if (ret > 0)
		s->moved += (size_t)ret;
	return ret;
}

static long device_write(void *opaque, const void *buf, size_t len)
{
	return pipe_write(&((struct fake_stream *)opaque)->to_driver, buf, len);
}

/* --- the bus -------------------------------------------------------------------------------------------------------- */

/* The device's end tells its driver, and we remember to tell the bed's user. */
static void config_changed(struct virtio_dev *dev)
{
	struct virtio_stream_device *device = dev->transport_data;
	struct fake_stream *s = device->io->opaque;

	s->changed = true;
	s->config_changed(dev);
}

static int stream_add(struct virtio_fake *fake, unsigned int index)
{
	struct virtio_dev *dev = fake->dev[index];
	size_t bytes = virtio_stream_device_bytes(dev, BUFFER_BYTES);
	struct fake_stream *s = calloc(1, sizeof(*s));
	int ret;

	if (!s)
		return -VIRTIO_ENOMEM;
	s->driver_io = (struct virtio_stream_io){ .read = driver_read, .write = driver_write, .wait = driver_wait, .opaque = s };
	s->device_io = (struct virtio_stream_io){ .read = device_read, .write = device_write, .opaque = s };
	s->memory = bytes ? aligned_alloc(16, (bytes + 15) & ~(size_t)15) : NULL;
	ret = bytes && !s->memory ? -VIRTIO_ENOMEM :
				    virtio_stream_device_init(&s->device, dev, &s->device_io, s->memory, BUFFER_BYTES);
	if (ret < 0) {
		free(s->memory);
		free(s);
		return ret;
	}
	s->device.complain = fake_complain;
	s->device.opaque = fake;
	s->ops = *dev->transport;
	s->config_changed = s->ops.config_changed;
	s->ops.config_changed = config_changed;
	dev->transport = &s->ops;
	fake->stream[index] = s;
	return 0;
}

static int stream_find(struct virtio_fake *fake, unsigned int index)
{
	struct fake_stream *s = fake->stream[index];

	fake->vdev[index] = &s->driver.vdev;
	return virtio_stream_connect(&s->driver, &fake->platform, &s->driver_io);
}

static bool stream_deliver(struct virtio_fake *fake)
{
	bool any = false;

	for (unsigned int i = 0; i < fake->count; i++) {
		struct fake_stream *s = fake->stream[i];

		virtio_stream_device_poll(&s->device);
		virtio_stream_poll(&s->driver);
		any |= s->moved > 0;
		s->moved = 0;
		if (s->changed)
			fake_config_changed(fake, fake->vdev[i]);
		s->changed = false;
	}
	return any;
}

static void stream_destroy(struct virtio_fake *fake)
{
	for (unsigned int i = 0; i < fake->count; i++) {
		free(fake->stream[i]->memory);
		free(fake->stream[i]);
	}
}

const struct fake_bus fake_stream = {
	.name = "stream",
	.never_big = true,
	.add = stream_add,
	.find = stream_find,
	.deliver = stream_deliver,
	.destroy = stream_destroy,
};
