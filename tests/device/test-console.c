/* SPDX-License-Identifier: MIT */
/* The console device and its driver, over the lguest bus. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <virtio/driver-console.h>

#include "bed.h"

struct fixture {
	struct bed *bed;
	struct fake_console backend;
	struct virtio_console *con;
	unsigned int inputs;
};

static void on_input(struct virtio_console *con)
{
	((struct fixture *)con->opaque)->inputs++;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	f->bed = bed_create();
	fake_console_init(&f->backend);
	bed_add(f->bed, console_device_create(&f->backend.be));
	bed_boot(f->bed);
	f->con = bed_alloc(f->bed, sizeof(*f->con));
	f->con->input = on_input;
	f->con->opaque = f;
	assert_int_equal(virtio_console_probe(f->con, &bed_next(f->bed, VIRTIO_ID_CONSOLE)->vdev), 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	bed_destroy(f->bed);
	assert_true(f->backend.closed);
	free(f);
	return 0;
}

static void prints(void **state)
{
	struct fixture *f = *state;
	char *text = bed_alloc(f->bed, 64);

	strcpy(text, "hello, ");
	assert_int_equal(virtio_console_write(f->con, text, 7), 7);
	strcpy(text, "world\n");
	assert_int_equal(virtio_console_write(f->con, text, 6), 6);
	assert_int_equal(f->backend.len, 13);
	assert_memory_equal(f->backend.printed, "hello, world\n", 13);
}

/* More prints than the ring has entries: indices wrap in the ring. */
static void prints_often(void **state)
{
	struct fixture *f = *state;
	char *text = bed_alloc(f->bed, 1);

	for (int i = 0; i < 1000; i++) {
		*text = (char)('a' + i % 26);
		assert_int_equal(virtio_console_write(f->con, text, 1), 1);
	}
	assert_int_equal(f->backend.len, 1000);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(f->backend.printed[i], 'a' + i % 26);
}

static void reads(void **state)
{
	struct fixture *f = *state;
	char text[8];

	assert_int_equal(virtio_console_read(f->con, text, sizeof(text)), 0);
	assert_int_equal(f->backend.be.input(f->backend.be.opaque, "ls -l\n", 6), 6);
	bed_interrupts(f->bed);
	assert_int_equal(f->inputs, 1);
	assert_int_equal(virtio_console_read(f->con, text, 2), 2);
	assert_memory_equal(text, "ls", 2);
	assert_int_equal(virtio_console_read(f->con, text, sizeof(text)), 4);
	assert_memory_equal(text, " -l\n", 4);
	assert_int_equal(virtio_console_read(f->con, text, sizeof(text)), 0);
}

/* A guest that does not read gets as much as it has room for, and the rest once it has read. */
static void input_waits_for_room(void **state)
{
	struct fixture *f = *state;
	const size_t room = VIRTIO_CONSOLE_INPUTS * VIRTIO_CONSOLE_CHUNK;
	char typed[VIRTIO_CONSOLE_INPUTS * VIRTIO_CONSOLE_CHUNK + 100], seen[sizeof(typed)];
	unsigned int before;
	size_t taken;

	for (size_t i = 0; i < sizeof(typed); i++)
		typed[i] = (char)(i * 7);
	taken = f->backend.be.input(f->backend.be.opaque, typed, sizeof(typed));
	assert_int_equal(taken, room);
	before = f->backend.ready;
	assert_int_equal(virtio_console_read(f->con, seen, room), room);
	assert_int_equal(f->backend.ready, before + 1);
	taken += f->backend.be.input(f->backend.be.opaque, typed + room, 100);
	assert_int_equal(taken, sizeof(typed));
	assert_int_equal(virtio_console_read(f->con, seen + room, 200), 100);
	assert_memory_equal(seen, typed, sizeof(typed));
}

static void window_size(void **state)
{
	struct fixture *f = *state;
	uint16_t columns, rows;

	assert_true(virtio_console_size(f->con, &columns, &rows));
	assert_int_equal(columns, 80);
	assert_int_equal(rows, 25);
	f->backend.columns = 132;
	f->backend.be.resized(f->backend.be.opaque, 132, 25);
	assert_true(virtio_console_size(f->con, &columns, &rows));
	assert_int_equal(columns, 132);
}

/* Input that comes while no driver is there is refused, and asked for again when one is. */
static void survives_a_new_driver(void **state)
{
	struct fixture *f = *state;
	struct virtio_device *vdev = f->con->vdev;
	char text[8];
	unsigned int before;

	virtio_console_remove(f->con);
	assert_int_equal(f->backend.be.input(f->backend.be.opaque, "x", 1), 0);
	before = f->backend.ready;
	memset(f->con, 0, sizeof(*f->con));
	assert_int_equal(virtio_console_probe(f->con, vdev), 0);
	assert_int_equal(f->backend.ready, before + 1);
	assert_int_equal(f->backend.be.input(f->backend.be.opaque, "x", 1), 1);
	assert_int_equal(virtio_console_read(f->con, text, sizeof(text)), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(prints, setup, teardown),
		cmocka_unit_test_setup_teardown(prints_often, setup, teardown),
		cmocka_unit_test_setup_teardown(reads, setup, teardown),
		cmocka_unit_test_setup_teardown(input_waits_for_room, setup, teardown),
		cmocka_unit_test_setup_teardown(window_size, setup, teardown),
		cmocka_unit_test_setup_teardown(survives_a_new_driver, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
