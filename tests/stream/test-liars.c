/* SPDX-License-Identifier: MIT */
/* Streams with somebody at the other end who lies: about lengths, identifiers, queues, states, or by saying nothing. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <tests/clause.h>
#include <tests/device/bed.h>
#include <virtio/driver-block.h>
#include <virtio/driver-rng.h>

#include "wire.h"

#define MAX 4096

/* Types of messages, as <virtio/stream.h> has them. */
enum { HELLO = 1, FEATURES, STATUS, CONFIG_GET, CONFIG_SET, QUEUE, BUFFER, ANSWER = 0x81, USED, CHANGED };

struct message {
	uint8_t type;
	uint16_t queue;
	uint32_t a, b, len;
};

/* --- a device that lies ------------------------------------------------------------------------------------------------ */

struct fixture {
	struct fake_disk disk;
	struct virtio_dev *dev;
	struct wire *wire;
	unsigned int complaints;
	const char *complaint;
};

static void complain(void *opaque, const struct virtio_dev *dev, const char *reason)
{
	struct fixture *f = opaque;

	f->complaints++;
	f->complaint = reason;
}

static struct fixture *create(void)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	fake_disk_init(&f->disk);
	f->dev = block_device_create(&f->disk.be);
	f->wire = wire_create(f->dev, 0, MAX);
	f->wire->device.complain = complain;
	f->wire->device.opaque = f;
	return f;
}

static void destroy(struct fixture *f)
{
	virtio_dev_destroy(f->dev);
	wire_destroy(f->wire);
	free(f);
}

static const struct {
	const char *name, *reason;
	struct message message;
} lies[] = {
	{ "an unknown message", "unknown kind", { .type = 0x84 } },
	{ "type 0", "unknown kind", { .type = 0 } },
	{ "a driver's message", "unknown kind", { .type = BUFFER } },
	{ "an answer without a question", "nobody asked", { .type = ANSWER } },
	{ "used, of a queue that there is not", "not given", { USED, 1, 0, 0, 0 } },
	{ "used, of a queue far away", "not given", { USED, 0xffff, 0, 0, 0 } },
	{ "used, of a buffer that was not sent", "not given", { USED, 0, 1, 0, 0 } },
	{ "used, of an identifier outside", "not given", { USED, 0, VIRTIO_STREAM_BUFFERS, 0, 0 } },
	{ "used, of an identifier far outside", "not given", { USED, 0, UINT32_MAX, 0, 0 } },
	{ "used, with a byte too many", "more bytes", { USED, 0, 0, 0, 514 } },
	{ "used, with 4 GiB", "more bytes", { USED, 0, 0, 0, UINT32_MAX } },
	{ "a change with contents", "change", { CHANGED, 0, 0, 0, 1 } },
	{ "a change to a status that is none", "change", { CHANGED, 0, 0, 0x100, 0 } },
};

/* Each ends the stream and cancels what was under way, and nothing else. */
static void lying_devices(void **state)
{
	for (size_t i = 0; i < sizeof(lies) / sizeof(*lies); i++) {
		const struct message *m = &lies[i].message;
		struct virtio_block_request request = { .opaque = NULL };
		uint8_t data[512 + 4] = { 0 };
		struct virtio_iov piece = { data, 512 };
		struct fixture *f = create();
		struct virtio_block blk = { .capacity = 0 };

		assert_int_equal(virtio_stream_connect(&f->wire->driver, &f->wire->platform, &f->wire->driver_io), 0);
		assert_int_equal(virtio_block_probe(&blk, &f->wire->driver.vdev), 0);
		f->wire->silent = true;
		assert_int_equal(virtio_block_submit(&blk, &request, VIRTIO_BLOCK_T_IN, 0, &piece, 1), 0);
		virtio_sync(blk.queue);
		assert_true(virtio_stream_poll(&f->wire->driver));
		wire_message(&f->wire->to_driver, m->type, m->queue, m->a, m->b, NULL, m->len);
		assert_false(virtio_stream_poll(&f->wire->driver));
		if (!strstr(f->wire->driver.broken, lies[i].reason))
			fail_msg("%s: %s", lies[i].name, f->wire->driver.broken);
		assert_int_equal(virtio_block_poll(&blk), 1);
		assert_int_equal(request.error, -VIRTIO_ENODEV);
		assert_int_equal(virtio_block_read(&blk, 0, data, 512), -VIRTIO_ENODEV);
		assert_int_equal(blk.queue->ops->room(blk.queue), 0);
		virtio_block_remove(&blk);
		destroy(f);
	}
}

