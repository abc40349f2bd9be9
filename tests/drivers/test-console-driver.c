/* SPDX-License-Identifier: MIT */
/* The console driver, and a device that says of its ports what cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-console.h>

#include "bench.h"

/* What the driver said, oldest first. */
static struct {
	uint32_t id;
	uint16_t event, value;
} said[64];

static unsigned int said_count;
static bool deaf;		/* the device takes no messages */

static void device_notify(struct virtio_dev *dev, unsigned int queue)
{
	uint8_t message[VIRTIO_CONSOLE_MESSAGE];
	struct virtio_iov iov[8];
	struct vring_buffer buf;

	while (queue == VIRTIO_CONSOLE_CONTROL_OUT && !deaf && virtio_dev_pop(dev, queue, &buf, iov, 8) > 0) {
		assert_int_equal(buf.out_len, VIRTIO_CONSOLE_MESSAGE);
		assert_int_equal(buf.in_len, 0);
		virtio_iov_read(buf.out, buf.out_count, 0, message, sizeof(message));
		assert_true(said_count < 64);
		said[said_count].id = virtio_get32(false, message);
		said[said_count].event = virtio_get16(false, message + 4);
		said[said_count++].value = virtio_get16(false, message + 6);
		virtio_dev_push(dev, queue, buf.id, 0);
	}
	virtio_dev_flush(dev, queue);
}

static const struct virtio_dev_ops device_ops = { .name = "console", .queue_notify = device_notify, .config_get = bench_config_get };

static struct bench *b;
static struct virtio_console *con;

static int start(uint32_t ports)
{
	b = bench_create(&device_ops, VIRTIO_ID_CONSOLE, VIRTIO_CONSOLE_F_MULTIPORT, VIRTIO_CONSOLE_CFG_LEN, 8);
	virtio_put32(false, b->config + VIRTIO_CONSOLE_CFG_PORTS, ports);
	con = bench_alloc(b, sizeof(*con));
	con->wanted = VIRTIO_CONSOLE_F_MULTIPORT;
	said_count = 0;
	deaf = false;
	return virtio_console_probe(con, &b->direct.vdev);
}

static int setup(void **state)
{
	return start(1000);
}

static int teardown(void **state)
{
	virtio_console_remove(con);
	bench_destroy(b);
	return 0;
}

/* The device says something: a message, of which only @len bytes come, or with more behind it. */
static void tell(uint32_t id, uint16_t event, uint16_t value, const void *more, size_t len)
{
	uint8_t message[100] = { 0 };
	struct virtio_iov iov[8];
	struct vring_buffer buf;

	virtio_put32(false, message, id);
	virtio_put16(false, message + 4, event);
	virtio_put16(false, message + 6, value);
	if (more)
		memcpy(message + VIRTIO_CONSOLE_MESSAGE, more, len - VIRTIO_CONSOLE_MESSAGE);
	assert_int_equal(virtio_dev_pop(&b->dev, VIRTIO_CONSOLE_CONTROL_IN, &buf, iov, 8), 1);
	virtio_iov_write(buf.in, buf.in_count, 0, message, len);
	virtio_dev_push(&b->dev, VIRTIO_CONSOLE_CONTROL_IN, buf.id, (uint32_t)len);
	virtio_dev_flush(&b->dev, VIRTIO_CONSOLE_CONTROL_IN);
	virtio_console_poll(con);
}

static void was_said(uint32_t id, uint16_t event, uint16_t value)
{
	assert_true(said_count > 0);
	assert_int_equal(said[0].id, id);
	assert_int_equal(said[0].event, event);
	assert_int_equal(said[0].value, value);
	memmove(said, said + 1, sizeof(said) - sizeof(said[0]));
	said_count--;
}

static void answers(void **state)
{
	was_said(0, VIRTIO_CONSOLE_DEVICE_READY, 1);
	assert_int_equal(con->ports, VIRTIO_CONSOLE_PORTS);
	assert_false(con->port[0].added);
	tell(0, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 8);
	was_said(0, VIRTIO_CONSOLE_PORT_READY, 1);
	/* 5.3.6.2.2: this has an answer, which is always the same. */
	tell(0, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 8);
	was_said(0, VIRTIO_CONSOLE_PORT_OPEN, 1);
	assert_true(con->port[0].terminal);
	tell(2, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 8);
	was_said(2, VIRTIO_CONSOLE_PORT_READY, 1);
	tell(2, VIRTIO_CONSOLE_PORT_NAME, 1, "a name", 8 + 6);
	assert_string_equal(con->port[2].name, "a name");
	tell(2, VIRTIO_CONSOLE_PORT_NAME, 1, "b", 8 + 1);
	assert_string_equal(con->port[2].name, "b");
	assert_int_equal(said_count, 0);
	assert_int_equal(con->dropped, 0);
}

