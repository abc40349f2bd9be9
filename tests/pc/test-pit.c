/* SPDX-License-Identifier: MIT */
/* The 8254 as its datasheet describes it, against a clock that stands still unless a test moves it. */
#include "machine/pc/pit.h"
#include "tests/pc/test.h"

#define MS	UINT64_C(1000000)
#define SECOND	UINT64_C(1000000000)
#define ORIGIN	UINT64_C(123456789012345)

static struct ports ports;
static struct pit pit;
static uint64_t clock_ns;
static unsigned int rises;
static bool line;

static uint64_t now(void *opaque)
{
	return clock_ns;
}

static void set_irq(void *opaque, bool high)
{
	rises += high && !line;
	line = high;
}

static int setup(void **state)
{
	clock_ns = ORIGIN;
	line = false;
	ports_init(&ports, NULL, NULL, NULL);
	pit_init(&pit, now, set_irq, NULL);
	assert_int_equal(pit_add_ports(&pit, &ports), 0);
	rises = 0;
	return 0;
}

static void out(uint16_t port, uint8_t value)
{
	ports_out(&ports, port, 1, value);
}

static uint8_t in(uint16_t port)
{
	return (uint8_t)ports_in(&ports, port, 1);
}

/* Move on to the start of tick @tick since pit_init(). */
static void at_tick(uint64_t tick)
{
	clock_ns = ORIGIN + (tick * SECOND + PIT_HZ - 1) / PIT_HZ;
}

static void program(unsigned int channel, unsigned int mode, unsigned int count)
{
	out(0x43, (uint8_t)(channel << 6 | 3 << 4 | mode << 1));
	out((uint16_t)(0x40 + channel), (uint8_t)count);
	out((uint16_t)(0x40 + channel), (uint8_t)(count >> 8));
}

static unsigned int read_count(unsigned int channel)
{
	unsigned int low;

	out(0x43, (uint8_t)(channel << 6));
	low = in((uint16_t)(0x40 + channel));
	return low | (unsigned int)in((uint16_t)(0x40 + channel)) << 8;
}

static uint8_t status(unsigned int channel)
{
	out(0x43, (uint8_t)(0xe0 | 2u << channel));
	return in((uint16_t)(0x40 + channel));
}

/* Poll at every deadline up to @end, as the machine does. Returns how often. */
static unsigned int run_until(uint64_t end, bool take)
{
	unsigned int polls = 0;

	while (pit_deadline(&pit) <= end) {
		if (clock_ns < pit_deadline(&pit))
			clock_ns = pit_deadline(&pit);
		pit_poll(&pit);
		if (take)
			pit_taken(&pit);
		polls++;
	}
	clock_ns = end;
	return polls;
}

static void nothing_to_do_after_reset(void **state)
{
	assert_true(pit_deadline(&pit) == PIT_NEVER);
	pit_poll(&pit);
	assert_int_equal(rises, 0);
}

static void one_shot(void **state)
{
	/* The mode once, and then counts only. */
	out(0x43, 0x30);
	assert_false(line);
	for (unsigned int i = 0; i < 3; i++) {
		uint64_t begin = clock_ns, due;

		out(0x40, 1000 & 255);
		out(0x40, 1000 >> 8);
		assert_false(line);
		due = pit_deadline(&pit);
		/* A clock to load, and 1000 to count: 838.9 us. */
		assert_in_range(due - begin, 838000, 840500);
		clock_ns = due - 1;
		pit_poll(&pit);
		assert_int_equal(rises, i);
		clock_ns = due;
		pit_poll(&pit);
		assert_int_equal(rises, i + 1);
		assert_true(line);
		assert_true(pit_deadline(&pit) == PIT_NEVER);
		clock_ns += 55 * MS;
	}
}

/* drivers/clocksource/i8253.c uses mode 4: the output is high but for the last tick. */
static void linux_one_shot(void **state)
{
	out(0x43, 0x38);
	rises = 0;
	for (unsigned int i = 0; i < 5; i++) {
		uint64_t begin = clock_ns;

		out(0x40, 1000 & 255);
		out(0x40, 1000 >> 8);
		pit_poll(&pit);
		assert_int_equal(rises, i);
		assert_in_range(pit_deadline(&pit) - begin, 838000, 841000);
		/* Set again before it is due, it is put off. */
		clock_ns += MS / 2;
		out(0x40, 1000 & 255);
		out(0x40, 1000 >> 8);
		assert_in_range(pit_deadline(&pit) - begin, 1338000, 1341000);
		clock_ns = pit_deadline(&pit);
		pit_poll(&pit);
		assert_int_equal(rises, i + 1);
		assert_true(pit_deadline(&pit) == PIT_NEVER);
	}
}

static void a_new_one_shot_takes_the_old_one_back(void **state)
{
	program(0, 0, 1000);
	clock_ns += MS / 2;
	out(0x40, 0xff);
	assert_true(pit_deadline(&pit) == PIT_NEVER);	/* half a count stops it */
	out(0x40, 0xff);
	clock_ns += MS;
	pit_poll(&pit);
	assert_int_equal(rises, 0);
	assert_in_range(pit_deadline(&pit) - clock_ns, 53 * MS, 54 * MS);
}

