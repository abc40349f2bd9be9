/* SPDX-License-Identifier: MIT */
/* backend-device.c - what a front end says of the device as a whole: features, status, configuration. */
#include <transport/vhost-user/backend-internal.h>

#include <string.h>

#include <virtio/net.h>

#define PROTOCOL_FEATURES                                                                                                            \
	(VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_LOG_SHMFD | VHOST_USER_PROTOCOL_F_REPLY_ACK |                                    \
	 VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_CONFIG | VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD |                         \
	 VHOST_USER_PROTOCOL_F_RESET_DEVICE | VHOST_USER_PROTOCOL_F_MEM_SLOTS | VHOST_USER_PROTOCOL_F_STATUS)

/*
 * Network cards are the protocol's exception: their configuration is the front end's own, so that a virtual machine's address goes with
 * it, and their queues are counted in pairs.
 */
static bool is_net(const struct vhost_user_backend *be)
{
	return be->dev->id == VIRTIO_ID_NET;
}

/* --- features --------------------------------------------------------------------------------------------------------- */

const char *vhost_user_get_features(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	m->payload.number = be->dev->offered | VHOST_USER_F_OURS;
	if (is_net(be))
		m->payload.number &= ~(VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU);
	m->header.size = sizeof(uint64_t);
	return NULL;
}

const char *vhost_user_set_features(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	uint64_t features = m->payload.number, changed = features ^ be->features;
	const char *wrong = NULL;

	if (be->dev->live && (changed & ~VHOST_USER_F_LOG_ALL))
		return "other features while rings are in use";
	if (changed & VHOST_USER_F_LOG_ALL) {
		vhost_user_rings_lay_down(be);
		wrong = vhost_user_log_switch(be, features & VHOST_USER_F_LOG_ALL);
	}
	if (!be->dev->live && virtio_dev_set_features(be->dev, features & ~VHOST_USER_F_OURS))
		return "features that were not offered, or that do not go together (virtio 1.2, 2.2.1)";
	be->features = features;
	return wrong ? wrong : vhost_user_rings_take_up(be);
}

static uint64_t protocol_features(const struct vhost_user_backend *be)
{
	uint64_t features = PROTOCOL_FEATURES;

	if (is_net(be))
		features &= ~VHOST_USER_PROTOCOL_F_CONFIG;
	/* A device that holds no buffer leaves none under way. */
	if (!be->dev->ops->drain)
		features &= ~VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD;
	return features;
}

const char *vhost_user_get_protocol_features(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	m->payload.number = protocol_features(be);
	m->header.size = sizeof(uint64_t);
	return NULL;
}

const char *vhost_user_set_protocol_features(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	if (m->payload.number & ~protocol_features(be))
		return "protocol features that were not offered";
	be->protocol_features = m->payload.number;
	return NULL;
}

const char *vhost_user_get_queue_num(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	m->payload.number = is_net(be) ? be->dev->num_queues / 2 : be->dev->num_queues;
	m->header.size = sizeof(uint64_t);
	return NULL;
}

/* --- status and configuration ----------------------------------------------------------------------------------------- */

const char *vhost_user_reset_device(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	vhost_user_rings_stop(be);
	for (unsigned int i = 0; i < be->dev->num_queues; i++)
		vhost_user_inflight_ended(be, i);
	virtio_dev_reset(be->dev);
	be->status = 0;
	return NULL;
}

const char *vhost_user_set_status(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	uint8_t status = (uint8_t)m->payload.number;

	if (!status)
		return vhost_user_reset_device(be, m);
	/* 2.1.1: bits do not go away; NEEDS_RESET is ours to set. 3.1.1, step 5: no FEATURES_OK without acceptable features. */
	status &= (uint8_t)~VIRTIO_STATUS_NEEDS_RESET;
	if (!be->dev->features_final)
		status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	be->status |= status;
	return NULL;
}

const char *vhost_user_get_status(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	m->payload.number = be->status | (be->dev->broken ? VIRTIO_STATUS_NEEDS_RESET : 0);
	m->header.size = sizeof(uint64_t);
	return NULL;
}

static bool config_sound(const struct vhost_user_message *m)
{
	const struct vhost_user_config *c = &m->payload.config;

	return m->header.size >= VHOST_USER_CONFIG_HEADER && c->size <= VHOST_USER_CONFIG_MAX &&
	       m->header.size - VHOST_USER_CONFIG_HEADER == c->size && c->offset <= VHOST_USER_CONFIG_MAX - c->size;
}

/* A front end may know a later version of the device, whose configuration is longer: the rest reads as zeros, as on any bus. */
const char *vhost_user_get_config(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	struct vhost_user_config *c = &m->payload.config;
	size_t have;

	if (!config_sound(m))
		return "a malformed question for the configuration";
	have = c->offset < be->dev->config_len ? be->dev->config_len - c->offset : 0;
	memset(c->bytes, 0, c->size);
	virtio_dev_config_read(be->dev, c->offset, c->bytes, have < c->size ? have : c->size);
	return NULL;
}

const char *vhost_user_set_config(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const struct vhost_user_config *c = &m->payload.config;

	if (!config_sound(m) || virtio_dev_config_write(be->dev, c->offset, c->bytes, c->size))
		return "a write outside the configuration";
	return NULL;
}
