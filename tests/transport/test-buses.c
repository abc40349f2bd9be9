/* SPDX-License-Identifier: MIT */
/*
 * Every driver of libvirtio against every device, on every bus, in every byte order that the bus ever had, with each kind of
 * ring: one table of beds (<virtio/fake.h>), one list of tests. Guest memory, devices and drivers are in this process.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-block.h>
#include <virtio/driver-console.h>
#include <virtio/driver-net.h>
#include <virtio/driver-rng.h>
#include <virtio/fake.h>

#include "../device/bed.h"

/* --- the table ------------------------------------------------------------------------------------------------------ */

static const struct ring {
	const char *name;
	uint64_t without;
} rings[] = {
	{ "all features", 0 },
	{ "split", VIRTIO_F_RING_PACKED },
	{ "no event index", VIRTIO_F_EVENT_IDX },
	{ "plain", VIRTIO_F_RING_PACKED | VIRTIO_F_EVENT_IDX | VIRTIO_F_INDIRECT_DESC | VIRTIO_F_ANY_LAYOUT },
};

#define RINGS (sizeof(rings) / sizeof(rings[0]))

/* In the order in which they are on the bus. */
enum { BLOCK, NET, RNG, CONSOLE, SECOND_BLOCK, DEVICES };

static struct fixture {
	struct virtio_fake_options options;
	struct virtio_fake *fake;
	struct fake_disk disk, disk2;
	struct fake_net net;
	struct fake_entropy entropy;
	struct fake_console console;
	struct virtio_dev *dev[DEVICES];
	unsigned int place[DEVICES];	/* on the bus */
	struct virtio_device *changed;
	bool expect_broken;
} f;

static void idle(void *opaque)
{
	fake_disk_run(&f.disk);
	fake_disk_run(&f.disk2);
}

static void config_changed(void *opaque, struct virtio_device *vdev)
{
	f.changed = vdev;
}

static int setup(void **state)
{
	struct virtio_fake_options options = *(struct virtio_fake_options *)*state;

	memset(&f, 0, sizeof(f));
	options.idle = idle;
	options.config_changed = config_changed;
	f.options = options;
	assert_int_equal(virtio_fake_create(&options, &f.fake), 0);
	fake_disk_init(&f.disk);
	fake_disk_init(&f.disk2);
	fake_net_init(&f.net, true);
	fake_entropy_init(&f.entropy);
	fake_console_init(&f.console);
	f.dev[BLOCK] = block_device_create(&f.disk.be);
	f.dev[NET] = net_device_create(&f.net.be);
	f.dev[RNG] = rng_device_create(&f.entropy.be);
	f.dev[CONSOLE] = console_device_create(&f.console.be);
	f.dev[SECOND_BLOCK] = block_device_create(&f.disk2.be);
	for (unsigned int i = 0, place = 0; i < DEVICES; i++) {
		int ret = virtio_fake_add(f.fake, f.dev[i]);

		/* The oldest bus knows three kinds only. */
		assert_int_equal(ret, options.bus == VIRTIO_FAKE_LGUEST_DMA && i == RNG ? -VIRTIO_EINVAL : 0);
		f.place[i] = place;
		place += !ret;
		if (!ret)
			continue;
		virtio_dev_destroy(f.dev[i]);
		f.dev[i] = NULL;
	}
	return 0;
}

static int teardown(void **state)
{
	const char *broken = virtio_fake_broken(f.fake, NULL);

	virtio_fake_destroy(f.fake);
	if (!f.expect_broken)
		assert_null(broken);
	return 0;
}

static void *alloc(size_t size)
{
	void *p = virtio_fake_alloc(f.fake, size, 16);

	assert_non_null(p);
	return p;
}

static struct virtio_device *find(unsigned int index)
{
	struct virtio_device *vdev = NULL;

	assert_int_equal(virtio_fake_find(f.fake, f.place[index], &vdev), 0);
	assert_int_equal(vdev->id, f.dev[index]->id);
	return vdev;
}

static bool once_only(void)
{
	return f.options.bus == VIRTIO_FAKE_LGUEST_TLV;
}

static bool before_virtio(void)
{
	return f.options.bus == VIRTIO_FAKE_LGUEST_DMA;
}

static bool has_features(void)
{
	return !once_only() && !before_virtio();
}

static bool has_config_interrupt(void)
{
	return has_features() && f.options.bus != VIRTIO_FAKE_LGUEST_PAGE;
}

