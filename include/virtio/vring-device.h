/* SPDX-License-Identifier: MIT */
/*
 * vring-device.h - the device's end of one ring, split or packed: buffers in, used lengths out.
 *
 *	while (vring_device_pop(vq, &buf, iov, max) > 0) {
 *		... read buf.out[0 .. out_count), fill buf.in[0 .. in_count) ...
 *		vring_device_push(vq, buf.id, bytes_written);
 *	}
 *	if (vring_device_flush(vq))
 *		interrupt the driver;
 *
 * A device normally calls virtio_dev_pop() and friends of <virtio/device.h>, which wrap these. One thread at a time per ring;
 * the driver runs at the same time, and may be hostile.
 */
#ifndef VIRTIO_VRING_DEVICE_H
#define VIRTIO_VRING_DEVICE_H

#include <virtio/virtio.h>
#include <virtio/vring.h>

VIRTIO_BEGIN_DECLS

struct vring_device {
	/* The ring, in our addresses; the parts may lie anywhere (virtio 1.2, 2.7 and 2.8). */
	union {
		struct vring_desc *desc;
		struct vring_packed_desc *ring;
	};
	union {
		struct vring_avail *avail;
		uint32_t *driver_event;
	};
	union {
		struct vring_used *used;
		uint32_t *device_event;
	};
	const struct virtio_mem *mem;
	uint64_t desc_addr, avail_addr, used_addr;	/* guest-physical: where the driver put them */

	uint16_t num;			/* entries, a power of two if split; 0 = not set up */
	uint16_t num_max;		/* what the device would like */

	/*
	 * Split: free-running counters, of which the ring's size cuts off the top. Packed: offsets into the ring, each with the wrap
	 * counter of its lap.
	 */
	uint16_t last_avail;		/* next entry to take */
	uint16_t seen_avail;		/* split: the driver's index when last looked at */
	uint16_t used_idx;		/* next entry to give back */
	uint16_t used_published;	/* first entry given back that the driver has not been shown */
	bool avail_wrap, used_wrap, published_wrap;

	uint16_t in_flight;		/* popped and not yet pushed: buffers if split, descriptors if packed */
	uint16_t unpublished;		/* pushed and not yet flushed, in the same unit */
	struct vring_used_elem held;	/* what the entry at used_published will say: packed, or in order */
	uint32_t event_shown;		/* packed: our event structure, as last written; not a possible one before */

	bool swap;			/* the ring's byte order is not ours */
	bool packed;			/* VIRTIO_F_RING_PACKED was negotiated */
	bool event_idx;			/* VIRTIO_F_EVENT_IDX was negotiated */
	bool indirect;			/* VIRTIO_F_INDIRECT_DESC was negotiated */
	bool in_order;			/* VIRTIO_F_IN_ORDER was negotiated */
	bool read_only;			/* no buffer so far had a piece for us to write */
	bool quiet;			/* we asked not to be kicked */
	bool polled;			/* set by who knows that the driver polls: flush() then never wants an interrupt, and saves a fence */

	const char *broken;		/* why the ring is no longer served; NULL = it is fine */
};

/* A buffer that the driver made available. The pieces live in the array given to pop(). */
struct vring_buffer {
	struct virtio_iov *out;		/* pieces the device reads, in order */
	struct virtio_iov *in;		/* pieces the device writes, in order; directly behind @out in the same array */
	uint16_t out_count;
	uint16_t in_count;
	uint32_t id;			/* for push(); all 32 bits */
	uint64_t out_len;		/* bytes, all pieces together; below 2^32 both together (virtio 1.2, 2.7.5.2) */
	uint64_t in_len;
};

/*
 * Set a ring up at three guest-physical addresses: descriptors, the driver's part, the device's; all indices start at 0. @features: the
 * negotiated set, which decides among other things whether the ring is packed. @big: a split ring's byte order. @mem must outlive the
 * ring. The ring's own memory is translated once, here.
 * 0; -VIRTIO_EINVAL: null, @num above 32768, zero, or of a split ring not a power of two; misaligned; a packed ring without VERSION_1;
 * -VIRTIO_EFAULT: not guest memory. After an error the ring is as it was.
 */
int vring_device_init(struct vring_device *vq, const struct virtio_mem *mem, uint32_t num, uint64_t desc, uint64_t avail, uint64_t used,
		      uint64_t features, bool big);

/* Forget the ring; keeps num_max. Buffers in flight must not be pushed afterwards. */
void vring_device_reset(struct vring_device *vq);

