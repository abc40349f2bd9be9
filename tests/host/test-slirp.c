/* SPDX-License-Identifier: MIT */
/*
 * The user network, seen from a guest made of a few lines: it speaks ARP, DHCP and just enough TCP, with frames put together by
 * hand. Everything runs on a loop without a thread.
 */
#include "helper.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/slirp.h"

#define GUEST_IP	0x0a00020fu
#define GATEWAY_IP	0x0a000202u
#define FRAMES		256

static struct loop *loop;
static struct net_backend *be;
static struct error err;
static const uint8_t guest_mac[6] = { 0x52, 0x54, 0, 0x12, 0x34, 0x56 };
static uint8_t gateway_mac[6];

/* What came from the network, oldest first. */
static struct {
	uint8_t data[2048];
	size_t len;
} inbox[FRAMES];
static unsigned int in_head, in_tail;
static bool accepting;

static bool receive(void *opaque, const struct virtio_iov *iov, unsigned int count, const struct net_offload *offload)
{
	assert_int_equal(count, 1);
	assert_true(iov->len <= sizeof(inbox[0].data));
	if (!accepting)
		return false;
	memcpy(inbox[in_tail % FRAMES].data, iov->base, iov->len);
	inbox[in_tail++ % FRAMES].len = iov->len;
	return true;
}

static void send_frame(const uint8_t *data, size_t len)
{
	/* In two pieces, as drivers do. */
	struct virtio_iov iov[2] = { { (void *)data, 14 }, { (uint8_t *)data + 14, len - 14 } };

	io_lock();
	assert_int_equal(be->ops->send(be, iov, 2, NULL), 0);
	io_unlock();
}

static void open_network(const char *options)
{
	io_lock();
	be = slirp_open(loop, options, &err);
	io_unlock();
	if (!be)
		fail_msg("%s", err.text);
	be->receiver.receive = receive;
	in_head = in_tail = 0;
	accepting = true;
}

static int setup(void **state)
{
	loop = new_loop();
	return 0;
}

