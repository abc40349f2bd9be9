/* SPDX-License-Identifier: MIT */
/*
 * node.c - what the guest holds on to: descriptors, how they were reached, and what identifies a file.
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

#include "host/share/tree.h"

struct share_path share_path_of(int fd)
{
	struct share_path path;

	snprintf(path.text, sizeof(path.text), "/proc/self/fd/%d", fd);
	return path;
}

/* --- how many descriptors --------------------------------------------------------------------------------------------- */

/* What the rest of the process keeps for itself: disks, sockets of the guest's connections, files looked at in passing. */
#define OTHERS		1024u
#define LIMIT_MAX	(1u << 20)
#define NODES_MIN	32u		/* of each share; more than one request needs at a time */
#define DEPTH_MAX	4096u		/* of directories that have been closed */

/* Of all shares: nodes that are not closed, and open files. */
static _Atomic unsigned int open_count;

void share_set_limit(struct share *share)
{
	struct rlimit limit = {.rlim_cur = 1024};

	getrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_cur < limit.rlim_max) {
		limit.rlim_cur = limit.rlim_max;
		setrlimit(RLIMIT_NOFILE, &limit);
		getrlimit(RLIMIT_NOFILE, &limit);
	}
	if (limit.rlim_cur > LIMIT_MAX)
		limit.rlim_cur = LIMIT_MAX;
	share->open_max = (unsigned int)(limit.rlim_cur > 2 * OTHERS ? limit.rlim_cur - OTHERS : limit.rlim_cur / 2);
}

static void close_node(struct share *share, struct share_node *node);

/* Is there room for one more when there may be @max? If need be, after closing the node that has not been used for longest. */
static bool make_room(struct share *share, unsigned int max)
{
	if (atomic_load(&open_count) < max)
		return true;
	if (share->nodes <= NODES_MIN)
		return false;
	close_node(share, share->oldest);
	return true;
}

int share_file_reserve(struct share *share)
{
	if (!make_room(share, share->open_max))
		return -ENFILE;
	atomic_fetch_add(&open_count, 1);
	return 0;
}

void share_file_lost(void)
{
	atomic_fetch_sub(&open_count, 1);
}

void share_file_close(struct share_file *file)
{
	if (file->fd < 0)
		return;
	close(file->fd);
	file->fd = -1;
	share_file_lost();
}

/* --- descriptors of nodes --------------------------------------------------------------------------------------------- */

static void unlist(struct share *share, struct share_node *node)
{
	*(node->newer ? &node->newer->older : &share->newest) = node->older;
	*(node->older ? &node->older->newer : &share->oldest) = node->newer;
	share->nodes--;
}

static void list(struct share *share, struct share_node *node)
{
	node->newer = NULL;
	node->older = share->newest;
	*(share->newest ? &share->newest->newer : &share->oldest) = node;
	share->newest = node;
	share->nodes++;
}

static void close_node(struct share *share, struct share_node *node)
{
	unlist(share, node);
	close(node->fd);
	node->fd = -1;
	atomic_fetch_sub(&open_count, 1);
}

/* Give @node its descriptor. A quarter of all is left to open files, which cannot be closed for others. */
static void set_fd(struct share *share, struct share_node *node, int fd)
{
	make_room(share, share->open_max - share->open_max / 4);
	atomic_fetch_add(&open_count, 1);
	node->fd = fd;
	list(share, node);
}

