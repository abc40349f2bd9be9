/* SPDX-License-Identifier: MIT */
/*
 * share_tree.h - what the files of the share backend have in common.
 *
 * How the guest is kept inside. It never gives us a path: it walks from a directory that it holds, one name at a time, and holds an
 * O_PATH descriptor of what it has reached. Each step is openat2(RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS) with O_NOFOLLOW and a name
 * without a slash that is not "..", so it leads to an entry of that very directory, and if that is a symbolic link, to the link itself.
 * The guest reads the link and walks its target, from its own root. ".." is the directory from which a step was made, as we remember
 * it; the root's is the root. So no rename, in the guest or on the host, between a check and a use can make a name lead elsewhere:
 * there is no check of names, and a descriptor stays with its file.
 *
 * What then has to be done by name (open for reading, chmod, times, extended attributes) is done to /proc/self/fd/N, which leads to
 * the file of descriptor N and nowhere else, not even further if that is a symbolic link. Only files and directories are ever opened:
 * FIFOs, sockets and devices are the guest's kernel's own affair, which uses our names for them and nothing more.
 *
 * What is left to the host's user: who moves a directory out of the share while a guest holds it has handed it over.
 *
 * All of it runs on the one worker thread, or when that has nothing to do.
 */
#ifndef KENNEL_HOST_SHARE_TREE_H
#define KENNEL_HOST_SHARE_TREE_H

#include <sys/stat.h>

#include "device/backend.h"
#include "host/share.h"
#include "host/workers.h"

/* A place in the tree, for all who have reached it by the same step and the copies they made. */
struct share_node {
	unsigned int users;
	int fd;				/* O_PATH */
	struct share_node *parent;	/* NULL: the root */
	char *name;			/* in @parent, when the step was made */
};

struct share_file {
	struct share_node *node;
	int fd;				/* opened; -1: not */
};

/* Directory entries that were read and not yet given: of one directory, the last to be read. */
struct share_listing {
	const struct share_file *file;	/* NULL: none */
	uint64_t offset;		/* of the entry at @at */
	size_t at, end;
	_Alignas(8) char bytes[32768];
};

struct share {
	struct share_backend be;
	char *path;			/* for messages */
	struct workers *workers;
	struct share_node *root;
	dev_t dev;			/* of the root */
	mode_t umask;			/* of this process: what the host takes away from modes, and we give back */
	struct share_listing listing;
};

static inline struct share *to_share(struct share_backend *be)
{
	return (struct share *)be;
}

/* Where descriptor @fd is found by name. */
struct share_path {
	char text[32];
};
struct share_path share_path_of(int fd);

/* --- share_node.c ---------------------------------------------------------------------------------------------------- */

/* A node for @fd (O_PATH; taken over, closed on failure), reached from @parent (NULL for the root) by @name. 0 or a negative errno. */
int share_node_create(struct share_node *parent, const char *name, int fd, struct share_node **node);
void share_node_put(struct share_node *node);	/* NULL is fine */

/* One step: a new node for entry @name of @dir. 0 or a negative errno. */
int share_node_enter(struct share_node *dir, const char *name, struct share_node **node);

/* Note that @node is now called @name in @parent. Memory may be short: then it stays known by its old name. */
void share_node_renamed(struct share_node *node, struct share_node *parent, const char *name);

/* Is @node still what its name stands for? 0, or -ENOENT; -EBUSY for the root. */
int share_node_check(const struct share_node *node);

uint64_t share_id_path(const struct share *share, dev_t dev, ino_t ino);
void share_id_of(const struct share *share, const struct stat *st, struct share_id *id);
/* Of the file behind @fd. 0 or a negative errno. */
int share_identify(const struct share *share, int fd, struct share_id *id);

/* May one more descriptor be opened for a guest? 0, counted, or -ENFILE. Then share_fd_close(), or _lost() if it came to nothing. */
int share_fd_reserve(void);
void share_fd_lost(void);
void share_fd_close(int fd);
void share_fd_limit(void);	/* raise the limit of this process; once is enough */

int share_root(struct share_backend *be, struct share_file **file, struct share_id *id);
int share_copy(struct share_backend *be, struct share_file *file, struct share_file **copy);
int share_walk(struct share_backend *be, struct share_file *dir, const char *name, struct share_file **file, struct share_id *id);
void share_release(struct share_backend *be, struct share_file *file);

/* --- share_file.c ---------------------------------------------------------------------------------------------------- */

int share_file_open(struct share_backend *be, struct share_file *file, uint32_t flags, struct share_id *id);
int share_file_create(struct share_backend *be, struct share_file *dir, const char *name, uint32_t flags, uint32_t mode, struct share_id *id);
int64_t share_file_read(struct share_backend *be, struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count);
int64_t share_file_write(struct share_backend *be, struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count);
int share_file_sync(struct share_backend *be, struct share_file *file, bool data_only);
int share_readdir(struct share_backend *be, struct share_file *dir, uint64_t offset,
		  bool (*add)(void *opaque, const struct share_entry *entry), void *opaque);

/* --- share_name.c ---------------------------------------------------------------------------------------------------- */

int share_mkdir(struct share_backend *be, struct share_file *dir, const char *name, uint32_t mode, struct share_id *id);
int share_mknod(struct share_backend *be, struct share_file *dir, const char *name, uint32_t mode, struct share_id *id);
int share_symlink(struct share_backend *be, struct share_file *dir, const char *name, const char *target, struct share_id *id);
int share_link(struct share_backend *be, struct share_file *dir, const char *name, struct share_file *file);
int share_rename(struct share_backend *be, struct share_file *from, const char *name, struct share_file *to, const char *new_name);
int share_unlink(struct share_backend *be, struct share_file *dir, const char *name, bool directory);
int share_move(struct share_backend *be, struct share_file *file, struct share_file *to, const char *new_name);
int share_remove(struct share_backend *be, struct share_file *file);

/* --- share_attribute.c ----------------------------------------------------------------------------------------------- */

/* The bits of @mode that a file, or @directory, of the guest's may have. */
mode_t share_mode(uint32_t mode, bool directory);

int share_readlink(struct share_backend *be, struct share_file *file, char *target, size_t size);
int share_getattr(struct share_backend *be, struct share_file *file, struct share_attr *attr);
int share_setattr(struct share_backend *be, struct share_file *file, uint32_t valid, const struct share_attr *attr);
int share_statfs(struct share_backend *be, struct share_file *file, struct share_space *space);
int share_getxattr(struct share_backend *be, struct share_file *file, const char *name, void *value, size_t size);
int share_setxattr(struct share_backend *be, struct share_file *file, const char *name, const void *value, size_t size, int flags);
int share_removexattr(struct share_backend *be, struct share_file *file, const char *name);

#endif
