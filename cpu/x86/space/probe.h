/* SPDX-License-Identifier: MIT */
/*
 * probe.h - what this host is like, where hosts differ: found out once, by trying.
 *
 * Names say little: a kernel may run in a virtual machine that keeps an instruction from it, or be no Linux at all but something that
 * answers like one. So nothing is asked for that can be tried.
 */
#ifndef KENNEL_CPU_X86_SPACE_PROBE_H
#define KENNEL_CPU_X86_SPACE_PROBE_H

#include <stdbool.h>

struct probe {
	bool fsgsbase;		/* the kernel knows of programs that write their GS base, and keeps it for each thread (AT_HWCAP2) */
	bool wrgsbase;		/* the instruction runs, whether or not the kernel knows */
	bool linux_frames;	/* signal frames are filled as Linux does it: a sign that nobody else answers in its place */
	bool blind_frames;	/* signal frames say neither which exception it was nor why (err and trapno are 0) */
};

/** probe_host - what was found; looked for at the first call. Not while a guest's code runs on any thread. */
const struct probe *probe_host(void);

/** probe_forced - what the environment variable KENNEL_HOST has for @key ("a=x,b=y"); NULL: nothing. For tests of one host's ways on another. */
bool probe_forced(const char *key, char *value, unsigned size);

#endif
