/* SPDX-License-Identifier: MIT */
/*
 * console-ports.c - messages about the ports of a console (virtio 1.2, 5.3.6.2).
 *
 * What we have to say of a port are three bits, sent when a buffer is free; so a device that makes us answer faster than it listens gets
 * some answers once only. What the device says is believed as far as it can be true, and counted where it cannot.
 */
#include "console-ports.h"
#include "inbuf.h"

enum { READY = 1, CLOSED = 2, OPENED = 4 };

/* --- to the device ---------------------------------------------------------------------------------------------------- */

/* False: all buffers are under way. */
static bool say(struct virtio_console *con, uint32_t id, uint16_t event, uint16_t value)
{
	bool big = con->vdev->big_endian;

	for (unsigned int i = 0; i < VIRTIO_CONSOLE_MESSAGES; i++) {
		struct virtio_iov piece = { con->said[i].data, VIRTIO_CONSOLE_MESSAGE };

		if (!virtio_is_done(&con->said[i].sent))
			continue;
		virtio_put32(big, con->said[i].data, id);
		virtio_put16(big, con->said[i].data + 4, event);
		virtio_put16(big, con->said[i].data + 6, value);
		if (virtio_add_outbuf(con->control_out, &piece, 1, &con->said[i].sent) >= 0)
			return true;
		con->said[i].sent = VIRTIO_CANCELLED;
		return false;
	}
	return false;
}

static void say_pending(struct virtio_console_port *port)
{
	static const struct {
		uint8_t bit;
		uint16_t event, value;
	} messages[] = {
		{ READY, VIRTIO_CONSOLE_PORT_READY, 1 }, { CLOSED, VIRTIO_CONSOLE_PORT_OPEN, 0 }, { OPENED, VIRTIO_CONSOLE_PORT_OPEN, 1 },
	};

	for (unsigned int i = 0; i < 3; i++) {
		if (!(port->pending & messages[i].bit))
			continue;
		if (!say(port->con, port->id, messages[i].event, messages[i].value))
			return;
		port->pending &= (uint8_t)~messages[i].bit;
	}
}

static void speak(struct virtio_console *con)
{
	virtio_harvest(con->control_out);
	for (unsigned int id = 0; id < con->ports; id++)
		say_pending(&con->port[id]);
	virtio_sync(con->control_out);
}

int virtio_console_port_open(struct virtio_console_port *port, bool open)
{
	if (!port || !port->con)
		return -VIRTIO_EINVAL;
	if (!port->added)
		return -VIRTIO_ENOENT;
	if (!port->con->control_out)
		return 0;
	port->pending = (uint8_t)(open ? port->pending | OPENED : (port->pending & ~OPENED) | CLOSED);
	speak(port->con);
	return 0;
}

/* --- from the device -------------------------------------------------------------------------------------------------- */

static void take_name(struct virtio_console_port *port, const uint8_t *text, size_t len)
{
	virtio_zero(port->name, sizeof(port->name));
	virtio_copy(port->name, text, len);
}

/* A port came into being: as one that nothing is known of. */
static void take_port(struct virtio_console_port *port)
{
	port->added = true;
	port->terminal = port->open = false;
	port->columns = port->rows = 0;
	port->name[0] = '\0';
	port->pending = READY;
}

/* 5.3.6.2.2: who is told that a port is for people has to open it. */
static void take_terminal(struct virtio_console_port *port)
{
	port->terminal = true;
	port->pending |= OPENED;
}

/* What the device says of port @id, with @len bytes at @more behind it. False: that cannot be. */
static bool believe(struct virtio_console_port *port, uint16_t event, uint16_t value, const uint8_t *more, size_t len)
{
	bool big = port->con->vdev->big_endian;

	/* 5.3.6.2.1: it adds what is not there, and removes what is. */
	if (port->added == (event == VIRTIO_CONSOLE_PORT_ADD))
		return false;
	switch (event) {
	case VIRTIO_CONSOLE_PORT_ADD:
		take_port(port);
		return true;
	case VIRTIO_CONSOLE_PORT_REMOVE:
		port->added = port->open = false;
		port->pending = 0;
		return true;
	case VIRTIO_CONSOLE_CONSOLE_PORT:
		take_terminal(port);
		return true;
	case VIRTIO_CONSOLE_RESIZE:
		if (len < 4)
			return false;
		port->columns = virtio_get16(big, more);
		port->rows = virtio_get16(big, more + 2);
		return true;
	case VIRTIO_CONSOLE_PORT_OPEN:
		port->open = value;
		return true;
	case VIRTIO_CONSOLE_PORT_NAME:
		take_name(port, more, len);
		return true;
	default:
		return false;
	}
}

