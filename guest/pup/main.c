/* SPDX-License-Identifier: MIT */
/* main.c - what the host says about the machine, and who is started when. */
#include "pup.h"

struct machine machine;

/* Offsets in the boot parameters ("zero page") of the 32-bit boot protocol. */
enum {
	BOOT_E820_COUNT = 0x1e8,
	BOOT_RAMDISK = 0x218,
	BOOT_RAMDISK_SIZE = 0x21c,
	BOOT_COMMAND_LINE = 0x228,
	BOOT_E820 = 0x2d0,
};

struct e820 {
	uint64_t start, size;
	uint32_t type;
} __attribute__((packed));

static uint32_t boot_word(const uint8_t *boot, unsigned int offset)
{
	uint32_t word;

	memcpy(&word, boot + offset, sizeof(word));
	return word;
}

/* The guest's idea of the end of memory is where it looks for devices: the last byte of RAM in the e820 map. */
static void read_boot_parameters(void)
{
	const uint8_t *boot = VIRTUAL(entry_state[6]);
	const struct e820 *map = (const struct e820 *)(boot + BOOT_E820);
	const char *line = VIRTUAL(boot_word(boot, BOOT_COMMAND_LINE));
	size_t length = 0;

	for (unsigned int i = 0; i < boot[BOOT_E820_COUNT]; i++) {
		if (map[i].type == 1 && map[i].start + map[i].size > machine.memory_end)
			machine.memory_end = map[i].start + map[i].size;
	}
	machine.memory_end &= PTE_FRAME;
	machine.initrd = boot_word(boot, BOOT_RAMDISK);
	machine.initrd_size = boot_word(boot, BOOT_RAMDISK_SIZE);
	while (length < sizeof(machine.command_line) - 1 && line[length]) {
		machine.command_line[length] = line[length];
		length++;
	}
}

/* One word, or one "quoted" stretch, from @at into @value (NULL: skip it). Returns what follows. */
static const char *take_word(const char *at, char *value, size_t size)
{
	bool quoted = false;
	size_t length = 0;

	for (; *at && (quoted || *at != ' '); at++) {
		if (*at == '"')
			quoted = !quoted;
		else if (value && length + 1 < size)
			value[length++] = *at;
	}
	if (value)
		value[length] = 0;
	return at;
}

bool machine_option(const char *name, char *value, size_t size)
{
	size_t length = strlen(name);
	const char *at = machine.command_line;

	while (*at) {
		while (*at == ' ')
			at++;
		if (*at == '"') /* "name=value" quoted as a whole, as a shell script may hand it over */
			at++;
		if (!memcmp(at, name, length) && at[length] == '=') {
			bool whole = at > machine.command_line && at[-1] == '"';
			size_t i = 0;

			if (!whole)
				return take_word(at + length + 1, value, size), true;
			for (at += length + 1; *at && *at != '"' && i + 1 < size; at++)
				value[i++] = *at;
			value[i] = 0;
			return true;
		}
		at = take_word(at, NULL, 0);
	}
	return false;
}

void shutdown(const char *text, uint32_t how)
{
	hypercall(LHCALL_SHUTDOWN, PHYSICAL(text), how, 0, 0);
	for (;;) /* the host never runs us again */
		__asm__ volatile("ud2");
}

void panic(const char *format, ...)
{
	static char text[128]; /* as much as the host reads */
	__builtin_va_list arguments;

	irq_save();
	__builtin_va_start(arguments, format);
	format_text(text, sizeof(text), format, arguments);
	__builtin_va_end(arguments);
	print("pup: panic: %s\n", text);
	shutdown(text, SHUTDOWN_POWEROFF);
}

/* Hosts look for this name in a kernel's image before they start it, as Linux has it for its paravirtual interface. */
static const char *volatile interface = "lguest";

__attribute__((noreturn)) void main(void);

void main(void)
{
	read_boot_parameters();
	segment_init();
	trap_init();
	print("pup: woof. An %s guest with %u MiB, at ring %u\n", interface, machine.memory_end >> 20, entry_state[8] & 3);
	memory_init();
	clock_init();
	task_init();
	irq_enable();
	device_init();
	console_init();
	print("pup: command line: %s\n", machine.command_line);
	shell();
}