/* No rings, and so none of their features. */
static bool stream(void)
{
	return f.options.bus == VIRTIO_FAKE_STREAM;
}

static bool modern(void)
{
	return f.options.bus == VIRTIO_FAKE_DIRECT || stream() || f.options.bus == VIRTIO_FAKE_MMIO || f.options.bus == VIRTIO_FAKE_PCI ||
	       f.options.bus == VIRTIO_FAKE_PCI_MSIX;
}

/* Both ends agree on what was agreed, and it is what this bed is about. */
static void check_agreement(const struct virtio_device *vdev, const struct virtio_dev *dev)
{
	uint64_t without = f.options.without;

	/* On the bus without features, what the driver knows is what it found. */
	if (has_features())
		assert_int_equal(vdev->features, dev->features);
	assert_int_equal(vdev->features & without, 0);
	assert_int_equal(!!(vdev->features & VIRTIO_F_VERSION_1), modern());
	assert_int_equal(dev->big_endian, f.options.big_endian && !modern());
	assert_int_equal(vdev->big_endian, dev->big_endian);
	assert_int_equal(!!(vdev->features & VIRTIO_F_EVENT_IDX), has_features() && !stream() && !(without & VIRTIO_F_EVENT_IDX));
	assert_int_equal(!!(vdev->features & VIRTIO_F_INDIRECT_DESC), has_features() && !stream() && !(without & VIRTIO_F_INDIRECT_DESC));
}

/* --- one driver at a time ------------------------------------------------------------------------------------------- */

static void block(void **state)
{
	struct virtio_device *vdev = find(BLOCK);
	struct virtio_block *blk = alloc(sizeof(*blk));
	uint8_t *data = alloc(8192);
	char id[VIRTIO_BLOCK_ID_LEN + 1];

	for (size_t i = 0; i < FAKE_DISK_SIZE; i++)
		f.disk.data[i] = (uint8_t)(i / 512 * 3 + i);
	assert_int_equal(virtio_block_probe(blk, vdev), 0);
	assert_int_equal(blk->capacity, FAKE_DISK_SIZE / 512);
	assert_int_equal(blk->seg_max, before_virtio() ? 16 : 126);
	for (unsigned int held = 0; held < 2; held++) {
		f.disk.hold = held;
		assert_int_equal(virtio_block_read(blk, 5, data, 8192), 0);
		assert_memory_equal(data, f.disk.data + 5 * 512, 8192);
		memset(data, 0x5a + (int)held, 8192);
		assert_int_equal(virtio_block_write(blk, 100, data, 8192), 0);
		assert_memory_equal(data, f.disk.data + 100 * 512, 8192);
	}
	check_agreement(vdev, f.dev[BLOCK]);
	assert_int_equal(virtio_block_flush(blk), 0);
	assert_int_equal(virtio_block_get_id(blk, id), before_virtio() ? -VIRTIO_EOPNOTSUPP : 0);
	if (!before_virtio())
		assert_string_equal(id, "KENNEL-0123456789ABC");
	assert_int_equal(virtio_block_read(blk, FAKE_DISK_SIZE / 512, data, 512), -VIRTIO_EIO);
	assert_int_equal(virtio_block_read(blk, UINT64_MAX, data, 512), -VIRTIO_EIO);
	virtio_block_remove(blk);
}

/* As many requests as the ring takes, and more, in pieces, finished out of order, many laps round the ring. */
static void block_full(void **state)
{
	enum { REQUESTS = 150, PIECES = 3 };
	struct virtio_block *blk = alloc(sizeof(*blk));
	struct virtio_block_request *requests = alloc(REQUESTS * sizeof(*requests));
	uint8_t *data = alloc(REQUESTS * PIECES * 512);

	for (size_t i = 0; i < FAKE_DISK_SIZE; i++)
		f.disk.data[i] = (uint8_t)(i / 512);
	assert_int_equal(virtio_block_probe(blk, find(BLOCK)), 0);
	f.disk.hold = true;
	for (unsigned int lap = 0; lap < 20; lap++) {
		unsigned int count = 0, done = 0;
		int ret = 0;

		memset(data, 0, REQUESTS * PIECES * 512);
		for (; count < REQUESTS; count++) {
			struct virtio_iov pieces[PIECES];

			for (unsigned int i = 0; i < PIECES; i++)
				pieces[i] = (struct virtio_iov){ data + ((size_t)count * PIECES + i) * 512, 512 };
			ret = virtio_block_submit(blk, &requests[count], VIRTIO_BLOCK_T_IN, count * PIECES, pieces, PIECES);
			if (ret < 0)
				break;
		}
		/*
		 * The ring has 128 entries: for 128 requests in tables of their own, or fewer in chains. Without a ring there
		 * are 16.
		 */
		assert_int_equal(ret, -VIRTIO_ENOSPC);
		assert_in_range(count, before_virtio() ? 16 : 128 / (PIECES + 2), 128);
		virtio_sync(blk->queue);
		while (done < count) {
			idle(NULL);
			virtio_fake_deliver(f.fake);
			virtio_block_poll(blk);
			for (done = 0; done < count && requests[done].finished; done++)
				assert_int_equal(requests[done].error, 0);
		}
		for (unsigned int i = 0; i < count * PIECES; i++)
			assert_int_equal(data[(size_t)i * 512 + 511], (uint8_t)i);
	}
	virtio_block_remove(blk);
}

