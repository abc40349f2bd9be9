/* SPDX-License-Identifier: MIT */
/* print.c - enough of printf: %s %c %u %d %x %%, a zero-padded or plain width, ll for 64 bits. */
#include "pup.h"

struct output {
	char *at;
	size_t size, length;
};

static void put(struct output *out, char c)
{
	if (out->length + 1 < out->size)
		out->at[out->length++] = c;
}

static void put_number(struct output *out, uint64_t value, unsigned int base, unsigned int width, char pad)
{
	char digits[24];
	unsigned int count = 0;

	do {
		uint64_t rest = divide(value, base);

		digits[count++] = "0123456789abcdef"[(uint32_t)(value - rest * base)];
		value = rest;
	} while (value);
	while (width > count) {
		put(out, pad);
		width--;
	}
	while (count)
		put(out, digits[--count]);
}

static void put_text(struct output *out, const char *text, unsigned int width)
{
	size_t length = strlen(text);

	for (size_t i = 0; i < length; i++)
		put(out, text[i]);
	for (; length < width; length++)
		put(out, ' ');
}

int format_text(char *text, size_t size, const char *format, __builtin_va_list arguments)
{
	struct output out = { .at = text, .size = size };

	for (; *format; format++) {
		char pad = ' ';
		unsigned int width = 0;
		bool wide = false;
		int64_t value;

		if (*format != '%') {
			put(&out, *format);
			continue;
		}
		format++;
		if (*format == '0')
			pad = *format++;
		while (*format >= '0' && *format <= '9')
			width = width * 10 + (*format++ - '0');
		while (*format == 'l') {
			wide = true;
			format++;
		}
		switch (*format) {
		case 's':
			put_text(&out, __builtin_va_arg(arguments, const char *), width);
			break;
		case 'c':
			put(&out, __builtin_va_arg(arguments, int));
			break;
		case 'd':
			value = wide ? __builtin_va_arg(arguments, int64_t) : __builtin_va_arg(arguments, int32_t);
			if (value < 0)
				put(&out, '-');
			put_number(&out, value < 0 ? -value : value, 10, width, pad);
			break;
		case 'u':
		case 'x':
			value = wide ? __builtin_va_arg(arguments, uint64_t) : __builtin_va_arg(arguments, uint32_t);
			put_number(&out, value, *format == 'u' ? 10 : 16, width, pad);
			break;
		default:
			put(&out, *format);
		}
	}
	if (size)
		text[out.length] = 0;
	return out.length;
}

void print(const char *format, ...)
{
	char text[256];
	__builtin_va_list arguments;
	int length;

	__builtin_va_start(arguments, format);
	length = format_text(text, sizeof(text), format, arguments);
	__builtin_va_end(arguments);
	console_write(text, length);
}
