/* SPDX-License-Identifier: MIT */
/*
 * dump.c - isolation-dump [--register] FILE...: check every block of a dump of translated code (--register: of a host without GS).
 *
 * A dump is what a run with its code written out leaves behind: records of four little-endian 32-bit words - host address, length,
 * guest EIP, generation of the code cache - and then the block's bytes as they were before anything was chained. A record
 * that is cut off at the end of the file is a run that was cut off, and no fault of the code.
 *
 * Exit status: 0 every block may run, 1 some may not (the first twenty are explained), 2 the file cannot be read as a dump.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "checker.h"

enum { LONGEST_BLOCK = 65536, EXPLAINED = 20 };

struct record {
	uint32_t address, len, eip, generation;
};

struct tally {
	uint64_t blocks, bytes, refused;
	uint32_t first_generation, generation;
};

static bool by_register;

static uint32_t little(const uint8_t *p)
{
	return p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Returns false at the end of the file. */
static bool read_record(FILE *file, struct record *r)
{
	uint8_t header[16];

	if (fread(header, sizeof(header), 1, file) != 1)
		return false;
	*r = (struct record){ little(header), little(header + 4), little(header + 8), little(header + 12) };
	return true;
}

static void judge(const char *name, const struct record *r, const uint8_t *code, struct tally *tally)
{
	char why[512];

	if (!tally->blocks++)
		tally->first_generation = r->generation;
	tally->bytes += r->len;
	tally->generation = r->generation;
	if (isolation_check(by_register, code, r->len, r->address, why, sizeof(why)))
		return;
	if (tally->refused++ < EXPLAINED)
		fprintf(stderr, "%s: block of %08x at %08x: %s\n", name, r->eip, r->address, why);
}

/* Returns false if the file is no dump. */
static bool check_file(const char *name, FILE *file, struct tally *tally)
{
	static uint8_t code[LONGEST_BLOCK];
	struct record r;

	while (read_record(file, &r)) {
		if (!r.len || r.len > sizeof(code)) {
			fprintf(stderr, "%s: a block of %u bytes: this is not a dump of translated code\n", name, r.len);
			return false;
		}
		if (fread(code, r.len, 1, file) != 1)
			break;
		judge(name, &r, code, tally);
	}
	if (ferror(file)) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return false;
	}
	if (!tally->blocks)
		fprintf(stderr, "%s: no blocks in it\n", name);
	return tally->blocks;
}

static int check_name(const char *name)
{
	FILE *file = strcmp(name, "-") ? fopen(name, "rbe") : stdin;
	struct tally tally = { 0 };
	bool readable;

	if (!file) {
		fprintf(stderr, "%s: %s\n", name, strerror(errno));
		return 2;
	}
	readable = check_file(name, file, &tally);
	if (file != stdin)
		fclose(file);
	if (!readable)
		return 2;
	printf("%s: %llu blocks, %llu bytes, %u generations of the cache, %llu refused\n", name, (unsigned long long)tally.blocks,
	       (unsigned long long)tally.bytes, tally.generation - tally.first_generation + 1, (unsigned long long)tally.refused);
	return tally.refused ? 1 : 0;
}

int main(int argc, char **argv)
{
	int worst = 0;

	if (argc > 1 && !strcmp(argv[1], "--register")) {
		by_register = true;
		argc--;
		argv++;
	}
	if (argc < 2) {
		fprintf(stderr, "usage: isolation-dump [--register] FILE...  (- is standard input)\n");
		return 2;
	}
	for (int i = 1; i < argc; i++) {
		int status = check_name(argv[i]);

		worst = status > worst ? status : worst;
	}
	return worst;
}
