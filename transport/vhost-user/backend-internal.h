/* SPDX-License-Identifier: MIT */
/*
 * backend-internal.h - between backend.c, which knows the connection and its messages, ring.c, which knows rings, and inflight.c, which
 * knows what is under way. Functions that carry out a request return NULL, or why it is refused.
 */
#ifndef KENNEL_TRANSPORT_VHOST_USER_BACKEND_INTERNAL_H
#define KENNEL_TRANSPORT_VHOST_USER_BACKEND_INTERNAL_H

#include <transport/vhost-user/backend.h>

const char *vhost_user_set_vring_num(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_addr(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_base(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_get_vring_base(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_kick(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_call(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_err(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_enable(struct vhost_user_backend *be, struct vhost_user_message *m);

const char *vhost_user_get_inflight_fd(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_inflight_fd(struct vhost_user_backend *be, struct vhost_user_message *m);

/* For the device: a buffer was taken; what was given back so far has been shown. */
void vhost_user_inflight_taken(struct virtio_dev *dev, unsigned int queue, uint32_t id);
void vhost_user_inflight_shown(struct virtio_dev *dev, unsigned int queue);

/* The ring was just set up: have it begin with what another back end left under way. */
void vhost_user_inflight_resume(struct vhost_user_backend *be, unsigned int index);
void vhost_user_inflight_forget(struct vhost_user_backend *be);

/* The ring's kick descriptor is readable. NULL, or why the connection cannot go on. */
const char *vhost_user_ring_kicked(struct vhost_user_backend *be, unsigned int index);

/* For the device: interrupt the driver. */
void vhost_user_ring_interrupt(struct virtio_dev *dev, unsigned int queue);

/* Serve no ring for now, with nothing under way; then those again that should be. Around a change of memory. */
void vhost_user_rings_lay_down(struct vhost_user_backend *be);
const char *vhost_user_rings_take_up(struct vhost_user_backend *be);

/* As after GET_VRING_BASE of each, and disabled. */
void vhost_user_rings_stop(struct vhost_user_backend *be);

/* Signal the err descriptors. */
void vhost_user_rings_report(struct vhost_user_backend *be);

/* No ring yet; no ring any more. */
void vhost_user_rings_init(struct vhost_user_backend *be);
void vhost_user_rings_forget(struct vhost_user_backend *be);

#endif
