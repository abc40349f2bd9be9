/* SPDX-License-Identifier: MIT */
/* The messages about a console's ports, with a driver made of bare queues, which says what no driver should. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/console.h>

#include "bed.h"

enum { PORT0_IN, PORT0_OUT, HEAR, SAY, PORT1_IN, PORT1_OUT, QUEUES };
enum { BUFFERS = 16, ROOM = 40 };

struct heard {
	unsigned long used;
	uint8_t data[ROOM];
};

struct fixture {
	struct bed *bed;
	struct fake_console end[2];
	struct virtio_queue *queue[QUEUES];
	struct heard *heard;		/* [BUFFERS], filled in turn */
	unsigned int next;
	uint8_t *said;
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct console_port ports[2] = {
		{ .backend = &f->end[0].be, .terminal = true }, { .backend = &f->end[1].be, .name = "name" },
	};
	struct virtio_device *vdev;

	fake_console_init(&f->end[0]);
	fake_console_init(&f->end[1]);
	f->bed = bed_create();
	bed_add(f->bed, ports_device_create(ports, 2));
	bed_boot(f->bed);
	vdev = &bed_next(f->bed, VIRTIO_ID_CONSOLE)->vdev;
	assert_int_equal(virtio_device_setup(vdev, VIRTIO_CONSOLE_F_MULTIPORT), 0);
	assert_true(virtio_device_has(vdev, VIRTIO_CONSOLE_F_MULTIPORT));
	for (unsigned int i = 0; i < QUEUES; i++)
		assert_int_equal(virtio_device_queue(vdev, i, NULL, NULL, &f->queue[i]), 0);
	virtio_device_ready(vdev);
	f->heard = bed_alloc(f->bed, BUFFERS * sizeof(*f->heard));
	f->said = bed_alloc(f->bed, 64);
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

/* Offer @count buffers of @room bytes for messages. */
static void offer(struct fixture *f, unsigned int count, size_t room)
{
	f->next = 0;
	for (unsigned int i = 0; i < count; i++) {
		struct virtio_iov piece = { f->heard[i].data, room };

		assert_true(virtio_add_inbuf(f->queue[HEAR], &piece, 0, 1, &f->heard[i].used) >= 0);
	}
	virtio_sync(f->queue[HEAR]);
}

static void say_bytes(struct fixture *f, size_t len)
{
	struct virtio_iov piece = { f->said, len };
	static unsigned long used;

	assert_true(virtio_add_outbuf(f->queue[SAY], &piece, 1, &used) >= 0);
	virtio_sync(f->queue[SAY]);
	virtio_harvest(f->queue[SAY]);
}

static void say(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	virtio_put32(false, f->said, id);
	virtio_put16(false, f->said + 4, event);
	virtio_put16(false, f->said + 6, value);
	say_bytes(f, VIRTIO_CONSOLE_MESSAGE);
}

/* The next message is this one, with @len bytes in all. */
static void hear(struct fixture *f, uint32_t id, uint16_t event, uint16_t value, size_t len)
{
	struct heard *heard = &f->heard[f->next++];

	virtio_harvest(f->queue[HEAR]);
	assert_true(virtio_is_done(&heard->used));
	assert_int_equal(heard->used, len);
	assert_int_equal(virtio_get32(false, heard->data), id);
	assert_int_equal(virtio_get16(false, heard->data + 4), event);
	assert_int_equal(virtio_get16(false, heard->data + 6), value);
}

static void hear_nothing(struct fixture *f)
{
	virtio_harvest(f->queue[HEAR]);
	assert_false(virtio_is_done(&f->heard[f->next].used));
}

static void hear_of_ports(struct fixture *f)
{
	hear(f, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, 8);
	hear(f, 0, VIRTIO_CONSOLE_RESIZE, 0, 12);
	assert_int_equal(virtio_get16(false, f->heard[f->next - 1].data + 8), 80);
	assert_int_equal(virtio_get16(false, f->heard[f->next - 1].data + 10), 25);
	hear(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, 8);
	hear(f, 1, VIRTIO_CONSOLE_PORT_NAME, 1, 12);
	assert_memory_equal(f->heard[f->next - 1].data + 8, "name", 4);
	hear(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, 8);
	hear_nothing(f);
}

