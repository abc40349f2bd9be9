/* SPDX-License-Identifier: MIT */
/*
 * frontend.c - a bus of one device that another process has: see frontend.h.
 *
 * Set-up is questions and answers. With REPLY_ACK every message has an answer, so that an error is reported where it was made; without,
 * the order of messages has to do. While we wait for an answer the back end may be waiting for one of ours on the other socket, so both
 * are looked at.
 *
 * There is one way for a connection to end before its time, lose(): the sockets are closed, what the driver has under way is cancelled,
 * and a sentence says why. What the driver does afterwards finds a device that is not there.
 */
#include <transport/vhost-user/frontend.h>

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <virtio/vring-driver.h>

#define QUEUE_SIZE	128
#define TIMEOUT_MS	5000
#define RING_ALIGN	64u		/* of the used ring: a cache line of its own */
#define BASE_PACKED	UINT32_C(0x80008000)	/* where a fresh packed ring begins: offsets of 15 bits, wrap counters above them */
#define REQUESTS	16		/* most of the back end's questions that are answered in one go */

#define WANTED_PROTOCOL_FEATURES                                                                                                     \
	(VHOST_USER_PROTOCOL_F_MQ | VHOST_USER_PROTOCOL_F_REPLY_ACK | VHOST_USER_PROTOCOL_F_BACKEND_REQ | VHOST_USER_PROTOCOL_F_CONFIG |   \
	 VHOST_USER_PROTOCOL_F_RESET_DEVICE | VHOST_USER_PROTOCOL_F_STATUS)

static struct vhost_user_frontend *of(struct virtio_device *vdev)
{
	return (struct vhost_user_frontend *)(void *)vdev;
}

