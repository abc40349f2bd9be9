/* SPDX-License-Identifier: MIT */
/* console.c - a console driver on the five operations: see <virtio/driver-console.h>. */
#include <virtio/driver-console.h>

/* Offer input buffer @i. A ring that is full or dead just has one buffer less. */
static void post(struct virtio_console *con, unsigned int i)
{
	struct virtio_iov piece = { con->buffer[i], VIRTIO_CONSOLE_CHUNK };

	if (virtio_add_inbuf(con->in, &piece, 0, 1, &con->filled[i]) < 0)
		con->filled[i] = VIRTIO_CANCELLED;
}

static void on_input(struct virtio_queue *vq)
{
	struct virtio_console *con = vq->data;

	if (con->input)
		con->input(con);
}

int virtio_console_probe(struct virtio_console *con, struct virtio_device *vdev)
{
	int ret = con ? virtio_device_setup(vdev, VIRTIO_CONSOLE_F_SIZE) : -VIRTIO_EINVAL;

	if (ret < 0)
		return ret;
	con->vdev = vdev;
	ret = virtio_device_queue(vdev, VIRTIO_CONSOLE_QUEUE_IN, on_input, con, &con->in);
	if (!ret)
		ret = virtio_device_queue(vdev, VIRTIO_CONSOLE_QUEUE_OUT, NULL, con, &con->out);
	if (ret < 0) {
		virtio_device_fail(vdev);
		return ret;
	}
	/* Output is waited for by polling. */
	con->out->ops->interrupts(con->out, false);
	for (unsigned int i = 0; i < VIRTIO_CONSOLE_INPUTS; i++)
		post(con, i);
	virtio_device_ready(vdev);
	virtio_sync(con->in);
	return 0;
}

long virtio_console_write(struct virtio_console *con, const void *data, size_t len)
{
	struct virtio_iov piece = { (void *)(uintptr_t)data, len };
	unsigned long used;
	long ret;

	if (!con || (len && !data))
		return -VIRTIO_EINVAL;
	if (!len)
		return 0;
	ret = virtio_add_outbuf(con->out, &piece, 1, &used);
	if (ret < 0)
		return ret;
	virtio_sync(con->out);
	/* Not virtio_wait_done(): the platform's wait() may want an interrupt, and we declined them. */
	while (!virtio_is_done(&used))
		virtio_harvest(con->out);
	return used == VIRTIO_CANCELLED ? -VIRTIO_ENODEV : (long)used;
}

size_t virtio_console_read(struct virtio_console *con, void *data, size_t len)
{
	size_t copied = 0;
	bool posted = false;

	virtio_harvest(con->in);
	while (copied < len) {
		unsigned int i = con->next;
		size_t part;

		if (!virtio_is_done(&con->filled[i]) || con->filled[i] == VIRTIO_CANCELLED)
			break;
		part = con->filled[i] - con->taken;
		if (part > len - copied)
			part = len - copied;
		virtio_copy((uint8_t *)data + copied, con->buffer[i] + con->taken, part);
		copied += part;
		con->taken += (unsigned int)part;
		if (con->taken < con->filled[i])
			break;
		con->taken = 0;
		con->next = (i + 1) % VIRTIO_CONSOLE_INPUTS;
		post(con, i);
		posted = true;
	}
	if (posted)
		virtio_sync(con->in);
	return copied;
}

bool virtio_console_size(struct virtio_console *con, uint16_t *columns, uint16_t *rows)
{
	if (!virtio_device_has(con->vdev, VIRTIO_CONSOLE_F_SIZE))
		return false;
	return !virtio_config_get16(con->vdev, VIRTIO_CONSOLE_CFG_COLUMNS, columns) &&
	       !virtio_config_get16(con->vdev, VIRTIO_CONSOLE_CFG_ROWS, rows) && *columns && *rows;
}

void virtio_console_remove(struct virtio_console *con)
{
	virtio_device_remove(con->vdev);
}
