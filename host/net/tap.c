/* SPDX-License-Identifier: MIT */
/*
 * Frames go to and from /dev/net/tun, each behind a virtio_net_hdr in host byte order. A frame the guest has no room for stays with
 * us, and the descriptor is not read until there is: further frames wait in the kernel's queue, which drops when it is full.
 */
#include "host/net/tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

/* virtio 1.2, 5.1.6, the short form; in the host's byte order unless TUNSETVNETLE or TUNSETVNETBE is set. */
struct tun_header {
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
};

#define HEADER_SIZE	sizeof(struct tun_header)	/* 10 bytes */
#define FRAME_MAX	(65535 + 14 + 4)		/* a segmentation-offload frame with Ethernet and VLAN headers */
#define ROUND		64				/* frames per call: other descriptors want their turn */
#define PIECES		64

struct tap {
	struct net_backend be;
	struct loop *loop;
	int fd;
	struct loop_watch *watch;
	bool rx_paused, tx_paused;
	size_t held;			/* bytes in @in not delivered yet, header included; 0: none */
	struct tun_header header;
	unsigned char in[FRAME_MAX], out[FRAME_MAX];
};

static struct tap *to_tap(struct net_backend *be)
{
	return (struct tap *)be;
}

static void rewatch(struct tap *tap)
{
	loop_watch_set(tap->watch, (tap->rx_paused ? 0 : EPOLLIN) | (tap->tx_paused ? EPOLLOUT : 0));
}

/* --- from the host --------------------------------------------------------------------------------------------------- */

/* False: still held. */
static bool deliver(struct tap *tap)
{
	struct virtio_iov frame = { tap->in, tap->held - HEADER_SIZE };
	struct virtio_net_offload offload = {
		.flags = tap->header.flags, .gso_type = tap->header.gso_type, .hdr_len = tap->header.hdr_len,
		.gso_size = tap->header.gso_size, .csum_start = tap->header.csum_start, .csum_offset = tap->header.csum_offset,
	};

	if (tap->be.receiver.receive && !tap->be.receiver.receive(tap->be.receiver.opaque, &frame, 1, &offload))
		return false;
	tap->held = 0;
	return true;
}

static void read_frames(struct tap *tap)
{
	struct iovec iov[2] = { { &tap->header, HEADER_SIZE }, { tap->in, sizeof(tap->in) } };

	for (int i = 0; i < ROUND; i++) {
		ssize_t got = readv(tap->fd, iov, 2);

		if (got < 0) {
			tap->rx_paused = errno != EAGAIN && errno != EINTR;	/* the interface was deleted */
			break;
		}
		if ((size_t)got <= HEADER_SIZE)
			continue;
		tap->held = (size_t)got;
		if (!deliver(tap)) {
			tap->rx_paused = true;
			break;
		}
	}
	rewatch(tap);
}

static void tap_ready(void *opaque, uint32_t events)
{
	struct tap *tap = opaque;

	if (events & EPOLLOUT && tap->tx_paused) {
		tap->tx_paused = false;
		rewatch(tap);
		tap->be.receiver.tx_ready(tap->be.receiver.opaque);
	}
	if (events & (EPOLLIN | EPOLLERR | EPOLLHUP) && !tap->rx_paused)
		read_frames(tap);
}

static void tap_rx_ready(struct net_backend *be)
{
	struct tap *tap = to_tap(be);

	if (tap->held && !deliver(tap))
		return;
	tap->rx_paused = false;
	rewatch(tap);
}

/* --- from the guest -------------------------------------------------------------------------------------------------- */

/* More pieces than one writev: copy them together. Returns the length, 0 if it is too long. */
static size_t gather(struct tap *tap, const struct virtio_iov *iov, unsigned int count)
{
	size_t len = 0;

	for (unsigned int i = 0; i < count; i++) {
		if (iov[i].len > sizeof(tap->out) - len)
			return 0;
		memcpy(tap->out + len, iov[i].base, iov[i].len);
		len += iov[i].len;
	}
	return len;
}

/* The kernel's send buffer is full. */
static int wait_for_room(struct tap *tap)
{
	if (!tap->be.receiver.tx_ready)
		return -ENOBUFS;
	tap->tx_paused = true;
	rewatch(tap);
	return -EAGAIN;
}

