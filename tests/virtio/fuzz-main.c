/* SPDX-License-Identifier: MIT */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fuzz.h"

#define INPUT_MAX 2048
#define FILE_MAX  (1 << 20)

static uint8_t data[FILE_MAX];

static int run_file(const char *name)
{
	FILE *f = fopen(name, "rb");

	if (!f) {
		perror(name);
		return 1;
	}
	LLVMFuzzerTestOneInput(data, fread(data, 1, sizeof(data), f));
	fclose(f);
	return 0;
}

/* Base64 in place; what is not of its alphabet is left out. */
static size_t decode(uint8_t *text)
{
	static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	unsigned int bits = 0, held = 0;
	size_t size = 0;

	for (const uint8_t *c = text; *c; c++) {
		const char *digit = strchr(alphabet, *c);

		if (!digit)
			continue;
		bits = bits << 6 | (unsigned int)(digit - alphabet);
		held += 6;
		if (held >= 8) {
			held -= 8;
			text[size++] = (uint8_t)(bits >> held);
		}
	}
	return size;
}

/* An input a line (scripts/fuzz). */
static int run_corpus(const char *name, unsigned long *runs)
{
	FILE *f = fopen(name, "r");

	if (!f) {
		perror(name);
		return 1;
	}
	for (; fgets((char *)data, sizeof(data), f); ++*runs)
		LLVMFuzzerTestOneInput(data, decode(data));
	fclose(f);
	return 0;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_random(double seconds, unsigned long *runs)
{
	double end = now() + seconds;
	uint64_t seed = 1;

	for (; now() < end; ++*runs) {
		size_t size = 0;

		do {
			seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
			/* Small numbers are the interesting ones. */
			data[size++] = (uint8_t)(seed >> 33) >> ((seed >> 60) & 7);
		} while (size < INPUT_MAX && (seed >> 41) % 512);
		LLVMFuzzerTestOneInput(data, size);
	}
}

int main(int argc, char **argv)
{
	const char *text = getenv("FUZZ_SECONDS");
	bool corpus = argc == 3 && !strcmp(argv[1], "--corpus");
	unsigned long runs = 0;

	if (corpus && run_corpus(argv[2], &runs))
		return 1;
	for (int i = 1; !corpus && i < argc; i++)
		if (run_file(argv[i]))
			return 1;
	if (corpus || argc == 1)
		run_random(text ? atof(text) : 2, &runs);
	printf("%lu inputs\n", runs);
	return 0;
}
