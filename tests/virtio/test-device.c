/* SPDX-License-Identifier: MIT */
/* The device's end without a ring: features, status, config space, breaking; and the pieces of a buffer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/device.h>

#define OFFERED (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | VIRTIO_BIT(0) | VIRTIO_BIT(63))

struct toy {
	struct virtio_dev dev;
	struct vring_device queues[2];
	unsigned int starts, driver_oks, resets, kicks, interrupts, config_changes, broken;
	uint8_t written[8];
	size_t written_at, written_len;
	bool picky;
};

static struct toy *of(struct virtio_dev *dev)
{
	return (struct toy *)dev;
}

static void toy_queue_notify(struct virtio_dev *dev, unsigned int queue)
{
	of(dev)->kicks++;
}

static int toy_features_ok(struct virtio_dev *dev)
{
	return of(dev)->picky && !virtio_dev_has(dev, VIRTIO_BIT(0)) ? -VIRTIO_EINVAL : 0;
}

static void toy_start(struct virtio_dev *dev)
{
	of(dev)->starts++;
}

static void toy_driver_ok(struct virtio_dev *dev)
{
	assert_true(dev->live && (dev->status & VIRTIO_STATUS_DRIVER_OK));
	of(dev)->driver_oks++;
}

static void toy_reset(struct virtio_dev *dev)
{
	of(dev)->resets++;
}

static void toy_config_get(struct virtio_dev *dev, void *config)
{
	virtio_put32(dev->big_endian, config, 0x11223344);
}

static void toy_config_set(struct virtio_dev *dev, size_t offset, const void *data, size_t len)
{
	of(dev)->written_at = offset;
	of(dev)->written_len = len;
	memcpy(of(dev)->written, data, len);
}

static const struct virtio_dev_ops toy_ops = {
	.name = "toy",
	.queue_notify = toy_queue_notify,
	.features_ok = toy_features_ok,
	.start = toy_start,
	.driver_ok = toy_driver_ok,
	.reset = toy_reset,
	.config_get = toy_config_get,
	.config_set = toy_config_set,
};

static void bus_interrupt(struct virtio_dev *dev, unsigned int queue)
{
	of(dev)->interrupts++;
}

static void bus_config_changed(struct virtio_dev *dev)
{
	of(dev)->config_changes++;
}

static void bus_broken(struct virtio_dev *dev)
{
	of(dev)->broken++;
}

static const struct virtio_transport_ops bus_ops = {
	.interrupt = bus_interrupt,
	.config_changed = bus_config_changed,
	.broken = bus_broken,
};

static uint8_t memory[8192] __attribute__((aligned(16)));
static const struct virtio_mem mem = { .base = memory, .size = sizeof(memory) };

static void toy_init(struct toy *t)
{
	*t = (struct toy){ .dev = { .ops = &toy_ops, .id = 42, .offered = OFFERED, .config_len = 8, .num_queues = 2 } };
	t->dev.queues = t->queues;
	t->queues[0].num_max = t->queues[1].num_max = 16;
	t->dev.transport = &bus_ops;
	t->dev.mem = &mem;
	virtio_dev_reset(&t->dev);
	t->resets = 0;
}

static void features(void **state)
{
	struct toy t;

	toy_init(&t);
	/* 2.2.1: only what was offered. */
	assert_int_equal(virtio_dev_set_features(&t.dev, VIRTIO_BIT(1)), -VIRTIO_EINVAL);
	assert_int_equal(virtio_dev_set_features(&t.dev, VIRTIO_BIT(62)), -VIRTIO_EINVAL);
	assert_int_equal(t.dev.features, 0);
	assert_int_equal(virtio_dev_set_features(&t.dev, VIRTIO_BIT(63) | VIRTIO_BIT(0)), 0);
	assert_true(virtio_dev_has(&t.dev, VIRTIO_BIT(63)));
	/* The device's own opinion; what was accepted before stays. */
	t.picky = true;
	assert_int_equal(virtio_dev_set_features(&t.dev, VIRTIO_BIT(63)), -VIRTIO_EINVAL);
	assert_true(virtio_dev_has(&t.dev, VIRTIO_BIT(0)));
	/* Not while it is live. */
	virtio_dev_start(&t.dev);
	assert_int_equal(virtio_dev_set_features(&t.dev, VIRTIO_BIT(0)), -VIRTIO_EINVAL);
}

