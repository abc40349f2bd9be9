/* SPDX-License-Identifier: MIT */
/*
 * dma.h - the lguest bus of Linux 2.6.23 ("generation 0"), from before there was virtio: what both ends know.
 *
 * The page above the top of guest memory has 16 slots of 12 bytes, one per device, irq = slot + 1; type 0 is an empty one. A
 * device may have pages of its own, behind that page. Two calls carry everything: BIND_DMA offers an array of scatter lists
 * under a key, an address that both ends know; SEND_DMA sends one scatter list to a key. A list's used_len is 0 while the host
 * may fill it, and the number of bytes then.
 *
 *	console		key 0, both ways
 *	network		one page of peers, 6 bytes each, a MAC address whose bit 0 says "every packet to me"; the key of peer n is the
 *			page's address + 4 n. The guest is the peer that the features name.
 *	disk		one page, which is the key too: type, sector and bytes, then result. To be filled by a read is the list that is
 *			bound; to be written is the one that is sent. One request at a time.
 *
 * Everything is little-endian. There is no reset, and no call for a change of status.
 *
 * Sources: Linux 2.6.23, drivers/lguest/lguest_bus.c and io.c, drivers/block/lguest_blk.c, drivers/net/lguest_net.c,
 * drivers/char/hvc_lguest.c, include/linux/lguest_launcher.h (facts, not code).
 */
#ifndef KENNEL_TRANSPORT_LGUEST_DMA_H
#define KENNEL_TRANSPORT_LGUEST_DMA_H

#include <transport/lguest/page.h>
#include <virtio/endian.h>

/* Numbers of the calls, for those who make hypercalls of them. */
#define LGUEST_BIND_DMA		12	/* key, array, count << 8 | irq (0: unbind); 1 = done, 0 = not */
#define LGUEST_SEND_DMA		13	/* key, list */

#define DMA_SLOTS		16u
#define DMA_SLOT_TYPE		0	/* u16: DMA_TYPE_* */
#define DMA_SLOT_FEATURES	2	/* u16 */
#define DMA_SLOT_STATUS		4	/* u16, written by the guest: VIRTIO_STATUS_*, of which it only ever sets bits */
#define DMA_SLOT_PAGES		6	/* u16: pages of its own */
#define DMA_SLOT_PFN		8	/* u32: the first of them */
#define DMA_SLOT_BYTES		12u

#define DMA_TYPE_CONSOLE	1
#define DMA_TYPE_NET		2
#define DMA_TYPE_BLOCK		3

#define DMA_FEATURE_RANDOM	0x8000u	/* when it interrupts is good entropy */

/* One scatter list: u32 used_len, u32 addr[16], u16 len[16], the first 0 of which ends it. */
#define DMA_SECTIONS		16u
#define DMA_USED_LEN		0
#define DMA_ADDR		4
#define DMA_LEN			68
#define DMA_BYTES		100u

#define DMA_MAX_BINDINGS	32u

#define DMA_CONSOLE_KEY		0u

/* The disk's page. */
#define DMA_BLOCK_TYPE		0	/* u32: 0 read, 1 write */
#define DMA_BLOCK_SECTOR	4	/* u32 */
#define DMA_BLOCK_LENGTH	8	/* u32: bytes that the guest expects to be transferred */
#define DMA_BLOCK_RESULT	12	/* u32: the guest stores 0, the host: */
#define DMA_BLOCK_CAPACITY	16	/* u32, sectors */
#define DMA_BLOCK_OK		1u
#define DMA_BLOCK_ERROR		2u

/* The network's page. */
#define DMA_NET_MAC		6u	/* bytes of a peer */
#define DMA_NET_KEY		4u	/* from one peer's key to the next's */
#define DMA_NET_ALL		0x01u	/* in a peer's first byte: it wants every packet */
#define DMA_NET_HOST		0u	/* the peer that is the host */
#define DMA_NET_GUEST		1u	/* and the guest, on a network of these two */

#endif
