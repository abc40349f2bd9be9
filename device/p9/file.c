/* SPDX-License-Identifier: MIT */
/* file.c - messages about the contents of files and directories. */
#include <device/p9/server.h>

#include <errno.h>
#include <string.h>

/* Between the header and the data: of a Twrite fid, offset and count; of an Rread the count. */
#define WRITE_HEADER	(P9_HEADER + 4 + 8 + 4)
#define READ_HEADER	(P9_HEADER + 4)

static bool readable(const struct p9_fid *fid)
{
	return fid->open && (fid->flags & SHARE_OPEN_ACCESS) != 1;
}

static bool writable(const struct p9_fid *fid)
{
	return fid->open && (fid->flags & SHARE_OPEN_ACCESS) != 0;
}

static void put_opened(struct p9_call *call, const struct share_id *id)
{
	p9_put_id(&call->out, id);
	p9_put32(&call->out, 0);	/* iounit: as much as a message holds */
}

static void mark_open(struct p9_fid *fid, const struct share_id *id, uint32_t flags)
{
	fid->open = true;
	fid->type = id->type;
	fid->flags = flags;
}

/* Tlopen: fid[4] flags[4] */
int p9_open(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_file(call, &error);
	uint32_t flags = p9_get32(&call->in);
	struct share_id id;

	if (!fid)
		return error;
	if (call->in.bad || fid->open || (flags & SHARE_OPEN_ACCESS) == 3)
		return -EINVAL;
	if (call->backend->read_only && (flags & (SHARE_OPEN_ACCESS | SHARE_OPEN_TRUNCATE)))
		return -EROFS;
	if (call->server->now && (flags & (SHARE_OPEN_ACCESS | SHARE_OPEN_TRUNCATE)))
		return -EAGAIN;
	error = call->ops->open(call->backend, fid->file, flags, &id);
	if (error)
		return error;
	mark_open(fid, &id, flags);
	put_opened(call, &id);
	return 0;
}

/* Tlcreate: fid[4] name[s] flags[4] mode[4] gid[4]. The fid was the directory and is the file afterwards. */
int p9_create(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_file(call, &error);
	const char *name = p9_get_string(&call->in);
	uint32_t flags = p9_get32(&call->in), mode = p9_get32(&call->in);
	struct share_id id;

	if (!fid)
		return error;
	p9_get32(&call->in);
	if (call->in.bad || fid->open || (flags & SHARE_OPEN_ACCESS) == 3)
		return -EINVAL;
	error = p9_check_name(name, true);
	if (!error)
		error = call->ops->create(call->backend, fid->file, name, flags, mode, &id);
	if (error)
		return error;
	mark_open(fid, &id, flags);
	put_opened(call, &id);
	return 0;
}

/* --- reading and writing ---------------------------------------------------------------------------------------------- */

/* Have server->data name @len bytes of @iov from @skip on. Returns how many pieces; *@len is cut to what there is. */
static unsigned int cut(struct p9_server *server, struct virtio_iov **data, const struct virtio_iov *iov, unsigned int count,
			uint64_t skip, uint64_t *len)
{
	uint64_t total;

	if (count > P9_PIECES_MAX)
		count = P9_PIECES_MAX;
	memcpy(server->data, iov, count * sizeof(*iov));
	*data = server->data;
	virtio_iov_skip(data, &count, skip);
	total = virtio_iov_length(*data, count);
	if (*len > total)
		*len = total;
	virtio_iov_trim(*data, &count, total - *len);
	return count;
}

static int64_t read_xattr(const struct p9_xattr *xattr, uint64_t offset, const struct virtio_iov *iov, unsigned int count)
{
	if (xattr->writing)
		return -EBADF;
	if (offset >= xattr->filled)
		return 0;
	return (int64_t)virtio_iov_write(iov, count, 0, xattr->value + offset, xattr->filled - (size_t)offset);
}

static int64_t write_xattr(struct p9_xattr *xattr, uint64_t offset, const struct virtio_iov *iov, unsigned int count, uint64_t len)
{
	if (!xattr->writing)
		return -EBADF;
	if (offset != xattr->filled || len > xattr->size - xattr->filled)
		return -ENOSPC;
	xattr->filled += virtio_iov_read(iov, count, 0, xattr->value + xattr->filled, (size_t)len);
	return (int64_t)len;
}

/* Tread: fid[4] offset[8] count[4]; Rread: count[4] and the data, which goes to its place first. */
int p9_read(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_fid(call, &error);
	uint64_t offset = p9_get64(&call->in), len = p9_get32(&call->in);
	struct virtio_iov *data;
	unsigned int count;
	int64_t got;

	if (!fid)
		return error;
	if (call->in.bad || call->out.limit < READ_HEADER)
		return -EINVAL;
	if (!fid->xattr && !readable(fid))
		return -EBADF;
	if (len > call->out.limit - READ_HEADER)
		len = call->out.limit - READ_HEADER;
	count = cut(call->server, &data, call->out.iov, call->out.count, READ_HEADER, &len);
	if (fid->xattr)
		got = read_xattr(fid->xattr, offset, data, count);
	else if (fid->type == SHARE_DIRECTORY)
		got = -EISDIR;
	else
		got = call->ops->read(call->backend, fid->file, offset, data, count);
	if (got < 0)
		return (int)got;
	p9_put32(&call->out, (uint32_t)got);
	call->out.at += (uint64_t)got;
	return 0;
}