static void periodic(void **state)
{
	unsigned int polls;

	program(0, 2, 11932);		/* 100 Hz */
	rises = 0;
	polls = run_until(clock_ns + 10 * SECOND + 5 * MS, true);
	assert_in_range(rises, 999, 1000);
	assert_int_equal(polls, rises);
}

static void a_tick_that_is_not_taken_costs_nothing(void **state)
{
	program(0, 2, 11932);
	rises = 0;
	assert_int_equal(run_until(clock_ns + SECOND, false), 1);
	assert_int_equal(rises, 1);
	assert_true(pit_deadline(&pit) == PIT_NEVER);
}

static void missed_ticks_are_made_up_for(void **state)
{
	uint64_t stall;

	program(0, 3, 11932);
	run_until(clock_ns + 100 * MS + MS, true);
	rises = 0;
	clock_ns += 50 * MS;		/* five ticks late */
	stall = clock_ns;
	run_until(clock_ns + 10 * MS, true);
	assert_in_range(rises, 4, 5);	/* four times the rate */
	run_until(stall + 50 * MS, true);
	assert_in_range(rises, 10, 11);	/* and in step again */
}

static void a_long_stall_is_mostly_forgotten(void **state)
{
	program(0, 2, 11932);
	run_until(clock_ns + 5 * MS, true);
	clock_ns += 3600 * SECOND;
	rises = 0;
	run_until(clock_ns + SECOND, true);
	assert_in_range(rises, 125, 135);
}

static void a_silly_rate_is_limited(void **state)
{
	program(0, 2, 2);
	rises = 0;
	run_until(clock_ns + 10 * MS, true);
	assert_in_range(rises, 150, 210);
}

static void a_new_period_starts_after_the_old_one(void **state)
{
	program(0, 2, 10000);
	at_tick(5000);
	out(0x40, 20000 & 255);
	out(0x40, 20000 >> 8);
	assert_int_equal(status(0) & 0x40, 0x40);
	at_tick(10000);
	assert_int_equal(read_count(0), 1);
	rises = 0;
	pit_poll(&pit);
	assert_int_equal(rises, 0);
	at_tick(10001);
	assert_int_equal(read_count(0), 20000);
	assert_int_equal(status(0) & 0x40, 0);
	pit_poll(&pit);
	pit_taken(&pit);
	assert_int_equal(rises, 1);
	assert_int_equal((pit_deadline(&pit) - ORIGIN + 1) * PIT_HZ / SECOND, 30001);
}

static void counts(void **state)
{
	program(0, 0, 1000);
	at_tick(1);
	assert_int_equal(read_count(0), 1000);
	at_tick(1000);
	assert_int_equal(read_count(0), 1);
	assert_int_equal(status(0), 0x30);
	at_tick(1001);
	assert_int_equal(read_count(0), 0);
	assert_int_equal(status(0), 0xb0);
	at_tick(1002);
	assert_int_equal(read_count(0), 0xffff);
}

static void counts_of_mode_2(void **state)
{
	program(0, 2, 100);
	at_tick(1);
	assert_int_equal(read_count(0), 100);
	assert_int_equal(status(0), 0xb4);
	at_tick(100);
	assert_int_equal(read_count(0), 1);
	assert_int_equal(status(0), 0x34);
	at_tick(101);
	assert_int_equal(read_count(0), 100);
}

static void counts_of_mode_3(void **state)
{
	program(0, 3, 101);
	at_tick(1);
	assert_int_equal(read_count(0), 100);
	assert_int_equal(status(0), 0xb6);
	at_tick(51);
	assert_int_equal(read_count(0), 0);
	at_tick(52);		/* (n + 1) / 2 high */
	assert_int_equal(status(0), 0x36);
	assert_int_equal(read_count(0), 100);
	at_tick(102);
	assert_int_equal(status(0), 0xb6);
}

static void bcd(void **state)
{
	out(0x43, 0x31);	/* channel 0, mode 0, BCD */
	out(0x40, 0x00);
	out(0x40, 0x10);	/* 1000 */
	at_tick(2);
	assert_int_equal(read_count(0), 0x999);
	at_tick(1002);
	assert_int_equal(read_count(0), 0x9999);
	assert_int_equal(status(0), 0xb1);
}

static void single_byte_access(void **state)
{
	out(0x43, 0x10);	/* low byte only */
	out(0x40, 50);
	at_tick(11);
	assert_int_equal(in(0x40), 40);
	assert_int_equal(in(0x40), 40);
	out(0x43, 0x20);	/* high byte only */
	out(0x40, 2);
	at_tick(12 + 10);
	assert_int_equal(in(0x40), 1);
}

