/* SPDX-License-Identifier: MIT */
/* Both ends of the split ring, joined: what goes in comes out, in every mode the ring has. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "pair.h"

#define EVENT	 VIRTIO_F_EVENT_IDX
#define INDIRECT VIRTIO_F_INDIRECT_DESC
#define IN_ORDER VIRTIO_F_IN_ORDER
#define PACKED	 (VIRTIO_F_RING_PACKED | VIRTIO_F_VERSION_1)

static uint32_t seed = 1;

static uint32_t rnd(uint32_t below)
{
	seed = seed * 1664525 + 1013904223;
	return (seed >> 8) % below;
}

static void in_each_layout(void (*run)(uint64_t features))
{
	static const uint64_t layouts[] = { 0, EVENT, IN_ORDER, PACKED, PACKED | EVENT, PACKED | IN_ORDER };

	for (unsigned int i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)
		run(layouts[i]);
}

/* --- one buffer -------------------------------------------------------------------------------------------------------- */

static void run_request_and_answer(uint64_t features)
{
	struct pair *p = pair_create(8, features, false, 0);
	char *m = pair_alloc(p, 64, 1);
	struct virtio_iov sg[3] = { { m, 5 }, { m + 16, 4 }, { m + 32, 8 } }, iov[8];
	struct vring_buffer buf;
	unsigned long used;
	char text[16];

	strcpy(m, "quest");
	assert_true(virtio_add_inbuf(p->vq, sg, 1, 3, &used) >= 0);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 0);
	assert_int_equal(p->kicks, 0);
	virtio_sync(p->vq);
	assert_int_equal(p->kicks, 1);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
	assert_int_equal(buf.out_count, 1);
	assert_int_equal(buf.in_count, 2);
	assert_int_equal(buf.out_len, 5);
	assert_int_equal(buf.in_len, 12);
	assert_int_equal(virtio_iov_read(buf.out, buf.out_count, 0, text, 16), 5);
	assert_memory_equal(text, "quest", 5);
	assert_int_equal(virtio_iov_write(buf.in, buf.in_count, 0, "answer", 6), 6);
	vring_device_push(&p->dev, buf.id, 6);
	assert_int_equal(virtio_harvest(p->vq), 0);
	assert_false(virtio_is_done(&used));
	assert_true(vring_device_flush(&p->dev));
	assert_int_equal(virtio_harvest(p->vq), 1);
	assert_int_equal(used, 6);
	assert_memory_equal(m + 16, "answ", 4);
	assert_memory_equal(m + 32, "er", 2);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 0);
	pair_destroy(p);
}

static void request_and_answer(void **state)
{
	in_each_layout(run_request_and_answer);
}

/* An outbuf reports what was sent, whatever the device says; an inbuf never reports more than there was room for. */
static void run_lengths(uint64_t features)
{
	struct pair *p = pair_create(8, features, false, 0);
	char *m = pair_alloc(p, 64, 1);
	struct virtio_iov sg = { m, 40 }, iov[8];
	struct vring_buffer buf;
	unsigned long sent, received;

	assert_true(virtio_add_outbuf(p->vq, &sg, 1, &sent) >= 0);
	assert_true(virtio_add_inbuf(p->vq, &sg, 0, 1, &received) >= 0);
	virtio_sync(p->vq);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
	vring_device_push(&p->dev, buf.id, 0);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
	vring_device_push(&p->dev, buf.id, 41);
	vring_device_flush(&p->dev);
	assert_int_equal(virtio_harvest(p->vq), 2);
	assert_int_equal(sent, 40);
	assert_int_equal(received, 40);
	pair_destroy(p);
}

static void lengths(void **state)
{
	in_each_layout(run_lengths);
}