static void introduction(void **state)
{
	struct fixture *f = *state;

	offer(f, BUFFERS, ROOM);
	hear_nothing(f);
	say(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 0);
	hear_nothing(f);
	say(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	hear(f, 0, VIRTIO_CONSOLE_PORT_ADD, 1, 8);
	hear(f, 1, VIRTIO_CONSOLE_PORT_ADD, 1, 8);
	hear_nothing(f);
	/* A port that the driver could not make is left alone. */
	say(f, 0, VIRTIO_CONSOLE_PORT_READY, 0);
	hear_nothing(f);
	say(f, 0, VIRTIO_CONSOLE_PORT_READY, 1);
	say(f, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	hear_of_ports(f);
	/* 5.3.6.2.1: a port that exists is not added again. */
	say(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	say(f, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	hear_nothing(f);
}

/* Said again and again, and of what is not there, before there is a buffer for any answer: each answer comes once. */
static void chatter(void **state)
{
	struct fixture *f = *state;

	for (unsigned int i = 0; i < 500; i++) {
		say(f, i % 4, VIRTIO_CONSOLE_PORT_READY, 1);
		say(f, i % 4, VIRTIO_CONSOLE_PORT_OPEN, i & 1);
		say(f, UINT32_MAX - i, (uint16_t)i, 1);
		say(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
		say(f, 1, VIRTIO_CONSOLE_PORT_REMOVE, 1);
		say(f, 1, VIRTIO_CONSOLE_PORT_ADD, 1);
		say(f, 1, (uint16_t)(8 + i * 131), 1);
	}
	offer(f, BUFFERS, ROOM);
	hear(f, 0, VIRTIO_CONSOLE_PORT_ADD, 1, 8);
	hear(f, 0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, 8);
	hear(f, 0, VIRTIO_CONSOLE_RESIZE, 0, 12);
	hear(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1, 8);
	hear(f, 1, VIRTIO_CONSOLE_PORT_ADD, 1, 8);
	hear(f, 1, VIRTIO_CONSOLE_PORT_NAME, 1, 12);
	hear(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1, 8);
	hear_nothing(f);
	assert_null(f->bed->complaint);
}

/* Of a port that it has not been told of a driver cannot open anything. */
static void opened_too_early(void **state)
{
	struct fixture *f = *state;
	struct virtio_iov piece = { f->said + 32, 8 };
	unsigned long used;

	assert_true(virtio_add_inbuf(f->queue[PORT1_IN], &piece, 0, 1, &used) >= 0);
	virtio_sync(f->queue[PORT1_IN]);
	say(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(f->end[1].be.input(f->end[1].be.opaque, "x", 1), 0);
	say(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	say(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_int_equal(f->end[1].be.input(f->end[1].be.opaque, "x", 1), 1);
	virtio_harvest(f->queue[PORT1_IN]);
	assert_int_equal(used, 1);
}

/* One buffer at a time, and small ones: the name is cut, the size not said in part. */
static void little_room(void **state)
{
	struct fixture *f = *state;

	say(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	say(f, 1, VIRTIO_CONSOLE_PORT_READY, 1);
	offer(f, 1, 10);
	hear(f, 0, VIRTIO_CONSOLE_PORT_ADD, 1, 8);
	offer(f, 1, 10);
	hear(f, 1, VIRTIO_CONSOLE_PORT_ADD, 1, 8);
	offer(f, 1, 10);
	hear(f, 1, VIRTIO_CONSOLE_PORT_NAME, 1, 10);
	assert_memory_equal(f->heard[0].data + 8, "na", 2);
	assert_null(f->bed->complaint);
}

static void long_message(void **state)
{
	struct fixture *f = *state;

	offer(f, BUFFERS, ROOM);
	virtio_put32(false, f->said, 0);
	virtio_put16(false, f->said + 4, VIRTIO_CONSOLE_DEVICE_READY);
	virtio_put16(false, f->said + 6, 1);
	say_bytes(f, 64);
	hear(f, 0, VIRTIO_CONSOLE_PORT_ADD, 1, 8);
}

/* --- buffers that are none ---------------------------------------------------------------------------------------------- */

/* A buffer of @len bytes on @queue, to be written (@in) or read, breaks the device. */
static void breaks(struct fixture *f, unsigned int queue, bool in, size_t len)
{
	struct virtio_iov piece = { f->said, len };
	static unsigned long used;	/* written again by the reset that follows */

	assert_true((in ? virtio_add_inbuf(f->queue[queue], &piece, 0, 1, &used) : virtio_add_outbuf(f->queue[queue], &piece, 1, &used)) >= 0);
	virtio_sync(f->queue[queue]);
	for (unsigned int i = 0; i < 2; i++)
		f->end[i].be.input(f->end[i].be.opaque, "x", 1);
	assert_non_null(f->bed->complaint);
	assert_non_null(strstr(f->bed->complaint, "5.3.6"));
	assert_int_equal(f->end[0].len + f->end[1].len, 0);
}

static void short_message(void **state)
{
	breaks(*state, SAY, false, VIRTIO_CONSOLE_MESSAGE - 1);
}

static void writable_message(void **state)
{
	breaks(*state, SAY, true, VIRTIO_CONSOLE_MESSAGE);
}

static void short_room(void **state)
{
	say(*state, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	breaks(*state, HEAR, true, VIRTIO_CONSOLE_MESSAGE - 1);
}

static void readable_room(void **state)
{
	say(*state, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	breaks(*state, HEAR, false, ROOM);
}

static void open_all(struct fixture *f)
{
	say(f, 0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	say(f, 0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	say(f, 1, VIRTIO_CONSOLE_PORT_OPEN, 1);
}

static void readable_input(void **state)
{
	open_all(*state);
	breaks(*state, PORT0_IN, false, 8);
}

static void readable_input_of_port(void **state)
{
	open_all(*state);
	breaks(*state, PORT1_IN, false, 8);
}

static void writable_output(void **state)
{
	breaks(*state, PORT0_OUT, true, 8);
}

static void writable_output_of_port(void **state)
{
	breaks(*state, PORT1_OUT, true, 8);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(introduction), T(chatter), T(opened_too_early), T(little_room), T(long_message), T(short_message), T(writable_message),
		T(short_room), T(readable_room), T(readable_input), T(readable_input_of_port), T(writable_output),
		T(writable_output_of_port),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
