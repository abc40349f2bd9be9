/* SPDX-License-Identifier: MIT */
/* attribute.c - messages about what is known of a file besides its contents. */
#include <device/p9/server.h>

#include <errno.h>
#include <string.h>

#define TARGET_MAX	4096u
#define GETATTR_BASIC	0x7ffull		/* mode to blocks and the three times: all but birth, generation and data version */
#define V9FS_MAGIC	0x01021997u		/* the type of such a file system, whatever the host's is */

/* Treadlink: fid[4] */
int p9_readlink(struct p9_call *call)
{
	char target[TARGET_MAX];
	int error, len;
	struct p9_fid *fid = p9_call_file(call, &error);

	if (!fid)
		return error;
	len = call->ops->readlink(call->backend, fid->file, target, sizeof(target));
	if (len < 0)
		return len;
	p9_put_string(&call->out, target, (size_t)len);
	return 0;
}

static void put_time(struct p9_out *out, const struct share_time *time)
{
	p9_put64(out, time->sec);
	p9_put64(out, time->nsec);
}

/* Tgetattr: fid[4] request_mask[8]. All that we know is told, whatever was asked for. */
int p9_getattr(struct p9_call *call)
{
	static const struct share_time none;
	struct p9_out *out = &call->out;
	struct share_attr attr;
	int error;
	struct p9_fid *fid = p9_call_file(call, &error);

	p9_get64(&call->in);
	if (!fid)
		return error;
	if (call->in.bad)
		return -EINVAL;
	error = call->ops->getattr(call->backend, fid->file, &attr);
	if (error)
		return error;
	p9_put64(out, GETATTR_BASIC);
	p9_put_id(out, &attr.id);
	p9_put32(out, attr.mode);
	p9_put32(out, attr.uid);
	p9_put32(out, attr.gid);
	p9_put64(out, attr.nlink);
	p9_put64(out, attr.rdev);
	p9_put64(out, attr.size);
	p9_put64(out, attr.blksize);
	p9_put64(out, attr.blocks);
	put_time(out, &attr.atime);
	put_time(out, &attr.mtime);
	put_time(out, &attr.ctime);
	put_time(out, &none);
	p9_put64(out, 0);
	p9_put64(out, 0);
	return 0;
}

/* Tsetattr: fid[4] valid[4] mode[4] uid[4] gid[4] size[8], sec[8] and nsec[8] of access, the same of modification */
int p9_setattr(struct p9_call *call)
{
	struct share_attr attr = {.mode = 0};
	int error;
	struct p9_fid *fid = p9_call_file(call, &error);
	uint32_t valid = p9_get32(&call->in);

	attr.mode = p9_get32(&call->in);
	attr.uid = p9_get32(&call->in);
	attr.gid = p9_get32(&call->in);
	attr.size = p9_get64(&call->in);
	attr.atime.sec = p9_get64(&call->in);
	attr.atime.nsec = p9_get64(&call->in);
	attr.mtime.sec = p9_get64(&call->in);
	attr.mtime.nsec = p9_get64(&call->in);
	if (!fid)
		return error;
	if (call->in.bad)
		return -EINVAL;
	return call->ops->setattr(call->backend, fid->file, valid, &attr);
}

/* Tstatfs: fid[4] */
int p9_statfs(struct p9_call *call)
{
	struct p9_out *out = &call->out;
	struct share_space space;
	int error;
	struct p9_fid *fid = p9_call_file(call, &error);

	if (!fid)
		return error;
	error = call->ops->statfs(call->backend, fid->file, &space);
	if (error)
		return error;
	p9_put32(out, V9FS_MAGIC);
	p9_put32(out, space.block_size);
	p9_put64(out, space.blocks);
	p9_put64(out, space.blocks_free);
	p9_put64(out, space.blocks_available);
	p9_put64(out, space.files);
	p9_put64(out, space.files_free);
	p9_put64(out, space.id);
	p9_put32(out, space.name_max);
	return 0;
}

/* --- extended attributes ---------------------------------------------------------------------------------------------- */

