/* SPDX-License-Identifier: MIT */
/* Clauses of virtio 1.2, 2.8: packed rings. A descriptor: u64 address, u32 length, u16 id, u16 flags. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/clause.h>

#include "raw.h"

#define NUM	6u	/* no power of two */
#define PACKED	(VIRTIO_F_RING_PACKED | VIRTIO_F_VERSION_1)
#define EVENT	VIRTIO_F_EVENT_IDX
#define TABLES	VIRTIO_F_INDIRECT_DESC
#define NEXT	VRING_DESC_NEXT
#define WRITE	VRING_DESC_WRITE
#define INDIRECT VRING_DESC_INDIRECT
#define AVAIL	VRING_PACKED_AVAIL	/* in the first lap */
#define USED	VRING_PACKED_USED
#define M	PAIR_START
#define TABLE	(PAIR_START + 0x8000)

static uint16_t flags_at(const struct pair *p, unsigned int i)
{
	return raw_get(raw_desc(p, p->desc, i) + 14);
}

/* --- rings that no decent driver makes ----------------------------------------------------------------------------------- */

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t id, flags;
};

static const struct {
	const char *name;
	const char *reason;		/* part of what is said; NULL = it is fine */
	uint64_t features;
	struct desc desc[NUM], table[NUM + 2];	/* @table at TABLE */
	unsigned int out, in;		/* pieces, if it is fine */
	bool nothing;			/* not even a buffer */
} cases[] = {
	{ "one descriptor", NULL, .desc = { { M, 1, 0, AVAIL } }, .out = 1 },
	{ "not available", NULL, .desc = { { M, 1, 0, 0 } }, .nothing = true },	/* clause 2.8.15-2 */
	{ "available in another lap", NULL, .desc = { { M, 1, 0, USED } }, .nothing = true },	/* clause 2.8.15-2 */
	{ "used already", NULL, .desc = { { M, 1, 0, AVAIL | USED } }, .nothing = true },	/* clause 2.8.15-2 */
	{ "a list", NULL, .desc = { { M, 1, 0, AVAIL | NEXT }, { M, 1, 0, AVAIL | WRITE } }, .out = 1, .in = 1 },
	{ "a list whose end is not there", "not available", .desc = { { M, 1, 0, AVAIL | NEXT } } },	/* clause 2.8.17-4 */
	{ "a list round the ring", "longer than the free part", .desc = { { M, 1, 0, AVAIL | NEXT }, { M, 1, 0, AVAIL | NEXT },
	  { M, 1, 0, AVAIL | NEXT }, { M, 1, 0, AVAIL | NEXT }, { M, 1, 0, AVAIL | NEXT }, { M, 1, 0, AVAIL | NEXT } } },
	/* clause 2.8.17-1 */
	{ "readable behind writable", "readable", .desc = { { M, 1, 0, AVAIL | NEXT | WRITE }, { M, 1, 0, AVAIL } } },
	/* clause 2.8.17-2 */
	{ "outside memory", "outside", .desc = { { M - 1, 1, 0, AVAIL } } },
	{ "4 GiB", "4 GiB", .desc = { { M, PAIR_MEMORY, 0, AVAIL | NEXT }, { M, UINT32_MAX, 0, AVAIL } } },
	{ "a table", NULL, TABLES, .desc = { { TABLE, 32, 0, AVAIL | INDIRECT } }, .table = { { M, 1, 0, 0 }, { M, 1, 0, WRITE } },
	  .out = 1, .in = 1 },
	{ "other flags in a table", NULL, TABLES, .desc = { { TABLE, 16, 0, AVAIL | INDIRECT } },
	  .table = { { M, 1, 0, NEXT | INDIRECT | AVAIL | USED } }, .out = 1 },	/* clause 2.8.19-2, 2.8.7-1 */
	{ "a table, not negotiated", "not negotiated", .desc = { { TABLE, 16, 0, AVAIL | INDIRECT } } },	/* clause 2.8.19-1 */
	{ "a table in a list", "within a list", TABLES, .desc = { { M, 1, 0, AVAIL | NEXT }, { TABLE, 16, 0, AVAIL | INDIRECT } },
	  .table = { { M, 1, 0, 0 } } },	/* clause 2.8.19-4 */
	{ "a table that continues", "within a list", TABLES, .desc = { { TABLE, 16, 0, AVAIL | INDIRECT | NEXT }, { M, 1, 0, AVAIL } },
	  .table = { { M, 1, 0, 0 } } },	/* clause 2.8.19-4 */
	{ "a table longer than the ring", "longer than the ring", TABLES, .desc = { { TABLE, 16 * (NUM + 1), 0, AVAIL | INDIRECT } } },
	/* clause 2.8.17-1, 2.8.19-3 */
	{ "a table of nothing", "multiple of 16", TABLES, .desc = { { TABLE, 0, 0, AVAIL | INDIRECT } } },
	{ "a table of odd length", "multiple of 16", TABLES, .desc = { { TABLE, 24, 0, AVAIL | INDIRECT } } },
	{ "a table outside memory", "outside", TABLES, .desc = { { M - 16, 16, 0, AVAIL | INDIRECT } } },
};