/* A used buffer that has not been sent in full yet. */
static void used_too_early(void **state)
{
	struct virtio_block_request request = { .opaque = NULL };
	struct fixture *f = create();
	struct virtio_block blk = { .capacity = 0 };

	assert_int_equal(virtio_stream_connect(&f->wire->driver, &f->wire->platform, &f->wire->driver_io), 0);
	assert_int_equal(virtio_block_probe(&blk, &f->wire->driver.vdev), 0);
	f->wire->silent = true;
	f->wire->to_device.room = 20;
	assert_int_equal(virtio_block_submit(&blk, &request, VIRTIO_BLOCK_T_FLUSH, 0, NULL, 0), 0);
	virtio_sync(blk.queue);
	wire_message(&f->wire->to_driver, USED, 0, 0, 0, "", 1);
	assert_false(virtio_stream_poll(&f->wire->driver));
	assert_int_equal(request.used, VIRTIO_CANCELLED);
	virtio_block_remove(&blk);
	destroy(f);
}

static const struct {
	const char *name;
	int ret;
	uint32_t result, length, max;
	uint16_t num;
	bool silent;
} greetings[] = {
	{ "what a device says", 0, .length = 22, .max = 100, .num = 4 },
	{ "the most that may be under way", 0, .length = 22, .max = UINT32_MAX, .num = VIRTIO_STREAM_BUFFERS },
	{ "no buffers", -VIRTIO_EPROTO, .length = 22, .max = 100 },
	{ "buffers of nothing", -VIRTIO_EPROTO, .length = 22, .num = 4 },
	{ "too many under way", -VIRTIO_EPROTO, .length = 22, .max = 100, .num = VIRTIO_STREAM_BUFFERS + 1 },
	{ "an error", -VIRTIO_EPROTO, .result = (uint32_t)-22 },
	{ "a result that is none", -VIRTIO_ENODEV, .result = 5 },
	{ "a short answer", -VIRTIO_ENODEV, .length = 21, .max = 100, .num = 4 },
	{ "a long answer", -VIRTIO_ENODEV, .length = 23, .max = 100, .num = 4 },
	{ "nothing, ever", -VIRTIO_ENODEV, .silent = true },
};

static void lying_greetings(void **state)
{
	for (size_t i = 0; i < sizeof(greetings) / sizeof(*greetings); i++) {
		struct fixture *f = create();
		uint8_t hello[24] = { 2 };

		virtio_put32(false, hello + 16, greetings[i].max);
		virtio_put16(false, hello + 20, greetings[i].num);
		f->wire->silent = true;
		/* Before the question was sent, it would be an answer that nobody asked for: the driver writes first. */
		if (!greetings[i].silent)
			wire_message(&f->wire->to_driver, ANSWER, 0, greetings[i].result, 0, hello, greetings[i].length);
		if (virtio_stream_connect(&f->wire->driver, &f->wire->platform, &f->wire->driver_io) != greetings[i].ret)
			fail_msg("%s: %s", greetings[i].name, f->wire->driver.broken);
		destroy(f);
	}
}

/* --- a driver that lies ------------------------------------------------------------------------------------------------ */

