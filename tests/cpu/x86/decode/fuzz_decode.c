/* SPDX-License-Identifier: MIT */
/*
 * fuzz_decode.c - libFuzzer target: decode() and Zydis agree about any bytes.
 *
 * `make fuzz` links this with libFuzzer. Otherwise main() below stands in for it:
 *   fuzz_decode			random strings for two seconds
 *   fuzz_decode -n COUNT [SEED]	COUNT random strings
 *   fuzz_decode FILE...		replay inputs that libFuzzer wrote
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "compare.h"
#include "samples.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t code[COMPARE_BYTES] = { 0 }, scratch[COMPARE_BYTES];
	const char *what;
	bool code16 = false;

	memcpy(code, data, size < sizeof(code) ? size : sizeof(code));
	what = compare(code, &code16);
	if (!what)
		what = compare_truncated(code, scratch + sizeof(scratch));
	if (what) {
		compare_describe(code, code16, what);
		abort();
	}
	return 0;
}

#ifndef KENNEL_LIBFUZZER

static int replay(const char *name)
{
	uint8_t data[COMPARE_BYTES];
	FILE *file = fopen(name, "rb");
	size_t size;

	if (!file) {
		perror(name);
		return 1;
	}
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	return LLVMFuzzerTestOneInput(data, size);
}

static void feed(uint64_t *state)
{
	uint8_t code[COMPARE_BYTES];

	samples_random(state, code);
	LLVMFuzzerTestOneInput(code, sizeof(code));
}

static void feed_for(time_t seconds, uint64_t *state)
{
	struct timespec start, now;

	clock_gettime(CLOCK_MONOTONIC, &start);
	do {
		for (int i = 0; i < 10000; i++)
			feed(state);
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while (now.tv_sec - start.tv_sec < seconds);
}

int main(int argc, char **argv)
{
	uint64_t state = time(NULL) * 2 + 1;
	int ret = 0;

	if (argc > 2 && !strcmp(argv[1], "-n")) {
		if (argc > 3)
			state = strtoull(argv[3], NULL, 0) | 1;
		for (unsigned long n = strtoul(argv[2], NULL, 0); n; n--)
			feed(&state);
		return 0;
	}
	for (int i = 1; i < argc; i++)
		ret |= replay(argv[i]);
	if (argc == 1)
		feed_for(2, &state);
	return ret;
}

#endif
