/* SPDX-License-Identifier: MIT */
/*
 * Bugs that other implementations of rings have had, one test each, named after the bug. Three of them are about the order in which
 * things become visible, and are in test-schedule.c.
 *
 * The driver here is ours only where it behaves; otherwise descriptors are written by hand, for both layouts by the same lines.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/clause.h>
#include <virtio/device.h>
#include <virtio/endian.h>

#include "pair.h"

#define NUM	 8u
#define NEXT	 VRING_DESC_NEXT
#define WRITE	 VRING_DESC_WRITE
#define INDIRECT VRING_DESC_INDIRECT
#define PACKED	 (VIRTIO_F_RING_PACKED | VIRTIO_F_VERSION_1)

#define EACH_LAYOUT(packed) for (int packed = 0; packed < 2; packed++)

static uint64_t layout(bool packed)
{
	return packed ? PACKED : 0;
}

/* Write descriptor @i, a chain's next being the one behind it. In a packed ring it is available at once, so write the first last. */
static void describe(struct pair *p, unsigned int i, uint64_t addr, uint32_t len, uint16_t flags)
{
	uint8_t *d = (uint8_t *)virtio_mem_at(&p->mem, p->desc, 0) + 16 * (size_t)i;

	virtio_put64(false, d, addr);
	virtio_put32(false, d + 8, len);
	virtio_put16(false, d + 12, p->dev.packed ? 7 : flags);
	virtio_put16(false, d + 14, p->dev.packed ? flags | VRING_PACKED_AVAIL : (uint16_t)(i + 1));
}

/* Make the chain at descriptor 0 available. */
static void offer(struct pair *p)
{
	if (!p->dev.packed)
		virtio_put16(false, (uint8_t *)p->dev.avail + 2, 1);
}

static int pop(struct pair *p, struct vring_buffer *buf)
{
	static struct virtio_iov iov[64];

	return vring_device_pop(&p->dev, buf, iov, 64);
}

static struct pair *pair_with_memory(bool packed, uint64_t features, uint64_t *memory)
{
	struct pair *p = pair_create(NUM, layout(packed) | features, false, 0);

	*memory = pair_address(p, pair_alloc(p, 4096, 4096));
	return p;
}

/* --- chains ------------------------------------------------------------------------------------------------------------- */

static void only_the_first_descriptor_of_a_chain_served(void **state)
{
	EACH_LAYOUT(packed) {
		uint64_t m;
		struct pair *p = pair_with_memory(packed, 0, &m);
		struct vring_buffer buf;

		describe(p, 3, m + 300, 40, WRITE);
		describe(p, 2, m + 200, 30, WRITE | NEXT);
		describe(p, 1, m + 100, 20, NEXT);
		describe(p, 0, m, 10, NEXT);
		offer(p);
		assert_int_equal(pop(p, &buf), 1);
		assert_int_equal(buf.out_len, 30);
		assert_int_equal(buf.in_len, 70);
		assert_ptr_equal(buf.out[1].base, virtio_mem_at(&p->mem, m + 100, 1));
		assert_ptr_equal(buf.in[1].base, virtio_mem_at(&p->mem, m + 300, 1));
		pair_destroy(p);
	}
}

static void chain_length_assumed(void **state)
{
	EACH_LAYOUT(packed) {
		for (unsigned int out = 0; out <= NUM; out++) {
			for (unsigned int in = out ? 0 : 1; out + in <= NUM; in++) {
				uint64_t m;
				struct pair *p = pair_with_memory(packed, 0, &m);
				struct vring_buffer buf;

				for (unsigned int i = out + in; i--;)
					describe(p, i, m + i, 1, (i < out ? 0 : WRITE) | (i + 1 < out + in ? NEXT : 0));
				offer(p);
				assert_int_equal(pop(p, &buf), 1);
				assert_int_equal(buf.out_count, out);
				assert_int_equal(buf.in_count, in);
				pair_destroy(p);
			}
		}
	}
}

static void loop_in_the_chain(void **state)
{
	/* Of pieces, and of descriptors without any, which no count of pieces ends. */
	for (int mode = 0; mode < 4; mode++) {
		uint64_t m;
		struct pair *p = pair_with_memory(mode & 1, 0, &m);
		struct vring_buffer buf;

		/* Split: the last leads to the first. Packed: all of the ring continues, round and round. */
		for (unsigned int i = NUM; i--;)
			describe(p, i, m, mode & 2 ? 0 : 1, NEXT);
		if (!p->dev.packed)
			p->dev.desc[NUM - 1].next = 0;
		offer(p);
		assert_int_equal(pop(p, &buf), -VIRTIO_EPROTO);
		assert_non_null(p->dev.broken);
		pair_destroy(p);
	}
}

