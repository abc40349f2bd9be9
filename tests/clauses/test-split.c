/* SPDX-License-Identifier: MIT */
/* Clauses of virtio 1.2, 2.7: split rings. What no decent driver does is in tests/virtio/test-malformed.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/clause.h>

#include "raw.h"

#define NUM	8u
#define EVENT	VIRTIO_F_EVENT_IDX
#define ORDER	(VIRTIO_F_IN_ORDER | VIRTIO_F_VERSION_1)

static void sizes(void **state)
{
	static const uint32_t bad[] = { 0, 3, 6, 100, 32769, 65536, UINT32_MAX };
	struct pair *p = pair_create(NUM, 0, false, 0);
	struct virtio_queue *vq;

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		assert_int_equal(vring_device_init(&p->dev, &p->mem, bad[i], p->desc, p->avail, p->used, 0, false), -VIRTIO_EINVAL);
		assert_int_equal(vring_driver_create(&p->vdev, 1, bad[i], raw_at(p, p->desc), raw_at(p, p->avail), raw_at(p, p->used), &vq),
				 -VIRTIO_EINVAL);
	}
	for (uint32_t num = 1; num <= 4096; num *= 2)
		assert_int_equal(vring_device_init(&p->dev, &p->mem, num, PAIR_START, PAIR_START + 16 * num, PAIR_START + 32 * num, 0, false),
				 0);
	pair_destroy(p);
}

static void alignments(void **state)
{
	struct pair *p = pair_create(NUM, 0, false, 0);
	struct virtio_queue *vq;

	for (unsigned int off = 1; off < 16; off++)
		assert_int_equal(vring_device_init(&p->dev, &p->mem, NUM, p->desc + off, p->avail, p->used, 0, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&p->dev, &p->mem, NUM, p->desc, p->avail + 1, p->used, 0, false), -VIRTIO_EINVAL);
	for (unsigned int off = 1; off < 4; off++)
		assert_int_equal(vring_device_init(&p->dev, &p->mem, NUM, p->desc, p->avail, p->used + off, 0, false), -VIRTIO_EINVAL);
	for (unsigned int off = 1; off < 16; off++)
		assert_int_equal(vring_driver_create(&p->vdev, 1, NUM, raw_at(p, p->desc) + off, raw_at(p, p->avail), raw_at(p, p->used), &vq),
				 -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&p->vdev, 1, NUM, raw_at(p, p->desc), raw_at(p, p->avail) + 1, raw_at(p, p->used), &vq),
			 -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&p->vdev, 1, NUM, raw_at(p, p->desc), raw_at(p, p->avail), raw_at(p, p->used) + 2, &vq),
			 -VIRTIO_EINVAL);
	pair_destroy(p);
}

static void legacy_layout(void **state)
{
	assert_int_equal(vring_used_offset(256, VRING_LEGACY_ALIGN), 8192);
	assert_int_equal(vring_used_offset(128, VRING_LEGACY_ALIGN), 4096);
	assert_int_equal(vring_bytes(256, VRING_LEGACY_ALIGN), 8192 + 6 + 8 * 256);
}

static void byte_order(void **state)
{
	struct pair *p = pair_create(NUM, 0, true, 0);
	unsigned long used;

	raw_add(p, 1, 0, &used);
	virtio_sync(p->vq);
	assert_int_equal(virtio_get16(true, raw_idx(p, false)), 1);
	assert_int_equal(virtio_get32(true, raw_desc(p, p->desc, 0) + 8), 16);
	raw_serve(p, 0);
	assert_int_equal(virtio_get16(true, raw_idx(p, true)), 1);
	assert_int_equal(virtio_harvest(p->vq), 1);
	pair_destroy(p);
}

/* The same bytes in 1 to 8 pieces are the same buffer. */
static void any_framing(void **state)
{
	for (unsigned int pieces = 1; pieces <= NUM; pieces *= 2) {
		struct pair *p = pair_create(NUM, VIRTIO_F_INDIRECT_DESC, false, pieces & 2 ? NUM : 0);
		uint8_t *data = pair_alloc(p, 64, 16), copy[64];
		struct virtio_iov sg[NUM], iov[NUM];
		struct vring_buffer buf;
		unsigned long used;

		for (unsigned int i = 0; i < 64; i++)
			data[i] = (uint8_t)(i * 5);
		for (unsigned int i = 0; i < pieces; i++)
			sg[i] = (struct virtio_iov){ data + 64 / pieces * i, 64 / pieces };
		assert_true(virtio_add_outbuf(p->vq, sg, pieces, &used) >= 0);
		virtio_sync(p->vq);
		assert_int_equal(vring_device_pop(&p->dev, &buf, iov, NUM), 1);
		assert_int_equal(buf.out_len, 64);
		assert_int_equal(virtio_iov_read(buf.out, buf.out_count, 0, copy, 64), 64);
		assert_memory_equal(copy, data, 64);
		pair_destroy(p);
	}
}

