/* SPDX-License-Identifier: MIT */
/*
 * kernel.h - a kernel image: opened and checked once, placed into memory at every boot, and kept out of memory between boots.
 */
#ifndef KENNEL_MACHINE_BOOT_KERNEL_H
#define KENNEL_MACHINE_BOOT_KERNEL_H

#include "machine/boot/elf.h"
#include "machine/boot/file.h"
#include "machine/boot/unpack.h"

struct kernel {
	struct file_view file;
	const uint8_t *setup;		/* bzImage: its first sector (in file); NULL for an ELF file */
	const uint8_t *elf;		/* the vmlinux: the file, or the unpacked payload; NULL when there is none (or none now) */
	size_t elf_size;
	const struct unpacker *unpacker;	/* bzImage: how to unpack its payload; NULL when it is loaded as it is */
	const uint8_t *payload;		/* (in file) */
	size_t payload_size;
	uint8_t *unpacked;		/* owned */
	const uint8_t *raw;		/* loaded as it is: what follows the setup sectors (in file) */
	size_t raw_size;
	struct kernel_place place;
	char version[96];		/* "3.11.10 (...) #1 ..."; "" if it does not say */
};

/**
 * kernel_open - open @path, find out what it is, unpack it where that can be done on the host
 * Returns 0, or a negative errno and a sentence. The image must be closed with kernel_close() only on success.
 */
int kernel_open(struct kernel *kernel, const char *path, struct error *error);
void kernel_close(struct kernel *kernel);

/**
 * kernel_rest - the next boot may be days away: free what was unpacked, let the pages of the file go
 * kernel_contains() does not know any more what it does. kernel_load() unpacks the image again.
 */
void kernel_rest(struct kernel *kernel);

/** kernel_contains - does the vmlinux hold this byte string? True when that cannot be known (a payload not unpacked). */
bool kernel_contains(const struct kernel *kernel, const void *bytes, size_t len);

/**
 * kernel_load - put it into zeroed @ram of @size bytes
 * Returns 0, or a negative errno and a sentence when it does not fit, or is not any more what was opened.
 */
int kernel_load(const struct kernel *kernel, uint8_t *ram, uint32_t size, struct error *error);

#endif
