/* SPDX-License-Identifier: MIT */
/* console.c - a console driver on the five operations: see <virtio/driver-console.h>. Messages about ports are in console-ports.c. */
#include "console-ports.h"
#include "inbuf.h"

/* Offer input buffer @i. A ring that is full or dead just has one buffer less. */
static void post(struct virtio_console_port *port, unsigned int i)
{
	struct virtio_iov piece = { port->buffer[i], VIRTIO_CONSOLE_CHUNK };

	inbuf_post(port->in, &piece, 1, &port->filled[i]);
}

static void on_input(struct virtio_queue *vq)
{
	struct virtio_console_port *port = vq->data;
	struct virtio_console *con = port->con;

	if (port->id ? !!con->port_input : !con->input && con->port_input)
		con->port_input(port);
	else if (!port->id && con->input)
		con->input(con);
}

static int find_port(struct virtio_console *con, unsigned int id)
{
	struct virtio_console_port *port = &con->port[id];
	unsigned int queue = virtio_console_queue(id);
	int ret = virtio_device_queue(con->vdev, queue, on_input, port, &port->in);

	*port = (struct virtio_console_port){ .con = con, .id = id, .in = port->in };
	return ret ? ret : virtio_device_queue(con->vdev, queue + 1, NULL, port, &port->out);
}

static int find_ports(struct virtio_console *con)
{
	int ret = console_ports_count(con);

	for (unsigned int id = 0; !ret && id < con->ports; id++) {
		ret = find_port(con, id);
		if (!ret && !id && virtio_device_has(con->vdev, VIRTIO_CONSOLE_F_MULTIPORT))
			ret = console_ports_find_queues(con);
	}
	return ret;
}

static void post_all(struct virtio_console *con)
{
	for (unsigned int id = 0; id < con->ports; id++) {
		struct virtio_console_port *port = &con->port[id];

		/* Output is waited for by polling. */
		port->out->ops->interrupts(port->out, false);
		for (unsigned int i = 0; i < VIRTIO_CONSOLE_INPUTS; i++)
			post(port, i);
	}
}

int virtio_console_probe(struct virtio_console *con, struct virtio_device *vdev)
{
	int ret = con ? virtio_device_setup(vdev, VIRTIO_CONSOLE_F_SIZE | (con->wanted & VIRTIO_CONSOLE_F_MULTIPORT)) : -VIRTIO_EINVAL;

	if (ret < 0)
		return ret;
	con->vdev = vdev;
	ret = find_ports(con);
	if (ret < 0) {
		virtio_device_fail(vdev);
		return ret;
	}
	post_all(con);
	virtio_device_ready(vdev);
	for (unsigned int id = 0; id < con->ports; id++)
		virtio_sync(con->port[id].in);
	console_ports_begin(con);
	return 0;
}

long virtio_console_write(struct virtio_console *con, const void *data, size_t len)
{
	struct virtio_iov piece = { (void *)(uintptr_t)data, len };
	struct virtio_queue *out;
	unsigned long used;
	long ret;

	if (!con || (len && !data))
		return -VIRTIO_EINVAL;
	if (!len)
		return 0;
	out = con->port[0].out;
	ret = virtio_add_outbuf(out, &piece, 1, &used);
	if (ret < 0)
		return ret;
	virtio_sync(out);
	/* Not virtio_wait_done(): the platform's wait() may want an interrupt, and we declined them. */
	for (unsigned int round = 1; !virtio_is_done(&used); round++)
		if (!virtio_harvest(out) && round % 1024 == 0)
			virtio_device_check(con->vdev);
	return used == VIRTIO_CANCELLED ? -VIRTIO_ENODEV : (long)used;
}

long virtio_console_port_write(struct virtio_console_port *port, const void *data, size_t len)
{
	struct virtio_iov piece;
	long ret;

	if (!port || !port->con || (len && !data))
		return -VIRTIO_EINVAL;
	if (!port->added)
		return -VIRTIO_ENOENT;
	virtio_harvest(port->out);
	if (!port->open || !virtio_is_done(&port->sent))
		return -VIRTIO_EAGAIN;
	if (len > VIRTIO_CONSOLE_CHUNK)
		len = VIRTIO_CONSOLE_CHUNK;
	if (!len)
		return 0;
	virtio_copy(port->output, data, len);
	piece = (struct virtio_iov){ port->output, len };
	ret = virtio_add_outbuf(port->out, &piece, 1, &port->sent);
	if (ret < 0)
		return ret == -VIRTIO_ENOSPC ? -VIRTIO_EAGAIN : ret;
	virtio_sync(port->out);
	return (long)len;
}

size_t virtio_console_port_read(struct virtio_console_port *port, void *data, size_t len)
{
	size_t copied = 0;
	bool posted = false;

	if (!port || !port->in || !data)
		return 0;
	virtio_harvest(port->in);
	while (copied < len) {
		unsigned int i = port->next;
		size_t part;

		if (!inbuf_filled(&port->filled[i]))
			break;
		part = port->filled[i] - port->taken;
		if (part > len - copied)
			part = len - copied;
		virtio_copy((uint8_t *)data + copied, port->buffer[i] + port->taken, part);
		copied += part;
		port->taken += (unsigned int)part;
		if (port->taken < port->filled[i])
			break;
		port->taken = 0;
		port->next = (i + 1) % VIRTIO_CONSOLE_INPUTS;
		post(port, i);
		posted = true;
	}
	if (posted)
		virtio_sync(port->in);
	return copied;
}

size_t virtio_console_read(struct virtio_console *con, void *data, size_t len)
{
	return con ? virtio_console_port_read(&con->port[0], data, len) : 0;
}

bool virtio_console_size(struct virtio_console *con, uint16_t *columns, uint16_t *rows)
{
	const struct virtio_console_port *port;

	if (!con || !con->vdev || !columns || !rows)
		return false;
	port = &con->port[0];
	/* With several ports, a change is told by a message. */
	if (port->columns && port->rows) {
		*columns = port->columns;
		*rows = port->rows;
		return true;
	}
	if (!virtio_device_has(con->vdev, VIRTIO_CONSOLE_F_SIZE))
		return false;
	return !virtio_config_get16(con->vdev, VIRTIO_CONSOLE_CFG_COLUMNS, columns) &&
	       !virtio_config_get16(con->vdev, VIRTIO_CONSOLE_CFG_ROWS, rows) && *columns && *rows;
}

int virtio_console_emergency(struct virtio_device *vdev, char c)
{
	uint8_t value[4] = { 0 };

	if (!vdev || !vdev->bus)
		return -VIRTIO_EINVAL;
	if (!(vdev->bus->get_features(vdev) & VIRTIO_CONSOLE_F_EMERG_WRITE))
		return -VIRTIO_EOPNOTSUPP;
	virtio_put32(vdev->big_endian, value, (uint8_t)c);
	return vdev->bus->set(vdev, VIRTIO_CONSOLE_CFG_EMERG_WRITE, value, sizeof(value));
}

void virtio_console_remove(struct virtio_console *con)
{
	if (con)
		virtio_device_remove(con->vdev);
}
