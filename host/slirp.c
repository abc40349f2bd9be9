/* SPDX-License-Identifier: MIT */
/*
 * User-mode networking. libslirp is a TCP/IP stack in a library: it takes the guest's frames, keeps sockets of its own, and wants
 * its owner to poll them. Its poll interface is made for poll(2): before sleeping it lists all descriptors and events it wants,
 * afterwards it asks for the results. We keep that list in the loop's epoll set instead, changing only what differs, and run the
 * whole step as one posted task: after the descriptors of a round have been gathered, after the guest has sent, or when one of
 * slirp's timeouts has passed. A descriptor that slirp closes leaves the kernel's set by itself; the callback for that keeps our
 * table true.
 *
 * slirp knows no offload. A guest that leaves checksums and segmentation to its card has its large frames taken whole, which slirp
 * does not mind, with the checksum put in; towards the guest, what one step has produced is coalesced (host/offload.h).
 *
 * Everything here runs with the I/O lock held. slirp's sockets do not block.
 */
#include "host/slirp.h"

#include <arpa/inet.h>
#include <errno.h>
#include <slirp/libslirp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <virtio/net.h>

#include "host/clock.h"
#include "host/message.h"
#include "host/offload.h"

#define FRAME_MAX	(65535 + 14)
#define BACKLOG_MAX	(1u << 20)	/* bytes for a guest that has no buffers; TCP sends again what does not fit */

/* What slirp wants to know about one descriptor; indexed by its number. */
struct poll_slot {
	struct loop_watch *watch;
	uint32_t wanted;		/* EPOLL*, for the fill under way */
	int revents;			/* SLIRP_POLL_*, since the last poll */
	unsigned int generation;	/* of the last fill that named it */
	struct slirp_net *net;
};

struct slot_list {
	int *fd;
	size_t used, room;
};

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

struct slirp_net {
	struct net_backend be;
	struct loop *loop;
	Slirp *slirp;
	struct loop_task step;
	struct loop_timer timeout;
	struct poll_slot **slot;	/* by descriptor number */
	size_t slots;
	struct slot_list listed, before;	/* descriptors named by the last fill, and by the one before */
	unsigned int generation;
	struct frame *backlog, **backlog_end;
	size_t backlog_bytes;
	struct coalescer coalescer;
	unsigned char out[FRAME_MAX];
};

static struct slirp_net *to_net(struct net_backend *be)
{
	return (struct slirp_net *)be;
}

/* --- descriptors ----------------------------------------------------------------------------------------------------- */

static const struct {
	int slirp;
	uint32_t epoll;
} event_names[] = {
	{ SLIRP_POLL_IN, EPOLLIN }, { SLIRP_POLL_OUT, EPOLLOUT }, { SLIRP_POLL_PRI, EPOLLPRI },
	{ SLIRP_POLL_ERR, EPOLLERR }, { SLIRP_POLL_HUP, EPOLLHUP },
};

#define EVENT_NAMES (sizeof(event_names) / sizeof(event_names[0]))

static uint32_t to_epoll(int events)
{
	uint32_t result = 0;

	for (unsigned int i = 0; i < EVENT_NAMES; i++)
		result |= events & event_names[i].slirp ? event_names[i].epoll : 0;
	return result;
}

static int to_slirp(uint32_t events)
{
	int result = 0;

	for (unsigned int i = 0; i < EVENT_NAMES; i++)
		result |= events & event_names[i].epoll ? event_names[i].slirp : 0;
	return result;
}

static void slot_ready(void *opaque, uint32_t events)
{
	struct poll_slot *slot = opaque;

	slot->revents |= to_slirp(events);
	loop_post(slot->net->loop, &slot->net->step);
}

static struct poll_slot *slot_of(struct slirp_net *net, int fd)
{
	return (size_t)fd < net->slots ? net->slot[fd] : NULL;
}

static struct poll_slot *slot_make(struct slirp_net *net, int fd)
{
	size_t slots = (size_t)fd + 1;
	struct poll_slot **table;

	if (slots > net->slots) {
		slots = slots < 64 ? 64 : slots * 2;
		table = realloc(net->slot, slots * sizeof(*table));
		if (!table)
			return NULL;
		memset(table + net->slots, 0, (slots - net->slots) * sizeof(*table));
		net->slot = table;
		net->slots = slots;
	}
	if (!net->slot[fd]) {
		net->slot[fd] = calloc(1, sizeof(struct poll_slot));
		if (net->slot[fd])
			net->slot[fd]->net = net;
	}
	return net->slot[fd];
}

