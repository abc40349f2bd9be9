/* SPDX-License-Identifier: MIT */
#include <device/p9/server.h>

#include <errno.h>
#include <string.h>

#include <virtio/endian.h>

struct p9_fid *p9_call_fid(struct p9_call *call, int *error)
{
	struct p9_fid *fid = p9_fid_find(&call->server->fids, p9_get32(&call->in));

	*error = call->in.bad ? -EINVAL : fid ? 0 : -EBADF;
	return *error ? NULL : fid;
}

struct p9_fid *p9_call_file(struct p9_call *call, int *error)
{
	struct p9_fid *fid = p9_call_fid(call, error);

	if (fid && fid->xattr) {
		*error = -EBADF;
		return NULL;
	}
	return fid;
}

int p9_check_name(const char *name, bool create)
{
	if (!*name)
		return -ENOENT;
	if (strlen(name) > 255)
		return -ENAMETOOLONG;
	if (strchr(name, '/'))
		return -EINVAL;
	if (!strcmp(name, ".") || !strcmp(name, ".."))
		return create ? -EEXIST : -EINVAL;
	return 0;
}

/* --- the session ------------------------------------------------------------------------------------------------------ */

/* version(5): begins a session, which ends the one before. */
static int version(struct p9_call *call)
{
	struct p9_server *server = call->server;
	uint32_t msize = p9_get32(&call->in);
	const char *text = p9_get_string(&call->in);
	bool known = !strcmp(text, "9P2000.L");

	if (call->in.bad)
		return -EINVAL;
	p9_server_reset(server);
	if (msize < P9_MSIZE_MIN)
		return -EMSGSIZE;
	if (msize > P9_MSIZE_MAX)
		msize = P9_MSIZE_MAX;
	if (known)
		server->msize = msize;
	else
		text = "unknown";
	p9_put32(&call->out, msize);
	p9_put_string(&call->out, text, strlen(text));
	return 0;
}

/* Whoever can reach the device may use it. */
static int auth(struct p9_call *call)
{
	return -EOPNOTSUPP;
}

/* attach(5). There is one tree and one user, whatever names are asked for. */
static int attach(struct p9_call *call)
{
	struct p9_fids *fids = &call->server->fids;
	uint32_t number = p9_get32(&call->in), auth_fid = p9_get32(&call->in);
	struct share_file *root;
	struct share_id id;
	int error;

	p9_get_string(&call->in);
	p9_get_string(&call->in);
	p9_get32(&call->in);
	if (call->in.bad || auth_fid != P9_NOFID)
		return -EINVAL;
	error = p9_fid_vacant(fids, number);
	if (!error)
		error = call->ops->root(call->backend, &root, &id);
	if (error)
		return error;
	if (!p9_fid_add(fids, number, root, &error)) {
		call->ops->release(call->backend, root);
		return error;
	}
	p9_put_id(&call->out, &id);
	return 0;
}

/* Requests are served in order: when this one is, the one to be flushed has been answered (flush(5)). */
static int flush(struct p9_call *call)
{
	return 0;
}

/* --- walking ---------------------------------------------------------------------------------------------------------- */

/* One step; @file becomes where it leads. */
static int step(struct p9_call *call, const char *name, struct share_file **file, struct share_id *id)
{
	struct share_file *next;
	int error = strcmp(name, "..") ? p9_check_name(name, false) : 0;

	if (!error)
		error = call->ops->walk(call->backend, *file, name, &next, id);
	if (error)
		return error;
	call->ops->release(call->backend, *file);
	*file = next;
	return 0;
}

/* As many steps as can be made. Returns their number, or what is wrong with the first. */
static int steps(struct p9_call *call, char *const *names, unsigned int count, struct share_file **file, struct share_id *ids)
{
	for (unsigned int i = 0; i < count; i++) {
		int error = step(call, names[i], file, &ids[i]);

		if (error)
			return i && !(error == -EAGAIN && call->server->now) ? (int)i : error;
	}
	return (int)count;
}

