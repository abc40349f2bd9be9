/* SPDX-License-Identifier: MIT */
/* name.c - making, moving and removing names in a share. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/share/tree.h"

static int answer(int result)
{
	return result < 0 ? -errno : 0;
}

/* What has just been made as @name in @dir: give it the mode that the host's umask took from it, and say what it is. */
static int finish(struct share *share, struct share_node *dir, const char *name, mode_t mode, struct share_id *id)
{
	struct share_node *node;
	int error = share_node_enter(share, dir, name, &node);

	if (error)
		return error;
	if (mode & share->umask)
		error = answer(chmod(share_path_of(node->fd).text, mode));
	if (!error)
		error = share_identify(share, node->fd, id);
	share_node_put(share, node);
	return error;
}

int share_mkdir(struct share_backend *be, struct share_file *dir, const char *name, uint32_t mode, struct share_id *id)
{
	mode_t bits = share_mode(mode, true);
	int fd = share_node_fd(to_share(be), dir->node);

	if (fd < 0)
		return fd;
	if (mkdirat(fd, name, bits) < 0)
		return -errno;
	return finish(to_share(be), dir->node, name, bits, id);
}

/* A device node would give the guest, or somebody who finds it here, the host's device. */
int share_mknod(struct share_backend *be, struct share_file *dir, const char *name, uint32_t mode, struct share_id *id)
{
	mode_t type = mode & S_IFMT, bits = share_mode(mode, false);
	int fd = share_node_fd(to_share(be), dir->node);

	if (fd < 0)
		return fd;
	if (type == S_IFCHR || type == S_IFBLK)
		return -EPERM;
	if (type && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
		return -EINVAL;
	if (mknodat(fd, name, type | bits, 0) < 0)
		return -errno;
	return finish(to_share(be), dir->node, name, bits, id);
}

int share_symlink(struct share_backend *be, struct share_file *dir, const char *name, const char *target, struct share_id *id)
{
	int fd = share_node_fd(to_share(be), dir->node);

	if (fd < 0)
		return fd;
	if (symlinkat(target, fd, name) < 0)
		return -errno;
	return finish(to_share(be), dir->node, name, 0, id);
}

int share_link(struct share_backend *be, struct share_file *dir, const char *name, struct share_file *file)
{
	int from, to, error = share_node_fds(to_share(be), file->node, dir->node, &from, &to);

	return error ? error : answer(linkat(AT_FDCWD, share_path_of(from).text, to, name, AT_SYMLINK_FOLLOW));
}

/* Move @name in @from to @new_name in @to, there and in what we remember. */
static int move(struct share *share, struct share_node *from, const char *name, struct share_node *to, const char *new_name)
{
	struct stat moved;
	int fd, new_fd, error = share_node_fds(share, from, to, &fd, &new_fd);

	if (!error)
		error = answer(fstatat(fd, name, &moved, AT_SYMLINK_NOFOLLOW));
	if (!error)
		error = answer(renameat(fd, name, new_fd, new_name));
	if (!error)
		share_node_moved(share, &moved, from, name, to, new_name);
	return error;
}

int share_rename(struct share_backend *be, struct share_file *from, const char *name, struct share_file *to, const char *new_name)
{
	return move(to_share(be), from->node, name, to->node, new_name);
}

int share_unlink(struct share_backend *be, struct share_file *dir, const char *name, bool directory)
{
	int fd = share_node_fd(to_share(be), dir->node);

	return fd < 0 ? fd : answer(unlinkat(fd, name, directory ? AT_REMOVEDIR : 0));
}

int share_move(struct share_backend *be, struct share_file *file, struct share_file *to, const char *new_name)
{
	struct share *share = to_share(be);
	struct share_node *dir = file->node->parent;
	int error = share_node_check(share, file->node);
	char *name;

	if (error < 0)
		return error;
	name = strdup(file->node->name);
	if (!name)
		return -ENOMEM;
	/* Both may go with the old name. */
	dir->users++;
	error = move(share, dir, name, to->node, new_name);
	share_node_put(share, dir);
	free(name);
	return error;
}

int share_remove(struct share_backend *be, struct share_file *file)
{
	struct share_node *node = file->node;
	int dir = share_node_check(to_share(be), node);
	struct stat st;

	if (dir < 0)
		return dir;
	if (fstatat(dir, node->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return answer(unlinkat(dir, node->name, S_ISDIR(st.st_mode) ? AT_REMOVEDIR : 0));
}