static void net(void **state)
{
	struct virtio_device *vdev = find(NET);
	struct virtio_net *nic = alloc(sizeof(*nic));
	uint8_t frame[VIRTIO_NET_FRAME], got[VIRTIO_NET_FRAME];
	struct virtio_iov iov = { frame, sizeof(frame) };
	unsigned int queued = 0;

	for (unsigned int i = 0; i < sizeof(frame); i++)
		frame[i] = (uint8_t)(i * 7);
	assert_int_equal(virtio_net_probe(nic, vdev), 0);
	check_agreement(vdev, f.dev[NET]);
	if (!before_virtio())
		assert_memory_equal(nic->mac, f.net.be.mac, 6);
	assert_true(virtio_net_link(nic));
	/* 5.1.6.1: the only difference that age makes to a header without offloads is its length. */
	assert_int_equal(nic->header, once_only() ? 8 : modern() ? 12 : 10);
	for (unsigned int i = 0; i < 600; i++) {
		frame[13] = (uint8_t)i;
		assert_int_equal(virtio_net_send(nic, frame, sizeof(frame)), 0);
		assert_int_equal(f.net.sent_len, sizeof(frame));
		assert_memory_equal(f.net.sent, frame, sizeof(frame));
		assert_true(f.net.be.receiver.receive(f.net.be.receiver.opaque, &iov, 1, NULL));
		virtio_fake_deliver(f.fake);
		assert_int_equal(virtio_net_receive(nic, got, sizeof(got)), sizeof(frame));
		assert_memory_equal(got, frame, sizeof(frame));
	}
	assert_int_equal(f.net.frames, 600);
	if (before_virtio()) {
		virtio_net_remove(nic);
		return;
	}
	/* More than there are buffers for: the rest waits outside, and comes when there is room. */
	f.net.ready = 0;
	while (f.net.be.receiver.receive(f.net.be.receiver.opaque, &iov, 1, NULL))
		queued++;
	assert_int_equal(queued, VIRTIO_NET_RX_BUFFERS);
	assert_int_equal(virtio_net_receive(nic, got, sizeof(got)), sizeof(frame));
	assert_int_equal(f.net.ready, 1);
	virtio_net_remove(nic);
}

static void rng(void **state)
{
	struct virtio_rng *source = alloc(sizeof(*source));
	struct virtio_device *vdev;
	uint8_t bytes[10000];

	if (!f.dev[RNG])
		return;
	vdev = find(RNG);
	assert_int_equal(virtio_rng_probe(source, vdev), 0);
	check_agreement(vdev, f.dev[RNG]);
	assert_int_equal(virtio_rng_read(source, bytes, sizeof(bytes)), 0);
	for (unsigned int i = 0; i < sizeof(bytes); i++)
		assert_int_equal(bytes[i], (uint8_t)(i + 1));
	virtio_rng_remove(source);
}

