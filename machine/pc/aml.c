/* SPDX-License-Identifier: MIT */
#include "machine/pc/aml.h"

#include <string.h>

/* Opcodes (ACPI 6.3, 20.3). */
enum {
	OP_ZERO = 0x00, OP_ONE = 0x01, OP_NAME = 0x08, OP_BYTE = 0x0a, OP_WORD = 0x0b, OP_DWORD = 0x0c, OP_SCOPE = 0x10, OP_BUFFER = 0x11,
	OP_PACKAGE = 0x12, OP_EXTENDED = 0x5b, OP_DEVICE = 0x82,
};

/* Resource descriptors (6.4): small ones have their length in the tag. */
enum {
	TAG_IRQ = 0x22, TAG_PORTS = 0x47, TAG_END = 0x79, TAG_DWORD_WINDOW = 0x87, TAG_WORD_WINDOW = 0x88,
	WINDOW_MEMORY = 0, WINDOW_PORTS = 1, WINDOW_BUSES = 2,
	WINDOW_FIXED = 0x0c,		/* both ends are fixed; a bridge's, with positive decoding */
	ALL_PORTS = 0x03, READ_WRITE = 0x01, DECODE_16_BITS = 0x01,
};

/* A package length has one to four bytes; three will do for us always (20.2.4). */
enum { LENGTH_BYTES = 3 };

static void put8(struct aml *aml, uint32_t value)
{
	if (aml->used < aml->size)
		aml->data[aml->used] = (uint8_t)value;
	aml->used++;
}

static void put16(struct aml *aml, uint32_t value)
{
	put8(aml, value);
	put8(aml, value >> 8);
}

static void put32(struct aml *aml, uint32_t value)
{
	put16(aml, value);
	put16(aml, value >> 16);
}

static void put_name(struct aml *aml, const char *name)
{
	for (; *name; name++)
		put8(aml, (uint8_t)*name);
}

/* --- objects --------------------------------------------------------------------------------------------------------- */

void aml_number(struct aml *aml, uint32_t value)
{
	if (value <= 1) {
		put8(aml, value ? OP_ONE : OP_ZERO);
	} else if (value <= 0xff) {
		put8(aml, OP_BYTE);
		put8(aml, value);
	} else if (value <= 0xffff) {
		put8(aml, OP_WORD);
		put16(aml, value);
	} else {
		put8(aml, OP_DWORD);
		put32(aml, value);
	}
}

void aml_name(struct aml *aml, const char *name)
{
	put8(aml, OP_NAME);
	put_name(aml, name);
}

static uint32_t hex_digit(char c)
{
	return (uint32_t)(c <= '9' ? c - '0' : c - 'A' + 10);
}

/* Five bits a letter, then four digits; stored with the most significant byte first (19.3.4). */
void aml_id(struct aml *aml, const char *id)
{
	uint32_t value = (uint32_t)(id[0] - '@') << 26 | (uint32_t)(id[1] - '@') << 21 | (uint32_t)(id[2] - '@') << 16;

	for (int i = 0; i < 4; i++)
		value |= hex_digit(id[3 + i]) << (12 - 4 * i);
	put8(aml, OP_DWORD);
	put32(aml, __builtin_bswap32(value));
}

/* Room for the length, which is known when the object is closed. */
static size_t open_length(struct aml *aml)
{
	size_t at = aml->used;

	aml->used += LENGTH_BYTES;
	return at;
}

/* The lead byte has the count of those that follow in bits 6 and 7, and the lowest four bits of the length (20.2.4). */
void aml_close(struct aml *aml, size_t open)
{
	size_t length = aml->used - open;

	if (aml->used > aml->size)
		return;
	aml->data[open] = (uint8_t)((LENGTH_BYTES - 1) << 6 | (length & 15));
	aml->data[open + 1] = (uint8_t)(length >> 4);
	aml->data[open + 2] = (uint8_t)(length >> 12);
}

size_t aml_open_scope(struct aml *aml, const char *name)
{
	size_t open;

	put8(aml, OP_SCOPE);
	open = open_length(aml);
	put_name(aml, name);
	return open;
}

size_t aml_open_device(struct aml *aml, const char *name)
{
	size_t open;

	put8(aml, OP_EXTENDED);
	put8(aml, OP_DEVICE);
	open = open_length(aml);
	put_name(aml, name);
	return open;
}

size_t aml_open_package(struct aml *aml, uint8_t elements)
{
	size_t open;

	put8(aml, OP_PACKAGE);
	open = open_length(aml);
	put8(aml, elements);
	return open;
}

/* --- resources ------------------------------------------------------------------------------------------------------- */

enum { BUFFER_HEAD = LENGTH_BYTES + 3 };	/* between "open" and the first descriptor: the length, and a word that says the size */

size_t aml_open_resources(struct aml *aml)
{
	size_t open;

	put8(aml, OP_BUFFER);
	open = open_length(aml);
	put8(aml, OP_WORD);
	put16(aml, 0);
	return open;
}

void aml_close_resources(struct aml *aml, size_t open)
{
	size_t size;

	put8(aml, TAG_END);
	put8(aml, 0);			/* no checksum */
	size = aml->used - open - BUFFER_HEAD;
	if (aml->used <= aml->size) {
		aml->data[open + BUFFER_HEAD - 2] = (uint8_t)size;
		aml->data[open + BUFFER_HEAD - 1] = (uint8_t)(size >> 8);
	}
	aml_close(aml, open);
}

void aml_ports(struct aml *aml, uint16_t first, uint8_t count)
{
	put8(aml, TAG_PORTS);
	put8(aml, DECODE_16_BITS);
	put16(aml, first);		/* the least and the greatest address it may have */
	put16(aml, first);
	put8(aml, 1);			/* alignment */
	put8(aml, count);
}

void aml_irq(struct aml *aml, unsigned int line)
{
	put8(aml, TAG_IRQ);
	put16(aml, 1u << line);
}

static void word_window(struct aml *aml, unsigned int type, unsigned int specific, uint16_t first, uint16_t last)
{
	put8(aml, TAG_WORD_WINDOW);
	put16(aml, 13);			/* bytes that follow */
	put8(aml, type);
	put8(aml, WINDOW_FIXED);
	put8(aml, specific);
	put16(aml, 0);			/* granularity */
	put16(aml, first);
	put16(aml, last);
	put16(aml, 0);			/* translation */
	put16(aml, (uint32_t)last - first + 1);
}

void aml_bus_window(struct aml *aml, uint16_t first, uint16_t last)
{
	word_window(aml, WINDOW_BUSES, 0, first, last);
}

void aml_port_window(struct aml *aml, uint16_t first, uint16_t last)
{
	word_window(aml, WINDOW_PORTS, ALL_PORTS, first, last);
}

void aml_memory_window(struct aml *aml, uint32_t first, uint32_t last)
{
	put8(aml, TAG_DWORD_WINDOW);
	put16(aml, 23);
	put8(aml, WINDOW_MEMORY);
	put8(aml, WINDOW_FIXED);
	put8(aml, READ_WRITE);
	put32(aml, 0);
	put32(aml, first);
	put32(aml, last);
	put32(aml, 0);
	put32(aml, last - first + 1);
}
