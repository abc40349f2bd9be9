/* SPDX-License-Identifier: MIT */
/*
 * thread.h - the helper threads of the host side.
 *
 * Such a thread blocks every signal that can be aimed at the process, so that the processor's thread keeps its own and the thread
 * that waits for signals (loop.c) gets the rest. Signals that report the thread's own fault stay open: when they are blocked the kernel ends the process
 * without running a handler, and the terminal would stay raw.
 */
#ifndef KENNEL_HOST_THREAD_H
#define KENNEL_HOST_THREAD_H

#include <pthread.h>

#include "host/error.h"

/* Start @run(@opaque) on a thread called @name (at most 15 characters). 0 or a negative errno. */
int thread_start(pthread_t *thread, const char *name, void *(*run)(void *opaque), void *opaque);

/* Say that a thread, without which nothing goes, could not be started: @number is what thread_start() returned. Returns that. */
int thread_refused(struct error *err, int number);

#endif
