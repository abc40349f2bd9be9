/* SPDX-License-Identifier: MIT */
/* The user network, seen from a guest made of a few lines, on a loop without a thread. */
#include "tests/host/guest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host/net/slirp_parts.h"

static void open_network(const char *options)
{
	io_lock();
	listen_to(slirp_open(loop, options, &err));
	io_unlock();
}

static int setup(void **state)
{
	guest_ip = 0x0a00020f;
	gateway_ip = 0x0a000202;
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

/* --- ARP and DHCP ---------------------------------------------------------------------------------------------------- */

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
	assert_int_equal(get32(offer + 16), guest_ip);
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
		put_ip(frame, 1, guest_ip, gateway_ip, 16);
		send_frame(frame, sizeof(frame));
		loop_run_once(loop, 10);
		accepting = true;	/* those that come later do not overtake the first */
	}
	assert_int_equal(in_head, in_tail);
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
			conn.peer = gateway_ip;
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

/* The ports that connections to the guest have come from, by their first segments. */
static unsigned int count_connections(void)
{
	static bool known[65536];
	static unsigned int connections;
	const uint8_t *tcp;
	size_t len;

	while ((tcp = next_segment(&len))) {
		if (!(tcp[13] & SYN) || known[get16(tcp)])
			continue;
		known[get16(tcp)] = true;
		connections++;
	}
	return connections;
}

/* Connections that come in one burst are all made at once, while we do something else, and the guest hears of each. */
static void test_hostfwd_burst(void **state)
{
	enum { BURST = 100 };
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	struct pollfd burst[BURST];
	char options[64];

	name.sin_port = htons((uint16_t)free_port(SOCK_STREAM));
	snprintf(options, sizeof(options), "ipv6=off,hostfwd=tcp:%d:7", ntohs(name.sin_port));
	open_network(options);
	arp_for_gateway();
	for (int i = 0; i < BURST; i++) {
		burst[i] = (struct pollfd){ .fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), .events = POLLOUT };
		if (connect(burst[i].fd, (struct sockaddr *)&name, sizeof(name)) < 0)
			assert_int_equal(errno, EINPROGRESS);
	}
	for (int i = 0; i < BURST; i++) {
		assert_int_equal(poll(&burst[i], 1, 100), 1);
		assert_int_equal(burst[i].revents, POLLOUT);
	}
	run_until(loop, count_connections() == BURST);
	for (int i = 0; i < BURST; i++)
		close(burst[i].fd);
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
	connect_out(gateway_ip, ntohs(name.sin_port));
	established();
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

/* Large frames: the guest leaves segmentation to us, and gets segments put together. */
static void test_large_frames(void **state)
{
	enum { SIZE = 30000, BACK = 200000 };
	struct sockaddr_in name = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t size = sizeof(name);
	int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), fd = -1;
	uint8_t *data = malloc(BACK), *back = malloc(BACK + 65536);
	size_t total = 0, sent = 0;
	unsigned int rounds;
	uint64_t start;

	for (int i = 0; i < BACK; i++)
		data[i] = (uint8_t)(i * 31 + i / 997);
	assert_int_equal(bind(listener, (struct sockaddr *)&name, size), 0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&name, &size), 0);
	assert_int_equal(listen(listener, 1), 0);
	open_network("ipv6=off");
	assert_true(be->offload);
	be->ops->set_offload(be, true, true, true, true, true);
	arp_for_gateway();
	connect_out(gateway_ip, ntohs(name.sin_port));
	established();
	send_segment(ACK, data, SIZE);
	run_until(loop, (fd = fd < 0 ? accept(listener, NULL, NULL) : fd) >= 0);
	fcntl(fd, F_SETFL, O_NONBLOCK);
	while (total < SIZE) {
		run_until(loop, (got = read(fd, back + total, SIZE - total)) > 0);
		total += (size_t)got;
	}
	assert_memory_equal(data, back, SIZE);

	large_frames = 0;
	total = 0;
	while (total < BACK) {
		if (sent < BACK && (got = write(fd, data + sent, BACK - sent)) > 0)
			sent += (size_t)got;
		loop_run_once(loop, 10);
		total += take_data(back + total);
		assert_true(total <= BACK);
	}
	assert_memory_equal(data, back, BACK);
	assert_true(large_frames > 0);

	/* Two full segments: nothing short tells that they are the last. Sending them again, much later, would not count. */
	assert_int_equal(write(fd, data, 2 * segment_size), 2 * segment_size);
	total = 0;
	for (int i = 0; i < 10 && total < 2 * segment_size; i++) {
		loop_run_once(loop, 10);
		total += take_data(back + total);
	}
	assert_int_equal(total, 2 * segment_size);
	assert_memory_equal(data, back, 2 * segment_size);

	/* A guest that takes nothing: the host's end fills up, and nobody turns round and round. */
	while ((got = write(fd, data, BACK)) > 0 || sent++ < BACK + 20)
		loop_run_once(loop, 1);
	for (int i = 0; i < 10; i++)
		loop_run_once(loop, 10);
	start = clock_monotonic_ns();
	for (rounds = 0; clock_monotonic_ns() < start + 300 * NSEC_PER_MSEC; rounds++)
		loop_run_once(loop, 100);
	assert_true(rounds < 60);
	close(fd);
	close(listener);
	free(data);
	free(back);
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

