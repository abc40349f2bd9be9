/* SPDX-License-Identifier: MIT */
/* The disk device and its driver, over the lguest bus; and requests that no decent driver would make. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-block.h>

#include "bed.h"

struct fixture {
	struct bed *bed;
	struct fake_disk disk;
	struct virtio_block *blk;
	bool closed;
};

static void run_disk(struct bed *bed)
{
	fake_disk_run(&((struct fixture *)bed->opaque)->disk);
}

static void prepare(struct fixture *f)
{
	f->bed = bed_create();
	f->bed->opaque = f;
	f->bed->idle = run_disk;
	f->disk.closed = &f->closed;
	for (size_t i = 0; i < FAKE_DISK_SIZE; i++)
		f->disk.data[i] = (uint8_t)(i / 512 * 3 + i);
	bed_add(f->bed, block_device_create(&f->disk.be));
	bed_boot(f->bed);
	f->blk = bed_alloc(f->bed, sizeof(*f->blk));
	assert_int_equal(virtio_block_probe(f->blk, &bed_next(f->bed, VIRTIO_ID_BLOCK)->vdev), 0);
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_disk_init(&f->disk);
	prepare(f);
	*state = f;
	return 0;
}

static int setup_read_only(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_disk_init(&f->disk);
	f->disk.be.read_only = true;
	f->disk.be.block_size = 4096;
	prepare(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bed_destroy(f->bed);
	assert_true(f->closed);
	free(f);
	return 0;
}

static void says_what_it_is(void **state)
{
	struct fixture *f = *state;
	char id[VIRTIO_BLOCK_ID_LEN + 1];

	assert_int_equal(f->blk->capacity, FAKE_DISK_SIZE / 512);
	assert_int_equal(f->blk->block_size, 512);
	assert_int_equal(f->blk->seg_max, 126);
	assert_false(f->blk->read_only);
	assert_true(f->blk->flush);
	assert_int_equal(virtio_block_get_id(f->blk, id), 0);
	assert_string_equal(id, "KENNEL-0123456789ABC");
}

static void reads_and_writes(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = bed_alloc(f->bed, 8192);

	assert_int_equal(virtio_block_read(f->blk, 5, data, 8192), 0);
	assert_memory_equal(data, f->disk.data + 5 * 512, 8192);
	memset(data, 0x77, 1024);
	assert_int_equal(virtio_block_write(f->blk, 3, data, 1024), 0);
	assert_memory_equal(f->disk.data + 3 * 512, data, 1024);
	assert_int_equal(f->disk.flushes, 0);
	assert_int_equal(virtio_block_flush(f->blk), 0);
	assert_int_equal(f->disk.flushes, 1);
}

static void ends_of_the_disk(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = bed_alloc(f->bed, 1024);
	uint64_t last = f->blk->capacity - 1;

	assert_int_equal(virtio_block_read(f->blk, last, data, 512), 0);
	assert_int_equal(virtio_block_read(f->blk, last, data, 1024), -VIRTIO_EIO);
	assert_int_equal(virtio_block_read(f->blk, last + 1, data, 512), -VIRTIO_EIO);
	assert_int_equal(virtio_block_write(f->blk, last, data, 1024), -VIRTIO_EIO);
	/* sector * 512 wraps to 0 in 64 bits; sector + count wraps too. */
	assert_int_equal(virtio_block_read(f->blk, UINT64_C(1) << 55, data, 512), -VIRTIO_EIO);
	assert_int_equal(virtio_block_read(f->blk, UINT64_MAX, data, 1024), -VIRTIO_EIO);
	/* Not whole sectors. */
	assert_int_equal(virtio_block_read(f->blk, 0, data, 100), -VIRTIO_EIO);
	assert_null(f->bed->complaint);
}

static void host_errors(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = bed_alloc(f->bed, 512);

	f->disk.fail = -ENOSPC;
	assert_int_equal(virtio_block_write(f->blk, 0, data, 512), -VIRTIO_EIO);
	assert_int_equal(virtio_block_read(f->blk, 0, data, 512), -VIRTIO_EIO);
	assert_int_equal(virtio_block_flush(f->blk), -VIRTIO_EIO);
	f->disk.fail = 0;
	assert_int_equal(virtio_block_read(f->blk, 0, data, 512), 0);
}

static void read_only(void **state)
{
	struct fixture *f = *state;
	uint8_t *data = bed_alloc(f->bed, 512);

	assert_true(f->blk->read_only);
	assert_int_equal(f->blk->block_size, 4096);
	assert_int_equal(virtio_block_write(f->blk, 0, data, 512), -VIRTIO_EIO);
	assert_int_equal(f->disk.submits, 0);
	assert_int_equal(virtio_block_read(f->blk, 0, data, 512), 0);
}

static int type_result(struct fixture *f, uint32_t type)
{
	struct virtio_block_request *req = bed_alloc(f->bed, sizeof(*req));

	assert_int_equal(virtio_block_submit(f->blk, req, type, 0, NULL, 0), 0);
	virtio_sync(f->blk->queue);
	virtio_block_poll(f->blk);
	assert_true(req->finished);
	return req->error;
}

