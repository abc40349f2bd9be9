/* SPDX-License-Identifier: MIT */
/* name.c - messages that make, move and remove names. The group that Linux asks for is the host's to choose. */
#include <device/p9/server.h>

#include <errno.h>

#define UNLINK_DIRECTORY 0x200u		/* AT_REMOVEDIR */

/* May a file called @name be made in @dir? @error says why @dir is NULL. All of the request has been read. */
static int may_make(const struct p9_call *call, const struct p9_fid *dir, const char *name, int error)
{
	if (!dir)
		return error;
	return call->in.bad ? -EINVAL : p9_check_name(name, true);
}

/* Answer with the new file. */
static int made(struct p9_call *call, int error, const struct share_id *id)
{
	if (!error)
		p9_put_id(&call->out, id);
	return error;
}

/* Tsymlink: fid[4] name[s] target[s] gid[4] */
int p9_symlink(struct p9_call *call)
{
	int error;
	struct p9_fid *dir = p9_call_file(call, &error);
	const char *name = p9_get_string(&call->in), *target = p9_get_string(&call->in);
	struct share_id id;

	p9_get32(&call->in);
	error = may_make(call, dir, name, error);
	return error ? error : made(call, call->ops->symlink(call->backend, dir->file, name, target, &id), &id);
}

/* Tmknod: dfid[4] name[s] mode[4] major[4] minor[4] gid[4] */
int p9_mknod(struct p9_call *call)
{
	int error;
	struct p9_fid *dir = p9_call_file(call, &error);
	const char *name = p9_get_string(&call->in);
	uint32_t mode = p9_get32(&call->in);
	struct share_id id;

	p9_get32(&call->in);
	p9_get32(&call->in);
	p9_get32(&call->in);
	error = may_make(call, dir, name, error);
	return error ? error : made(call, call->ops->mknod(call->backend, dir->file, name, mode, &id), &id);
}

/* Tmkdir: dfid[4] name[s] mode[4] gid[4] */
int p9_mkdir(struct p9_call *call)
{
	int error;
	struct p9_fid *dir = p9_call_file(call, &error);
	const char *name = p9_get_string(&call->in);
	uint32_t mode = p9_get32(&call->in);
	struct share_id id;

	p9_get32(&call->in);
	error = may_make(call, dir, name, error);
	return error ? error : made(call, call->ops->mkdir(call->backend, dir->file, name, mode, &id), &id);
}

/* Tlink: dfid[4] fid[4] name[s] */
int p9_link(struct p9_call *call)
{
	int error;
	struct p9_fid *dir = p9_call_file(call, &error), *fid = dir ? p9_call_file(call, &error) : NULL;
	const char *name = p9_get_string(&call->in);

	error = may_make(call, fid, name, error);
	return error ? error : call->ops->link(call->backend, dir->file, name, fid->file);
}

/* Trename: fid[4] dfid[4] name[s] */
int p9_rename(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_file(call, &error), *to = fid ? p9_call_file(call, &error) : NULL;
	const char *name = p9_get_string(&call->in);

	if (!to)
		return error;
	if (call->in.bad)
		return -EINVAL;
	error = p9_check_name(name, false);
	return error ? error : call->ops->move(call->backend, fid->file, to->file, name);
}

/* Trenameat: olddirfid[4] oldname[s] newdirfid[4] newname[s] */
int p9_renameat(struct p9_call *call)
{
	int error, error_to;
	struct p9_fid *from = p9_call_file(call, &error);
	const char *name = p9_get_string(&call->in);
	struct p9_fid *to = p9_call_file(call, &error_to);
	const char *new_name = p9_get_string(&call->in);

	if (!from || !to)
		return from ? error_to : error;
	if (call->in.bad)
		return -EINVAL;
	error = p9_check_name(name, false);
	if (!error)
		error = p9_check_name(new_name, false);
	return error ? error : call->ops->rename(call->backend, from->file, name, to->file, new_name);
}

/* Tunlinkat: dirfid[4] name[s] flags[4] */
int p9_unlinkat(struct p9_call *call)
{
	int error;
	struct p9_fid *dir = p9_call_file(call, &error);
	const char *name = p9_get_string(&call->in);
	uint32_t flags = p9_get32(&call->in);

	if (!dir)
		return error;
	if (call->in.bad || (flags & ~UNLINK_DIRECTORY))
		return -EINVAL;
	error = p9_check_name(name, false);
	return error ? error : call->ops->unlink(call->backend, dir->file, name, flags & UNLINK_DIRECTORY);
}

/* Tremove: fid[4]. The fid is gone in any case (remove(5)). */
int p9_remove(struct p9_call *call)
{
	int error;
	struct p9_fid *fid = p9_call_fid(call, &error);

	if (!fid)
		return error;
	if (call->backend->read_only)
		error = -EROFS;
	else
		error = fid->xattr ? -EBADF : call->ops->remove(call->backend, fid->file);
	p9_fid_drop(&call->server->fids, fid, call->backend);
	return error;
}
