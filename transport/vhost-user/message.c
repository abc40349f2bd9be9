/* SPDX-License-Identifier: MIT */
/* message.c - see message.h. */
#include <transport/vhost-user/message.h>

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEADER sizeof(struct vhost_user_header)

static void close_fds(struct vhost_user_message *message)
{
	for (unsigned int i = 0; i < message->fd_count; i++)
		if (message->fds[i] >= 0)
			close(message->fds[i]);
	message->fd_count = 0;
}

void vhost_user_receiver_next(struct vhost_user_receiver *r)
{
	close_fds(&r->message);
	memset(r, 0, sizeof(*r));
}

int vhost_user_take_fd(struct vhost_user_message *message, unsigned int index)
{
	int fd;

	if (index >= message->fd_count)
		return -1;
	fd = message->fds[index];
	message->fds[index] = -1;
	return fd;
}

/* Keep the descriptors that came with some bytes. Closes what is too many. */
static const char *keep_fds(struct vhost_user_message *message, struct msghdr *msg)
{
	const char *wrong = msg->msg_flags & MSG_CTRUNC ? "more descriptors than a message may have" : NULL;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(c) + i * sizeof(fd), sizeof(fd));
			if (message->fd_count < VHOST_USER_REGIONS) {
				message->fds[message->fd_count++] = fd;
			} else {
				close(fd);
				wrong = "more descriptors than a message may have";
			}
		}
	}
	return wrong;
}

/* What is wrong with a header that has just arrived. */
static const char *check_header(const struct vhost_user_header *header)
{
	if ((header->flags & VHOST_USER_VERSION_MASK) != VHOST_USER_VERSION)
		return "a message of another version of the protocol";
	if (header->size > sizeof(union vhost_user_payload))
		return "a message longer than any there is";
	return NULL;
}

/* One recvmsg() into [@to, @to + @len). Bytes, 0: not now, or a negative errno. */
static ssize_t receive_some(int fd, struct vhost_user_message *message, void *to, size_t len, const char **wrong)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int) * VHOST_USER_REGIONS)];
	} control;
	struct iovec iov = { .iov_base = to, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1, .msg_control = &control, .msg_controllen = sizeof(control) };
	ssize_t got = recvmsg(fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	if (got < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -errno;
	if (!got)
		return -ECONNRESET;
	*wrong = keep_fds(message, &msg);
	return *wrong ? -EPROTO : got;
}

int vhost_user_receive(int fd, struct vhost_user_receiver *r, const char **wrong)
{
	struct vhost_user_message *message = &r->message;

	for (;;) {
		uint8_t *to = (uint8_t *)&message->header + r->got;
		size_t want = HEADER - r->got;
		ssize_t got;

		if (r->got >= HEADER) {
			*wrong = check_header(&message->header);
			if (*wrong)
				return -EPROTO;
			to = (uint8_t *)&message->payload + (r->got - HEADER);
			want = HEADER + message->header.size - r->got;
			if (!want)
				return 1;
		}
		got = receive_some(fd, message, to, want, wrong);
		if (got <= 0)
			return (int)got;
		r->got += (size_t)got;
	}
}

/* --- sending ---------------------------------------------------------------------------------------------------------- */

static void attach_fds(struct msghdr *msg, void *control, size_t space, const struct vhost_user_message *message)
{
	size_t bytes = message->fd_count * sizeof(int);
	struct cmsghdr *c;

	if (!bytes)
		return;
	memset(control, 0, space);
	msg->msg_control = control;
	msg->msg_controllen = CMSG_SPACE(bytes);
	c = CMSG_FIRSTHDR(msg);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(bytes);
	memcpy(CMSG_DATA(c), message->fds, bytes);
}

/* Wait until @fd takes more. */
static int wait_writable(int fd, int timeout_ms)
{
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	int ready = poll(&p, 1, timeout_ms);

	if (ready < 0 && errno != EINTR)
		return -errno;
	return ready ? 0 : -ETIMEDOUT;
}

int vhost_user_send(int fd, const struct vhost_user_message *message, int timeout_ms)
{
	uint8_t bytes[HEADER + sizeof(union vhost_user_payload)];
	size_t len = HEADER + message->header.size, sent = 0;
	char control[CMSG_SPACE(sizeof(int) * VHOST_USER_REGIONS)] __attribute__((aligned(sizeof(size_t))));

	memcpy(bytes, &message->header, HEADER);
	memcpy(bytes + HEADER, &message->payload, message->header.size);
	while (sent < len) {
		struct iovec iov = { .iov_base = bytes + sent, .iov_len = len - sent };
		struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
		ssize_t n;

		/* Descriptors go with the first byte. */
		if (!sent)
			attach_fds(&msg, control, sizeof(control), message);
		n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
		if (n > 0) {
			sent += (size_t)n;
		} else if (n < 0 && errno == EAGAIN) {
			int error = wait_writable(fd, timeout_ms);

			if (error)
				return error;
		} else if (n < 0 && errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}