/*
 * Those called user.*, which are for users: the others mean something to the host's kernel (security labels, capabilities, access lists),
 * and the guest would neither see the truth nor set what it means to.
 */
static bool for_guests(const char *name)
{
	return !strncmp(name, "user.", 5);
}

/* From the list of all names: those for guests. The length. */
static size_t keep_ours(uint8_t *list, size_t len)
{
	size_t kept = 0;

	for (size_t at = 0; at < len;) {
		size_t one = strnlen((char *)list + at, len - at) + 1;

		if (at + one <= len && for_guests((char *)list + at)) {
			memmove(list + kept, list + at, one);
			kept += one;
		}
		at += one;
	}
	return kept;
}

/* Read attribute @name, or the list, of @fid's file into @fid. */
static int load(struct p9_call *call, struct p9_fid *fid, const char *name)
{
	struct p9_xattr *xattr;
	int error, size = call->ops->getxattr(call->backend, fid->file, name, NULL, 0);

	if (size < 0)
		return size;
	xattr = p9_fid_make_xattr(&call->server->fids, fid, (size_t)size, &error);
	if (!xattr)
		return error;
	/* It may be longer by now: then -ERANGE. */
	if (size)
		size = call->ops->getxattr(call->backend, fid->file, name, xattr->value, xattr->size);
	if (size < 0)
		return size;
	xattr->filled = name ? (size_t)size : keep_ours(xattr->value, (size_t)size);
	return 0;
}

/* Txattrwalk: fid[4] newfid[4] name[s]; Rxattrwalk: size[8]. An empty name stands for the list. */
int p9_xattrwalk(struct p9_call *call)
{
	int error;
	struct p9_fid *from = p9_call_file(call, &error), *fid;
	uint32_t number = p9_get32(&call->in);
	const char *name = p9_get_string(&call->in);
	struct share_file *file;

	if (!from)
		return error;
	if (call->in.bad)
		return -EINVAL;
	if (*name && (!for_guests(name) || strlen(name) > P9_XATTR_NAME_MAX))
		return -EOPNOTSUPP;
	error = p9_fid_vacant(&call->server->fids, number);
	if (!error)
		error = call->ops->copy(call->backend, from->file, &file);
	if (error)
		return error;
	fid = p9_fid_add(&call->server->fids, number, file, &error);
	if (!fid) {
		call->ops->release(call->backend, file);
		return error;
	}
	error = load(call, fid, *name ? name : NULL);
	if (error) {
		p9_fid_drop(&call->server->fids, fid, call->backend);
		return error;
	}
	p9_put64(&call->out, fid->xattr->filled);
	return 0;
}

/* Txattrcreate: fid[4] name[s] size[8] flags[4]. The fid is the attribute from now on; Twrite fills it, Tclunk stores it. */
int p9_xattrcreate(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_file(call, &error);
	const char *name = p9_get_string(&call->in);
	uint64_t size = p9_get64(&call->in);
	uint32_t flags = p9_get32(&call->in);
	struct p9_xattr *xattr;

	if (!fid)
		return error;
	if (call->in.bad || fid->open)
		return -EINVAL;
	if (!for_guests(name))
		return -EOPNOTSUPP;
	if (strlen(name) > P9_XATTR_NAME_MAX)
		return -ERANGE;
	xattr = p9_fid_make_xattr(&call->server->fids, fid, size > SIZE_MAX ? SIZE_MAX : (size_t)size, &error);
	if (!xattr)
		return error;
	xattr->writing = true;
	xattr->flags = flags;
	memcpy(xattr->name, name, strlen(name));
	return 0;
}

#define REPLACE 2u			/* XATTR_REPLACE */

/* Linux has no message to remove one: it replaces it by nothing. */
int p9_store_xattr(struct p9_call *call, struct p9_fid *fid)
{
	const struct p9_xattr *xattr = fid->xattr;

	if (xattr->filled != xattr->size)
		return -EINVAL;
	if (!xattr->size && xattr->flags == REPLACE)
		return call->ops->removexattr(call->backend, fid->file, xattr->name);
	return call->ops->setxattr(call->backend, fid->file, xattr->name, xattr->value, xattr->size, (int)xattr->flags);
}
