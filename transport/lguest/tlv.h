/* SPDX-License-Identifier: MIT */
/*
 * tlv.h - the lguest bus of Linux 2.6.24 ("generation 1", the first that carried virtio): what lies in the page above
 * the top of guest memory.
 *
 * Device descriptors, packed byte by byte, one after the other; type 0 ends the list, as does the end of the page:
 *
 *	u8 type, u8 config_len, u8 status
 *	fields, config_len bytes of them: u8 type, u8 length, data[length]
 *
 * One field per queue, { u16 num, u16 irq, u32 pfn }, in order; the rest of a device's configuration, in fields whose numbers
 * each kind of device counts from 0x41. A driver that has used a field sets bit 7 of its type, so that the next search finds
 * the next one.
 *
 * Everything is little-endian. The one call, NOTIFY(address of a ring), is a kick. Nothing else is announced: not the status,
 * not the end of the set-up, and there is no reset. Neither are there feature bits that would work (guests confuse bits and
 * bytes in the field for them), so no indirect descriptors and no event index. Headers of disk requests and frames differ from
 * later ones: see <virtio/block.h>, <virtio/net.h>.
 *
 * Sources: Linux 2.6.24, drivers/lguest/lguest_device.c and include/linux/lguest_launcher.h (facts, not code).
 */
#ifndef KENNEL_TRANSPORT_LGUEST_TLV_H
#define KENNEL_TRANSPORT_LGUEST_TLV_H

#include <transport/lguest/page.h>
#include <virtio/block.h>
#include <virtio/net.h>

#define TLV_DESC_TYPE		0
#define TLV_DESC_CONFIG_LEN	1
#define TLV_DESC_STATUS		2
#define TLV_DESC_HEADER		3	/* bytes before the fields */

#define TLV_FIELD_TYPE		0
#define TLV_FIELD_LEN		1
#define TLV_FIELD_HEADER	2	/* bytes before the data */
#define TLV_FIELD_USED		0x80u	/* set in the type by a driver that took the field */

#define TLV_TYPE_QUEUE		0x02u	/* data as in lguest/page.h: LGUEST_VQ_NUM, _IRQ, _PFN */
#define TLV_TYPE_FEATURES	0x40u

/* Which field tells which bytes of the configuration space that virtio has today, and the feature that says these are valid. */
struct tlv_config {
	uint32_t id;			/* VIRTIO_ID_* */
	uint8_t type, len;
	uint16_t offset;
	uint64_t feature;		/* 0 = always valid */
};

static const struct tlv_config tlv_configs[] = {
	{ VIRTIO_ID_BLOCK, 0x41, 8, VIRTIO_BLOCK_CFG_CAPACITY, 0 },
	{ VIRTIO_ID_BLOCK, 0x42, 4, VIRTIO_BLOCK_CFG_SIZE_MAX, VIRTIO_BLOCK_F_SIZE_MAX },
	{ VIRTIO_ID_BLOCK, 0x43, 4, VIRTIO_BLOCK_CFG_SEG_MAX, VIRTIO_BLOCK_F_SEG_MAX },
	{ VIRTIO_ID_NET, 0x41, 6, VIRTIO_NET_CFG_MAC, VIRTIO_NET_F_MAC },
};

#define TLV_CONFIGS	(sizeof(tlv_configs) / sizeof(tlv_configs[0]))
#define TLV_CONFIG_END	16u		/* bytes of configuration space that fields can tell */

#endif
