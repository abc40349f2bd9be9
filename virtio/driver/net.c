/* SPDX-License-Identifier: MIT */
/* net.c - a network driver on the five operations: see <virtio/driver-net.h>. */
#include <virtio/driver-net.h>

#include "inbuf.h"

#define RX_PART		8192u	/* bytes of a receive buffer when large frames are merged: nine of them hold any */
#define HOST_TSO	(VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6)
#define GUEST_TSO	(VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6)

/* --- buffers ---------------------------------------------------------------------------------------------------------- */

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

/* Offer a receive buffer. False: the ring is full or dead. */
static bool post(struct virtio_net *net, struct virtio_net_buffer *buffer)
{
	struct virtio_iov sg[2];
	unsigned int count = pieces(net, buffer, net->rx_memory.room, sg);

	return inbuf_post(net->rx, sg, count, &buffer->used);
}

/* Give @count buffers room for frames of @room bytes: that from @small on, if it will do. */
static int place(struct virtio_net *net, struct virtio_net_buffers *memory, struct virtio_net_buffer *buffers, unsigned int count, size_t room,
		 uint8_t *small)
{
	const struct virtio_platform *platform = net->vdev->platform;
	size_t step = sizeof(net->small[0]);
	uint8_t *data = small;

	memory->room = room;
	if (room > VIRTIO_NET_FRAME) {
		step = (net->header + room + 15) & ~(size_t)15;
		memory->large_size = count * step;
		memory->large = data = platform->alloc(platform->opaque, memory->large_size, 16);
	}
	if (!data)
		return -VIRTIO_ENOMEM;
	for (unsigned int i = 0; i < count; i++)
		buffers[i] = (struct virtio_net_buffer){ .data = data + i * step };
	return 0;
}

static void release(struct virtio_net *net, struct virtio_net_buffers *memory)
{
	const struct virtio_platform *platform = net->vdev->platform;

	if (memory->large && platform->free)
		platform->free(platform->opaque, memory->large, memory->large_size);
	memory->large = NULL;
}

/* 5.1.6.3.1: buffers that a frame of the largest size fits into, one or several. */
static size_t rx_room(const struct virtio_net *net)
{
	if (!(net->vdev->features & GUEST_TSO))
		return VIRTIO_NET_FRAME;
	return virtio_device_has(net->vdev, VIRTIO_NET_F_MRG_RXBUF) ? RX_PART - net->header : VIRTIO_NET_MAX_FRAME;
}

static int place_all(struct virtio_net *net)
{
	size_t tx_room = net->vdev->features & HOST_TSO ? VIRTIO_NET_MAX_FRAME : VIRTIO_NET_FRAME;
	int ret = place(net, &net->rx_memory, net->rx_buffer, VIRTIO_NET_RX_BUFFERS, rx_room(net), net->small[0]);

	return ret ? ret : place(net, &net->tx_memory, net->tx_buffer, VIRTIO_NET_TX_BUFFERS, tx_room, net->small[VIRTIO_NET_RX_BUFFERS]);
}

/* --- the device ------------------------------------------------------------------------------------------------------- */

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
		ret = virtio_config_get_bytes(vdev, VIRTIO_NET_CFG_MAC, net->mac, sizeof(net->mac));
	return ret;
}

/* 5.1.3.1: what goes with what is wanted. */
static uint64_t wanted(const struct virtio_net *net)
{
	uint64_t wanted = net->wanted & VIRTIO_NET_DRIVER_WANTED;

	if (wanted & HOST_TSO)
		wanted |= VIRTIO_NET_F_CSUM;
	if (wanted & GUEST_TSO)
		wanted |= VIRTIO_NET_F_GUEST_CSUM;
	return wanted | VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS;
}

