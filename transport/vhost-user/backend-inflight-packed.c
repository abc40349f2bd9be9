/* SPDX-License-Identifier: MIT */
/*
 * backend-inflight-packed.c - the record of the buffers under way in a packed ring; see backend-inflight.c for what records are
 * for.
 *
 * A packed ring tells a successor less than a split one. What is given back is written over descriptors of buffers that may
 * still be under way, and the driver over that; and no index says how far either end is. So the record has a copy of every
 * descriptor that was taken, and the ring's two positions. Both only grow, by one per descriptor, and modulo two laps of the
 * ring they are an offset in it with its wrap counter, the first lap's being 1. A descriptor's number is its position when it
 * was taken.
 *
 * Each step takes effect with a single store, since death may come between any two:
 *
 *	taken    copies are written to free places, then @taken goes past them; before, the ring still has the buffer
 *	given    copies are stamped with the batch that they are given back in, which is the position where it begins
 *	shown    the ring's flush shows the batch to the driver; then @used goes past it, and what is stamped with less is free
 *	ended    the front end has been told the positions, and what it says is true when the ring begins again
 *
 * Between flush and @used the ring knows better than the record: the batch's first descriptor has its USED bit turned, which no
 * driver turns back. All buffers that remain are put into the ring again from @used on, in the order in which they were taken;
 * they fill it up to where the driver's next descriptor is, because as many descriptors were given back as are missing. The
 * driver looks there only for what is used.
 */
#include <transport/vhost-user/backend-internal.h>

#include <stdlib.h>

struct slot {
	uint64_t number;
	uint64_t given;			/* where its batch begins, plus 1; 0 = the device has it */
	struct vring_packed_desc desc;	/* in the ring's byte order, which is little-endian */
	uint16_t id;			/* of the buffer, which is in the last one's descriptor only */
	uint16_t count;			/* descriptors of the buffer */
	uint32_t reserved;
};

struct vhost_user_packed_record {
	uint64_t used;			/* where the next one is given back */
	uint64_t taken;			/* the number of the next one to be taken */
	uint64_t first;			/* those with lower numbers are in the ring again */
	uint64_t served;		/* the positions are ours to know */
	struct slot slot[];		/* [queue_size] */
};

size_t vhost_user_packed_record_bytes(uint16_t queue_size)
{
	return sizeof(struct vhost_user_packed_record) + queue_size * sizeof(struct slot);
}

static uint64_t load(const uint64_t *word)
{
	return __atomic_load_n(word, __ATOMIC_ACQUIRE);
}

/* release: whoever finds the record later sees all that was written to it before, or more. */
static void store(uint64_t *word, uint64_t value)
{
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
}

/* --- positions --------------------------------------------------------------------------------------------------------- */

/* The lowest position from @from on that is offset @at of a lap with wrap counter @wrap. */
static uint64_t position(const struct vring_device *vq, uint64_t from, uint16_t at, bool wrap)
{
	uint64_t laps = 2u * (uint64_t)vq->num, here = from % laps, there = at + (wrap ? 0u : (uint64_t)vq->num);

	return from + (there + laps - here) % laps;
}

static bool wrap_at(const struct vring_device *vq, uint64_t position)
{
	return !(position / vq->num % 2);
}

static struct vring_packed_desc *desc_at(const struct vring_device *vq, uint64_t position)
{
	return &vq->ring[position % vq->num];
}

/* --- while the device works -------------------------------------------------------------------------------------------- */

static bool is_free(const struct vhost_user_packed_record *record, const struct slot *s)
{
	return s->number < load(&record->first) || s->number >= load(&record->taken) ||
	       (s->given && s->given <= load(&record->used));
}

void vhost_user_packed_taken(struct vhost_user_packed_record *record, const struct vring_device *vq, uint32_t id)
{
	uint64_t from = load(&record->taken), to = position(vq, from, vq->last_avail, vq->avail_wrap);
	struct slot *s = record->slot, *end = s + vq->num;

	/* One that was put back unprocessed, and now comes again, is there. */
	if (to - from > vq->num)
		return;
	for (uint64_t number = from; number < to; number++, s++) {
		while (s < end && !is_free(record, s))
			s++;
		if (s == end)
			return;
		store(&s->number, UINT64_MAX);
		s->desc = *desc_at(vq, number);
		s->id = (uint16_t)id;
		s->count = (uint16_t)(to - from);
		store(&s->given, 0);
		store(&s->number, number);
	}
	store(&record->taken, to);
}

void vhost_user_packed_given(struct vhost_user_packed_record *record, const struct vring_device *vq, uint32_t id)
{
	uint64_t batch = load(&record->used) + 1;
	uint16_t stamped = 0;

	for (struct slot *s = record->slot; s < record->slot + vq->num; s++) {
		if (s->id != (uint16_t)id || s->given || is_free(record, s))
			continue;
		store(&s->given, batch);
		if (++stamped == s->count)
			return;
	}
}

