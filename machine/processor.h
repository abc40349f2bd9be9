/* SPDX-License-Identifier: MIT */
/*
 * processor.h - a machine's processor, and what the person is told about it.
 */
#ifndef KENNEL_MACHINE_PROCESSOR_H
#define KENNEL_MACHINE_PROCESSOR_H

#include "cpu/x86/cpu.h"
#include "host/error.h"

/**
 * processor_create - cpu_create(), with x87 and SSE registers still ours (cpu_fpu_release())
 * Says what it makes do with on this host. Returns NULL with a sentence in *@error if there can be none.
 */
struct cpu *processor_create(const struct cpu_config *config, struct error *error);

#endif