/* Legacy drivers speak the guest's byte order, others little-endian. */
static void byte_order(void **state)
{
	struct toy t;
	uint8_t c[4];

	toy_init(&t);
	t.dev.legacy_big_endian = true;
	virtio_dev_reset(&t.dev);
	virtio_dev_set_features(&t.dev, 0);
	assert_int_equal(virtio_dev_config_read(&t.dev, 0, c, 4), 0);
	assert_memory_equal(c, "\x11\x22\x33\x44", 4);
	virtio_dev_set_features(&t.dev, VIRTIO_F_VERSION_1);
	assert_int_equal(virtio_dev_config_read(&t.dev, 0, c, 4), 0);
	assert_memory_equal(c, "\x44\x33\x22\x11", 4);
	virtio_dev_reset(&t.dev);
	assert_true(t.dev.big_endian);
}

static void status_machine(void **state)
{
	struct toy t;

	toy_init(&t);
	assert_int_equal(virtio_dev_set_status(&t.dev, 1), 1);
	assert_int_equal(virtio_dev_set_status(&t.dev, 3), 3);
	t.picky = true;
	/* 3.1.1, step 6: the bit does not stick. */
	assert_int_equal(virtio_dev_set_status(&t.dev, 11), 3);
	assert_int_equal(virtio_dev_set_features(&t.dev, VIRTIO_BIT(0)), 0);
	assert_int_equal(virtio_dev_set_status(&t.dev, 11), 11);
	virtio_dev_kick(&t.dev, 0);
	assert_int_equal(t.kicks, 0);
	/* 2.1.1: bits are not cleared, but by reset. */
	assert_int_equal(virtio_dev_set_status(&t.dev, 4), 15);
	assert_int_equal(t.starts, 1);
	virtio_dev_kick(&t.dev, 0);
	virtio_dev_kick(&t.dev, 1);
	virtio_dev_kick(&t.dev, 2);
	assert_int_equal(t.kicks, 2);
	assert_int_equal(virtio_dev_set_status(&t.dev, 0x4f), 15);
	assert_int_equal(virtio_dev_set_status(&t.dev, 0), 0);
	assert_int_equal(t.resets, 1);
	assert_int_equal(t.dev.features, 0);
	virtio_dev_kick(&t.dev, 0);
	assert_int_equal(t.kicks, 2);
}

static void config_space(void **state)
{
	struct toy t;
	uint8_t c[16];

	toy_init(&t);
	assert_int_equal(virtio_dev_config_read(&t.dev, 0, c, 8), 0);
	assert_int_equal(virtio_dev_config_read(&t.dev, 8, c, 0), 0);
	assert_int_equal(virtio_dev_config_read(&t.dev, 1, c, 8), -VIRTIO_ERANGE);
	assert_int_equal(virtio_dev_config_read(&t.dev, 9, c, 0), -VIRTIO_ERANGE);
	assert_int_equal(virtio_dev_config_read(&t.dev, SIZE_MAX, c, 2), -VIRTIO_ERANGE);
	assert_int_equal(virtio_dev_config_read(&t.dev, 2, c, SIZE_MAX), -VIRTIO_ERANGE);
	assert_int_equal(virtio_dev_config_write(&t.dev, 6, "ab", 2), 0);
	assert_int_equal(t.written_at, 6);
	assert_int_equal(t.written_len, 2);
	assert_memory_equal(t.written, "ab", 2);
	assert_int_equal(virtio_dev_config_write(&t.dev, 7, "ab", 2), -VIRTIO_ERANGE);
}

static void queues(void **state)
{
	struct toy t;

	toy_init(&t);
	assert_int_equal(virtio_dev_set_queue(&t.dev, 2, 16, 0, 1024, 2048), -VIRTIO_ENOENT);
	assert_int_equal(virtio_dev_set_queue(&t.dev, 0, 32, 0, 1024, 2048), -VIRTIO_EINVAL);
	assert_int_equal(virtio_dev_set_queue(&t.dev, 0, 16, 0, 1024, 16384), -VIRTIO_EFAULT);
	assert_int_equal(virtio_dev_set_queue(&t.dev, 0, 16, 0, 1024, 2048), 0);
	assert_int_equal(t.queues[0].num, 16);
	virtio_dev_reset(&t.dev);
	assert_int_equal(t.queues[0].num, 0);
	assert_int_equal(t.queues[0].num_max, 16);
}

