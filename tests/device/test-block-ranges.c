/* SPDX-License-Identifier: MIT */
/* Discarding and zeroing ranges of a disk: what the device offers and refuses, and what the driver makes of that. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <device/block_range.h>
#include <virtio/driver-block.h>

#include "bed.h"

#define SECTORS	(FAKE_DISK_SIZE / VIRTIO_BLOCK_SECTOR)

struct fixture {
	struct bed *bed;
	struct fake_disk disk;
	struct virtio_block *blk;
};

static void run_disk(struct bed *bed)
{
	fake_disk_run(&((struct fixture *)bed->opaque)->disk);
}

static int start(void **state, void (*change)(struct block_backend *be))
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_disk_init(&f->disk);
	memset(f->disk.data, 0x11, FAKE_DISK_SIZE);
	if (change)
		change(&f->disk.be);
	f->bed = bed_create();
	f->bed->opaque = f;
	f->bed->idle = run_disk;
	bed_add(f->bed, block_device_create(&f->disk.be));
	bed_boot(f->bed);
	f->blk = bed_alloc(f->bed, sizeof(*f->blk));
	assert_int_equal(virtio_block_probe(f->blk, &bed_next(f->bed, VIRTIO_ID_BLOCK)->vdev), 0);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return start(state, NULL);
}

static void make_read_only(struct block_backend *be)
{
	be->read_only = true;
}

static int setup_read_only(void **state)
{
	return start(state, make_read_only);
}

static void without_discard(struct block_backend *be)
{
	be->discard_unit = 0;
}

static int setup_zeroes_only(void **state)
{
	return start(state, without_discard);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bed_destroy(f->bed);
	free(f);
	return 0;
}

/* Sectors [@from, @to) of the disk are all @byte, and their neighbours are not. */
static void holds(const struct fixture *f, unsigned int from, unsigned int to, uint8_t byte)
{
	for (size_t i = (size_t)from * 512; i < (size_t)to * 512; i++)
		assert_int_equal(f->disk.data[i], byte);
	assert_true(!from || f->disk.data[(size_t)from * 512 - 1] != byte);
	assert_true(to == SECTORS || f->disk.data[(size_t)to * 512] != byte);
}

static uint32_t config32(struct fixture *f, size_t offset)
{
	uint32_t value = 0;

	assert_int_equal(virtio_config_get32(f->blk->vdev, offset, &value), 0);
	return value;
}

static void offered(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(f->blk->max_discard, BLOCK_DISCARD_MAX);
	assert_int_equal(f->blk->max_zeroes, BLOCK_ZEROES_MAX);
	assert_int_equal(config32(f, VIRTIO_BLOCK_CFG_DISCARD_SEGS), BLOCK_RANGES);
	assert_int_equal(config32(f, VIRTIO_BLOCK_CFG_DISCARD_ALIGN), 8);
	assert_int_equal(config32(f, VIRTIO_BLOCK_CFG_ZEROES_SEGS), BLOCK_RANGES);
	assert_int_equal(config32(f, VIRTIO_BLOCK_CFG_MAY_UNMAP), 1);
}

static void does_as_told(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(virtio_block_discard(f->blk, 3, 5), 0);
	holds(f, 3, 8, FAKE_DISK_DISCARDED);
	assert_int_equal(virtio_block_write_zeroes(f->blk, 100, 30, false), 0);
	holds(f, 100, 130, 0);
	assert_int_equal(f->disk.unmaps, 0);
	assert_int_equal(virtio_block_write_zeroes(f->blk, SECTORS - 1, 1, true), 0);
	holds(f, SECTORS - 1, SECTORS, 0);
	assert_int_equal(f->disk.unmaps, 1);
	f->disk.hold = true;
	assert_int_equal(virtio_block_discard(f->blk, 0, SECTORS), 0);
	holds(f, 0, SECTORS, FAKE_DISK_DISCARDED);
	assert_int_equal(f->disk.flushes, 0);
}

static void host_errors(void **state)
{
	struct fixture *f = *state;

	f->disk.fail = -28;
	assert_int_equal(virtio_block_discard(f->blk, 0, 1), -VIRTIO_EIO);
	assert_int_equal(virtio_block_write_zeroes(f->blk, 0, 1, false), -VIRTIO_EIO);
}

/* --- requests made by hand ---------------------------------------------------------------------------------------------- */

struct range {
	uint64_t sector;
	uint32_t sectors, flags;
};

