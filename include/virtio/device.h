/* SPDX-License-Identifier: MIT */
/*
 * device.h - the device's end of virtio: one instance of a device, between a transport below and the device's own code above.
 *
 *	transport --> virtio_dev_start / _kick / _reset / _config_read ... --> struct virtio_dev_ops    (what a device does)
 *	device    --> virtio_dev_pop / _push / _flush / _config_changed ... --> struct virtio_transport_ops (how its bus tells the driver)
 *
 * Neither includes the other's header. Nothing here allocates or blocks. Callers hold one lock per device (kennel: the I/O lock).
 */
#ifndef VIRTIO_DEVICE_H
#define VIRTIO_DEVICE_H

#include <virtio/endian.h>
#include <virtio/virtio.h>
#include <virtio/vring-device.h>

VIRTIO_BEGIN_DECLS

struct virtio_dev;

/* What a device does. Only @name is required; NULL operations do nothing. */
struct virtio_dev_ops {
	const char *name;		/* "block": for messages */
	/* The driver kicked queue @queue. Only called while the device is live. */
	void (*queue_notify)(struct virtio_dev *dev, unsigned int queue);
	/* Features are final (dev->features, dev->big_endian). A negative errno refuses them. */
	int (*features_ok)(struct virtio_dev *dev);
	/* The queues are set up and may be used from now on. */
	void (*start)(struct virtio_dev *dev);
	/*
	 * After that, and once until the next reset: the driver set DRIVER_OK, and hears of changes from now on. On buses where a device
	 * starts earlier, or has no such status, this is later than start(), or never.
	 */
	void (*driver_ok)(struct virtio_dev *dev);
	/* Forget everything; touch no guest memory after returning. The rings are still there during the call, gone after it. */
	void (*reset)(struct virtio_dev *dev);
	/*
	 * Forget queue @queue: as reset(), of one queue. A device that finishes buffers later, and offers VIRTIO_F_RING_RESET, needs it:
	 * buffers that it holds must not be given back afterwards.
	 */
	void (*queue_reset)(struct virtio_dev *dev, unsigned int queue);
	/* Fill @config (dev->config_len bytes, zeroed by the caller) with the config space, in byte order dev->big_endian. */
	void (*config_get)(struct virtio_dev *dev, void *config);
	/* The driver wrote [@offset, @offset + @len) of the config space; bounds are checked. */
	void (*config_set)(struct virtio_dev *dev, size_t offset, const void *data, size_t len);
	/*
	 * Finish what is under way: on return every buffer that was taken has been given back, and flushed. For buses that lay a device
	 * down and take it up again in mid-ring; a device that holds buffers and does not have this loses them there. May wait.
	 */
	void (*drain)(struct virtio_dev *dev);
	/* Release the device and its backend. */
	void (*destroy)(struct virtio_dev *dev);
};

/* How a bus reaches the driver. */
struct virtio_transport_ops {
	/* Used buffers on @queue, and the driver wants to know. */
	void (*interrupt)(struct virtio_dev *dev, unsigned int queue);
	/* The config space or the status changed. May be NULL: a bus without such interrupts. */
	void (*config_changed)(struct virtio_dev *dev);
	/* The device or a ring broke (dev->broken says why). Called once per reset. May be NULL. */
	void (*broken)(struct virtio_dev *dev);
	/*
	 * For a bus that keeps a record of what is under way, or of what was written: the device took buffer @id of @queue; it gives the
	 * buffer back, having written to it; and the driver has been shown what was given back so far. All may be NULL.
	 */
	void (*taken)(struct virtio_dev *dev, unsigned int queue, uint32_t id);
	void (*given)(struct virtio_dev *dev, unsigned int queue, uint32_t id);
	void (*shown)(struct virtio_dev *dev, unsigned int queue);
};

struct virtio_dev {
	/* Set by the device when it is created, constant afterwards. */
	const struct virtio_dev_ops *ops;
	uint32_t id;			/* VIRTIO_ID_* */
	uint64_t offered;		/* all feature bits it can do, 64 of them */
	size_t config_len;		/* bytes of config space, at most VIRTIO_CONFIG_MAX */
	struct vring_device *queues;	/* [num_queues], num_max set */
	unsigned int num_queues;

	/* Set by the transport when the device is attached. */
	const struct virtio_transport_ops *transport;
	void *transport_data;
	const struct virtio_mem *mem;
	bool legacy_big_endian;		/* the guest's byte order, which counts unless VERSION_1 is accepted */
	bool early;			/* the guest's headers are those of Linux 2.6.24 (<virtio/block.h>, <virtio/net.h>) */

	/* State, since the last reset. */
	uint64_t features;		/* accepted by the driver: always a subset of offered */
	bool features_final;
	bool big_endian;		/* of rings, config space and the device's structures */
	bool live;			/* queues may be served */
	uint8_t status;			/* VIRTIO_STATUS_* */
	const char *broken;		/* why the device needs a reset; NULL = it is fine */
};

#define VIRTIO_CONFIG_MAX 256