static int teardown(void **state)
{
	if (be)
		be->ops->close(be);
	be = NULL;
	loop_destroy(loop);
	return 0;
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

/* --- ARP and DHCP ---------------------------------------------------------------------------------------------------- */

static void arp_for_gateway(void)
{
	uint8_t frame[42] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	memcpy(frame + 6, guest_mac, 6);
	put16(frame + 12, 0x0806);
	memcpy(frame + 14, (const uint8_t[]){ 0, 1, 8, 0, 6, 4, 0, 1 }, 8);
	memcpy(frame + 22, guest_mac, 6);
	put32(frame + 28, GUEST_IP);
	put32(frame + 38, GATEWAY_IP);
	send_frame(frame, sizeof(frame));
	run_until(loop, in_head != in_tail);
	assert_int_equal(get16(inbox[in_head % FRAMES].data + 12), 0x0806);
	assert_int_equal(get16(inbox[in_head % FRAMES].data + 20), 2);		/* a reply */
	assert_int_equal(get32(inbox[in_head % FRAMES].data + 28), GATEWAY_IP);
	memcpy(gateway_mac, inbox[in_head++ % FRAMES].data + 22, 6);
}

static void test_arp(void **state)
{
	open_network(NULL);
	arp_for_gateway();
	assert_int_equal(gateway_mac[0] & 1, 0);
}

/* RFC 2131: DISCOVER, and what the OFFER holds. */
static void test_dhcp(void **state)
{
	static const uint8_t discover[] = { 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 55, 3, 1, 3, 6, 255 };
	uint8_t frame[14 + 20 + 8 + 300] = { 0 }, *udp = frame + 34, *bootp = udp + 8;
	const uint8_t *offer;

	open_network("ipv6=off");
	bootp[0] = 1;
	bootp[1] = 1;
	bootp[2] = 6;
	put32(bootp + 4, 0x12345678);
	memcpy(bootp + 28, guest_mac, 6);
	memcpy(bootp + 236, discover, sizeof(discover));
	put16(udp, 68);
	put16(udp + 2, 67);
	put16(udp + 4, 308);
	put_ip(frame, 17, 0, 0xffffffff, 308);
	put_checksum(frame, 17, 308, udp + 6);
	send_frame(frame, sizeof(frame));
	run_until(loop, in_head != in_tail);

	offer = inbox[0].data + 34 + 8;
	assert_int_equal(get16(offer - 8 + 2), 68);
	assert_int_equal(offer[0], 2);
	assert_int_equal(get32(offer + 4), 0x12345678);
	assert_int_equal(get32(offer + 16), GUEST_IP);
	assert_non_null(memmem(offer + 236, 200, "\x35\x01\x02", 3));			/* an offer */
	assert_non_null(memmem(offer + 236, 200, "\x03\x04\x0a\x00\x02\x02", 6));	/* router */
	assert_non_null(memmem(offer + 236, 200, "\x06\x04\x0a\x00\x02\x03", 6));	/* name server */
}

/* A guest without buffers loses nothing: frames wait for it. */
static void test_backlog(void **state)
{
	open_network("ipv6=off");
	arp_for_gateway();
	accepting = false;
	for (int i = 0; i < 3; i++) {
		uint8_t frame[14 + 20 + 8 + 8] = { 0 }, *icmp = frame + 34;

		icmp[0] = 8;		/* echo request to the gateway, which answers itself */
		put16(icmp + 6, (unsigned int)i);
		put16(icmp + 2, fold(sum16(icmp, 16, 0)));
		put_ip(frame, 1, GUEST_IP, GATEWAY_IP, 16);
		send_frame(frame, sizeof(frame));
		loop_run_once(loop, 10);
	}
	assert_int_equal(in_head, in_tail);
	accepting = true;
	io_lock();
	be->ops->rx_ready(be);
	io_unlock();
	assert_int_equal(in_tail - in_head, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(inbox[in_head % FRAMES].data[34], 0);			/* echo reply, in order */
		assert_int_equal(get16(inbox[in_head++ % FRAMES].data + 34 + 6), i);
	}
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

static void send_segment(unsigned int flags, const void *data, size_t len)
{
	uint8_t frame[1514] = { 0 }, *tcp = frame + 34;

	put16(tcp, conn.port);
	put16(tcp + 2, conn.peer_port);
	put32(tcp + 4, conn.next);
	put32(tcp + 8, flags & ACK ? conn.expected : 0);
	tcp[12] = 5 << 4;
	tcp[13] = (uint8_t)flags;
	put16(tcp + 14, 65535);
	if (len)
		memcpy(tcp + 20, data, len);
	put_ip(frame, 6, GUEST_IP, conn.peer, 20 + len);
	put_checksum(frame, 6, 20 + len, tcp + 16);
	send_frame(frame, 34 + 20 + len);
	conn.next += (uint32_t)len + !!(flags & (SYN | FIN));
}

/* The next TCP segment from the network; other frames are skipped. Checks its checksum. NULL: none yet. */
static const uint8_t *next_segment(size_t *len)
{
	while (in_head != in_tail) {
		const uint8_t *frame = inbox[in_head++ % FRAMES].data, *ip = frame + 14;

		if (get16(frame + 12) != 0x0800 || ip[9] != 6)
			continue;
		*len = get16(ip + 2) - 20;
		assert_int_equal(fold(sum16(ip + 20, *len, sum16(ip + 12, 8, 6 + (uint32_t)*len))), 0);
		return ip + 20;
	}
	return NULL;
}

/* The guest's server: accept, echo what comes, close when the other end does. True once the connection is over. */
static bool echo_server(void)
{
	const uint8_t *tcp;
	size_t len, head;

	while ((tcp = next_segment(&len))) {
		head = (tcp[12] >> 4) * 4u;
		if (tcp[13] & RST)
			fail_msg("connection reset");
		if (tcp[13] & SYN) {
			conn.port = get16(tcp + 2);
			conn.peer_port = get16(tcp);
			conn.peer = GATEWAY_IP;
			conn.next = 1000;
			conn.expected = get32(tcp + 4) + 1;
			send_segment(SYN | ACK, NULL, 0);
			continue;
		}
		if (get32(tcp + 4) != conn.expected)
			continue;
		conn.expected += (uint32_t)(len - head);
		if (len > head)
			send_segment(ACK, tcp + head, len - head);
		if (tcp[13] & FIN) {
			conn.expected++;
			send_segment(FIN | ACK, NULL, 0);
			return true;
		}
	}
	return false;
}

static int free_port(int type)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(name);
	int fd = socket(AF_INET, type, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&name, &size), 0);
	close(fd);
	return ntohs(name.sin_port);
}

static int connect_to(int port)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK), .sin_port = htons((uint16_t)port) };
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	assert_int_equal(connect(fd, (struct sockaddr *)&name, sizeof(name)), 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	return fd;
}

static ssize_t got;
static char answer[64];

static bool read_answer(int fd)
{
	got = read(fd, answer, sizeof(answer));
	return got >= 0;
}