static bool list_add(struct slot_list *list, int fd)
{
	size_t room;
	int *table;

	if (list->used == list->room) {
		room = list->room ? list->room * 2 : 64;
		table = realloc(list->fd, room * sizeof(*table));
		if (!table)
			return false;
		list->fd = table;
		list->room = room;
	}
	list->fd[list->used++] = fd;
	return true;
}

static void slot_forget(struct poll_slot *slot)
{
	loop_unwatch(slot->watch);
	slot->watch = NULL;
	slot->revents = 0;
}

static void slot_watch(struct poll_slot *slot, int fd)
{
	/* A number that was closed and opened again without our being told is unknown to the kernel's set: start afresh. */
	if (slot->watch && loop_watch_set(slot->watch, slot->wanted) < 0)
		slot_forget(slot);
	if (!slot->watch)
		slot->watch = loop_watch(slot->net->loop, fd, slot->wanted, slot_ready, slot);
}

/* --- slirp's poll step ----------------------------------------------------------------------------------------------- */

static int add_poll(int fd, int events, void *opaque)
{
	struct slirp_net *net = opaque;
	struct poll_slot *slot = fd < 0 ? NULL : slot_make(net, fd);

	if (!slot || !list_add(&net->listed, fd))
		return -1;
	slot->wanted = to_epoll(events);
	slot->generation = net->generation;
	return fd;
}

static int get_revents(int index, void *opaque)
{
	struct slirp_net *net = opaque;
	struct poll_slot *slot = index < 0 ? NULL : slot_of(net, index);
	int revents = slot ? slot->revents : 0;

	if (slot)
		slot->revents = 0;
	return revents;
}

/* Ask slirp what it waits for now, and make the loop wait for that. */
static void refill(struct slirp_net *net)
{
	uint32_t timeout = UINT32_MAX;
	struct slot_list spare = net->before;

	net->before = net->listed;
	net->listed = spare;
	net->listed.used = 0;
	net->generation++;
	slirp_pollfds_fill(net->slirp, &timeout, add_poll, net);

	for (size_t i = 0; i < net->before.used; i++) {
		struct poll_slot *slot = slot_of(net, net->before.fd[i]);

		if (slot->generation != net->generation)
			slot_forget(slot);
	}
	for (size_t i = 0; i < net->listed.used; i++)
		slot_watch(slot_of(net, net->listed.fd[i]), net->listed.fd[i]);

	if (timeout == UINT32_MAX)
		loop_timer_cancel(net->loop, &net->timeout);
	else
		loop_timer_set(net->loop, &net->timeout, clock_monotonic_ns() + timeout * NSEC_PER_MSEC);
}

static void step(void *opaque)
{
	struct slirp_net *net = opaque;

	slirp_pollfds_poll(net->slirp, 0, get_revents, net);
	coalescer_flush(&net->coalescer);
	refill(net);
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

/* --- slirp's other callbacks ----------------------------------------------------------------------------------------- */

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
	struct poll_slot *slot = fd < 0 ? NULL : slot_of(opaque, fd);

	if (slot)
		slot_forget(slot);
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

static void free_slots(struct slirp_net *net)
{
	for (size_t i = 0; i < net->slots; i++) {
		if (net->slot[i])
			loop_unwatch(net->slot[i]->watch);
		free(net->slot[i]);
	}
	free(net->slot);
	free(net->listed.fd);
	free(net->before.fd);
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
	free_slots(net);
	free(net);
}

static const struct net_backend_ops slirp_ops = {
	.send = slirp_send,
	.set_offload = slirp_set_offload,
	.rx_ready = slirp_rx_ready,
	.close = slirp_close,
};

/* --- options --------------------------------------------------------------------------------------------------------- */

#define FORWARDS_MAX 32

struct forward {
	const char *text;
	bool udp;
	struct in_addr address;
	unsigned int host_port, guest_port;
};

struct options {
	bool ipv6, restricted;
	struct forward forward[FORWARDS_MAX];
	unsigned int forwards;
};

static bool parse_port(const char *text, unsigned int *port)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*port = (unsigned int)value;
	return *text >= '0' && *text <= '9' && !*end && value > 0 && value < 65536;
}

