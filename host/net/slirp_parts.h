/* SPDX-License-Identifier: MIT */
/* slirp_parts.h - what the parts of the user network know of each other: slirp.c, slirp_poll.c, slirp_names.c, slirp_options.c. */
#ifndef KENNEL_HOST_NET_SLIRP_PARTS_H
#define KENNEL_HOST_NET_SLIRP_PARTS_H

#include <netinet/in.h>
#include <slirp/libslirp.h>

#include "host/net/offload.h"
#include "host/net/slirp.h"

#define FRAME_MAX	(65535 + 14)

/* Descriptor numbers. */
struct slot_list {
	int *fd;
	size_t used, room;
};

struct slirp_net {
	struct net_backend be;
	struct loop *loop;
	Slirp *slirp;
	struct loop_task step;
	struct loop_timer timeout;
	struct poll_slot **slot;	/* by descriptor number */
	size_t slots;
	struct slot_list listed, before;	/* descriptors named by the last fill, and by the one before */
	unsigned int generation;
	struct frame *backlog, **backlog_end;
	size_t backlog_bytes;
	struct coalescer coalescer;
	bool asked;			/* the guest has asked for a name, or must not */
	unsigned char out[FRAME_MAX];
};

/* --- slirp_poll.c ------------------------------------------------------------------------------------------------------- */

/* One step: tell slirp what has become of its descriptors, and wait for what it names now. A posted task, or a timer's end. */
void slirp_step(void *opaque);
/* slirp is about to close @fd. */
void slirp_forget_descriptor(struct slirp_net *net, int fd);
void slirp_free_descriptors(struct slirp_net *net);

/* --- slirp_names.c ------------------------------------------------------------------------------------------------------ */

/* Of the guest's first question for a name: say so if this host has nobody to ask. Sets net->asked. */
void slirp_note_question(struct slirp_net *net, const unsigned char *frame, size_t len);
/* Is @frame such a question? AF_INET, AF_INET6, or 0. */
int slirp_question(const unsigned char *frame, size_t len);
/* Does the file @path, as resolv.conf(5), name a server of @family? */
bool slirp_has_name_server(const char *path, int family);

/* --- slirp_options.c ---------------------------------------------------------------------------------------------------- */

#define SLIRP_FORWARDS_MAX 32

struct slirp_forward {
	const char *text;
	bool udp;
	struct in_addr address;
	unsigned int host_port, guest_port;
};

struct slirp_options {
	bool ipv6, restricted;
	struct slirp_forward forward[SLIRP_FORWARDS_MAX];
	unsigned int forwards;
};

/*
 * Read what follows "user," into @options, which then points into @text. 0, or -EINVAL or -E2BIG and a sentence. What is not said is as
 * the host is.
 */
int slirp_options_parse(char *text, struct slirp_options *options, struct error *err);

#endif
