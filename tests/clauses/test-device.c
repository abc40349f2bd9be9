/* SPDX-License-Identifier: MIT */
/* Clauses of virtio 1.2, 2.1 to 2.6, that a device keeps or sees to: status, features, reset, configuration, queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/clause.h>
#include <tests/device/bed.h>
#include <virtio/balloon.h>
#include <virtio/block.h>
#include <virtio/net.h>

#define OFFERED (VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET | VIRTIO_BIT(0) | VIRTIO_BIT(1))
#define NUM	8u
#define ACKNOWLEDGE	VIRTIO_STATUS_ACKNOWLEDGE
#define DRIVER		VIRTIO_STATUS_DRIVER
#define FEATURES_OK	VIRTIO_STATUS_FEATURES_OK
#define DRIVER_OK	VIRTIO_STATUS_DRIVER_OK
#define NEEDS_RESET	VIRTIO_STATUS_NEEDS_RESET
#define FAILED		VIRTIO_STATUS_FAILED
#define READY		(ACKNOWLEDGE | DRIVER | FEATURES_OK)

/* A device that wants bit 1 to come with bit 0, and a driver made of words in memory. */
struct toy {
	struct virtio_dev dev;
	struct vring_device queue;
	struct virtio_mem mem;
	uint8_t memory[8192] __attribute__((aligned(16)));
	unsigned int starts, interrupts, config_changes, broken;
};

static struct toy *of(struct virtio_dev *dev)
{
	return (struct toy *)dev;
}

static int toy_features_ok(struct virtio_dev *dev)
{
	/* 2.2.1-2 of a device of its own. */
	return virtio_dev_has(dev, VIRTIO_BIT(1)) && !virtio_dev_has(dev, VIRTIO_BIT(0)) ? -VIRTIO_EINVAL : 0;
}

static void toy_start(struct virtio_dev *dev)
{
	of(dev)->starts++;
}

static void toy_config_get(struct virtio_dev *dev, void *config)
{
	virtio_put32(dev->big_endian, config, 0x01020304);
}

static const struct virtio_dev_ops toy_ops = {
	.name = "toy", .features_ok = toy_features_ok, .start = toy_start, .config_get = toy_config_get,
};

static void on_interrupt(struct virtio_dev *dev, unsigned int queue)
{
	of(dev)->interrupts++;
}

static void on_config_changed(struct virtio_dev *dev)
{
	of(dev)->config_changes++;
}

static void on_broken(struct virtio_dev *dev)
{
	of(dev)->broken++;
}

static const struct virtio_transport_ops bus_ops = {
	.interrupt = on_interrupt, .config_changed = on_config_changed, .broken = on_broken,
};

/* One buffer of 16 bytes to be written lies in the ring. */
static int place(struct toy *t)
{
	virtio_put64(false, t->memory, 4096);
	virtio_put32(false, t->memory + 8, 16);
	virtio_put16(false, t->memory + 12, VRING_DESC_WRITE);
	virtio_put16(false, t->memory + 1024 + 2, 1);
	return virtio_dev_set_queue(&t->dev, 0, NUM, 0, 1024, 2048);
}

static int setup(void **state)
{
	struct toy *t = calloc(1, sizeof(*t));

	t->dev = (struct virtio_dev){
		.ops = &toy_ops, .id = 42, .offered = OFFERED, .config_len = 8, .queues = &t->queue, .num_queues = 1, .transport = &bus_ops,
	};
	t->queue.num_max = NUM;
	t->mem = (struct virtio_mem){ .base = t->memory, .size = sizeof(t->memory) };
	t->dev.mem = &t->mem;
	virtio_dev_reset(&t->dev);
	*state = t;
	return 0;
}

static int teardown(void **state)
{
	free(*state);
	return 0;
}

static int pop(struct toy *t, struct vring_buffer *buf)
{
	struct virtio_iov iov[NUM];

	return virtio_dev_pop(&t->dev, 0, buf, iov, NUM);
}

static void begin(struct toy *t, uint64_t features)
{
	virtio_dev_set_status(&t->dev, ACKNOWLEDGE | DRIVER);
	assert_int_equal(virtio_dev_set_features(&t->dev, features), 0);
	virtio_dev_set_status(&t->dev, READY);
	assert_int_equal(place(t), 0);
}

