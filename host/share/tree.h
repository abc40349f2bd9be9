/* SPDX-License-Identifier: MIT */
/*
 * tree.h - what the files of the share backend have in common.
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
 * A guest that caches names holds on to every file it has ever looked at, and a process may have only so many descriptors. So those that
 * have not been used for longest are closed, and opened again by the same step when they are needed: if that no longer leads to the same
 * file, the guest has lost it (-ESTALE).
 *
 * All of it runs on the one worker thread, or when that has nothing to do.
 */
#ifndef KENNEL_HOST_SHARE_TREE_H
#define KENNEL_HOST_SHARE_TREE_H

#include <sys/stat.h>

#include "device/backend.h"
#include "host/share/share.h"
#include "host/workers.h"

#define SHARE_BUCKETS	4096u

/* A place in the tree, for all who have reached it by the same step and the copies they made. */
struct share_node {
	unsigned int users;
	int fd;				/* O_PATH; -1: closed for now */
	dev_t dev;
	ino_t ino;
	uint64_t end;			/* of the file, as far as the guest knows: see file.c */
	struct share_node *parent;	/* NULL: the root */
	char *name;			/* in @parent: when the step was made, or since the guest renamed it */
	struct share_node *next;	/* in its list of share.by_inode */
	struct share_node *newer, *older;	/* among those with a descriptor, by last use; the root is not among them */
};

struct share_file {
	struct share_node *node;
	int fd;				/* opened; -1: not */
	bool append;			/* opened for appending */
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
	struct share_node *newest, *oldest;
	unsigned int nodes;		/* with a descriptor, the root not counted */
	unsigned int open_max;		/* descriptors of all shares together that this one adds to */
	struct share_node *by_inode[SHARE_BUCKETS];
	dev_t dev;			/* of the root */
	bool local;			/* its file system is one that waits for nobody but a disk */
	bool now;			/* whoever calls must not wait: share.c */
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

/* --- node.c ---------------------------------------------------------------------------------------------------------- */

/* The root's node, for @fd (O_PATH; taken over, closed on failure). 0 or a negative errno. */
int share_node_root(struct share *share, int fd);
/* A node for @fd (the same), reached from @parent by @name. */
int share_node_create(struct share *share, struct share_node *parent, const char *name, int fd, struct share_node **node);
void share_node_put(struct share *share, struct share_node *node);	/* NULL is fine */

/* One step: a new node for entry @name of @dir. 0 or a negative errno. */
int share_node_enter(struct share *share, struct share_node *dir, const char *name, struct share_node **node);

/* The descriptor of @node: good until one of another node is asked for. A negative errno if there is none any more. */
int share_node_fd(struct share *share, struct share_node *node);
/* Of two at a time. 0 or a negative errno. */
int share_node_fds(struct share *share, struct share_node *a, struct share_node *b, int *fd_a, int *fd_b);
/* One that stands for @file, for all but looking up names: the opened one if there is one. */
int share_file_fd(struct share *share, struct share_file *file);

/*
 * @name in @from has become @new_name in @to, at the guest's wish: so it has for all nodes that were reached by that step. @moved is
 * what it was. Memory may be short: then they stay known by their old name.
 */
void share_node_moved(struct share *share, const struct stat *moved, const struct share_node *from, const char *name,
		      struct share_node *to, const char *new_name);

/* Is @node still what its name stands for? Its parent's descriptor, or -ENOENT; -EBUSY for the root. */
int share_node_check(struct share *share, struct share_node *node);

/* The guest knows that the file of @node ends at @end; with @grown, that it does not end before that. */
void share_node_ends(struct share *share, struct share_node *node, uint64_t end, bool grown);

uint64_t share_id_path(const struct share *share, dev_t dev, ino_t ino);
void share_id_of(const struct share *share, const struct stat *st, struct share_id *id);
/* Of the file behind @fd. 0 or a negative errno. */
int share_identify(const struct share *share, int fd, struct share_id *id);

/* Say how many descriptors there may be; raises the limit of this process as far as it may. */
void share_set_limit(struct share *share);
/* Room for the descriptor of an open file: 0, counted, or -ENFILE. Then share_file_close(), or _lost() if it came to nothing. */
int share_file_reserve(struct share *share);
void share_file_lost(void);
void share_file_close(struct share_file *file);	/* does nothing if it is not open */

int share_root(struct share_backend *be, struct share_file **file, struct share_id *id);
int share_copy(struct share_backend *be, struct share_file *file, struct share_file **copy);
int share_walk(struct share_backend *be, struct share_file *dir, const char *name, struct share_file **file, struct share_id *id);
void share_release(struct share_backend *be, struct share_file *file);
bool share_ends(struct share_backend *be, struct share_file *file);
/* The caller must not wait, and what is known of @node may come from elsewhere than this host's memory. */
bool share_may_wait(const struct share *share, const struct share_node *node);

/* --- file.c ---------------------------------------------------------------------------------------------------------- */

int share_file_open(struct share_backend *be, struct share_file *file, uint32_t flags, struct share_id *id);
int share_file_create(struct share_backend *be, struct share_file *dir, const char *name, uint32_t flags, uint32_t mode, struct share_id *id);
int64_t share_file_read(struct share_backend *be, struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count);
int64_t share_file_write(struct share_backend *be, struct share_file *file, uint64_t offset, const struct virtio_iov *iov, unsigned int count);
int share_file_sync(struct share_backend *be, struct share_file *file, bool data_only);
int share_readdir(struct share_backend *be, struct share_file *dir, uint64_t offset,
		  bool (*add)(void *opaque, const struct share_entry *entry), void *opaque);

/* --- name.c ---------------------------------------------------------------------------------------------------------- */

int share_mkdir(struct share_backend *be, struct share_file *dir, const char *name, uint32_t mode, struct share_id *id);
int share_mknod(struct share_backend *be, struct share_file *dir, const char *name, uint32_t mode, struct share_id *id);
int share_symlink(struct share_backend *be, struct share_file *dir, const char *name, const char *target, struct share_id *id);
int share_link(struct share_backend *be, struct share_file *dir, const char *name, struct share_file *file);
int share_rename(struct share_backend *be, struct share_file *from, const char *name, struct share_file *to, const char *new_name);
int share_unlink(struct share_backend *be, struct share_file *dir, const char *name, bool directory);
int share_move(struct share_backend *be, struct share_file *file, struct share_file *to, const char *new_name);
int share_remove(struct share_backend *be, struct share_file *file);

/* --- attribute.c ----------------------------------------------------------------------------------------------------- */

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
