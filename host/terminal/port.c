/* SPDX-License-Identifier: MIT */
/*
 * What the peer sends is read only when the guest has taken what came before, and what the guest sends is taken only as far as the socket
 * takes it. So neither can fill our memory; and the end of a connection is noticed behind its last byte.
 */
#include "host/terminal/port.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

struct port {
	struct console_backend be;	/* first: what the device holds; @away without a peer */
	struct loop *loop;
	int listener, peer;
	struct loop_watch *listening, *watch;
	bool blocked;			/* the guest waits for the peer to read */
	bool broken;			/* the peer cannot be written to any more */
	char pending[4096];		/* for the guest, not taken yet */
	size_t used;
};

static void rewatch(struct port *port)
{
	if (port->watch)
		loop_watch_set(port->watch, (port->used ? 0 : EPOLLIN) | (port->blocked || port->broken ? EPOLLOUT : 0));
}

static void offer(struct port *port)
{
	size_t taken;

	if (!port->used || !port->be.input)
		return;
	taken = port->be.input(port->be.opaque, port->pending, port->used);
	port->used -= taken;
	memmove(port->pending, port->pending + taken, port->used);
}

static void tell(struct port *port, bool away)
{
	port->be.away = away;
	if (port->be.came_or_went)
		port->be.came_or_went(port->be.opaque);
}

static void hang_up(struct port *port)
{
	loop_unwatch(port->watch);
	port->watch = NULL;
	close(port->peer);
	port->blocked = port->broken = false;
	port->used = 0;
	tell(port, true);
	loop_watch_set(port->listening, EPOLLIN);
}

/* False: there will be no more. */
static bool receive(struct port *port)
{
	ssize_t got = recv(port->peer, port->pending, sizeof(port->pending), MSG_DONTWAIT);

	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	port->used = (size_t)got;
	offer(port);
	return true;
}

static void on_peer(void *opaque, uint32_t events)
{
	struct port *port = opaque;

	if (port->blocked && events & (EPOLLOUT | EPOLLERR | EPOLLHUP)) {
		port->blocked = false;
		if (port->be.output_ready)
			port->be.output_ready(port->be.opaque);
	}
	if (port->broken || (!port->used && !receive(port)))
		hang_up(port);
	else
		rewatch(port);
}

static void on_connection(void *opaque, uint32_t events)
{
	struct port *port = opaque;

	port->peer = accept4(port->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	if (port->peer < 0)
		return;
	port->watch = loop_watch(port->loop, port->peer, EPOLLIN, on_peer, port);
	if (!port->watch) {
		close(port->peer);
		return;
	}
	loop_watch_set(port->listening, 0);
	tell(port, false);
}

/* --- operations ------------------------------------------------------------------------------------------------------- */

/* A peer that is gone takes everything; that it is gone is told by the loop, since we are within the device here. */
static size_t port_write(struct console_backend *be, const struct virtio_iov *iov, unsigned int count)
{
	struct port *port = (struct port *)be;
	struct msghdr message = { .msg_iov = (struct iovec *)(uintptr_t)iov, .msg_iovlen = count };
	size_t len = (size_t)virtio_iov_length(iov, count), sent = 0;
	ssize_t ret;

	if (!port->watch || port->broken)
		return len;
	ret = sendmsg(port->peer, &message, MSG_DONTWAIT | MSG_NOSIGNAL);
	port->broken = ret < 0 && errno != EAGAIN && errno != EINTR;
	if (port->broken)
		sent = len;
	else if (ret > 0)
		sent = (size_t)ret;
	port->blocked = sent < len;
	rewatch(port);
	return sent;
}

static void port_input_ready(struct console_backend *be)
{
	struct port *port = (struct port *)be;

	offer(port);
	rewatch(port);
}

static void port_close(struct console_backend *be)
{
	struct port *port = (struct port *)be;

	if (port->watch)
		close(port->peer);
	loop_unwatch(port->watch);
	loop_unwatch(port->listening);
	close(port->listener);
	free(port);
}

static const struct console_backend_ops port_ops = {
	.write = port_write,
	.input_ready = port_input_ready,
	.close = port_close,
};

struct console_backend *port_open(struct loop *loop, int listener, struct error *err)
{
	struct port *port = calloc(1, sizeof(*port));

	if (!port) {
		error_errno(err, ENOMEM, "a port");
		close(listener);
		return NULL;
	}
	*port = (struct port){ .be = { .ops = &port_ops, .away = true }, .loop = loop, .listener = listener };
	port->listening = loop_watch(loop, listener, EPOLLIN, on_connection, port);
	if (!port->listening) {
		error_errno(err, errno, "a port");
		close(listener);
		free(port);
		return NULL;
	}
	return &port->be;
}