static void console(void **state)
{
	static const char typed[] = "typed, in pieces of every length there is up to this one";
	struct virtio_device *vdev = find(CONSOLE);
	struct virtio_console *con = alloc(sizeof(*con));
	char *text = alloc(64);
	uint16_t columns, rows;

	assert_int_equal(virtio_console_probe(con, vdev), 0);
	check_agreement(vdev, f.dev[CONSOLE]);
	/* Drivers look at the size of the window when they are told to: so they are told, once they have begun. */
	virtio_fake_deliver(f.fake);
	assert_ptr_equal(f.changed, has_config_interrupt() ? vdev : NULL);
	f.changed = NULL;
	memcpy(text, "good morning", 12);
	for (unsigned int i = 0; i < 100; i++) {
		f.console.len = 0;
		assert_int_equal(virtio_console_write(con, text, 12), 12);
		assert_int_equal(f.console.len, 12);
		assert_memory_equal(f.console.printed, "good morning", 12);
	}
	for (unsigned int len = 1; len < sizeof(typed); len++) {
		assert_int_equal(f.console.be.input(f.console.be.opaque, typed, len), len);
		assert_true(virtio_fake_deliver(f.fake) > 0);
		assert_int_equal(virtio_fake_deliver(f.fake), 0);
		assert_int_equal(virtio_console_read(con, text, 64), len);
		assert_memory_equal(text, typed, len);
	}
	/* The window changes: the new size is there, and where the bus can, an interrupt says so. */
	assert_int_equal(virtio_console_size(con, &columns, &rows), has_features());
	f.console.columns = 132;
	f.console.be.resized(f.console.be.opaque, 132, 25);
	virtio_fake_deliver(f.fake);
	assert_ptr_equal(f.changed, has_config_interrupt() ? vdev : NULL);
	if (virtio_console_size(con, &columns, &rows)) {
		assert_int_equal(columns, 132);
		assert_int_equal(rows, 25);
	}
	virtio_console_remove(con);
}

/* --- several, and again --------------------------------------------------------------------------------------------- */

static void together(void **state)
{
	struct virtio_block *blk = alloc(sizeof(*blk)), *blk2 = alloc(sizeof(*blk2));
	struct virtio_console *con = alloc(sizeof(*con));
	uint8_t *data = alloc(512);

	memset(f.disk.data, 1, FAKE_DISK_SIZE);
	memset(f.disk2.data, 2, FAKE_DISK_SIZE);
	f.disk.hold = f.disk2.hold = true;
	assert_int_equal(virtio_block_probe(blk2, find(SECOND_BLOCK)), 0);
	assert_int_equal(virtio_block_probe(blk, find(BLOCK)), 0);
	assert_int_equal(virtio_console_probe(con, find(CONSOLE)), 0);
	for (unsigned int i = 0; i < 200; i++) {
		f.console.be.input(f.console.be.opaque, "x", 1);
		assert_int_equal(virtio_block_read(i & 1 ? blk2 : blk, i, data, 512), 0);
		assert_int_equal(data[100], i & 1 ? 2 : 1);
		virtio_fake_deliver(f.fake);
		assert_int_equal(virtio_console_read(con, data, 512), 1);
	}
	virtio_block_remove(blk);
	assert_int_equal(virtio_block_read(blk2, 0, data, 512), 0);
	virtio_block_remove(blk2);
	virtio_console_remove(con);
}

/* A device of one queue and a few bytes of configuration. */
struct toy {
	struct virtio_dev dev;
	struct vring_device queue;
	uint8_t config[11];
	unsigned int writes, resets, taken;
	bool hold;
};

static void toy_get(struct virtio_dev *dev, void *config)
{
	memcpy(config, ((struct toy *)dev)->config, sizeof(((struct toy *)dev)->config));
}

static void toy_set(struct virtio_dev *dev, size_t offset, const void *data, size_t len)
{
	struct toy *toy = (struct toy *)dev;

	memcpy(toy->config + offset, data, len);
	toy->writes++;
	/* As devices do that round what they are told. */
	if (toy->config[3] > 100) {
		toy->config[3] = 100;
		virtio_dev_config_changed(dev);
	}
}

static void toy_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct vring_buffer buf;
	struct virtio_iov iov[4];

	while (virtio_dev_pop(dev, queue, &buf, iov, 4) == 1) {
		((struct toy *)dev)->taken++;
		if (!((struct toy *)dev)->hold)
			virtio_dev_push(dev, queue, buf.id, 0);
	}
	virtio_dev_flush(dev, queue);
}

static void write_config(struct virtio_device *vdev, size_t offset, const char *text)
{
	assert_int_equal(vdev->bus->set(vdev, offset, text, strlen(text)), 0);
}

static void read_config(struct virtio_device *vdev, const char *expected)
{
	char config[12] = "";

	assert_int_equal(vdev->bus->get(vdev, 0, config, 11), 0);
	assert_string_equal(config, expected);
}