static void test_hostfwd(void **state)
{
	char options[64];
	int port = free_port(SOCK_STREAM), fd;

	snprintf(options, sizeof(options), "ipv6=off,hostfwd=tcp:%d:7", port);
	open_network(options);
	arp_for_gateway();
	for (int round = 0; round < 3; round++) {
		fd = connect_to(port);
		assert_int_equal(write(fd, "hello guest", 11), 11);
		run_until(loop, (echo_server(), read_answer(fd)));
		assert_int_equal(got, 11);
		assert_memory_equal(answer, "hello guest", 11);
		assert_int_equal(conn.port, 7);
		shutdown(fd, SHUT_WR);
		run_until(loop, echo_server());
		run_until(loop, read_answer(fd));
		assert_int_equal(got, 0);
		close(fd);
	}
}

/* The guest connects out: to the gateway's address, which is the host. */
static void test_connect_out(void **state)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(name);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), fd = -1;
	const uint8_t *tcp = NULL;
	size_t len;

	assert_int_equal(bind(listener, (struct sockaddr *)&name, size), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &size), 0);
	assert_int_equal(listen(listener, 1), 0);
	open_network("ipv6=off");
	arp_for_gateway();
	conn.port = 4000;
	conn.peer_port = ntohs(name.sin_port);
	conn.peer = GATEWAY_IP;
	conn.next = 77;
	send_segment(SYN, NULL, 0);
	run_until(loop, (tcp = next_segment(&len)));
	assert_int_equal(tcp[13], SYN | ACK);
	conn.expected = get32(tcp + 4) + 1;
	send_segment(ACK, "ping", 4);
	run_until(loop, (fd = fd < 0 ? accept(listener, NULL, NULL) : fd) >= 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	run_until(loop, read_answer(fd));
	assert_int_equal(got, 4);
	assert_memory_equal(answer, "ping", 4);
	assert_int_equal(write(fd, "pong!", 5), 5);
	do
		run_until(loop, (tcp = next_segment(&len)));
	while (len == 20);	/* a bare acknowledgement */
	assert_memory_equal(tcp + 20, "pong!", 5);
	close(fd);
	close(listener);
}

static void test_hostfwd_udp(void **state)
{
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int port = free_port(SOCK_DGRAM), fd = socket(AF_INET, SOCK_DGRAM, 0);
	char options[64];
	const uint8_t *ip;

	snprintf(options, sizeof(options), "ipv6=off,hostfwd=udp:127.0.0.1:%d:9", port);
	open_network(options);
	arp_for_gateway();
	name.sin_port = htons((uint16_t)port);
	assert_int_equal(sendto(fd, "datagram", 8, 0, (struct sockaddr *)&name, sizeof(name)), 8);
	run_until(loop, in_head != in_tail);
	ip = inbox[in_head % FRAMES].data + 14;
	assert_int_equal(ip[9], 17);
	assert_int_equal(get16(ip + 22), 9);
	assert_memory_equal(ip + 28, "datagram", 8);
	close(fd);
}

/* --- options --------------------------------------------------------------------------------------------------------- */

static void must_refuse(const char *options, const char *sentence)
{
	assert_null(slirp_open(loop, options, &err));
	if (!strstr(err.text, sentence))
		fail_msg("'%s': got '%s', expected '%s'", options, err.text, sentence);
}

static void test_options(void **state)
{
	char options[64];
	int port = free_port(SOCK_STREAM);

	must_refuse("hostfwd=tcp:80", "expected hostfwd=tcp:");
	must_refuse("hostfwd=sctp:80:80", "expected hostfwd=tcp:");
	must_refuse("hostfwd=tcp:0:80", "expected hostfwd=tcp:");
	must_refuse("hostfwd=tcp:80:65536", "expected hostfwd=tcp:");
	must_refuse("hostfwd=tcp:80:-1", "expected hostfwd=tcp:");
	must_refuse("hostfwd=tcp:localhost:80:80", "expected hostfwd=tcp:");
	must_refuse("hostfwd=tcp:1.2.3.4:80:80:80", "expected hostfwd=tcp:");
	must_refuse("ipv6=maybe", "on or off");
	must_refuse("fast=yes", "unknown option");
	snprintf(options, sizeof(options), "hostfwd=tcp:%d:1,hostfwd=tcp:%d:2", port, port);
	must_refuse(options, "Address already in use");
	open_network("hostfwd=udp::1234:1,,restrict=on");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_arp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dhcp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_backlog, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostfwd, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connect_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostfwd_udp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
	};

	return cmocka_run_group_tests_name("slirp", tests, NULL, NULL);
}
