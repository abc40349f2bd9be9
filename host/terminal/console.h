/* SPDX-License-Identifier: MIT */
/*
 * console.h - where a guest's console is: on our stdin and stdout, on a pseudo-terminal of its own, or nowhere.
 */
#ifndef KENNEL_HOST_TERMINAL_CONSOLE_H
#define KENNEL_HOST_TERMINAL_CONSOLE_H

#include "device/backend.h"
#include "host/loop/loop.h"

/*
 * stdin and stdout. A terminal becomes raw (host/terminal/tty.h) and has Ctrl-A keys; Ctrl-A x calls @quit(@opaque) on the loop. Pipes, files
 * and devices work too, without keys: the end of the input stops reading and nothing else. Output goes through a buffer of 1 MiB
 * (host/terminal/writer.h says what happens when that is full).
 *
 * Call it before other threads are made: it takes signals for @loop. The device fills in the members for input before the loop
 * runs. close() flushes, waiting while output still moves, restores the terminal, and needs a stopped loop, as for those below.
 */
struct console_backend *console_stdio_open(struct loop *loop, void (*quit)(void *opaque), void *opaque, struct error *err);

/* The same over descriptors of the caller's, who keeps them; @in may be -1. */
struct console_backend *console_fd_open(struct loop *loop, int in, int out, void (*quit)(void *opaque), void *opaque, struct error *err);

/* A new pseudo-terminal, whose name is told on stderr. Output nobody reads is kept as far as there is room. */
struct console_backend *console_pty_open(struct loop *loop, struct error *err);

/* Nowhere: no input; output is only remembered for console_tail(). */
struct console_backend *console_none_open(struct error *err);

/* Wait until what the guest printed is out, or does not move for some seconds: before printing beside it. Without the I/O lock. */
void console_flush(struct console_backend *be);

/* The guest's last words: copy at most @size bytes, the latest, to @buf. Returns how many (16 KiB are kept). */
size_t console_tail(struct console_backend *be, char *buf, size_t size);

/* The name of the pty's other end, or NULL. */
const char *console_pty_name(struct console_backend *be);

#endif
