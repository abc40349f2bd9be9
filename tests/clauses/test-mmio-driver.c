/* SPDX-License-Identifier: MIT */
/*
 * Clauses that a driver of virtio over MMIO keeps: between our two ends stands somebody who looks at each access, and lets a reset of
 * a queue take its time.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/arena.h>
#include <tests/clause.h>
#include <transport/mmio/virtio-mmio-guest.h>
#include <transport/mmio/virtio-mmio-host.h>

#define MEMORY	0x40000u

/* A device that gives back what it gets, and a configuration of a field of each width. */
static void toy_get(struct virtio_dev *dev, void *config)
{
	memset(config, 0x11, dev->config_len);
}

static void toy_notify(struct virtio_dev *dev, unsigned int queue)
{
	struct virtio_iov iov[4];
	struct vring_buffer buf;

	while (virtio_dev_pop(dev, queue, &buf, iov, 4) == 1)
		virtio_dev_push(dev, queue, buf.id, 0);
	virtio_dev_flush(dev, queue);
}

static void toy_queue_reset(struct virtio_dev *dev, unsigned int queue)
{
}

static const struct virtio_dev_ops toy_ops = {
	.name = "toy", .queue_notify = toy_notify, .queue_reset = toy_queue_reset, .config_get = toy_get };

static struct {
	struct virtio_mmio vm;
	struct virtio_dev dev;
	struct vring_device queues[2];
	uint8_t *memory;
	size_t next;
	struct virtio_mem mem;
	struct virtio_platform platform;
	struct virtio_mmio_access access;
	struct virtio_mmio_device device;
	/* What was seen. */
	unsigned int begun;		/* of magic value, version and id: what was read */
	bool device_half, driver_half;	/* one was selected */
	bool read_back;			/* 0 was written to QueueReady, and must be read now */
	unsigned int stopped;		/* and was, so often */
	unsigned int resetting;		/* reads of QueueReset that find it not complete */
	unsigned int polls;
	uint32_t ready;			/* queues, as bits */
	uint32_t select, max, events;
	unsigned int acknowledged;
} m;

/* --- the one who looks ---------------------------------------------------------------------------------------------- */

static const uint16_t readable[] = {
	VIRTIO_MMIO_MAGIC, VIRTIO_MMIO_VERSION, VIRTIO_MMIO_DEVICE_ID, VIRTIO_MMIO_VENDOR_ID, VIRTIO_MMIO_DEVICE_FEATURES,
	VIRTIO_MMIO_QUEUE_NUM_MAX, VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_MMIO_STATUS, VIRTIO_MMIO_QUEUE_RESET,
	VIRTIO_MMIO_GENERATION };
static const uint16_t writable[] = {
	VIRTIO_MMIO_DEVICE_FEATURES_SEL, VIRTIO_MMIO_DRIVER_FEATURES, VIRTIO_MMIO_DRIVER_FEATURES_SEL, VIRTIO_MMIO_QUEUE_SEL,
	VIRTIO_MMIO_QUEUE_NUM, VIRTIO_MMIO_QUEUE_READY, VIRTIO_MMIO_QUEUE_NOTIFY, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_STATUS,
	VIRTIO_MMIO_QUEUE_DESC_LOW, VIRTIO_MMIO_QUEUE_DESC_HIGH, VIRTIO_MMIO_QUEUE_DRIVER_LOW, VIRTIO_MMIO_QUEUE_DRIVER_HIGH,
	VIRTIO_MMIO_QUEUE_DEVICE_LOW, VIRTIO_MMIO_QUEUE_DEVICE_HIGH, VIRTIO_MMIO_QUEUE_RESET };

static bool among(const uint16_t *offsets, size_t count, uint64_t offset)
{
	for (size_t i = 0; i < count; i++)
		if (offsets[i] == offset)
			return true;
	return false;
}

/* Fields: u64, u32, u16, u8, u8. */
static void check_config(uint64_t offset, unsigned int size)
{
	static const unsigned int widths[16] = { [0] = 4, [4] = 4, [8] = 4, [12] = 2, [14] = 1, [15] = 1 };

	assert_in_range(offset, VIRTIO_MMIO_CONFIG, VIRTIO_MMIO_CONFIG + 15);
	assert_int_equal(size, widths[offset - VIRTIO_MMIO_CONFIG]);
}