static void bad_arguments(void **state)
{
	struct pair *p = pair_create(8, 0, false, 0);
	char *m = pair_alloc(p, 64, 1), outside;
	struct virtio_iov sg[9] = { { m, 1 }, { m, 0 }, { &outside, 1 } };
	unsigned long used;

	assert_int_equal(virtio_add_outbuf(p->vq, sg, 0, &used), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_outbuf(p->vq, NULL, 1, &used), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_outbuf(p->vq, sg, 1, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_outbuf(p->vq, sg, 9, &used), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_outbuf(p->vq, sg, 2, &used), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_inbuf(p->vq, sg, 1, 1, &used), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_outbuf(p->vq, sg + 2, 1, &used), -VIRTIO_EFAULT);
	sg[1] = sg[2];
	assert_int_equal(virtio_add_outbuf(p->vq, sg, 2, &used), -VIRTIO_EFAULT);
	assert_int_equal(p->vq->ops->room(p->vq), 8);
	sg[0].len = (size_t)UINT32_MAX + 1;
	assert_int_equal(virtio_add_outbuf(p->vq, sg, 1, &used), -VIRTIO_EINVAL);
	pair_destroy(p);
}

/* Nothing, where something belongs: an error, or nothing happens. */
static void null_arguments(void **state)
{
	struct pair *p = pair_create(8, 0, false, 0);
	struct virtio_iov iov = { p->memory, 1 };
	struct virtio_device bare = { .platform = NULL };
	struct virtio_queue *vq;
	struct vring_buffer buf;
	unsigned long used;

	assert_int_equal(vring_device_pop(NULL, &buf, &iov, 1), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_pop(&p->dev, NULL, &iov, 1), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_pop(&p->dev, &buf, NULL, 1), -VIRTIO_EINVAL);
	assert_null(p->dev.broken);
	vring_device_push(NULL, 0, 0);
	vring_device_unpop(NULL, 0);
	vring_device_reset(NULL);
	vring_device_break(NULL, "test");
	assert_false(vring_device_flush(NULL));
	assert_false(vring_device_notify(NULL, true));
	assert_false(vring_device_has_buffers(NULL));
	assert_int_equal(virtio_add_outbuf(NULL, &iov, 1, &used), -VIRTIO_EINVAL);
	assert_int_equal(virtio_add_inbuf(NULL, &iov, 0, 1, &used), -VIRTIO_EINVAL);
	virtio_sync(NULL);
	virtio_detach_outbuf(NULL, 0);
	virtio_detach_inbuf(NULL, 0);
	assert_int_equal(virtio_harvest(NULL), 0);
	assert_int_equal(vring_driver_create(NULL, 0, 8, p->memory, p->memory, p->memory, &vq), -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&bare, 0, 8, p->memory, p->memory, p->memory, &vq), -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&p->vdev, 0, 8, p->memory, p->memory, p->memory, NULL), -VIRTIO_EINVAL);
	vring_driver_destroy(NULL);
	assert_int_equal(virtio_device_setup(NULL, 0), -VIRTIO_EINVAL);
	assert_int_equal(virtio_device_setup(&bare, 0), -VIRTIO_EINVAL);
	assert_int_equal(virtio_device_queue(NULL, 0, NULL, NULL, &vq), -VIRTIO_EINVAL);
	assert_int_equal(virtio_device_queue(&p->vdev, 0, NULL, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_device_queue(&p->vdev, VIRTIO_DRIVER_QUEUES, NULL, NULL, &vq), -VIRTIO_ENOENT);
	assert_int_equal(virtio_device_queue(&p->vdev, 0, NULL, NULL, &vq), -VIRTIO_EBUSY);
	pair_destroy(p);
}

static void bad_setup_packed(void **state)
{
	struct pair *p = pair_create(8, PACKED, false, 0);
	struct vring_device d = { 0 };
	struct virtio_queue *vq;
	uint64_t end = PAIR_START + PAIR_MEMORY;

	assert_int_equal(vring_device_init(&d, &p->mem, 0, p->desc, p->avail, p->used, PACKED, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 32769, p->desc, p->avail, p->used, PACKED, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc + 8, p->avail, p->used, PACKED, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, p->avail + 2, p->used, PACKED, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, p->avail, p->used + 2, PACKED, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, end - 112, p->avail, p->used, PACKED, false), -VIRTIO_EFAULT);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, end, p->used, PACKED, false), -VIRTIO_EFAULT);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, p->avail, end, PACKED, false), -VIRTIO_EFAULT);
	/* There is no legacy packed ring. */
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, p->avail, p->used, VIRTIO_F_RING_PACKED, false), -VIRTIO_EINVAL);
	assert_int_equal(d.num, 0);
	assert_int_equal(vring_device_init(&d, &p->mem, 7, p->desc, p->avail, end - 4, PACKED, false), 0);
	assert_int_equal(vring_driver_create(&p->vdev, 0, 0, p->memory, p->memory, p->memory, &vq), -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&p->vdev, 0, 8, p->memory, p->memory + 2, p->memory, &vq), -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&p->vdev, 0, 7, p->memory, p->memory, p->memory, &vq), 0);
	pair_destroy(p);
}

