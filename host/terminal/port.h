/* SPDX-License-Identifier: MIT */
/* port.h - what stands behind a port of the guest's console device that is for programs: a socket that others connect to. */
#ifndef KENNEL_HOST_TERMINAL_PORT_H
#define KENNEL_HOST_TERMINAL_PORT_H

#include "device/backend.h"
#include "host/loop/loop.h"

/*
 * A port behind @listener, a listening socket, which it takes over even if it fails. One peer at a time has the port; others wait until it
 * has gone. A peer that does not read makes the guest wait, and the other way round: nothing is kept but a few KiB. NULL and a sentence
 * on failure. close() needs a stopped loop.
 */
struct console_backend *port_open(struct loop *loop, int listener, struct error *err);

#endif
