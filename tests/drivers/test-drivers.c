/* SPDX-License-Identifier: MIT */
/* What our drivers can do and our devices do not ask of them: ranges of disks, merged frames, checksums. Devices made of a few lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <transport/direct.h>
#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-net.h>
#include <virtio/driver-rng.h>

#define MEMORY	(512 * 1024u)

struct bench {
	struct virtio_direct direct;
	struct virtio_dev dev;
	struct vring_device queues[2];
	struct virtio_mem mem;
	struct virtio_platform platform;
	uint8_t *memory;
	size_t next;
	uint8_t config[VIRTIO_CONFIG_MAX];
	/* What the disk was asked for. */
	struct {
		uint32_t type, sectors, flags;
		uint64_t sector;
	} asked[8];
	unsigned int count;
	uint8_t status;			/* its answer */
	/* What the card was given to send. */
	uint8_t sent[2048];
	size_t sent_len;
};

static struct bench *of(struct virtio_dev *dev)
{
	return (struct bench *)((uint8_t *)dev - offsetof(struct bench, dev));
}

static void *bench_alloc(void *opaque, size_t size, size_t align)
{
	struct bench *b = opaque;
	size_t at = (b->next + align - 1) & ~(align - 1);

	b->next = at + size;
	assert_true(b->next <= MEMORY);
	return b->memory + at;
}

static void bench_wait(void *opaque)
{
	virtio_direct_deliver(&((struct bench *)opaque)->direct, NULL);
}

static void config_get(struct virtio_dev *dev, void *config)
{
	memcpy(config, of(dev)->config, dev->config_len);
}

static struct bench *create(const struct virtio_dev_ops *ops, uint32_t id, uint64_t features, size_t config_len, unsigned int queues)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->memory = aligned_alloc(4096, MEMORY);
	memset(b->memory, 0, MEMORY);
	b->mem = (struct virtio_mem){ .base = b->memory, .start = 4096, .size = MEMORY };
	b->platform = (struct virtio_platform){ .mem = &b->mem, .alloc = bench_alloc, .wait = bench_wait, .opaque = b };
	b->dev = (struct virtio_dev){
		.ops = ops, .id = id, .offered = VIRTIO_DEV_RING_FEATURES | features, .config_len = config_len, .queues = b->queues,
		.num_queues = queues,
	};
	b->queues[0].num_max = b->queues[1].num_max = 64;
	assert_int_equal(virtio_direct_init(&b->direct, &b->dev, &b->platform, false), 0);
	return b;
}

static void destroy(struct bench *b)
{
	free(b->memory);
	free(b);
}

/* --- ranges ------------------------------------------------------------------------------------------------------------ */

static void disk_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct bench *b = of(dev);
	struct virtio_iov iov[8];
	struct vring_buffer buf;
	uint8_t request[32];

	while (virtio_dev_pop(dev, queue, &buf, iov, 8) > 0) {
		assert_int_equal(virtio_iov_read(buf.out, buf.out_count, 0, request, 32), 32);
		assert_int_equal(buf.in_len, 1);
		assert_true(b->count < 8);
		b->asked[b->count].type = virtio_get32(false, request);
		b->asked[b->count].sector = virtio_get64(false, request + 16);
		b->asked[b->count].sectors = virtio_get32(false, request + 24);
		b->asked[b->count++].flags = virtio_get32(false, request + 28);
		virtio_iov_write(buf.in, buf.in_count, 0, &b->status, 1);
		virtio_dev_push(dev, queue, buf.id, 1);
	}
	virtio_dev_flush(dev, queue);
}

static const struct virtio_dev_ops disk_ops = { .name = "disk", .queue_notify = disk_notify, .config_get = config_get };