static void latches_hold(void **state)
{
	program(0, 2, 50000);
	at_tick(101);
	out(0x43, 0x00);
	at_tick(20000);
	out(0x43, 0x00);	/* ignored: the first has not been read */
	assert_int_equal(in(0x40), 49900 & 255);
	assert_int_equal(in(0x40), 49900 >> 8);
	/* Read-back of count and status: the status comes first. */
	out(0x43, 0xc2);
	at_tick(30000);
	assert_int_equal(in(0x40), 0xb4);
	assert_int_equal(in(0x40), 30001 & 255);
	assert_int_equal(in(0x40), 30001 >> 8);
	/* Unlatched, the two bytes still alternate. */
	at_tick(40001);
	assert_int_equal(in(0x40), 10000 & 255);
	assert_int_equal(in(0x40), 10000 >> 8);
	assert_int_equal(in(0x43), 0xff);
}

static void linux_calibrates(void **state)
{
	/* arch/x86/kernel/tsc.c, pit_calibrate_tsc(): the gate up, the speaker off, mode 0, and wait for the output. */
	out(0x61, (in(0x61) & ~0x02) | 0x01);
	program(2, 0, PIT_HZ / 100);
	assert_int_equal(in(0x61) & 0x20, 0);
	clock_ns += 9 * MS;
	assert_int_equal(in(0x61) & 0x20, 0);
	clock_ns += MS + 2000;
	assert_int_equal(in(0x61) & 0x20, 0x20);
	assert_int_equal(in(0x61) & 0x0f, 0x01);
	assert_int_equal(rises, 0);
}

static void the_gate_stops_mode_0(void **state)
{
	out(0x61, 1);
	program(2, 0, 1000);
	at_tick(101);
	out(0x61, 0);
	at_tick(5000);
	assert_int_equal(read_count(2), 900);
	out(0x61, 1);
	at_tick(5100);
	assert_int_equal(read_count(2), 800);
	at_tick(5900);
	assert_int_equal(in(0x61) & 0x20, 0x20);
}

static void the_gate_triggers_mode_1(void **state)
{
	program(2, 1, 100);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	at_tick(1000);
	out(0x61, 1);
	at_tick(1002);
	assert_int_equal(in(0x61) & 0x20, 0);
	out(0x61, 0);
	at_tick(1050);
	out(0x61, 1);		/* again: the pulse starts anew */
	at_tick(1150);
	assert_int_equal(in(0x61) & 0x20, 0);
	at_tick(1152);
	assert_int_equal(in(0x61) & 0x20, 0x20);
}

static void the_gate_stops_mode_2_and_reloads(void **state)
{
	out(0x61, 1);
	program(2, 2, 100);
	at_tick(51);
	out(0x61, 0);
	at_tick(250);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	out(0x61, 1);
	at_tick(251);
	assert_int_equal(read_count(2), 100);
}

static void strobes(void **state)
{
	out(0x61, 1);
	program(2, 4, 100);
	at_tick(100);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	at_tick(101);
	assert_int_equal(in(0x61) & 0x20, 0);
	at_tick(102);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	out(0x61, 0);
	program(2, 5, 100);
	at_tick(1000);
	assert_int_equal(in(0x61) & 0x20, 0x20);
	out(0x61, 1);
	at_tick(1101);
	assert_int_equal(in(0x61) & 0x20, 0);
	at_tick(1102);
	assert_int_equal(in(0x61) & 0x20, 0x20);
}

static void a_strobe_interrupts_when_it_ends(void **state)
{
	program(0, 4, 100);
	rises = 0;
	assert_int_equal(run_until(clock_ns + SECOND, true), 1);
	assert_int_equal(rises, 1);
}

static void refresh_toggles(void **state)
{
	uint8_t before = in(0x61) & 0x10;

	clock_ns += 15090;
	assert_int_not_equal(in(0x61) & 0x10, before);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nothing_to_do_after_reset, setup),
		cmocka_unit_test_setup(one_shot, setup),
		cmocka_unit_test_setup(linux_one_shot, setup),
		cmocka_unit_test_setup(a_new_one_shot_takes_the_old_one_back, setup),
		cmocka_unit_test_setup(periodic, setup),
		cmocka_unit_test_setup(a_tick_that_is_not_taken_costs_nothing, setup),
		cmocka_unit_test_setup(missed_ticks_are_made_up_for, setup),
		cmocka_unit_test_setup(a_long_stall_is_mostly_forgotten, setup),
		cmocka_unit_test_setup(a_silly_rate_is_limited, setup),
		cmocka_unit_test_setup(a_new_period_starts_after_the_old_one, setup),
		cmocka_unit_test_setup(counts, setup),
		cmocka_unit_test_setup(counts_of_mode_2, setup),
		cmocka_unit_test_setup(counts_of_mode_3, setup),
		cmocka_unit_test_setup(bcd, setup),
		cmocka_unit_test_setup(single_byte_access, setup),
		cmocka_unit_test_setup(latches_hold, setup),
		cmocka_unit_test_setup(linux_calibrates, setup),
		cmocka_unit_test_setup(the_gate_stops_mode_0, setup),
		cmocka_unit_test_setup(the_gate_triggers_mode_1, setup),
		cmocka_unit_test_setup(the_gate_stops_mode_2_and_reloads, setup),
		cmocka_unit_test_setup(strobes, setup),
		cmocka_unit_test_setup(a_strobe_interrupts_when_it_ends, setup),
		cmocka_unit_test_setup(refresh_toggles, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