static void store(struct pair *p, uint64_t at, const struct desc *desc, unsigned int count)
{
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *d = raw_desc(p, at, i);

		virtio_put64(false, d, desc[i].addr);
		virtio_put32(false, d + 8, desc[i].len);
		raw_put(d + 12, desc[i].id);
		raw_put(d + 14, desc[i].flags);
	}
}

static void malformed(void **state)
{
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct pair *p = pair_create(NUM, PACKED | cases[i].features, false, 0);
		struct virtio_iov iov[NUM];
		struct vring_buffer buf;
		int ret;

		store(p, p->desc, cases[i].desc, NUM);
		store(p, TABLE, cases[i].table, NUM + 2);
		ret = vring_device_pop(&p->dev, &buf, iov, NUM);
		if (cases[i].nothing)
			assert_int_equal(ret, 0);
		else if (!cases[i].reason && (ret != 1 || buf.out_count != cases[i].out || buf.in_count != cases[i].in))
			fail_msg("%s: refused (%d, %s)", cases[i].name, ret, p->dev.broken);
		else if (cases[i].reason && (ret != -VIRTIO_EPROTO || !strstr(p->dev.broken, cases[i].reason)))
			fail_msg("%s: %d, %s", cases[i].name, ret, p->dev.broken ? p->dev.broken : "not broken");
		pair_destroy(p);
	}
}

static void alignments(void **state)
{
	struct pair *p = pair_create(NUM, PACKED, false, 0);
	struct virtio_queue *vq;

	assert_int_equal(vring_device_init(&p->dev, &p->mem, NUM, p->desc + 8, p->avail, p->used, PACKED, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&p->dev, &p->mem, NUM, p->desc, p->avail + 2, p->used, PACKED, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&p->dev, &p->mem, NUM, p->desc, p->avail, p->used + 2, PACKED, false), -VIRTIO_EINVAL);
	for (unsigned int off = 1; off < 16; off++)
		assert_int_equal(vring_driver_create(&p->vdev, 1, NUM, raw_at(p, p->desc) + off, raw_at(p, p->avail), raw_at(p, p->used), &vq),
				 -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&p->vdev, 1, NUM, raw_at(p, p->desc), raw_at(p, p->avail) + 2, raw_at(p, p->used), &vq),
			 -VIRTIO_EINVAL);
	pair_destroy(p);
}

/* --- our device ---------------------------------------------------------------------------------------------------------- */

/* Buffers begin in the order of the ring, with their pieces in order, and come back in the order in which they are pushed. */
static void order(void **state)
{
	struct pair *p = pair_create(NUM, PACKED, false, 0);
	struct virtio_iov iov[3][NUM];
	struct vring_buffer buf[3];
	unsigned long used[3];
	long id[3];

	for (int i = 0; i < 3; i++)
		id[i] = raw_add(p, 1, 1, &used[i]);
	virtio_sync(p->vq);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(vring_device_pop(&p->dev, &buf[i], iov[i], NUM), 1);
		assert_int_equal((uint16_t)buf[i].id, id[i]);
		assert_ptr_equal(buf[i].out->base, raw_at(p, virtio_get64(false, raw_desc(p, p->desc, 2 * (unsigned int)i))));
		assert_true((uint8_t *)buf[i].in->base > (uint8_t *)buf[i].out->base);
	}
	vring_device_push(&p->dev, buf[2].id, 16);
	vring_device_push(&p->dev, buf[0].id, 16);
	vring_device_flush(&p->dev);
	assert_int_equal(raw_get(raw_desc(p, p->desc, 0) + 12), id[2]);
	assert_int_equal(raw_get(raw_desc(p, p->desc, 2) + 12), id[0]);
	assert_int_equal(virtio_harvest(p->vq), 2);
	assert_int_equal(used[1], VIRTIO_PENDING);
	pair_destroy(p);
}

/* A descriptor is the device's from AVAIL to USED, and nobody's who is not its owner. */
static void owners(void **state)
{
	struct pair *p = pair_create(NUM, PACKED, false, 0);
	uint8_t ring[16 * NUM];
	unsigned long used[2];

	raw_add(p, 1, 0, &used[0]);
	raw_add(p, 1, 0, &used[1]);
	virtio_sync(p->vq);
	memcpy(ring, raw_at(p, p->desc), sizeof(ring));
	virtio_harvest(p->vq);
	virtio_sync(p->vq);
	assert_memory_equal(raw_at(p, p->desc), ring, sizeof(ring));
	raw_serve(p, 0);
	memcpy(ring, raw_at(p, p->desc), sizeof(ring));
	raw_serve(p, 0);
	assert_memory_equal(raw_at(p, p->desc), ring, sizeof(ring));
	assert_int_equal(flags_at(p, 0) & (AVAIL | USED), AVAIL | USED);
	pair_destroy(p);
}

