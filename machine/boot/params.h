/* SPDX-License-Identifier: MIT */
/* params.h - what an i386 kernel is told at its start: the boot-parameter page, the command line, the initrd. */
#ifndef KENNEL_MACHINE_BOOT_PARAMS_H
#define KENNEL_MACHINE_BOOT_PARAMS_H

#include "machine/boot/kernel.h"

enum {
	BOOT_PARAMS = 0,		/* physical address of the page */
	COMMAND_LINE = 0x1000,
	COMMAND_LINE_MAX = 2047,	/* every lguest-capable kernel copies 2048 bytes (lguest-pitfalls, A11) */
};

enum { SUBARCH_PC = 0, SUBARCH_LGUEST = 1 };

struct boot_params {
	const struct kernel *kernel;
	const struct file_view *initrd;	/* NULL: none */
	const char *command_line;
	uint32_t subarch;
};

/** command_line_check - is it short enough, and free of words that move the end of memory (lguest-pitfalls, B1)? */
int command_line_check(const char *line, struct error *error);

/**
 * boot_params_write - put initrd, boot-parameter page and command line into @ram (zeroed, @size bytes, kernel loaded)
 * Returns 0, or a negative errno and a sentence.
 */
int boot_params_write(const struct boot_params *params, uint8_t *ram, uint32_t size, struct error *error);

#endif