static void direction_flag_not_checked(void **state)
{
	EACH_LAYOUT(packed) {
		uint64_t m;
		struct pair *p = pair_with_memory(packed, 0, &m);
		struct vring_buffer buf;

		describe(p, 1, m + 8, 8, 0);
		describe(p, 0, m, 8, WRITE | NEXT);
		offer(p);
		assert_int_equal(pop(p, &buf), -VIRTIO_EPROTO);
		pair_destroy(p);

		/* What is to be read is never among what may be written. */
		p = pair_with_memory(packed, 0, &m);
		describe(p, 0, m, 8, 0);
		offer(p);
		assert_int_equal(pop(p, &buf), 1);
		assert_int_equal(buf.in_count, 0);
		assert_int_equal(virtio_iov_write(buf.in, buf.in_count, 0, "x", 1), 0);
		pair_destroy(p);
	}
}

static void table_length_zero(void **state)
{
	EACH_LAYOUT(packed) {
		uint64_t m;
		struct pair *p = pair_with_memory(packed, VIRTIO_F_INDIRECT_DESC, &m);
		struct vring_buffer buf;

		describe(p, 0, m, 0, INDIRECT);
		offer(p);
		assert_int_equal(pop(p, &buf), -VIRTIO_EPROTO);
		assert_non_null(strstr(p->dev.broken, "length"));
		pair_destroy(p);
	}
}

/* --- giving back -------------------------------------------------------------------------------------------------------- */

static void wrong_used_len(void **state)
{
	static const uint32_t lengths[] = { 0, 1, 40, 99, 100 };

	EACH_LAYOUT(packed) {
		for (unsigned int i = 0; i < 5; i++) {
			uint64_t m;
			struct pair *p = pair_with_memory(packed, 0, &m);
			struct virtio_iov sg[2] = { { virtio_mem_at(&p->mem, m, 0), 50 }, { virtio_mem_at(&p->mem, m + 64, 0), 100 } };
			struct vring_buffer buf;
			unsigned long used;
			uint32_t told;

			assert_true(virtio_add_inbuf(p->vq, sg, 1, 2, &used) >= 0);
			virtio_sync(p->vq);
			assert_int_equal(pop(p, &buf), 1);
			vring_device_push(&p->dev, buf.id, lengths[i]);
			vring_device_flush(&p->dev);
			/* What other drivers see, and what ours makes of it: bytes written, not those of the whole buffer. */
			told = virtio_get32(false, packed ? (uint8_t *)&p->dev.ring[0].len : (uint8_t *)&p->dev.used->ring[0].len);
			assert_int_equal(told, lengths[i]);
			assert_int_equal(virtio_harvest(p->vq), 1);
			assert_int_equal(used, lengths[i]);
			pair_destroy(p);
		}
	}
}

/* The same of several buffers shown at once, of which only the first is written late; in order, too. */
static void wrong_used_len_in_a_batch(void **state)
{
	for (int mode = 0; mode < 4; mode++) {
		uint64_t m;
		struct pair *p = pair_with_memory(mode & 1, mode & 2 ? VIRTIO_F_IN_ORDER : 0, &m);
		struct virtio_iov sg = { virtio_mem_at(&p->mem, m, 0), 100 };
		struct vring_buffer buf[4];
		unsigned long used[4];

		for (unsigned int i = 0; i < 4; i++)
			assert_true(virtio_add_inbuf(p->vq, &sg, 0, 1, &used[i]) >= 0);
		virtio_sync(p->vq);
		for (unsigned int i = 0; i < 4; i++)
			assert_int_equal(pop(p, &buf[i]), 1);
		for (unsigned int i = 0; i < 4; i++)
			vring_device_push(&p->dev, buf[i].id, 10 + i);
		vring_device_flush(&p->dev);
		assert_int_equal(virtio_harvest(p->vq), 4);
		for (unsigned int i = 0; i < 4; i++)
			assert_int_equal(used[i], 10 + i);
		pair_destroy(p);
	}
}

