/* SPDX-License-Identifier: MIT */
/* Ranges of disks, as the driver asks for them; and arguments that no driver takes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-net.h>
#include <virtio/driver-rng.h>

#include "bench.h"

/* What the disk was asked for, and what it says. */
static struct {
	struct {
		uint32_t type, sectors, flags;
		uint64_t sector;
	} asked[8];
	unsigned int count;
	uint8_t status;
} disk;

static int setup(void **state)
{
	memset(&disk, 0, sizeof(disk));
	return 0;
}

/* --- ranges ------------------------------------------------------------------------------------------------------------ */

static void disk_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_iov iov[8];
	struct vring_buffer buf;
	uint8_t request[32];

	while (virtio_dev_pop(dev, queue, &buf, iov, 8) > 0) {
		assert_int_equal(virtio_iov_read(buf.out, buf.out_count, 0, request, 32), 32);
		assert_int_equal(buf.in_len, 1);
		assert_true(disk.count < 8);
		disk.asked[disk.count].type = virtio_get32(false, request);
		disk.asked[disk.count].sector = virtio_get64(false, request + 16);
		disk.asked[disk.count].sectors = virtio_get32(false, request + 24);
		disk.asked[disk.count++].flags = virtio_get32(false, request + 28);
		virtio_iov_write(buf.in, buf.in_count, 0, &disk.status, 1);
		virtio_dev_push(dev, queue, buf.id, 1);
	}
	virtio_dev_flush(dev, queue);
}

static const struct virtio_dev_ops disk_ops = { .name = "disk", .queue_notify = disk_notify, .config_get = bench_config_get };

static void ranges(void **state)
{
	uint64_t features = VIRTIO_BLOCK_F_DISCARD | VIRTIO_BLOCK_F_WRITE_ZEROES;
	struct bench *b = bench_create(&disk_ops, VIRTIO_ID_BLOCK, features, VIRTIO_BLOCK_CFG_LONG, 1);
	struct virtio_block *blk = bench_alloc(b, sizeof(*blk));

	virtio_put64(false, b->config + VIRTIO_BLOCK_CFG_CAPACITY, (UINT64_C(1) << 40) + 8);
	virtio_put32(false, b->config + VIRTIO_BLOCK_CFG_MAX_DISCARD, 100);
	virtio_put32(false, b->config + VIRTIO_BLOCK_CFG_MAX_ZEROES, 8);
	assert_int_equal(virtio_block_probe(blk, &b->direct.vdev), 0);
	assert_int_equal(virtio_block_discard(blk, 7, 250), 0);
	assert_int_equal(disk.count, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(disk.asked[i].type, VIRTIO_BLOCK_T_DISCARD);
		assert_int_equal(disk.asked[i].sector, 7 + 100 * i);
		assert_int_equal(disk.asked[i].sectors, i < 2 ? 100 : 50);
		assert_int_equal(disk.asked[i].flags, 0);
	}
	disk.count = 0;
	assert_int_equal(virtio_block_write_zeroes(blk, UINT64_C(1) << 40, 8, true), 0);
	assert_int_equal(disk.count, 1);
	assert_int_equal(disk.asked[0].type, VIRTIO_BLOCK_T_WRITE_ZEROES);
	assert_true(disk.asked[0].sector == UINT64_C(1) << 40);
	assert_int_equal(disk.asked[0].flags, VIRTIO_BLOCK_RANGE_UNMAP);
	/* Not beyond the end. */
	assert_int_equal(virtio_block_write_zeroes(blk, UINT64_C(1) << 40, 9, true), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_discard(blk, UINT64_MAX, 2), -VIRTIO_EINVAL);
	assert_int_equal(disk.count, 1);
	/* The first failure ends it. */
	disk.count = 0;
	disk.status = VIRTIO_BLOCK_S_IOERR;
	assert_int_equal(virtio_block_write_zeroes(blk, 0, 80, false), -VIRTIO_EIO);
	assert_int_equal(disk.count, 1);
	assert_int_equal(disk.asked[0].flags, 0);
	virtio_block_remove(blk);
	bench_destroy(b);
}