void vhost_user_packed_shown(struct vhost_user_packed_record *record, const struct vring_device *vq)
{
	store(&record->used, position(vq, load(&record->used), vq->used_published, vq->published_wrap));
}

void vhost_user_packed_ended(struct vhost_user_packed_record *record)
{
	store(&record->served, false);
}

/* --- the successor ----------------------------------------------------------------------------------------------------- */

/* Whatever the record said before, it begins where the front end says that the ring does. */
static void begin(struct vhost_user_packed_record *record, const struct vring_device *vq)
{
	uint64_t first = load(&record->first), taken = load(&record->taken);
	/* Beyond all numbers, also those of places that are as they were made. */
	uint64_t used = position(vq, (first > taken ? first : taken) + 1, vq->used_idx, vq->used_wrap);

	store(&record->first, used);
	store(&record->used, used);
	store(&record->taken, position(vq, used, vq->last_avail, vq->avail_wrap));
}

/* Was the batch shown that some copies are stamped with? */
static bool was_shown(const struct vring_device *vq, uint64_t batch)
{
	uint16_t flags = virtio_swap16(vq->swap, __atomic_load_n(&desc_at(vq, batch)->flags, __ATOMIC_ACQUIRE));

	return !!(flags & VRING_PACKED_USED) == wrap_at(vq, batch);
}

static void settle_batch(struct vhost_user_packed_record *record, const struct vring_device *vq)
{
	uint64_t used = load(&record->used);
	uint16_t stamped = 0;

	for (unsigned int i = 0; i < vq->num; i++)
		stamped += record->slot[i].given == used + 1 && !is_free(record, &record->slot[i]);
	if (stamped && was_shown(vq, used))
		store(&record->used, used + stamped);
}

struct left {
	uint64_t number;
	const struct slot *slot;
};

static int by_number(const void *a, const void *b)
{
	uint64_t x = ((const struct left *)a)->number, y = ((const struct left *)b)->number;

	return (x > y) - (x < y);
}

static void put_back(const struct vring_device *vq, uint64_t position, const struct slot *s)
{
	struct vring_packed_desc *d = desc_at(vq, position);
	uint16_t flags = virtio_swap16(vq->swap, s->desc.flags) & (uint16_t)~(VRING_PACKED_AVAIL | VRING_PACKED_USED);

	flags |= wrap_at(vq, position) ? VRING_PACKED_AVAIL : VRING_PACKED_USED;
	d->addr = s->desc.addr;
	d->len = s->desc.len;
	d->id = s->desc.id;
	__atomic_store_n(&d->flags, virtio_swap16(vq->swap, flags), __ATOMIC_RELEASE);
}

/* Put all that is left into the ring, from where the next one is given back. False: no memory. */
static bool put_all_back(const struct vhost_user_packed_record *record, const struct vring_device *vq)
{
	struct left *left = malloc(vq->num * sizeof(*left));
	unsigned int count = 0;

	if (!left)
		return false;
	for (unsigned int i = 0; i < vq->num; i++)
		if (!is_free(record, &record->slot[i]))
			left[count++] = (struct left){ record->slot[i].number, &record->slot[i] };
	if (count)
		qsort(left, count, sizeof(*left), by_number);
	for (unsigned int i = 0; i < count; i++)
		put_back(vq, load(&record->used) + i, left[i].slot);
	free(left);
	return true;
}

static const char *recover(struct vhost_user_packed_record *record, struct vring_device *vq)
{
	uint64_t used;
	uint32_t base;

	/* Our predecessor died below, having put everything back. */
	if (load(&record->first) > load(&record->taken)) {
		store(&record->taken, load(&record->first));
		store(&record->used, load(&record->first));
	}
	settle_batch(record, vq);
	if (!put_all_back(record, vq))
		return "no memory to put back what was under way";
	/* The same place in the ring, and beyond all numbers. */
	used = load(&record->used) + 2u * (uint64_t)vq->num;
	store(&record->first, used);
	store(&record->taken, used);
	store(&record->used, used);
	base = (uint32_t)(used % vq->num) | (wrap_at(vq, used) ? VRING_EVENT_WRAP : 0);
	vring_device_set_base(vq, base | base << 16);
	return NULL;
}

const char *vhost_user_packed_resume(struct vhost_user_packed_record *record, struct vring_device *vq)
{
	const char *wrong = NULL;

	if (load(&record->served))
		wrong = recover(record, vq);
	else
		begin(record, vq);
	if (!wrong)
		store(&record->served, true);
	return wrong;
}
