/* SPDX-License-Identifier: MIT */
/*
 * fuzz.h - a fuzz target is LLVMFuzzerTestOneInput(), for libFuzzer: `make fuzz`, docs/fuzzing.md.
 *
 * fuzz-main.c is the poor man's driver for any compiler: it runs the files named on the command line; or random inputs for FUZZ_SECONDS
 * (2), from a fixed seed, so that a failure can be seen again, and before those with --corpus FILE what has been found worth keeping.
 */
#ifndef TESTS_VIRTIO_FUZZ_H
#define TESTS_VIRTIO_FUZZ_H

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Input read as a stream; zeros when it has run out. */
struct fuzz_input {
	const uint8_t *data;
	size_t left;
};

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	if (!in->left)
		return 0;
	in->left--;
	return *in->data++;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint16_t high = fuzz_u8(in);

	return (uint16_t)(high << 8 | fuzz_u8(in));
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
	uint32_t high = fuzz_u16(in);

	return high << 16 | fuzz_u16(in);
}

#endif
