/* SPDX-License-Identifier: MIT */
/* Where a block's instructions are, packed and found again: small distances, and those that do not fit in two bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/x86/cache/block.h"

enum { POINTS = 48, HOST = 0x20001000 };

static uint8_t notes[16 + POINTS * POINT_MAX];
static struct code_cache cache = {.notes = notes};
static struct cpu cpu = {.cache = &cache};

/* The points begin somewhere within the notes. */
static struct block pack(const struct point *points, unsigned count)
{
	struct block block = {.host = HOST, .points = 12};
	struct point none = {0};

	for (unsigned i = 0; i < count; i++) {
		unsigned size = point_pack(notes + block.points + block.points_size, i ? &points[i - 1] : &none, &points[i]);

		assert_in_range(size, 2, POINT_MAX);
		block.points_size = (uint16_t)(block.points_size + size);
	}
	return block;
}

static void assert_same(struct point a, struct point b)
{
	assert_int_equal(a.guest, b.guest);
	assert_int_equal(a.host, b.host);
	assert_int_equal(a.esp, b.esp);
}

static void assert_found_again(const struct point *points, unsigned count)
{
	struct block block = pack(points, count);
	struct point p = point_first(&cpu, &block);

	for (unsigned i = 0; i < count; i++) {
		unsigned end = i + 1 < count ? points[i + 1].host : points[i].host + 9u;

		assert_same(p, points[i]);
		assert_int_equal(point_next(&cpu, &block, &p), i + 1 < count);
		for (unsigned at = points[i].host; at < end; at++)
			assert_same(point_at(&cpu, &block, HOST + at), points[i]);
	}
}

static void ordinary_code(void **state)
{
	static const struct point points[] = {
		{.guest = 0, .host = 0, .esp = -28}, {.guest = 1, .host = 4, .esp = -32}, {.guest = 16, .host = 30, .esp = -8},
		{.guest = 18, .host = 35, .esp = 16},
	};

	assert_found_again(points, 4);
	assert_int_equal(pack(points, 4).points_size, 8);
}

static void distances_at_the_edges(void **state)
{
	static const int16_t esp[] = {-32, -36, 28, 24, -2, 2, 32767, -32768};
	static const uint16_t host[] = {254, 255, 256, 11000};

	for (size_t i = 0; i < sizeof(esp) / sizeof(esp[0]); i++)
		for (size_t j = 0; j < sizeof(host) / sizeof(host[0]); j++) {
			struct point points[] = {
				{.esp = -4}, {.guest = 15, .host = host[j], .esp = (int16_t)(esp[i] - (i < 4 ? 4 : 0))},
				{.guest = 17, .host = (uint16_t)(host[j] + 3), .esp = esp[i]},
			};

			assert_found_again(points, 3);
		}
}

static void any_code(void **state)
{
	for (unsigned seed = 0; seed < 300; seed++) {
		struct point points[POINTS] = {0};
		unsigned count = 1 + seed % POINTS;

		srand(seed);
		for (unsigned i = 0; i < count; i++) {
			points[i].esp = (int16_t)((rand() % 64 - 32) * (rand() % 4 ? 4 : 1));
			if (!i)
				continue;
			points[i].guest = (uint16_t)(points[i - 1].guest + 1 + rand() % 15);
			points[i].host = (uint16_t)(points[i - 1].host + 1 + rand() % (rand() % 8 ? 40 : 600));
		}
		assert_found_again(points, count);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ordinary_code), cmocka_unit_test(distances_at_the_edges), cmocka_unit_test(any_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
