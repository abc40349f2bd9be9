/* SPDX-License-Identifier: MIT */
/*
 * stream-device-ring.c - the rings between a stream and its device, the requests in them, and the memory for both.
 *
 * A request is a buffer that came, with bytes of its own for as long as the longest buffer may be. It is free; coming, while its bytes
 * arrive; the device's, once it lies in a ring; finished, when the device has used it; being sent, and free again.
 */
#include "stream-device-internal.h"

#define MEMORY_START UINT64_C(4096)	/* "guest-physical" address of our memory; not 0, so that mistakes show */

/* --- memory ------------------------------------------------------------------------------------------------------------ */

static size_t round16(size_t bytes)
{
	return (bytes + 15) & ~(size_t)15;
}

/* Buffers under way per queue; each takes at most two descriptors. */
static uint16_t buffers(const struct virtio_dev *dev)
{
	uint16_t num = VIRTIO_STREAM_BUFFERS;

	for (unsigned int i = 0; i < dev->num_queues; i++)
		while (num && 2 * num > dev->queues[i].num_max)
			num /= 2;
	return num;
}

/* A ring of @num entries and what its driver needs to know about it: 64 bytes an entry, and some. */
static size_t ring_bytes(uint32_t num)
{
	return round16(vring_desc_bytes(num)) + round16(vring_avail_bytes(num)) + round16(vring_used_bytes(num)) + 1024 + (size_t)64 * num;
}

static unsigned int queues(const struct virtio_dev *dev)
{
	return dev->num_queues < VIRTIO_DRIVER_QUEUES ? dev->num_queues : VIRTIO_DRIVER_QUEUES;
}

size_t virtio_stream_device_bytes(const struct virtio_dev *dev, uint32_t max)
{
	size_t count;

	if (!dev || !dev->ops || !dev->queues || dev->config_len > VIRTIO_CONFIG_MAX)
		return 0;
	count = (size_t)queues(dev) * buffers(dev);
	if (!count || !max || max > UINT32_MAX - 16 || count > (SIZE_MAX / 2) / ((size_t)max + 16 + sizeof(struct virtio_stream_request)))
		return 0;
	return round16(count * sizeof(struct virtio_stream_request)) + count * round16(max) + queues(dev) * ring_bytes(2u * buffers(dev));
}

static void *ring_alloc(void *opaque, size_t size, size_t align)
{
	struct virtio_stream_device *sd = opaque;
	size_t at = (sd->next + align - 1) & ~(align - 1);
	uint8_t *p = (uint8_t *)sd->mem.base + at;

	if (at > sd->mem.size || size > sd->mem.size - at)
		return NULL;
	sd->next = at + size;
	virtio_zero(p, size);
	return p;
}

static void place(struct virtio_stream_device *sd, uint8_t *memory)
{
	size_t count = (size_t)queues(sd->dev) * sd->num, at = round16(count * sizeof(*sd->requests));

	sd->requests = (void *)memory;
	for (size_t i = 0; i < count; i++, at += round16(sd->max))
		sd->requests[i].data = memory + at;
	sd->rings = at;
}

/* --- the rings' driver ------------------------------------------------------------------------------------------------- */

static struct virtio_stream_device *of(struct virtio_device *driver)
{
	return driver->driver;
}

static void ring_notify(struct virtio_queue *vq)
{
	virtio_dev_kick(of(vq->vdev)->dev, vq->index);
}

/* The ring's driver distrusts its device, though both are ours. */
static void ring_reset(struct virtio_device *driver)
{
	virtio_dev_break(of(driver)->dev, "the device made a mess of its ring");
}

static const struct virtio_bus ring_bus = { .notify = ring_notify, .reset = ring_reset };

void virtio_stream_device_forget_rings(struct virtio_stream_device *sd)
{
	for (unsigned int i = 0; i < queues(sd->dev); i++) {
		if (sd->driver.queues[i])
			vring_driver_destroy(sd->driver.queues[i]);
		sd->driver.queues[i] = NULL;
	}
	sd->next = sd->rings;
	for (size_t i = 0; i < (size_t)queues(sd->dev) * sd->num; i++)
		if (sd->requests[i].state != REQUEST_SENDING)
			sd->requests[i].state = REQUEST_FREE;
	sd->finished = NULL;
	sd->finished_end = &sd->finished;
}

int virtio_stream_device_set_up_ring(struct virtio_stream_device *sd, unsigned int queue)
{
	uint32_t num = 2u * sd->num;
	uint8_t *desc, *avail, *used;
	uint64_t start = sd->mem.start;
	int ret;

	if (queue >= queues(sd->dev))
		return -VIRTIO_ENOENT;
	if (sd->driver.queues[queue])
		return -VIRTIO_EBUSY;
	/* 3.1.1-1: queues come after the features and before DRIVER_OK. */
	if (!sd->dev->features_final || sd->dev->live)
		return -VIRTIO_EINVAL;
	desc = ring_alloc(sd, vring_desc_bytes(num), 16);
	avail = ring_alloc(sd, vring_avail_bytes(num), 16);
	used = ring_alloc(sd, vring_used_bytes(num), 16);
	if (!desc || !avail || !used)
		return -VIRTIO_ENOMEM;
	start -= (uintptr_t)sd->mem.base;
	ret = virtio_dev_set_queue(sd->dev, queue, num, start + (uintptr_t)desc, start + (uintptr_t)avail, start + (uintptr_t)used);
	if (ret < 0)
		return ret;
	return vring_driver_create(&sd->driver, queue, num, desc, avail, used, &sd->driver.queues[queue]);
}

