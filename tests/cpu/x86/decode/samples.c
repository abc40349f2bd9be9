/* SPDX-License-Identifier: MIT */
/*
 * samples.c - random byte strings with many prefixes and escape bytes: plain noise rarely has two of either.
 */
#include <string.h>

#include "samples.h"

uint64_t samples_next(uint64_t *state)
{
	uint64_t x = *state;

	x ^= x >> 12;
	x ^= x << 25;
	x ^= x >> 27;
	*state = x;
	return x * 0x2545f4914f6cdd1dull;
}

void samples_random(uint64_t *state, uint8_t *code)
{
	static const uint8_t prefixes[] = { 0x66, 0xf3, 0xf2, 0xf0, 0x67, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65 };
	static const char *const escapes[] = { "", "", "\x0f", "\x0f", "\x0f\x38", "\x0f\x3a" };
	uint64_t bits = samples_next(state), noise[2] = { samples_next(state), samples_next(state) };
	const char *escape = escapes[(bits >> 4) % 6];
	/* 0 or 1 most of the time, up to 15 now and then */
	unsigned count = bits & 8 ? bits & 1 : (bits & 7) == 7 ? (bits >> 8) % 16 : bits & 3;
	uint8_t whole[15 + 2 + 16];

	for (unsigned i = 0; i < count; i++)
		whole[i] = prefixes[(samples_next(state) >> 32) % sizeof(prefixes)];
	memcpy(whole + count, escape, strlen(escape));
	memcpy(whole + count + strlen(escape), noise, sizeof(noise));
	memcpy(code, whole, 15);
}