static void request_types(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(type_result(f, VIRTIO_BLOCK_T_SCSI), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(type_result(f, 3), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(type_result(f, 9), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(type_result(f, 0x12345678), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(type_result(f, VIRTIO_BLOCK_T_FLUSH | VIRTIO_BLOCK_T_BARRIER), 0);
	assert_int_equal(f->disk.flushes, 1);
}

/* Many requests, in pieces, held by the disk and finished in another order. */
static void asynchronous(void **state)
{
	struct fixture *f = *state;
	enum { COUNT = 60, PIECES = 4, PIECE = 512 };
	struct virtio_block_request *req = bed_alloc(f->bed, COUNT * sizeof(*req));
	uint8_t *data = bed_alloc(f->bed, COUNT * PIECES * PIECE);

	f->disk.hold = true;
	for (int i = 0; i < COUNT; i++) {
		struct virtio_iov sg[PIECES];

		for (int p = 0; p < PIECES; p++)
			sg[p] = (struct virtio_iov){ data + (i * PIECES + p) * PIECE, PIECE };
		assert_int_equal(virtio_block_submit(f->blk, &req[i], VIRTIO_BLOCK_T_IN, (uint64_t)(COUNT - i), sg, PIECES), 0);
	}
	virtio_sync(f->blk->queue);
	assert_int_equal(f->disk.held_count, COUNT);
	assert_int_equal(f->disk.commits, 1);
	assert_int_equal(virtio_block_poll(f->blk), 0);
	assert_int_equal(fake_disk_run(&f->disk), COUNT);
	bed_interrupts(f->bed);
	for (int i = 0; i < COUNT; i++) {
		assert_true(req[i].finished);
		assert_int_equal(req[i].error, 0);
		assert_memory_equal(data + i * PIECES * PIECE, f->disk.data + (COUNT - i) * 512, PIECES * PIECE);
	}
}

/* The queue full to its last entry, several times over. */
static void full_queue(void **state)
{
	struct fixture *f = *state;
	struct virtio_block_request *req = bed_alloc(f->bed, 129 * sizeof(*req));
	uint8_t *data = bed_alloc(f->bed, 512);
	struct virtio_iov piece = { data, 512 };

	f->disk.hold = true;
	for (int round = 0; round < 5; round++) {
		for (int i = 0; i < 128; i++)
			assert_int_equal(virtio_block_submit(f->blk, &req[i], VIRTIO_BLOCK_T_IN, 0, &piece, 1), 0);
		assert_int_equal(virtio_block_submit(f->blk, &req[128], VIRTIO_BLOCK_T_IN, 0, &piece, 1), -VIRTIO_ENOSPC);
		virtio_sync(f->blk->queue);
		assert_int_equal(fake_disk_run(&f->disk), 128);
		assert_int_equal(virtio_block_poll(f->blk), 128);
	}
}

/* A reset waits for the disk, and what the disk then finishes touches neither memory nor ring. */
static void reset_with_requests_under_way(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *vdev = f->blk->vdev;
	struct virtio_block_request *req = bed_alloc(f->bed, sizeof(*req));
	uint8_t *data = bed_alloc(f->bed, 512), zero[4096] = { 0 };
	struct virtio_iov piece = { data, 512 };
	unsigned int raised;

	f->disk.hold = true;
	assert_int_equal(virtio_block_submit(f->blk, req, VIRTIO_BLOCK_T_IN, 1, &piece, 1), 0);
	virtio_sync(f->blk->queue);
	assert_int_equal(f->disk.held_count, 1);
	raised = f->bed->raised;
	virtio_block_remove(f->blk);
	assert_int_equal(f->disk.drains, 1);
	assert_int_equal(f->disk.held_count, 0);
	assert_int_equal(req->error, -VIRTIO_ENODEV);
	assert_int_equal(req->status, 0xff);
	assert_int_equal(f->bed->raised, raised);
	assert_memory_equal(f->bed->memory + f->bed->host.slot[0].ring[0], zero, sizeof(zero));

	f->disk.hold = false;
	memset(f->blk, 0, sizeof(*f->blk));
	assert_int_equal(virtio_block_probe(f->blk, vdev), 0);
	assert_int_equal(virtio_block_read(f->blk, 0, data, 512), 0);
}

/* A driver that does not know of flushes gets one behind every write. */
static void write_through(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *vdev = f->blk->vdev;
	uint8_t *data = bed_alloc(f->bed, 512);

	virtio_device_remove(vdev);
	memset(f->blk, 0, sizeof(*f->blk));
	f->bed->host.slot[0].offered &= (uint32_t)~VIRTIO_BLOCK_F_FLUSH;
	lguest_page_restart(&f->bed->host);
	assert_int_equal(virtio_block_probe(f->blk, vdev), 0);
	assert_false(f->blk->flush);
	assert_int_equal(virtio_block_write(f->blk, 0, data, 512), 0);
	assert_int_equal(f->disk.flushes, 1);
	assert_int_equal(virtio_block_read(f->blk, 0, data, 512), 0);
	assert_int_equal(f->disk.flushes, 1);
	f->disk.hold = true;
	assert_int_equal(virtio_block_write(f->blk, 0, data, 512), 0);
	assert_int_equal(f->disk.flushes, 2);
}

/* Requests cut in strange places: nothing depends on the pieces (virtio 1.2, 2.7.4.3). */
static void any_layout(void **state)
{
	struct fixture *f = *state;
	uint8_t *m = bed_alloc(f->bed, 16 + 512 + 1);
	unsigned long used;
	struct virtio_iov sg[4] = { { m, 5 }, { m + 5, 11 }, { m + 16, 500 }, { m + 516, 13 } };

	virtio_put64(false, m + 8, 4);
	m[528] = 0xff;
	assert_true(virtio_add_inbuf(f->blk->queue, sg, 2, 4, &used) >= 0);
	virtio_sync(f->blk->queue);
	assert_int_equal(virtio_wait_done(f->blk->queue, &used), 0);
	assert_int_equal(used, 513);
	assert_int_equal(m[528], VIRTIO_BLOCK_S_OK);
	assert_memory_equal(m + 16, f->disk.data + 4 * 512, 512);
}

/* Write with header and data in one piece. */
static void header_and_data_together(void **state)
{
	struct fixture *f = *state;
	uint8_t *m = bed_alloc(f->bed, 16 + 512 + 1);
	struct virtio_iov sg[2] = { { m, 16 + 512 }, { m + 528, 1 } };
	unsigned long used;

	virtio_put32(false, m, VIRTIO_BLOCK_T_OUT);
	virtio_put64(false, m + 8, 9);
	memset(m + 16, 0x3c, 512);
	assert_true(virtio_add_inbuf(f->blk->queue, sg, 1, 2, &used) >= 0);
	virtio_sync(f->blk->queue);
	assert_int_equal(virtio_wait_done(f->blk->queue, &used), 0);
	assert_int_equal(used, 1);
	assert_memory_equal(f->disk.data + 9 * 512, m + 16, 512);
}

static void breaks(struct fixture *f, const struct virtio_iov *sg, unsigned int out, unsigned int num)
{
	static unsigned long used;	/* written again by the reset that follows */

	if (out == num)
		assert_true(virtio_add_outbuf(f->blk->queue, sg, num, &used) >= 0);
	else
		assert_true(virtio_add_inbuf(f->blk->queue, sg, out, num, &used) >= 0);
	virtio_sync(f->blk->queue);
	virtio_harvest(f->blk->queue);
	assert_false(virtio_is_done(&used));
	assert_non_null(f->bed->complaint);
	assert_true(f->bed->host.slot[0].dev->status & VIRTIO_STATUS_NEEDS_RESET);
}

static void short_header(void **state)
{
	struct fixture *f = *state;
	uint8_t *m = bed_alloc(f->bed, 64);
	struct virtio_iov sg[2] = { { m, 15 }, { m + 16, 1 } };

	breaks(f, sg, 1, 2);
}

static void no_status(void **state)
{
	struct fixture *f = *state;
	uint8_t *m = bed_alloc(f->bed, 64);
	struct virtio_iov sg[1] = { { m, 16 } };

	breaks(f, sg, 1, 1);
}

/* After a reset the broken device is whole again. */
static void broken_until_reset(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *vdev = f->blk->vdev;
	uint8_t *m = bed_alloc(f->bed, 512);
	struct virtio_iov sg[1] = { { m, 16 } };

	breaks(f, sg, 1, 1);
	virtio_block_remove(f->blk);
	memset(f->blk, 0, sizeof(*f->blk));
	assert_int_equal(virtio_block_probe(f->blk, vdev), 0);
	assert_int_equal(virtio_block_read(f->blk, 0, m, 512), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(says_what_it_is, setup, teardown),
		cmocka_unit_test_setup_teardown(reads_and_writes, setup, teardown),
		cmocka_unit_test_setup_teardown(ends_of_the_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(host_errors, setup, teardown),
		cmocka_unit_test_setup_teardown(read_only, setup_read_only, teardown),
		cmocka_unit_test_setup_teardown(request_types, setup, teardown),
		cmocka_unit_test_setup_teardown(asynchronous, setup, teardown),
		cmocka_unit_test_setup_teardown(full_queue, setup, teardown),
		cmocka_unit_test_setup_teardown(reset_with_requests_under_way, setup, teardown),
		cmocka_unit_test_setup_teardown(write_through, setup, teardown),
		cmocka_unit_test_setup_teardown(any_layout, setup, teardown),
		cmocka_unit_test_setup_teardown(header_and_data_together, setup, teardown),
		cmocka_unit_test_setup_teardown(short_header, setup, teardown),
		cmocka_unit_test_setup_teardown(no_status, setup, teardown),
		cmocka_unit_test_setup_teardown(broken_until_reset, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
