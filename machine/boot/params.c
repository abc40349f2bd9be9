/* SPDX-License-Identifier: MIT */
#include "machine/boot/params.h"

#include <errno.h>
#include <string.h>

#include "host/memory_file.h"
#include "machine/boot/bytes.h"

/* Offsets in the page. Linux, Documentation/x86/zero-page and boot; lguest-core, 2.2. */
enum {
	E820_ENTRIES = 0x1e8,
	HEADER = 0x1f1,			/* first byte of the setup header */
	HEADER_LENGTH = 0x201,		/* the header ends at 0x202 + this byte */
	BOOT_FLAG = 0x1fe,
	HDRS = 0x202,
	VERSION = 0x206,
	TYPE_OF_LOADER = 0x210,
	LOADFLAGS = 0x211,
	RAMDISK_IMAGE = 0x218,
	RAMDISK_SIZE = 0x21c,
	EXT_LOADER_VER = 0x226,
	EXT_LOADER_TYPE = 0x227,
	CMD_LINE_PTR = 0x228,
	INITRD_ADDR_MAX = 0x22c,
	KERNEL_ALIGNMENT = 0x230,
	HARDWARE_SUBARCH = 0x23c,
	SUBARCH_DATA = 0x240,
	SETUP_DATA = 0x250,
	HEADER_LIMIT = 0x290,
	E820_TABLE = 0x2d0,
	E820_BYTES = 20,
	PAGE_BYTES = 4096,
};

enum { LOADED_HIGH = 0x01, KEEP_SEGMENTS = 0x40, CAN_USE_HEAP = 0x80, LOADER_UNKNOWN = 0xff };

/* Of physical memory a kernel sees no more than this all the time; an initrd above it would be copied first. */
#define LOW_MEMORY (880u << 20)

int command_line_check(const char *line, struct error *error)
{
	size_t len = strlen(line);

	if (len > COMMAND_LINE_MAX)
		return error_set(error, E2BIG, "the kernel command line is too long: %zu bytes, at most %d are possible", len, COMMAND_LINE_MAX);
	return 0;
}

int command_line_check_memory(const char *line, struct error *error)
{
	static const char *const moves_memory[] = {"mem=", "memmap=", "highmem="};

	for (const char *word = line; *word; word += strcspn(word, " ")) {
		word += strspn(word, " ");
		for (size_t i = 0; i < sizeof(moves_memory) / sizeof(moves_memory[0]); i++)
			if (!strncmp(word, moves_memory[i], strlen(moves_memory[i])))
				return error_set(error, EINVAL, "the kernel command line has \"%.*s\": the kernel looks for its devices at the end "
					       "of memory, so set that with --memory instead", (int)strcspn(word, " "), word);
	}
	return 0;
}

static uint32_t page_down(uint32_t address)
{
	return address & ~(uint32_t)(PAGE_BYTES - 1);
}

/* The last page-aligned bytes of RAM, or of what this kernel can reach of it. */
static int place_initrd(const struct boot_params *params, uint8_t *ram, uint32_t size, uint32_t *where, struct error *error)
{
	const struct kernel *kernel = params->kernel;
	const struct file_view *initrd = params->initrd;
	uint32_t top = size, reach;

	if (!initrd->size)
		return error_set(error, EINVAL, "%s: is empty, not an initrd", initrd->path);
	if (kernel->setup && get16(kernel->setup + VERSION) >= 0x203) {
		reach = get32(kernel->setup + INITRD_ADDR_MAX);
		if (reach && reach < top)
			top = page_down(reach + 1);
	}
	if (top > LOW_MEMORY && initrd->size < LOW_MEMORY && page_down(LOW_MEMORY - (uint32_t)initrd->size) >= kernel->place.end)
		top = LOW_MEMORY;
	if (initrd->size > top || page_down(top - (uint32_t)initrd->size) < kernel->place.end)
		return error_set(error, ENOMEM, "%s: the initrd does not fit: it has %zuK, and the kernel leaves %uK of the guest's %uM "
			       "(see --memory)", initrd->path, (initrd->size + 1023) >> 10,
			       top > kernel->place.end ? (top - kernel->place.end) >> 10 : 0, size >> 20);
	*where = page_down(top - (uint32_t)initrd->size);
	memory_fill(ram + *where, initrd->data, initrd->size);
	return 0;
}

static void copy_setup_header(const uint8_t *setup, uint8_t *page)
{
	size_t end = HDRS + setup[HEADER_LENGTH];

	if (end > HEADER_LIMIT)
		end = HEADER_LIMIT;
	memcpy(page + HEADER, setup + HEADER, end - HEADER);
	/* What the header says for other loaders, or what a loader fills in (lguest-pitfalls, A10). */
	put32(page + RAMDISK_IMAGE, 0);
	put32(page + RAMDISK_SIZE, 0);
	put32(page + SUBARCH_DATA, 0);
	put32(page + SUBARCH_DATA + 4, 0);
	put64(page + SETUP_DATA, 0);
	page[EXT_LOADER_VER] = 0;
	page[EXT_LOADER_TYPE] = 0;
}

static void default_setup_header(uint8_t *page)
{
	put16(page + BOOT_FLAG, 0xaa55);
	memcpy(page + HDRS, "HdrS", 4);
	page[LOADFLAGS] = LOADED_HIGH;
}

static void write_map(const struct boot_params *params, uint8_t *page, uint32_t size)
{
	const struct memory_range all = {0, size, MEMORY_RAM}, *map = params->map ? params->map : &all;
	unsigned int count = params->map ? params->map_count : 1;

	page[E820_ENTRIES] = (uint8_t)count;
	for (unsigned int i = 0; i < count; i++) {
		uint8_t *entry = page + E820_TABLE + (size_t)i * E820_BYTES;

		put64(entry, map[i].start);
		put64(entry + 8, map[i].end - map[i].start);
		put32(entry + 16, map[i].type);
	}
}

int boot_params_write(const struct boot_params *params, uint8_t *ram, uint32_t size, struct error *error)
{
	uint8_t *page = ram + params->page;
	uint32_t initrd = 0;
	int err = command_line_check(params->command_line, error);

	if (!err && params->initrd)
		err = place_initrd(params, ram, size, &initrd, error);
	if (err)
		return err;
	memset(page, 0, PAGE_BYTES);
	if (params->kernel->setup)
		copy_setup_header(params->kernel->setup, page);
	else
		default_setup_header(page);
	/* Below 2.07 the kernel ignores the subarchitecture. */
	if (get16(page + VERSION) < 0x207)
		put16(page + VERSION, 0x207);
	page[TYPE_OF_LOADER] = LOADER_UNKNOWN;
	page[LOADFLAGS] &= (uint8_t)~CAN_USE_HEAP;
	/* Without KEEP_SEGMENTS a kernel would reload selectors that this machine does not have (lguest-pitfalls, A5). */
	if (params->subarch != SUBARCH_PC)
		page[LOADFLAGS] |= KEEP_SEGMENTS;
	if (params->initrd) {
		put32(page + RAMDISK_IMAGE, initrd);
		put32(page + RAMDISK_SIZE, (uint32_t)params->initrd->size);
	}
	put32(page + CMD_LINE_PTR, params->page + PAGE_BYTES);
	if (!get32(page + KERNEL_ALIGNMENT))
		put32(page + KERNEL_ALIGNMENT, 0x1000000);
	put32(page + HARDWARE_SUBARCH, params->subarch);
	write_map(params, page, size);
	strcpy((char *)page + PAGE_BYTES, params->command_line);
	return 0;
}
