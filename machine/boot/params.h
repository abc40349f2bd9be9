/* SPDX-License-Identifier: MIT */
/* params.h - what an i386 kernel is told at its start: the boot-parameter page, the command line, the initrd. */
#ifndef KENNEL_MACHINE_BOOT_PARAMS_H
#define KENNEL_MACHINE_BOOT_PARAMS_H

#include "machine/boot/kernel.h"

enum {
	COMMAND_LINE_MAX = 2047,	/* every kernel since 2.6.22 copies 2048 bytes (lguest-pitfalls, A11) */
};

enum { SUBARCH_PC = 0, SUBARCH_LGUEST = 1 };

/* What firmware says about memory: a line of the e820 table. */
enum memory_type { MEMORY_RAM = 1, MEMORY_RESERVED = 2, MEMORY_ACPI = 3 };

struct memory_range {
	uint32_t start, end;
	enum memory_type type;
};

struct boot_params {
	const struct kernel *kernel;
	const struct file_view *initrd;	/* NULL: none */
	const char *command_line;
	uint32_t subarch;
	uint32_t page;			/* physical address of the parameter page; the command line is in the page behind it */
	const struct memory_range *map;	/* what the kernel is told about memory; NULL: that all of it is RAM */
	unsigned int map_count;		/* at most 128 */
};

/** command_line_check - is it short enough? */
int command_line_check(const char *line, struct error *error);

/** command_line_check_memory - is it free of words that move the end of memory (lguest-pitfalls, B1)? */
int command_line_check_memory(const char *line, struct error *error);

/**
 * boot_params_write - put initrd, boot-parameter page and command line into @ram (zeroed, kernel loaded)
 * @size: bytes from the start of @ram to where the last RAM ends.
 * Returns 0, or a negative errno and a sentence.
 */
int boot_params_write(const struct boot_params *params, uint8_t *ram, uint32_t size, struct error *error);

#endif
