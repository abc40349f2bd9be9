/* SPDX-License-Identifier: MIT */
/*
 * message.h - what Kennel says to the person at the terminal: single lines on stderr, "kennel: " in front.
 *
 * Each line is one write(2), so lines of several threads do not mix. While the terminal is raw, lines end in CR LF and start on a
 * fresh line, so that a guest's half-written line is not continued by ours.
 */
#ifndef KENNEL_HOST_MESSAGE_H
#define KENNEL_HOST_MESSAGE_H

#include <stdbool.h>

/* Something failed. @format is a sentence without a newline. */
void message_error(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something is not as it should be; we go on. */
void message_warn(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Something the person needs to know (the name of a pty). */
void message_info(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Said only after message_set_verbose(true). */
void message_verbose(const char *format, ...) __attribute__((format(printf, 1, 2)));

void message_set_verbose(bool on);
bool message_is_verbose(void);

/* The terminal is raw (or is no more): called by tty.c, safe in a signal handler. */
void message_set_raw(bool on);

#endif
