/* SPDX-License-Identifier: MIT */
/*
 * test_compare.c - every opcode with every ModRM byte under many prefixes, and random strings, against Zydis.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "compare.h"
#include "samples.h"

enum { REPORT_AT_MOST = 20, RANDOM_ROUNDS = 1000000, TRUNCATED_ROUNDS = 100000 };

static const char *const prefixes[] = {
	"", "\x66", "\xf3", "\xf2", "\xf0", "\x67", "\x65", "\x66\xf3", "\x66\xf2", "\xf3\x66", "\xf2\xf3", "\xf3\xf2",
	"\x66\xf0", "\xf0\x67", "\x66\x67", "\xf0\xf3", "\x36\x67", "\x2e\x64", "\x66\x66\x67\x26",
};
static const char *const escapes[] = { "", "\x0f", "\x0f\x38", "\x0f\x3a" };

static unsigned check(const uint8_t *code, unsigned failures)
{
	bool code16;
	const char *what = compare(code, &code16);

	if (!what)
		return failures;
	if (failures < REPORT_AT_MOST)
		compare_describe(code, code16, what);
	return failures + 1;
}

static unsigned put(uint8_t *code, unsigned at, const char *bytes)
{
	size_t len = strlen(bytes);

	memcpy(code + at, bytes, len);
	return at + len;
}

/* One opcode under one prefix string: all ModRM bytes; without prefixes all SIB bytes too. */
static unsigned sweep_modrm(const char *prefix, const char *escape, uint8_t opcode, unsigned failures)
{
	for (unsigned modrm = 0; modrm < 256; modrm++) {
		bool sib = (modrm & 7) == 4 && modrm >> 6 != 3;

		for (unsigned next = 0; next < (sib && !*prefix ? 256 : 1); next++) {
			uint8_t code[COMPARE_BYTES];
			unsigned at = put(code, put(code, 0, prefix), escape);

			code[at++] = opcode;
			code[at++] = modrm;
			code[at++] = next;
			for (unsigned i = at; i < COMPARE_BYTES; i++)
				code[i] = 0x81 + i * 23;	/* displacements and immediates of either sign */
			failures = check(code, failures);
		}
	}
	return failures;
}

static void every_opcode(void **state)
{
	unsigned failures = 0;

	for (unsigned map = 0; map < 4; map++)
		for (unsigned opcode = 0; opcode < 256; opcode++)
			for (unsigned i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++)
				failures = sweep_modrm(prefixes[i], escapes[map], opcode, failures);
	assert_int_equal(failures, 0);
}

static void random_strings(void **state)
{
	uint64_t seed = 0x6b656e6e656c;
	unsigned failures = 0;

	for (unsigned i = 0; i < RANDOM_ROUNDS; i++) {
		uint8_t code[COMPARE_BYTES];

		samples_random(&seed, code);
		failures = check(code, failures);
	}
	assert_int_equal(failures, 0);
}

/* A page that ends in the middle of an instruction; behind it nothing may be touched. */
static void truncated_strings(void **state)
{
	long page = sysconf(_SC_PAGESIZE);
	uint8_t *memory = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t seed = 0x646f67;
	unsigned failures = 0;

	assert_true(memory != MAP_FAILED);
	assert_int_equal(mprotect(memory + page, page, PROT_NONE), 0);
	for (unsigned i = 0; i < TRUNCATED_ROUNDS; i++) {
		uint8_t code[COMPARE_BYTES];
		const char *what;

		samples_random(&seed, code);
		what = compare_truncated(code, memory + page);
		if (what && failures++ < REPORT_AT_MOST)
			compare_describe(code, false, what);
	}
	munmap(memory, 2 * page);
	assert_int_equal(failures, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_opcode),
		cmocka_unit_test(random_strings),
		cmocka_unit_test(truncated_strings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