static void no_ranges(void **state)
{
	struct bench *b = bench_create(&disk_ops, VIRTIO_ID_BLOCK, 0, VIRTIO_BLOCK_CFG_LEN, 1);
	struct virtio_block *blk = bench_alloc(b, sizeof(*blk));

	assert_int_equal(virtio_block_probe(blk, &b->direct.vdev), 0);
	assert_int_equal(virtio_block_discard(blk, 0, 1), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(virtio_block_write_zeroes(blk, 0, 1, true), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(disk.count, 0);
	virtio_block_remove(blk);
	bench_destroy(b);
}

/* --- bad arguments ----------------------------------------------------------------------------------------------------- */

static void arguments(void **state)
{
	struct bench *b = bench_create(&disk_ops, VIRTIO_ID_BLOCK, 0, VIRTIO_BLOCK_CFG_LEN, 1);
	struct virtio_block *blk = bench_alloc(b, sizeof(*blk));
	struct virtio_console con = { .vdev = NULL };
	struct virtio_net *net = bench_alloc(b, sizeof(*net));
	struct virtio_device *vdev = &b->direct.vdev;
	struct virtio_rng rng = { .vdev = NULL };
	struct virtio_iov piece = { b->memory, 512 };
	struct virtio_queue *vq;
	unsigned long used = 0;
	uint16_t size[2];
	uint64_t value;

	virtio_device_ready(NULL);
	virtio_device_fail(NULL);
	virtio_device_reset(NULL);
	virtio_device_remove(NULL);
	assert_false(virtio_device_interrupt(NULL));
	assert_false(virtio_queue_interrupt(NULL));
	assert_int_equal(virtio_wait_done(NULL, &used), -VIRTIO_EINVAL);
	assert_int_equal(virtio_device_setup(NULL, 0), -VIRTIO_EINVAL);
	assert_int_equal(virtio_device_queue(NULL, 0, NULL, NULL, &vq), -VIRTIO_EINVAL);
	assert_int_equal(virtio_device_queue(vdev, 0, NULL, NULL, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_device_queue(vdev, VIRTIO_DRIVER_QUEUES, NULL, NULL, &vq), -VIRTIO_ENOENT);
	assert_int_equal(virtio_config_get64(NULL, 0, &value), -VIRTIO_EINVAL);
	assert_int_equal(virtio_config_get64(vdev, 0, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_config_get32(vdev, 0, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_config_get16(vdev, 0, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_config_get8(vdev, 0, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_config_get64(vdev, SIZE_MAX, &value), -VIRTIO_ERANGE);
	assert_int_equal(virtio_block_probe(NULL, vdev), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_probe(blk, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_console_probe(NULL, vdev), -VIRTIO_EINVAL);
	assert_int_equal(virtio_console_probe(&con, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_net_probe(NULL, vdev), -VIRTIO_EINVAL);
	assert_int_equal(virtio_net_probe(net, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_rng_probe(NULL, vdev), -VIRTIO_EINVAL);
	assert_int_equal(virtio_rng_probe(&rng, NULL), -VIRTIO_EINVAL);

	assert_int_equal(virtio_block_probe(blk, vdev), 0);
	assert_int_equal(virtio_block_submit(NULL, &blk->own, 0, 0, NULL, 0), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_submit(blk, NULL, 0, 0, NULL, 0), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_submit(blk, &blk->own, 0, 0, NULL, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_submit(blk, &blk->own, 0, 0, &piece, VIRTIO_BLOCK_PIECES + 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_read(NULL, 0, b->memory, 512), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_read(blk, 0, NULL, 512), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_read(blk, 0, b->memory + BENCH_MEMORY, 512), -VIRTIO_EFAULT);
	assert_int_equal(virtio_block_write(blk, 0, NULL, 512), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_flush(NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_discard(NULL, 0, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_write_zeroes(NULL, 0, 1, false), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_get_id(blk, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_console_write(NULL, "x", 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_net_send(NULL, "x", 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_net_send(net, NULL, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_net_send(net, "x", 0), -VIRTIO_EINVAL);
	assert_int_equal(virtio_net_send(net, "x", VIRTIO_NET_FRAME + 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_rng_read(NULL, b->memory, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_rng_read(&rng, NULL, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_poll(NULL), 0);
	assert_int_equal(virtio_console_read(NULL, b->memory, 1), 0);
	assert_false(virtio_console_size(NULL, &size[0], &size[1]));
	assert_false(virtio_net_link(NULL));
	virtio_block_remove(blk);
	virtio_block_remove(NULL);
	virtio_console_remove(NULL);
	virtio_net_remove(NULL);
	virtio_rng_remove(NULL);
	bench_destroy(b);
}

/* As their caller has zeroed them, and no probe has found a device. */
static void without_a_device(void **state)
{
	struct virtio_block *blk = calloc(1, sizeof(*blk));
	struct virtio_console *con = calloc(1, sizeof(*con));
	struct virtio_net *net = calloc(1, sizeof(*net));
	struct virtio_rng rng = { .vdev = NULL };
	struct virtio_device vdev = { .bus = NULL };
	uint8_t bytes[VIRTIO_BLOCK_SECTOR] = { 0 };
	char id[VIRTIO_BLOCK_ID_LEN + 1];
	uint16_t size[2];

	assert_int_equal(virtio_block_read(blk, 0, bytes, sizeof(bytes)), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_submit(blk, &blk->own, VIRTIO_BLOCK_T_IN, 0, NULL, 0), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_get_id(blk, id), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_discard(blk, 0, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_write_zeroes(blk, 0, 1, false), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_poll(blk), 0);
	assert_int_equal(virtio_console_write(con, "x", 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_console_read(con, bytes, 1), 0);
	assert_false(virtio_console_size(con, &size[0], &size[1]));
	assert_int_equal(virtio_net_send(net, bytes, sizeof(bytes)), -VIRTIO_EINVAL);
	assert_int_equal(virtio_net_receive(net, bytes, sizeof(bytes)), 0);
	assert_false(virtio_net_link(net));
	assert_int_equal(virtio_rng_read(&rng, bytes, 1), -VIRTIO_EINVAL);
	virtio_block_remove(blk);
	virtio_console_remove(con);
	virtio_net_remove(net);
	virtio_rng_remove(&rng);
	virtio_device_ready(&vdev);
	virtio_device_fail(&vdev);
	virtio_device_reset(&vdev);
	virtio_device_remove(&vdev);
	assert_int_equal(virtio_config_get32(&vdev, 0, &(uint32_t){ 0 }), -VIRTIO_EINVAL);
	assert_int_equal(virtio_device_queue(&vdev, 0, NULL, NULL, &(struct virtio_queue *){ NULL }), -VIRTIO_EINVAL);
	free(blk);
	free(con);
	free(net);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(ranges, setup),
		cmocka_unit_test_setup(no_ranges, setup),
		cmocka_unit_test_setup(arguments, setup),
		cmocka_unit_test(without_a_device),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
