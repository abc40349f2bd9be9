/* SPDX-License-Identifier: MIT */
/*
 * frontend.h - a vhost-user front end: our drivers drive a device in another process.
 *
 *	vhost_user_memory_create(&memory, bytes)	what the back end will see: rings and buffers are made in it
 *	vhost_user_connect(&fe, &memory, "/run/disk.sock", NULL)
 *	virtio_block_probe(&disk, &fe.vdev)		... and so on, as on any bus
 *	vhost_user_wait(&fe, timeout)			delivers interrupts
 *	vhost_user_disconnect(&fe)
 *
 * When the back end dies or breaks the protocol, fe.error says so, every buffer is cancelled and operations return -VIRTIO_ENODEV; then
 * the driver's remove(), vhost_user_connect() and its probe() begin anew. One thread at a time per front end.
 *
 * A back end may write anything into the memory it is given, at any time, even after it was disconnected. That is what sharing memory
 * is. Rings survive it, because the books on them are kept elsewhere; but a driver's own structures that the caller puts into that memory,
 * such as requests, are as trustworthy as the back end.
 */
#ifndef KENNEL_TRANSPORT_VHOST_USER_FRONTEND_H
#define KENNEL_TRANSPORT_VHOST_USER_FRONTEND_H

#include <transport/vhost-user/message.h>
#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

/* --- memory to share -------------------------------------------------------------------------------------------------- */

#define VHOST_USER_MEMORY_GPA	UINT64_C(0x100000)	/* where the device sees it: an address that is nobody's pointer by accident */

struct vhost_user_memory {
	struct virtio_mem mem;
	int fd;
	size_t used;			/* bytes handed out from the beginning */
	struct {			/* and given back: for blocks of the same size */
		void *block;
		size_t size;
	} freed[2 * VIRTIO_DRIVER_QUEUES];
};

/* Make @size bytes (rounded up to pages), zeroed, at a file that nobody can shorten. 0 or a negative errno: -EINVAL for null, and for no bytes. */
int vhost_user_memory_create(struct vhost_user_memory *memory, size_t size);
void vhost_user_memory_destroy(struct vhost_user_memory *memory);

/* Zeroed bytes aligned to @align (a power of two). NULL: none are left, or were asked for. Nulls are given back to nowhere. */
void *vhost_user_memory_alloc(struct vhost_user_memory *memory, size_t size, size_t align);
void vhost_user_memory_free(struct vhost_user_memory *memory, void *block, size_t size);

/* --- the front end ---------------------------------------------------------------------------------------------------- */

/* What may be left zero, or the whole NULL. */
struct vhost_user_options {
	uint32_t queue_size;		/* entries, a power of two; 0 = 128. The back end has no say in it. */
	int timeout_ms;			/* how long the back end may take for an answer; 0 = 5000 */
	/* The configuration space for a back end that has none (network cards: there it is the front end's). Must live on. */
	const void *config;
	size_t config_len;
	void (*config_changed)(struct virtio_device *vdev);
};

struct vhost_user_frontend {
	struct virtio_device vdev;	/* first: for the driver; its id is the caller's affair */
	struct virtio_platform platform;
	struct vhost_user_memory *memory;
	struct vhost_user_options options;
	int fd;				/* the socket; -1 = not connected */
	int request_fd;			/* our end of the one on which the back end asks; -1 = none */
	struct vhost_user_receiver reply, request;
	uint64_t features;		/* offered, as the protocol has them */
	uint64_t protocol_features;	/* agreed on */
	uint64_t max_queues;
	uint8_t status;			/* what the driver wrote */
	const char *error;		/* why the connection ended; a string that lives on */
	struct {
		void *base;
		size_t size;
		int kick, call, err;	/* eventfds */
		bool started;
	} ring[VIRTIO_DRIVER_QUEUES];
};

/*
 * Connect to the back end that listens at @path. @fe is overwritten; it and @memory stay where they are until vhost_user_disconnect().
 * 0, or a negative errno, and fe->error has a word on it. -EINVAL: null, or options that nobody can have; @fe is as it was.
 */
int vhost_user_connect(struct vhost_user_frontend *fe, struct vhost_user_memory *memory, const char *path,
		       const struct vhost_user_options *options);

/* The same over a connected stream socket, which becomes the front end's but for -EINVAL and -EBADF. */
int vhost_user_connect_fd(struct vhost_user_frontend *fe, struct vhost_user_memory *memory, int fd,
			  const struct vhost_user_options *options);

/*
 * Wait up to @timeout_ms (-1: for ever) for the back end, and deliver what it has to say: interrupts, changes of configuration, its end.
 * 1: something happened; 0: nothing; -VIRTIO_ENODEV: the back end is gone, or broke the protocol; see fe->error. -VIRTIO_EINVAL: null.
 */
int vhost_user_wait(struct vhost_user_frontend *fe, int timeout_ms);

/* End the connection. The driver has given its device back before (or lost it). NULL is fine. */
void vhost_user_disconnect(struct vhost_user_frontend *fe);

VIRTIO_END_DECLS

#endif
