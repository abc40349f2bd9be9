/* SPDX-License-Identifier: MIT */
/*
 * cpuid.c - the processor as the guest may see it.
 *
 * The guest's kernel filters CPUID for itself, but user programs execute the instruction (lguest-pitfalls, F8). So everything
 * goes that needs a kernel's help it does not give (AVX and XSAVE: it saves no such state; SYSENTER, SYSCALL: not offered), that
 * is about the machine rather than the processor (APIC, topology, machine checks), or that has a control bit in a register the
 * guest cannot reach. What stays is listed bit by bit: a bit that appears in some future processor is hidden.
 */
#include "machine/lguest/lguest.h"

#define BIT(n) (1u << (n))

/* Leaf 1 EDX: FPU TSC CX8 CMOV CLFLUSH MMX FXSR SSE SSE2 */
#define LEAF1_EDX (BIT(0) | BIT(4) | BIT(8) | BIT(15) | BIT(19) | BIT(23) | BIT(24) | BIT(25) | BIT(26))
/* Leaf 1 ECX: SSE3 PCLMULQDQ SSSE3 SSE4.1 SSE4.2 MOVBE POPCNT AES */
#define LEAF1_ECX (BIT(0) | BIT(1) | BIT(9) | BIT(19) | BIT(20) | BIT(22) | BIT(23) | BIT(25))
#define HYPERVISOR BIT(31)
/* Leaf 0x80000001 ECX: LAHF, LZCNT; EDX: what AMD repeats of leaf 1 */
#define EXTENDED1_ECX (BIT(0) | BIT(5))
#define EXTENDED1_EDX (BIT(0) | BIT(4) | BIT(8) | BIT(15) | BIT(23) | BIT(24))
#define INVARIANT_TSC BIT(8)

enum { EAX, EBX, ECX, EDX };
enum { LAST_BASIC = 7, LAST_HYPERVISOR = 0x40000000 };

static void clear(uint32_t regs[4])
{
	regs[EAX] = regs[EBX] = regs[ECX] = regs[EDX] = 0;
}

static void basic(const struct lguest *m, uint32_t leaf, uint32_t regs[4])
{
	switch (leaf) {
	case 0:
		if (regs[EAX] > LAST_BASIC)
			regs[EAX] = LAST_BASIC;
		break;
	case 1:
		/* One processor, number 0; how long a line is for CLFLUSH stays. */
		regs[EBX] = (regs[EBX] & 0xff00) | BIT(16);
		regs[ECX] = (regs[ECX] & LEAF1_ECX) | HYPERVISOR;
		regs[EDX] &= LEAF1_EDX;
		break;
	case 2:
		break;
	case 4:
		/* Caches; nobody to share them with. */
		regs[EAX] &= 0x3fff;
		break;
	default:
		clear(regs);
	}
}

static void extended(const struct lguest *m, uint32_t leaf, uint32_t regs[4])
{
	switch (leaf) {
	case 0x80000000:
		if (regs[EAX] > 0x80000008)
			regs[EAX] = 0x80000008;
		break;
	case 0x80000001:
		regs[EBX] = 0;
		regs[ECX] &= EXTENDED1_ECX;
		regs[EDX] &= EXTENDED1_EDX;
		break;
	case 0x80000002:
	case 0x80000003:
	case 0x80000004:
	case 0x80000005:
	case 0x80000006:
		break;
	case 0x80000007:
		regs[EAX] = regs[EBX] = regs[ECX] = 0;
		regs[EDX] = m->clock.tsc_khz ? regs[EDX] & INVARIANT_TSC : 0;
		break;
	case 0x80000008:
		/* 32 physical and 32 linear bits; EBX names speculation controls that are MSRs (A4). */
		clear(regs);
		regs[EAX] = 32 | 32 << 8;
		break;
	default:
		clear(regs);
	}
}

void lguest_cpuid(void *opaque, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	const struct lguest *m = opaque;

	if (leaf >= 0x80000000) {
		extended(m, leaf, regs);
	} else if (leaf == LAST_HYPERVISOR) {
		regs[EAX] = LAST_HYPERVISOR;
		regs[EBX] = 0x6e6e654b;		/* "KennelKennel" */
		regs[ECX] = 0x654b6c65;
		regs[EDX] = 0x6c656e6e;
	} else {
		basic(m, leaf, regs);
	}
}
