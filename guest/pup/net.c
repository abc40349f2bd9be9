/* SPDX-License-Identifier: MIT */
/* net.c - the command `ping`: as much ARP, IP and ICMP as it takes to hear an echo through the virtio network card. */
#include "pup.h"
#include "device.h"

#define OUR_ADDRESS     0x0a00020fu	/* 10.0.2.15, which user-mode networks give to their first guest */
#define GATEWAY         0x0a000202u	/* 10.0.2.2 */
#define ETHERNET        14
#define IP_HEADER       20
#define ICMP_HEADER     8
#define PAYLOAD         56
#define REPLY_TIMEOUT   1000000000ull

enum { TYPE_IP = 0x0800, TYPE_ARP = 0x0806, PROTOCOL_ICMP = 1, ICMP_REPLY = 0, ICMP_ECHO = 8, ARP_ASK = 1, ARP_ANSWER = 2 };

/* What came in last; filled by receive(). */
static uint8_t frame[1514];
static size_t frame_length;
static uint8_t peer[6];

static void put16(uint8_t *at, uint32_t value)
{
	at[0] = value >> 8;
	at[1] = value;
}

static void put32(uint8_t *at, uint32_t value)
{
	put16(at, value >> 16);
	put16(at + 2, value);
}

static uint32_t get16(const uint8_t *at)
{
	return at[0] << 8 | at[1];
}

static uint32_t get32(const uint8_t *at)
{
	return get16(at) << 16 | get16(at + 2);
}

/* The Internet checksum, RFC 1071. */
static uint32_t checksum(const uint8_t *data, size_t size)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < size; i++)
		sum += i & 1 ? data[i] : data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum & 0xffff;
}

static void send(const uint8_t *data, size_t size)
{
	uint32_t flags = device_enter();

	virtio_net_send(&virtio_net, data, size);
	device_leave(flags);
}

static bool receive(void *wanted)
{
	uint32_t flags = device_enter();

	do {
		frame_length = virtio_net_receive(&virtio_net, frame, sizeof(frame));
	} while (frame_length && !((bool (*)(void))wanted)());
	device_leave(flags);
	return frame_length;
}

static void ethernet(uint8_t *out, const uint8_t *to, uint32_t type)
{
	memcpy(out, to, 6);
	memcpy(out + 6, virtio_net.mac, 6);
	put16(out + 12, type);
}

static bool is_arp_answer(void)
{
	return frame_length >= ETHERNET + 28 && get16(frame + 12) == TYPE_ARP && get16(frame + ETHERNET + 6) == ARP_ANSWER;
}

static bool resolve(uint32_t address)
{
	static const uint8_t everybody[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };
	uint8_t out[60] = { 0 }, *arp = out + ETHERNET;

	ethernet(out, everybody, TYPE_ARP);
	put16(arp, 1);			/* Ethernet */
	put16(arp + 2, TYPE_IP);
	arp[4] = 6;
	arp[5] = 4;
	put16(arp + 6, ARP_ASK);
	memcpy(arp + 8, virtio_net.mac, 6);
	put32(arp + 14, OUR_ADDRESS);
	put32(arp + 24, address);
	send(out, sizeof(out));
	if (!wait_until(receive, (void *)is_arp_answer, REPLY_TIMEOUT))
		return false;
	memcpy(peer, frame + ETHERNET + 8, 6);
	return true;
}

static bool is_echo_reply(void)
{
	return frame_length >= ETHERNET + IP_HEADER + ICMP_HEADER && get16(frame + 12) == TYPE_IP &&
	       frame[ETHERNET + 9] == PROTOCOL_ICMP && frame[ETHERNET + IP_HEADER] == ICMP_REPLY;
}

static void send_echo(uint32_t address, uint32_t sequence)
{
	uint8_t out[ETHERNET + IP_HEADER + ICMP_HEADER + PAYLOAD] = { 0 };
	uint8_t *ip = out + ETHERNET, *icmp = ip + IP_HEADER;

	ethernet(out, peer, TYPE_IP);
	ip[0] = 0x45;			/* version 4, five words */
	put16(ip + 2, IP_HEADER + ICMP_HEADER + PAYLOAD);
	ip[8] = 64;
	ip[9] = PROTOCOL_ICMP;
	put32(ip + 12, OUR_ADDRESS);
	put32(ip + 16, address);
	put16(ip + 10, checksum(ip, IP_HEADER));
	icmp[0] = ICMP_ECHO;
	put16(icmp + 4, 0x7075);
	put16(icmp + 6, sequence);
	for (unsigned int i = 0; i < PAYLOAD; i++)
		icmp[ICMP_HEADER + i] = i;
	put16(icmp + 2, checksum(icmp, ICMP_HEADER + PAYLOAD));
	send(out, sizeof(out));
}

static uint32_t parse_address(const char *text)
{
	uint32_t address = 0;

	for (unsigned int i = 0; i < 4; i++) {
		address = address << 8 | (parse_number(text) & 0xff);
		while (*text && *text != '.')
			text++;
		text += *text == '.';
	}
	return address;
}

int ping_command(int argc, char **argv)
{
	uint32_t address = argc > 1 ? parse_address(argv[1]) : GATEWAY, count = argc > 2 ? parse_number(argv[2]) : 3, heard = 0;

	if (!virtio_net.vdev) {
		report(false, "net-present");
		return 1;
	}
	if (!resolve(address)) {
		print("ping: nobody answers the ARP request\n");
		report(false, "ping");
		return 1;
	}
	for (uint32_t i = 1; i <= count; i++) {
		uint64_t start = clock_now();

		send_echo(address, i);
		if (!wait_until(receive, (void *)is_echo_reply, REPLY_TIMEOUT)) {
			print("ping: %u: no reply\n", i);
			continue;
		}
		heard += get16(frame + ETHERNET + IP_HEADER + 6) == i && frame_length >= ETHERNET + IP_HEADER + ICMP_HEADER + PAYLOAD &&
			 !checksum(frame + ETHERNET + IP_HEADER, ICMP_HEADER + PAYLOAD);
		print("ping: %u: reply from %08x in %llu us\n", i, get32(frame + ETHERNET + 12), divide(clock_now() - start, 1000));
	}
	report(heard == count, "ping");
	return heard != count;
}