/* Where the walk has led, if all the way, becomes @number: a new fid, or the one it began at. */
static int arrive(struct p9_call *call, struct p9_fid *from, uint32_t number, struct share_file *file)
{
	struct share_file *old;
	int error;

	if (number != from->number)
		return p9_fid_add(&call->server->fids, number, file, &error) ? 0 : error;
	old = from->file;
	from->file = file;
	call->ops->release(call->backend, old);
	return 0;
}

/*
 * walk(5): from a fid that is not open, step by step. An error at the first step is an error; at a later one it is a short answer,
 * and no new fid.
 */
static int walk(struct p9_call *call)
{
	struct share_id ids[P9_WALK_MAX];
	char *names[P9_WALK_MAX];
	int error, made;
	struct p9_fid *from = p9_call_file(call, &error);
	uint32_t number = p9_get32(&call->in);
	unsigned int count = p9_get16(&call->in);
	struct share_file *file;

	if (!from)
		return error;
	if (count > P9_WALK_MAX)
		return -EINVAL;
	for (unsigned int i = 0; i < count; i++)
		names[i] = p9_get_string(&call->in);
	if (call->in.bad)
		return -EINVAL;
	if (number != from->number && (error = p9_fid_vacant(&call->server->fids, number)))
		return error;
	if (number == from->number && from->open)
		return -EINVAL;
	error = call->ops->copy(call->backend, from->file, &file);
	if (error)
		return error;
	made = steps(call, names, count, &file, ids);
	error = made < 0 ? made : 0;
	if (made == (int)count)
		error = arrive(call, from, number, file);
	if (error || made != (int)count)
		call->ops->release(call->backend, file);
	if (error)
		return error;
	p9_put16(&call->out, (uint16_t)made);
	for (int i = 0; i < made; i++)
		p9_put_id(&call->out, &ids[i]);
	return 0;
}

static bool writable(const struct p9_fid *fid)
{
	return fid->open && (fid->flags & SHARE_OPEN_ACCESS);
}

/* clunk(5): the fid is gone, even if the answer is an error. */
static int clunk(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_fid(call, &error);

	if (!fid)
		return error;
	if (call->server->now && (fid->xattr || writable(fid) || call->ops->ends(call->backend, fid->file)))
		return -EAGAIN;
	if (fid->xattr && fid->xattr->writing)
		error = p9_store_xattr(call, fid);
	p9_fid_drop(&call->server->fids, fid, call->backend);
	return error;
}

/* --- one message ------------------------------------------------------------------------------------------------------ */

static const struct {
	p9_handler *handler;
	bool changes;			/* something of the share: refused when that is read-only */
	bool now;			/* may be tried by p9_server_serve_now() */
} handlers[P9_TYPES] = {
	[P9_TSTATFS] = {p9_statfs, false},
	[P9_TLOPEN] = {p9_open, false, true},	/* looks at the flags itself */
	[P9_TLCREATE] = {p9_create, true},
	[P9_TSYMLINK] = {p9_symlink, true},
	[P9_TMKNOD] = {p9_mknod, true},
	[P9_TRENAME] = {p9_rename, true},
	[P9_TREADLINK] = {p9_readlink, false, true},
	[P9_TGETATTR] = {p9_getattr, false, true},
	[P9_TSETATTR] = {p9_setattr, true},
	[P9_TXATTRWALK] = {p9_xattrwalk, false},
	[P9_TXATTRCREATE] = {p9_xattrcreate, true},
	[P9_TREADDIR] = {p9_readdir, false, true},
	[P9_TFSYNC] = {p9_fsync, false},
	[P9_TLOCK] = {p9_lock, false},
	[P9_TGETLOCK] = {p9_getlock, false},
	[P9_TLINK] = {p9_link, true},
	[P9_TMKDIR] = {p9_mkdir, true},
	[P9_TRENAMEAT] = {p9_renameat, true},
	[P9_TUNLINKAT] = {p9_unlinkat, true},
	[P9_TVERSION] = {version, false},
	[P9_TAUTH] = {auth, false},
	[P9_TATTACH] = {attach, false},
	[P9_TFLUSH] = {flush, false},
	[P9_TWALK] = {walk, false, true},
	[P9_TREAD] = {p9_read, false, true},
	[P9_TWRITE] = {p9_write, false},	/* to what was opened for it */
	[P9_TCLUNK] = {clunk, false, true},
	[P9_TREMOVE] = {p9_remove, false},	/* clunks the fid whatever else happens */
};

