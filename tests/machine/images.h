/* SPDX-License-Identifier: MIT */
/* images.h - kernels made up for tests: small, valid, and easy to spoil. */
#ifndef TESTS_MACHINE_IMAGES_H
#define TESTS_MACHINE_IMAGES_H

#include <stddef.h>
#include <stdint.h>

struct image {
	uint8_t *data;
	size_t size;
};

enum { IMAGE_PADDR = 0x100000, IMAGE_ENTRY = 0x100010, IMAGE_BSS = 0x3000, IMAGE_TEXT = 0x2000 };

/* An i386 vmlinux: one segment of IMAGE_TEXT bytes at IMAGE_PADDR (virtual 3 GiB above), with a version and "lguest" in it. */
struct image image_vmlinux(void);

/* A bzImage of @protocol around @payload, which is stored as it is, padded to whole paragraphs. */
struct image image_bzimage(uint16_t protocol, const uint8_t *payload, size_t len);

/* "gzip", "xz", "lzma", "bzip2", "lzo", "lz4", "zstd": @plain packed as a kernel's build does, its size behind it. */
struct image image_pack(const char *format, struct image plain);

void image_free(struct image image);

/* Write it to a new file in the test's folder; the name is valid until the next eight calls. */
const char *image_file(const void *data, size_t size);
/* Remove all of these files. */
void image_cleanup(void);

#endif