/* Up to a device that is live with its one queue. */
static void begin(struct fixture *f)
{
	struct pipe *p = &f->wire->to_device;
	uint8_t features[8] = { [4] = 1 };	/* VERSION_1 */

	wire_message(p, HELLO, 0, 0x736f6976, 1, NULL, 0);
	wire_message(p, STATUS, 0, 3, 0, NULL, 0);
	wire_message(p, FEATURES, 0, 0, 0, features, 8);
	wire_message(p, STATUS, 0, 11, 0, NULL, 0);
	wire_message(p, QUEUE, 0, 0, 0, NULL, 0);
	wire_message(p, STATUS, 0, 15, 0, NULL, 0);
	wire_run(f->wire);
	assert_int_equal(f->dev->status, 15);
	f->wire->to_driver.head = f->wire->to_driver.tail;
}

/* The next message that the driver gets. */
static struct message got(struct fixture *f, void *data, size_t max)
{
	struct pipe *p = &f->wire->to_driver;
	uint8_t h[VIRTIO_STREAM_HEADER];
	struct message m;

	assert_true(p->tail - p->head >= sizeof(h));
	for (size_t i = 0; i < sizeof(h); i++)
		h[i] = p->bytes[p->head++ % WIRE_SIZE];
	m = (struct message){ h[0], virtio_get16(false, h + 2), virtio_get32(false, h + 8), virtio_get32(false, h + 12),
			      virtio_get32(false, h + 4) };
	assert_true(m.len <= p->tail - p->head);
	for (size_t i = 0; i < m.len; i++, p->head++)
		if (i < max)
			((uint8_t *)data)[i] = p->bytes[p->head % WIRE_SIZE];
	return m;
}

static const struct {
	const char *name, *reason;
	struct message message;
	bool stream;			/* it is the stream that ends, and not just the device that needs a reset */
} tricks[] = {
	{ "an unknown message", "unknown kind", { .type = 8 }, true },
	{ "a device's message", "unknown kind", { .type = USED }, true },
	{ "a greeting in another language", "greeting", { HELLO, 0, 0x736f6977, 1, 0 }, true },
	{ "a greeting of another version", "greeting", { HELLO, 0, 0x736f6976, 2, 0 }, true },
	{ "features of 7 bytes", "length", { FEATURES, .len = 7 }, true },
	{ "features of 9 bytes", "length", { FEATURES, .len = 9 }, true },
	{ "a status with contents", "length", { STATUS, .len = 1 }, true },
	{ "a status that is none", "status", { STATUS, 0, 0x100, 0, 0 }, true },
	{ "more config space than there can be", "length", { CONFIG_SET, .len = VIRTIO_CONFIG_MAX + 1 }, true },
	{ "a buffer of nothing at all", "length", { BUFFER, 0, 0, 0, 0 }, true },
	{ "a buffer longer than announced", "length", { BUFFER, 0, 0, 0, MAX + 2 }, true },
	{ "a buffer of 4 GiB", "length", { BUFFER, 0, 0, 0, UINT32_MAX }, true },
	{ "a buffer for another queue", "not set up", { BUFFER, 1, 0, 1, 1 }, false },
	{ "a buffer for a queue far away", "not set up", { BUFFER, 0xffff, 0, 1, 1 }, false },
	{ "an identifier that there is not", "identifier", { BUFFER, 0, VIRTIO_STREAM_BUFFERS, 1, 1 }, false },
	{ "an identifier far outside", "identifier", { BUFFER, 0, UINT32_MAX, 1, 1 }, false },
	{ "an identifier under way", "identifier", { BUFFER, 0, 7, 1, 1 }, false },
	{ "an empty buffer", "empty", { BUFFER, 0, 0, 0, 1 }, false },
	{ "a buffer longer than announced, both ways together", "longer", { BUFFER, 0, 0, MAX - 99, 101 }, false },
	{ "an answer of 4 GiB", "longer", { BUFFER, 0, 0, UINT32_MAX, 1 }, false },
};