static void index_not_wrapped(void **state)
{
	/* More than 65536 buffers, in sizes that divide that number and, packed, in one that does not. */
	static const uint32_t sizes[] = { 1, 2, 4, 3 };

	EACH_LAYOUT(packed) {
		for (unsigned int s = 0; s < 3u + (unsigned int)packed; s++) {
			struct pair *p = pair_create(sizes[s], layout(packed) | VIRTIO_F_EVENT_IDX, false, 0);
			struct virtio_iov sg = { pair_alloc(p, 16, 1), 5 };
			struct vring_buffer buf;
			unsigned long used;

			for (unsigned int n = 0; n < 3 * 65536; n++) {
				assert_true(virtio_add_outbuf(p->vq, &sg, 1, &used) >= 0);
				virtio_sync(p->vq);
				assert_int_equal(pop(p, &buf), 1);
				vring_device_push(&p->dev, buf.id, 0);
				assert_true(vring_device_flush(&p->dev));
				assert_int_equal(virtio_harvest(p->vq), 1);
				assert_int_equal(pop(p, &buf), 0);
			}
			assert_int_equal(p->kicks, 3 * 65536);
			pair_destroy(p);
		}
	}
}

/* --- memory that changes ------------------------------------------------------------------------------------------------ */

static struct pair *spoiled;
static uint64_t spoiled_table;

/* A translation is asked for after a descriptor was read. Everything the driver could change then changes. */
static void *translate_and_spoil(void *opaque, uint64_t gpa, uint64_t len)
{
	void *p = virtio_mem_at(opaque, gpa, len);
	struct pair *victim = spoiled;

	if (!victim)
		return p;
	spoiled = NULL;
	for (unsigned int i = 0; i < NUM; i++) {
		describe(victim, i, 0, UINT32_MAX, 0x7ff8);
		/* The identifier, too. */
		if (victim->dev.packed)
			victim->dev.ring[i].id ^= 0xffff;
		else
			virtio_put16(false, (uint8_t *)victim->dev.avail + 4 + 2 * (size_t)i, 1);
	}
	spoiled = victim;
	/* Not while the table is only being looked for: it is read after this. */
	if (gpa != spoiled_table)
		memset(virtio_mem_at(opaque, spoiled_table, 32), 0xff, 32);
	return p;
}

static void second_read_of_guest_memory_after_the_check(void **state)
{
	for (int mode = 0; mode < 4; mode++) {
		bool indirect = mode & 2;
		uint64_t m;
		struct pair *p = pair_with_memory(mode & 1, VIRTIO_F_INDIRECT_DESC, &m);
		struct virtio_mem plain = p->mem;
		struct vring_buffer buf;

		p->mem = (struct virtio_mem){ .translate = translate_and_spoil, .opaque = &plain };
		spoiled_table = m + 1024;
		if (indirect) {
			uint8_t *table = virtio_mem_at(&plain, spoiled_table, 16);

			virtio_put64(false, table, m + 64);
			virtio_put32(false, table + 8, 32);
			virtio_put16(false, table + (p->dev.packed ? 14 : 12), WRITE);
			describe(p, 0, spoiled_table, 16, INDIRECT);
		} else {
			describe(p, 0, m + 64, 32, WRITE);
		}
		if (!p->dev.packed)
			virtio_put16(false, (uint8_t *)virtio_mem_at(&plain, p->avail, 4) + 2, 1);
		spoiled = p;
		assert_int_equal(pop(p, &buf), 1);
		spoiled = NULL;
		/* What was checked is what is used. */
		assert_int_equal(buf.in_count, 1);
		assert_int_equal(buf.out_count, 0);
		assert_ptr_equal(buf.in[0].base, virtio_mem_at(&plain, m + 64, 32));
		assert_int_equal(buf.in[0].len, 32);
		assert_int_equal((uint16_t)buf.id, p->dev.packed ? 7 : 0);
		pair_destroy(p);
	}
}

static void event_word_forgotten_in_the_rings_size(void **state)
{
	struct pair *p = pair_create(NUM, VIRTIO_F_EVENT_IDX, false, 0);
	struct vring_device d = { 0 };
	uint64_t end = PAIR_START + PAIR_MEMORY;

	assert_int_equal(vring_avail_bytes(8), 4 + 16 + 2);
	assert_int_equal(vring_used_bytes(8), 4 + 64 + 2);
	/* Laid to the end of memory, without room for the word, and with. Negotiated or not: the rings are as large. */
	for (int event = 0; event < 2; event++) {
		uint64_t features = event ? VIRTIO_F_EVENT_IDX : 0;

		assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, end - 20, p->used, features, false), -VIRTIO_EFAULT);
		assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, end - 22, p->used, features, false), 0);
		assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, p->avail, end - 68, features, false), -VIRTIO_EFAULT);
		assert_int_equal(vring_device_init(&d, &p->mem, 8, p->desc, p->avail, end - 72, features, false), 0);
	}
	pair_destroy(p);
}

/* --- features ----------------------------------------------------------------------------------------------------------- */

static const struct virtio_dev_ops toy_ops = { .name = "toy" };