static bool agreed(const struct vhost_user_frontend *fe, uint64_t feature)
{
	return fe->protocol_features & feature;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* The connection has ended; the first reason is kept. Returns -VIRTIO_ENODEV for callers to return. */
static int lose(struct vhost_user_frontend *fe, const char *reason)
{
	if (fe->fd < 0)
		return -VIRTIO_ENODEV;
	fe->error = reason;
	close_fd(&fe->fd);
	close_fd(&fe->request_fd);
	vhost_user_receiver_next(&fe->reply);
	vhost_user_receiver_next(&fe->request);
	virtio_device_reset(&fe->vdev);
	return -VIRTIO_ENODEV;
}

static int lose_by(struct vhost_user_frontend *fe, int error, const char *wrong)
{
	if (error == -EPROTO)
		return lose(fe, wrong);
	return lose(fe, error == -ETIMEDOUT ? "the back end does not read what it is sent" : "the back end has gone");
}

/* --- what the back end asks ------------------------------------------------------------------------------------------- */

static int answer(struct vhost_user_frontend *fe, const struct vhost_user_message *request, uint64_t value)
{
	struct vhost_user_message reply = {
		.header = { .request = request->header.request, .flags = VHOST_USER_VERSION | VHOST_USER_REPLY, .size = sizeof(uint64_t) },
		.payload.number = value,
	};
	int error = vhost_user_send(fe->request_fd, &reply, fe->options.timeout_ms);

	return error ? lose_by(fe, error, NULL) : 0;
}

static int serve_request(struct vhost_user_frontend *fe)
{
	const struct vhost_user_message *request = &fe->request.message;
	bool known = request->header.request == VHOST_USER_BACKEND_CONFIG_CHANGE;
	int error = 0;

	if (request->header.flags & VHOST_USER_NEED_REPLY)
		error = answer(fe, request, !known);
	if (!error && known && fe->options.config_changed)
		fe->options.config_changed(&fe->vdev);
	vhost_user_receiver_next(&fe->request);
	return error;
}

/* Some of them; the rest is still there next time. 0 or -VIRTIO_ENODEV. */
static int serve_requests(struct vhost_user_frontend *fe)
{
	const char *wrong = NULL;
	int ret = 0;

	for (unsigned int i = 0; i < REQUESTS && fe->request_fd >= 0; i++) {
		ret = vhost_user_receive(fe->request_fd, &fe->request, &wrong);
		if (ret != 1)
			break;
		ret = serve_request(fe);
		if (ret < 0)
			return ret;
	}
	return ret < 0 ? lose_by(fe, ret, wrong) : 0;
}

/* --- questions and answers -------------------------------------------------------------------------------------------- */

static int64_t now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Wait for the answer to @request into fe->reply. 0 or -VIRTIO_ENODEV. */
static int await_reply(struct vhost_user_frontend *fe, uint32_t request)
{
	int64_t end = now_ms() + fe->options.timeout_ms;
	const char *wrong = NULL;
	int ret;

	while (!(ret = vhost_user_receive(fe->fd, &fe->reply, &wrong))) {
		struct pollfd p[2] = { { .fd = fe->fd, .events = POLLIN }, { .fd = fe->request_fd, .events = POLLIN } };
		int64_t left = end - now_ms();

		if (left <= 0)
			return lose(fe, "the back end does not answer");
		if (poll(p, 2, (int)left) > 0 && p[1].revents && serve_requests(fe) < 0)
			return -VIRTIO_ENODEV;
	}
	if (ret < 0)
		return lose_by(fe, ret, wrong);
	if (fe->reply.message.header.request != request || !(fe->reply.message.header.flags & VHOST_USER_REPLY))
		return lose(fe, "the back end answered something else than it was asked");
	return 0;
}

/* Send a question that has an answer of at least @least bytes, to be read in fe->reply.message until the next one. */
static int ask(struct vhost_user_frontend *fe, struct vhost_user_message *message, size_t least)
{
	int error;

	if (fe->fd < 0)
		return -VIRTIO_ENODEV;
	vhost_user_receiver_next(&fe->reply);
	message->header.flags = VHOST_USER_VERSION;
	error = vhost_user_send(fe->fd, message, fe->options.timeout_ms);
	if (error)
		return lose_by(fe, error, NULL);
	error = await_reply(fe, message->header.request);
	if (!error && fe->reply.message.header.size < least)
		return lose(fe, "the back end's answer is too short");
	return error;
}

/* Send a message that has no answer but the one that REPLY_ACK gives it. 0, -VIRTIO_ENODEV, or -VIRTIO_EIO: refused. */
static int tell(struct vhost_user_frontend *fe, struct vhost_user_message *message)
{
	bool ack = agreed(fe, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int error;

	if (fe->fd < 0)
		return -VIRTIO_ENODEV;
	vhost_user_receiver_next(&fe->reply);
	message->header.flags = VHOST_USER_VERSION | (ack ? VHOST_USER_NEED_REPLY : 0);
	error = vhost_user_send(fe->fd, message, fe->options.timeout_ms);
	if (error)
		return lose_by(fe, error, NULL);
	if (!ack)
		return 0;
	error = await_reply(fe, message->header.request);
	if (error)
		return error;
	if (fe->reply.message.header.size != sizeof(uint64_t))
		return lose(fe, "the back end's answer has not the size it should");
	return fe->reply.message.payload.number ? -VIRTIO_EIO : 0;
}

static int ask_number(struct vhost_user_frontend *fe, enum vhost_user_request request, uint64_t *number)
{
	struct vhost_user_message message = { .header.request = request };
	int error = ask(fe, &message, sizeof(*number));

	if (!error)
		*number = fe->reply.message.payload.number;
	return error;
}

static int tell_number(struct vhost_user_frontend *fe, enum vhost_user_request request, uint64_t number)
{
	struct vhost_user_message message = { .header = { .request = request, .size = sizeof(number) }, .payload.number = number };

	return tell(fe, &message);
}

static int tell_ring(struct vhost_user_frontend *fe, enum vhost_user_request request, unsigned int index, uint32_t num)
{
	struct vhost_user_message message = {
		.header = { .request = request, .size = sizeof(struct vhost_user_ring_state) },
		.payload.state = { .index = index, .num = num },
	};

	return tell(fe, &message);
}

static int tell_ring_fd(struct vhost_user_frontend *fe, enum vhost_user_request request, unsigned int index, int fd)
{
	struct vhost_user_message message = {
		.header = { .request = request, .size = sizeof(uint64_t) },
		.payload.number = index,
		.fds = { fd },
		.fd_count = 1,
	};

	return tell(fe, &message);
}

static int tell_plain(struct vhost_user_frontend *fe, enum vhost_user_request request)
{
	struct vhost_user_message message = { .header.request = request };

	return tell(fe, &message);
}

/* --- the bus ---------------------------------------------------------------------------------------------------------- */

static uint64_t fe_get_features(struct virtio_device *vdev)
{
	return of(vdev)->features & ~VHOST_USER_F_PROTOCOL_FEATURES;
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

	return tell(fe, &message);
}

static int fe_finalize_features(struct virtio_device *vdev)
{
	struct vhost_user_frontend *fe = of(vdev);
	int error = tell_number(fe, VHOST_USER_SET_FEATURES, vdev->features | (fe->features & VHOST_USER_F_PROTOCOL_FEATURES));

	if (error == -VIRTIO_EIO)
		return -VIRTIO_EOPNOTSUPP;
	return error ? error : tell_memory(fe);
}

/* Some back ends do not look at the offset: always read from the beginning. */
static int fe_get(struct virtio_device *vdev, size_t offset, void *buf, size_t len)
{
	struct vhost_user_frontend *fe = of(vdev);
	struct vhost_user_message message = { .header.request = VHOST_USER_GET_CONFIG };
	const struct vhost_user_message *reply = &fe->reply.message;
	int error;

	if (!agreed(fe, VHOST_USER_PROTOCOL_F_CONFIG)) {
		if (offset > fe->options.config_len || len > fe->options.config_len - offset)
			return -VIRTIO_ERANGE;
		memcpy(buf, (const uint8_t *)fe->options.config + offset, len);
		return 0;
	}
	if (offset > VHOST_USER_CONFIG_MAX || len > VHOST_USER_CONFIG_MAX - offset)
		return -VIRTIO_ERANGE;
	message.payload.config.size = (uint32_t)(offset + len);
	message.header.size = (uint32_t)(VHOST_USER_CONFIG_HEADER + offset + len);
	error = ask(fe, &message, 0);
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
	struct vhost_user_frontend *fe = of(vdev);
	struct vhost_user_message message = {
		.header = { .request = VHOST_USER_SET_CONFIG, .size = (uint32_t)(VHOST_USER_CONFIG_HEADER + len) },
		.payload.config = { .offset = (uint32_t)offset, .size = (uint32_t)len },
	};
	int error;

	if (!agreed(fe, VHOST_USER_PROTOCOL_F_CONFIG) || offset > VHOST_USER_CONFIG_MAX || len > VHOST_USER_CONFIG_MAX - offset)
		return -VIRTIO_ERANGE;
	memcpy(message.payload.config.bytes, buf, len);
	error = tell(fe, &message);
	return error == -VIRTIO_EIO ? -VIRTIO_ERANGE : error;
}

static uint8_t fe_get_status(struct virtio_device *vdev)
{
	struct vhost_user_frontend *fe = of(vdev);
	uint64_t status = fe->status;

	if (agreed(fe, VHOST_USER_PROTOCOL_F_STATUS))
		ask_number(fe, VHOST_USER_GET_STATUS, &status);
	return (uint8_t)(fe->fd < 0 ? status | VIRTIO_STATUS_NEEDS_RESET : status);
}

static void fe_set_status(struct virtio_device *vdev, uint8_t status)
{
	struct vhost_user_frontend *fe = of(vdev);

	if ((status & ~fe->status & VIRTIO_STATUS_DRIVER_OK) && (fe->features & VHOST_USER_F_PROTOCOL_FEATURES))
		for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
			if (fe->ring[i].started)
				tell_ring(fe, VHOST_USER_SET_VRING_ENABLE, i, 1);
	fe->status = status;
	if (agreed(fe, VHOST_USER_PROTOCOL_F_STATUS))
		tell_number(fe, VHOST_USER_SET_STATUS, status);
}

/* The answer to GET_VRING_BASE is also the promise that the ring is left alone. */
static void stop_ring(struct vhost_user_frontend *fe, unsigned int index)
{
	struct vhost_user_message message = {
		.header = { .request = VHOST_USER_GET_VRING_BASE, .size = sizeof(struct vhost_user_ring_state) },
		.payload.state.index = index,
	};

	fe->ring[index].started = false;
	ask(fe, &message, sizeof(struct vhost_user_ring_state));
}

static void fe_reset(struct virtio_device *vdev)
{
	struct vhost_user_frontend *fe = of(vdev);

	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		if (fe->ring[i].started)
			stop_ring(fe, i);
	fe->status = 0;
	if (agreed(fe, VHOST_USER_PROTOCOL_F_STATUS))
		tell_number(fe, VHOST_USER_SET_STATUS, 0);
	else if (agreed(fe, VHOST_USER_PROTOCOL_F_RESET_DEVICE))
		tell_plain(fe, VHOST_USER_RESET_DEVICE);
}

/* --- queues ----------------------------------------------------------------------------------------------------------- */

static int tell_address(struct vhost_user_frontend *fe, unsigned int index, uint32_t num)
{
	uintptr_t base = (uintptr_t)fe->ring[index].base;
	struct vhost_user_message message = {
		.header = { .request = VHOST_USER_SET_VRING_ADDR, .size = sizeof(struct vhost_user_ring_address) },
		.payload.address = { .index = index,
				     .desc = base,
				     .avail = base + vring_desc_bytes(num),
				     .used = base + vring_used_offset(num, RING_ALIGN) },
	};

	return tell(fe, &message);
}

static int start_ring(struct vhost_user_frontend *fe, unsigned int index, uint32_t num)
{
	/* A packed ring begins in the lap whose wrap counters are 1 (virtio 1.2, 2.8.1). */
	uint32_t base = virtio_device_has(&fe->vdev, VIRTIO_F_RING_PACKED) ? BASE_PACKED : 0;
	int error = tell_ring(fe, VHOST_USER_SET_VRING_NUM, index, num);

	if (!error)
		error = tell_ring(fe, VHOST_USER_SET_VRING_BASE, index, base);
	if (!error)
		error = tell_address(fe, index, num);
	if (!error)
		error = tell_ring_fd(fe, VHOST_USER_SET_VRING_ERR, index, fe->ring[index].err);
	if (!error)
		error = tell_ring_fd(fe, VHOST_USER_SET_VRING_CALL, index, fe->ring[index].call);
	if (error)
		return error;
	/* From here on the back end may use the ring. */
	fe->ring[index].started = true;
	return tell_ring_fd(fe, VHOST_USER_SET_VRING_KICK, index, fe->ring[index].kick);
}

static void release_ring(struct vhost_user_frontend *fe, unsigned int index)
{
	if (fe->ring[index].base)
		vhost_user_memory_free(fe->memory, fe->ring[index].base, fe->ring[index].size);
	fe->ring[index].base = NULL;
	close_fd(&fe->ring[index].kick);
	close_fd(&fe->ring[index].call);
	close_fd(&fe->ring[index].err);
}

static int make_ring(struct vhost_user_frontend *fe, unsigned int index, uint32_t num)
{
	int *const fds[] = { &fe->ring[index].kick, &fe->ring[index].call, &fe->ring[index].err };

	for (unsigned int i = 0; i < 3; i++)
		if ((*fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
			return -VIRTIO_ENOMEM;
	fe->ring[index].size = vring_bytes(num, RING_ALIGN);
	fe->ring[index].base = vhost_user_memory_alloc(fe->memory, fe->ring[index].size, RING_ALIGN);
	return fe->ring[index].base ? 0 : -VIRTIO_ENOMEM;
}

static int fe_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct vhost_user_frontend *fe = of(vdev);
	uint32_t num = fe->options.queue_size;
	uint8_t *base;
	int error;

	/* A network card's number counts pairs. */
	if (agreed(fe, VHOST_USER_PROTOCOL_F_MQ) && index / 2 >= fe->max_queues)
		return -VIRTIO_ENOENT;
	error = make_ring(fe, index, num);
	if (error) {
		release_ring(fe, index);
		return error;
	}
	base = fe->ring[index].base;
	error = vring_driver_create(vdev, index, num, base, base + vring_desc_bytes(num), base + vring_used_offset(num, RING_ALIGN), vq);
	if (error) {
		release_ring(fe, index);
		return error;
	}
	error = start_ring(fe, index, num);
	if (!error)
		return 0;
	if (fe->ring[index].started)
		stop_ring(fe, index);
	vring_driver_destroy(*vq);
	release_ring(fe, index);
	return error;
}

static void fe_delete_queue(struct virtio_queue *vq)
{
	struct vhost_user_frontend *fe = of(vq->vdev);
	unsigned int index = vq->index;

	vring_driver_destroy(vq);
	release_ring(fe, index);
}

static void fe_notify(struct virtio_queue *vq)
{
	eventfd_write(of(vq->vdev)->ring[vq->index].kick, 1);
}

static const struct virtio_bus vhost_user_bus = {
	.get_features = fe_get_features,
	.finalize_features = fe_finalize_features,
	.get = fe_get,
	.set = fe_set,
	.get_status = fe_get_status,
	.set_status = fe_set_status,
	.reset = fe_reset,
	.find_queue = fe_find_queue,
	.delete_queue = fe_delete_queue,
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
	error = tell(fe, &message);
	close(pair[1]);
	return error;
}

static int agree_on_protocol(struct vhost_user_frontend *fe)
{
	uint64_t offered;
	int error = ask_number(fe, VHOST_USER_GET_PROTOCOL_FEATURES, &offered);

	if (error)
		return error;
	/* The answer to this message is not yet one of those agreed on. */
	error = tell_number(fe, VHOST_USER_SET_PROTOCOL_FEATURES, offered & WANTED_PROTOCOL_FEATURES);
	fe->protocol_features = offered & WANTED_PROTOCOL_FEATURES;
	if (!error && agreed(fe, VHOST_USER_PROTOCOL_F_MQ))
		error = ask_number(fe, VHOST_USER_GET_QUEUE_NUM, &fe->max_queues);
	if (!error && agreed(fe, VHOST_USER_PROTOCOL_F_BACKEND_REQ))
		error = give_request_fd(fe);
	return error;
}

static int begin(struct vhost_user_frontend *fe)
{
	int error = ask_number(fe, VHOST_USER_GET_FEATURES, &fe->features);

	if (!error && (fe->features & VHOST_USER_F_PROTOCOL_FEATURES))
		error = agree_on_protocol(fe);
	if (!error)
		error = tell_plain(fe, VHOST_USER_SET_OWNER);
	if (error)
		lose(fe, "the back end refuses to talk to us");
	return error;
}

int vhost_user_connect_fd(struct vhost_user_frontend *fe, struct vhost_user_memory *memory, int fd,
			  const struct vhost_user_options *options)
{
	prepare(fe, memory, fd, options);
	return begin(fe);
}

int vhost_user_connect(struct vhost_user_frontend *fe, struct vhost_user_memory *memory, const char *path,
		       const struct vhost_user_options *options)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd, error;

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
	lose(fe, "disconnected");
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		if (fe->vdev.queues[i])
			fe_delete_queue(fe->vdev.queues[i]);
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
		return lose_by(fe, ret, wrong);
	return ret ? lose(fe, wrong) : 0;
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
	if ((p[1].revents && serve_requests(fe) < 0) || (p[0].revents && fe->fd >= 0 && look_at_socket(fe) < 0))
		return tell_driver(fe);
	return fe->fd < 0 ? -VIRTIO_ENODEV : any || p[1].revents;
}
