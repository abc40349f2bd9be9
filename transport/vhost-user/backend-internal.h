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

/* backend-log.c */
const char *vhost_user_set_log_base(struct vhost_user_backend *be, struct vhost_user_message *m);
const char *vhost_user_set_log_fd(struct vhost_user_backend *be, struct vhost_user_message *m);

/* For the device: a buffer was taken; is given back; what was given back so far has been shown. */
void vhost_user_inflight_taken(struct vhost_user_backend *be, unsigned int queue, uint32_t id);
void vhost_user_inflight_given(struct vhost_user_backend *be, unsigned int queue, uint32_t id);
void vhost_user_inflight_shown(struct vhost_user_backend *be, unsigned int queue);

/* The ring was just set up: have it begin with what another back end left under way. NULL, or why not. */
const char *vhost_user_inflight_resume(struct vhost_user_backend *be, unsigned int index);

/* The ring was laid down, and the front end learns where it stands or forgets it: the next time it begins where the front end says. */
void vhost_user_inflight_ended(struct vhost_user_backend *be, unsigned int index);
void vhost_user_inflight_forget(struct vhost_user_backend *be);

/* backend-inflight-packed.c: the same for one packed ring and its record, zeros at first, of so many bytes. */
struct vhost_user_packed_record;
size_t vhost_user_packed_record_bytes(uint16_t queue_size);
void vhost_user_packed_taken(struct vhost_user_packed_record *record, const struct vring_device *vq, uint32_t id);
void vhost_user_packed_given(struct vhost_user_packed_record *record, const struct vring_device *vq, uint32_t id);
void vhost_user_packed_shown(struct vhost_user_packed_record *record, const struct vring_device *vq);
const char *vhost_user_packed_resume(struct vhost_user_packed_record *record, struct vring_device *vq);
void vhost_user_packed_ended(struct vhost_user_packed_record *record);

/* For the device: a buffer was taken, and is given back: mark what may have been written of it. */
void vhost_user_log_taken(struct vhost_user_backend *be, unsigned int queue, uint32_t id);
void vhost_user_log_given(struct vhost_user_backend *be, unsigned int queue, uint32_t id);

/* The used ring was written to. */
void vhost_user_log_ring(struct vhost_user_backend *be, unsigned int index);

/* Begin to note what may be written, or end it, while no ring is served. NULL, or why not. */
const char *vhost_user_log_switch(struct vhost_user_backend *be, bool on);

/* Is there room in the log for all marks that there may be? NULL, or what is wrong. */
const char *vhost_user_log_check(const struct vhost_user_backend *be);

/* No log any more. */
void vhost_user_log_forget(struct vhost_user_backend *be);

/* The eventfd that came with a message, made non-blocking. NULL, or what is wrong with it. */
const char *vhost_user_take_eventfd(struct vhost_user_message *m, int *fd);

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