/* --- to the device ----------------------------------------------------------------------------------------------------- */

static void finish(struct virtio_stream_device *sd, struct virtio_stream_request *request)
{
	request->state = REQUEST_FINISHED;
	request->next = NULL;
	*sd->finished_end = request;
	sd->finished_end = &request->next;
}

const char *virtio_stream_device_take(struct virtio_stream_device *sd, uint32_t out_len)
{
	unsigned int queue = virtio_get16(false, sd->header + STREAM_WHICH);
	uint32_t id = virtio_get32(false, sd->header + STREAM_A), in_len = virtio_get32(false, sd->header + STREAM_B);
	struct virtio_stream_request *request;

	if (queue >= queues(sd->dev) || !sd->driver.queues[queue])
		return "a buffer for a queue that is not set up";
	/* 3.1.1-5: buffers here are their own notification. */
	if (!sd->dev->live)
		return "a buffer before DRIVER_OK (virtio 1.2, 3.1.1)";
	if (id >= sd->num)
		return "a buffer with an identifier that there is not";
	request = sd->requests + (size_t)queue * sd->num + id;
	if (request->state != REQUEST_FREE)
		return "a buffer with the identifier of another that is under way";
	if (in_len > sd->max - out_len || !(in_len | out_len))
		return "a buffer that is empty, or longer than was announced";
	request->out_len = out_len;
	request->in_len = in_len;
	request->state = REQUEST_COMING;
	sd->into = request;
	return NULL;
}

void virtio_stream_device_submit(struct virtio_stream_device *sd)
{
	struct virtio_stream_request *request = sd->into;
	struct virtio_queue *vq = sd->driver.queues[(size_t)(request - sd->requests) / sd->num];
	struct virtio_iov sg[2];
	unsigned int out = 0, num;

	if (sd->commit != STREAM_COMMIT) {	/* taken back while it was sent */
		request->used = 0;
		finish(sd, request);
		return;
	}
	if (request->out_len)
		sg[out++] = (struct virtio_iov){ request->data, request->out_len };
	num = out;
	if (request->in_len)
		sg[num++] = (struct virtio_iov){ request->data + request->out_len, request->in_len };
	request->state = REQUEST_DEVICE;
	if ((num > out ? virtio_add_inbuf(vq, sg, out, num, &request->used) : virtio_add_outbuf(vq, sg, num, &request->used)) < 0)
		virtio_dev_break(sd->dev, "no room in a ring that has room for all");
	else
		virtio_sync(vq);
}

/* --- from the device --------------------------------------------------------------------------------------------------- */

static void device_interrupt(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_stream_device *sd = dev->transport_data;
	struct virtio_stream_request *request = sd->requests + (size_t)queue * sd->num;

	if (sd->over || !sd->driver.queues[queue])
		return;
	virtio_harvest(sd->driver.queues[queue]);
	for (unsigned int i = 0; i < sd->num; i++, request++)
		if (request->state == REQUEST_DEVICE && virtio_is_done(&request->used))
			finish(sd, request);
	virtio_stream_device_send(sd);
}

static void device_config_changed(struct virtio_dev *dev)
{
	struct virtio_stream_device *sd = dev->transport_data;

	sd->changed = true;
	virtio_stream_device_send(sd);
}

static void device_broken(struct virtio_dev *dev)
{
	struct virtio_stream_device *sd = dev->transport_data;

	if (sd->complain)
		sd->complain(sd->opaque, dev, dev->broken);
}

static const struct virtio_transport_ops transport_ops = {
	.interrupt = device_interrupt,
	.config_changed = device_config_changed,
	.broken = device_broken,
};

void virtio_stream_device_attach(struct virtio_stream_device *sd, void *memory)
{
	struct virtio_dev *dev = sd->dev;

	sd->num = buffers(dev);
	sd->mem = (struct virtio_mem){ .base = memory, .start = MEMORY_START, .size = virtio_stream_device_bytes(dev, sd->max) };
	virtio_zero(memory, sd->mem.size);
	sd->platform = (struct virtio_platform){ .mem = &sd->mem, .alloc = ring_alloc, .opaque = sd };
	sd->driver = (struct virtio_device){ .bus = &ring_bus, .platform = &sd->platform, .driver = sd };
	place(sd, memory);
	dev->transport = &transport_ops;
	dev->transport_data = sd;
	dev->mem = &sd->mem;
	dev->legacy_big_endian = false;
	virtio_dev_reset(dev);
	virtio_stream_device_forget_rings(sd);
}
