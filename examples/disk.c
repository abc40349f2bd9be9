/* SPDX-License-Identifier: MIT */
/*
 * disk.c - a disk in memory for somebody else's virtual machine, over vhost-user:
 *
 *	disk /tmp/disk.sock &
 *	qemu-system-x86_64 -object memory-backend-memfd,id=m,size=512M,share=on -machine memory-backend=m -m 512M
 *		-chardev socket,id=c,path=/tmp/disk.sock -device vhost-user-blk-pci,chardev=c,num-queues=1 ...
 */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <virtio/block.h>
#include <virtio/transport/vhost-user/backend.h>

#define SECTORS	16384u	/* 8 MiB */
#define PIECES	128u	/* of a buffer: the size of the queue */

static uint8_t *disk;

/* The data of a request: from the disk (@in) or to it. VIRTIO_BLOCK_S_*. */
static uint8_t move(struct vring_buffer *buf, uint64_t sector, uint64_t len, bool in)
{
	if (sector > SECTORS || len > (SECTORS - sector) * VIRTIO_BLOCK_SECTOR || len % VIRTIO_BLOCK_SECTOR)
		return VIRTIO_BLOCK_S_IOERR;
	if (in)
		virtio_iov_write(buf->in, buf->in_count, 0, disk + sector * VIRTIO_BLOCK_SECTOR, (size_t)len);
	else
		virtio_iov_read(buf->out, buf->out_count, VIRTIO_BLOCK_HDR_LEN, disk + sector * VIRTIO_BLOCK_SECTOR, (size_t)len);
	return VIRTIO_BLOCK_S_OK;
}

/* One request. Bytes written into the buffer, of which the status is the last; 0: it makes no sense. */
static uint32_t serve(struct vring_buffer *buf)
{
	uint8_t header[VIRTIO_BLOCK_HDR_LEN], status = VIRTIO_BLOCK_S_UNSUPP;
	uint64_t sector;

	if (virtio_iov_read(buf->out, buf->out_count, 0, header, sizeof(header)) < sizeof(header) || !buf->in_len)
		return 0;
	sector = virtio_get64(false, header + 8);
	switch (virtio_get32(false, header)) {
	case VIRTIO_BLOCK_T_IN:
		status = move(buf, sector, buf->in_len - 1, true);
		break;
	case VIRTIO_BLOCK_T_OUT:
		status = move(buf, sector, buf->out_len - sizeof(header), false);
		break;
	case VIRTIO_BLOCK_T_FLUSH:
		status = VIRTIO_BLOCK_S_OK;
		break;
	}
	virtio_iov_write(buf->in, buf->in_count, buf->in_len - 1, &status, 1);
	return status == VIRTIO_BLOCK_S_OK ? (uint32_t)buf->in_len : 0;
}

static void disk_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_iov iov[PIECES];
	struct vring_buffer buf;

	while (virtio_dev_pop(dev, queue, &buf, iov, PIECES) > 0)
		virtio_dev_push(dev, queue, buf.id, serve(&buf));
	virtio_dev_flush(dev, queue);
}

static void disk_config(struct virtio_dev *dev, void *config)
{
	virtio_put64(false, (uint8_t *)config + VIRTIO_BLOCK_CFG_CAPACITY, SECTORS);
}

static const struct virtio_dev_ops disk_ops = { .name = "disk", .queue_notify = disk_notify, .config_get = disk_config };

int main(int argc, char **argv)
{
	struct vring_device queue = { .num_max = PIECES };
	struct virtio_dev dev = {
		.ops = &disk_ops, .id = VIRTIO_ID_BLOCK, .offered = VIRTIO_DEV_RING_FEATURES | VIRTIO_BLOCK_F_FLUSH,
		.config_len = VIRTIO_BLOCK_CFG_LEN, .queues = &queue, .num_queues = 1,
	};
	struct vhost_user_backend *be = vhost_user_backend_create(&dev, NULL, NULL);
	int listener = argc > 1 ? vhost_user_listen(argv[1]) : -1;
	struct pollfd ready = { .fd = be ? vhost_user_backend_fd(be) : -1, .events = POLLIN };
	struct pollfd waiting = { .fd = listener, .events = POLLIN };

	disk = calloc(SECTORS, VIRTIO_BLOCK_SECTOR);
	if (!be || !disk || listener < 0)
		return fprintf(stderr, "usage: disk SOCKET\n"), 1;
	while (poll(&waiting, 1, -1) == 1 && !vhost_user_backend_attach(be, accept(listener, NULL, NULL))) {
		while (!vhost_user_backend_run(be))
			poll(&ready, 1, -1);
		fprintf(stderr, "%s\n", be->error ? be->error : "the front end has left");
	}
	return 1;
}
