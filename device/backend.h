/* SPDX-License-Identifier: MIT */
/*
 * backend.h - what stands behind a device. Devices call these operations; host/ implements them; tests fake them.
 *
 * One lock, the I/O lock of host/loop.h, is held whenever a device's code runs: by the processor's thread around a kick, by the
 * event loop's thread around every callback. Neither side ever waits for the host while holding it, so a slow disk or a full
 * pipe never stalls the guest's processor.
 */
#ifndef KENNEL_DEVICE_BACKEND_H
#define KENNEL_DEVICE_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <virtio/virtio.h>	/* struct virtio_iov: laid out as POSIX struct iovec */

/* --- disk ------------------------------------------------------------------------------------------------------------ */

enum block_op { BLOCK_READ, BLOCK_WRITE, BLOCK_FLUSH };

/* One request; embedded in the device's own. The backend owns it, and the memory @iov names, from submit() until done(). */
struct block_io {
	enum block_op op;
	uint64_t offset;			/* bytes */
	struct virtio_iov *iov;
	unsigned int iov_count;
	void (*done)(struct block_io *io, int error);	/* 0 or negative errno; called on the loop's thread, or within submit() */
};

struct block_backend {
	const struct block_backend_ops *ops;
	uint64_t size;				/* bytes */
	uint32_t block_size;			/* logical, bytes; 512 unless the host device says otherwise */
	bool read_only;
	char serial[21];			/* NUL-terminated, at most 20 */
};

struct block_backend_ops {
	void (*submit)(struct block_backend *be, struct block_io *io);	/* never blocks; may call done() at once */
	void (*commit)(struct block_backend *be);	/* a batch of submits is complete; may be NULL */
	/*
	 * Returns when nothing is under way: every done() has been called, from within if need be. For a device reset, after which no
	 * guest memory may be touched: the one call that may wait, with the lock held. NULL: submit() always completes at once.
	 */
	void (*drain)(struct block_backend *be);
	void (*close)(struct block_backend *be);	/* waits for what is under way */
};

/* --- network --------------------------------------------------------------------------------------------------------- */

/* Offload header, host byte order: the fields of virtio_net_hdr (virtio 1.2, 5.1.6). */
struct net_offload {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

/* Who gets the frames; filled in by the device. */
struct net_receiver {
	/* A frame from outside. false: no buffer now, the backend keeps or drops it; rx_ready() will follow. */
	bool (*receive)(void *opaque, const struct virtio_iov *iov, unsigned int count, const struct net_offload *offload);
	void (*tx_ready)(void *opaque);		/* after send() said -EAGAIN: frames can be sent again */
	void *opaque;
};

struct net_backend {
	const struct net_backend_ops *ops;
	bool offload;				/* checksum and TSO4/TSO6/ECN both ways */
	struct net_receiver receiver;
	uint8_t mac[6];				/* proposed to the guest */
	uint16_t mtu;
};

struct net_backend_ops {
	/* Send one frame; consumed on return. 0, or -EAGAIN: try again after tx_ready. Other errors: dropped. */
	int (*send)(struct net_backend *be, const struct virtio_iov *iov, unsigned int count, const struct net_offload *offload);
	void (*set_offload)(struct net_backend *be, bool tx_csum_tso, bool rx_csum, bool rx_tso4, bool rx_tso6, bool rx_ecn); /* what was negotiated; may be NULL */
	void (*rx_ready)(struct net_backend *be);	/* the guest has buffers again; may be NULL */
	void (*close)(struct net_backend *be);
};

/* --- console --------------------------------------------------------------------------------------------------------- */

struct console_backend {
	const struct console_backend_ops *ops;
	void *opaque;				/* the device's, for the two calls below */
	size_t (*input)(void *opaque, const void *data, size_t len);	/* bytes taken; the rest is offered again after input_ready() */
	void (*resized)(void *opaque, uint16_t columns, uint16_t rows);
};

struct console_backend_ops {
	size_t (*write)(struct console_backend *be, const struct virtio_iov *iov, unsigned int count); /* takes everything: buffers or drops rather than block */
	void (*input_ready)(struct console_backend *be);
	void (*size)(struct console_backend *be, uint16_t *columns, uint16_t *rows);	/* 0, 0 = unknown */
	void (*close)(struct console_backend *be);
};

/* --- entropy --------------------------------------------------------------------------------------------------------- */

struct entropy_backend {
	const struct entropy_backend_ops *ops;
};

struct entropy_backend_ops {
	size_t (*fill)(struct entropy_backend *be, void *buf, size_t len);	/* bytes given, at least 1 */
	void (*close)(struct entropy_backend *be);
};

/* --- memory given back ------------------------------------------------------------------------------------------------ */

/* One figure of the guest's memory statistics (virtio 1.2, 5.5.6.4): VIRTIO_BALLOON_S_*; bytes or events. */
struct balloon_stat {
	uint16_t tag;
	uint64_t value;
};

struct balloon_backend {
	const struct balloon_backend_ops *ops;
	uint64_t target;			/* bytes the guest is asked to give up; followed by target_changed() */
	uint64_t actual;			/* bytes it says it has; kept by the device */
	void *opaque;				/* the device's, for the two calls below, which it fills in */
	void (*target_changed)(void *opaque);
	bool (*ask_stats)(void *opaque);	/* ops->stats() will follow; false: the guest has no buffer for them now */
};

struct balloon_backend_ops {
	/*
	 * The guest does not need what is in these bytes of its memory, whole 4096-byte pages: give them back to the host. They read
	 * as zeros or as before, and are usable again whenever the guest touches them. A hint: failure changes nothing. Never blocks.
	 */
	void (*release)(struct balloon_backend *be, uint64_t gpa, uint64_t len);
	/* The guest's answer; NULL: nobody asks, and the guest is not offered to tell. */
	void (*stats)(struct balloon_backend *be, const struct balloon_stat *stats, unsigned int count);
	void (*close)(struct balloon_backend *be);	/* may be NULL */
};

#endif
