/* SPDX-License-Identifier: MIT */
/*
 * test_checker.c - the checker accepts what the translator makes, and has an example of each way to break each rule.
 *
 * The bytes are what an assembler makes of the sequence that the name describes; EXIT is mov r8d, 1; jmp [r15 + exits.next].
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "checker.h"

#define EXIT "\x41\xb8\x01\x00\x00\x00\x41\xff\xa7\xe0\x00\x00\x00"
/* mov r11d, [r14 + r9*8 + 0x2fXX]; mov r10d, [r14 + r9*8 + 0x2fb8]; mov r9, rcx, lea ecx, [r10 + r8] and so on */
#define DEEP_ENTRY(low) "\x47\x8b\x9c\xce" low "\x2f\x00\x00"
#define DEEP_ENTRY_KEY "\x47\x8b\x94\xce\xb8\x2f\x00\x00"
#define DEEP_JUMP(depth) "\x49\x89\xc9\x43\x8d\x0c\x02\xe3\x14\x4c\x89\xc9\x8d\x64\x24\xf4\x41\xb9" depth "\x00\x00\x00" \
	"\x41\xff\xa7\xc8\x00\x00\x00\x4c\x89\xc9\x41\xff\xe3"
#define CODE(bytes) (const uint8_t *)(bytes), sizeof(bytes) - 1, false
#define CODE_R13(bytes) (const uint8_t *)(bytes), sizeof(bytes) - 1, true

/*
 * The check of an access: r8d = [rbx + 4], then the sequence from mov r11, rax to its end, by the pieces that may go wrong. The
 * displacements fit pieces of the right length. READ and WRITE are the tags, KIND what C is told.
 */
#define ADDRESS_IN_R8 "\x44\x8d\x43\x04"
#define SAVE "\x49\x89\xc3\x9f\x0f\x90\xc0"
#define INDEX "\x45\x89\xc2\x41\xc1\xea\x0c\x45\x0f\xb6\xd2\x41\xc1\xe2\x04\x41\x81\xe1\x00\xf0\xff\xff"
#define RESTORE "\x04\x7f\x9e\x4c\x89\xd8"
#define READ "\x80\x01\x02\x00"
#define WRITE "\x84\x01\x02\x00"
#define ADDEND "\x88\x01\x02\x00"
#define KIND(size, write) "\x41\xba" size write "\x00\x00"
#define COMPARE(tag) "\x47\x3b\x8c\x17" tag "\x75\x13"
#define LOAD(addend) "\x4f\x8b\x8c\x17" addend "\x4d\x01\xc1" RESTORE "\xeb\x19"
#define MISS(kind) RESTORE "\x41\xb9\x00\x10\x04\x08" kind "\x41\xff\xa7\xe8\x00\x00\x00"
#define LAST(size_less_1) "\x45\x8d\x48" size_less_1
#define CHECK(size_less_1, tag, kind) SAVE LAST(size_less_1) INDEX COMPARE(tag) LOAD(ADDEND) MISS(kind)
#define CHECK_READ4 CHECK("\x03", READ, KIND("\x04", "\x00"))
#define CHECK_READ16 CHECK("\x0f", READ, KIND("\x10", "\x00"))
#define CHECK_WRITE16 CHECK("\x0f", WRITE, KIND("\x10", "\x01"))
#define CHECK_WRITE4 CHECK("\x03", WRITE, KIND("\x04", "\x01"))
#define CHECK_WRITE1 CHECK("\x00", WRITE, KIND("\x01", "\x01"))
#define CHECK_READ1 CHECK("\x00", READ, KIND("\x01", "\x00"))

/* PUSHF, as far as the store of r9d; POPF, behind the load to r8d. */
#define PUSHF(above) "\x41\x89\xe0\x49\x8d\xa7" above "\x12\x02\x00\x9c\x44\x89\xc4\x45\x8b\x8f\xc0\x12\x02\x00" \
	"\x45\x8b\x97\xf4\x00\x00\x00\x47\x8d\x8c\x11\x00\xfe\xff\xff\x45\x8b\x97\xf0\x00\x00\x00\x47\x8d\x8c\x11\x00\x00\x00\x00"
#define POPF(mask) "\x45\x89\xc1\x41\x81\xe1\x00\x71\x24\x00\x45\x3b\x8f\xf4\x00\x00\x00\x75\x41" \
	"\x45\x89\xc1\x41\x81\xe1\x00\x02\x00\x00\x45\x85\x8f\xf8\x00\x00\x00\x75\x2e\x45\x89\x8f\xf0\x00\x00\x00" \
	"\x41\x81\xe0" mask "\x00\x00\x41\x81\xc8\x02\x02\x00\x00\x4d\x89\x87\xc0\x12\x02\x00\x44\x8d\x4c\x24\x04" \
	"\x49\x8d\xa7\xc0\x12\x02\x00\x9d\x44\x89\xcc\xeb\x13\x41\xb9\x30\x00\x00\x00\x41\xb8\x00\x10\x00\x00" \
	"\x41\xff\xa7\xd0\x00\x00\x00"
#define POP_R8 "\x65\x67\x44\x8b\x44\x24\x00"

/* r8d = number of a descriptor for the selector in r10d; r12 = what the table at its address holds, r11 = minus what C saw there */
#define NUMBER "\x44\x0f\xb7\xd0\x47\x0f\xb6\x84\x17\x80\x01\x01\x00"
#define DESCRIPTOR "\x47\x8b\x9c\x87\x00\x12\x02\x00\x65\x67\x4d\x8b\x23"
#define REMEMBERED "\x4f\x8b\x9c\xc7\x40\x12\x02\x00"

enum { ADDRESS = 0x20000000 };

