/* SPDX-License-Identifier: MIT */
/*
 * hostid.c - the host's CPUID, remembered. On a virtual host each CPUID traps to its hypervisor (tens of microseconds), and every
 * program start in the guest executes a dozen.
 */
#include "cpu/x86/system/hostid.h"

#include <cpuid.h>

enum { REMEMBERED = 64, HYGON_EBX = 0x6f677948 /* "Hygo", of HygonGenuine */ };

struct answer {
	uint32_t leaf, subleaf, regs[4];
};

static __thread struct answer answers[REMEMBERED];

static __thread unsigned known;

void hostid_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4])
{
	struct answer *a = answers;

	while (a < answers + known && (a->leaf != leaf || a->subleaf != subleaf))
		a++;
	if (a == answers + known) {
		if (known == REMEMBERED)
			a = answers;
		else
			known++;
		a->leaf = leaf;
		a->subleaf = subleaf;
		__cpuid_count(leaf, subleaf, a->regs[0], a->regs[1], a->regs[2], a->regs[3]);
	}
	for (unsigned i = 0; i < 4; i++)
		regs[i] = a->regs[i];
}

bool hostid_quick_loop(void)
{
	uint32_t regs[4];

	hostid_cpuid(0, 0, regs);
	return regs[1] == signature_AMD_ebx || regs[1] == HYGON_EBX;
}
