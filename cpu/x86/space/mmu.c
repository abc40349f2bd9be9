/* SPDX-License-Identifier: MIT */
/*
 * mmu.c - the address space in force, and guest memory by linear address from C.
 *
 * Windows are a cache of what the tables say, and a fault in one belongs to translated code. C code does not touch windows: it
 * walks the tables and uses the linear mapping of RAM.
 */
#include "cpu/x86/space/mmu.h"

#include "cpu/x86/copy.h"
#include "cpu/x86/space/codepage.h"
#include "cpu/x86/space/mmu-pae.h"
#include "cpu/x86/space/warm.h"

/* --- the address space in force ------------------------------------------------------------------------------------------- */

enum { SET_WP = 1, SET_PSE = 2, SET_NX = 4, SET_PGE = 8 };

void mmu_set_linear(struct cpu *cpu, uint32_t limit)
{
	cpu->mmu = (struct mmu){ .mode = &mmu_linear, .root = MMU_LINEAR, .limit = limit,
				 .write_needs = { PTE_RW | PTE_D, PTE_RW | PTE_D } };
}

void mmu_set_lguest(struct cpu *cpu, uint32_t pgd)
{
	cpu->mmu = (struct mmu){ .mode = &mmu_lguest, .root = pgd & PTE_FRAME, .root_mask = PTE_FRAME,
				 .write_needs = { PTE_RW | PTE_D, PTE_RW | PTE_D } };
}

bool mmu_set(struct cpu *cpu, const struct cpu_paging *paging)
{
	static const struct mmu_mode *const modes[] = { [PAGING_OFF] = &mmu_off, [PAGING_32] = &mmu_32, [PAGING_PAE] = &mmu_pae };
	static const uint32_t root_mask[] = { [PAGING_OFF] = 0, [PAGING_32] = PTE_FRAME, [PAGING_PAE] = ~31u };
	bool pae = paging->mode == PAGING_PAE;
	struct mmu mmu = {
		.mode = modes[paging->mode],
		.root = paging->mode == PAGING_OFF ? MMU_LINEAR : paging->root & root_mask[paging->mode],
		.root_mask = root_mask[paging->mode],
		.flags = (paging->wp ? SET_WP : 0) | (paging->pse ? SET_PSE : 0) | (paging->nx ? SET_NX : 0) | (paging->pge ? SET_PGE : 0),
		.write_needs = { PTE_D | (paging->wp ? PTE_RW : 0), PTE_D | PTE_RW },
		.large_bit = paging->pse ? PTE_PS : 0,
		.all_local = paging->pge ? 0 : PTE_LOCAL,
		.fetch_error = pae && paging->nx ? PF_FETCH : 0,
		.reserved = mmu_pae_reserved(paging->nx),
	};

	if (pae && !mmu_pae_load(cpu, mmu.root, mmu.pdpte))
		return false;
	cpu->mmu = mmu;
	return true;
}

int mmu_fail(const struct cpu *cpu, uint32_t linear, unsigned access, uint32_t reason, struct cpu_fault *fault)
{
	fault->vector = TRAP_PF;
	fault->address = linear;
	fault->error = reason | (access & MMU_WRITE ? PF_WRITE : 0) | (access & MMU_USER ? PF_USER : 0) |
		       (access & MMU_FETCH ? cpu->mmu.fetch_error : 0);
	return TRAP_PF;
}

/* --- memory for C --------------------------------------------------------------------------------------------------------- */

uint8_t *mmu_host(struct cpu *cpu, uint32_t pte, bool write)
{
	if (pte >> PAGE_SHIFT < cpu->ram.pages) {
		warm_frame(cpu, pte >> PAGE_SHIFT);
		return cpu->ram.base + (pte & PTE_FRAME);
	}
	return write ? cpu->void_sink : cpu->void_ones;
}

int mmu_fetch(struct cpu *cpu, uint32_t linear, uint32_t *physical, bool *known, struct cpu_fault *fault)
{
	uint32_t pte;
	bool noted;
	int vector = mmu_walk(cpu, linear, MMU_FETCH | (cpu->user ? MMU_USER : 0), &pte, fault);

	if (vector)
		return vector;
	if (pte >> PAGE_SHIFT == frame_void(cpu)) {	/* ones: no instruction begins with FF FF */
		*fault = (struct cpu_fault){ .vector = TRAP_UD };
		return TRAP_UD;
	}
	*physical = (pte & PTE_FRAME) | (linear & PAGE_MASK);
	noted = codepage_note(cpu, linear, pte);
	if (known)
		*known = noted;
	return 0;
}

