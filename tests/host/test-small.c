/* SPDX-License-Identifier: MIT */
/* The small rooms of host/: clocks, entropy, errors, messages, and what a tap interface says without rights. */
#include "helper.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/message.h"
#include "host/net/tap.h"
#include "host/random.h"

static void test_clock(void **state)
{
	uint64_t ns = clock_monotonic_ns(), tsc = clock_tsc();
	uint32_t khz = clock_tsc_khz();
	struct timespec nap = { 0, 50 * 1000 * 1000 };
	double seconds, rate;

	assert_true(khz > 100000 && khz < 10000000);
	assert_int_equal(clock_tsc_khz(), khz);
	nanosleep(&nap, NULL);
	seconds = (double)(clock_monotonic_ns() - ns) / 1e9;
	rate = (double)(clock_tsc() - tsc) / seconds / 1000;
	if (clock_tsc_trust() != CLOCK_TSC_BAD)
		assert_true(rate > khz * 0.98 && rate < khz * 1.02);
	assert_int_equal(clock_tsc_trust(), clock_tsc_trust());
	assert_true(clock_realtime_ns() / NSEC_PER_SEC > 1600000000);
}

/* Two clocks of one time; so many readings of the second are followed by a while in which we are not run. */
static uint64_t fake_time;
static unsigned int fake_stalls;

static uint64_t fake_first(void *opaque)
{
	return fake_time += 10;
}

static uint64_t fake_second(void *opaque)
{
	uint64_t now = fake_time;

	if (fake_stalls) {
		fake_stalls--;
		fake_time += 1000000;
	}
	return now;
}

static void test_two_clocks_at_one_moment(void **state)
{
	for (unsigned int stalls = 0; stalls < 5; stalls++) {
		struct clock_pair pair;

		fake_stalls = stalls;
		pair = clock_read_both(fake_first, fake_second, NULL);
		assert_int_equal(pair.width, 10);
		assert_int_equal(pair.first, pair.second + 5);
		fake_stalls = 0;
	}
}

static void test_counter_on_a_line(void **state)
{
	/* 2.4 GHz, two readings a millisecond apart, from four processors; the last but one took long. */
	const struct clock_pair good[] = {
		{ 1000000, 500, 60 }, { 1024000, 10500, 60 }, { 1048002, 20501, 60 }, { 1072100, 30499, 900 }, { 25000000, 10000500, 60 },
	};
	struct clock_pair pairs[5];
	uint32_t khz;

	assert_true(clock_pairs_agree(good, 5, &khz));
	assert_int_equal(khz, 2400000);
	assert_true(clock_pairs_agree(&good[3], 2, &khz));
	/* Another processor's is ahead, or behind; by little, which is not seen. */
	memcpy(pairs, good, sizeof(pairs));
	pairs[2].first += 24000;
	assert_false(clock_pairs_agree(pairs, 5, &khz));
	assert_int_equal(khz, 2400000);
	pairs[2].first -= 48000;
	assert_false(clock_pairs_agree(pairs, 5, &khz));
	pairs[2].first = good[2].first + 1000;
	assert_true(clock_pairs_agree(pairs, 5, &khz));
	pairs[2].first = 1;
	assert_false(clock_pairs_agree(pairs, 5, &khz));
	/* The last one's, which the line goes through. */
	memcpy(pairs, good, sizeof(pairs));
	pairs[4].first += 2400000;
	assert_false(clock_pairs_agree(pairs, 5, &khz));
	/* It changes its rate half-way. */
	memcpy(pairs, good, sizeof(pairs));
	pairs[3] = (struct clock_pair){ 1000000 + 12000000, 4000500, 60 };
	assert_false(clock_pairs_agree(pairs, 5, &khz));
	/* It does not run at all, or the clock does not. */
	pairs[1] = pairs[0];
	assert_false(clock_pairs_agree(pairs, 2, &khz));
	assert_int_equal(khz, 0);
	pairs[1].first += 5;
	assert_false(clock_pairs_agree(pairs, 2, &khz));
	pairs[1] = (struct clock_pair){ 1000001, 2000000000, 60 };
	assert_false(clock_pairs_agree(pairs, 2, &khz));
	assert_int_equal(khz, 0);
}