/* Twrite: fid[4] offset[8] count[4] and the data */
int p9_write(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_fid(call, &error);
	uint64_t offset = p9_get64(&call->in), len = p9_get32(&call->in);
	struct virtio_iov *data;
	unsigned int count;
	int64_t put;

	if (!fid)
		return error;
	if (call->in.bad || len > call->request_len - WRITE_HEADER)
		return -EINVAL;
	if (!fid->xattr && !writable(fid))
		return -EBADF;
	count = cut(call->server, &data, call->request, call->request_count, WRITE_HEADER, &len);
	if (fid->xattr)
		put = write_xattr(fid->xattr, offset, data, count, len);
	else
		put = call->ops->write(call->backend, fid->file, offset, data, count);
	if (put < 0)
		return (int)put;
	p9_put32(&call->out, (uint32_t)put);
	return 0;
}

/* Tfsync: fid[4] datasync[4]; the latter came later. */
int p9_fsync(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_file(call, &error);
	bool data_only = call->in.at != call->in.end && p9_get32(&call->in);

	if (!fid)
		return error;
	if (!fid->open)
		return -EBADF;
	return call->ops->fsync(call->backend, fid->file, data_only);
}

/* --- directories ------------------------------------------------------------------------------------------------------ */

/* qid[13] offset[8] type[1] name[s] */
static bool add_entry(void *opaque, const struct share_entry *entry)
{
	struct p9_out *out = opaque;
	size_t len = strlen(entry->name);

	if (out->limit - out->at < 13 + 8 + 1 + 2 + len) {
		out->full = true;
		return false;
	}
	p9_put_id(out, &entry->id);
	p9_put64(out, entry->next);
	p9_put8(out, entry->type);
	p9_put_string(out, entry->name, len);
	return true;
}

/* Treaddir: fid[4] offset[8] count[4]; Rreaddir: count[4] and entries */
int p9_readdir(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_file(call, &error);
	uint64_t offset = p9_get64(&call->in), len = p9_get32(&call->in);
	struct p9_out entries = call->out;

	if (!fid)
		return error;
	if (call->in.bad || call->out.limit < READ_HEADER)
		return -EINVAL;
	if (!fid->open)
		return -EBADF;
	if (fid->type != SHARE_DIRECTORY)
		return -ENOTDIR;
	entries.at = READ_HEADER;
	if (len < entries.limit - READ_HEADER)
		entries.limit = READ_HEADER + len;
	error = call->ops->readdir(call->backend, fid->file, offset, add_entry, &entries);
	if (error)
		return error;
	/* Not even one: to say so with an empty answer would be to say that there are no more. */
	if (entries.full && entries.at == READ_HEADER)
		return -EINVAL;
	p9_put32(&call->out, (uint32_t)(entries.at - READ_HEADER));
	call->out.at = entries.at;
	return 0;
}

/* --- locks ------------------------------------------------------------------------------------------------------------ */

/*
 * Locks are the guest's own business: its kernel has settled them among its processes before it asks us, and all of them are one to the
 * host, where locks could only stand in each other's way. So every lock is granted, and none is ever found held by somebody else.
 */

#define LOCK_SUCCESS	0
#define LOCK_UNLOCKED	2

/* Tlock: fid[4] type[1] flags[4] start[8] length[8] proc_id[4] client_id[s]; Rlock: status[1] */
int p9_lock(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_file(call, &error);
	uint8_t type = p9_get8(&call->in);

	p9_get32(&call->in);
	p9_get64(&call->in);
	p9_get64(&call->in);
	p9_get32(&call->in);
	p9_get_string(&call->in);
	if (!fid)
		return error;
	if (call->in.bad || type > LOCK_UNLOCKED)
		return -EINVAL;
	if (!fid->open)
		return -EBADF;
	p9_put8(&call->out, LOCK_SUCCESS);
	return 0;
}

/* Tgetlock: fid[4] type[1] start[8] length[8] proc_id[4] client_id[s]; Rgetlock: the same, without the fid */
int p9_getlock(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_file(call, &error);
	uint8_t type = p9_get8(&call->in);
	uint64_t start = p9_get64(&call->in), length = p9_get64(&call->in);
	uint32_t process = p9_get32(&call->in);
	const char *client = p9_get_string(&call->in);

	if (!fid)
		return error;
	if (call->in.bad || type > LOCK_UNLOCKED)
		return -EINVAL;
	if (!fid->open)
		return -EBADF;
	p9_put8(&call->out, LOCK_UNLOCKED);
	p9_put64(&call->out, start);
	p9_put64(&call->out, length);
	p9_put32(&call->out, process);
	p9_put_string(&call->out, client, strlen(client));
	return 0;
}
