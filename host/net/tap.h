/* SPDX-License-Identifier: MIT */
/*
 * tap.h - a net backend over a tap interface of the host.
 */
#ifndef KENNEL_HOST_NET_TAP_H
#define KENNEL_HOST_NET_TAP_H

#include "device/backend.h"
#include "host/loop/loop.h"

/*
 * Attach to the tap interface @name, which exists and is ours, or which we may create (CAP_NET_ADMIN). With checksum and
 * segmentation offload where the host has them. NULL and a sentence on failure. close() needs a stopped loop.
 */
struct net_backend *tap_open(struct loop *loop, const char *name, struct error *err);

#endif
