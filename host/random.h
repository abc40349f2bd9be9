/* SPDX-License-Identifier: MIT */
/*
 * random.h - the host kernel's random numbers.
 */
#ifndef KENNEL_HOST_RANDOM_H
#define KENNEL_HOST_RANDOM_H

#include "device/backend.h"
#include "host/error.h"

/* An entropy backend over getrandom(2), or /dev/urandom where a sandbox forbids that. NULL and a sentence on failure. */
struct entropy_backend *random_open(struct error *err);

#endif
