/* SPDX-License-Identifier: MIT */
/* Checksums, and the coalescing of TCP segments, on frames put together by hand. */
#include "tests/host/helper.h"

#include <stdlib.h>
#include <string.h>

#include <virtio/net.h>

#include "host/net/offload.h"

#define SEQ	1000u
#define FRAMES	32

static struct coalescer *c;
static struct {
	uint8_t data[70000];
	size_t len;
	struct virtio_net_offload offload;
} out[FRAMES];
static unsigned int outs;

static void deliver(void *opaque, const void *frame, size_t len, const struct virtio_net_offload *offload)
{
	assert_true(outs < FRAMES);
	memcpy(out[outs].data, frame, len);
	out[outs].len = len;
	out[outs++].offload = *offload;
}

static int setup(void **state)
{
	c = calloc(1, sizeof(*c));
	c->deliver = deliver;
	c->checksums = c->tcp4 = c->tcp6 = true;
	outs = 0;
	return 0;
}

static int teardown(void **state)
{
	free(c);
	return 0;
}

static void put16(uint8_t *p, unsigned int v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* The plainest checksum there is, to compare with. */
static unsigned int plain_sum(const uint8_t *p, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? p[i] : (uint32_t)p[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* A TCP segment over IPv4 or IPv6, whose payload is the low bytes of its sequence numbers. */
struct made {
	uint8_t data[1600];
	size_t len;
};

static struct made make(bool v6, unsigned int port, uint32_t seq, unsigned int payload, unsigned int flags)
{
	struct made m = { .len = 14 + (v6 ? 40 : 20) + 20 + payload };
	uint8_t *ip = m.data + 14, *tcp = ip + (v6 ? 40 : 20);

	memcpy(m.data, "ABCDEFGHIJKL", 12);
	put16(m.data + 12, v6 ? 0x86dd : 0x0800);
	if (v6) {
		ip[0] = 0x60;
		put16(ip + 4, 20 + payload);
		ip[6] = 6;
		ip[7] = 64;
		memset(ip + 8, 0x11, 16);
		memset(ip + 24, 0x22, 16);
	} else {
		ip[0] = 0x45;
		put16(ip + 2, 40 + payload);
		put16(ip + 4, seq);
		ip[8] = 64;
		ip[9] = 6;
		memcpy(ip + 12, "\x0a\x00\x02\x02\x0a\x00\x02\x0f", 8);
		put16(ip + 10, ~plain_sum(ip, 20) & 0xffff);
	}
	put16(tcp, port);
	put16(tcp + 2, 80);
	put16(tcp + 4, seq >> 16);
	put16(tcp + 6, seq & 0xffff);
	put16(tcp + 10, seq);		/* stands for an acknowledgement that moves on */
	tcp[12] = 5 << 4;
	tcp[13] = (uint8_t)flags;
	put16(tcp + 14, seq + 1);
	for (unsigned int i = 0; i < payload; i++)
		tcp[20 + i] = (uint8_t)(seq + i);
	return m;
}

static void add(bool v6, unsigned int port, uint32_t seq, unsigned int payload, unsigned int flags)
{
	struct made m = make(v6, port, seq, payload, flags);

	coalescer_add(c, m.data, m.len);
}

#define ACK	0x10
#define PSH	0x08
#define FIN	0x01

/* Is out[@n] the segments from @seq for @payload bytes, of @size each? */
static void expect(unsigned int n, bool v6, uint32_t seq, unsigned int payload, unsigned int size, uint32_t last_seq)
{
	const uint8_t *ip = out[n].data + 14, *tcp = ip + (v6 ? 40 : 20);
	struct virtio_net_offload *o = &out[n].offload;
	uint8_t pseudo[40] = { 0 };

	assert_true(n < outs);
	assert_int_equal(out[n].len, 14 + (v6 ? 40 : 20) + 20 + payload);
	for (unsigned int i = 0; i < payload; i++)
		assert_int_equal(tcp[20 + i], (uint8_t)(seq + i));
	assert_int_equal(tcp[6] << 8 | tcp[7], seq & 0xffff);
	assert_int_equal(tcp[10] << 8 | tcp[11], last_seq & 0xffff);
	assert_int_equal(tcp[14] << 8 | tcp[15], (last_seq + 1) & 0xffff);
	if (payload <= size) {
		assert_int_equal(o->flags, VIRTIO_NET_HDR_F_DATA_VALID);
		assert_int_equal(o->gso_type, VIRTIO_NET_GSO_NONE);
		return;
	}
	assert_int_equal(o->flags, VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(o->gso_type, v6 ? VIRTIO_NET_GSO_TCPV6 : VIRTIO_NET_GSO_TCPV4);
	assert_int_equal(o->gso_size, size);
	assert_int_equal(o->hdr_len, v6 ? 74 : 54);
	assert_int_equal(o->csum_start, v6 ? 54 : 34);
	assert_int_equal(o->csum_offset, 16);
	if (v6) {
		assert_int_equal(ip[4] << 8 | ip[5], 20 + payload);
		memcpy(pseudo, ip + 8, 32);
	} else {
		assert_int_equal(ip[2] << 8 | ip[3], 40 + payload);
		assert_int_equal(plain_sum(ip, 20), 0xffff);
		memcpy(pseudo, ip + 12, 8);
	}
	put16(pseudo + 36, 6);
	put16(pseudo + 38, 20 + payload);
	assert_int_equal(tcp[16] << 8 | tcp[17], plain_sum(pseudo, sizeof(pseudo)));
}

static void test_checksum(void **state)
{
	uint8_t frame[300], whole[300];
	unsigned int seed = 5;

	for (int round = 0; round < 1000; round++) {
		unsigned int len = 60 + (unsigned int)rand_r(&seed) % 240, start = 14 + (unsigned int)rand_r(&seed) % 20;

		for (unsigned int i = 0; i < len; i++)
			frame[i] = (uint8_t)rand_r(&seed);
		memcpy(whole, frame, len);
		assert_true(offload_checksum(frame, len, start, 6));
		whole[start + 6] = frame[start + 6];
		whole[start + 7] = frame[start + 7];
		assert_memory_equal(frame, whole, len);		/* nothing else is touched */
	}
	/* A known one: RFC 1071's example bytes sum to 0xddf2. */
	memcpy(frame, "\x00\x01\xf2\x03\xf4\xf5\xf6\xf7\x00\x00", 10);
	assert_true(offload_checksum(frame, 10, 0, 8));
	assert_int_equal(frame[8] << 8 | frame[9], 0xffff & ~0xddf2);
	/* An odd length; and a sum of zero, which is written as ones. */
	memcpy(frame, "\x00\x00\x12\x00\x34", 5);
	assert_true(offload_checksum(frame, 5, 0, 0));
	assert_int_equal(frame[0] << 8 | frame[1], 0xffff & ~0x4600);
	memcpy(frame, "\xff\xff\x00\x00", 4);
	assert_true(offload_checksum(frame, 4, 0, 2));
	assert_int_equal(frame[2] << 8 | frame[3], 0xffff);
	assert_false(offload_checksum(frame, 20, 21, 0));
	assert_false(offload_checksum(frame, 20, 10, 9));
	assert_true(offload_checksum(frame, 20, 10, 8));
	assert_false(offload_checksum(frame, 20, 65535, 65535));
}

static void test_joins(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		outs = 0;
		for (unsigned int i = 0; i < 5; i++)
			add(v6, 7, SEQ + 100 * i, 100, ACK);
		assert_int_equal(outs, 0);
		add(v6, 7, SEQ + 500, 30, ACK | PSH);	/* the short one is the last */
		assert_int_equal(outs, 1);
		expect(0, v6, SEQ, 530, 100, SEQ + 500);
		assert_int_equal(out[0].data[14 + (v6 ? 40 : 20) + 13], ACK | PSH);
		coalescer_flush(c);
		assert_int_equal(outs, 1);
	}
}

static void test_sequence_wraps(void **state)
{
	add(false, 7, 0xffffffce, 100, ACK);
	add(false, 7, 50, 100, ACK);
	coalescer_flush(c);
	assert_int_equal(outs, 1);
	expect(0, false, 0xffffffce, 200, 100, 50);
}

static void test_does_not_join(void **state)
{
	struct made m;

	add(false, 7, SEQ, 100, ACK);
	add(false, 7, SEQ + 101, 100, ACK);		/* a gap */
	add(false, 7, SEQ + 101, 100, ACK);		/* the same again */
	add(false, 8, SEQ + 201, 100, ACK);		/* another connection */
	add(true, 8, SEQ + 301, 100, ACK);		/* another protocol */
	add(true, 8, SEQ + 401, 101, ACK);		/* larger than the first */
	add(true, 8, SEQ + 502, 101, ACK | FIN);	/* not plain data */
	m = make(true, 8, SEQ + 603, 101, ACK);
	m.data[14 + 8] = 0x33;				/* another host */
	add(true, 8, SEQ + 502, 101, ACK);
	coalescer_add(c, m.data, m.len);
	coalescer_flush(c);
	assert_int_equal(outs, 9);
	expect(0, false, SEQ, 100, 100, SEQ);
	expect(3, false, SEQ + 201, 100, 100, SEQ + 201);
	expect(5, true, SEQ + 401, 101, 101, SEQ + 401);
}

static void test_order_is_kept(void **state)
{
	static const uint8_t arp[42] = { [12] = 8, [13] = 6 };
	struct made m = make(false, 7, SEQ + 200, 100, ACK);

	add(false, 7, SEQ, 100, ACK);
	add(false, 7, SEQ + 100, 100, ACK);
	coalescer_add(c, arp, sizeof(arp));
	assert_int_equal(outs, 2);
	expect(0, false, SEQ, 200, 100, SEQ + 100);
	assert_int_equal(out[1].len, 42);
	assert_int_equal(out[1].offload.flags, 0);
	m.data[14 + 6] = 0x20;			/* a fragment: its checksum is not for us to vouch for */
	coalescer_add(c, m.data, m.len);
	assert_int_equal(outs, 3);
	assert_int_equal(out[2].offload.flags, 0);
	coalescer_add(c, m.data, 20);		/* and what is too short to be anything passes */
	assert_int_equal(outs, 4);
}

static void test_limit_of_ip(void **state)
{
	unsigned int i;

	for (i = 0; !outs; i++)
		add(false, 7, SEQ + 1400 * i, 1400, ACK);
	assert_true(out[0].len <= 14 + 65535);
	expect(0, false, SEQ, 1400 * (i - 1), 1400, SEQ + 1400 * (i - 2));
	assert_true(1400 * i + 40 > 65535);
}

static void test_not_negotiated(void **state)
{
	c->tcp4 = c->checksums = false;
	add(false, 7, SEQ, 100, ACK);
	assert_int_equal(outs, 1);
	assert_int_equal(out[0].offload.flags, 0);
	add(true, 7, SEQ, 100, ACK);
	add(true, 7, SEQ + 100, 100, ACK);
	coalescer_flush(c);
	assert_int_equal(outs, 2);
	expect(1, true, SEQ, 200, 100, SEQ + 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksum),
		cmocka_unit_test_setup_teardown(test_joins, setup, teardown),
		cmocka_unit_test_setup_teardown(test_sequence_wraps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_does_not_join, setup, teardown),
		cmocka_unit_test_setup_teardown(test_order_is_kept, setup, teardown),
		cmocka_unit_test_setup_teardown(test_limit_of_ip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_not_negotiated, setup, teardown),
	};

	return cmocka_run_group_tests_name("offload", tests, NULL, NULL);
}
