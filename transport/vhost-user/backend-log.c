/* SPDX-License-Identifier: MIT */
/*
 * backend-log.c - what a device has written, marked in a bitmap that the front end reads: so a virtual machine can move while it runs.
 * Its memory is copied page by page, and a page that is marked after it was copied is copied again.
 *
 * A page is therefore marked when it has been written, not when it is going to be: between the two the front end may take the mark away
 * and copy the page as it was. But when a buffer has been filled the ring knows no more of it than its id, and what its descriptors say by
 * then is the driver's affair. So its places are noted while it is popped (the memory's dirty()), put down under its id when the device has it
 * (taken()), and marked when the device gives it back (given()), before the driver is shown that. All of a buffer is marked that may be
 * written, whatever the device says of how much was.
 *
 * Of the used ring all is marked whenever the driver has been shown something, and once more when the ring is laid down, because words
 * that ask for kicks change at other times. The front end says where its marks go. Of a packed ring that is the device's event, and the
 * descriptors are marked where they are.
 *
 * Without a log nothing is noted. Notes begin and end with no buffer under way, so every buffer that is given back has one.
 */
#include <transport/vhost-user/backend-internal.h>

#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define IDS (1u << 16)			/* of buffers: more than a split ring has, all that a packed ring can say */

struct vhost_user_piece {
	uint64_t gpa, len;
};

static struct vhost_user_backend *of(void *regions)
{
	return (struct vhost_user_backend *)(void *)((uint8_t *)regions - offsetof(struct vhost_user_backend, regions));
}

static bool wanted(const struct vhost_user_backend *be)
{
	return be->log.map && (be->features & VHOST_USER_F_LOG_ALL);
}

/* --- the map ---------------------------------------------------------------------------------------------------------- */

static void mark(struct vhost_user_backend *be, uint64_t gpa, uint64_t len)
{
	uint64_t last = (gpa + len - 1) / VHOST_USER_LOG_PAGE;

	for (uint64_t page = gpa / VHOST_USER_LOG_PAGE; page <= last && page / 8 < be->log.len; page++)
		/* release: pairs with the front end's taking the mark away, after which it copies the page. */
		__atomic_fetch_or(&be->log.map[page / 8], (uint8_t)(1u << page % 8), __ATOMIC_RELEASE);
	be->log.marked = true;
}

static bool covered(const struct vhost_user_backend *be, uint64_t gpa, uint64_t len)
{
	return len - 1 <= UINT64_MAX - gpa && (gpa + len - 1) / VHOST_USER_LOG_PAGE / 8 < be->log.len;
}

/* Bytes of the device's part of a ring, whose marks go where the front end says. */
static size_t used_bytes(const struct vhost_user_backend *be, const struct vhost_user_ring *ring)
{
	return be->features & VIRTIO_F_RING_PACKED ? sizeof(uint32_t) : vring_used_bytes(ring->num);
}

const char *vhost_user_log_check(const struct vhost_user_backend *be)
{
	if (!wanted(be))
		return NULL;
	for (unsigned int i = 0; i < be->regions.count; i++)
		if (!covered(be, be->regions.mapping[i].region.gpa, be->regions.mapping[i].region.size))
			return "a log that is too short for the memory";
	for (unsigned int i = 0; i < be->dev->num_queues; i++)
		if (be->ring[i].logged && be->ring[i].num && !covered(be, be->ring[i].log, used_bytes(be, &be->ring[i])))
			return "a used ring whose marks lie outside the log";
	return NULL;
}

/* --- notes ------------------------------------------------------------------------------------------------------------ */

/* A note stays as long as the longest buffer that had its id. */
static bool grow(struct vhost_user_note *note)
{
	unsigned int room = note->room ? 2 * note->room : 4;
	struct vhost_user_piece *pieces = realloc(note->pieces, room * sizeof(*pieces));

	if (!pieces)
		return false;
	note->pieces = pieces;
	note->room = room;
	return true;
}

/* For struct virtio_mem: a buffer that is being popped has this piece to be written. */
static void on_piece(void *opaque, uint64_t gpa, uint64_t len)
{
	struct vhost_user_backend *be = of(opaque);
	struct vhost_user_note *note = &be->log.popped;

	if (note->count == note->room && !grow(note))
		virtio_dev_break(be->dev, "no memory to note what the device writes");
	else
		note->pieces[note->count++] = (struct vhost_user_piece){ gpa, len };
}