static void bits_stay(void **state)
{
	struct toy *t = *state;

	assert_int_equal(virtio_dev_set_status(&t->dev, ACKNOWLEDGE), ACKNOWLEDGE);
	assert_int_equal(virtio_dev_set_status(&t->dev, DRIVER), ACKNOWLEDGE | DRIVER);
	assert_int_equal(virtio_dev_set_status(&t->dev, FEATURES_OK), READY);
	assert_int_equal(virtio_dev_set_status(&t->dev, ACKNOWLEDGE), READY);
}

/* A driver that gave up does not get the device to run before it was reset. */
static void failed_is_final(void **state)
{
	struct toy *t = *state;

	begin(t, VIRTIO_F_VERSION_1);
	virtio_dev_set_status(&t->dev, READY | FAILED);
	virtio_dev_set_status(&t->dev, READY | DRIVER_OK);
	assert_int_equal(t->starts, 0);
	virtio_dev_set_status(&t->dev, 0);
	begin(t, VIRTIO_F_VERSION_1);
	virtio_dev_set_status(&t->dev, READY | DRIVER_OK);
	assert_int_equal(t->starts, 1);
}

/* DRIVER_OK of a driver that accepted VERSION_1 and never said FEATURES_OK: it did not read what the device thinks of its features. */
static void order_of_bits(void **state)
{
	struct toy *t = *state;

	virtio_dev_set_status(&t->dev, ACKNOWLEDGE | DRIVER);
	assert_int_equal(virtio_dev_set_features(&t->dev, VIRTIO_F_VERSION_1), 0);
	place(t);
	assert_true(virtio_dev_set_status(&t->dev, ACKNOWLEDGE | DRIVER | DRIVER_OK) & NEEDS_RESET);
	assert_int_equal(t->starts, 0);
	assert_int_equal(t->broken, 1);
	/* A legacy driver has no such bit. */
	virtio_dev_set_status(&t->dev, 0);
	virtio_dev_set_status(&t->dev, ACKNOWLEDGE | DRIVER);
	assert_int_equal(virtio_dev_set_features(&t->dev, 0), 0);
	place(t);
	assert_int_equal(virtio_dev_set_status(&t->dev, ACKNOWLEDGE | DRIVER | DRIVER_OK), ACKNOWLEDGE | DRIVER | DRIVER_OK);
	assert_int_equal(t->starts, 1);
}

static void silent_before_driver_ok(void **state)
{
	struct toy *t = *state;
	struct vring_buffer buf;

	begin(t, VIRTIO_F_VERSION_1);
	assert_int_equal(pop(t, &buf), 0);
	virtio_dev_push(&t->dev, 0, 0, 0);
	virtio_dev_flush(&t->dev, 0);
	assert_int_equal(t->interrupts, 0);
	assert_int_equal(virtio_get16(false, t->memory + 2048 + 2), 0);
	virtio_dev_set_status(&t->dev, READY | DRIVER_OK);
	assert_int_equal(pop(t, &buf), 1);
	virtio_dev_push(&t->dev, 0, buf.id, 0);
	virtio_dev_flush(&t->dev, 0);
	assert_int_equal(t->interrupts, 1);
}

static void breaking_is_announced(void **state)
{
	struct toy *t = *state;

	begin(t, VIRTIO_F_VERSION_1);
	virtio_dev_break(&t->dev, "before DRIVER_OK");
	assert_int_equal(t->config_changes, 0);
	virtio_dev_reset(&t->dev);
	begin(t, VIRTIO_F_VERSION_1);
	virtio_dev_set_status(&t->dev, READY | DRIVER_OK);
	virtio_dev_break(&t->dev, "after");
	virtio_dev_break(&t->dev, "again");
	assert_int_equal(t->config_changes, 1);
	assert_int_equal(t->broken, 2);
	assert_int_equal(t->dev.status, READY | DRIVER_OK | NEEDS_RESET);
}

static void only_offered_features(void **state)
{
	struct toy *t = *state;

	assert_int_equal(virtio_dev_set_features(&t->dev, VIRTIO_BIT(2)), -VIRTIO_EINVAL);
	assert_int_equal(virtio_dev_set_features(&t->dev, VIRTIO_F_VERSION_1 | VIRTIO_BIT(63)), -VIRTIO_EINVAL);
	assert_int_equal(t->dev.features, 0);
}

