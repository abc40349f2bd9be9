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
	if (clock_tsc_is_stable())
		assert_true(rate > khz * 0.98 && rate < khz * 1.02);
	assert_true(clock_realtime_ns() / NSEC_PER_SEC > 1600000000);
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
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_error),
		cmocka_unit_test(test_message),
		cmocka_unit_test(test_tap_refusals),
	};

	return cmocka_run_group_tests_name("small", tests, NULL, NULL);
}
