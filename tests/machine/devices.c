/* SPDX-License-Identifier: MIT */
/* The devices of a guest: which are made, in which order, what happens when one finds no room, and what is said about broken ones. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "../device/bed.h"
#include "machine/devices.h"

/* A bus that writes down what it is given, and has room for so many. */
struct bus {
	uint32_t ids[DEVICES_MAX];
	unsigned int count, room;
};

static struct fake_disk disks[2];
static struct fake_net nets[1];
static struct fake_entropy entropy;
static struct fake_console console;
static struct balloon_backend balloon;
static struct block_backend *disk_list[40];
static struct net_backend *net_list[] = {&nets[0].be};

static void release(struct balloon_backend *be, uint64_t gpa, uint64_t len)
{
}

static const struct balloon_backend_ops balloon_ops = {.release = release};

static int attach(void *opaque, struct virtio_dev *dev, const char **reason)
{
	struct bus *bus = opaque;

	*reason = "it is full";
	if (bus->count == bus->room)
		return -ENOSPC;
	bus->ids[bus->count++] = dev->id;
	return 0;
}

static struct machine_devices one_of_each(void)
{
	for (unsigned int i = 0; i < 2; i++) {
		fake_disk_init(&disks[i]);
		disk_list[i] = &disks[i].be;
	}
	fake_net_init(&nets[0], false);
	fake_entropy_init(&entropy);
	fake_console_init(&console);
	balloon = (struct balloon_backend){.ops = &balloon_ops};
	return (struct machine_devices){.disks = disk_list, .disk_count = 2, .nets = net_list, .net_count = 1,
					.entropy = &entropy.be, .balloon = &balloon, .console = &console.be};
}

static void in_order(void **state)
{
	static const uint32_t order[] = {VIRTIO_ID_BLOCK, VIRTIO_ID_BLOCK, VIRTIO_ID_NET, VIRTIO_ID_RNG, VIRTIO_ID_BALLOON, VIRTIO_ID_CONSOLE};
	struct machine_devices config = one_of_each();
	struct devices devices = {0};
	struct bus bus = {.room = DEVICES_MAX};
	struct error error;

	assert_int_equal(devices_create(&devices, &config, attach, &bus, &error), 0);
	assert_int_equal(bus.count, 6);
	assert_int_equal(devices.count, 6);
	assert_memory_equal(bus.ids, order, sizeof(order));
	devices_destroy(&devices);
	assert_true(console.closed);
	assert_int_equal(devices.count, 0);
}

static void only_what_there_is(void **state)
{
	struct machine_devices config = {0};
	struct devices devices = {0};
	struct bus bus = {.room = DEVICES_MAX};
	struct error error;

	assert_int_equal(devices_create(&devices, &config, attach, &bus, &error), 0);
	assert_int_equal(bus.count, 0);
	devices_destroy(&devices);
}

/* The one that found no room is destroyed with the others; those behind it are never made. */
static void no_room(void **state)
{
	struct machine_devices config = one_of_each();
	struct devices devices = {0};
	struct bus bus = {.room = 2};
	struct error error;
	bool closed[2] = {false, false};

	disks[0].closed = &closed[0];
	disks[1].closed = &closed[1];
	assert_int_equal(devices_create(&devices, &config, attach, &bus, &error), -ENOSPC);
	assert_string_equal(error.text, "no room for another network device: it is full");
	assert_int_equal(devices.count, 3);
	assert_true(console.closed);
	assert_false(closed[0] || closed[1]);
	devices_destroy(&devices);
	assert_true(closed[0] && closed[1]);
}

static void too_many(void **state)
{
	struct machine_devices config = one_of_each();
	struct devices devices = {0};
	struct error error;

	for (unsigned int i = 0; i < 29; i++)
		disk_list[i] = &disks[0].be;
	config.disk_count = 29;
	assert_int_equal(devices_create(&devices, &config, attach, NULL, &error), -ENOSPC);
	assert_string_equal(error.text, "too many devices: 33, at most 31 are possible");
	assert_int_equal(devices.count, 0);
	assert_true(console.closed);
}

static void refused(void **state)
{
	struct machine_devices config = one_of_each();
	bool closed = false;

	disks[1].closed = &closed;
	devices_refuse(&config);
	assert_true(closed);
	assert_true(console.closed);
}

static void broken_ones_are_named(void **state)
{
	static const struct virtio_dev_ops ops = {.name = "teapot"};
	struct virtio_dev dev = {.ops = &ops};
	struct devices devices = {0};
	int saved = dup(STDERR_FILENO), lines = 0;
	FILE *file = tmpfile();
	char line[256], first[256] = "", last[256] = "";

	assert_non_null(file);
	assert_true(dup2(fileno(file), STDERR_FILENO) >= 0);
	for (unsigned int i = 0; i < 100; i++)
		devices_complain(&devices, &dev, "it leaks");
	dup2(saved, STDERR_FILENO);
	close(saved);
	rewind(file);
	while (fgets(line, sizeof(line), file))
		memcpy(lines++ ? last : first, line, sizeof(line));
	fclose(file);
	assert_string_equal(first, "kennel: warning: the guest's teapot device stops until its driver resets it: it leaks\n");
	assert_int_equal(lines, 8);
	assert_non_null(strstr(last, "not reported"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(in_order), cmocka_unit_test(only_what_there_is), cmocka_unit_test(no_room),
		cmocka_unit_test(too_many), cmocka_unit_test(refused), cmocka_unit_test(broken_ones_are_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
