/* SPDX-License-Identifier: MIT */
/*
 * slirp_poll.c - libslirp's descriptors. Its poll interface is made for poll(2): before sleeping it lists all descriptors and events it
 * wants, afterwards it asks for the results. We keep that list in the loop's epoll set instead, changing only what differs, and run the
 * whole step as one posted task: after the descriptors of a round have been gathered, after the guest has sent, or when one of slirp's
 * timeouts has passed. A descriptor that slirp closes leaves the kernel's set by itself; the callback for that keeps our table true.
 */
#include <stdlib.h>
#include <string.h>

#include "host/clock.h"
#include "host/net/slirp_parts.h"

/* What slirp wants to know about one descriptor; indexed by its number. */
struct poll_slot {
	struct loop_watch *watch;
	uint32_t wanted;		/* EPOLL*, for the fill under way */
	int revents;			/* SLIRP_POLL_*, since the last poll */
	unsigned int generation;	/* of the last fill that named it */
	struct slirp_net *net;
};

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

void slirp_step(void *opaque)
{
	struct slirp_net *net = opaque;

	slirp_pollfds_poll(net->slirp, 0, get_revents, net);
	coalescer_flush(&net->coalescer);
	refill(net);
}

/* --- the end of descriptors ------------------------------------------------------------------------------------------ */

void slirp_forget_descriptor(struct slirp_net *net, int fd)
{
	struct poll_slot *slot = fd < 0 ? NULL : slot_of(net, fd);

	if (slot)
		slot_forget(slot);
}

void slirp_free_descriptors(struct slirp_net *net)
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
