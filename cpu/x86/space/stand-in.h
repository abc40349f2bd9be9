/* SPDX-License-Identifier: MIT */
/*
 * stand-in.h - hosts that are no Linux on an x86-64 processor but a program that stands in for one.
 *
 * They run other programs, and get wrong what Kennel lives on: what a signal frame says of a fault in the middle of an instruction, code that
 * is written at one address and run at another, GS. None of them fails where that could be tried at start, so here names are asked for.
 */
#ifndef KENNEL_CPU_X86_SPACE_STAND_IN_H
#define KENNEL_CPU_X86_SPACE_STAND_IN_H

#include <stdbool.h>

/**
 * stand_in_name - who stands in, as a sentence about this host; NULL: nobody
 * @hypervisor: the twelve letters of CPUID leaf 0x40000000. @brand: those of leaves 0x80000002 to 4. @release: uname().
 * @seccomp: the kernel knows PR_GET_SECCOMP.
 */
const char *stand_in_name(const char *hypervisor, const char *brand, const char *release, bool seccomp);

/** stand_in_here - the same of this host. */
const char *stand_in_here(void);

#endif