/* Once after each reset, when the device has started, and never of a driver that gave up or that the device lost. */
static void driver_ok(void **state)
{
	struct toy t;

	toy_init(&t);
	virtio_dev_start(&t.dev);
	virtio_dev_set_status(&t.dev, VIRTIO_STATUS_DRIVER);
	assert_int_equal(t.driver_oks, 0);
	for (unsigned int i = 0; i < 3; i++)
		virtio_dev_set_status(&t.dev, VIRTIO_STATUS_DRIVER | VIRTIO_STATUS_DRIVER_OK);
	assert_int_equal(t.driver_oks, 1);
	virtio_dev_reset(&t.dev);
	virtio_dev_set_status(&t.dev, VIRTIO_STATUS_DRIVER_OK);
	assert_int_equal(t.driver_oks, 2);
	virtio_dev_reset(&t.dev);
	virtio_dev_set_status(&t.dev, VIRTIO_STATUS_DRIVER_OK | VIRTIO_STATUS_FAILED);
	virtio_dev_reset(&t.dev);
	virtio_dev_break(&t.dev, "broken");
	virtio_dev_set_status(&t.dev, VIRTIO_STATUS_DRIVER_OK);
	assert_int_equal(t.driver_oks, 2);
	virtio_dev_driver_ok(NULL);
}