static int tap_send(struct net_backend *be, const struct virtio_iov *iov, unsigned int count, const struct virtio_net_offload *offload)
{
	struct tap *tap = to_tap(be);
	struct tun_header header = { 0 };
	struct iovec list[PIECES + 1] = { { &header, HEADER_SIZE } };
	unsigned int pieces = count;

	if (offload) {
		header.flags = offload->flags;
		header.gso_type = offload->gso_type;
		header.hdr_len = offload->hdr_len;
		header.gso_size = offload->gso_size;
		header.csum_start = offload->csum_start;
		header.csum_offset = offload->csum_offset;
	}
	if (count <= PIECES) {
		memcpy(list + 1, iov, count * sizeof(*iov));
	} else {
		list[1].iov_base = tap->out;
		list[1].iov_len = gather(tap, iov, count);
		pieces = 1;
		if (!list[1].iov_len)
			return -EMSGSIZE;
	}
	while (writev(tap->fd, list, (int)pieces + 1) < 0)
		if (errno != EINTR)
			return errno == EAGAIN ? wait_for_room(tap) : -errno;
	return 0;
}

/* The names are those of the guest's side; TUNSETOFFLOAD says what may come *out of* the tap, which is the guest's reception. */
static void tap_set_offload(struct net_backend *be, bool tx_csum_tso, bool rx_csum, bool rx_tso4, bool rx_tso6, bool rx_ecn)
{
	unsigned long flags = 0;

	if (rx_csum) {
		flags |= TUN_F_CSUM;
		flags |= rx_tso4 ? TUN_F_TSO4 : 0;
		flags |= rx_tso6 ? TUN_F_TSO6 : 0;
		flags |= rx_ecn && (rx_tso4 || rx_tso6) ? TUN_F_TSO_ECN : 0;
	}
	ioctl(to_tap(be)->fd, TUNSETOFFLOAD, flags);
}

static void tap_close(struct net_backend *be)
{
	struct tap *tap = to_tap(be);

	loop_unwatch(tap->watch);
	if (tap->fd >= 0)
		close(tap->fd);
	free(tap);
}

static const struct net_backend_ops tap_ops = {
	.send = tap_send,
	.set_offload = tap_set_offload,
	.rx_ready = tap_rx_ready,
	.close = tap_close,
};

/* --- opening --------------------------------------------------------------------------------------------------------- */

static int tap_explain(const char *name, int number, struct error *err)
{
	switch (number) {
	case EPERM:
		if (if_nametoindex(name))
			return error_set(err, number, "%s: this tap interface is not ours; its owner is set with "
					 "'ip tuntap add %s mode tap user NAME'", name, name);
		return error_set(err, number, "%s: no such interface, and no right to make one; an administrator does so with "
				 "'ip tuntap add %s mode tap user NAME'", name, name);
	case EBUSY:
		return error_set(err, number, "%s: in use by another program", name);
	case EINVAL:
		return error_set(err, number, "%s: not a tap interface", name);
	default:
		return error_errno(err, number, "%s", name);
	}
}

static int tap_attach(struct tap *tap, const char *name, struct error *err)
{
	struct ifreq request = { .ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR };
	int header = HEADER_SIZE;

	if (!*name || strlen(name) >= sizeof(request.ifr_name))
		return error_set(err, EINVAL, "tap=%s: an interface name has 1 to %zu characters", name, sizeof(request.ifr_name) - 1);
	strcpy(request.ifr_name, name);
	tap->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (tap->fd < 0)
		return error_errno(err, errno, "%s: /dev/net/tun", name);
	if (ioctl(tap->fd, TUNSETIFF, &request) < 0)
		return tap_explain(name, errno, err);
	ioctl(tap->fd, TUNSETVNETHDRSZ, &header);	/* the default is the same; an inherited interface may differ */
	tap->be.offload = ioctl(tap->fd, TUNSETOFFLOAD, TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN) == 0;
	ioctl(tap->fd, TUNSETOFFLOAD, 0);		/* until the guest asks for it */
	return 0;
}

/* A locally administered address made of the interface's name: the same at every start, different for every tap. */
static void tap_address(struct tap *tap, const char *name)
{
	uint32_t hash = 2166136261u;	/* FNV-1a */

	while (*name)
		hash = (hash ^ (unsigned char)*name++) * 16777619u;
	tap->be.mac[0] = 0x52;
	tap->be.mac[1] = 0x54;
	memcpy(tap->be.mac + 2, &hash, 4);
}

struct net_backend *tap_open(struct loop *loop, const char *name, struct error *err)
{
	struct tap *tap = calloc(1, sizeof(*tap));

	if (!tap) {
		error_errno(err, ENOMEM, "%s", name);
		return NULL;
	}
	tap->loop = loop;
	tap->fd = -1;
	tap->be.ops = &tap_ops;
	tap->be.mtu = 1500;
	if (tap_attach(tap, name, err) < 0)
		goto fail;
	tap_address(tap, name);
	tap->watch = loop_watch(loop, tap->fd, EPOLLIN, tap_ready, tap);
	if (!tap->watch) {
		error_errno(err, errno, "%s", name);
		goto fail;
	}
	return &tap->be;
fail:
	tap_close(&tap->be);
	return NULL;
}
