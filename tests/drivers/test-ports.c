/* SPDX-License-Identifier: MIT */
/* Several ports of a console: our driver and our device, on every bus that has room for so many queues. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-console.h>
#include <virtio/fake.h>

#include "../device/bed.h"

enum { TERMINAL, AGENT, NAMELESS, PORTS };

static struct fixture {
	struct virtio_fake *fake;
	struct fake_console end[PORTS];
	struct virtio_dev *dev;
	struct virtio_device *vdev;
	struct virtio_console *con;
	unsigned int changes;
} f;

static void changed(struct virtio_console_port *port)
{
	assert_ptr_equal(port->con, f.con);
	f.changes++;
}

static void probe(uint64_t wanted)
{
	memset(f.con, 0, sizeof(*f.con));
	f.con->wanted = wanted;
	f.con->changed = changed;
	assert_int_equal(virtio_console_probe(f.con, f.vdev), 0);
}

static void deliver(void)
{
	while (virtio_fake_deliver(f.fake) || virtio_console_poll(f.con))
		;
}

/* Port 0 for people, port 1 with a name and nobody there yet, port 2 without a name and with somebody. */
static int create(const struct virtio_fake_options *options)
{
	struct console_port ports[PORTS] = {
		[TERMINAL] = { .backend = &f.end[TERMINAL].be, .terminal = true },
		[AGENT] = { .backend = &f.end[AGENT].be, .name = "org.example.agent" },
		[NAMELESS] = { .backend = &f.end[NAMELESS].be },
	};

	memset(&f, 0, sizeof(f));
	for (unsigned int i = 0; i < PORTS; i++)
		fake_console_init(&f.end[i]);
	f.end[AGENT].be.away = true;
	assert_int_equal(virtio_fake_create(options, &f.fake), 0);
	f.dev = ports_device_create(ports, PORTS);
	return virtio_fake_add(f.fake, f.dev);
}

static int setup(void **state)
{
	assert_int_equal(create(*state), 0);
	assert_int_equal(virtio_fake_find(f.fake, 0, &f.vdev), 0);
	f.con = virtio_fake_alloc(f.fake, sizeof(*f.con), 16);
	assert_non_null(f.con);
	probe(VIRTIO_CONSOLE_F_MULTIPORT);
	deliver();
	return 0;
}

static int teardown(void **state)
{
	virtio_console_remove(f.con);
	assert_null(virtio_fake_broken(f.fake, NULL));
	virtio_fake_destroy(f.fake);
	for (unsigned int i = 0; i < PORTS; i++)
		assert_true(f.end[i].closed);
	return 0;
}

static void type(unsigned int port, const char *text)
{
	size_t len = strlen(text);

	assert_int_equal(f.end[port].be.input(f.end[port].be.opaque, text, len), len);
}

static void come_or_go(unsigned int port, bool away)
{
	f.end[port].be.away = away;
	f.end[port].be.came_or_went(f.end[port].be.opaque);
}

static void introduced(void **state)
{
	struct virtio_console_port *port = f.con->port;

	assert_int_equal(f.con->ports, PORTS);
	assert_int_equal(f.con->dropped, 0);
	assert_true(port[TERMINAL].added && port[TERMINAL].terminal && port[TERMINAL].open);
	assert_true(port[AGENT].added && !port[AGENT].terminal && !port[AGENT].open);
	assert_true(port[NAMELESS].added && !port[NAMELESS].terminal && port[NAMELESS].open);
	assert_string_equal(port[TERMINAL].name, "");
	assert_string_equal(port[AGENT].name, "org.example.agent");
	assert_int_equal(f.changes, 3 + 1 + 1 + 2 + 1);
}