/* A request of @type with @count ranges, and @extra bytes behind them; the driver's error. */
static int ask(struct fixture *f, uint32_t type, const struct range *ranges, unsigned int count, unsigned int extra)
{
	struct virtio_block_request *req = bed_alloc(f->bed, sizeof(*req));
	size_t len = (size_t)count * VIRTIO_BLOCK_RANGE_LEN + extra;
	uint8_t *bytes = bed_alloc(f->bed, len + 1);
	struct virtio_iov piece = { bytes, len };

	for (unsigned int i = 0; i < count; i++) {
		virtio_put64(false, bytes + (size_t)i * 16, ranges[i].sector);
		virtio_put32(false, bytes + (size_t)i * 16 + 8, ranges[i].sectors);
		virtio_put32(false, bytes + (size_t)i * 16 + 12, ranges[i].flags);
	}
	assert_int_equal(virtio_block_submit(f->blk, req, type, 0, &piece, len ? 1 : 0), 0);
	virtio_sync(f->blk->queue);
	while (!req->finished) {
		fake_disk_run(&f->disk);
		virtio_block_poll(f->blk);
	}
	return req->error;
}

static void several_ranges(void **state)
{
	struct fixture *f = *state;
	struct range ranges[BLOCK_RANGES + 1];

	for (unsigned int i = 0; i <= BLOCK_RANGES; i++)
		ranges[i] = (struct range){ i * 10, 2, i % 2 };
	assert_int_equal(ask(f, VIRTIO_BLOCK_T_WRITE_ZEROES, ranges, BLOCK_RANGES, 0), 0);
	for (unsigned int i = 0; i < BLOCK_RANGES; i++)
		holds(f, i * 10, i * 10 + 2, 0);
	assert_int_equal(f->disk.unmaps, BLOCK_RANGES / 2);
	assert_int_equal(f->disk.submits, BLOCK_RANGES);
	/* Held by the disk, one after the other. */
	f->disk.hold = true;
	ranges[1].flags = 0;
	assert_int_equal(ask(f, VIRTIO_BLOCK_T_DISCARD, ranges, 2, 0), 0);
	holds(f, 10, 12, FAKE_DISK_DISCARDED);
	/* 5.2.6.1: no more than the device said. */
	f->disk.submits = 0;
	assert_int_equal(ask(f, VIRTIO_BLOCK_T_WRITE_ZEROES, ranges, BLOCK_RANGES + 1, 0), -VIRTIO_EIO);
	assert_int_equal(f->disk.submits, 0);
}

/* One bad range, in whatever place, and nothing happens at all. */
static void refused_as_a_whole(void **state)
{
	static const struct {
		uint32_t type;
		struct range range;
		int error;
	} cases[] = {
		{ VIRTIO_BLOCK_T_DISCARD, { 0, 1, VIRTIO_BLOCK_RANGE_UNMAP }, -VIRTIO_EOPNOTSUPP },
		{ VIRTIO_BLOCK_T_DISCARD, { 0, 1, 2 }, -VIRTIO_EOPNOTSUPP },
		{ VIRTIO_BLOCK_T_DISCARD, { 0, 1, 0x80000000 }, -VIRTIO_EOPNOTSUPP },
		{ VIRTIO_BLOCK_T_WRITE_ZEROES, { 0, 1, 3 }, -VIRTIO_EOPNOTSUPP },
		{ VIRTIO_BLOCK_T_WRITE_ZEROES, { SECTORS + 1, 1, 4 }, -VIRTIO_EOPNOTSUPP },	/* also out of range */
		{ VIRTIO_BLOCK_T_DISCARD, { SECTORS, 1, 0 }, -VIRTIO_EIO },
		{ VIRTIO_BLOCK_T_DISCARD, { SECTORS - 1, 2, 0 }, -VIRTIO_EIO },
		{ VIRTIO_BLOCK_T_DISCARD, { 1, UINT32_MAX, 0 }, -VIRTIO_EIO },
		{ VIRTIO_BLOCK_T_WRITE_ZEROES, { UINT64_MAX, 1, 0 }, -VIRTIO_EIO },
		{ VIRTIO_BLOCK_T_WRITE_ZEROES, { UINT64_C(1) << 55, 1, 0 }, -VIRTIO_EIO },	/* 0 in bytes */
		{ VIRTIO_BLOCK_T_WRITE_ZEROES, { 0, BLOCK_ZEROES_MAX + 1, 0 }, -VIRTIO_EIO },
	};
	struct fixture *f = *state;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct range ranges[3] = { { 8, 8, 0 }, { 32, 8, 0 }, { 64, 8, 0 } };

		ranges[i % 3] = cases[i].range;
		assert_int_equal(ask(f, cases[i].type, ranges, 3, 0), cases[i].error);
	}
	assert_int_equal(ask(f, VIRTIO_BLOCK_T_DISCARD, NULL, 0, 0), -VIRTIO_EIO);
	assert_int_equal(ask(f, VIRTIO_BLOCK_T_DISCARD, &cases[0].range, 1, 8), -VIRTIO_EIO);
	assert_int_equal(ask(f, VIRTIO_BLOCK_T_WRITE_ZEROES, &cases[0].range, 0, 15), -VIRTIO_EIO);
	assert_int_equal(f->disk.submits, 0);
	assert_null(f->bed->complaint);
}

