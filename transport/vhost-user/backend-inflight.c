/* SPDX-License-Identifier: MIT */
/*
 * backend-inflight.c - a record of the buffers that the device holds, in memory that the front end keeps for us: so a back end that was killed is
 * followed by one that knows what the first one had taken and not given back.
 *
 * For each ring a byte for each buffer: taken or not; and how far the used ring had been shown when the bytes were last brought up to date.
 * Death may come between any two steps, in this order:
 *
 *	take from the available ring | mark as taken | put into the used ring | show it | clear the mark, note how far
 *
 * A buffer that was not marked is still in the available ring, behind those that were. One that was shown and not cleared is found in
 * the used ring, between what was noted and what is shown now. All others are done again, which a disk does not mind.
 *
 * They are put back into the places of the available ring that they, as many, were taken from: the driver wrote these and never reads
 * them. The record can be written to by the front end, so nothing in it is more than a number to be checked. Rings in order have no
 * record, and that of a packed one is backend-inflight-packed.c.
 */
#include <transport/vhost-user/backend-internal.h>

#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "host/memory_file.h"

struct vhost_user_record {
	uint16_t used_idx;
	uint16_t reserved[3];
	uint8_t taken[];		/* [queue_size] */
};

/* Room for a ring of either layout, which may be decided on later. The other one's record is the larger. */
static size_t stride(const struct vhost_user_backend *be)
{
	return (vhost_user_packed_record_bytes(be->inflight.queue_size) + 63) & ~(size_t)63;
}

static void *find_either(const struct vhost_user_backend *be, unsigned int index, bool packed)
{
	const struct vring_device *vq = &be->dev->queues[index];

	if (!be->inflight.map || index >= be->inflight.queues || vq->num > be->inflight.queue_size || vq->packed != packed || vq->in_order)
		return NULL;
	return be->inflight.map + index * stride(be);
}

/* The record of a split ring; of a packed one. NULL: there is none. */
static struct vhost_user_record *find(const struct vhost_user_backend *be, unsigned int index)
{
	return find_either(be, index, false);
}

static struct vhost_user_packed_record *find_packed(const struct vhost_user_backend *be, unsigned int index)
{
	return find_either(be, index, true);
}

static uint16_t shown_idx(const struct vring_device *vq)
{
	return virtio_swap16(vq->swap, __atomic_load_n(&vq->used->idx, __ATOMIC_ACQUIRE));
}

/* What was shown since the record was brought up to date is not taken any more. */
static void catch_up(struct vhost_user_record *record, const struct vring_device *vq)
{
	uint16_t now = shown_idx(vq), at = record->used_idx;

	if ((uint16_t)(now - at) > vq->num)
		at = now - vq->num;
	for (; at != now; at++) {
		uint32_t id = virtio_swap32(vq->swap, *(const volatile uint32_t *)&vq->used->ring[at & (vq->num - 1)].id);

		if (id < vq->num)
			record->taken[id] = 0;
	}
	record->used_idx = now;
}

void vhost_user_inflight_taken(struct vhost_user_backend *be, unsigned int queue, uint32_t id)
{
	struct vhost_user_packed_record *packed = find_packed(be, queue);
	struct vhost_user_record *record = find(be, queue);

	if (packed)
		vhost_user_packed_taken(packed, &be->dev->queues[queue], id);
	else if (record && id < be->dev->queues[queue].num)
		record->taken[id] = 1;
}

void vhost_user_inflight_given(struct vhost_user_backend *be, unsigned int queue, uint32_t id)
{
	struct vhost_user_packed_record *packed = find_packed(be, queue);

	if (packed)
		vhost_user_packed_given(packed, &be->dev->queues[queue], id);
}

void vhost_user_inflight_shown(struct vhost_user_backend *be, unsigned int queue)
{
	struct vhost_user_packed_record *packed = find_packed(be, queue);
	struct vhost_user_record *record = find(be, queue);

	if (packed)
		vhost_user_packed_shown(packed, &be->dev->queues[queue]);
	else if (record)
		catch_up(record, &be->dev->queues[queue]);
}

void vhost_user_inflight_ended(struct vhost_user_backend *be, unsigned int index)
{
	if (be->inflight.map && index < be->inflight.queues && (be->features & VIRTIO_F_RING_PACKED))
		vhost_user_packed_ended((void *)(be->inflight.map + index * stride(be)));
}

static void resume_split(struct vhost_user_record *record, struct vring_device *vq)
{
	uint16_t at;

	catch_up(record, vq);
	at = record->used_idx;
	for (uint16_t id = 0; id < vq->num; id++)
		if (record->taken[id])
			vq->avail->ring[at++ & (vq->num - 1)] = virtio_swap16(vq->swap, id);
	if (at != record->used_idx)
		vring_device_set_base(vq, record->used_idx);
}

const char *vhost_user_inflight_resume(struct vhost_user_backend *be, unsigned int index)
{
	struct vring_device *vq = &be->dev->queues[index];
	struct vhost_user_packed_record *packed = find_packed(be, index);
	struct vhost_user_record *record = find(be, index);

	if (packed)
		return vhost_user_packed_resume(packed, vq);
	if (record)
		resume_split(record, vq);
	return NULL;
}

/* --- the messages ----------------------------------------------------------------------------------------------------- */

void vhost_user_inflight_forget(struct vhost_user_backend *be)
{
	if (be->inflight.map) {
		vhost_user_guard_remove(be->inflight.map);
		munmap(be->inflight.map, be->inflight.len);
	}
	memset(&be->inflight, 0, sizeof(be->inflight));
}

static const char *take_sizes(struct vhost_user_backend *be, const struct vhost_user_message *m)
{
	const struct vhost_user_inflight *asked = &m->payload.inflight;

	for (unsigned int i = 0; i < be->dev->num_queues; i++)
		if (be->ring[i].served)
			return "a record of rings that are in use";
	if (m->header.size < VHOST_USER_INFLIGHT_BYTES || asked->queues > be->dev->num_queues || asked->queue_size > VRING_MAX_SIZE)
		return "a record for more than the device has";
	vhost_user_inflight_forget(be);
	be->inflight.queues = asked->queues;
	be->inflight.queue_size = asked->queue_size;
	return NULL;
}

const char *vhost_user_get_inflight_fd(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const char *wrong = take_sizes(be, m);
	int fd;

	if (wrong)
		return wrong;
	m->payload.inflight.size = stride(be) * be->inflight.queues;
	m->payload.inflight.offset = 0;
	fd = memory_file_memfd("vhost-user-inflight", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, (off_t)m->payload.inflight.size)) {
		if (fd >= 0)
			close(fd);
		return "no memory for a record of what is under way";
	}
	/* Goes with the answer, and is closed with the message. */
	m->fds[0] = fd;
	m->fd_count = 1;
	return NULL;
}

const char *vhost_user_set_inflight_fd(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	const char *wrong = take_sizes(be, m);
	struct stat st;
	size_t len;
	void *map;

	if (wrong)
		return wrong;
	len = stride(be) * be->inflight.queues;
	if (!m->fd_count || !len || m->payload.inflight.offset || fstat(m->fds[0], &st) || !S_ISREG(st.st_mode) ||
	    (uint64_t)st.st_size < len)
		return "a record that is not the one we made";
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, m->fds[0], 0);
	if (map == MAP_FAILED)
		return "a record that cannot be mapped";
	be->inflight.map = map;
	be->inflight.len = len;
	vhost_user_guard_add(map, len);
	return NULL;
}
