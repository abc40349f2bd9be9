/* SPDX-License-Identifier: MIT */
/*
 * system.h - privileged state and what depends on it, for a guest that runs in ring 0.
 */
#ifndef KENNEL_CPU_X86_SYSTEM_H
#define KENNEL_CPU_X86_SYSTEM_H

#include "cpu/x86/state.h"

enum {
	CR0_PE = 1u << 0, CR0_MP = 1u << 1, CR0_EM = 1u << 2, CR0_TS = 1u << 3, CR0_ET = 1u << 4, CR0_NE = 1u << 5, CR0_WP = 1u << 16,
	CR0_AM = 1u << 18, CR0_NW = 1u << 29, CR0_CD = 1u << 30, CR0_PG = 1u << 31,
	CR4_TSD = 1u << 2, CR4_DE = 1u << 3, CR4_PSE = 1u << 4, CR4_PAE = 1u << 5, CR4_PGE = 1u << 7,
	EFER_NX = 1u << 11,
};

#endif
