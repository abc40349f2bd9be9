/* SPDX-License-Identifier: MIT */
/*
 * guest.h - a guest made of a few lines, for the tests of networks: it speaks ARP and just enough TCP, with frames put together by
 * hand. Its loop has no thread.
 */
#ifndef TESTS_HOST_GUEST_H
#define TESTS_HOST_GUEST_H

#include "helper.h"

#include <string.h>

#include <virtio/net.h>

#include "device/backend.h"

#define FRAMES 64

static struct loop *loop;
static struct net_backend *be;
static struct error err;
static uint32_t guest_ip, gateway_ip;
static const uint8_t guest_mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static uint8_t gateway_mac[6];

/* What came from the network, oldest first. */
static struct {
	struct virtio_net_offload offload;
	size_t len;
	uint8_t data[65550];
} inbox[FRAMES];
static unsigned int in_head, in_tail;
static bool accepting;

static bool receive(void *opaque, const struct virtio_iov *iov, unsigned int count, const struct virtio_net_offload *offload)
{
	assert_int_equal(count, 1);
	assert_true(iov->len <= sizeof(inbox[0].data));
	assert_true(in_tail - in_head < FRAMES);
	if (!accepting)
		return false;
	memcpy(inbox[in_tail % FRAMES].data, iov->base, iov->len);
	inbox[in_tail % FRAMES].offload = *offload;
	inbox[in_tail++ % FRAMES].len = iov->len;
	return true;
}

static void listen_to(struct net_backend *backend)
{
	be = backend;
	if (!be)
		fail_msg("%s", err.text);
	be->receiver.receive = receive;
	in_head = in_tail = 0;
	accepting = true;
}

static void send_frame_offload(const uint8_t *data, size_t len, const struct virtio_net_offload *offload)
{
	/* In two pieces, as drivers do. */
	struct virtio_iov iov[2] = { { (void *)data, 14 }, { (uint8_t *)data + 14, len - 14 } };

	io_lock();
	assert_int_equal(be->ops->send(be, iov, 2, offload), 0);
	io_unlock();
}

static void send_frame(const uint8_t *data, size_t len)
{
	send_frame_offload(data, len, NULL);
}

/* --- packets by hand ------------------------------------------------------------------------------------------------- */

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put32(uint8_t *p, uint32_t v)
{
	put16(p, v >> 16);
	put16(p + 2, v & 0xffff);
}

static unsigned int get16(const uint8_t *p)
{
	return p[0] * 256u + p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static uint32_t sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	for (; len > 1; len -= 2, p += 2)
		sum += get16(p);
	return len ? sum + p[0] * 256u : sum;
}

static unsigned int fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

/* Ethernet and IPv4 headers in front of @len bytes of @protocol at frame + 34. */
static void put_ip(uint8_t *frame, unsigned int protocol, uint32_t from, uint32_t to, size_t len)
{
	uint8_t *ip = frame + 14;

	memcpy(frame, to == 0xffffffff ? (const uint8_t *)"\xff\xff\xff\xff\xff\xff" : gateway_mac, 6);
	memcpy(frame + 6, guest_mac, 6);
	put16(frame + 12, 0x0800);
	memset(ip, 0, 20);
	ip[0] = 0x45;
	put16(ip + 2, (unsigned int)len + 20);
	ip[8] = 64;
	ip[9] = (uint8_t)protocol;
	put32(ip + 12, from);
	put32(ip + 16, to);
	put16(ip + 10, fold(sum16(ip, 20, 0)));
}

static void put_checksum(uint8_t *frame, unsigned int protocol, size_t len, uint8_t *field)
{
	put16(field, 0);
	put16(field, fold(sum16(frame + 34, len, sum16(frame + 26, 8, protocol + (uint32_t)len))));
}

/* --- ARP ------------------------------------------------------------------------------------------------------------- */

static void arp_for_gateway(void)
{
	uint8_t frame[42] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	memcpy(frame + 6, guest_mac, 6);
	put16(frame + 12, 0x0806);
	memcpy(frame + 14, (const uint8_t[]){ 0, 1, 8, 0, 6, 4, 0, 1 }, 8);
	memcpy(frame + 22, guest_mac, 6);
	put32(frame + 28, guest_ip);
	put32(frame + 38, gateway_ip);
	send_frame(frame, sizeof(frame));
	/* A host may speak first about other things. */
	run_until(loop, in_head != in_tail && (get16(inbox[in_head % FRAMES].data + 12) == 0x0806 || !++in_head));
	assert_int_equal(get16(inbox[in_head % FRAMES].data + 20), 2);		/* a reply */
	assert_int_equal(get32(inbox[in_head % FRAMES].data + 28), gateway_ip);
	memcpy(gateway_mac, inbox[in_head++ % FRAMES].data + 22, 6);
}