static void bad_setup(void **state)
{
	struct pair *p = pair_create(8, 0, false, 0);
	struct vring_device d = { 0 };
	struct virtio_queue *vq;
	uint64_t end = PAIR_START + PAIR_MEMORY;

	assert_int_equal(vring_device_init(&d, &p->mem, 0, p->desc, p->avail, p->used, 0, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 12, p->desc, p->avail, p->used, 0, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 65536, p->desc, p->avail, p->used, 0, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc + 8, p->avail, p->used, 0, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, p->avail + 1, p->used, 0, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, p->avail, p->used + 2, 0, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, end - 112, p->avail, p->used, 0, false), -VIRTIO_EFAULT);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, end - 20, p->used, 0, false), -VIRTIO_EFAULT);
	/* The event word belongs to the ring: 8 entries end where memory ends, the word would lie behind. */
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, p->avail, end - 4 - 64, 0, false), -VIRTIO_EFAULT);
	assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, UINT64_MAX - 1, p->used, 0, false), -VIRTIO_EFAULT);
	assert_int_equal(vring_device_init(&d, NULL, 8, p->desc, p->avail, p->used, 0, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&p->vdev, 0, 12, p->memory, p->memory, p->memory, &vq), -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&p->vdev, 0, 8, p->memory + 1, p->memory, p->memory, &vq), -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&p->vdev, 0, 8, NULL, p->memory, p->memory, &vq), -VIRTIO_EINVAL);
	p->next = PAIR_MEMORY;
	assert_int_equal(vring_driver_create(&p->vdev, 0, 8, p->memory, p->memory, p->memory, &vq), -VIRTIO_ENOMEM);
	pair_destroy(p);
}

/* --- a model: random operations at both ends, every buffer checked ----------------------------------------------------- */

#define MAX_LIVE 256
#define MAX_PIECES 6

struct model {
	struct pair *p;
	/* Buffers by sequence number modulo MAX_LIVE. */
	struct record {
		unsigned long used;
		uint32_t out, in, written;
		bool live;
	} record[MAX_LIVE];
	struct {
		uint32_t seq, written, id;
	} held[MAX_LIVE + 1];
	unsigned int held_count;
	uint32_t added, finished;
	uint8_t *data;			/* [MAX_LIVE][MAX_PIECES * 16] */
	bool only_out;
};

static uint8_t pattern(uint32_t seq, uint32_t byte)
{
	return (uint8_t)(seq * 31 + byte * 7 + 1);
}

/* Add buffer number @added: its first four bytes carry the number. */
static bool model_add(struct model *m)
{
	struct record *r = &m->record[m->added % MAX_LIVE];
	uint8_t *at = m->data + (size_t)(m->added % MAX_LIVE) * MAX_PIECES * 16;
	unsigned int out = 1 + rnd(2), in = m->only_out ? 0 : rnd(3), n = 0;
	struct virtio_iov sg[MAX_PIECES];
	long ret;

	if (r->live)
		return false;
	r->out = r->in = 0;
	for (unsigned int i = 0; i < out + in; i++, n++) {
		sg[n] = (struct virtio_iov){ at + 16 * i, 4 + rnd(13) };
		if (i < out)
			for (uint32_t b = 0; b < sg[n].len; b++)
				((uint8_t *)sg[n].base)[b] = pattern(m->added, r->out++);
		else
			r->in += (uint32_t)sg[n].len;
	}
	memcpy(at, &m->added, 4);
	ret = in ? virtio_add_inbuf(m->p->vq, sg, out, out + in, &r->used) : virtio_add_outbuf(m->p->vq, sg, out, &r->used);
	if (ret < 0) {
		assert_true(ret == -VIRTIO_ENOSPC || (ret == -VIRTIO_EINVAL && out + in > m->p->vq->size));
		return false;
	}
	r->live = true;
	m->added++;
	return true;
}

/* The device takes one buffer and checks what it reads. */
static bool model_pop(struct model *m)
{
	struct virtio_iov iov[MAX_PIECES];
	struct vring_buffer buf;
	uint8_t bytes[64];
	uint32_t seq;
	struct record *r;
	int ret = vring_device_pop(&m->p->dev, &buf, iov, MAX_PIECES);

	assert_true(ret >= 0);
	if (!ret)
		return false;
	virtio_iov_read(buf.out, buf.out_count, 0, bytes, sizeof(bytes));
	memcpy(&seq, bytes, 4);
	r = &m->record[seq % MAX_LIVE];
	assert_true(r->live);
	assert_int_equal(buf.out_len, r->out);
	assert_int_equal(buf.in_len, r->in);
	for (uint32_t b = 4; b < r->out; b++)
		assert_int_equal(bytes[b], pattern(seq, b));
	r->written = r->in ? rnd(r->in + 1) : 0;
	for (uint32_t b = 0; b < r->written; b++) {
		uint8_t v = pattern(seq + 1, b);

		virtio_iov_write(buf.in, buf.in_count, b, &v, 1);
	}
	m->held[m->held_count].seq = seq;
	m->held[m->held_count].id = buf.id;
	m->held[m->held_count++].written = r->written;
	return true;
}

