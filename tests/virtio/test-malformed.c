/* SPDX-License-Identifier: MIT */
/* Rings no decent driver would build: each breaks the ring with a reason, and nothing else happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/clause.h>
#include <virtio/endian.h>

#include "pair.h"

#define NUM 8u
#define NEXT VRING_DESC_NEXT
#define WRITE VRING_DESC_WRITE
#define INDIRECT VRING_DESC_INDIRECT
#define M PAIR_START		/* some memory */
#define TABLE (PAIR_START + 0x8000)
#define END (PAIR_START + PAIR_MEMORY)

struct desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;
};

struct malformed {
	const char *name;
	const char *reason;		/* part of what is said; NULL = it is fine */
	uint64_t features;
	uint16_t idx;			/* available index; 0 = 1 */
	uint16_t head;
	struct desc desc[NUM];
	struct desc table[NUM + 2];	/* at TABLE */
	unsigned int out, in;		/* pieces, if it is fine */
};

static const struct malformed cases[] = {
	/* Chains. */
	{ "a loop of one", "loops", .desc = { { M, 1, NEXT, 0 } } },
	/* clause 2.7.5.2-2 */
	{ "a loop of two", "loops", .desc = { { M, 1, NEXT, 1 }, { M, 1, NEXT, 0 } } },
	/* clause 2.7.5.2-2 */
	{ "a loop behind a head", "loops", .desc = { { M, 1, NEXT, 1 }, { M, 1, NEXT, 2 }, { M, 1, NEXT, 1 } } },
	{ "a loop of empty descriptors", "loops", .desc = { { M, 0, NEXT, 0 } } },
	{ "head outside the table", "outside its table", .head = NUM },
	{ "head far outside the table", "outside its table", .head = 0xffff },
	{ "next outside the table", "outside its table", .desc = { { M, 1, NEXT, NUM } } },
	{ "next far outside the table", "outside its table", .desc = { { M, 1, NEXT, 0xfffe } } },
	{ "next without the flag is not looked at", NULL, .desc = { { M, 1, 0, 0xffff } }, .out = 1 },
	{ "the longest chain", NULL, .desc = { { M, 1, NEXT, 1 }, { M, 1, NEXT, 2 }, { M, 1, NEXT, 3 }, { M, 1, NEXT, 4 },
	  { M, 1, NEXT, 5 }, { M, 1, NEXT, 6 }, { M, 1, NEXT, 7 }, { M, 1, 0, 0 } }, .out = 8 },
	/* clause 2.7.5.3.1-3 */
	/* Memory. */
	{ "below memory", "outside guest memory", .desc = { { M - 1, 1, 0, 0 } } },
	{ "address 0", "outside guest memory", .desc = { { 0, 1, 0, 0 } } },
	{ "across the end", "outside guest memory", .desc = { { END - 1, 2, 0, 0 } } },
	{ "at the end", "outside guest memory", .desc = { { END, 1, WRITE, 0 } } },
	{ "up to the end", NULL, .desc = { { END - 1, 1, 0, 0 } }, .out = 1 },
	{ "a sum that wraps", "outside guest memory", .desc = { { UINT64_MAX - 1, 16, 0, 0 } } },
	{ "the longest length", "outside guest memory", .desc = { { M, UINT32_MAX, 0, 0 } } },
	{ "an empty descriptor anywhere", NULL, .desc = { { 0, 0, 0, 0 } } },
	{ "more than 4 GiB", "4 GiB", .desc = { { M, PAIR_MEMORY, NEXT, 1 }, { M, UINT32_MAX, 0, 0 } } },
	/* clause 2.7.5.2-1 */
	/* Directions. */
	{ "readable behind writable", "readable descriptor behind", .desc = { { M, 1, WRITE | NEXT, 1 }, { M, 1, 0, 0 } } },
	/* clause 2.7.4.2-1 */
	{ "readable, writable, readable", "readable descriptor behind",
	  .desc = { { M, 1, NEXT, 1 }, { M, 1, WRITE | NEXT, 2 }, { M, 1, 0, 0 } } },
	{ "both, in order", NULL, .desc = { { M, 1, NEXT, 1 }, { M, 2, WRITE, 0 } }, .out = 1, .in = 1 },
	/* Indices. */
	{ "index ahead by more than the ring", "ran ahead", .idx = NUM + 1, .desc = { { M, 1, 0, 0 } } },
	/* clause 2.7.13.3-1 */
	{ "index behind", "ran ahead", .idx = 0xffff, .desc = { { M, 1, 0, 0 } } },
	/* clause 2.7.6.1-1 */
	{ "index half the number circle ahead", "ran ahead", .idx = 0x8000, .desc = { { M, 1, 0, 0 } } },
	/* Indirect. */
	{ "indirect, not negotiated", "not negotiated", .desc = { { TABLE, 16, INDIRECT, 0 } }, .table = { { M, 1, 0, 0 } } },
	/* clause 2.7.5.3.1-1 */
	{ "indirect", NULL, VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 32, INDIRECT, 0 } },
	  .table = { { M, 1, NEXT, 1 }, { M, 1, WRITE, 0 } }, .out = 1, .in = 1 },
	{ "indirect behind a descriptor", NULL, VIRTIO_F_INDIRECT_DESC, .desc = { { M, 1, NEXT, 1 }, { TABLE, 16, INDIRECT, 0 } },
	  .table = { { M, 1, WRITE, 0 } }, .out = 1, .in = 1 },
	/* clause 2.7.5.3.2-2 */
	{ "indirect whose write flag is ignored", NULL, VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 16, INDIRECT | WRITE, 0 } },
	  .table = { { M, 1, 0, 0 } }, .out = 1 },
	/* clause 2.7.5.3.2-1 */
	{ "indirect and next", "also continues", VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 16, INDIRECT | NEXT, 1 }, { M, 1, 0, 0 } },
	  .table = { { M, 1, 0, 0 } } },
	/* clause 2.7.5.3.1-4 */
	{ "a table of length zero", "multiple of 16", VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 0, INDIRECT, 0 } } },
	{ "a table of odd length", "multiple of 16", VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 24, INDIRECT, 0 } },
	  .table = { { M, 1, 0, 0 } } },
	{ "a table outside memory", "table outside", VIRTIO_F_INDIRECT_DESC, .desc = { { END - 16, 32, INDIRECT, 0 } } },
	{ "a table of 4 GiB", "table outside", VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 0xfffffff0u, INDIRECT, 0 } } },
	{ "a table within a table", "within an indirect", VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 16, INDIRECT, 0 } },
	  .table = { { TABLE, 16, INDIRECT, 0 } } },
	/* clause 2.7.5.3.1-2 */
	{ "next outside the small table", "outside its table", VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 32, INDIRECT, 0 } },
	  .table = { { M, 1, NEXT, 2 }, { M, 1, 0, 0 }, { M, 1, 0, 0 } } },
	{ "a loop in the table", "loops", VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 32, INDIRECT, 0 } },
	  .table = { { M, 1, NEXT, 1 }, { M, 1, NEXT, 0 } } },
	/* clause 2.7.5.2-2 */
	{ "a table as long as the ring", NULL, VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 16 * NUM, INDIRECT, 0 } },
	  .table = { { M, 1, NEXT, 1 }, { M, 1, NEXT, 2 }, { M, 1, NEXT, 3 }, { M, 1, NEXT, 4 }, { M, 1, NEXT, 5 }, { M, 1, NEXT, 6 },
		     { M, 1, NEXT, 7 }, { M, 1, 0, 0 } }, .out = 8 },
	{ "a table longer than the ring", "longer than the ring", VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE, 16 * (NUM + 1), INDIRECT, 0 } },
	  .table = { { M, 1, NEXT, 1 }, { M, 1, NEXT, 2 }, { M, 1, NEXT, 3 }, { M, 1, NEXT, 4 }, { M, 1, NEXT, 5 }, { M, 1, NEXT, 6 },
		     { M, 1, NEXT, 7 }, { M, 1, NEXT, 8 }, { M, 1, 0, 0 } } },
	/* clause 2.7.5.3.1-3 */
	{ "a table at an odd address", NULL, VIRTIO_F_INDIRECT_DESC, .desc = { { TABLE + 0x1001, 16, INDIRECT, 0 } },
	  .table = { { 0 } } },
	{ "readable behind writable, in the table", "readable descriptor behind", VIRTIO_F_INDIRECT_DESC,
	  .desc = { { TABLE, 32, INDIRECT, 0 } }, .table = { { M, 1, WRITE | NEXT, 1 }, { M, 1, 0, 0 } } },
	{ "readable in the table behind a writable", "readable descriptor behind", VIRTIO_F_INDIRECT_DESC,
	  .desc = { { M, 1, WRITE | NEXT, 1 }, { TABLE, 16, INDIRECT, 0 } }, .table = { { M, 1, 0, 0 } } },
};