int virtio_net_probe(struct virtio_net *net, struct virtio_device *vdev)
{
	int ret = net ? virtio_device_setup(vdev, wanted(net)) : -VIRTIO_EINVAL;

	if (ret < 0)
		return ret;
	net->vdev = vdev;
	net->rx_next = net->rx_count = 0;
	ret = virtio_net_features_sound(vdev->features) ? set_up(net, vdev) : -VIRTIO_EOPNOTSUPP;
	if (!ret)
		ret = place_all(net);
	if (ret < 0) {
		virtio_device_fail(vdev);
		release(net, &net->rx_memory);
		return ret;
	}
	/* Sent buffers are collected when there is no other for the next frame. */
	net->tx->ops->interrupts(net->tx, false);
	while (net->rx_count < VIRTIO_NET_RX_BUFFERS && post(net, &net->rx_buffer[net->rx_count]))
		net->rx_count++;
	virtio_device_ready(vdev);
	virtio_sync(net->rx);
	return 0;
}

bool virtio_net_link(struct virtio_net *net)
{
	uint16_t status;

	if (!net || !net->vdev)
		return false;
	if (!virtio_device_has(net->vdev, VIRTIO_NET_F_STATUS) || virtio_config_get16(net->vdev, VIRTIO_NET_CFG_STATUS, &status))
		return true;
	return status & VIRTIO_NET_S_LINK_UP;
}

void virtio_net_remove(struct virtio_net *net)
{
	if (!net || !net->vdev)
		return;
	virtio_device_remove(net->vdev);
	release(net, &net->rx_memory);
	release(net, &net->tx_memory);
}

/* --- sending ---------------------------------------------------------------------------------------------------------- */

static struct virtio_net_buffer *free_tx_buffer(struct virtio_net *net)
{
	for (unsigned int i = 0; i < VIRTIO_NET_TX_BUFFERS; i++)
		if (virtio_is_done(&net->tx_buffer[i].used))
			return &net->tx_buffer[i];
	return NULL;
}

/* A buffer that the ring has room for as well. What was sent is collected only to make room, see harvest() in <virtio/driver.h>. */
static struct virtio_net_buffer *next_tx_buffer(struct virtio_net *net)
{
	struct virtio_net_buffer *buffer = free_tx_buffer(net);

	if (buffer && net->tx->ops->room(net->tx) >= 2)
		return buffer;
	virtio_harvest(net->tx);
	return free_tx_buffer(net);
}

/* 5.1.6.2.1: what a driver may ask for. */
static int check_offload(const struct virtio_net *net, const struct virtio_net_offload *offload, size_t len)
{
	uint64_t features = net->vdev->features;

	if (offload->flags & ~VIRTIO_NET_HDR_F_NEEDS_CSUM)
		return -VIRTIO_EINVAL;
	if ((offload->flags && !(features & VIRTIO_NET_F_CSUM)) || !virtio_net_gso_allowed(features, false, offload->gso_type))
		return -VIRTIO_EOPNOTSUPP;
	return virtio_net_offload_allowed(features, false, offload, len) ? 0 : -VIRTIO_EINVAL;
}

static int send(struct virtio_net *net, const void *frame, size_t len, const struct virtio_net_offload *offload)
{
	struct virtio_net_buffer *buffer = next_tx_buffer(net);
	struct virtio_iov sg[2];
	long ret;

	if (!buffer)
		return -VIRTIO_EAGAIN;
	virtio_zero(buffer->data, net->header);
	if (offload)
		virtio_net_offload_write(net->vdev->big_endian, buffer->data, offload);
	virtio_copy(buffer->data + net->header, frame, len);
	ret = virtio_add_outbuf(net->tx, sg, pieces(net, buffer, len, sg), &buffer->used);
	if (ret < 0)
		return ret == -VIRTIO_ENOSPC ? -VIRTIO_EAGAIN : (int)ret;
	virtio_sync(net->tx);
	return 0;
}

int virtio_net_send_offload(struct virtio_net *net, const void *frame, size_t len, const struct virtio_net_offload *offload)
{
	bool cut = offload && offload->gso_type != VIRTIO_NET_GSO_NONE;
	bool plain = !offload || (!offload->flags && !cut);
	int ret;

	if (!net || !net->vdev || !frame || !len || len > (cut ? VIRTIO_NET_MAX_FRAME : VIRTIO_NET_FRAME))
		return -VIRTIO_EINVAL;
	ret = plain ? 0 : check_offload(net, offload, len);
	return ret ? ret : send(net, frame, len, plain ? NULL : offload);
}

int virtio_net_send(struct virtio_net *net, const void *frame, size_t len)
{
	return virtio_net_send_offload(net, frame, len, NULL);
}

