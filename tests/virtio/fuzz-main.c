/* SPDX-License-Identifier: MIT */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "fuzz.h"

#define INPUT_MAX 2048

static int run_file(const char *name)
{
	static uint8_t data[1 << 20];
	FILE *f = fopen(name, "rb");

	if (!f) {
		perror(name);
		return 1;
	}
	LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof(data), f));
	fclose(f);
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	const char *text = getenv("FUZZ_SECONDS");
	double end = now() + (text ? atof(text) : 2);
	uint8_t data[INPUT_MAX];
	uint64_t seed = 1;
	unsigned long runs = 0;

	for (int i = 1; i < argc; i++)
		if (run_file(argv[i]))
			return 1;
	while (argc == 1 && now() < end) {
		size_t size = 0;

		do {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			/* Small numbers are the interesting ones. */
			data[size++] = (uint8_t)(seed >> 33) >> ((seed >> 60) & 7);
		} while (size < INPUT_MAX && (seed >> 41) % 512);
		LLVMFuzzerTestOneInput(data, size);
		runs++;
	}
	printf("%lu inputs\n", runs);
	return 0;
}