static void store(struct pair *p, bool big, uint64_t at, const struct desc *desc, unsigned int count)
{
	uint8_t *d = virtio_mem_at(&p->mem, at, 16 * count);

	for (unsigned int i = 0; i < count; i++, d += 16) {
		virtio_put64(big, d, desc[i].addr);
		virtio_put32(big, d + 8, desc[i].len);
		virtio_put16(big, d + 12, desc[i].flags);
		virtio_put16(big, d + 14, desc[i].next);
	}
}

static void check(const struct malformed *c, bool big)
{
	struct pair *p = pair_create(NUM, c->features, big, 0);
	uint8_t *avail = virtio_mem_at(&p->mem, p->avail, 0), *used = virtio_mem_at(&p->mem, p->used, 0);
	struct virtio_iov iov[NUM];
	struct vring_buffer buf;
	uint8_t before[6 + 8 * NUM];
	int ret;

	store(p, big, p->desc, c->desc, NUM);
	store(p, big, TABLE, c->table, NUM + 2);
	virtio_put16(big, avail + 4, c->head);
	virtio_put16(big, avail + 2, c->idx ? c->idx : 1);
	memcpy(before, used, sizeof(before));
	ret = vring_device_pop(&p->dev, &buf, iov, NUM);
	if (!c->reason) {
		if (ret != 1 || buf.out_count != c->out || buf.in_count != c->in || p->dev.broken)
			fail_msg("%s: refused (%d, %s)", c->name, ret, p->dev.broken);
	} else {
		if (ret != -VIRTIO_EPROTO || !p->dev.broken || !strstr(p->dev.broken, c->reason))
			fail_msg("%s: %d, %s", c->name, ret, p->dev.broken ? p->dev.broken : "not broken");
		/* Broken stays broken, and says nothing more to the driver. */
		assert_int_equal(vring_device_pop(&p->dev, &buf, iov, NUM), -VIRTIO_EPROTO);
		vring_device_push(&p->dev, 0, 0);
		assert_false(vring_device_flush(&p->dev));
		assert_false(vring_device_notify(&p->dev, true));
		assert_false(vring_device_has_buffers(&p->dev));
		assert_memory_equal(used, before, sizeof(before));
	}
	pair_destroy(p);
}

