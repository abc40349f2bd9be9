/* SPDX-License-Identifier: MIT */
/*
 * backend.c - see backend.h; ring.c has what happens to single rings.
 *
 * Everything that arrives is checked before it is believed: a message's size and descriptors against the table at the end of this file,
 * addresses against the regions, numbers against the device. Where REPLY_ACK was agreed on, a request that cannot be carried out is
 * refused and the connection goes on; where it was not, the front end could not know, so its connection ends.
 *
 * Memory may come and go while rings are in use, and rings hold pointers into it. So for every change of it the rings are laid down,
 * with everything that the device had under way finished, and are taken up again at the same place.
 */
#include <transport/vhost-user/backend-internal.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <virtio/net.h>

#define MESSAGES	64	/* most that are taken in one go */
#define SOCKET		(~UINT64_C(0))	/* what epoll calls the socket; rings go by number */

#define PROTOCOL_FEATURES                                                                                                            \
	(VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK | VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_CONFIG |   \
	 VHOST_USER_PROTOCOL_F_INFLIGHT_SHMFD | VHOST_USER_PROTOCOL_F_RESET_DEVICE | VHOST_USER_PROTOCOL_F_MEM_SLOTS |                     \
	 VHOST_USER_PROTOCOL_F_STATUS)

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

/*
 * Network cards are the protocol's exception: their configuration is the front end's own, so that a virtual machine's address goes with
 * it, and their queues are counted in pairs.
 */
static bool is_net(const struct vhost_user_backend *be)
{
	return be->dev->id == VIRTIO_ID_NET;
}

/* --- features --------------------------------------------------------------------------------------------------------- */

static const char *get_features(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	m->payload.number = be->dev->offered | VHOST_USER_F_PROTOCOL_FEATURES;
	if (is_net(be))
		m->payload.number &= ~(VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | VIRTIO_NET_F_MTU);
	m->header.size = sizeof(uint64_t);
	return NULL;
}

