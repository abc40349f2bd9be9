/* SPDX-License-Identifier: MIT */
/* segment.c - the global descriptor table, which lives in the host: 32 slots, of which we send our copies. */
#include "pup.h"

enum { ACCESS_PRESENT = 0x80, ACCESS_SEGMENT = 0x10, ACCESS_CODE = 0x0a, ACCESS_DATA = 0x02, ACCESS_RING3 = 0x60 };
enum { FLAGS_32BIT = 0x4, FLAGS_PAGES = 0x8 };

#define SLOT(selector) ((selector) >> 3)

static struct percpu percpu = { .current = &tasks[0], .check = 0x70757021 };

uint64_t segment_descriptor(uint32_t base, uint32_t limit, uint8_t access, uint8_t flags)
{
	uint32_t low = (base & 0xffff) << 16 | (limit & 0xffff);
	uint32_t high = (base & 0xff000000) | (uint32_t)flags << 20 | (limit & 0xf0000) | (uint32_t)access << 8 | (base >> 16 & 0xff);

	return (uint64_t)high << 32 | low;
}

static void load_slot(unsigned int slot, uint64_t descriptor)
{
	hypercall(LHCALL_LOAD_GDT_ENTRY, slot, descriptor, descriptor >> 32, 0);
}

/* We say DPL 0 for the kernel's segments and the host makes it 1: nothing of ring 0 is ours. */
void segment_init(void)
{
	const uint8_t kernel = ACCESS_PRESENT | ACCESS_SEGMENT, user = kernel | ACCESS_RING3, flat = FLAGS_32BIT | FLAGS_PAGES;
	uint64_t table[32] = {
		[SLOT(KERNEL_CS)] = segment_descriptor(0, 0xfffff, kernel | ACCESS_CODE, flat),
		[SLOT(KERNEL_DS)] = segment_descriptor(0, 0xfffff, kernel | ACCESS_DATA, flat),
		[SLOT(USER_CS)] = segment_descriptor(0, 0xfffff, user | ACCESS_CODE, flat),
		[SLOT(USER_DS)] = segment_descriptor(0, 0xfffff, user | ACCESS_DATA, flat),
		[SLOT(PERCPU_FS)] = segment_descriptor((uint32_t)&percpu, sizeof(percpu) - 1, kernel | ACCESS_DATA, FLAGS_32BIT),
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(table); i++)
		load_slot(i, table[i]);
	__asm__ volatile("movl %0, %%fs" : : "r"(PERCPU_FS));
}

/* The host reads the descriptors when it executes the call, and the call is queued: they must stay where they are. */
void segment_load_tls(const uint64_t tls[3])
{
	hypercall_lazy(LHCALL_LOAD_TLS, PHYSICAL(tls), 0, 0, 0);
}
