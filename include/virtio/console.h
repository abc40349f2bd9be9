/* SPDX-License-Identifier: MIT */
/* console.h - console device, both ends (virtio 1.2, 5.3). Queue 0 carries what is typed, queue 1 what is printed. */
#ifndef VIRTIO_CONSOLE_H
#define VIRTIO_CONSOLE_H

#include <virtio/virtio.h>

#define VIRTIO_CONSOLE_F_SIZE		VIRTIO_BIT(0)	/* columns and rows are valid */
#define VIRTIO_CONSOLE_F_MULTIPORT	VIRTIO_BIT(1)
#define VIRTIO_CONSOLE_F_EMERG_WRITE	VIRTIO_BIT(2)	/* a byte stored to emerg_wr is printed at once */

#define VIRTIO_CONSOLE_QUEUE_IN		0
#define VIRTIO_CONSOLE_QUEUE_OUT	1

/* Config space, offsets in bytes. */
#define VIRTIO_CONSOLE_CFG_COLUMNS	0	/* u16 */
#define VIRTIO_CONSOLE_CFG_ROWS		2	/* u16 */
#define VIRTIO_CONSOLE_CFG_PORTS	4	/* u32 */
#define VIRTIO_CONSOLE_CFG_EMERG_WRITE	8	/* u32 */
#define VIRTIO_CONSOLE_CFG_LEN		12

#endif