/* --- receiving -------------------------------------------------------------------------------------------------------- */

/* What lies in the buffers that were filled next. */
struct received {
	unsigned int buffers;		/* how many the frame fills */
	bool lie;			/* not what a device may say */
	struct virtio_net_offload offload;
	size_t len;			/* of the frame */
};

static struct virtio_net_buffer *rx_buffer(struct virtio_net *net, unsigned int i)
{
	return &net->rx_buffer[(net->rx_next + i) % net->rx_count];
}

/* 5.1.6.4.1: only what was negotiated, about bytes that are there. Without GUEST_CSUM nobody has asked what is in the flags. */
static bool offload_ok(const struct virtio_net *net, struct received *r)
{
	r->offload.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM | VIRTIO_NET_HDR_F_DATA_VALID;
	if (!virtio_device_has(net->vdev, VIRTIO_NET_F_GUEST_CSUM))
		r->offload.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	return virtio_net_offload_allowed(net->vdev->features, true, &r->offload, r->len);
}

/*
 * Look at the next frame, of whose header a copy is made, since the device may go on writing there. False: it has not come, or not
 * the whole of it. What cannot be a frame is taken for one buffer.
 */
static bool look(struct virtio_net *net, struct received *r)
{
	struct virtio_net_buffer *first = rx_buffer(net, 0);
	uint8_t header[VIRTIO_NET_HDR_LONG] = { 0 };
	size_t full = net->header + net->rx_memory.room;

	*r = (struct received){ .buffers = 1 };
	if (!inbuf_filled(&first->used))
		return false;
	virtio_copy(header, first->data, net->header);
	r->offload = virtio_net_offload_read(net->vdev->big_endian, header);
	if (virtio_device_has(net->vdev, VIRTIO_NET_F_MRG_RXBUF))
		r->buffers = virtio_get16(net->vdev->big_endian, header + VIRTIO_NET_HDR_NUM_BUFFERS);
	/* 5.1.6.4.1: as many buffers as there are, at least one; and the header is whole, with something behind it. */
	if (first->used <= net->header || !r->buffers || r->buffers > net->rx_count) {
		r->buffers = 1;
		r->lie = true;
		return true;
	}
	for (unsigned int i = 0; i < r->buffers; i++) {
		if (!inbuf_filled(&rx_buffer(net, i)->used))
			return false;
		/* 5.1.6.4.1: all but the last are used to their full length. */
		r->lie |= i + 1 < r->buffers && rx_buffer(net, i)->used != full;
		r->len += rx_buffer(net, i)->used;
	}
	r->len -= net->header;
	r->lie |= !offload_ok(net, r);
	return true;
}

/* Copy a frame out of its buffers. */
static size_t join(struct virtio_net *net, const struct received *r, uint8_t *frame, size_t size)
{
	size_t copied = 0;

	for (unsigned int i = 0; i < r->buffers; i++) {
		struct virtio_net_buffer *buffer = rx_buffer(net, i);
		unsigned int header = i ? 0 : net->header;	/* in the first one only */
		size_t len = buffer->used - header;

		if (len > size - copied)
			len = size - copied;
		virtio_copy(frame + copied, buffer->data + header, len);
		copied += len;
	}
	return copied;
}

static void recycle(struct virtio_net *net, unsigned int count)
{
	while (count--) {
		post(net, rx_buffer(net, 0));
		net->rx_next = (net->rx_next + 1) % net->rx_count;
	}
}

size_t virtio_net_receive_offload(struct virtio_net *net, void *frame, size_t size, struct virtio_net_offload *offload)
{
	size_t copied = 0;
	struct received r;

	if (!net || !net->rx_count || !frame || !size)
		return 0;
	virtio_harvest(net->rx);
	while (!copied && look(net, &r)) {
		if (r.lie)
			net->dropped++;
		else
			copied = join(net, &r, frame, size);
		recycle(net, r.buffers);
	}
	if (copied && offload)
		*offload = r.offload;
	virtio_sync(net->rx);
	return copied;
}

size_t virtio_net_receive(struct virtio_net *net, void *frame, size_t size)
{
	return virtio_net_receive_offload(net, frame, size, NULL);
}
