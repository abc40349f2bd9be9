/* SPDX-License-Identifier: MIT */
/* driver-console.h - a console driver for small kernels: prints, and hands over what is typed. */
#ifndef VIRTIO_DRIVER_CONSOLE_H
#define VIRTIO_DRIVER_CONSOLE_H

#include <virtio/console.h>
#include <virtio/driver.h>

#define VIRTIO_CONSOLE_INPUTS	4	/* receive buffers posted */
#define VIRTIO_CONSOLE_CHUNK	256	/* bytes of each */

/* Zeroed by the caller; lies in memory that the platform's mem covers. */
struct virtio_console {
	struct virtio_device *vdev;
	struct virtio_queue *in, *out;
	/* Input has come: virtio_console_read() will give some. Called from interrupts; may be NULL. */
	void (*input)(struct virtio_console *con);
	void *opaque;
	unsigned int next;		/* input buffer to be filled next */
	unsigned int taken;		/* bytes of it already given to the reader */
	unsigned long filled[VIRTIO_CONSOLE_INPUTS];
	uint8_t buffer[VIRTIO_CONSOLE_INPUTS][VIRTIO_CONSOLE_CHUNK];
};

/* Take the device over and post input buffers. 0; -VIRTIO_EINVAL: null; another error: the device has been told FAILED. */
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

/* Give the device back. */
void virtio_console_remove(struct virtio_console *con);

#endif
