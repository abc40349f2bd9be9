/* SPDX-License-Identifier: MIT */
/*
 * The vhost-user front end and the disk driver on it, against arbitrary back ends: one that answers what it is asked, until the input
 * says to answer something else, to say something unasked, or to leave; and that writes what it likes into the rings. It is a thread,
 * because the front end waits for answers. See tests/virtio/fuzz.h.
 *
 * The requests of the driver are in shared memory too, but are not scribbled on: they have pointers of our own in them.
 */
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <transport/vhost-user/frontend.h>
#include <virtio/driver-block.h>

#include "tests/virtio/fuzz.h"

#define MEMORY	(1u << 20)

struct liar {
	int fd, asking;
	struct fuzz_input in;
	pthread_t thread;
};

static struct vhost_user_memory memory;

static bool answers(uint32_t request)
{
	switch (request) {
	case VHOST_USER_GET_FEATURES:
	case VHOST_USER_GET_PROTOCOL_FEATURES:
	case VHOST_USER_GET_QUEUE_NUM:
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_GET_CONFIG:
	case VHOST_USER_GET_STATUS:
		return true;
	default:
		return false;
	}
}

static void set_answer(struct liar *liar, struct vhost_user_message *m)
{
	switch (m->header.request) {
	case VHOST_USER_GET_FEATURES:
		m->payload.number = VIRTIO_F_VERSION_1 | VHOST_USER_F_PROTOCOL_FEATURES | (uint64_t)(fuzz_u8(&liar->in) & 12) << 32 |
				    (uint64_t)(fuzz_u8(&liar->in) & 3) << 28 | fuzz_u8(&liar->in);
		break;
	case VHOST_USER_GET_PROTOCOL_FEATURES:
		m->payload.number = (uint64_t)fuzz_u8(&liar->in) << 13 | fuzz_u16(&liar->in);
		break;
	case VHOST_USER_GET_VRING_BASE:
	case VHOST_USER_GET_CONFIG:
		return;
	case VHOST_USER_GET_QUEUE_NUM:
		m->payload.number = 1;
		break;
	case VHOST_USER_GET_STATUS:
		m->payload.number = 0x0b;
		break;
	default:
		m->payload.number = fuzz_u8(&liar->in) > 250;
		break;
	}
	m->header.size = sizeof(uint64_t);
}

/* False: the liar has left. */
static bool answer(struct liar *liar, struct vhost_user_message *m)
{
	bool ack = m->header.flags & VHOST_USER_NEED_REPLY;
	uint8_t twist = fuzz_u8(&liar->in);
	struct vhost_user_message reply = { .header = m->header, .payload = m->payload };

	if (m->header.request == VHOST_USER_SET_BACKEND_REQ_FD)
		liar->asking = vhost_user_take_fd(m, 0);
	if (liar->asking >= 0 && twist % 16 == 7) {
		struct vhost_user_message request = { .header = { twist / 16, VHOST_USER_VERSION | (twist & 0x40u ? 8u : 0), 0 } };

		vhost_user_send(liar->asking, &request, 0);
	}
	if (!answers(m->header.request) && !ack && twist < 250)
		return true;
	set_answer(liar, &reply);
	reply.header.flags = VHOST_USER_VERSION | VHOST_USER_REPLY;
	if (twist == 240)
		reply.header.request = fuzz_u8(&liar->in);
	if (twist == 241)
		reply.header.flags = fuzz_u32(&liar->in);
	if (twist == 242)
		reply.header.size = fuzz_u16(&liar->in) % (sizeof(reply.payload) + 1);
	if (twist == 243)
		reply.fds[reply.fd_count++] = liar->fd;
	return twist != 244 && !vhost_user_send(liar->fd, &reply, 0);
}

static void *lie(void *opaque)
{
	struct liar *liar = opaque;
	struct vhost_user_receiver r = { 0 };
	const char *wrong = NULL;
	int ret = 0;

	while (ret >= 0) {
		struct pollfd p = { .fd = liar->fd, .events = POLLIN };

		ret = vhost_user_receive(liar->fd, &r, &wrong);
		if (ret == 1 && !answer(liar, &r.message))
			ret = -1;
		if (ret == 1)
			vhost_user_receiver_next(&r);
		else if (!ret)
			poll(&p, 1, -1);
	}
	vhost_user_receiver_next(&r);
	shutdown(liar->fd, SHUT_RDWR);
	return NULL;
}

/* The rings are in the first block that the driver's queues took. */
static void scribble(struct fuzz_input *in, struct vhost_user_frontend *fe)
{
	uint8_t *ring = fe->ring[0].base;

	for (uint8_t count = fuzz_u8(in) % 16; ring && count; count--)
		ring[fuzz_u16(in) % fe->ring[0].size] = fuzz_u8(in);
	if (fe->ring[0].call >= 0)
		eventfd_write(fe->ring[0].call, 1);
}

static void drive(struct fuzz_input *in, struct vhost_user_frontend *fe, struct virtio_block *blk, uint8_t *data)
{
	static struct virtio_block_request *request;
	struct virtio_iov piece = { data, 512 };

	if (virtio_block_probe(blk, &fe->vdev) < 0)
		return;
	request = (struct virtio_block_request *)(void *)(data + 4096);
	for (unsigned int i = 0; i < 8; i++) {
		memset(&request[i], 0, sizeof(request[i]));
		if (!virtio_block_submit(blk, &request[i], VIRTIO_BLOCK_T_IN, i, &piece, 1))
			virtio_sync(blk->queue);
	}
	for (unsigned int i = 0; i < 8 && in->left; i++) {
		scribble(in, fe);
		if (vhost_user_wait(fe, 0) < 0)
			break;
	}
	virtio_block_remove(blk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct vhost_user_options options = { .timeout_ms = 20, .queue_size = 16 };
	size_t half = size / 2;
	struct fuzz_input in = { data, half };
	struct liar liar = { .asking = -1, .in = { data + half, size - half } };
	struct vhost_user_frontend fe;
	struct virtio_block *blk;
	uint8_t *buffers;
	int pair[2];

	if (!memory.mem.base && vhost_user_memory_create(&memory, MEMORY))
		abort();
	memory.used = 0;
	memset(memory.freed, 0, sizeof(memory.freed));
	memset(memory.mem.base, 0, 64u << 10);
	blk = vhost_user_memory_alloc(&memory, sizeof(*blk), 64);
	buffers = vhost_user_memory_alloc(&memory, 8192, 4096);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		abort();
	liar.fd = pair[1];
	if (pthread_create(&liar.thread, NULL, lie, &liar))
		abort();
	if (!vhost_user_connect_fd(&fe, &memory, pair[0], &options))
		drive(&in, &fe, blk, buffers);
	vhost_user_disconnect(&fe);
	pthread_join(liar.thread, NULL);
	close(liar.fd);
	if (liar.asking >= 0)
		close(liar.asking);
	return 0;
}
