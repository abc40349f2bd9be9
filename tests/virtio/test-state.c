/* SPDX-License-Identifier: MIT */
/* A device's queues, stopped, written down, and gone on with elsewhere; and one queue reset while the others live. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/clause.h>
#include <virtio/device.h>

#include "pair.h"

#define EVENT	 VIRTIO_F_EVENT_IDX
#define IN_ORDER VIRTIO_F_IN_ORDER
#define PACKED	 (VIRTIO_F_RING_PACKED | VIRTIO_F_VERSION_1)

static const uint64_t layouts[] = { 0, EVENT, IN_ORDER, PACKED, PACKED | EVENT, PACKED | IN_ORDER | EVENT };

#define EACH_LAYOUT(i) for (unsigned int i = 0; i < sizeof(layouts) / sizeof(*layouts); i++)

/* Stop the pair's device, and go on with another in its place that knows no more than was written down. */
static void move(struct pair *p)
{
	struct vring_device_state state;

	assert_int_equal(vring_device_save(&p->dev, &state), 0);
	memset(&p->dev, 0xa5, sizeof(p->dev));
	assert_int_equal(vring_device_load(&p->dev, &p->mem, &state), 0);
}

/*
 * Traffic goes on while the device moves, at every moment at which it can: with buffers waiting, with buffers in the device's hands, with
 * buffers finished that the driver has not collected. Long enough for all counters to wrap.
 */
static void live_queue(uint64_t features, bool big)
{
	struct pair *p = pair_create(8, features, big, 0);
	char *m = pair_alloc(p, 64, 1);
	struct virtio_iov sg[2] = { { m, 1 }, { m + 8, 8 } }, iov[8];
	unsigned long used[4];
	uint32_t number = 0;

	for (unsigned int round = 0; round < 20000; round++) {
		struct vring_buffer held[3];

		for (unsigned int i = 0; i < 3; i++) {
			sg[1].len = 1 + (number + i) % 8;
			assert_true(virtio_add_inbuf(p->vq, sg, 1, 2, &used[i]) >= 0);
		}
		virtio_sync(p->vq);
		for (unsigned int i = 0; i < 3; i++) {
			if (round % 5 == i)
				move(p);
			assert_int_equal(vring_device_pop(&p->dev, &held[i], iov, 8), 1);
			assert_int_equal(held[i].in_len, 1 + (number + i) % 8);
		}
		assert_int_equal(vring_device_pop(&p->dev, &held[0], iov, 0), 0);
		for (unsigned int i = 0; i < 3; i++) {
			vring_device_push(&p->dev, held[i].id, (number + i) % 8);
			assert_true(vring_device_flush(&p->dev) || i || features & EVENT);
			if (round % 7 == i)
				move(p);
		}
		assert_int_equal(virtio_harvest(p->vq), 3);
		for (unsigned int i = 0; i < 3; i++)
			assert_int_equal(used[i], (number + i) % 8);
		number += 3;
	}
	assert_int_equal(p->resets, 0);
	pair_destroy(p);
}

static void a_live_queue_moves(void **state)
{
	live_queue(0, true);
	EACH_LAYOUT(i)
		live_queue(layouts[i], false);
}

static void what_cannot_be_saved(void **state)
{
	EACH_LAYOUT(i) {
		struct pair *p = pair_create(8, layouts[i], false, 0);
		struct vring_device_state saved;
		struct vring_device none = { 0 };
		char *m = pair_alloc(p, 16, 1);
		struct virtio_iov sg = { m, 1 }, iov[8];
		struct vring_buffer buf;
		unsigned long used;

		assert_int_equal(vring_device_save(NULL, &saved), -VIRTIO_EINVAL);
		assert_int_equal(vring_device_save(&p->dev, NULL), -VIRTIO_EINVAL);
		virtio_add_outbuf(p->vq, &sg, 1, &used);
		virtio_sync(p->vq);
		assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
		vring_device_push(&p->dev, buf.id, 0);
		assert_int_equal(vring_device_save(&p->dev, &saved), -VIRTIO_EBUSY);
		vring_device_flush(&p->dev);
		assert_int_equal(vring_device_save(&p->dev, &saved), 0);
		vring_device_break(&p->dev, "test");
		assert_int_equal(vring_device_save(&p->dev, &saved), -VIRTIO_EPROTO);
		/* A queue that nobody uses is a state, too. */
		assert_int_equal(vring_device_save(&none, &saved), 0);
		assert_int_equal(vring_device_load(&p->dev, &p->mem, &saved), 0);
		assert_int_equal(p->dev.num, 0);
		pair_destroy(p);
	}
}