static void ranges(void **state)
{
	struct bench *b = create(&disk_ops, VIRTIO_ID_BLOCK, VIRTIO_BLOCK_F_DISCARD | VIRTIO_BLOCK_F_WRITE_ZEROES, VIRTIO_BLOCK_CFG_LONG, 1);
	struct virtio_block *blk = bench_alloc(b, sizeof(*blk), 16);

	virtio_put64(false, b->config + VIRTIO_BLOCK_CFG_CAPACITY, (UINT64_C(1) << 40) + 8);
	virtio_put32(false, b->config + VIRTIO_BLOCK_CFG_MAX_DISCARD, 100);
	virtio_put32(false, b->config + VIRTIO_BLOCK_CFG_MAX_ZEROES, 8);
	assert_int_equal(virtio_block_probe(blk, &b->direct.vdev), 0);
	assert_int_equal(virtio_block_discard(blk, 7, 250), 0);
	assert_int_equal(b->count, 3);
	for (unsigned int i = 0; i < 3; i++) {
		assert_int_equal(b->asked[i].type, VIRTIO_BLOCK_T_DISCARD);
		assert_int_equal(b->asked[i].sector, 7 + 100 * i);
		assert_int_equal(b->asked[i].sectors, i < 2 ? 100 : 50);
		assert_int_equal(b->asked[i].flags, 0);
	}
	b->count = 0;
	assert_int_equal(virtio_block_write_zeroes(blk, UINT64_C(1) << 40, 8, true), 0);
	assert_int_equal(b->count, 1);
	assert_int_equal(b->asked[0].type, VIRTIO_BLOCK_T_WRITE_ZEROES);
	assert_true(b->asked[0].sector == UINT64_C(1) << 40);
	assert_int_equal(b->asked[0].flags, VIRTIO_BLOCK_RANGE_UNMAP);
	/* Not beyond the end. */
	assert_int_equal(virtio_block_write_zeroes(blk, UINT64_C(1) << 40, 9, true), -VIRTIO_EINVAL);
	assert_int_equal(virtio_block_discard(blk, UINT64_MAX, 2), -VIRTIO_EINVAL);
	assert_int_equal(b->count, 1);
	/* The first failure ends it. */
	b->count = 0;
	b->status = VIRTIO_BLOCK_S_IOERR;
	assert_int_equal(virtio_block_write_zeroes(blk, 0, 80, false), -VIRTIO_EIO);
	assert_int_equal(b->count, 1);
	assert_int_equal(b->asked[0].flags, 0);
	virtio_block_remove(blk);
	destroy(b);
}

static void no_ranges(void **state)
{
	struct bench *b = create(&disk_ops, VIRTIO_ID_BLOCK, 0, VIRTIO_BLOCK_CFG_LEN, 1);
	struct virtio_block *blk = bench_alloc(b, sizeof(*blk), 16);

	assert_int_equal(virtio_block_probe(blk, &b->direct.vdev), 0);
	assert_int_equal(virtio_block_discard(blk, 0, 1), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(virtio_block_write_zeroes(blk, 0, 1, true), -VIRTIO_EOPNOTSUPP);
	assert_int_equal(b->count, 0);
	virtio_block_remove(blk);
	destroy(b);
}

/* --- network ----------------------------------------------------------------------------------------------------------- */

static void card_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct bench *b = of(dev);
	struct virtio_iov iov[8];
	struct vring_buffer buf;

	if (queue == VIRTIO_NET_QUEUE_RX)
		return;
	while (virtio_dev_pop(dev, queue, &buf, iov, 8) > 0) {
		b->sent_len = virtio_iov_read(buf.out, buf.out_count, 0, b->sent, sizeof(b->sent));
		virtio_dev_push(dev, queue, buf.id, 0);
	}
	virtio_dev_flush(dev, queue);
}

static const struct virtio_dev_ops card_ops = { .name = "card", .queue_notify = card_notify, .config_get = config_get };

/* The card fills the next buffer: a header with @num_buffers and @flags unless it is a later part, and @len bytes of @fill. */
static void part(struct bench *b, bool first, uint16_t num_buffers, uint8_t flags, size_t len, uint8_t fill)
{
	uint8_t header[VIRTIO_NET_HDR_LONG] = { flags, [6] = 34, [8] = 16 }, data[1526];
	struct virtio_iov iov[8];
	struct vring_buffer buf;
	size_t at = first ? sizeof(header) : 0;

	memset(data, fill, sizeof(data));
	virtio_put16(false, header + VIRTIO_NET_HDR_NUM_BUFFERS, num_buffers);
	if (first)
		memcpy(data, header, sizeof(header));
	assert_int_equal(virtio_dev_pop(&b->dev, VIRTIO_NET_QUEUE_RX, &buf, iov, 8), 1);
	virtio_iov_write(buf.in, buf.in_count, 0, data, at + len);
	virtio_dev_push(&b->dev, VIRTIO_NET_QUEUE_RX, buf.id, (uint32_t)(at + len));
	virtio_dev_flush(&b->dev, VIRTIO_NET_QUEUE_RX);
}

static struct virtio_net *card(struct bench *b, uint64_t wanted)
{
	struct virtio_net *net = bench_alloc(b, sizeof(*net), 16);

	net->wanted = wanted;
	assert_int_equal(virtio_net_probe(net, &b->direct.vdev), 0);
	return net;
}

