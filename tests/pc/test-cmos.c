/* SPDX-License-Identifier: MIT */
/* The MC146818 as its datasheet describes it and as Linux drives it, against clocks that a test moves. */
#include <time.h>

#include "machine/pc/cmos.h"
#include "tests/pc/test.h"

#define MS	UINT64_C(1000000)
#define SECOND	UINT64_C(1000000000)
#define DAY	(86400 * SECOND)

static struct ports ports;
static struct cmos cmos;
static uint64_t real_ns, mono_ns;
static bool line;

static uint64_t realtime(void *opaque)
{
	return real_ns;
}

static uint64_t monotonic(void *opaque)
{
	return mono_ns;
}

static void set_irq(void *opaque, bool high)
{
	line = high;
}

static void pass(uint64_t ns)
{
	real_ns += ns;
	mono_ns += ns;
}

static uint8_t get(uint8_t reg)
{
	ports_out(&ports, 0x70, 1, reg | 0x80);
	return (uint8_t)ports_in(&ports, 0x71, 1);
}

static void set(uint8_t reg, uint8_t value)
{
	ports_out(&ports, 0x70, 1, reg);
	ports_out(&ports, 0x71, 1, value);
}

static uint64_t when(int year, int month, int day, int hour, int minute, int second)
{
	struct tm tm = { .tm_year = year - 1900, .tm_mon = month - 1, .tm_mday = day, .tm_hour = hour, .tm_min = minute, .tm_sec = second };

	return (uint64_t)timegm(&tm) * SECOND;
}

static int setup(void **state)
{
	real_ns = when(2026, 11, 21, 23, 59, 58);
	mono_ns = 5000 * SECOND;
	line = false;
	ports_init(&ports, NULL, NULL, NULL);
	cmos_init(&cmos, UINT64_C(256) << 20, realtime, monotonic, set_irq, NULL);
	assert_int_equal(cmos_add_ports(&cmos, &ports), 0);
	return 0;
}

static void assert_time(unsigned int year, unsigned int month, unsigned int day, unsigned int hour, unsigned int minute,
			unsigned int second)
{
	assert_int_equal(get(0x32) << 8 | get(9), year);
	assert_int_equal(get(8), month);
	assert_int_equal(get(7), day);
	assert_int_equal(get(4), hour);
	assert_int_equal(get(2), minute);
	assert_int_equal(get(0), second);
}

static void the_time_of_day(void **state)
{
	assert_time(0x2026, 0x11, 0x21, 0x23, 0x59, 0x58);
	assert_int_equal(get(6), 7);		/* a Saturday */
	pass(2 * SECOND);
	assert_time(0x2026, 0x11, 0x22, 0, 0, 0);
	assert_int_equal(get(6), 1);
	assert_int_equal(get(0x0d), 0x80);
	assert_int_equal(get(0x0a), 0x26);
	assert_int_equal(get(0x0b), 0x02);
}

static void every_day_is_right(void **state)
{
	for (uint64_t day = 0; day < 84000; day++) {
		time_t seconds = (time_t)(day * 86400 + 12345);
		struct tm tm;
		unsigned int year;

		gmtime_r(&seconds, &tm);
		real_ns = (uint64_t)seconds * SECOND;
		year = (unsigned int)tm.tm_year + 1900;
		set(0x0b, 0x06);		/* binary */
		if (get(9) != year % 100 || get(0x32) != year / 100 || get(8) != tm.tm_mon + 1 || get(7) != tm.tm_mday ||
		    get(6) != tm.tm_wday + 1)
			fail_msg("day %u", (unsigned int)day);
	}
}

static void twelve_hours(void **state)
{
	set(0x0b, 0x00);
	assert_int_equal(get(4), 0x91);		/* 11 p.m. */
	pass(3 * SECOND);
	assert_int_equal(get(4), 0x12);		/* midnight */
	pass(12 * 3600 * SECOND);
	assert_int_equal(get(4), 0x92);		/* noon */
	set(0x0b, 0x04);
	assert_int_equal(get(4), 0x8c);
}