/* The device gives back any of the buffers it holds, or in order the oldest. */
static void model_push(struct model *m)
{
	unsigned int i;

	if (!m->held_count)
		return;
	i = m->p->dev.in_order ? 0 : rnd(m->held_count);
	vring_device_push(&m->p->dev, m->held[i].id, m->held[i].written);
	memmove(&m->held[i], &m->held[i + 1], (--m->held_count - i) * sizeof(m->held[0]));
}

/* The driver collects and checks. */
static void model_harvest(struct model *m)
{
	unsigned int expected = virtio_harvest(m->p->vq), seen = 0;

	for (unsigned int i = 0; i < MAX_LIVE; i++) {
		struct record *r = &m->record[i];

		if (!r->live || !virtio_is_done(&r->used))
			continue;
		assert_int_equal(r->used, r->in ? r->written : r->out);
		r->live = false;
		seen++;
	}
	assert_int_equal(seen, expected);
	m->finished += seen;
}

static void run_model(uint32_t num, uint64_t features, bool big, bool only_out, uint32_t buffers)
{
	struct model *m = calloc(1, sizeof(*m));

	m->only_out = only_out;
	m->p = pair_create(num, features, big, features & INDIRECT ? 4 : 0);
	m->data = pair_alloc(m->p, MAX_LIVE * MAX_PIECES * 16, 16);
	while (m->finished < buffers) {
		for (uint32_t i = rnd(num + 1); i; i--)
			model_add(m);
		if (rnd(4))
			virtio_sync(m->p->vq);
		for (uint32_t i = rnd(num + 1); i && m->held_count < MAX_LIVE; i--)
			model_pop(m);
		for (uint32_t i = rnd(num + 1); i; i--)
			model_push(m);
		if (rnd(4))
			vring_device_flush(&m->p->dev);
		if (rnd(4))
			model_harvest(m);
	}
	assert_null(m->p->dev.broken);
	assert_int_equal(m->p->resets, 0);
	pair_destroy(m->p);
	free(m);
}

/* Every mode; each long enough for the 16-bit indices to wrap. */
static void everything_arrives(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 8, 256 };
	static const uint64_t features[] = { 0, EVENT, INDIRECT, EVENT | INDIRECT };

	for (unsigned int s = 0; s < 4; s++)
		for (unsigned int f = 0; f < 4; f++)
			for (int big = 0; big < 2; big++)
				run_model(sizes[s], features[f], big, false, 70000);
}

/* A packed ring's size need not be a power of two, and its laps are as long. */
static void everything_arrives_packed(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 3, 7, 256 };
	static const uint64_t features[] = { 0, EVENT, INDIRECT, EVENT | INDIRECT };

	for (unsigned int s = 0; s < 5; s++)
		for (unsigned int f = 0; f < 4; f++)
			run_model(sizes[s], PACKED | features[f], false, false, 70000);
}

/* With nothing to write a batch is one used entry; otherwise each buffer has its own. */
static void everything_arrives_in_order(void **state)
{
	static const uint32_t sizes[] = { 1, 2, 8, 256 };
	static const uint64_t features[] = { 0, EVENT, INDIRECT, PACKED, PACKED | EVENT, PACKED | INDIRECT };

	for (unsigned int s = 0; s < 4; s++)
		for (unsigned int f = 0; f < 6; f++)
			for (int only_out = 0; only_out < 2; only_out++)
				run_model(sizes[s], IN_ORDER | features[f], false, only_out, 70000);
}