static int dispatch(struct p9_call *call)
{
	if (call->type >= P9_TYPES || !handlers[call->type].handler)
		return -EOPNOTSUPP;
	if (call->server->now && !handlers[call->type].now)
		return -EAGAIN;
	if (!call->server->msize && call->type != P9_TVERSION)
		return -EPROTO;
	if (handlers[call->type].changes && call->backend->read_only)
		return -EROFS;
	return handlers[call->type].handler(call);
}

/* Take the message in. -EINVAL: it is not as long as it says, or longer than such a message can be. */
static int receive(struct p9_call *call)
{
	struct p9_server *server = call->server;
	uint8_t *message = server->message;
	size_t have;
	uint32_t size;

	memset(message, 0, P9_HEADER);
	have = virtio_iov_read(call->request, call->request_count, 0, message, P9_MESSAGE_MAX);
	size = virtio_get32(false, message);
	call->type = message[4];
	call->tag = virtio_get16(false, message + 5);
	call->in = (struct p9_in){.at = message + P9_HEADER, .end = message + (size < have ? size : have)};
	if (size < P9_HEADER || size > call->request_len || (size > P9_MESSAGE_MAX && call->type != P9_TWRITE))
		return -EINVAL;
	return 0;
}

/* The header comes last, when it is known whether the answer is one. */
static uint32_t answer(struct p9_call *call, int error)
{
	uint8_t type = (uint8_t)(call->type + 1);
	uint32_t len;

	/* The guest left less room than the answer takes: what was done stays done. */
	if (!error && call->out.full)
		error = -EMSGSIZE;
	if (error) {
		type = P9_RLERROR;
		call->out.at = P9_HEADER;
		call->out.full = false;
		p9_put32(&call->out, (uint32_t)-error);
	}
	len = (uint32_t)call->out.at;
	call->out.at = 0;
	p9_put32(&call->out, len);
	p9_put8(&call->out, type);
	p9_put16(&call->out, call->tag);
	return len;
}

uint32_t p9_server_serve(struct p9_server *server, const struct virtio_iov *out, unsigned int out_count, const struct virtio_iov *in,
			 unsigned int in_count)
{
	uint64_t room = virtio_iov_length(in, in_count), limit = server->msize ? server->msize : P9_MSIZE_MIN;
	struct p9_call call = {
		.server = server,
		.backend = server->backend,
		.ops = server->backend->ops,
		.request = out,
		.request_count = out_count,
		.request_len = virtio_iov_length(out, out_count),
		.out = {.iov = in, .count = in_count, .at = P9_HEADER, .limit = room < limit ? room : limit},
	};
	int error = receive(&call);

	if (!error)
		error = dispatch(&call);
	return error == -EAGAIN && server->now ? 0 : answer(&call, error);
}

uint32_t p9_server_serve_now(struct p9_server *server, const struct virtio_iov *out, unsigned int out_count, const struct virtio_iov *in,
			     unsigned int in_count)
{
	uint32_t written;

	server->now = true;
	written = p9_server_serve(server, out, out_count, in, in_count);
	server->now = false;
	return written;
}

void p9_server_reset(struct p9_server *server)
{
	p9_fid_drop_all(&server->fids, server->backend);
	server->msize = 0;
}
