/* SPDX-License-Identifier: MIT */
/* Guest memory: what it refuses to be, and what the host has of it after the guest gave some back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "machine/balloon.h"
#include "machine/ram.h"

enum { MIB = 1 << 20, PAGE = 4096 };

static struct cpu_ram ram;

static int set_up(void **state)
{
	struct error error;

	if (ram_create(&ram, 4 * MIB, 2 * PAGE, &error))
		return -1;
	memset(ram.base, 0x5a, (size_t)ram.pages * PAGE);
	return 0;
}

static int tear_down(void **state)
{
	ram_destroy(&ram);
	return 0;
}

/* Pages that the host keeps for it. */
static long kept(void)
{
	struct stat st;

	assert_int_equal(fstat(ram.fd, &st), 0);
	return (long)(st.st_blocks * 512 / PAGE);
}

static void sizes(void **state)
{
	struct cpu_ram other;
	struct error error;

	assert_int_equal(ram_create(&other, 4 * MIB + 1, 0, &error), -EINVAL);
	assert_int_equal(ram_create(&other, MIB / 2, 0, &error), -EINVAL);
	assert_int_equal(ram_create(&other, RAM_MAX + PAGE, 0, &error), -EINVAL);
	ram_destroy(&other);
	assert_int_equal(ram.pages, 1024 + 2);
}

static void released(void **state)
{
	long before = kept();

	assert_int_equal(before, 1026);
	ram_release(&ram, 16 * PAGE, 4 * PAGE);
	assert_int_equal(kept(), before - 4);
	assert_int_equal(ram.base[16 * PAGE - 1], 0x5a);
	assert_int_equal(ram.base[20 * PAGE], 0x5a);
	/* Mapped as before: reading finds zeros, writing brings it back. */
	assert_int_equal(ram.base[16 * PAGE], 0);
	ram.base[17 * PAGE] = 1;
	assert_int_equal(ram.base[17 * PAGE], 1);
	assert_true(kept() > before - 4);
}

static void odd_ranges(void **state)
{
	long before = kept();

	ram_release(&ram, 1, PAGE);
	ram_release(&ram, 0, PAGE - 1);
	ram_release(&ram, 5 * PAGE, 0);
	ram_release(&ram, (uint64_t)1026 * PAGE, PAGE);
	ram_release(&ram, UINT64_MAX & ~(uint64_t)(PAGE - 1), PAGE);
	assert_int_equal(kept(), before);
	/* The part that is there; the whole pages. */
	ram_release(&ram, (uint64_t)1024 * PAGE, UINT64_MAX);
	assert_int_equal(kept(), before - 2);
	ram_release(&ram, 0, PAGE + PAGE / 2);
	assert_int_equal(kept(), before - 3);
}

static void through_the_balloon(void **state)
{
	struct balloon_backend *balloon = balloon_create(&ram);
	long before = kept();

	assert_non_null(balloon);
	balloon->ops->release(balloon, MIB, MIB);
	assert_int_equal(kept(), before - 256);
	balloon->ops->close(balloon);
}

static void cleared(void **state)
{
	ram_clear(&ram);
	assert_int_equal(kept(), 0);
	assert_int_equal(ram.base[5], 0);
}

#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {T(sizes), T(released), T(odd_ranges), T(through_the_balloon), T(cleared)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