/* tcp:[ADDR:]HOSTPORT:GUESTPORT; @text stays as it is. */
static int parse_forward(const char *text, struct forward *forward, struct error *err)
{
	char copy[128], *part[4], *next = copy;
	unsigned int parts = 0;
	bool good;

	snprintf(copy, sizeof(copy), "%s", text);
	while (parts < 4 && next)
		part[parts++] = strsep(&next, ":");
	good = !next && strlen(text) < sizeof(copy) && (parts == 3 || parts == 4) && (!strcmp(part[0], "tcp") || !strcmp(part[0], "udp"));
	if (good) {
		forward->text = text;
		forward->udp = part[0][0] == 'u';
		forward->address.s_addr = htonl(INADDR_LOOPBACK);
		if (parts == 4 && *part[1])
			good = inet_pton(AF_INET, part[1], &forward->address) == 1;
		good = good && parse_port(part[parts - 2], &forward->host_port) && parse_port(part[parts - 1], &forward->guest_port);
	}
	if (!good)
		return error_set(err, EINVAL, "hostfwd=%s: expected hostfwd=tcp:[ADDR:]HOSTPORT:GUESTPORT (or udp)", text);
	return 0;
}

/* With no route to IPv6 networks, a guest that were offered one would try it first, and wait. */
static bool host_has_ipv6(void)
{
	struct sockaddr_in6 somewhere = { .sin6_family = AF_INET6, .sin6_port = htons(53) };
	int fd = socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has;

	if (fd < 0)
		return false;
	inet_pton(AF_INET6, "2001:500:2::c", &somewhere.sin6_addr);	/* a root name server; nothing is sent */
	has = connect(fd, (struct sockaddr *)&somewhere, sizeof(somewhere)) == 0;
	close(fd);
	return has;
}

static int parse_switch(const char *option, const char *value, bool *on, struct error *err)
{
	*on = !strcmp(value, "on");
	if (!*on && strcmp(value, "off"))
		return error_set(err, EINVAL, "%s: on or off", option);
	return 0;
}

static int parse_option(const char *option, struct options *options, struct error *err)
{
	if (!strncmp(option, "hostfwd=", 8)) {
		if (options->forwards == FORWARDS_MAX)
			return error_set(err, E2BIG, "%s: at most %d forwarded ports", option, FORWARDS_MAX);
		return parse_forward(option + 8, &options->forward[options->forwards++], err);
	}
	if (!strncmp(option, "ipv6=", 5))
		return parse_switch(option, option + 5, &options->ipv6, err);
	if (!strncmp(option, "restrict=", 9))
		return parse_switch(option, option + 9, &options->restricted, err);
	return error_set(err, EINVAL, "%s: unknown option of the user network (hostfwd=, ipv6=, restrict=)", option);
}

static int add_forward(struct slirp_net *net, const struct forward *forward, struct error *err)
{
	struct in_addr guest = { htonl(0x0a00020f) };	/* 10.0.2.15 */
	char address[INET_ADDRSTRLEN];

	if (slirp_add_hostfwd(net->slirp, forward->udp ? SLIRP_HOSTFWD_UDP : 0, forward->address, (int)forward->host_port,
			      guest, (int)forward->guest_port) == 0)
		return 0;
	inet_ntop(AF_INET, &forward->address, address, sizeof(address));
	return error_errno(err, errno ? errno : EADDRINUSE, "hostfwd=%s: port %u of %s", forward->text, forward->host_port, address);
}

static Slirp *make_slirp(struct slirp_net *net, const struct options *options)
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
	struct options options = { .ipv6 = host_has_ipv6() };
	char *option;

	while ((option = strsep(&text, ",")))
		if (*option && parse_option(option, &options, err) < 0)
			return -EINVAL;
	net->slirp = make_slirp(net, &options);
	if (!net->slirp)
		return error_set(err, EINVAL, "user network: libslirp refused its configuration");
	for (unsigned int i = 0; i < options.forwards; i++)
		if (add_forward(net, &options.forward[i], err) < 0)
			return -EADDRINUSE;
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
	net->step = (struct loop_task){ .run = step, .opaque = net };
	net->timeout = (struct loop_timer){ .expired = step, .opaque = net };
	error = configure(net, text, err);
	free(text);
	if (error < 0) {
		slirp_close(&net->be);
		return NULL;
	}
	loop_post(loop, &net->step);
	return &net->be;
}
