/* SPDX-License-Identifier: MIT */
/*
 * frontend.c - a bus of one device that another process has: see frontend.h. frontend-question.c has what the two say to each other, and
 * how a connection ends; frontend-ring.c the rings.
 */
#include <transport/vhost-user/frontend-internal.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <virtio/vring.h>

#define QUEUE_SIZE	128
#define TIMEOUT_MS	5000

#define WANTED_PROTOCOL_FEATURES                                                                                                     \
	(VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK | VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_CONFIG |   \
	 VHOST_USER_PROTOCOL_F_RESET_DEVICE | VHOST_USER_PROTOCOL_F_STATUS)

/* --- the bus ---------------------------------------------------------------------------------------------------------- */

static uint64_t fe_get_features(struct virtio_device *vdev)
{
	return vhost_user_of(vdev)->features & ~VHOST_USER_F_OURS;
}

static int tell_memory(struct vhost_user_frontend *fe)
{
	const struct virtio_mem *mem = &fe->memory->mem;
	struct vhost_user_message message = {
		.header = { .request = VHOST_USER_SET_MEM_TABLE,
			    .size = offsetof(struct vhost_user_memory_table, region) + sizeof(struct vhost_user_region) },
		.payload.memory = { .count = 1, .region = { { .gpa = mem->start, .size = mem->size, .user = (uintptr_t)mem->base } } },
		.fds = { fe->memory->fd },
		.fd_count = 1,
	};

	return vhost_user_tell(fe, &message);
}

static int fe_finalize_features(struct virtio_device *vdev)
{
	struct vhost_user_frontend *fe = vhost_user_of(vdev);
	int error = vhost_user_tell_number(fe, VHOST_USER_SET_FEATURES, vdev->features | (fe->features & VHOST_USER_F_PROTOCOL_FEATURES));

	if (error == -VIRTIO_EIO)
		return -VIRTIO_EOPNOTSUPP;
	return error ? error : tell_memory(fe);
}

/* Some back ends do not look at the offset: always read from the beginning. */
static int fe_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	struct vhost_user_frontend *fe = vhost_user_of(vdev);
	struct vhost_user_message message = { .header.request = VHOST_USER_GET_CONFIG };
	const struct vhost_user_message *reply = &fe->reply.message;
	int error;

	if (!vhost_user_agreed(fe, VHOST_USER_PROTOCOL_F_CONFIG)) {
		if (offset > fe->options.config_len || len > fe->options.config_len - offset)
			return -VIRTIO_ERANGE;
		memcpy(buf, (const uint8_t *)fe->options.config + offset, len);
		return 0;
	}
	if (offset > VHOST_USER_CONFIG_MAX || len > VHOST_USER_CONFIG_MAX - offset)
		return -VIRTIO_ERANGE;
	message.payload.config.size = (uint32_t)(offset + len);
	message.header.size = (uint32_t)(VHOST_USER_CONFIG_HEADER + offset + len);
	error = vhost_user_ask(fe, &message, 0);
	if (error)
		return error;
	/* An answer without contents is how errors are reported here. */
	if (reply->header.size < VHOST_USER_CONFIG_HEADER + offset + len)
		return -VIRTIO_ERANGE;
	memcpy(buf, reply->payload.config.bytes + offset, len);
	return 0;
}

static int fe_set(struct virtio_device *vdev, size_t offset, const void *buf, size_t len)
{
	struct vhost_user_frontend *fe = vhost_user_of(vdev);
	struct vhost_user_message message = {
		.header = { .request = VHOST_USER_SET_CONFIG, .size = (uint32_t)(VHOST_USER_CONFIG_HEADER + len) },
		.payload.config = { .offset = (uint32_t)offset, .size = (uint32_t)len },
	};
	int error;

	if (!vhost_user_agreed(fe, VHOST_USER_PROTOCOL_F_CONFIG) || offset > VHOST_USER_CONFIG_MAX || len > VHOST_USER_CONFIG_MAX - offset)
		return -VIRTIO_ERANGE;
	memcpy(message.payload.config.bytes, buf, len);
	error = vhost_user_tell(fe, &message);
	return error == -VIRTIO_EIO ? -VIRTIO_ERANGE : error;
}

static uint8_t fe_get_status(struct virtio_device *vdev)
{
	struct vhost_user_frontend *fe = vhost_user_of(vdev);
	uint64_t status = fe->status;

	if (vhost_user_agreed(fe, VHOST_USER_PROTOCOL_F_STATUS))
		vhost_user_ask_number(fe, VHOST_USER_GET_STATUS, &status);
	return (uint8_t)(fe->fd < 0 ? status | VIRTIO_STATUS_NEEDS_RESET : status);
}

