/* SPDX-License-Identifier: MIT */
/* net.h - network device, both ends (virtio 1.2, 5.1). Queue 0 receives, queue 1 transmits. Every frame has a header. */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include <virtio/virtio.h>

#define VIRTIO_NET_F_CSUM		VIRTIO_BIT(0)	/* the device completes checksums of what we send */
#define VIRTIO_NET_F_GUEST_CSUM		VIRTIO_BIT(1)	/* the driver takes frames with incomplete checksums */
#define VIRTIO_NET_F_MTU		VIRTIO_BIT(3)
#define VIRTIO_NET_F_MAC		VIRTIO_BIT(5)
#define VIRTIO_NET_F_GSO		VIRTIO_BIT(6)	/* legacy */
#define VIRTIO_NET_F_GUEST_TSO4		VIRTIO_BIT(7)
#define VIRTIO_NET_F_GUEST_TSO6		VIRTIO_BIT(8)
#define VIRTIO_NET_F_GUEST_ECN		VIRTIO_BIT(9)
#define VIRTIO_NET_F_GUEST_UFO		VIRTIO_BIT(10)
#define VIRTIO_NET_F_HOST_TSO4		VIRTIO_BIT(11)
#define VIRTIO_NET_F_HOST_TSO6		VIRTIO_BIT(12)
#define VIRTIO_NET_F_HOST_ECN		VIRTIO_BIT(13)
#define VIRTIO_NET_F_HOST_UFO		VIRTIO_BIT(14)
#define VIRTIO_NET_F_MRG_RXBUF		VIRTIO_BIT(15)	/* a frame may fill several receive buffers */
#define VIRTIO_NET_F_STATUS		VIRTIO_BIT(16)

#define VIRTIO_NET_QUEUE_RX		0
#define VIRTIO_NET_QUEUE_TX		1

/* Header, offsets in bytes (struct virtio_net_hdr). */
#define VIRTIO_NET_HDR_FLAGS		0	/* u8 */
#define VIRTIO_NET_HDR_GSO_TYPE		1	/* u8 */
#define VIRTIO_NET_HDR_HDR_LEN		2	/* u16 */
#define VIRTIO_NET_HDR_GSO_SIZE		4	/* u16 */
#define VIRTIO_NET_HDR_CSUM_START	6	/* u16 */
#define VIRTIO_NET_HDR_CSUM_OFFSET	8	/* u16 */
#define VIRTIO_NET_HDR_NUM_BUFFERS	10	/* u16, only in the long header */
#define VIRTIO_NET_HDR_LEN		10	/* legacy without MRG_RXBUF */
#define VIRTIO_NET_HDR_LONG		12	/* with MRG_RXBUF or VERSION_1 */
#define VIRTIO_NET_HDR_EARLY		8	/* in Linux 2.6.24: without HDR_LEN */

#define VIRTIO_NET_HDR_F_NEEDS_CSUM	1
#define VIRTIO_NET_HDR_F_DATA_VALID	2
#define VIRTIO_NET_GSO_NONE		0
#define VIRTIO_NET_GSO_TCPV4		1
#define VIRTIO_NET_GSO_UDP		3
#define VIRTIO_NET_GSO_TCPV6		4
#define VIRTIO_NET_GSO_ECN		0x80

/* Config space, offsets in bytes. */
#define VIRTIO_NET_CFG_MAC		0	/* 6 bytes */
#define VIRTIO_NET_CFG_STATUS		6	/* u16 */
#define VIRTIO_NET_CFG_MAX_PAIRS	8	/* u16 */
#define VIRTIO_NET_CFG_MTU		10	/* u16 */
#define VIRTIO_NET_CFG_LEN		12
#define VIRTIO_NET_S_LINK_UP		1

#define VIRTIO_NET_MAX_FRAME		65550	/* bytes: 64 KiB of segment and an Ethernet header (5.1.6.3.1) */

/* The header's length that goes with a negotiated feature set. @early: the other end is of the time of Linux 2.6.24. */
static inline unsigned int virtio_net_hdr_len(uint64_t features, bool early)
{
	if (early)
		return VIRTIO_NET_HDR_EARLY;
	return features & (VIRTIO_NET_F_MRG_RXBUF | VIRTIO_F_VERSION_1) ? VIRTIO_NET_HDR_LONG : VIRTIO_NET_HDR_LEN;
}

#endif
