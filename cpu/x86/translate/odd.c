/* SPDX-License-Identifier: MIT */
/*
 * odd.c - forms of otherwise plain instructions that cannot be copied, because no host operand does what theirs does:
 *
 *  - BT, BTS, BTR, BTC with a register: it reaches bytes away from the operand, modulo 64 KiB where addresses have 16 bits, modulo 4 GiB
 *    otherwise, which the host's 64-bit addresses do not follow (only blocks that are to be exact ask for it);
 *  - CMPXCHG of AH where the address takes a REX prefix: exchanging AH with AL (address.c) would move the accumulator as well.
 */
#include "cpu/x86/translate/odd.h"

#include "cpu/x86/emulate/emulate.h"
#include "cpu/x86/space/mmu.h"
#include "cpu/x86/translate/address.h"

static bool is_bit_string(const struct insn *insn)
{
	return insn->map == MAP_0F && (insn->op == 0xa3 || insn->op == 0xab || insn->op == 0xb3 || insn->op == 0xbb);
}

static bool is_cmpxchg_byte(const struct insn *insn)
{
	return insn->map == MAP_0F && insn->op == 0xb0;
}

bool odd_cannot_copy(const struct cpu *cpu, const struct insn *insn, bool exact)
{
	if (!insn->mem)
		return false;
	return (is_bit_string(insn) && (insn->adsize == 2 || exact)) || (is_cmpxchg_byte(insn) && address_swaps(cpu, insn) == R_EAX);
}

static uint32_t segment_base(struct cpu *cpu, const struct insn *insn)
{
	return cpu_segment(cpu, insn->seg)->base;
}

/* An instruction that reads and writes asks for both at once, page by page. */
static bool may_write(struct cpu *cpu, uint32_t address, uint32_t len, struct cpu_fault *fault)
{
	uint32_t second = (address | PAGE_MASK) + 1, pte;
	unsigned access = MMU_WRITE | (cpu->user ? MMU_USER : 0);

	if (mmu_walk(cpu, address, access, &pte, fault))
		return false;
	return (address & PAGE_MASK) + len <= PAGE_SIZE || !mmu_walk(cpu, second, access, &pte, fault);
}

static bool bit_string(struct cpu *cpu, const struct insn *insn, struct cpu_fault *fault)
{
	uint32_t base = segment_base(cpu, insn), bits = insn->opsize * 8u;
	int32_t bit = insn->opsize == 2 ? (int16_t)cpu->gpr[insn->reg] : (int32_t)cpu->gpr[insn->reg];
	uint32_t unit = (uint32_t)(bit >> (insn->opsize == 2 ? 4 : 5)) * insn->opsize;
	uint32_t offset = insn_address(cpu, insn) - base + unit, address = base + (insn->adsize == 2 ? offset & 0xffff : offset);
	uint32_t mask = 1u << ((uint32_t)bit & (bits - 1)), value = 0, was;

	if (insn->op != 0xa3 && !may_write(cpu, address, insn->opsize, fault))
		return false;
	if (cpu_read(cpu, address, &value, insn->opsize, cpu->user, fault))
		return false;
	was = value;
	if (insn->op == 0xab)
		value |= mask;
	else if (insn->op == 0xb3)
		value &= ~mask;
	else if (insn->op == 0xbb)
		value ^= mask;
	if (insn->op != 0xa3 && cpu_write(cpu, address, &value, insn->opsize, cpu->user, fault))
		return false;
	cpu->flags = (cpu->flags & ~(uint64_t)FLAG_CF) | (was & mask ? FLAG_CF : 0);
	return true;
}

/* The arithmetic flags of CMP a, b on bytes. */
static uint32_t compare_bytes(uint8_t a, uint8_t b)
{
	uint32_t flags = 0;

	__asm__("cmpb %2, %1\n\tlahf\n\tseto %%al" : "+a"(flags) : "q"(a), "q"(b) : "cc");
	return (flags >> 8 & 0xff & (FLAG_CF | FLAG_PF | FLAG_AF | FLAG_ZF | FLAG_SF)) | (flags & 1 ? FLAG_OF : 0);
}

static bool cmpxchg_ah(struct cpu *cpu, const struct insn *insn, struct cpu_fault *fault)
{
	uint32_t address = insn_address(cpu, insn), eax = cpu->gpr[R_EAX];
	uint8_t old, stored;

	if (!may_write(cpu, address, 1, fault) || cpu_read(cpu, address, &old, 1, cpu->user, fault))
		return false;
	stored = (uint8_t)eax == old ? (uint8_t)(eax >> 8) : old;
	if (cpu_write(cpu, address, &stored, 1, cpu->user, fault))
		return false;
	cpu->flags = (cpu->flags & ~(uint64_t)(FLAGS_ARITHMETIC & ~FLAG_DF)) | compare_bytes((uint8_t)eax, old);
	if ((uint8_t)eax != old)
		cpu->gpr[R_EAX] = (eax & ~0xffu) | old;
	return true;
}

bool odd_run(struct cpu *cpu, const struct insn *insn, struct cpu_fault *fault)
{
	bool done = is_bit_string(insn) ? bit_string(cpu, insn, fault) : cmpxchg_ah(cpu, insn, fault);

	if (done)
		cpu->eip += insn->len;
	return done;
}
