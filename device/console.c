/* SPDX-License-Identifier: MIT */
/*
 * console.c - a console (virtio 1.2, 5.3): one port, queue 0 for what is typed, queue 1 for what is printed; or several, each with two
 * queues, and messages about them (console_control.c).
 *
 * Printing completes within the kick: an lguest guest prints with interrupts off and spins until the buffer comes back. Ports for programs
 * may make the guest wait: what their backend does not take stays in the ring.
 */
#include <stdlib.h>

#include <device/console_device.h>

static struct console_device *of(struct virtio_dev *dev)
{
	return (struct console_device *)(void *)dev;
}

/* --- from the guest --------------------------------------------------------------------------------------------------- */

/* Hand over the next output buffer, or what is left of it. False: not all of it was taken. */
static bool put(struct port *port, struct vring_buffer *buf)
{
	struct console_backend *backend = port->is.backend;
	struct virtio_iov *iov = buf->out;
	unsigned int count = buf->out_count;
	uint64_t left = buf->out_len;

	left -= virtio_iov_skip(&iov, &count, port->sent);
	if (left && backend && !backend->away) {
		uint64_t taken = backend->ops->write(backend, iov, count);

		port->sent += taken;
		if (taken < left)
			return false;
	}
	port->sent = 0;
	return true;
}

static void print(struct port *port)
{
	struct console_device *con = port->con;
	unsigned int queue = virtio_console_queue(port->id) + 1;
	struct vring_buffer buf;

	while (virtio_dev_pop(&con->dev, queue, &buf, con->iov, CONSOLE_QUEUE_SIZE) > 0) {
		/* 5.3.6.1: output is not to be written to. */
		if (buf.in_len) {
			virtio_dev_break(&con->dev, "a console's output that is to be written to (virtio 1.2, 5.3.6.1)");
			return;
		}
		if (!put(port, &buf)) {
			vring_device_unpop(&con->queues[queue], buf.id);
			port->blocked = true;
			break;
		}
		virtio_dev_push(&con->dev, queue, buf.id, 0);
	}
	virtio_dev_flush(&con->dev, queue);
}

static void console_output_ready(void *opaque)
{
	struct port *port = opaque;

	if (!port->blocked)
		return;
	port->blocked = false;
	print(port);
}

/* --- to the guest ----------------------------------------------------------------------------------------------------- */

void console_want_input(struct port *port)
{
	if (!port->starved)
		return;
	port->starved = false;
	if (port->is.backend)
		port->is.backend->ops->input_ready(port->is.backend);
}

/* Is there anybody in the guest who reads? With one port nobody says. */
static bool is_read(const struct port *port)
{
	return console_multiport(port->con) ? port->open : !port->id;
}

/* The backend has input for the guest. */
static size_t console_input(void *opaque, const void *data, size_t len)
{
	struct port *port = opaque;
	struct console_device *con = port->con;
	unsigned int queue = virtio_console_queue(port->id);
	struct vring_buffer buf;
	size_t taken = 0;

	while (taken < len && is_read(port) && virtio_dev_pop(&con->dev, queue, &buf, con->iov, CONSOLE_QUEUE_SIZE) > 0) {
		size_t part = virtio_iov_write(buf.in, buf.in_count, 0, (const uint8_t *)data + taken, len - taken);

		/* 5.3.6.1: room for input is not to be read. */
		if (buf.out_len) {
			virtio_dev_break(&con->dev, "room for a console's input that is to be read (virtio 1.2, 5.3.6.1)");
			break;
		}
		virtio_dev_push(&con->dev, queue, buf.id, (uint32_t)part);
		taken += part;
	}
	virtio_dev_flush(&con->dev, queue);
	port->starved = taken < len;
	return taken;
}

/* --- the device ------------------------------------------------------------------------------------------------------- */

static void console_came_or_went(void *opaque)
{
	struct port *port = opaque;

	console_control_came_or_went(port);
	if (port->is.backend->away)
		console_output_ready(port);
}

static void console_resized(void *opaque, uint16_t columns, uint16_t rows)
{
	struct port *port = opaque;

	console_control_resized(port);
	if (!port->id)
		virtio_dev_config_changed(&port->con->dev);
}

/* The port that a queue is of; NULL: it is one of the control queues. */
static struct port *port_of(struct console_device *con, unsigned int queue)
{
	if (queue == VIRTIO_CONSOLE_CONTROL_IN || queue == VIRTIO_CONSOLE_CONTROL_OUT)
		return NULL;
	return &con->port[queue < VIRTIO_CONSOLE_CONTROL_IN ? 0 : queue / 2 - 1];
}

static void console_queue_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct port *port = port_of(of(dev), queue);

	if (!port)
		console_control_notify(of(dev));
	else if (queue == virtio_console_queue(port->id))
		console_want_input(port);
	else if (!port->blocked)
		print(port);
}

static void console_config_get(struct virtio_dev *dev, void *config)
{
	const struct console_device *con = of(dev);
	struct console_backend *backend = con->port[0].is.backend;
	uint8_t *c = config;
	uint16_t columns = 0, rows = 0;

	if (backend && backend->ops->size)
		backend->ops->size(backend, &columns, &rows);
	virtio_put16(dev->big_endian, c + VIRTIO_CONSOLE_CFG_COLUMNS, columns);
	virtio_put16(dev->big_endian, c + VIRTIO_CONSOLE_CFG_ROWS, rows);
	virtio_put32(dev->big_endian, c + VIRTIO_CONSOLE_CFG_PORTS, con->num_ports);
}

