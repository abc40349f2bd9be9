/* SPDX-License-Identifier: MIT */
/*
 * backend.h - a vhost-user back end: our devices serve somebody else's virtual machine.
 *
 *	be = vhost_user_backend_create(dev, NULL, NULL)		dev: any struct virtio_dev
 *	listener = vhost_user_listen("/run/disk.sock")
 *	for (;;) {
 *		vhost_user_backend_attach(be, accept(listener, ...));
 *		do
 *			poll() for vhost_user_backend_fd(be), and for whatever stands behind the device
 *		while (!vhost_user_backend_run(be));
 *	}
 *
 * One front end at a time; the device and its backend outlive it. A front end that breaks the protocol loses its connection, one that
 * breaks a ring its device (until it resets it); be->error or dev->broken has a sentence. All calls on one thread, or under one lock.
 */
#ifndef KENNEL_TRANSPORT_VHOST_USER_BACKEND_H
#define KENNEL_TRANSPORT_VHOST_USER_BACKEND_H

#include <transport/vhost-user/message.h>
#include <transport/vhost-user/regions.h>
#include <virtio/device.h>

VIRTIO_BEGIN_DECLS

#define VHOST_USER_RINGS 16u		/* most queues of a device that we serve */

/* A ring, as far as the front end has said how it is. It is served while it has been started (by a kick descriptor) and is enabled. */
struct vhost_user_ring {
	uint32_t num;			/* entries; 0 = not said yet */
	uint32_t base;			/* where to go on, when it is not served */
	uint64_t desc, avail, used;	/* in the front end's addresses */
	uint64_t log;			/* where writes to the used ring are marked, */
	bool logged;			/* if they are */
	bool placed;			/* these are known */
	bool enabled;
	bool served;
	int kick, call, err;		/* eventfds, -1 = none */
};

/* Where the device may write to a buffer. */
struct vhost_user_note {
	struct vhost_user_piece *pieces;
	unsigned int count, room;
};

struct vhost_user_backend {
	struct virtio_dev *dev;
	/* A sentence for the log: the driver broke its device, or a request was refused. At most once a connection. May be NULL. */
	void (*complain)(void *opaque, const char *sentence);
	void *opaque;
	bool complained;
	int fd;				/* the socket; -1 = nobody is there */
	int request_fd;			/* where we may ask the front end; -1 = nowhere */
	int epoll_fd;
	struct vhost_user_receiver in;
	struct vhost_user_regions regions;
	uint64_t features;		/* that the front end accepted, as the protocol has them */
	uint64_t protocol_features;
	uint8_t status;
	unsigned int guard_hits;	/* of other connections */
	const char *error;		/* why the last connection ended; NULL = the front end left */
	struct {			/* what the device has written, for a front end that moves its virtual machine */
		uint8_t *map;		/* a bit for each page; NULL = none */
		size_t len;
		int call;		/* eventfd that says when something was marked; -1 = none */
		bool marked;
		struct vhost_user_note *notes[VHOST_USER_RINGS];	/* by buffer id; NULL = nothing is noted */
		struct vhost_user_note popped;	/* just now */
	} log;
	struct {			/* record of the buffers under way, in the front end's keeping */
		uint8_t *map;		/* NULL = none */
		size_t len;
		uint16_t queues, queue_size;
	} inflight;
	struct vhost_user_ring ring[VHOST_USER_RINGS];
};

/*
 * A back end for @dev, which must have at most VHOST_USER_RINGS queues and be attached to no other bus. @complain may be NULL. NULL, with
 * errno set: EINVAL: no device, no queues, a configuration that is too long; E2BIG: too many queues; or no memory. The device stays the caller's, and outlives the back end.
 */
struct vhost_user_backend *vhost_user_backend_create(struct virtio_dev *dev, void (*complain)(void *opaque, const char *sentence),
						     void *opaque);

/* End the connection and free the back end. NULL is fine. */
void vhost_user_backend_destroy(struct vhost_user_backend *be);

/* Serve the front end at the other end of stream socket @fd, which becomes ours. 0; -EINVAL; -EBUSY: one is being served; or another errno. */
int vhost_user_backend_attach(struct vhost_user_backend *be, int fd);

/* Readable when vhost_user_backend_run() has something to do. Belongs to the back end; the same one all its life. -EINVAL: null. */
int vhost_user_backend_fd(const struct vhost_user_backend *be);

/*
 * Do what there is to do, without waiting. 0; -ECONNRESET: the front end has gone; -EPROTO: it broke the protocol, see be->error, and has
 * been disconnected. After both the next one can be attached: rings are forgotten, memory is unmapped, the device is reset. -EINVAL: null.
 */
int vhost_user_backend_run(struct vhost_user_backend *be);

/* Listen at @path, replacing a socket there that nobody listens to any more. A descriptor, or a negative errno: -EINVAL for no path. */
int vhost_user_listen(const char *path);

VIRTIO_END_DECLS

#endif