static void empty_range(void **state)
{
	struct fixture *f = *state;
	struct range ranges[2] = { { SECTORS, 0, 0 }, { 4, 1, 0 } };

	assert_int_equal(ask(f, VIRTIO_BLOCK_T_WRITE_ZEROES, ranges, 2, 0), 0);
	holds(f, 4, 5, 0);
}

static void not_offered(void **state)
{
	struct fixture *f = *state;
	struct range range = { 0, 1, 0 };
	int error = f->blk->read_only ? -VIRTIO_EIO : -VIRTIO_EOPNOTSUPP;

	assert_int_equal(f->blk->max_discard, 0);
	assert_int_equal(config32(f, VIRTIO_BLOCK_CFG_MAX_DISCARD), 0);
	assert_int_equal(virtio_block_discard(f->blk, 0, 1), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(ask(f, VIRTIO_BLOCK_T_DISCARD, &range, 1, 0), error);
	assert_int_equal(config32(f, VIRTIO_BLOCK_CFG_MAY_UNMAP), 0);
	if (f->blk->read_only) {
		assert_int_equal(virtio_block_write_zeroes(f->blk, 0, 1, true), -VIRTIO_EOPNOTSUPP);
		assert_int_equal(ask(f, VIRTIO_BLOCK_T_WRITE_ZEROES, &range, 1, 0), -VIRTIO_EIO);
		assert_int_equal(f->disk.submits, 0);
	} else {
		assert_int_equal(virtio_block_write_zeroes(f->blk, 0, 1, false), 0);
		holds(f, 0, 1, 0);
	}
}

/* Zeroes are written data, which a driver that knows no flushes believes to be safe; what is discarded is nobody's. */
static void write_through(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *vdev = f->blk->vdev;
	struct range ranges[2] = { { 0, 1, 0 }, { 8, 1, 0 } };

	virtio_device_remove(vdev);
	memset(f->blk, 0, sizeof(*f->blk));
	f->bed->host.slot[0].offered &= (uint32_t)~VIRTIO_BLOCK_F_FLUSH;
	lguest_page_restart(&f->bed->host);
	assert_int_equal(virtio_block_probe(f->blk, vdev), 0);
	f->disk.hold = true;
	assert_int_equal(ask(f, VIRTIO_BLOCK_T_WRITE_ZEROES, ranges, 2, 0), 0);
	assert_int_equal(f->disk.flushes, 1);
	assert_int_equal(ask(f, VIRTIO_BLOCK_T_DISCARD, ranges, 2, 0), 0);
	assert_int_equal(f->disk.flushes, 1);
}

/* A reset between two ranges of a request: the second is never begun. */
static void reset_between_ranges(void **state)
{
	struct fixture *f = *state;
	uint8_t *bytes = bed_alloc(f->bed, 32);
	struct virtio_iov piece = { bytes, 32 };

	virtio_put32(false, bytes + 8, 1);
	virtio_put64(false, bytes + 16, 50);
	virtio_put32(false, bytes + 24, 1);
	f->disk.hold = true;
	assert_int_equal(virtio_block_submit(f->blk, &f->blk->own, VIRTIO_BLOCK_T_WRITE_ZEROES, 0, &piece, 1), 0);
	virtio_sync(f->blk->queue);
	assert_int_equal(f->disk.held_count, 1);
	virtio_block_remove(f->blk);
	assert_int_equal(f->disk.held_count, 0);
	assert_int_equal(f->disk.submits, 1);
	holds(f, 0, 1, 0);
}

#define WITH(test, setup) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH(offered, setup),
		WITH(does_as_told, setup),
		WITH(host_errors, setup),
		WITH(several_ranges, setup),
		WITH(refused_as_a_whole, setup),
		WITH(empty_range, setup),
		WITH(not_offered, setup_read_only),
		WITH(not_offered, setup_zeroes_only),
		WITH(write_through, setup),
		WITH(reset_between_ranges, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
