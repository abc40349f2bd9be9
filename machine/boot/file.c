/* SPDX-License-Identifier: MIT */
#include "machine/boot/file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static int map_fd(struct file_view *view, int fd, const char *what, struct error *error)
{
	struct stat st;
	void *map;

	if (fstat(fd, &st))
		return error_set(error, errno, "%s: cannot read the %s: %s", view->path, what, strerror(errno));
	if (S_ISDIR(st.st_mode))
		return error_set(error, EISDIR, "%s: is a directory, not a %s", view->path, what);
	if (!S_ISREG(st.st_mode))
		return error_set(error, EINVAL, "%s: is not a regular file; copy the %s into one", view->path, what);
	view->size = (size_t)st.st_size;
	if (!view->size)
		return 0;
	map = mmap(NULL, view->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (map == MAP_FAILED)
		return error_set(error, errno, "%s: cannot map the %s: %s", view->path, what, strerror(errno));
	view->data = map;
	return 0;
}

int file_open(struct file_view *view, const char *path, const char *what, struct error *error)
{
	int fd, err;

	*view = (struct file_view){.path = path};
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return error_set(error, errno, "%s: cannot open the %s: %s", path, what, strerror(errno));
	err = map_fd(view, fd, what, error);
	close(fd);
	return err;
}

void file_rest(const struct file_view *view)
{
	if (view->data)
		madvise(view->data, view->size, MADV_DONTNEED);
}

void file_close(struct file_view *view)
{
	if (view->data)
		munmap(view->data, view->size);
	view->data = NULL;
	view->size = 0;
}
