/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "machine/idle.h"

#define MS UINT64_C(1000000)

/* Ticks of 4 ms for @ms, awake for @awake us in each. How often was it idle? */
static unsigned int ticks(struct idle *idle, uint64_t *now, uint64_t ms, uint64_t awake)
{
	unsigned int times = 0;

	for (uint64_t i = 0; i < ms / 4; i++, *now += 4 * MS)
		times += idle_note(idle, *now + awake * 1000, *now + 4 * MS);
	return times;
}

static void test_idle(void **state)
{
	uint64_t now = 12345 * MS;
	struct idle idle = { 0 };

	/* The first stretch began before anything is known: it is not called idle. */
	assert_int_equal(ticks(&idle, &now, 100, 70), 0);
	assert_int_equal(ticks(&idle, &now, 2800, 70), 0);
	assert_int_equal(ticks(&idle, &now, 400, 70), 1);
	assert_in_range(ticks(&idle, &now, 60000, 70), 19, 20);
	assert_int_equal(ticks(&idle, &now, 60000, 300), 0);
	/* Half a minute without a sleep. */
	ticks(&idle, &now, 3000, 70);
	now += 30000 * MS;
	assert_int_equal(ticks(&idle, &now, 4, 70), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_idle) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
