/* SPDX-License-Identifier: MIT */
/*
 * escape.h - the keys a person keeps for Kennel itself: Ctrl-A, then a letter.
 */
#ifndef KENNEL_HOST_TERMINAL_ESCAPE_H
#define KENNEL_HOST_TERMINAL_ESCAPE_H

#include <stdbool.h>
#include <stddef.h>

#define ESCAPE_KEY	1	/* Ctrl-A */

struct escape {
	bool pending;			/* Ctrl-A was typed, its letter was not */
	void (*command)(void *opaque, char letter);	/* any letter but those that stand for Ctrl-A itself */
	void *opaque;
};

/*
 * Filter @len typed bytes in place: what is for the guest stays, Ctrl-A and the letter after it go to @command; Ctrl-A twice, or
 * Ctrl-A a, leaves one Ctrl-A for the guest. Returns the number of bytes that stay.
 */
size_t escape_filter(struct escape *escape, char *data, size_t len);

#endif
