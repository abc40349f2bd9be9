/* SPDX-License-Identifier: MIT */
/*
 * share.c - a directory of the host behind a share device: its opening, its thread, its end. tree.h says how it is confined.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "host/share/tree.h"

/* --- the thread ------------------------------------------------------------------------------------------------------- */

struct task {
	struct worker_job job;		/* first: what the worker gives back */
	struct share_job *share_job;
};

static void task_work(struct worker_job *job)
{
	struct share_job *share_job = ((struct task *)job)->share_job;

	share_job->work(share_job);
}

static void task_done(struct worker_job *job)
{
	struct share_job *share_job = ((struct task *)job)->share_job;

	free(job);
	share_job->done(share_job);
}

static void share_run(struct share_backend *be, struct share_job *job)
{
	struct task *task = malloc(sizeof(*task));

	if (task)
		*task = (struct task){.job = {.work = task_work, .done = task_done}, .share_job = job};
	if (task && workers_submit(to_share(be)->workers, &task->job) == 0)
		return;
	/* No memory, or no thread to be had: slow, but in order. */
	free(task);
	workers_drain(to_share(be)->workers);
	job->work(job);
	job->done(job);
}

/*
 * What can be asked without waiting: names that the kernel's cache of names has, of a local file system, without leaving it; what a
 * descriptor of ours stands for; bytes in the page cache.
 */
static bool share_now(struct share_backend *be, bool begin)
{
	struct share *share = to_share(be);

	share->now = begin && share->local && workers_rest(share->workers);
	return share->now;
}

/* By the magic numbers of statfs(2); other file systems may ask a server, or a program. */
static bool is_local(int fd)
{
	static const unsigned int local[] = {
		0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0xf2f52010, 0x2fc12fc1, 0x858458f6, 0x73717368, 0xe0f5e1e2,
	};
	struct statfs st;

	if (fstatfs(fd, &st) < 0)
		return false;
	for (size_t i = 0; i < sizeof(local) / sizeof(local[0]); i++)
		if ((unsigned int)st.f_type == local[i])
			return true;
	return false;
}

static void share_drain(struct share_backend *be)
{
	workers_drain(to_share(be)->workers);
}

/* --- the share -------------------------------------------------------------------------------------------------------- */

static void share_free(struct share *share)
{
	workers_destroy(share->workers);
	share_node_put(share, share->root);
	free(share->path);
	free(share);
}

static void share_close(struct share_backend *be)
{
	share_free(to_share(be));
}

static const struct share_backend_ops share_ops = {
	.run = share_run,
	.now = share_now,
	.drain = share_drain,
	.close = share_close,
	.root = share_root,
	.copy = share_copy,
	.walk = share_walk,
	.release = share_release,
	.ends = share_ends,
	.open = share_file_open,
	.create = share_file_create,
	.read = share_file_read,
	.write = share_file_write,
	.fsync = share_file_sync,
	.readdir = share_readdir,
	.mkdir = share_mkdir,
	.mknod = share_mknod,
	.symlink = share_symlink,
	.link = share_link,
	.rename = share_rename,
	.unlink = share_unlink,
	.move = share_move,
	.remove = share_remove,
	.readlink = share_readlink,
	.getattr = share_getattr,
	.setattr = share_setattr,
	.statfs = share_statfs,
	.getxattr = share_getxattr,
	.setxattr = share_setxattr,
	.removexattr = share_removexattr,
};

/* There is no way to ask for it but to change it; nobody else runs yet. */
static mode_t current_umask(void)
{
	mode_t mask = umask(077);

	umask(mask);
	return mask;
}

static int open_root(struct share *share, struct error *err)
{
	struct stat st;
	int fd = open(share->path, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 && errno == ENOTDIR)
		return error_set(err, ENOTDIR, "%s: is not a directory; only directories can be shared", share->path);
	if (fd < 0)
		return error_errno(err, errno, "%s", share->path);
	if (share_node_root(share, fd))
		return error_errno(err, ENOMEM, "%s", share->path);
	if (fstat(fd, &st) < 0)
		return error_errno(err, errno, "%s", share->path);
	if (faccessat(fd, ".", R_OK | X_OK, 0) < 0)
		return error_errno(err, errno, "%s: cannot be read", share->path);
	if (access(share_path_of(fd).text, F_OK) < 0)
		return error_errno(err, errno, "%s: sharing a directory needs /proc", share->path);
	share->dev = st.st_dev;
	share->local = is_local(fd);
	return 0;
}

struct share_backend *share_open(struct loop *loop, const char *tag, const char *path, bool read_only, struct error *err)
{
	struct share *share = calloc(1, sizeof(*share));
	size_t len = strlen(tag);

	if (share)
		share->path = strdup(path);
	if (!share || !share->path) {
		error_errno(err, ENOMEM, "%s", path);
		free(share);
		return NULL;
	}
	if (!len || len > SHARE_TAG_MAX) {
		error_set(err, EINVAL, "%s: the name of a share has 1 to %d characters", tag, SHARE_TAG_MAX);
		share_free(share);
		return NULL;
	}
	share_set_limit(share);
	share->be.ops = &share_ops;
	share->be.read_only = read_only;
	memcpy(share->be.tag, tag, len);
	share->umask = current_umask();
	if (open_root(share, err) < 0 || !(share->workers = workers_create(loop, 1, err))) {
		share_free(share);
		return NULL;
	}
	return &share->be;
}