static void toy_reset(struct virtio_dev *dev, unsigned int queue)
{
	((struct toy *)dev)->resets++;
}

/* A bed as the test's, with one device that takes buffers and gives them back unless it is to hold them. */
static struct virtio_fake *toy_bed(struct toy *toy, struct virtio_device **vdev, struct virtio_queue **vq)
{
	static const struct virtio_dev_ops ops = { .name = "toy",
						   .queue_notify = toy_notify,
						   .queue_reset = toy_reset,
						   .config_get = toy_get,
						   .config_set = toy_set };
	struct virtio_fake_options options = f.options;
	struct virtio_fake *fake;

	*toy = (struct toy){
		.dev = { .ops = &ops, .id = VIRTIO_ID_RNG, .offered = VIRTIO_DEV_RING_FEATURES, .config_len = 11, .num_queues = 1 },
		.queue.num_max = 16,
		.config = "0123456789.",
	};
	toy->dev.queues = &toy->queue;
	options.idle = NULL;
	assert_int_equal(virtio_fake_create(&options, &fake), 0);
	assert_int_equal(virtio_fake_add(fake, &toy->dev), 0);
	assert_int_equal(virtio_fake_find(fake, 0, vdev), 0);
	assert_int_equal(virtio_device_setup(*vdev, 0), 0);
	assert_int_equal(virtio_device_queue(*vdev, 0, NULL, NULL, vq), 0);
	virtio_device_ready(*vdev);
	return fake;
}

/*
 * The driver writes into the configuration. Where that is a store to a page the device hears of it when the driver calls next: with
 * a kick, before a reset; and what either end writes does not undo the other's.
 */
static void config_written(void **state)
{
	struct virtio_device *vdev;
	struct virtio_fake *fake;
	struct virtio_queue *vq;
	struct virtio_iov piece;
	unsigned long used;
	struct toy toy;

	if (!has_features())
		return;
	fake = toy_bed(&toy, &vdev, &vq);
	piece = (struct virtio_iov){ virtio_fake_alloc(fake, 16, 16), 1 };
	read_config(vdev, "0123456789.");
	write_config(vdev, 4, "word");
	write_config(vdev, 10, "!");
	assert_true(virtio_add_outbuf(vq, &piece, 1, &used) >= 0);
	virtio_sync(vq);
	assert_memory_equal(toy.config, "0123word89!", 11);
	assert_int_equal(toy.writes, 2);
	read_config(vdev, "0123word89!");
	/* The device changes something before it has heard of what the driver changed. */
	write_config(vdev, 5, "u");
	toy.config[0] = 'D';
	virtio_dev_config_changed(&toy.dev);
	read_config(vdev, "D123wurd89!");
	assert_memory_equal(toy.config, "D123wurd89!", 11);
	/* It makes something else of what it is told. */
	write_config(vdev, 3, "x");
	assert_true(virtio_add_outbuf(vq, &piece, 1, &used) >= 0);
	virtio_sync(vq);
	read_config(vdev, "D12dwurd89!");
	/* The last thing that a driver says. */
	write_config(vdev, 8, "no");
	virtio_device_remove(vdev);
	assert_memory_equal(toy.config, "D12dwurdno!", 11);
	virtio_fake_destroy(fake);
}

static unsigned int cancelled;

static void count_cancelled(struct virtio_block_request *request, int error)
{
	assert_int_equal(error, -VIRTIO_ENODEV);
	cancelled++;
}

/*
 * The driver leaves in the middle of things; when that returns, nothing writes into its memory any more, and the next one
 * begins anew.
 */
