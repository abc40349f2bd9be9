/* SPDX-License-Identifier: MIT */
/*
 * echo.c - a virtio device of one's own, and a driver for it, in two processes with a socket between them: each word of the command line
 * goes to the device, which answers in capitals.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <virtio/stream-fd.h>

#define ECHO_ID		63	/* an id that is nobody's */
#define ECHO_BYTES	256	/* longest buffer */

/* --- the device: one queue; a buffer has a question and room for the answer --- */

static void echo_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_iov iov[8];
	struct vring_buffer buf;
	char text[ECHO_BYTES];

	while (virtio_dev_pop(dev, queue, &buf, iov, 8) > 0) {
		size_t len = virtio_iov_read(buf.out, buf.out_count, 0, text, sizeof(text));

		for (size_t i = 0; i < len; i++)
			text[i] = (char)toupper((unsigned char)text[i]);
		len = virtio_iov_write(buf.in, buf.in_count, 0, text, len);
		virtio_dev_push(dev, queue, buf.id, (uint32_t)len);
	}
	virtio_dev_flush(dev, queue);
}

static const struct virtio_dev_ops echo_ops = { .name = "echo", .queue_notify = echo_notify };

static int device(int fd)
{
	struct vring_device queue = { .num_max = 16 };
	struct virtio_dev dev = {
		.ops = &echo_ops, .id = ECHO_ID, .offered = VIRTIO_DEV_RING_FEATURES, .queues = &queue, .num_queues = 1,
	};
	struct virtio_stream_fd stream;
	struct virtio_stream_device sd;
	void *memory = malloc(virtio_stream_device_bytes(&dev, ECHO_BYTES));

	if (!memory || virtio_stream_fd_init(&stream, fd, fd) ||
	    virtio_stream_device_init(&sd, &dev, &stream.io, memory, ECHO_BYTES))
		return 1;
	return virtio_stream_fd_serve(&stream, &sd) ? 1 : 0;
}

/* --- the driver: the five operations --- */

static int ask(struct virtio_queue *vq, const char *text)
{
	char answer[ECHO_BYTES / 2];
	struct virtio_iov sg[2] = { { (void *)(uintptr_t)text, strlen(text) }, { answer, sizeof(answer) } };
	unsigned long used;

	if (virtio_add_inbuf(vq, sg, 1, 2, &used) < 0)
		return 1;
	virtio_sync(vq);
	if (virtio_wait_done(vq, &used))
		return 1;
	printf("%.*s\n", (int)used, answer);
	return 0;
}

int main(int argc, char **argv)
{
	struct virtio_stream_fd fd;
	struct virtio_stream stream;
	struct virtio_queue *vq;
	int pair[2], failed = 0, status;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return 1;
	if (!fork())
		_exit((close(pair[0]), device(pair[1])));
	close(pair[1]);
	if (virtio_stream_fd_init(&fd, pair[0], pair[0]) || virtio_stream_connect(&stream, &fd.platform, &fd.io) ||
	    stream.vdev.id != ECHO_ID || virtio_device_setup(&stream.vdev, 0) ||
	    virtio_device_queue(&stream.vdev, 0, NULL, NULL, &vq))
		return 1;
	virtio_device_ready(&stream.vdev);
	for (int i = 1; i < argc; i++)
		failed |= ask(vq, argv[i]);
	virtio_device_remove(&stream.vdev);
	close(pair[0]);
	return failed || wait(&status) < 0 || status;
}