/* No device, or no such queue. */
static void nothing_there(void **state)
{
	struct vring_buffer buf;
	struct virtio_iov iov[16];
	struct toy t;
	uint8_t c;

	toy_init(&t);
	assert_int_equal(virtio_dev_pop(NULL, 0, &buf, iov, 16), -VIRTIO_EINVAL);
	assert_int_equal(virtio_dev_pop(&t.dev, 2, &buf, iov, 16), -VIRTIO_EINVAL);
	assert_int_equal(virtio_dev_set_features(NULL, 0), -VIRTIO_EINVAL);
	assert_int_equal(virtio_dev_set_queue(NULL, 0, 16, 0, 1024, 2048), -VIRTIO_ENOENT);
	assert_int_equal(virtio_dev_config_read(NULL, 0, &c, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_dev_config_read(&t.dev, 0, NULL, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_dev_config_write(NULL, 0, &c, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_dev_config_write(&t.dev, 0, NULL, 1), -VIRTIO_EINVAL);
	virtio_dev_start(NULL);
	virtio_dev_start(&t.dev);
	virtio_dev_push(NULL, 0, 0, 0);
	virtio_dev_push(&t.dev, 2, 0, 0);
	virtio_dev_flush(NULL, 0);
	virtio_dev_flush(&t.dev, 2);
	virtio_dev_kick(NULL, 0);
	virtio_dev_notified(NULL, 0);
	virtio_dev_config_changed(NULL);
	virtio_dev_destroy(NULL);
	virtio_dev_reset(NULL);
	virtio_dev_break(NULL, "nobody");
	assert_int_equal(virtio_dev_set_status(NULL, VIRTIO_STATUS_DRIVER_OK), 0);
	/* A kick with data names its queue in the lower half. */
	virtio_dev_notified(&t.dev, 0x00050001);
	virtio_dev_notified(&t.dev, 0x00050002);
	assert_int_equal(t.kicks, 1);
}

/* A broken device is silent, says so once, and is whole again after a reset. */
static void breaking(void **state)
{
	struct vring_buffer buf;
	struct virtio_iov iov[16];
	struct toy t;

	toy_init(&t);
	memset(memory, 0, sizeof(memory));
	virtio_dev_set_status(&t.dev, 3);
	virtio_dev_set_queue(&t.dev, 0, 16, 0, 1024, 2048);
	assert_int_equal(virtio_dev_pop(&t.dev, 0, &buf, iov, 16), 0);
	virtio_dev_set_status(&t.dev, 15);
	assert_int_equal(virtio_dev_pop(&t.dev, 0, &buf, iov, 16), 0);
	virtio_put16(false, memory + 1024 + 2, 100);
	assert_int_equal(virtio_dev_pop(&t.dev, 0, &buf, iov, 16), -VIRTIO_EPROTO);
	assert_int_equal(virtio_dev_pop(&t.dev, 0, &buf, iov, 16), -VIRTIO_EPROTO);
	assert_int_equal(t.broken, 1);
	assert_int_equal(t.config_changes, 1);
	assert_true(t.dev.status & VIRTIO_STATUS_NEEDS_RESET);
	assert_string_equal(t.dev.broken, t.queues[0].broken);
	virtio_dev_kick(&t.dev, 0);
	assert_int_equal(t.kicks, 0);
	virtio_dev_set_status(&t.dev, 0);
	assert_null(t.dev.broken);
	assert_int_equal(t.dev.status, 0);
}

/* --- pieces ------------------------------------------------------------------------------------------------------------ */

static void pieces(void **state)
{
	char a[3] = "abc", b[1] = "d", c[4] = "efgh", out[16];
	struct virtio_iov iov[4] = { { a, 3 }, { b, 1 }, { a, 0 }, { c, 4 } }, *at = iov;
	unsigned int count = 4;

	assert_int_equal(virtio_iov_length(iov, 4), 8);
	assert_int_equal(virtio_iov_read(iov, 4, 2, out, 16), 6);
	assert_memory_equal(out, "cdefgh", 6);
	assert_int_equal(virtio_iov_read(iov, 4, 8, out, 16), 0);
	assert_int_equal(virtio_iov_read(iov, 4, 0, out, 4), 4);
	assert_int_equal(virtio_iov_write(iov, 4, 3, "XY", 2), 2);
	assert_memory_equal(b, "X", 1);
	assert_memory_equal(c, "Yfgh", 4);
	assert_int_equal(virtio_iov_skip(&at, &count, 2), 2);
	assert_int_equal(count, 4);
	assert_int_equal(virtio_iov_skip(&at, &count, 2), 2);
	assert_int_equal(virtio_iov_length(at, count), 4);
	assert_int_equal(virtio_iov_trim(at, &count, 1), 1);
	assert_int_equal(virtio_iov_read(at, count, 0, out, 16), 3);
	assert_memory_equal(out, "Yfg", 3);
	assert_int_equal(virtio_iov_trim(at, &count, 9), 3);
	assert_int_equal(count, 0);
	assert_int_equal(virtio_iov_skip(&at, &count, 1), 0);
}

static void *elsewhere(void *opaque, uint64_t gpa, uint64_t len)
{
	return gpa == 0x9000 && len <= 4 ? opaque : NULL;
}

static void translation(void **state)
{
	static uint8_t ram[64], other[4];
	struct virtio_mem m = { .base = ram, .start = 0x1000, .size = 64, .translate = elsewhere, .opaque = other };

	assert_ptr_equal(virtio_mem_at(&m, 0x1000, 64), ram);
	assert_ptr_equal(virtio_mem_at(&m, 0x103f, 1), ram + 63);
	assert_ptr_equal(virtio_mem_at(&m, 0x1040, 0), ram + 64);
	assert_null(virtio_mem_at(&m, 0x1000, 65));
	assert_null(virtio_mem_at(&m, 0x103f, 2));
	assert_null(virtio_mem_at(&m, 0xfff, 1));
	assert_null(virtio_mem_at(&m, 0x1000, UINT64_MAX));
	assert_null(virtio_mem_at(&m, UINT64_MAX, 1));
	assert_ptr_equal(virtio_mem_at(&m, 0x9000, 4), other);
	assert_null(virtio_mem_at(&m, 0x9000, 5));
	m.size = 0;
	m.translate = NULL;
	assert_null(virtio_mem_at(&m, 0x1000, 0));
	m.size = 64;
	assert_int_equal(virtio_mem_address(&m, ram + 5, 59), 0x1005);
	assert_true(virtio_mem_address(&m, ram + 5, 60) == VIRTIO_BAD_ADDRESS);
	assert_true(virtio_mem_address(&m, (void *)((uintptr_t)ram - 1), 1) == VIRTIO_BAD_ADDRESS);
}

static void endian(void **state)
{
	uint8_t b[8];

	virtio_put64(true, b, UINT64_C(0x0102030405060708));
	assert_memory_equal(b, "\1\2\3\4\5\6\7\10", 8);
	assert_true(virtio_get64(true, b) == UINT64_C(0x0102030405060708));
	assert_true(virtio_get64(false, b) == UINT64_C(0x0807060504030201));
	virtio_put32(false, b + 1, 0x01020304);
	assert_memory_equal(b + 1, "\4\3\2\1", 4);
	assert_int_equal(virtio_get32(true, b + 1), 0x04030201);
	assert_int_equal(virtio_get16(true, b + 1), 0x0403);
	assert_int_equal(virtio_get16(false, b + 1), 0x0304);
	assert_int_equal(virtio_swap16(true, 0x1234), 0x3412);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(features),
		cmocka_unit_test(byte_order),
		cmocka_unit_test(status_machine),
		cmocka_unit_test(config_space),
		cmocka_unit_test(queues),
		cmocka_unit_test(driver_ok),
		cmocka_unit_test(nothing_there),
		cmocka_unit_test(breaking),
		cmocka_unit_test(pieces),
		cmocka_unit_test(translation),
		cmocka_unit_test(endian),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