static bool describes_queue(uint64_t offset)
{
	return offset == VIRTIO_MMIO_QUEUE_NUM || (offset >= VIRTIO_MMIO_QUEUE_DESC_LOW && offset <= VIRTIO_MMIO_QUEUE_DEVICE_HIGH);
}

static uint32_t look_read(void *opaque, uint64_t offset, unsigned int size)
{
	uint32_t value = virtio_mmio_read(&m.vm, (uint32_t)offset, size);

	assert_int_equal(m.read_back && offset != VIRTIO_MMIO_QUEUE_READY, 0);
	if (offset >= VIRTIO_MMIO_CONFIG) {
		check_config(offset, size);
		return value;
	}
	assert_int_equal(size, 4);
	assert_true(among(readable, sizeof(readable) / sizeof(readable[0]), offset));
	/* Magic value, version and id come first. */
	if (m.begun < 3)
		assert_int_equal(offset, (uint64_t)4 * m.begun++);
	if (offset == VIRTIO_MMIO_DEVICE_FEATURES)
		assert_true(m.device_half);
	if (offset == VIRTIO_MMIO_QUEUE_NUM_MAX)
		m.max = value;
	if (offset == VIRTIO_MMIO_INTERRUPT_STATUS)
		m.events = value;
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		m.stopped += m.read_back;
		m.read_back = false;
	}
	if (offset == VIRTIO_MMIO_QUEUE_RESET) {
		m.polls++;
		if (m.resetting && --m.resetting)
			return 1;
	}
	return value;
}

static void look_write(void *opaque, uint64_t offset, unsigned int size, uint32_t value)
{
	assert_int_equal(m.begun, 3);
	assert_false(m.read_back);
	if (offset >= VIRTIO_MMIO_CONFIG) {
		check_config(offset, size);
	} else {
		assert_int_equal(size, 4);
		assert_true(among(writable, sizeof(writable) / sizeof(writable[0]), offset));
	}
	/* A reset that is not complete is nothing to go on from. */
	assert_int_equal(m.resetting, 0);
	m.device_half |= offset == VIRTIO_MMIO_DEVICE_FEATURES_SEL;
	m.driver_half |= offset == VIRTIO_MMIO_DRIVER_FEATURES_SEL;
	if (offset == VIRTIO_MMIO_DRIVER_FEATURES)
		assert_true(m.driver_half);
	if (offset == VIRTIO_MMIO_QUEUE_SEL)
		m.select = value;
	if (offset == VIRTIO_MMIO_QUEUE_NUM)
		assert_in_range(value, 1, m.max);
	if (describes_queue(offset))
		assert_int_equal(m.ready >> m.select & 1, 0);
	if (offset == VIRTIO_MMIO_STATUS && !value)
		m.ready = 0;
	if (offset == VIRTIO_MMIO_QUEUE_READY) {
		m.ready = (m.ready & ~(1u << m.select)) | value << m.select;
		m.read_back = !value;
	}
	if (offset == VIRTIO_MMIO_QUEUE_RESET) {
		assert_int_equal(value, 1);
		m.resetting = 4;
		m.ready &= ~(1u << m.select);
	}
	if (offset == VIRTIO_MMIO_INTERRUPT_ACK) {
		assert_int_equal(value, m.events);
		assert_int_equal(value & ~(VIRTIO_MMIO_INT_QUEUE | VIRTIO_MMIO_INT_CONFIG), 0);
		m.acknowledged++;
	}
	virtio_mmio_write(&m.vm, (uint32_t)offset, size, value);
}

/* --- the driver ----------------------------------------------------------------------------------------------------- */

static void irq(void *opaque, bool level)
{
}

static void *alloc(void *opaque, size_t size, size_t align)
{
	return arena_take(m.memory, MEMORY, &m.next, size, align);
}