static void fe_set_status(struct virtio_device *vdev, uint8_t status)
{
	struct vhost_user_frontend *fe = vhost_user_of(vdev);

	if ((status & ~fe->status & VIRTIO_STATUS_DRIVER_OK) && (fe->features & VHOST_USER_F_PROTOCOL_FEATURES))
		vhost_user_enable_rings(fe);
	fe->status = status;
	if (vhost_user_agreed(fe, VHOST_USER_PROTOCOL_F_STATUS))
		vhost_user_tell_number(fe, VHOST_USER_SET_STATUS, status);
}

static void fe_reset(struct virtio_device *vdev)
{
	struct vhost_user_frontend *fe = vhost_user_of(vdev);

	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		if (fe->ring[i].started)
			vhost_user_stop_ring(fe, i);
	fe->status = 0;
	if (vhost_user_agreed(fe, VHOST_USER_PROTOCOL_F_STATUS))
		vhost_user_tell_number(fe, VHOST_USER_SET_STATUS, 0);
	else if (vhost_user_agreed(fe, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		vhost_user_tell_plain(fe, VHOST_USER_RESET_DEVICE);
}

static void fe_notify(struct virtio_queue *vq)
{
	eventfd_write(vhost_user_of(vq->vdev)->ring[vq->index].kick, 1);
}

static const struct virtio_bus vhost_user_bus = {
	.get_features = fe_get_features,
	.finalize_features = fe_finalize_features,
	.get = fe_get,
	.set = fe_set,
	.get_status = fe_get_status,
	.set_status = fe_set_status,
	.reset = fe_reset,
	.find_queue = vhost_user_find_queue,
	.delete_queue = vhost_user_delete_queue,
	.notify = fe_notify,
};

/* --- connecting ------------------------------------------------------------------------------------------------------- */

static void *platform_alloc(void *opaque, size_t size, size_t align)
{
	return vhost_user_memory_alloc(((struct vhost_user_frontend *)opaque)->memory, size, align);
}

static void platform_free(void *opaque, void *block, size_t size)
{
	vhost_user_memory_free(((struct vhost_user_frontend *)opaque)->memory, block, size);
}

/* What the back end must not reach. */
static void *platform_alloc_private(void *opaque, size_t size)
{
	return calloc(1, size);
}

static void platform_free_private(void *opaque, void *block, size_t size)
{
	free(block);
}

static void platform_wait(void *opaque)
{
	vhost_user_wait(opaque, -1);
}

static void prepare(struct vhost_user_frontend *fe, struct vhost_user_memory *memory, int fd, const struct vhost_user_options *options)
{
	memset(fe, 0, sizeof(*fe));
	fe->memory = memory;
	fe->fd = fd;
	fe->request_fd = -1;
	if (options)
		fe->options = *options;
	if (!fe->options.queue_size)
		fe->options.queue_size = QUEUE_SIZE;
	if (!fe->options.timeout_ms)
		fe->options.timeout_ms = TIMEOUT_MS;
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		fe->ring[i].kick = fe->ring[i].call = fe->ring[i].err = -1;
	fe->platform = (struct virtio_platform){
		.mem = &memory->mem,
		.alloc = platform_alloc,
		.free = platform_free,
		.alloc_private = platform_alloc_private,
		.free_private = platform_free_private,
		.wait = platform_wait,
		.opaque = fe,
	};
	fe->vdev.bus = &vhost_user_bus;
	fe->vdev.platform = &fe->platform;
}

/* Give the back end a socket of its own to ask on. */
static int give_request_fd(struct vhost_user_frontend *fe)
{
	struct vhost_user_message message = { .header.request = VHOST_USER_SET_BACKEND_REQ_FD, .fd_count = 1 };
	int pair[2], error;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -VIRTIO_ENOMEM;
	fe->request_fd = pair[0];
	message.fds[0] = pair[1];
	error = vhost_user_tell(fe, &message);
	close(pair[1]);
	return error;
}

static int agree_on_protocol(struct vhost_user_frontend *fe)
{
	uint64_t offered;
	int error = vhost_user_ask_number(fe, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);

	if (error)
		return error;
	/* The answer to this message is not yet one of those agreed on. */
	error = vhost_user_tell_number(fe, VHOST_USER_SET_PROTOCOL_FEATURES, offered & WANTED_PROTOCOL_FEATURES);
	fe->protocol_features = offered & WANTED_PROTOCOL_FEATURES;
	if (!error && vhost_user_agreed(fe, VHOST_USER_PROTOCOL_F_MQ))
		error = vhost_user_ask_number(fe, VHOST_USER_GET_QUEUE_NUM, &fe->max_queues);
	if (!error && vhost_user_agreed(fe, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		error = give_request_fd(fe);
	return error;
}

static int begin(struct vhost_user_frontend *fe)
{
	int error = vhost_user_ask_number(fe, VHOST_USER_GET_FEATURES, &fe->features);

	if (!error && (fe->features & VHOST_USER_F_PROTOCOL_FEATURES))
		error = agree_on_protocol(fe);
	if (!error)
		error = vhost_user_tell_plain(fe, VHOST_USER_SET_OWNER);
	if (error)
		vhost_user_lose(fe, "the back end refuses to talk to us");
	return error;
}

/* What may not be asked for. */
static bool acceptable(const struct vhost_user_options *options)
{
	return !options || ((!options->queue_size || vring_size_valid(options->queue_size)) && options->timeout_ms >= 0 &&
			    (options->config || !options->config_len));
}

int vhost_user_connect_fd(struct vhost_user_frontend *fe, struct vhost_user_memory *memory, int fd,
			  const struct vhost_user_options *options)
{
	if (!fe || !memory || !acceptable(options))
		return -EINVAL;
	prepare(fe, memory, fd, options);
	if (fd >= 0)
		return begin(fe);
	fe->error = "no connection";
	return -EBADF;
}

int vhost_user_connect(struct vhost_user_frontend *fe, struct vhost_user_memory *memory, const char *path,
		       const struct vhost_user_options *options)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

	if (!fe || !memory || !path || !*path || !acceptable(options))
		return -EINVAL;
	prepare(fe, memory, -1, options);
	fe->error = "no back end can be reached there";
	if (strlen(path) >= sizeof(address.sun_path))
		return -ENAMETOOLONG;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&address, sizeof(address))) {
		error = -errno;
		close(fd);
		return error;
	}
	return vhost_user_connect_fd(fe, memory, fd, options);
}

void vhost_user_disconnect(struct vhost_user_frontend *fe)
{
	if (!fe)
		return;
	vhost_user_lose(fe, "disconnected");
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		if (fe->vdev.queues[i])
			vhost_user_delete_queue(fe->vdev.queues[i]);
	memset(fe->vdev.queues, 0, sizeof(fe->vdev.queues));
}

/* --- waiting ---------------------------------------------------------------------------------------------------------- */

static bool take_call(struct vhost_user_frontend *fe, unsigned int index)
{
	eventfd_t count;

	if (eventfd_read(fe->ring[index].call, &count) || !fe->vdev.queues[index])
		return false;
	virtio_queue_interrupt(fe->vdev.queues[index]);
	return true;
}

/* Nothing is expected on the socket now: whatever can be read from it is its end, or nonsense. */
static int look_at_socket(struct vhost_user_frontend *fe)
{
	const char *wrong = "the back end says something unasked";
	int ret = vhost_user_receive(fe->fd, &fe->reply, &wrong);

	if (ret < 0)
		return vhost_user_lose_by(fe, ret, wrong);
	return ret ? vhost_user_lose(fe, wrong) : 0;
}

/* The driver has lost its buffers and should know. */
static int tell_driver(struct vhost_user_frontend *fe)
{
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		if (fe->vdev.queues[i] && fe->vdev.queues[i]->callback)
			fe->vdev.queues[i]->callback(fe->vdev.queues[i]);
	return -VIRTIO_ENODEV;
}

int vhost_user_wait(struct vhost_user_frontend *fe, int timeout_ms)
{
	struct pollfd p[2 + VIRTIO_DRIVER_QUEUES];
	bool any = false;

	if (!fe)
		return -VIRTIO_EINVAL;
	if (fe->fd < 0)
		return -VIRTIO_ENODEV;
	p[0] = (struct pollfd){ .fd = fe->fd, .events = POLLIN };
	p[1] = (struct pollfd){ .fd = fe->request_fd, .events = POLLIN };
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		p[2 + i] = (struct pollfd){ .fd = fe->ring[i].call, .events = POLLIN };
	if (poll(p, 2 + VIRTIO_DRIVER_QUEUES, timeout_ms) <= 0)
		return 0;
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		if (p[2 + i].revents && take_call(fe, i))
			any = true;
	if ((p[1].revents && vhost_user_serve_requests(fe) < 0) || (p[0].revents && fe->fd >= 0 && look_at_socket(fe) < 0))
		return tell_driver(fe);
	return fe->fd < 0 ? -VIRTIO_ENODEV : any || p[1].revents;
}
