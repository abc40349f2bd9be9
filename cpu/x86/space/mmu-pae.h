/* SPDX-License-Identifier: MIT */
/* mmu-pae.h - what mmu.c asks of PAE paging besides the walk. */
#ifndef KENNEL_CPU_X86_SPACE_MMU_PAE_H
#define KENNEL_CPU_X86_SPACE_MMU_PAE_H

#include "cpu/x86/state.h"

/** mmu_pae_load - the four PDPTEs at @root. Returns false when one is present and has reserved bits set. */
bool mmu_pae_load(const struct cpu *cpu, uint32_t root, uint64_t pdpte[4]);
/** mmu_pae_reserved - bits that must be zero in every present entry, with EFER.NXE or without. */
uint64_t mmu_pae_reserved(bool nx);

#endif