static void malformed(void **state)
{
	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		check(&cases[i], false);
		check(&cases[i], true);
	}
}

/* The driver's index is looked at again later: it must not run away then either. */
static void index_jumps_later(void **state)
{
	struct pair *p = pair_create(NUM, 0, VIRTIO_HOST_BIG_ENDIAN, 0);
	struct vring_avail *avail = virtio_mem_at(&p->mem, p->avail, 0);
	struct desc one = { M, 1, 0, 0 };
	struct virtio_iov iov[NUM];
	struct vring_buffer buf;

	store(p, VIRTIO_HOST_BIG_ENDIAN, p->desc, &one, 1);
	avail->idx = 1;
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, NUM), 1);
	avail->idx = 0;
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, NUM), -VIRTIO_EPROTO);
	pair_destroy(p);
}

/* A buffer made available over and over: no more can be in flight than there are descriptors. */
static void endless_buffers(void **state)
{
	struct pair *p = pair_create(NUM, 0, VIRTIO_HOST_BIG_ENDIAN, 0);
	struct vring_avail *avail = virtio_mem_at(&p->mem, p->avail, 0);
	struct desc one = { M, 1, 0, 0 };
	struct virtio_iov iov[NUM];
	struct vring_buffer buf;
	unsigned int popped = 0;

	store(p, VIRTIO_HOST_BIG_ENDIAN, p->desc, &one, 1);
	for (;; popped++) {
		avail->idx++;
		if (vring_device_pop(&p->dev, &buf, iov, NUM) <= 0)
			break;
		assert_true(popped <= NUM);
	}
	assert_int_equal(popped, NUM);
	assert_non_null(p->dev.broken);
	pair_destroy(p);
}

static void too_many_pieces(void **state)
{
	struct pair *p = pair_create(NUM, 0, false, 0);
	struct vring_avail *avail = virtio_mem_at(&p->mem, p->avail, 0);
	struct desc d[3] = { { M, 1, NEXT, 1 }, { M, 1, NEXT, 2 }, { M, 1, 0, 0 } };
	struct virtio_iov iov[3] = { { 0 } };
	struct vring_buffer buf;

	store(p, false, p->desc, d, 3);
	avail->idx = 1;
	assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 2), -VIRTIO_EPROTO);
	assert_null(iov[2].base);
	pair_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(malformed),
		CLAUSE("2.7.6.1-1 2.7.13.3-1", index_jumps_later),
		cmocka_unit_test(endless_buffers),
		cmocka_unit_test(too_many_pieces),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