/* Host addresses of a range that touches at most two pages. */
static int locate(struct cpu *cpu, uint32_t address, uint32_t len, unsigned access, uint8_t *at[2], uint32_t frame[2],
		  struct cpu_fault *fault)
{
	uint32_t pte;

	for (unsigned i = 0; i < 2; i++) {
		uint32_t linear = i ? (address | PAGE_MASK) + 1 : address;
		int vector;

		if (i && (address & PAGE_MASK) + len <= PAGE_SIZE)
			break;
		vector = mmu_walk(cpu, linear, access, &pte, fault);
		if (vector)
			return vector;
		frame[i] = pte >> PAGE_SHIFT;
		at[i] = mmu_host(cpu, pte, access & MMU_WRITE) + (linear & PAGE_MASK);
	}
	return 0;
}

/*
 * A system call reads a gate, three descriptors, a stack pointer and a frame, always the same. Like a TLB this remembers what a
 * walk has found, until the guest announces a change. Only for a guest in ring 0: the lguest machine's contract knows no TLB.
 */
static struct host_page *remembered(struct cpu *cpu, uint32_t address, uint32_t len, bool write)
{
	uint32_t page = address >> PAGE_SHIFT;
	struct host_page *p = &cpu->host_pages[write][page % HOST_PAGES];

	return p->age == cpu->translation_age && p->page == page && (address & PAGE_MASK) + len <= PAGE_SIZE ? p : NULL;
}

static void remember(struct cpu *cpu, uint32_t address, uint32_t frame, bool write)
{
	uint32_t page = address >> PAGE_SHIFT;

	if (!cpu->system_mode || frame >= cpu->ram.pages)
		return;
	cpu->host_pages[write][page % HOST_PAGES] = (struct host_page){ .age = cpu->translation_age, .page = page, .frame = frame,
									 .host = cpu->ram.base + ((size_t)frame << PAGE_SHIFT) };
}

int cpu_read(struct cpu *cpu, uint32_t address, void *buf, uint32_t len, bool user, struct cpu_fault *fault)
{
	const struct host_page *known = user ? NULL : remembered(cpu, address, len, false);
	uint8_t *at[2], *to = buf;
	uint32_t frame[2];

	if (known) {
		copy_bytes(buf, known->host + (address & PAGE_MASK), len);
		return 0;
	}
	while (len) {
		uint32_t first = PAGE_SIZE - (address & PAGE_MASK);
		uint32_t n = len < first ? len : first;
		int vector = locate(cpu, address, n, user ? MMU_USER : 0, at, frame, fault);

		if (vector)
			return vector;
		if (!user)
			remember(cpu, address, frame[0], false);
		copy_bytes(to, at[0], n);
		address += n;
		to += n;
		len -= n;
	}
	return 0;
}

static int write_two(struct cpu *cpu, uint32_t address, const uint8_t *from, uint32_t len, bool user, struct cpu_fault *fault)
{
	uint32_t first = PAGE_SIZE - (address & PAGE_MASK);
	uint8_t *at[2];
	uint32_t frame[2];
	int vector = locate(cpu, address, len, MMU_WRITE | (user ? MMU_USER : 0), at, frame, fault);

	if (vector)
		return vector;
	frame_written(cpu, frame[0]);
	if (!user)
		remember(cpu, address, frame[0], true);
	copy_bytes(at[0], from, len < first ? len : first);
	if (len > first) {
		frame_written(cpu, frame[1]);
		copy_bytes(at[1], from + first, len - first);
	}
	return 0;
}

int cpu_write(struct cpu *cpu, uint32_t address, const void *buf, uint32_t len, bool user, struct cpu_fault *fault)
{
	const struct host_page *known = user ? NULL : remembered(cpu, address, len, true);
	const uint8_t *from = buf;

	if (known) {
		frame_written(cpu, known->frame);
		copy_bytes(known->host + (address & PAGE_MASK), buf, len);
		return 0;
	}
	for (uint32_t at = 0; len > PAGE_SIZE && at < len; at += PAGE_SIZE) {	/* a long range: look at all of it first */
		uint32_t pte;
		int vector = mmu_walk(cpu, address + at, MMU_WRITE | (user ? MMU_USER : 0), &pte, fault);

		if (vector)
			return vector;
	}
	while (len) {
		uint32_t n = len < PAGE_SIZE ? len : PAGE_SIZE;
		int vector = write_two(cpu, address, from, n, user, fault);

		if (vector)
			return vector;
		address += n;
		from += n;
		len -= n;
	}
	return 0;
}
