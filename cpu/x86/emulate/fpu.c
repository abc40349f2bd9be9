/* SPDX-License-Identifier: MIT */
/*
 * fpu.c - the guest's floating-point registers; see fpu.h.
 *
 * FNSTENV, FNSAVE and FXSAVE store the address of the last x87 instruction. The one that ran was ours: its address lies in the
 * code cache (below 4 GiB, so that it fits the field), and is replaced by the guest address it was translated from.
 */
#include "cpu/x86/emulate/fpu.h"

#include "cpu/x86/cache/block.h"
#include "cpu/x86/emulate/emulate.h"
#include "cpu/x86/space/mmu.h"

enum { FXSAVE_32BIT = 288 };	/* what FXSAVE writes outside 64-bit mode: eight XMM registers */

void cpu_fpu_release(struct cpu *cpu)
{
	static const uint32_t mxcsr = 0x1f80;

	if (cpu->fpu_released)
		return;
	__asm__ volatile("fxsave64 %0; fninit; ldmxcsr %1" : "=m"(cpu->fpu) : "m"(mxcsr));
	cpu->fpu_released = true;
}

void cpu_fpu_acquire(struct cpu *cpu)
{
	if (!cpu->fpu_released)
		return;
	__asm__ volatile("fxrstor64 %0" : : "m"(cpu->fpu));
	cpu->fpu_released = false;
}

static void set_guest_pointer(struct cpu *cpu, uint32_t *eip, uint16_t *selector)
{
	struct block *block;

	*selector = (uint16_t)cpu->selector[S_CS];
	if (!cache_contains(cpu->cache, *eip))
		return;
	block = block_at(cpu, *eip);
	*eip = block ? block->eip + point_at(cpu, block, *eip).guest : 0;
}

struct fpu_image {
	uint8_t bytes[512];
} __attribute__((aligned(16)));

static bool fxsave(struct cpu *cpu, uint32_t address, struct cpu_fault *fault)
{
	unsigned access = MMU_WRITE | (cpu->user ? MMU_USER : 0);
	struct fpu_image image;
	uint32_t pte;

	if (address & 15) {
		*fault = (struct cpu_fault){ .vector = TRAP_GP };
		return false;
	}
	__asm__ volatile("fxsave %0" : "=m"(image));
	set_guest_pointer(cpu, (uint32_t *)(image.bytes + 8), (uint16_t *)(image.bytes + 12));
	*(uint16_t *)(image.bytes + 20) = (uint16_t)cpu->selector[S_DS];
	/* All 512 bytes must be writable, though fewer are written. */
	if (mmu_walk(cpu, address, access, &pte, fault) || mmu_walk(cpu, (address + 511) & ~15u, access, &pte, fault))
		return false;
	return !cpu_write(cpu, address, image.bytes, FXSAVE_32BIT, cpu->user, fault);
}

/* All that FNSTENV changes. With every exception masked none is pending: no ES, no B. (FLDCW would wait, and raise #MF here.) */
static void mask_exceptions(struct fpu_image *image)
{
	*(uint16_t *)(image->bytes + 0) |= 0x3f;
	*(uint16_t *)(image->bytes + 2) &= 0x7f7f;
}

/* The 28 bytes of a 32-bit protected-mode environment, or the 14 of a 16-bit one, are at the start of what FNSAVE stores. */
static bool fnsave(struct cpu *cpu, const struct insn *insn, uint32_t address, struct cpu_fault *fault)
{
	bool all = insn->op == 0xdd;
	uint32_t environment = insn->opsize == 2 ? 14 : 28;
	struct fpu_image image, before;

	__asm__ volatile("fxsave64 %0" : "=m"(before));
	if (insn->opsize == 2)
		__asm__ volatile("data16 fnsave %0" : "=m"(image));
	else
		__asm__ volatile("fnsave %0" : "=m"(image));
	if (insn->opsize == 4) {
		set_guest_pointer(cpu, (uint32_t *)(image.bytes + 12), (uint16_t *)(image.bytes + 16));
		*(uint16_t *)(image.bytes + 24) = (uint16_t)cpu->selector[S_DS];
	}
	if (!cpu_write(cpu, address, image.bytes, environment + (all ? 80 : 0), cpu->user, fault)) {
		if (!all) {
			mask_exceptions(&before);
			__asm__ volatile("fxrstor64 %0" : : "m"(before));
		}
		return true;
	}
	__asm__ volatile("fxrstor64 %0" : : "m"(before));
	return false;
}

bool fpu_store_environment(struct cpu *cpu, const struct insn *insn, struct cpu_exit *exit)
{
	uint32_t address = insn_address(cpu, insn);
	struct cpu_fault fault;
	bool done = insn->map == MAP_0F ? fxsave(cpu, address, &fault) : fnsave(cpu, insn, address, &fault);

	if (done)
		cpu->eip += insn->len;
	else
		*exit = (struct cpu_exit){ .kind = EXIT_FAULT, .vector = fault.vector, .error = fault.error, .address = fault.address,
					   .eip = cpu->eip };
	return done;
}
