/* SPDX-License-Identifier: MIT */
/*
 * backend-ring.c - the rings of a back end, between the front end's messages and the device's queues.
 *
 * A ring is served while three things are true: it was started (it has a kick descriptor), it is enabled, and its place and size are
 * known. settle() compares this with what is; the messages only change the conditions. When a ring begins to be served the device's queue
 * is set up at the index where it stopped, and when it ends the device finishes what it holds, so that one number says where to go on.
 *
 * The device as a whole is live while any ring is served. After the last one it is reset, and so can be given other features.
 */
#include <transport/vhost-user/backend-internal.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

static struct vhost_user_ring *find(struct vhost_user_backend *be, uint64_t index)
{
	return index < be->dev->num_queues ? &be->ring[index] : NULL;
}

#define NO_RING "a ring that the device does not have"
#define IN_USE "a change to a ring that is in use"

/* --- serving ---------------------------------------------------------------------------------------------------------- */

static void lay_down(struct vhost_user_backend *be, unsigned int index)
{
	struct vhost_user_ring *ring = &be->ring[index];
	struct vring_device *vq = &be->dev->queues[index];
	bool any = false;

	if (!ring->served)
		return;
	if (be->dev->ops->drain)
		be->dev->ops->drain(be->dev);
	ring->base = vring_device_base(vq);
	vhost_user_log_ring(be, index);
	ring->served = false;
	vring_device_reset(vq);
	for (unsigned int i = 0; i < be->dev->num_queues; i++)
		any |= be->ring[i].served;
	if (!any)
		virtio_dev_reset(be->dev);
}

static const char *set_up(struct vhost_user_backend *be, unsigned int index)
{
	struct vhost_user_ring *ring = &be->ring[index];
	struct vring_device *vq = &be->dev->queues[index];
	uint64_t desc = vhost_user_regions_gpa(&be->regions, ring->desc);
	uint64_t avail = vhost_user_regions_gpa(&be->regions, ring->avail);
	uint64_t used = vhost_user_regions_gpa(&be->regions, ring->used);
	const char *wrong;

	if (desc == VIRTIO_BAD_ADDRESS || avail == VIRTIO_BAD_ADDRESS || used == VIRTIO_BAD_ADDRESS)
		return "a ring outside the memory that was given";
	if (!be->dev->features_final && virtio_dev_set_features(be->dev, be->features & ~VHOST_USER_F_OURS))
		return "a ring before features that the device can agree to";
	switch (virtio_dev_set_queue(be->dev, index, ring->num, desc, avail, used)) {
	case 0:
		break;
	case -VIRTIO_EFAULT:
		return "a ring outside the memory that was given";
	default:
		return "a ring of a size or at a place that rings cannot have";
	}
	if (vring_device_set_base(vq, ring->base)) {
		vring_device_reset(vq);
		return "a ring that is to go on where it cannot";
	}
	wrong = vhost_user_inflight_resume(be, index);
	if (wrong)
		vring_device_reset(vq);
	return wrong;
}

static const char *take_up(struct vhost_user_backend *be, unsigned int index)
{
	const char *wrong = vhost_user_log_check(be);

	if (!wrong)
		wrong = set_up(be, index);
	if (wrong)
		return wrong;
	be->ring[index].served = true;
	virtio_dev_start(be->dev);
	/* What is there already: it was kicked for before our time, or the kick is still to come and will find nothing. */
	virtio_dev_kick(be->dev, index);
	return NULL;
}

/* Serve the ring or not, as the conditions say. */
static const char *settle(struct vhost_user_backend *be, unsigned int index)
{
	const struct vhost_user_ring *ring = &be->ring[index];
	bool serve = ring->kick >= 0 && ring->enabled && ring->num && ring->placed;

	if (serve == ring->served)
		return NULL;
	if (serve)
		return take_up(be, index);
	lay_down(be, index);
	return NULL;
}

/* --- what the front end says of a ring -------------------------------------------------------------------------------- */

