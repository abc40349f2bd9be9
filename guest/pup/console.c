/* SPDX-License-Identifier: MIT */
/*
 * console.c - where text goes and comes from. Until console_init() says that the virtio console works, output goes out with
 * NOTIFY, whose argument may be a string: that needs nothing but memory, so the banner (and most crashes) can be seen.
 */
#include "pup.h"
#include "device.h"

/* A host may expect short strings: Linux sends 16 characters at a time. */
#define EARLY_LENGTH 16

static bool console_ready;

static void early_write(const char *text, size_t length)
{
	while (length) {
		char piece[EARLY_LENGTH + 1];
		size_t size = length < EARLY_LENGTH ? length : EARLY_LENGTH;

		memcpy(piece, text, size);
		piece[size] = 0;
		hypercall(LHCALL_NOTIFY, PHYSICAL(piece), 0, 0, 0);
		text += size;
		length -= size;
	}
}

void console_write(const char *text, size_t length)
{
	if (console_ready) {
		uint32_t flags = device_enter();
		long written = virtio_console_write(&virtio_console, text, length);

		device_leave(flags);
		if (written >= 0)
			return;
		console_ready = false;
	}
	early_write(text, length);
}

void console_init(void)
{
	console_ready = virtio_console.vdev;
}

int console_read(void)
{
	uint8_t c;

	while (console_ready) {
		/* Off from the look to the HALT, which turns them on: no interrupt slips in between. */
		irq_save();
		if (virtio_console_read(&virtio_console, &c, 1)) {
			irq_enable();
			return c;
		}
		hypercall(LHCALL_HALT, 0, 0, 0, 0);
		irq_enable();
	}
	return -1;
}
