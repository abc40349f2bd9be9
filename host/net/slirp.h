/* SPDX-License-Identifier: MIT */
/*
 * slirp.h - a net backend that needs no rights: a small network inside this process (libslirp), whose gateway turns the guest's
 * connections into ordinary sockets of ours.
 *
 * The network is 10.0.2.0/24: gateway (the host) 10.0.2.2, name server 10.0.2.3, and 10.0.2.15 given to the guest by DHCP.
 */
#ifndef KENNEL_HOST_NET_SLIRP_H
#define KENNEL_HOST_NET_SLIRP_H

#include "device/backend.h"
#include "host/loop/loop.h"

/*
 * @options: what follows "user" on the command line, without the first comma; NULL or "" for none. Separated by commas:
 *   hostfwd=tcp:[ADDR:]HOSTPORT:GUESTPORT	(or udp) connections to the host's port reach the guest's; on 127.0.0.1 unless ADDR
 *						names another address of the host
 *   ipv6=on|off				default on
 *   restrict=on|off				default off; on: the guest reaches nothing but what is forwarded
 * NULL and a sentence on failure. close() needs a stopped loop.
 */
struct net_backend *slirp_open(struct loop *loop, const char *options, struct error *err);

#endif