static void run_full(uint64_t features)
{
	struct pair *p = pair_create(4, features, false, 0);
	char *m = pair_alloc(p, 16, 1);
	struct virtio_iov sg[2] = { { m, 1 }, { m, 1 } }, iov[4];
	struct vring_buffer buf;
	unsigned long used[4];

	for (int round = 0; round < 3; round++) {
		assert_true(virtio_add_outbuf(p->vq, sg, 2, &used[0]) >= 0);
		assert_true(virtio_add_outbuf(p->vq, sg, 1, &used[1]) >= 0);
		assert_int_equal(p->vq->ops->room(p->vq), 1);
		assert_int_equal(virtio_add_outbuf(p->vq, sg, 2, &used[2]), -VIRTIO_ENOSPC);
		assert_true(virtio_add_outbuf(p->vq, sg, 1, &used[2]) >= 0);
		assert_int_equal(virtio_add_outbuf(p->vq, sg, 1, &used[3]), -VIRTIO_ENOSPC);
		virtio_sync(p->vq);
		while (vring_device_pop(&p->dev, &buf, iov, 4) > 0)
			vring_device_push(&p->dev, buf.id, 0);
		vring_device_flush(&p->dev);
		assert_int_equal(virtio_harvest(p->vq), 3);
	}
	pair_destroy(p);
}

static void full(void **state)
{
	in_each_layout(run_full);
}

static void run_unpop_gives_it_again(uint64_t features)
{
	struct pair *p = pair_create(4, features, false, 0);
	char *m = pair_alloc(p, 16, 1);
	struct virtio_iov sg = { m, 1 }, iov[4];
	struct vring_buffer a, b, again;
	unsigned long used[2];

	virtio_add_outbuf(p->vq, &sg, 1, &used[0]);
	virtio_add_outbuf(p->vq, &sg, 1, &used[1]);
	virtio_sync(p->vq);
	assert_int_equal(vring_device_pop(&p->dev, &a, iov, 4), 1);
	assert_int_equal(vring_device_pop(&p->dev, &b, iov, 4), 1);
	vring_device_unpop(&p->dev, b.id);
	vring_device_unpop(&p->dev, a.id);
	assert_true(vring_device_has_buffers(&p->dev));
	assert_int_equal(vring_device_pop(&p->dev, &again, iov, 4), 1);
	assert_int_equal(again.id, a.id);
	assert_int_equal(vring_device_pop(&p->dev, &again, iov, 4), 1);
	assert_int_equal(again.id, b.id);
	pair_destroy(p);
}

static void unpop_gives_it_again(void **state)
{
	in_each_layout(run_unpop_gives_it_again);
}

/* A device that gives back, or puts back, what it does not have breaks its ring, and that is all. */
static void run_what_it_does_not_have(uint64_t features)
{
	static const uint32_t ids[] = { 0, 1, 4, 0x10000, 0x10001, 0x50000, UINT32_MAX };

	for (unsigned int i = 0; i < 2 * sizeof(ids) / sizeof(*ids); i++) {
		struct pair *p = pair_create(4, features, false, 0);
		struct virtio_iov sg = { pair_alloc(p, 16, 1), 1 }, iov[4];
		struct vring_buffer buf;
		unsigned long used;

		virtio_add_outbuf(p->vq, &sg, 1, &used);
		virtio_sync(p->vq);
		if (i % 2)
			vring_device_push(&p->dev, ids[i / 2], 0);
		else
			vring_device_unpop(&p->dev, ids[i / 2]);
		assert_non_null(p->dev.broken);
		assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 4), -VIRTIO_EPROTO);
		assert_false(vring_device_flush(&p->dev));
		assert_int_equal(virtio_harvest(p->vq), 0);
		pair_destroy(p);
	}
}

static void what_it_does_not_have(void **state)
{
	in_each_layout(run_what_it_does_not_have);
}

/* --- taking back ------------------------------------------------------------------------------------------------------- */

static void detach_unsynced(void **state)
{
	struct pair *p = pair_create(8, 0, true, 0);
	char *m = pair_alloc(p, 16, 1);
	struct virtio_iov sg[2] = { { m, 1 }, { m, 2 } }, iov[8];
	struct vring_buffer buf;
	unsigned long used[3];
	long id[3];

	for (int i = 0; i < 3; i++)
		id[i] = virtio_add_outbuf(p->vq, sg, 2, &used[i]);
	virtio_detach_outbuf(p->vq, id[1]);
	assert_int_equal(used[1], VIRTIO_CANCELLED);
	assert_int_equal(p->vq->ops->room(p->vq), 4);
	virtio_sync(p->vq);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
	assert_int_equal(buf.id, id[0]);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
	assert_int_equal(buf.id, id[2]);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 0);
	assert_int_equal(p->resets, 0);
	pair_destroy(p);
}

