/* SPDX-License-Identifier: MIT */
#include "host/net/offload.h"

#include <string.h>

#include <virtio/net.h>

#define ETHERNET	14u
#define TCP_SIZE	20u	/* without options: segments with data have none here */
#define PROTO_TCP	6
#define PROTO_UDP	17
#define TCP_PSH		0x08
#define TCP_ACK		0x10
#define TYPE_IPV4	0x0800
#define TYPE_IPV6	0x86dd

static unsigned int get16(const uint8_t *p)
{
	return (unsigned int)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return (uint32_t)get16(p) << 16 | get16(p + 2);
}

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* --- checksums ------------------------------------------------------------------------------------------------------- */

/* The ones' complement sum has the same value in either byte order, up to a swap (RFC 1071): so sum as the host reads. */
static uint64_t sum_bytes(const uint8_t *p, size_t len)
{
	uint64_t sum = 0;
	uint32_t word;
	uint16_t half = 0;

	for (; len >= 4; len -= 4, p += 4) {
		memcpy(&word, p, 4);
		sum += word;
	}
	if (len >= 2) {
		memcpy(&half, p, 2);
		sum += half;
		p += 2;
		len -= 2;
	}
	if (len) {
		half = 0;
		memcpy(&half, p, 1);
		sum += half;
	}
	return sum;
}

/* To 16 bits, in the order of the wire. */
static unsigned int fold(uint64_t sum)
{
	uint16_t folded;

	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	folded = (uint16_t)sum;
	return get16((const uint8_t *)&folded);
}

bool offload_checksum(uint8_t *frame, size_t len, unsigned int start, unsigned int offset)
{
	unsigned int sum;

	if (start > len || (size_t)start + offset + 2 > len)
		return false;
	/* The field holds the sum of the pseudo-header: it is part of what is summed. */
	sum = ~fold(sum_bytes(frame + start, len - start)) & 0xffff;
	put16(frame + start + offset, sum ? sum : 0xffff);	/* for UDP, 0 would mean "none" (RFC 768); for TCP both are right */
	return true;
}

/* --- receive coalescing ---------------------------------------------------------------------------------------------- */

struct segment {
	unsigned int ip_size;
	uint8_t protocol;
	const uint8_t *tcp;
	unsigned int payload;
};

/* Take a frame apart. False: no IP packet whose transport header we would find. */
static bool parse(const uint8_t *frame, size_t len, struct segment *s)
{
	const uint8_t *ip = frame + ETHERNET;

	if (len < ETHERNET + 20)
		return false;
	if (get16(frame + 12) == TYPE_IPV4) {
		s->ip_size = 20;
		s->protocol = ip[9];
		/* No options, no fragment, no padding behind. */
		return ip[0] == 0x45 && !(get16(ip + 6) & 0x3fff) && ETHERNET + get16(ip + 2) == len;
	}
	if (get16(frame + 12) == TYPE_IPV6 && len >= ETHERNET + 40) {
		s->ip_size = 40;
		s->protocol = ip[6];
		return ip[0] >> 4 == 6 && ETHERNET + 40 + get16(ip + 4) == len;
	}
	return false;
}

/* A data segment of an established connection, with nothing special about it. */
static bool is_plain_data(const uint8_t *frame, size_t len, struct segment *s)
{
	if (s->protocol != PROTO_TCP || len <= ETHERNET + s->ip_size + TCP_SIZE)
		return false;
	s->tcp = frame + ETHERNET + s->ip_size;
	s->payload = (unsigned int)(len - ETHERNET - s->ip_size - TCP_SIZE);
	return s->tcp[12] == 5 << 4 && (s->tcp[13] & ~TCP_PSH) == TCP_ACK;
}

/* The headers that must be alike: all of Ethernet's; of IP's all but length, identification and checksum; the ports. */
static bool same_flow(const struct coalescer *c, const uint8_t *frame, const struct segment *s)
{
	const uint8_t *ip = frame + ETHERNET, *before = c->frame + ETHERNET;

	if (s->ip_size != c->ip_size || memcmp(frame, c->frame, ETHERNET) || memcmp(s->tcp, before + c->ip_size, 4))
		return false;
	if (s->ip_size == 40)
		return !memcmp(ip, before, 4) && !memcmp(ip + 6, before + 6, 34);
	return !memcmp(ip, before, 2) && !memcmp(ip + 6, before + 6, 4) && !memcmp(ip + 12, before + 12, 8);
}