static void readable_buffers_stay(void **state)
{
	struct pair *p = pair_create(NUM, PACKED, false, 0);
	uint8_t *data = pair_alloc(p, 16, 16);
	struct virtio_iov sg = { data, 16 };
	unsigned long used;

	memset(data, 0x44, 16);
	virtio_add_outbuf(p->vq, &sg, 1, &used);
	virtio_sync(p->vq);
	raw_serve(p, 0);
	for (int i = 0; i < 16; i++)
		assert_int_equal(data[i], 0x44);
	pair_destroy(p);
}

/* --- our driver ---------------------------------------------------------------------------------------------------------- */

/* It reuses a descriptor only after USED, and makes a list available whole. */
static void lists(void **state)
{
	struct pair *p = pair_create(NUM, PACKED, false, 0);
	unsigned long used[4];
	long ret;

	assert_true(raw_add(p, 2, 2, &used[0]) >= 0);
	/* Nothing can be seen before sync(); and then the first descriptor was the last one to change. */
	assert_int_equal(flags_at(p, 0) & AVAIL, 0);
	assert_int_equal(flags_at(p, 3), AVAIL | WRITE);
	assert_int_equal(flags_at(p, 1), AVAIL | NEXT);
	assert_int_equal(flags_at(p, 2), AVAIL | NEXT | WRITE);
	virtio_sync(p->vq);
	assert_int_equal(flags_at(p, 0), AVAIL | NEXT);
	/* There is room for two more descriptors: a list of three must wait, whole. */
	ret = raw_add(p, 2, 1, &used[1]);
	assert_int_equal(ret, -VIRTIO_ENOSPC);
	assert_int_equal(flags_at(p, 4), 0);
	assert_true(raw_add(p, 1, 1, &used[1]) >= 0);
	virtio_sync(p->vq);
	assert_int_equal(raw_add(p, 1, 0, &used[2]), -VIRTIO_ENOSPC);
	raw_serve(p, 32);
	assert_int_equal(virtio_harvest(p->vq), 2);
	/* The second lap: AVAIL is 0 and USED is 1. */
	assert_true(raw_add(p, 1, 0, &used[3]) >= 0);
	virtio_sync(p->vq);
	assert_int_equal(flags_at(p, 0) & (AVAIL | USED), USED);
	/* No list, in the ring or a table, is longer than the ring. */
	assert_int_equal(raw_add(p, NUM, 1, &used[2]), -VIRTIO_EINVAL);
	pair_destroy(p);
}

static void tables(void **state)
{
	struct pair *p = pair_create(NUM, PACKED | TABLES, false, 16);
	unsigned long used;
	uint64_t table;

	raw_add(p, 1, 2, &used);
	virtio_sync(p->vq);
	assert_int_equal(flags_at(p, 0), AVAIL | INDIRECT);
	assert_int_equal(virtio_get32(false, raw_desc(p, p->desc, 0) + 8), 48);
	table = virtio_get64(false, raw_desc(p, p->desc, 0));
	assert_int_equal(raw_get(raw_desc(p, table, 0) + 14), 0);
	assert_int_equal(raw_get(raw_desc(p, table, 1) + 14), WRITE);
	assert_int_equal(raw_get(raw_desc(p, table, 2) + 14), WRITE);
	pair_destroy(p);
	/* Not negotiated: a list. */
	p = pair_create(NUM, PACKED, false, 16);
	raw_add(p, 1, 2, &used);
	virtio_sync(p->vq);
	assert_int_equal(flags_at(p, 0) & INDIRECT, 0);
	pair_destroy(p);
}

static uint32_t driver_event(const struct pair *p)
{
	return virtio_get32(false, raw_at(p, p->avail));
}

static uint32_t device_event(const struct pair *p)
{
	return virtio_get32(false, raw_at(p, p->used));
}

/* The flags of both event structures: 0 or 1, and with event indices 2. */
static void event_flags(void **state)
{
	for (int event = 0; event < 2; event++) {
		struct pair *p = pair_create(NUM, PACKED | (event ? EVENT : 0), false, 0);

		p->vq->ops->interrupts(p->vq, false);
		assert_int_equal(driver_event(p) >> 16, 1);
		p->vq->ops->interrupts(p->vq, true);
		assert_int_equal(driver_event(p) >> 16, event ? 2 : 0);
		vring_device_notify(&p->dev, false);
		assert_int_equal(device_event(p) >> 16, 1);
		vring_device_notify(&p->dev, true);
		assert_int_equal(device_event(p) >> 16, event ? 2 : 0);
		pair_destroy(p);
	}
}