static void reset_in_the_middle(void **state)
{
	struct virtio_block *blk = alloc(sizeof(*blk));
	struct virtio_block_request *requests = alloc(8 * sizeof(*requests));
	uint8_t *data = alloc(8 * 512);

	if (before_virtio())
		return;
	for (unsigned int round = 0; round < (once_only() ? 1 : 3); round++) {
		memset(f.disk.data, 0x11, FAKE_DISK_SIZE);
		memset(blk, 0, sizeof(*blk));
		assert_int_equal(virtio_block_probe(blk, find(BLOCK)), 0);
		f.disk.hold = true;
		cancelled = 0;
		for (unsigned int i = 0; i < 8; i++) {
			struct virtio_iov piece = { data + (size_t)512 * i, 512 };

			requests[i].done = count_cancelled;
			assert_int_equal(virtio_block_submit(blk, &requests[i], VIRTIO_BLOCK_T_IN, i, &piece, 1), 0);
		}
		virtio_sync(blk->queue);
		assert_int_equal(f.disk.held_count, 8);
		virtio_block_remove(blk);
		assert_int_equal(cancelled, 8);
		memset(data, 0, 8 * 512);
		fake_disk_run(&f.disk);
		assert_true(virtio_is_zero(data, 8 * 512));
		assert_false(f.dev[BLOCK]->live);
		f.disk.hold = false;
	}
	memset(blk, 0, sizeof(*blk));
	assert_int_equal(virtio_block_probe(blk, find(BLOCK)), once_only() ? -VIRTIO_EBUSY : 0);
	if (once_only())
		return;
	assert_int_equal(virtio_block_read(blk, 0, data, 512), 0);
	assert_int_equal(data[0], 0x11);
	virtio_block_remove(blk);
}

/*
 * A buffer that the device holds is taken back. Where one queue can be reset that costs the queue only, which goes on; elsewhere the
 * device.
 */
static void take_back(void **state)
{
	bool goes_on = modern();
	struct virtio_device *vdev;
	struct virtio_fake *fake;
	struct virtio_queue *vq;
	struct virtio_iov piece;
	unsigned long used;
	struct toy toy;
	long id;

	if (before_virtio())
		return;
	fake = toy_bed(&toy, &vdev, &vq);
	toy.hold = true;
	piece = (struct virtio_iov){ virtio_fake_alloc(fake, 16, 16), 16 };
	assert_int_equal(!!virtio_device_has(vdev, VIRTIO_F_RING_RESET), goes_on && !stream());
	id = virtio_add_inbuf(vq, &piece, 0, 1, &used);
	assert_true(id >= 0);
	virtio_sync(vq);
	assert_int_equal(toy.taken, 1);
	virtio_detach_inbuf(vq, id);
	assert_int_equal(used, VIRTIO_CANCELLED);
	/* Over a stream it only has to be remembered. */
	assert_int_equal(toy.resets, goes_on && !stream());
	assert_int_equal(toy.dev.live, goes_on);
	assert_int_equal(vdev->lost, !goes_on);
	toy.hold = false;
	assert_int_equal(virtio_add_inbuf(vq, &piece, 0, 1, &used) >= 0, goes_on);
	virtio_sync(vq);
	virtio_fake_deliver(fake);
	virtio_harvest(vq);
	assert_int_equal(toy.taken, 1 + goes_on);
	assert_int_equal(used, goes_on ? 0 : VIRTIO_CANCELLED);
	virtio_device_remove(vdev);
	virtio_fake_destroy(fake);
}

/* --- those who do not keep to the contract -------------------------------------------------------------------------- */

/* clause 2.5.1: configuration beyond its end, at either end of the bus. */
static void config_bounds(void **state)
{
	struct virtio_device *vdev = find(BLOCK);
	uint8_t bytes[16] = { 0 };

	assert_int_equal(virtio_device_setup(vdev, 0), 0);
	assert_int_equal(vdev->bus->get(vdev, 0, bytes, 8), 0);
	assert_int_equal(virtio_get64(vdev->big_endian, bytes), FAKE_DISK_SIZE / 512);
	assert_int_equal(vdev->bus->get(vdev, 5000, bytes, 1), -VIRTIO_ERANGE);
	assert_int_equal(vdev->bus->get(vdev, SIZE_MAX, bytes, 2), -VIRTIO_ERANGE);
	assert_int_equal(vdev->bus->set(vdev, 5000, bytes, 1), -VIRTIO_ERANGE);
	assert_int_equal(vdev->bus->set(vdev, SIZE_MAX, bytes, 16), -VIRTIO_ERANGE);
}

/* clause 2.2.1: a driver that takes what it was not offered does not get a device. */
static void not_offered(void **state)
{
	struct virtio_device *vdev;
	struct virtio_queue *vq;
	int ret;

	if (!has_features())
		return;
	vdev = find(RNG);
	assert_int_equal(virtio_device_setup(vdev, 0), 0);
	vdev->bus->reset(vdev);
	vdev->bus->set_status(vdev, VIRTIO_STATUS_ACKNOWLEDGE);
	vdev->bus->set_status(vdev, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER);
	vdev->features |= VIRTIO_BIT(5);
	ret = vdev->bus->finalize_features(vdev);
	vdev->bus->set_status(vdev, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_FEATURES_OK);
	if (!ret && virtio_device_queue(vdev, 0, NULL, NULL, &vq) == 0)
		vdev->bus->set_status(vdev, VIRTIO_STATUS_ACKNOWLEDGE | VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK);
	assert_int_equal(f.dev[RNG]->features & VIRTIO_BIT(5), 0);
	if (f.options.bus != VIRTIO_FAKE_DIRECT)
		assert_false(f.dev[RNG]->live);
	f.expect_broken = true;
	virtio_device_remove(vdev);
}