const char *vhost_user_set_vring_num(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	struct vhost_user_ring *ring = find(be, m->payload.state.index);

	if (!ring)
		return NO_RING;
	if (ring->served)
		return IN_USE;
	if (!m->payload.state.num || m->payload.state.num > be->dev->queues[m->payload.state.index].num_max)
		return "a ring larger than the device's queue";
	ring->num = m->payload.state.num;
	return NULL;
}

const char *vhost_user_set_vring_addr(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const struct vhost_user_ring_address *address = &m->payload.address;
	struct vhost_user_ring *ring = find(be, address->index);
	const char *wrong;

	if (!ring)
		return NO_RING;
	/* Whether it is logged may change at any time. */
	if (ring->served && (ring->desc != address->desc || ring->avail != address->avail || ring->used != address->used))
		return IN_USE;
	ring->desc = address->desc;
	ring->avail = address->avail;
	ring->used = address->used;
	ring->log = address->log;
	ring->logged = address->flags & VHOST_USER_RING_LOG;
	ring->placed = true;
	wrong = vhost_user_log_check(be);
	return wrong ? wrong : settle(be, address->index);
}

const char *vhost_user_set_vring_base(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	struct vhost_user_ring *ring = find(be, m->payload.state.index);

	if (!ring)
		return NO_RING;
	if (ring->served)
		return IN_USE;
	ring->base = m->payload.state.num;
	return NULL;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void stop(struct vhost_user_backend *be, unsigned int index)
{
	lay_down(be, index);
	/* Taken out of the set by hand: another process holds the file too, so closing ours would not do it. */
	if (be->ring[index].kick >= 0)
		epoll_ctl(be->epoll_fd, EPOLL_CTL_DEL, be->ring[index].kick, NULL);
	close_fd(&be->ring[index].kick);
}

const char *vhost_user_get_vring_base(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	struct vhost_user_ring *ring = find(be, m->payload.state.index);

	if (!ring)
		return NO_RING;
	stop(be, m->payload.state.index);
	vhost_user_inflight_ended(be, m->payload.state.index);
	m->payload.state.num = ring->base;
	return NULL;
}

/* Anything else might block us, or send us SIGPIPE. Without /proc it cannot be told. */
static bool is_eventfd(int fd)
{
	static const char eventfd[] = "anon_inode:[eventfd]";
	char path[32], target[sizeof(eventfd) + 1];
	ssize_t len;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	len = readlink(path, target, sizeof(target));
	return len < 0 ? errno == ENOENT : len == sizeof(eventfd) - 1 && !memcmp(target, eventfd, sizeof(eventfd) - 1);
}

const char *vhost_user_take_eventfd(struct vhost_user_message *m, int *fd)
{
	*fd = vhost_user_take_fd(m, 0);
	if (*fd < 0)
		return "no descriptor where one belongs";
	/* The file is shared, so the flag is no promise for later; but no honest front end minds it. */
	if (!is_eventfd(*fd) || fcntl(*fd, F_SETFL, O_NONBLOCK)) {
		close_fd(fd);
		return "a descriptor that is no eventfd";
	}
	return NULL;
}

/* The descriptor of a SET_VRING_KICK, _CALL or _ERR into *@fd; -1 if it says that there is none. */
static const char *take_fd(struct vhost_user_message *m, int *fd)
{
	*fd = -1;
	return m->payload.number & VHOST_USER_RING_NO_FD ? NULL : vhost_user_take_eventfd(m, fd);
}

const char *vhost_user_set_vring_kick(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	unsigned int index = m->payload.number & VHOST_USER_RING_MASK;
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = index };
	struct vhost_user_ring *ring = find(be, index);
	const char *wrong;
	int fd;

	if (!ring)
		return NO_RING;
	wrong = take_fd(m, &fd);
	if (wrong)
		return wrong;
	if (fd < 0)
		return "a ring without kicks, which would have to be polled";
	stop(be, index);
	if (epoll_ctl(be->epoll_fd, EPOLL_CTL_ADD, fd, &event)) {
		close(fd);
		return "a kick that cannot be waited for";
	}
	ring->kick = fd;
	/* Without protocol features there is no message that would enable it. */
	if (!(be->features & VHOST_USER_F_PROTOCOL_FEATURES))
		ring->enabled = true;
	return settle(be, index);
}

