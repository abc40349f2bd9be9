/* SPDX-License-Identifier: MIT */
/*
 * tail.h - the last bytes of a stream: what a guest said before it died.
 */
#ifndef KENNEL_HOST_TERMINAL_TAIL_H
#define KENNEL_HOST_TERMINAL_TAIL_H

#include <stddef.h>
#include <string.h>

#define TAIL_SIZE 16384u	/* a power of two */

struct tail {
	size_t total;		/* bytes ever added */
	char data[TAIL_SIZE];
};

static inline void tail_add(struct tail *tail, const void *data, size_t len)
{
	const char *bytes = data;
	size_t at, part;

	if (len > TAIL_SIZE) {
		tail->total += len - TAIL_SIZE;
		bytes += len - TAIL_SIZE;
		len = TAIL_SIZE;
	}
	at = tail->total % TAIL_SIZE;
	part = len < TAIL_SIZE - at ? len : TAIL_SIZE - at;
	memcpy(tail->data + at, bytes, part);
	memcpy(tail->data, bytes + part, len - part);
	tail->total += len;
}

/* Copy the last bytes, at most @size, to @buf, oldest first. Returns how many. */
static inline size_t tail_get(const struct tail *tail, char *buf, size_t size)
{
	size_t have = tail->total < TAIL_SIZE ? tail->total : TAIL_SIZE, start;

	if (size > have)
		size = have;
	start = tail->total - size;
	for (size_t i = 0; i < size; i++)
		buf[i] = tail->data[(start + i) % TAIL_SIZE];
	return size;
}

#endif