/* A state comes from a file, and may say anything. */
static void what_cannot_be_loaded(void **state)
{
	EACH_LAYOUT(i) {
		struct pair *p = pair_create(8, layouts[i], false, 0);
		struct vring_device d = { 0 };
		struct vring_device_state good, bad;

		assert_int_equal(vring_device_save(&p->dev, &good), 0);
		assert_int_equal(vring_device_load(NULL, &p->mem, &good), -VIRTIO_EINVAL);
		assert_int_equal(vring_device_load(&d, NULL, &good), -VIRTIO_EINVAL);
		assert_int_equal(vring_device_load(&d, &p->mem, NULL), -VIRTIO_EINVAL);
		assert_int_equal(vring_device_load(&d, &p->mem, &good), 0);

#define REFUSED(change, error)                                                                                                         \
	do {                                                                                                                           \
		bad = good;                                                                                                            \
		bad.change;                                                                                                            \
		assert_int_equal(vring_device_load(&d, &p->mem, &bad), -(error));                                                      \
		assert_int_equal(d.num, 0);                                                                                            \
	} while (0)
		REFUSED(version = 0, VIRTIO_EINVAL);
		REFUSED(version = VRING_STATE_VERSION + 1, VIRTIO_EINVAL);
		REFUSED(num = 65536, VIRTIO_EINVAL);
		REFUSED(num = UINT32_MAX, VIRTIO_EINVAL);
		REFUSED(desc += 8, VIRTIO_EINVAL);
		REFUSED(desc = 0, VIRTIO_EFAULT);
		REFUSED(used = UINT64_MAX - 3, VIRTIO_EFAULT);
		REFUSED(in_flight = 9, VIRTIO_EINVAL);
		REFUSED(in_flight = 1, VIRTIO_EINVAL);
		/* Taking ahead of giving back, with nothing in flight; in a packed ring also behind, and outside. */
		REFUSED(base += 1, VIRTIO_EINVAL);
		REFUSED(base += 0x10000, VIRTIO_EINVAL);
		if (layouts[i] & VIRTIO_F_RING_PACKED) {
			REFUSED(base = 0x80088008, VIRTIO_EINVAL);
			REFUSED(features &= ~VIRTIO_F_VERSION_1, VIRTIO_EINVAL);
		}
		pair_destroy(p);
	}
}

static void vhost_base(void **state)
{
	EACH_LAYOUT(i) {
		struct pair *p = pair_create(8, layouts[i], false, 0);
		bool packed = layouts[i] & VIRTIO_F_RING_PACKED;
		char *m = pair_alloc(p, 16, 1);
		struct virtio_iov sg = { m, 1 }, iov[8];
		struct vring_buffer buf;
		struct vring_device none = { 0 };
		unsigned long used;
		uint32_t base;

		assert_int_equal(vring_device_base(&p->dev), packed ? 0x80008000 : 0);
		assert_int_equal(vring_device_base(NULL), 0);
		assert_int_equal(vring_device_set_base(NULL, 0), -VIRTIO_EINVAL);
		assert_int_equal(vring_device_set_base(&none, 0), -VIRTIO_EINVAL);
		for (unsigned int n = 0; n < 9; n++) {
			virtio_add_outbuf(p->vq, &sg, 1, &used);
			virtio_sync(p->vq);
			assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
			vring_device_push(&p->dev, buf.id, 0);
			vring_device_flush(&p->dev);
			base = vring_device_base(&p->dev);
			assert_int_equal(vring_device_init(&p->dev, &p->mem, 8, p->desc, p->avail, p->used, layouts[i], false), 0);
			assert_int_equal(vring_device_set_base(&p->dev, base), 0);
			assert_int_equal(virtio_harvest(p->vq), 1);
		}
		assert_int_equal(base, packed ? 0x00010001 : 9);
		if (packed) {
			assert_int_equal(vring_device_set_base(&p->dev, 8), -VIRTIO_EINVAL);
			assert_int_equal(vring_device_set_base(&p->dev, 0x80000), -VIRTIO_EINVAL);
		}
		pair_destroy(p);
	}
}

/* --- one queue's reset -------------------------------------------------------------------------------------------------- */

