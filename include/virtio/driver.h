/* SPDX-License-Identifier: MIT */
/*
 * driver.h - the driver's end of virtio: what a driver is written to.
 *
 * The interface is that of the first virtio draft (May 2007): five operations, of which sync() is the only one that kicks. A buffer
 * that was added gets an identifier; when the other end is done with it, the length is stored where the driver said (@used), which
 * until then holds VIRTIO_PENDING. So a driver can poll one word, or be called back.
 *
 * Three differences, each for a reason. A device has several queues, so the operations act on a queue. A disk's request is a
 * question and an answer in one buffer, so add_inbuf() takes leading pieces that the other end only reads. And somebody must collect
 * what the other end finished: harvest(), called by an interrupt or a polling driver.
 *
 * One caller at a time per device: a kernel whose interrupts harvest keeps them off around other calls, and wait() turns them on.
 *
 *	driver (virtio/driver/) --> struct virtio_ops   how buffers travel: a ring in memory (vring-driver), or a stream
 *	                        --> struct virtio_bus   how the device is found, configured and kicked (transport/)
 *	                        --> struct virtio_platform   memory and waiting, from whoever hosts the driver
 */
#ifndef VIRTIO_DRIVER_H
#define VIRTIO_DRIVER_H

#include <virtio/endian.h>
#include <virtio/virtio.h>

VIRTIO_BEGIN_DECLS

struct virtio_device;
struct virtio_queue;

/* What *used holds from add until the buffer is done. */
#define VIRTIO_PENDING (~0ul)

/* What *used holds after a buffer was given up: detached, or lost in a reset. */
#define VIRTIO_CANCELLED (~0ul - 1)

/* Has the buffer behind this word left the other end's hands? */
static inline bool virtio_is_done(const unsigned long *used)
{
	/* acquire: pairs with the release in finish(); what the other end wrote is read after it. */
	return __atomic_load_n(used, __ATOMIC_ACQUIRE) != VIRTIO_PENDING;
}

struct virtio_ops {
	/*
	 * Send @num pieces @sg to the other end. *@used becomes the length sent once they are no longer read; the memory must stay
	 * until then. @sg itself is only read during the call.
	 * An identifier (0 or more), or -VIRTIO_ENOSPC (full: sync and wait), -VIRTIO_EINVAL (nothing to send, too many pieces),
	 * -VIRTIO_EFAULT (not memory the other end can reach), -VIRTIO_ENODEV (broken or reset).
	 */
	long (*add_outbuf)(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int num, unsigned long *used);

	/*
	 * Offer pieces to be filled. The first @out of the @num pieces are a question that the other end reads (0 for a plain
	 * receive buffer), the rest it writes. *@used becomes the length written, at most the space offered. Otherwise as above.
	 */
	long (*add_inbuf)(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int out, unsigned int num,
			  unsigned long *used);

	/* Make everything added visible to the other end, and kick it if it needs that. Cheap when nothing was added. */
	void (*sync)(struct virtio_queue *vq);

	/*
	 * Take a buffer back: on return the other end reads (writes) it no longer and *used is set. A buffer that is done or not yet
	 * synced goes quietly; one that the other end holds can only be wrested from it by a reset: of the queue, if that can be done
	 * (virtio_queue_reset()), which cancels all its buffers, and the queue goes on; otherwise of the device, which cancels
	 * everything under way and leaves the device to be set up again (operations return -VIRTIO_ENODEV until then). In a ring that
	 * keeps an order (packed, or VIRTIO_F_IN_ORDER) the same is true of a buffer behind which others were added.
	 */
	void (*detach_outbuf)(struct virtio_queue *vq, long id);
	void (*detach_inbuf)(struct virtio_queue *vq, long id);

	/* --- around the five --- */

	/*
	 * Collect finished buffers: sets their used words, frees their identifiers. Returns how many. Asks for the next interrupt,
	 * unless interrupts(off) was called, so harvesting and then waiting loses nothing. Each look takes a cache line from an end
	 * that is at work on another processor: who polls, and for now needs nothing back, had better harvest when room() runs out.
	 */
	unsigned int (*harvest)(struct virtio_queue *vq);

	/*
	 * Want (@on) or do not want interrupts for this queue; a hint, they may still come. Asking on: true means finished buffers
	 * are there already, for which no interrupt may come: harvest again.
	 */
	bool (*interrupts)(struct virtio_queue *vq, bool on);

	/* Buffers that can still be added, of one piece each. */
	unsigned int (*room)(struct virtio_queue *vq);

	/* Everything under way is void (the device was reset): cancel it all. Called by the bus. */
	void (*cancel)(struct virtio_queue *vq);

