/* SPDX-License-Identifier: MIT */
/* net.c - a network driver on the five operations: see <virtio/driver-net.h>. */
#include <virtio/driver-net.h>

/*
 * A header and a frame of @len bytes as pieces. Old devices without ANY_LAYOUT want the header in a piece of its own. Returns the
 * number of pieces.
 */
static unsigned int pieces(const struct virtio_net *net, struct virtio_net_buffer *buffer, size_t len, struct virtio_iov sg[2])
{
	uint64_t features = net->vdev->features;

	sg[0] = (struct virtio_iov){ buffer->data, net->header + len };
	if (features & (VIRTIO_F_ANY_LAYOUT | VIRTIO_F_VERSION_1))
		return 1;
	sg[0].len = net->header;
	sg[1] = (struct virtio_iov){ buffer->data + net->header, len };
	return 2;
}

/* Offer receive buffer @i. A ring that is full or dead just has one buffer less. */
static void post(struct virtio_net *net, unsigned int i)
{
	struct virtio_net_buffer *buffer = &net->rx_buffer[i];
	struct virtio_iov sg[2];
	unsigned int count = pieces(net, buffer, VIRTIO_NET_FRAME, sg);

	if (virtio_add_inbuf(net->rx, sg, 0, count, &buffer->used) < 0)
		buffer->used = VIRTIO_CANCELLED;
}

static void on_input(struct virtio_queue *vq)
{
	struct virtio_net *net = vq->data;

	if (net->input)
		net->input(net);
}

static int set_up(struct virtio_net *net, struct virtio_device *vdev)
{
	static const uint8_t fallback[6] = { 0x02, 0, 0, 0, 0, 1 };
	int ret = virtio_device_queue(vdev, VIRTIO_NET_QUEUE_RX, on_input, net, &net->rx);

	if (!ret)
		ret = virtio_device_queue(vdev, VIRTIO_NET_QUEUE_TX, NULL, net, &net->tx);
	if (ret < 0)
		return ret;
	net->header = virtio_net_hdr_len(vdev->features, vdev->early);
	virtio_copy(net->mac, fallback, sizeof(net->mac));
	if (virtio_device_has(vdev, VIRTIO_NET_F_MAC))
		ret = vdev->bus->get(vdev, VIRTIO_NET_CFG_MAC, net->mac, sizeof(net->mac));
	return ret;
}

int virtio_net_probe(struct virtio_net *net, struct virtio_device *vdev)
{
	int ret;

	if (!net)
		return -VIRTIO_EINVAL;
	ret = virtio_device_setup(vdev, VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS | (net->wanted & VIRTIO_NET_DRIVER_WANTED));

	if (ret < 0)
		return ret;
	net->vdev = vdev;
	ret = set_up(net, vdev);
	if (ret < 0) {
		virtio_device_fail(vdev);
		return ret;
	}
	/* Sent buffers are collected when the next frame is sent. */
	net->tx->ops->interrupts(net->tx, false);
	for (unsigned int i = 0; i < VIRTIO_NET_RX_BUFFERS; i++)
		post(net, i);
	virtio_device_ready(vdev);
	virtio_sync(net->rx);
	return 0;
}

static struct virtio_net_buffer *free_tx_buffer(struct virtio_net *net)
{
	for (unsigned int i = 0; i < VIRTIO_NET_TX_BUFFERS; i++)
		if (virtio_is_done(&net->tx_buffer[i].used))
			return &net->tx_buffer[i];
	return NULL;
}

static int send(struct virtio_net *net, const void *frame, size_t len, const struct virtio_net_checksum *checksum)
{
	struct virtio_net_buffer *buffer;
	struct virtio_iov sg[2];
	bool big;
	long ret;

	if (!net || !frame || !len || len > VIRTIO_NET_FRAME)
		return -VIRTIO_EINVAL;
	virtio_harvest(net->tx);
	buffer = free_tx_buffer(net);
	if (!buffer)
		return -VIRTIO_EAGAIN;
	virtio_zero(buffer->data, net->header);
	big = net->vdev->big_endian;
	if (checksum && checksum->needed) {
		buffer->data[VIRTIO_NET_HDR_FLAGS] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		virtio_put16(big, buffer->data + VIRTIO_NET_HDR_CSUM_START, checksum->start);
		virtio_put16(big, buffer->data + VIRTIO_NET_HDR_CSUM_OFFSET, checksum->offset);
	}
	virtio_copy(buffer->data + net->header, frame, len);
	ret = virtio_add_outbuf(net->tx, sg, pieces(net, buffer, len, sg), &buffer->used);
	if (ret < 0)
		return ret == -VIRTIO_ENOSPC ? -VIRTIO_EAGAIN : (int)ret;
	virtio_sync(net->tx);
	return 0;
}

