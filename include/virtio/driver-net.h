/* SPDX-License-Identifier: MIT */
/*
 * driver-net.h - a network driver for small kernels: whole Ethernet frames in and out. Received frames may be merged from several buffers;
 * checksums may be left to the other end. No segmentation: frames are at most VIRTIO_NET_FRAME bytes.
 */
#ifndef VIRTIO_DRIVER_NET_H
#define VIRTIO_DRIVER_NET_H

#include <virtio/driver.h>
#include <virtio/net.h>

#define VIRTIO_NET_RX_BUFFERS	16
#define VIRTIO_NET_TX_BUFFERS	16
#define VIRTIO_NET_FRAME	1514	/* bytes of the largest frame without offloads */

/* Checksums left to the other end (virtio 1.2, 5.1.6.2 and 5.1.6.4). */
struct virtio_net_checksum {
	bool needed;			/* not computed yet: from @start on, to be stored at @start + @offset */
	bool valid;			/* received frames: looked at and found good */
	uint16_t start, offset;
};

/* Features that virtio_net.wanted may name. */
#define VIRTIO_NET_DRIVER_WANTED (VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_MRG_RXBUF)

struct virtio_net_buffer {
	unsigned long used;
	uint8_t data[VIRTIO_NET_HDR_LONG + VIRTIO_NET_FRAME + 2];
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
	unsigned int rx_next;		/* receive buffer to be filled next */
	struct virtio_net_buffer rx_buffer[VIRTIO_NET_RX_BUFFERS];
	struct virtio_net_buffer tx_buffer[VIRTIO_NET_TX_BUFFERS];
};

/* Take the device over and post receive buffers. 0; -VIRTIO_EINVAL: null; another error: the device has been told FAILED. */
int virtio_net_probe(struct virtio_net *net, struct virtio_device *vdev);

/* Send a copy of the frame. 0; -VIRTIO_EAGAIN: all send buffers are under way; -VIRTIO_EINVAL: too long; -VIRTIO_ENODEV. */
int virtio_net_send(struct virtio_net *net, const void *frame, size_t len);

/* The same, of a frame whose checksum the device computes (NULL: it does not); -VIRTIO_EOPNOTSUPP unless VIRTIO_NET_F_CSUM was wanted and offered. */
int virtio_net_send_offload(struct virtio_net *net, const void *frame, size_t len, const struct virtio_net_checksum *checksum);

/* The next received frame, at most @size bytes of it. Bytes copied, 0 when there is none. Never waits. */
size_t virtio_net_receive(struct virtio_net *net, void *frame, size_t size);

/* The same, and what the device says of its checksum; without VIRTIO_NET_F_GUEST_CSUM nothing. */
size_t virtio_net_receive_offload(struct virtio_net *net, void *frame, size_t size, struct virtio_net_checksum *checksum);

/* Is the link up? True when the device does not say. */
bool virtio_net_link(struct virtio_net *net);

/* Give the device back. */
void virtio_net_remove(struct virtio_net *net);

#endif
