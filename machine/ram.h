/* SPDX-License-Identifier: MIT */
/*
 * ram.h - guest memory: one file of memory, so that the processor can show any frame at any address, mapped once for ourselves between
 * two inaccessible pages. Pages that the guest never touches cost nothing.
 */
#ifndef KENNEL_MACHINE_RAM_H
#define KENNEL_MACHINE_RAM_H

#include <stdint.h>

#include "cpu/x86/cpu.h"
#include "host/error.h"

/* Guest-physical addresses have 32 bits, and devices lie above RAM. */
#define RAM_MAX (3072ull << 20)

/**
 * ram_create - @bytes of memory for the guest and @extra behind it for the machine's own use, all zero
 * @bytes: from 1 MiB to RAM_MAX, a multiple of 4096, as is @extra.
 * Returns 0, or a negative errno and a sentence. ram_destroy() is harmless after a failure.
 */
int ram_create(struct cpu_ram *ram, uint64_t bytes, uint32_t extra, struct error *error);

/** ram_clear - all zero again, and the host's memory given back */
void ram_clear(struct cpu_ram *ram);

/**
 * ram_release - [@address, @address + @len) is no longer needed: give the host's memory back; reads as zero from now on
 * In whole pages; what lies outside is passed over. The caller has told the processor (cpu_dirty()). From any thread; a hint, which may
 * do nothing.
 */
void ram_release(const struct cpu_ram *ram, uint64_t address, uint64_t len);

/** ram_destroy - also for one that holds only zeros and fd = -1 */
void ram_destroy(struct cpu_ram *ram);

#endif