static void features_that_belong_together(void **state)
{
	struct toy *t = *state;

	virtio_dev_set_status(&t->dev, ACKNOWLEDGE | DRIVER);
	assert_int_equal(virtio_dev_set_features(&t->dev, VIRTIO_F_VERSION_1 | VIRTIO_BIT(1)), -VIRTIO_EINVAL);
	t->dev.features = VIRTIO_BIT(1);
	assert_int_equal(virtio_dev_set_status(&t->dev, READY), ACKNOWLEDGE | DRIVER);
	assert_int_equal(virtio_dev_set_features(&t->dev, VIRTIO_F_VERSION_1 | VIRTIO_BIT(0) | VIRTIO_BIT(1)), 0);
	assert_int_equal(virtio_dev_set_status(&t->dev, READY), READY);
	/* The packed ring has no legacy form. */
	virtio_dev_reset(&t->dev);
	t->dev.offered |= VIRTIO_F_RING_PACKED;
	assert_int_equal(virtio_dev_set_features(&t->dev, VIRTIO_F_RING_PACKED), -VIRTIO_EINVAL);
}

static void features_are_final(void **state)
{
	struct toy *t = *state;

	begin(t, VIRTIO_F_VERSION_1);
	assert_int_equal(virtio_dev_set_features(&t->dev, VIRTIO_F_VERSION_1 | VIRTIO_BIT(0)), -VIRTIO_EINVAL);
	assert_int_equal(t->dev.features, VIRTIO_F_VERSION_1);
}

/* What our devices offer comes with what it requires (5.1.3.1, 5.5.3). */
static void offers_are_complete(void **state)
{
	static const struct {
		uint64_t bit, needs;
	} net[] = {
		{ VIRTIO_NET_F_GUEST_TSO4, VIRTIO_NET_F_GUEST_CSUM }, { VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_CSUM },
		{ VIRTIO_NET_F_GUEST_ECN, VIRTIO_NET_F_GUEST_TSO4 }, { VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_CSUM },
		{ VIRTIO_NET_F_HOST_TSO6, VIRTIO_NET_F_CSUM }, { VIRTIO_NET_F_HOST_ECN, VIRTIO_NET_F_HOST_TSO4 },
	};

	for (int offload = 0; offload < 2; offload++) {
		struct fake_net fake;
		struct virtio_dev *dev;

		fake_net_init(&fake, offload);
		dev = net_device_create(&fake.be);
		for (size_t i = 0; i < sizeof(net) / sizeof(*net); i++)
			assert_true(!(dev->offered & net[i].bit) || (dev->offered & net[i].needs));
		assert_true(!(dev->offered & VIRTIO_F_RING_PACKED) || (dev->offered & VIRTIO_F_VERSION_1));
		virtio_dev_destroy(dev);
	}
}

/* Whatever a driver leaves out, if the rest makes sense it is agreed to, before and after a reset. */
static void sound_subsets(void **state)
{
	struct fake_net fake;
	struct virtio_dev *dev;

	fake_net_init(&fake, true);
	dev = net_device_create(&fake.be);
	for (unsigned int i = 0; i < 64; i++) {
		for (unsigned int j = 0; j < 64; j++) {
			uint64_t features = dev->offered & ~VIRTIO_BIT(i) & ~VIRTIO_BIT(j);
			bool sound = virtio_net_features_sound(features) &&
				     (!(features & VIRTIO_F_RING_PACKED) || (features & VIRTIO_F_VERSION_1));

			for (int again = 0; again < 2; again++) {
				assert_int_equal(virtio_dev_set_features(dev, features), sound ? 0 : -VIRTIO_EINVAL);
				virtio_dev_reset(dev);
			}
		}
	}
	virtio_dev_destroy(dev);
}

static void legacy_drivers(void **state)
{
	struct toy *t = *state;
	uint8_t c[4];

	t->dev.legacy_big_endian = true;
	virtio_dev_reset(&t->dev);
	assert_int_equal(virtio_dev_set_features(&t->dev, 0), 0);
	assert_int_equal(virtio_dev_config_read(&t->dev, 0, c, 4), 0);
	assert_memory_equal(c, "\1\2\3\4", 4);
	assert_int_equal(virtio_dev_set_features(&t->dev, VIRTIO_F_VERSION_1), 0);
	assert_int_equal(virtio_dev_config_read(&t->dev, 0, c, 4), 0);
	assert_memory_equal(c, "\4\3\2\1", 4);
}

