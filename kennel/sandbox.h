/* SPDX-License-Identifier: MIT */
/* sandbox.h - what this process gives up before the guest's first instruction. */
#ifndef KENNEL_KENNEL_SANDBOX_H
#define KENNEL_KENNEL_SANDBOX_H

#include "host/error.h"

/* What of the file system is still needed: nothing, files beneath a shared directory, or changing these. */
enum sandbox_files { SANDBOX_NO_FILES, SANDBOX_SHARED_FILES, SANDBOX_CHANGE_FILES };

/**
 * sandbox_enter - forbid, for all threads, the system calls that running a guest never needs
 * Returns 0 (also where this host has no seccomp: then with a warning), or a negative errno and a sentence.
 */
int sandbox_enter(enum sandbox_files files, struct error *error);

#endif
