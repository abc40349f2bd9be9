/* SPDX-License-Identifier: MIT */
/*
 * driver-net.h - a network driver for small kernels: whole Ethernet frames in and out, which are copied. Checksums and segmentation may be
 * left to the other end; then frames of up to VIRTIO_NET_MAX_FRAME bytes travel, and buffers for them come from the platform.
 *
 * Devices are expected to fill receive buffers in the order in which they were offered, as all known ones do.
 */
#ifndef VIRTIO_DRIVER_NET_H
#define VIRTIO_DRIVER_NET_H

#include <virtio/driver.h>
#include <virtio/net.h>

VIRTIO_BEGIN_DECLS

#define VIRTIO_NET_RX_BUFFERS	16
#define VIRTIO_NET_TX_BUFFERS	16
#define VIRTIO_NET_FRAME	1514	/* bytes of the largest frame without segmentation */

/*
 * Features that virtio_net.wanted may name. HOST_TSO4 and HOST_TSO6 bring CSUM along, GUEST_TSO4 and GUEST_TSO6 GUEST_CSUM. The platform's
 * memory that they take: HOST_TSO* a MiB, GUEST_TSO* another one, or with MRG_RXBUF 128 KiB.
 */
#define VIRTIO_NET_DRIVER_WANTED                                                                                                       \
	(VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_MRG_RXBUF | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 |      \
	 VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6)

struct virtio_net_buffer {
	unsigned long used;
	uint8_t *data;			/* a header, and a frame or a part of one */
};

/* The buffers of one direction. */
struct virtio_net_buffers {
	size_t room;			/* for a frame behind the header, in each */
	uint8_t *large;			/* the platform's memory for those that virtio_net has no place for, else NULL */
	size_t large_size;
};

/* Zeroed by the caller; lies in memory that the platform's mem covers. */
struct virtio_net {
	struct virtio_device *vdev;
	struct virtio_queue *rx, *tx;
	uint64_t wanted;		/* set before probe: of VIRTIO_NET_DRIVER_WANTED, what to use if it is offered */
	uint8_t mac[6];
	unsigned int header;		/* bytes in front of each frame */
	/* Frames have come: virtio_net_receive() will give one. Called from interrupts; may be NULL. */
	void (*input)(struct virtio_net *net);
	void *opaque;
	unsigned long dropped;		/* received frames whose header was a lie */
	unsigned int rx_next;		/* receive buffer to be filled next */
	unsigned int rx_count;		/* receive buffers that fit into the queue */
	struct virtio_net_buffers rx_memory, tx_memory;
	struct virtio_net_buffer rx_buffer[VIRTIO_NET_RX_BUFFERS];
	struct virtio_net_buffer tx_buffer[VIRTIO_NET_TX_BUFFERS];
	uint8_t small[VIRTIO_NET_RX_BUFFERS + VIRTIO_NET_TX_BUFFERS][VIRTIO_NET_HDR_LONG + VIRTIO_NET_FRAME + 2];
};

/*
 * Take the device over and post receive buffers. 0; -VIRTIO_EINVAL: null; another error: the device has been told FAILED, -VIRTIO_ENOMEM
 * for want of memory, -VIRTIO_EOPNOTSUPP if it offers segmentation without checksums (virtio 1.2, 5.1.3.1).
 */
int virtio_net_probe(struct virtio_net *net, struct virtio_device *vdev);

/* Send a copy of the frame. 0; -VIRTIO_EAGAIN: all send buffers are under way; -VIRTIO_EINVAL: too long; -VIRTIO_ENODEV. */
int virtio_net_send(struct virtio_net *net, const void *frame, size_t len);

/*
 * The same, of a frame with a checksum that the device completes (NEEDS_CSUM in the flags), which may also be a longer one that it cuts
 * into segments (a gso_type, hdr_len and gso_size besides). NULL: neither. Also -VIRTIO_EOPNOTSUPP: the feature for that was not wanted or
 * not offered; -VIRTIO_EINVAL: a header that no driver may write (5.1.6.2.1).
 */
int virtio_net_send_offload(struct virtio_net *net, const void *frame, size_t len, const struct virtio_net_offload *offload);

/* The next received frame, at most @size bytes of it. Bytes copied, 0 when there is none. Never waits. */
size_t virtio_net_receive(struct virtio_net *net, void *frame, size_t size);

/*
 * The same, and what its header says (@offload may be NULL): only what was negotiated, with a checksum within the frame. A frame for which
 * that is not so, or that does not fill its buffers as it should, is dropped, and counted.
 */
size_t virtio_net_receive_offload(struct virtio_net *net, void *frame, size_t size, struct virtio_net_offload *offload);

/* Is the link up? True when the device does not say. */
bool virtio_net_link(struct virtio_net *net);

/* Give the device back. */
void virtio_net_remove(struct virtio_net *net);

VIRTIO_END_DECLS

#endif
