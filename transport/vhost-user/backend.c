/* SPDX-License-Identifier: MIT */
/*
 * backend.c - see backend.h. This file has the connection and its messages; backend-device.c, backend-memory.c, backend-ring.c,
 * backend-inflight.c and backend-log.c carry them out.
 *
 * Everything that arrives is checked before it is believed: a message's size and descriptors against the table below, addresses against
 * the regions, numbers against the device. Where REPLY_ACK was agreed on, a request that cannot be carried out is refused and the
 * connection goes on; where it was not, the front end could not know, so its connection ends.
 */
#include <transport/vhost-user/backend-internal.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#define MESSAGES	64	/* most that are taken in one go */
#define SOCKET		(~UINT64_C(0))	/* what epoll calls the socket; rings go by number */

static bool agreed(const struct vhost_user_backend *be, uint64_t feature)
{
	return be->protocol_features & feature;
}

/* Once a connection: who breaks the rules a thousand times shall not fill a log. */
static void say_once(struct vhost_user_backend *be, const char *sentence)
{
	if (be->complain && !be->complained)
		be->complain(be->opaque, sentence);
	be->complained = true;
}

/* --- messages --------------------------------------------------------------------------------------------------------- */

static const char *nothing(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	return NULL;
}

static const char *set_request_fd(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	if (!m->fd_count)
		return "no descriptor where one belongs";
	if (be->request_fd >= 0)
		close(be->request_fd);
	be->request_fd = vhost_user_take_fd(m, 0);
	return NULL;
}

/* What each request looks like, and who carries it out. */
static const struct request {
	const char *(*carry_out)(struct vhost_user_backend *be, struct vhost_user_message *m);
	uint32_t size;			/* bytes of payload; VARIES: the function looks */
	uint8_t fds;			/* most descriptors with it */
	bool answers;			/* the payload is the answer afterwards */
} requests[] = {
#define VARIES UINT32_MAX
#define NUMBER sizeof(uint64_t)
#define STATE sizeof(struct vhost_user_ring_state)
	[VHOST_USER_GET_FEATURES] = { vhost_user_get_features, 0, 0, true },
	[VHOST_USER_SET_FEATURES] = { vhost_user_set_features, NUMBER, 0, false },
	[VHOST_USER_SET_OWNER] = { nothing, 0, 0, false },
	[VHOST_USER_RESET_OWNER] = { nothing, 0, 0, false },
	[VHOST_USER_SET_MEM_TABLE] = { vhost_user_set_mem_table, VARIES, VHOST_USER_REGIONS, false },
	[VHOST_USER_SET_LOG_BASE] = { vhost_user_set_log_base, sizeof(struct vhost_user_log_area), 1, true },
	[VHOST_USER_SET_LOG_FD] = { vhost_user_set_log_fd, VARIES, 1, false },
	[VHOST_USER_SET_VRING_NUM] = { vhost_user_set_vring_num, STATE, 0, false },
	[VHOST_USER_SET_VRING_ADDR] = { vhost_user_set_vring_addr, sizeof(struct vhost_user_ring_address), 0, false },
	[VHOST_USER_SET_VRING_BASE] = { vhost_user_set_vring_base, STATE, 0, false },
	[VHOST_USER_GET_VRING_BASE] = { vhost_user_get_vring_base, STATE, 0, true },
	[VHOST_USER_SET_VRING_KICK] = { vhost_user_set_vring_kick, NUMBER, 1, false },
	[VHOST_USER_SET_VRING_CALL] = { vhost_user_set_vring_call, NUMBER, 1, false },
	[VHOST_USER_SET_VRING_ERR] = { vhost_user_set_vring_err, NUMBER, 1, false },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { vhost_user_get_protocol_features, 0, 0, true },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { vhost_user_set_protocol_features, NUMBER, 0, false },
	[VHOST_USER_GET_QUEUE_NUM] = { vhost_user_get_queue_num, 0, 0, true },
	[VHOST_USER_SET_VRING_ENABLE] = { vhost_user_set_vring_enable, STATE, 0, false },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { set_request_fd, VARIES, 1, false },
	[VHOST_USER_GET_CONFIG] = { vhost_user_get_config, VARIES, 0, true },
	[VHOST_USER_SET_CONFIG] = { vhost_user_set_config, VARIES, 0, false },
	[VHOST_USER_GET_INFLIGHT_FD] = { vhost_user_get_inflight_fd, VARIES, 0, true },
	[VHOST_USER_SET_INFLIGHT_FD] = { vhost_user_set_inflight_fd, VARIES, 1, false },
	[VHOST_USER_RESET_DEVICE] = { vhost_user_reset_device, 0, 0, false },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { vhost_user_get_max_mem_slots, 0, 0, true },
	[VHOST_USER_ADD_MEM_REG] = { vhost_user_add_mem_reg, sizeof(struct vhost_user_memory_slot), 1, false },
	/* It needs no descriptor, but some front ends send one. */
	[VHOST_USER_REM_MEM_REG] = { vhost_user_rem_mem_reg, sizeof(struct vhost_user_memory_slot), 1, false },
	[VHOST_USER_SET_STATUS] = { vhost_user_set_status, NUMBER, 0, false },
	[VHOST_USER_GET_STATUS] = { vhost_user_get_status, 0, 0, true },
};