static void comes_and_goes(void **state)
{
	struct virtio_console_port *port = &f.con->port[AGENT];

	for (int i = 0; i < 100; i++) {
		come_or_go(AGENT, i % 2);
		deliver();
		assert_int_equal(port->open, !(i % 2));
	}
	/* More quickly than the driver listens: the newest is what counts, and that somebody has gone. */
	f.changes = 0;
	for (int i = 0; i < 100; i++)
		come_or_go(AGENT, i % 2);
	come_or_go(AGENT, false);
	deliver();
	assert_true(port->open);
	assert_in_range(f.changes, 2, 100);
	come_or_go(AGENT, true);
	assert_int_equal(f.con->dropped, 0);
}

static void both_ways(void **state)
{
	char text[16] = { 0 };

	/* 5.3.6.2.2: the terminal has been opened; the other is not before somebody does. */
	type(TERMINAL, "one");
	assert_int_equal(f.end[AGENT].be.input(f.end[AGENT].be.opaque, "two", 3), 0);
	f.end[AGENT].ready = 0;
	assert_int_equal(virtio_console_port_open(&f.con->port[AGENT], true), 0);
	assert_int_equal(f.end[AGENT].ready, 1);
	type(AGENT, "two");
	deliver();
	assert_int_equal(virtio_console_read(f.con, text, sizeof(text)), 3);
	assert_memory_equal(text, "one", 3);
	assert_int_equal(virtio_console_port_read(&f.con->port[AGENT], text, sizeof(text)), 3);
	assert_memory_equal(text, "two", 3);
	assert_int_equal(virtio_console_port_open(&f.con->port[AGENT], false), 0);
	assert_int_equal(f.end[AGENT].be.input(f.end[AGENT].be.opaque, "two", 3), 0);

	assert_int_equal(virtio_console_port_write(&f.con->port[AGENT], "x", 1), -VIRTIO_EAGAIN);
	assert_int_equal(virtio_console_port_write(&f.con->port[NAMELESS], "hello", 5), 5);
	assert_int_equal(virtio_console_port_write(&f.con->port[NAMELESS], ", you", 5), 5);
	assert_int_equal(f.end[NAMELESS].len, 10);
	assert_memory_equal(f.end[NAMELESS].printed, "hello, you", 10);
	assert_int_equal(f.end[AGENT].len + f.end[TERMINAL].len, 0);
}

/* An end that reads slowly makes the guest wait, and nothing is lost or said twice; one that goes takes it all along. */
static void slow_end(void **state)
{
	struct virtio_console_port *port = &f.con->port[NAMELESS];
	struct fake_console *end = &f.end[NAMELESS];
	char text[VIRTIO_CONSOLE_CHUNK];

	for (size_t i = 0; i < sizeof(text); i++)
		text[i] = (char)(i * 5);
	end->narrow = true;
	for (int round = 0; round < 5; round++) {
		end->len = 0;
		end->room = 100;
		assert_int_equal(virtio_console_port_write(port, text, sizeof(text)), sizeof(text));
		assert_int_equal(end->len, 100);
		assert_int_equal(virtio_console_port_write(port, "x", 1), -VIRTIO_EAGAIN);
		while (end->len < sizeof(text)) {
			end->room = 60;
			end->be.output_ready(end->be.opaque);
		}
		assert_memory_equal(end->printed, text, sizeof(text));
	}
	end->room = 10;
	assert_int_equal(virtio_console_port_write(port, text, sizeof(text)), sizeof(text));
	come_or_go(NAMELESS, true);
	come_or_go(NAMELESS, false);
	deliver();
	end->len = 0;
	end->narrow = false;
	assert_int_equal(virtio_console_port_write(port, "new", 3), 3);
	assert_int_equal(end->len, 3);
}

static void window_size(void **state)
{
	uint16_t columns, rows;

	f.end[TERMINAL].columns = 132;
	f.end[TERMINAL].be.resized(f.end[TERMINAL].be.opaque, 132, 25);
	f.end[AGENT].be.resized(f.end[AGENT].be.opaque, 1, 1);
	deliver();
	assert_true(virtio_console_size(f.con, &columns, &rows));
	assert_int_equal(columns, 132);
	assert_int_equal(f.con->port[TERMINAL].columns, 132);
	assert_int_equal(f.con->port[AGENT].columns, 0);
}

