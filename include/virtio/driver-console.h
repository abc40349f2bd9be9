/* SPDX-License-Identifier: MIT */
/*
 * driver-console.h - a console driver for small kernels: prints, and hands over what is typed. If it is wanted, several ports: consoles,
 * or channels to programs on the other side, which have names and know whether anybody is at their other end.
 */
#ifndef VIRTIO_DRIVER_CONSOLE_H
#define VIRTIO_DRIVER_CONSOLE_H

#include <virtio/console.h>
#include <virtio/driver.h>

VIRTIO_BEGIN_DECLS

#define VIRTIO_CONSOLE_INPUTS	4	/* receive buffers posted, for each port */
#define VIRTIO_CONSOLE_CHUNK	256	/* bytes of each */
#define VIRTIO_CONSOLE_PORTS	3	/* most ports that are used: each has two queues (VIRTIO_DRIVER_QUEUES) */
#define VIRTIO_CONSOLE_NAME	63	/* bytes of a port's name that are kept */
#define VIRTIO_CONSOLE_MESSAGES	4	/* control messages under way, in each direction */

struct virtio_console;

struct virtio_console_port {
	struct virtio_console *con;
	unsigned int id;
	struct virtio_queue *in, *out;
	/* What the device has said of it. Without VIRTIO_CONSOLE_F_MULTIPORT nothing but that port 0 is there, and open. */
	bool added;			/* it exists */
	bool terminal;			/* it is for people */
	bool open;			/* somebody is at the other end */
	char name[VIRTIO_CONSOLE_NAME + 1];
	uint16_t columns, rows;		/* 0: not said */
	/* private */
	uint8_t pending;		/* messages to the device */
	unsigned int next;		/* input buffer to be filled next */
	unsigned int taken;		/* bytes of it already given to the reader */
	unsigned long filled[VIRTIO_CONSOLE_INPUTS];
	uint8_t buffer[VIRTIO_CONSOLE_INPUTS][VIRTIO_CONSOLE_CHUNK];
	unsigned long sent;
	uint8_t output[VIRTIO_CONSOLE_CHUNK];
};

/* Zeroed by the caller; lies in memory that the platform's mem covers. */
struct virtio_console {
	struct virtio_device *vdev;
	uint64_t wanted;		/* set before probe: VIRTIO_CONSOLE_F_MULTIPORT, to use it if it is offered */
	/* Input has come: virtio_console_read() will give some. Called from interrupts; may be NULL. So for the other ports. */
	void (*input)(struct virtio_console *con);
	void (*port_input)(struct virtio_console_port *port);
	/* The device has said something new of a port. Called from interrupts and virtio_console_poll(); may be NULL. */
	void (*changed)(struct virtio_console_port *port);
	void *opaque;
	unsigned int ports;		/* how many of @port can be */
	unsigned long dropped;		/* messages of the device that made no sense */
	struct virtio_console_port port[VIRTIO_CONSOLE_PORTS];
	/* private */
	struct virtio_queue *control_in, *control_out;
	unsigned int control_next;
	struct {
		unsigned long filled;
		uint8_t data[VIRTIO_CONSOLE_MESSAGE + VIRTIO_CONSOLE_NAME];
	} heard[VIRTIO_CONSOLE_MESSAGES];
	struct {
		unsigned long sent;
		uint8_t data[VIRTIO_CONSOLE_MESSAGE];
	} said[VIRTIO_CONSOLE_MESSAGES];
};

/*
 * Take the device over and post input buffers. 0; -VIRTIO_EINVAL: null; another error: the device has been told FAILED, -VIRTIO_EOPNOTSUPP
 * if it offers ports and says that there can be none.
 */
int virtio_console_probe(struct virtio_console *con, struct virtio_device *vdev);

/*
 * Print @len bytes, which lie in memory that the platform's mem covers, and wait until they are printed. Polls, so it works with
 * interrupts off. Bytes printed, or negative error.
 */
long virtio_console_write(struct virtio_console *con, const void *data, size_t len);

/* Input that has come, at most @len bytes; 0 when there is none. Never waits. */
size_t virtio_console_read(struct virtio_console *con, void *data, size_t len);

/* Columns and rows; false when the device does not say. */
bool virtio_console_size(struct virtio_console *con, uint16_t *columns, uint16_t *rows);

/*
 * Print one character on a device that nobody has taken over, or that is broken (virtio 1.2, 5.3.5.1). 0; -VIRTIO_EOPNOTSUPP: the device
 * does not offer that; -VIRTIO_EINVAL: null.
 */
int virtio_console_emergency(struct virtio_device *vdev, char c);

/* --- ports: of con->port, those that are added ------------------------------------------------------------------------- */

/* Hear what the device has to say of ports; its interrupts do this too. Returns how many messages came. */
unsigned int virtio_console_poll(struct virtio_console *con);

/*
 * Tell the device that somebody here uses the port, from when on it has input, or does not any more. 0; -VIRTIO_EINVAL: null;
 * -VIRTIO_ENOENT: no such port now.
 */
int virtio_console_port_open(struct virtio_console_port *port, bool open);

/*
 * Send a copy of at most VIRTIO_CONSOLE_CHUNK bytes. Bytes taken; -VIRTIO_EAGAIN: nobody is at the other end, or what was sent before has
 * not been taken yet; -VIRTIO_ENOENT: no such port now; -VIRTIO_EINVAL: null; -VIRTIO_ENODEV.
 */
long virtio_console_port_write(struct virtio_console_port *port, const void *data, size_t len);

/* As virtio_console_read(). */
size_t virtio_console_port_read(struct virtio_console_port *port, void *data, size_t len);

/* Give the device back. */
void virtio_console_remove(struct virtio_console *con);

VIRTIO_END_DECLS

#endif
