/* SPDX-License-Identifier: MIT */
/*
 * console_control.c - the messages about ports (virtio 1.2, 5.3.6.2).
 *
 * To the driver they are not queued: a message says how a port is now, so each port has one bit for each kind of message, and what is to be
 * said is said when there is a buffer for it. A driver that offers none costs nothing. From the driver they are obeyed or ignored, one
 * after the other; an answer is a bit again, so that there cannot be more answers than bits, whatever the driver asks.
 */
#include <device/console_device.h>

/* In the order in which they are sent. Somebody who went and another one who came are two messages. */
static const struct message {
	uint16_t event, value;
} messages[] = {
	{ VIRTIO_CONSOLE_PORT_ADD, 1 },
	{ VIRTIO_CONSOLE_CONSOLE_PORT, 1 },
	{ VIRTIO_CONSOLE_PORT_NAME, 1 },
	{ VIRTIO_CONSOLE_RESIZE, 0 },
	{ VIRTIO_CONSOLE_PORT_OPEN, 0 },
	{ VIRTIO_CONSOLE_PORT_OPEN, 1 },
};

#define MESSAGES	(sizeof(messages) / sizeof(messages[0]))

enum { ADD = 1 << 0, TERMINAL = 1 << 1, NAME = 1 << 2, RESIZE = 1 << 3, WENT = 1 << 4, CAME = 1 << 5 };

/* --- to the driver ---------------------------------------------------------------------------------------------------- */

/* What follows the message. Returns its bytes. */
static size_t tail(const struct port *port, uint16_t event, const uint8_t **bytes, uint8_t resize[4])
{
	uint16_t columns = 0, rows = 0;
	size_t len = 0;

	if (event == VIRTIO_CONSOLE_PORT_NAME) {
		*bytes = (const uint8_t *)port->is.name;
		while (port->is.name[len])
			len++;
	} else if (event == VIRTIO_CONSOLE_RESIZE) {
		port->is.backend->ops->size(port->is.backend, &columns, &rows);
		virtio_put16(port->con->dev.big_endian, resize, columns);
		virtio_put16(port->con->dev.big_endian, resize + 2, rows);
		*bytes = resize;
		len = 4;
	}
	return len;
}

/* Say one thing, as far as the buffer holds it. False: there is no buffer now. */
static bool say(struct port *port, const struct message *message)
{
	struct console_device *con = port->con;
	bool big = con->dev.big_endian;
	uint8_t head[VIRTIO_CONSOLE_MESSAGE], resize[4];
	const uint8_t *bytes = NULL;
	struct vring_buffer buf;
	size_t len, written;

	if (virtio_dev_pop(&con->dev, VIRTIO_CONSOLE_CONTROL_IN, &buf, con->iov, CONSOLE_QUEUE_SIZE) <= 0)
		return false;
	if (buf.out_len || buf.in_len < sizeof(head)) {
		virtio_dev_break(&con->dev, "a buffer for control messages that is to be read, or holds none (virtio 1.2, 5.3.6)");
		return false;
	}
	virtio_put32(big, head, port->id);
	virtio_put16(big, head + 4, message->event);
	virtio_put16(big, head + 6, message->value);
	len = tail(port, message->event, &bytes, resize);
	written = virtio_iov_write(buf.in, buf.in_count, 0, head, sizeof(head));
	written += virtio_iov_write(buf.in, buf.in_count, sizeof(head), bytes, len);
	virtio_dev_push(&con->dev, VIRTIO_CONSOLE_CONTROL_IN, buf.id, (uint32_t)written);
	return true;
}

/* Say what is to be said of a port. False: there is no buffer now. */
static bool say_all(struct port *port)
{
	for (unsigned int i = 0; i < MESSAGES; i++) {
		if (!(port->pending & 1u << i))
			continue;
		if (!say(port, &messages[i]))
			return false;
		port->pending &= (uint8_t)~(1u << i);
	}
	return true;
}

static void speak(struct console_device *con)
{
	for (unsigned int i = 0; i < con->num_ports && say_all(&con->port[i]); i++)
		;
	virtio_dev_flush(&con->dev, VIRTIO_CONSOLE_CONTROL_IN);
}

void console_control_came_or_went(struct port *port)
{
	if (!port->ready)
		return;
	if (port->is.backend->away)
		port->pending = (uint8_t)((port->pending & ~CAME) | WENT);
	else
		port->pending |= CAME;
	speak(port->con);
}

void console_control_resized(struct port *port)
{
	if (!port->ready || !port->is.terminal || !port->is.backend->ops->size)
		return;
	port->pending |= RESIZE;
	speak(port->con);
}

/* --- from the driver -------------------------------------------------------------------------------------------------- */

/* 5.3.6.2.1: a port is added once. */
static void device_ready(struct console_device *con)
{
	for (unsigned int i = 0; i < con->num_ports; i++) {
		struct port *port = &con->port[i];

		if (port->is.backend && !port->announced)
			port->pending |= ADD;
		port->announced = port->is.backend;
	}
}

static void port_ready(struct port *port)
{
	const struct console_port *is = &port->is;

	if (port->ready)
		return;
	port->ready = true;
	port->pending |= (is->terminal ? TERMINAL : 0) | (is->name ? NAME : 0) | (is->backend->away ? 0 : CAME) |
			 (is->terminal && is->backend->ops->size ? RESIZE : 0);
}

static void port_open(struct port *port, bool open)
{
	port->open = open;
	if (open)
		console_want_input(port);
}

static void obey(struct console_device *con, uint32_t id, uint16_t event, uint16_t value)
{
	struct port *port = id < con->num_ports ? &con->port[id] : NULL;

	if (event == VIRTIO_CONSOLE_DEVICE_READY && value)
		device_ready(con);
	/* Of a port that it was not told of, a driver can say nothing. */
	if (!port || !port->announced)
		return;
	if (event == VIRTIO_CONSOLE_PORT_READY && value)
		port_ready(port);
	else if (event == VIRTIO_CONSOLE_PORT_OPEN)
		port_open(port, value);
}

static void listen(struct console_device *con)
{
	bool big = con->dev.big_endian;
	uint8_t head[VIRTIO_CONSOLE_MESSAGE];
	struct vring_buffer buf;

	while (virtio_dev_pop(&con->dev, VIRTIO_CONSOLE_CONTROL_OUT, &buf, con->iov, CONSOLE_QUEUE_SIZE) > 0) {
		if (buf.in_len || buf.out_len < sizeof(head)) {
			virtio_dev_break(&con->dev, "a control message that is not whole, or is to be written (virtio 1.2, 5.3.6)");
			return;
		}
		virtio_iov_read(buf.out, buf.out_count, 0, head, sizeof(head));
		virtio_dev_push(&con->dev, VIRTIO_CONSOLE_CONTROL_OUT, buf.id, 0);
		obey(con, virtio_get32(big, head), virtio_get16(big, head + 4), virtio_get16(big, head + 6));
	}
	virtio_dev_flush(&con->dev, VIRTIO_CONSOLE_CONTROL_OUT);
}

void console_control_notify(struct console_device *con)
{
	listen(con);
	speak(con);
}

void console_control_reset(struct console_device *con)
{
	for (unsigned int i = 0; i < con->num_ports; i++) {
		struct port *port = &con->port[i];

		port->announced = port->ready = port->open = false;
		port->pending = 0;
	}
}