static void test_who_vouches_for_the_counter(void **state)
{
	static const struct {
		struct clock_rumour rumour;
		enum clock_trust steady, unsteady;
	} cases[] = {
		/* A machine, as it should be; its kernel was told not to use it, or has found it wanting. */
		{ { .invariant = true, .listed = true }, CLOCK_TSC_CONSTANT, CLOCK_TSC_CONSTANT },
		{ { .invariant = true }, CLOCK_TSC_STEADY, CLOCK_TSC_BAD },
		/* A processor that changes its rate. */
		{ { .listed = true }, CLOCK_TSC_STEADY, CLOCK_TSC_BAD },
		/* Virtual machines: of PVM; whose hypervisor may move them; where the counter is emulated or the clock is another. */
		{ { .invariant = true, .virtual = true, .derived = true }, CLOCK_TSC_CONSTANT, CLOCK_TSC_BAD },
		{ { .virtual = true, .listed = true, .derived = true }, CLOCK_TSC_CONSTANT, CLOCK_TSC_BAD },
		{ { .virtual = true, .derived = true }, CLOCK_TSC_CONSTANT, CLOCK_TSC_BAD },
		{ { .virtual = true }, CLOCK_TSC_STEADY, CLOCK_TSC_BAD },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(clock_judge(&cases[i].rumour, true), cases[i].steady);
		assert_int_equal(clock_judge(&cases[i].rumour, false), cases[i].unsteady);
	}
}

static void test_random(void **state)
{
	struct error err;
	struct entropy_backend *be = random_open(&err);
	unsigned char a[64] = { 0 }, b[64] = { 0 };

	assert_non_null(be);
	assert_int_equal(be->ops->fill(be, a, sizeof(a)), sizeof(a));
	assert_int_equal(be->ops->fill(be, b, sizeof(b)), sizeof(b));
	assert_memory_not_equal(a, b, sizeof(a));
	be->ops->close(be);
}

static void test_error(void **state)
{
	struct error err;
	char longer[400];

	assert_int_equal(error_set(&err, EINVAL, "%s: is %d", "x", 3), -EINVAL);
	assert_string_equal(err.text, "x: is 3");
	assert_int_equal(error_errno(&err, ENOENT, "%s", "a.img"), -ENOENT);
	assert_string_equal(err.text, "a.img: No such file or directory");
	assert_int_equal(error_set(NULL, EIO, "nobody listens"), -EIO);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	error_errno(&err, ENOENT, "%s", longer);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

static const char *said(void (*speak)(const char *format, ...), const char *text)
{
	static char line[2048];
	int pair[2], saved = dup(STDERR_FILENO);
	ssize_t len;

	assert_int_equal(pipe(pair), 0);
	dup2(pair[1], STDERR_FILENO);
	speak("%s", text);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(pair[1]);
	len = read(pair[0], line, sizeof(line) - 1);
	close(pair[0]);
	line[len] = 0;
	return line;
}

static void test_message(void **state)
{
	char longer[3000];
	size_t len;

	assert_string_equal(said(message_error, "a.img: gone"), "kennel: a.img: gone\n");
	assert_string_equal(said(message_warn, "odd"), "kennel: warning: odd\n");
	assert_string_equal(said(message_verbose, "detail"), "");
	message_set_verbose(true);
	assert_string_equal(said(message_verbose, "detail"), "kennel: detail\n");
	message_set_verbose(false);
	message_set_raw(true);
	assert_string_equal(said(message_error, "raw"), "\rkennel: raw\r\n");
	message_set_raw(false);
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = 0;
	len = strlen(said(message_error, longer));
	assert_true(len > 900 && len <= 1024);
}

static void test_tap_refusals(void **state)
{
	struct loop *loop = new_loop();
	struct error err;

	assert_null(tap_open(loop, "", &err));
	assert_non_null(strstr(err.text, "interface name"));
	assert_null(tap_open(loop, "a-name-too-long-for-it", &err));
	assert_non_null(strstr(err.text, "interface name"));
	assert_null(tap_open(loop, "lo", &err));
	assert_int_equal(strncmp(err.text, "lo: ", 4), 0);
	if (geteuid() != 0) {
		assert_null(tap_open(loop, "kennel-none", &err));
		assert_int_equal(strncmp(err.text, "kennel-none: ", 13), 0);
	}
	loop_destroy(loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_clock),
		cmocka_unit_test(test_two_clocks_at_one_moment),
		cmocka_unit_test(test_counter_on_a_line),
		cmocka_unit_test(test_who_vouches_for_the_counter),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_tap_refusals),
	};

	return cmocka_run_group_tests_name("small", tests, NULL, NULL);
}
