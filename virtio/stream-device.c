/* SPDX-License-Identifier: MIT */
/*
 * stream-device.c - the device's end of virtio over a stream: see <virtio/stream.h>.
 *
 * The device pops buffers from a ring, as from any bus, so this is two things back to back: a peer of the stream, and a driver of that
 * ring. Ring and buffers lie in memory of our own. What comes over the stream is copied there before it is looked at, so nothing changes
 * under the device, and a request has the longest time that is allowed to be complete: until then the device has not seen it.
 *
 * The peer is not trusted. It decides nothing about memory: there are as many requests as were announced, each with room for the
 * longest buffer. While an answer waits to be sent nothing is read, so a peer that does not read cannot pile up work here.
 */
#include <virtio/vring-driver.h>

#include "stream-frame.h"

/* Device-specific features, and those that do not change the ring between us and the device. */
#define STREAM_FEATURE_BITS (((UINT64_C(1) << 24) - 1) | VIRTIO_F_ANY_LAYOUT | VIRTIO_F_VERSION_1 | ~((UINT64_C(1) << 50) - 1))

#define MEMORY_START UINT64_C(4096)	/* "guest-physical" address of our memory; not 0, so that mistakes show */

/* A message that keeps a driver's end from talking to itself for ever. */
#define MESSAGES_AT_ONCE 1024

enum request_state { REQUEST_FREE, REQUEST_COMING, REQUEST_DEVICE, REQUEST_FINISHED, REQUEST_SENDING };

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
	size_t count = dev ? (size_t)queues(dev) * buffers(dev) : 0;

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

static void forget_rings(struct virtio_stream_device *sd)
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

static int set_up_ring(struct virtio_stream_device *sd, unsigned int queue)
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

/* --- giving up --------------------------------------------------------------------------------------------------------- */

/* The stream is of no use any more; whatever the device was doing for it is void. */
static void hang_up(struct virtio_stream_device *sd, int error, const char *reason)
{
	if (sd->over)
		return;
	sd->over = true;
	sd->error = error;
	sd->broken = reason;
	if (reason && sd->complain)
		sd->complain(sd->opaque, sd->dev, reason);
	virtio_dev_reset(sd->dev);
	forget_rings(sd);
}

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

static void pump_out(struct virtio_stream_device *sd)
{
	int ret = 1;

	while (ret > 0 && !sd->over && !sd->failed && (sd->begun || begin_next(sd)))
		ret = send_begun(sd);
	/* The device may be what called us, so it cannot be reset here. */
	if (ret < 0)
		sd->failed = true;
}

/* --- from the device --------------------------------------------------------------------------------------------------- */

static void finish(struct virtio_stream_device *sd, struct virtio_stream_request *request)
{
	request->state = REQUEST_FINISHED;
	request->next = NULL;
	*sd->finished_end = request;
	sd->finished_end = &request->next;
}

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
	pump_out(sd);
}

static void device_config_changed(struct virtio_dev *dev)
{
	struct virtio_stream_device *sd = dev->transport_data;

	sd->changed = true;
	pump_out(sd);
}

static void device_broken(struct virtio_dev *dev)
{
	struct virtio_stream_device *sd = dev->transport_data;

	if (sd->complain)
		sd->complain(sd->opaque, dev, dev->broken);
}

static const struct virtio_transport_ops stream_transport_ops = {
	.interrupt = device_interrupt,
	.config_changed = device_config_changed,
	.broken = device_broken,
};

/* --- buffers ----------------------------------------------------------------------------------------------------------- */

/* What is wrong with a BUFFER of this header; NULL and sd->into: nothing. */
static const char *take_buffer(struct virtio_stream_device *sd, uint32_t out_len)
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

/* A buffer is complete: it is the device's. */
static void submit(struct virtio_stream_device *sd)
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

/* --- questions --------------------------------------------------------------------------------------------------------- */

static int answer_hello(struct virtio_stream_device *sd)
{
	uint8_t *to = sd->answer;

	virtio_put32(false, to + STREAM_HELLO_ID, sd->dev->id);
	virtio_put32(false, to + STREAM_HELLO_CONFIG, (uint32_t)sd->dev->config_len);
	virtio_put64(false, to + STREAM_HELLO_FEATURES, sd->dev->offered & STREAM_FEATURE_BITS);
	virtio_put32(false, to + STREAM_HELLO_MAX, sd->max);
	virtio_put16(false, to + STREAM_HELLO_NUM, sd->num);
	sd->answer_len = STREAM_HELLO_BYTES;
	return 0;
}