/* Serving changes nothing but what is to be written. */
static void device_keeps_to_its_own(void **state)
{
	struct pair *p = pair_create(NUM, EVENT | VIRTIO_F_INDIRECT_DESC, false, NUM);
	uint8_t table[16 * NUM], *question = pair_alloc(p, 32, 16), *answer = pair_alloc(p, 32, 16);
	struct virtio_iov sg[2] = { { question, 32 }, { answer, 32 } }, iov[NUM];
	struct vring_buffer buf;
	unsigned long used;

	memset(question, 0x33, 32);
	assert_true(virtio_add_inbuf(p->vq, sg, 1, 2, &used) >= 0);
	virtio_sync(p->vq);
	memcpy(table, raw_at(p, p->desc), sizeof(table));
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, NUM), 1);
	virtio_iov_write(buf.in, buf.in_count, 0, table, 64);
	vring_device_push(&p->dev, buf.id, 32);
	vring_device_flush(&p->dev);
	assert_memory_equal(raw_at(p, p->desc), table, sizeof(table));
	for (unsigned int i = 0; i < 32; i++)
		assert_int_equal(question[i], 0x33);
	pair_destroy(p);
}

/* Chains of our driver, a lap and more. */
static void in_order_chains(void **state)
{
	struct pair *p = pair_create(NUM, ORDER, false, 0);
	unsigned long used;

	for (unsigned int round = 0; round < 2 * NUM; round++) {
		long id = raw_add(p, 2, 1, &used);
		unsigned int at = (unsigned int)id;

		virtio_sync(p->vq);
		for (unsigned int i = 0; i < 2; i++, at = (at + 1) % NUM)
			assert_int_equal(raw_get(raw_desc(p, p->desc, at) + 14), (at + 1) % NUM);
		raw_serve(p, 0);
		assert_int_equal(virtio_harvest(p->vq), 1);
		p->next = PAIR_MEMORY / 2;
	}
	pair_destroy(p);
}

static void in_order_tables(void **state)
{
	struct pair *p = pair_create(NUM, ORDER | VIRTIO_F_INDIRECT_DESC, false, NUM);
	unsigned long used;
	uint64_t table;

	raw_add(p, 3, 2, &used);
	table = virtio_get64(false, raw_desc(p, p->desc, 0));
	for (unsigned int i = 0; i < 4; i++)
		assert_int_equal(raw_get(raw_desc(p, table, i) + 14), i + 1);
	pair_destroy(p);
}

/* Adding, taking back and cancelling never move the index back. */
static void index_only_grows(void **state)
{
	struct pair *p = pair_create(NUM, 0, false, 0);
	unsigned long used[2];
	long id;

	raw_add(p, 1, 0, &used[0]);
	virtio_sync(p->vq);
	assert_int_equal(raw_get(raw_idx(p, false)), 1);
	id = raw_add(p, 1, 0, &used[1]);
	virtio_detach_outbuf(p->vq, id);
	virtio_sync(p->vq);
	assert_int_equal(raw_get(raw_idx(p, false)), 1);
	virtio_detach_outbuf(p->vq, 0);
	assert_int_equal(raw_get(raw_idx(p, false)), 1);
	pair_destroy(p);
}

/* --- suppression ------------------------------------------------------------------------------------------------------- */