/* Where descriptors keep an order, the newest can be taken back, again and again; what is behind it is not. */
static void run_detach_newest(uint64_t features)
{
	struct pair *p = pair_create(8, features, false, 0);
	char *m = pair_alloc(p, 16, 1);
	struct virtio_iov sg[3] = { { m, 1 }, { m, 2 }, { m, 3 } }, iov[8];
	struct vring_buffer buf;
	unsigned long used[3];
	long id[3];

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 3; i++)
			id[i] = virtio_add_outbuf(p->vq, sg, (unsigned int)(1 + i), &used[i]);
		virtio_detach_outbuf(p->vq, id[2]);
		virtio_detach_outbuf(p->vq, id[1]);
		assert_int_equal(used[1], VIRTIO_CANCELLED);
		assert_int_equal(used[2], VIRTIO_CANCELLED);
		assert_int_equal(p->vq->ops->room(p->vq), 7);
		if (round & 1)
			assert_true(virtio_add_outbuf(p->vq, sg, 3, &used[1]) >= 0);
		virtio_sync(p->vq);
		assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
		assert_int_equal(buf.out_count, 1);
		vring_device_push(&p->dev, buf.id, 0);
		assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), round & 1);
		if (round & 1) {
			assert_int_equal(buf.out_count, 3);
			vring_device_push(&p->dev, buf.id, 0);
		}
		vring_device_flush(&p->dev);
		assert_int_equal(virtio_harvest(p->vq), 1 + (round & 1));
		assert_int_equal(used[0], 1);
	}
	assert_int_equal(p->resets, 0);
	for (int i = 0; i < 3; i++)
		id[i] = virtio_add_outbuf(p->vq, sg, 1, &used[i]);
	virtio_detach_outbuf(p->vq, id[1]);
	assert_int_equal(p->resets, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(used[i], VIRTIO_CANCELLED);
	pair_destroy(p);
}

static void detach_newest(void **state)
{
	run_detach_newest(IN_ORDER);
	run_detach_newest(PACKED);
	run_detach_newest(PACKED | IN_ORDER);
}

static void run_detach_done(uint64_t features)
{
	struct pair *p = pair_create(8, features, false, 0);
	char *m = pair_alloc(p, 16, 1);
	struct virtio_iov sg = { m, 9 }, iov[8];
	struct vring_buffer buf;
	unsigned long used;
	long id = virtio_add_inbuf(p->vq, &sg, 0, 1, &used);

	virtio_sync(p->vq);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
	vring_device_push(&p->dev, buf.id, 3);
	vring_device_flush(&p->dev);
	virtio_detach_inbuf(p->vq, id);
	assert_int_equal(used, 3);
	virtio_detach_inbuf(p->vq, 77);
	virtio_detach_inbuf(p->vq, -1);
	assert_int_equal(p->resets, 0);
	pair_destroy(p);
}

static void detach_done(void **state)
{
	in_each_layout(run_detach_done);
}

/* A buffer in the other end's hands comes back only with a reset, and everything else with it. */
static void run_detach_held(uint64_t features)
{
	struct pair *p = pair_create(8, features, false, 0);
	char *m = pair_alloc(p, 16, 1);
	struct virtio_iov sg = { m, 9 }, iov[8];
	struct vring_buffer buf;
	unsigned long used[2];
	long id = virtio_add_inbuf(p->vq, &sg, 0, 1, &used[0]);

	virtio_add_inbuf(p->vq, &sg, 0, 1, &used[1]);
	virtio_sync(p->vq);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
	virtio_detach_inbuf(p->vq, id);
	assert_int_equal(p->resets, 1);
	assert_int_equal(used[0], VIRTIO_CANCELLED);
	assert_int_equal(used[1], VIRTIO_CANCELLED);
	assert_true(p->vdev.lost);
	assert_int_equal(virtio_add_inbuf(p->vq, &sg, 0, 1, &used[0]), -VIRTIO_ENODEV);
	pair_destroy(p);
}

static void detach_held(void **state)
{
	in_each_layout(run_detach_held);
}

/* --- a device that lies ------------------------------------------------------------------------------------------------ */

struct lie {
	const char *name;
	uint16_t idx;
	uint32_t id;
};

static void lying_device(void **state)
{
	static const struct lie lies[] = {
		{ "index ahead of what was made available", 3, 0 },
		{ "index behind", 0xffff, 0 },
		{ "id outside the ring", 1, 8 },
		{ "id beyond 16 bits", 1, 0x10000 },
		{ "id of a buffer that is not under way", 1, 5 },
	};

	for (unsigned int i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		struct pair *p = pair_create(8, 0, false, 0);
		char *m = pair_alloc(p, 16, 1);
		struct virtio_iov sg = { m, 9 };
		struct vring_used *u = virtio_mem_at(&p->mem, p->used, 0);
		unsigned long used[2];

		virtio_add_inbuf(p->vq, &sg, 0, 1, &used[0]);
		virtio_add_inbuf(p->vq, &sg, 0, 1, &used[1]);
		virtio_sync(p->vq);
		u->ring[0].id = lies[i].id;
		u->idx = lies[i].idx;
		virtio_harvest(p->vq);
		if (p->resets != 1 || used[0] != VIRTIO_CANCELLED || used[1] != VIRTIO_CANCELLED)
			fail_msg("believed: %s", lies[i].name);
		pair_destroy(p);
	}
}