static void after_a_reset(void **state)
{
	struct toy *t = *state;
	struct vring_buffer buf;
	uint8_t before[sizeof(t->memory)];

	begin(t, VIRTIO_F_VERSION_1);
	virtio_dev_set_status(&t->dev, READY | DRIVER_OK);
	assert_int_equal(pop(t, &buf), 1);
	memcpy(before, t->memory, sizeof(before));
	assert_int_equal(virtio_dev_set_status(&t->dev, 0), 0);
	assert_int_equal(t->dev.status, 0);
	/* The device finishes what it had taken. */
	virtio_dev_push(&t->dev, 0, buf.id, 16);
	virtio_dev_flush(&t->dev, 0);
	assert_int_equal(pop(t, &buf), 0);
	virtio_dev_kick(&t->dev, 0);
	assert_int_equal(t->interrupts, 0);
	assert_memory_equal(t->memory, before, sizeof(before));
}

static void config_before_features_ok(void **state)
{
	struct toy *t = *state;
	uint8_t c[8];

	for (size_t offset = 0; offset < 8; offset++)
		assert_int_equal(virtio_dev_config_read(&t->dev, offset, c, 8 - offset), 0);
	virtio_dev_set_status(&t->dev, ACKNOWLEDGE);
	assert_int_equal(virtio_dev_config_read(&t->dev, 0, c, 4), 0);
	assert_memory_equal(c, "\4\3\2\1", 4);
}

/* --- one queue ----------------------------------------------------------------------------------------------------------- */

static void queue_after_a_reset(void **state)
{
	struct toy *t = *state;
	struct vring_buffer buf;
	uint8_t before[sizeof(t->memory)];

	begin(t, VIRTIO_F_VERSION_1 | VIRTIO_F_RING_RESET);
	virtio_dev_set_status(&t->dev, READY | DRIVER_OK);
	assert_int_equal(pop(t, &buf), 1);
	memcpy(before, t->memory, sizeof(before));
	assert_int_equal(virtio_dev_reset_queue(&t->dev, 0), 0);
	assert_int_equal(pop(t, &buf), 0);
	virtio_dev_push(&t->dev, 0, 0, 16);
	virtio_dev_flush(&t->dev, 0);
	assert_int_equal(t->interrupts, 0);
	assert_memory_equal(t->memory, before, sizeof(before));
	assert_int_equal(t->queue.num, 0);
	assert_int_equal(t->queue.last_avail, 0);
	assert_int_equal(t->queue.used_idx, 0);
	assert_int_equal(t->queue.in_flight, 0);
	assert_int_equal(t->queue.num_max, NUM);
	/* Enabled again, elsewhere and smaller. */
	virtio_put64(false, t->memory + 4608, 4096);
	virtio_put32(false, t->memory + 4608 + 8, 8);
	virtio_put16(false, t->memory + 5120 + 2, 1);
	assert_int_equal(virtio_dev_set_queue(&t->dev, 0, NUM / 2, 4608, 5120, 5632), 0);
	assert_int_equal(pop(t, &buf), 1);
	assert_int_equal(buf.out_len, 8);
	assert_int_equal(t->queue.num, NUM / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAUSE_SETUP("2.1.1-2", bits_stay, setup, teardown),
		CLAUSE_SETUP("2.1.1-3", failed_is_final, setup, teardown),
		CLAUSE_SETUP("2.1.1-1 3.1.1-1", order_of_bits, setup, teardown),
		CLAUSE_SETUP("2.1.2-1", silent_before_driver_ok, setup, teardown),
		CLAUSE_SETUP("2.1.2-2 2.1.2-3", breaking_is_announced, setup, teardown),
		CLAUSE_SETUP("2.2.1-1", only_offered_features, setup, teardown),
		CLAUSE_SETUP("2.2.1-2 2.2.2-2", features_that_belong_together, setup, teardown),
		CLAUSE_SETUP("3.1.1-2", features_are_final, setup, teardown),
		CLAUSE_SETUP("2.2.2-1", offers_are_complete, setup, teardown),
		CLAUSE("2.2.2-3 2.2.2-4", sound_subsets),
		CLAUSE_SETUP("2.2.3-1 2.5.3-1", legacy_drivers, setup, teardown),
		CLAUSE_SETUP("2.4.1-1 2.4.1-2", after_a_reset, setup, teardown),
		CLAUSE_SETUP("2.5.2-1", config_before_features_ok, setup, teardown),
		CLAUSE_SETUP("2.6.1.1.1-1 2.6.1.1.1-2 2.6.1.2.1-1", queue_after_a_reset, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