static void merged(void **state)
{
	struct bench *b = create(&card_ops, VIRTIO_ID_NET, VIRTIO_NET_F_MRG_RXBUF, VIRTIO_NET_CFG_LEN, 2);
	struct virtio_net *net = card(b, VIRTIO_NET_F_MRG_RXBUF);
	uint8_t frame[4096];

	for (int round = 0; round < 20; round++) {
		part(b, true, 3, 0, 1000, 1);
		assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), 0);
		part(b, false, 0, 0, 1526, 2);
		assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), 0);
		part(b, false, 0, 0, 7, 3);
		memset(frame, 0, sizeof(frame));
		assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), 2533);
		assert_int_equal(frame[999], 1);
		assert_int_equal(frame[1000], 2);
		assert_int_equal(frame[2525], 2);
		assert_int_equal(frame[2526], 3);
		/* One that is cut to the caller's room, and numbers that cannot be. */
		part(b, true, 2, 0, 100, 4);
		part(b, false, 0, 0, 100, 5);
		assert_int_equal(virtio_net_receive(net, frame, 150), 150);
		part(b, true, 0, 0, 60, 6);
		assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), 60);
		part(b, true, VIRTIO_NET_RX_BUFFERS + 1, 0, 60, 7);
		assert_int_equal(virtio_net_receive(net, frame, sizeof(frame)), 60);
	}
	virtio_net_remove(net);
	destroy(b);
}

static void checksums(void **state)
{
	struct bench *b = create(&card_ops, VIRTIO_ID_NET, VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM, VIRTIO_NET_CFG_LEN, 2);
	struct virtio_net *net = card(b, VIRTIO_NET_F_CSUM | VIRTIO_NET_F_GUEST_CSUM);
	struct virtio_net_checksum checksum = { .needed = true, .start = 34, .offset = 16 };
	uint8_t frame[100] = { 0 };

	assert_int_equal(virtio_net_send_offload(net, frame, sizeof(frame), &checksum), 0);
	assert_int_equal(b->sent_len, VIRTIO_NET_HDR_LONG + 100);
	assert_int_equal(b->sent[0], VIRTIO_NET_HDR_F_NEEDS_CSUM);
	assert_int_equal(virtio_get16(false, b->sent + 6), 34);
	assert_int_equal(virtio_get16(false, b->sent + 8), 16);
	assert_int_equal(virtio_net_send(net, frame, sizeof(frame)), 0);
	assert_int_equal(b->sent[0], 0);
	checksum.start = 90;
	assert_int_equal(virtio_net_send_offload(net, frame, sizeof(frame), &checksum), -VIRTIO_EINVAL);
	part(b, true, 1, VIRTIO_NET_HDR_F_NEEDS_CSUM, 60, 1);
	assert_int_equal(virtio_net_receive_offload(net, frame, sizeof(frame), &checksum), 60);
	assert_true(checksum.needed && !checksum.valid);
	assert_int_equal(checksum.start, 34);
	part(b, true, 1, VIRTIO_NET_HDR_F_DATA_VALID, 60, 1);
	assert_int_equal(virtio_net_receive_offload(net, frame, sizeof(frame), &checksum), 60);
	assert_true(!checksum.needed && checksum.valid);
	virtio_net_remove(net);
	destroy(b);
}

/* Offered, and not wanted. */
static void no_checksums(void **state)
{
	struct bench *b = create(&card_ops, VIRTIO_ID_NET, VIRTIO_NET_DRIVER_WANTED, VIRTIO_NET_CFG_LEN, 2);
	struct virtio_net *net = card(b, 0);
	struct virtio_net_checksum checksum = { .needed = true, .start = 34, .offset = 16 };
	uint8_t frame[100] = { 0 };

	assert_int_equal(b->direct.vdev.features & VIRTIO_NET_DRIVER_WANTED, 0);
	assert_int_equal(virtio_net_send_offload(net, frame, sizeof(frame), &checksum), -VIRTIO_EOPNOTSUPP);
	part(b, true, 1, VIRTIO_NET_HDR_F_NEEDS_CSUM, 60, 1);
	assert_int_equal(virtio_net_receive_offload(net, frame, sizeof(frame), &checksum), 60);
	assert_false(checksum.needed || checksum.valid);
	virtio_net_remove(net);
	destroy(b);
}

/* --- bad arguments ----------------------------------------------------------------------------------------------------- */

static void arguments(void **state)
{
	struct bench *b = create(&disk_ops, VIRTIO_ID_BLOCK, 0, VIRTIO_BLOCK_CFG_LEN, 1);
	struct virtio_block *blk = bench_alloc(b, sizeof(*blk), 16);
	struct virtio_console con = { .vdev = NULL };
	struct virtio_net *net = bench_alloc(b, sizeof(*net), 16);
	struct virtio_device *vdev = &b->direct.vdev;
	struct virtio_rng rng = { .vdev = NULL };
	struct virtio_iov piece = { b->memory, 512 };
	struct virtio_queue *vq;
	uint64_t value;

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
	assert_int_equal(virtio_block_read(blk, 0, b->memory + MEMORY, 512), -VIRTIO_EFAULT);
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
	virtio_block_remove(blk);
	destroy(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges),
		cmocka_unit_test(no_ranges),
		cmocka_unit_test(merged),
		cmocka_unit_test(checksums),
		cmocka_unit_test(no_checksums),
		cmocka_unit_test(arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