/*
 * Take the next buffer. @iov: where its pieces go, room for @max; the queue's size is always enough.
 * 1: @buf is filled. 0: there is none, or the ring is not set up. -VIRTIO_EPROTO: the ring is broken (now or before), see @vq->broken.
 * -VIRTIO_EINVAL: null.
 * Returning 0 has asked for a kick (unless notify(off) was called), so popping until 0 and then waiting loses nothing.
 */
int vring_device_pop(struct vring_device *vq, struct vring_buffer *buf, struct virtio_iov *iov, unsigned int max);

/* Put back the buffer popped last, unprocessed: the next pop() returns it again. Several are put back in reverse order. */
void vring_device_unpop(struct vring_device *vq, uint32_t id);

/* Is anything there to pop? Looks at the driver's index, takes nothing. */
bool vring_device_has_buffers(struct vring_device *vq);

/*
 * Give a buffer back. @id: as pop() gave it. @written: bytes stored into its writable pieces, from their start (virtio 1.2, 2.7.8.2).
 * The driver sees it at the next flush(): call that once per batch. After VIRTIO_F_IN_ORDER, which only a device offers that does so,
 * buffers must be given back in the order in which they were popped.
 */
void vring_device_push(struct vring_device *vq, uint32_t id, uint32_t written);

/* Show the driver everything pushed. True: it wants an interrupt (virtio 1.2, 2.7.7). */
bool vring_device_flush(struct vring_device *vq);

/*
 * Ask to be kicked for new buffers (@on), or not to be. Asking on: true means buffers are there already, and there may be no kick
 * for them: go on popping. A kick may come even when off.
 */
bool vring_device_notify(struct vring_device *vq, bool on);

/*
 * Where the ring stands, in the form of vhost's VRING_BASE messages, when no buffer is in flight: of a split ring last_avail; of a packed
 * one last_avail and its wrap counter (bit 15) in the lower half, used_idx and its wrap counter in the upper.
 */
uint32_t vring_device_base(const struct vring_device *vq);

/*
 * Go on at @base in a ring that was just set up; of a split ring the other index is read from the ring. 0, or -VIRTIO_EINVAL: null, not
 * set up, or an offset outside a packed ring.
 */
int vring_device_set_base(struct vring_device *vq, uint32_t base);

/*
 * A queue at rest, to be stored or sent elsewhere: plain numbers without padding, in this machine's byte order. @version says which
 * fields there are; a later one reads all earlier ones.
 */
#define VRING_STATE_VERSION 1

struct vring_device_state {
	uint32_t version;		/* VRING_STATE_VERSION */
	uint32_t num;			/* entries; 0 = not set up, and nothing else counts */
	uint64_t features;		/* of those negotiated, the ones that a ring looks at */
	uint64_t desc, avail, used;	/* guest-physical addresses */
	uint32_t base;			/* split: last_avail below, used_idx above; packed: as vring_device_base() */
	uint16_t in_flight;		/* popped and not yet pushed: the device keeps their ids, and may push them after the load */
	uint16_t flags;			/* VRING_STATE_* */
};

#define VRING_STATE_BIG		0x1u	/* the ring is big-endian */
#define VRING_STATE_QUIET	0x2u	/* the device asked not to be kicked */
#define VRING_STATE_READ_ONLY	0x4u	/* no buffer so far had a piece for the device to write */

/*
 * Write down where @vq stands. The device must not be serving it meanwhile; its driver may go on. 0; -VIRTIO_EINVAL: null;
 * -VIRTIO_EBUSY: something was pushed and not flushed; -VIRTIO_EPROTO: the ring is broken.
 */
int vring_device_save(const struct vring_device *vq, struct vring_device_state *state);

/*
 * Go on where save() was called, over @mem, which has the same contents. The state is not trusted. Afterwards look at the queue once: a
 * kick may have come in between. 0; -VIRTIO_EINVAL: null, another version, or not a state that a queue can be in; -VIRTIO_EFAULT: the
 * ring does not lie in @mem. After an error the queue is not set up. To load a device: virtio_dev_set_features(), this for each of its
 * queues, then virtio_dev_set_status() or virtio_dev_start().
 */
int vring_device_load(struct vring_device *vq, const struct virtio_mem *mem, const struct vring_device_state *state);

/* Mark the ring broken; @reason must be a string that lives on. The first reason is kept. */
void vring_device_break(struct vring_device *vq, const char *reason);

VIRTIO_END_DECLS

#endif