/* Each is said once; the stream goes on where it can, and after a reset so does the device. */
static void lying_drivers(void **state)
{
	for (size_t i = 0; i < sizeof(tricks) / sizeof(*tricks); i++) {
		const struct message *m = &tricks[i].message;
		struct fixture *f = create();
		uint8_t flush[17] = { VIRTIO_BLOCK_T_FLUSH, [16] = 1 }, zeros[128] = { 0 }, byte;

		begin(f);
		f->disk.hold = true;
		wire_message(&f->wire->to_device, BUFFER, 0, 7, 1, flush, 17);
		wire_run(f->wire);
		assert_int_equal(f->disk.held_count, 1);
		wire_message(&f->wire->to_device, m->type, m->queue, m->a, m->b, m->len < sizeof(zeros) ? zeros : NULL, m->len);
		wire_run(f->wire);
		if (f->complaints != 1 || !strstr(f->complaint, tricks[i].reason))
			fail_msg("%s: %u complaints, %s", tricks[i].name, f->complaints, f->complaint);
		if (tricks[i].stream) {
			assert_int_equal(f->wire->alive, -VIRTIO_EPROTO);
			assert_int_equal(f->dev->status, 0);
		} else {
			assert_int_equal(f->wire->alive, 1);
			assert_int_equal(f->dev->status, 15 | VIRTIO_STATUS_NEEDS_RESET);
			assert_int_equal(got(f, NULL, 0).type, CHANGED);
			/* Silent until it is reset, then as good as new. */
			wire_message(&f->wire->to_device, BUFFER, 0, 3, 1, flush, 17);
			wire_message(&f->wire->to_device, STATUS, 0, 0, 0, NULL, 0);
			wire_run(f->wire);
			assert_int_equal(got(f, NULL, 0).type, ANSWER);
			begin(f);
			f->disk.hold = false;
			wire_message(&f->wire->to_device, BUFFER, 0, 7, 1, flush, 17);
			wire_run(f->wire);
			assert_int_equal(got(f, &byte, 1).type, USED);
			assert_int_equal(byte, VIRTIO_BLOCK_S_OK);
			assert_int_equal(f->complaints, 1);
		}
		destroy(f);
	}
}

/* The order of the initialization; questions that have errors for answers. */
static void order(void **state)
{
	struct fixture *f = create();
	struct pipe *p = &f->wire->to_device;
	uint8_t data[256], version_1[8] = { [4] = 1 }, indirect[8] = { [3] = 0x10, [4] = 1 };

	wire_message(p, HELLO, 0, 0x736f6976, 1, NULL, 0);
	wire_message(p, QUEUE, 0, 0, 0, NULL, 0);
	wire_message(p, FEATURES, 0, 0, 0, indirect, 8);
	wire_message(p, CONFIG_GET, 0, 0, 8, NULL, 0);
	wire_message(p, CONFIG_GET, 0, 1, (uint32_t)f->dev->config_len, NULL, 0);
	wire_message(p, CONFIG_GET, 0, UINT32_MAX, UINT32_MAX, NULL, 0);
	wire_message(p, CONFIG_SET, 0, 255, 0, "ab", 2);
	wire_message(p, STATUS, 0, 3, 0, NULL, 0);
	wire_message(p, FEATURES, 0, 0, 0, version_1, 8);
	wire_message(p, STATUS, 0, 11, 0, NULL, 0);
	wire_message(p, FEATURES, 0, 0, 0, version_1, 8);
	wire_message(p, QUEUE, 1, 0, 0, NULL, 0);
	wire_message(p, QUEUE, 0, 0, 0, NULL, 0);
	wire_message(p, QUEUE, 0, 0, 0, NULL, 0);
	wire_run(f->wire);
	assert_int_equal(got(f, data, sizeof(data)).len, 22);
	assert_int_equal(virtio_get32(false, data), VIRTIO_ID_BLOCK);
	assert_int_equal((int32_t)got(f, data, 0).a, -VIRTIO_EINVAL);
	assert_int_equal((int32_t)got(f, data, 0).a, -VIRTIO_EINVAL);
	assert_int_equal(got(f, data, sizeof(data)).len, 8);
	assert_int_equal(virtio_get64(false, data), FAKE_DISK_SIZE / 512);
	assert_int_equal((int32_t)got(f, data, 0).a, -VIRTIO_ERANGE);
	assert_int_equal((int32_t)got(f, data, 0).a, -VIRTIO_ERANGE);
	assert_int_equal((int32_t)got(f, data, 0).a, -VIRTIO_ERANGE);
	assert_int_equal(got(f, data, 0).b, 3);
	assert_int_equal(got(f, data, 0).a, 0);
	assert_int_equal(got(f, data, 0).b, 11);
	assert_int_equal((int32_t)got(f, data, 0).a, -VIRTIO_EINVAL);	/* features, after FEATURES_OK */
	assert_int_equal((int32_t)got(f, data, 0).a, -VIRTIO_ENOENT);
	assert_int_equal(got(f, data, 0).a, 0);
	assert_int_equal((int32_t)got(f, data, 0).a, -VIRTIO_EBUSY);
	/* A buffer before DRIVER_OK. */
	wire_message(p, BUFFER, 0, 0, 1, "\1", 1);
	wire_run(f->wire);
	assert_int_equal(f->complaints, 1);
	assert_non_null(strstr(f->complaint, "DRIVER_OK"));
	destroy(f);
}

