/* SPDX-License-Identifier: MIT */
/* stream-device-internal.h - between the files of a stream's device's end. */
#ifndef VIRTIO_STREAM_DEVICE_INTERNAL_H
#define VIRTIO_STREAM_DEVICE_INTERNAL_H

#include <virtio/vring-driver.h>

#include "stream-frame.h"

enum request_state { REQUEST_FREE, REQUEST_COMING, REQUEST_DEVICE, REQUEST_FINISHED, REQUEST_SENDING };

/* The stream is of no use any more; whatever the device was doing for it is void. @reason: what nonsense came; NULL = none. */
void virtio_stream_device_hang_up(struct virtio_stream_device *sd, int error, const char *reason);

/* A question is complete; the @length bytes that followed it lie in sd->answer. */
void virtio_stream_device_answer(struct virtio_stream_device *sd, uint32_t length);

/* Write what waits, as far as the stream takes it. The device may be what called us, so failure is only noted. */
void virtio_stream_device_send(struct virtio_stream_device *sd);

/* Read one message, as far as it has come. 1: it is complete, and was acted upon. 0: not yet. Negative: the stream is over. */
int virtio_stream_device_receive(struct virtio_stream_device *sd);

/* Lay out @memory, and be the device's bus. */
void virtio_stream_device_attach(struct virtio_stream_device *sd, void *memory);

/* A QUEUE came: its result. After a reset there is no ring any more, and no request but one that is being sent. */
int virtio_stream_device_set_up_ring(struct virtio_stream_device *sd, unsigned int queue);
void virtio_stream_device_forget_rings(struct virtio_stream_device *sd);

/* The header of a BUFFER came, with @out_len bytes to be read: what is wrong with it, or NULL and sd->into. */
const char *virtio_stream_device_take(struct virtio_stream_device *sd, uint32_t out_len);

/* It is complete: hand it to the device. */
void virtio_stream_device_submit(struct virtio_stream_device *sd);

#endif