/* Of a number, the lower byte. Before there are features, nobody knows the byte order: then it is the one that is not zero. */
static uint8_t lower_byte(const struct virtio_dev *dev, const uint8_t *data, size_t len)
{
	if (dev->features_final)
		return data[dev->big_endian ? len - 1 : 0];
	return data[0] ? data[0] : data[len - 1];
}

/* 5.3.5.1: a byte to be printed at once, whatever state the device is in. */
static void console_config_set(struct virtio_dev *dev, size_t offset, const void *data, size_t len)
{
	struct console_backend *backend = of(dev)->port[0].is.backend;
	struct virtio_iov iov = { .len = 1 };
	uint8_t byte;

	if (offset != VIRTIO_CONSOLE_CFG_EMERG_WRITE || !len || !(dev->offered & VIRTIO_CONSOLE_F_EMERG_WRITE))
		return;
	byte = lower_byte(dev, data, len);
	iov.base = &byte;
	backend->ops->write(backend, &iov, 1);
}

static void reset_output(struct port *port)
{
	port->blocked = false;
	port->sent = 0;
}

/* What was typed before there was a driver is still waiting: offer to take it with the first buffers. */
static void console_start(struct virtio_dev *dev)
{
	for (unsigned int i = 0; i < of(dev)->num_ports; i++)
		of(dev)->port[i].starved = true;
}

/*
 * Linux asks for the size of its window when it is told that it changed, and not before (drivers/char/virtio_console.c,
 * config_work_handler()): so a driver with one port is told once. With several there is a message.
 */
static void console_driver_ok(struct virtio_dev *dev)
{
	struct console_backend *backend = of(dev)->port[0].is.backend;
	uint16_t columns = 0, rows = 0;

	if (!virtio_dev_has(dev, VIRTIO_CONSOLE_F_SIZE) || console_multiport(of(dev)))
		return;
	if (backend && backend->ops->size)
		backend->ops->size(backend, &columns, &rows);
	if (columns && rows)
		virtio_dev_config_changed(dev);
}

static void console_reset(struct virtio_dev *dev)
{
	for (unsigned int i = 0; i < of(dev)->num_ports; i++)
		reset_output(&of(dev)->port[i]);
	console_control_reset(of(dev));
}

/* Nothing is kept of a buffer; the first ones of a new queue are news to the backend. */
static void console_queue_reset(struct virtio_dev *dev, unsigned int queue)
{
	struct port *port = port_of(of(dev), queue);

	if (port && queue == virtio_console_queue(port->id))
		port->starved = true;
	else if (port)
		reset_output(port);
}

static void console_destroy(struct virtio_dev *dev)
{
	struct console_device *con = of(dev);

	for (unsigned int i = 0; i < con->num_ports; i++) {
		struct console_backend *backend = con->port[i].is.backend;

		if (!backend)
			continue;
		backend->input = NULL;
		backend->resized = NULL;
		backend->came_or_went = NULL;
		backend->output_ready = NULL;
		if (backend->ops->close)
			backend->ops->close(backend);
	}
	free(con);
}

static const struct virtio_dev_ops console_ops = {
	.name = "console",
	.queue_notify = console_queue_notify,
	.start = console_start,
	.driver_ok = console_driver_ok,
	.reset = console_reset,
	.queue_reset = console_queue_reset,
	.config_get = console_config_get,
	.config_set = console_config_set,
	.destroy = console_destroy,
};

static void add_port(struct console_device *con, unsigned int id, const struct console_port *is)
{
	struct port *port = &con->port[id];

	*port = (struct port){ .con = con, .id = id, .is = *is };
	if (!is->backend)
		return;
	is->backend->opaque = port;
	is->backend->input = console_input;
	is->backend->resized = console_resized;
	is->backend->came_or_went = console_came_or_went;
	is->backend->output_ready = console_output_ready;
}

static uint64_t offered(const struct console_port *ports, unsigned int count)
{
	uint64_t features = VIRTIO_DEV_RING_FEATURES | VIRTIO_F_IN_ORDER;

	if (ports[0].terminal)
		features |= VIRTIO_CONSOLE_F_SIZE | VIRTIO_CONSOLE_F_EMERG_WRITE;
	return features | (count > 1 ? VIRTIO_CONSOLE_F_MULTIPORT : 0);
}

struct virtio_dev *ports_device_create(const struct console_port *ports, unsigned int count)
{
	struct console_device *con = count && count <= CONSOLE_PORTS_MAX ? calloc(1, sizeof(*con)) : NULL;

	if (!con)
		return NULL;
	con->num_ports = count;
	con->dev = (struct virtio_dev){
		.ops = &console_ops,
		.id = VIRTIO_ID_CONSOLE,
		.offered = offered(ports, count),
		.config_len = VIRTIO_CONSOLE_CFG_LEN,
		.queues = con->queues,
		.num_queues = count > 1 ? virtio_console_queues(count) : 2,
	};
	for (unsigned int i = 0; i < con->dev.num_queues; i++)
		con->queues[i].num_max = CONSOLE_QUEUE_SIZE;
	for (unsigned int i = 0; i < count; i++)
		add_port(con, i, &ports[i]);
	return &con->dev;
}

struct virtio_dev *console_device_create(struct console_backend *backend)
{
	const struct console_port port = { .backend = backend, .terminal = true };

	return ports_device_create(&port, 1);
}
