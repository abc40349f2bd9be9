/* SPDX-License-Identifier: MIT */
/*
 * samples.h - byte strings to try a decoder on.
 */
#ifndef KENNEL_TESTS_CPU_X86_DECODE_SAMPLES_H
#define KENNEL_TESTS_CPU_X86_DECODE_SAMPLES_H

#include <stdint.h>

/** samples_random - fill @code (15 bytes) with something more like code than noise is; @state: the generator's, not 0. */
void samples_random(uint64_t *state, uint8_t *code);

/** samples_next - the next 64 bits of the generator (xorshift64*). */
uint64_t samples_next(uint64_t *state);

#endif
