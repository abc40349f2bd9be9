/* SPDX-License-Identifier: MIT */
/* balloon.h - what stands behind a memory balloon: the guest's RAM, which shrinks on the host when the guest gives some back. */
#ifndef KENNEL_MACHINE_BALLOON_H
#define KENNEL_MACHINE_BALLOON_H

#include "cpu/x86/cpu.h"
#include "device/backend.h"

/**
 * balloon_create - for the RAM at guest-physical 0, which must outlive it
 * NULL when memory is short. The device that is made of it owns it; otherwise free it with ops->close().
 */
struct balloon_backend *balloon_create(const struct cpu_ram *ram);

#endif