static const char *replace_fd(struct vhost_user_backend *be, struct vhost_user_message *m, int *old)
{
	const char *wrong;
	int fd;

	wrong = take_fd(m, &fd);
	if (wrong)
		return wrong;
	close_fd(old);
	*old = fd;
	return NULL;
}

const char *vhost_user_set_vring_call(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	struct vhost_user_ring *ring = find(be, m->payload.number & VHOST_USER_RING_MASK);
	const char *wrong = ring ? replace_fd(be, m, &ring->call) : NO_RING;

	/* An interrupt that went to the old one may not have been seen. One too many does no harm. */
	if (!wrong && ring->served && ring->call >= 0)
		eventfd_write(ring->call, 1);
	return wrong;
}

const char *vhost_user_set_vring_err(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	struct vhost_user_ring *ring = find(be, m->payload.number & VHOST_USER_RING_MASK);

	return ring ? replace_fd(be, m, &ring->err) : NO_RING;
}

const char *vhost_user_set_vring_enable(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	struct vhost_user_ring *ring = find(be, m->payload.state.index);

	if (!ring)
		return NO_RING;
	ring->enabled = m->payload.state.num;
	return settle(be, m->payload.state.index);
}

/* --- kicks and interrupts --------------------------------------------------------------------------------------------- */

const char *vhost_user_ring_kicked(struct vhost_user_backend *be, unsigned int index)
{
	struct vhost_user_ring *ring = &be->ring[index];
	uint64_t count;

	/* Stopped by a message of the same round. */
	if (ring->kick < 0)
		return NULL;
	if (read(ring->kick, &count, sizeof(count)) < 0 && errno != EAGAIN)
		return "a kick that cannot be read";
	if (ring->served)
		virtio_dev_kick(be->dev, index);
	return NULL;
}

void vhost_user_ring_interrupt(struct virtio_dev *dev, unsigned int queue)
{
	struct vhost_user_backend *be = dev->transport_data;

	if (be->ring[queue].call >= 0)
		eventfd_write(be->ring[queue].call, 1);
}

/* --- all of them ------------------------------------------------------------------------------------------------------ */

void vhost_user_rings_lay_down(struct vhost_user_backend *be)
{
	for (unsigned int i = 0; i < be->dev->num_queues; i++)
		lay_down(be, i);
}

const char *vhost_user_rings_take_up(struct vhost_user_backend *be)
{
	const char *wrong = NULL;

	for (unsigned int i = 0; i < be->dev->num_queues && !wrong; i++)
		wrong = settle(be, i);
	return wrong;
}

void vhost_user_rings_stop(struct vhost_user_backend *be)
{
	for (unsigned int i = 0; i < be->dev->num_queues; i++) {
		stop(be, i);
		be->ring[i].enabled = false;
	}
}

void vhost_user_rings_report(struct vhost_user_backend *be)
{
	for (unsigned int i = 0; i < be->dev->num_queues; i++)
		if (be->ring[i].err >= 0)
			eventfd_write(be->ring[i].err, 1);
}

void vhost_user_rings_init(struct vhost_user_backend *be)
{
	for (unsigned int i = 0; i < VHOST_USER_RINGS; i++)
		be->ring[i] = (struct vhost_user_ring){ .kick = -1, .call = -1, .err = -1 };
}

void vhost_user_rings_forget(struct vhost_user_backend *be)
{
	/* The front end may be gone, and what is under way must end nevertheless: its memory is still mapped. */
	vhost_user_rings_stop(be);
	for (unsigned int i = 0; i < be->dev->num_queues; i++) {
		close_fd(&be->ring[i].call);
		close_fd(&be->ring[i].err);
	}
	vhost_user_rings_init(be);
}
