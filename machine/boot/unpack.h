/* SPDX-License-Identifier: MIT */
/* unpack.h - the compressed payload of a bzImage, unpacked on the host. */
#ifndef KENNEL_MACHINE_BOOT_UNPACK_H
#define KENNEL_MACHINE_BOOT_UNPACK_H

#include <stddef.h>
#include <stdint.h>

struct unpacker {
	const char *name;	/* "gzip", "xz", ... */
	uint8_t magic[9];
	uint8_t magic_len;
	/* Unpack all of @in into @out; returns the bytes written, or -1: damaged, or more than @room. Bytes of @in after the
	 * end of the compressed stream are ignored. */
	long (*unpack)(const uint8_t *in, size_t len, uint8_t *out, size_t room);
};

/** unpacker_find - who unpacks data that starts like this; NULL if nobody knows it */
const struct unpacker *unpacker_find(const uint8_t *in, size_t len);

#endif
