/* SPDX-License-Identifier: MIT */
/*
 * server.h - a 9P2000.L server: one message in, one answer out. It knows fids and the protocol; files are the backend's.
 *
 * A server belongs to one thread at a time: that of the backend's jobs, or whoever has waited for these to end. What a message holds
 * is copied once and judged from the copy; only the data of Tread and Twrite goes straight between the guest's memory and the file.
 */
#ifndef KENNEL_DEVICE_P9_SERVER_H
#define KENNEL_DEVICE_P9_SERVER_H

#include <device/p9/fid.h>
#include <device/p9/wire.h>

/* Longer than any request but Twrite: a Twalk of 16 names of 255 bytes, a Tsymlink to 4,095 bytes. */
#define P9_MESSAGE_MAX	8192u
#define P9_MSIZE_MIN	4096u
/*
 * Linux asks for at most 500 KiB, which is 125 pages. That with 3 pieces of headers fills the queue, if the data begins at a page's
 * beginning; elsewhere Linux 3.19 finds itself with 129 pieces for 128 entries and ends with a BUG. So: two pages less.
 */
#define P9_MSIZE_MAX	(492u << 10)
#define P9_PIECES_MAX	128u			/* of a request's buffers */
#define P9_WALK_MAX	16u			/* names in a Twalk (walk(5)) */

struct p9_server {
	struct share_backend *backend;
	struct p9_fids fids;
	uint32_t msize;				/* 0: no Tversion yet */
	bool now;				/* within p9_server_serve_now() */
	uint8_t message[P9_MESSAGE_MAX + 1];	/* the request; one byte more for the NUL of a last string */
	struct virtio_iov data[P9_PIECES_MAX];	/* of a Tread or Twrite */
};

/* A request being served. */
struct p9_call {
	struct p9_server *server;
	struct share_backend *backend;
	const struct share_backend_ops *ops;
	uint8_t type;
	uint16_t tag;
	struct p9_in in;
	struct p9_out out;
	/* The whole request where it came from, for Twrite; Linux does not count the data in the message's own size. */
	const struct virtio_iov *request;
	unsigned int request_count;
	uint64_t request_len;			/* bytes */
};

/*
 * Serve one request: @out its pieces, @in those for the answer, of at least P9_HEADER and P9_ERROR_LEN bytes. Returns the bytes of
 * the answer. Never fails: what is wrong with a request is answered with an Rlerror.
 */
uint32_t p9_server_serve(struct p9_server *server, const struct virtio_iov *out, unsigned int out_count, const struct virtio_iov *in,
			 unsigned int in_count);

/*
 * The same on a thread that must not wait, within the backend's now(): 0 if the request is none that can be answered so. Nothing has
 * happened then, and it is to be served as usual.
 */
uint32_t p9_server_serve_now(struct p9_server *server, const struct virtio_iov *out, unsigned int out_count, const struct virtio_iov *in,
			     unsigned int in_count);

/* Forget the session: release every file. */
void p9_server_reset(struct p9_server *server);

/*
 * The handlers of messages, by what they are about. Each reads the fields that are left in call->in, and writes those of the answer
 * to call->out; 0, or a negative errno for an Rlerror.
 */
typedef int p9_handler(struct p9_call *call);

p9_handler p9_open, p9_create, p9_read, p9_write, p9_readdir, p9_fsync, p9_lock, p9_getlock;			/* file.c */
p9_handler p9_symlink, p9_mknod, p9_mkdir, p9_link, p9_rename, p9_renameat, p9_unlinkat, p9_remove;		/* name.c */
p9_handler p9_readlink, p9_getattr, p9_setattr, p9_statfs, p9_xattrwalk, p9_xattrcreate;			/* attribute.c */

/* An attribute that was being written has been clunked: store it. 0 or a negative errno. */
int p9_store_xattr(struct p9_call *call, struct p9_fid *fid);

/* The fid that the next field names. NULL: there is none, and *@error says what to answer. */
struct p9_fid *p9_call_fid(struct p9_call *call, int *error);
/* The same, and one that stands for the file itself. */
struct p9_fid *p9_call_file(struct p9_call *call, int *error);

/* Is @name fit for a new or an existing directory entry? 0, or -ENOENT, -ENAMETOOLONG, -EINVAL. "." and "..": -EEXIST if @create, -EINVAL. */
int p9_check_name(const char *name, bool create);

#endif