/* --- names ----------------------------------------------------------------------------------------------------------- */

static bool has_name_server(const char *text, int family)
{
	char path[] = "/tmp/kennel-resolv-XXXXXX";
	int fd = mkstemp(path);
	bool has;

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	has = slirp_has_name_server(path, family);
	unlink(path);
	return has;
}

static void test_name_servers(void **state)
{
	assert_false(slirp_has_name_server("/nonexistent/resolv.conf", AF_INET));
	assert_false(has_name_server("", AF_INET));
	assert_false(has_name_server("# nameserver 192.0.2.1\nsearch example.org\nnameserver\nnameserver nobody\n", AF_INET));
	assert_true(has_name_server("search example.org\nnameserver\t192.0.2.1\n", AF_INET));
	assert_false(has_name_server("nameserver 192.0.2.1\n", AF_INET6));
	assert_false(has_name_server("nameserver fe80::1%eth0\n", AF_INET));
	assert_true(has_name_server("nameserver fe80::1%eth0\nnameserver 192.0.2.1", AF_INET6));
	assert_true(has_name_server("nameserver fe80::1%eth0\nnameserver 192.0.2.1", AF_INET));
}

/* A frame to port 53 of the network's own name server; no other port, protocol, address, and no half of one. */
static void test_questions(void **state)
{
	static const uint8_t server6[16] = { 0xfe, 0xc0, [15] = 3 };
	uint8_t frame[14 + 40 + 8] = { 0 }, *ip = frame + 14;

	put_ip(frame, 17, guest_ip, 0x0a000203, 8);
	put16(ip + 22, 53);
	assert_int_equal(slirp_question(frame, 42), AF_INET);
	assert_int_equal(slirp_question(frame, 41), 0);
	put16(ip + 22, 54);
	assert_int_equal(slirp_question(frame, 42), 0);
	put_ip(frame, 17, guest_ip, gateway_ip, 8);
	put16(ip + 22, 53);
	assert_int_equal(slirp_question(frame, 42), 0);
	put_ip(frame, 6, guest_ip, 0x0a000203, 8);
	put16(ip + 22, 53);
	assert_int_equal(slirp_question(frame, 42), 0);

	memset(frame, 0, sizeof(frame));
	put16(frame + 12, 0x86dd);
	ip[6] = 17;
	memcpy(ip + 24, server6, 16);
	put16(ip + 42, 53);
	assert_int_equal(slirp_question(frame, 62), AF_INET6);
	assert_int_equal(slirp_question(frame, 61), 0);
	ip[39] = 2;
	assert_int_equal(slirp_question(frame, 62), 0);
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
		cmocka_unit_test_setup_teardown(test_hostfwd_burst, setup, teardown),
		cmocka_unit_test_setup_teardown(test_connect_out, setup, teardown),
		cmocka_unit_test_setup_teardown(test_large_frames, setup, teardown),
		cmocka_unit_test_setup_teardown(test_hostfwd_udp, setup, teardown),
		cmocka_unit_test_setup_teardown(test_name_servers, setup, teardown),
		cmocka_unit_test_setup_teardown(test_questions, setup, teardown),
		cmocka_unit_test_setup_teardown(test_options, setup, teardown),
	};

	return cmocka_run_group_tests_name("slirp", tests, NULL, NULL);
}
