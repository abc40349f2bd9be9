/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wire.h"

/* How much of @len moves this time. */
static size_t split(struct wire *w, size_t len)
{
	size_t part;

	if (!w->seed)
		return len;
	w->seed = w->seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	part = (size_t)(w->seed >> 33) % 24;
	return part < len ? part : len;
}

static long pipe_read(struct wire *w, struct pipe *p, void *buf, size_t len)
{
	size_t there = p->tail - p->head, part;

	if (p->head >= p->end)
		return 0;
	if (there > p->end - p->head)
		there = p->end - p->head;
	part = split(w, len < there ? len : there);
	for (size_t i = 0; i < part; i++)
		((uint8_t *)buf)[i] = p->bytes[p->head++ % WIRE_SIZE];
	if (part)
		w->idle = 0;
	return part ? (long)part : -VIRTIO_EAGAIN;
}

static long pipe_write(struct wire *w, struct pipe *p, const void *buf, size_t len)
{
	size_t room = p->room - (p->tail - p->head), part = split(w, len < room ? len : room);

	if (p->head >= p->end)
		return -VIRTIO_EIO;
	for (size_t i = 0; i < part; i++)
		p->bytes[p->tail++ % WIRE_SIZE] = ((const uint8_t *)buf)[i];
	if (part)
		w->idle = 0;
	return part ? (long)part : -VIRTIO_EAGAIN;
}

static long driver_read(void *opaque, void *buf, size_t len)
{
	struct wire *w = opaque;

	return pipe_read(w, &w->to_driver, buf, len);
}

static long driver_write(void *opaque, const void *buf, size_t len)
{
	struct wire *w = opaque;

	return pipe_write(w, &w->to_device, buf, len);
}

static long device_read(void *opaque, void *buf, size_t len)
{
	struct wire *w = opaque;

	return pipe_read(w, &w->to_device, buf, len);
}

static long device_write(void *opaque, const void *buf, size_t len)
{
	struct wire *w = opaque;

	return pipe_write(w, &w->to_driver, buf, len);
}

static void run_once(struct wire *w)
{
	if (!w->silent)
		w->alive = virtio_stream_device_poll(&w->device);
	/* Who gives a stream up closes it. */
	if (w->alive <= 0 && w->to_driver.end == WIRE_WHOLE)
		w->to_driver.end = w->to_driver.tail;
	if (w->on_wait)
		w->on_wait(w);
}

/* A wait that goes nowhere many times over: the other end is not going to answer. */
static int driver_wait(void *opaque, bool write)
{
	struct wire *w = opaque;

	run_once(w);
	return ++w->idle > 1000 ? -VIRTIO_EAGAIN : 0;
}

static void platform_wait(void *opaque)
{
	assert_int_equal(driver_wait(opaque, false), 0);
}

static void *platform_alloc(void *opaque, size_t size, size_t align)
{
	struct wire *w = opaque;
	void *p = aligned_alloc(align, (size + align - 1) & ~(align - 1));

	assert_non_null(p);
	w->used += size;
	return memset(p, 0, size);
}

static void platform_free(void *opaque, void *ptr, size_t size)
{
	((struct wire *)opaque)->used -= size;
	free(ptr);
}

void wire_run(struct wire *w)
{
	for (w->idle = 0; w->idle < 100; w->idle++)
		run_once(w);
}

struct wire *wire_create(struct virtio_dev *dev, uint64_t seed, uint32_t max)
{
	struct wire *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->seed = seed;
	w->to_device.end = w->to_driver.end = WIRE_WHOLE;
	w->to_device.room = w->to_driver.room = WIRE_SIZE;
	w->driver_io = (struct virtio_stream_io){ .read = driver_read, .write = driver_write, .wait = driver_wait, .opaque = w };
	w->device_io = (struct virtio_stream_io){ .read = device_read, .write = device_write, .opaque = w };
	w->platform = (struct virtio_platform){
		.alloc = platform_alloc, .free = platform_free, .wait = platform_wait, .opaque = w,
	};
	w->memory = aligned_alloc(16, (virtio_stream_device_bytes(dev, max) + 15) & ~(size_t)15);
	assert_non_null(w->memory);
	w->alive = 1;
	assert_int_equal(virtio_stream_device_init(&w->device, dev, &w->device_io, w->memory, max), 0);
	return w;
}

void wire_destroy(struct wire *w)
{
	assert_int_equal(w->used, 0);
	free(w->memory);
	free(w);
}

void wire_inject(struct pipe *p, const void *bytes, size_t len)
{
	assert_true(p->tail - p->head + len <= WIRE_SIZE);
	for (size_t i = 0; i < len; i++)
		p->bytes[p->tail++ % WIRE_SIZE] = ((const uint8_t *)bytes)[i];
}

void wire_message(struct pipe *p, uint8_t type, uint16_t queue, uint32_t a, uint32_t b, const void *data, uint32_t len)
{
	uint8_t header[VIRTIO_STREAM_HEADER] = { type };

	virtio_put16(false, header + 2, queue);
	virtio_put32(false, header + 4, len);
	virtio_put32(false, header + 8, a);
	virtio_put32(false, header + 12, b);
	wire_inject(p, header, sizeof(header));
	if (data)
		wire_inject(p, data, len);
}

size_t wire_bytes(const struct pipe *p)
{
	return p->head;
}
