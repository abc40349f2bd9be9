/* SPDX-License-Identifier: MIT */
/*
 * error.h - why something could not be had, in one sentence for the person who asked.
 *
 * Constructors take a struct error and fill it when they fail; nothing is printed where the failure happens. The sentence starts
 * with the name of the thing ("disk.img: No such file or directory") and has neither a full stop nor a newline.
 */
#ifndef KENNEL_HOST_ERROR_H
#define KENNEL_HOST_ERROR_H

struct error {
	char text[256];
};

/* Write the sentence as given into @err (NULL: nowhere). Returns -@number, so that callers can return it. */
int error_set(struct error *err, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* The same, followed by ": " and the system's words for errno value @number. Returns -@number. */
int error_errno(struct error *err, int number, const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