static void lies(void **state)
{
	uint8_t name[VIRTIO_CONSOLE_NAME];

	said_count = 0;
	/* Of ports that are not there. */
	for (uint16_t event = VIRTIO_CONSOLE_PORT_REMOVE; event < 12; event++)
		tell(1, event, 1, "\1\0\1", 8 + 4);
	assert_int_equal(con->dropped, 10);
	/* Cut off. */
	for (size_t len = 0; len < VIRTIO_CONSOLE_MESSAGE; len++)
		tell(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, len);
	assert_int_equal(con->dropped, 18);
	assert_false(con->port[1].added);
	assert_int_equal(said_count, 0);
	/* Twice; and what a device does not say. */
	tell(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 8);
	tell(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 8);
	was_said(1, VIRTIO_CONSOLE_PORT_READY, 1);
	assert_int_equal(said_count, 0);
	tell(1, VIRTIO_CONSOLE_DEVICE_READY, 1, NULL, 8);
	tell(1, VIRTIO_CONSOLE_PORT_READY, 1, NULL, 8);
	tell(1, VIRTIO_CONSOLE_RESIZE, 1, "\1\0\1", 8 + 3);
	tell(1, 0xffff, 1, NULL, 8);
	assert_int_equal(con->dropped, 23);
	assert_int_equal(con->port[1].columns, 0);
	/* More ports than we have places for: the device hears that it cannot be. */
	tell(3, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 8);
	was_said(3, VIRTIO_CONSOLE_PORT_READY, 0);
	tell(UINT32_MAX, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 8);
	was_said(UINT32_MAX, VIRTIO_CONSOLE_PORT_READY, 0);
	tell(UINT32_MAX, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 8);
	assert_int_equal(said_count, 0);
	assert_int_equal(con->dropped, 26);
	/* As long a name as there can be. */
	memset(name, 'n', sizeof(name));
	tell(1, VIRTIO_CONSOLE_PORT_NAME, 1, name, 8 + sizeof(name));
	assert_int_equal(strlen(con->port[1].name), VIRTIO_CONSOLE_NAME);
}

/* A port that goes and comes back is a new one. */
static void removed(void **state)
{
	tell(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 8);
	tell(1, VIRTIO_CONSOLE_PORT_NAME, 1, "old", 8 + 3);
	tell(1, VIRTIO_CONSOLE_PORT_OPEN, 1, NULL, 8);
	assert_int_equal(virtio_console_port_open(&con->port[1], true), 0);
	tell(1, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL, 8);
	assert_false(con->port[1].added);
	assert_int_equal(virtio_console_port_open(&con->port[1], true), -VIRTIO_ENOENT);
	assert_int_equal(virtio_console_port_write(&con->port[1], "x", 1), -VIRTIO_ENOENT);
	tell(1, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 8);
	assert_true(con->port[1].added && !con->port[1].open);
	assert_string_equal(con->port[1].name, "");
}

/* A device that talks and does not listen: what has to be said is remembered, a little of it. */
static void deaf_device(void **state)
{
	said_count = 0;
	deaf = true;
	for (int i = 0; i < 100; i++) {
		for (uint32_t id = 0; id < 4; id++) {
			tell(id, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 8);
			tell(id, VIRTIO_CONSOLE_CONSOLE_PORT, 1, NULL, 8);
			tell(id, VIRTIO_CONSOLE_PORT_REMOVE, 1, NULL, 8);
		}
	}
	tell(2, VIRTIO_CONSOLE_PORT_ADD, 1, NULL, 8);
	deaf = false;
	device_notify(&b->dev, VIRTIO_CONSOLE_CONTROL_OUT);
	virtio_console_poll(con);
	assert_in_range(said_count, 1, VIRTIO_CONSOLE_MESSAGES + 1);
	assert_int_equal(said[said_count - 1].id, 2);
	assert_int_equal(said[said_count - 1].event, VIRTIO_CONSOLE_PORT_READY);
	assert_int_equal(said[said_count - 1].value, 1);
}

static void no_ports(void **state)
{
	assert_int_equal(start(0), -VIRTIO_EOPNOTSUPP);
	assert_true(b->dev.status & VIRTIO_STATUS_FAILED);
	bench_destroy(b);
}

static void arguments(void **state)
{
	uint8_t byte;

	assert_int_equal(virtio_console_poll(NULL), 0);
	assert_int_equal(virtio_console_port_open(NULL, true), -VIRTIO_EINVAL);
	assert_int_equal(virtio_console_port_write(NULL, "x", 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_console_port_write(&con->port[1], "x", 1), -VIRTIO_ENOENT);
	assert_int_equal(virtio_console_port_write(&con->port[1], NULL, 1), -VIRTIO_EINVAL);
	assert_int_equal(virtio_console_port_read(NULL, &byte, 1), 0);
	assert_int_equal(virtio_console_port_read(&con->port[1], &byte, 1), 0);
	assert_int_equal(virtio_console_emergency(NULL, 'x'), -VIRTIO_EINVAL);
	assert_int_equal(virtio_console_emergency(&b->direct.vdev, 'x'), -VIRTIO_EOPNOTSUPP);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(answers), T(lies), T(removed), T(deaf_device), T(arguments), cmocka_unit_test(no_ports),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
