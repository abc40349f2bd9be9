/* SPDX-License-Identifier: MIT */
/*
 * Looking for a panic: text is cut into lines, whatever the pieces it comes in, and each line is looked at once. An orderly reboot
 * prints a line of its own afterwards, so that an old panic in somebody's log is not taken for a new one.
 */
#include "machine/pc/console.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 240 };

enum { SERIAL, VIRTIO, ENDS };

struct end {
	struct console_backend backend;	/* first: what the device holds */
	struct pc_console *console;
	char line[LINE_MAX_BYTES];	/* the one being printed */
	size_t length;
};

struct pc_console {
	struct console_backend *host;
	struct end end[ENDS];
	unsigned int typed_at;
	char panic[LINE_MAX_BYTES];
};

/* --- panics ------------------------------------------------------------------------------------------------------------ */

static void look_at_line(struct pc_console *console, const char *line)
{
	static const char panic[] = "Kernel panic - not syncing", restart[] = "reboot: Restarting system";
	const char *at = strstr(line, panic);

	if (at && !strstr(line, "end Kernel panic"))
		strcpy(console->panic, at);
	else if (strstr(line, restart))
		console->panic[0] = 0;
}

static void look_at(struct end *end, const char *text, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (text[i] == '\r')
			continue;
		if (text[i] != '\n') {
			if (end->length < LINE_MAX_BYTES - 1)
				end->line[end->length++] = text[i];
			continue;
		}
		end->line[end->length] = 0;
		look_at_line(end->console, end->line);
		end->length = 0;
	}
}

const char *pc_console_panic(const struct pc_console *console)
{
	return console->panic[0] ? console->panic : NULL;
}

void pc_console_forget(struct pc_console *console)
{
	console->panic[0] = 0;
	console->end[SERIAL].length = console->end[VIRTIO].length = 0;
}

/* --- from the devices ---------------------------------------------------------------------------------------------------- */

static size_t end_write(struct console_backend *be, const struct virtio_iov *iov, unsigned int count)
{
	struct end *end = (struct end *)be;
	struct console_backend *host = end->console->host;

	for (unsigned int i = 0; i < count; i++)
		look_at(end, iov[i].base, iov[i].len);
	return host->ops->write(host, iov, count);
}

static bool is_typed_at(const struct end *end)
{
	return end == &end->console->end[end->console->typed_at];
}

static void end_input_ready(struct console_backend *be)
{
	struct end *end = (struct end *)be;

	if (is_typed_at(end))
		end->console->host->ops->input_ready(end->console->host);
}

static void end_size(struct console_backend *be, uint16_t *columns, uint16_t *rows)
{
	struct console_backend *host = ((struct end *)be)->console->host;

	*columns = *rows = 0;
	if (host->ops->size)
		host->ops->size(host, columns, rows);
}

static void end_close(struct console_backend *be)
{
	struct end *end = (struct end *)be;

	end->backend.input = NULL;
	end->backend.resized = NULL;
}

static const struct console_backend_ops end_ops = {
	.write = end_write, .input_ready = end_input_ready, .size = end_size, .close = end_close,
};

/* --- from the host --------------------------------------------------------------------------------------------------------- */

static size_t host_input(void *opaque, const void *data, size_t len)
{
	struct pc_console *console = opaque;
	struct console_backend *to = &console->end[console->typed_at].backend;

	return to->input ? to->input(to->opaque, data, len) : 0;
}

static void host_resized(void *opaque, uint16_t columns, uint16_t rows)
{
	struct pc_console *console = opaque;

	for (unsigned int i = 0; i < ENDS; i++) {
		struct console_backend *to = &console->end[i].backend;

		if (to->resized)
			to->resized(to->opaque, columns, rows);
	}
}

struct pc_console *pc_console_create(struct console_backend *host, bool virtio)
{
	struct pc_console *console = calloc(1, sizeof(*console));

	if (!console)
		return NULL;
	console->host = host;
	console->typed_at = virtio ? VIRTIO : SERIAL;
	for (unsigned int i = 0; i < ENDS; i++)
		console->end[i] = (struct end){.backend.ops = &end_ops, .console = console};
	host->opaque = console;
	host->input = host_input;
	host->resized = host_resized;
	return console;
}

struct console_backend *pc_console_serial(struct pc_console *console)
{
	return &console->end[SERIAL].backend;
}

struct console_backend *pc_console_virtio(struct pc_console *console)
{
	return &console->end[VIRTIO].backend;
}

void pc_console_destroy(struct pc_console *console)
{
	if (!console)
		return;
	console->host->ops->close(console->host);
	free(console);
}

bool pc_console_wants_virtio(const char *command_line)
{
	bool virtio = false;

	/* The last one becomes /dev/console. */
	for (const char *word = command_line; *word; word += strcspn(word, " ")) {
		word += strspn(word, " ");
		if (!strncmp(word, "console=", 8))
			virtio = !strncmp(word, "console=hvc", 11);
	}
	return virtio;
}
