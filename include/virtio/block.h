/* SPDX-License-Identifier: MIT */
/* block.h - block device, both ends (virtio 1.2, 5.2). One queue. A request: header (read), data, status byte (written, last). */
#ifndef VIRTIO_BLOCK_H
#define VIRTIO_BLOCK_H

#include <virtio/virtio.h>

#define VIRTIO_BLOCK_F_SIZE_MAX		VIRTIO_BIT(1)
#define VIRTIO_BLOCK_F_SEG_MAX		VIRTIO_BIT(2)
#define VIRTIO_BLOCK_F_GEOMETRY		VIRTIO_BIT(4)
#define VIRTIO_BLOCK_F_RO		VIRTIO_BIT(5)
#define VIRTIO_BLOCK_F_BLK_SIZE		VIRTIO_BIT(6)
#define VIRTIO_BLOCK_F_SCSI		VIRTIO_BIT(7)	/* legacy */
#define VIRTIO_BLOCK_F_FLUSH		VIRTIO_BIT(9)	/* there is a write cache, and a flush request */
#define VIRTIO_BLOCK_F_TOPOLOGY		VIRTIO_BIT(10)
#define VIRTIO_BLOCK_F_CONFIG_WCE	VIRTIO_BIT(11)
#define VIRTIO_BLOCK_F_MQ		VIRTIO_BIT(12)
#define VIRTIO_BLOCK_F_DISCARD		VIRTIO_BIT(13)
#define VIRTIO_BLOCK_F_WRITE_ZEROES	VIRTIO_BIT(14)

/* Request types. A legacy driver may set the barrier bit as well. */
#define VIRTIO_BLOCK_T_IN		0	/* read */
#define VIRTIO_BLOCK_T_OUT		1	/* write */
#define VIRTIO_BLOCK_T_SCSI		2
#define VIRTIO_BLOCK_T_FLUSH		4
#define VIRTIO_BLOCK_T_GET_ID		8
#define VIRTIO_BLOCK_T_DISCARD		11	/* data: ranges, see below */
#define VIRTIO_BLOCK_T_WRITE_ZEROES	13
#define VIRTIO_BLOCK_T_BARRIER		UINT32_C(0x80000000)

#define VIRTIO_BLOCK_S_OK		0
#define VIRTIO_BLOCK_S_IOERR		1
#define VIRTIO_BLOCK_S_UNSUPP		2

#define VIRTIO_BLOCK_SECTOR		512u	/* bytes; the unit of sector numbers, whatever the block size */
#define VIRTIO_BLOCK_ID_LEN		20	/* bytes of a serial number, NUL-padded */

/* Request header: u32 type, u32 ioprio, u64 sector. */
#define VIRTIO_BLOCK_HDR_LEN		16

/* A range of a discard or write-zeroes request: u64 sector, u32 sectors, u32 flags. */
#define VIRTIO_BLOCK_RANGE_LEN		16
#define VIRTIO_BLOCK_RANGE_UNMAP	1u	/* write zeroes: the device may free the range */
#define VIRTIO_BLOCK_HDR_EARLY		24	/* in Linux 2.6.24: and u64 id, which means nothing to the device */

/* Config space, offsets in bytes. */
#define VIRTIO_BLOCK_CFG_CAPACITY	0	/* u64, sectors */
#define VIRTIO_BLOCK_CFG_SIZE_MAX	8	/* u32 */
#define VIRTIO_BLOCK_CFG_SEG_MAX	12	/* u32 */
#define VIRTIO_BLOCK_CFG_CYLINDERS	16	/* u16, then u8 heads, u8 sectors */
#define VIRTIO_BLOCK_CFG_BLK_SIZE	20	/* u32, bytes */
#define VIRTIO_BLOCK_CFG_PHYSICAL_EXP	24	/* u8: log2 of logical blocks per physical block */
#define VIRTIO_BLOCK_CFG_ALIGNMENT	25	/* u8 */
#define VIRTIO_BLOCK_CFG_MIN_IO		26	/* u16, logical blocks */
#define VIRTIO_BLOCK_CFG_OPT_IO		28	/* u32, logical blocks */
#define VIRTIO_BLOCK_CFG_WRITEBACK	32	/* u8 */
#define VIRTIO_BLOCK_CFG_NUM_QUEUES	34	/* u16 */
#define VIRTIO_BLOCK_CFG_LEN		36	/* of a device without the following */
#define VIRTIO_BLOCK_CFG_MAX_DISCARD	36	/* u32, sectors of one range */
#define VIRTIO_BLOCK_CFG_DISCARD_SEGS	40	/* u32, ranges of one request */
#define VIRTIO_BLOCK_CFG_DISCARD_ALIGN	44	/* u32, sectors */
#define VIRTIO_BLOCK_CFG_MAX_ZEROES	48	/* u32, sectors of one range */
#define VIRTIO_BLOCK_CFG_ZEROES_SEGS	52	/* u32, ranges of one request */
#define VIRTIO_BLOCK_CFG_MAY_UNMAP	56	/* u8: VIRTIO_BLOCK_RANGE_UNMAP may have an effect */
#define VIRTIO_BLOCK_CFG_LONG		60	/* with discard and write zeroes */

#endif
