/* SPDX-License-Identifier: MIT */
/*
 * net-client.c - our network driver as a program, against a vhost-user back end that sends every frame back with its addresses swapped.
 *
 *	net-client SOCKET COUNT		COUNT frames of all lengths go out and come back, several at a time
 *	net-client SOCKET wait		frames, until the back end goes: status 1 then
 *
 * Frames may be lost by the back end, as in any network; what comes must be right. Status 0 when at least half of them came.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <transport/vhost-user/frontend.h>
#include <virtio/driver-net.h>

#define MEMORY		(1u << 20)
#define IN_FLIGHT	8
#define HEADER		14	/* of a frame: to, from, type */
#define IDLE_MS		500

static const uint8_t peer[6] = {0x02, 0, 0, 0, 0, 0x77}, own[6] = {0x02, 0, 0, 0, 0, 0x01};

static struct vhost_user_memory memory;
static struct vhost_user_frontend fe;
static struct virtio_net *net;

static int fail(const char *what)
{
	fprintf(stderr, "net-client: %s%s%s\n", what, fe.error ? "; " : "", fe.error ? fe.error : "");
	return 1;
}

/* The @i-th frame; its length and its bytes follow from @i, which is in it. */
static size_t make(uint8_t *frame, uint32_t i)
{
	size_t len = 60 + i * 37 % (VIRTIO_NET_FRAME - 60 + 1);

	memcpy(frame, peer, 6);
	memcpy(frame + 6, own, 6);
	frame[12] = 0x88;	/* a type for experiments (IEEE 802) */
	frame[13] = 0xb5;
	memcpy(frame + HEADER, &i, sizeof(i));
	for (size_t at = HEADER + sizeof(i); at < len; at++)
		frame[at] = (uint8_t)(at * 7 + i);
	return len;
}

/* Is it one of ours, with its addresses swapped? */
static bool right(const uint8_t *frame, size_t len)
{
	uint8_t expected[VIRTIO_NET_FRAME];
	uint32_t i;

	memcpy(&i, frame + HEADER, sizeof(i));
	return len == make(expected, i) && !memcmp(frame, own, 6) && !memcmp(frame + 6, peer, 6) &&
	       !memcmp(frame + 12, expected + 12, len - 12);
}

/* Take what has come. Frames, or -1: a wrong one. */
static int take(void)
{
	uint8_t frame[VIRTIO_NET_FRAME];
	int count = 0;
	size_t len;

	while ((len = virtio_net_receive(net, frame, sizeof(frame)))) {
		if (len < HEADER + 4 || !right(frame, len))
			return -1;
		count++;
	}
	return count;
}

static int exchange(uint32_t count)
{
	uint32_t sent = 0, back = 0, lost = 0;

	while (back + lost < count) {
		uint8_t frame[VIRTIO_NET_FRAME];
		int got;

		while (sent < count && sent - back - lost < IN_FLIGHT && !virtio_net_send(net, frame, make(frame, sent)))
			sent++;
		got = vhost_user_wait(&fe, IDLE_MS);
		if (got < 0)
			return fail("the back end is gone");
		if (!got)
			lost = sent - back;
		got = take();
		if (got < 0)
			return fail("a frame came back changed");
		back += (uint32_t)got;
	}
	printf("sent %u, back %u\n", sent, back);
	return back < count / 2;
}

int main(int argc, char **argv)
{
	int status;

	if (argc != 3)
		return fail("usage: net-client SOCKET COUNT|wait");
	if (vhost_user_memory_create(&memory, MEMORY))
		return fail("no memory");
	net = vhost_user_memory_alloc(&memory, sizeof(*net), 64);
	if (vhost_user_connect(&fe, &memory, argv[1], NULL) || virtio_net_probe(net, &fe.vdev))
		return fail(argv[1]);
	status = exchange(!strcmp(argv[2], "wait") ? UINT32_MAX : (uint32_t)atoi(argv[2]));
	virtio_net_remove(net);
	vhost_user_disconnect(&fe);
	vhost_user_memory_destroy(&memory);
	return status;
}