/* The same buffer finished twice. */
static void device_finishes_twice(void **state)
{
	struct pair *p = pair_create(8, 0, VIRTIO_HOST_BIG_ENDIAN, 0);
	char *m = pair_alloc(p, 16, 1);
	struct virtio_iov sg = { m, 9 };
	struct vring_used *u = virtio_mem_at(&p->mem, p->used, 0);
	unsigned long used[2];

	virtio_add_inbuf(p->vq, &sg, 0, 1, &used[0]);
	virtio_add_inbuf(p->vq, &sg, 0, 1, &used[1]);
	virtio_sync(p->vq);
	u->ring[0] = u->ring[1] = (struct vring_used_elem){ 0, 4 };
	u->idx = 2;
	assert_int_equal(virtio_harvest(p->vq), 1);
	assert_int_equal(used[0], 4);
	assert_int_equal(used[1], VIRTIO_CANCELLED);
	assert_int_equal(p->resets, 1);
	pair_destroy(p);
}

/* A device that scribbles over the descriptor table confuses only itself. */
static void device_scribbles(void **state)
{
	struct pair *p = pair_create(8, 0, VIRTIO_HOST_BIG_ENDIAN, 0);
	char *m = pair_alloc(p, 16, 1);
	struct virtio_iov sg[3] = { { m, 1 }, { m, 1 }, { m, 1 } };
	struct vring_used *u = virtio_mem_at(&p->mem, p->used, 0);
	unsigned long used;
	long id = virtio_add_inbuf(p->vq, sg, 0, 3, &used);

	virtio_sync(p->vq);
	memset(virtio_mem_at(&p->mem, p->desc, 0), 0xff, 128);
	u->ring[0] = (struct vring_used_elem){ (uint32_t)id, 3 };
	u->idx = 1;
	assert_int_equal(virtio_harvest(p->vq), 1);
	assert_int_equal(p->vq->ops->room(p->vq), 8);
	pair_destroy(p);
}

/* --- suppression ------------------------------------------------------------------------------------------------------- */

/*
 * The device works only when kicked, the driver harvests only when interrupted, and both do it completely, then wait. Whatever the
 * modes and the batches, nothing may be left lying.
 */
static void serve_all(struct pair *p)
{
	struct virtio_iov iov[8];
	struct vring_buffer buf;

	while (vring_device_pop(&p->dev, &buf, iov, 8) > 0)
		vring_device_push(&p->dev, buf.id, 0);
	if (vring_device_flush(&p->dev))
		++*(unsigned int *)p->opaque;
}

static void run_signals(uint64_t features, bool big, bool driver_quiet, bool device_quiet)
{
	struct pair *p = pair_create(8, features, big, 0);
	char *m = pair_alloc(p, 16, 1);
	struct virtio_iov sg = { m, 1 };
	unsigned int interrupts = 0, rounds = 70000;
	unsigned long used[8];

	p->opaque = &interrupts;
	p->on_kick = device_quiet ? NULL : serve_all;
	p->vq->ops->interrupts(p->vq, !driver_quiet);
	if (device_quiet)
		vring_device_notify(&p->dev, false);
	for (unsigned int r = 0; r < rounds; r++) {
		unsigned int n = 1 + rnd(4), before = interrupts;

		for (unsigned int i = 0; i < n; i++)
			assert_true(virtio_add_outbuf(p->vq, &sg, 1, &used[i]) >= 0);
		virtio_sync(p->vq);
		if (device_quiet)
			serve_all(p);
		if (!driver_quiet)
			assert_int_equal(interrupts, before + 1);
		assert_int_equal(virtio_harvest(p->vq), n);
	}
	/* With event indices a passing index may still signal once in 65536 buffers. */
	assert_true(device_quiet ? p->kicks <= 4 : p->kicks == rounds);
	assert_true(driver_quiet ? interrupts <= 4 : interrupts == rounds);
	pair_destroy(p);
}

