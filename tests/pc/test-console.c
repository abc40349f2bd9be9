/* SPDX-License-Identifier: MIT */
/* One terminal behind a serial port and a virtio console: who gets what is typed, and when a kernel has panicked. */
#include <string.h>

#include "machine/pc/console.h"
#include "tests/device/bed.h"
#include "tests/pc/test.h"

static struct fake_console host;
static struct pc_console *console;

static int set_up(void **state)
{
	fake_console_init(&host);
	console = pc_console_create(&host.be, *state != NULL);
	return !console;
}

static int tear_down(void **state)
{
	pc_console_destroy(console);
	assert_true(host.closed);
	return 0;
}

static void print(struct console_backend *to, const char *text)
{
	struct virtio_iov iov = {(void *)text, strlen(text)};

	assert_int_equal(to->ops->write(to, &iov, 1), iov.len);
}

static void serial(const char *text)
{
	print(pc_console_serial(console), text);
}

/* --- what is printed -------------------------------------------------------------------------------------------------------- */

static void both_print_to_one_place(void **state)
{
	struct virtio_iov pieces[] = {{"one ", 4}, {"two ", 4}};
	struct console_backend *virtio = pc_console_virtio(console);

	assert_int_equal(virtio->ops->write(virtio, pieces, 2), 8);
	serial("three");
	assert_int_equal(host.len, 13);
	assert_memory_equal(host.printed, "one two three", 13);
}

static void panics(void **state)
{
	assert_null(pc_console_panic(console));
	serial("[    1.0] Kernel panic - not syncing: oh no\r\n[    1.1] CPU: 0 PID: 1\r\n");
	assert_string_equal(pc_console_panic(console), "Kernel panic - not syncing: oh no");
	serial("---[ end Kernel panic - not syncing: another ]---\n");
	assert_string_equal(pc_console_panic(console), "Kernel panic - not syncing: oh no");
	pc_console_forget(console);
	assert_null(pc_console_panic(console));
}

static void lines_come_in_pieces(void **state)
{
	static const char line[] = "Kernel panic - not syncing: bit by bit";

	for (const char *c = line; *c; c++)
		serial((char[]){*c, 0});
	assert_null(pc_console_panic(console));
	/* The other end has lines of its own. */
	print(pc_console_virtio(console), "something else\n");
	assert_null(pc_console_panic(console));
	serial("\n");
	assert_string_equal(pc_console_panic(console), line);
}

static void long_lines_are_cut(void **state)
{
	char line[1000];

	memset(line, 'x', sizeof(line));
	memcpy(line, "Kernel panic - not syncing: ", 28);
	strcpy(line + sizeof(line) - 2, "\n");
	serial(line);
	assert_int_equal(strlen(pc_console_panic(console)), 239);
	/* Too far to the right to be seen, and nothing is written behind the end. */
	memset(line, 'x', sizeof(line));
	strcpy(line + sizeof(line) - 40, "Kernel panic - not syncing: late\n");
	pc_console_forget(console);
	serial(line);
	assert_null(pc_console_panic(console));
}

static void an_orderly_reboot_forgets(void **state)
{
	serial("Kernel panic - not syncing: in yesterday's log\n[   99.9] reboot: Restarting system\n");
	assert_null(pc_console_panic(console));
}

/* A line that was begun before a restart is not continued after it. */
static void forgets_half_a_line(void **state)
{
	serial("Kernel panic - not ");
	pc_console_forget(console);
	serial("syncing: joined\n");
	assert_null(pc_console_panic(console));
}

/* --- what is typed ----------------------------------------------------------------------------------------------------------- */

struct typed {
	size_t len;
	unsigned int resized;
};

static size_t take_three(void *opaque, const void *data, size_t len)
{
	((struct typed *)opaque)->len += len;
	return len < 3 ? len : 3;
}

static void note_size(void *opaque, uint16_t columns, uint16_t rows)
{
	((struct typed *)opaque)->resized += columns == 100 && rows == 30;
}

static void connect(struct console_backend *end, struct typed *typed)
{
	end->opaque = typed;
	end->input = take_three;
	end->resized = note_size;
}

/* @state decides who it is for. */
static void typed_at_one_of_them(void **state)
{
	struct typed for_serial = {0}, for_virtio = {0};
	bool virtio = *state != NULL;
	struct console_backend *ends[] = {pc_console_serial(console), pc_console_virtio(console)};

	assert_int_equal(host.be.input(host.be.opaque, "early", 5), 0);
	connect(ends[0], &for_serial);
	connect(ends[1], &for_virtio);
	assert_int_equal(host.be.input(host.be.opaque, "hello", 5), 3);
	assert_int_equal(for_virtio.len, virtio ? 5 : 0);
	assert_int_equal(for_serial.len, virtio ? 0 : 5);
	ends[!virtio]->ops->input_ready(ends[!virtio]);
	assert_int_equal(host.ready, 0);
	ends[virtio]->ops->input_ready(ends[virtio]);
	assert_int_equal(host.ready, 1);
	host.be.resized(host.be.opaque, 100, 30);
	assert_int_equal(for_serial.resized + for_virtio.resized, 2);
	ends[virtio]->ops->close(ends[virtio]);
	assert_int_equal(host.be.input(host.be.opaque, "late", 4), 0);
	host.be.resized(host.be.opaque, 100, 30);
	assert_int_equal(for_serial.resized + for_virtio.resized, 3);
	assert_false(host.closed);
}

static void size_of_the_window(void **state)
{
	uint16_t columns, rows;

	pc_console_virtio(console)->ops->size(pc_console_virtio(console), &columns, &rows);
	assert_int_equal(columns, 80);
	assert_int_equal(rows, 25);
}

static void who_wants_virtio(void **state)
{
	assert_false(pc_console_wants_virtio(""));
	assert_false(pc_console_wants_virtio("quiet console=ttyS0"));
	assert_true(pc_console_wants_virtio("console=hvc0"));
	assert_true(pc_console_wants_virtio("console=ttyS0 console=hvc0 quiet"));
	assert_false(pc_console_wants_virtio("console=hvc0 console=ttyS0"));
	assert_false(pc_console_wants_virtio("xconsole=hvc0"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(both_print_to_one_place), T(panics), T(lines_come_in_pieces), T(long_lines_are_cut), T(an_orderly_reboot_forgets),
		T(forgets_half_a_line), T(typed_at_one_of_them),
		cmocka_unit_test_prestate_setup_teardown(typed_at_one_of_them, set_up, tear_down, "virtio"), T(size_of_the_window),
		T(who_wants_virtio),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
