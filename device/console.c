/* SPDX-License-Identifier: MIT */
/*
 * console.c - a console (virtio 1.2, 5.3): one port, queue 0 for what is typed, queue 1 for what is printed.
 *
 * Printing completes within the kick: an lguest guest prints with interrupts off and spins until the buffer comes back.
 */
#include <stdlib.h>

#include <device/device.h>
#include <virtio/console.h>

#define QUEUE_SIZE 32

struct console_device {
	struct virtio_dev dev;
	struct vring_device queues[2];
	struct console_backend *backend;
	bool starved;			/* input was refused: the backend waits for input_ready() */
	struct virtio_iov iov[QUEUE_SIZE];
};

static struct console_device *of(struct virtio_dev *dev)
{
	return (struct console_device *)(void *)dev;
}

static void print(struct console_device *con)
{
	struct vring_buffer buf;

	while (virtio_dev_pop(&con->dev, VIRTIO_CONSOLE_QUEUE_OUT, &buf, con->iov, QUEUE_SIZE) > 0) {
		if (buf.out_count)
			con->backend->ops->write(con->backend, buf.out, buf.out_count);
		virtio_dev_push(&con->dev, VIRTIO_CONSOLE_QUEUE_OUT, buf.id, 0);
	}
	virtio_dev_flush(&con->dev, VIRTIO_CONSOLE_QUEUE_OUT);
}

static void console_queue_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct console_device *con = of(dev);

	if (queue == VIRTIO_CONSOLE_QUEUE_OUT) {
		print(con);
	} else if (con->starved) {
		con->starved = false;
		con->backend->ops->input_ready(con->backend);
	}
}

/* The backend has input for the guest. */
static size_t console_input(void *opaque, const void *data, size_t len)
{
	struct console_device *con = opaque;
	struct vring_buffer buf;
	size_t taken = 0;

	while (taken < len && virtio_dev_pop(&con->dev, VIRTIO_CONSOLE_QUEUE_IN, &buf, con->iov, QUEUE_SIZE) > 0) {
		size_t part = virtio_iov_write(buf.in, buf.in_count, 0, (const uint8_t *)data + taken, len - taken);

		virtio_dev_push(&con->dev, VIRTIO_CONSOLE_QUEUE_IN, buf.id, (uint32_t)part);
		taken += part;
	}
	virtio_dev_flush(&con->dev, VIRTIO_CONSOLE_QUEUE_IN);
	con->starved = taken < len;
	return taken;
}

static void console_resized(void *opaque, uint16_t columns, uint16_t rows)
{
	struct console_device *con = opaque;

	virtio_dev_config_changed(&con->dev);
}

static void console_config_get(struct virtio_dev *dev, void *config)
{
	struct console_backend *backend = of(dev)->backend;
	uint8_t *c = config;
	uint16_t columns = 0, rows = 0;

	if (backend->ops->size)
		backend->ops->size(backend, &columns, &rows);
	virtio_put16(dev->big_endian, c + VIRTIO_CONSOLE_CFG_COLUMNS, columns);
	virtio_put16(dev->big_endian, c + VIRTIO_CONSOLE_CFG_ROWS, rows);
	virtio_put32(dev->big_endian, c + VIRTIO_CONSOLE_CFG_PORTS, 1);
}

/* What was typed before there was a driver is still waiting: offer to take it with the first buffers. */
static void console_start(struct virtio_dev *dev)
{
	of(dev)->starved = true;
}

/* Nothing is kept of a buffer; the first ones of a new queue are news to the backend. */
static void console_queue_reset(struct virtio_dev *dev, unsigned int queue)
{
	if (queue == VIRTIO_CONSOLE_QUEUE_IN)
		of(dev)->starved = true;
}

static void console_destroy(struct virtio_dev *dev)
{
	struct console_device *con = of(dev);

	con->backend->input = NULL;
	con->backend->resized = NULL;
	if (con->backend->ops->close)
		con->backend->ops->close(con->backend);
	free(con);
}

static const struct virtio_dev_ops console_ops = {
	.name = "console",
	.queue_notify = console_queue_notify,
	.start = console_start,
	.queue_reset = console_queue_reset,
	.config_get = console_config_get,
	.destroy = console_destroy,
};

struct virtio_dev *console_device_create(struct console_backend *backend)
{
	struct console_device *con = calloc(1, sizeof(*con));

	if (!con)
		return NULL;
	con->queues[0].num_max = con->queues[1].num_max = QUEUE_SIZE;
	con->dev = (struct virtio_dev){
		.ops = &console_ops,
		.id = VIRTIO_ID_CONSOLE,
		.offered = VIRTIO_DEV_RING_FEATURES | VIRTIO_F_IN_ORDER | VIRTIO_CONSOLE_F_SIZE,
		.config_len = VIRTIO_CONSOLE_CFG_LEN,
		.queues = con->queues,
		.num_queues = 2,
	};
	con->backend = backend;
	backend->opaque = con;
	backend->input = console_input;
	backend->resized = console_resized;
	return &con->dev;
}
