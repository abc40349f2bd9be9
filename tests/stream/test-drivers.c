/* SPDX-License-Identifier: MIT */
/* The devices and their drivers over a stream instead of a ring, cut into pieces in many ways, and cut off at every byte. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/device/bed.h>
#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-net.h>
#include <virtio/driver-rng.h>

#include "wire.h"

#define SEEDS	40
#define MAX	8192

static struct virtio_device *connect_to(struct wire *w, uint32_t id)
{
	assert_int_equal(virtio_stream_connect(&w->driver, &w->platform, &w->driver_io), 0);
	assert_int_equal(w->driver.vdev.id, id);
	return &w->driver.vdev;
}

/* --- disk -------------------------------------------------------------------------------------------------------------- */

struct disk {
	struct fake_disk fake;
	struct virtio_dev *dev;
	struct wire *wire;
	struct virtio_block blk;
};

static void run_disk(struct wire *w)
{
	fake_disk_run(&((struct disk *)w->opaque)->fake);
}

static struct disk *disk_create(uint64_t seed)
{
	struct disk *d = calloc(1, sizeof(*d));

	assert_non_null(d);
	fake_disk_init(&d->fake);
	for (size_t i = 0; i < FAKE_DISK_SIZE; i++)
		d->fake.data[i] = (uint8_t)(i / 512 * 3 + i);
	d->dev = block_device_create(&d->fake.be);
	d->wire = wire_create(d->dev, seed, MAX);
	d->wire->on_wait = run_disk;
	d->wire->opaque = d;
	return d;
}

static void disk_destroy(struct disk *d)
{
	virtio_dev_destroy(d->dev);
	wire_destroy(d->wire);
	free(d);
}

/* What a kernel does with a disk. 0, or the first error. */
static int use_disk(struct disk *d)
{
	uint8_t data[4096], copy[4096];
	char id[VIRTIO_BLOCK_ID_LEN + 1];
	int ret = virtio_block_probe(&d->blk, &d->wire->driver.vdev);

	memset(data, 0x5a, sizeof(data));
	if (!ret)
		ret = virtio_block_read(&d->blk, 9, copy, sizeof(copy));
	if (!ret)
		assert_memory_equal(copy, d->fake.data + 9 * 512, sizeof(copy));
	if (!ret)
		ret = virtio_block_write(&d->blk, 100, data, sizeof(data));
	if (!ret)
		assert_memory_equal(d->fake.data + 100 * 512, data, sizeof(data));
	if (!ret)
		ret = virtio_block_flush(&d->blk);
	if (!ret)
		ret = virtio_block_get_id(&d->blk, id);
	if (!ret)
		assert_string_equal(id, "KENNEL-0123456789ABC");
	return ret;
}

static void disk(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct disk *d = disk_create(seed);
		uint8_t data[512];

		d->fake.hold = seed & 1;
		connect_to(d->wire, VIRTIO_ID_BLOCK);
		assert_int_equal(use_disk(d), 0);
		assert_int_equal(d->blk.capacity, FAKE_DISK_SIZE / 512);
		assert_int_equal(virtio_block_read(&d->blk, d->blk.capacity, data, 512), -VIRTIO_EIO);
		assert_int_equal(virtio_block_read(&d->blk, 0, data, 512), 0);
		virtio_block_remove(&d->blk);
		assert_int_equal(d->dev->status, 0);
		/* Once more over the same stream, after the reset. */
		assert_int_equal(use_disk(d), 0);
		virtio_block_remove(&d->blk);
		disk_destroy(d);
	}
}

static void check_cut(struct disk *d, size_t cut, bool to_device)
{
	struct pipe *pipe = to_device ? &d->wire->to_device : &d->wire->to_driver;
	int ret;

	pipe->end = cut;
	ret = virtio_stream_connect(&d->wire->driver, &d->wire->platform, &d->wire->driver_io);
	if (!ret)
		ret = use_disk(d);
	if (ret != -VIRTIO_ENODEV)
		fail_msg("cut off %s at byte %zu: %d", to_device ? "to the device" : "to the driver", cut, ret);
	assert_non_null(d->wire->driver.broken);
	if (d->wire->driver.vdev.platform)
		virtio_device_remove(&d->wire->driver.vdev);
	/* The other end notices, and the device is as new. */
	d->wire->to_device.end = d->wire->to_driver.end = 0;
	wire_run(d->wire);
	assert_true(d->wire->alive <= 0);
	assert_int_equal(d->dev->status, 0);
	assert_null(d->dev->broken);
}