/* A buffer in the device's hands costs its queue, not the device. */
static void detach_resets_the_queue(void **state)
{
	EACH_LAYOUT(i) {
		struct pair *p = pair_create(8, layouts[i] | VIRTIO_F_RING_RESET, false, 0);
		char *m = pair_alloc(p, 16, 1);
		struct virtio_iov sg = { m, 9 }, iov[8];
		struct vring_buffer buf;
		unsigned long used[2];

		for (unsigned int round = 0; round < 5; round++) {
			long id = virtio_add_inbuf(p->vq, &sg, 0, 1, &used[0]);

			virtio_add_inbuf(p->vq, &sg, 0, 1, &used[1]);
			virtio_sync(p->vq);
			assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
			virtio_detach_inbuf(p->vq, id);
			assert_int_equal(used[0], VIRTIO_CANCELLED);
			assert_int_equal(used[1], VIRTIO_CANCELLED);
			assert_int_equal(p->queue_resets, round + 1);
			assert_int_equal(p->vq->ops->room(p->vq), 8);
			/* It works again. */
			assert_true(virtio_add_inbuf(p->vq, &sg, 0, 1, &used[0]) >= 0);
			virtio_sync(p->vq);
			assert_int_equal(vring_device_pop(&p->dev, &buf, iov, 8), 1);
			vring_device_push(&p->dev, buf.id, 3);
			vring_device_flush(&p->dev);
			assert_int_equal(virtio_harvest(p->vq), 1);
			assert_int_equal(used[0], 3);
		}
		assert_int_equal(p->resets, 0);
		pair_destroy(p);
	}
}

static void queue_reset_is_negotiated(void **state)
{
	struct pair *p = pair_create(8, 0, false, 0);

	assert_int_equal(virtio_queue_reset(NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_queue_reset(p->vq), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(p->queue_resets, 0);
	pair_destroy(p);
}

static void refuse_queue(struct virtio_dev *dev, unsigned int queue)
{
	assert_int_equal(queue, 1);
	++*(unsigned int *)dev->transport_data;
}

/* The device's end: told, and then the ring is as it was at first. */
static void device_resets_a_queue(void **state)
{
	static const struct virtio_dev_ops ops = { .name = "toy", .queue_reset = refuse_queue };
	struct pair *p = pair_create(8, 0, false, 0);
	struct vring_device queues[2] = { { .num_max = 8 }, { .num_max = 8 } };
	unsigned int told = 0;
	struct virtio_dev dev = { .ops = &ops, .queues = queues, .num_queues = 2, .mem = &p->mem, .transport_data = &told };

	dev.offered = VIRTIO_DEV_RING_FEATURES | VIRTIO_F_RING_RESET;
	assert_int_equal(virtio_dev_set_features(&dev, VIRTIO_F_VERSION_1), 0);
	assert_int_equal(virtio_dev_reset_queue(&dev, 1), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(virtio_dev_set_features(&dev, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET), 0);
	assert_int_equal(virtio_dev_set_queue(&dev, 0, 8, p->desc, p->avail, p->used), 0);
	assert_int_equal(virtio_dev_set_queue(&dev, 1, 8, p->desc, p->avail, p->used), 0);
	queues[1].last_avail = 5;
	assert_int_equal(virtio_dev_reset_queue(&dev, 2), -VIRTIO_ENOENT);
	assert_int_equal(virtio_dev_reset_queue(NULL, 0), -VIRTIO_ENOENT);
	assert_int_equal(virtio_dev_reset_queue(&dev, 1), 0);
	assert_int_equal(told, 1);
	assert_int_equal(queues[0].num, 8);
	assert_int_equal(queues[1].num, 0);
	assert_int_equal(queues[1].num_max, 8);
	/* With other numbers than before. */
	assert_int_equal(virtio_dev_set_queue(&dev, 1, 4, p->desc, p->avail, p->used), 0);
	assert_int_equal(queues[1].num, 4);
	assert_int_equal(queues[1].last_avail, 0);
	pair_destroy(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_live_queue_moves),
		cmocka_unit_test(what_cannot_be_saved),
		cmocka_unit_test(what_cannot_be_loaded),
		cmocka_unit_test(vhost_base),
		CLAUSE("2.6.1.1.2-1 2.6.1.2.2-1", detach_resets_the_queue),
		cmocka_unit_test(queue_reset_is_negotiated),
		CLAUSE("2.6.1.1.1-1 2.6.1.1.1-2 2.6.1.2.1-1", device_resets_a_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