/* Nothing but a greeting may come first. */
static void no_greeting(void **state)
{
	struct fixture *f = create();

	wire_message(&f->wire->to_device, STATUS, 0, 3, 0, NULL, 0);
	wire_run(f->wire);
	assert_int_equal(f->wire->alive, -VIRTIO_EPROTO);
	destroy(f);
}

/* A driver that asks and asks, and reads no answer, is not read from either. */
static void deaf_driver(void **state)
{
	struct fixture *f = create();
	unsigned int sent = 0;

	begin(f);
	f->wire->to_driver.room = 100;
	while (f->wire->to_device.tail - f->wire->to_device.head < WIRE_SIZE - 100 && sent < 100000) {
		wire_message(&f->wire->to_device, CONFIG_GET, 0, 0, 8, NULL, 0);
		wire_run(f->wire);
		sent++;
	}
	assert_true(sent < 1000);
	assert_int_equal(f->wire->alive, 1);
	assert_true(virtio_stream_device_wants_write(&f->wire->device));
	destroy(f);
}

/* --- bad arguments ----------------------------------------------------------------------------------------------------- */

static void arguments(void **state)
{
	struct virtio_stream_device sd;
	struct fixture *f = create();
	struct virtio_stream_io half = { .read = f->wire->device_io.read };
	struct virtio_stream s;
	struct vring_device *queues = f->dev->queues;
	uint16_t num_max = queues->num_max;

	assert_int_equal(virtio_stream_connect(NULL, &f->wire->platform, &f->wire->driver_io), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_connect(&s, NULL, &f->wire->driver_io), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_connect(&s, &f->wire->platform, NULL), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_connect(&s, &f->wire->platform, &half), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_bytes(NULL, 1), 0);
	assert_int_equal(virtio_stream_device_bytes(f->dev, 0), 0);
	assert_int_equal(virtio_stream_device_bytes(f->dev, UINT32_MAX), 0);
	assert_int_equal(virtio_stream_device_init(NULL, f->dev, &f->wire->device_io, f->wire->memory, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, NULL, &f->wire->device_io, f->wire->memory, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, f->dev, NULL, f->wire->memory, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, f->dev, &half, f->wire->memory, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, f->dev, &f->wire->device_io, NULL, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, f->dev, &f->wire->device_io, (uint8_t *)f->wire->memory + 8, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_stream_device_init(&sd, f->dev, &f->wire->device_io, f->wire->memory, 0), -VIRTIO_EINVAL);
	/* A ring without room for a question and an answer. */
	queues->num_max = 1;
	assert_int_equal(virtio_stream_device_bytes(f->dev, 1), 0);
	queues->num_max = num_max;
	destroy(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lying_devices),
		cmocka_unit_test(used_too_early),
		cmocka_unit_test(lying_greetings),
		cmocka_unit_test(lying_drivers),
		CLAUSE("3.1.1-1 3.1.1-2 3.1.1-5 2.2.1-1", order),
		cmocka_unit_test(no_greeting),
		cmocka_unit_test(deaf_driver),
		cmocka_unit_test(arguments),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
