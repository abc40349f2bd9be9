/* SPDX-License-Identifier: MIT */
/*
 * odd.c - forms of otherwise plain instructions that cannot be copied, because no host operand does what theirs does:
 *
 *  - BT, BTS, BTR, BTC with a register and a 16-bit address: the register reaches bytes away from the operand, modulo 64 KiB;
 *  - CMPXCHG of AH where the address takes a REX prefix: exchanging AH with AL (address.c) would move the accumulator as well;
 *  - MASKMOVQ and MASKMOVDQU at DS:DI.
 */
#include "cpu/x86/odd.h"

#include "cpu/x86/address.h"
#include "cpu/x86/emulate.h"

static bool is_bit_string(const struct insn *insn)
{
	return insn->map == MAP_0F && (insn->op == 0xa3 || insn->op == 0xab || insn->op == 0xb3 || insn->op == 0xbb);
}

static bool is_cmpxchg_byte(const struct insn *insn)
{
	return insn->map == MAP_0F && insn->op == 0xb0;
}

bool odd_cannot_copy(const struct cpu *cpu, const struct insn *insn)
{
	if (insn->flags & INSN_IMPLICIT_DI)
		return insn->adsize == 2;
	if (!insn->mem)
		return false;
	return (is_bit_string(insn) && insn->adsize == 2) || (is_cmpxchg_byte(insn) && address_swaps(cpu, insn) == R_EAX);
}

static uint32_t segment_base(struct cpu *cpu, const struct insn *insn)
{
	return cpu_segment(cpu, insn->seg)->base;
}

static bool bit_string(struct cpu *cpu, const struct insn *insn, struct cpu_fault *fault)
{
	uint32_t base = segment_base(cpu, insn), bits = insn->opsize * 8u;
	int32_t bit = insn->opsize == 2 ? (int16_t)cpu->gpr[insn->reg] : (int32_t)cpu->gpr[insn->reg];
	uint32_t unit = (uint32_t)(bit >> (insn->opsize == 2 ? 4 : 5)) * insn->opsize;
	uint32_t address = base + ((insn_address(cpu, insn) - base + unit) & 0xffff);
	uint32_t mask = 1u << ((uint32_t)bit & (bits - 1)), value = 0, was;

	if (cpu_read(cpu, address, &value, insn->opsize, cpu->user, fault)) {
		fault->error |= insn->op == 0xa3 ? 0 : PF_WRITE;	/* the others ask for both at once */
		return false;
	}
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

	if (cpu_read(cpu, address, &old, 1, cpu->user, fault)) {
		fault->error |= PF_WRITE;
		return false;
	}
	stored = (uint8_t)eax == old ? (uint8_t)(eax >> 8) : old;
	if (cpu_write(cpu, address, &stored, 1, cpu->user, fault))
		return false;
	cpu->flags = (cpu->flags & ~(uint64_t)(FLAGS_ARITHMETIC & ~FLAG_DF)) | compare_bytes((uint8_t)eax, old);
	if ((uint8_t)eax != old)
		cpu->gpr[R_EAX] = (eax & ~0xffu) | old;
	return true;
}

struct vector_image {
	uint8_t bytes[512];
} __attribute__((aligned(16)));

/* Where an FXSAVE image has the register: XMM from 160; x87 registers from 32, counted from the top of the stack, which MMX's are not. */
static const uint8_t *vector_register(const struct vector_image *image, bool sse, unsigned number)
{
	unsigned top = image->bytes[3] >> 3 & 7;

	return image->bytes + (sse ? 160 + 16 * number : 32 + 16 * ((number - top) & 7));
}

static bool masked_store(struct cpu *cpu, const struct insn *insn, struct cpu_fault *fault)
{
	bool sse = insn->prefix & PFX_OPSIZE;
	uint32_t base = segment_base(cpu, insn), len = sse ? 16 : 8, unused;
	struct vector_image image;
	const uint8_t *mask, *data;

	__asm__ volatile("fxsave64 %0" : "=m"(image));
	mask = vector_register(&image, sse, insn->rm);
	data = vector_register(&image, sse, insn->reg);
	for (uint32_t i = 0; i < len; i++) {
		uint32_t address = base + ((cpu->gpr[R_EDI] + i) & 0xffff);

		if (mask[i] & 0x80 && cpu_write(cpu, address, &data[i], 1, cpu->user, fault)) {
			if ((address ^ (base + (cpu->gpr[R_EDI] & 0xffff))) < PAGE_SIZE)
				fault->address = base + (cpu->gpr[R_EDI] & 0xffff);	/* the operand's, not this byte's */
			return false;
		}
	}
	if (!sse)	/* any MMX instruction makes the x87 stack MMX's */
		__asm__ volatile("movd %%mm0, %0" : "=r"(unused));
	return true;
}

bool odd_run(struct cpu *cpu, const struct insn *insn, struct cpu_fault *fault)
{
	bool done = insn->flags & INSN_IMPLICIT_DI ? masked_store(cpu, insn, fault) :
		    is_bit_string(insn) ? bit_string(cpu, insn, fault) : cmpxchg_ah(cpu, insn, fault);

	if (done)
		cpu->eip += insn->len;
	return done;
}
