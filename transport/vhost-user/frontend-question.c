/* SPDX-License-Identifier: MIT */
/*
 * frontend-question.c - what a front end asks and is asked.
 *
 * With REPLY_ACK every message has an answer, so that an error is reported where it was made; without, the order of messages has to do.
 * While we wait for an answer the back end may be waiting for one of ours on the other socket, so both are looked at.
 *
 * There is one way for a connection to end before its time, vhost_user_lose(): the sockets are closed, what the driver has under way is
 * cancelled, and a sentence says why. What the driver does afterwards finds a device that is not there.
 */
#include <transport/vhost-user/frontend-internal.h>

#include <errno.h>
#include <poll.h>
#include <time.h>

#define REQUESTS	16		/* most of the back end's questions that are answered in one go */

/* --- the end ---------------------------------------------------------------------------------------------------------- */

int vhost_user_lose(struct vhost_user_frontend *fe, const char *reason)
{
	if (fe->fd < 0)
		return -VIRTIO_ENODEV;
	fe->error = reason;
	vhost_user_close_fd(&fe->fd);
	vhost_user_close_fd(&fe->request_fd);
	vhost_user_receiver_next(&fe->reply);
	vhost_user_receiver_next(&fe->request);
	virtio_device_reset(&fe->vdev);
	return -VIRTIO_ENODEV;
}

int vhost_user_lose_by(struct vhost_user_frontend *fe, int error, const char *wrong)
{
	if (error == -EPROTO)
		return vhost_user_lose(fe, wrong);
	return vhost_user_lose(fe, error == -ETIMEDOUT ? "the back end does not read what it is sent" : "the back end has gone");
}

/* --- what the back end asks ------------------------------------------------------------------------------------------- */

static int answer(struct vhost_user_frontend *fe, const struct vhost_user_message *request, uint64_t value)
{
	struct vhost_user_message reply = {
		.header = { .request = request->header.request, .flags = VHOST_USER_VERSION | VHOST_USER_REPLY, .size = sizeof(uint64_t) },
		.payload.number = value,
	};
	int error = vhost_user_send(fe->request_fd, &reply, fe->options.timeout_ms);

	return error ? vhost_user_lose_by(fe, error, NULL) : 0;
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

int vhost_user_serve_requests(struct vhost_user_frontend *fe)
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
	return ret < 0 ? vhost_user_lose_by(fe, ret, wrong) : 0;
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
			return vhost_user_lose(fe, "the back end does not answer");
		if (poll(p, 2, (int)left) > 0 && p[1].revents && vhost_user_serve_requests(fe) < 0)
			return -VIRTIO_ENODEV;
	}
	if (ret < 0)
		return vhost_user_lose_by(fe, ret, wrong);
	if (fe->reply.message.header.request != request || !(fe->reply.message.header.flags & VHOST_USER_REPLY))
		return vhost_user_lose(fe, "the back end answered something else than it was asked");
	return 0;
}

int vhost_user_ask(struct vhost_user_frontend *fe, struct vhost_user_message *message, size_t least)
{
	int error;

	if (fe->fd < 0)
		return -VIRTIO_ENODEV;
	vhost_user_receiver_next(&fe->reply);
	message->header.flags = VHOST_USER_VERSION;
	error = vhost_user_send(fe->fd, message, fe->options.timeout_ms);
	if (error)
		return vhost_user_lose_by(fe, error, NULL);
	error = await_reply(fe, message->header.request);
	if (!error && fe->reply.message.header.size < least)
		return vhost_user_lose(fe, "the back end's answer is too short");
	return error;
}

int vhost_user_tell(struct vhost_user_frontend *fe, struct vhost_user_message *message)
{
	bool ack = vhost_user_agreed(fe, VHOST_USER_PROTOCOL_F_REPLY_ACK);
	int error;

	if (fe->fd < 0)
		return -VIRTIO_ENODEV;
	vhost_user_receiver_next(&fe->reply);
	message->header.flags = VHOST_USER_VERSION | (ack ? VHOST_USER_NEED_REPLY : 0);
	error = vhost_user_send(fe->fd, message, fe->options.timeout_ms);
	if (error)
		return vhost_user_lose_by(fe, error, NULL);
	if (!ack)
		return 0;
	error = await_reply(fe, message->header.request);
	if (error)
		return error;
	if (fe->reply.message.header.size != sizeof(uint64_t))
		return vhost_user_lose(fe, "the back end's answer has not the size it should");
	return fe->reply.message.payload.number ? -VIRTIO_EIO : 0;
}

int vhost_user_ask_number(struct vhost_user_frontend *fe, enum vhost_user_request request, uint64_t *number)
{
	struct vhost_user_message message = { .header.request = request };
	int error = vhost_user_ask(fe, &message, sizeof(*number));

	if (!error)
		*number = fe->reply.message.payload.number;
	return error;
}

int vhost_user_tell_number(struct vhost_user_frontend *fe, enum vhost_user_request request, uint64_t number)
{
	struct vhost_user_message message = { .header = { .request = request, .size = sizeof(number) }, .payload.number = number };

	return vhost_user_tell(fe, &message);
}

int vhost_user_tell_plain(struct vhost_user_frontend *fe, enum vhost_user_request request)
{
	struct vhost_user_message message = { .header.request = request };

	return vhost_user_tell(fe, &message);
}
