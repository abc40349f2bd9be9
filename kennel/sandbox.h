/* SPDX-License-Identifier: MIT */
/* sandbox.h - what this process gives up before the guest's first instruction. */
#ifndef KENNEL_KENNEL_SANDBOX_H
#define KENNEL_KENNEL_SANDBOX_H

#include "host/error.h"

/**
 * sandbox_enter - forbid, for all threads, the system calls that running a guest never needs
 * Returns 0 (also where this host has no seccomp: then with a warning), or a negative errno and a sentence.
 */
int sandbox_enter(struct error *error);

#endif
