/* SPDX-License-Identifier: MIT */
/* slirp_options.c - what a person may say about the user network. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/net/slirp_parts.h"

static bool parse_port(const char *text, unsigned int *port)
{
	char *end;
	unsigned long value = strtoul(text, &end, 10);

	*port = (unsigned int)value;
	return *text >= '0' && *text <= '9' && !*end && value > 0 && value < 65536;
}

/* tcp:[ADDR:]HOSTPORT:GUESTPORT; @text stays as it is. */
static int parse_forward(const char *text, struct slirp_forward *forward, struct error *err)
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

static int parse_option(const char *option, struct slirp_options *options, struct error *err)
{
	if (!strncmp(option, "hostfwd=", 8)) {
		if (options->forwards == SLIRP_FORWARDS_MAX)
			return error_set(err, E2BIG, "%s: at most %d forwarded ports", option, SLIRP_FORWARDS_MAX);
		return parse_forward(option + 8, &options->forward[options->forwards++], err);
	}
	if (!strncmp(option, "ipv6=", 5))
		return parse_switch(option, option + 5, &options->ipv6, err);
	if (!strncmp(option, "restrict=", 9))
		return parse_switch(option, option + 9, &options->restricted, err);
	return error_set(err, EINVAL, "%s: unknown option of the user network (hostfwd=, ipv6=, restrict=)", option);
}

int slirp_options_parse(char *text, struct slirp_options *options, struct error *err)
{
	char *option;
	int error;

	*options = (struct slirp_options){ .ipv6 = host_has_ipv6() };
	while ((option = strsep(&text, ",")))
		if (*option && (error = parse_option(option, options, err)) < 0)
			return error;
	return 0;
}