static void flags_of_the_driver(void **state)
{
	struct pair *p = pair_create(NUM, 0, false, 0);

	p->vq->ops->interrupts(p->vq, false);
	assert_int_equal(raw_get(raw_flags(p, false)), 1);
	p->vq->ops->interrupts(p->vq, true);
	assert_int_equal(raw_get(raw_flags(p, false)), 0);
	pair_destroy(p);
	p = pair_create(NUM, EVENT, false, 0);
	p->vq->ops->interrupts(p->vq, false);
	assert_int_equal(raw_get(raw_flags(p, false)), 0);
	pair_destroy(p);
}

static void flags_of_the_device(void **state)
{
	struct pair *p = pair_create(NUM, 0, false, 0);

	assert_int_equal(raw_get(raw_flags(p, true)), 0);
	vring_device_notify(&p->dev, false);
	assert_int_equal(raw_get(raw_flags(p, true)), 1);
	vring_device_notify(&p->dev, true);
	assert_int_equal(raw_get(raw_flags(p, true)), 0);
	pair_destroy(p);
	p = pair_create(NUM, EVENT, false, 0);
	assert_int_equal(raw_get(raw_flags(p, true)), 0);
	vring_device_notify(&p->dev, false);
	assert_int_equal(raw_get(raw_flags(p, true)), 0);
	pair_destroy(p);
}

static void interrupts_by_flags(void **state)
{
	struct pair *p = pair_create(NUM, 0, false, 0);
	unsigned long used;

	for (unsigned int i = 0; i < 2 * NUM; i++) {
		raw_add(p, 0, 1, &used);
		virtio_sync(p->vq);
		raw_put(raw_flags(p, false), i & 1);
		raw_put(raw_used_event(p, NUM), (uint16_t)(i * 77));	/* means nothing */
		assert_int_equal(raw_serve(p, 0), !(i & 1));
		virtio_harvest(p->vq);
		p->next = PAIR_MEMORY / 2;
	}
	pair_destroy(p);
}

static void interrupts_by_event(void **state)
{
	struct pair *p = pair_create(NUM, EVENT, false, 0);
	unsigned long used;

	for (uint16_t i = 0; i < 2 * NUM; i++) {
		raw_add(p, 0, 1, &used);
		virtio_sync(p->vq);
		raw_put(raw_flags(p, false), !(i & 1));			/* means nothing */
		raw_put(raw_used_event(p, NUM), i & 2 ? i : i + 1);
		assert_int_equal(raw_serve(p, 0), !!(i & 2));
		virtio_harvest(p->vq);
		p->next = PAIR_MEMORY / 2;
	}
	pair_destroy(p);
}

static void kicks_by_flags(void **state)
{
	struct pair *p = pair_create(NUM, 0, false, 0);
	unsigned long used;

	for (unsigned int i = 0; i < 2 * NUM; i++) {
		unsigned int before = p->kicks;

		raw_add(p, 1, 0, &used);
		raw_put(raw_flags(p, true), i & 1);
		raw_put(raw_avail_event(p, NUM), (uint16_t)(i * 77));	/* means nothing */
		virtio_sync(p->vq);
		assert_int_equal(p->kicks - before, !(i & 1));
		raw_serve(p, 0);
		virtio_harvest(p->vq);
		p->next = PAIR_MEMORY / 2;
	}
	pair_destroy(p);
}

static void kicks_by_event(void **state)
{
	struct pair *p = pair_create(NUM, EVENT, false, 0);
	unsigned long used;

	for (uint16_t i = 0; i < 2 * NUM; i++) {
		unsigned int before = p->kicks;

		raw_add(p, 1, 0, &used);
		raw_put(raw_flags(p, true), !(i & 1));			/* means nothing */
		raw_put(raw_avail_event(p, NUM), i & 2 ? i : i + 1);
		virtio_sync(p->vq);
		assert_int_equal(p->kicks - before, !!(i & 2));
		raw_serve(p, 0);
		virtio_harvest(p->vq);
		p->next = PAIR_MEMORY / 2;
	}
	pair_destroy(p);
}