/* rule: the one that must refuse it, or NULL */
static const struct example {
	const char *rule, *name;
	const uint8_t *code;
	uint32_t len;
	bool by_register;
} examples[] = {
	{ NULL, "a checked lock", CODE(ADDRESS_IN_R8 CHECK_WRITE4 "\xf0\x41\x01\x01" EXIT) },
	{ NULL, "a checked push of memory", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x45\x8b\x21\x44\x8d\x44\x24\xfc" CHECK_WRITE4
	       "\x45\x89\x21\x44\x89\xc4" EXIT) },
	/* Where the window is in r13. */
	{ NULL, "r13: one register", CODE_R13("\x42\x8b\x44\x2b\x08\x42\x89\x0c\x28\x42\x8b\x44\x2d\x00" EXIT) },
	{ NULL, "r13: the stack", CODE_R13("\x42\x89\x4c\x2c\xfc\x8d\x64\x24\xfc" EXIT) },
	{ NULL, "r13: an address that is not negative", CODE_R13("\x41\x8b\x85\xff\xff\xff\x7f" EXIT) },
	{ NULL, "r13: an address in r8d", CODE_R13("\x44\x8d\x84\xb3\x00\x00\x00\xc1\x43\x8b\x04\x28" EXIT) },
	{ NULL, "r13: an address in r12d", CODE_R13("\x44\x8d\x64\x24\xfc\x43\x89\x0c\x2c\x8d\x64\x24\xfc" EXIT) },
	{ NULL, "r13: a descriptor", CODE_R13(NUMBER "\x49\x89\xc9\x47\x8b\x9c\x87\x00\x12\x02\x00\x4f\x8b\x24\x2b\x4c\x89\xc9" EXIT) },
	{ NULL, "r13: maskmovdqu", CODE_R13("\x41\x89\xf9\x41\x89\xfa\x4b\x8d\x3c\x29\x66\x0f\xf7\xc1\x44\x89\xd7" EXIT) },
	{ "prefix", "r13: behind GS", CODE_R13("\x65\x67\x8b\x44\xb3\x08" EXIT) },
	{ "memory", "r13: not added", CODE_R13("\x8b\x43\x08" EXIT) },
	{ "memory", "r13: an index is shifted", CODE_R13("\x43\x8b\x44\x9d\x00" EXIT) },
	{ "memory", "r13: shifted", CODE_R13("\x42\x8b\x04\x6b" EXIT) },
	{ "memory", "r13: displaced beyond the guard", CODE_R13("\x42\x8b\x84\x2b\x01\x00\x00\x0c" EXIT) },
	{ "memory", "r13: displaced before the guard", CODE_R13("\x42\x8b\x84\x2b\xff\xff\xff\xfb" EXIT) },
	{ "memory", "r13: a negative address", CODE_R13("\x41\x8b\x85\xff\xff\xff\xff" EXIT) },
	{ "memory", "r13: an unknown register", CODE_R13("\x43\x8b\x04\x28" EXIT) },
	{ "memory", "r13: twice", CODE_R13("\x43\x8b\x44\x2d\x00" EXIT) },
	{ "field", "r13: from the struct", CODE_R13("\x43\x8b\x04\x2f" EXIT) },
	{ "memory", "r13: the word of maskmovdqu", CODE_R13("\x41\x89\xf9\x41\x89\xfa\x4b\x8d\x3c\x29\x89\x07\x44\x89\xd7" EXIT) },
	{ "memory", "r13: maskmovdqu without a window", CODE_R13("\x66\x0f\xf7\xc1" EXIT) },
	{ "exit", "r13: EDI not given back", CODE_R13("\x41\x89\xf9\x41\x89\xfa\x4b\x8d\x3c\x29\x66\x0f\xf7\xc1" EXIT) },
	{ "memory", "r13 where GS is the window", CODE("\x42\x8b\x44\x2b\x08" EXIT) },
	{ "reserved", "r13 written", CODE("\x41\x89\xc5" EXIT) },
	{ "reserved", "r13 loaded", CODE("\x4d\x8b\x6f\x30" EXIT) },
	{ NULL, "a guest load and store", CODE("\x65\x67\x8b\x44\xb3\x08\x65\x67\x89\x4c\x24\xfc\x8d\x64\x24\xfc" EXIT) },
	{ NULL, "an absolute guest address", CODE("\x65\x67\x8b\x04\x25\x78\x56\x34\x12" EXIT) },
	{ NULL, "lock and operand size", CODE("\x66\xf0\x65\x67\x01\x08" EXIT) },
	{ NULL, "an address in r8d", CODE("\x4d\x8b\x87\xa8\x00\x00\x00\x47\x8b\x04\x07\x46\x8d\x44\x03\x04\x65"
	       "\x67\x41\x8b\x00" EXIT) },
	{ NULL, "halves exchanged around an access", CODE("\x4d\x8b\x87\xb0\x00\x00\x00\x47\x8b\x04\x07\x86\xfb"
	       "\x65\x67\x41\x8a\x18\x86\xfb" EXIT) },
	{ NULL, "jump table", CODE("\x41\x89\xc0\x45\x0f\xb7\xc8\x47\x8b\x5c\xce\x04\x47\x8b\x14\xce\x49\x89\xc9\x43\x8d\x0c"
	       "\x02\xe3\x10\x4c\x89\xc9\x41\xb9\x00\x00\x00\x00\x41\xff\xa7\xc8\x00\x00\x00\x4c\x89\xc9\x41\xff\xe3") },
	{ NULL, "jump table, constant", CODE("\x45\x8b\x9e\xa4\x91\x00\x00\x45\x8b\x96\xa0\x91\x00\x00\x49\x89\xc9\x41\x8d"
	       "\x8a\x34\x12\x04\x08\xe3\x16\x4c\x89\xc9\x41\xb8\x34\x12\x04\x08\x41\xb9\x00\x00\x00\x00\x41\xff\xa7\xc8\x00"
	       "\x00\x00\x4c\x89\xc9\x41\xff\xe3") },
	{ NULL, "jump table, by LOOP", CODE("\x41\x89\xc0\x45\x0f\xb7\xc8\x47\x8b\x5c\xce\x04\x47\x8b\x14\xce\x49\x89\xc9\x43\x8d"
	       "\x4c\x02\x01\xe2\x06\x4c\x89\xc9\x41\xff\xe3\x4c\x89\xc9\x41\xb9\x00\x00\x00\x00\x41\xff\xa7\xc8\x00\x00\x00") },
	{ NULL, "jump table, constant, by LOOP", CODE("\x45\x8b\x9e\xa4\x91\x00\x00\x45\x8b\x96\xa0\x91\x00\x00\x49\x89\xc9\x41\x8d"
	       "\x8a\x35\x12\x04\x08\xe2\x06\x4c\x89\xc9\x41\xff\xe3\x4c\x89\xc9\x41\xb8\x34\x12\x04\x08\x41\xb9\x00\x00\x00"
	       "\x00\x41\xff\xa7\xc8\x00\x00\x00") },
	{ NULL, "call", CODE("\x65\x67\xc7\x44\x24\xfc\x01\x02\x03\x04\x8d\x64\x24\xfc\x45\x8b\x9e\xa4\x91\x00\x00\x45\x8b"
	       "\x96\xa0\x91\x00\x00\x49\x89\xc9\x41\x8d\x8a\x34\x12\x04\x08\xe3\x16\x4c\x89\xc9\x41\xb8\x34\x12\x04\x08\x41"
	       "\xb9\x00\x00\x00\x00\x41\xff\xa7\xc8\x00\x00\x00\x4c\x89\xc9\x41\xff\xe3") },
	{ NULL, "return", CODE("\x65\x67\x44\x8b\x44\x24\x00\x8d\x64\x24\x04\x45\x0f\xb7\xc8\x47\x8b\x5c\xce\x04\x47\x8b\x14"
	       "\xce\x49\x89\xc9\x43\x8d\x0c\x02\xe3\x10\x4c\x89\xc9\x41\xb9\x00\x00\x00\x00\x41\xff\xa7\xc8\x00\x00\x00\x4c"
	       "\x89\xc9\x41\xff\xe3") },
	{ NULL, "return to code three words deep", CODE("\x65\x67\x44\x8b\x44\x24\xf0\x45\x0f\xb7\xc8" DEEP_ENTRY("\xbc") DEEP_ENTRY_KEY
	       DEEP_JUMP("\x03")) },
	{ NULL, "call of code one word deep", CODE("\x65\x67\xc7\x44\x24\xfc\x01\x02\x03\x04\x45\x8b\x9e\x8c\xa1\x00\x00\x45\x8b\x96"
	       "\x88\xa1\x00\x00\x49\x89\xc9\x41\x8d\x8a\x34\x12\x04\x08\xe3\x1a\x4c\x89\xc9\x41\xb8\x34\x12\x04\x08\x8d\x64\x24"
	       "\xfc\x41\xb9\x01\x00\x00\x00\x41\xff\xa7\xc8\x00\x00\x00\x4c\x89\xc9\x41\xff\xe3") },
	{ NULL, "conditional jump to its exits", CODE("\x0f\x85\x05\x00\x00\x00\xe9\x0d\x00\x00\x00\x41\xb9\x07"
	       "\x00\x00\x00\x41\xff\xa7\xc0\x00\x00\x00\x41\xb9\x08\x00\x00\x00\x41\xff\xa7\xc0\x00\x00\x00") },
	{ NULL, "loop counts ecx", CODE("\x67\xe2\x0d\x41\xb8\x01\x00\x00\x00\x41\xff\xa7\xe0\x00\x00\x00" EXIT) },
	{ NULL, "jecxz", CODE("\x67\xe3\x0d\x41\xb8\x01\x00\x00\x00\x41\xff\xa7\xe0\x00\x00\x00" EXIT) },
	{ NULL, "TS", CODE("\x49\x89\xc9\x41\x8b\x4f\x58\xe3\x10\x4c\x89\xc9\x41\xb8\x00\x10\x00\x00\x41\xff\xa7"
	       "\xd8\x00\x00\x00\x4c\x89\xc9\xde\xc1" EXIT) },
	{ NULL, "rep movsd", CODE("\x4d\x8b\x47\x30\x4a\x8d\x34\x06\x4a\x8d\x3c\x07\xf3\xa5\x89\xf6\x89\xff" EXIT) },
	{ NULL, "lodsw", CODE("\x4d\x8b\x47\x30\x4a\x8d\x34\x06\x66\xad\x89\xf6" EXIT) },
	{ NULL, "load FS", CODE("\x44\x0f\xb7\xd0\x47\x0f\xb6\x84\x17\x80\x01\x01\x00\x49\x89\xc9\x44\x89\xc1"
	       "\xe3\x1f\x4c\x89\xc9\x45\x89\x57\x70\x45\x89\x87\x88\x00\x00\x00\x4f\x8b\x84\xc7\x00\x01\x00\x00"
	       "\x4d\x89\x87\xb0\x00\x00\x00\xeb\x16\x4c\x89\xc9\x41\xb9\x30\x00\x00\x00\x41\xb8\x00\x10\x00\x00"
	       "\x41\xff\xa7\xd0\x00\x00\x00" EXIT) },
	{ NULL, "store a selector", CODE("\x45\x8b\x57\x6c\x66\x65\x67\x44\x89\x10" EXIT) },
	{ NULL, "pop into sp", CODE("\x66\x65\x67\x44\x8b\x44\x24\x00\x8d\x64\x24\x02\x66\x44\x89\xc4" EXIT) },
	{ NULL, "maskmovdqu", CODE("\x66\x65\x67\x0f\xf7\xc1" EXIT) },
	{ NULL, "fxrstor", CODE("\x65\x67\x0f\xae\x08" EXIT) },
	{ NULL, "wide hints", CODE("\x65\x67\x0f\x1f\x00\x65\x67\x0f\x1a\x00\xf3\x0f\x1e\xfb\x65\x67\x0f\x18\x08"
	       "\xf3\x0f\x1e\xc8" EXIT) },
	{ NULL, "vector instructions", CODE("\x65\x67\x0f\x28\x00\x0f\x58\xc8\x66\x0f\x38\x00\xc1\x66\x0f\x7e"
	       "\xc0\x0f\x77\x0f\x38\xc8\xca" EXIT) },
	{ NULL, "tzcnt, lzcnt, popcnt, crc32, rdtsc", CODE("\xf3\x0f\xbc\xc1\xf3\x0f\xbd\xc1\xf3\x0f\xb8\xc1\xf2"
	       "\x0f\x38\xf0\xc1\x0f\x31\x0f\xb1\xc8\x0f\xce\x94" EXIT) },
	{ NULL, "xlat", CODE("\x44\x0f\xb6\xc0\x65\x67\x42\x8a\x04\x03" EXIT) },
	{ NULL, "jump to its own start", CODE("\xeb\xfe") },
	{ NULL, "a checked load", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x8b\x01" EXIT) },
	{ NULL, "a checked store", CODE(ADDRESS_IN_R8 CHECK_WRITE4 "\x41\x89\x31" EXIT) },
	{ NULL, "a checked addition of an immediate", CODE(ADDRESS_IN_R8 CHECK_WRITE4 "\x41\x81\x01\x01\x02\x03\x04" EXIT) },
	{ NULL, "a checked word", CODE(ADDRESS_IN_R8 CHECK("\x01", WRITE, KIND("\x02", "\x01")) "\x66\x41\xff\x01" EXIT) },
	{ NULL, "a checked setz", CODE(ADDRESS_IN_R8 CHECK_WRITE1 "\x41\x0f\x94\x01" EXIT) },
	{ NULL, "a checked movzx", CODE(ADDRESS_IN_R8 CHECK_READ1 "\x41\x0f\xb6\x11" EXIT) },
	{ NULL, "a checked vector", CODE(ADDRESS_IN_R8 CHECK_READ16 "\x66\x41\x0f\x6f\x01" EXIT) },
	{ NULL, "a checked store of a vector", CODE(ADDRESS_IN_R8 CHECK_WRITE16 "\xf3\x41\x0f\x7f\x01" EXIT) },
	{ NULL, "a checked bit test of a constant", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x0f\xba\x21\x05" EXIT) },
	{ NULL, "a checked shift", CODE(ADDRESS_IN_R8 CHECK_WRITE4 "\x41\xd3\x21" EXIT) },
	{ NULL, "a checked store of AH", CODE(ADDRESS_IN_R8 CHECK_WRITE1 "\x86\xe0\x41\x88\x01\x86\xe0" EXIT) },
	{ NULL, "a checked division", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\xf7\x31" EXIT) },
	{ NULL, "less than was checked", CODE(ADDRESS_IN_R8 CHECK_WRITE4 "\x41\x88\x01" EXIT) },
	{ NULL, "read what may be written", CODE(ADDRESS_IN_R8 CHECK_WRITE4 "\x41\x8b\x01" EXIT) },
	{ NULL, "a checked push", CODE("\x44\x8d\x44\x24\xfc" CHECK_WRITE4 "\x41\x89\x31\x44\x89\xc4" EXIT) },
	{ NULL, "a checked push of an immediate", CODE("\x44\x8d\x44\x24\xfc" CHECK_WRITE4 "\x41\xc7\x01\x01\x02\x03\x04"
	       "\x44\x89\xc4" EXIT) },
	{ NULL, "two checked accesses", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x8b\x01" ADDRESS_IN_R8 CHECK_WRITE1 "\x41\x88\x01"
	       EXIT) },
	{ NULL, "pushf", CODE(PUSHF("\xc8") "\x65\x67\x44\x89\x4c\x24\xfc\x8d\x64\x24\xfc" EXIT) },
	{ NULL, "popf", CODE(POP_R8 POPF("\xd5\x0c") EXIT) },
	{ NULL, "cli, sti", CODE("\x41\xc7\x87\xf0\x00\x00\x00\x00\x00\x00\x00\x49\x89\xc9\x41\x8b\x8f\xf8\x00\x00\x00\xe3\x10"
	       "\x4c\x89\xc9\x41\xb8\x00\x10\x00\x00\x41\xff\xa7\xe0\x00\x00\x00\x4c\x89\xc9\x41\xc7\x87\xf0\x00\x00\x00\x00\x02"
	       "\x00\x00" EXIT) },
	{ NULL, "mov from cr2, to cr2", CODE("\x41\x8b\x87\x84\x11\x02\x00\x41\x89\x8f\x84\x11\x02\x00" EXIT) },
	{ NULL, "compare a descriptor", CODE(NUMBER "\x49\x89\xc9" DESCRIPTOR REMEMBERED "\x4b\x8d\x0c\x1c\xe3\x10\x4c\x89\xc9\x41"
	       "\xb8\x00\x10\x00\x00\x41\xff\xa7\xe0\x00\x00\x00\x4c\x89\xc9" EXIT) },

	{ "flags", "another stack for pushf", CODE(PUSHF("\xd0") "\x65\x67\x44\x89\x4c\x24\xfc" EXIT) },
	{ "flags", "popf of TF", CODE(POP_R8 POPF("\xd5\x0d") EXIT) },
	{ "flags", "cut off", CODE("\x41\x89\xe0\x49\x8d\xa7\xc8\x12\x02\x00\x9c\x44\x89\xc4") },
	{ "value", "popf of a scratch register", CODE(POPF("\xd5\x0c") EXIT) },
	{ "target", "a jump into popf", CODE(POP_R8 "\x75\x20" POPF("\xd5\x0c") EXIT) },
	{ "listed", "pushf in the middle of one", CODE("\x41\x89\xe0\x9c" EXIT) },
	{ "field", "cr0 written", CODE("\x41\x89\x8f\x80\x11\x02\x00" EXIT) },
	{ "field", "irq_pending written", CODE("\x41\xc7\x87\xf8\x00\x00\x00\x00\x00\x00\x00" EXIT) },
	{ "field", "a descriptor's place by a guest value", CODE("\x41\x89\xc0\x47\x8b\x9c\x87\x00\x12\x02\x00" EXIT) },
	{ "value", "half of a descriptor shown", CODE(NUMBER DESCRIPTOR "\x44\x89\xe0" EXIT) },
	{ "string", "a descriptor as an address", CODE(NUMBER DESCRIPTOR REMEMBERED "\x4a\x8d\x34\x26" EXIT) },
	{ "exit", "rcx not given back", CODE(NUMBER "\x49\x89\xc9" DESCRIPTOR REMEMBERED "\x4b\x8d\x0c\x1c" EXIT) },

	{ "decode", "an undefined opcode", CODE("\x0f\x04" EXIT) },
	{ "decode", "cut in the middle", CODE("\x65\x67\x8b") },
	{ "encoding", "AVX", CODE("\xc5\xf4\x58\xc2" EXIT) },
	{ "encoding", "BMI2 reads through VEX", CODE("\xc4\xe2\x70\xf2\xc2" EXIT) },
	{ "prefix", "FS", CODE("\x64\x67\x8b\x00" EXIT) },
	{ "prefix", "gs without an operand", CODE("\x65\x67\x01\xc8" EXIT) },
	{ "prefix", "67 without an operand", CODE("\x67\x01\xc8" EXIT) },
	{ "prefix", "REX is not last", CODE("\x65\x41\x67\x8b\x00" EXIT) },
	{ "prefix", "67 twice", CODE("\x65\x67\x67\x8b\x00" EXIT) },
	{ "prefix", "an overridden segment", CODE("\x65\x2e\x67\x8b\x00" EXIT) },
	{ "prefix", "66 on a jump", CODE("\x66\xe9\x00\x00\x00\x00" EXIT) },
	{ "prefix", "66 on a conditional jump", CODE("\x66\x0f\x84\x00\x00\x00\x00" EXIT) },
	{ "prefix", "LOOP of RCX", CODE("\xe2\x00" EXIT) },
	{ "listed", "push", CODE("\x50" EXIT) },
	{ "listed", "pop", CODE("\x58" EXIT) },
	{ "listed", "push imm", CODE("\x6a\x01" EXIT) },
	{ "listed", "pushf", CODE("\x9c" EXIT) },
	{ "listed", "popf", CODE("\x9d" EXIT) },
	{ "listed", "call", CODE("\xe8\x00\x00\x00\x00" EXIT) },
	{ "listed", "indirect call", CODE("\xff\xd0") },
	{ "listed", "call through an exit", CODE("\x41\xff\x97\xe0\x00\x00\x00") },
	{ "listed", "ret", CODE("\xc3") },
	{ "listed", "enter", CODE("\xc8\x08\x00\x00" EXIT) },
	{ "listed", "leave", CODE("\xc9" EXIT) },
	{ "listed", "iret", CODE("\x48\xcf") },
	{ "listed", "far return", CODE("\xcb") },
	{ "indirect", "far jump", CODE("\x65\x67\xff\x28") },
	{ "indirect", "far jump through an exit", CODE("\x49\xff\xaf\xe0\x00\x00\x00") },
	{ "listed", "syscall", CODE("\x0f\x05" EXIT) },
	{ "listed", "sysenter", CODE("\x0f\x34" EXIT) },
	{ "listed", "int3", CODE("\xcc" EXIT) },
	{ "listed", "int 0x80", CODE("\xcd\x80" EXIT) },
	{ "listed", "icebp", CODE("\xf1" EXIT) },
	{ "listed", "ud2", CODE("\x0f\x0b") },
	{ "listed", "in", CODE("\xec" EXIT) },
	{ "listed", "out", CODE("\xe6\x80" EXIT) },
	{ "listed", "ins", CODE("\xf3\x6c" EXIT) },
	{ "listed", "hlt", CODE("\xf4" EXIT) },
	{ "listed", "cli", CODE("\xfa" EXIT) },
	{ "listed", "mov to segment register", CODE("\x8e\xe8" EXIT) },
	{ "listed", "mov from segment register", CODE("\x8c\xe0" EXIT) },
	{ "listed", "lss", CODE("\x65\x67\x0f\xb2\x00" EXIT) },
	{ "listed", "wrfsbase", CODE("\xf3\x48\x0f\xae\xd0" EXIT) },
	{ "listed", "wrgsbase", CODE("\xf3\x0f\xae\xd8" EXIT) },
	{ "listed", "rdgsbase", CODE("\xf3\x48\x0f\xae\xc8" EXIT) },
	{ "listed", "swapgs", CODE("\x0f\x01\xf8" EXIT) },
	{ "listed", "wrpkru", CODE("\x0f\x01\xef" EXIT) },
	{ "listed", "rdpkru", CODE("\x0f\x01\xee" EXIT) },
	{ "listed", "xrstor", CODE("\x65\x67\x0f\xae\x28" EXIT) },
	{ "listed", "xsave", CODE("\x65\x67\x0f\xae\x20" EXIT) },
	{ "listed", "xsetbv", CODE("\x0f\x01\xd1" EXIT) },
	{ "listed", "fxsave", CODE("\x65\x67\x0f\xae\x00" EXIT) },
	{ "listed", "fnstenv", CODE("\x65\x67\xd9\x30" EXIT) },
	{ "listed", "fnsave", CODE("\x65\x67\xdd\x30" EXIT) },
	{ "listed", "mov from cr0", CODE("\x0f\x20\xc0" EXIT) },
	{ "listed", "mov to dr7", CODE("\x0f\x23\xf8" EXIT) },
	{ "listed", "lgdt", CODE("\x65\x67\x0f\x01\x10" EXIT) },
	{ "listed", "sgdt", CODE("\x65\x67\x0f\x01\x00" EXIT) },
	{ "listed", "rdmsr", CODE("\x0f\x32" EXIT) },
	{ "listed", "cpuid", CODE("\x0f\xa2" EXIT) },
	{ "listed", "xlat", CODE("\xd7" EXIT) },
	{ "listed", "xbegin", CODE("\xc7\xf8\x00\x00\x00\x00" EXIT) },
	{ "listed", "umwait", CODE("\xf2\x0f\xae\xf0" EXIT) },
	{ "listed", "clzero", CODE("\x0f\x01\xfc" EXIT) },
	{ "listed", "monitor", CODE("\x0f\x01\xc8" EXIT) },
	{ "listed", "movdir64b", CODE("\x66\x0f\x38\xf8\x08" EXIT) },
	{ "listed", "rdpid", CODE("\xf3\x0f\xc7\xf8" EXIT) },
	{ "listed", "movsxd", CODE("\x48\x63\xc1" EXIT) },
	{ "rip", "a RIP-relative load", CODE("\x8b\x05\x10\x00\x00\x00" EXIT) },
	{ "rip", "a RIP-relative load through gs", CODE("\x65\x67\x8b\x05\x00\x00\x00\x00" EXIT) },
	{ "rip", "a RIP-relative address", CODE("\x48\x8d\x05\x00\x00\x00\x00" EXIT) },
	{ "rip", "a RIP-relative jump", CODE("\xff\x25\x00\x00\x00\x00") },
	{ "memory", "a bare load", CODE("\x8b\x03" EXIT) },
	{ "memory", "a bare store", CODE("\x01\x04\x24" EXIT) },
	{ "memory", "a bare absolute address", CODE("\x8b\x04\x25\x78\x56\x34\x12" EXIT) },
	{ "memory", "an operation on r15", CODE("\x41\x83\x47\x30\x01" EXIT) },
	{ "memory", "r13 as a base", CODE("\x41\x8b\x45\x08" EXIT) },
	{ "memory", "a bare vector load", CODE("\x0f\x10\x00" EXIT) },
	{ "memory", "maskmovdqu at DS:RDI", CODE("\x66\x0f\xf7\xc1" EXIT) },
	{ "memory", "an 8-byte exchange on r15", CODE("\xf0\x41\x0f\xc7\x4f\x30" EXIT) },
	{ "windowed", "gs with a 64-bit address", CODE("\x65\x8b\x00" EXIT) },
	{ "windowed", "a 32-bit address without gs", CODE("\x67\x8b\x00" EXIT) },
	{ "field", "a field that is not listed", CODE("\x41\x8b\x07" EXIT) },
	{ "field", "the host's stack pointer", CODE("\x4d\x8b\x47\x40" EXIT) },
	{ "field", "a store to the window", CODE("\x4d\x8b\x47\x30\x4d\x89\x47\x30" EXIT) },
	{ "field", "a store to an exit", CODE("\x4d\x8b\x47\x30\x4d\x89\x87\xc0\x00\x00\x00" EXIT) },
	{ "field", "beyond struct cpu", CODE("\x41\x8b\x87\xff\xff\xff\x7f" EXIT) },
	{ "field", "below struct cpu", CODE("\x41\x8b\x47\xfc" EXIT) },
	{ "field", "between two fields", CODE("\x45\x8b\x57\x62" EXIT) },
	{ "field", "half of a field", CODE("\x45\x8b\x47\x30" EXIT) },
	{ "field", "indexed by a guest value", CODE("\x41\x89\xc0\x47\x8b\x04\x07" EXIT) },
	{ "field", "loadable[] by 32 bits", CODE("\x41\x89\xc2\x47\x0f\xb6\x84\x17\x80\x01\x00\x00" EXIT) },
	{ "field", "base_of[] by a guest value", CODE("\x41\x89\xc0\x4f\x8b\x84\xc7\x00\x01\x00\x00" EXIT) },
	{ "field", "loadable[] scaled", CODE("\x44\x0f\xb7\xd0\x47\x0f\xb6\x84\xd7\x80\x01\x00\x00" EXIT) },
	{ "table", "a write to the table", CODE("\x41\x89\x06" EXIT) },
	{ "table", "an index of 32 bits", CODE("\x41\x89\xc1\x47\x8b\x14\xce" EXIT) },
	{ "table", "beyond the table", CODE("\x45\x8b\x96\x58\x6f\x08\x00" EXIT) },
	{ "table", "below the table", CODE("\x45\x8b\x56\xf8" EXIT) },
	{ "table", "half an entry further", CODE("\x44\x0f\xb7\xc8\x47\x8b\x54\xce\x08" EXIT) },
	{ "table", "an entry of no depth", CODE("\x44\x0f\xb7\xc8" DEEP_ENTRY("\xc4") EXIT) },
	{ "table", "an entry of the eighth depth", CODE("\x44\x0f\xb7\xc8\x47\x8b\x9c\xce\x44\x7f\x00\x00" EXIT) },
	{ "table", "host code of another depth", CODE("\x44\x0f\xb7\xc8\x47\x8b\x5c\xce\x04" DEEP_ENTRY_KEY DEEP_JUMP("\x03")) },
	{ "exit", "a depth that there is not", CODE("\x65\x67\x44\x8b\x44\x24\xf0\x45\x0f\xb7\xc8" DEEP_ENTRY("\xbc") DEEP_ENTRY_KEY
	       DEEP_JUMP("\x08")) },
	{ "table", "an entry in a guest register", CODE("\x41\x8b\x46\x08" EXIT) },
	{ "table", "eight bytes", CODE("\x4d\x8b\x4e\x08" EXIT) },
	{ "table", "compared with another EIP", CODE("\x44\x0f\xb7\xc8\x47\x8b\x5c\xce\x04\x47\x8b\x14\xce\x43\x8d"
	       "\x0c\x02" EXIT) },
	{ "table", "key before host address", CODE("\x45\x8b\x96\xa0\x91\x00\x00\x45\x8b\x9e\xa4\x91\x00\x00" EXIT) },
	{ "table", "key of another entry", CODE("\x45\x8b\x9e\xa4\x91\x00\x00\x45\x8b\x96\xa8\x91\x00\x00" EXIT) },
	{ "indirect", "host address read again", CODE("\x45\x8b\x9e\xa4\x91\x00\x00\x45\x8b\x96\xa0\x91\x00\x00\x45\x8b\x9e"
	       "\xa4\x91\x00\x00\x49\x89\xc9\x41\x8d\x8a\x34\x12\x04\x08\xe3\x16\x4c\x89\xc9\x41\xb8\x34\x12\x04\x08\x41\xb9"
	       "\x00\x00\x00\x00\x41\xff\xa7\xc8\x00\x00\x00\x4c\x89\xc9\x41\xff\xe3") },
	{ "table", "compared with another constant", CODE("\x45\x8b\x9e\xa4\x91\x00\x00\x45\x8b\x96\xa0\x91\x00"
	       "\x00\x41\x8d\x8a\x36\x12\x04\x08" EXIT) },
	{ "indirect", "compared for LOOP, asked by JRCXZ", CODE("\x45\x8b\x9e\xa4\x91\x00\x00\x45\x8b\x96\xa0\x91\x00\x00\x49\x89\xc9"
	       "\x41\x8d\x8a\x35\x12\x04\x08\xe3\x16\x4c\x89\xc9\x41\xb8\x34\x12\x04\x08\x41\xb9\x00\x00\x00\x00\x41\xff\xa7\xc8\x00"
	       "\x00\x00\x4c\x89\xc9\x41\xff\xe3") },
	{ "prefix", "compared for JRCXZ, asked by LOOP", CODE("\x45\x8b\x9e\xa4\x91\x00\x00\x45\x8b\x96\xa0\x91\x00\x00\x49\x89\xc9"
	       "\x41\x8d\x8a\x34\x12\x04\x08\xe2\x06\x4c\x89\xc9\x41\xff\xe3" EXIT) },
	{ "indirect", "where LOOP found another entry", CODE("\x45\x8b\x9e\xa4\x91\x00\x00\x45\x8b\x96\xa0\x91\x00\x00\x49\x89\xc9"
	       "\x41\x8d\x8a\x35\x12\x04\x08\xe2\x16\x4c\x89\xc9\x41\xb8\x34\x12\x04\x08\x41\xb9\x00\x00\x00\x00\x41\xff\xa7\xc8\x00"
	       "\x00\x00\x4c\x89\xc9\x41\xff\xe3") },
	{ "exit", "what LOOP leaves in RCX", CODE("\x45\x8b\x9e\xa4\x91\x00\x00\x45\x8b\x96\xa0\x91\x00\x00\x41\x8d\x8a\x35\x12\x04"
	       "\x08\xe2\x03\x41\xff\xe3" EXIT) },
	{ "value", "the window's address to the guest", CODE("\x4d\x8b\x47\x30\x65\x67\x44\x89\x00" EXIT) },
	{ "value", "the window's address to a guest register", CODE("\x4d\x8b\x47\x30\x44\x89\xc0" EXIT) },
	{ "value", "a host code address to the guest", CODE("\x45\x8b\x4e\x04\x44\x89\xc8" EXIT) },
	{ "value", "unknown bits to the guest", CODE("\x65\x67\x44\x89\x20" EXIT) },
	{ "value", "unknown upper half to the guest", CODE("\x66\x65\x67\x44\x8b\x00\x44\x89\xc0" EXIT) },
	{ "value", "a guest value as a descriptor's number", CODE("\x41\x89\xc0\x45\x89\x87\x88\x00\x00\x00" EXIT) },
	{ "value", "a guest value as a base's place", CODE("\x49\x89\xc8\x4d\x89\x87\xb0\x00\x00\x00" EXIT) },
	{ "value", "more than a selector", CODE("\x41\x89\xc2\x45\x89\x57\x70" EXIT) },
	{ "value", "an address made from the window", CODE("\x4d\x8b\x47\x30\x42\x8d\x04\x03" EXIT) },
	{ "value", "r15 to a guest register", CODE("\x44\x89\xf8" EXIT) },
	{ "value", "r14 to guest memory", CODE("\x65\x67\x44\x89\x30" EXIT) },
	{ "wide", "a 64-bit immediate", CODE("\x48\xb8\x9a\x78\x56\x34\x12\x00\x00\x00" EXIT) },
	{ "wide", "a 64-bit addition", CODE("\x48\x01\xc8" EXIT) },
	{ "wide", "a 64-bit move to another register than RCX", CODE("\x49\x89\xc9\x4c\x89\xc8" EXIT) },
	{ "wide", "64 bits of guest memory", CODE("\x65\x67\x48\x8b\x00" EXIT) },
	{ "wide", "rsp", CODE("\x48\x8d\x64\x24\xf8" EXIT) },
	{ "wide", "rsp moved", CODE("\x48\x89\xcc" EXIT) },
	{ "wide", "rcx from something wide", CODE("\x4d\x8b\x47\x30\x4c\x89\xc1" EXIT) },
	{ "wide", "a window address elsewhere", CODE("\x4d\x8b\x47\x30\x4a\x8d\x04\x06" EXIT) },
	{ "wide", "the window in a guest register", CODE("\x49\x8b\x7f\x30" EXIT) },
	{ "listed", "sign extension", CODE("\x48\x98" EXIT) },
	{ "wide", "pextrq", CODE("\x66\x48\x0f\x3a\x16\xc0\x01" EXIT) },
	{ "reserved", "r15 written", CODE("\x49\x89\xcf" EXIT) },
	{ "reserved", "r15d written", CODE("\x41\xbf\x01\x00\x00\x00" EXIT) },
	{ "reserved", "r14 written", CODE("\x44\x8d\x30" EXIT) },
	{ "reserved", "r14 incremented", CODE("\x49\xff\xc6" EXIT) },
	{ "reserved", "r15 loaded", CODE("\x4d\x8b\x7f\x30" EXIT) },
	{ "reserved", "r15 exchanged", CODE("\x49\x87\xcf" EXIT) },
	{ "reserved", "r14b by setcc", CODE("\x41\x0f\x94\xc6" EXIT) },
	{ "scratch", "arithmetic on r8", CODE("\x41\x01\xc0" EXIT) },
	{ "scratch", "xmm8", CODE("\x44\x0f\x28\xc0" EXIT) },
	{ "scratch", "bytes of r8", CODE("\x41\x88\xc0" EXIT) },
	{ "scratch", "r12 exchanged", CODE("\x49\x94" EXIT) },
	{ "string", "guest values as host addresses", CODE("\xf3\xa5" EXIT) },
	{ "string", "only one operand made", CODE("\x4d\x8b\x47\x30\x4a\x8d\x3c\x07\xa5" EXIT) },
	{ "string", "twice without cutting", CODE("\x4d\x8b\x47\x30\x4a\x8d\x3c\x07\xab\xab\x89\xff" EXIT) },
	{ "string", "the window added twice", CODE("\x4d\x8b\x47\x30\x4a\x8d\x3c\x07\x4a\x8d\x3c\x07\xab\x89\xff" EXIT) },
	{ "string", "something else added", CODE("\x49\x89\xc8\x4a\x8d\x3c\x07\xab\x89\xff" EXIT) },
	{ "string", "eight bytes at a time", CODE("\x4d\x8b\x47\x30\x4a\x8d\x3c\x07\x48\xab\x89\xff" EXIT) },
	{ "windowed", "32-bit addresses in the host's memory", CODE("\x67\xaa" EXIT) },
	{ "windowed", "a segment on a string operand", CODE("\x4d\x8b\x47\x30\x4a\x8d\x34\x06\x65\xac\x89\xf6" EXIT) },
	{ "target", "out of the block", CODE("\xe9\xfb\x0f\x00\x00" EXIT) },
	{ "target", "in front of the block", CODE("\xeb\xee" EXIT) },
	{ "target", "to its end", CODE("\xeb\x00") },
	{ "target", "into an instruction", CODE("\x75\x02\xb8\x90\x90\x90\x90" EXIT) },
	{ "target", "backward", CODE("\xb8\x01\x00\x00\x00\xb9\x02\x00\x00\x00\x75\xf9" EXIT) },
	{ "indirect", "to a guest value", CODE("\xff\xe0") },
	{ "indirect", "to an entry that was not compared", CODE("\x44\x0f\xb7\xc8\x47\x8b\x4c\xce\x04\x41\xff\xe1") },
	{ "indirect", "to an entry on a miss", CODE("\x45\x8b\x5e\x0c\x45\x8b\x56\x08\x49\x89\xc9\x41\x8d\x4a\x01"
	       "\xe3\x06\x4c\x89\xc9\x41\xff\xe3\x4c\x89\xc9\x41\xff\xe3") },
	{ "indirect", "through guest memory", CODE("\x65\x67\xff\x20") },
	{ "indirect", "through another field", CODE("\x41\xff\x67\x48") },
	{ "indirect", "behind the exits", CODE("\x41\xff\xa7\xf0\x00\x00\x00") },
	{ "indirect", "between two exits", CODE("\x41\xff\xa7\xc4\x00\x00\x00") },
	{ "indirect", "an indexed exit", CODE("\x44\x0f\xb7\xc0\x43\xff\xa4\xc7\xc0\x00\x00\x00") },
	{ "indirect", "through the jump table", CODE("\x41\xff\x66\x08") },
	{ "indirect", "to the window", CODE("\x4d\x8b\x47\x30\x41\xff\xe0") },
	{ "exit", "a string address left", CODE("\x4d\x8b\x47\x30\x4a\x8d\x34\x06\xac" EXIT) },
	{ "exit", "the comparison left in ecx", CODE("\x45\x8b\x5e\x0c\x45\x8b\x56\x08\x41\x8d\x4a\x01" EXIT) },
	{ "exit", "a link's number from the guest", CODE("\x41\x89\xc1\x41\xff\xa7\xc0\x00\x00\x00") },
	{ "exit", "no number at all", CODE("\x41\xff\xa7\xc0\x00\x00\x00") },
	{ "exit", "an emulated instruction's number from the guest", CODE("\x41\xb8\x01\x00\x00\x00\x41\x89\xc1"
	       "\x41\xff\xa7\xd0\x00\x00\x00") },
	{ "exit", "no EIP", CODE("\x41\xff\xa7\xe0\x00\x00\x00") },
	{ "exit", "a string address at its own start", CODE("\x4d\x8b\x47\x30\x4a\x8d\x34\x06\xeb\xf6") },
	{ "exit", "a miss without a check", CODE(ADDRESS_IN_R8 "\x41\xb9\x00\x10\x04\x08\x41\xba\x04\x00\x00\x00"
	       "\x41\xff\xa7\xe8\x00\x00\x00") },
	{ "exit", "a check with a string address about", CODE("\x4d\x8b\x47\x30\x4a\x8d\x34\x06" ADDRESS_IN_R8 CHECK_READ4
	       "\x41\x8b\x01\x89\xf6" EXIT) },
	{ "check", "the last byte of another size", CODE(ADDRESS_IN_R8 CHECK("\x00", READ, KIND("\x04", "\x00")) "\x41\x8b\x01" EXIT) },
	{ "check", "the last byte in front of the first", CODE(ADDRESS_IN_R8 CHECK("\xff", READ, KIND("\x00", "\x00"))
	       "\x41\x8b\x01" EXIT) },
	{ "check", "three bytes", CODE(ADDRESS_IN_R8 CHECK("\x02", READ, KIND("\x03", "\x00")) "\x41\x8a\x01" EXIT) },
	{ "check", "thirty-two bytes", CODE(ADDRESS_IN_R8 CHECK("\x1f", READ, KIND("\x20", "\x00")) "\x41\x8b\x01" EXIT) },
	{ "check", "C is told of another size", CODE(ADDRESS_IN_R8 CHECK("\x03", READ, KIND("\x02", "\x00")) "\x41\x8b\x01" EXIT) },
	{ "check", "C is told of a read", CODE(ADDRESS_IN_R8 CHECK("\x03", WRITE, KIND("\x04", "\x00")) "\x41\x89\x01" EXIT) },
	{ "check", "C is told of a write", CODE(ADDRESS_IN_R8 CHECK("\x03", READ, KIND("\x04", "\x01")) "\x41\x89\x01" EXIT) },
	{ "check", "C is told of something else", CODE(ADDRESS_IN_R8 CHECK("\x03", READ, KIND("\x04", "\x02")) "\x41\x8b\x01" EXIT) },
	{ "check", "the addend as a tag", CODE(ADDRESS_IN_R8 CHECK("\x03", ADDEND, KIND("\x04", "\x00")) "\x41\x8b\x01" EXIT) },
	{ "check", "between two tags", CODE(ADDRESS_IN_R8 CHECK("\x03", "\x82\x01\x02\x00", KIND("\x04", "\x00")) "\x41\x8b\x01"
	       EXIT) },
	{ "check", "the next entry's tag", CODE(ADDRESS_IN_R8 CHECK("\x03", "\x90\x01\x02\x00", KIND("\x04", "\x00")) "\x41\x8b\x01"
	       EXIT) },
	{ "check", "another addend", CODE(ADDRESS_IN_R8 SAVE LAST("\x03") INDEX COMPARE(READ) LOAD("\x98\x01\x02\x00")
	       MISS(KIND("\x04", "\x00")) "\x41\x8b\x01" EXIT) },
	{ "check", "no compare", CODE(ADDRESS_IN_R8 SAVE LAST("\x03") INDEX LOAD(ADDEND) MISS(KIND("\x04", "\x00"))
	       "\x41\x8b\x01" EXIT) },
	{ "check", "je instead of jne", CODE(ADDRESS_IN_R8 SAVE LAST("\x03") INDEX "\x47\x3b\x8c\x17" READ "\x74\x13" LOAD(ADDEND)
	       MISS(KIND("\x04", "\x00")) "\x41\x8b\x01" EXIT) },
	{ "check", "a miss goes on", CODE(ADDRESS_IN_R8 SAVE LAST("\x03") INDEX "\x47\x3b\x8c\x17" READ "\x75\x2c" LOAD(ADDEND)
	       MISS(KIND("\x04", "\x00")) "\x41\x8b\x01" EXIT) },
	{ "check", "an index of 20 bits", CODE(ADDRESS_IN_R8 SAVE LAST("\x03") "\x45\x89\xc2\x41\xc1\xea\x0c\x41\xc1\xe2\x04"
	       "\x41\x81\xe1\x00\xf0\xff\xff" COMPARE(READ) LOAD(ADDEND) MISS(KIND("\x04", "\x00")) "\x41\x8b\x01" EXIT) },
	{ "check", "an index of 16 bits", CODE(ADDRESS_IN_R8 SAVE LAST("\x03") "\x45\x89\xc2\x41\xc1\xea\x0c\x45\x0f\xb7\xd2"
	       "\x41\xc1\xe2\x04\x41\x81\xe1\x00\xf0\xff\xff" COMPARE(READ) LOAD(ADDEND) MISS(KIND("\x04", "\x00"))
	       "\x41\x8b\x01" EXIT) },
	{ "check", "the index of the last byte", CODE(ADDRESS_IN_R8 SAVE LAST("\x03") "\x45\x89\xca\x41\xc1\xea\x0c"
	       "\x45\x0f\xb6\xd2\x41\xc1\xe2\x04\x41\x81\xe1\x00\xf0\xff\xff" COMPARE(READ) LOAD(ADDEND) MISS(KIND("\x04", "\x00"))
	       "\x41\x8b\x01" EXIT) },
	{ "check", "compared with a part of the page", CODE(ADDRESS_IN_R8 SAVE LAST("\x03") "\x45\x89\xc2\x41\xc1\xea\x0c"
	       "\x45\x0f\xb6\xd2\x41\xc1\xe2\x04\x41\x81\xe1\x00\xf0\xff\x0f" COMPARE(READ) LOAD(ADDEND)
	       MISS(KIND("\x04", "\x00")) "\x41\x8b\x01" EXIT) },
	{ "check", "another exit", CODE(ADDRESS_IN_R8 SAVE LAST("\x03") INDEX COMPARE(READ) LOAD(ADDEND) RESTORE
	       "\x41\xb9\x00\x10\x04\x08\x41\xba\x04\x00\x00\x00\x41\xff\xa7\xd0\x00\x00\x00\x41\x8b\x01" EXIT) },
	{ "check", "cut in the middle", CODE(ADDRESS_IN_R8 SAVE LAST("\x03") INDEX) },
	{ "scratch", "flags and rax not saved", CODE(ADDRESS_IN_R8 LAST("\x03") INDEX COMPARE(READ) LOAD(ADDEND)
	       MISS(KIND("\x04", "\x00")) "\x41\x8b\x01" EXIT) },
	{ "value", "a check of an unknown address", CODE(CHECK_READ4 "\x41\x8b\x01" EXIT) },
	{ "value", "a check of the window's address", CODE("\x4d\x8b\x47\x30" CHECK_READ4 "\x41\x8b\x01" EXIT) },
	{ "value", "a check of half an address", CODE("\x66\x65\x67\x44\x8b\x00" CHECK_READ4 "\x41\x8b\x01" EXIT) },
	{ "access", "a store after the read tag", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x89\x01" EXIT) },
	{ "access", "an addition after the read tag", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x01\x01" EXIT) },
	{ "access", "an exchange after the read tag", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x87\x01" EXIT) },
	{ "access", "more than was checked", CODE(ADDRESS_IN_R8 CHECK_READ1 "\x41\x8b\x01" EXIT) },
	{ "access", "eight bytes where four were checked", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x49\x8b\x01" EXIT) },
	{ "access", "a vector where four bytes were checked", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x0f\x28\x01" EXIT) },
	{ "access", "a store of a vector after the read tag", CODE(ADDRESS_IN_R8 CHECK_READ16 "\xf3\x41\x0f\x7f\x01" EXIT) },
	{ "access", "a shift after the read tag", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\xd3\x21" EXIT) },
	{ "access", "an MMX register", CODE(ADDRESS_IN_R8 CHECK_READ16 "\x41\x0f\x6f\x01" EXIT) },
	{ "access", "the x87", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\xd9\x01" EXIT) },
	{ "access", "an exchange of two registers before it", CODE(ADDRESS_IN_R8 CHECK_WRITE1 "\x86\xe3\x41\x88\x01" EXIT) },
	{ "access", "a displacement", CODE(ADDRESS_IN_R8 CHECK_READ1 "\x41\x8a\x41\x01" EXIT) },
	{ "access", "a displacement of 0", CODE(ADDRESS_IN_R8 CHECK_READ1 "\x41\x8a\x41\x00" EXIT) },
	{ "access", "an index", CODE(ADDRESS_IN_R8 CHECK_READ1 "\x41\x8a\x04\x09" EXIT) },
	{ "windowed", "32 bits of a checked address", CODE(ADDRESS_IN_R8 CHECK_READ1 "\x67\x41\x8a\x01" EXIT) },
	{ "access", "in the window", CODE(ADDRESS_IN_R8 CHECK_READ1 "\x65\x67\x41\x8a\x01" EXIT) },
	{ "access", "a lock beyond what was checked for writing", CODE(ADDRESS_IN_R8 CHECK_READ4 "\xf0\x41\x01\x01" EXIT) },
	{ "reserved", "r13 loaded from guest memory", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x45\x8b\x29" EXIT) },
	{ "scratch", "r10 loaded from guest memory", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x45\x8b\x11" EXIT) },
	{ "scratch", "an unknown r12 stored", CODE(ADDRESS_IN_R8 CHECK_WRITE4 "\x45\x89\x21" EXIT) },
	{ "scratch", "half of r12 stored", CODE(ADDRESS_IN_R8 CHECK_WRITE4 "\x66\x45\x89\x21" EXIT) },
	{ "access", "a bit test, which goes elsewhere", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x0f\xa3\x01" EXIT) },
	{ "scratch", "a scratch register stored", CODE(ADDRESS_IN_R8 CHECK_WRITE4 "\x45\x89\x19" EXIT) },
	{ "access", "another register's address", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x8b\x00" EXIT) },
	{ "access", "no access", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x89\xc0" EXIT) },
	{ "access", "r9 copied", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x44\x89\xc8" EXIT) },
	{ "access", "r9 moved by lea", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x4d\x8d\x09\x41\x8b\x01" EXIT) },
	{ "access", "a jump in between", CODE(ADDRESS_IN_R8 CHECK_READ4 "\xeb\x00\x41\x8b\x01" EXIT) },
	{ "access", "a string instruction", CODE(ADDRESS_IN_R8 CHECK_READ4 "\xa4" EXIT) },
	{ "access", "a check behind a check", CODE(ADDRESS_IN_R8 CHECK_WRITE4 CHECK_READ4 "\x41\x8b\x01" EXIT) },
	{ "listed", "a segment register loaded", CODE(ADDRESS_IN_R8 CHECK("\x01", READ, KIND("\x02", "\x00")) "\x41\x8e\x19" EXIT) },
	{ "memory", "r9 twice", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x8b\x01\x41\x03\x01" EXIT) },
	{ "memory", "r9 without a check", CODE("\x41\x8b\x01" EXIT) },
	{ "value", "r9 shown later", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x8b\x01\x44\x89\xc8" EXIT) },
	{ "value", "the entry's place shown", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x8b\x01\x44\x89\xd0" EXIT) },
	{ "field", "an entry read on the way", CODE(ADDRESS_IN_R8 CHECK_READ4 "\x41\x8b\x01\x4f\x8b\x8c\x17" ADDEND EXIT) },
	{ "memory", "a jump around the check", CODE(ADDRESS_IN_R8 "\x75\x57" CHECK_READ4 "\x41\x8b\x01" EXIT) },
	{ "target", "a jump into the check", CODE(ADDRESS_IN_R8 "\x75\x2b" CHECK_READ4 "\x41\x8b\x01" EXIT) },
	{ "end", "nothing behind the check", CODE(ADDRESS_IN_R8 CHECK_READ4) },
	{ "dead", "behind a jump", CODE("\x41\xb9\x01\x00\x00\x00\x41\xff\xa7\xc0\x00\x00\x00" EXIT) },
	{ "end", "falls out", CODE("\xb8\x01\x00\x00\x00") },
	{ "end", "empty", CODE("") },
};

enum { EXAMPLES = sizeof(examples) / sizeof(examples[0]) };

/* Does the verdict's first word name the rule? */
static bool names_rule(const char *why, const char *rule)
{
	size_t len = strlen(rule);

	return !strncmp(why, rule, len) && why[len] == ' ';
}

static bool judged_well(const struct example *e)
{
	char why[512] = "accepted";
	bool accepted = isolation_check(e->by_register, e->code, e->len, ADDRESS, why, sizeof(why));
	bool well = e->rule ? !accepted && names_rule(why, e->rule) : accepted;

	if (!well)
		print_error("%s: expected %s, got: %s\n", e->name, e->rule ? e->rule : "accepted", why);
	return well;
}

static void accepts_what_the_translator_makes(void **state)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < EXAMPLES; i++)
		wrong += !examples[i].rule && !judged_well(&examples[i]);
	assert_int_equal(wrong, 0);
}

static void refuses_what_breaks_a_rule(void **state)
{
	unsigned wrong = 0;

	for (unsigned i = 0; i < EXAMPLES; i++)
		wrong += examples[i].rule && !judged_well(&examples[i]);
	assert_int_equal(wrong, 0);
}

/* A good block with any byte cut off its end runs on into whatever lies behind it. */
static void refuses_every_beginning(void **state)
{
	char why[512];

	for (unsigned i = 0; i < EXAMPLES; i++)
		for (uint32_t len = 0; !examples[i].rule && len < examples[i].len; len++)
			assert_false(isolation_check(examples[i].by_register, examples[i].code, len, ADDRESS, why, sizeof(why)));
}

/* A store behind a check, but for one byte. */
static bool accepts_changed(unsigned at, unsigned change)
{
	uint8_t code[] = ADDRESS_IN_R8 CHECK_WRITE4 "\x41\x89\x31" EXIT;
	char why[512];

	code[at] ^= (uint8_t)change;
	return isolation_check(false, code, sizeof(code) - 1, ADDRESS, why, sizeof(why));
}

/* A check has no byte that could be another, but for EIP. */
static void refuses_every_other_check(void **state)
{
	enum { BEGIN = 4, EIP_AT = BEGIN + 70, END = BEGIN + 87 };

	assert_true(accepts_changed(BEGIN, 0));
	for (unsigned at = BEGIN; at < END; at++)
		for (unsigned change = 1; change < 256; change++)
			assert_int_equal(accepts_changed(at, change), at >= EIP_AT && at < EIP_AT + 4);
}

static bool accepts(const char *bytes, size_t len, size_t at, unsigned change)
{
	uint8_t code[256];
	char why[512];

	memcpy(code, bytes, len);
	code[at] ^= (uint8_t)change;
	return isolation_check(false, code, (uint32_t)len, ADDRESS, why, sizeof(why));
}

/* Nor have PUSHF and POPF, but for the two constants on POPF's way to C. */
static void refuses_every_other_flags(void **state)
{
	static const char pushf[] = PUSHF("\xc8") "\x65\x67\x44\x89\x4c\x24\xfc" EXIT, popf[] = POP_R8 POPF("\xd5\x0c") EXIT;
	enum { PUSHF_LEN = 50, POPF_BEGIN = 7, POPF_LEN = 103, NOTE = POPF_BEGIN + POPF_LEN - 17, EIP = NOTE + 6 };

	assert_true(accepts(pushf, sizeof(pushf) - 1, 0, 0));
	assert_true(accepts(popf, sizeof(popf) - 1, 0, 0));
	for (unsigned change = 1; change < 256; change++) {
		for (size_t at = 0; at < PUSHF_LEN; at++)
			assert_false(accepts(pushf, sizeof(pushf) - 1, at, change));
		for (size_t at = POPF_BEGIN; at < POPF_BEGIN + POPF_LEN; at++)
			assert_int_equal(accepts(popf, sizeof(popf) - 1, at, change), (at - NOTE < 4 || at - EIP < 4));
	}
}

/* A verdict names the instruction, where it is, and the reason. */
static void explains(void **state)
{
	static const uint8_t code[] = { 0x65, 0x67, 0x8b, 0x00, 0x0f, 0x05 };
	char why[512], little[8];

	assert_false(isolation_check(false, code, sizeof(code), ADDRESS, why, sizeof(why)));
	assert_non_null(strstr(why, "listed at 0x4: syscall: "));
	assert_false(isolation_check(false, code, sizeof(code), ADDRESS, little, sizeof(little)));
	assert_string_equal(little, "listed ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(accepts_what_the_translator_makes),
		cmocka_unit_test(refuses_what_breaks_a_rule),
		cmocka_unit_test(refuses_every_beginning),
		cmocka_unit_test(refuses_every_other_check),
		cmocka_unit_test(refuses_every_other_flags),
		cmocka_unit_test(explains),
	};

	return cmocka_run_group_tests_name("isolation checker", tests, NULL, NULL);
}
