/* SPDX-License-Identifier: MIT */
/* console_device.h - between console.c, which moves bytes, and console_control.c, which exchanges messages about ports. */
#ifndef KENNEL_DEVICE_CONSOLE_DEVICE_H
#define KENNEL_DEVICE_CONSOLE_DEVICE_H

#include <device/device.h>
#include <virtio/console.h>

#define CONSOLE_QUEUE_SIZE 32

struct port {
	struct console_device *con;
	unsigned int id;
	struct console_port is;
	bool starved;			/* input was refused: the backend waits for input_ready() */
	bool blocked;			/* output was refused: we wait for output_ready() */
	uint64_t sent;			/* bytes of the next output buffer that the backend has taken */
	/* With several ports: */
	bool announced;			/* the driver has been told that there is such a port */
	bool ready;			/* it can use it */
	bool open;			/* somebody in the guest does */
	uint8_t pending;		/* messages to the driver that no buffer was there for: see console_control.c */
};

struct console_device {
	struct virtio_dev dev;
	unsigned int num_ports;
	struct port port[CONSOLE_PORTS_MAX];
	struct vring_device queues[2 + 2 * CONSOLE_PORTS_MAX];
	struct virtio_iov iov[CONSOLE_QUEUE_SIZE];
};

/* Did the driver agree to several ports? */
static inline bool console_multiport(const struct console_device *con)
{
	return virtio_dev_has(&con->dev, VIRTIO_CONSOLE_F_MULTIPORT);
}

/* Offer the backend to take its input again, if it waits for that. */
void console_want_input(struct port *port);

/* The driver kicked one of the control queues. */
void console_control_notify(struct console_device *con);

/* Messages to follow when the driver is told of the port: somebody came or went behind it; its window has another size. */
void console_control_came_or_went(struct port *port);
void console_control_resized(struct port *port);

/* The driver has been reset: it knows nothing of any port. */
void console_control_reset(struct console_device *con);

#endif