static const struct request *find_request(uint32_t number)
{
	if (number >= sizeof(requests) / sizeof(requests[0]) || !requests[number].carry_out)
		return NULL;
	return &requests[number];
}

static const char *send_answer(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	struct vhost_user_message answer = { .header = m->header, .payload = m->payload };

	answer.header.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	answer.fd_count = m->fd_count;
	memcpy(answer.fds, m->fds, sizeof(answer.fds));
	return vhost_user_send(be->fd, &answer, 0) == -ETIMEDOUT ? "the front end does not read its answers" : NULL;
}

/* Carry out the message that has arrived. NULL, or why the connection cannot go on. */
static const char *serve_message(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const struct request *request = find_request(m->header.request);
	bool ack = (m->header.flags & VHOST_USER_NEED_REPLY) && agreed(be, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	const char *wrong = "a request that we do not know";

	if (request && ((request->size != VARIES && m->header.size != request->size) || m->fd_count > request->fds))
		return "a request of the wrong size, or with too many descriptors";
	if (request)
		wrong = request->carry_out(be, m);
	if (request && request->answers && !wrong)
		return send_answer(be, m);
	if (!ack || (request && request->answers))
		return wrong;
	if (wrong)
		say_once(be, wrong);
	return send_answer(be, &(struct vhost_user_message){
					.header = { .request = m->header.request, .size = sizeof(uint64_t) },
					.payload.number = !!wrong,
				});
}

/* Take what the socket has. 0, -ECONNRESET, or -EPROTO with be->error set. */
static int serve_socket(struct vhost_user_backend *be)
{
	for (unsigned int i = 0; i < MESSAGES; i++) {
		int ret = vhost_user_receive(be->fd, &be->in, &be->error);

		if (ret <= 0)
			return ret == -EPROTO || !ret ? ret : -ECONNRESET;
		be->error = serve_message(be, &be->in.message);
		vhost_user_receiver_next(&be->in);
		if (be->error)
			return -EPROTO;
	}
	return 0;
}

/* --- what the device has to say --------------------------------------------------------------------------------------- */

static struct vhost_user_backend *of(struct virtio_dev *dev)
{
	return dev->transport_data;
}

static void on_config_changed(struct virtio_dev *dev)
{
	struct vhost_user_backend *be = of(dev);
	struct vhost_user_message message = { .header = { .request = VHOST_USER_BACKEND_CONFIG_CHANGE, .flags = VHOST_USER_VERSION } };

	if (be->request_fd < 0 || !agreed(be, VHOST_USER_PROTOCOL_F_BACKEND_REQ) || !vhost_user_send(be->request_fd, &message, 0))
		return;
	/* Nobody reads it. */
	close(be->request_fd);
	be->request_fd = -1;
}

static void on_broken(struct virtio_dev *dev)
{
	struct vhost_user_backend *be = of(dev);

	vhost_user_rings_report(be);
	say_once(be, dev->broken);
}

static void on_taken(struct virtio_dev *dev, unsigned int queue, uint32_t id)
{
	vhost_user_inflight_taken(of(dev), queue, id);
	vhost_user_log_taken(of(dev), queue, id);
}

static void on_given(struct virtio_dev *dev, unsigned int queue, uint32_t id)
{
	vhost_user_inflight_given(of(dev), queue, id);
	vhost_user_log_given(of(dev), queue, id);
}

static void on_shown(struct virtio_dev *dev, unsigned int queue)
{
	vhost_user_inflight_shown(of(dev), queue);
	vhost_user_log_ring(of(dev), queue);
}

static const struct virtio_transport_ops transport_ops = {
	.interrupt = vhost_user_ring_interrupt,
	.config_changed = on_config_changed,
	.broken = on_broken,
	.taken = on_taken,
	.given = on_given,
	.shown = on_shown,
};

/* --- connections ------------------------------------------------------------------------------------------------------ */

struct vhost_user_backend *vhost_user_backend_create(struct virtio_dev *dev, void (*complain)(void *opaque, const char *sentence),
						     void *opaque)
{
	struct vhost_user_backend *be;

	if (!dev || !dev->ops || !dev->queues || !dev->num_queues || dev->config_len > VIRTIO_CONFIG_MAX) {
		errno = EINVAL;
		return NULL;
	}
	if (dev->num_queues > VHOST_USER_RINGS || dev->num_queues > VHOST_USER_RING_MASK) {
		errno = E2BIG;
		return NULL;
	}
	be = calloc(1, sizeof(*be));
	if (!be)
		return NULL;
	be->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (be->epoll_fd < 0) {
		free(be);
		return NULL;
	}
	be->dev = dev;
	be->complain = complain;
	be->opaque = opaque;
	be->fd = be->request_fd = be->log.call = -1;
	vhost_user_regions_init(&be->regions);
	vhost_user_rings_init(be);
	dev->transport = &transport_ops;
	dev->transport_data = be;
	dev->mem = &be->regions.mem;
	virtio_dev_reset(dev);
	return be;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* As before the connection. */
static void forget(struct vhost_user_backend *be)
{
	vhost_user_rings_forget(be);
	virtio_dev_reset(be->dev);
	vhost_user_inflight_forget(be);
	vhost_user_log_forget(be);
	vhost_user_regions_clear(&be->regions);
	vhost_user_receiver_next(&be->in);
	close_fd(&be->fd);
	close_fd(&be->request_fd);
	be->features = be->protocol_features = 0;
	be->status = 0;
}

void vhost_user_backend_destroy(struct vhost_user_backend *be)
{
	if (!be)
		return;
	forget(be);
	be->dev->transport = NULL;
	be->dev->transport_data = NULL;
	be->dev->mem = NULL;
	close(be->epoll_fd);
	free(be);
}

int vhost_user_backend_attach(struct vhost_user_backend *be, int fd)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = SOCKET };

	if (!be)
		return -EINVAL;
	if (fd < 0)
		return -EBADF;
	if (be->fd >= 0)
		return -EBUSY;
	if (epoll_ctl(be->epoll_fd, EPOLL_CTL_ADD, fd, &event))
		return -errno;
	be->fd = fd;
	be->error = NULL;
	be->complained = false;
	be->guard_hits = vhost_user_guard_hits();
	return 0;
}

int vhost_user_backend_fd(const struct vhost_user_backend *be)
{
	return be ? be->epoll_fd : -EINVAL;
}

int vhost_user_backend_run(struct vhost_user_backend *be)
{
	struct epoll_event events[1 + VHOST_USER_RINGS];
	int count, ret = 0;

	if (!be)
		return -EINVAL;
	count = epoll_wait(be->epoll_fd, events, 1 + VHOST_USER_RINGS, 0);
	for (int i = 0; i < count && !ret; i++) {
		if (events[i].data.u64 == SOCKET) {
			ret = serve_socket(be);
		} else {
			be->error = vhost_user_ring_kicked(be, (unsigned int)events[i].data.u64);
			ret = be->error ? -EPROTO : 0;
		}
	}
	if (!ret && vhost_user_guard_hits() != be->guard_hits) {
		be->error = "the front end took away memory that it shares";
		ret = -EPROTO;
	}
	if (ret)
		forget(be);
	return ret;
}