	/* Be as new, after cancel(); the other end has let go of the queue. NULL: cannot be done. */
	void (*renew)(struct virtio_queue *vq);
};

/* One queue, as its driver sees it. Made by the bus; the implementation of the operations keeps its state behind it. */
struct virtio_queue {
	struct virtio_device *vdev;
	const struct virtio_ops *ops;
	unsigned int index;
	unsigned int size;		/* buffers of one piece that fit */
	/* Called after an interrupt, buffers already harvested. May be NULL. */
	void (*callback)(struct virtio_queue *vq);
	void *data;			/* the driver's */
	bool polled;			/* the driver's: the other end looks by itself; sync() never kicks, and saves a fence */
	uint32_t notify_data;		/* during notify(): what VIRTIO_F_NOTIFICATION_DATA sends (2.9) */
	uint64_t handle;		/* the bus's: what notify() tells the other end */
	uint32_t irq;			/* the bus's, if it has such */
};

#define VIRTIO_DRIVER_QUEUES 8		/* most queues of one device that a driver here uses */

/* What hosts the drivers: a kernel, a test, a process. */
struct virtio_platform {
	const struct virtio_mem *mem;	/* how our pointers become guest-physical addresses */
	/* Zeroed memory, only during setup; within @mem, aligned to @align (a power of two). NULL: none. */
	void *(*alloc)(void *opaque, size_t size, size_t align);
	void (*free)(void *opaque, void *ptr, size_t size);	/* may be NULL */
	/*
	 * The same for what the device has no business with, so outside @mem where the device is another process, which can write to all
	 * of that. Aligned for anything. NULL: alloc() and free() serve for this too.
	 */
	void *(*alloc_private)(void *opaque, size_t size);
	void (*free_private)(void *opaque, void *ptr, size_t size);
	/* Idle until an interrupt may have come; may return at once. NULL: spin. */
	void (*wait)(void *opaque);
	void *opaque;
};

struct virtio_bus {
	/* Feature bits the device offers. */
	uint64_t (*get_features)(struct virtio_device *vdev);
	/* Tell the device that vdev->features is what we use. 0, or -VIRTIO_EOPNOTSUPP: it does not agree. */
	int (*finalize_features)(struct virtio_device *vdev);
	/* Config space bytes; -VIRTIO_ERANGE outside. */
	int (*get)(struct virtio_device *vdev, size_t offset, void *buf, size_t len);
	int (*set)(struct virtio_device *vdev, size_t offset, const void *buf, size_t len);
	uint8_t (*get_status)(struct virtio_device *vdev);
	void (*set_status)(struct virtio_device *vdev, uint8_t status);	/* never 0: that is reset() */
	/* On return the device touches no memory of ours; buffers are cancelled by virtio_device_reset(). */
	void (*reset)(struct virtio_device *vdev);
	/* Find the @index-th queue and set it up. 0 and *@vq; -VIRTIO_ENOENT: there is no such queue; -VIRTIO_ENOMEM. */
	int (*find_queue)(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq);
	/* Undo find_queue(); the device must have been reset. */
	void (*delete_queue)(struct virtio_queue *vq);
	/* Kick the other end. */
	void (*notify)(struct virtio_queue *vq);
	/* After VIRTIO_F_RING_RESET. On return the device touches no memory of this queue. 0 or negative error. May be NULL. */
	int (*reset_queue)(struct virtio_queue *vq);
	/* The queue is as new: tell the device its size and places again, and that it may be used. Goes with reset_queue. */
	int (*enable_queue)(struct virtio_queue *vq);
	/* Of the features that need the bus's help, those that it helps with: VIRTIO_F_NOTIFICATION_DATA, VIRTIO_F_RING_RESET. */
	uint64_t helps;
};

/* A device, as its driver sees it. The bus fills in everything above @features. */
struct virtio_device {
	uint32_t id;			/* VIRTIO_ID_* */
	const struct virtio_bus *bus;
	const struct virtio_platform *platform;
	bool legacy_big_endian;		/* the bus's byte order unless VERSION_1 is negotiated */
	bool early;			/* the host's headers are those of Linux 2.6.24 (<virtio/block.h>, <virtio/net.h>) */

	uint64_t features;		/* negotiated */
	bool big_endian;		/* byte order in force */
	bool lost;			/* reset since the queues were found */
	unsigned int indirect;		/* most pieces of an indirect buffer; set before finding queues, 0 = never indirect */
	struct virtio_queue *queues[VIRTIO_DRIVER_QUEUES];
	void *driver;			/* the driver's */
};

/* --- the five operations, as functions; a null queue is -VIRTIO_EINVAL, or nothing happens --------------------------- */

