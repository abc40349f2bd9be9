/* SPDX-License-Identifier: MIT */
/*
 * User-mode networking. libslirp is a TCP/IP stack in a library: it takes the guest's frames, keeps sockets of its own, and wants
 * its owner to poll them (slirp_poll.c).
 *
 * slirp knows no offload. A guest that leaves checksums and segmentation to its card has its large frames taken whole, which slirp
 * does not mind, with the checksum put in; towards the guest, what one step has produced is coalesced (host/net/offload.h).
 *
 * Everything here runs with the I/O lock held. slirp's sockets do not block.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <virtio/net.h>

#include "host/clock.h"
#include "host/message.h"
#include "host/net/slirp_parts.h"

#define BACKLOG_MAX	(1u << 20)	/* bytes for a guest that has no buffers; TCP sends again what does not fit */

struct frame {
	struct frame *next;
	struct virtio_net_offload offload;
	size_t len;
	unsigned char data[];
};

struct slirp_timer {
	struct loop_timer timer;
	struct slirp_net *net;
	SlirpTimerCb expired;
	void *opaque;
};

static struct slirp_net *to_net(struct net_backend *be)
{
	return (struct slirp_net *)be;
}

/* --- frames to the guest --------------------------------------------------------------------------------------------- */

static bool offer(struct slirp_net *net, const void *data, size_t len, const struct virtio_net_offload *offload)
{
	struct virtio_iov frame = { (void *)data, len };

	return !net->be.receiver.receive || net->be.receiver.receive(net->be.receiver.opaque, &frame, 1, offload);
}

static void keep(struct slirp_net *net, const void *data, size_t len, const struct virtio_net_offload *offload)
{
	struct frame *frame;

	if (net->backlog_bytes + len > BACKLOG_MAX || !(frame = malloc(sizeof(*frame) + len)))
		return;
	frame->next = NULL;
	frame->len = len;
	frame->offload = *offload;
	memcpy(frame->data, data, len);
	*net->backlog_end = frame;
	net->backlog_end = &frame->next;
	net->backlog_bytes += len;
}

static void drop_first(struct slirp_net *net)
{
	struct frame *frame = net->backlog;

	net->backlog = frame->next;
	if (!net->backlog)
		net->backlog_end = &net->backlog;
	net->backlog_bytes -= frame->len;
	free(frame);
}

static void deliver(void *opaque, const void *data, size_t len, const struct virtio_net_offload *offload)
{
	struct slirp_net *net = opaque;

	if (net->backlog || !offer(net, data, len, offload))
		keep(net, data, len, offload);
}

static ssize_t send_packet(const void *data, size_t len, void *opaque)
{
	struct slirp_net *net = opaque;

	coalescer_add(&net->coalescer, data, len);
	return (ssize_t)len;
}

static void slirp_rx_ready(struct net_backend *be)
{
	struct slirp_net *net = to_net(be);

	while (net->backlog && offer(net, net->backlog->data, net->backlog->len, &net->backlog->offload))
		drop_first(net);
}

/* --- slirp's callbacks ----------------------------------------------------------------------------------------------- */

static void guest_error(const char *text, void *opaque)
{
	message_verbose("user network: %s", text);
}

static int64_t clock_get_ns(void *opaque)
{
	return (int64_t)clock_monotonic_ns();
}

static void timer_expired(void *opaque)
{
	struct slirp_timer *timer = opaque;

	timer->expired(timer->opaque);
	loop_post(timer->net->loop, &timer->net->step);
}

static void *timer_new(SlirpTimerCb expired, void *expired_opaque, void *opaque)
{
	struct slirp_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		abort();	/* slirp does the same when it has no memory */
	timer->timer.expired = timer_expired;
	timer->timer.opaque = timer;
	timer->net = opaque;
	timer->expired = expired;
	timer->opaque = expired_opaque;
	return timer;
}

static void timer_free(void *opaque, void *net)
{
	struct slirp_timer *timer = opaque;

	loop_timer_cancel(timer->net->loop, &timer->timer);
	free(timer);
}

static void timer_mod(void *opaque, int64_t expire_ms, void *net)
{
	struct slirp_timer *timer = opaque;

	loop_timer_set(timer->net->loop, &timer->timer, (uint64_t)expire_ms * NSEC_PER_MSEC);
}

static void register_poll_fd(int fd, void *opaque)
{
}

static void unregister_poll_fd(int fd, void *opaque)
{
	slirp_forget_descriptor(opaque, fd);
}

static void notify(void *opaque)
{
	struct slirp_net *net = opaque;

	loop_post(net->loop, &net->step);
}

static const SlirpCb callbacks = {
	.send_packet = send_packet,
	.guest_error = guest_error,
	.clock_get_ns = clock_get_ns,
	.timer_new = timer_new,
	.timer_free = timer_free,
	.timer_mod = timer_mod,
	.register_poll_fd = register_poll_fd,
	.unregister_poll_fd = unregister_poll_fd,
	.notify = notify,
};

/* --- frames from the guest ------------------------------------------------------------------------------------------- */

static int slirp_send(struct net_backend *be, const struct virtio_iov *iov, unsigned int count, const struct virtio_net_offload *offload)
{
	struct slirp_net *net = to_net(be);
	size_t len = 0;

	/* Always a copy: slirp looks at some fields twice, and the guest may write to its memory meanwhile. */
	for (unsigned int i = 0; i < count; i++) {
		if (iov[i].len > sizeof(net->out) - len)
			return -EMSGSIZE;
		memcpy(net->out + len, iov[i].base, iov[i].len);
		len += iov[i].len;
	}
	if (offload && offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM &&
	    !offload_checksum(net->out, len, offload->csum_start, offload->csum_offset))
		return -EINVAL;
	if (!net->asked)
		slirp_note_question(net, net->out, len);
	slirp_input(net->slirp, net->out, (int)len);
	coalescer_flush(&net->coalescer);
	loop_post(net->loop, &net->step);
	return 0;
}