static int answer_features(struct virtio_stream_device *sd)
{
	uint64_t features = virtio_get64(false, sd->answer);

	/* 2.2.1-1: what was offered here is less than what the device can do. */
	return features & ~STREAM_FEATURE_BITS ? -VIRTIO_EINVAL : virtio_dev_set_features(sd->dev, features);
}

static int answer_status(struct virtio_stream_device *sd, uint32_t status)
{
	virtio_dev_set_status(sd->dev, (uint8_t)status);
	if (!status) {
		forget_rings(sd);
		sd->changed = false;
	}
	return 0;
}

static int answer_config_get(struct virtio_stream_device *sd, uint32_t offset, uint32_t len)
{
	int ret = virtio_dev_config_read(sd->dev, offset, sd->answer, len);

	if (!ret)
		sd->answer_len = len;
	return ret;
}

/* A question is complete; what followed it lies in sd->answer. */
static void answer(struct virtio_stream_device *sd, uint32_t length)
{
	uint32_t a = virtio_get32(false, sd->header + STREAM_A), b = virtio_get32(false, sd->header + STREAM_B);

	sd->answer_len = 0;
	switch (sd->header[STREAM_TYPE]) {
	case STREAM_HELLO:
		sd->answer_result = answer_hello(sd);
		break;
	case STREAM_FEATURES:
		sd->answer_result = answer_features(sd);
		break;
	case STREAM_STATUS:
		sd->answer_result = answer_status(sd, a);
		break;
	case STREAM_CONFIG_GET:
		sd->answer_result = answer_config_get(sd, a, b);
		break;
	case STREAM_CONFIG_SET:
		sd->answer_result = virtio_dev_config_write(sd->dev, a, sd->answer, length);
		break;
	case STREAM_QUEUE:
		sd->answer_result = set_up_ring(sd, virtio_get16(false, sd->header + STREAM_WHICH));
		break;
	}
	sd->answering = true;
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
	refused = take_buffer(sd, length - 1);
	if (refused)
		virtio_dev_break(sd->dev, refused);
	return NULL;
}

/* One message, as far as it has come. 1: it is complete. 0: not yet. Negative: the stream is over. */
static int read_message(struct virtio_stream_device *sd)
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
			hang_up(sd, -VIRTIO_EPROTO, wrong);
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
		submit(sd);
	else if (sd->header[STREAM_TYPE] != STREAM_BUFFER)
		answer(sd, length);
	return 1;
}

int virtio_stream_device_poll(struct virtio_stream_device *sd)
{
	int ret = 1;

	pump_out(sd);
	for (unsigned int i = 0; ret > 0 && !sd->over && !sd->failed && !sd->answering && i < MESSAGES_AT_ONCE; i++) {
		ret = read_message(sd);
		pump_out(sd);
	}
	if (ret < 0 || sd->failed)
		hang_up(sd, ret == -VIRTIO_ENODEV ? 0 : -VIRTIO_EIO, NULL);
	return sd->over ? sd->error : 1;
}

bool virtio_stream_device_wants_write(const struct virtio_stream_device *sd)
{
	return !sd->over && (sd->failed || sd->begun || sd->answering || sd->finished || sd->changed);
}

/* --- setting up -------------------------------------------------------------------------------------------------------- */

static void place(struct virtio_stream_device *sd, uint8_t *memory)
{
	size_t count = (size_t)queues(sd->dev) * sd->num, at = round16(count * sizeof(*sd->requests));

	sd->requests = (void *)memory;
	for (size_t i = 0; i < count; i++, at += round16(sd->max))
		sd->requests[i].data = memory + at;
	sd->rings = at;
}

int virtio_stream_device_init(struct virtio_stream_device *sd, struct virtio_dev *dev, const struct virtio_stream_io *io, void *memory,
			      uint32_t max)
{
	size_t bytes = virtio_stream_device_bytes(dev, max);

	if (!sd || !io || !io->read || !io->write || !memory || ((uintptr_t)memory & 15) || !bytes)
		return -VIRTIO_EINVAL;
	virtio_zero(memory, bytes);
	*sd = (struct virtio_stream_device){ .dev = dev, .io = io, .max = max, .num = buffers(dev) };
	sd->mem = (struct virtio_mem){ .base = memory, .start = MEMORY_START, .size = bytes };
	sd->platform = (struct virtio_platform){ .mem = &sd->mem, .alloc = ring_alloc, .opaque = sd };
	sd->driver = (struct virtio_device){ .bus = &ring_bus, .platform = &sd->platform, .driver = sd };
	place(sd, memory);
	dev->transport = &stream_transport_ops;
	dev->transport_data = sd;
	dev->mem = &sd->mem;
	dev->legacy_big_endian = false;
	virtio_dev_reset(dev);
	forget_rings(sd);
	return 0;
}
