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
 *
 * This file answers questions and moves things on; stream-device-message.c has the stream, and stream-device-ring.c the ring.
 */
#include "stream-device-internal.h"

/* Device-specific features, and those that do not change the ring between us and the device. */
#define STREAM_FEATURE_BITS (((UINT64_C(1) << 24) - 1) | VIRTIO_F_ANY_LAYOUT | VIRTIO_F_VERSION_1 | ~((UINT64_C(1) << 50) - 1))

/* A driver's end that never stops talking must not keep us from returning. */
#define MESSAGES_AT_ONCE 1024

/* --- giving up --------------------------------------------------------------------------------------------------------- */

void virtio_stream_device_hang_up(struct virtio_stream_device *sd, int error, const char *reason)
{
	if (sd->over)
		return;
	sd->over = true;
	sd->error = error;
	sd->broken = reason;
	if (reason && sd->complain)
		sd->complain(sd->opaque, sd->dev, reason);
	virtio_dev_reset(sd->dev);
	virtio_stream_device_forget_rings(sd);
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
		virtio_stream_device_forget_rings(sd);
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

void virtio_stream_device_answer(struct virtio_stream_device *sd, uint32_t length)
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
		sd->answer_result = virtio_stream_device_set_up_ring(sd, virtio_get16(false, sd->header + STREAM_WHICH));
		break;
	}
	sd->answering = true;
}

/* --- moving on --------------------------------------------------------------------------------------------------------- */

int virtio_stream_device_poll(struct virtio_stream_device *sd)
{
	int ret = 1;

	if (!sd)
		return -VIRTIO_EINVAL;
	virtio_stream_device_send(sd);
	for (unsigned int i = 0; ret > 0 && !sd->over && !sd->failed && !sd->answering && i < MESSAGES_AT_ONCE; i++) {
		ret = virtio_stream_device_receive(sd);
		virtio_stream_device_send(sd);
	}
	if (ret < 0 || sd->failed)
		virtio_stream_device_hang_up(sd, ret == -VIRTIO_ENODEV ? 0 : -VIRTIO_EIO, NULL);
	return sd->over ? sd->error : 1;
}

bool virtio_stream_device_wants_write(const struct virtio_stream_device *sd)
{
	return sd && !sd->over && (sd->failed || sd->begun || sd->answering || sd->finished || sd->changed);
}

/* --- setting up -------------------------------------------------------------------------------------------------------- */

int virtio_stream_device_init(struct virtio_stream_device *sd, struct virtio_dev *dev, const struct virtio_stream_io *io, void *memory,
			      uint32_t max)
{
	if (!sd || !io || !io->read || !io->write || !memory || ((uintptr_t)memory & 15) || !virtio_stream_device_bytes(dev, max))
		return -VIRTIO_EINVAL;
	*sd = (struct virtio_stream_device){ .dev = dev, .io = io, .max = max };
	virtio_stream_device_attach(sd, memory);
	return 0;
}