/*
 * clause 2.1.2: buffers that are not in guest memory. The device stops and says so once; the others go on; after a reset it
 * does again.
 */
static void broken_ring(void **state)
{
	struct virtio_console *con = alloc(sizeof(*con));
	struct virtio_rng *source = alloc(sizeof(*source));
	struct virtio_mem elsewhere = *virtio_fake_mem(f.fake), *mem;
	struct virtio_device *vdev;
	const struct virtio_dev *dev;
	const char *reason;
	unsigned long used;
	struct virtio_iov piece = { source->buffer, 64 };
	uint8_t byte;

	if (before_virtio() || stream())
		return;
	vdev = find(RNG);
	mem = (struct virtio_mem *)(uintptr_t)vdev->platform->mem;
	assert_int_equal(virtio_console_probe(con, find(CONSOLE)), 0);
	assert_int_equal(virtio_rng_probe(source, vdev), 0);
	/* The driver is mistaken about where its memory is. */
	mem->start = UINT64_C(0x7000000000);
	assert_true(virtio_add_inbuf(source->queue, &piece, 0, 1, &used) >= 0);
	*mem = elsewhere;
	virtio_sync(source->queue);
	reason = virtio_fake_broken(f.fake, &dev);
	assert_non_null(reason);
	assert_non_null(strstr(reason, "outside guest memory"));
	assert_ptr_equal(dev, f.dev[RNG]);
	assert_null(virtio_fake_broken(f.fake, NULL));
	if (modern() || f.options.bus >= VIRTIO_FAKE_MMIO_LEGACY)
		assert_int_equal(vdev->bus->get_status(vdev) & VIRTIO_STATUS_NEEDS_RESET, VIRTIO_STATUS_NEEDS_RESET);
	f.console.be.input(f.console.be.opaque, "y", 1);
	virtio_fake_deliver(f.fake);
	assert_int_equal(virtio_console_read(con, &byte, 1), 1);
	/* clause 2.1.1-4: who waits for it is not left waiting. Older buses have no word for that. */
	if (modern() || f.options.bus >= VIRTIO_FAKE_MMIO_LEGACY) {
		assert_int_equal(virtio_wait_done(source->queue, &used), -VIRTIO_ENODEV);
		assert_int_equal(vdev->bus->get_status(vdev), 0);
		assert_false(virtio_device_check(vdev));
	}
	virtio_rng_remove(source);
	assert_int_equal(used, VIRTIO_CANCELLED);
	if (!once_only()) {
		memset(source, 0, sizeof(*source));
		assert_int_equal(virtio_rng_probe(source, vdev), 0);
		assert_int_equal(virtio_rng_read(source, &byte, 1), 0);
		virtio_rng_remove(source);
	}
	virtio_console_remove(con);
}

/* --- the bed itself ------------------------------------------------------------------------------------------------- */

