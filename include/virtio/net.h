/* SPDX-License-Identifier: MIT */
/* net.h - network device, both ends (virtio 1.2, 5.1). Queue 0 receives, queue 1 transmits. Every frame has a header. */
#ifndef VIRTIO_NET_H
#define VIRTIO_NET_H

#include <virtio/endian.h>
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

/* 5.1.3.1: segmentation needs checksums, ECN needs segmentation. */
static inline bool virtio_net_features_sound(uint64_t features)
{
	const uint64_t host_tso = VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6;
	const uint64_t guest_tso = VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6;

	if ((features & host_tso) ? !(features & VIRTIO_NET_F_CSUM) : !!(features & VIRTIO_NET_F_HOST_ECN))
		return false;
	return (features & guest_tso) ? !!(features & VIRTIO_NET_F_GUEST_CSUM) : !(features & VIRTIO_NET_F_GUEST_ECN);
}

/* What a header says of its frame. */
struct virtio_net_offload {
	uint8_t flags;			/* VIRTIO_NET_HDR_F_* */
	uint8_t gso_type;		/* VIRTIO_NET_GSO_*: the frame is to be cut, or has been put together */
	uint16_t hdr_len;		/* bytes of headers, which each piece gets; a hint */
	uint16_t gso_size;		/* bytes of payload of a piece */
	uint16_t csum_start;		/* NEEDS_CSUM: the checksum of what is from here on... */
	uint16_t csum_offset;		/* ...goes so far behind it */
};

/* From and to a header in byte order @big, not an early one. */
static inline struct virtio_net_offload virtio_net_offload_read(bool big, const uint8_t *header)
{
	struct virtio_net_offload offload;

	offload.flags = header[VIRTIO_NET_HDR_FLAGS];
	offload.gso_type = header[VIRTIO_NET_HDR_GSO_TYPE];
	offload.hdr_len = virtio_get16(big, header + VIRTIO_NET_HDR_HDR_LEN);
	offload.gso_size = virtio_get16(big, header + VIRTIO_NET_HDR_GSO_SIZE);
	offload.csum_start = virtio_get16(big, header + VIRTIO_NET_HDR_CSUM_START);
	offload.csum_offset = virtio_get16(big, header + VIRTIO_NET_HDR_CSUM_OFFSET);
	return offload;
}

static inline void virtio_net_offload_write(bool big, uint8_t *header, const struct virtio_net_offload *offload)
{
	header[VIRTIO_NET_HDR_FLAGS] = offload->flags;
	header[VIRTIO_NET_HDR_GSO_TYPE] = offload->gso_type;
	virtio_put16(big, header + VIRTIO_NET_HDR_HDR_LEN, offload->hdr_len);
	virtio_put16(big, header + VIRTIO_NET_HDR_GSO_SIZE, offload->gso_size);
	virtio_put16(big, header + VIRTIO_NET_HDR_CSUM_START, offload->csum_start);
	virtio_put16(big, header + VIRTIO_NET_HDR_CSUM_OFFSET, offload->csum_offset);
}

/* 5.1.6.2.1, 5.1.6.4.1: do the features allow this kind of segmentation, to the driver or from it? */
static inline bool virtio_net_gso_allowed(uint64_t features, bool to_driver, uint8_t gso_type)
{
	uint64_t ecn = to_driver ? VIRTIO_NET_F_GUEST_ECN : VIRTIO_NET_F_HOST_ECN;

	if ((gso_type & VIRTIO_NET_GSO_ECN) && !(features & ecn))
		return false;
	switch (gso_type & ~VIRTIO_NET_GSO_ECN) {
	case VIRTIO_NET_GSO_NONE:
		return !(gso_type & VIRTIO_NET_GSO_ECN);
	case VIRTIO_NET_GSO_TCPV4:
		return features & (to_driver ? VIRTIO_NET_F_GUEST_TSO4 : VIRTIO_NET_F_HOST_TSO4);
	case VIRTIO_NET_GSO_TCPV6:
		return features & (to_driver ? VIRTIO_NET_F_GUEST_TSO6 : VIRTIO_NET_F_HOST_TSO6);
	default:
		return false;
	}
}

/*
 * The same two clauses: may a frame of @len bytes have this header? One who believed another would do something with bytes that are not
 * there.
 */
static inline bool virtio_net_offload_allowed(uint64_t features, bool to_driver, const struct virtio_net_offload *offload, uint64_t len)
{
	bool checksum = offload->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	if (checksum && !(features & (to_driver ? VIRTIO_NET_F_GUEST_CSUM : VIRTIO_NET_F_CSUM)))
		return false;
	if (checksum && (uint64_t)offload->csum_start + offload->csum_offset + 2 > len)
		return false;
	if (offload->gso_type != VIRTIO_NET_GSO_NONE && (!checksum || !offload->gso_size || offload->hdr_len > len))
		return false;
	return virtio_net_gso_allowed(features, to_driver, offload->gso_type);
}

#endif