/*
 * Feature bits every device of ours offers, because the ring does them. A transport masks what it cannot carry. Not among them is
 * VIRTIO_F_IN_ORDER: that is for a device to offer which gives its buffers back in the order in which it took them.
 */
#define VIRTIO_DEV_RING_FEATURES                                                                                                       \
	(VIRTIO_F_ANY_LAYOUT | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_EVENT_IDX | VIRTIO_F_VERSION_1 | VIRTIO_F_RING_PACKED)

/* And what a transport may add, if it can: a kick with data goes to virtio_dev_notified(), the reset of a queue to virtio_dev_reset_queue(). */
#define VIRTIO_DEV_BUS_FEATURES (VIRTIO_F_NOTIFICATION_DATA | VIRTIO_F_RING_RESET)

/* --- for devices ------------------------------------------------------------------------------------------------------ */

static inline bool virtio_dev_has(const struct virtio_dev *dev, uint64_t feature)
{
	return (dev->features & feature) == feature;
}

/*
 * Take a buffer of queue @queue: as vring_device_pop(), but a broken ring breaks the device. 1, 0, or negative errno.
 * Also 0 while the device is not live; -VIRTIO_EINVAL: null, no such queue.
 */
int virtio_dev_pop(struct virtio_dev *dev, unsigned int queue, struct vring_buffer *buf, struct virtio_iov *iov, unsigned int max);

/* Give a buffer back with @written bytes stored in it; shown to the driver by virtio_dev_flush(). */
void virtio_dev_push(struct virtio_dev *dev, unsigned int queue, uint32_t id, uint32_t written);

/* Show the driver what was pushed, and interrupt it if it wants that. Once per batch. */
void virtio_dev_flush(struct virtio_dev *dev, unsigned int queue);

/* The config space (size of a window, link state) changed: tell the driver, where the bus can. */
void virtio_dev_config_changed(struct virtio_dev *dev);

/*
 * The driver broke the contract: set NEEDS_RESET (virtio 1.2, 2.1.2), serve nothing until reset. @reason: a string that lives on. A
 * null device is left alone, here and below.
 */
void virtio_dev_break(struct virtio_dev *dev, const char *reason);

/* --- for transports --------------------------------------------------------------------------------------------------- */

/* Reset: back to the state after creation; rings forgotten, no guest memory touched after return. */
void virtio_dev_reset(struct virtio_dev *dev);

/*
 * The driver accepted @features; decides the byte order. 0, or -VIRTIO_EINVAL: bits that were not offered, or the device refuses
 * or it was a mistake to offer them, since our rings do not do that (nothing is changed). May be called again before virtio_dev_start().
 */
int virtio_dev_set_features(struct virtio_dev *dev, uint64_t features);

/* Set up ring @queue with the negotiated features. Errors of vring_device_init(), or -VIRTIO_ENOENT. */
int virtio_dev_set_queue(struct virtio_dev *dev, unsigned int queue, uint32_t num, uint64_t desc, uint64_t avail, uint64_t used);

/*
 * Reset one queue (virtio 1.2, 2.6.1), after VIRTIO_F_RING_RESET: its memory is not touched after return, until it is set up again.
 * 0, -VIRTIO_ENOENT, or -VIRTIO_EOPNOTSUPP: not negotiated.
 */
int virtio_dev_reset_queue(struct virtio_dev *dev, unsigned int queue);

/* Queues are set up, serve them. */
void virtio_dev_start(struct virtio_dev *dev);

/* For a bus without virtio_dev_set_status(): the driver set DRIVER_OK, which it had not since the last reset. After virtio_dev_start(). */
void virtio_dev_driver_ok(struct virtio_dev *dev);

/*
 * The status machine of virtio 1.x (1.2, 2.1 and 3.1): the driver wrote @status. 0 resets; FEATURES_OK is dropped again when the
 * features were not acceptable; DRIVER_OK starts the device; bits never go away otherwise. Returns the status to read back: 0 of a null device.
 */
uint8_t virtio_dev_set_status(struct virtio_dev *dev, uint8_t status);

/* The driver kicked @queue. Unknown queues and devices that are not live are ignored. */
void virtio_dev_kick(struct virtio_dev *dev, unsigned int queue);

/*
 * The driver kicked with VIRTIO_F_NOTIFICATION_DATA (2.9): @data has the queue in its lower half. What it says of the ring's state is only
 * a hint, and the ring itself is looked at.
 */
void virtio_dev_notified(struct virtio_dev *dev, uint32_t data);

/* Config space access, bounds checked: -VIRTIO_ERANGE outside, -VIRTIO_EINVAL: null. */
int virtio_dev_config_read(struct virtio_dev *dev, size_t offset, void *buf, size_t len);
int virtio_dev_config_write(struct virtio_dev *dev, size_t offset, const void *buf, size_t len);

/* Reset, then release the device and what stands behind it. NULL is fine. */
void virtio_dev_destroy(struct virtio_dev *dev);

VIRTIO_END_DECLS

#endif