static void signals_when_wanted(void **state)
{
	for (int mode = 0; mode < 16; mode++) {
		run_signals(mode & 1 ? EVENT : 0, mode & 2, mode & 4, mode & 8);
		run_signals((mode & 1 ? EVENT : 0) | (mode & 2 ? IN_ORDER : 0) | PACKED, false, mode & 4, mode & 8);
	}
}

/* Turning a signal on again tells whether something came meanwhile. */
static void turning_on_looks_again(void **state)
{
	for (int mode = 0; mode < 4; mode++) {
		struct pair *p = pair_create(8, (mode & 1 ? EVENT : 0) | (mode & 2 ? PACKED : 0), false, 0);
		char *m = pair_alloc(p, 16, 1);
		struct virtio_iov sg = { m, 1 };
		unsigned int interrupts = 0;
		unsigned long used;

		p->opaque = &interrupts;
		vring_device_notify(&p->dev, false);
		p->vq->ops->interrupts(p->vq, false);
		assert_false(vring_device_notify(&p->dev, true));
		assert_false(p->vq->ops->interrupts(p->vq, true));
		vring_device_notify(&p->dev, false);
		p->vq->ops->interrupts(p->vq, false);
		virtio_add_outbuf(p->vq, &sg, 1, &used);
		virtio_sync(p->vq);
		assert_true(vring_device_notify(&p->dev, true));
		serve_all(p);
		assert_true(p->vq->ops->interrupts(p->vq, true));
		assert_int_equal(virtio_harvest(p->vq), 1);
		pair_destroy(p);
	}
}

static uint64_t dirtied[4][2];
static unsigned int dirtied_count;

static void note_dirty(void *opaque, uint64_t gpa, uint64_t len)
{
	if (dirtied_count < 4) {
		dirtied[dirtied_count][0] = gpa;
		dirtied[dirtied_count][1] = len;
	}
	dirtied_count++;
}

/* What the device may write is announced before it does, and nothing else is. */
static void writable_pieces_are_announced(void **state)
{
	struct pair *p = pair_create(8, 0, false, 0);
	char *m = pair_alloc(p, 64, 1);
	struct virtio_iov sg[3] = { { m, 5 }, { m + 16, 4 }, { m + 32, 8 } }, iov[8];
	struct vring_buffer buf;
	unsigned long used;

	dirtied_count = 0;
	p->mem.dirty = note_dirty;
	assert_true(virtio_add_inbuf(p->vq, sg, 1, 3, &used) >= 0);
	virtio_sync(p->vq);
	assert_int_equal(dirtied_count, 0);
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
	assert_int_equal(dirtied_count, 2);
	assert_int_equal(dirtied[0][0], pair_address(p, m + 16));
	assert_int_equal(dirtied[0][1], 4);
	assert_int_equal(dirtied[1][0], pair_address(p, m + 32));
	assert_int_equal(dirtied[1][1], 8);
	pair_destroy(p);
}

static void event_rule(void **state)
{
	/* Moving from 10 to 13 shows entries 10, 11 and 12: an event word of one of these is passed. */
	assert_false(vring_need_event(9, 13, 10));
	assert_true(vring_need_event(10, 13, 10));
	assert_true(vring_need_event(12, 13, 10));
	assert_false(vring_need_event(13, 13, 10));
	assert_true(vring_need_event(0xffff, 1, 0xfffe));
	assert_true(vring_need_event(0, 1, 0xfffe));
	assert_false(vring_need_event(1, 1, 0xfffe));
	assert_false(vring_need_event(5, 7, 7));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(request_and_answer),
		cmocka_unit_test(lengths),
		cmocka_unit_test(bad_arguments),
		cmocka_unit_test(null_arguments),
		cmocka_unit_test(bad_setup_packed),
		cmocka_unit_test(bad_setup),
		cmocka_unit_test(everything_arrives),
		cmocka_unit_test(everything_arrives_packed),
		cmocka_unit_test(everything_arrives_in_order),
		cmocka_unit_test(full),
		cmocka_unit_test(unpop_gives_it_again),
		cmocka_unit_test(what_it_does_not_have),
		cmocka_unit_test(detach_unsynced),
		cmocka_unit_test(detach_newest),
		cmocka_unit_test(detach_done),
		cmocka_unit_test(detach_held),
		cmocka_unit_test(lying_device),
		cmocka_unit_test(device_finishes_twice),
		cmocka_unit_test(device_scribbles),
		cmocka_unit_test(signals_when_wanted),
		cmocka_unit_test(turning_on_looks_again),
		cmocka_unit_test(writable_pieces_are_announced),
		cmocka_unit_test(event_rule),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
