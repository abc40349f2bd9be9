/* SPDX-License-Identifier: MIT */
/*
 * backend-internal.h - between backend.c, which has the connection and its messages, and the files that carry them out. Functions that
 * do so return NULL, or why the request is refused.
 */
#ifndef KENNEL_TRANSPORT_VHOST_USER_BACKEND_INTERNAL_H
#define KENNEL_TRANSPORT_VHOST_USER_BACKEND_INTERNAL_H

#include <transport/vhost-user/backend.h>

/* backend-device.c */
const char *vhost_user_get_features(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_features(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_get_protocol_features(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_protocol_features(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_get_queue_num(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_reset_device(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_status(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_get_status(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_get_config(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_config(struct vhost_user_backend *be, struct vhost_user_message *m);

/* backend-memory.c */
const char *vhost_user_set_mem_table(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_get_max_mem_slots(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_add_mem_reg(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_rem_mem_reg(struct vhost_user_backend *be, struct vhost_user_message *m);

/* backend-ring.c */
const char *vhost_user_set_vring_num(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_addr(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_base(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_get_vring_base(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_kick(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_call(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_err(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_vring_enable(struct vhost_user_backend *be, struct vhost_user_message *m);

/* backend-inflight.c */
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
