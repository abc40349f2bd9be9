/* SPDX-License-Identifier: MIT */
/*
 * stream-fd.h - <virtio/stream.h> over file descriptors: a socket, two pipes, a terminal line. For processes, so unlike the rest of the
 * library it needs a C library, and is not in guests.
 */
#ifndef VIRTIO_STREAM_FD_H
#define VIRTIO_STREAM_FD_H

#include <virtio/stream.h>

VIRTIO_BEGIN_DECLS

struct virtio_stream_fd {
	struct virtio_stream_io io;	/* for virtio_stream_connect() and virtio_stream_device_init() */
	struct virtio_platform platform;	/* for virtio_stream_connect(): the C library's memory, and waiting for the descriptor */
	int in, out;
	int timeout;			/* milliseconds that an answer may take; -1, as init leaves it, for ever */
	bool blocked;			/* the last write found no room */
};

/*
 * Read from @in, write to @out (the same, if it is a socket), which become non-blocking and stay the caller's. @f must not move. A
 * process that writes to pipes ignores SIGPIPE; sockets do not raise it here. 0, -EINVAL: null, or a negative errno of fcntl(2).
 */
int virtio_stream_fd_init(struct virtio_stream_fd *f, int in, int out);

/* Wait at most @timeout milliseconds (-1: for ever) for something to read, or for room after a write found none. 1, 0: it took too long, or -EINVAL. */
int virtio_stream_fd_wait(struct virtio_stream_fd *f, int timeout);

/*
 * Serve a device until its stream is over. For a process that does nothing else; @sd was initialized with @f->io. What
 * virtio_stream_device_poll() last returned, or -EINVAL: null.
 */
int virtio_stream_fd_serve(struct virtio_stream_fd *f, struct virtio_stream_device *sd);

VIRTIO_END_DECLS

#endif
