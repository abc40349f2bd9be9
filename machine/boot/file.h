/* SPDX-License-Identifier: MIT */
/* file.h - a whole file, read-only, in memory. */
#ifndef KENNEL_MACHINE_BOOT_FILE_H
#define KENNEL_MACHINE_BOOT_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

struct file_view {
	const char *path;	/* borrowed */
	uint8_t *data;		/* private mapping; NULL for an empty file */
	size_t size;
};

/**
 * file_open - map @path, a regular file
 * @what: its role in a sentence: "kernel", "initrd".
 * Returns 0, or a negative errno and the reason. Nothing is kept on failure.
 */
int file_open(struct file_view *view, const char *path, const char *what, struct error *error);
/** file_rest - let its pages go; the next access brings them back. */
void file_rest(const struct file_view *view);
void file_close(struct file_view *view);

#endif
