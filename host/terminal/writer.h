/* SPDX-License-Identifier: MIT */
/*
 * writer.h - output that never makes its producer wait: a bounded buffer, and a thread that writes it out.
 *
 * The descriptor may be a terminal, a pipe or a file that other processes share, so its flags are left alone; it is the thread that
 * blocks. When the buffer is full, what is new is dropped, and a line in the output says how much once there is room again: a guest
 * that talks faster than a stopped pager reads goes on running.
 */
#ifndef KENNEL_HOST_TERMINAL_WRITER_H
#define KENNEL_HOST_TERMINAL_WRITER_H

#include <stdbool.h>
#include <stddef.h>

#include "host/error.h"

struct writer;

/* Write to a duplicate of @fd, buffering up to @bound bytes. NULL and a sentence on failure. */
struct writer *writer_create(int fd, size_t bound, struct error *err);

/* Take @len bytes: all, or none if they do not fit. Any thread; never waits. */
bool writer_put(struct writer *writer, const void *data, size_t len);

/* Wait until all is written, or until nothing has been for @stall_ms milliseconds. True if all is written. */
bool writer_flush(struct writer *writer, unsigned int stall_ms);

/* Flush as above, then end the thread; one that hangs in write() is left behind, and ends when that does. */
void writer_destroy(struct writer *writer, unsigned int stall_ms);

#endif
