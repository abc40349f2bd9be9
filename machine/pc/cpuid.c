/* SPDX-License-Identifier: MIT */
/*
 * cpuid.c - the processor as the guest may see it: the host's, less what our processor does not do and what this board does not have.
 * What stays is listed bit by bit, so that a bit of some future processor is hidden.
 *
 * To the guest this is a hypervisor with KVM's paravirtual interface, of which there is only the clock: that is what a stock kernel has
 * a driver for, and what saves it from measuring its counters against a timer.
 *
 * Speculation. design-notes.md argues that a guest's own mitigations either have nothing to do here or do nothing, and only cost. So the
 * guest hears that its processor is not affected, in the words each of the two vendors has for that.
 */
#include "machine/pc/pc.h"

#define BIT(n) (1u << (n))

/* Leaf 1 EDX: machine checks (MCE, MCA), of no bank: msr.c. Linux complains about a processor without. */
#define MACHINE_CHECKS (BIT(7) | BIT(14))
/* Leaf 1 EDX, where the host has them: FPU PSE TSC MSR PAE CX8 SEP PGE CMOV CLFLUSH MMX FXSR SSE SSE2 */
#define LEAF1_EDX (BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(11) | BIT(13) | BIT(15) | BIT(19) | BIT(23) | BIT(24) | \
		   BIT(25) | BIT(26))
/* Leaf 1 ECX: SSE3 PCLMULQDQ SSSE3 SSE4.1 SSE4.2 MOVBE POPCNT AES */
#define LEAF1_ECX (BIT(0) | BIT(1) | BIT(9) | BIT(19) | BIT(20) | BIT(22) | BIT(23) | BIT(25))
#define HYPERVISOR BIT(31)
/* Leaf 7 EDX: IBRS and IBPB, ARCH_CAPABILITIES; offered whatever the host has, as the MSRs are ours (msr.c) */
#define LEAF7_EDX (BIT(26) | BIT(29))
/* Leaf 0x80000001 ECX: LAHF, LZCNT; EDX: NX, and what AMD repeats of leaf 1 */
#define EXTENDED1_ECX (BIT(0) | BIT(5))
#define EXTENDED1_EDX (BIT(20) | (LEAF1_EDX & (BIT(0) | BIT(3) | BIT(4) | BIT(5) | BIT(6) | BIT(8) | BIT(13) | BIT(15) | BIT(23) | BIT(24))))
#define INVARIANT_TSC BIT(8)
/* Leaf 0x80000008 EBX: BTC_NO; leaf 0x80000021 EAX: LFENCE serializes, SRSO_NO; ECX: TSA_SQ_NO, TSA_L1_NO */
#define BTC_NO BIT(29)
#define LFENCE_SERIALIZES BIT(2)
#define SRSO_NO BIT(29)
#define TSA_NO (BIT(1) | BIT(2))

enum { EAX, EBX, ECX, EDX };
enum { LAST_BASIC = 7, LAST_EXTENDED = 0x80000021u - 0x80000000u };

static void clear(uint32_t regs[4])
{
	regs[EAX] = regs[EBX] = regs[ECX] = regs[EDX] = 0;
}

static void basic(uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	switch (leaf) {
	case 0:
		regs[EAX] = LAST_BASIC;
		break;
	case 1:
		/* One processor, number 0; how long a line is for CLFLUSH stays. */
		regs[EBX] = (regs[EBX] & 0xff00) | BIT(16);
		regs[ECX] = (regs[ECX] & LEAF1_ECX) | HYPERVISOR;
		regs[EDX] = (regs[EDX] & LEAF1_EDX) | MACHINE_CHECKS;
		break;
	case 2:
		break;
	case 4:
		/* Caches; nobody to share them with. */
		regs[EAX] &= 0x3fff;
		break;
	case 7:
		clear(regs);
		if (!subleaf)
			regs[EDX] = LEAF7_EDX;
		break;
	default:
		clear(regs);
	}
}

static void extended(const struct pc *m, uint32_t leaf, uint32_t regs[4])
{
	switch (leaf) {
	case 0x80000000:
		regs[EAX] = 0x80000000 + LAST_EXTENDED;
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
		clear(regs);
		regs[EDX] = m->tsc_constant ? INVARIANT_TSC : 0;
		break;
	case 0x80000008:
		/* 36 physical bits, as paging has with PAE, and 32 linear ones. */
		clear(regs);
		regs[EAX] = 36 | 32 << 8;
		regs[EBX] = BTC_NO;
		break;
	case 0x80000021:
		clear(regs);
		regs[EAX] = LFENCE_SERIALIZES | SRSO_NO;
		regs[ECX] = TSA_NO;
		break;
	default:
		clear(regs);
	}
}

static void hypervisor(struct pc *m, uint32_t leaf, uint32_t regs[4])
{
	if (!pc_clock_cpuid_cold(m, leaf, regs))
		clear(regs);
}

void pc_cpuid(void *opaque, uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	struct pc *m = opaque;

	if (leaf >= 0x80000000)
		extended(m, leaf, regs);
	else if (leaf >= KVMCLOCK_LEAF_FIRST)
		hypervisor(m, leaf, regs);
	else
		basic(leaf, subleaf, regs);
}
