/* SPDX-License-Identifier: MIT */
/*
 * tty.h - the person's terminal: made raw for a guest, and given back on every way out.
 *
 * There is one such terminal in a process. "Every way out" is: tty_restore() at the end, exit() by anybody, a signal that ends the
 * process (also a crash of our own), and being stopped (SIGTSTP). Only SIGKILL leaves it raw; `reset` helps then.
 */
#ifndef KENNEL_HOST_TERMINAL_TTY_H
#define KENNEL_HOST_TERMINAL_TTY_H

#include <stdbool.h>
#include <stdint.h>

#include "host/loop/loop.h"

/*
 * Make the terminal @fd raw: no echo, no line editing, no signal keys (Ctrl-C goes to the guest), eight bits, output untouched.
 * If we are a background job, stops first, as a program that wants to read its terminal does, and goes on in the foreground.
 * Handlers for fatal signals are installed where the disposition is still the default. 0 or a negative errno and a sentence.
 */
int tty_raw(int fd, struct error *err);

/* Give the terminal back as it was. Any time, any number of times, also in a signal handler; call it first in a crash handler. */
void tty_restore(void);

/* Make it raw again after tty_restore(). False if we are in the background now, or never were raw. */
bool tty_resume(void);

/* True between tty_raw() or tty_resume(), and tty_restore(). */
bool tty_is_raw(void);

/* Restore, and forget the terminal: tty_resume() will not find it again. */
void tty_release(void);

/* Columns and rows of the terminal @fd; 0, 0 if unknown. */
void tty_size(int fd, uint16_t *columns, uint16_t *rows);

/*
 * Let @loop see the signals that concern a terminal. SIGTSTP restores it and stops the process; SIGCONT and SIGWINCH call
 * @changed(@opaque) after the terminal is raw again. SIGINT, SIGTERM, SIGHUP and SIGQUIT, unless they are ignored or loop_signal()
 * already has a handler for them, restore it and end the process the way the signal does.
 */
void tty_signals(struct loop *loop, void (*changed)(void *opaque), void *opaque);
void tty_signals_end(struct loop *loop);

#endif