/* A host before Linux 5.6 has no openat2(); with a single name that is not followed, openat() leads nowhere else either. */
static int open_beneath(const struct share *share, int dir, const char *name)
{
	struct open_how how = {
		.flags = O_PATH | O_NOFOLLOW | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | (share->now ? RESOLVE_CACHED | RESOLVE_NO_XDEV : 0),
	};
	int fd = (int)syscall(SYS_openat2, dir, name, &how, sizeof(how));

	/* Before Linux 5.12 (EINVAL) the kernel cannot be asked so. */
	if (fd < 0 && share->now && (errno == EXDEV || errno == EINVAL || errno == ENOSYS))
		return -EAGAIN;
	if (fd < 0 && errno == ENOSYS)
		fd = openat(dir, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* Make the step to @node once more. */
static int reopen(struct share *share, struct share_node *node)
{
	int dir = share_node_fd(share, node->parent), fd = dir < 0 ? dir : open_beneath(share, dir, node->name);
	struct stat st;

	if (fd < 0)
		return fd == -ENOENT || fd == -ENOTDIR ? -ESTALE : fd;
	if (fstat(fd, &st) < 0 || st.st_dev != node->dev || st.st_ino != node->ino) {
		close(fd);
		return -ESTALE;
	}
	set_fd(share, node, fd);
	return fd;
}

/* Of another file system than the root's we do not know whether it is a local one. */
bool share_may_wait(const struct share *share, const struct share_node *node)
{
	return share->now && node->dev != share->dev;
}

/* Not by recursion, and not without end: a guest may have made a path of any depth. Each round opens the uppermost that is closed. */
int share_node_fd(struct share *share, struct share_node *node)
{
	if (share_may_wait(share, node))
		return -EAGAIN;
	while (node->fd < 0) {
		struct share_node *closed = node;
		unsigned int depth = 0;
		int fd;

		for (; closed->parent->fd < 0; closed = closed->parent)
			if (++depth == DEPTH_MAX)
				return -ENAMETOOLONG;
		fd = reopen(share, closed);
		if (fd < 0)
			return fd;
	}
	if (node->parent) {
		unlist(share, node);
		list(share, node);
	}
	return node->fd;
}

int share_node_fds(struct share *share, struct share_node *a, struct share_node *b, int *fd_a, int *fd_b)
{
	*fd_a = share_node_fd(share, a);
	*fd_b = *fd_a < 0 ? *fd_a : share_node_fd(share, b);
	/* The way to the second may have been so long that the first was closed. Then there are directories without end. */
	if (*fd_b >= 0 && a->fd < 0)
		return -ENFILE;
	return *fd_b < 0 ? *fd_b : 0;
}

int share_file_fd(struct share *share, struct share_file *file)
{
	if (share_may_wait(share, file->node))
		return -EAGAIN;
	return file->fd >= 0 ? file->fd : share_node_fd(share, file->node);
}

/* --- nodes ------------------------------------------------------------------------------------------------------------ */

static struct share_node **bucket_of(struct share *share, ino_t ino)
{
	return &share->by_inode[ino % SHARE_BUCKETS];
}

static void bucket_add(struct share *share, struct share_node *node)
{
	struct share_node **bucket = bucket_of(share, node->ino);

	node->next = *bucket;
	*bucket = node;
}

static void bucket_remove(struct share *share, const struct share_node *node)
{
	struct share_node **at = bucket_of(share, node->ino);

	while (*at != node)
		at = &(*at)->next;
	*at = node->next;
}

static int create(struct share *share, struct share_node *parent, const char *name, int fd, struct share_node **node)
{
	struct share_node *new = malloc(sizeof(*new));
	char *copy = strdup(name);
	struct stat st;
	int error = new && copy ? 0 : -ENOMEM;

	if (!error && fstat(fd, &st) < 0)
		error = -errno;
	if (error) {
		free(new);
		free(copy);
		close(fd);
		return error;
	}
	*new = (struct share_node){.users = 1, .fd = fd, .dev = st.st_dev, .ino = st.st_ino, .end = (uint64_t)st.st_size, .parent = parent,
				    .name = copy};
	bucket_add(share, new);
	*node = new;
	return 0;
}

int share_node_root(struct share *share, int fd)
{
	return create(share, NULL, "", fd, &share->root);
}

int share_node_create(struct share *share, struct share_node *parent, const char *name, int fd, struct share_node **node)
{
	int error = create(share, parent, name, fd, node);

	if (error)
		return error;
	parent->users++;
	set_fd(share, *node, fd);
	return 0;
}

void share_node_put(struct share *share, struct share_node *node)
{
	while (node && !--node->users) {
		struct share_node *parent = node->parent;

		if (parent && node->fd >= 0)
			close_node(share, node);
		else if (!parent)
			close(node->fd);
		bucket_remove(share, node);
		free(node->name);
		free(node);
		node = parent;
	}
}

int share_node_enter(struct share *share, struct share_node *dir, const char *name, struct share_node **node)
{
	int at = share_node_fd(share, dir), fd = at < 0 ? at : open_beneath(share, at, name);

	return fd < 0 ? fd : share_node_create(share, dir, name, fd, node);
}

static bool same_file(const struct share_node *a, const struct share_node *b)
{
	return a->ino == b->ino && a->dev == b->dev;
}

void share_node_ends(struct share *share, struct share_node *node, uint64_t end, bool grown)
{
	for (struct share_node *other = *bucket_of(share, node->ino); other; other = other->next)
		if (same_file(other, node) && !(grown && other->end >= end))
			other->end = end;
}

/* From now on @node is @name in @parent. False: it cannot be. */
static bool rename_node(struct share *share, struct share_node *node, struct share_node *parent, const char *name)
{
	struct share_node *before = node->parent;
	char *copy;

	/* The host would have refused to move a directory into itself, but names may have been exchanged behind our back. */
	for (const struct share_node *above = parent; above; above = above->parent)
		if (above == node)
			return false;
	copy = strdup(name);
	if (!copy)
		return false;
	free(node->name);
	node->name = copy;
	node->parent = parent;
	parent->users++;
	share_node_put(share, before);
	return true;
}

static struct share_node *find_node(struct share *share, const struct stat *st, const struct share_node *dir, const char *name)
{
	struct share_node *node = *bucket_of(share, st->st_ino);

	while (node && !(node->ino == st->st_ino && node->dev == st->st_dev && node->parent && same_file(node->parent, dir) &&
			 !strcmp(node->name, name)))
		node = node->next;
	return node;
}

void share_node_moved(struct share *share, const struct stat *moved, const struct share_node *from, const char *name,
		      struct share_node *to, const char *new_name)
{
	struct share_node *node;

	if (same_file(from, to) && !strcmp(name, new_name))
		return;
	/* Afresh for each, as the last one's parent may have gone. */
	do
		node = find_node(share, moved, from, name);
	while (node && rename_node(share, node, to, new_name));
}

int share_node_check(struct share *share, struct share_node *node)
{
	struct stat now;
	int dir;

	if (!node->parent)
		return -EBUSY;
	dir = share_node_fd(share, node->parent);
	if (dir < 0)
		return dir;
	if (fstatat(dir, node->name, &now, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	return now.st_ino == node->ino && now.st_dev == node->dev ? dir : -ENOENT;
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
		return share_node_enter(share, from, name, to);
	*to = from->parent ? from->parent : share->root;
	(*to)->users++;
	return 0;
}

int share_walk(struct share_backend *be, struct share_file *dir, const char *name, struct share_file **file, struct share_id *id)
{
	struct share *share = to_share(be);
	struct share_node *node;
	int error = step(share, dir->node, name, &node), fd;

	if (error)
		return error;
	fd = share_node_fd(share, node);
	error = fd < 0 ? fd : share_identify(share, fd, id);
	if (!error)
		error = file_create(node, file);
	share_node_put(share, node);
	return error;
}

bool share_ends(struct share_backend *be, struct share_file *file)
{
	struct share *share = to_share(be);
	int fd = file->fd >= 0 ? file->fd : file->node->fd;
	struct stat st;

	return share_may_wait(share, file->node) || (fd >= 0 && (fstat(fd, &st) < 0 || !st.st_nlink));
}

void share_release(struct share_backend *be, struct share_file *file)
{
	struct share *share = to_share(be);

	if (share->listing.file == file)
		share->listing.file = NULL;
	share_file_close(file);
	share_node_put(share, file->node);
	free(file);
}