static void feature_acknowledged_but_not_negotiated(void **state)
{
	struct vring_device queue = { .num_max = NUM };
	struct virtio_dev dev = { .ops = &toy_ops, .queues = &queue, .num_queues = 1, .offered = VIRTIO_F_VERSION_1 };

	/* A driver that acknowledges what was not offered has negotiated nothing. */
	assert_int_equal(virtio_dev_set_features(&dev, VIRTIO_F_VERSION_1 | VIRTIO_F_INDIRECT_DESC), -VIRTIO_EINVAL);
	assert_false(dev.features_final);
	assert_int_equal(dev.features, 0);

	/* One that uses what was not negotiated breaks the ring. */
	EACH_LAYOUT(packed) {
		uint64_t m;
		struct pair *p = pair_with_memory(packed, 0, &m);
		struct vring_buffer buf;

		describe(p, 0, m, 16, INDIRECT);
		offer(p);
		assert_int_equal(pop(p, &buf), -VIRTIO_EPROTO);
		assert_non_null(strstr(p->dev.broken, "not negotiated"));
		pair_destroy(p);
	}
}

/* An event word that nobody negotiated counts for nothing, whatever it says. */
static void event_word_not_negotiated(void **state)
{
	struct pair *p = pair_create(NUM, 0, false, 0);
	struct virtio_iov sg = { pair_alloc(p, 16, 1), 5 };
	struct vring_buffer buf;
	unsigned long used;

	p->dev.avail->ring[NUM] = 1000;
	virtio_put16(false, (uint8_t *)&p->dev.used->ring[NUM], 1000);
	assert_true(virtio_add_outbuf(p->vq, &sg, 1, &used) >= 0);
	virtio_sync(p->vq);
	assert_int_equal(p->kicks, 1);
	assert_int_equal(pop(p, &buf), 1);
	vring_device_push(&p->dev, buf.id, 0);
	assert_true(vring_device_flush(&p->dev));
	pair_destroy(p);

	/* A packed ring's event structure that names a position means "always" without VIRTIO_F_EVENT_IDX. */
	p = pair_create(NUM, PACKED, false, 0);
	sg.base = pair_alloc(p, 16, 1);
	*p->dev.device_event = *p->dev.driver_event = VRING_EVENT_DESC | 5;
	assert_true(virtio_add_outbuf(p->vq, &sg, 1, &used) >= 0);
	virtio_sync(p->vq);
	assert_int_equal(p->kicks, 1);
	assert_int_equal(pop(p, &buf), 1);
	vring_device_push(&p->dev, buf.id, 0);
	assert_true(vring_device_flush(&p->dev));
	pair_destroy(p);
}

static void feature_offered_but_not_implemented(void **state)
{
	/* A device's author offers by mistake what no ring of ours does: it is not agreed to. */
	for (unsigned int bit = 24; bit <= 41; bit++) {
		bool ours = VIRTIO_BIT(bit) & (VIRTIO_DEV_RING_FEATURES | VIRTIO_F_IN_ORDER | VIRTIO_DEV_BUS_FEATURES);
		struct vring_device queue = { .num_max = NUM };
		struct virtio_dev dev = { .ops = &toy_ops, .queues = &queue, .num_queues = 1 };

		if (bit == 30 || bit == 31)
			continue;
		dev.offered = VIRTIO_F_VERSION_1 | VIRTIO_BIT(bit);
		assert_int_equal(virtio_dev_set_features(&dev, dev.offered), ours ? 0 : -VIRTIO_EINVAL);
	}
	/* Nor does our driver take what it does not know. */
	assert_int_equal(VRING_DRIVER_FEATURES & (VIRTIO_F_NOTIFY_ON_EMPTY | VIRTIO_F_ACCESS_PLATFORM | VIRTIO_BIT(36) | VIRTIO_BIT(37)), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_first_descriptor_of_a_chain_served),
		cmocka_unit_test(chain_length_assumed),
		cmocka_unit_test(loop_in_the_chain),
		cmocka_unit_test(direction_flag_not_checked),
		cmocka_unit_test(table_length_zero),
		cmocka_unit_test(wrong_used_len),
		cmocka_unit_test(wrong_used_len_in_a_batch),
		cmocka_unit_test(index_not_wrapped),
		cmocka_unit_test(second_read_of_guest_memory_after_the_check),
		cmocka_unit_test(event_word_forgotten_in_the_rings_size),
		cmocka_unit_test(feature_acknowledged_but_not_negotiated),
		cmocka_unit_test(event_word_not_negotiated),
		cmocka_unit_test(feature_offered_but_not_implemented),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