/* The stream ends at each byte of the exchange. Afterwards the device can be had over another stream. */
static void ends_anywhere(void **state)
{
	struct disk *d = disk_create(0);
	size_t bytes[2];

	connect_to(d->wire, VIRTIO_ID_BLOCK);
	assert_int_equal(use_disk(d), 0);
	bytes[0] = wire_bytes(&d->wire->to_driver);
	bytes[1] = wire_bytes(&d->wire->to_device);
	virtio_block_remove(&d->blk);
	disk_destroy(d);
	for (int to_device = 0; to_device < 2; to_device++) {
		for (size_t cut = 0; cut < bytes[to_device]; cut += cut < 800 || cut > 4000 ? 1 : 97) {
			d = disk_create(cut % 3);
			d->fake.hold = cut & 1;
			check_cut(d, cut, to_device);
			wire_destroy(d->wire);
			d->wire = wire_create(d->dev, 0, MAX);
			connect_to(d->wire, VIRTIO_ID_BLOCK);
			d->wire->on_wait = run_disk;
			d->wire->opaque = d;
			assert_int_equal(use_disk(d), 0);
			virtio_block_remove(&d->blk);
			disk_destroy(d);
		}
	}
}

/* A write that was cut off by its end, or taken back while it was sent, has not happened. */
static void half_a_write(void **state)
{
	struct disk *d = disk_create(0);
	struct virtio_block_request request = { .opaque = NULL };
	struct virtio_iov piece;
	uint8_t data[4096];

	memset(data, 0x77, sizeof(data));
	piece = (struct virtio_iov){ data, sizeof(data) };
	connect_to(d->wire, VIRTIO_ID_BLOCK);
	assert_int_equal(virtio_block_probe(&d->blk, &d->wire->driver.vdev), 0);
	d->wire->to_device.room = 1000;
	assert_int_equal(virtio_block_submit(&d->blk, &request, VIRTIO_BLOCK_T_OUT, 10, &piece, 1), 0);
	virtio_sync(d->blk.queue);
	assert_true(virtio_stream_wants_write(&d->wire->driver));
	virtio_detach_outbuf(d->blk.queue, 0);
	assert_int_equal(request.used, VIRTIO_CANCELLED);
	memset(data, 0x99, sizeof(data));
	assert_int_equal(virtio_block_poll(&d->blk), 1);
	assert_int_equal(request.error, -VIRTIO_ENODEV);
	/* The stream goes on: the next requests are answered, and the identifier comes back. */
	assert_int_equal(virtio_block_read(&d->blk, 10, data, sizeof(data)), 0);
	assert_memory_equal(data, d->fake.data + 5120, sizeof(data));
	assert_int_equal(d->fake.data[5120], (uint8_t)(10 * 3 + 5120));
	assert_int_equal(d->blk.queue->ops->room(d->blk.queue), d->blk.queue->size);
	virtio_block_remove(&d->blk);
	disk_destroy(d);
}

/* Nothing is lost when neither end's pipe takes more than a few bytes, with a queue full of requests under way. */
static void many_under_way(void **state)
{
	struct disk *d = disk_create(7);
	struct virtio_block_request *requests = calloc(VIRTIO_STREAM_BUFFERS, sizeof(*requests));
	uint8_t (*data)[1024] = calloc(VIRTIO_STREAM_BUFFERS, sizeof(*data));
	unsigned int count, done = 0;

	assert_true(requests && data);
	d->fake.hold = true;
	d->wire->to_device.room = 50;
	d->wire->to_driver.room = 30;
	connect_to(d->wire, VIRTIO_ID_BLOCK);
	assert_int_equal(virtio_block_probe(&d->blk, &d->wire->driver.vdev), 0);
	for (count = 0; count < VIRTIO_STREAM_BUFFERS; count++) {
		struct virtio_iov pieces[2] = { { data[count], 300 }, { data[count] + 300, 724 } };

		if (virtio_block_submit(&d->blk, &requests[count], VIRTIO_BLOCK_T_IN, count, pieces, 2))
			break;
	}
	assert_int_equal(count, d->blk.queue->size);
	assert_int_equal(virtio_block_submit(&d->blk, &d->blk.own, VIRTIO_BLOCK_T_FLUSH, 0, NULL, 0), -VIRTIO_ENOSPC);
	virtio_sync(d->blk.queue);
	for (unsigned int round = 0; done < count && round < 100000; round++) {
		done += virtio_block_poll(&d->blk);
		d->wire->driver_io.wait(d->wire, true);
	}
	assert_int_equal(done, count);
	for (unsigned int i = 0; i < count; i++) {
		assert_int_equal(requests[i].error, 0);
		assert_memory_equal(data[i], d->fake.data + (size_t)i * 512, 1024);
	}
	virtio_block_remove(&d->blk);
	disk_destroy(d);
	free(requests);
	free(data);
}