/* A new driver is told everything again; one that wants no ports has the first. */
static void other_drivers(void **state)
{
	char *text = virtio_fake_alloc(f.fake, 4, 16);

	virtio_console_remove(f.con);
	f.changes = 0;
	probe(0);
	assert_int_equal(f.con->ports, 1);
	memcpy(text, "abcd", 4);
	assert_int_equal(virtio_console_write(f.con, text, 4), 4);
	assert_int_equal(f.end[TERMINAL].len, 4);
	type(TERMINAL, "x");
	assert_int_equal(virtio_console_read(f.con, text, 4), 1);
	assert_int_equal(f.end[NAMELESS].be.input(f.end[NAMELESS].be.opaque, "x", 1), 0);
	come_or_go(AGENT, false);
	come_or_go(AGENT, true);
	virtio_console_remove(f.con);
	assert_int_equal(f.changes, 0);
	probe(VIRTIO_CONSOLE_F_MULTIPORT);
	deliver();
	introduced(NULL);
}

static void emergency(void **state)
{
	assert_int_equal(virtio_console_emergency(f.vdev, '!'), 0);
	virtio_console_remove(f.con);
	assert_int_equal(virtio_console_emergency(f.vdev, '?'), 0);
	assert_memory_equal(f.end[TERMINAL].printed, "!?", 2);
	probe(VIRTIO_CONSOLE_F_MULTIPORT);
}

static const struct {
	const char *name;
	CMUnitTestFunction run;
	bool needs_calls;		/* not on buses whose configuration is memory */
} tests[] = {
	{ "introduced", introduced, false },
	{ "comes and goes", comes_and_goes, false },
	{ "both ways", both_ways, false },
	{ "slow end", slow_end, false },
	{ "window size", window_size, false },
	{ "other drivers", other_drivers, false },
	{ "emergency", emergency, true },
};

#define TESTS	(sizeof(tests) / sizeof(tests[0]))

static const uint64_t without[] = { 0, VIRTIO_F_RING_PACKED, VIRTIO_F_IN_ORDER | VIRTIO_F_ANY_LAYOUT };

/* The bed for combination @i; false: there is none, or one without features. */
static bool make_bed(unsigned int i, struct virtio_fake_options *options)
{
	struct virtio_fake *fake;

	*options = (struct virtio_fake_options){ .bus = (enum virtio_fake_bus)(i / 6), .big_endian = i / 3 % 2, .without = without[i % 3] };
	if (options->bus == VIRTIO_FAKE_LGUEST_DMA || options->bus == VIRTIO_FAKE_LGUEST_TLV || virtio_fake_create(options, &fake))
		return false;
	virtio_fake_destroy(fake);
	return true;
}

int main(void)
{
	int failed = 0;

	for (unsigned int i = 0; i < VIRTIO_FAKE_BUSES * 6; i++) {
		struct virtio_fake_options options;
		struct CMUnitTest list[TESTS];
		unsigned int count = 0;
		bool calls;
		char name[64];

		if (!make_bed(i, &options))
			continue;
		calls = options.bus != VIRTIO_FAKE_LGUEST_PAGE && options.bus != VIRTIO_FAKE_S390_PAGE;
		snprintf(name, sizeof(name), "%s, %s-endian, %u", virtio_fake_name(options.bus), options.big_endian ? "big" : "little", i % 3);
		for (unsigned int t = 0; t < TESTS; t++)
			if (calls || !tests[t].needs_calls)
				list[count++] = (struct CMUnitTest){ tests[t].name, tests[t].run, setup, teardown, &options };
		failed += _cmocka_run_group_tests(name, list, count, NULL, NULL);
	}
	return failed;
}
