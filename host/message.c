/* SPDX-License-Identifier: MIT */
#include "host/message.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static atomic_bool raw;
static atomic_bool verbose;

void message_set_raw(bool on)
{
	atomic_store_explicit(&raw, on, memory_order_relaxed);
}

void message_set_verbose(bool on)
{
	atomic_store_explicit(&verbose, on, memory_order_relaxed);
}

bool message_is_verbose(void)
{
	return atomic_load_explicit(&verbose, memory_order_relaxed);
}

static void say(const char *kind, const char *format, va_list args)
{
	bool fresh = atomic_load_explicit(&raw, memory_order_relaxed);
	int saved = errno;
	char line[1024];
	size_t len, room = sizeof(line) - 2;	/* for CR LF */
	ssize_t ignored;

	len = (size_t)snprintf(line, room, "%skennel: %s", fresh ? "\r" : "", kind);
	len += (size_t)vsnprintf(line + len, room - len, format, args);
	if (len > room - 1)
		len = room - 1;
	if (fresh)
		line[len++] = '\r';
	line[len++] = '\n';
	ignored = write(STDERR_FILENO, line, len);
	(void)ignored;
	errno = saved;
}

void message_error(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("", format, args);
	va_end(args);
}

void message_warn(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("warning: ", format, args);
	va_end(args);
}

void message_info(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	say("", format, args);
	va_end(args);
}

void message_verbose(const char *format, ...)
{
	va_list args;

	if (!message_is_verbose())
		return;
	va_start(args, format);
	say("", format, args);
	va_end(args);
}
