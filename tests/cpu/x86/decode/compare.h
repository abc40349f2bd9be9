/* SPDX-License-Identifier: MIT */
/*
 * compare.h - one byte string, two decoders: ours and Zydis.
 */
#ifndef KENNEL_TESTS_CPU_X86_DECODE_COMPARE_H
#define KENNEL_TESTS_CPU_X86_DECODE_COMPARE_H

#include <stdbool.h>
#include <stdint.h>

enum { COMPARE_BYTES = 15 };

/**
 * compare - decode @code with both, as 32-bit and as 16-bit code, and look for a difference that is not permitted (compare.c lists those
 * that are)
 * @code: COMPARE_BYTES readable bytes; they need not be an instruction. *@code16: as what it differs.
 * Returns NULL when both agree, else a sentence fragment that names what differs (static storage).
 */
const char *compare(const uint8_t *code, bool *code16);

/**
 * compare_truncated - decode every proper beginning of @code: it must be told apart from the whole
 *
 * Less than the instruction gives DECODE_MORE, or the same #UD as the whole; at least the instruction gives the same result.
 * @code: COMPARE_BYTES bytes.
 * @end: end of COMPARE_BYTES of scratch memory. When the byte there cannot be read, reading past avail faults.
 * Returns NULL, or what is wrong (static storage).
 */
const char *compare_truncated(const uint8_t *code, uint8_t *end);

/** compare_describe - write the bytes (of 16-bit code?) and what each decoder made of them, one line, to stderr. */
void compare_describe(const uint8_t *code, bool code16, const char *what);

#endif
