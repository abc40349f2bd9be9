/* SPDX-License-Identifier: MIT */
/* console-ports.h - what console.c asks of console-ports.c. */
#ifndef VIRTIO_DRIVER_CONSOLE_PORTS_H
#define VIRTIO_DRIVER_CONSOLE_PORTS_H

#include <virtio/driver-console.h>

/* Set con->ports. 0 or a negative error. */
int console_ports_count(struct virtio_console *con);

/* Find the control queues. 0 or a negative error. */
int console_ports_find_queues(struct virtio_console *con);

/* The device is ready: ask it for its ports, if it has messages for that; else there is one. */
void console_ports_begin(struct virtio_console *con);

#endif