static bool append(struct coalescer *c, const uint8_t *frame, const struct segment *s)
{
	uint8_t *tcp = c->frame + ETHERNET + c->ip_size;
	size_t ip_bytes = c->len - ETHERNET + s->payload;

	if (!same_flow(c, frame, s) || get32(s->tcp + 4) != c->next_seq || s->payload > c->segment_size || ip_bytes > 65535)
		return false;
	memcpy(c->frame + c->len, s->tcp + TCP_SIZE, s->payload);
	c->len += s->payload;
	c->next_seq += s->payload;
	c->segments++;
	memcpy(tcp + 8, s->tcp + 8, 4);		/* the latest acknowledgement, */
	tcp[13] |= s->tcp[13];			/* push if one pushes, */
	memcpy(tcp + 14, s->tcp + 14, 2);	/* the latest window */
	return true;
}

static void begin(struct coalescer *c, const uint8_t *frame, size_t len, const struct segment *s)
{
	memcpy(c->frame, frame, len);
	c->len = len;
	c->segments = 1;
	c->ip_size = s->ip_size;
	c->segment_size = (uint16_t)s->payload;
	c->next_seq = get32(s->tcp + 4) + s->payload;
}

/* Lengths and checksums of the large frame: TCP's holds the pseudo-header's sum only, as virtio wants it (virtio 1.2, 5.1.6.4). */
static void finish_headers(struct coalescer *c)
{
	uint8_t *ip = c->frame + ETHERNET, *tcp = ip + c->ip_size;
	unsigned int tcp_bytes = (unsigned int)(c->len - ETHERNET - c->ip_size);
	uint8_t pseudo[4] = { 0, PROTO_TCP, (uint8_t)(tcp_bytes >> 8), (uint8_t)tcp_bytes };

	if (c->ip_size == 40) {
		put16(ip + 4, tcp_bytes);
		put16(tcp + 16, fold(sum_bytes(ip + 8, 32) + sum_bytes(pseudo, 4)));
		return;
	}
	put16(ip + 2, tcp_bytes + 20);
	put16(ip + 10, 0);
	put16(ip + 10, ~fold(sum_bytes(ip, 20)) & 0xffff);
	put16(tcp + 16, fold(sum_bytes(ip + 12, 8) + sum_bytes(pseudo, 4)));
}

void coalescer_flush(struct coalescer *c)
{
	struct virtio_net_offload offload = { .flags = c->checksums ? VIRTIO_NET_HDR_F_DATA_VALID : 0 };
	size_t len = c->len;

	if (!len)
		return;
	if (c->segments > 1) {
		finish_headers(c);
		offload.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		offload.gso_type = c->ip_size == 40 ? VIRTIO_NET_GSO_TCPV6 : VIRTIO_NET_GSO_TCPV4;
		offload.gso_size = c->segment_size;
		offload.hdr_len = (uint16_t)(ETHERNET + c->ip_size + TCP_SIZE);
		offload.csum_start = (uint16_t)(ETHERNET + c->ip_size);
		offload.csum_offset = 16;
	}
	c->len = 0;
	c->deliver(c->opaque, c->frame, len, &offload);
}

static void pass(struct coalescer *c, const uint8_t *frame, size_t len, bool transport)
{
	struct virtio_net_offload offload = { .flags = c->checksums && transport ? VIRTIO_NET_HDR_F_DATA_VALID : 0 };

	coalescer_flush(c);
	c->deliver(c->opaque, frame, len, &offload);
}

void coalescer_add(struct coalescer *c, const uint8_t *frame, size_t len)
{
	struct segment s;
	bool is_ip = parse(frame, len, &s);

	if (!is_ip || !(s.ip_size == 40 ? c->tcp6 : c->tcp4) || !is_plain_data(frame, len, &s)) {
		pass(c, frame, len, is_ip && (s.protocol == PROTO_TCP || s.protocol == PROTO_UDP));
		return;
	}
	if (!c->len || !append(c, frame, &s)) {
		coalescer_flush(c);
		begin(c, frame, len, &s);
	}
	/* Only the last segment may be a short one. */
	if (s.payload < c->segment_size)
		coalescer_flush(c);
}