static void update_in_progress(void **state)
{
	assert_int_equal(get(0x0a) & 0x80, 0);
	pass(SECOND - 200000);
	assert_int_equal(get(0x0a) & 0x80, 0x80);
	pass(200000);
	assert_int_equal(get(0x0a) & 0x80, 0);
}

/* drivers/rtc/rtc-mc146818-lib.c, mc146818_set_time() */
static void linux_sets_the_clock(void **state)
{
	uint8_t control = get(0x0b), select = get(0x0a);

	pass(123 * MS);
	set(0x0b, control | 0x80);
	set(0x0a, select | 0x70);
	set(9, 0x99);
	set(8, 0x12);
	set(7, 0x31);
	set(4, 0x23);
	set(2, 0x59);
	set(0, 0x59);
	set(0x32, 0x20);
	pass(7 * SECOND);			/* it stands still */
	assert_time(0x2099, 0x12, 0x31, 0x23, 0x59, 0x59);
	set(0x0b, control);
	set(0x0a, select);
	/* The next second begins half a second later. */
	pass(499 * MS);
	assert_time(0x2099, 0x12, 0x31, 0x23, 0x59, 0x59);
	pass(2 * MS);
	assert_time(0x2100, 0x01, 0x01, 0x00, 0x00, 0x00);
	pass(31 * DAY + 28 * DAY);
	assert_time(0x2100, 0x03, 0x01, 0x00, 0x00, 0x00);	/* no leap year */
}

static void set_keeps_the_beat(void **state)
{
	pass(300 * MS);
	set(0x0b, 0x82);
	set(0, 0x10);
	pass(1500 * MS);
	set(0x0b, 0x02);
	/* 800 ms into a second, as if the clock had not been held. */
	assert_int_equal(get(0), 0x10);
	pass(150 * MS);
	assert_int_equal(get(0), 0x10);
	pass(100 * MS);
	assert_int_equal(get(0), 0x11);
}

static void setting_one_register_while_it_runs(void **state)
{
	set(4, 0x05);
	pass(SECOND);
	assert_time(0x2026, 0x11, 0x21, 0x05, 0x59, 0x59);
}

static void nonsense_is_survived(void **state)
{
	set(0x0b, 0x82);
	for (uint8_t reg = 0; reg < 10; reg++)
		set(reg, 0xff);
	set(0x32, 0xff);
	set(0x0b, 0x72);
	pass(SECOND);
	cmos_poll(&cmos);
	get(0);
	get(0x0c);
	assert_true(cmos_deadline(&cmos) >= mono_ns);
}

static void update_interrupts(void **state)
{
	assert_true(cmos_deadline(&cmos) == CMOS_NEVER);
	pass(250 * MS);
	set(0x0b, 0x12);
	assert_int_equal(cmos_deadline(&cmos) - mono_ns, 750 * MS);
	cmos_poll(&cmos);
	assert_false(line);
	pass(750 * MS);
	cmos_poll(&cmos);
	assert_true(line);
	assert_true(cmos_deadline(&cmos) == CMOS_NEVER);
	assert_int_equal(get(0x0c), 0x90 | 0x40);	/* and the periodic flag, which is not enabled */
	assert_false(line);
	assert_int_equal(get(0x0c), 0);
	assert_int_equal(cmos_deadline(&cmos) - mono_ns, SECOND);
}

static void periodic_interrupts(void **state)
{
	unsigned int count = 0;
	uint64_t end = mono_ns + SECOND;

	set(0x0a, 0x2f);		/* 2 Hz */
	set(0x0b, 0x42);
	assert_in_range(cmos_deadline(&cmos) - mono_ns, 1, 500 * MS);
	set(0x0a, 0x26);		/* 1024 Hz */
	while (cmos_deadline(&cmos) < end) {
		pass(cmos_deadline(&cmos) - mono_ns);
		cmos_poll(&cmos);
		assert_true(line);
		assert_int_equal(get(0x0c) & 0xc0, 0xc0);
		count++;
	}
	assert_in_range(count, 1023, 1024);
	set(0x0a, 0x20);
	assert_true(cmos_deadline(&cmos) == CMOS_NEVER);
	set(0x0a, 0x21);		/* 256 Hz */
	assert_in_range(cmos_deadline(&cmos) - mono_ns, 1, 3906250);
}

