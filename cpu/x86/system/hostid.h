/* SPDX-License-Identifier: MIT */
#ifndef KENNEL_CPU_X86_SYSTEM_HOSTID_H
#define KENNEL_CPU_X86_SYSTEM_HOSTID_H

#include <stdbool.h>
#include <stdint.h>

/** hostid_cpuid - what the host's CPUID says: regs = eax, ebx, ecx, edx. */
void hostid_cpuid(uint32_t leaf, uint32_t subleaf, uint32_t regs[4]);

/** hostid_quick_loop - LOOP is one operation on processors by AMD and Hygon, and about seven on Intel's (Agner Fog's instruction tables). */
bool hostid_quick_loop(void);

#endif
