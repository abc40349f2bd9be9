/* SPDX-License-Identifier: MIT */
/*
 * net.c - a network card (virtio 1.2, 5.1): queue 0 receives, queue 1 transmits, one frame per buffer, each behind a header. With
 * MRG_RXBUF a received frame may fill several buffers.
 *
 * Neither direction ever waits. No receive buffer: the backend is told so, keeps its frame, and hears rx_ready() at the driver's next
 * kick. No room behind us: the frame stays in the ring until tx_ready(). Kicks are asked for only where they would change something:
 * of the receive queue while it is starved, of the transmit queue while it is not blocked.
 */
#include <stdlib.h>

#include <device/device.h>
#include <virtio/net.h>

#define QUEUE_SIZE	256
#define RX		VIRTIO_NET_QUEUE_RX
#define TX		VIRTIO_NET_QUEUE_TX
#define FRAME_MIN	14u	/* an Ethernet header */

#define TX_OFFLOADS	(VIRTIO_NET_F_CSUM | VIRTIO_NET_F_HOST_TSO4 | VIRTIO_NET_F_HOST_TSO6 | VIRTIO_NET_F_HOST_ECN)
#define RX_OFFLOADS	(VIRTIO_NET_F_GUEST_CSUM | VIRTIO_NET_F_GUEST_TSO4 | VIRTIO_NET_F_GUEST_TSO6 | VIRTIO_NET_F_GUEST_ECN)

struct net_device {
	struct virtio_dev dev;
	struct vring_device queues[2];
	struct net_backend *backend;
	unsigned int header;		/* bytes in front of a frame */
	bool starved;			/* no receive buffers: rx_ready() is owed */
	bool blocked;			/* the backend said -EAGAIN: waiting for tx_ready() */
	struct virtio_iov iov[QUEUE_SIZE];
	struct virtio_iov first_iov[QUEUE_SIZE];
	/* The buffers that one received frame fills. */
	struct {
		uint32_t id;
		uint32_t written;
	} filled[QUEUE_SIZE];
};

static struct net_device *of(struct virtio_dev *dev)
{
	return (struct net_device *)(void *)dev;
}

static bool has(const struct net_device *net, uint64_t feature)
{
	return virtio_dev_has(&net->dev, feature);
}

/* --- transmit --------------------------------------------------------------------------------------------------------- */

/* Send what is in the buffer. False: not now. */
static bool send(struct net_device *net, struct vring_buffer *buf)
{
	uint8_t header[VIRTIO_NET_HDR_LONG] = { 0 };
	struct virtio_iov *iov = buf->out;
	unsigned int count = buf->out_count;
	struct virtio_net_offload offload;
	uint64_t len;

	if (buf->out_len < net->header + FRAME_MIN || buf->out_len > net->header + VIRTIO_NET_MAX_FRAME)
		return true;
	virtio_iov_read(iov, count, 0, header, net->header);
	virtio_iov_skip(&iov, &count, net->header);
	len = buf->out_len - net->header;
	offload = virtio_net_offload_read(net->dev.big_endian, header);
	/* 5.1.6.2.2: bits that we do not know are ignored, and of those we know a driver sets only this one. */
	offload.flags &= VIRTIO_NET_HDR_F_NEEDS_CSUM;
	if (!virtio_net_offload_allowed(net->dev.features, false, &offload, len))
		return true;
	return net->backend->ops->send(net->backend, iov, count, &offload) != -VIRTIO_EAGAIN;
}

static void transmit(struct net_device *net)
{
	struct vring_device *vq = &net->queues[TX];
	struct vring_buffer buf;

	while (virtio_dev_pop(&net->dev, TX, &buf, net->iov, QUEUE_SIZE) > 0) {
		if (!send(net, &buf)) {
			vring_device_unpop(vq, buf.id);
			net->blocked = true;
			vring_device_notify(vq, false);
			break;
		}
		virtio_dev_push(&net->dev, TX, buf.id, 0);
	}
	virtio_dev_flush(&net->dev, TX);
}

static void net_tx_ready(void *opaque)
{
	struct net_device *net = opaque;

	if (!net->blocked)
		return;
	net->blocked = false;
	/* transmit() looks again, so what came meanwhile is not lost. */
	vring_device_notify(&net->queues[TX], true);
	transmit(net);
}

/* --- receive ---------------------------------------------------------------------------------------------------------- */