/* --- TCP ------------------------------------------------------------------------------------------------------------- */

#define FIN 1u
#define SYN 2u
#define RST 4u
#define ACK 16u

static struct {
	unsigned int port, peer_port;
	uint32_t peer, next, expected;	/* peer's address; our next sequence number; the one we wait for */
} conn;

/* Longer than a wire takes: left to the card, its checksum too, as TCP segmentation offload does. */
static void send_segment(unsigned int flags, const void *data, size_t len)
{
	static uint8_t frame[65550];
	struct virtio_net_offload offload = {
		.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM, .gso_type = VIRTIO_NET_GSO_TCPV4, .hdr_len = 54, .gso_size = 1000,
		.csum_start = 34, .csum_offset = 16,
	};
	bool large = len > 1460;
	uint8_t *tcp = frame + 34;

	put16(tcp, conn.port);
	put16(tcp + 2, conn.peer_port);
	put32(tcp + 4, conn.next);
	put32(tcp + 8, flags & ACK ? conn.expected : 0);
	put16(tcp + 18, 0);
	tcp[12] = 5 << 4;
	tcp[13] = (uint8_t)flags;
	put16(tcp + 14, 65535);
	if (len)
		memcpy(tcp + 20, data, len);
	put_ip(frame, 6, guest_ip, conn.peer, 20 + len);
	put_checksum(frame, 6, 20 + len, tcp + 16);
	if (large)	/* the pseudo-header's sum only */
		put16(tcp + 16, ~fold(sum16(frame + 26, 8, 6 + 20 + (uint32_t)len)) & 0xffff);
	send_frame_offload(frame, 34 + 20 + len, large ? &offload : NULL);
	conn.next += (uint32_t)len + !!(flags & (SYN | FIN));
}

static unsigned int large_frames, segment_size;

/* What a card would do with a frame whose checksum was left to it. */
static void finish_checksum(uint8_t *frame, const struct virtio_net_offload *offload, size_t len)
{
	if (offload->gso_type != VIRTIO_NET_GSO_NONE) {
		assert_int_equal(offload->gso_type, VIRTIO_NET_GSO_TCPV4);
		assert_true(offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM);
		assert_true(offload->gso_size > 0 && offload->gso_size < len - 20);
		large_frames++;
		segment_size = offload->gso_size;
	}
	if (!(offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return;
	assert_int_equal(offload->csum_start, 34);
	assert_int_equal(offload->csum_offset, 16);
	put16(frame + 34 + 16, fold(sum16(frame + 34, len, 0)));
}

/* The next TCP segment from the network; other frames are skipped. Checks its checksums. NULL: none yet. */
static const uint8_t *next_segment(size_t *len)
{
	while (in_head != in_tail) {
		struct virtio_net_offload *offload = &inbox[in_head % FRAMES].offload;
		uint8_t *frame = inbox[in_head++ % FRAMES].data, *ip = frame + 14;

		if (get16(frame + 12) != 0x0800 || ip[9] != 6)
			continue;
		*len = get16(ip + 2) - 20;
		assert_int_equal(fold(sum16(ip, 20, 0)), 0);
		finish_checksum(frame, offload, *len);
		assert_int_equal(fold(sum16(ip + 20, *len, sum16(ip + 12, 8, 6 + (uint32_t)*len))), 0);
		return ip + 20;
	}
	return NULL;
}

/* Connect to @port of @peer; next_segment() has the answer, which established() takes. */
static void connect_out(uint32_t peer, unsigned int port)
{
	conn.port = 4000;
	conn.peer_port = port;
	conn.peer = peer;
	conn.next = 77;
	send_segment(SYN, NULL, 0);
}

static void established(void)
{
	const uint8_t *tcp = NULL;
	size_t len;

	run_until(loop, (tcp = next_segment(&len)));
	assert_int_equal(tcp[13], SYN | ACK);
	conn.expected = get32(tcp + 4) + 1;
	send_segment(ACK, NULL, 0);
}

/* Acknowledge what has come, in order, and append it to @to. Returns the bytes. */
static size_t take_data(uint8_t *to)
{
	size_t len, head, total = 0;
	const uint8_t *tcp;

	while ((tcp = next_segment(&len))) {
		head = (tcp[12] >> 4) * 4u;
		if (get32(tcp + 4) != conn.expected || len == head)
			continue;
		memcpy(to + total, tcp + head, len - head);
		total += len - head;
		conn.expected += (uint32_t)(len - head);
		send_segment(ACK, NULL, 0);
	}
	return total;
}

#endif