static void slirp_set_offload(struct net_backend *be, bool tx_csum_tso, bool rx_csum, bool rx_tso4, bool rx_tso6, bool rx_ecn)
{
	struct coalescer *c = &to_net(be)->coalescer;

	c->checksums = rx_csum;
	c->tcp4 = rx_csum && rx_tso4;
	c->tcp6 = rx_csum && rx_tso6;
}

static void slirp_close(struct net_backend *be)
{
	struct slirp_net *net = to_net(be);

	net->be.receiver.receive = NULL;	/* closing connections may send: into nothing */
	if (net->slirp)
		slirp_cleanup(net->slirp);
	loop_task_cancel(net->loop, &net->step);
	loop_timer_cancel(net->loop, &net->timeout);
	while (net->backlog)
		drop_first(net);
	slirp_free_descriptors(net);
	free(net);
}

static const struct net_backend_ops slirp_ops = {
	.send = slirp_send,
	.set_offload = slirp_set_offload,
	.rx_ready = slirp_rx_ready,
	.close = slirp_close,
};

/* --- opening --------------------------------------------------------------------------------------------------------- */

static int add_forward(struct slirp_net *net, const struct slirp_forward *forward, struct error *err)
{
	struct in_addr guest = { htonl(0x0a00020f) };	/* 10.0.2.15 */
	char address[INET_ADDRSTRLEN];

	if (slirp_add_hostfwd(net->slirp, forward->udp ? SLIRP_HOSTFWD_UDP : 0, forward->address, (int)forward->host_port,
			      guest, (int)forward->guest_port) == 0)
		return 0;
	inet_ntop(AF_INET, &forward->address, address, sizeof(address));
	return error_errno(err, errno ? errno : EADDRINUSE, "hostfwd=%s: port %u of %s", forward->text, forward->host_port, address);
}

static int widen(int fd, int events, void *opaque)
{
	int listens = 0;
	socklen_t size = sizeof(listens);

	if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &size) == 0 && listens)
		listen(fd, SOMAXCONN);
	return -1;
}

/*
 * slirp listens with a backlog of one, and takes one connection in a step: of those that come together the kernel drops all but two, and
 * their makers try again after a second. listen(2) of a socket that listens already changes its backlog and nothing else; which sockets
 * those are slirp says where it says what is to be polled.
 */
static void widen_backlogs(Slirp *slirp)
{
	uint32_t timeout = UINT32_MAX;

	slirp_pollfds_fill(slirp, &timeout, widen, NULL);
}

static Slirp *make_slirp(struct slirp_net *net, const struct slirp_options *options)
{
	SlirpConfig config = {
		.version = 4,
		.restricted = options->restricted,
		.in_enabled = true,
		.vnetwork.s_addr = htonl(0x0a000200),		/* 10.0.2.0/24 */
		.vnetmask.s_addr = htonl(0xffffff00),
		.vhost.s_addr = htonl(0x0a000202),
		.vdhcp_start.s_addr = htonl(0x0a00020f),
		.vnameserver.s_addr = htonl(0x0a000203),
		.in6_enabled = options->ipv6,
		.vprefix_len = 64,
		.vhostname = "kennel",
	};

	inet_pton(AF_INET6, "fec0::", &config.vprefix_addr6);
	inet_pton(AF_INET6, "fec0::2", &config.vhost6);
	inet_pton(AF_INET6, "fec0::3", &config.vnameserver6);
	return slirp_new(&config, &callbacks, net);
}

static int configure(struct slirp_net *net, char *text, struct error *err)
{
	struct slirp_options options;
	int error = slirp_options_parse(text, &options, err);

	if (error)
		return error;
	net->slirp = make_slirp(net, &options);
	if (!net->slirp)
		return error_set(err, EINVAL, "user network: libslirp refused its configuration");
	for (unsigned int i = 0; i < options.forwards; i++)
		if (add_forward(net, &options.forward[i], err) < 0)
			return -EADDRINUSE;
	widen_backlogs(net->slirp);
	net->asked = options.restricted;
	return 0;
}

struct net_backend *slirp_open(struct loop *loop, const char *options, struct error *err)
{
	static atomic_uint opened;
	unsigned int number = atomic_fetch_add(&opened, 1);
	struct slirp_net *net = calloc(1, sizeof(*net));
	char *text = strdup(options ? options : "");
	int error;

	if (!net || !text) {
		error_errno(err, ENOMEM, "user network");
		free(net);
		free(text);
		return NULL;
	}
	net->be.ops = &slirp_ops;
	net->be.mtu = 1500;
	net->be.offload = true;
	memcpy(net->be.mac, (const uint8_t[]){ 0x52, 0x54, 0x00, 0x12, 0x34, (uint8_t)(0x56 + number) }, 6);
	net->loop = loop;
	net->backlog_end = &net->backlog;
	net->coalescer.deliver = deliver;
	net->coalescer.opaque = net;
	net->step = (struct loop_task){ .run = slirp_step, .opaque = net };
	net->timeout = (struct loop_timer){ .expired = slirp_step, .opaque = net };
	error = configure(net, text, err);
	free(text);
	if (error < 0) {
		slirp_close(&net->be);
		return NULL;
	}
	loop_post(loop, &net->step);
	return &net->be;
}