/* 5.1.6.4.1: only what was negotiated is passed on. False: the frame cannot be. */
static bool rx_offload(const struct net_device *net, const struct virtio_net_offload *from, struct virtio_net_offload *to)
{
	*to = *from;
	if (!has(net, VIRTIO_NET_F_GUEST_CSUM)) {
		if (from->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			return false;
		to->flags = 0;
	}
	return virtio_net_gso_allowed(net->dev.features, true, to->gso_type);
}

/* A stretch of bytes to be laid into buffers: the header, then the frame. */
struct source {
	uint8_t header[VIRTIO_NET_HDR_LONG];
	unsigned int header_len;
	const struct virtio_iov *iov;	/* what is left of the frame */
	size_t offset;			/* into iov[0] */
	uint64_t left;			/* bytes, header and frame */
};

/* Copy frame bytes into [@to, @to + @len). */
static void lay_frame(struct source *src, uint8_t *to, size_t len)
{
	while (len) {
		size_t part = src->iov->len - src->offset;

		if (part > len)
			part = len;
		virtio_copy(to, (const uint8_t *)src->iov->base + src->offset, part);
		to += part;
		len -= part;
		src->offset += part;
		if (src->offset == src->iov->len) {
			src->iov++;
			src->offset = 0;
		}
	}
}

/* Lay what is left of the source into one buffer. Returns the bytes. */
static uint32_t lay(struct source *src, const struct virtio_iov *in, unsigned int in_count, unsigned int at)
{
	uint32_t written = 0;

	for (unsigned int i = 0; i < in_count && src->left; i++) {
		size_t len = in[i].len < src->left ? in[i].len : (size_t)src->left, head = 0;

		if (at < src->header_len) {
			head = src->header_len - at < len ? src->header_len - at : len;
			virtio_copy(in[i].base, src->header + at, head);
			at += (unsigned int)head;
		}
		lay_frame(src, (uint8_t *)in[i].base + head, len - head);
		written += (uint32_t)len;
		src->left -= len;
	}
	return written;
}

enum verdict { TAKEN, DROPPED, NO_BUFFERS };

static void put_back(struct net_device *net, unsigned int popped)
{
	while (popped--)
		vring_device_unpop(&net->queues[RX], net->filled[popped].id);
}

/*
 * Fill one buffer (or, when they may be merged, as many as it takes). Nothing is pushed until the frame is laid down whole. The
 * num_buffers field lies in the first buffer and is known last, so the first one's pieces have an array of their own.
 */
static enum verdict fill(struct net_device *net, struct source *src)
{
	bool mergeable = has(net, VIRTIO_NET_F_MRG_RXBUF);
	struct vring_buffer first = { 0 }, buf;
	unsigned int n = 0;
	uint8_t num[2];

	while (src->left) {
		if (n == QUEUE_SIZE || virtio_dev_pop(&net->dev, RX, &buf, n ? net->iov : net->first_iov, QUEUE_SIZE) <= 0) {
			put_back(net, n);
			return NO_BUFFERS;
		}
		net->filled[n].id = buf.id;
		if (n == 0)
			first = buf;
		/* 5.1.6.3.1 asks the driver for room for a whole frame; without it, the frame is what goes. */
		if (first.in_len < src->header_len || (!mergeable && buf.in_len < src->left)) {
			put_back(net, n + 1);
			return DROPPED;
		}
		net->filled[n].written = lay(src, buf.in, buf.in_count, n ? src->header_len : 0);
		n++;
	}
	if (src->header_len == VIRTIO_NET_HDR_LONG) {
		virtio_put16(net->dev.big_endian, num, (uint16_t)n);
		virtio_iov_write(first.in, first.in_count, VIRTIO_NET_HDR_NUM_BUFFERS, num, sizeof(num));
	}
	for (unsigned int i = 0; i < n; i++)
		virtio_dev_push(&net->dev, RX, net->filled[i].id, net->filled[i].written);
	return TAKEN;
}

/* The backend has a frame for the guest. A guest that is not listening loses it, as with any card. */
static bool net_receive(void *opaque, const struct virtio_iov *iov, unsigned int count, const struct virtio_net_offload *offload)
{
	static const struct virtio_net_offload none;
	struct net_device *net = opaque;
	struct source src = { .header_len = net->header, .iov = iov };
	uint64_t len = virtio_iov_length(iov, count);
	struct virtio_net_offload passed;
	enum verdict verdict;

	if (!net->dev.live || net->dev.broken || !len || len > VIRTIO_NET_MAX_FRAME || !rx_offload(net, offload ? offload : &none, &passed))
		return true;
	virtio_net_offload_write(net->dev.big_endian, src.header, &passed);
	src.left = net->header + len;
	verdict = fill(net, &src);
	if (verdict == TAKEN)
		virtio_dev_flush(&net->dev, RX);
	net->starved = verdict == NO_BUFFERS;
	return verdict != NO_BUFFERS;
}

/* --- the device ------------------------------------------------------------------------------------------------------- */

static void net_queue_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct net_device *net = of(dev);

	if (queue == TX) {
		if (!net->blocked)
			transmit(net);
	} else if (net->starved) {
		net->starved = false;
		if (net->backend->ops->rx_ready)
			net->backend->ops->rx_ready(net->backend);
	}
}