static int setup(void **state)
{
	memset(&m, 0, sizeof(m));
	m.memory = aligned_alloc(4096, MEMORY);
	memset(m.memory, 0, MEMORY);
	m.next = 4096;
	m.mem = (struct virtio_mem){ .base = m.memory, .size = MEMORY };
	m.platform = (struct virtio_platform){ .mem = &m.mem, .alloc = alloc };
	m.access = (struct virtio_mmio_access){ .read = look_read, .write = look_write };
	m.dev = (struct virtio_dev){ .ops = &toy_ops, .id = VIRTIO_ID_RNG, .offered = VIRTIO_DEV_RING_FEATURES, .config_len = 16,
				     .queues = m.queues, .num_queues = 2 };
	m.queues[0].num_max = m.queues[1].num_max = 8;
	assert_int_equal(virtio_mmio_init(&m.vm, &m.dev, VIRTIO_MMIO_MODERN, false, &m.mem, irq, NULL, NULL), 0);
	return 0;
}

static int teardown(void **state)
{
	free(m.memory);
	return 0;
}

static void bring_up(struct virtio_queue *vq[2])
{
	assert_int_equal(virtio_mmio_probe(&m.device, &m.platform, &m.access, 0, VIRTIO_MMIO_WINDOW, false), 0);
	assert_int_equal(virtio_device_setup(&m.device.vdev, 0), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(virtio_device_queue(&m.device.vdev, i, NULL, NULL, &vq[i]), 0);
	virtio_device_ready(&m.device.vdev);
}

/* A life from its beginning to its end, as the one who looks wants it. */
static void manners(void **state)
{
	struct virtio_queue *vq[2];
	uint64_t wide;
	uint32_t word;
	uint16_t half;
	uint8_t byte;

	bring_up(vq);
	assert_int_equal(m.ready, 3);
	assert_int_equal(virtio_config_get64(&m.device.vdev, 0, &wide), 0);
	assert_int_equal(virtio_config_get32(&m.device.vdev, 8, &word), 0);
	assert_int_equal(virtio_config_get16(&m.device.vdev, 12, &half), 0);
	assert_int_equal(virtio_config_get8(&m.device.vdev, 14, &byte), 0);
	assert_int_equal(m.device.vdev.bus->set(&m.device.vdev, 0, &wide, 8), 0);
	assert_int_equal(m.device.vdev.bus->set(&m.device.vdev, 12, &half, 2), 0);
	virtio_device_remove(&m.device.vdev);
	assert_int_equal(m.stopped, 2);
	assert_int_equal(m.ready, 0);
}

/* One interrupt, for two queues and a change. */
static void one_interrupt(void **state)
{
	struct virtio_iov piece;
	struct virtio_queue *vq[2];
	unsigned long used[2];
	bool config;

	bring_up(vq);
	piece = (struct virtio_iov){ alloc(NULL, 16, 16), 16 };
	for (unsigned int i = 0; i < 2; i++) {
		assert_true(virtio_add_outbuf(vq[i], &piece, 1, &used[i]) >= 0);
		virtio_sync(vq[i]);
		assert_false(virtio_is_done(&used[i]));
	}
	virtio_dev_config_changed(&m.dev);
	assert_true(virtio_mmio_device_interrupt(&m.device, &config));
	assert_true(config);
	assert_true(virtio_is_done(&used[0]) && virtio_is_done(&used[1]));
	assert_int_equal(m.acknowledged, 1);
	assert_false(m.vm.asserted);
	/* None was for us. */
	assert_false(virtio_mmio_device_interrupt(&m.device, &config));
	assert_int_equal(m.acknowledged, 1);
	virtio_device_remove(&m.device.vdev);
}

static void queue_reset_takes_its_time(void **state)
{
	struct virtio_queue *vq[2];

	bring_up(vq);
	assert_int_equal(virtio_queue_reset(vq[1]), 0);
	assert_int_equal(m.polls, 4);
	assert_int_equal(m.ready, 3);
	virtio_device_remove(&m.device.vdev);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLAUSE_SETUP("4.2.2.2-1 4.2.2.2-2 4.2.2.2-3 4.2.2.2-5 4.2.2.2-6 4.2.2.2-7 4.2.2.2-8 4.2.2.2-9 4.2.3.1.1-1", manners, setup, teardown),
		CLAUSE_SETUP("4.2.2.2-10 4.2.3.4.1-1", one_interrupt, setup, teardown),
		CLAUSE_SETUP("4.2.2.2-11", queue_reset_takes_its_time, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
