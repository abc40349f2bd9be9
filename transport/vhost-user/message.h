/* SPDX-License-Identifier: MIT */
/*
 * message.h - whole vhost-user messages over a UNIX stream socket, with their descriptors.
 *
 * The stream is the other process's: it may stop in the middle, claim any length, and send descriptors nobody asked for. A message is
 * taken as it comes, bounded, and its descriptors are owned from the moment they arrive.
 */
#ifndef KENNEL_TRANSPORT_VHOST_USER_MESSAGE_H
#define KENNEL_TRANSPORT_VHOST_USER_MESSAGE_H

#include <transport/vhost-user/protocol.h>

struct vhost_user_message {
	struct vhost_user_header header;
	union vhost_user_payload payload;
	int fds[VHOST_USER_REGIONS];
	unsigned int fd_count;
};

/* A message that is arriving. Zeroed at first, and again by vhost_user_receive() after a message has been taken. */
struct vhost_user_receiver {
	size_t got;			/* bytes, header and payload */
	struct vhost_user_message message;
};

/*
 * Go on receiving from @fd, without waiting. 1: @r->message is whole; its descriptors are the caller's, who calls
 * vhost_user_receiver_next() when done with it. 0: not yet. -ECONNRESET: the other end has gone. -EPROTO: *@wrong says what it did.
 */
int vhost_user_receive(int fd, struct vhost_user_receiver *r, const char **wrong);

/* Close the descriptors that are left in the message, and be ready for the next one. */
void vhost_user_receiver_next(struct vhost_user_receiver *r);

/* Take the descriptor at @index out of the message: the caller's now. -1: there is none. */
int vhost_user_take_fd(struct vhost_user_message *message, unsigned int index);

/*
 * Send @message, waiting up to @timeout_ms for room in the socket. Its descriptors stay the caller's. 0; -ETIMEDOUT: the other end does
 * not read; -EPIPE or another errno: it has gone.
 */
int vhost_user_send(int fd, const struct vhost_user_message *message, int timeout_ms);

#endif