static void bed_errors(void **state)
{
	struct virtio_fake_options options = { .bus = VIRTIO_FAKE_BUSES };
	struct fake_entropy entropies[VIRTIO_FAKE_DEVICES + 1];
	struct virtio_dev *dev = NULL;
	struct virtio_device *vdev;
	struct virtio_fake *fake;
	void *piece;

	assert_int_equal(virtio_fake_create(NULL, &fake), -VIRTIO_EINVAL);
	assert_int_equal(virtio_fake_create(&options, &fake), -VIRTIO_EINVAL);
	options.bus = VIRTIO_FAKE_S390_PAGE;
	assert_int_equal(virtio_fake_create(&options, &fake), -VIRTIO_EINVAL);
	options.bus = VIRTIO_FAKE_LGUEST_PAGE;
	options.big_endian = true;
	assert_int_equal(virtio_fake_create(&options, &fake), -VIRTIO_EINVAL);
	options = (struct virtio_fake_options){ .bus = VIRTIO_FAKE_MMIO, .memory = 65535 };
	assert_int_equal(virtio_fake_create(&options, &fake), -VIRTIO_EINVAL);
	options.memory = 65536;
	assert_int_equal(virtio_fake_create(&options, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_fake_create(&options, &fake), 0);
	assert_int_equal(virtio_fake_add(fake, NULL), -VIRTIO_EINVAL);
	for (unsigned int i = 0; i < VIRTIO_FAKE_DEVICES + 1; i++) {
		fake_entropy_init(&entropies[i]);
		dev = rng_device_create(&entropies[i].be);
		assert_int_equal(virtio_fake_add(fake, dev), i < VIRTIO_FAKE_DEVICES ? 0 : -VIRTIO_ENOSPC);
	}
	assert_int_equal(virtio_fake_deliver(fake), 0);
	assert_int_equal(virtio_fake_find(fake, VIRTIO_FAKE_DEVICES, &vdev), -VIRTIO_ENOENT);
	assert_int_equal(virtio_fake_find(fake, VIRTIO_FAKE_DEVICES - 1, &vdev), 0);
	assert_int_equal(virtio_fake_add(fake, dev), -VIRTIO_EBUSY);
	virtio_dev_destroy(dev);
	/* Memory comes zeroed, ends, and comes back. */
	assert_null(virtio_fake_alloc(fake, 65536, 16));
	assert_null(virtio_fake_alloc(fake, SIZE_MAX, 16));
	piece = virtio_fake_alloc(fake, 0xe000, 4096);
	assert_non_null(piece);
	assert_int_equal((uintptr_t)piece % 4096, 0);
	assert_null(virtio_fake_alloc(fake, 0xe000, 4096));
	memset(piece, 0xff, 0xe000);
	virtio_fake_free(fake, piece, 0xe000);
	assert_ptr_equal(virtio_fake_alloc(fake, 0xe000, 4096), piece);
	assert_true(virtio_is_zero(piece, 0xe000));
	assert_string_equal(virtio_fake_name(VIRTIO_FAKE_S390_PAGE), "s390-page");
	assert_string_equal(virtio_fake_name(VIRTIO_FAKE_BUSES), "?");
	virtio_fake_destroy(fake);
	virtio_fake_destroy(NULL);
}

static const struct {
	const char *name;
	CMUnitTestFunction run;
} tests[] = {
	{ "block", block },
	{ "block, a full ring", block_full },
	{ "net", net },
	{ "rng", rng },
	{ "console", console },
	{ "together", together },
	{ "configuration written", config_written },
	{ "reset in the middle", reset_in_the_middle },
	{ "take back", take_back },
	{ "configuration bounds", config_bounds },
	{ "not offered", not_offered },
	{ "broken ring", broken_ring },
};

#define TESTS	(sizeof(tests) / sizeof(tests[0]))
#define BEDS	(VIRTIO_FAKE_BUSES * 2 * RINGS)

static struct virtio_fake_options beds[BEDS];
static char names[BEDS][64];

/* Every combination that can be made. */
static unsigned int make_beds(void)
{
	unsigned int count = 0;

	for (unsigned int i = 0; i < BEDS; i++) {
		const struct ring *ring = &rings[i % RINGS];
		struct virtio_fake_options options = {
			.bus = (enum virtio_fake_bus)(i / RINGS / 2), .big_endian = i / RINGS % 2, .without = ring->without };
		struct virtio_fake *fake;

		if (virtio_fake_create(&options, &fake))
			continue;
		virtio_fake_destroy(fake);
		beds[count] = options;
		snprintf(names[count++], sizeof(names[0]), "%s, %s-endian, %s", virtio_fake_name(options.bus),
			 options.big_endian ? "big" : "little", ring->name);
	}
	return count;
}

int main(void)
{
	const struct CMUnitTest bed[] = { cmocka_unit_test(bed_errors) };
	unsigned int count = make_beds();
	int failed = cmocka_run_group_tests_name("bed", bed, NULL, NULL);

	for (unsigned int i = 0; i < count; i++) {
		struct CMUnitTest list[TESTS];

		for (unsigned int t = 0; t < TESTS; t++)
			list[t] = (struct CMUnitTest){ tests[t].name, tests[t].run, setup, teardown, &beds[i] };
		failed += cmocka_run_group_tests_name(names[i], list, NULL, NULL);
	}
	return failed;
}