static void spurious_signals(void **state)
{
	struct pair *p = pair_create(NUM, EVENT, false, 0);
	struct virtio_iov iov[NUM];
	struct vring_buffer buf;
	unsigned long used;

	for (int i = 0; i < 3; i++) {
		assert_int_equal(vring_device_pop(&p->dev, &buf, iov, NUM), 0);
		assert_false(vring_device_flush(&p->dev));
		assert_false(virtio_queue_interrupt(p->vq));
	}
	raw_add(p, 1, 0, &used);
	virtio_sync(p->vq);
	raw_serve(p, 0);
	assert_true(virtio_queue_interrupt(p->vq));
	assert_false(virtio_queue_interrupt(p->vq));
	assert_null(p->dev.broken);
	pair_destroy(p);
}

/* --- used buffers ------------------------------------------------------------------------------------------------------ */

/* A device that says more than there is room for is not believed; one that says less is. */
static void used_lengths(void **state)
{
	static const uint32_t said[] = { 0, 1, 15, 16, 17, UINT32_MAX };

	for (size_t i = 0; i < sizeof(said) / sizeof(*said); i++) {
		struct pair *p = pair_create(NUM, 0, false, 0);
		unsigned long used;

		raw_add(p, 1, 1, &used);
		virtio_sync(p->vq);
		raw_serve(p, said[i]);
		assert_int_equal(virtio_get32(false, raw_at(p, p->used) + 8), said[i]);
		virtio_harvest(p->vq);
		assert_int_equal(used, said[i] > 16 ? 16 : said[i]);
		pair_destroy(p);
	}
}

static void used_in_order(void **state)
{
	struct pair *p = pair_create(NUM, ORDER, false, 0);
	unsigned long used[3];

	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 3; i++)
			raw_add(p, 0, 1, &used[i]);
		virtio_sync(p->vq);
		raw_serve(p, 16);
		assert_int_equal(virtio_harvest(p->vq), 3);
		assert_int_equal(p->resets, 0);
		for (int i = 0; i < 3; i++)
			assert_int_equal(used[i], 16);
		p->next = PAIR_MEMORY / 2;
	}
	pair_destroy(p);
}

/* What the device has been shown comes back only by a reset, and its descriptors stay as they are. */
static void exposed_buffers(void **state)
{
	struct pair *p = pair_create(NUM, 0, false, 0);
	uint8_t table[16 * NUM];
	unsigned long used;
	long id = raw_add(p, 1, 1, &used);

	virtio_sync(p->vq);
	memcpy(table, raw_at(p, p->desc), sizeof(table));
	virtio_harvest(p->vq);
	virtio_sync(p->vq);
	assert_memory_equal(raw_at(p, p->desc), table, sizeof(table));
	virtio_detach_inbuf(p->vq, id);
	assert_int_equal(p->resets, 1);
	assert_int_equal(used, VIRTIO_CANCELLED);
	pair_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAUSE("2.7-1", sizes),
		CLAUSE("2.7.1-1", alignments),
		CLAUSE("2.7.2-1", legacy_layout),
		CLAUSE("2.7.3-1", byte_order),
		CLAUSE("2.7.4.1-1", any_framing),
		CLAUSE("2.7.5.1-1 2.7.5.1-2", device_keeps_to_its_own),
		CLAUSE("2.7.5.2-3", in_order_chains),
		CLAUSE("2.7.5.3.1-5", in_order_tables),
		CLAUSE("2.7.6.1-1", index_only_grows),
		CLAUSE("2.7.7.1-1 2.7.7.1-2", flags_of_the_driver),
		CLAUSE("2.7.10.1-1 2.7.10.2-1 2.7.10.2-2", flags_of_the_device),
		CLAUSE("2.7.7.2-1 2.7.7.2-3", interrupts_by_flags),
		CLAUSE("2.7.7.2-2 2.7.7.2-3", interrupts_by_event),
		CLAUSE("2.7.10.1-2 2.7.10.1-4", kicks_by_flags),
		CLAUSE("2.7.10.1-3 2.7.10.1-4", kicks_by_event),
		CLAUSE("2.7.7.1-3 2.7.10.2-3", spurious_signals),
		CLAUSE("2.7.8.2-2 2.7.8.3-1", used_lengths),
		CLAUSE("2.7.9-1", used_in_order),
		CLAUSE("3.3.1-1 3.3.1-2", exposed_buffers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
