/* SPDX-License-Identifier: MIT */
/*
 * share_node.c - what the guest holds on to: descriptors, how they were reached, and what identifies a file.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "host/share_tree.h"

struct share_path share_path_of(int fd)
{
	struct share_path path;

	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}

/* --- descriptors ------------------------------------------------------------------------------------------------------ */

/* What the rest of the process keeps for itself: disks, sockets of the guest's connections, files looked at in passing. */
#define OTHERS 1024u

static _Atomic unsigned int open_count;
static _Atomic unsigned int open_max = 512;

void share_fd_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return;
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur > 1u << 20)
		limit.rlim_cur = 1u << 20;
	open_max = (unsigned int)(limit.rlim_cur > 2 * OTHERS ? limit.rlim_cur - OTHERS : limit.rlim_cur / 2);
}

int share_fd_reserve(void)
{
	if (atomic_fetch_add(&open_count, 1) < atomic_load(&open_max))
		return 0;
	share_fd_lost();
	return -ENFILE;
}

void share_fd_lost(void)
{
	atomic_fetch_sub(&open_count, 1);
}

void share_fd_close(int fd)
{
	close(fd);
	share_fd_lost();
}

/* --- nodes ------------------------------------------------------------------------------------------------------------ */

int share_node_create(struct share_node *parent, const char *name, int fd, struct share_node **node)
{
	struct share_node *new = malloc(sizeof(*new));
	char *copy = strdup(name);

	if (!new || !copy) {
		free(new);
		free(copy);
		share_fd_close(fd);
		return -ENOMEM;
	}
	*new = (struct share_node){.users = 1, .fd = fd, .parent = parent, .name = copy};
	if (parent)
		parent->users++;
	*node = new;
	return 0;
}

void share_node_put(struct share_node *node)
{
	while (node && !--node->users) {
		struct share_node *parent = node->parent;

		share_fd_close(node->fd);
		free(node->name);
		free(node);
		node = parent;
	}
}

/* A host before Linux 5.6 has no openat2(); with a single name that is not followed, openat() leads nowhere else either. */
static int open_beneath(int dir, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS,
	};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	return fd < 0 && errno == ENOSYS ? openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : fd;
}

int share_node_enter(struct share_node *dir, const char *name, struct share_node **node)
{
	int error = share_fd_reserve(), fd;

	if (error)
		return error;
	fd = open_beneath(dir->fd, name);
	if (fd < 0) {
		error = -errno;
		share_fd_lost();
		return error;
	}
	return share_node_create(dir, name, fd, node);
}

void share_node_renamed(struct share_node *node, struct share_node *parent, const char *name)
{
	char *copy = strdup(name);
	struct share_node *before = node->parent;

	/* The host would have refused to move a directory into itself, but names may have been exchanged behind our back. */
	for (const struct share_node *above = parent; above; above = above->parent)
		if (above == node) {
			free(copy);
			return;
		}
	if (!copy)
		return;
	free(node->name);
	node->name = copy;
	node->parent = parent;
	parent->users++;
	share_node_put(before);
}

int share_node_check(const struct share_node *node)
{
	struct stat now, held;

	if (!node->parent)
		return -EBUSY;
	if (fstatat(node->parent->fd, node->name, &now, AT_SYMLINK_NOFOLLOW) < 0 || fstat(node->fd, &held) < 0)
		return -errno;
	return now.st_ino == held.st_ino && now.st_dev == held.st_dev ? 0 : -ENOENT;
}

/* --- identity --------------------------------------------------------------------------------------------------------- */

/* Inode numbers are unique within one file system; those of others mounted in the share get bits that such numbers rarely reach. */
uint64_t share_id_path(const struct share *share, dev_t dev, ino_t ino)
{
	return dev == share->dev ? ino : ino ^ ((uint64_t)dev * UINT64_C(0x9e3779b97f4a7c15) & UINT64_C(0xffffff0000000000));
}

void share_id_of(const struct share *share, const struct stat *st, struct share_id *id)
{
	id->path = share_id_path(share, st->st_dev, st->st_ino);
	id->version = (uint32_t)st->st_mtim.tv_sec ^ (uint32_t)st->st_mtim.tv_nsec ^ (uint32_t)st->st_size << 8;
	id->type = S_ISDIR(st->st_mode) ? SHARE_DIRECTORY : S_ISLNK(st->st_mode) ? SHARE_SYMLINK : SHARE_FILE;
}

int share_identify(const struct share *share, int fd, struct share_id *id)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return -errno;
	share_id_of(share, &st, id);
	return 0;
}

/* --- what the guest asks for ------------------------------------------------------------------------------------------ */

static int file_create(struct share_node *node, struct share_file **file)
{
	*file = malloc(sizeof(**file));
	if (!*file)
		return -ENOMEM;
	node->users++;
	**file = (struct share_file){.node = node, .fd = -1};
	return 0;
}

int share_root(struct share_backend *be, struct share_file **file, struct share_id *id)
{
	struct share *share = to_share(be);
	int error = share_identify(share, share->root->fd, id);

	return error ? error : file_create(share->root, file);
}

int share_copy(struct share_backend *be, struct share_file *file, struct share_file **copy)
{
	return file_create(file->node, copy);
}

static int step(struct share *share, struct share_node *from, const char *name, struct share_node **to)
{
	if (strcmp(name, ".."))
		return share_node_enter(from, name, to);
	*to = from->parent ? from->parent : share->root;
	(*to)->users++;
	return 0;
}

int share_walk(struct share_backend *be, struct share_file *dir, const char *name, struct share_file **file, struct share_id *id)
{
	struct share *share = to_share(be);
	struct share_node *node;
	int error = step(share, dir->node, name, &node);

	if (error)
		return error;
	error = share_identify(share, node->fd, id);
	if (!error)
		error = file_create(node, file);
	share_node_put(node);
	return error;
}

void share_release(struct share_backend *be, struct share_file *file)
{
	struct share *share = to_share(be);

	if (share->listing.file == file)
		share->listing.file = NULL;
	if (file->fd >= 0)
		share_fd_close(file->fd);
	share_node_put(file->node);
	free(file);
}
