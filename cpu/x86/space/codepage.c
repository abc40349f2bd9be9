/* SPDX-License-Identifier: MIT */
/* codepage.c - pages that hold translated code. See codepage.h. */
#include <sys/mman.h>

#include "cpu/x86/space/codepage.h"

#include "cpu/x86/copy.h"
#include "cpu/x86/space/compare.h"
#include "cpu/x86/space/fill.h"
#include "cpu/x86/space/half.h"
#include "cpu/x86/space/soft.h"

enum { KERNEL_EXEC_SIZE = 1024 * sizeof(uint32_t) };

/* What must not change while jump tables and chains know the code of a page in the kernel half. */
#define KERNEL_EXEC_BITS (PTE_FRAME | PTE_P | PTE_US | PTE_NX)

/* --- writers -------------------------------------------------------------------------------------------------------------- */

void codepage_note_writer(struct cpu *cpu, struct slot *slot, uint32_t page, uint32_t number)
{
	struct frame *frame = &cpu->frames[number];
	int8_t index = (int8_t)slot->number;

	if (page - number == kernel_page(cpu) || page == number)
		return;		/* a linear map: codepage_protect() looks there anyway */
	if (frame->writer_slot >= 0 && frame->writer_slot != index && frame->writer != page)
		frame->writer_slot = -2;
	if (frame->writer_slot == -2 || (frame->writer_slot == index && frame->writer == page))
		return;
	if (frame->writer_slot == -1) {
		frame->writer_slot = index;
		frame->writer = page;
		return;
	}
	frame->writer_slot = -2;
}

static void protect_page(struct cpu *cpu, struct slot *slot, uint32_t page, uint32_t frame)
{
	uint32_t entry = shadow_get(&slot->shadow, page);

	if (!(entry & ~PTE_FRAME) || shadow_frame(entry) != frame)
		return;
	for (enum view v = VIEW_KERNEL; v < VIEWS; v++) {
		if (shadow_state(entry, v) != PAGE_WRITE)
			continue;
		maps_protect(cpu, slot, slot->view[v] + ((size_t)page << PAGE_SHIFT), PAGE_SIZE, maps_prot(PAGE_READ));
		entry = shadow_with(entry, v, PAGE_READ);
	}
	shadow_set(&slot->shadow, page, entry);
}

static void protect_everywhere(struct cpu *cpu, struct slot *slot, uint32_t frame)
{
	for (uint32_t t = 0; t < 1024; t++)
		for (unsigned i = 0; slot->shadow.table[t] && i < 1024; i++)
			if (shadow_frame(slot->shadow.table[t]->entry[i]) == frame)
				protect_page(cpu, slot, t << 10 | i, frame);
}

void codepage_protect(struct cpu *cpu, uint32_t number)
{
	struct frame *frame = &cpu->frames[number];
	uint64_t linear = kernel_page(cpu) + (uint64_t)number;

	soft_flush(cpu);
	for (unsigned i = 0; i < cpu->slot_count; i++) {
		protect_page(cpu, &cpu->slots[i], number, number);
		if (linear < 1u << 20)
			protect_page(cpu, &cpu->slots[i], (uint32_t)linear, number);
		if (frame->writer_slot == -2)
			protect_everywhere(cpu, &cpu->slots[i], number);
	}
	if (frame->writer_slot >= 0)
		protect_page(cpu, &cpu->slots[frame->writer_slot], frame->writer, number);
	frame->writer_slot = -1;
}

/* --- where code is known -------------------------------------------------------------------------------------------------- */

static bool note_kernel_code(struct cpu *cpu, uint32_t page, uint32_t pte)
{
	uint32_t **table = &cpu->kernel_exec[page >> 10], now = pte & KERNEL_EXEC_BITS;

	if (pte & PTE_LOCAL)
		local_note(&cpu->local_code, page);
	if (!*table)
		*table = maps_zeroed(KERNEL_EXEC_SIZE);
	if (!*table || (*table)[page & 1023] == now)
		return *table;
	(*table)[page & 1023] = now;
	return false;
}

bool codepage_note(struct cpu *cpu, uint32_t linear, uint32_t pte)
{
	uint32_t page = linear >> PAGE_SHIFT;
	uint32_t entry;

	if (in_kernel_half(cpu, page))
		return note_kernel_code(cpu, page, pte);
	fill_drop_other_frame(cpu, page, pte);
	if (shadow_get(&cpu->slot->shadow, page) & SHADOW_CODE)
		return true;
	compare_large(cpu, page);
	entry = shadow_get(&cpu->slot->shadow, page);
	shadow_set(&cpu->slot->shadow, page, (entry ? entry : pte & PTE_FRAME) | SHADOW_CODE);
	return false;
}

/* Kernel code is known to jump tables and chains of all address spaces. */
static void compare_kernel_page(struct cpu *cpu, uint32_t page)
{
	uint32_t *table = cpu->kernel_exec[page >> 10];
	uint32_t was = table ? table[page & 1023] : 0, now;

	if (!was)
		return;
	now = mmu_peek(cpu, page << PAGE_SHIFT);
	if (now & PTE_LOCAL)
		local_note(&cpu->local_code, page);
	if (!((now ^ was) & KERNEL_EXEC_BITS))
		return;
	table[page & 1023] = 0;
	cpu->frame_owner->drop_frame(cpu, was >> PAGE_SHIFT);
	cpu->frame_owner->forget_kernel_page(cpu, page);
}

static void compare_kernel_range(struct cpu *cpu, uint32_t first, uint32_t count)
{
	for (uint32_t page = first; cpu->kernel_exec[first >> 10] && page < first + count; page++)
		compare_kernel_page(cpu, page);
}

/* Who flushes a page of a large one flushes all of it, and nobody has noted which are. */
void codepage_compare_kernel(struct cpu *cpu, uint32_t page)
{
	compare_kernel_range(cpu, page & ~1023u, 1024);
}

void codepage_compare_all_kernel(struct cpu *cpu)
{
	cpu->local_code.count = 0;
	for (uint32_t t = kernel_table(cpu); t < 1024; t++)
		compare_kernel_range(cpu, t << 10, 1024);
}

void codepage_compare_local(struct cpu *cpu)
{
	if (cpu->local_code.count >= LOCAL_MANY)
		codepage_compare_all_kernel(cpu);
	else
		for (unsigned i = 0; i < cpu->local_code.count; i++)
			compare_kernel_page(cpu, cpu->local_code.page[i]);
}

void codepage_forget_kernel(struct cpu *cpu)
{
	cpu->local_code.count = 0;
	for (unsigned i = 0; i < 1024; i++)
		if (cpu->kernel_exec[i])
			clear_bytes(cpu->kernel_exec[i], KERNEL_EXEC_SIZE);
}

void codepage_destroy(struct cpu *cpu)
{
	for (unsigned i = 0; i < 1024; i++)
		if (cpu->kernel_exec[i])
			munmap(cpu->kernel_exec[i], KERNEL_EXEC_SIZE);
}
