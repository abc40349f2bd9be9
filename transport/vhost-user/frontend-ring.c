/* SPDX-License-Identifier: MIT */
/*
 * frontend-ring.c - the rings of a front end: each lies in the memory that is shared, and has three eventfds: the driver kicks, the back
 * end calls, and reports an error.
 */
#include <transport/vhost-user/frontend-internal.h>

#include <sys/eventfd.h>

#include <virtio/vring-driver.h>

#define RING_ALIGN	64u		/* of the used ring: a cache line of its own */
#define BASE_PACKED	UINT32_C(0x80008000)	/* where a fresh packed ring begins: offsets of 15 bits, wrap counters above them */

/* --- what the back end is told ---------------------------------------------------------------------------------------- */

static int tell_ring(struct vhost_user_frontend *fe, enum vhost_user_request request, unsigned int index, uint32_t num)
{
	struct vhost_user_message message = {
		.header = { .request = request, .size = sizeof(struct vhost_user_ring_state) },
		.payload.state = { .index = index, .num = num },
	};

	return vhost_user_tell(fe, &message);
}

static int tell_ring_fd(struct vhost_user_frontend *fe, enum vhost_user_request request, unsigned int index, int fd)
{
	struct vhost_user_message message = {
		.header = { .request = request, .size = sizeof(uint64_t) },
		.payload.number = index,
		.fds = { fd },
		.fd_count = 1,
	};

	return vhost_user_tell(fe, &message);
}

static int tell_address(struct vhost_user_frontend *fe, unsigned int index, uint32_t num)
{
	uintptr_t base = (uintptr_t)fe->ring[index].base;
	struct vhost_user_message message = {
		.header = { .request = VHOST_USER_SET_VRING_ADDR, .size = sizeof(struct vhost_user_ring_address) },
		.payload.address = { .index = index,
				     .desc = base,
				     .avail = base + vring_desc_bytes(num),
				     .used = base + vring_used_offset(num, RING_ALIGN) },
	};

	return vhost_user_tell(fe, &message);
}

static int start_ring(struct vhost_user_frontend *fe, unsigned int index, uint32_t num)
{
	/* A packed ring begins in the lap whose wrap counters are 1 (virtio 1.2, 2.8.1). */
	uint32_t base = virtio_device_has(&fe->vdev, VIRTIO_F_RING_PACKED) ? BASE_PACKED : 0;
	int error = tell_ring(fe, VHOST_USER_SET_VRING_NUM, index, num);

	if (!error)
		error = tell_ring(fe, VHOST_USER_SET_VRING_BASE, index, base);
	if (!error)
		error = tell_address(fe, index, num);
	if (!error)
		error = tell_ring_fd(fe, VHOST_USER_SET_VRING_ERR, index, fe->ring[index].err);
	if (!error)
		error = tell_ring_fd(fe, VHOST_USER_SET_VRING_CALL, index, fe->ring[index].call);
	if (error)
		return error;
	/* From here on the back end may use the ring. */
	fe->ring[index].started = true;
	return tell_ring_fd(fe, VHOST_USER_SET_VRING_KICK, index, fe->ring[index].kick);
}

void vhost_user_enable_rings(struct vhost_user_frontend *fe)
{
	for (unsigned int i = 0; i < VIRTIO_DRIVER_QUEUES; i++)
		if (fe->ring[i].started)
			tell_ring(fe, VHOST_USER_SET_VRING_ENABLE, i, 1);
}

void vhost_user_stop_ring(struct vhost_user_frontend *fe, unsigned int index)
{
	struct vhost_user_message message = {
		.header = { .request = VHOST_USER_GET_VRING_BASE, .size = sizeof(struct vhost_user_ring_state) },
		.payload.state.index = index,
	};

	fe->ring[index].started = false;
	vhost_user_ask(fe, &message, sizeof(struct vhost_user_ring_state));
}

/* --- making and releasing --------------------------------------------------------------------------------------------- */

static void release_ring(struct vhost_user_frontend *fe, unsigned int index)
{
	if (fe->ring[index].base)
		vhost_user_memory_free(fe->memory, fe->ring[index].base, fe->ring[index].size);
	fe->ring[index].base = NULL;
	vhost_user_close_fd(&fe->ring[index].kick);
	vhost_user_close_fd(&fe->ring[index].call);
	vhost_user_close_fd(&fe->ring[index].err);
}

static int make_ring(struct vhost_user_frontend *fe, unsigned int index, uint32_t num)
{
	int *const fds[] = { &fe->ring[index].kick, &fe->ring[index].call, &fe->ring[index].err };

	for (unsigned int i = 0; i < 3; i++)
		if ((*fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) < 0)
			return -VIRTIO_ENOMEM;
	fe->ring[index].size = vring_bytes(num, RING_ALIGN);
	fe->ring[index].base = vhost_user_memory_alloc(fe->memory, fe->ring[index].size, RING_ALIGN);
	return fe->ring[index].base ? 0 : -VIRTIO_ENOMEM;
}

int vhost_user_find_queue(struct virtio_device *vdev, unsigned int index, struct virtio_queue **vq)
{
	struct vhost_user_frontend *fe = vhost_user_of(vdev);
	uint32_t num = fe->options.queue_size;
	uint8_t *base;
	int error;

	/* A network card's number counts pairs. */
	if (vhost_user_agreed(fe, VHOST_USER_PROTOCOL_F_MQ) && index / 2 >= fe->max_queues)
		return -VIRTIO_ENOENT;
	error = make_ring(fe, index, num);
	if (error) {
		release_ring(fe, index);
		return error;
	}
	base = fe->ring[index].base;
	error = vring_driver_create(vdev, index, num, base, base + vring_desc_bytes(num), base + vring_used_offset(num, RING_ALIGN), vq);
	if (error) {
		release_ring(fe, index);
		return error;
	}
	error = start_ring(fe, index, num);
	if (!error)
		return 0;
	if (fe->ring[index].started)
		vhost_user_stop_ring(fe, index);
	vring_driver_destroy(*vq);
	release_ring(fe, index);
	return error;
}

void vhost_user_delete_queue(struct virtio_queue *vq)
{
	struct vhost_user_frontend *fe = vhost_user_of(vq->vdev);
	unsigned int index = vq->index;

	vring_driver_destroy(vq);
	release_ring(fe, index);
}
