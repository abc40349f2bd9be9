/* SPDX-License-Identifier: MIT */
/*
 * end.c - how a guest ends: by its own word, or because it broke the contract.
 *
 * After either it never runs again, so nothing here needs to care for its floating point registers.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "machine/lguest/lguest.h"

uint32_t lguest_eip(const struct lguest *m)
{
	/* INT 0x1f has two bytes, and EIP is behind it. */
	return cpu_eip(m->cpu) - (m->call_arg ? 2 : 0);
}

static void name_call(const struct lguest *m, char *text, size_t size)
{
	const struct lguest_call *call = m->call_number < m->abi->call_limit ? &m->abi->calls[m->call_number] : NULL;
	const uint32_t *a = m->call_arg;
	unsigned int args = call && call->name ? call->args : 4;
	int n;

	if (call && call->name)
		n = snprintf(text, size, " [%s(", call->name);
	else
		n = snprintf(text, size, " [hypercall %u(", m->call_number);
	for (unsigned int i = 0; i < args && n >= 0 && (size_t)n < size; i++)
		n += snprintf(text + n, size - (size_t)n, "%s%#x", i ? ", " : "", a[i]);
	if (n >= 0 && (size_t)n < size)
		snprintf(text + n, size - (size_t)n, ")%s at EIP %#x]", m->call_queued ? ", queued," : "", lguest_eip(m));
}

void lguest_kill(struct lguest *m, const char *format, ...)
{
	char *text = m->machine.last_words.text;
	size_t size = sizeof(m->machine.last_words.text), len;
	va_list args;

	if (m->ended)
		return;
	va_start(args, format);
	vsnprintf(text, size, format, args);
	va_end(args);
	len = strlen(text);
	if (m->call_arg)
		name_call(m, text + len, size - len);
	m->ended = true;
	m->end = MACHINE_CRASHED;
}

/* At most 128 bytes, NUL or not, and no further than memory goes (lguest-pitfalls, G7). False: unreadable. */
static bool read_text(struct lguest *m, uint32_t address, char text[MESSAGE_BYTES])
{
	uint32_t room = address < m->memory_bytes ? m->memory_bytes - address : 0;
	uint32_t len = room < MESSAGE_BYTES ? room : MESSAGE_BYTES - 1;

	memcpy(text, m->ram.base + (room ? address : 0), len);
	text[len] = 0;
	for (char *p = text; *p; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = ' ';
	return room;
}

void lguest_end(struct lguest *m, enum machine_end how, uint32_t address)
{
	char text[MESSAGE_BYTES];

	if (!read_text(m, address, text)) {
		if (how != MACHINE_RESTART) {
			lguest_kill(m, "last words at %#x are outside memory", address);
			return;
		}
		text[0] = 0;
	}
	/* Power off and panic are the same call: only the text tells (J1). */
	if (how == MACHINE_POWEROFF && strcmp(text, "Power down"))
		how = MACHINE_CRASHED;
	snprintf(m->machine.last_words.text, sizeof(m->machine.last_words.text), "%s", text);
	m->ended = true;
	m->end = how;
}
