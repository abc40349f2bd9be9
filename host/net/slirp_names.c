/* SPDX-License-Identifier: MIT */
/*
 * slirp_names.c - a guest that asks for names on a host that has nobody to ask.
 *
 * slirp passes a question to the first name server of its family in /etc/resolv.conf. If there is none it drops the question without a
 * word, and the guest's programs wait for seconds and say that there is no such host. So when the first question comes we look, too, and
 * tell the person.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include "host/message.h"
#include "host/net/slirp_parts.h"

enum { ETHERNET = 14, UDP = 17, DNS = 53 };

/* Ethernet, then IPv4 without options as everybody sends it, or IPv6 without extensions. */
int slirp_question(const unsigned char *frame, size_t len)
{
	static const unsigned char server4[4] = { 10, 0, 2, 3 }, server6[16] = { 0xfe, 0xc0, [15] = 3 };
	const unsigned char *ip = frame + ETHERNET;

	if (len >= ETHERNET + 20 + 8 && frame[12] == 0x08 && frame[13] == 0x00 && ip[0] == 0x45 && ip[9] == UDP && !memcmp(ip + 16, server4, 4))
		return ip[22] == 0 && ip[23] == DNS ? AF_INET : 0;
	if (len >= ETHERNET + 40 + 8 && frame[12] == 0x86 && frame[13] == 0xdd && ip[6] == UDP && !memcmp(ip + 24, server6, 16))
		return ip[42] == 0 && ip[43] == DNS ? AF_INET6 : 0;
	return 0;
}

bool slirp_has_name_server(const char *path, int family)
{
	FILE *file = fopen(path, "re");
	char line[512], address[257];
	unsigned char binary[16];
	bool has = false;

	while (file && !has && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "nameserver%*[ \t]%256s", address) != 1)
			continue;
		address[strcspn(address, "%")] = '\0';		/* of an IPv6 address, the interface */
		has = inet_pton(family, address, binary) == 1;
	}
	if (file)
		fclose(file);
	return has;
}

void slirp_note_question(struct slirp_net *net, const unsigned char *frame, size_t len)
{
	static const char path[] = "/etc/resolv.conf";
	int family = slirp_question(frame, len);

	if (!family)
		return;
	net->asked = true;
	if (!slirp_has_name_server(path, family))
		message_warn("user network: the guest asks for a name, but %s has no %s name server for it: names will not be found", path,
			     family == AF_INET ? "IPv4" : "IPv6");
}
