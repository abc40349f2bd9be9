/* SPDX-License-Identifier: MIT */
/* The entropy device and its driver, over the lguest bus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-rng.h>

#include "bed.h"

struct fixture {
	struct bed *bed;
	struct fake_entropy fake;
	struct virtio_rng *rng;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->bed = bed_create();
	fake_entropy_init(&f->fake);
	bed_add(f->bed, rng_device_create(&f->fake.be));
	bed_boot(f->bed);
	f->rng = bed_alloc(f->bed, sizeof(*f->rng));
	assert_int_equal(virtio_rng_probe(f->rng, &bed_next(f->bed, VIRTIO_ID_RNG)->vdev), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bed_destroy(f->bed);
	free(f);
	return 0;
}

static void expect_sequence(struct fixture *f, size_t len)
{
	uint8_t bytes[2000], first = f->fake.next;

	assert_int_equal(virtio_rng_read(f->rng, bytes, len), 0);
	for (size_t i = 0; i < len; i++)
		assert_int_equal(bytes[i], (uint8_t)(first + 1 + i));
}

static void fills(void **state)
{
	struct fixture *f = *state;

	expect_sequence(f, 1);
	expect_sequence(f, 256);
	expect_sequence(f, 2000);
	assert_int_equal(virtio_rng_read(f->rng, NULL, 0), 0);
}

/* A source that gives little at a time. */
static void fills_from_a_poor_source(void **state)
{
	struct fixture *f = *state;

	f->fake.limit = 3;
	expect_sequence(f, 100);
}

/* A buffer of half the memory is begun, not filled. */
static void greedy(void **state)
{
	struct fixture *f = *state;
	struct virtio_iov sg = { f->bed->memory + BED_RAM / 2, BED_RAM / 2 };
	unsigned long used;

	assert_true(virtio_add_inbuf(f->rng->queue, &sg, 0, 1, &used) >= 0);
	virtio_sync(f->rng->queue);
	assert_int_equal(virtio_wait_done(f->rng->queue, &used), 0);
	assert_in_range(used, 1, 65536);
}

/* A buffer that cannot be written gets nothing, and the driver does not wait for ever. */
static void nothing_to_write(void **state)
{
	struct fixture *f = *state;
	struct virtio_iov sg = { f->rng->buffer, 16 };
	unsigned long used;

	assert_true(virtio_add_outbuf(f->rng->queue, &sg, 1, &used) >= 0);
	virtio_sync(f->rng->queue);
	assert_int_equal(virtio_wait_done(f->rng->queue, &used), 0);
	expect_sequence(f, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fills, setup, teardown),
		cmocka_unit_test_setup_teardown(fills_from_a_poor_source, setup, teardown),
		cmocka_unit_test_setup_teardown(greedy, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_to_write, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