static void hear(struct virtio_console *con, const uint8_t *data, size_t len)
{
	bool big = con->vdev->big_endian;
	uint8_t message[VIRTIO_CONSOLE_MESSAGE + VIRTIO_CONSOLE_NAME];	/* a copy, since the device may go on writing there */
	struct virtio_console_port *port;
	uint32_t id;

	if (len < VIRTIO_CONSOLE_MESSAGE) {
		con->dropped++;
		return;
	}
	virtio_copy(message, data, len);
	id = virtio_get32(big, message);
	/* More ports than we have places for: this one cannot be used. */
	if (id >= con->ports) {
		if (virtio_get16(big, message + 4) == VIRTIO_CONSOLE_PORT_ADD)
			say(con, id, VIRTIO_CONSOLE_PORT_READY, 0);
		con->dropped++;
		return;
	}
	port = &con->port[id];
	if (!believe(port, virtio_get16(big, message + 4), virtio_get16(big, message + 6), message + VIRTIO_CONSOLE_MESSAGE,
		     len - VIRTIO_CONSOLE_MESSAGE))
		con->dropped++;
	else if (con->changed)
		con->changed(port);
}

static void post(struct virtio_console *con, unsigned int i)
{
	struct virtio_iov piece = { con->heard[i].data, sizeof(con->heard[i].data) };

	inbuf_post(con->control_in, &piece, 1, &con->heard[i].filled);
}

unsigned int virtio_console_poll(struct virtio_console *con)
{
	unsigned int count = 0;

	if (!con || !con->control_in)
		return 0;
	virtio_harvest(con->control_in);
	/* A round at most: a device that goes on talking shall not keep us from anything else. */
	while (count < VIRTIO_CONSOLE_MESSAGES) {
		unsigned int i = con->control_next;

		if (!inbuf_filled(&con->heard[i].filled))
			break;
		hear(con, con->heard[i].data, con->heard[i].filled);
		post(con, i);
		con->control_next = (i + 1) % VIRTIO_CONSOLE_MESSAGES;
		count++;
	}
	virtio_sync(con->control_in);
	speak(con);
	return count;
}

static void on_control(struct virtio_queue *vq)
{
	virtio_console_poll(vq->data);
}

/* --- taking over ------------------------------------------------------------------------------------------------------ */

int console_ports_count(struct virtio_console *con)
{
	uint32_t most = 1;
	int ret = 0;

	if (virtio_device_has(con->vdev, VIRTIO_CONSOLE_F_MULTIPORT))
		ret = virtio_config_get32(con->vdev, VIRTIO_CONSOLE_CFG_PORTS, &most);
	con->ports = most < VIRTIO_CONSOLE_PORTS ? most : VIRTIO_CONSOLE_PORTS;
	con->control_in = con->control_out = NULL;
	return ret || most ? ret : -VIRTIO_EOPNOTSUPP;
}

int console_ports_find_queues(struct virtio_console *con)
{
	int ret = virtio_device_queue(con->vdev, VIRTIO_CONSOLE_CONTROL_IN, on_control, con, &con->control_in);

	return ret ? ret : virtio_device_queue(con->vdev, VIRTIO_CONSOLE_CONTROL_OUT, on_control, con, &con->control_out);
}

void console_ports_begin(struct virtio_console *con)
{
	if (!con->control_in) {
		con->port[0].added = con->port[0].terminal = con->port[0].open = true;
		return;
	}
	con->control_next = 0;
	for (unsigned int i = 0; i < VIRTIO_CONSOLE_MESSAGES; i++) {
		con->said[i].sent = 0;
		post(con, i);
	}
	virtio_sync(con->control_in);
	/* 5.3.6.2.2: this has to be said. */
	say(con, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	virtio_sync(con->control_out);
}