static const char *set_features(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	uint64_t features = m->payload.number;

	if (be->dev->live)
		return features == be->features ? NULL : "other features while rings are in use";
	if (virtio_dev_set_features(be->dev, features & ~VHOST_USER_F_PROTOCOL_FEATURES))
		return "features that were not offered, or that do not go together (virtio 1.2, 2.2.1)";
	be->features = features;
	return NULL;
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

static const char *get_protocol_features(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	m->payload.number = protocol_features(be);
	m->header.size = sizeof(uint64_t);
	return NULL;
}

static const char *set_protocol_features(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	if (m->payload.number & ~protocol_features(be))
		return "protocol features that were not offered";
	be->protocol_features = m->payload.number;
	return NULL;
}

static const char *get_queue_num(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	m->payload.number = is_net(be) ? be->dev->num_queues / 2 : be->dev->num_queues;
	m->header.size = sizeof(uint64_t);
	return NULL;
}

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

/* --- status and configuration ----------------------------------------------------------------------------------------- */

static const char *reset_device(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	vhost_user_rings_stop(be);
	virtio_dev_reset(be->dev);
	be->status = 0;
	return NULL;
}

static const char *set_status(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	uint8_t status = (uint8_t)m->payload.number;

	if (!status)
		return reset_device(be, m);
	/* 2.1.1: bits do not go away; NEEDS_RESET is ours to set. 3.1.1, step 5: no FEATURES_OK without acceptable features. */
	status &= (uint8_t)~VIRTIO_STATUS_NEEDS_RESET;
	if (!be->dev->features_final)
		status &= (uint8_t)~VIRTIO_STATUS_FEATURES_OK;
	be->status |= status;
	return NULL;
}

static const char *get_status(struct vhost_user_backend *be, struct vhost_user_message *m)
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
static const char *get_config(struct vhost_user_backend *be, struct vhost_user_message *m)
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

static const char *set_config(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const struct vhost_user_config *c = &m->payload.config;

	if (!config_sound(m) || virtio_dev_config_write(be->dev, c->offset, c->bytes, c->size))
		return "a write outside the configuration";
	return NULL;
}

/* --- memory ----------------------------------------------------------------------------------------------------------- */

static const char *set_mem_table(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const struct vhost_user_memory_table *table = &m->payload.memory;
	const char *wrong = NULL;

	if (m->header.size < offsetof(struct vhost_user_memory_table, region) || table->count > VHOST_USER_REGIONS ||
	    m->header.size < offsetof(struct vhost_user_memory_table, region) + table->count * sizeof(table->region[0]))
		return "a malformed memory table";
	if (m->fd_count != table->count)
		return "a memory table with more or fewer descriptors than regions";
	vhost_user_rings_lay_down(be);
	vhost_user_regions_clear(&be->regions);
	for (unsigned int i = 0; i < table->count && !wrong; i++)
		wrong = vhost_user_regions_add(&be->regions, &table->region[i], m->fds[i]);
	return wrong ? wrong : vhost_user_rings_take_up(be);
}

static const char *get_max_mem_slots(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	m->payload.number = VHOST_USER_SLOTS;
	m->header.size = sizeof(uint64_t);
	return NULL;
}

static const char *add_mem_reg(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const char *wrong;

	if (!m->fd_count)
		return "a memory region without a descriptor";
	vhost_user_rings_lay_down(be);
	wrong = vhost_user_regions_add(&be->regions, &m->payload.slot.region, m->fds[0]);
	return wrong ? wrong : vhost_user_rings_take_up(be);
}

static const char *rem_mem_reg(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const char *wrong;

	vhost_user_rings_lay_down(be);
	wrong = vhost_user_regions_remove(&be->regions, &m->payload.slot.region);
	return wrong ? wrong : vhost_user_rings_take_up(be);
}

/* --- messages --------------------------------------------------------------------------------------------------------- */

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
	[VHOST_USER_GET_FEATURES] = { get_features, 0, 0, true },
	[VHOST_USER_SET_FEATURES] = { set_features, NUMBER, 0, false },
	[VHOST_USER_SET_OWNER] = { nothing, 0, 0, false },
	[VHOST_USER_RESET_OWNER] = { nothing, 0, 0, false },
	[VHOST_USER_SET_MEM_TABLE] = { set_mem_table, VARIES, VHOST_USER_REGIONS, false },
	[VHOST_USER_SET_VRING_NUM] = { vhost_user_set_vring_num, STATE, 0, false },
	[VHOST_USER_SET_VRING_ADDR] = { vhost_user_set_vring_addr, sizeof(struct vhost_user_ring_address), 0, false },
	[VHOST_USER_SET_VRING_BASE] = { vhost_user_set_vring_base, STATE, 0, false },
	[VHOST_USER_GET_VRING_BASE] = { vhost_user_get_vring_base, STATE, 0, true },
	[VHOST_USER_SET_VRING_KICK] = { vhost_user_set_vring_kick, NUMBER, 1, false },
	[VHOST_USER_SET_VRING_CALL] = { vhost_user_set_vring_call, NUMBER, 1, false },
	[VHOST_USER_SET_VRING_ERR] = { vhost_user_set_vring_err, NUMBER, 1, false },
	[VHOST_USER_GET_PROTOCOL_FEATURES] = { get_protocol_features, 0, 0, true },
	[VHOST_USER_SET_PROTOCOL_FEATURES] = { set_protocol_features, NUMBER, 0, false },
	[VHOST_USER_GET_QUEUE_NUM] = { get_queue_num, 0, 0, true },
	[VHOST_USER_SET_VRING_ENABLE] = { vhost_user_set_vring_enable, STATE, 0, false },
	[VHOST_USER_SET_BACKEND_REQ_FD] = { set_request_fd, VARIES, 1, false },
	[VHOST_USER_GET_CONFIG] = { get_config, VARIES, 0, true },
	[VHOST_USER_SET_CONFIG] = { set_config, VARIES, 0, false },
	[VHOST_USER_GET_INFLIGHT_FD] = { vhost_user_get_inflight_fd, VARIES, 0, true },
	[VHOST_USER_SET_INFLIGHT_FD] = { vhost_user_set_inflight_fd, VARIES, 1, false },
	[VHOST_USER_RESET_DEVICE] = { reset_device, 0, 0, false },
	[VHOST_USER_GET_MAX_MEM_SLOTS] = { get_max_mem_slots, 0, 0, true },
	[VHOST_USER_ADD_MEM_REG] = { add_mem_reg, sizeof(struct vhost_user_memory_slot), 1, false },
	/* It needs no descriptor, but some front ends send one. */
	[VHOST_USER_REM_MEM_REG] = { rem_mem_reg, sizeof(struct vhost_user_memory_slot), 1, false },
	[VHOST_USER_SET_STATUS] = { set_status, NUMBER, 0, false },
	[VHOST_USER_GET_STATUS] = { get_status, 0, 0, true },
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

static const struct virtio_transport_ops transport_ops = {
	.interrupt = vhost_user_ring_interrupt,
	.config_changed = on_config_changed,
	.broken = on_broken,
	.taken = vhost_user_inflight_taken,
	.shown = vhost_user_inflight_shown,
};

/* --- connections ------------------------------------------------------------------------------------------------------ */

struct vhost_user_backend *vhost_user_backend_create(struct virtio_dev *dev, void (*complain)(void *opaque, const char *sentence),
						     void *opaque)
{
	struct vhost_user_backend *be;

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
	be->fd = be->request_fd = -1;
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
	return be->epoll_fd;
}

int vhost_user_backend_run(struct vhost_user_backend *be)
{
	struct epoll_event events[1 + VHOST_USER_RINGS];
	int count = epoll_wait(be->epoll_fd, events, 1 + VHOST_USER_RINGS, 0), ret = 0;

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

/* --- listening -------------------------------------------------------------------------------------------------------- */

/* A socket is left behind by a process that was killed. Connecting tells, without a word that a living one could misunderstand. */
static bool abandoned(const struct sockaddr_un *address)
{
	struct stat st;
	bool refused;
	int fd;

	if (lstat(address->sun_path, &st) || !S_ISSOCK(st.st_mode))
		return false;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return false;
	refused = connect(fd, (const struct sockaddr *)address, sizeof(*address)) && errno == ECONNREFUSED;
	close(fd);
	return refused;
}

int vhost_user_listen(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	if (abandoned(&address))
		unlink(path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (!bind(fd, (struct sockaddr *)&address, sizeof(address)) && !listen(fd, 4))
		return fd;
	error = -errno;
	close(fd);
	return error;
}