void vhost_user_log_taken(struct vhost_user_backend *be, unsigned int queue, uint32_t id)
{
	struct vhost_user_note popped = be->log.popped;

	if (!be->log.notes[queue])
		return;
	be->log.popped = be->log.notes[queue][id % IDS];
	be->log.popped.count = 0;
	be->log.notes[queue][id % IDS] = popped;
}

void vhost_user_log_given(struct vhost_user_backend *be, unsigned int queue, uint32_t id)
{
	struct vhost_user_note *note;

	if (!be->log.notes[queue])
		return;
	note = &be->log.notes[queue][id % IDS];
	for (unsigned int i = 0; i < note->count; i++)
		mark(be, note->pieces[i].gpa, note->pieces[i].len);
}

void vhost_user_log_ring(struct vhost_user_backend *be, unsigned int queue)
{
	const struct vhost_user_ring *ring = &be->ring[queue];
	const struct vring_device *vq = &be->dev->queues[queue];

	if (!wanted(be))
		return;
	if (ring->logged)
		mark(be, ring->log, used_bytes(be, ring));
	if (ring->logged && vq->packed)
		mark(be, vq->desc_addr, vring_desc_bytes(vq->num));
	if (be->log.marked && be->log.call >= 0)
		eventfd_write(be->log.call, 1);
	be->log.marked = false;
}

static void forget_notes(struct vhost_user_backend *be, unsigned int queue)
{
	struct vhost_user_note *notes = be->log.notes[queue];

	for (unsigned int id = 0; notes && id < IDS; id++)
		free(notes[id].pieces);
	free(notes);
	be->log.notes[queue] = NULL;
}

const char *vhost_user_log_switch(struct vhost_user_backend *be, bool on)
{
	bool failed = false;

	for (unsigned int i = 0; i < be->dev->num_queues; i++) {
		forget_notes(be, i);
		/* Memory that is not touched before it is zeros costs nothing: few ids are in use. */
		if (on && !(be->log.notes[i] = calloc(IDS, sizeof(*be->log.notes[i]))))
			failed = true;
	}
	be->log.popped.count = 0;
	be->regions.mem.dirty = on ? on_piece : NULL;
	return failed ? "no memory to note what the device writes" : NULL;
}

/* --- the messages ----------------------------------------------------------------------------------------------------- */

static void unmap(struct vhost_user_backend *be)
{
	if (be->log.map) {
		vhost_user_guard_remove(be->log.map);
		munmap(be->log.map, be->log.len);
	}
	be->log.map = NULL;
	be->log.len = 0;
}

static const char *map(struct vhost_user_backend *be, const struct vhost_user_log_area *area, int fd)
{
	struct stat st;
	void *map;

	if (!area->size || area->size > INT64_MAX || area->offset > INT64_MAX || area->offset % (uint64_t)sysconf(_SC_PAGESIZE) ||
	    fstat(fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < area->offset + area->size)
		return "a log that is not where it is said to be";
	map = mmap(NULL, area->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)area->offset);
	if (map == MAP_FAILED)
		return "a log that cannot be mapped";
	be->log.map = map;
	be->log.len = area->size;
	vhost_user_guard_add(map, area->size);
	return vhost_user_log_check(be);
}

const char *vhost_user_set_log_base(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	struct vhost_user_log_area area = m->payload.log;
	const char *wrong;
	int fd;

	if (!(be->protocol_features & VHOST_USER_PROTOCOL_F_LOG_SHMFD) || !m->fd_count)
		return "a log that is not in shared memory";
	unmap(be);
	fd = vhost_user_take_fd(m, 0);
	wrong = map(be, &area, fd);
	close(fd);
	/* The answer is a number, and no descriptor goes with it. */
	m->fd_count = 0;
	m->payload.number = 0;
	m->header.size = sizeof(uint64_t);
	return wrong;
}

const char *vhost_user_set_log_fd(struct vhost_user_backend *be, struct vhost_user_message *m)
{
	int fd;
	const char *wrong = vhost_user_take_eventfd(m, &fd);

	if (wrong)
		return wrong;
	if (be->log.call >= 0)
		close(be->log.call);
	be->log.call = fd;
	return NULL;
}

void vhost_user_log_forget(struct vhost_user_backend *be)
{
	vhost_user_log_switch(be, false);
	free(be->log.popped.pieces);
	unmap(be);
	if (be->log.call >= 0)
		close(be->log.call);
	memset(&be->log, 0, sizeof(be->log));
	be->log.call = -1;
}
