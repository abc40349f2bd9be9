/* SPDX-License-Identifier: MIT */
/*
 * frontend-internal.h - between frontend.c, which is a bus, frontend-question.c, which talks to the back end, and frontend-ring.c, which
 * has the rings.
 */
#ifndef KENNEL_TRANSPORT_VHOST_USER_FRONTEND_INTERNAL_H
#define KENNEL_TRANSPORT_VHOST_USER_FRONTEND_INTERNAL_H

#include <transport/vhost-user/frontend.h>

#include <unistd.h>

static inline struct vhost_user_frontend *vhost_user_of(struct virtio_device *vdev)
{
	return (struct vhost_user_frontend *)(void *)vdev;
}

static inline bool vhost_user_agreed(const struct vhost_user_frontend *fe, uint64_t feature)
{
	return fe->protocol_features & feature;
}

static inline void vhost_user_close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The connection has ended; the first reason is kept. Returns -VIRTIO_ENODEV for callers to return. */
int vhost_user_lose(struct vhost_user_frontend *fe, const char *reason);

/* The same for an @error of vhost_user_send() or vhost_user_receive(); @wrong: what the latter said. */
int vhost_user_lose_by(struct vhost_user_frontend *fe, int error, const char *wrong);

/* Send a question that has an answer of at least @least bytes, to be read in fe->reply.message until the next one. 0 or -VIRTIO_ENODEV. */
int vhost_user_ask(struct vhost_user_frontend *fe, struct vhost_user_message *message, size_t least);
int vhost_user_ask_number(struct vhost_user_frontend *fe, enum vhost_user_request request, uint64_t *number);

/* Send a message that has no answer but the one that REPLY_ACK gives it. 0, -VIRTIO_ENODEV, or -VIRTIO_EIO: refused. */
int vhost_user_tell(struct vhost_user_frontend *fe, struct vhost_user_message *message);
int vhost_user_tell_number(struct vhost_user_frontend *fe, enum vhost_user_request request, uint64_t number);
int vhost_user_tell_plain(struct vhost_user_frontend *fe, enum vhost_user_request request);

/* Answer what the back end asks, or some of it; the rest is still there next time. 0 or -VIRTIO_ENODEV. */
int vhost_user_serve_requests(struct vhost_user_frontend *fe);

/* Of struct virtio_bus. */
int vhost_user_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq);
void vhost_user_delete_queue(struct virtio_queue *vq);

/* For DRIVER_OK, where there are protocol features: rings are served only when they are enabled. */
void vhost_user_enable_rings(struct vhost_user_frontend *fe);

/* The answer to GET_VRING_BASE is also the promise that the ring is left alone. */
void vhost_user_stop_ring(struct vhost_user_frontend *fe, unsigned int index);

#endif
