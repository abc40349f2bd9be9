/* SPDX-License-Identifier: MIT */
/* stream-fd.c - streams over file descriptors: see <virtio/stream-fd.h>. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <virtio/stream-fd.h>

static long result(ssize_t ret)
{
	if (ret >= 0)
		return ret;
	return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? -VIRTIO_EAGAIN : -VIRTIO_EIO;
}

static long fd_read(void *opaque, void *buf, size_t len)
{
	const struct virtio_stream_fd *f = opaque;

	return result(read(f->in, buf, len));
}

static long fd_write(void *opaque, const void *buf, size_t len)
{
	struct virtio_stream_fd *f = opaque;
	ssize_t ret = send(f->out, buf, len, MSG_NOSIGNAL);
	long moved;

	if (ret < 0 && errno == ENOTSOCK)
		ret = write(f->out, buf, len);
	moved = result(ret);
	f->blocked = moved == -VIRTIO_EAGAIN;
	return moved;
}

int virtio_stream_fd_wait(struct virtio_stream_fd *f, int timeout)
{
	struct pollfd fds[2] = { { .events = POLLIN }, { .events = POLLOUT } };

	if (!f)
		return -EINVAL;
	fds[0].fd = f->in;
	fds[1].fd = f->out;
	/* An interrupted wait has waited. */
	return poll(fds, f->blocked ? 2 : 1, timeout) != 0;
}

static int fd_wait(void *opaque, bool write)
{
	struct virtio_stream_fd *f = opaque;

	return virtio_stream_fd_wait(f, f->timeout) > 0 ? 0 : -VIRTIO_EAGAIN;
}

static void platform_wait(void *opaque)
{
	virtio_stream_fd_wait(opaque, -1);
}

static void *platform_alloc(void *opaque, size_t size, size_t align)
{
	void *p = NULL;

	if (posix_memalign(&p, align < sizeof(void *) ? sizeof(void *) : align, size))
		return NULL;
	return memset(p, 0, size);
}

static void platform_free(void *opaque, void *ptr, size_t size)
{
	free(ptr);
}

static int set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	return flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ? -errno : 0;
}

int virtio_stream_fd_init(struct virtio_stream_fd *f, int in, int out)
{
	int ret;

	if (!f)
		return -EINVAL;
	*f = (struct virtio_stream_fd){ .in = in, .out = out, .timeout = -1 };
	f->io = (struct virtio_stream_io){ .read = fd_read, .write = fd_write, .wait = fd_wait, .opaque = f };
	f->platform = (struct virtio_platform){ .alloc = platform_alloc, .free = platform_free, .wait = platform_wait, .opaque = f };
	ret = set_nonblocking(in);
	return ret ? ret : set_nonblocking(out);
}

int virtio_stream_fd_serve(struct virtio_stream_fd *f, struct virtio_stream_device *sd)
{
	int ret;

	if (!f)
		return -EINVAL;
	while ((ret = virtio_stream_device_poll(sd)) > 0)
		virtio_stream_fd_wait(f, -1);
	return ret;
}
