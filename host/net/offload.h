/* SPDX-License-Identifier: MIT */
/*
 * offload.h - checksums and segments, for a network that has no hardware: what a guest leaves to its card is done here, where code
 * runs at full speed.
 */
#ifndef KENNEL_HOST_NET_OFFLOAD_H
#define KENNEL_HOST_NET_OFFLOAD_H

#include "device/backend.h"

/*
 * Finish a checksum the guest has left to us: sum @frame (Ethernet, @len bytes) from @start to its end and store the sum @offset
 * bytes after @start. False if that lies outside the frame (virtio 1.2, 5.1.6.2).
 */
bool offload_checksum(uint8_t *frame, size_t len, unsigned int start, unsigned int offset);

#define COALESCER_MAX	(14 + 40 + 65535)	/* Ethernet and IPv6 headers, and the longest payload */

/*
 * Puts TCP segments that follow each other into one large frame, as a card with receive offload does: the guest then pays for one
 * frame instead of forty. Frames of other kinds pass through, in order; nothing is held back beyond coalescer_flush().
 */
struct coalescer {
	/* Filled in by the owner. @frame is valid during the call. */
	void (*deliver)(void *opaque, const void *frame, size_t len, const struct virtio_net_offload *offload);
	void *opaque;
	bool checksums, tcp4, tcp6;	/* what the guest takes: valid-checksum marks, large frames over IPv4, over IPv6 */

	size_t len;			/* of the frame being built; 0: none */
	unsigned int segments;
	unsigned int ip_size;		/* bytes of the IP header */
	uint16_t segment_size;		/* payload bytes of the first, so of all but the last */
	uint32_t next_seq;
	uint8_t frame[COALESCER_MAX];
};

/* A frame with all its checksums good. */
void coalescer_add(struct coalescer *c, const uint8_t *frame, size_t len);

/* Deliver what is being built. */
void coalescer_flush(struct coalescer *c);

#endif
