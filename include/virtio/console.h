/* SPDX-License-Identifier: MIT */
/*
 * console.h - console device, both ends (virtio 1.2, 5.3). Queue 0 carries what is typed, queue 1 what is printed. With several ports,
 * each has such a pair, and another pair is for messages about them.
 */
#ifndef VIRTIO_CONSOLE_H
#define VIRTIO_CONSOLE_H

#include <virtio/virtio.h>

#define VIRTIO_CONSOLE_F_SIZE		VIRTIO_BIT(0)	/* columns and rows are valid */
#define VIRTIO_CONSOLE_F_MULTIPORT	VIRTIO_BIT(1)
#define VIRTIO_CONSOLE_F_EMERG_WRITE	VIRTIO_BIT(2)	/* a byte stored to emerg_wr is printed at once */

#define VIRTIO_CONSOLE_QUEUE_IN		0
#define VIRTIO_CONSOLE_QUEUE_OUT	1
#define VIRTIO_CONSOLE_CONTROL_IN	2	/* to the driver; only with MULTIPORT */
#define VIRTIO_CONSOLE_CONTROL_OUT	3

/* The input queue of a port; its output queue is the next. */
static inline unsigned int virtio_console_queue(unsigned int port)
{
	return port ? 2 + 2 * port : VIRTIO_CONSOLE_QUEUE_IN;
}

/* Queues of a device with so many ports and VIRTIO_CONSOLE_F_MULTIPORT. */
static inline unsigned int virtio_console_queues(unsigned int ports)
{
	return 2 + 2 * ports;
}

/* A control message: u32 port, u16 event, u16 value; for some, more behind it. */
#define VIRTIO_CONSOLE_MESSAGE		8	/* bytes */
#define VIRTIO_CONSOLE_DEVICE_READY	0	/* from the driver: let me hear about ports */
#define VIRTIO_CONSOLE_PORT_ADD		1
#define VIRTIO_CONSOLE_PORT_REMOVE	2
#define VIRTIO_CONSOLE_PORT_READY	3	/* from the driver, after PORT_ADD: value 1, or 0 if that failed */
#define VIRTIO_CONSOLE_CONSOLE_PORT	4	/* the port is for people */
#define VIRTIO_CONSOLE_RESIZE		5	/* and u16 columns, u16 rows */
#define VIRTIO_CONSOLE_PORT_OPEN	6	/* from either: value 1 opened, 0 closed */
#define VIRTIO_CONSOLE_PORT_NAME	7	/* and the name, to the end of the message */

/* Config space, offsets in bytes. */
#define VIRTIO_CONSOLE_CFG_COLUMNS	0	/* u16 */
#define VIRTIO_CONSOLE_CFG_ROWS		2	/* u16 */
#define VIRTIO_CONSOLE_CFG_PORTS	4	/* u32 */
#define VIRTIO_CONSOLE_CFG_EMERG_WRITE	8	/* u32: its lower byte is printed */
#define VIRTIO_CONSOLE_CFG_LEN		12

#endif
