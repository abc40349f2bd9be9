/* SPDX-License-Identifier: MIT */
/* The chips together: wires, reset, deadlines. */
#include <string.h>

#include "machine/pc/board.h"
#include "tests/pc/test.h"

#define MS	UINT64_C(1000000)
#define SECOND	UINT64_C(1000000000)

static struct board board;
static uint64_t clock_ns;
static unsigned int wakes, offs, resets, entered, left;
static char printed[16];
static size_t printed_used;

static uint64_t monotonic(void *opaque)
{
	return clock_ns;
}

static uint64_t realtime(void *opaque)
{
	return clock_ns + 1795261827 * SECOND;
}

static void wake(void *opaque)
{
	wakes++;
}

static void ended(void *opaque, enum board_end how)
{
	offs += how == BOARD_POWER_OFF;
	resets += how == BOARD_RESET;
}

static void enter(void *opaque)
{
	entered++;
}

static void leave(void *opaque)
{
	left++;
}

static size_t print(struct console_backend *be, const struct virtio_iov *iov, unsigned int count)
{
	assert_int_equal(entered, left + 1);
	memcpy(printed + printed_used, iov->base, iov->len);
	printed_used += iov->len;
	return iov->len;
}

static void input_ready(struct console_backend *be)
{
}

static const struct console_backend_ops serial_ops = { .write = print, .input_ready = input_ready };
static struct console_backend serial = { .ops = &serial_ops };

static int setup(void **state)
{
	struct board_config config = {
		.memory = 64 << 20, .serial = &serial, .level_lines = 1 << 11, .wake = wake, .ended = ended, .enter_cold = enter,
		.leave_cold = leave, .monotonic = monotonic, .realtime = realtime,
	};

	clock_ns = 1000 * SECOND;
	wakes = offs = resets = entered = left = 0;
	printed_used = 0;
	return board_init(&board, &config);
}

static void out(uint16_t port, uint8_t value)
{
	ports_out(&board.ports, port, 1, value);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)ports_in(&board.ports, port, 1);
}

/* As Linux sets the controllers up, all lines open. */
static void init_pic(void)
{
	static const uint8_t words[][2] = { { 0x20, 0x11 }, { 0x21, 0x30 }, { 0x21, 0x04 }, { 0x21, 0x01 }, { 0xa0, 0x11 },
					    { 0xa1, 0x38 }, { 0xa1, 0x02 }, { 0xa1, 0x01 }, { 0x21, 0x00 }, { 0xa1, 0x00 } };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		out(words[i][0], words[i][1]);
}

static void nothing_happens_by_itself(void **state)
{
	assert_true(board_deadline(&board) == BOARD_NEVER);
	board_poll(&board);
	assert_false(pic_pending(&board.pic));
	assert_int_equal(wakes, 0);
}

static void the_timer_has_line_0(void **state)
{
	init_pic();
	out(0x43, 0x34);
	out(0x40, 11932 & 255);
	out(0x40, 11932 >> 8);
	for (unsigned int i = 0; i < 5; i++) {
		assert_in_range(board_deadline(&board), clock_ns, clock_ns + 11 * MS);
		clock_ns = board_deadline(&board);
		board_poll(&board);
		assert_true(pic_pending(&board.pic));
		assert_true(board_deadline(&board) == BOARD_NEVER);
		assert_int_equal(pic_acknowledge(&board.pic), 0x30);
		out(0x20, 0x60);
		assert_false(pic_pending(&board.pic));
	}
}

static void the_clock_has_line_8(void **state)
{
	init_pic();
	out(0x70, 0x0b);
	out(0x71, 0x12);
	clock_ns = board_deadline(&board);
	board_poll(&board);
	assert_int_equal(pic_acknowledge(&board.pic), 0x38);
}

static void the_power_button_has_line_9(void **state)
{
	init_pic();
	assert_false(board_press_power_button(&board));
	ports_out(&board.ports, ACPI_EVENT_PORT + 2, 2, 0x100);
	wakes = 0;
	assert_true(board_press_power_button(&board));
	assert_int_equal(wakes, 1);
	assert_int_equal(board_deadline(&board), 0);
	board_poll(&board);
	assert_int_equal(pic_acknowledge(&board.pic), 0x39);
	out(0xa0, 0x61);
	out(0x20, 0x62);
	assert_true(pic_pending(&board.pic));		/* level-triggered */
	ports_out(&board.ports, ACPI_EVENT_PORT, 2, 0x100);
	assert_false(pic_pending(&board.pic));
	ports_out(&board.ports, 0x604, 2, 5 << 10 | 1 << 13);
	assert_int_equal(offs, 1);
}

static void the_serial_port_has_line_4(void **state)
{
	init_pic();
	out(0x3fc, 0x0b);
	out(0x3f9, 0x01);
	assert_int_equal(serial.input(serial.opaque, "x", 1), 1);
	assert_int_equal(wakes, 1);
	assert_int_equal(pic_acknowledge(&board.pic), 0x34);
	out(0x3f8, 'y');
	assert_memory_equal(printed, "y", 1);
	assert_int_equal(in(0x2f8 + 5), 0xff);
}

static void ways_to_reset(void **state)
{
	/* No keyboard controller, and nobody waits for one. */
	assert_int_equal(in(0x64), 0xff);
	out(0x64, 0xaa);
	assert_int_equal(resets, 0);
	out(0x64, 0xfe);
	assert_int_equal(resets, 1);
	assert_int_equal(in(0x92), 0x02);
	out(0x92, 0x00);
	assert_int_equal(in(0x92), 0x00);
	assert_int_equal(resets, 1);
	out(0x92, 0x03);
	assert_int_equal(resets, 2);
	out(0xcf9, 0x02);
	assert_int_equal(in(0xcf9), 0x02);
	assert_int_equal(resets, 2);
	out(0xcf9, 0x06);
	assert_int_equal(resets, 3);
}

static void a_restart(void **state)
{
	init_pic();
	out(0x43, 0x34);
	out(0x40, 0);
	out(0x40, 1);
	out(0x70, 0x0b);
	out(0x71, 0x72);
	ports_out(&board.ports, ACPI_EVENT_PORT + 2, 2, 0x101);
	out(0x4d0, 0x20);
	board_reset(&board);
	assert_true(board_deadline(&board) == BOARD_NEVER);
	clock_ns += SECOND;
	board_poll(&board);
	assert_false(pic_pending(&board.pic));
	assert_int_equal(in(0x4d0), 0x00);
	assert_int_equal(in(0x4d1), 0x0a);
}

static int teardown(void **state)
{
	board_disconnect(&board);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_happens_by_itself, setup, teardown),
		cmocka_unit_test_setup_teardown(the_timer_has_line_0, setup, teardown),
		cmocka_unit_test_setup_teardown(the_clock_has_line_8, setup, teardown),
		cmocka_unit_test_setup_teardown(the_power_button_has_line_9, setup, teardown),
		cmocka_unit_test_setup_teardown(the_serial_port_has_line_4, setup, teardown),
		cmocka_unit_test_setup_teardown(ways_to_reset, setup, teardown),
		cmocka_unit_test_setup_teardown(a_restart, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