static void alarms(void **state)
{
	set(1, 0x30);
	set(3, 0x15);
	set(5, 0x06);
	set(0x0b, 0x22);
	/* From 23:59:58 to 06:15:30. */
	assert_int_equal((cmos_deadline(&cmos) - mono_ns) / SECOND, 2 + 6 * 3600 + 15 * 60 + 30);
	pass(2 * SECOND + 6 * 3600 * SECOND);
	cmos_poll(&cmos);
	assert_false(line);
	assert_int_equal((cmos_deadline(&cmos) - mono_ns) / SECOND, 15 * 60 + 30);
	pass(15 * 60 * SECOND + 30 * SECOND);
	cmos_poll(&cmos);
	assert_true(line);
	assert_int_equal(get(0x0c) & 0xa0, 0xa0);
	assert_int_equal((cmos_deadline(&cmos) - mono_ns) / SECOND, 86400);
	/* Seconds only: every minute. Then never. */
	set(3, 0xc0);
	set(5, 0xff);
	assert_int_equal((cmos_deadline(&cmos) - mono_ns) / SECOND, 60);
	set(1, 0x77);
	assert_true(cmos_deadline(&cmos) == CMOS_NEVER);
}

static void an_alarm_within_the_hour(void **state)
{
	pass(2 * SECOND + 600 * SECOND);	/* 00:10:00 */
	set(1, 0x05);
	set(3, 0x10);
	set(5, 0x00);
	get(0x0c);		/* it went off at midnight, when it was set to that */
	set(0x0b, 0x22);
	assert_int_equal((cmos_deadline(&cmos) - mono_ns) / SECOND, 5);
	set(3, 0x20);
	assert_int_equal((cmos_deadline(&cmos) - mono_ns) / SECOND, 605);
	set(3, 0x09);
	assert_int_equal((cmos_deadline(&cmos) - mono_ns) / SECOND, 86400 - 55);
}

static void memory_and_its_size(void **state)
{
	assert_int_equal(get(0x15) | get(0x16) << 8, 640);
	assert_int_equal(get(0x17) | get(0x18) << 8, 0xffff);
	assert_int_equal(get(0x34) | get(0x35) << 8, 240 * 16);
	for (uint8_t reg = 0x40; reg < 0x50; reg++)
		set(reg, reg ^ 0xff);
	for (uint8_t reg = 0x40; reg < 0x50; reg++)
		assert_int_equal(get(reg), reg ^ 0xff);
	assert_int_equal(ports_in(&ports, 0x70, 1), 0xff);
}

static void a_restart_keeps_the_time(void **state)
{
	set(0x0b, 0xf2);
	cmos_reset(&cmos);
	assert_int_equal(get(0x0b), 0x02);
	assert_true(cmos_deadline(&cmos) == CMOS_NEVER);
	assert_time(0x2026, 0x11, 0x21, 0x23, 0x59, 0x58);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(the_time_of_day, setup),
		cmocka_unit_test_setup(every_day_is_right, setup),
		cmocka_unit_test_setup(twelve_hours, setup),
		cmocka_unit_test_setup(update_in_progress, setup),
		cmocka_unit_test_setup(linux_sets_the_clock, setup),
		cmocka_unit_test_setup(set_keeps_the_beat, setup),
		cmocka_unit_test_setup(setting_one_register_while_it_runs, setup),
		cmocka_unit_test_setup(nonsense_is_survived, setup),
		cmocka_unit_test_setup(update_interrupts, setup),
		cmocka_unit_test_setup(periodic_interrupts, setup),
		cmocka_unit_test_setup(alarms, setup),
		cmocka_unit_test_setup(an_alarm_within_the_hour, setup),
		cmocka_unit_test_setup(memory_and_its_size, setup),
		cmocka_unit_test_setup(a_restart_keeps_the_time, setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