/* 5.1.3.1 (virtio 1.2, 2.2.1-2): no feature without those that it needs. */
static int net_features_ok(struct virtio_dev *dev)
{
	if (!virtio_net_features_sound(dev->features))
		return -VIRTIO_EINVAL;
	of(dev)->header = virtio_net_hdr_len(dev->features, dev->early);
	return 0;
}

static void tell_offloads(struct net_device *net)
{
	if (net->backend->ops->set_offload)
		net->backend->ops->set_offload(net->backend, has(net, VIRTIO_NET_F_CSUM), has(net, VIRTIO_NET_F_GUEST_CSUM),
					       has(net, VIRTIO_NET_F_GUEST_TSO4), has(net, VIRTIO_NET_F_GUEST_TSO6),
					       has(net, VIRTIO_NET_F_GUEST_ECN));
}

/* The backend may hold a frame that it kept for an earlier driver: the first receive buffers are news to it. */
static void net_start(struct virtio_dev *dev)
{
	of(dev)->starved = true;
	tell_offloads(of(dev));
}

static void net_reset(struct virtio_dev *dev)
{
	struct net_device *net = of(dev);

	net->blocked = false;
	net->starved = false;
	net->header = VIRTIO_NET_HDR_LEN;
}

/* A frame that could not be sent is still in the ring, and goes with it. */
static void net_queue_reset(struct virtio_dev *dev, unsigned int queue)
{
	if (queue == TX)
		of(dev)->blocked = false;
	else
		of(dev)->starved = true;
}

static void net_config_get(struct virtio_dev *dev, void *config)
{
	struct net_backend *backend = of(dev)->backend;
	bool big = dev->big_endian;
	uint8_t *c = config;

	virtio_copy(c + VIRTIO_NET_CFG_MAC, backend->mac, sizeof(backend->mac));
	virtio_put16(big, c + VIRTIO_NET_CFG_STATUS, VIRTIO_NET_S_LINK_UP);
	virtio_put16(big, c + VIRTIO_NET_CFG_MAX_PAIRS, 1);
	virtio_put16(big, c + VIRTIO_NET_CFG_MTU, backend->mtu);
}

static void net_destroy(struct virtio_dev *dev)
{
	struct net_device *net = of(dev);

	net->backend->receiver = (struct net_receiver){ 0 };
	if (net->backend->ops->close)
		net->backend->ops->close(net->backend);
	free(net);
}

static const struct virtio_dev_ops net_ops = {
	.name = "net",
	.queue_notify = net_queue_notify,
	.features_ok = net_features_ok,
	.start = net_start,
	.reset = net_reset,
	.queue_reset = net_queue_reset,
	.config_get = net_config_get,
	.destroy = net_destroy,
};

static uint64_t offered(const struct net_backend *backend)
{
	uint64_t features = VIRTIO_DEV_RING_FEATURES | VIRTIO_F_IN_ORDER | VIRTIO_NET_F_MAC | VIRTIO_NET_F_STATUS;

	/* Merging pays when frames may be larger than a page; otherwise it only makes the header longer. */
	if (backend->offload)
		features |= TX_OFFLOADS | RX_OFFLOADS | VIRTIO_NET_F_MRG_RXBUF;
	if (backend->mtu && backend->mtu != 1500)
		features |= VIRTIO_NET_F_MTU;
	return features;
}

struct virtio_dev *net_device_create(struct net_backend *backend)
{
	struct net_device *net = calloc(1, sizeof(*net));

	if (!net)
		return NULL;
	net->queues[RX].num_max = net->queues[TX].num_max = QUEUE_SIZE;
	net->dev = (struct virtio_dev){
		.ops = &net_ops,
		.id = VIRTIO_ID_NET,
		.offered = offered(backend),
		.config_len = VIRTIO_NET_CFG_LEN,
		.queues = net->queues,
		.num_queues = 2,
	};
	net->backend = backend;
	net->header = VIRTIO_NET_HDR_LEN;
	backend->receiver = (struct net_receiver){ .receive = net_receive, .tx_ready = net_tx_ready, .opaque = net };
	return &net->dev;
}
