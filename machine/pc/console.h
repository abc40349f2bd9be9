/* SPDX-License-Identifier: MIT */
/*
 * console.h - one terminal for two ways to write to it: the serial port, which every kernel can use from its first line on, and a
 * virtio console, which is faster and knows the size of the window.
 *
 * What either prints goes to the same place. What is typed goes to one: the virtio console if the kernel's command line names it
 * (console=hvc0), else the serial port; and only then is there a virtio console at all, because distributions put a login prompt on
 * every console they find.
 *
 * All output passes here, so this is also where a panic is noticed. A stock kernel has no way to tell a board like this one that it has
 * panicked, it only says so; with panic=-1 it then asks for a reset, and pc_console_panic() tells that from a reboot.
 */
#ifndef KENNEL_MACHINE_PC_CONSOLE_H
#define KENNEL_MACHINE_PC_CONSOLE_H

#include <stdbool.h>
#include <stddef.h>

#include "device/backend.h"

struct pc_console;

/**
 * pc_console_create - split @host
 * @virtio: what is typed is for the virtio console.
 * Returns NULL if there is no memory. Once it succeeded @host is ours.
 */
struct pc_console *pc_console_create(struct console_backend *host, bool virtio);

/* The two ends; the close() of either does nothing. Owned by the console. */
struct console_backend *pc_console_serial(struct pc_console *console);
struct console_backend *pc_console_virtio(struct pc_console *console);

/** pc_console_panic - what the kernel said when it panicked since the last pc_console_forget(), or NULL */
const char *pc_console_panic(const struct pc_console *console);
void pc_console_forget(struct pc_console *console);

/** pc_console_destroy - closes the host's end. NULL is fine. */
void pc_console_destroy(struct pc_console *console);

/** pc_console_wants_virtio - does this command line name the virtio console as the one to type at? */
bool pc_console_wants_virtio(const char *command_line);

#endif