static inline long virtio_add_outbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int num, unsigned long *used)
{
	return vq ? vq->ops->add_outbuf(vq, sg, num, used) : -VIRTIO_EINVAL;
}

static inline long virtio_add_inbuf(struct virtio_queue *vq, const struct virtio_iov *sg, unsigned int out, unsigned int num,
				    unsigned long *used)
{
	return vq ? vq->ops->add_inbuf(vq, sg, out, num, used) : -VIRTIO_EINVAL;
}

static inline void virtio_sync(struct virtio_queue *vq)
{
	if (vq)
		vq->ops->sync(vq);
}

static inline void virtio_detach_outbuf(struct virtio_queue *vq, long id)
{
	if (vq)
		vq->ops->detach_outbuf(vq, id);
}

static inline void virtio_detach_inbuf(struct virtio_queue *vq, long id)
{
	if (vq)
		vq->ops->detach_inbuf(vq, id);
}

static inline unsigned int virtio_harvest(struct virtio_queue *vq)
{
	return vq ? vq->ops->harvest(vq) : 0;
}

/* --- life of a device, from a driver's point of view (virtio 1.2, 3.1.1) ---------------------------------------------- */

/*
 * Reset, acknowledge, and negotiate: afterwards vdev->features is what is offered among @wanted and what our rings do.
 * 0, or the bus's error (status FAILED is set); -VIRTIO_EINVAL: null, or no bus.
 */
int virtio_device_setup(struct virtio_device *vdev, uint64_t wanted);

/*
 * Find queue @index; @callback and @data may be NULL. 0 and *@vq; -VIRTIO_EINVAL: null; -VIRTIO_ENOENT: no such queue; -VIRTIO_EBUSY: it
 * has been found before; or the bus's error.
 */
int virtio_device_queue(struct virtio_device *vdev, unsigned int index, void (*callback)(struct virtio_queue *vq), void *data,
			struct virtio_queue **vq);

/* Status DRIVER_OK: the driver is ready. This and the next two, and virtio_device_remove(): a null device is left alone. */
void virtio_device_ready(struct virtio_device *vdev);

/* Status FAILED: the driver gives up. */
void virtio_device_fail(struct virtio_device *vdev);

/* Reset the device and cancel every buffer. The queues stay found but dead, until virtio_device_remove(). */
void virtio_device_reset(struct virtio_device *vdev);

/*
 * Has the device said that it needs a reset (virtio 1.2, 2.1)? Then it gets one, which cancels every buffer: true. For drivers that hear of
 * a change of the configuration, and in loops that wait; virtio_wait_done() does it. Null: false.
 */
bool virtio_device_check(struct virtio_device *vdev);

/*
 * Reset one queue (virtio 1.2, 2.6.1): cancels its buffers; afterwards it is empty and works. 0; -VIRTIO_EOPNOTSUPP: VIRTIO_F_RING_RESET
 * was not negotiated, or the bus or the queue cannot, and nothing has happened; -VIRTIO_EINVAL: null; another error of the bus: the queue is dead.
 */
int virtio_queue_reset(struct virtio_queue *vq);

/* Reset and delete the queues: as before virtio_device_setup(). */
void virtio_device_remove(struct virtio_device *vdev);

static inline bool virtio_device_has(const struct virtio_device *vdev, uint64_t feature)
{
	return (vdev->features & feature) == feature;
}

/*
 * Config fields in our own byte order, and bytes as they are; what was there at one time, also while the device changes it (virtio 1.2, 2.5).
 * 0; -VIRTIO_ERANGE outside the config space; -VIRTIO_EINVAL: null; or the bus's error.
 */
int virtio_config_get_bytes(struct virtio_device *vdev, size_t offset, void *buf, size_t len);
int virtio_config_get8(struct virtio_device *vdev, size_t offset, uint8_t *value);
int virtio_config_get16(struct virtio_device *vdev, size_t offset, uint16_t *value);
int virtio_config_get32(struct virtio_device *vdev, size_t offset, uint32_t *value);
int virtio_config_get64(struct virtio_device *vdev, size_t offset, uint64_t *value);

/* An interrupt for @vq (or for all of them): harvest, then call the driver back. True: there was something; false also for null. */
bool virtio_queue_interrupt(struct virtio_queue *vq);
bool virtio_device_interrupt(struct virtio_device *vdev);

/*
 * Poll until *@used is done: harvests @vq, waits with the platform's wait(). A device that needs a reset gets it. 0; -VIRTIO_ENODEV:
 * cancelled; -VIRTIO_EINVAL: null.
 */
int virtio_wait_done(struct virtio_queue *vq, const unsigned long *used);

VIRTIO_END_DECLS

#endif