int virtio_net_send(struct virtio_net *net, const void *frame, size_t len)
{
	return send(net, frame, len, NULL);
}

int virtio_net_send_offload(struct virtio_net *net, const void *frame, size_t len, const struct virtio_net_checksum *checksum)
{
	/* 5.1.6.2.1: NEEDS_CSUM only after VIRTIO_NET_F_CSUM, and within the frame. */
	if (!net)
		return -VIRTIO_EINVAL;
	if (checksum && checksum->needed && !virtio_device_has(net->vdev, VIRTIO_NET_F_CSUM))
		return -VIRTIO_EOPNOTSUPP;
	if (checksum && checksum->needed && (size_t)checksum->start + checksum->offset + 2 > len)
		return -VIRTIO_EINVAL;
	return send(net, frame, len, checksum);
}

static struct virtio_net_buffer *rx_buffer(struct virtio_net *net, unsigned int i)
{
	return &net->rx_buffer[(net->rx_next + i) % VIRTIO_NET_RX_BUFFERS];
}

static bool has_come(const struct virtio_net_buffer *buffer)
{
	return virtio_is_done(&buffer->used) && buffer->used != VIRTIO_CANCELLED;
}

/* How many buffers the next frame fills, if all have come. A number that cannot be is taken for one. */
static unsigned int next_frame(struct virtio_net *net)
{
	unsigned int count = 1;

	if (!has_come(rx_buffer(net, 0)))
		return 0;
	if (virtio_device_has(net->vdev, VIRTIO_NET_F_MRG_RXBUF))
		count = virtio_get16(net->vdev->big_endian, rx_buffer(net, 0)->data + VIRTIO_NET_HDR_NUM_BUFFERS);
	if (!count || count > VIRTIO_NET_RX_BUFFERS)
		count = 1;
	for (unsigned int i = 1; i < count; i++)
		if (!has_come(rx_buffer(net, i)))
			return 0;
	return count;
}

static void read_checksum(const struct virtio_net *net, const uint8_t *header, struct virtio_net_checksum *checksum)
{
	bool big = net->vdev->big_endian;

	*checksum = (struct virtio_net_checksum){ .needed = false };
	if (!virtio_device_has(net->vdev, VIRTIO_NET_F_GUEST_CSUM))
		return;
	checksum->needed = header[VIRTIO_NET_HDR_FLAGS] & VIRTIO_NET_HDR_F_NEEDS_CSUM;
	checksum->valid = header[VIRTIO_NET_HDR_FLAGS] & VIRTIO_NET_HDR_F_DATA_VALID;
	checksum->start = virtio_get16(big, header + VIRTIO_NET_HDR_CSUM_START);
	checksum->offset = virtio_get16(big, header + VIRTIO_NET_HDR_CSUM_OFFSET);
}

size_t virtio_net_receive_offload(struct virtio_net *net, void *frame, size_t size, struct virtio_net_checksum *checksum)
{
	unsigned int count;
	size_t copied = 0;

	virtio_harvest(net->rx);
	count = next_frame(net);
	if (count && checksum)
		read_checksum(net, rx_buffer(net, 0)->data, checksum);
	for (unsigned int i = 0; i < count; i++) {
		struct virtio_net_buffer *buffer = rx_buffer(net, 0);
		unsigned int header = i ? 0 : net->header;	/* in the first one only */
		size_t len = buffer->used > header ? buffer->used - header : 0;

		if (len > size - copied)
			len = size - copied;
		virtio_copy((uint8_t *)frame + copied, buffer->data + header, len);
		copied += len;
		post(net, net->rx_next);
		net->rx_next = (net->rx_next + 1) % VIRTIO_NET_RX_BUFFERS;
	}
	if (count)
		virtio_sync(net->rx);
	return copied;
}

size_t virtio_net_receive(struct virtio_net *net, void *frame, size_t size)
{
	return virtio_net_receive_offload(net, frame, size, NULL);
}

bool virtio_net_link(struct virtio_net *net)
{
	uint16_t status;

	if (!virtio_device_has(net->vdev, VIRTIO_NET_F_STATUS) || virtio_config_get16(net->vdev, VIRTIO_NET_CFG_STATUS, &status))
		return true;
	return status & VIRTIO_NET_S_LINK_UP;
}

void virtio_net_remove(struct virtio_net *net)
{
	virtio_device_remove(net->vdev);
}
