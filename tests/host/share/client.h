/* SPDX-License-Identifier: MIT */
/*
 * client.h - a 9P client for tests: a server over a fresh directory of the host, and messages put together from a format.
 *
 * The directory that is shared is DIR/share of a temporary DIR; beside it lies DIR/secret, which the guest must never see.
 */
#ifndef TESTS_HOST_SHARE_CLIENT_H
#define TESTS_HOST_SHARE_CLIENT_H

#include <stdarg.h>

#include <device/p9/server.h>

#include "host/share/share.h"

#define SECRET "KENNEL-SECRET-f00d"

struct client {
	char dir[64];			/* the temporary directory */
	char shared[80];		/* what is shared */
	struct loop *loop;
	struct share_backend *be;
	struct p9_server server;
	uint8_t request[16384], answer[65536];
	size_t request_len, answer_room, answer_len;
	unsigned int piece;		/* bytes of a piece of either buffer; 0: one piece */
	uint16_t tag;
	uint8_t type;			/* of the answer */
	struct p9_in reply;		/* its fields */
};

/* Make the directories; share them. A failing test's cleanup is a teardown that calls client_end(). */
void client_begin(struct client *c, bool read_only);
void client_end(struct client *c);		/* c->be NULL: somebody else has closed it */

/* Empty the shared directory from outside, and put it back if it is gone. */
void client_clean(struct client *c);

/*
 * Send a message of @type with fields @format: b, w, d, q (1, 2, 4, 8 bytes), s (a string), z (a length and a pointer: a string with
 * anything in it), r (a length and a pointer: bytes). Returns 0 with c->reply at the answer's first field, or a negative errno.
 */
int client_call(struct client *c, uint8_t type, const char *format, ...);
/* The same into c->request only. */
void client_put(struct client *c, uint8_t type, const char *format, ...);
void client_vput(struct client *c, uint8_t type, const char *format, va_list fields);
/* Have each message tried at once first, as the device does, before it is served on the thread that may wait. */
extern bool client_at_once;
/* Send what c->request holds. */
int client_send(struct client *c);

/* Tversion and Tattach: fid 0 is the root. */
void client_attach(struct client *c);
/* Tclunk @fid if need be, then Twalk from the root along @path ("a/b") to @fid. */
int client_walk(struct client *c, uint32_t fid, const char *path);
/* Twalk of one component, which may be anything. */
int client_step(struct client *c, uint32_t from, uint32_t fid, const char *name, size_t len);
/* Walk to @path, open it as @fid. */
int client_open(struct client *c, uint32_t fid, const char *path, uint32_t flags);
/* Make file @name in the root as @fid, open for reading and writing, with these contents. */
void client_make(struct client *c, uint32_t fid, const char *name, const char *contents);

/* On the host. Paths are relative to the temporary directory. */
void host_write(struct client *c, const char *path, const char *contents);
/* The contents (of up to 4,095 bytes, NUL-terminated), or NULL. */
const char *host_read(struct client *c, const char *path);
const char *host_path(struct client *c, const char *path);

#endif