/* What a kick says: the queue, where the next descriptor goes, and its wrap counter. */
static void notification_data(void **state)
{
	struct pair *p = pair_create(NUM, PACKED | VIRTIO_F_NOTIFICATION_DATA, false, 0);
	unsigned long used;

	for (unsigned int i = 1; i <= 2 * NUM; i++) {
		uint32_t next = i % NUM | (i / NUM % 2 ? 0 : 0x8000);

		raw_add(p, 1, 0, &used);
		virtio_sync(p->vq);
		assert_int_equal(p->vq->notify_data, next << 16);
		raw_serve(p, 0);
		virtio_harvest(p->vq);
		p->next = PAIR_MEMORY / 2;
	}
	assert_int_equal(p->kicks, 2 * NUM);
	pair_destroy(p);
	/* Of a split ring, the available index. */
	p = pair_create(8, VIRTIO_F_NOTIFICATION_DATA | VIRTIO_F_VERSION_1, false, 0);
	raw_add(p, 1, 0, &used);
	virtio_sync(p->vq);
	assert_int_equal(p->vq->notify_data, 1 << 16);
	pair_destroy(p);
}

/* Sizes, wrap counters, and what is said by a used descriptor. */
static void any_size(void **state)
{
	struct pair *p = pair_create(NUM, PACKED, false, 0);
	struct virtio_queue *vq;

	assert_int_equal(vring_device_init(&p->dev, &p->mem, 0, p->desc, p->avail, p->used, PACKED, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_device_init(&p->dev, &p->mem, 32769, p->desc, p->avail, p->used, PACKED, false), -VIRTIO_EINVAL);
	assert_int_equal(vring_driver_create(&p->vdev, 1, 32769, raw_at(p, p->desc), raw_at(p, p->avail), raw_at(p, p->used), &vq),
			 -VIRTIO_EINVAL);
	for (uint32_t num = 1; num <= 32768; num = num * 3 + 1)
		assert_int_equal(vring_device_init(&p->dev, &p->mem, num, PAIR_START, p->avail, p->used, PACKED, false), 0);
	pair_destroy(p);
}

static void first_lap(void **state)
{
	struct pair *p = pair_create(NUM, PACKED, false, 0);
	unsigned long used[2];

	raw_add(p, 2, 0, &used[0]);
	raw_add(p, 0, 1, &used[1]);
	virtio_sync(p->vq);
	assert_int_equal(flags_at(p, 0) & (AVAIL | USED), AVAIL);
	/* The identifier counts in the last descriptor of a list. */
	raw_put(raw_desc(p, p->desc, 0) + 12, 0x7777);
	raw_serve(p, 0);
	assert_int_equal(flags_at(p, 0), AVAIL | USED);
	assert_int_equal(flags_at(p, 2), AVAIL | USED);
	assert_int_equal(virtio_harvest(p->vq), 2);
	raw_add(p, 0, 1, &used[1]);
	virtio_sync(p->vq);
	raw_serve(p, 16);
	assert_int_equal(flags_at(p, 3), AVAIL | USED | WRITE);
	assert_int_equal(virtio_harvest(p->vq), 1);
	assert_int_equal(used[1], 16);
	pair_destroy(p);
}

static void batches(void **state)
{
	struct pair *p = pair_create(NUM, PACKED | VIRTIO_F_IN_ORDER, false, 0);
	unsigned long used[3];
	long last = 0;

	for (int i = 0; i < 3; i++)
		last = raw_add(p, 1, 0, &used[i]);
	virtio_sync(p->vq);
	raw_serve(p, 0);
	assert_int_equal(raw_get(raw_desc(p, p->desc, 0) + 12), last);
	assert_int_equal(flags_at(p, 1) & USED, 0);
	assert_int_equal(virtio_harvest(p->vq), 3);
	for (int i = 0; i < 3; i++)
		assert_int_equal(used[i], 16);
	pair_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed),
		CLAUSE("2.8.11-1", alignments),
		CLAUSE("2.8.12-1 2.8.12-2 2.8.18-1", order),
		CLAUSE("2.8.15-3 2.8.16-2", owners),
		CLAUSE("2.8.15-1", readable_buffers_stay),
		CLAUSE("2.8.16-1 2.8.17-1 2.8.17-3 2.8.17-4", lists),
		CLAUSE("2.8.19-1 2.8.19-2 2.8.19-4", tables),
		CLAUSE("2.8.10-1", event_flags),
		CLAUSE("2.8.16-3 2.9-1", notification_data),
		CLAUSE("2.8.10.1-1", any_size),
		CLAUSE("2.8.1-1 2.8.3-1 2.8.6-1", first_lap),
		CLAUSE("2.8.8-1", batches),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
