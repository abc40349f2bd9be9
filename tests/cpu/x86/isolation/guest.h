/* SPDX-License-Identifier: MIT */
/*
 * guest.h - the least guest that translated code can be made for: a processor, page tables, and the checker as its inspector.
 *
 * Linear addresses: USER_CODE and KERNEL_CODE show the same frames, two of which are one frame after the other, then a hole;
 * USER_DATA and KERNEL_DATA show 256 KiB of data. Nothing else is there, page tables least of all.
 */
#ifndef KENNEL_TESTS_CPU_X86_ISOLATION_GUEST_H
#define KENNEL_TESTS_CPU_X86_ISOLATION_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/x86/cpu.h"

enum { GUEST_CODE_PAGES = 2, GUEST_CODE_SIZE = GUEST_CODE_PAGES * 4096, GUEST_DATA_SIZE = 256 << 10 };

#define KERNEL_BASE 0xc0000000u
#define USER_CODE   0x08048000u
#define USER_DATA   0x10000000u
#define KERNEL_CODE 0xc0100000u
#define KERNEL_DATA 0xc0200000u

/* Selectors. NARROW_* have a base and a limit; *_TLS too, and are for FS and GS. */
enum { KERNEL_CS = 0x08, KERNEL_DS = 0x10, USER_CS = 0x1b, USER_DS = 0x23, NARROW_DS = 0x2b, KERNEL_TLS = 0x30, USER_TLS = 0x3b };

struct guest {
	struct cpu *cpu;
	uint8_t *ram, *code;		/* code: the frames behind USER_CODE and KERNEL_CODE */
	uint32_t size;			/* of RAM, in bytes */
	int fd;
	uint32_t tables;
	unsigned depth;			/* the next translation's: all in turn */
	uint64_t blocks, refused;	/* by the checker */
};

/** guest_create - @size: bytes of RAM, 4 MiB at least; @system: with privileged state of its own. Fails the running test if it cannot. */
struct guest *guest_create(uint32_t size, bool system);
void guest_destroy(struct guest *g);

/** guest_handlers - give fault signals back to the processor: cmocka takes them away at the start of every test */
void guest_handlers(void);

/** guest_mode - flat segments of ring 0 or 3, with a TLS segment in FS and GS; or with @segmented, DS and ES that have a base and a limit */
void guest_mode(struct guest *g, bool user, bool segmented);

/** guest_translate - translate, without running, the code at linear address @eip. Returns its length in guest bytes, 0 if none is there. */
uint32_t guest_translate(struct guest *g, uint32_t eip, bool apart);
/** guest_forget - the code frames have changed. */
void guest_forget(struct guest *g);
/** guest_mix - treat the code frames as hot data too, from now on. */
void guest_mix(struct guest *g, bool mixed);
/** guest_note_faults - instructions at as many addresses as the processor remembers, a quarter of all, find their pages missing again and again. */
void guest_note_faults(struct guest *g);
/** guest_check_accesses - check, from now on, the accesses of instructions that find their pages missing again and again. */
void guest_check_accesses(struct guest *g, bool checked);
/** guest_cool - is the address space in force cold from now on? */
void guest_cool(struct guest *g, bool cold);
/** guest_wrap - take addresses in the code for ones that have wrapped around, from now on. */
void guest_wrap(struct guest *g, bool exact);

#endif
