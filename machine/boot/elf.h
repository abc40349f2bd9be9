/* SPDX-License-Identifier: MIT */
/* elf.h - a 32-bit vmlinux: checked once, then copied to its physical addresses. */
#ifndef KENNEL_MACHINE_BOOT_ELF_H
#define KENNEL_MACHINE_BOOT_ELF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "host/error.h"

/* Where a kernel went, or would go. */
struct kernel_place {
	uint32_t entry;		/* physical address of the first instruction */
	uint32_t start, end;	/* physical addresses it occupies, BSS included */
	uint32_t page_offset;	/* where it will see physical memory: virtual minus physical address; 0 if it does not say */
};

/** elf_is - does it start like an ELF file (of any class)? */
bool elf_is(const uint8_t *image, size_t size);

/**
 * elf_check - is it a whole i386 executable?
 * @name: what to call it in a sentence.
 * Returns 0 and fills *@place, or a negative errno and the reason.
 */
int elf_check(const uint8_t *image, size_t size, const char *name, struct kernel_place *place, struct error *error);

/** elf_copy - copy the segments of a checked image to @ram + p_paddr; @ram is zeroed already and reaches to place->end. */
void elf_copy(const uint8_t *image, uint8_t *ram);

#endif
