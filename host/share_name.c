/* SPDX-License-Identifier: MIT */
/* share_name.c - making, moving and removing names in a share. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "host/share_tree.h"

static int answer(int result)
{
	return result < 0 ? -errno : 0;
}

/* What has just been made as @name in @dir: give it the mode that the host's umask took from it, and say what it is. */
static int finish(struct share *share, struct share_node *dir, const char *name, mode_t mode, struct share_id *id)
{
	struct share_node *node;
	int error = share_node_enter(dir, name, &node);

	if (error)
		return error;
	if (mode & share->umask)
		error = answer(chmod(share_path_of(node->fd).text, mode));
	if (!error)
		error = share_identify(share, node->fd, id);
	share_node_put(node);
	return error;
}

int share_mkdir(struct share_backend *be, struct share_file *dir, const char *name, uint32_t mode, struct share_id *id)
{
	mode_t bits = share_mode(mode, true);

	if (mkdirat(dir->node->fd, name, bits) < 0)
		return -errno;
	return finish(to_share(be), dir->node, name, bits, id);
}

/* A device node would give the guest, or somebody who finds it here, the host's device. */
int share_mknod(struct share_backend *be, struct share_file *dir, const char *name, uint32_t mode, struct share_id *id)
{
	mode_t type = mode & S_IFMT, bits = share_mode(mode, false);

	if (type == S_IFCHR || type == S_IFBLK)
		return -EPERM;
	if (type && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EINVAL;
	if (mknodat(dir->node->fd, name, type | bits, 0) < 0)
		return -errno;
	return finish(to_share(be), dir->node, name, bits, id);
}

int share_symlink(struct share_backend *be, struct share_file *dir, const char *name, const char *target, struct share_id *id)
{
	if (symlinkat(target, dir->node->fd, name) < 0)
		return -errno;
	return finish(to_share(be), dir->node, name, 0, id);
}

int share_link(struct share_backend *be, struct share_file *dir, const char *name, struct share_file *file)
{
	return answer(linkat(AT_FDCWD, share_path_of(file->node->fd).text, dir->node->fd, name, AT_SYMLINK_FOLLOW));
}

int share_rename(struct share_backend *be, struct share_file *from, const char *name, struct share_file *to, const char *new_name)
{
	return answer(renameat(from->node->fd, name, to->node->fd, new_name));
}

int share_unlink(struct share_backend *be, struct share_file *dir, const char *name, bool directory)
{
	return answer(unlinkat(dir->node->fd, name, directory ? AT_REMOVEDIR : 0));
}

int share_move(struct share_backend *be, struct share_file *file, struct share_file *to, const char *new_name)
{
	struct share_node *node = file->node;
	int error = share_node_check(node);

	if (!error)
		error = answer(renameat(node->parent->fd, node->name, to->node->fd, new_name));
	if (!error)
		share_node_renamed(node, to->node, new_name);
	return error;
}

int share_remove(struct share_backend *be, struct share_file *file)
{
	struct share_node *node = file->node;
	struct stat st;
	int error = share_node_check(node);

	if (!error)
		error = answer(fstat(node->fd, &st));
	return error ? error : answer(unlinkat(node->parent->fd, node->name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0));
}