/* --- the others -------------------------------------------------------------------------------------------------------- */

static void console(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fake_console fake;
		struct virtio_console *con = calloc(1, sizeof(*con));
		struct virtio_dev *dev;
		struct wire *w;
		uint16_t columns, rows;
		char text[16];

		fake_console_init(&fake);
		dev = console_device_create(&fake.be);
		w = wire_create(dev, seed, MAX);
		assert_int_equal(virtio_console_probe(con, connect_to(w, VIRTIO_ID_CONSOLE)), 0);
		assert_true(virtio_console_size(con, &columns, &rows));
		assert_int_equal(columns, 80);
		wire_run(w);
		assert_int_equal(fake.be.input(fake.be.opaque, "typed", 5), 5);
		wire_run(w);
		virtio_stream_poll(&w->driver);
		for (size_t len = 0; len < 5; virtio_stream_poll(&w->driver))
			len += virtio_console_read(con, text + len, sizeof(text) - len);
		assert_memory_equal(text, "typed", 5);
		fake.columns = 132;
		fake.be.resized(fake.be.opaque, 132, 50);
		assert_true(virtio_console_size(con, &columns, &rows));
		assert_int_equal(columns, 132);
		virtio_console_remove(con);
		virtio_dev_destroy(dev);
		wire_destroy(w);
		free(con);
	}
}

static void net(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fake_net fake;
		struct virtio_net *net = calloc(1, sizeof(*net));
		struct virtio_dev *dev;
		struct wire *w;
		uint8_t frame[1514], got[1514];
		size_t len = 0;

		fake_net_init(&fake, true);
		dev = net_device_create(&fake.be);
		w = wire_create(dev, seed, MAX);
		assert_int_equal(virtio_net_probe(net, connect_to(w, VIRTIO_ID_NET)), 0);
		assert_memory_equal(net->mac, fake.be.mac, 6);
		for (size_t i = 0; i < sizeof(frame); i++)
			frame[i] = (uint8_t)(i * 7 + seed);
		assert_int_equal(virtio_net_send(net, frame, 100), 0);
		for (int i = 0; i < 1000 && !fake.frames; i++) {
			virtio_stream_poll(&w->driver);
			wire_run(w);
		}
		assert_int_equal(fake.frames, 1);
		assert_memory_equal(fake.sent, frame, 100);
		for (int i = 0; i < 1000 && !len; i++) {
			struct virtio_iov piece = { frame, sizeof(frame) };
			struct virtio_net_offload none = { 0 };

			if (!i)
				assert_true(fake.be.receiver.receive(fake.be.receiver.opaque, &piece, 1, &none));
			wire_run(w);
			len = virtio_net_receive(net, got, sizeof(got));
		}
		assert_int_equal(len, sizeof(frame));
		assert_memory_equal(got, frame, sizeof(frame));
		virtio_net_remove(net);
		virtio_dev_destroy(dev);
		wire_destroy(w);
		free(net);
	}
}

static void rng(void **state)
{
	for (uint64_t seed = 0; seed < SEEDS; seed++) {
		struct fake_entropy fake;
		struct virtio_rng rng = { .used = 0 };
		struct virtio_dev *dev;
		struct wire *w;
		uint8_t bytes[600];

		fake_entropy_init(&fake);
		fake.limit = seed;
		dev = rng_device_create(&fake.be);
		w = wire_create(dev, seed, MAX);
		assert_int_equal(virtio_rng_probe(&rng, connect_to(w, VIRTIO_ID_RNG)), 0);
		assert_int_equal(virtio_rng_read(&rng, bytes, sizeof(bytes)), 0);
		for (size_t i = 1; i < sizeof(bytes); i++)
			assert_int_equal((uint8_t)(bytes[i] - bytes[i - 1]), 1);
		virtio_rng_remove(&rng);
		virtio_dev_destroy(dev);
		wire_destroy(w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(disk),
		cmocka_unit_test(ends_anywhere),
		cmocka_unit_test(half_a_write),
		cmocka_unit_test(many_under_way),
		cmocka_unit_test(console),
		cmocka_unit_test(net),
		cmocka_unit_test(rng),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
